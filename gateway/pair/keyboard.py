"""Single keys of a terminal, as they are pressed."""

import asyncio
import os
import select
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from typing import TextIO


class Key(Enum):
    """The keys that mean something."""

    ENTER = "Enter"
    ESCAPE = "Esc"


_CHUNK_BYTES = 64
_KEYS = {b"\r": Key.ENTER, b"\n": Key.ENTER, b"\x1b": Key.ESCAPE}


class Keyboard:
    """Keys that have been pressed and not been asked for yet."""

    def __init__(self, answers: TextIO) -> None:
        """Make one of a terminal that gives each key at once."""
        self._answers = answers
        self._pressed: asyncio.Queue[Key] = asyncio.Queue()

    async def pressed(self, within_s: float) -> Key | None:
        """The next key that means something; None if none comes."""
        try:
            async with asyncio.timeout(within_s):
                return await self._pressed.get()
        except TimeoutError:
            return None

    def forget(self) -> None:
        """What has been pressed so far was no answer to what comes now."""
        termios.tcflush(self._answers, termios.TCIFLUSH)
        while not self._pressed.empty():
            self._pressed.get_nowait()

    def read(self) -> None:
        """Take in what has been pressed. A terminal that is gone counts as Esc."""
        if not select.select([self._answers], [], [], 0)[0]:
            return  # forgotten since the loop was told that there is something: a read would wait
        try:
            typed = os.read(self._answers.fileno(), _CHUNK_BYTES)
        except OSError:
            typed = b""
        if not typed:
            asyncio.get_running_loop().remove_reader(self._answers)
        # An arrow key sends several bytes that begin with that of Esc; what is typed by hand comes one by one.
        key = _KEYS.get(typed) if typed else Key.ESCAPE
        if key is not None:
            self._pressed.put_nowait(key)


@contextmanager
def keyboard(answers: TextIO) -> Iterator[Keyboard]:
    """Get keys one by one, unseen, for as long as the context is open; Ctrl-C still ends the program."""
    before = termios.tcgetattr(answers)
    loop = asyncio.get_running_loop()
    keys = Keyboard(answers)
    tty.setcbreak(answers, termios.TCSADRAIN)
    loop.add_reader(answers, keys.read)
    try:
        yield keys
    finally:
        loop.remove_reader(answers)
        with suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(answers, termios.TCSADRAIN, before)
