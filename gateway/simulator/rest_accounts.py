"""Operations on accounts."""

from collections.abc import Mapping

from gateway.simulator.accounts import Manager
from gateway.simulator.api import Call, Handler, Reply, document, number, text
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.errors import forbidden, invalid, not_found


def account(_cloud: SimulatedCloud, call: Call) -> Reply:
    """The caller's account and profile."""
    return Reply({**call.manager.as_json(), "extra_permissions": {"can_create_managed_athletes": False}})


def create_manager(cloud: SimulatedCloud, call: Call) -> Reply:
    """Open registration; the password would come by e-mail."""
    body = document(call)
    email = text(body, "email")
    if "@" not in email:
        raise invalid("email", "Enter a valid email address.")
    if cloud.accounts.by_username(email):
        raise invalid("email", "This field must be unique.")
    external_id = body.get("external_id")
    names = _names(body)
    manager = cloud.accounts.register(email, *names, external_id if isinstance(external_id, str) else None)
    return Reply(manager.as_json(), 201)


def manager_by_external_id(cloud: SimulatedCloud, call: Call) -> Reply:
    """A manager by the number of another system."""
    manager = cloud.accounts.by_external_id(call.query.get("external-id", ""))
    if manager is None:
        raise not_found()
    return Reply(_own(call, manager).as_json())


def manager(cloud: SimulatedCloud, call: Call) -> Reply:
    """The caller's own manager object."""
    return Reply(_addressed(cloud, call).as_json())


def update_manager(cloud: SimulatedCloud, call: Call) -> Reply:
    """Change names; answered with 201 as in the vendor's sample."""
    manager = _addressed(cloud, call)
    manager.first_name, manager.last_name = _names(document(call), manager)
    return Reply(manager.as_json(), 201)


def change_password(cloud: SimulatedCloud, call: Call) -> Reply:
    """Set a new password, after the old one if that is sent."""
    manager = _addressed(cloud, call)
    body = document(call)
    if body.get("old_password", manager.password) != manager.password:
        raise invalid("old_password", "Wrong password.")
    manager.password = text(body, "new_password" if "new_password" in body else "password")
    return Reply({})


HANDLERS: Mapping[str, Handler] = {
    "account": account,
    "create_manager": create_manager,
    "manager_by_external_id": manager_by_external_id,
    "manager": manager,
    "update_manager": update_manager,
    "change_password": change_password,
}


def _addressed(cloud: SimulatedCloud, call: Call) -> Manager:
    found = cloud.accounts.manager(number(call.path["manager"]))
    if found is None:
        raise not_found()
    return _own(call, found)


def _own(call: Call, found: Manager) -> Manager:
    if found is not call.manager:
        raise forbidden()
    return found


def _names(body: Mapping[str, object], known: Manager | None = None) -> tuple[str, str]:
    """First and last name, at the top of the body or in its profile; what is not sent stays."""
    profile = body.get("manager_profile")
    names = {**body, **profile} if isinstance(profile, dict) else body
    first_name, last_name = names.get("first_name"), names.get("last_name")
    return (
        first_name if isinstance(first_name, str) else (known.first_name if known else ""),
        last_name if isinstance(last_name, str) else (known.last_name if known else ""),
    )
