"""What stands in for a gateway: its own server over a loopback socket, with recordings that do as a test has said."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.requests import ErrorCode, RequestError
from gateway.live.server import LiveServer
from gateway.uploads.recording import Basis, Recording, Source, State, Step, Way
from gateway.uploads.report import (
    InboxReport,
    ProgressReport,
    RebuiltReport,
    RecordingReport,
    RecordingsReport,
    SourceReport,
    SpoolReport,
    StepReport,
    TrackerReport,
)
from gateway.uploads.standing import deeds, is_only_copy, standing

NOW_MS = 1_795_366_800_000
"""22 November 2026, 17:00 UTC, a Sunday."""

HOUR_MS = 3_600_000

ADA = TrackerReport(serial_number="SIM-0001", name="Ada Lindqvist", number=7)
BEA = TrackerReport(serial_number="SIM-0002", name="Bea Okafor", number=8)
NOBODY = TrackerReport(serial_number="SIM-0003", name=None, number=None)
TRACKERS = (ADA, BEA, NOBODY)

SPOOL = SpoolReport(used_bytes=1_200_000_000, limit_bytes=8_192_000_000, free_bytes=11_300_000_000, text="", action="")

REBUILT = RebuiltReport(files=3, recovered=1, missing=0, corrupt=0, strays=0, text="3 files were read, 1 was recovered")


def recording(number: int, state: State = State.QUEUED, serial: str | None = "SIM-0001", **more: Any) -> Recording:
    """A recording of two hours ago; its id begins with its number, four digits."""
    at_ms = NOW_MS - 2 * HOUR_MS
    sha256 = more.pop("sha256", f"{number:04}" + hashlib.sha256(str(number).encode()).hexdigest()[4:])
    name = more.pop("name", f"rec-{number:04}.asi")
    told: dict[str, Any] = {
        "size": 12_345_678,
        "version": 1,
        "taken_ms": at_ms,
        "changed_ms": at_ms,
        "sources": (Source(Way.UPLOAD, name, at_ms),),
        "trail": (Step(State.QUEUED, at_ms), *([Step(state, at_ms + 60_000)] if state is not State.QUEUED else [])),
        "serial_number": serial,
        "basis": None if serial is None else Basis.PATH,
    }
    return Recording(sha256=sha256, state=state, **(told | more))


def report(of: Recording, **more: Any) -> RecordingReport:
    """A recording in the words of a gateway."""
    text, action = standing(of, NOW_MS)
    told: dict[str, Any] = {
        "athlete": next((one.name for one in TRACKERS if one.serial_number == of.serial_number), None),
        "text": text,
        "action": action,
        "needs_person": of.state in {"unassigned", "questioned", "failed", "quarantined", "corrupt", "missing"},
        "deeds": deeds(of),
        "is_only_copy": is_only_copy(of),
        "next_s": None,
        "job_state": None,
        "progress": None,
        "made_ms": None,
        "deletes_ms": None,
    }
    return RecordingReport(
        id=of.id,
        sha256=of.sha256,
        name=of.name,
        size=of.size,
        state=of.state,
        since_ms=of.changed_ms,
        taken_ms=of.taken_ms,
        serial_number=of.serial_number,
        basis=of.basis,
        code=of.error_code,
        maybe_duplicate=of.maybe_duplicate,
        tries=of.tries,
        job_id=of.job_id,
        sources=tuple(SourceReport(way=one.way, name=one.name, at_ms=one.at_ms) for one in of.sources),
        trail=tuple(StepReport(state=one.state, at_ms=one.at_ms, author=one.author) for one in of.trail),
        **(told | more),
    )


def progress(sent_bytes: int, bytes_per_s: float | None = 312_000.0, left_s: float | None = 252.0) -> ProgressReport:
    return ProgressReport(sent_bytes=sent_bytes, bytes_per_s=bytes_per_s, left_s=left_s)


def queue(*recordings: RecordingReport, **more: Any) -> RecordingsReport:
    told: dict[str, Any] = {
        "counts": (),
        "inbox": (),
        "inbox_folder": "/srv/inbox",
        "spool": SPOOL,
        "trackers": TRACKERS,
        "max_file_bytes": 1_024_000_000,
        "utc_ms": NOW_MS,
    }
    return RecordingsReport(recordings=recordings, **(told | more))


def lying(name: str, code: str, text: str, action: str, size: int | None = 4096) -> InboxReport:
    return InboxReport(name=name, size=size, code=code, text=text, action=action, since_ms=NOW_MS - HOUR_MS)


@dataclass
class Desk:
    """A gateway's recordings.

    Attributes:
        recordings: All of them, as they are told next, the newest first.
        gone: Those that are told only to who asks for all.
        course: What becomes of what is added, one step whenever somebody looks.
        refusals: What the next deeds are refused with, each once.
        told: What else the list says.
        told_then: What else it says once something was added.
        asked: Every deed: what, with which recording, and the body.
        begun: How many files have begun to come.
        came: Of every file that was taken over: what was said of it, and its size.
        taken_as: What is told instead of the SHA-256 of what came.
        pause_s: How long each block takes to be written.
        looks: How often somebody has looked at the list.
    """

    recordings: list[RecordingReport] = field(default_factory=list)
    gone: list[RecordingReport] = field(default_factory=list)
    course: tuple[State, ...] = (State.SENDING, State.ACCEPTED, State.DONE)
    refusals: list[RequestError] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)
    told_then: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    begun: int = 0
    came: list[tuple[dict[str, str], int]] = field(default_factory=list)
    taken_as: str | None = None
    pause_s: float = 0.0
    looks: int = 0
    _courses: dict[str, Iterator[State]] = field(default_factory=dict)

    async def report(self, *, is_all: bool) -> RecordingsReport:
        self.looks += 1
        for place, one in enumerate(self.recordings):
            state = next(self._courses.get(one.sha256, iter(())), None)
            if state is not None:
                self.recordings[place] = self._in_state(one, state)
        return queue(*self.recordings, *(self.gone if is_all else []), **self.told)

    def tag(self, *, is_all: bool) -> str:
        return f"{self.looks}-{is_all}"

    def show(self, recording_id: str) -> RecordingReport:
        for one in (*self.recordings, *self.gone):
            if one.sha256.startswith(recording_id):
                return one
        raise RequestError(ErrorCode.UNKNOWN_RECORDING, "There is no such recording.")

    async def add(
        self, blocks: AsyncIterator[bytes], size: int | None, query: Mapping[str, str], _author: str | None
    ) -> RecordingReport:
        if self.refusals:
            raise self.refusals.pop(0)
        self.begun += 1
        digest, came = hashlib.sha256(), 0
        async for block in blocks:
            digest.update(block)
            came += len(block)
            await asyncio.sleep(self.pause_s)
        if came != size:
            raise RequestError(ErrorCode.CUT_OFF, "Fewer bytes came than were announced: send it again.")
        self.came.append((dict(query), came))
        self.told |= self.told_then
        sha256 = self.taken_as or digest.hexdigest()
        serial = query.get("tracker")
        for one in self.recordings:
            if one.sha256 == sha256:
                again = replace(one, sources=(*one.sources, one.sources[0]))
                self.recordings[self.recordings.index(one)] = again
                return again
        state = State.UNASSIGNED if serial is None else State.QUEUED
        made = report(recording(0, state, serial, sha256=sha256, size=came, name=query["name"]))
        self.recordings.insert(0, made)
        if serial is not None:
            self._courses[sha256] = iter(self.course)
        return made

    async def act(self, action: str, recording_id: str, body: bytes, _author: str | None) -> RecordingReport:
        self.asked.append((action, recording_id[:4], json.loads(body)))
        if self.refusals:
            raise self.refusals.pop(0)
        one = self.show(recording_id)
        after = {"assign": State.QUEUED, "retry": State.QUEUED, "discard": State.DISCARDED}[action]
        serial = json.loads(body).get("tracker", one.serial_number)
        return self._in_state(replace(one, serial_number=serial), after)

    async def rebuild(self) -> RebuiltReport:
        self.asked.append(("rebuild", "", {}))
        if self.refusals:
            raise self.refusals.pop(0)
        return REBUILT

    def finish(self) -> None:
        """All that has been added is done."""
        self._courses = {sha256: iter([State.DONE]) for sha256 in self._courses}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Serve it; yields the address of its live stream."""
        hub = Hub({}, Board(), "e", "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
        async with LiveServer(hub, dict, recordings=self, is_open_on_loopback=True).listening("127.0.0.1", 0) as port:
            yield f"ws://127.0.0.1:{port}/api/v1/stream"

    def _in_state(self, one: RecordingReport, state: State) -> RecordingReport:
        number, more = 1, {"sha256": one.sha256, "size": one.size, "name": one.name}
        job = {"job_id": "job-1", "error": "it has no samples" if state is State.FAILED else "", "author": "kim"}
        stands = replace(report(recording(number, state, one.serial_number, **more, **job)), sources=one.sources)
        if state is State.SENDING:
            return replace(stands, progress=progress(one.size // 2))
        return replace(stands, job_state="STARTED") if state is State.ACCEPTED else stands
