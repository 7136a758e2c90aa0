"""The routes of the certificates: what the gateway proves itself with, and the club's authority."""

from aiohttp import web
from msgspec import Struct

from gateway.access.roles import Action
from gateway.live.door.admission import entrance_of
from gateway.live.door.gate import body_of, json_answer
from gateway.live.door.guard import SUBJECT, Guard
from gateway.live.requests import ErrorCode, RequestError, parse_query
from gateway.live.source import CertificatesView

_ROOT = "/api/v1/tls"


class AuthorityQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """How to export the authority.

    Attributes:
        with_key: With its key, for another gateway of the club.
    """

    with_key: bool = False


class CertificateRoutes:
    """``/api/v1/tls`` and what is below it."""

    def __init__(self, certificates: CertificatesView) -> None:
        self._certificates = certificates

    def add_to(self, guard: Guard) -> None:
        """Serve them."""
        guard.add("GET", _ROOT, Action.MANAGE_TLS, self._report)
        guard.add("POST", _ROOT, Action.MANAGE_TLS, self._change, deed="changed_authority")
        guard.add("GET", f"{_ROOT}/authority", Action.MANAGE_TLS, self._export, deed="exported_authority")

    async def _report(self, _request: web.Request) -> web.Response:
        return json_answer(self._certificates.report())

    async def _change(self, request: web.Request) -> web.Response:
        return json_answer(await self._certificates.change(await body_of(request)))

    async def _export(self, request: web.Request) -> web.Response:
        is_with_key = parse_query(request.query, AuthorityQuery).with_key
        request[SUBJECT] = "with its key" if is_with_key else ""
        if is_with_key and not entrance_of(request).is_local:
            text = (
                "The authority's key is given out on the gateway itself only: use `insiders-gateway tls export` there."
            )
            raise RequestError(ErrorCode.FORBIDDEN, text)
        return json_answer(self._certificates.export(with_key=is_with_key))
