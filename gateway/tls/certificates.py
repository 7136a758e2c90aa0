"""The certificate that the gateway serves: what a TLS server of ours is handed, kept right while it runs."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from gateway.problems import Problems
from gateway.tls.elsewhere import CertificateFromElsewhere
from gateway.tls.errors import AuthorityRefusedError
from gateway.tls.look import Look
from gateway.tls.moment import Moment, believed
from gateway.tls.own import OwnCertificate
from gateway.tls.pem import put_into, server_context
from gateway.tls.report import AuthorityReport, CertificateReport, TlsReport
from gateway.tls.surroundings import is_address, own_places
from gateway.worker import Worker

TURN_S = 4.0
"""A gateway that has moved to another network, or a renewed file, is noticed within that."""

_LOG = logging.getLogger(__name__)


class Certificates:
    """Serves the club's own certificate, or one from elsewhere as soon as that can be used.

    Attributes:
        context: For servers. A handshake that begins sees the newest certificate; who is connected notices nothing.
    """

    def __init__(
        self,
        folder: Path,
        *,
        site: str,
        names: Sequence[str] = (),
        elsewhere: tuple[Path, Path] | None = None,
        worker: Worker,
        problems: Problems,
        utc_ms: Callable[[], int],
        is_clock_sure: Callable[[], bool],
        places: Callable[[], frozenset[str]] = own_places,
    ) -> None:
        """Make one that has looked at nothing yet.

        Args:
            folder: For authority and certificate of our own; is made when they are.
            site: The name of the place, for the authority.
            names: Under which the gateway is reached, besides those that it knows of itself.
            elsewhere: The files of certificate and private key, if somebody else looks after them.
            worker: For what may wait for a disk.
            problems: Where to say what is wrong.
            utc_ms: The wall clock, epoch ms.
            is_clock_sure: Whether it is known to be right.
            places: Names and addresses of this machine now.
        """
        self.context = server_context()
        self._own = OwnCertificate(folder, site, lambda: places() | {*names})
        self._elsewhere = None if elsewhere is None else CertificateFromElsewhere(*elsewhere, names)
        self._worker = worker
        self._problems = problems
        self._utc_ms = utc_ms
        self._is_clock_sure = is_clock_sure
        self._look: Look | None = None
        self._told: set[tuple[str, str]] = set()

    def prepare(self, *, is_served: bool = True) -> None:
        """Read what there is and, where something is to be served, make what is missing.

        To be called before anything is served, whom it could keep waiting.
        """
        self._own.read()
        if is_served:
            self._apply(self._found(self._now()))

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of the DER of the certificate that is served, hexadecimal; None if none is."""
        return None if self._look is None else self._look.leaf.fingerprint

    @property
    def names(self) -> tuple[str, ...]:
        """The host names that it stands for."""
        places = () if self._look is None else sorted(self._look.leaf.places)
        return tuple(place for place in places if not is_address(place) and "*" not in place)

    @property
    def authority(self) -> str | None:
        """PEM of the certificate that laptops have to know to trust ours; None if it is from elsewhere or missing."""
        authority = self._own.authority if self._look is None else self._look.authority
        return None if authority is None else authority.certificate

    def report(self) -> TlsReport:
        """How it stands."""
        authority = self._own.authority if self._look is None else self._look.authority
        return TlsReport(
            None if self._look is None else _certificate_report(self._look),
            None
            if authority is None
            else AuthorityReport(authority.name, authority.fingerprint, authority.not_after_ms),
        )

    def export(self, *, with_key: bool) -> str:
        """The club's authority as PEM.

        Args:
            with_key: For another gateway of the club; who has it can be that gateway to every laptop.

        Raises:
            AuthorityRefusedError: If there is none.
        """
        authority = self._own.authority
        if authority is None or (self._look is not None and self._look.authority is None):
            raise AuthorityRefusedError(
                "no_authority", "There is no authority to export: make one with `insiders-gateway tls init`."
            )
        return authority.pem.decode() if with_key else authority.certificate

    async def take_authority(self, pem: str) -> None:
        """Go on with the authority of another gateway of the club; raises `AuthorityRefusedError`."""
        await self._replace(pem.encode())

    async def make_authority(self, *, is_new: bool = False) -> None:
        """See to it that there is an authority; raises `AuthorityRefusedError` if it cannot be kept.

        Args:
            is_new: Whether to make another one though there is one, which every laptop has to be told of.
        """
        if self._own.authority is None or is_new:
            await self._replace(None)

    async def run(self, beat: Callable[[], None]) -> None:
        """Renew, and take what has changed, until cancelled."""
        while True:
            beat()
            await asyncio.sleep(TURN_S)
            if self._look is None or self._worker.is_overdue:
                continue  # nothing is served, or a disk does not answer
            with suppress(TimeoutError):
                async with asyncio.timeout(TURN_S):
                    await self._worker.run(partial(self._found, self._now()), self._apply)

    async def _replace(self, pem: bytes | None) -> None:
        if self._elsewhere is not None:
            raise AuthorityRefusedError(
                "not_now",
                "The certificate is from elsewhere: take certificate and private_key out of [live] first, and restart.",
            )
        look = await self._worker.run(partial(self._own.replace_authority, pem, self._now()))
        if self._look is not None:
            self._apply(look)

    def _found(self, moment: Moment) -> Look:
        if self._elsewhere is None:
            return self._own.look(moment)
        leaf, troubles = self._elsewhere.look(moment)
        if leaf is not None:
            return Look(leaf, None, is_own=False, troubles=troubles)
        own = self._own.look(moment)
        return replace(own, troubles=(*troubles, *own.troubles))

    def _apply(self, look: Look) -> None:
        if look.leaf.fingerprint != self.fingerprint:
            put_into(self.context, look.leaf.pem)
            _LOG.info(
                "The certificate that laptops see has the SHA-256 fingerprint %(fingerprint)s",
                {"fingerprint": look.leaf.fingerprint},
            )
        self._look = look
        for trouble in look.troubles:
            self._problems.report(trouble.code, trouble.text, trouble.action, trouble.subject)
        told = {(trouble.code, trouble.subject) for trouble in look.troubles}
        for code, subject in self._told - told:
            self._problems.resolve(code, subject)
        self._told = told

    def _now(self) -> Moment:
        return believed(self._utc_ms(), is_sure=self._is_clock_sure())


def _certificate_report(look: Look) -> CertificateReport:
    return CertificateReport(
        "own" if look.is_own else "elsewhere",
        sorted(look.leaf.places),
        look.leaf.fingerprint,
        look.leaf.not_before_ms,
        look.leaf.not_after_ms,
    )
