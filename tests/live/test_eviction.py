"""Who is thrown out, or whose time is over, is cut from what they have begun; nobody else is."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.access.grants import Grant
from gateway.access.roles import Role
from tests.live.house import OWNER, House, opened

PROMISED_S = 2.0

Talk = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def begun(house: House, token: str, method: str, path: str, *, size: int, start: bytes) -> Talk:
    """A request under way: its body was asked for, and has come in part."""
    tls = house.client_tls() if house.certificates is not None else None
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port, ssl=tls)
    head = (f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{house.port}", f"Authorization: Bearer {token}")
    body = (f"Content-Length: {size}", "Expect: 100-continue")
    writer.write("\r\n".join((*head, *body, "", "")).encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(start)
    return reader, writer


async def is_cut(reader: asyncio.StreamReader) -> bool:
    """Whether a connection ends as soon as is promised, without an answer."""
    async with asyncio.timeout(PROMISED_S):
        with suppress(ConnectionError):
            return await reader.read() == b""
    return True


def only(house: House) -> Grant:
    (grant,) = house.doorkeeper.grants
    return grant


async def revoke(house: House) -> None:
    await house.doorkeeper.revoke(only(house).id, OWNER)


async def expire(house: House) -> None:
    house.clock.ms = only(house).expires_ms
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(house.doorkeeper.run(lambda: None))
        async with asyncio.timeout(PROMISED_S):
            await house.doorkeeper.changed(house.doorkeeper.revision)
        running.cancel()


@pytest.mark.parametrize("end", [revoke, expire])
@pytest.mark.parametrize(
    ("role", "method", "path", "body"),
    [
        (Role.ADMIN, "PUT", "/api/v1/releases", {"athletes": "*", "basis": "mine"}),
        (Role.ADMIN, "POST", "/api/v1/tls", {"authority": None, "is_new": True}),
        (Role.ADMIN, "POST", "/api/v1/access", {"person": "Kim", "device": "another", "role": "admin"}),
        (Role.TECHNICIAN, "PUT", "/api/v1/pairings/team", {}),
        (Role.TECHNICIAN, "POST", "/api/v1/recordings?name=x.asi", {"as": "if it were one"}),
    ],
)
async def test_nobody_finishes_what_they_began_before(
    tmp_path: Path, role: Role, method: str, path: str, body: object, end: Callable[[House], Awaitable[None]]
) -> None:
    content = json.dumps(body).encode()
    async with opened(tmp_path) as house:
        token = await house.token(role)
        reader, writer = await begun(house, token, method, path, size=len(content), start=content[:1])
        await end(house)
        assert await is_cut(reader)
        writer.close()
        assert house.reached.deeds == house.shelved.deeds == []
        assert not house.releases.is_released("SN-1")
        assert len(house.doorkeeper.grants) == (0 if end is revoke else 1)
        assert "done" not in {outcome for person, _, _, outcome in await house.noted() if person == "Kim Berger"}


async def test_over_tls_neither(tmp_path: Path) -> None:
    async with opened(tmp_path, is_tls=True) as house:
        token = await house.token(Role.TECHNICIAN)
        reader, writer = await begun(house, token, "PUT", "/api/v1/pairings/team", size=2, start=b"{")
        await revoke(house)
        assert await is_cut(reader)
        writer.close()
        assert house.reached.deeds == []


async def test_nobody_reads_on_in_an_answer_that_has_begun(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        house.server._counters = lambda: {"x": "y" * 5_000_000}
        token = await house.token(Role.TECHNICIAN)
        loop = asyncio.get_running_loop()
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.setblocking(False)
            await loop.sock_connect(slow, ("127.0.0.1", house.port))
            head = f"GET /api/v1/counters HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
            await loop.sock_sendall(slow, head.encode())
            came = len(await loop.sock_recv(slow, 1000))
            await revoke(house)
            async with asyncio.timeout(PROMISED_S):
                with suppress(ConnectionError):
                    while data := await loop.sock_recv(slow, 100_000):
                        came += len(data)
            assert 0 < came < 1_000_000, "what the kernel had is gone, and no more"
        assert house.hub.refusals["evicted"] == 1


async def test_everybody_else_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        stays = await house.token(Role.TECHNICIAN, person="Robin")
        reader, writer = await begun(house, stays, "PUT", "/api/v1/pairings/team", size=2, start=b"{")
        await house.token(Role.ADMIN)
        _, other = house.doorkeeper.grants
        await house.doorkeeper.revoke(other.id, OWNER)
        writer.write(b"}")
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.close()
        assert house.reached.deeds == ["import 2"]


async def test_whoever_ends_their_own_access_is_told_that_it_is_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        for path in ("/api/v1/me", "/api/v1/access/{id}"):
            token = await house.token(Role.ADMIN)
            reader, writer = await begun(house, token, "DELETE", path.format(id=only(house).id), size=1, start=b"x")
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
            writer.close()
            assert house.doorkeeper.grants == ()
