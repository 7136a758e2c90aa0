"""Ends what somebody has begun who is not let in any more: an upload, a body, an answer that is not read to its end."""

from aiohttp import web

from gateway.access.doorkeeper import Doorkeeper
from gateway.live.door.connection import Connection


async def evict(doorkeeper: Doorkeeper, server: web.Server) -> None:
    """Cut whoever is thrown out, or has expired, from every request that is under way, until cancelled.

    Args:
        doorkeeper: Knows who is let in.
        server: With the connections.
    """
    revision = doorkeeper.revision
    while True:
        revision = await doorkeeper.changed(revision)
        for connection in server.connections:
            if isinstance(connection, Connection):
                connection.evict_unless(doorkeeper.holds)
