"""What the gateway tells of its certificates, as the JSON of an answer, and what it can be asked to do with them."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.tls.files import MAX_BYTES


class AuthorityReport(msgspec.Struct, frozen=True):
    """The club's authority.

    Attributes:
        name: What a laptop calls it on which it is installed.
        fingerprint: SHA-256 of its DER, hexadecimal.
        not_after_ms: Until when it is valid, epoch ms.
    """

    name: str
    fingerprint: str
    not_after_ms: int


class CertificateReport(msgspec.Struct, frozen=True):
    """The certificate that laptops see.

    Attributes:
        source: "own": signed by the club's authority; "elsewhere": named in the configuration.
        places: Names and addresses that it stands for.
        fingerprint: SHA-256 of its DER, hexadecimal.
        not_before_ms: From when on it is valid, epoch ms.
        not_after_ms: How long.
    """

    source: Literal["own", "elsewhere"]
    places: list[str]
    fingerprint: str
    not_before_ms: int
    not_after_ms: int


class TlsReport(msgspec.Struct, frozen=True):
    """How it stands.

    Attributes:
        certificate: None if nothing is served over TLS.
        authority: None if there is none, or the certificate is from elsewhere.
        is_insecure: Laptops are served without.
    """

    certificate: CertificateReport | None
    authority: AuthorityReport | None
    is_insecure: bool = False


class ExportReport(msgspec.Struct, frozen=True):
    """The club's authority, to be installed or to be given to another gateway.

    Attributes:
        pem: Its certificate; with its key if that was asked for.
    """

    pem: str


class AuthorityRequest(msgspec.Struct, frozen=True):
    """Go on with an authority.

    Attributes:
        authority: PEM of its certificate and key; None to keep the one there is.
        is_new: Make a new one, though there is one.
    """

    authority: Annotated[str, Meta(max_length=MAX_BYTES)] | None = None
    is_new: bool = False
