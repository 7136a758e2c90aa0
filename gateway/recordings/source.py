"""The running gateway that is asked for recordings, given new ones, and told what to do with them, over HTTP."""

import msgspec

from gateway.recordings.files import OutgoingFile
from gateway.terminal.answers import told
from gateway.terminal.questions import change_recordings, fetch_recordings, upload_recording
from gateway.terminal.talk import author
from gateway.uploads.report import RebuiltReport, RecordingReport, RecordingsReport
from gateway.uploads.requests import AssignRequest, PersonRequest

REBUILT_WITHIN_S = 4 * 3600.0
"""It reads every file: a full spool of an old card takes more than an hour."""


class Source:
    """A gateway.

    Everything raises `GatewayError` if nobody answers, and `RefusedError` if the gateway does not do it.
    """

    def __init__(self, url: str) -> None:
        """Make one from the address of a gateway."""
        self.url = url

    async def recordings(self, *, is_all: bool = False) -> RecordingsReport:
        """What is kept; all of it with what was deleted."""
        answer = fetch_recordings(self.url, "?all=true" if is_all else "")
        return await told(answer, RecordingsReport, self.url, "recordings")

    async def recording(self, sha256: str) -> RecordingReport:
        """One of them."""
        return await told(fetch_recordings(self.url, sha256), RecordingReport, self.url, "recordings")

    async def add(self, file: OutgoingFile, name: str, serial_number: str | None) -> RecordingReport:
        """Send a file; raises also `OSError` or `UnusableError` if it cannot be read.

        Args:
            file: Which.
            name: What is told of where it lies, for the tracker that it comes from may be said there.
            serial_number: Of that tracker, if a person has said so.
        """
        query = {"name": name, "author": author(), "modified_ms": str(file.modified_ms)}
        if serial_number is not None:
            query["tracker"] = serial_number
        return await told(upload_recording(self.url, file, file.size, query), RecordingReport, self.url, "recordings")

    async def assign(self, sha256: str, serial_number: str) -> RecordingReport:
        """Say which tracker it comes from."""
        return await self._do(f"{sha256}/assign", AssignRequest(tracker=serial_number, author=author()))

    async def retry(self, sha256: str) -> RecordingReport:
        """Let it be sent."""
        return await self._do(f"{sha256}/retry", PersonRequest(author=author()))

    async def discard(self, sha256: str) -> RecordingReport:
        """Delete its file."""
        return await self._do(f"{sha256}/discard", PersonRequest(author=author()))

    async def rebuild(self) -> RebuiltReport:
        """Tell the queue again from the spool."""
        answer = change_recordings(self.url, "rebuild", {}, REBUILT_WITHIN_S)
        return await told(answer, RebuiltReport, self.url, "recordings")

    async def _do(self, path: str, request: msgspec.Struct) -> RecordingReport:
        answer = change_recordings(self.url, path, msgspec.to_builtins(request))
        return await told(answer, RecordingReport, self.url, "recordings")
