"""All open live websockets: how many there may be, and one look at the cloud for all of them together."""

import asyncio

from aiohttp import web

from gateway.simulator.bodies import send
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.connection import Connection
from gateway.simulator.errors import Refusal
from gateway.simulator.gate import admit


class Streams:
    """The open websockets.

    Args:
        cloud: The state.
        look_s: How often arrivals are looked for while a websocket is open, seconds of the event loop; the cloud's own
            clock may be moved by hand.
    """

    def __init__(self, cloud: SimulatedCloud, look_s: float) -> None:
        self._cloud = cloud
        self._look_s = look_s
        self._open: set[Connection] = set()
        self._is_looking = False

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Handle one connection until it ends."""
        cloud = self._cloud
        try:
            await admit(cloud, "live_data")
            self._require_room()
        except Refusal as refusal:
            return await send(cloud, request, refusal.status, refusal.body, refusal.headers)
        # A close handshake is given a second only; pings and closes are answered by hand, or not, by knob.
        websocket = web.WebSocketResponse(compress=False, timeout=1.0, autoping=False, autoclose=False)
        connection = Connection(cloud, request, websocket)
        self._open.add(connection)
        try:
            await websocket.prepare(request)
            cloud.statuses[101] += 1
            self._keep_looking()
            await connection.talk()
        except* ConnectionError:
            pass  # the client is gone
        finally:
            self._open.discard(connection)
        return websocket

    async def close(self, _app: web.Application) -> None:
        """End every connection because the cloud stops."""
        for connection in self._open:
            connection.go_away()

    def _require_room(self) -> None:
        faults = self._cloud.faults
        if 0 < faults.websocket_max_connections <= len(self._open):
            raise Refusal(faults.websocket_full_status, {"detail": "Too many connections."})

    def _keep_looking(self) -> None:
        if not self._is_looking:
            self._is_looking = True
            asyncio.get_running_loop().call_later(self._look_s, self._look)

    def _look(self) -> None:
        self._is_looking = False
        if not self._open:
            return
        self._keep_looking()
        now_ms, is_out = self._cloud.now_ms(), self._cloud.is_out
        for connection in tuple(self._open):
            if is_out:
                connection.interrupt()
            else:
                connection.look(now_ms)
