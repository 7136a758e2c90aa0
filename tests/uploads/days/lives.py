"""The lives of a gateway, one after another: how each ends, and what becomes of the card meanwhile."""

import asyncio
import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from gateway.uploads.keeping.spool import FOLDER
from gateway.uploads.recording import DELETED, Recording
from tests.uploads.days.harm import LOST, Book, Harm
from tests.uploads.days.living import Gateway, Settings, living
from tests.uploads.days.model import Model
from tests.uploads.days.mortal import Life, MortalLoop, Trouble, lived
from tests.uploads.days.story import Story


class End(StrEnum):
    """How a life ends."""

    STOP = "stop"
    DEATH = "death"
    DEATHS = "deaths"
    """The next one dies when it begins."""


class Lives:
    """The gateway, what it has on the disk, and what it finds when it comes again.

    Attributes:
        world: The folder of the life that is lived: "state" and "inbox" are in it.
        last: The recordings at the end of the last life.
        on_moved: Called when there is another folder.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        model: Model,
        story: Story,
        tasks: asyncio.TaskGroup,
        loop: MortalLoop,
        dice: random.Random,
    ) -> None:
        self.world = folder / "0"
        self.last: Mapping[str, Recording] = {}
        self.on_moved: Callable[[], None] = _nothing
        self._folder, self._settings = folder, settings
        self._model, self._story = model, story
        self._tasks, self._loop, self._dice = tasks, loop, dice
        self._number = 0
        self._life = Life(self._die)
        self._work: asyncio.Task[None] | None = None
        self._gateway: Gateway | None = None
        self._up = asyncio.Event()
        self._harmed: set[Book] = set()
        (self.world / "state").mkdir(parents=True)
        (self.world / "inbox").mkdir()

    @property
    def gateway(self) -> Gateway:
        """The one that lives."""
        assert self._gateway is not None
        return self._gateway

    async def start(self, turns: int | None = None, instants: int | None = None) -> None:
        """A life begins; it may end before it has begun, and then another one begins."""
        self._life = self._loop.life = life = Life(self._die, turns=turns, instants=instants)
        self._up.clear()
        with lived(life):
            self._work = work = self._tasks.create_task(self._live())
        up = self._tasks.create_task(self._up.wait())
        await asyncio.wait({work, up}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if life.is_dead:
            await asyncio.wait({work})
            await self.start()
            return
        life.turns = life.instants = None
        if work.done():
            work.result()
        self._story.note("the gateway is up")
        self._compare()

    async def end(
        self,
        how: End,
        harms: Sequence[Harm] = (),
        *,
        turns: int | None = None,
        instants: int | None = None,
        within_s: float = 0.0,
        pause_s: float = 0.0,
    ) -> None:
        """A life ends, things happen to the card meanwhile, and the next one begins.

        Args:
            how: In which way.
            harms: What happens to the card.
            turns: Of the loop until it dies.
            instants: The same of what it does to the disk.
            within_s: When it dies at the latest.
            pause_s: Until the next one.
        """
        assert self._work is not None
        if how is End.STOP:
            await self.stop()
        else:
            self._life.turns, self._life.instants = turns, instants
            await asyncio.wait({self._work}, timeout=within_s)
            if not self._life.is_dead:
                self._die()
            await asyncio.wait({self._work})
        for harm in harms:
            self._harm(harm)
        await asyncio.sleep(pause_s)
        if how is End.DEATHS:
            await self.start(turns, instants)
        else:
            await self.start()

    async def stop(self) -> None:
        """A life ends in order."""
        assert self._work is not None
        self._story.note("the gateway is stopped")
        self._loop.life = None
        self._work.cancel()
        await asyncio.wait({self._work})
        self._remember()

    def spoil(self, number: int, *, is_deleted: bool) -> None:
        """The file of a recording, or of another one if that is not in the spool, is damaged or deleted."""
        its = self.world / "state" / FOLDER / f"{self._model.content(number)}.asi"
        files = [its] if its.exists() else sorted(its.parent.glob("*.asi"))
        if not files:
            return
        path = files[number % len(files)]
        self._story.note(f"{path.name[:8]} is {'deleted' if is_deleted else 'damaged'}")
        self._model.harmed.add(path.stem)
        self._harmed.add(Book.FILES)
        if is_deleted:
            path.unlink()
        else:
            content = bytearray(path.read_bytes())
            content[self._dice.randrange(len(content))] ^= 1 << self._dice.randrange(8)
            path.write_bytes(content)

    async def refuse(self, what: Trouble | None) -> None:
        """The disk refuses to be written from now on; or does not any more."""
        self._story.note(f"the disk is {what or 'well'}")
        self._life.trouble = what
        if what in {Trouble.BROKEN, Trouble.READ_ONLY}:
            with suppress(OSError):
                await self.gateway.store.read(lambda it: it.execute("PRAGMA query_only = ON").fetchall())

    def slow(self, latency_s: float) -> None:
        """The disk takes its time from now on."""
        self._story.note(f"the disk takes {latency_s} s")
        self._life.latency_s = latency_s

    @property
    def _is_forgetful(self) -> bool:
        """Whether something of both books is lost, since a life has begun well."""
        return all(self._harmed & books for books in LOST)

    async def _live(self) -> None:
        with suppress(asyncio.CancelledError):
            async with living(self.world, self._settings) as self._gateway:
                self._up.set()
                await asyncio.Event().wait()

    def _die(self) -> None:
        """Whatever goes on after this goes on in a world that is nobody's any more."""
        self._story.note("the gateway dies")
        self._life.is_dead = True
        self._loop.life = None
        if self._up.is_set():
            self._remember()
        self._number += 1
        world = self._folder / str(self._number)
        shutil.copytree(self.world, world, symlinks=True)
        self.world = world
        self.on_moved()
        for task in list(self._life.tasks):
            task.cancel()

    def _remember(self) -> None:
        self.last = dict(self.gateway.ledger.recordings)
        self._model.acknowledged |= self.last.keys()

    def _harm(self, harm: Harm) -> None:
        state = self.world / "state"
        if not harm.act(state, self._dice):
            return
        self._story.note(f"the card: {harm.name}")
        self._harmed.add(harm.book)
        if not self._is_forgetful:
            return
        self._model.is_forgetful = True
        if self._harmed & {Book.LOG, Book.TAIL}:
            self._model.doubtful |= self._model.contents.keys()
        for sha256, one in self.last.items():
            if one.state in DELETED or not (state / FOLDER / f"{sha256}.asi").exists():
                self._model.forgotten.add(sha256)

    def _compare(self) -> None:
        """With what was known before."""
        ledger = self.gateway.ledger
        if not self._is_forgetful:
            for sha256, old in self.last.items():
                new = ledger.recordings.get(sha256)
                if new is None or new.version < old.version:
                    self._story.blame(f"{old.id} has become older than {old.state}")
        if not self._harmed and ledger.damage is not None:
            self._story.blame(f"nobody has done any damage, and this is told: {ledger.damage}")
        if ledger.trouble is None:
            self._harmed.clear()


def _nothing() -> None:
    pass
