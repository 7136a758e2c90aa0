"""What keeps the cloud from telling about a recording that it has or may have, in words that fit recordings. Pure."""

from gateway.cloud.errors import CloudError, NotFound, Rejected
from gateway.uploads.recording import Recording
from gateway.uploads.sending.outcome import reason_of
from gateway.uploads.standing import Standing, is_overdue

_NO_METHOD = 405


def obstacle(error: CloudError, recording: Recording, now_ms: int) -> Standing:
    """Why nothing could be found out about a recording, and what to do about that, as clauses.

    Args:
        error: What came instead of an answer.
        recording: About which the cloud was asked.
        now_ms: The wall clock, epoch ms.
    """
    if (wrong := wrong_setting(error)) is not None:
        return wrong
    if isinstance(error, NotFound) and error.operation == "job":
        # Of one that is overdue its own sentence says what to do.
        later = f"wait; after a day, ask the vendor about job {recording.job_id}; retry sends it once more"
        text = f"it knows no job {recording.job_id}"
        return Standing(text, "" if is_overdue(recording, now_ms) else later)
    return Standing(reason_of(error), error.action)


def wrong_setting(error: CloudError) -> Standing | None:
    """That there is nothing in the cloud where it is asked, which lasts until somebody changes a setting.

    Returns:
        Clauses; None if the error says something else.
    """
    is_not_there = isinstance(error, NotFound) and error.is_path_unknown
    if not is_not_there and not (isinstance(error, Rejected) and error.status == _NO_METHOD):
        return None
    match error.operation:
        case "find_asi":
            text = "the cloud has nothing where it is asked which recordings it has"
            return Standing(text, "set lookup = false in [recordings], or correct find_asi in [cloud.paths]")
        case "job":
            text = "the cloud has nothing where it is asked how far its work on recordings is"
            return Standing(text, "correct job in [cloud.paths]")
        case _:
            return None
