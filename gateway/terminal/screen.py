"""The console of a command."""

from rich.console import Console


class Screen(Console):
    """Prints to the terminal, or to whoever reads our output; one that is gone is an error like any other."""

    def on_broken_pipe(self) -> None:
        """Let the command end in its own way, where rich would exit in the middle of a task."""
        raise BrokenPipeError
