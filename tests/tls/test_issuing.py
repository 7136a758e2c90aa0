"""The club's authority and what it signs: trusted where it should be, by strangers' programs, and nowhere else."""

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from gateway.tls.errors import CertificateError
from gateway.tls.issuing import make_authority, make_leaf
from gateway.tls.moment import OWN_DATE, believed
from gateway.tls.pem import Authority, put_into, read_authority, server_context
from tests.tls.ground import HERE, NOW, is_trusted, moment

NAMES = HERE | {"gateway.example.org"}

_NOBODY = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "Nobody")])
_FURTHER = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "Further")])


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority("FC Test", NAMES, moment())


def abused(authority: Authority, name: x509.GeneralName) -> bytes:
    """What a thief of the authority's key would make: a certificate for a name of somebody else."""
    signer = x509.load_pem_x509_certificate(authority.certificate.encode())
    signing_key = load_pem_private_key(authority.pem, None)
    assert isinstance(signing_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder(signer.subject, _NOBODY, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=True)
        .sign(signing_key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("name", ["pitch.local", "pitch", "gateway.example.org", "192.168.7.5", "127.0.0.1", "::1"])
async def test_a_laptop_with_the_authority_trusts_the_gateway_under_each_of_its_names(
    authority: Authority, name: str
) -> None:
    context = server_context()
    put_into(context, make_leaf(authority, NAMES, moment()).pem)
    assert await is_trusted(context, name, authority.certificate)


@pytest.mark.parametrize("name", ["example.com", "other.local", "192.168.7.6"])
async def test_under_any_other_name_it_is_not_trusted(authority: Authority, name: str) -> None:
    context = server_context()
    put_into(context, make_leaf(authority, NAMES, moment()).pem)
    assert not await is_trusted(context, name, authority.certificate)


async def test_without_that_authority_it_is_not_trusted(authority: Authority) -> None:
    context = server_context()
    put_into(context, make_leaf(authority, NAMES, moment()).pem)
    assert not await is_trusted(context, "pitch.local", make_authority("FC Test", NAMES, moment()).certificate)


@pytest.mark.parametrize("name", ["example.com", "www.example.com", "gateway.example.org.evil.example", "8.8.8.8"])
async def test_who_has_stolen_the_authority_can_be_nobody_else_on_the_internet(authority: Authority, name: str) -> None:
    general: x509.GeneralName = x509.DNSName(name)
    if name == "8.8.8.8":
        from ipaddress import ip_address

        general = x509.IPAddress(ip_address(name))
    context = server_context()
    put_into(context, abused(authority, general))
    assert not await is_trusted(context, name, authority.certificate)


async def test_the_thief_of_these_tests_is_a_good_one(authority: Authority) -> None:
    """Else the test above would pass for another reason."""
    context = server_context()
    put_into(context, abused(authority, x509.DNSName("other.local")))
    assert await is_trusted(context, "other.local", authority.certificate)


def furthered(authority: Authority) -> bytes:
    """Another authority that is signed by one, and what a gateway would serve that has its certificate of that."""
    signer = x509.load_pem_x509_certificate(authority.certificate.encode())
    signing_key = load_pem_private_key(authority.pem, None)
    assert isinstance(signing_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder(signer.subject, _FURTHER, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(signing_key, hashes.SHA256())
    )
    between = certificate.public_bytes(Encoding.PEM)
    further = between + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return abused(replace(authority, certificate=between.decode(), pem=further), x509.DNSName("pitch.local")) + between


async def test_the_authority_may_not_make_further_ones(authority: Authority) -> None:
    context = server_context()
    put_into(context, furthered(authority))
    assert not await is_trusted(context, "pitch.local", authority.certificate)


async def test_one_that_may_would_be_trusted_with_what_the_further_one_signs() -> None:
    """Else the test above would pass for another reason."""
    unbounded = company(None, ec.generate_private_key(ec.SECP256R1()))
    context = server_context()
    put_into(context, furthered(unbounded))
    assert await is_trusted(context, "pitch.local", unbounded.certificate)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_openssl_finds_nothing_wrong_with_it(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "club.crt").write_text(authority.certificate)
    (tmp_path / "leaf.pem").write_bytes(make_leaf(authority, NAMES, moment()).pem)
    verify = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "club.crt"]
    for check in (["-verify_hostname", "pitch.local"], ["-verify_ip", "192.168.7.5"]):
        subprocess.run([*verify, *check, "leaf.pem"], cwd=tmp_path, check=True, capture_output=True)
    wrong = subprocess.run([*verify, "-verify_hostname", "example.com", "leaf.pem"], cwd=tmp_path, check=False)
    assert wrong.returncode != 0


def test_the_certificate_is_backdated_and_no_longer_than_every_system_takes(authority: Authority) -> None:
    leaf = x509.load_pem_x509_certificate(make_leaf(authority, NAMES, moment()).pem)
    assert leaf.not_valid_before_utc == NOW - timedelta(days=1)
    assert leaf.not_valid_after_utc == NOW + timedelta(days=365)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=398)
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)


