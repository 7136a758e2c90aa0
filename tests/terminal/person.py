"""Who sits in front of a command: at a real pseudo-terminal, or nobody, where a pipe takes what is printed."""

import asyncio
import io
import os
import pty
import select
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TextIO

from rich.console import Console

from gateway.terminal.talk import Talk

_LATE_S = 0.02
"""So long the kernel may take with what was printed last."""


def pipe() -> tuple[Talk, io.StringIO]:
    """Nobody: what a program or a file gets to read."""
    out = io.StringIO()
    return Talk(Console(file=out), io.StringIO("y\n")), out


class Person:
    """Reads everything that is printed, and types what was said for it once it is there.

    Attributes:
        keyboard, screen: The terminal.
        seen: What was printed.
    """

    def __init__(self, master: int, keyboard: TextIO, screen: TextIO, answers: Mapping[str, bytes]) -> None:
        self._master = master
        self.keyboard = keyboard
        self.screen = screen
        self._answers = dict(answers)
        self.seen = ""

    @property
    def talk(self) -> Talk:
        console = Console(file=self.screen, width=80, height=24, force_terminal=True, color_system=None)
        return Talk(console, self.keyboard)

    @property
    def lines(self) -> list[str]:
        """What was printed, without what moves the cursor."""
        return [line.rstrip() for line in self.seen.replace("\r", "").splitlines()]

    @property
    def text(self) -> str:
        """The same in one line, however it was wrapped."""
        return " ".join(self.seen.split())

    @property
    def is_echoing(self) -> bool:
        """Whether the terminal is as it was before: line by line, and everything that is typed is seen."""
        flags: int = termios.tcgetattr(self.keyboard)[3]
        return bool(flags & termios.ECHO) and bool(flags & termios.ICANON)

    def answer(self, question: str, keys: bytes) -> None:
        """Type something once certain words are on the screen."""
        self._answers[question] = keys

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def read(self) -> None:
        with suppress(BlockingIOError):  # a terminal that was flushed may have nothing for who was told that it has
            self.seen += os.read(self._master, 65536).decode(errors="replace")
        for question, answer in tuple(self._answers.items()):
            if question in self.text:
                del self._answers[question]
                self.type(answer)

    async def saw(self, words: str) -> None:
        """Wait until something was printed."""
        async with asyncio.timeout(60):
            while words not in self.text:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def person(answers: Mapping[str, bytes] | None = None) -> AsyncIterator[Person]:
    """A person at a terminal of 80 by 24.

    Args:
        answers: What they type once certain words are on the screen, each once.
    """
    master, side = pty.openpty()
    os.set_blocking(master, False)
    loop = asyncio.get_running_loop()
    with os.fdopen(os.dup(side)) as keyboard, os.fdopen(side, "w", buffering=1) as screen:
        one = Person(master, keyboard, screen, answers or {})
        loop.add_reader(master, one.read)
        try:
            yield one
        finally:
            loop.remove_reader(master)
            while select.select([master], [], [], _LATE_S)[0]:
                one.read()
            os.close(master)
