"""What the tests of certificates stand on: a clock that is set by hand, a gateway's surroundings, real handshakes."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.problems import Problems
from gateway.tls.certificates import Certificates
from gateway.tls.moment import Moment
from gateway.worker import Worker

NOW = datetime.now(UTC).replace(microsecond=0)
"""The real time: whoever shakes hands goes by it."""

HERE = frozenset({"localhost", "127.0.0.1", "::1", "pitch", "pitch.local", "192.168.7.5"})


def moment(*, is_sure: bool = True, **later: float) -> Moment:
    """A time so much after `NOW`."""
    return Moment(int((NOW + timedelta(**later)).timestamp() * 1000), is_sure)


@dataclass
class Ground:
    """A gateway's machine.

    Attributes:
        folder: Of its certificates.
        later: How far its clock is ahead of `NOW`.
        is_clock_sure: Whether it knows that.
        places: Under which it is reached.
    """

    folder: Path
    later: timedelta = timedelta()
    is_clock_sure: bool = True
    places: frozenset[str] = HERE
    problems: Problems = field(default_factory=lambda: Problems(lambda: 0))

    @property
    def codes(self) -> list[str]:
        """Of what is wrong."""
        return [problem.code for problem in self.problems]

    @contextmanager
    def certificates(
        self, *, site: str = "FC Test", names: tuple[str, ...] = (), elsewhere: tuple[Path, Path] | None = None
    ) -> Iterator[Certificates]:
        """Those of a start of the gateway, which have looked at nothing yet."""
        worker = Worker("certificates")
        try:
            yield Certificates(
                self.folder,
                site=site,
                names=names,
                elsewhere=elsewhere,
                worker=worker,
                problems=self.problems,
                utc_ms=lambda: int((NOW + self.later).timestamp() * 1000),
                is_clock_sure=lambda: self.is_clock_sure,
                places=lambda: self.places,
            )
        finally:
            worker.close()


@asynccontextmanager
async def echoing(context: ssl.SSLContext) -> AsyncIterator[int]:
    """A server that says back what it hears; the port."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(100):
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def connected(
    port: int, name: str, authority: str
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A laptop that has installed an authority; raises `ssl.SSLError` if it does not trust what it meets."""
    context = ssl.create_default_context(cadata=authority)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    try:
        yield reader, writer
    finally:
        writer.close()


async def seen(port: int) -> str:
    """SHA-256 of the certificate that a new connection sees."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return hashlib.sha256(der).hexdigest()


async def is_trusted(context: ssl.SSLContext, name: str, authority: str) -> bool:
    """Whether a laptop with that authority talks to a server under that name."""
    async with echoing(context) as port:
        try:
            async with connected(port, name, authority) as (reader, writer):
                writer.write(b"heard")
                return await reader.readexactly(5) == b"heard"
        except ssl.SSLCertVerificationError:
            return False
