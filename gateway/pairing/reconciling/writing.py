"""One write: journal what is intended, read, compare, send both slots in full, read back, journal what came of it.

The process may die at each await, or be stopped; what is on the disk then says all that the next one needs to know.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from gateway.cloud.errors import CloudError, Forbidden, LoginRefused, NotFound, Rejected, Throttled, Unauthorized
from gateway.cloud.models import BluetoothConfig, PairingSet
from gateway.pairing.documents import ClearForm, Documents, document_of, documents_of, request_of
from gateway.pairing.memory import Memory, Refusal
from gateway.pairing.planning.plan import Write
from gateway.pairing.reconciling.journal import Journal
from gateway.pairing.reconciling.remembering import Happening, after_answer, after_refusal, with_intent, without_intent
from gateway.store import StoreError

READ_AGE_S = 60.0
"""What was read before a write may be so old when that goes out; waiting for the cloud's budget may take long."""

CONTENT_STATUSES = frozenset({400, 404, 409, 413, 415, 422})
"""Answers that are a verdict on what was sent; another 4xx may come from anything on the way."""


class Configs(Protocol):
    """The part of the cloud that is written to."""

    async def bluetooth_config(self, device_id: int) -> BluetoothConfig:
        """Which sensors a device we own now is paired with, and which it shall be; raises `CloudError`."""

    async def set_bluetooth_config(
        self,
        device_id: int,
        change: PairingSet,
        *,
        immediate_sending: bool = False,
        before_sending: Callable[[], None] = ...,
    ) -> BluetoothConfig:
        """Change which sensors it shall be paired with, one attempt; raises `CloudError`."""


class End(Enum):
    """How a write ended."""

    READ_BACK = auto()  # what came of it is remembered
    CONFLICT = auto()  # the target was another one by now: nothing was sent
    WITHDRAWN = auto()  # it is not to be written any more: nothing was sent
    NOT_JOURNALED = auto()  # the disk does not work: nothing was sent
    REFUSED = auto()  # for its content, and never again
    FAILED = auto()  # certainly not done
    UNKNOWN = auto()  # perhaps done: the next reading says so


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of a write.

    Attributes:
        end: How it ended.
        error: Why, where a request failed.
    """

    end: End
    error: CloudError | None = None


class Writer:
    """Performs writes."""

    def __init__(self, cloud: Configs, journal: Journal, form: ClearForm, utc_ms: Callable[[], int]) -> None:
        """Make it.

        Args:
            cloud: Is written to.
            journal: Keeps the memories.
            form: How slots are cleared.
            utc_ms: The wall clock, epoch ms.
        """
        self._cloud = cloud
        self._journal = journal
        self._form = form
        self._utc_ms = utc_ms
        self._now = asyncio.get_running_loop().time

    async def perform(
        self,
        serial_number: str,
        device_id: int,
        write: Write,
        is_due: Callable[[Documents], bool],
        took: Callable[[BluetoothConfig], None],
    ) -> Outcome:
        """Write once.

        Args:
            serial_number: The tracker.
            device_id: Its id in the cloud.
            write: What to.
            is_due: Asked at the last moment, with what was just read: whether it is still to be written.
            took: Is given what was read, once that says something of this write or there is none.
        """
        intended = with_intent(self._journal.memory(serial_number), write, self._form, self._utc_ms())
        try:
            await self._journal.intend(serial_number, intended)
        except StoreError:
            return Outcome(End.NOT_JOURNALED)
        try:
            before = await self._cloud.bluetooth_config(device_id)
        except CloudError as error:
            return self._unsent(serial_number, Outcome(End.FAILED, error))
        read_s, documents = self._now(), documents_of(before)
        if documents.target != write.base:
            outcome = self._unsent(serial_number, Outcome(End.CONFLICT))
            took(before)
            return outcome
        try:
            for approval in write.approvals:
                await self._journal.begin(approval)
        except StoreError:
            return self._unsent(serial_number, Outcome(End.NOT_JOURNALED))

        def check() -> None:
            if self._now() - read_s > READ_AGE_S or not is_due(documents):
                raise _WithdrawnError

        try:
            answer = await self._cloud.set_bluetooth_config(
                device_id,
                request_of(before.target, write.changes, self._form),
                immediate_sending=write.is_immediate,
                before_sending=check,
            )
        except _WithdrawnError:
            outcome = self._unsent(serial_number, Outcome(End.WITHDRAWN))
            took(before)
            return outcome
        except CloudError as error:
            return self._failed(serial_number, error)
        self._note(serial_number, lambda memory: after_answer(memory, document_of(answer.target), self._utc_ms()))
        try:
            after = await self._cloud.bluetooth_config(device_id)
        except CloudError as error:
            return Outcome(End.UNKNOWN, error)
        took(after)
        return Outcome(End.READ_BACK)

    def _failed(self, serial_number: str, error: CloudError) -> Outcome:
        match error:
            case Rejected() | NotFound() if is_verdict(error):
                text = f"status {error.status}" if isinstance(error, Rejected) else "status 404"
                kind = Refusal.Kind.REJECTED
                happened = Happening("Rejected", "The cloud does not take this change")
                self._note(serial_number, lambda memory: after_refusal(memory, kind, text), happened)
                return Outcome(End.REFUSED, error)
            case Forbidden() | Throttled() | Unauthorized() | LoginRefused() | NotFound():
                return self._unsent(serial_number, Outcome(End.FAILED, error))
            case _:
                return Outcome(End.UNKNOWN, error)

    def _unsent(self, serial_number: str, outcome: Outcome) -> Outcome:
        self._note(serial_number, without_intent)
        return outcome

    def _note(self, serial_number: str, step: Callable[[Memory], Memory], *happened: Happening) -> None:
        memory = step(self._journal.memory(serial_number))
        self._journal.note(serial_number, memory, happened, self._utc_ms())


def is_verdict(error: CloudError) -> bool:
    """Whether an answer to a write is about its content."""
    if isinstance(error, NotFound):
        return not error.is_path_unknown
    return isinstance(error, Rejected) and error.status in CONTENT_STATUSES


class _WithdrawnError(Exception):
    """What was to be written is not to be written any more."""
