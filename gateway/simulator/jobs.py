"""Uploaded .asi files and the jobs that process them."""

import hashlib
import random
import uuid
from dataclasses import dataclass

from gateway.simulator.faults import Faults


@dataclass(frozen=True, slots=True)
class Job:
    """The processing of one file; its state is a function of the time.

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

    def state(self, now_ms: int) -> str:
        """PENDING, STARTED, and SUCCESS or FAILURE."""
        if now_ms >= self.done_ms:
            return "FAILURE" if self.fails else "SUCCESS"
        return "PENDING" if now_ms - self.created_ms < (self.done_ms - self.created_ms) / 2 else "STARTED"

    def as_json(self, now_ms: int) -> dict[str, object]:
        """The job object of the API."""
        state = self.state(now_ms)
        details = {"error": "The file could not be processed."} if state == "FAILURE" else {}
        return {"id": self.number, "job_id": self.job_id, "state": state, "details": details}


class Jobs:
    """All jobs, in order of upload; an equal file is a new job."""

    def __init__(self, rng: random.Random) -> None:
        self.all: list[Job] = []
        self._rng = rng

    def add(self, manager_id: int, device_id: int, content: bytes, now_ms: int, faults: Faults) -> Job:
        """Accept a file."""
        job = Job(
            number=len(self.all) + 1,
            job_id=f"job-{uuid.UUID(int=self._rng.getrandbits(128), version=4)}",
            manager_id=manager_id,
            device_id=device_id,
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
            created_ms=now_ms,
            done_ms=now_ms + int(faults.job_delay_s * 1000),
            fails=self._rng.random() < faults.job_failure_fraction,
        )
        self.all.append(job)
        return job

    def find(self, job_id: str) -> Job | None:
        """The job with this identifier."""
        return next((job for job in self.all if job.job_id == job_id), None)
