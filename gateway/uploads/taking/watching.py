"""What the kernel tells of changes in folders. Nothing depends on it, so nothing that goes wrong here goes further."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from watchfiles import Change, watch

from gateway.worker import Worker

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
        # A stick that hangs holds up who asks the kernel to watch it: this thread, and no other.
        worker = Worker("watch")
        told = ""
        try:
            while True:
                self._moved.clear()
                if not self._folders:
                    await self._moved.wait()
                    continue
                try:
                    await self._listen(worker)
                except Exception as error:  # noqa: BLE001 - without it things take longer, and that is all
                    # Not what it says, which may name a file.
                    if (kind := type(error).__name__) != told:
                        _LOG.warning("Changes in the inbox are noticed later than they could be (%s)", kind)
                        told = kind
                    await asyncio.sleep(_AGAIN_S)
        finally:
            self._moved.set()
            worker.close()

    async def _listen(self, worker: Worker) -> None:
        """Until there are other folders to listen to."""
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
        while (changed := await worker.run(lambda: _next(changes))) is not None:
            if changed or is_news:
                self._wake()
            is_news = False


def _next(changes: Iterator[set[tuple[Change, str]]]) -> set[tuple[Change, str]] | None:
    try:
        return next(changes, None)
    except Exception:
        raise
    except BaseException as panic:  # noqa: BLE001 - what Rust calls a panic; it would end the gateway
        raise RuntimeError(type(panic).__name__) from None


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
