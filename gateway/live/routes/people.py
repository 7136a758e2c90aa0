"""The routes of access: how a device is let in, who has been, and what they did."""

import asyncio
from collections.abc import Callable
from typing import Annotated

import segno
from aiohttp import web
from msgspec import Meta, Struct

from gateway.access.audit import Audit
from gateway.access.caller import Caller
from gateway.access.documents import (
    AccessReport,
    AuditReport,
    CodeReport,
    GrantedReport,
    GrantForm,
    PairForm,
    SquadsReport,
    reported,
)
from gateway.access.doorkeeper import Doorkeeper
from gateway.access.grants import Grant
from gateway.access.roles import MAY, Action
from gateway.live.door.admission import address_of, cookie_name, entrance_of
from gateway.live.door.connection import spare
from gateway.live.door.gate import body_of, json_answer
from gateway.live.door.guard import CALLER, SUBJECT, Guard
from gateway.live.requests import ErrorCode, RequestError, parse_body, parse_query
from gateway.live.source import CertificatesView
from gateway.secret import Secret
from gateway.store import StoreError

_ROOT = "/api/v1/access"
_ME = "/api/v1/me"
_CREATED = 201

_MAX_STRANGERS_BYTES = 4096
"""Of a body that anybody may send."""


class AuditQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which lines of the audit log.

    Attributes:
        limit: How many at most.
        before: Only those older than the line with this id; None for the newest.
    """

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    before: Annotated[int, Meta(ge=1)] | None = None


class AccessRoutes:
    """``/api/v1/pair``, ``me``, ``access`` and ``audit``."""

    def __init__(
        self,
        doorkeeper: Doorkeeper,
        audit: Audit,
        certificates: CertificatesView | None,
        base_url: Callable[[web.Request], str],
        now_ms: Callable[[], int],
    ) -> None:
        """Make them.

        Args:
            doorkeeper: Knows who is let in.
            audit: Knows what they did.
            certificates: What the gateway proves itself with; None if with nothing.
            base_url: By which address others find this gateway, as far as a request tells.
            now_ms: The wall clock, epoch ms.
        """
        self._doorkeeper = doorkeeper
        self._audit = audit
        self._certificates = certificates
        self._base_url = base_url
        self._now_ms = now_ms

    def add_to(self, guard: Guard) -> None:
        """Serve them."""
        guard.open("POST", "/api/v1/pair", self._pair)
        guard.add("GET", _ME, Action.FOLLOW, self._me)
        guard.add("DELETE", _ME, Action.FOLLOW, self._leave, deed="signed_out")
        guard.add("GET", _ROOT, Action.MANAGE_ACCESS, self._list)
        guard.add("POST", _ROOT, Action.MANAGE_ACCESS, self._create, deed="let_in")
        guard.add("DELETE", f"{_ROOT}/{{id}}", Action.MANAGE_ACCESS, self._revoke, deed="threw_out")
        guard.add("GET", f"{_ROOT}/squads", Action.INVITE_VIEWERS, self._squads)
        guard.add("POST", f"{_ROOT}/codes", Action.INVITE_VIEWERS, self._invite, deed="invited")
        guard.add("GET", "/api/v1/audit", Action.READ_AUDIT, self._read_audit)

    async def _pair(self, request: web.Request) -> web.Response:
        form = parse_body(await body_of(request, _MAX_STRANGERS_BYTES), PairForm)
        if form.form == "cookie" and "Origin" not in request.headers:
            raise RequestError(
                ErrorCode.BAD_ORIGIN, 'Only a page of the gateway takes a cookie: ask with "as": "token".'
            )
        address = address_of(request)
        grant, token = await self._doorkeeper.redeem(Secret(form.code), form.device, address, _now_s())
        self._audit.note(grant.caller, "paired", address=address)
        authority = None if self._certificates is None else self._certificates.authority
        told = {**_told(grant.caller), "authority": authority}
        if form.form == "token":
            return json_answer({**told, "token": token.reveal()})
        answer = json_answer(told)
        self._set_cookie(request, answer, token, grant)
        return answer

    async def _me(self, request: web.Request) -> web.Response:
        return json_answer(_told(request[CALLER]))

    async def _leave(self, request: web.Request) -> web.Response:
        caller = request[CALLER]
        if caller.grant is None:
            raise RequestError(
                ErrorCode.NOTHING_TO_DO, "Here one is let in without a credential: there is none to end."
            )
        await self._end(request, caller.grant)
        answer = json_answer({})
        entrance = entrance_of(request)
        answer.del_cookie(cookie_name(entrance), path="/", secure=entrance.is_tls, httponly=True, samesite="Strict")
        return answer

    async def _list(self, _request: web.Request) -> web.Response:
        trouble = self._doorkeeper.trouble
        problem = "" if trouble is None else f"{trouble.text}: {trouble.action}."
        return json_answer(AccessReport(tuple(map(reported, self._doorkeeper.grants)), problem))

    async def _create(self, request: web.Request) -> web.Response:
        form = parse_body(await body_of(request), GrantForm)
        request[SUBJECT] = form.person
        grant, token = await self._doorkeeper.create(form.new(), request[CALLER])
        answer = json_answer(GrantedReport(reported(grant), token.reveal()))
        answer.set_status(_CREATED)
        return answer

    async def _revoke(self, request: web.Request) -> web.Response:
        grant = await self._end(request, request.match_info["id"])
        request[SUBJECT] = grant.person
        return json_answer(reported(grant))

    async def _end(self, request: web.Request, grant_id: str) -> Grant:
        caller = request[CALLER]
        if grant_id == caller.grant:
            spare(request)
        return await self._doorkeeper.revoke(grant_id, caller)

    async def _squads(self, _request: web.Request) -> web.Response:
        return json_answer(SquadsReport(self._doorkeeper.squads))

    async def _invite(self, request: web.Request) -> web.Response:
        form = parse_body(await body_of(request), GrantForm)
        request[SUBJECT] = form.person
        invitation = self._doorkeeper.invite(form.new(), request[CALLER], _now_s())
        fingerprint = None if self._certificates is None else self._certificates.fingerprint
        proof = "" if fingerprint is None else f"&fp={fingerprint}"
        url = f"{self._base_url(request)}/pair#code={invitation.code.reveal()}{proof}"
        report = CodeReport(
            invitation.code.reveal(),
            url,
            segno.make(url, error="m").svg_data_uri(scale=4, border=4),
            self._now_ms() + round(invitation.lasts_s * 1000),
            fingerprint,
        )
        answer = json_answer(report)
        answer.set_status(_CREATED)
        return answer

    async def _read_audit(self, request: web.Request) -> web.Response:
        wanted = parse_query(request.query, AuditQuery)
        try:
            lines = await self._audit.read(wanted.limit, wanted.before)
        except StoreError as error:
            text = f"The audit log cannot be read: {error.text}; {error.action}."
            raise RequestError(ErrorCode.STORE_FAILED, text) from None
        return json_answer(AuditReport(tuple(lines)))

    def _set_cookie(self, request: web.Request, answer: web.Response, token: Secret, grant: Grant) -> None:
        entrance = entrance_of(request)
        answer.set_cookie(
            cookie_name(entrance),
            token.reveal(),
            path="/",
            max_age=max(0, (grant.expires_ms - self._now_ms()) // 1000),
            secure=entrance.is_tls,
            httponly=True,
            samesite="Strict",
        )


def _told(caller: Caller) -> dict[str, object]:
    """Who somebody is, as they are told."""
    squads = caller.scope.squads
    return {
        "id": caller.grant,
        "person": caller.person,
        "device": caller.device,
        "role": caller.role,
        "may": sorted(MAY[caller.role]),
        "squads": None if squads is None else sorted(squads),
        "gnss_only": caller.scope.is_gnss_only,
        "expires_ms": caller.expires_ms,
    }


def _now_s() -> float:
    return asyncio.get_running_loop().time()
