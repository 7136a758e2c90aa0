"""The certificates, as the live server needs them."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from gateway.live.requests import ErrorCode, RequestError, parse_body
from gateway.tls.certificates import Certificates
from gateway.tls.errors import AuthorityRefusedError
from gateway.tls.report import AuthorityRequest, ExportReport, TlsReport


class ServedCertificates:
    """Those of a gateway, as the live server sees them: `gateway.live.source.CertificatesView`."""

    def __init__(self, certificates: Certificates, *, is_insecure: bool = False) -> None:
        """Make them.

        Args:
            certificates: Those.
            is_insecure: Whether laptops are served without.
        """
        self._certificates = certificates
        self._is_insecure = is_insecure

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of the certificate that is served, hexadecimal; None if none is."""
        return self._certificates.fingerprint

    @property
    def authority(self) -> str | None:
        """PEM of what laptops have to know to trust it; None if they do without."""
        return self._certificates.authority

    def report(self) -> TlsReport:
        """How it stands."""
        return msgspec.structs.replace(self._certificates.report(), is_insecure=self._is_insecure)

    async def change(self, body: bytes) -> TlsReport:
        """Go on with another authority; raises `RequestError`."""
        request = parse_body(body, AuthorityRequest)
        with _refusing():
            if request.authority is None:
                await self._certificates.make_authority(is_new=request.is_new)
            elif request.is_new:
                raise RequestError(ErrorCode.BAD_MESSAGE, "Give an authority, or let a new one be made: not both.")
            else:
                await self._certificates.take_authority(request.authority)
        return self.report()

    def export(self, *, with_key: bool) -> ExportReport:
        """The authority, for laptops; with its key for another gateway of the club; raises `RequestError`."""
        with _refusing():
            return ExportReport(self._certificates.export(with_key=with_key))


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except AuthorityRefusedError as refused:
        raise RequestError(ErrorCode(refused.code), str(refused)) from None
