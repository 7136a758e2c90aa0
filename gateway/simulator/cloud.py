"""The state of the simulated cloud, without sockets: a function of its clock and of what was asked of it.

Data advance by being looked at, so no task has to run, and a test moves the clock by hand. The world begins before the
cloud does, by ten minutes unless told otherwise.
"""

import random
from collections import Counter
from collections.abc import Callable
from typing import Literal

import msgspec
import numpy as np

from gateway.simulator.accounts import Accounts
from gateway.simulator.bluetooth import BluetoothConfig, Obedience
from gateway.simulator.delivery import BATCH_MS, ROWS_PER_BATCH, Delivery, Times
from gateway.simulator.devices import Device, catalogue
from gateway.simulator.encoded import EncodedSeconds
from gateway.simulator.errors import SimulatorError, not_found
from gateway.simulator.faults import Faults
from gateway.simulator.hands import Hands
from gateway.simulator.jobs import Jobs
from gateway.simulator.listening import Heard, Listening
from gateway.simulator.ownership import Register
from gateway.simulator.pairings import PairingRegister, PairingWrite, Writer
from gateway.simulator.rows import Row, rest_rows
from gateway.simulator.schedule import Schedule
from gateway.simulator.selection import Selection, Span, select, wholly_within
from gateway.simulator.throttle import Throttle
from gateway.simulator.world import Second, World

HISTORY_S = 600.0
NewOwner = Literal["ours", "other", "nobody"]

_OWNED_BEFORE_MS = 7 * 86_400_000  # an ownership that lasts at the start began a week ago, or with the world


