"""What needs an access token, done again with another where that may help."""

from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

from gateway.cloud.auth import AccessToken, Authoriser
from gateway.cloud.errors import Forbidden, Unauthorized

T = TypeVar("T")


class Replay:
    """Remembers which token worked for what.

    Args:
        authoriser: Where tokens come from.
    """

    def __init__(self, authoriser: Authoriser) -> None:
        self._authoriser = authoriser
        self._worked_with: dict[Hashable, AccessToken] = {}

    async def perform(self, thing: Hashable | None, attempt: Callable[[AccessToken], Awaitable[T]]) -> T:
        """Attempt something, and once more with another token if this one was refused and that may be its fault.

        Args:
            thing: What the right is asked for; None if that it worked once says nothing about the next time.
            attempt: Done with a token.

        Raises:
            CloudError: What the last attempt raised, or why there is no token.
        """
        token = await self._authoriser.token()
        try:
            value = await attempt(token)
        except (Unauthorized, Forbidden) as refusal:
            # A missing right may be the token's fault only where the same token used to work: if the next one does not
            # help, the right is gone, and no further token is spent on it.
            if isinstance(refusal, Forbidden) and (thing is None or self._worked_with.get(thing) is not token):
                raise
            another = await self._authoriser.another(token)
            if another is None:
                raise
            token = another
            value = await attempt(token)
        if thing is not None:
            self._worked_with[thing] = token
        return value
