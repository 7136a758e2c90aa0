"""Whether a client is let in, as whom, and for how long; told the time, touches no socket."""

from gateway.access.audit import ADMISSION, DENIED, DONE, LOOKED
from gateway.access.caller import Caller
from gateway.access.errors import NotAdmittedError
from gateway.access.roles import Action
from gateway.live.requests import Auth, ErrorCode, RequestError, forbidden
from gateway.live.stream.shared import Shared
from gateway.live.visibility import Sight
from gateway.secret import Secret
from insiders_codecs.live import Message

EXPIRY_WARNING_MS = 60_000


class Standing:
    """What is known of who speaks.

    Attributes:
        caller: Who it is; None as long as nobody knows.
    """

    def __init__(self, shared: Shared, address: str, now_s: float) -> None:
        """Begin as nobody.

        Args:
            shared: With who knows the tokens.
            address: Where they are.
            now_s: Now.
        """
        self.caller: Caller | None = None
        self._shared = shared
        self._address = address
        self._auth_due_s = now_s + shared.limits.auth_s
        self._is_warned = False
        self._sight: Sight | None = None

    @property
    def sight(self) -> Sight:
        """What they see, once they are somebody."""
        assert self._sight is not None  # noqa: S101 - for the type checker: nobody asks before
        return self._sight

    def let_in(self, caller: Caller) -> None:
        """They are somebody."""
        self.caller, self._sight, self._is_warned = caller, Sight.of(caller), False
        self._note(caller, LOOKED, DONE)

    def shown(self, request: Auth, now_s: float) -> Caller:
        """Whose token that is.

        Raises:
            NotAdmittedError: If it lets in nobody, and they are nobody yet.
            RequestError: If it changes nothing.
        """
        doorkeeper = self._shared.doorkeeper
        if doorkeeper is None:
            raise RequestError(
                ErrorCode.UNAUTHORIZED,
                "This gateway gives out no tokens: connect without one, from the machine on which it runs.",
            )
        try:
            caller = doorkeeper.admit(Secret(request.token), self._address, now_s)
        except NotAdmittedError as error:
            self._note(None, ADMISSION, DENIED)
            if self.caller is None:
                raise
            raise RequestError(ErrorCode(error.code), str(error)) from None
        if self.caller is not None and Sight.of(caller) != self._sight:
            raise RequestError(ErrorCode.FORBIDDEN, "This token shows another part of the team: connect anew with it.")
        return caller

    def check_may(self, action: Action) -> None:
        """Raise `RequestError` unless they may do something."""
        if self.caller is None:
            raise RequestError(ErrorCode.UNAUTHORIZED, "Show a token first, in an `auth` message.")
        if not self.caller.may(action):
            raise forbidden(self.caller, action)

    def ended(self, now_s: float) -> str | None:
        """Why they may not be here any longer, as a sentence; None if they may."""
        if self.caller is None:
            if now_s < self._auth_due_s:
                return None
            return f"Show a token within {self._shared.limits.auth_s} s, in an `auth` message."
        if self._shared.doorkeeper is None or self._shared.doorkeeper.holds(self.caller):
            return None
        return "This device is not let in any more: ask for a new code."

    def warning(self) -> Message | None:
        """What is to be said because their token ends soon; once."""
        expires_ms = None if self.caller is None else self.caller.expires_ms
        if expires_ms is None or self._is_warned or expires_ms - self._shared.hub.utc_ms() > EXPIRY_WARNING_MS:
            return None
        self._is_warned = True
        return {"op": "auth_expiring", "expires_ms": expires_ms}

    def _note(self, caller: Caller | None, deed: str, outcome: str) -> None:
        if self._shared.audit is not None:
            self._shared.audit.note(caller, deed, "", outcome, self._address)


def about(caller: Caller) -> Message:
    """What somebody is told of themselves."""
    scope = caller.scope
    return {
        "person": caller.person,
        "device": caller.device,
        "role": str(caller.role),
        "squads": None if scope.squads is None else sorted(scope.squads),
        "gnss_only": scope.is_gnss_only,
        "expires_ms": caller.expires_ms,
    }
