"""Under whose name something is changed: nobody whom the gateway knows can put another's there."""

from typing import TypeVar

import msgspec
from aiohttp import web

from gateway.live.door.admission import entrance_of
from gateway.live.door.guard import CALLER

_Form = TypeVar("_Form", bound=msgspec.Struct)


def author_of(request: web.Request) -> str | None:
    """Who has let something be changed; None on an open loopback, where only they themselves can say it."""
    caller = request[CALLER]
    is_known = caller.grant is not None or entrance_of(request).is_local
    return caller.person if is_known else None


def signed(form: _Form, author: str | None) -> _Form:
    """What is asked for, under the name that counts.

    Args:
        form: As it came, with an `author`.
        author: The name; None for the one in the form.
    """
    return form if author is None else msgspec.structs.replace(form, author=author)
