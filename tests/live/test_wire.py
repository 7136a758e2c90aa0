"""The wire: frames as websockets have them, and nothing written while something waits."""

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from gateway.live.stream.wire import Wire
from insiders_codecs.live import Codec, encode
from tests.live.listening import Ear, Kernel


def made(codec: Codec = Codec.JSON) -> tuple[Wire, Kernel]:
    kernel = Kernel()
    return Wire(kernel, kernel, Ear(0.0), codec), kernel


def goodbye(size: int = 100) -> bytes:
    """A message of so many bytes."""
    message = {"op": "bye", "code": 1012, "text": "", "retry_after_ms": 0, "resumable": True}
    text = "x" * (size - len(encode(message, Codec.JSON)))
    return encode(message | {"text": text}, Codec.JSON)


def read(kernel: Kernel) -> list[Frame]:
    """What another library reads in it."""
    stream, frames = StreamReader(), list[Frame]()
    stream.feed_data(bytes(kernel.taken))
    while stream.buffer:
        parsing = Frame.parse(stream.read_exact, mask=False)
        with pytest.raises(StopIteration) as parsed:
            next(parsing)
        frames.append(parsed.value.value)
    return frames


@pytest.mark.parametrize("size", [100, 125, 126, 127, 65_535, 65_536, 100_000])
def test_frames_of_every_length_are_read_by_another_library(size: int) -> None:
    wire, kernel = made()
    message = goodbye(size)
    wire.send(0.0, message[:50], message[50:])
    assert read(kernel) == [Frame(Opcode.TEXT, message)]


def test_msgpack_goes_in_binary_frames() -> None:
    wire, kernel = made(Codec.MSGPACK)
    message = encode({"op": "unsub_ok", "sub": 1}, Codec.MSGPACK)
    wire.send(0.0, message)
    assert read(kernel) == [Frame(Opcode.BINARY, message)]


def test_of_pings_that_cannot_be_answered_yet_the_last_one_is_answered() -> None:
    wire, kernel = made()
    kernel.bytes_per_s = 0
    wire.send(0.0, goodbye())
    for number in range(1000):
        wire.pong(b"%d" % number, 1.0)
    kernel.bytes_per_s = None
    kernel.flow(2.0)
    wire.flush(2.0)
    wire.flush(2.0)
    assert read(kernel) == [Frame(Opcode.TEXT, goodbye()), Frame(Opcode.PONG, b"999")]


def test_the_closing_frame_waits_for_what_was_said_before_and_is_the_last() -> None:
    wire, kernel = made()
    kernel.bytes_per_s = 0
    wire.send(0.0, goodbye())
    wire.close(4408, 1.0)
    wire.close(1000, 1.0)
    kernel.bytes_per_s = None
    kernel.flow(2.0)
    assert read(kernel) == [Frame(Opcode.TEXT, goodbye())]
    wire.flush(2.0)
    assert (wire.is_over, wire.is_ready) == (True, False)
    wire.pong(b"", 3.0)
    wire.ping(3.0)
    assert read(kernel)[1:] == [Frame(Opcode.CLOSE, (4408).to_bytes(2, "big"))]


def test_it_is_ready_when_the_kernel_has_everything_and_blocked_since_it_wrote_last() -> None:
    wire, kernel = made()
    wire.send(1.0, goodbye())
    assert wire.is_ready
    assert wire.blocked_s(9.0) == 0.0
    kernel.bytes_per_s = 50
    kernel.flow(10.0)
    wire.send(10.0, goodbye())
    kernel.flow(11.0)
    assert (wire.is_ready, wire.blocked_s(11.0)) == (False, 1.0)
    kernel.flow(14.0)
    assert (wire.is_ready, wire.blocked_s(14.0)) == (True, 0.0)


def test_bytes_that_wait_below_tls_count() -> None:
    above, below = Kernel(), Kernel()
    wire = Wire(above, below, Ear(0.0), Codec.JSON)
    below.waiting += b"x"
    assert not wire.is_ready
    assert wire.blocked_s(3.0) == 3.0


def test_nothing_is_written_where_the_connection_below_tls_is_gone() -> None:
    above, below = Kernel(), Kernel()
    wire = Wire(above, below, Ear(0.0), Codec.JSON)
    below.abort()
    assert not wire.is_ready
    wire.pong(b"", 1.0)
    assert above.taken == b""


def test_who_is_cut_off_is_written_to_no_more() -> None:
    wire, kernel = made()
    wire.abort()
    assert not wire.is_ready
    wire.close(1000, 0.0)
    assert kernel.taken == b""