def test_an_authority_made_under_a_wrong_clock_is_good_today() -> None:
    """It cannot be replaced without going to every laptop, unlike the certificate."""
    for clock in (0, int(datetime(2041, 5, 6, tzinfo=UTC).timestamp() * 1000)):
        made = x509.load_pem_x509_certificate(make_authority("FC Test", NAMES, believed(clock, is_sure=False)).pem)
        assert made.not_valid_before_utc < OWN_DATE
        assert made.not_valid_after_utc > OWN_DATE + timedelta(days=3650)


def test_two_authorities_of_one_club_have_two_names() -> None:
    names = {make_authority("FC Test", NAMES, moment()).name for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("Insiders Gateway FC Test ") for name in names)


@given(st.text(min_size=1, max_size=200))
def test_whatever_the_place_is_called_there_is_an_authority_for_it(site: str) -> None:
    authority = make_authority(site, NAMES, moment())
    assert make_leaf(authority, NAMES, moment()).places == NAMES


def test_a_name_that_the_authority_may_not_sign_is_left_out_and_spoils_nothing(authority: Authority) -> None:
    assert make_leaf(authority, NAMES | {"elsewhere.example", "8.8.8.8"}, moment()).places == NAMES


def test_another_gateway_of_the_club_goes_on_with_its_authority(authority: Authority) -> None:
    other = {"hall.local", "10.0.0.9", "fd12::9", "hall", "localhost"}
    assert make_leaf(authority, other, moment()).places == other - {"hall"}


def test_an_authority_that_may_sign_none_of_the_names_says_so(authority: Authority) -> None:
    with pytest.raises(CertificateError, match=r"may not sign for elsewhere\.example"):
        make_leaf(authority, {"elsewhere.example"}, moment())


def company(constraints: x509.NameConstraints | None, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Authority:
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.ORGANIZATION_NAME, "Company")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if constraints is not None:
        certificate = certificate.add_extension(constraints, critical=True)
    signed = certificate.sign(key, hashes.SHA256())
    return read_authority(
        signed.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )


def test_an_authority_of_a_company_may_have_no_bounds_and_an_rsa_key() -> None:
    authority = company(None, rsa.generate_private_key(65537, 2048))
    assert authority.name == "Company"
    assert make_leaf(authority, NAMES, moment()).places == NAMES


def test_what_an_authority_excludes_is_left_out() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    bounds = x509.NameConstraints(
        permitted_subtrees=None, excluded_subtrees=[x509.DNSName("example.org"), x509.DNSName(".local")]
    )
    assert make_leaf(company(bounds, key), NAMES, moment()).places == NAMES - {"gateway.example.org", "pitch.local"}


def test_an_authority_whose_key_cannot_sign_here_says_so() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.ORGANIZATION_NAME, "Company")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, None)
    )
    pem = certificate.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(CertificateError, match="of a kind that cannot sign here"):
        make_leaf(read_authority(pem), NAMES, moment())
