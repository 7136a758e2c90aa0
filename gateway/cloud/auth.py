"""The access token: OAuth2 password grant and refresh, one renewal at a time for however many who wait.

A token is renewed when it is asked for after 80 % of its life. Nothing renews it in the background: an idle gateway
has no use for a token, and a busy one asks every second, so whoever gets one always gets a fresh one.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

import msgspec
from yarl import URL

from gateway.cloud.answers import decode
from gateway.cloud.errors import CloudError, LoginRefused
from gateway.cloud.exchange import Exchange
from gateway.cloud.pacing import Priority
from gateway.cloud.request import Request
from gateway.secret import Secret

RENEW_AT = 0.8
"""Part of a token's life after which it is renewed; what is left of ten hours outlasts any pause a 429 may ask for."""

RENEW_AGAIN_S = 60.0
"""Pause after a renewal that failed while the old token still lives."""

MAX_REFUSALS = 3
PAUSE_AFTER_REFUSALS_S = 3600.0
"""After three refusals in a row one login an hour: too few for a cloud to lock the account."""

_FUTILE_BASE_S, _FUTILE_CAP_S = 5.0, 300.0
_ASSUMED_LIFE_S = 3600.0
_SHORTEST_LIFE_S, _LONGEST_LIFE_S = 1.0, 30 * 86_400.0
_OPERATION = "token"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are at the cloud."""

    username: str
    password: Secret
    client_id: str
    client_secret: Secret


@dataclass(frozen=True, slots=True, eq=False)
class AccessToken:
    """A token and the end of its life on the monotonic clock, seconds."""

    value: Secret
    expires_at: float

    @property
    def header(self) -> Mapping[str, str]:
        """The header that proves who is asking."""
        return {"Authorization": f"Bearer {self.value.reveal()}"}


class Authoriser:
    """Hands out access tokens.

    Args:
        exchange: Where token requests are sent.
        url: The token endpoint.
        path: Its path below the base URL.
        login: Our credentials.
        now: Monotonic clock, seconds; left out, that of the event loop.
    """

    def __init__(
        self, exchange: Exchange, url: URL, path: str, login: Login, now: Callable[[], float] | None = None
    ) -> None:
        self._exchange = exchange
        self._url = url
        self._path = path
        self._login = login
        self._now = now or asyncio.get_running_loop().time
        # The lock is held during a renewal. It is no task of its own: whoever waits longest does the work, and if he
        # is cancelled half-way, the next one does it again; a refresh token lost thereby costs one password grant.
        self._lock = asyncio.Lock()
        self._failures = 0
        self._failure: CloudError | None = None
        self._token: AccessToken | None = None
        self._renew_at = 0.0
        self._refresh_token: Secret | None = None
        self._refusals = 0
        self._refusal: LoginRefused | None = None
        self._login_allowed_at = 0.0
        self._has_worked = False
        self._futile = 0
        self._replace_allowed_at = 0.0

    async def token(self) -> AccessToken:
        """A token in the first 80 % of its life, or an older one while the cloud fails to give another.

        Raises:
            LoginRefused: Our credentials are wrong; without asking once they were refused three times.
            CloudError: The token endpoint could not be asked.
        """
        if token := self._fresh():
            return token
        failures = self._failures
        async with self._lock:
            if token := self._fresh():
                return token
            if self._failure is not None and self._failures != failures:
                # It failed while we waited: that answer is ours too, or sixty who wait would ask sixty times.
                raise self._failure.with_traceback(None)
            try:
                return await self._renewed()
            except CloudError as error:
                self._failures += 1
                self._failure = error
                if self._token is None or self._now() >= self._token.expires_at:
                    raise
                _log.warning(
                    "The access token lives on, because it could not be renewed. %(text)s", {"text": error.text}
                )
                self._renew_at = min(self._now() + RENEW_AGAIN_S, self._token.expires_at)
                return self._token

    async def another(self, refused: AccessToken) -> AccessToken | None:
        """A token instead of one that the API refused; None if a new one would not be accepted either.

        A token that never worked is replaced once; from then on only after growing pauses, so that an API that
        accepts no token at all does not cause a storm of logins.

        Raises:
            CloudError: As `token`.
        """
        if self._token is refused:
            if not self._has_worked:
                if self._now() < self._replace_allowed_at:
                    return None
                pause_s = min(_FUTILE_CAP_S, _FUTILE_BASE_S * 2.0 ** min(self._futile, 16))
                self._replace_allowed_at = self._now() + pause_s
                self._futile += 1
            self._token = None
        return await self.token()

    def accepted(self, token: AccessToken) -> None:
        """The API took this token."""
        if token is self._token:
            self._has_worked = True
            self._futile = 0
            self._replace_allowed_at = 0.0

    def has_worked(self, token: AccessToken) -> bool:
        """Whether the API took this token, and has not been given another since."""
        return token is self._token and self._has_worked

    def is_superseded(self, token: AccessToken) -> bool:
        """Whether there is another token by now; nobody is asked."""
        return self._token is not None and self._token is not token

    def _fresh(self) -> AccessToken | None:
        return self._token if self._token is not None and self._now() < self._renew_at else None

    async def _renewed(self) -> AccessToken:
        if self._refresh_token is not None:
            form = {"grant_type": "refresh_token", "refresh_token": self._refresh_token.reveal()}
            try:
                return await self._ask(form)
            except LoginRefused:
                self._refresh_token = None  # expired, used up or revoked: the password still stands
        if self._refusals >= MAX_REFUSALS and self._now() < self._login_allowed_at and self._refusal is not None:
            raise self._refusal.with_traceback(None)
        form = {
            "grant_type": "password",
            "username": self._login.username,
            "password": self._login.password.reveal(),
        }
        try:
            token = await self._ask(form)
        except LoginRefused as refusal:
            self._refusal = refusal
            self._refusals += 1
            self._login_allowed_at = self._now() + PAUSE_AFTER_REFUSALS_S
            raise
        self._refusals = 0
        return token

    async def _ask(self, form: Mapping[str, str]) -> AccessToken:
        client = {"client_id": self._login.client_id, "client_secret": self._login.client_secret.reveal()}
        secrets = [self._login.password, self._login.client_secret]
        if self._refresh_token is not None:
            secrets.append(self._refresh_token)
        request = Request(
            _OPERATION,
            "POST",
            self._url,
            self._path,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode({**form, **client}).encode(),
            priority=Priority.CONTROL,
            is_live=True,  # everything live waits for it
            secrets=secrets,
        )
        asked_at = self._now()
        answer = decode(await self._exchange.send(request), _TOKEN_ANSWER.decode, _OPERATION)
        life_s = _ASSUMED_LIFE_S if answer.expires_in is None else answer.expires_in
        life_s = min(max(life_s, _SHORTEST_LIFE_S), _LONGEST_LIFE_S)
        # The new refresh token is kept before anything else: the old one may be dead already.
        if answer.refresh_token:
            self._refresh_token = Secret(answer.refresh_token)
        self._token = AccessToken(Secret(answer.access_token), asked_at + life_s)
        self._renew_at = asked_at + RENEW_AT * life_s
        self._has_worked = False
        return self._token


# Visible ASCII only: it is sent in a header. Source: RFC 6750, section 2.1.
_TokenText = Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]+\Z", max_length=8192)]


class _TokenAnswer(msgspec.Struct):
    access_token: _TokenText
    expires_in: float | None = None
    refresh_token: str | None = None


_TOKEN_ANSWER = msgspec.json.Decoder(_TokenAnswer, strict=False)
