"""The person at the terminal, or the pipe that takes the place of one."""

import asyncio
import getpass
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO, TypeVar

import msgspec
from rich.console import Console
from rich.text import Text

from gateway.terminal.asking import answered, is_agreed
from gateway.terminal.errors import CommandError
from gateway.terminal.layout import UNLIMITED, width_of, wrapped

_T = TypeVar("_T")

LEFT = "Left as it was."
"""After a question that was not agreed to, where nothing has been done before."""


@dataclass(frozen=True, slots=True)
class Talk:
    """Where a command prints, and where the answers to its questions come from."""

    console: Console
    answers: TextIO

    @property
    def is_possible(self) -> bool:
        """Whether a question would be read and answered."""
        return self.console.is_terminal and self.answers.isatty()

    @property
    def width(self) -> int:
        """How many columns there are; into a pipe as many as it takes."""
        return width_of(self.console) if self.console.is_terminal else UNLIMITED

    def say(self, sentence: str, style: str = "", lead: str = "") -> None:
        """Print a sentence, wrapped where there is an edge."""
        self.show(wrapped(sentence, self.width, style, lead))

    def show(self, lines: Iterable[Text]) -> None:
        """Print lines that are no wider than `width`."""
        for line in lines:
            self.console.print(line, soft_wrap=True)

    def document(self, told: msgspec.Struct) -> None:
        """Print one JSON document."""
        self.console.file.write(msgspec.json.encode(told).decode() + "\n")

    @contextmanager
    def said_if_stopped(self, sentence: str) -> Iterator[None]:
        """Print a sentence if Ctrl-C ends what is done meanwhile."""
        try:
            yield
        except asyncio.CancelledError:
            self.say(sentence)
            raise

    async def is_agreed(self, question: str, if_not: str) -> bool:
        """Whether a person says yes; only where one can be asked.

        Args:
            question: One that can be answered so.
            if_not: What is so then: told to who presses Ctrl-C, and else left to the caller.
        """
        with self.said_if_stopped(if_not):
            return await is_agreed(question, self.console, self.answers)

    async def agree(self, question: str, otherwise: str) -> None:
        """Go on only if a person says yes.

        Args:
            question: One that can be answered so.
            otherwise: The sentence where nobody can be asked: how to say beforehand that it shall be done.

        Raises:
            CommandError: If nobody says so.
        """
        if not self.is_possible:
            raise CommandError(otherwise)
        if not await self.is_agreed(question, LEFT):
            raise CommandError(LEFT)

    async def choose(self, question: str, choices: Mapping[str, _T]) -> _T:
        """What a person chooses of several; only where one can be asked.

        Args:
            question: With what may be typed.
            choices: By what is to be typed, in lower case.

        Raises:
            CommandError: If they type something else.
        """
        with self.said_if_stopped(LEFT):
            typed = await answered(question, self.console, self.answers)
        if typed not in choices:
            raise CommandError(LEFT)
        return choices[typed]


def author() -> str:
    """Who sits here, as the machine knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
