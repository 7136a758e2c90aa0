"""Questions to whoever sits at the terminal."""

import asyncio
import termios
from typing import TextIO

from rich.console import Console
from rich.text import Text

from gateway.terminal.layout import width_of, wrapped


async def is_agreed(question: str, console: Console, answers: TextIO) -> bool:
    """Whether a person says yes; anything else is no.

    Args:
        question: One that can be answered so, without what may be typed.
        console: Of the terminal.
        answers: What is typed there.
    """
    return await answered(f"{question} [y/N]", console, answers) in {"y", "yes"}


async def answered(question: str, console: Console, answers: TextIO) -> str:
    """What a person types, in lower case without spaces around it.

    Args:
        question: With what may be typed.
        console: Of the terminal.
        answers: What is typed there.

    Raises:
        CancelledError: If they press Ctrl-C; the line of the question is ended before.
    """
    termios.tcflush(answers, termios.TCIFLUSH)  # what was typed before the question is no answer to it
    console.print(Text("\n").join(wrapped(question, width_of(console) - 2)), end=" ")
    try:
        return (await _line_of(answers)).strip().lower()
    except asyncio.CancelledError:
        console.print()
        raise


async def _line_of(answers: TextIO) -> str:
    """One line that a person types, waited for so that Ctrl-C still ends the program."""
    loop, is_typed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(answers, is_typed.set)
    try:
        await is_typed.wait()
    finally:
        loop.remove_reader(answers)
    return answers.readline()
