"""Uploaded .asi files and the jobs that process them."""

import random
import uuid
from collections import Counter
from dataclasses import dataclass

from gateway.simulator.asi_body import AsiFile
from gateway.simulator.errors import Refusal
from gateway.simulator.faults import Faults
from gateway.simulator.upload_faults import Details

_SENTENCE = "The file could not be processed."


@dataclass(frozen=True, slots=True)
class Job:
    """The processing of one file; its state is a function of the time and the knobs.

    Attributes:
        number, job_id: The two identifiers of the API.
        manager_id, device_id: Who uploaded it for which tracker.
        sha256: Of the file's bytes, in hexadecimal.
        size: Of the file, bytes.
        created_ms, done_ms: From upload to the end of the processing.
        fails: Whether it ends badly.
    """

    number: int
    job_id: str
    manager_id: int
    device_id: int
    sha256: str
    size: int
    created_ms: int
    done_ms: int
    fails: bool

    def state(self, now_ms: int, faults: Faults) -> str:
        """PENDING, STARTED, and SUCCESS or a bad end; or the word that is served in place of all of them."""
        if faults.job_unknown_state:
            return faults.job_unknown_state
        if now_ms >= self.done_ms and not faults.job_never_ends:
            return faults.job_failure_state if self.fails else "SUCCESS"
        return "PENDING" if now_ms - self.created_ms < (self.done_ms - self.created_ms) / 2 else "STARTED"

    def as_json(self, now_ms: int, faults: Faults) -> dict[str, object]:
        """The job object of the API."""
        state = self.state(now_ms, faults)
        job: dict[str, object] = {"id": self.number, "job_id": self.job_id, "state": state, "details": {}}
        if state == faults.job_failure_state:
            job["details"] = _failure(faults.job_failure_details)
            if faults.job_failure_details == "absent":
                del job["details"]
        return job


class Jobs:
    """All jobs, in order of upload.

    Attributes:
        all: Every one.
        fates: How often uploads ended in which way: "accepted", "known", "conflict", "swallowed", "cut", "refused".
    """

    def __init__(self, rng: random.Random) -> None:
        self.all: list[Job] = []
        self.fates: Counter[str] = Counter()
        self._rng = rng
        self._by_id: dict[str, Job] = {}
        self._accepted: Counter[str] = Counter()

    def accept(self, manager_id: int, device_id: int, file: AsiFile, now_ms: int, faults: Faults) -> Job:
        """Take a file in, once more if need be.

        Raises:
            Refusal: 409 if that tracker's files have it already and the knobs want that.
        """
        known = next((job for job in self.all if (job.device_id, job.sha256) == (device_id, file.sha256)), None)
        if known is not None and faults.upload_duplicate == "conflict":
            self.fates["conflict"] += 1
            raise Refusal(409, {"detail": "This file has been uploaded before."})
        if known is not None and faults.upload_duplicate == "same_job":
            self.fates["known"] += 1
            return known
        job = Job(
            number=len(self.all) + 1,
            job_id=f"job-{uuid.UUID(int=self._rng.getrandbits(128), version=4)}",
            manager_id=manager_id,
            device_id=device_id,
            sha256=file.sha256,
            size=file.size,
            created_ms=now_ms,
            done_ms=now_ms + int(faults.job_delay_s * 1000),
            fails=self._rng.random() < faults.job_failure_fraction,
        )
        self.all.append(job)
        self.fates["accepted"] += 1
        self._by_id[job.job_id] = job
        self._accepted[file.sha256] += 1
        return job

    def accepted(self, sha256: str) -> int:
        """How often the cloud has a file, over all trackers."""
        return self._accepted[sha256]

    def find(self, job_id: str) -> Job | None:
        """The job with this identifier."""
        return self._by_id.get(job_id)


def _failure(form: Details) -> object:
    match form:
        case "text":
            return _SENTENCE
        case "list":
            return [{"stage": "decode", "error": _SENTENCE}, {"stage": "decode", "offset": 4096}]
        case "nested":
            details: object = {"error": _SENTENCE}
            for _ in range(60):
                details = {"cause": details}
            return details
        case "huge":
            return {"error": _SENTENCE, "traceback": "at offset 4096; " * 65_536}
        case "null":
            return None
        case "controls":
            return {"error": f"\x1b[2J\x1b]0;title\x07{_SENTENCE}\r\n\x00\u202e<script>alert(1)</script>"}
        case _:
            return {"error": _SENTENCE}
