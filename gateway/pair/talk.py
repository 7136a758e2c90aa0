"""The person at the terminal, or the pipe that takes the place of one."""

import getpass
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TextIO

import msgspec
from rich.console import Console
from rich.text import Text

from gateway.terminal.asking import is_agreed
from gateway.terminal.errors import CommandError
from gateway.terminal.layout import width_of, wrapped

_UNLIMITED = 1 << 16
"""Columns of a pipe: whoever reads there wants each sentence whole."""


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
        return width_of(self.console) if self.console.is_terminal else _UNLIMITED

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

    async def is_agreed(self, question: str) -> bool:
        """Whether a person says yes; only where one can be asked."""
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
        if not await self.is_agreed(question):
            raise CommandError("Left as it was.")


def author() -> str:
    """Who sits here, as the machine knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
