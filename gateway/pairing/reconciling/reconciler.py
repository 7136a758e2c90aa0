"""Makes the trackers' sensors what is wanted: reads, plans, writes what the plan says, and does not hurry.

Decisions are the plan's. Here they meet the clock and the cloud: one action per tracker at a time, a few trackers at
once, nothing more often than the plan says.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from gateway.cloud.errors import CloudError, Throttled
from gateway.cloud.models import BluetoothConfig
from gateway.pairing.desired import Desired
from gateway.pairing.documents import ClearForm, Documents, documents_of
from gateway.pairing.evidence.sources import Evidence
from gateway.pairing.keeping.chronicle import Chronicle, Dated
from gateway.pairing.keeping.records import Records
from gateway.pairing.observation import Fleet, Mode, Trouble
from gateway.pairing.planning.plan import Plan, State, Write, plan
from gateway.pairing.reconciling.attempts import FOR_ALL, Connection, trouble_of
from gateway.pairing.reconciling.journal import Journal
from gateway.pairing.reconciling.observing import Observer
from gateway.pairing.reconciling.remembering import after_reading, with_form, without_intent
from gateway.pairing.reconciling.watching import Watch
from gateway.pairing.reconciling.writing import Configs, End, Writer

_LOG = logging.getLogger(__name__)

TURN_S = 1.0

PLAN_S = 10.0
"""How old the plan may become while nothing happens: time alone makes some things true."""

MAX_AT_ONCE = 4
"""Actions under way: enough for a thousand trackers, and few enough to leave the cloud's slots to the live data."""

SHORTEST_S = 1.0
"""No tracker is read more often, whatever the plan says."""

UNPLANNED_S = 120.0
"""How often a tracker is read that is ours and not configured."""

_AT_REST = {State.IN_SYNC, State.UNMANAGED, State.AWAITING_DEVICE, State.STALLED}


@dataclass(frozen=True, slots=True)
class Options:
    """Settings.

    Attributes:
        mode: What is done about changes by others.
        clear_form: How the cloud is told that a slot shall have no sensor.
    """

    mode: Mode = Mode.PROPOSE
    clear_form: ClearForm = ClearForm.NULL


