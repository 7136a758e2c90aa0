"""What has happened on a day, by its clock, and what must not have."""

import asyncio


class Story:
    """Is told.

    Attributes:
        problems: What must not have happened.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._lines: list[str] = []

    def note(self, text: str) -> None:
        """Something has happened."""
        self._lines.append(f"{asyncio.get_running_loop().time():12.3f} {text}")

    def blame(self, text: str) -> None:
        """Something has happened that must not."""
        self.note(f"!!! {text}")
        self.problems.append(text)

    def __str__(self) -> str:
        return "\n".join(self._lines)
