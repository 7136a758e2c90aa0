"""People who bring recordings and answer what they are asked."""

import asyncio
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import aiohttp

from gateway.uploads.recording import State
from gateway.uploads.taking.naming import Known
from tests.uploads.days.lives import Lives
from tests.uploads.days.model import Model
from tests.uploads.days.story import Story
from tests.uploads.sending.bringing import wall_ms

_ADDRESS = "/api/v1/recordings"
_PATIENCE_S = 0.5


@dataclass
class _Copy:
    sha256: str
    file: BinaryIO


class People:
    """Whoever comes by."""

    def __init__(
        self,
        lives: Lives,
        known: tuple[Known, ...],
        model: Model,
        story: Story,
        tasks: asyncio.TaskGroup,
        http: aiohttp.ClientSession,
    ) -> None:
        self._lives, self._known = lives, known
        self._model, self._story = model, story
        self._tasks, self._http = tasks, http
        self._asked: list[asyncio.Task[None]] = []
        self._copies: dict[str, _Copy] = {}
        lives.on_moved = self._go_on

    @property
    def copied(self) -> list[Path]:
        """What is being copied into the inbox."""
        return [self._path(name) for name in self._copies]

    def drop(self, number: int, tracker: int | None, name: str, *, age_s: float, is_whole: bool) -> None:
        """Put a recording into the inbox, into the folder of a tracker if one is given.

        Args:
            number: Which.
            tracker: Whose.
            name: What it is called.
            age_s: For how long it has not been changed.
            is_whole: Whether it is there at once; else half of it is, and whoever copies it has it open until the end.
        """
        sha256 = self._model.content(number)
        name = name if tracker is None else f"{self._known[tracker].serial_number}/{name}"
        if name in self._copies or name in self._model.lying:
            return
        self._story.note(f"drop {'' if is_whole else 'half of '}{sha256[:8]} as {name}")
        content, target = self._model.contents[sha256], self._path(name)
        target.parent.mkdir(exist_ok=True)
        if is_whole:
            aside = self._lives.world / "aside"
            aside.write_bytes(content)
            at_s = wall_ms() / 1000 - age_s
            os.utime(aside, (at_s, at_s))
            aside.rename(target)
            self._model.lying[name] = sha256
        else:
            self._copies[name] = _Copy(sha256, target.open("wb", buffering=0))
            self._copies[name].file.write(content[: len(content) // 2])

    def finish(self) -> None:
        """Whoever copies comes to the end."""
        for name, copy in self._copies.items():
            self._story.note(f"{name} is whole")
            content = self._model.contents[copy.sha256]
            with copy.file:
                copy.file.write(content[len(content) // 2 :])
            self._model.lying[name] = copy.sha256
        self._copies.clear()

    def send(self, number: int, tracker: int | None, *, broken_at: float | None) -> None:
        """Begin to send a recording to the gateway.

        Args:
            number: Which.
            tracker: Whose.
            broken_at: After which part of it that is given up; None if it is not.
        """
        sha256 = self._model.content(number)
        query = "" if tracker is None else f"?tracker={self._known[tracker].serial_number}"
        self._story.note(f"send {sha256[:8]}{query}{'' if broken_at is None else f', up to {broken_at}'}")
        work = self._send(sha256, query) if broken_at is None else self._break_off(sha256, query, broken_at)
        self._asked.append(self._tasks.create_task(work))

    async def answered(self) -> None:
        """Wait until the gateway has answered everybody."""
        await asyncio.gather(*self._asked)
        self._asked.clear()

    async def decide(self, deed: str, number: int, tracker: int) -> None:
        """Say something about a recording, or about another one if that is not known."""
        its, known = self._model.content(number), sorted(self._lives.gateway.ledger.recordings)
        if known:
            await self._decide(deed, its if its in known else known[number % len(known)], tracker)

    def begin_to_decide(self, deed: str, number: int, tracker: int) -> None:
        """The same, and do not wait for the answer."""
        self._asked.append(self._tasks.create_task(self.decide(deed, number, tracker)))

    async def answer(self) -> None:
        """Say something about every one that waits for that."""
        for sha256, one in list(self._lives.gateway.ledger.recordings.items()):
            if one.state in {State.UNASSIGNED, State.QUESTIONED}:
                await self._decide("assign", sha256, 0)
            elif one.state in {State.FAILED, State.QUARANTINED}:
                await self._decide("retry", sha256, 0)

    async def rebuild(self) -> None:
        """Let everything be compared."""
        status, told = await self._ask("/rebuild", b"")
        self._story.note(f"rebuild: {status} {told.decode()}")

    async def look(self, path: str) -> dict[str, Any]:
        """What is told of the recordings, or of one of them."""
        async with self._http.get(f"http://127.0.0.1:{self._lives.gateway.port}{_ADDRESS}{path}") as answer:
            assert answer.status == 200
            return cast("dict[str, Any]", await answer.json())

    async def leave(self) -> None:
        """Nobody copies or sends any more."""
        for copy in self._copies.values():
            copy.file.close()
        await self.answered()

    async def _decide(self, deed: str, sha256: str, tracker: int) -> None:
        wish = {"author": "Kim"} | ({"tracker": self._known[tracker].serial_number} if deed == "assign" else {})
        if deed == "discard":
            self._model.discards.add(sha256)
        self._model.allowed[sha256] += 1
        self._model.asked.add(sha256)
        status, _ = await self._ask(f"/{sha256}/{deed}", json.dumps(wish).encode())
        self._model.asked.discard(sha256)
        self._story.note(f"{deed} {sha256[:8]}{f' {tracker}' if deed == 'assign' else ''}: {status}")

    async def _send(self, sha256: str, query: str) -> None:
        status, told = await self._ask(query, self._model.contents[sha256])
        self._story.note(f"{sha256[:8]} was sent: {status}{'' if status == 201 else f' {told.decode()}'}")
        if status == 201:
            self._model.acknowledged.add(sha256)

    async def _break_off(self, sha256: str, query: str, broken_at: float) -> None:
        content = self._model.contents[sha256]
        head = f"POST {_ADDRESS}{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(content)}\r\n\r\n"
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self._lives.gateway.port)
            writer.write(head.encode() + content[: int(len(content) * broken_at)])
            await asyncio.sleep(_PATIENCE_S)
            writer.transport.abort()

    async def _ask(self, path: str, body: bytes) -> tuple[int, bytes]:
        """The answer to a POST; 0 and why if there was none."""
        try:
            url = f"http://127.0.0.1:{self._lives.gateway.port}{_ADDRESS}{path}"
            async with self._http.post(url, data=body) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, OSError) as error:
            return 0, type(error).__name__.encode()

    def _path(self, name: str) -> Path:
        return self._lives.world / "inbox" / name

    def _go_on(self) -> None:
        """In the world that is there now."""
        for name, copy in self._copies.items():
            copy.file.close()
            copy.file = self._path(name).open("ab", buffering=0)
