"""Whether what the gateway says of radio and sensors is true: judged from outside, by what the world knows of itself.

On one side the fake bluetoothd (does it scan, has it a link), the antennas (what has reached them) and the airspace
(who is awake, near, held); on the other only the report, the board, the log, and what the process holds.
"""

import asyncio
import gc
import logging
import re
import threading
from collections import Counter

import psutil
from bleak.backends.bluezdbus import manager

from gateway.bluetooth.radio import RadioState
from gateway.bluetooth.report import SensorReport, SensorsReport
from gateway.simulator.sensors import Sensor
from tests.endurance.air_acts import CALL_S
from tests.endurance.air_world import INTERVAL_S, Air, Tracker, stamp

TURN_S = 1.0
DETECTION_S = 2.0
SURELY_HEARD_S = 2.9
"""Who was received so recently is seen whatever its usual interval is: silence counts from 3 s on."""

SOON_S = 5 * INTERVAL_S + 2.0
SILENT_S = 90.0
SILENCE_S = SILENT_S + 4.0
"""When nothing at all was heard for so long, the radio is doubted: at the next look, once it was begun anew."""

BOOK_S = 50.0
LEFT_S = 60.0
"""Until what was nobody's leaves the book, and until nothing at all is said of it any more."""

LET_GO_S = 3.0
SPARED_S = 15.0
"""A sensor that we have looked at is remembered so long, whatever it does."""

RELEASED_S = 12.0
AUDIBLE_DBM = -84.0
"""So near that fading alone never makes it inaudible."""

KEPT_VIOLATIONS = 40

_NOT_HELD = {"elsewhere", "not_worn", "flat", "out_of_reach", "free", "not_used"}
_ADDRESS = re.compile(r"(?:[0-9A-Fa-f]{2}[:_-]){5}[0-9A-Fa-f]{2}")


