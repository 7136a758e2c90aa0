"""One operation of the API: authorised, decoded, replayed once with a new token, readings repeated."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar
from urllib.parse import quote

from yarl import URL

from gateway.cloud.answers import decode
from gateway.cloud.auth import AccessToken, Authoriser
from gateway.cloud.endpoints import EndpointTable
from gateway.cloud.errors import BadAnswer, CloudError, Throttled
from gateway.cloud.exchange import Exchange
from gateway.cloud.pacing import Priority
from gateway.cloud.replay import Replay
from gateway.cloud.request import Query, Request
from gateway.cloud.retry import RetryBudget, backoff_s
from gateway.cloud.uploading import Stream
from gateway.secret import Secret

T = TypeVar("T")

ATTEMPTS = 4
"""With full jitter three pauses last 1.75 s on average: a hiccup is bridged, an outage is reported."""

LONGEST_WAIT_S = 30.0
"""A longer pause after a 429 is reported instead of waited for: somebody may sit at a terminal."""


class Transport:
    """Performs operations of the table of endpoints.

    Args:
        exchange: Where requests are sent.
        authoriser: Where tokens come from.
        api_url: Base URL of the API, with its final slash.
        endpoints: The table.
    """

    def __init__(self, exchange: Exchange, authoriser: Authoriser, api_url: str, endpoints: EndpointTable) -> None:
        self._exchange = exchange
        self._authoriser = authoriser
        self._api_url = api_url
        self._endpoints = endpoints
        self._budget = RetryBudget()
        self._replay = Replay(authoriser)

    async def send(
        self,
        operation: str,
        decoder: Callable[[bytes], T],
        *,
        priority: Priority,
        ids: Mapping[str, int | str] | None = None,
        query: Query | None = None,
        body: bytes | Stream | None = None,
        overdue_s: float = 0.0,
        attempts: int = ATTEMPTS,
        secrets: Sequence[Secret] = (),
    ) -> T:
        """Perform one operation.

        Args:
            operation: Its name in the table.
            decoder: Body to value.
            priority: What it is for.
            ids: Path parameters.
            query: Query parameters.
            body: JSON; a `Stream` begins anew with each request.
            overdue_s: How long past its turn it is, seconds.
            attempts: How often it is tried. After the first time only a GET is tried again for any passing cause: a
                write whose answer was lost may have been done. One that met a 429 was not done.
            secrets: What of the body no error may show.

        Raises:
            CloudError: The leaf that names the cause.
        """
        endpoint = self._endpoints[operation]
        # The dot is quoted too: an id of two dots would leave the path.
        quoted = {name: quote(str(value), safe="").replace(".", "%2E") for name, value in (ids or {}).items()}
        path = endpoint.path.format_map(quoted)
        request = Request(
            operation,
            endpoint.method,
            URL(self._api_url + path, encoded=True),
            path,
            query=query or {},
            headers={} if body is None else {"Content-Type": "application/json"},
            body=body,
            priority=priority,
            overdue_s=overdue_s,
            is_live=priority is Priority.LIVE,
            secrets=secrets,
        )
        self._budget.earn()
        for failures in range(1, attempts):
            try:
                return await self._perform(request, decoder, ids or {})
            except CloudError as error:
                is_harmless = endpoint.method == "GET" or isinstance(error, Throttled)
                if not (error.is_transient and is_harmless) or not self._budget.spend():
                    raise
                if isinstance(error, Throttled):
                    if error.retry_after_s > LONGEST_WAIT_S:
                        raise
                    continue  # the pacer waits for all of us
            await asyncio.sleep(backoff_s(failures, random.random()))
        return await self._perform(request, decoder, ids or {})

    async def _perform(self, request: Request, decoder: Callable[[bytes], T], ids: Mapping[str, int | str]) -> T:
        # What a write without an id is about stands in its body: that one claim worked says nothing about the next.
        is_about_one = request.method == "GET" or "device" in ids
        return await self._replay.perform(
            (request.operation, ids.get("device")) if is_about_one else None,
            lambda token: self._once(request, decoder, token),
        )

    async def _once(self, request: Request, decoder: Callable[[bytes], T], token: AccessToken) -> T:
        secrets = (*request.secrets, token.value)
        headers = {**request.headers, **token.header}
        body = await self._exchange.send(replace(request, headers=headers, secrets=secrets))
        self._authoriser.accepted(token)
        try:
            return decode(body, decoder, request.operation)
        except BadAnswer as error:
            self._exchange.count(error)
            raise
