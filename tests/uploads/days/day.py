"""A day of recordings: a cloud that stays, a gateway that lives, dies and comes again, people, a card, and a model."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp

from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.faults import Faults
from gateway.simulator.server import running
from gateway.uploads import display
from gateway.uploads.keeping import ledger, retention
from gateway.uploads.recording import DELETED, FOR_A_PERSON, Recording, State
from gateway.uploads.sending import uploader
from gateway.uploads.taking import inbox
from gateway.uploads.taking.naming import Known
from tests.uploads.days.harm import Harm
from tests.uploads.days.lives import End, Lives
from tests.uploads.days.living import Settings
from tests.uploads.days.model import Model
from tests.uploads.days.mortal import MortalLoop, Trouble, hooked
from tests.uploads.days.people import People
from tests.uploads.days.story import Story
from tests.uploads.sending.bringing import Ours, wall_ms

TRACKERS = 2
HEALTHY = Faults(initially_owned=TRACKERS, job_delay_s=4)

AT_REST = {State.DONE, State.CORRUPT, State.MISSING, *DELETED}

SETTLED_S = 40 * 3600.0
_LOOK_S = 600.0
_MENDED_S = 120.0

_PACES = {
    (module, name): getattr(module, name)
    for module, names in (
        (uploader, ("TURN_S",)),
        (ledger, ("TURN_S",)),
        (retention, ("TURN_S",)),
        (display, ("_TURN_S", "_ROOM_S")),
        (inbox, ("_TURN_S", "_LULL_S", "LOOK_S")),
    )
    for name in names
}
"""How often the parts look for something to do. Where days pass, that is less often."""

_SLOWEST_S = 300.0
_LOOKS = 200


class Day:
    """One of them.

    Attributes:
        cloud: The simulated cloud.
        lives: Of the gateway.
        people: Who have to do with it.
        story: What has happened so far.
    """

    def __init__(
        self, cloud: SimulatedCloud, lives: Lives, people: People, settings: Settings, model: Model, story: Story
    ) -> None:
        self.cloud, self.lives, self.people, self.story = cloud, lives, people, story
        self._settings, self._model = settings, model

    def faults(self, **knobs: object) -> None:
        """The cloud is as healthy as these let it be."""
        self.story.note(f"cloud {knobs}")
        self.cloud.faults = HEALTHY.merged({**knobs, "lookup_enabled": self._settings.is_lookup})

    def look_up(self, *, is_lookup: bool) -> None:
        """Whether the cloud can be asked what it has, and the next life knows that."""
        self.story.note(f"lookup {is_lookup}")
        self._settings.is_lookup = is_lookup
        self._model.is_blind = self._model.is_blind or not is_lookup
        self.cloud.faults = self.cloud.faults.merged({"lookup_enabled": is_lookup})

    def limit(self, max_bytes_per_s: float | None) -> None:
        """What the next life may take of the line."""
        self._settings.max_bytes_per_s = max_bytes_per_s

    def jump(self, error_s: float, *, is_sure: bool) -> None:
        """The gateway's clock is wrong from now on."""
        self.story.note(f"clock {error_s:+} s, {'sure' if is_sure else 'unsure'}")
        self._settings.clock_error_ms, self._settings.is_clock_sure = round(error_s * 1000), is_sure

    def move(self, place: int, *, is_ours: bool) -> None:
        """A tracker goes, or comes back."""
        device = self.cloud.devices[place]
        self.story.note(f"tracker {place} {'is ours' if is_ours else 'goes'}")
        self.cloud.move(device.device_id, "ours" if is_ours else "other")
        if is_ours:
            self._settings.ours.ids[device.serial_number] = device.device_id
        else:
            self._settings.ours.ids.pop(device.serial_number, None)

    async def trouble(self, what: Trouble, duration_s: float) -> None:
        """The disk refuses for a while."""
        await self.lives.refuse(what)
        await self.passing(duration_s)
        await self.lives.refuse(None)

    async def end(self, how: End, harms: Sequence[Harm] = (), *, within_s: float = 0.0, **when: Any) -> None:
        """A life of the gateway ends, as `Lives.end` has it."""
        with _paced(min(within_s / _LOOKS, _SLOWEST_S)):
            await self.lives.end(how, harms, within_s=within_s, **when)

    async def passing(self, seconds: float) -> None:
        """Time passes."""
        pace = min(seconds / _LOOKS, _SLOWEST_S)
        if pace > 1:
            with _paced(pace):
                await asyncio.sleep(seconds - 2 * pace)
            seconds = 2 * pace
        await asyncio.sleep(seconds)

    async def calm(self) -> None:
        """All is well, and people answer what they are asked: so everything gets into the cloud."""
        self.story.note("calm")
        self.people.finish()
        self.faults()
        self.jump(0, is_sure=True)
        for place in range(TRACKERS):
            self.move(place, is_ours=True)
        await self.lives.refuse(None)
        self.lives.slow(0)
        await self.passing(_MENDED_S)
        await self.people.answered()
        self._check_what_is_told()
        for _ in range(round(SETTLED_S / _LOOK_S)):
            await self.people.answer()
            await self.passing(_LOOK_S)
            await self.check()
            if not self._model.lying and all(one.state in AT_REST for one in self._known.values()):
                break
        else:
            await self._blame_the_rest()
        await self.passing(_MENDED_S)
        self._check_what_is_told()
        self._check_what_is_left()
        await self.check()

    async def check(self) -> None:
        """What must be true at any time."""
        gateway = self.lives.gateway
        await self.people.look("?all=true")
        for text in self._model.faults(
            self._known, self.cloud.jobs.all, self.cloud.now_ms(), gateway.spool.path, self.lives.world / "inbox"
        ):
            self.story.blame(text)
        for path in self.people.copied:
            if not path.exists():
                self.story.blame(f"{path.name} was taken while it was written")
        assert not self.story.problems, "\n".join(
            [str(self.story), "", *map(self._trail, self._known), "", *self.story.problems]
        )

    @property
    def _known(self) -> dict[str, Recording]:
        return dict(self.lives.gateway.ledger.recordings)

    def _trail(self, sha256: str) -> str:
        one = self._known[sha256]
        start_ms = wall_ms() - round(asyncio.get_running_loop().time() * 1000)
        steps = " ".join(f"{step.state}@{(step.at_ms - start_ms) / 1000}" for step in one.trail)
        return f"{one.id} {one.size} {one.serial_number} v{one.version} {steps}"

    def _check_what_is_told(self) -> None:
        told = {problem.code for problem in self.lives.gateway.problems}
        if any(one.state in FOR_A_PERSON for one in self._known.values()) != ("recordings_waiting_for_person" in told):
            self.story.blame(f"what waits for somebody is not what is told: {told}")
        if told & {"recordings_disk", "inbox_unreadable"}:
            self.story.blame(f"all is well, and people are told {told}")

    def _check_what_is_left(self) -> None:
        spool = self.lives.gateway.spool
        for one in self._known.values():
            if one.state in DELETED and spool.path(one.sha256).exists():
                self.story.blame(f"{one.id} is {one.state}, and its file is there")
        for path in spool.folder.glob(".*.part"):
            self.story.blame(f"{path.name} is left in the spool")

    async def _blame_the_rest(self) -> None:
        for one in self._known.values():
            if one.state not in AT_REST:
                told = await self.people.look(f"/{one.sha256}")
                self.story.blame(f"{one.id} is {one.state} long after all is well: {told['text']}; {told['action']}")
        for it in self.lives.gateway.inbox.waiting:
            self.story.blame(f"{it.name} lies in the inbox long after all is well: {it.code}, {it.text}")


