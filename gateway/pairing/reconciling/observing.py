"""All that is known of the fleet since the gateway started, put together for the plan."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from gateway.cloud.models import BluetoothConfig
from gateway.pairing.desired import Desired
from gateway.pairing.documents import Documents, Sensor, Slot
from gateway.pairing.evidence.sources import Evidence
from gateway.pairing.keeping.records import Records
from gateway.pairing.memory import Memory
from gateway.pairing.observation import Fleet, Mode, Observation
from gateway.pairing.reconciling.journal import Journal
from gateway.pairing.reconciling.surroundings import Surroundings, counting
from gateway.pairing.reconciling.watching import Watch

EVIDENCE_S = 2.0
"""How often the radio and the live data are asked."""

_NOTHING = Desired()


class Observer:
    """Of all trackers.

    Attributes:
        watches: What is known of each tracker that is configured or ours, by serial number.
    """

    def __init__(
        self,
        records: Records,
        journal: Journal,
        roster: Sequence[str],
        evidence: Evidence,
        mode: Mode,
        utc_ms: Callable[[], int],
        is_clock_sure: Callable[[], bool],
    ) -> None:
        self._records = records
        self._journal = journal
        self._roster = tuple(roster)
        self._evidence = evidence
        self._mode = mode
        self._utc_ms = utc_ms
        self._is_clock_sure = is_clock_sure
        self._now = asyncio.get_running_loop().time
        self._is_assigned = False
        self._surroundings = Surroundings()
        self._looked_s = float("-inf")
        self.watches = {serial: Watch(self._now()) for serial in self._roster}

    @property
    def current(self) -> dict[str, BluetoothConfig]:
        """The last answer for each of our trackers that has one, by serial number."""
        return {serial: watch.config for serial, watch in self.watches.items() if watch.config is not None}

    @property
    def is_complete(self) -> bool:
        """Whether it is known which trackers are ours, and of each of them what it listens to."""
        ours = (watch for watch in self.watches.values() if watch.device_id is not None)
        return self._is_assigned and all(watch.config is not None for watch in ours)

    def desired(self, serial_number: str) -> Desired:
        """What is wanted of a tracker."""
        return self._records.desired.get(serial_number, _NOTHING)

    def assign(self, owned: Mapping[str, int]) -> None:
        """These trackers are ours, by serial number with their id in the cloud; what others had is forgotten."""
        self._is_assigned = True
        for serial in {*self.watches, *owned}:
            if serial not in self.watches or self.watches[serial].device_id != owned.get(serial):
                self.watches[serial] = Watch(self._now(), owned.get(serial))
        for serial in self.watches.keys() - owned.keys() - set(self._roster):
            del self.watches[serial]

    def look(self) -> bool:
        """Ask those who know; whether anything is worth another plan."""
        is_news = False
        for serial in self._roster:
            watch = self.watches[serial]
            is_news |= watch.wants(self.desired(serial))
            is_news |= watch.contacted(self._evidence.contact_s(serial))
        if self._now() - self._looked_s < EVIDENCE_S:
            return is_news
        self._looked_s = self._now()
        sensors = [sensor for serial in self._roster for sensor in self._counting(serial).values()]
        seen = Surroundings.of(self._evidence, self._roster, sensors)
        is_news |= not seen.is_like(self._surroundings)
        self._surroundings = seen
        return is_news

    def fleet(
        self, writing_since_s: Mapping[str, float], just_read: tuple[str, Documents, Memory] | None = None
    ) -> Fleet:
        """The fleet as it is known now.

        Args:
            writing_since_s: When the writes under way began, by serial number.
            just_read: A tracker that is about to be written, what was read of it for that, and what would be
                remembered of it otherwise.
        """
        now_s, now_ms, until_s = self._now(), self._utc_ms(), self._surroundings.session_until_s
        trackers = [self._observed(serial, now_s, writing_since_s) for serial in self._roster]
        if just_read is not None:
            serial, documents, memory = just_read
            place = self._roster.index(serial)
            trackers[place] = replace(
                trackers[place], documents=documents, memory=memory, read_ago_s=0.0, is_busy=False, busy_s=0.0
            )
        return Fleet(
            tuple(trackers),
            self._records.approvals,
            self._mode,
            self._records.pause,
            None if until_s is None else now_ms + round((until_s - now_s) * 1000),
            is_clock_sure=self._is_clock_sure(),
            is_store_working=self._records.is_working and self._records.damage is None,
            outage=self._surroundings.outage,
            ears=self._surroundings.ears,
            now_ms=now_ms,
        )

    def _observed(
        self,
        serial: str,
        now_s: float,
        writing_since_s: Mapping[str, float],
    ) -> Observation:
        watch, desired, around = self.watches[serial], self.desired(serial), self._surroundings
        sensors = self._counting(serial)
        strap = sensors.get(Slot.HEART_RATE)
        since_s = writing_since_s.get(serial)
        return Observation(
            serial,
            desired,
            self._journal.memory(serial),
            is_ours=(watch.device_id is not None) if self._is_assigned else None,
            documents=watch.documents,
            read_ago_s=None if watch.documents is None else now_s - watch.read_s,
            trouble=watch.trouble,
            next_try_s=watch.attempts.wait_s(now_s),
            is_busy=since_s is not None,
            busy_s=0.0 if since_s is None else now_s - since_s,
            replans=watch.replans,
            listened_s=now_s - watch.since_s,
            contact_ago_s=None if watch.contact_s is None else now_s - watch.contact_s,
            contacts=watch.contacts,
            waiting_s=watch.waiting_s(now_s),
            still_s=watch.still_s(desired, now_s),
            delivery=around.deliveries.get(serial, {}),
            air={slot: around.air[sensor.address] for slot, sensor in sensors.items() if sensor.address in around.air},
            match=None if strap is None else around.matches.get(strap.address),
        )

    def _counting(self, serial: str) -> Mapping[Slot, Sensor]:
        documents = self.watches[serial].documents
        return counting(self.desired(serial), None if documents is None else documents.current)
