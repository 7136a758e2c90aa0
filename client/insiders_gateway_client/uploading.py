"""A file on its way to a gateway: sent as it is read, at the pace at which the gateway takes it."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping

from yarl import URL

from insiders_gateway_client.asking import ask
from insiders_gateway_client.errors import GatewayError
from insiders_gateway_client.transport import Transport

TAKEN_WITHIN_S = 60.0
"""How long a gateway may take nothing: an old card may stand still for half a minute while it is written."""

ANSWER_WITHIN_S = 180.0
"""How long it may take to answer once it has everything: until then all of it has to be on its card."""


async def upload_recording(
    transport: Transport, blocks: AsyncIterable[bytes], size: int, query: Mapping[str, str]
) -> bytes:
    """Send a recording to a gateway; JSON of it, as it is kept then.

    Args:
        transport: The way to it.
        blocks: What is in the file, asked for block by block as each was taken from us.
        size: Bytes of all of them.
        query: What is said of it: "name", "tracker", "author".

    Raises:
        RefusalError: If the gateway refuses, with its words.
        GatewayError: If there is no answer; whether the gateway has it is not known then.
        Exception: What `blocks` raises; the gateway keeps nothing of the file then.
    """
    headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
    path = str(URL.build(path="recordings", query=query))
    try:
        async with asyncio.timeout(None) as patience:
            body = _Body(blocks, patience)
            try:
                return await ask(transport, "POST", path, data=body, headers=headers, timeout_s=None)
            except GatewayError:
                if body.failure is not None:
                    raise body.failure from None
                raise
    except TimeoutError:
        where = transport.address.where
        raise GatewayError(f"{where} takes nothing any more: look at its disk, then try again") from None


class _Body:
    """Blocks on their way, watched over: those who make them may take their time, those who take them not."""

    def __init__(self, blocks: AsyncIterable[bytes], patience: asyncio.Timeout) -> None:
        self._blocks = aiter(blocks)
        self._patience = patience
        self.failure: Exception | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        now_s = asyncio.get_running_loop().time
        self._patience.reschedule(None)
        try:
            block = await anext(self._blocks)
        except StopAsyncIteration:
            self._patience.reschedule(now_s() + ANSWER_WITHIN_S)
            raise
        except Exception as error:
            self.failure = error
            raise
        self._patience.reschedule(now_s() + TAKEN_WITHIN_S)
        return block