class Reconciler:
    """Of all trackers.

    Attributes:
        plan: What is true, and what is to be done; made anew whenever something has changed.
        dated: The conditions of each tracker, each with since when it is what it is, epoch ms.
    """

    def __init__(
        self,
        cloud: Configs,
        records: Records,
        roster: Sequence[str],
        evidence: Evidence,
        options: Options,
        utc_ms: Callable[[], int],
        is_clock_sure: Callable[[], bool],
        on_forbidden: Callable[[str], None],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Make it know nothing of the cloud.

        Args:
            cloud: Is read and written.
            records: What is wanted, remembered and approved; loaded.
            roster: Serial numbers of the configured trackers.
            evidence: The rest of the gateway.
            options: Settings.
            utc_ms: The wall clock, epoch ms.
            is_clock_sure: Whether that can be trusted.
            on_forbidden: Called with the serial number of a tracker that does not seem to be ours any more.
            jitter: Uniform in [0, 1).
        """
        self._cloud = cloud
        self._records = records
        self._roster = tuple(roster)
        self._clear_form = options.clear_form
        self._utc_ms = utc_ms
        self._on_forbidden = on_forbidden
        self._jitter = jitter
        self._now = asyncio.get_running_loop().time
        self._journal = Journal(records)
        self._observer = Observer(records, self._journal, roster, evidence, options.mode, utc_ms, is_clock_sure)
        self._writer = Writer(cloud, self._journal, options.clear_form, utc_ms)
        self._chronicle = Chronicle(records)
        self._connection = Connection()
        self._busy: set[str] = set()
        self._due: deque[str] = deque()
        self._writing_since_s: dict[str, float] = {}
        self._planned_s = self._now()
        self._is_changed = True
        self._woken = asyncio.Event()
        self.plan = Plan({}, (), "")
        self.dated: Dated = {}
        self._replan(self._now())

    @property
    def current(self) -> dict[str, BluetoothConfig]:
        """The last answer for each of our trackers that has one, by serial number."""
        return self._observer.current

    @property
    def is_complete(self) -> bool:
        """Whether it is known which trackers are ours, and of each of them what it listens to."""
        return self._observer.is_complete

    def desired(self, serial_number: str) -> Desired:
        """What is wanted of a tracker."""
        return self._observer.desired(serial_number)

    def fleet(self) -> Fleet:
        """All that the plan is made from, as it is now."""
        return self._observer.fleet(self._writing_since_s)

    def read_ms(self, serial_number: str) -> int | None:
        """When the cloud last said what it knows of a tracker, epoch ms; None if it did not yet."""
        watch = self._observer.watches.get(serial_number)
        return None if watch is None else watch.read_ms

    def assign(self, owned: Mapping[str, int]) -> None:
        """These trackers are ours, by serial number with their id in the cloud; what others had is forgotten."""
        self._observer.assign(owned)
        self.wake()

    def wake(self) -> None:
        """Something else is wanted, or may be done: look at once."""
        self._woken.set()

    def retry(self, serial_number: str | None) -> None:
        """A person says to try again now: one tracker, or all."""
        for serial, watch in self._observer.watches.items():
            if serial_number in {None, serial}:
                watch.forgive()
        self.wake()

    async def run(self, beat: Callable[[], None]) -> None:
        """Read, plan and write until cancelled; a write that is cut short is gone on from by whoever comes next.

        Args:
            beat: Called with every turn.
        """
        self._take_over()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._journal.run(), name="journal of the pairings")
            while True:
                beat()
                try:
                    self._turn(tasks)
                except Exception as error:  # noqa: BLE001 - the edge of a task: what is decided next may be all right
                    _unexpected(error)
                # Not wait_for, which in Python 3.11 forgets a stop that meets the call to wake.
                with suppress(TimeoutError):
                    async with asyncio.timeout(TURN_S):
                        await self._woken.wait()

    def _take_over(self) -> None:
        """What a process before has left: a write of unknown outcome is no reason to hurry."""
        for serial in self._roster:
            memory = self._journal.memory(serial)
            if memory.intent is not None:
                self._postpone(self._observer.watches[serial])
            self._journal.note(serial, with_form(memory, self._clear_form))

    def _turn(self, tasks: asyncio.TaskGroup) -> None:
        now_s, watches = self._now(), self._observer.watches
        is_woken = self._woken.is_set()
        self._woken.clear()
        is_news = self._observer.look() or self._is_changed
        is_waited_for = any(self._planned_s < watch.attempts.next_s <= now_s for watch in watches.values())
        if is_woken or is_news or is_waited_for or now_s - self._planned_s >= PLAN_S:
            self._replan(now_s)
        # Writes first, then whoever waits longest.
        due = [serial for serial, watch in watches.items() if self._is_due(serial, watch)]
        due.sort(key=lambda serial: (self._write_of(serial) is None, watches[serial].read_s))
        self._due = deque(due)
        self._start_actions(tasks)

    def _start_actions(self, tasks: asyncio.TaskGroup) -> None:
        while self._due and len(self._busy) < MAX_AT_ONCE:
            serial = self._due.popleft()
            watch = self._observer.watches.get(serial)
            if watch is not None and self._is_due(serial, watch):
                tasks.create_task(self._act(serial, watch, tasks), name="sensors of a tracker")
                self._busy.add(serial)

    def _replan(self, now_s: float) -> None:
        # First, so that a plan that cannot be made is not tried with every turn.
        self._planned_s, self._is_changed = now_s, False
        self.plan = plan(self.fleet())
        self.dated = self._chronicle.dated(self.plan, self._utc_ms())
        for serial, tracker in self.plan.trackers.items():
            if tracker.state in _AT_REST:
                self._observer.watches[serial].replans = 0

    def _is_due(self, serial: str, watch: Watch) -> bool:
        now_s = self._now()
        if watch.device_id is None or serial in self._busy or watch.attempts.wait_s(now_s) > 0:
            return False
        if self._write_of(serial) is not None:
            return True
        tracker = self.plan.trackers.get(serial)
        every_s = UNPLANNED_S if tracker is None else max(tracker.read_every_s, SHORTEST_S)
        return watch.is_read_due(every_s, now_s)

    def _write_of(self, serial: str) -> Write | None:
        """What is to be written; nothing as long as the outcome of another write is unknown, whatever the plan says."""
        tracker = self.plan.trackers.get(serial)
        if tracker is None or tracker.write is None or self._journal.memory(serial).intent is not None:
            return None
        return tracker.write

    async def _act(self, serial: str, watch: Watch, tasks: asyncio.TaskGroup) -> None:
        """One action about a tracker, and then the next, about whoever waits for it."""
        try:
            device_id, write = watch.device_id, self._write_of(serial)
            if device_id is None:
                pass  # it has become another account's in the same turn
            elif write is None:
                self._took(serial, watch, await self._cloud.bluetooth_config(device_id))
                self._is_answered()
            else:
                self._writing_since_s[serial] = self._now()
                await self._write(serial, watch, device_id, write)
        except CloudError as error:
            self._failed(serial, watch, error)
        except Exception as error:  # noqa: BLE001 - the edge of a task: one tracker's surprise must not end the session
            self._postpone(watch)
            _unexpected(error)
        finally:
            self._busy.discard(serial)
            self._writing_since_s.pop(serial, None)
        self._start_actions(tasks)

    async def _write(self, serial: str, watch: Watch, device_id: int, write: Write) -> None:
        outcome = await self._writer.perform(
            serial,
            device_id,
            write,
            lambda documents: self._is_still_due(serial, watch, write, documents),
            lambda config: self._took(serial, watch, config),
        )
        self._is_changed = True
        match outcome.end:
            case End.READ_BACK | End.REFUSED:
                watch.replans, watch.trouble = 0, None
                self._is_answered()
            case End.CONFLICT:
                watch.replans += 1
                self._is_answered()
            case End.WITHDRAWN | End.NOT_JOURNALED:
                self._postpone(watch)
            case End.FAILED | End.UNKNOWN if outcome.error is not None:
                self._failed(serial, watch, outcome.error)

    def _is_still_due(self, serial: str, watch: Watch, write: Write, documents: Documents) -> bool:
        """Whether the plan still says so, knowing all that is known now."""
        if self._observer.watches.get(serial) is not watch:
            return False
        memory = without_intent(self._journal.memory(serial))
        memory, _ = after_reading(memory, documents, self._observer.desired(serial), self._utc_ms())
        fleet = self._observer.fleet(self._writing_since_s, (serial, documents, memory))
        return plan(fleet).trackers[serial].write == write

    def _took(self, serial: str, watch: Watch, config: BluetoothConfig) -> None:
        """A tracker was read."""
        if self._observer.watches.get(serial) is not watch:
            return  # it is another account's by now, or another device
        now_ms, documents, before = self._utc_ms(), documents_of(config), self._journal.memory(serial)
        memory, happened = after_reading(before, documents, self._observer.desired(serial), now_ms)
        self._is_changed |= (documents, memory, None) != (watch.documents, before, watch.trouble)
        watch.took(config, memory, self._jitter(), self._now(), now_ms)
        if memory.intent is not None:
            self._postpone(watch)
        elif memory.late is not None and memory.late is not before.late:
            watch.attempts = watch.attempts.postponed(self._now(), self._jitter())
        self._journal.note(serial, memory, happened, now_ms)

    def _is_answered(self) -> None:
        if self._connection.answered():
            self._is_changed = True
            for watch in self._observer.watches.values():
                if watch.trouble is None or watch.trouble in FOR_ALL:
                    watch.attempts = watch.attempts.restored(self._now(), self._jitter())

    def _failed(self, serial: str, watch: Watch, error: CloudError) -> None:
        # Who needs to know is told elsewhere: the same cloud brings the live data. What was read last still holds.
        _LOG.debug(
            "Tracker %(tracker)s: sensors neither read nor written. %(text)s", {"tracker": serial, "text": error.text}
        )
        watch.trouble, self._is_changed = trouble_of(error), True
        if watch.trouble in FOR_ALL:
            self._connection.failed()
        else:
            self._is_answered()
        if isinstance(error, Throttled):
            watch.attempts = watch.attempts.throttled(self._now(), error.retry_after_s)
        else:
            self._postpone(watch)
        if watch.trouble is Trouble.FORBIDDEN:
            self._on_forbidden(serial)

    def _postpone(self, watch: Watch) -> None:
        self._is_changed = True
        watch.attempts = watch.attempts.failed(self._now(), self._jitter())


def _unexpected(error: Exception) -> None:
    _LOG.error("Unexpected failure among the pairings, it goes on", exc_info=error)
