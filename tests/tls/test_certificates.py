"""What a running server hands out: always the right certificate, from the next handshake on, without a restart."""

import asyncio
import ssl
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.tls.certificates import TURN_S, Certificates
from gateway.tls.errors import AuthorityRefusedError
from gateway.tls.issuing import make_authority
from tests.tls.ground import HERE, Ground, connected, echoing, is_trusted, moment, seen
from tests.tls.test_elsewhere import NAME, Files


async def turned(certificates: Certificates) -> None:
    """Let it look around once more."""
    async with asyncio.timeout(60):
        async with asyncio.TaskGroup() as tasks:
            beats = 0

            def beat() -> None:
                nonlocal beats
                beats += 1
                if beats == 2:
                    running.cancel()

            running = tasks.create_task(certificates.run(beat))


async def test_a_first_start_makes_what_a_laptop_trusts(ground: Ground) -> None:
    with ground.certificates(names=("gateway.example.org",)) as certificates:
        assert (certificates.fingerprint, certificates.authority) == (None, None)
        certificates.prepare()
        assert certificates.names == ("gateway.example.org", "localhost", "pitch", "pitch.local")
        assert certificates.authority is not None
        for name in ("pitch.local", "gateway.example.org", "192.168.7.5"):
            assert await is_trusted(certificates.context, name, certificates.authority)
        async with echoing(certificates.context) as port:
            assert await seen(port) == certificates.fingerprint
        assert ground.codes == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize(("version", "is_spoken"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
async def test_only_tls_1_2_and_newer_is_spoken(ground: Ground, version: str, is_spoken: bool) -> None:
    with ground.certificates() as certificates:
        certificates.prepare()
        client = ssl.create_default_context(cadata=certificates.authority)
        client.set_ciphers("ALL:@SECLEVEL=0")  # else this side would refuse
        client.minimum_version = client.maximum_version = ssl.TLSVersion[version]
        async with echoing(certificates.context) as port:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="localhost")
            except (ssl.SSLError, ConnectionError):
                assert not is_spoken
            else:
                writer.close()
                assert is_spoken


@pytest.mark.looptime
async def test_a_certificate_is_renewed_under_a_running_server(ground: Ground) -> None:
    with ground.certificates() as certificates:
        certificates.prepare()
        before, authority = certificates.fingerprint, certificates.authority
        assert authority is not None
        async with echoing(certificates.context) as port, connected(port, "pitch.local", authority) as (reader, writer):
            await turned(certificates)
            assert await seen(port) == before
            ground.later = timedelta(days=340)
            await turned(certificates)
            assert certificates.fingerprint != before
            assert await seen(port) == certificates.fingerprint
            # Who is connected notices nothing.
            writer.write(b"still")
            assert await reader.readexactly(5) == b"still"
        assert certificates.authority == authority


@pytest.mark.looptime
async def test_in_another_network_it_has_a_certificate_for_that_within_seconds(ground: Ground) -> None:
    with ground.certificates() as certificates:
        certificates.prepare()
        assert certificates.authority is not None
        ground.places = HERE - {"192.168.7.5"} | {"10.1.2.3"}
        assert not await is_trusted(certificates.context, "10.1.2.3", certificates.authority)
        before = asyncio.get_running_loop().time()
        await turned(certificates)
        assert asyncio.get_running_loop().time() - before <= 2 * TURN_S
        assert await is_trusted(certificates.context, "10.1.2.3", certificates.authority)


@pytest.mark.looptime
async def test_one_made_under_a_clock_that_was_ahead_is_replaced_when_the_clock_is_right(ground: Ground) -> None:
    ground.later, ground.is_clock_sure = timedelta(days=4000), False
    with ground.certificates() as certificates:
        certificates.prepare()
        authority = certificates.authority
        assert authority is not None
        assert not await is_trusted(certificates.context, "pitch.local", authority)
        ground.later, ground.is_clock_sure = timedelta(), True
        await turned(certificates)
        assert certificates.authority == authority
        assert await is_trusted(certificates.context, "pitch.local", authority)


@pytest.mark.looptime
async def test_a_start_with_an_old_time_keeps_the_certificate(ground: Ground) -> None:
    with ground.certificates() as certificates:
        certificates.prepare()
        fingerprint = certificates.fingerprint
    ground.later, ground.is_clock_sure = timedelta(days=-20_000), False
    with ground.certificates() as certificates:
        certificates.prepare()
        await turned(certificates)
        assert certificates.fingerprint == fingerprint


@pytest.mark.looptime
async def test_one_from_elsewhere_is_served_and_renewed(ground: Ground, tmp_path: Path) -> None:
    files = Files(tmp_path)
    with ground.certificates(elsewhere=(files.certificate, files.private_key), names=(NAME,)) as certificates:
        certificates.prepare()
        assert certificates.authority is None
        assert certificates.names == (NAME,)
        assert not ground.folder.exists()
        report = certificates.report()
        assert report.certificate is not None
        assert (report.certificate.source, report.authority) == ("elsewhere", None)
        async with echoing(certificates.context) as port:
            before = await seen(port)
            files.renew()
            await turned(certificates)
            assert before != await seen(port) == certificates.fingerprint


@pytest.mark.looptime
async def test_one_from_elsewhere_that_is_broken_is_replaced_by_our_own_until_it_is_mended(
    ground: Ground, tmp_path: Path
) -> None:
    """Never by no certificate: nothing is said in the clear."""
    files = Files(tmp_path)
    files.private_key.unlink()
    with ground.certificates(elsewhere=(files.certificate, files.private_key)) as certificates:
        certificates.prepare()
        assert ground.codes == ["certificate_unusable"]
        assert certificates.authority is not None
        assert await is_trusted(certificates.context, "pitch.local", certificates.authority)
        files.renew()
        await turned(certificates)
        assert ground.codes == []
        assert certificates.names == (NAME,)


@pytest.mark.looptime
async def test_what_is_wrong_is_told_once_and_no_longer_than_it_is(ground: Ground) -> None:
    ground.places = HERE | {"gateway.example.org"}
    with ground.certificates() as certificates:
        certificates.prepare()
        ground.places = HERE | {"other.example.org"}
        await turned(certificates)
        await turned(certificates)
        assert [(problem.code, problem.subject) for problem in ground.problems] == [
            ("name_not_covered", "other.example.org")
        ]
        ground.places = HERE
        await turned(certificates)
        assert ground.codes == []


async def test_an_authority_changes_under_a_running_server(ground: Ground) -> None:
    with ground.certificates() as certificates:
        certificates.prepare()
        first = certificates.report().authority
        await certificates.make_authority()
        assert certificates.report().authority == first
        await certificates.make_authority(is_new=True)
        second = certificates.authority
        assert certificates.report().authority != first
        assert second is not None
        assert await is_trusted(certificates.context, "pitch.local", second)
        other = make_authority("FC Other", HERE, moment())
        await certificates.take_authority(other.pem.decode())
        assert certificates.authority == other.certificate
        assert await is_trusted(certificates.context, "pitch.local", other.certificate)
        assert not await is_trusted(certificates.context, "pitch.local", second)
    with ground.certificates() as certificates:
        certificates.prepare()
        assert certificates.export(with_key=True) == other.pem.decode()


async def test_an_authority_can_be_made_before_anything_is_served(ground: Ground) -> None:
    with ground.certificates() as certificates:
        certificates.prepare(is_served=False)
        with pytest.raises(AuthorityRefusedError) as refused:
            certificates.export(with_key=False)
        assert refused.value.code == "no_authority"
        await certificates.make_authority()
        assert certificates.fingerprint is None
        authority = certificates.authority
    with ground.certificates() as certificates:
        certificates.prepare(is_served=False)
        assert certificates.authority == authority is not None
        assert certificates.report().certificate is None
        certificates.prepare()
        assert await is_trusted(certificates.context, "pitch.local", authority)


async def test_where_the_certificate_is_from_elsewhere_there_is_no_authority_to_change(
    ground: Ground, tmp_path: Path
) -> None:
    files = Files(tmp_path)
    with ground.certificates(elsewhere=(files.certificate, files.private_key)) as certificates:
        certificates.prepare()
        with pytest.raises(AuthorityRefusedError) as refused:
            await certificates.make_authority(is_new=True)
        assert refused.value.code == "not_now"
        with pytest.raises(AuthorityRefusedError) as refused:
            certificates.export(with_key=True)
        assert refused.value.code == "no_authority"


def test_what_is_exported_for_laptops_has_no_key(ground: Ground) -> None:
    with ground.certificates() as certificates:
        certificates.prepare()
        public = certificates.export(with_key=False)
        assert public == certificates.authority
        assert "PRIVATE" not in public
        assert public.count("BEGIN CERTIFICATE") == 1
        assert "PRIVATE" not in repr(certificates.report())


def test_the_library_that_makes_certificates_is_not_in_memory_where_none_is_made(ground: Ground) -> None:
    with ground.certificates() as certificates:
        certificates.prepare()
        fingerprint = certificates.fingerprint
    code = f"""
import sys, time
from pathlib import Path
from gateway.problems import Problems
from gateway.tls.certificates import Certificates
from gateway.worker import Worker
now_ms = lambda: time.time_ns() // 1_000_000
certificates = Certificates(
    Path({str(ground.folder)!r}), site="", worker=Worker(""), problems=Problems(now_ms), utc_ms=now_ms,
    is_clock_sure=lambda: True, places=lambda: frozenset({sorted(HERE)!r}),
)
certificates.prepare()
print(certificates.fingerprint, "cryptography" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == [fingerprint, "False"]
