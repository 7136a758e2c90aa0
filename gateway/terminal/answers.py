"""What a running gateway answers to a command."""

from collections.abc import Awaitable
from typing import TypeVar

import msgspec

from gateway.terminal.errors import RefusedError
from insiders_gateway_client.errors import GatewayError, RefusalError

_T = TypeVar("_T")


async def told(answer: Awaitable[bytes], form: type[_T], url: str, what: str) -> _T:
    """An answer as what it says.

    Args:
        answer: JSON, as it will come.
        form: Of the document.
        url: Of the gateway.
        what: It tells, in the plural.

    Raises:
        RefusedError: If the gateway does not do it.
        GatewayError: If nobody answers, or with something else.
    """
    try:
        return msgspec.json.decode(await answer, type=form)
    except RefusalError as refusal:
        raise RefusedError(refusal.code, str(refusal), refusal.facts) from None
    except msgspec.DecodeError:
        raise GatewayError(f"{url} tells {what} in another form: use the same version here") from None
