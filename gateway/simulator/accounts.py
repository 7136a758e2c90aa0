"""Manager accounts and the OAuth2 tokens issued to them."""

import hmac
import random
from dataclasses import dataclass

from gateway.simulator.errors import Refusal
from gateway.simulator.faults import Faults

# Synthetic, and the same in every simulator, so that a configuration written once keeps working.
USERNAME = "coach@example.org"
PASSWORD = "simulated-password"  # noqa: S105
OTHER_USERNAME = "rival@example.org"
OTHER_PASSWORD = "other-simulated-password"  # noqa: S105
CLIENT_ID = "simulated-client"
CLIENT_SECRET = "simulated-client-secret"  # noqa: S105


@dataclass(slots=True)
class Manager:
    """A manager account."""

    manager_id: int
    username: str
    password: str
    first_name: str
    last_name: str
    external_id: str | None = None

    def as_json(self) -> dict[str, object]:
        """The manager object of the API."""
        return {
            "id": self.manager_id,
            "username": self.username,
            "email": self.username,
            "external_id": self.external_id,
            "role": "MANAGER",
            "manager_profile": {"id": self.manager_id, "first_name": self.first_name, "last_name": self.last_name},
        }


@dataclass(frozen=True, slots=True)
class Grant:
    """A pair of tokens just issued; `expires_ms` is the end of the access token."""

    manager: Manager
    access_token: str
    refresh_token: str
    expires_ms: int


class Accounts:
    """All managers and tokens; `rng` makes the tokens, so that they are the same for a seed."""

    def __init__(self, rng: random.Random) -> None:
        self.ours = Manager(21, USERNAME, PASSWORD, "Sim", "Coach", "sim-21")
        self.other = Manager(22, OTHER_USERNAME, OTHER_PASSWORD, "Sim", "Rival")
        self._managers = {manager.manager_id: manager for manager in (self.ours, self.other)}
        self._rng = rng
        self._access: dict[str, Grant] = {}
        self._refresh: dict[str, Grant] = {}

    def manager(self, manager_id: int) -> Manager | None:
        """The account with this number."""
        return self._managers.get(manager_id)

    def by_username(self, username: str) -> Manager | None:
        """The account with this name."""
        return next((m for m in self._managers.values() if m.username == username), None)

    def by_external_id(self, external_id: str) -> Manager | None:
        """The account with this number of another system."""
        return next((m for m in self._managers.values() if m.external_id == external_id), None)

    def register(self, username: str, first_name: str, last_name: str, external_id: str | None) -> Manager:
        """A new account; its password is what the vendor would send by e-mail."""
        manager_id = max(self._managers) + 1
        manager = Manager(manager_id, username, self._secret("password"), first_name, last_name, external_id)
        self._managers[manager_id] = manager
        return manager

    def password_grant(self, username: str, password: str, now_ms: int, faults: Faults) -> Grant | None:
        """Tokens for an account, or None if name and password do not belong together."""
        manager = self.by_username(username)
        if manager is None or not hmac.compare_digest(manager.password.encode(), password.encode()):
            return None
        return self._issue(manager, self._secret("refresh"), now_ms, faults)

    def refresh_grant(self, refresh_token: str, now_ms: int, faults: Faults) -> Grant | None:
        """New tokens for a refresh token, or None if that is not known; the old access token ends."""
        old = self._refresh.get(refresh_token)
        if old is None:
            return None
        self._access.pop(old.access_token, None)
        if faults.refresh_rotation:
            del self._refresh[refresh_token]
            refresh_token = self._secret("refresh")
        return self._issue(old.manager, refresh_token, now_ms, faults)

    def authorise(self, access_token: str | None, now_ms: int, faults: Faults) -> Grant:
        """The grant of an access token.

        Raises:
            Refusal: 401 or 403 by knob if there is none, or it has expired or been revoked.
        """
        grant = self._access.get(access_token) if access_token else None
        if grant is None or grant.expires_ms <= now_ms:
            detail = "Invalid token." if access_token else "Authentication credentials were not provided."
            headers = {"WWW-Authenticate": 'Bearer realm="api"'} if faults.bad_token_status == 401 else {}
            raise Refusal(faults.bad_token_status, {"detail": detail}, headers)
        return grant

    def revoke(self, *, refresh_tokens: bool) -> None:
        """End every access token now, and every refresh token too if asked."""
        self._access.clear()
        if refresh_tokens:
            self._refresh.clear()

    def _issue(self, manager: Manager, refresh_token: str, now_ms: int, faults: Faults) -> Grant:
        expires_ms = now_ms + int(faults.token_lifetime_s * 1000)
        grant = Grant(manager, self._secret("access"), refresh_token, expires_ms)
        self._access[grant.access_token] = self._refresh[refresh_token] = grant
        return grant

    def _secret(self, kind: str) -> str:
        return f"simulated-{kind}-{self._rng.getrandbits(96):024x}"
