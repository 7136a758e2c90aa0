"""Recordings in memory, of every state, that people can act on: what stands in for the gateway's behind the page."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from gateway.live.requests import ErrorCode, RequestError, parse_body, parse_query
from gateway.live.routes.authors import signed
from gateway.uploads.overview import overview
from gateway.uploads.recording import Basis, Clue, Recording, Source, Span, State, Way
from gateway.uploads.report import (
    InboxReport,
    LeftOutReport,
    ProgressReport,
    RecordingReport,
    RecordingsReport,
    SpoolReport,
    TrackerReport,
    TroubleReport,
)
from gateway.uploads.reporting import report_one
from gateway.uploads.requests import AddRequest, AssignRequest, PersonRequest
from gateway.uploads.standing import Standing
from gateway.uploads.transitions import assigned, discarded, retried, taken, taken_again

NOW_MS = 1_795_300_000_000
HOUR_MS = 3_600_000
ATHLETES = {"SIM-0001": "Ada Lindqvist", "SIM-0002": "Åsa-Märta O'Neill", "SIM-0003": None}
HOSTILE = "<img src=x onerror=alert(1)> & \"monday\" 'x'.asi"


@dataclass
class Shelf:
    """The recordings: `gateway.live.source.RecordingsView`.

    Attributes:
        recordings: By SHA-256.
        asked: What people did: verb, short id and author.
        spool_text: What is wrong with the disk.
        bytes_per_s: How fast what is sent is taken; None as fast as it comes.
        is_down: Whether nothing is answered as it should be.
        inbox: What lies there.
        inbox_trouble: What is wrong with all of it.
        left_out: How many more there are than those.
        told: How often all was told.
    """

    recordings: dict[str, Recording] = field(default_factory=dict)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    spool_text: str = ""
    bytes_per_s: float | None = None
    is_down: bool = False
    inbox: tuple[InboxReport, ...] = ()
    inbox_trouble: TroubleReport | None = None
    left_out: LeftOutReport = field(default_factory=LeftOutReport)
    told: int = 0

    def put(self, name: str, state: State, **known: object) -> Recording:
        """One more, in a state."""
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        taken_ms = NOW_MS - (len(self.recordings) + 1) * HOUR_MS
        serial = None if state is State.UNASSIGNED else "SIM-0001"
        made = taken(sha256, 4_200_000, Source(Way.INBOX, name, taken_ms), serial_number=serial)
        span = Span(taken_ms - HOUR_MS, taken_ms, Clue.MODIFIED)
        recording = self.recordings[sha256] = replace(made, state=state, changed_ms=taken_ms, span=span, **known)
        return recording

    def of(self, name: str) -> Recording:
        """The one that was called so."""
        return next(it for it in self.recordings.values() if it.name == name)

    async def report(self, *, is_all: bool) -> object:
        if self.is_down:
            raise RequestError(ErrorCode.INTERNAL_ERROR, "It is down.")
        self.told += 1
        told = [it for it in self.recordings.values() if is_all or it.state not in {State.PURGED, State.DISCARDED}]
        return RecordingsReport(
            recordings=tuple(map(self._report, sorted(told, key=lambda it: -it.taken_ms))),
            counts=overview(self.recordings.values()).counts,
            left_out=self.left_out,
            inbox=self.inbox,
            inbox_folder="/srv/insiders-gateway/inbox",
            inbox_trouble=self.inbox_trouble,
            spool=SpoolReport(
                used_bytes=37_800_000,
                limit_bytes=8_192_000_000,
                free_bytes=21_000_000_000,
                text=self.spool_text,
                action="free some space" if self.spool_text else "",
            ),
            trackers=tuple(
                TrackerReport(serial_number=serial, name=athlete, number=place)
                for place, (serial, athlete) in enumerate(ATHLETES.items(), 10)
            ),
            max_file_bytes=5_000_000,
            utc_ms=NOW_MS,
        )

    def tag(self, *, is_all: bool) -> str:
        wrong = (self.spool_text, self.inbox_trouble, self.is_down)
        return f"{hash((is_all, tuple(self.recordings.values()), self.inbox, self.left_out, *wrong)):x}"

    def show(self, recording_id: str) -> object:
        return self._report(self.recordings[recording_id])

    async def add(
        self, blocks: AsyncIterator[bytes], size: int | None, query: Mapping[str, str], author: str | None
    ) -> object:
        wanted = signed(parse_query(query, AddRequest), author)
        digest, count = hashlib.sha256(), 0
        async for block in blocks:
            digest.update(block)
            count += len(block)
            if self.bytes_per_s is not None:
                await asyncio.sleep(len(block) / self.bytes_per_s)
        self.asked.append(("add", wanted.name, wanted.tracker, wanted.author, f"{size == count} {count}"))
        if "full" in wanted.name:
            raise RequestError(ErrorCode.NO_ROOM, "There is no room for 5.0 MB: free some space.")
        sha256, source = digest.hexdigest(), Source(Way.UPLOAD, wanted.name, NOW_MS)
        known = self.recordings.get(sha256)
        serial = wanted.tracker or None
        self.recordings[sha256] = (
            taken(sha256, count, source, serial_number=serial, basis=Basis.PERSON, author=wanted.author)
            if known is None
            else taken_again(known, source, serial_number=serial)
        )
        return self.show(sha256)

    async def act(self, action: str, recording_id: str, body: bytes, author: str | None) -> object:
        known = self.recordings[recording_id]
        if "busy" in known.name:
            raise RequestError(ErrorCode.NOT_NOW, "It is being sent: wait until that has ended.")
        if action == "assign":
            wish = signed(parse_body(body, AssignRequest), author)
            self.asked.append((action, known.id, wish.tracker, wish.author))
            self.recordings[recording_id] = assigned(known, wish.tracker, wish.author, NOW_MS)
        else:
            by = signed(parse_body(body, PersonRequest), author).author
            self.asked.append((action, known.id, by))
            self.recordings[recording_id] = (retried if action == "retry" else discarded)(known, by, NOW_MS)
        return self.show(recording_id)

    async def rebuild(self) -> object:
        raise NotImplementedError

    @property
    def is_lookup(self) -> bool:
        return False

    def progress(self, sha256: str) -> ProgressReport | None:
        if self.recordings[sha256].state is not State.SENDING:
            return None
        return ProgressReport(sent_bytes=1_300_000, bytes_per_s=61_000.0, left_s=47.5)

    def next_s(self, sha256: str) -> float | None:
        return 2_400.0 if self.recordings[sha256].state is State.AMBIGUOUS else None

    def job_state(self, _sha256: str) -> str | None:
        return None

    def hindrance(self, _sha256: str) -> Standing | None:
        return None

    def _report(self, recording: Recording) -> RecordingReport:
        return report_one(recording, self, ATHLETES.get(recording.serial_number or ""), NOW_MS, 7)


def full_shelf() -> Shelf:
    """One of every state, and files in the inbox."""
    shelf = Shelf()
    shelf.put("2026-11-17 evening.asi", State.UNASSIGNED)
    question = "this file is from Tuesday 17 November 2026; the tracker was used on Monday 16 November 2026"
    shelf.put("012345/tuesday.asi", State.QUESTIONED, question=question)
    shelf.put("sprint.asi", State.QUEUED, error_code="throttled", error="the cloud asks for patience")
    shelf.put("match.asi", State.SENDING)
    shelf.put("closing.asi", State.CLOSING)
    shelf.put("lost.asi", State.AMBIGUOUS, may_be_in_cloud=True, error="the connection was cut")
    shelf.put("works.asi", State.ACCEPTED, job_id="job-1")
    shelf.put("twice.asi", State.DONE, maybe_duplicate=True)
    shelf.put("purged.asi", State.PURGED)
    shelf.put("failed.asi", State.FAILED, error='the cloud says "no GNSS in it"', job_id="job-2")
    shelf.put(HOSTILE, State.QUARANTINED, error="it cannot read it, status 400")
    shelf.put("rotten.asi", State.CORRUPT)
    shelf.put("missing.asi", State.MISSING)
    shelf.put("discarded.asi", State.DISCARDED, author="Kim")
    shelf.inbox = (
        InboxReport(
            name="photo.jpg",
            size=2_100_000,
            code="not_asi",
            text='It does not begin with "ASI" as every recording does',
            action="remove it, or copy it anew if it is a recording",
            since_ms=NOW_MS,
        ),
        InboxReport(
            name="coming.asi", size=9_000, code="being_written", text="It is being written", action="", since_ms=NOW_MS
        ),
    )
    return shelf
