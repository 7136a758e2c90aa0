"""What the kernel tells of changes in folders. Nothing depends on it, so nothing that goes wrong here goes further."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice

from watchfiles import watch

_MAX_FOLDERS = 200
_STEP_MS = 250
_TURN_MS = 1000
_AGAIN_S = 60.0

_LOG = logging.getLogger(__name__)


class Watch:
    """Calls when something changes."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """Listens to nothing yet.

        Args:
            wake: Called in the event loop when something may have changed.
        """
        self._wake = wake
        self._folders: tuple[str, ...] = ()
        self._moved = asyncio.Event()

    def follow(self, folders: Iterable[str]) -> None:
        """Listen to these from now on, each for itself and not for what is below.

        Not to those whose paths are no UTF-8, which watchfiles does not know, nor to more than a few hundred.

        Args:
            folders: Their paths, with bytes that are no UTF-8 as Python keeps them (surrogates).
        """
        self._folders = tuple(islice(filter(_is_utf8, folders), _MAX_FOLDERS))
        self._moved.set()

    async def run(self) -> None:
        """Listen until cancelled."""
        told = ""
        try:
            while True:
                self._moved.clear()
                if not self._folders:
                    await self._moved.wait()
                    continue
                failure = await self._listen()
                if failure:
                    if failure != told:
                        _LOG.warning(
                            "Changes in the inbox are noticed later than they could be: %(state)s", {"state": failure}
                        )
                        told = failure
                    await asyncio.sleep(_AGAIN_S)
        finally:
            self._moved.set()

    async def _listen(self) -> str:
        """Until there are other folders to listen to; the kind of what has gone wrong, or "" if nothing has."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[str] = loop.create_future()

        def end(failure: str) -> None:
            if not ended.done():
                ended.set_result(failure)

        def listen() -> None:
            # Nobody waits for this thread any more where the loop is closed.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(end, self._heard(lambda: loop.call_soon_threadsafe(self._wake)))

        # A stick that hangs holds up who asks the kernel to watch it: this thread, and no other.
        try:
            threading.Thread(target=listen, name="watch").start()
        except RuntimeError as error:
            return type(error).__name__
        return await ended

    def _heard(self, wake: Callable[[], object]) -> str:
        try:
            changes = watch(
                *self._folders,
                watch_filter=None,
                step=_STEP_MS,
                rust_timeout=_TURN_MS,
                yield_on_timeout=True,
                stop_event=self._moved,
                recursive=False,
                ignore_permission_denied=True,
            )
            # By the first answer it is listened to; nobody has told of what came before.
            is_news = True
            for changed in changes:
                if changed or is_news:
                    wake()
                is_news = False
        except BaseException as error:  # noqa: BLE001 - without it things take longer; and Rust's panics are no Exception
            # Not what it says, which may name a file.
            return type(error).__name__
        return ""


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
