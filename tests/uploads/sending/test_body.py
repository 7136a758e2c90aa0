"""The body: all of the file, in order, and its end only after everything that has to come before it."""

import asyncio
import base64
import hashlib
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uploads.sending.body import Body, CorruptError
from gateway.worker import Worker
from insiders_codecs.asi import BLOCK_BYTES
from tests.fakes.disk import disk_takes_no_time

pytestmark = pytest.mark.looptime


@dataclass
class Sent:
    """What has been taken of a body, and when its hooks were called."""

    blocks: list[bytes] = field(default_factory=list)
    begun_after: list[int] = field(default_factory=list)
    closed_after: list[int] = field(default_factory=list)
    failure: Exception | None = None

    async def begin(self) -> None:
        self.begun_after.append(len(self.blocks))
        if self.failure is not None and not self.blocks:
            raise self.failure

    async def close(self) -> None:
        self.closed_after.append(len(self.blocks))
        if self.failure is not None:
            raise self.failure

    async def take(self, body: Body, at_most: int = 1_000_000) -> bytes:
        async with aclosing(body.stream.blocks()) as blocks:
            async for block in blocks:
                self.blocks.append(block)
                if len(self.blocks) >= at_most:
                    break
        return b"".join(self.blocks)


@asynccontextmanager
async def body_of(
    folder: Path, content: bytes, sent: Sent, *, says: bytes | None = None, cap: float | None = None
) -> AsyncIterator[Body]:
    """The body of a file, which says of itself that it is another one."""
    disk_takes_no_time()
    path, worker = folder / "file.asi", Worker("body")
    path.write_bytes(content)
    promised = content if says is None else says
    try:
        yield Body(
            path,
            len(promised),
            hashlib.sha256(promised).hexdigest(),
            worker,
            begin=sent.begin,
            close=sent.close,
            max_bytes_per_s=cap,
        )
    finally:
        worker.close()


def document(content: bytes) -> bytes:
    return json.dumps({"asi_b64": base64.b64encode(content).decode()}, separators=(",", ":")).encode()


SIZES = st.sampled_from([0, 1, 2, 3, 4, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES + 2])


@given(SIZES, st.sampled_from([None, 1.0, 40_000.0, 1e9]))
async def test_it_is_the_document_of_the_whole_file_and_as_long_as_it_said(size: int, cap: float | None) -> None:
    content, sent = hashlib.shake_256(b"any").digest(size), Sent()
    with tempfile.TemporaryDirectory() as name:
        async with body_of(Path(name), content, sent, cap=cap) as body:
            assert (body.has_begun, body.has_ended) == (False, False)
            whole = await sent.take(body)
            assert whole == document(content)
            assert len(whole) == body.stream.size
            assert (body.has_begun, body.has_ended) == (True, True)
            assert body.progress().sent_bytes == size
    assert sent.begun_after == [0]
    assert sent.closed_after == [len(sent.blocks) - 1]
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(b"".join(sent.blocks[:-1]))


@pytest.mark.parametrize("at", [0, 100, BLOCK_BYTES, 2 * BLOCK_BYTES - 1])
async def test_a_changed_byte_keeps_the_end_here_and_is_not_even_closed(tmp_path: Path, at: int) -> None:
    says, sent = bytes(2 * BLOCK_BYTES), Sent()
    content = says[:at] + b"!" + says[at + 1 :]
    async with body_of(tmp_path, content, sent, says=says) as body:
        with pytest.raises(CorruptError):
            await sent.take(body)
        assert isinstance(body.failure, CorruptError)
        assert (body.has_begun, body.has_ended, sent.closed_after) == (True, False, [])
    assert not b"".join(sent.blocks).endswith(b"}")


@pytest.mark.parametrize("content", [b"", b"ASI", b"ASI longer than it was"])
async def test_a_file_of_another_length_is_not_even_begun(tmp_path: Path, content: bytes) -> None:
    sent = Sent()
    async with body_of(tmp_path, content, sent, says=b"ASI as it was") as body:
        with pytest.raises(CorruptError):
            await sent.take(body)
        assert (body.has_begun, sent.blocks, sent.begun_after) == (False, [], [])


async def test_what_cannot_begin_does_not_and_says_why(tmp_path: Path) -> None:
    sent = Sent(failure=OSError("the disk is away"))
    async with body_of(tmp_path, b"ASI", sent) as body:
        with pytest.raises(OSError, match="away"):
            await sent.take(body)
        assert body.failure is sent.failure
        assert sent.blocks == []
        assert body.has_begun  # it may be on the disk all the same


async def test_what_cannot_be_closed_keeps_its_end(tmp_path: Path) -> None:
    sent = Sent()
    async with body_of(tmp_path, bytes(BLOCK_BYTES), sent) as body:
        async with aclosing(body.stream.blocks()) as blocks:
            sent.blocks.append(await anext(blocks))
            sent.failure = OSError("the disk is away")
            with pytest.raises(OSError, match="away"):
                sent.blocks.extend([block async for block in blocks])
        assert not body.has_ended
        assert not b"".join(sent.blocks).endswith(b"}")


async def test_sent_once_more_it_is_whole_again_and_in_doubt_only_after_its_new_end(tmp_path: Path) -> None:
    content, sent = bytes(3 * BLOCK_BYTES), Sent()
    async with body_of(tmp_path, content, sent) as body:
        await sent.take(body)
        sent.blocks.clear()
        async with aclosing(body.stream.blocks()) as blocks:
            sent.blocks.append(await anext(blocks))
            assert (body.has_ended, body.progress().sent_bytes) == (False, 0)
        sent.blocks.clear()
        assert await sent.take(body) == document(content)
        assert body.has_ended
    assert (len(sent.begun_after), len(sent.closed_after)) == (3, 2)


async def test_whoever_stops_taking_leaves_nothing_behind(tmp_path: Path) -> None:
    sent = Sent()
    async with body_of(tmp_path, bytes(9 * BLOCK_BYTES), sent) as body:
        await sent.take(body, at_most=4)
        assert body.failure is None
        assert not body.has_ended


async def test_a_cap_is_a_rate_and_not_a_pause_between_blocks(tmp_path: Path) -> None:
    sent, loop = Sent(), asyncio.get_running_loop()
    async with body_of(tmp_path, bytes(2 * BLOCK_BYTES), sent, cap=10_000.0) as body:
        start, passed = loop.time(), 0
        async with aclosing(body.stream.blocks()) as blocks:
            async for block in blocks:
                assert len(block) <= 2_500
                assert passed <= 10_000 * (loop.time() - start) + 2_500
                passed += len(block)
        assert loop.time() - start == pytest.approx(body.stream.size / 10_000, abs=0.5)


async def test_no_time_is_made_up_for_that_the_line_was_slow(tmp_path: Path) -> None:
    """After a pause of the line the cap holds as before."""
    sent, loop = Sent(), asyncio.get_running_loop()
    async with (
        body_of(tmp_path, bytes(BLOCK_BYTES), sent, cap=10_000.0) as body,
        aclosing(body.stream.blocks()) as blocks,
    ):
        for _ in range(3):
            await anext(blocks)
        await asyncio.sleep(100)
        await anext(blocks)
        start = loop.time()
        for _ in range(4):
            await anext(blocks)
        assert loop.time() - start == pytest.approx(1.0)