class Oracle:
    """Looks at a world again and again.

    Attributes:
        checks: How often each promise was checked.
        violations: What was not as promised, the first of them with what had happened before.
        longest: The longest that something took, by what it was.
    """

    def __init__(self, air: Air) -> None:
        self.checks: Counter[str] = Counter()
        self.violations: list[str] = []
        self.longest: dict[str, float] = {}
        self._air = air
        self._scanning: tuple[str, ...] = ()
        self._idle_since_s: float | None = None
        self._scans_since_s: float | None = None
        self._hears_since_s: float | None = None
        self._on_air_since_s: dict[Sensor, float] = {}
        self._released_since_s: dict[Tracker, float] = {}
        self._linked_since_s: dict[str, float] = {}
        self._known_s: dict[str, float] = {}

    async def watch(self) -> None:
        """Check, for ever: every half second while something is going on."""
        while True:
            self.check()
            is_busy = bool(self._air.present()) or self._air.is_troubled
            await asyncio.sleep(0.5 if is_busy else 5.0)

    def check(self) -> None:
        """Compare what is said at this instant with what is."""
        air, now_s = self._air, self._air.now_s()
        report = air.sensors.report()
        scanning, self._scanning = self._scanning, air.antennas.listening
        if scanning != self._scanning:
            self._scans_since_s = self._hears_since_s = None  # another scan begins anew
        is_scanning = bool(self._scanning)
        self._idle_since_s = _since(self._idle_since_s, now_s, is_so=not is_scanning)
        self._scans_since_s = _since(self._scans_since_s, now_s, is_so=is_scanning)
        self._hears_since_s = _since(self._hears_since_s, now_s, is_so=is_scanning and not air.antennas.is_deaf)
        self._check_radio(report, now_s)
        by_address = {about.address: about for about in report.sensors}
        for sensor in air.present():
            about = by_address.get(sensor.peripheral.address.lower())
            self._check_sensor(sensor, about, now_s)
        for tracker in air.team:
            self._check_tracker(tracker, report, now_s)
        self._check_strangers(report, now_s)
        self._check_links(now_s)
        self.violations += (f"{stamp(now_s)} {text}" for text in air.wrong)
        air.wrong.clear()
        self._forget(now_s)

    def _hold(self, promise: str, is_held: bool, detail: object = "") -> None:
        self.checks[promise] += 1
        if not is_held and len(self.violations) < KEPT_VIOLATIONS:
            story = "\n    ".join(self._air.story[-25:]) if len(self.violations) < 5 else "..."
            self.violations.append(f"{stamp(self._air.now_s())} BROKEN: {promise}: {detail}\n    {story}")

    def _check_radio(self, report: SensorsReport, now_s: float) -> None:
        air, radio = self._air, self._air.radio.radio
        if self._idle_since_s is not None:
            allowed_s = DETECTION_S + (CALL_S if now_s < air.unanswered_until_s else 0.0)
            if now_s - self._idle_since_s > allowed_s:
                self._hold("not scanning: not called listening", not radio.is_listening, radio)
        # What else goes wrong ends a scan, maybe for a moment only, and another one begins with another ninety seconds.
        is_quiet = self._scans_since_s is not None and not +air.active - Counter({"deaf": 1})
        if is_quiet and now_s - max(air.antennas.newest_s, self._scans_since_s or 0.0, air.due_s) > SILENCE_S:
            self._hold("nothing heard: not called listening", not radio.is_listening, radio)
        if not radio.is_listening:
            wrong = [about for about in report.sensors if about.presence != "unknown" or not self._is_fair(about)]
            self._hold("not listening: every sensor is unknown", not wrong, [about.text for about in wrong])
        if not air.is_troubled and now_s >= air.due_s:
            is_silent = radio.state is RadioState.SILENT and now_s - air.antennas.newest_s > SILENT_S - 2.0
            self._hold("recovery in time", radio.is_listening or is_silent, radio)
            scans = [len(adapter._discoveries) for adapter in air.bluez._adapters.values()]
            self._hold("one scan and no other", sum(scans) == 1, scans)

    def _is_fair(self, about: SensorReport) -> bool:
        """Whether who has a sensor is known without a radio: what its tracker gets, and our own link."""
        air = self._air
        if about.holder == "unknown":
            return True
        if air.radio.radio.state is not RadioState.SILENT:
            return False
        if about.holder == "gateway":
            return air.looking is not None and air.looking.peripheral.address.lower() == about.address
        names = [tracker.sensor.unit.name for tracker in air.team if tracker.delivers(air.now_s())]
        return about.holder == "tracker" and about.name in names

    def _check_sensor(self, sensor: Sensor, about: SensorReport | None, now_s: float) -> None:
        air, address = self._air, sensor.peripheral.address
        if not self._is_on_air(sensor, now_s):
            self._on_air_since_s.pop(sensor, None)
            return
        since_s = self._on_air_since_s.setdefault(sensor, now_s)
        if not air.radio.radio.is_listening or self._hears_since_s is None:
            return
        age_s = now_s - air.antennas.heard_s.get(address, -1e9)
        looked_s = air.looked_s.get(address.lower(), -1e9)
        # The first that is heard after a link may be taken for news of its end.
        is_free = air.antennas.before_s.get(address, -1e9) > looked_s
        if age_s < SURELY_HEARD_S and now_s - age_s > self._hears_since_s and (is_free or looked_s < 0):
            self._hold("advertising: seen", about is not None and about.presence == "seen", about)
        if now_s - max(since_s, self._hears_since_s, looked_s) > SOON_S:
            self._hold("advertising: never gone", about is not None and about.presence != "gone", about)

    def _check_tracker(self, tracker: Tracker, report: SensorsReport, now_s: float) -> None:
        air, sensor = self._air, tracker.sensor
        mine = [about for about in report.sensors if about.name == sensor.unit.name]
        self._hold("a sensor is one sensor under whatever address", len(mine) == 1, [about.id for about in mine])
        is_held = sensor in air.airspace._stations and tracker.holds(now_s)
        if is_held:
            self._released_since_s.pop(tracker, None)
            self._hold("held by its tracker: not missing", mine[0].holder not in _NOT_HELD, mine[0].text)
            return
        since_s = self._released_since_s.setdefault(tracker, now_s)
        if now_s - since_s > RELEASED_S:
            is_claimed = mine[0].holder in {"tracker", "shared"}
            self._hold("not held by its tracker: not called in use", not is_claimed, mine[0].text)

    def _check_strangers(self, report: SensorsReport, now_s: float) -> None:
        air = self._air
        known = set()
        for about in report.sensors:
            known.add(about.id)
            if about.tracker is not None:
                continue
            heard_s = air.antennas.heard_s.get(about.address.upper(), -1e9)
            looked_s = air.looked_s.get(about.address, -1e9)
            self._known_s[about.id] = max(heard_s, looked_s + SPARED_S - BOOK_S)  # as if heard then
            is_looked_at = air.looking is not None and air.looking.peripheral.address.lower() == about.address
            is_due = is_looked_at or now_s <= max(heard_s + BOOK_S, looked_s + SPARED_S) + TURN_S
            self._hold("nobody's: out of the book within a minute", is_due, about)
        keys = {key.removeprefix("state/sensor/") for key in air.board._items if key.startswith("state/sensor/")}
        for own_id in keys - known:
            message = air.board._items[f"state/sensor/{own_id}"].message
            left_s = now_s - self._known_s.get(own_id, now_s)
            self.longest["off the board after"] = max(self.longest.get("off the board after", 0), left_s)
            limit_s = LEFT_S if message["value"] == "forgotten" else BOOK_S
            self._hold("nobody's: off the board within a minute", left_s <= limit_s + 2 * TURN_S, (left_s, message))
        recently = sum(now_s - heard_s <= BOOK_S for heard_s in air.antennas.heard_s.values())
        self._hold("others: none is counted that was not there", report.others <= recently, report.others)

    def _check_links(self, now_s: float) -> None:
        air = self._air
        linked = set()
        # A bluetoothd whose bus has died has ended, and its links with it.
        for adapter in air.bluez._adapters.values() if air.bluez.is_running else ():
            for address, device in adapter.devices.items():
                if device.is_connected and (air.looking is None or air.looking.peripheral.address != address):
                    linked.add(address)
        for address in self._linked_since_s.keys() - linked:
            del self._linked_since_s[address]
        for address in linked:
            since_s = self._linked_since_s.setdefault(address, now_s)
            self.longest["let go after"] = max(self.longest.get("let go after", 0), now_s - since_s)
        held = [address for address, since_s in self._linked_since_s.items() if now_s - since_s > LET_GO_S]
        self._hold("no link is left behind", not held, held)

    def _is_on_air(self, sensor: Sensor, now_s: float) -> bool:
        """Whether it advertises so near that it is heard."""
        air = self._air
        station = air.airspace._stations[sensor]
        return (
            station.is_awake(now_s)
            and air.airspace._free_links(station) > 0
            and not air.bluez.connected(sensor.peripheral)
            and station.mean_dbm(now_s) >= AUDIBLE_DBM
            and air.looking is not sensor
        )

    def _forget(self, now_s: float) -> None:
        """The oracle may not grow either."""
        antennas = self._air.antennas
        for times_s in (antennas.heard_s, antennas.before_s, self._air.looked_s, self._known_s):
            for key in [key for key, at_s in times_s.items() if now_s - at_s > 600.0]:
                del times_s[key]
        for sensor in self._on_air_since_s.keys() - set(self._air.present()):
            del self._on_air_since_s[sensor]


