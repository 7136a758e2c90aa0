"""Somebody who is known at the door."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.access import grants
from gateway.access.caller import Caller
from gateway.access.doorkeeper import Doorkeeper
from gateway.access.grants import NewGrant
from gateway.access.roles import Role
from gateway.store import open_store


@asynccontextmanager
async def technician(folder: Path, person: str) -> AsyncIterator[tuple[Doorkeeper, str]]:
    """Who lets a technician in, and the token that they show."""
    async with open_store(folder, [grants.SCHEMA]) as store:
        doorkeeper = Doorkeeper(store)
        await doorkeeper.load()
        owner = Caller("root", "this machine", Role.ADMIN)
        _, token = await doorkeeper.create(NewGrant(person, "laptop", Role.TECHNICIAN), owner)
        yield doorkeeper, token.reveal()