class SimulatedCloud:
    """Accounts, devices, ownerships, measurements, jobs and Bluetooth configurations.

    Args:
        trackers: How many there are, at least one.
        seed: Determines athletes, tokens and everything drawn by chance.
        faults: The knobs to begin with.
        now_ms: The clock, epoch milliseconds.
        history_s: How long the trackers have been measuring already, seconds, under the same faults; days cost nothing.

    Raises:
        SimulatorError: If there is no tracker, or the seed or the history is negative.

    Attributes:
        accounts, ownerships, jobs, throttle: The parts of the state.
        devices: All trackers in order.
        changes: How often somebody changed the knobs, or something about a tracker, by hand.
        requests: Requests so far by operation; what fits none counts as "unknown".
        statuses: Answers so far by HTTP status.
        dice: The generator behind every fault of a request.
        hands: What people can do with the team's sensors, while these are in the air.
    """

    hands: Hands | None = None

    def __init__(
        self, trackers: int, seed: int, faults: Faults, now_ms: Callable[[], int], history_s: float = HISTORY_S
    ) -> None:
        if trackers < 1 or seed < 0 or history_s < 0:
            raise SimulatorError("The simulator needs at least one tracker, and neither seed nor history is negative.")
        self.now_ms = now_ms
        self._start_ms = start_ms = now_ms()
        self._faults = faults
        self._outages = self._planned_outages()
        self.dice = random.Random(seed)
        self.accounts = Accounts(random.Random(seed + 1))
        self.jobs = Jobs(random.Random(seed + 2))
        self.ownerships = Register()
        self.throttle = Throttle(start_ms, faults.throttle_burst)
        self.devices = catalogue(trackers)
        self.changes = 0
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self._places = {device.device_id: place for place, device in enumerate(self.devices)}
        self._world = World(trackers, seed)
        self._encoded = EncodedSeconds(self._second, trackers)
        phases = np.random.default_rng((seed, 9)).integers(0, BATCH_MS, trackers).tolist()
        first_ms = start_ms - round(history_s * 1000)
        self._deliveries = [Delivery(seed, place, first_ms + phase, start_ms) for place, phase in enumerate(phases)]
        self._pairings = PairingRegister(self._places)
        self._listening = [Listening(place) for place in range(trackers)]
        self._frozen: dict[tuple[int, int, int, int], int] = {}
        self._assign(min(first_ms, start_ms - _OWNED_BEFORE_MS))

    @property
    def faults(self) -> Faults:
        """The knobs; assigning new ones leaves what was measured before as it is."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        now_ms = self.now_ms()
        for delivery in self._deliveries:
            delivery.advance(now_ms, self._faults)
        self._faults = faults
        self._outages = self._planned_outages()
        self.changes += 1

    @property
    def is_out(self) -> bool:
        """Whether there is an outage now."""
        return self._outages.covers(self.now_ms())

    def device(self, device_id: int) -> Device:
        """The tracker with this identifier; raises the 404 if there is none."""
        if device_id not in self._places:
            raise not_found()
        return self.devices[self._places[device_id]]

    def bluetooth(self, device_id: int) -> BluetoothConfig:
        """The Bluetooth configuration of a tracker."""
        self._tell_online(device_id)
        return self._pairings[device_id]

    def delivery(self, device_id: int) -> Delivery:
        """The delivery of a tracker, decided up to now."""
        delivery = self._deliveries[self._places[device_id]]
        delivery.advance(self.now_ms(), self._faults)
        return delivery

    def is_online(self, device_id: int) -> bool:
        """Whether the tracker is switched on and has network."""
        return self.delivery(device_id).online

    # --- measurements ------------------------------------------------------------------------------------------------

    def selection(self, device_id: int, spans: list[Span], as_of_ms: int | None = None) -> Selection:
        """The rows with times in the spans that had reached the cloud at an instant, now unless given."""
        delivery = self.delivery(device_id)
        batches = delivery.arrived(self.now_ms() if as_of_ms is None else as_of_ms)
        return select(batches, delivery.times(batches), spans)

    def newest(self, device_id: int, spans: list[Span], count: int) -> Selection:
        """Of the rows that were measured in the spans and have reached the cloud, those with the last `count` times."""
        delivery, now_ms = self.delivery(device_id), self.now_ms()
        tail = delivery.arrived(now_ms, newest=count // ROWS_PER_BATCH + 2)
        chosen = select(tail, delivery.times(tail), spans, delivery.measured_ms(tail))
        if chosen.size < count:  # the spans do not reach up to now, or there are no more rows
            batches = delivery.arrived(now_ms)
            chosen = select(batches, delivery.times(batches), spans, delivery.measured_ms(batches))
        return chosen.newest(count)

    def frozen_ms(self, key: tuple[int, int, int, int], lifetime_ms: int) -> int:
        """The instant whose data a query with this key is answered from: that of its first asking, for a while."""
        now_ms = self.now_ms()
        as_of_ms = self._frozen.get(key)
        if as_of_ms is None or not as_of_ms <= now_ms < as_of_ms + lifetime_ms:
            alive = {k: at for k, at in self._frozen.items() if now_ms < at + lifetime_ms}
            self._frozen = {**alive, key: now_ms}
            return now_ms
        return as_of_ms

    def rows(self, device_id: int, chosen: Selection, faults: Faults) -> list[Row]:
        """The chosen rows as the REST API writes them, ascending."""
        place = self._places[device_id]
        fixes = self._fixes(device_id, chosen.batches, faults)
        rows: list[Row] = []
        columns = (chosen.batches.tolist(), chosen.times.tolist(), chosen.low.tolist(), chosen.high.tolist(), fixes)
        for batch, time_ms, low, high, fix in zip(*columns, strict=True):
            rows += rest_rows(self._second(place, batch), time_ms, faults.missing, fix=fix)[low:high]
        return rows

    def newest_rows(self, device_id: int, chosen: Selection) -> bytes:
        """The chosen rows as a JSON array, newest first; as `rows` has them, only quicker."""
        place, faults = self._places[device_id], self._faults
        fixes = self._fixes(device_id, chosen.batches, faults)
        columns = (chosen.batches.tolist(), chosen.times.tolist(), chosen.low.tolist(), chosen.high.tolist(), fixes)
        parts: list[bytes] = []
        for batch, time_ms, low, high, fix in zip(*columns, strict=True):
            if high - low == ROWS_PER_BATCH:
                parts.append(self._encoded.newest_first(place, batch, time_ms, faults.missing, fix))
            else:
                rows = rest_rows(self._second(place, batch), time_ms, faults.missing, fix=fix)[low:high]
                parts.append(msgspec.json.encode(rows[::-1])[1:-1])
        return b"[" + b",".join(reversed(parts)) + b"]"

    def updates(self, device_id: int, after_ms: int, until_ms: int, spans: list[Span]) -> list[bytes]:
        """The websocket messages of the seconds measured in the spans that arrived in after_ms < t <= until_ms."""
        place, delivery, faults = self._places[device_id], self.delivery(device_id), self._faults
        batches = delivery.arrived_between(after_ms, until_ms)
        if not batches.size:
            return []
        batches = batches[wholly_within(delivery.measured_ms(batches), spans)]
        if not faults.websocket_backlog:
            batches = batches[~delivery.waited(batches)]
        columns = (batches.tolist(), delivery.times(batches).tolist(), self._fixes(device_id, batches, faults))
        return [
            self._encoded.update(place, batch, time_ms, faults.missing, faults.websocket_form, fix)
            for batch, time_ms, fix in zip(*columns, strict=True)
        ]

    def next_arrival_ms(self, device_id: int) -> int:
        """No batch of a tracker arrives before this, as long as `changes` stays what it is."""
        return self.delivery(device_id).next_arrival_ms(self._faults)

    def truth(self, device_id: int, from_ms: int, to_ms: int) -> list[Row]:
        """What a client that missed nothing knows by now of from_ms <= gnss.timestamp <= to_ms.

        The rows that have reached the cloud, whoever owns them, ascending and unique, each at the time the cloud has it
        under (a tracker whose clock is wrong gives a wrong one), with no missing-value, no-fix or unknown-field fault.
        """
        return self.rows(device_id, self.selection(device_id, [(from_ms, to_ms)]), Faults())

    def athlete(self, place: int) -> Second:
        """What there is to measure about an athlete now, whether or not somebody does."""
        batch = (self.now_ms() - self._deliveries[place].first_ms) // BATCH_MS
        return self._world.second(place, max(0, batch))

    def _second(self, place: int, batch: int) -> Second:
        at_ms = self._deliveries[place].first_ms + batch * BATCH_MS
        return self._listening[place].second(at_ms, lambda athlete: self._world.second(athlete, batch))

    def _fixes(self, device_id: int, batches: Times, faults: Faults) -> list[bool]:
        if not faults.no_fix_fraction:
            return [True] * batches.size
        draws = self._deliveries[self._places[device_id]].draws(batches)
        return [draw >= faults.no_fix_fraction for draw in draws[:, 3].tolist()]

    # --- Bluetooth sensors -------------------------------------------------------------------------------------------

    @property
    def pairing_writes(self) -> list[PairingWrite]:
        """Every change of a Bluetooth target that was carried out or ignored with success, in order."""
        return self._pairings.writes

    def change_pairings(self, device_id: int, body: object, by: Writer, *, immediate_sending: bool) -> None:
        """Change a Bluetooth target as a request over the API asks; raises the refusal."""
        config, now_ms = self.bluetooth(device_id), self.now_ms()
        self._pairings.request(device_id, body, by, now_ms, self._faults, self.dice, push=immediate_sending)
        if immediate_sending:
            config.push(now_ms, self._faults, is_online=self.is_online(device_id))

    def write_pairings(self, device_id: int, body: object) -> None:
        """Somebody else changes a Bluetooth target: {"pairing_1": {"mac_address": ..., "name": ...} or None}.

        Raises:
            Refusal: There is no such tracker, or the body is not an object of valid pairings.
        """
        self.bluetooth(self.device(device_id).device_id)
        self._pairings.overwrite(device_id, body, self.now_ms())

    def forget_pairings(self, device_id: int) -> None:
        """Reset a tracker to how it left the factory: it uses no sensor until its next start."""
        self.bluetooth(self.device(device_id).device_id).forget()

    def set_obedience(self, device_id: int, how: Obedience) -> None:
        """What a tracker does from now on with a Bluetooth target that it gets."""
        self.bluetooth(self.device(device_id).device_id).obedience = how

    # --- what happens to trackers ------------------------------------------------------------------------------------

    def set_network(self, device_id: int, *, connected: bool) -> None:
        """Take a tracker's network away or give it back."""
        delivery = self.delivery(self.device(device_id).device_id)
        delivery.set_connected(self.now_ms(), self._faults, connected=connected)
        self.changes += 1
        self._tell_online(device_id)

    def set_power(self, device_id: int, *, on: bool) -> None:
        """Switch a tracker off or on; starting it applies its Bluetooth target."""
        delivery = self.delivery(self.device(device_id).device_id)
        starts = on and not delivery.powered
        delivery.set_powered(self.now_ms(), self._faults, powered=on)
        self.changes += 1
        if starts:
            self._pairings[device_id].start()
        elif not on:
            self._pairings[device_id].stop(self.now_ms())
        self._tell_online(device_id)

    def set_clock(self, device_id: int, *, error_s: int) -> None:
        """Make a tracker's clock wrong by whole seconds; 0 leaves it to the knobs again."""
        delivery = self.delivery(self.device(device_id).device_id)
        delivery.set_clock(self.now_ms(), self._faults, error_s=error_s)
        self.changes += 1

    def listen(self, device_id: int, slot: str, heard: Heard) -> None:
        """Let a tracker record heart rate or power from now on as a slot of `bluetooth` hears it."""
        self._listening[self._places[device_id]].change(slot, heard, self.now_ms())

    def restart(self, device_id: int) -> None:
        """Switch a tracker off and on again."""
        self.set_power(device_id, on=False)
        self.set_power(device_id, on=True)

    def move(self, device_id: int, to: NewOwner) -> None:
        """Give a tracker to us, to the other manager or to nobody."""
        device, now_ms = self.device(device_id), self.now_ms()
        if to == "nobody":
            self.ownerships.end(device_id, now_ms)
            return
        owner = self.accounts.ours if to == "ours" else self.accounts.other
        self.ownerships.take(owner.manager_id, device_id, now_ms)
        if device.activation_ms is None:
            device.activation_ms = now_ms

    def _tell_online(self, device_id: int) -> None:
        if self.is_online(device_id):
            self._pairings[device_id].online(self.now_ms(), self._faults)

    def _planned_outages(self) -> Schedule:
        every_ms, lasts_ms = round(self._faults.outage_every_s * 1000), round(self._faults.outage_s * 1000)
        return Schedule(every_ms, lasts_ms, self._start_ms - lasts_ms)

    def _assign(self, since_ms: int) -> None:
        foreign = self.devices[max(0, len(self.devices) - self._faults.initially_foreign) :]
        ours = self.devices[: min(self._faults.initially_owned, len(self.devices) - len(foreign))]
        for manager, devices in ((self.accounts.ours, ours), (self.accounts.other, foreign)):
            for device in devices:
                device.activation_ms = since_ms
                self.ownerships.take(manager.manager_id, device.device_id, since_ms)
