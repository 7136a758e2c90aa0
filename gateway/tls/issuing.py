"""Makes the club's authority and the certificates that it signs: X.509 by the library `cryptography`, only in here.

It is imported when something is made, once a year: it takes 12 MB of memory.
"""

from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from gateway.tls.errors import CertificateError
from gateway.tls.moment import OWN_DATE, Moment
from gateway.tls.pem import Authority, Leaf, read_authority, read_leaf
from gateway.tls.surroundings import LOOPBACK, PRIVATE, is_address

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

AUTHORITY_DAYS = 3653
LEAF_DAYS = 365
"""Apple's systems take no more than 825 days of a certificate whose authority a person has installed."""

BACKDATED = timedelta(days=1)
"""A laptop's clock may be as wrong as ours."""

_MAX_NAME = 64
"""Bytes of a common name; RFC 5280 (ub-common-name) counts letters, and not everybody does."""


def make_authority(site: str, places: Iterable[str], moment: Moment) -> Authority:
    """A new authority, good for nothing but gateways: it is bound to names and addresses that nobody owns.

    Its beginning is this program's own date: one that was made while the clock was ahead would be of no use on any
    laptop until that day, and it cannot be replaced without going to all of them.

    Args:
        site: The name of the place, which people read when they install it.
        places: Names and addresses of the gateway; besides these it may sign for every name below .local and every
            private address, so that it is good for another gateway too.
        moment: When.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # Two of one club are told apart by it, by people and by machines that look for the signer by its name.
    suffix = f" {identifier.digest[:2].hex()}"
    readable = f"Insiders Gateway {site}".encode()[: _MAX_NAME - len(suffix)].decode(errors="ignore").rstrip()
    subject = _name(readable + suffix)
    permitted = [*map(x509.IPAddress, PRIVATE), *map(_subtree, sorted({"local", *LOOPBACK, *places}))]
    certificate = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=subject, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(OWN_DATE - BACKDATED)
        .not_valid_after(moment.utc + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_authority=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), critical=True)
        .add_extension(identifier, critical=False)
    )
    return read_authority(_signed(certificate, key, key))


def make_leaf(authority: Authority, places: Iterable[str], moment: Moment) -> Leaf:
    """A new certificate for a gateway, with a key of its own.

    Args:
        authority: Who signs it.
        places: Names and addresses; those that the authority may not sign are left out, because one of them would
            spoil all.
        moment: When.

    Raises:
        CertificateError: If the authority may sign none of them, or what it signs is not accepted.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    signer, signing_key, constraints = _signer(authority)
    covered = sorted(filter(partial(_may_sign, constraints), places), key=_rank)
    if not covered:
        raise CertificateError(f"it may not sign for {', '.join(sorted(places))}")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder(
            subject_name=_name(covered[0][:_MAX_NAME]), issuer_name=signer, public_key=key.public_key()
        )
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment.utc - BACKDATED)
        .not_valid_after(moment.utc + timedelta(days=LEAF_DAYS))
        .add_extension(x509.SubjectAlternativeName(list(map(_general, covered))), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
    )
    return read_leaf(_signed(certificate, key, signing_key), authority)


def _signer(
    authority: Authority,
) -> "tuple[x509.Name, EllipticCurvePrivateKey | RSAPrivateKey, x509.NameConstraints | None]":
    """Name, key and bounds of an authority that anybody may have made."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(authority.pem, None)
        certificate = x509.load_pem_x509_certificate(authority.certificate.encode())
        bounds = [one.value for one in certificate.extensions if isinstance(one.value, x509.NameConstraints)]
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CertificateError("its certificate or its key is of a kind that cannot sign here")
    return certificate.subject, key, bounds[0] if bounds else None


def _signed(
    builder: "x509.CertificateBuilder", key: "EllipticCurvePrivateKey", by: "EllipticCurvePrivateKey | RSAPrivateKey"
) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    certificate = builder.sign(by, hashes.SHA256()).public_bytes(Encoding.PEM)
    return certificate + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _name(text: str) -> "x509.Name":
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, text)])


def _usage(*, is_authority: bool) -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _may_sign(constraints: "x509.NameConstraints | None", place: str) -> bool:
    """RFC 5280, 4.2.1.10: in none that is excluded, and in one that is permitted if there are any of its kind."""
    if constraints is None:
        return True
    name = _general(place)
    permitted = [tree for tree in constraints.permitted_subtrees or () if isinstance(tree, type(name))]
    excluded = [tree for tree in constraints.excluded_subtrees or () if isinstance(tree, type(name))]
    is_permitted = not permitted or any(_is_below(name, tree) for tree in permitted)
    return is_permitted and not any(_is_below(name, tree) for tree in excluded)


def _is_below(name: "x509.GeneralName", tree: "x509.GeneralName") -> bool:
    if isinstance(tree.value, str):
        top = tree.value.lower().removeprefix(".")
        return not top or name.value == top or name.value.endswith(f".{top}")
    return bool(name.value in tree.value)


def _rank(place: str) -> tuple[bool, bool, bool, str]:
    """The name that people read in the certificate comes first."""
    return is_address(place), place in LOOPBACK, not place.endswith(".local"), place


def _subtree(place: str) -> "x509.GeneralName":
    from cryptography import x509

    return x509.IPAddress(ip_network(place)) if is_address(place) else x509.DNSName(place)


def _general(place: str) -> "x509.GeneralName":
    from cryptography import x509

    return x509.IPAddress(ip_address(place)) if is_address(place) else x509.DNSName(place)
