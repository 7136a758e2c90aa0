"""A loop in which a gateway can die at any moment: between two turns, or in the middle of what it does to the disk.

The gateway's threads are played by the loop, so that a day is the same whenever it is played again. What one of them is
given is done at once, and the answer comes as late as the disk is slow.
"""

import asyncio
import errno
import os
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.endurance.world import VirtualLoop

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Dead(BaseException):
    """The gateway has died in the middle of this."""


class Trouble(StrEnum):
    """What a disk does to whoever writes."""

    FULL = "full"
    READ_ONLY = "read-only"
    BROKEN = "broken"


_ERRORS = {
    Trouble.FULL: (errno.ENOSPC, {"write", "pwrite", "mkdir", "posix_fallocate"}),
    Trouble.READ_ONLY: (
        errno.EROFS,
        {"open", "write", "pwrite", "mkdir", "posix_fallocate", "rename", "unlink", "ftruncate", "chmod"},
    ),
    Trouble.BROKEN: (errno.EIO, {"write", "pwrite", "fsync", "fdatasync", "posix_fallocate"}),
}
_HOOKED = ("open", "write", "pwrite", "fsync", "fdatasync", "ftruncate", "rename", "unlink", "mkdir", "posix_fallocate")


@dataclass
class Life:
    """One of a gateway's.

    Attributes:
        die: Called when its moment has come.
        tasks: All that it has begun.
        turns: Of the loop, until it dies; None if it does not.
        instants: The same of what it does to the disk: before each, in the middle of each write, and after each.
        trouble: What the disk does to it.
        latency_s: What the disk takes for each job.
    """

    die: Callable[[], None]
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    turns: int | None = None
    instants: int | None = None
    trouble: Trouble | None = None
    latency_s: float = 0.0
    is_dead: bool = False
    free_s: dict[object, float] = field(default_factory=dict)


_LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


class MortalLoop(VirtualLoop):
    """Whatever is begun within `lived` belongs to that life.

    Attributes:
        life: Whose turns are counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.life: Life | None = None
        self._acting: Life | None = None
        self.set_task_factory(_begun)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: object) -> asyncio.Future[Any]:
        """Do it now; let it be told when the thread would be done."""
        future: asyncio.Future[Any] = self.create_future()
        life = _LIFE.get()
        self._acting = None if life is None or life.is_dead else life
        try:
            result, tell = func(*args), future.set_result
        except Dead:
            return future
        except Exception as error:  # noqa: BLE001 - it is handed on
            result, tell = error, future.set_exception
        finally:
            self._acting = None
        if life is None or not life.latency_s:
            self.call_soon(_unless_done, future, tell, result)
        else:
            life.free_s[executor] = max(life.free_s.get(executor, 0.0), self.time()) + life.latency_s
            self.call_at(life.free_s[executor], _unless_done, future, tell, result)
        return future

    def on_disk(self, name: str, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Something is done to the disk."""
        life = self._acting
        is_reading = name == "open" and not (args[1] & _WRITING)
        if life is None or is_reading or "dir_fd" in kwargs:
            if life is not None and not is_reading:
                self._instant(life)
            return call(*args, **kwargs)
        if life.trouble is not None and name in _ERRORS[life.trouble][1]:
            code = _ERRORS[life.trouble][0]
            raise OSError(code, os.strerror(code))
        self._instant(life)
        if name in {"write", "pwrite"} and life.instants == 0:
            call(args[0], args[1][: len(args[1]) // 2], *args[2:])
        self._instant(life)
        result = call(*args, **kwargs)
        self._instant(life)
        return result

    def _instant(self, life: Life) -> None:
        if life.instants is None:
            return
        if life.instants > 0:
            life.instants -= 1
            return
        self._acting = None
        life.die()
        raise Dead

    def _run_once(self) -> None:
        life = self.life
        if life is not None and life.turns is not None and not life.is_dead:
            life.turns -= 1
            if life.turns < 0:
                life.die()
        super()._run_once()  # type: ignore[misc]


@contextmanager
def lived(life: Life) -> Iterator[None]:
    """Whatever is begun within is a life's, and whatever is begun by that."""
    token = _LIFE.set(life)
    try:
        yield
    finally:
        _LIFE.reset(token)


def _begun(
    loop: asyncio.AbstractEventLoop,
    coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    context: Context | None = None,
) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, context=context)
    life = _LIFE.get() if context is None else context.get(_LIFE)
    if life is not None:
        life.tasks.append(task)
        task.add_done_callback(life.tasks.remove)
    return task


def _unless_done(future: asyncio.Future[Any], tell: Callable[[Any], None], result: object) -> None:
    if not future.done():
        tell(result)


@contextmanager
def hooked(loop: MortalLoop) -> Iterator[None]:
    """Let the loop see what is done to the disk."""
    originals = {name: getattr(os, name) for name in _HOOKED}

    def hook(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            return loop.on_disk(name, originals[name], args, kwargs)

        return call

    for name in _HOOKED:
        setattr(os, name, hook(name))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(os, name, original)
