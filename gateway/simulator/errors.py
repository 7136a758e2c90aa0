"""What the simulator refuses: a person's mistake (`SimulatorError`) or a client's request (`Refusal`)."""

from collections.abc import Mapping


class SimulatorError(Exception):
    """Something the person who starts the simulator has to change; the text says what."""


class FaultsError(SimulatorError, ValueError):
    """A fault file or a run-time change of the faults is not valid."""


class HostError(SimulatorError, ValueError):
    """The simulator was asked to listen where other machines could reach it."""


class Refusal(Exception):  # noqa: N818 - an answer, not a failure of the program
    """An answer other than success, raised by whatever part of the cloud decides it.

    Attributes:
        status: HTTP status, 400 or more.
        body: What the cloud answers, ready to be encoded as JSON.
        headers: Extra response headers.
    """

    def __init__(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def not_found() -> Refusal:
    """The vendor's 404, without a final period as in its reference."""
    return Refusal(404, {"detail": "Not found"})


def forbidden() -> Refusal:
    """The account may not do this to this device, or not at this time."""
    return Refusal(403, {"detail": "You do not have permission to perform this action."})


def invalid(field: str, problem: str) -> Refusal:
    """One field of the request is wrong."""
    return Refusal(400, {field: [problem]})
