"""A client of the live stream that writes down everything it is told, row for row, over every cut and restart."""

from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from insiders_gateway_client.following import Subscription
from insiders_gateway_client.gateway import Gateway
from insiders_gateway_client.messages import Message

Times = NDArray[np.int64]


@dataclass
class Told:
    """What has been told of one tracker under one epoch.

    Attributes:
        first: Number of the first row, None before it.
        first_came_ms: When it came, epoch ms.
        last: Number of the last row.
        withdrawn: Number of the last row that was taken back; nothing up to it counts any more.
        parts: Times of the rows, in order of arrival.
        misdated: Times of the rows whose time is wrong.
        gaps: The newest message about each gap, by its id.
    """

    first: int | None = None
    first_came_ms: int = 0
    last: int = 0
    withdrawn: int = 0
    parts: list[Times] = field(default_factory=list)
    misdated: list[int] = field(default_factory=list)
    gaps: dict[int, Message] = field(default_factory=dict)

    def t_ms(self) -> Times:
        """Times of all rows that are not misdated, ascending."""
        return np.sort(np.concatenate(self.parts)) if self.parts else np.empty(0, np.int64)


class Witness:
    """Follows a gateway for ever.

    Attributes:
        told: What holds under the present epoch, by channel.
        epochs: All epochs so far.
        verdicts: What became of each attempt to resume, and how often.
        messages: Messages received.
        rows: Rows received under all epochs.
    """

    def __init__(self, url: str, trackers: int, now_ms: Callable[[], int]) -> None:
        self._client = Gateway(url).follow(Subscription(last_s=86_400.0))
        self._trackers = trackers
        self._now_ms = now_ms
        self.told: dict[int, Told] = {}
        self.epochs: list[str] = []
        self.verdicts: Counter[str] = Counter()
        self.messages = 0
        self.rows = 0
        self._forget()

    async def follow(self) -> None:
        """Receive until cancelled."""
        async with aclosing(self._client.messages()) as messages:
            async for message in messages:
                self.messages += 1
                self._take(message)

    def _take(self, message: Message) -> None:
        match message["op"]:
            case "hello" if not self.epochs or message["epoch"] != self.epochs[-1]:
                self.epochs.append(message["epoch"])
                self._forget()
            case "channels":
                for channel in message["channels"]:
                    told = self.told[channel["ch"]]
                    if channel["withdrawn"] > told.withdrawn:
                        self.told[channel["ch"]] = Told(last=told.last, withdrawn=channel["withdrawn"])
            case "sub_ok":
                for channel in message["channels"]:
                    self.verdicts[channel["recovered"]] += 1
                    told = self.told[channel["ch"]]
                    if channel["recovered"] != "exact" or told.first is None:
                        told.last = channel["cursor"]
            case "snap" | "d":
                for run in self._client.rows(message):
                    told = self.told[run.ch]
                    if told.first is None:
                        told.first, told.first_came_ms = run.n0, self._now_ms()
                    elif run.n0 != told.last + 1:
                        raise AssertionError(f"channel {run.ch}: row {run.n0} came after row {told.last}")
                    told.last = run.last
                    self.rows += len(run)
                    if run.is_misdated:
                        told.misdated += run.t_ms.tolist()
                    else:
                        told.parts.append(run.t_ms.copy())
            case "gap" if "id" in message:
                self.told[message["ch"]].gaps[message["id"]] = message
            case "gap":
                raise AssertionError(f"a client that always reads was told of an overrun: {message}")

    def _forget(self) -> None:
        self.told = {ch: Told() for ch in range(1, self._trackers + 1)}
