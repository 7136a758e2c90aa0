"""Accounts: who is logged in, and the administration of manager accounts."""

import msgspec

from gateway.cloud.models import Account, Manager, ManagerDetails, decoder
from gateway.cloud.pacing import Priority
from gateway.cloud.transport import Transport
from gateway.secret import Secret

_account = decoder(Account)
_manager = decoder(Manager)


class Managers:
    """The account operations; every one raises `CloudError`, reads are retried, writes are not."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def account(self) -> Account:
        """The account that is logged in."""
        return await self._transport.send("account", _account, priority=Priority.CONTROL)

    async def create(self, details: ManagerDetails) -> Manager:
        """Register a manager; the cloud sends the credentials by e-mail."""
        return await self._transport.send(
            "create_manager", _manager, priority=Priority.CONTROL, body=msgspec.json.encode(details)
        )

    async def get(self, manager_id: int) -> Manager:
        """One manager."""
        return await self._transport.send("manager", _manager, priority=Priority.CONTROL, ids={"manager": manager_id})

    async def by_external_id(self, external_id: str) -> Manager:
        """The manager with an id of somebody else's system (deprecated by the vendor)."""
        return await self._transport.send(
            "manager_by_external_id", _manager, priority=Priority.CONTROL, query={"external-id": external_id}
        )

    async def update(self, manager_id: int, details: ManagerDetails) -> Manager:
        """Change what ``details`` names."""
        return await self._transport.send(
            "update_manager",
            _manager,
            priority=Priority.CONTROL,
            ids={"manager": manager_id},
            body=msgspec.json.encode(details),
        )

    async def change_password(self, manager_id: int, old: Secret, new: Secret) -> None:
        """Change a manager's password."""
        form = {"old_password": old.reveal(), "new_password": new.reveal()}
        await self._transport.send(
            "change_password",
            lambda _body: None,
            priority=Priority.CONTROL,
            ids={"manager": manager_id},
            body=msgspec.json.encode(form),
            secrets=(old, new),
        )