def _since(since_s: float | None, now_s: float, *, is_so: bool) -> float | None:
    """Since when something has been so; None if it is not."""
    if not is_so:
        return None
    return now_s if since_s is None else since_s


class Records(logging.Handler):
    """What is logged: how much, and what may not be.

    Attributes:
        counts: Records of the gateway by level, and those of libraries that are forgiven.
        wrong: Errors, and records with an address.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        is_ours = record.name.partition(".")[0] == "gateway"
        if is_ours:
            self.counts[record.levelname] += 1
        error = record.exc_info[1] if record.exc_info else None
        if text.startswith("Future exception was never retrieved") and isinstance(error, OSError | EOFError):
            # dbus-fast does not look at what becomes of a message that it could not send over a bus that had died.
            self.counts["forgiven"] += 1
        elif record.levelno >= logging.ERROR or (is_ours and _ADDRESS.search(text)):
            self.wrong.append(f"logged: {record.name}: {record.levelname}: {text} {record.exc_info or ''}")


def holdings(air: Air) -> dict[str, int]:
    """What the process holds, for comparison at quiet times."""
    gc.collect()
    bleak = manager._global_instances[asyncio.get_running_loop()]
    census, scanner = air.sensors._census, air.radio._scanner
    scan = scanner._scan
    return {
        "tasks": len(asyncio.all_tasks()),
        "file descriptors": psutil.Process().num_fds(),
        "threads": threading.active_count(),
        "bleak: properties": len(bleak._properties),
        "bleak: services": len(bleak._service_map) + len(bleak._characteristic_map) + len(bleak._services_cache),
        "bleak: callbacks": sum(map(len, bleak._advertisement_callbacks.values()))
        + len(bleak._device_removed_callbacks)
        + sum(map(len, bleak._condition_callbacks.values())),
        "bleak: watchers": len(bleak._device_watchers),
        "bleak: seen devices": 0 if scan is None else len(scan.discovered_devices),
        "book": len(air.sightings._sensors) + len(air.sightings._at) + len(air.sightings._others),
        "census": len(census._looks) + len(census._bonds),
        "echoes": len(scanner._echoes._counts_from_s),
        "board": len(air.board._items),
        "problems": len(air.problems),
        "objects": len(gc.get_objects()),
        "resident kB": psutil.Process().memory_info().rss // 1024,
    }
