"""Lets a few requests begin with each turn of the event loop: a crowd at the door keeps nobody inside waiting."""

import asyncio
from collections import deque

AT_ONCE = 16


class Turnstile:
    """Who comes passes in the order of coming."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        """Make one that belongs to the running loop.

        Args:
            at_once: How many pass with one turn of the loop.
        """
        self._at_once = at_once
        self._room = at_once
        self._is_turning = False
        self._waiting = deque[asyncio.Future[None]]()

    async def passed(self) -> None:
        """Wait for one's turn."""
        loop = asyncio.get_running_loop()
        if not self._is_turning:
            self._is_turning = True
            loop.call_soon(self._turn)
        if self._room:
            self._room -= 1
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _turn(self) -> None:
        self._room = self._at_once
        while self._waiting and self._room:
            turn = self._waiting.popleft()
            if not turn.done():  # else whoever waited has hung up
                turn.set_result(None)
                self._room -= 1
        self._is_turning = self._room < self._at_once
        if self._is_turning:
            asyncio.get_running_loop().call_soon(self._turn)
