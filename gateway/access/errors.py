"""Why somebody is not let in, or may not change who is, or who is shown."""

from enum import StrEnum


class AccessCode(StrEnum):
    """Stable identifiers for programs; the protocol has the same."""

    UNAUTHORIZED = "unauthorized"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    UNKNOWN_CODE = "unknown_code"
    UNKNOWN_GRANT = "unknown_grant"
    UNKNOWN_ATHLETE = "unknown_athlete"
    RELEASES_OFF = "releases_off"
    FORBIDDEN = "forbidden"
    BAD_REQUEST = "bad_request"
    STORE_FAILED = "store_failed"


class AccessError(ValueError):
    """What was asked for is not done; the text is a sentence that says why and what to do.

    Attributes:
        code: Why.
    """

    def __init__(self, code: AccessCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class Reason(StrEnum):
    """Why a token or a code lets nobody in."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    UNKNOWN_CODE = "unknown_code"
    NOT_READ = "not_read"  # the disk does not tell who may come in


class NotAdmittedError(AccessError):
    """Whoever asks is not let in.

    Attributes:
        reason: Why.
        wait_s: How long no further try is taken from where they ask, in seconds; 0.0 if they may try again at once.
    """

    def __init__(self, reason: Reason, wait_s: float = 0.0) -> None:
        super().__init__(_CODES[reason], _TEXTS[reason])
        self.reason = reason
        self.wait_s = wait_s


_NEW_CODE = "ask for a new code and open it"
_TEXTS = {
    Reason.UNKNOWN: f"This device was thrown out, or was never let in: {_NEW_CODE}.",
    Reason.EXPIRED: f"The time for which this device was let in is over: {_NEW_CODE}.",
    Reason.TOO_MANY_ATTEMPTS: "Too many wrong attempts came from this address: wait, then try once more.",
    Reason.UNKNOWN_CODE: "This code is wrong, was used already or is older than five minutes: ask for a new one.",
    Reason.NOT_READ: "The gateway cannot read from its disk who may come in: try again in a minute.",
}
_CODES = {
    Reason.UNKNOWN: AccessCode.UNAUTHORIZED,
    Reason.EXPIRED: AccessCode.UNAUTHORIZED,
    Reason.TOO_MANY_ATTEMPTS: AccessCode.TOO_MANY_ATTEMPTS,
    Reason.UNKNOWN_CODE: AccessCode.UNKNOWN_CODE,
    Reason.NOT_READ: AccessCode.STORE_FAILED,
}
