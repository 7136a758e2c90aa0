"""At the bench: the sensor that is held to the gateway is offered, and one key takes it."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

from rich.live import Live
from rich.text import Text

from gateway import log
from gateway.bluetooth.inspection import Inspection
from gateway.bluetooth.report import SensorReport, SensorsReport
from gateway.pair.choosing import chosen
from gateway.pair.keyboard import Key, Keyboard, keyboard
from gateway.pair.lead import HELD_S, LEAD_DB, Lead, Standing
from gateway.pair.source import Source
from gateway.pair.taking import take
from gateway.pair.words import SLOTS
from gateway.pairing.documents import Sensor, Slot
from gateway.pairing.report import PairingReport
from gateway.pairing.requests import SetRequest
from gateway.terminal.errors import CommandError, RefusedError
from gateway.terminal.layout import NOT_KNOWN, sentences, wrapped
from gateway.terminal.sensors import UNKNOWN_KIND, athlete_of, name_of
from gateway.terminal.talk import LEFT, Talk, author
from gateway.terminal.wearers import called, find_tracker
from insiders_gateway_client.errors import GatewayError

ASKED_EVERY_S = 0.5

FRESH_MS = 5_000
"""What was not heard for so long is not held to the gateway, and competes with nobody."""

_LISTENING = "listening"
_WHAT = {**SLOTS, "both": "strap and power meter in one"}


async def hold_sensor(
    url: str,
    talk: Talk,
    tracker: str,
    *,
    slot: Slot | None = None,
    is_swap: bool = False,
    is_immediate: bool = False,
    is_during_session: bool = False,
    reason: str = "",
) -> None:
    """Wait until a sensor is held to the gateway, offer it, and want it of a tracker if Enter is pressed.

    Args:
        url: Of the gateway.
        talk: A terminal.
        tracker: Serial number, athlete or number, or a part that only it has.
        slot: Only sensors for this one; None for any.
        is_swap: If another tracker has the sensor, the two exchange theirs.
        is_immediate: Tell the tracker at once, not when it starts next.
        is_during_session: Though athletes train.
        reason: Why, for those who read it later.

    Raises:
        CommandError: If there is no terminal or no such tracker, the radio does not listen, nobody takes the sensor,
            or the gateway refuses.
        GatewayError: If nobody answers.
    """
    if not talk.is_possible:
        raise CommandError("Holding a sensor to the gateway needs a terminal: elsewhere name the sensor.")
    source = Source(url)
    report = await source.pairings()
    found = find_tracker(report.trackers, tracker)
    sensor = await _held(source, talk, found, slot)
    if sensor is None:
        raise CommandError(LEFT)
    request = SetRequest(
        author=author(),
        reason=reason,
        is_scanned=True,
        immediate=is_immediate,
        during_session=is_during_session,
    )
    await take(source, talk, report, found, chosen(sensor, slot=slot), request, is_swap=is_swap)


async def _held(source: Source, talk: Talk, tracker: PairingReport, slot: Slot | None) -> SensorReport | None:
    """The sensor that a person has held to the gateway and taken; None if they left it."""
    with keyboard(talk.answers) as keys, Live(console=talk.console, auto_refresh=False, transient=True) as screen:
        log.restream()
        try:
            offered = await _awaited(source, talk, tracker, slot, keys, screen)
            if offered is None:
                return None
            return await _offered(source, talk, tracker, offered, keys, screen)
        finally:
            screen.stop()
            log.restream()


async def _awaited(
    source: Source, talk: Talk, tracker: PairingReport, slot: Slot | None, keys: Keyboard, screen: Live
) -> SensorReport | None:
    now_s = asyncio.get_running_loop().time
    lead = Lead()
    while True:
        report = await source.sensors()
        if report.radio.state != _LISTENING:
            raise CommandError(sentences(report.radio.text, report.radio.action))
        near = {sensor.id: sensor for sensor in report.sensors if _is_candidate(report, sensor, slot)}
        strengths = {sensor_id: sensor.rssi_dbm for sensor_id, sensor in near.items() if sensor.rssi_dbm is not None}
        standing = lead.heard(strengths, now_s())
        leader = None if standing.leader is None else near[standing.leader]
        if leader is not None and standing.is_held:
            return leader
        screen.update(_joined(_searching(report, tracker, leader, standing, talk.width)), refresh=True)
        if await keys.pressed(ASKED_EVERY_S) is Key.ESCAPE:
            return None


async def _offered(
    source: Source, talk: Talk, tracker: PairingReport, sensor: SensorReport, keys: Keyboard, screen: Live
) -> SensorReport | None:
    """Show what is offered and look closer at it meanwhile, until somebody takes or leaves it."""
    screen.update(_joined(_offer(tracker, sensor, None, talk.width)), refresh=True)
    keys.forget()  # only what is pressed from here on can be an answer to what is seen
    looks: list[Inspection | str] = []

    async def look() -> None:
        try:
            looks.append(await source.inspect(sensor.id))
        except RefusedError as refused:
            looks.append(str(refused))
        except GatewayError as error:
            looks.append(f"{error}.")

    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(look())
        while True:
            with suppress(GatewayError):  # what was told last can still be taken
                report = await source.sensors()
                sensor = next((known for known in report.sensors if known.id == sensor.id), sensor)
            found = looks[0] if looks else None
            screen.update(_joined(_offer(tracker, sensor, found, talk.width)), refresh=True)
            key = await keys.pressed(ASKED_EVERY_S)
            if key is not None:
                looking.cancel()
                return sensor if key is Key.ENTER else None


def _is_candidate(report: SensorsReport, sensor: SensorReport, slot: Slot | None) -> bool:
    if sensor.kind == UNKNOWN_KIND or (slot is not None and sensor.kind not in {slot, "both"}):
        return False
    return sensor.last_seen_ms is not None and report.utc_ms - sensor.last_seen_ms <= FRESH_MS


def _searching(
    report: SensorsReport, tracker: PairingReport, leader: SensorReport | None, standing: Standing, width: int
) -> Iterator[Text]:
    yield from wrapped(f"Hold the sensor for {called(tracker)} to the gateway.", width, "bold")
    for note in report.radio.notes:
        yield from wrapped(f"{note}.", width, "dim")
    if leader is None:
        yield from wrapped("None is heard: wet the strap's electrodes, or turn the crank, to wake it.", width, "", "  ")
    elif standing.ahead_db >= LEAD_DB:
        told = f"{name_of(leader)}, {leader.rssi_dbm} dBm, {standing.ahead_db} dB ahead"
        yield from wrapped(f"{told}: keep it there, {standing.for_s:.0f} of {HELD_S:.0f} s.", width, "green", "  ")
    else:
        told = f"{name_of(leader)}, {leader.rssi_dbm} dBm, is the strongest and not much ahead"
        yield from wrapped(f"{told}: hold yours closer, and take others away.", width, "", "  ")
    yield Text("Esc: leave everything as it is", "dim")


def _offer(tracker: PairingReport, sensor: SensorReport, found: Inspection | str | None, width: int) -> Iterator[Text]:
    what = _WHAT.get(sensor.kind, sensor.kind)
    yield from wrapped(f"{name_of(sensor)}, {what}, {sensor.address}", width, "bold")
    battery, bpm = sensor.battery_percent, sensor.heart_rate_bpm
    if isinstance(found, Inspection):
        battery = battery if found.battery_percent is None else found.battery_percent
        bpm = found.heart_rate.median_bpm if bpm is None and found.heart_rate is not None else bpm
    told = [f"battery {NOT_KNOWN if battery is None else f'{battery} %'}"]
    told += [] if sensor.kind == "power" else [f"heart rate {NOT_KNOWN if bpm is None else bpm}"]
    looking = ", looking closer, which takes up to half a minute …" if found is None else ""
    yield from wrapped(f"{', '.join(told)}{looking}", width, "", "  ")
    if isinstance(found, str):
        yield from wrapped(found, width, "dim", "  ")
    warnings = found.warnings if isinstance(found, Inspection) else sensor.warnings
    if sensor.tracker is not None and sensor.tracker.serial_number != tracker.serial_number:
        warnings = (f"It is the sensor of {athlete_of(sensor)}", *warnings)
    if any(isinstance(told.desired, Sensor) and told.desired.address == sensor.address for told in tracker.slots):
        warnings = (f"{called(tracker)} shall have this one already", *warnings)
    for warning in warnings:
        yield from wrapped(f"{warning}.", width, "yellow", "! ")
    yield Text(f"Enter: {called(tracker)} gets it   Esc: leave it", "bold")


def _joined(lines: Iterator[Text]) -> Text:
    return Text("\n").join(lines)
