"""Recordings: uploading .asi files, looking them up, and what the cloud makes of them."""

from gateway.cloud.errors import BadAnswer, Fault
from gateway.cloud.models import Job, JobState, KnownAsi, Page, decoder, page_decoder
from gateway.cloud.pacing import Priority
from gateway.cloud.paging import LIST_LIMIT, pages
from gateway.cloud.transport import Transport
from gateway.cloud.uploading import Stream

_job = decoder(Job)
_known_asi_page = page_decoder(KnownAsi)

MAX_JOB_ID = 200
"""Characters: what is longer is no name of anything."""


class RecordingOperations:
    """The operations on recordings; every one raises `CloudError`, and gives way to all that is live."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def load_asi(self, device_id: int, body: Stream) -> Job:
        """Upload one .asi file of a device we own now; one attempt.

        An upload lasts as long as somebody takes it: it is given up when no block was taken for 60 s, or no answer
        came for 180 s after the last one. An answer that comes before is the answer, and nothing more is sent.

        Args:
            device_id: The device.
            body: The whole JSON document, as `insiders_codecs.asi.AsiBody` makes it. It is begun a second time when
                the access token was refused, even if all of it had been sent: what was refused was not taken.

        Raises:
            CloudError: The leaf that names the cause. That a job has no name that it could be asked for by is one.
            Exception: What ``body.blocks`` raised, as itself; the cloud has not got the document's end then, unless
                that had left before.
        """
        job = await self._transport.send(
            "load_asi", _job, priority=Priority.UPLOAD, ids={"device": device_id}, body=body, attempts=1
        )
        return _named("load_asi", job)

    async def find_asi(self, device_id: int, sha256: str) -> Job | None:
        """The cloud's work on a recording that it has; None if it surely does not have it.

        The vendor documents no such operation. Where it has the recording twice, the work that went best counts.

        Args:
            device_id: The device it was uploaded for.
            sha256: Of the bytes of the .asi file, hexadecimal.

        Raises:
            CloudError: The leaf that names the cause. That an answer could not be read whole is one: what could not
                be read might have been the recording.
        """

        async def fetch(number: int) -> Page[KnownAsi]:
            return await self._transport.send(
                "find_asi",
                _known_asi_page,
                priority=Priority.UPLOAD,
                ids={"device": device_id},
                query={"sha256": sha256, "page": number, "limit": LIST_LIMIT},
            )

        found: list[KnownAsi] = []
        async for page in pages("find_asi", fetch):
            if page.rejected:
                raise BadAnswer("find_asi", Fault.WRONG_SHAPE)
            # The filter may not be known there, and everything be listed.
            found += (known for known in page.items if known.sha256.lower() == sha256.lower())
        best_first = (JobState.DONE, JobState.RUNNING, JobState.FAILED)
        best = min(found, key=lambda known: best_first.index(known.meaning), default=None)
        return None if best is None else _named("find_asi", best)

    async def job(self, job_id: str) -> Job:
        """How far an upload's job has come.

        Raises:
            CloudError: The leaf that names the cause. That the answer is about another job is one.
        """
        job = await self._transport.send("job", _job, priority=Priority.UPLOAD, ids={"job": job_id})
        if job.job_id != job_id:
            raise BadAnswer("job", Fault.WRONG_SHAPE, "it is about another job")
        return job


def _named(operation: str, job: Job) -> Job:
    if not 0 < len(job.job_id) <= MAX_JOB_ID or not job.job_id.isprintable() or job.job_id.isspace():
        raise BadAnswer(operation, Fault.WRONG_SHAPE, "its job_id cannot be one")
    return job
