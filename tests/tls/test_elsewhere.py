"""A certificate that somebody else looks after: taken when it is in order, told in one sentence when it is not."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.tls.elsewhere import CertificateFromElsewhere
from gateway.tls.issuing import make_authority, make_leaf
from tests.tls.ground import NOW, moment

NAME = "gateway.example.org"
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def made(
    key: Key, *, name: str | None = NAME, purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH
) -> bytes:
    """A certificate as any other software makes it, valid for ten weeks."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "From elsewhere")])
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=10))
        .not_valid_after(NOW + timedelta(days=60))
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    )
    if name is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def written(key: Key, password: bytes | None = None) -> bytes:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


class Files:
    """Of somebody else."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "fullchain.pem"
        self.private_key = folder / "privkey.pem"
        self.renew()

    def renew(self) -> None:
        """As certbot does, one after the other, each whole."""
        key = ec.generate_private_key(ec.SECP256R1())
        self.replace(self.certificate, made(key))
        self.replace(self.private_key, written(key))

    @staticmethod
    def replace(file: Path, content: bytes) -> None:
        new = file.with_suffix(".new")
        new.write_bytes(content)
        new.replace(file)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def elsewhere(files: Files) -> CertificateFromElsewhere:
    return CertificateFromElsewhere(files.certificate, files.private_key, [NAME])


def test_it_is_taken_as_it_is(files: Files, elsewhere: CertificateFromElsewhere) -> None:
    leaf, troubles = elsewhere.look(moment())
    assert leaf is not None
    assert leaf.places == {NAME}
    assert troubles == ()
    assert leaf.pem == files.certificate.read_bytes() + b"\n" + files.private_key.read_bytes()


def test_one_that_is_renewed_is_taken_when_both_files_are_there(
    files: Files, elsewhere: CertificateFromElsewhere
) -> None:
    before, _ = elsewhere.look(moment())
    old_key = files.private_key.read_bytes()
    files.renew()
    new_key = files.private_key.read_bytes()
    files.replace(files.private_key, old_key)
    between, troubles = elsewhere.look(moment())
    assert between is before
    assert [trouble.code for trouble in troubles] == ["certificate_unusable"]
    files.replace(files.private_key, new_key)
    after, troubles = elsewhere.look(moment())
    assert after is not None
    assert after != before
    assert troubles == ()


def _mixed(files: Files) -> None:
    files.private_key.write_bytes(written(ec.generate_private_key(ec.SECP256R1())))


def _mixed_kinds(files: Files) -> None:
    files.private_key.write_bytes(written(rsa.generate_private_key(65537, 2048)))


def _locked(files: Files) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    files.certificate.write_bytes(made(key))
    files.private_key.write_bytes(written(key, b"secret"))


def _locked_the_old_way(files: Files) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    files.certificate.write_bytes(made(key))
    files.private_key.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"secret"))
    )


def _weak(files: Files) -> None:
    key = rsa.generate_private_key(65537, 1024)
    files.certificate.write_bytes(made(key))
    files.private_key.write_bytes(written(key))


def _of_a_client(files: Files) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    files.certificate.write_bytes(made(key, purpose=ExtendedKeyUsageOID.CLIENT_AUTH))
    files.private_key.write_bytes(written(key))


def _nameless(files: Files) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    files.certificate.write_bytes(made(key, name=None))
    files.private_key.write_bytes(written(key))


def _half(files: Files) -> None:
    files.certificate.write_bytes(files.certificate.read_bytes()[:300])


def _swapped(files: Files) -> None:
    files.certificate.write_bytes(files.private_key.read_bytes())


def _huge(files: Files) -> None:
    os.truncate(files.certificate, 1 << 30)


def _fifo(files: Files) -> None:
    files.certificate.unlink()
    os.mkfifo(files.certificate)


BROKEN: list[tuple[Callable[[Files], object], str]] = [
    (_mixed, "the private key belongs to another certificate"),
    (_mixed_kinds, "the private key belongs to another certificate"),
    (_locked, "its private key has a password"),
    (_locked_the_old_way, "its private key has a password"),
    (_weak, "its key is too weak"),
    (_of_a_client, "a client would not accept it: unsuitable certificate purpose"),
    (_nameless, "it names no host (subjectAltName)"),
    (_half, "there is no certificate in it"),
    (_swapped, "there is no certificate in it"),
    (_huge, "it is too large"),
    (_fifo, "it is no file"),
    (lambda files: files.private_key.unlink(), "privkey.pem: no such file or directory"),
    (lambda files: files.certificate.write_bytes(b""), "there is no certificate in it"),
    (lambda files: files.private_key.write_bytes(b""), "there is no private key in it"),
]


@pytest.mark.parametrize(("harm", "why"), BROKEN)
def test_one_that_cannot_be_served_is_told_in_one_sentence(
    files: Files, elsewhere: CertificateFromElsewhere, harm: Callable[[Files], object], why: str
) -> None:
    harm(files)
    leaf, (trouble,) = elsewhere.look(moment())
    assert leaf is None
    assert trouble.code == "certificate_unusable"
    assert why in trouble.text
    assert trouble.text.endswith("the gateway serves its own")


@pytest.mark.parametrize(("harm", "why"), BROKEN)
def test_one_that_breaks_while_it_is_served_goes_on_as_it_was(
    files: Files, elsewhere: CertificateFromElsewhere, harm: Callable[[Files], object], why: str
) -> None:
    before, _ = elsewhere.look(moment())
    harm(files)
    leaf, (trouble,) = elsewhere.look(moment())
    assert leaf is before
    assert why in trouble.text
    files.renew()
    after, troubles = elsewhere.look(moment())
    assert after != before
    assert troubles == ()


def test_one_whose_key_the_service_may_not_read_says_so(files: Files, elsewhere: CertificateFromElsewhere) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    files.private_key.chmod(0)
    _, (trouble,) = elsewhere.look(moment())
    assert f"{files.private_key}: permission denied" in trouble.text


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (0, None),
        (45, None),
        (47, "expires on"),
        (61, "has expired on"),
        (-11, "is valid only from"),
    ],
)
def test_one_that_ends_is_told_of_and_served_all_the_same(
    elsewhere: CertificateFromElsewhere, days: int, said: str | None
) -> None:
    """Clients judge by their clocks; and those that know its fingerprint do not judge at all."""
    leaf, troubles = elsewhere.look(moment(days=days))
    assert leaf is not None
    assert [trouble.code for trouble in troubles] == ([] if said is None else ["certificate_expiring"])
    assert said is None or said in troubles[0].text


def test_a_name_that_it_does_not_stand_for_is_told(files: Files) -> None:
    elsewhere = CertificateFromElsewhere(files.certificate, files.private_key, [NAME, "other.example.org"])
    _, (trouble,) = elsewhere.look(moment())
    assert (trouble.code, trouble.subject) == ("name_not_covered", "other.example.org")


def test_certificate_and_key_may_be_one_file(tmp_path: Path) -> None:
    authority = make_authority("FC Test", (), moment())
    file = tmp_path / "both.pem"
    file.write_bytes(make_leaf(authority, {"pitch.local"}, moment()).pem)
    leaf, troubles = CertificateFromElsewhere(file, file, []).look(moment())
    assert leaf is not None
    assert troubles == ()
