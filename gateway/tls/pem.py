"""PEM -> what a certificate says, with Python's own TLS: the way to find out is to shake hands with oneself.

So nothing of the library that makes certificates is in memory as long as none is made, and what is found here is what a
laptop's TLS finds: key and certificate belong together, it is one for servers, the authority has signed it and may.
"""

import hashlib
import os
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address

import msgspec

from gateway.tls.errors import CertificateError

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\s.*?-----END CERTIFICATE-----", re.DOTALL)
_KEY = re.compile(rb"-----BEGIN ((?:[A-Z0-9]+ )*)PRIVATE KEY-----")

_X509_V_FLAG_NO_CHECK_TIME = 0x200000
"""Of OpenSSL, without a name in Python: whether it is time is our decision, not that of a clock which may be wrong."""

_REASONS = {
    "KEY_VALUES_MISMATCH": "the private key belongs to another certificate",
    "NO_CERTIFICATE_ASSIGNED": "the private key belongs to another certificate",  # of another kind
    "EE_KEY_TOO_SMALL": "its key is too weak: RSA takes 2048 bits",
    "CA_MD_TOO_WEAK": "it is signed with a broken hash function",
}
"""What OpenSSL says of a certificate that it does not load, and what that means."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate of a server, with its key.

    Attributes:
        pem: Both, and the authorities between, as it is served.
        places: DNS names in lower case, and addresses in their usual form, that it stands for.
        not_before_ms: From when on it is valid, epoch ms.
        not_after_ms: How long.
        fingerprint: SHA-256 of its DER, hexadecimal.
    """

    pem: bytes = field(repr=False)
    places: frozenset[str]
    not_before_ms: int
    not_after_ms: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Authority:
    """What signs certificates.

    Attributes:
        pem: Certificate and key.
        certificate: The certificate alone, which everybody may have.
        name: What the machines it is installed on call it.
        not_after_ms: How long it is valid, epoch ms.
        fingerprint: SHA-256 of its DER, hexadecimal.
    """

    pem: bytes = field(repr=False)
    certificate: str
    name: str
    not_after_ms: int
    fingerprint: str


def server_context() -> ssl.SSLContext:
    """What a server of ours shakes hands with, still without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")  # of TLS 1.2; those of 1.3 are all well
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def put_into(context: ssl.SSLContext, pem: bytes) -> None:
    """Let a context serve a certificate from its next handshake on.

    Raises:
        CertificateError: If it does not take it; what it served before is spoilt then.
    """
    # Python takes files only. This one is in memory: what was looked at is what is served, and no disk can be full.
    with os.fdopen(os.memfd_create("certificate"), "wb") as file:
        file.write(pem)
        file.flush()
        try:
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}", password="")  # else it asks at the terminal
        except ssl.SSLError as error:
            raise CertificateError(_REASONS.get(error.reason, "it is damaged")) from None


def read_leaf(pem: bytes, authority: Authority | None = None) -> Leaf:
    """What a certificate of a server says.

    Args:
        pem: The certificate, those of the authorities between, its key.
        authority: Whose it has to be; None for anybody's.

    Raises:
        CertificateError: If it cannot be served.
    """
    certificate = _certificate(pem)
    _check_key(pem)
    server = server_context()
    put_into(server, pem)
    told, seen = _shown(server, certificate if authority is None else ssl.PEM_cert_to_DER_cert(authority.certificate))
    return Leaf(
        pem,
        frozenset(place for name in told.subject_alt_name if (place := _place(*name)) is not None),
        _ms(told.not_before),
        _ms(told.not_after),
        _fingerprint(seen),
    )


def read_authority(pem: bytes) -> Authority:
    """What an authority says.

    Raises:
        CertificateError: If it is none that can sign.
    """
    certificate = _certificate(pem)
    _check_key(pem)
    put_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=certificate)
    except ssl.SSLError:
        raise CertificateError("it is damaged") from None
    found = context.get_ca_certs()
    if not found:
        raise CertificateError("its certificate is that of a server and not of an authority")
    told = msgspec.convert(found[0], _Told)
    if told.subject != told.issuer:
        raise CertificateError("it is signed by another authority: give the one at the top")
    names = {key: text for part in told.subject for key, text in part}
    name = names.get("commonName") or names.get("organizationName") or "without a name"
    readable = ssl.DER_cert_to_PEM_cert(certificate)
    return Authority(pem, readable, name, _ms(told.not_after), _fingerprint(certificate))


_Name = tuple[tuple[tuple[str, str], ...], ...]


class _Told(msgspec.Struct, rename="camel"):
    """What Python's TLS tells of a certificate."""

    not_before: str
    not_after: str
    subject: _Name = ()
    issuer: _Name = ()
    subject_alt_name: tuple[tuple[str, str], ...] = ()


def _shown(server: ssl.SSLContext, trusted: bytes) -> tuple[_Told, bytes]:
    """What a client finds that trusts somebody, whatever the time: what the certificate says, and its DER."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= _X509_V_FLAG_NO_CHECK_TIME | ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True))
    try:
        client.load_verify_locations(cadata=trusted)
        for _ in range(3):
            for end in ends:
                with suppress(ssl.SSLWantReadError):
                    end.do_handshake()
    except ssl.SSLCertVerificationError as error:
        raise CertificateError(f"a client would not accept it: {error.verify_message}") from None
    except ssl.SSLError as error:
        raise CertificateError(_REASONS.get(error.reason, "no client could connect with it")) from None
    return msgspec.convert(ends[0].getpeercert(), _Told), ends[0].getpeercert(binary_form=True) or b""


def _certificate(pem: bytes) -> bytes:
    """DER of the first one: that of the server or the authority itself."""
    found = _CERTIFICATE.search(pem)
    if found is None:
        raise CertificateError("there is no certificate in it (-----BEGIN CERTIFICATE-----)")
    try:
        return ssl.PEM_cert_to_DER_cert(found[0].decode())
    except ValueError:
        raise CertificateError("it is damaged") from None


def _check_key(pem: bytes) -> None:
    found = _KEY.search(pem)
    if found is None:
        raise CertificateError("there is no private key in it (-----BEGIN PRIVATE KEY-----)")
    if b"ENCRYPTED" in found[1] or b"Proc-Type: 4,ENCRYPTED" in pem:
        raise CertificateError("its private key has a password: take that off (openssl pkey)")


def _place(kind: str, place: str) -> str | None:
    match kind:
        case "DNS":
            return place.lower()
        case "IP Address":
            with suppress(ValueError):
                return str(ip_address(place.strip()))
    return None


def _fingerprint(certificate: bytes) -> str:
    return hashlib.sha256(certificate).hexdigest()


def _ms(text: str) -> int:
    return ssl.cert_time_to_seconds(text) * 1000
