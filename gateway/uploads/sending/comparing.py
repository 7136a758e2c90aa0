"""Asks the cloud what it knows of a tracker at the time of a recording."""

from collections.abc import AsyncIterator
from datetime import tzinfo
from typing import Protocol

from gateway.cloud.errors import BadAnswer, Forbidden, NotFound, Rejected
from gateway.cloud.models import OPEN_END_MS, Ownership, Range
from gateway.uploads.recording import Span
from gateway.uploads.sending.attaching import Stretch, asked_for, ownership_question, use_question


class Knowing(Protocol):
    """What is asked; both raise `CloudError`."""

    def ownerships(self, *, device_id: int | None = None) -> AsyncIterator[Ownership]:
        """When a tracker was ours."""

    def ranges(self, device_id: int, start_ms: int, stop_ms: int) -> AsyncIterator[Range]:
        """When it was used."""


async def question_about(cloud: Knowing, span: Span, device_id: int, zone: tzinfo) -> str | None:
    """What to ask a person about a recording before it is sent, a clause; None if nothing speaks against its tracker.

    Args:
        cloud: Is asked.
        span: When the recording was probably made.
        device_id: Of its tracker.
        zone: In which people read days.

    Raises:
        CloudError: If it may be known a little later.
    """
    try:
        owned = [
            Stretch(ownership.start_ms, OPEN_END_MS if ownership.end_ms is None else ownership.end_ms)
            async for ownership in cloud.ownerships(device_id=device_id)
            if ownership.device in {None, device_id}
        ]
        if (question := ownership_question(span, owned, zone)) is not None:
            return question
        used = [
            Stretch(found.start_ms, found.stop_ms)
            for asked in asked_for(span, owned)
            async for found in cloud.ranges(device_id, asked.start_ms, asked.stop_ms)
        ]
    except (Forbidden, NotFound, Rejected, BadAnswer):
        return None  # what the cloud does not say speaks for nothing
    return use_question(span, used, zone)