class _Listener(logging.Handler):
    """Blames what is logged and should not happen."""

    def __init__(self, story: Story) -> None:
        super().__init__()
        self._story = story

    def emit(self, record: logging.LogRecord) -> None:
        if "nexpected" in record.msg or record.exc_info:
            self._story.blame(f"logged: {record.getMessage()} {record.exc_info}")


@asynccontextmanager
async def day(folder: Path, seed: int) -> AsyncIterator[Day]:
    """A day that has begun."""
    loop = cast("MortalLoop", asyncio.get_running_loop())
    cloud, model, story, dice = SimulatedCloud(TRACKERS, seed, HEALTHY, wall_ms), Model(), Story(), random.Random(seed)
    listener = _Listener(story)
    async with (
        running(cloud) as served,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout()) as http,
        asyncio.TaskGroup() as tasks,
    ):
        settings = Settings(
            served,
            tuple(Known(device.serial_number, device.device_name) for device in cloud.devices),
            Ours({device.serial_number: device.device_id for device in cloud.devices}),
            dice.random,
        )
        with hooked(loop), _listening(listener):
            lives = Lives(folder, settings, model, story, tasks, loop, dice)
            people = People(lives, settings.known, model, story, tasks, http)
            await lives.start()
            try:
                yield Day(cloud, lives, people, settings, model, story)
            finally:
                await lives.stop()
                await people.leave()


@contextmanager
def _listening(listener: logging.Handler) -> Iterator[None]:
    logger = logging.getLogger("gateway")
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)


@contextmanager
def _paced(pace_s: float) -> Iterator[None]:
    """Let the parts look less often."""
    try:
        for (module, name), seconds in _PACES.items():
            setattr(module, name, max(seconds, pace_s))
        yield
    finally:
        for (module, name), seconds in _PACES.items():
            setattr(module, name, seconds)
