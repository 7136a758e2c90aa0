"""The recordings: what their part needs of the trackers, and what the live server needs of it."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager

from gateway.fleet.claim import Claim, owned
from gateway.fleet.ownership import Claims
from gateway.live.requests import ErrorCode, RequestError, parse_body, parse_query
from gateway.live.routes.authors import signed
from gateway.uploads.desk import Desk
from gateway.uploads.report import RebuiltReport, RecordingReport, RecordingsReport
from gateway.uploads.requests import AddRequest, AssignRequest, PersonRequest, RecordingRefused


class OurTrackers:
    """The trackers, as the uploader sees them: `gateway.uploads.sending.uploader.Trackers`."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._seen: tuple[Claim, ...] = ()
        self._owned: dict[str, int] = {}

    def device_id(self, serial_number: str) -> int | None:
        """What the cloud calls one; None as long as it is not ours."""
        # Asked for every recording, every second.
        if (current := self._claims.current) is not self._seen:
            self._seen, self._owned = current, owned(current)
        return self._owned.get(serial_number)

    def recheck(self) -> None:
        """Look soon which are: the cloud has refused one."""
        self._claims.recheck()


class ServedRecordings:
    """The recordings, as the live server sees them: `gateway.live.source.RecordingsView`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def report(self, *, is_all: bool) -> RecordingsReport:
        """All that somebody has to know of; with `is_all` also what is over."""
        return await self._desk.report(is_all=is_all)

    def tag(self, *, is_all: bool) -> str:
        """What is another whenever `report` has something else to say."""
        return self._desk.tag(is_all=is_all)

    def show(self, recording_id: str) -> RecordingReport:
        """How one of them stands; raises `RequestError`, as all that follow."""
        with _refusing():
            return self._desk.show(recording_id)

    async def add(
        self, blocks: AsyncIterator[bytes], size: int | None, query: Mapping[str, str], author: str | None
    ) -> RecordingReport:
        """Take a file over."""
        with _refusing():
            return await self._desk.add(blocks, size, signed(parse_query(query, AddRequest), author))

    async def act(self, action: str, recording_id: str, body: bytes, author: str | None) -> RecordingReport:
        """Assign, retry or discard one of them."""
        with _refusing():
            match action:
                case "assign":
                    return await self._desk.assign(recording_id, signed(parse_body(body, AssignRequest), author))
                case "retry":
                    return await self._desk.retry(recording_id, signed(parse_body(body, PersonRequest), author))
                case _:
                    return await self._desk.discard(recording_id, signed(parse_body(body, PersonRequest), author))

    async def rebuild(self) -> RebuiltReport:
        """Read all files of the spool, and tell the queue again from them."""
        with _refusing():
            return await self._desk.rebuild()


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except RecordingRefused as refused:
        raise RequestError(ErrorCode(refused.code), str(refused), refused.facts) from None
