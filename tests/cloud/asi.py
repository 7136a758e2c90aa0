"""Upload bodies of .asi files in memory."""

from collections.abc import AsyncGenerator

from gateway.cloud.uploading import Stream
from insiders_codecs.asi import BLOCK_BYTES, AsiBody, body_size


def body_of(asi: bytes, block_bytes: int = BLOCK_BYTES) -> Stream:
    """The body that uploads a file."""

    async def blocks() -> AsyncGenerator[bytes, None]:
        body = AsiBody()
        yield body.head()
        for start in range(0, len(asi), block_bytes):
            yield body.feed(asi[start : start + block_bytes])
        yield body.end()

    return Stream(body_size(len(asi)), blocks)
