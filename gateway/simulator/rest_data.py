"""Operations on measurements."""

from collections.abc import Mapping

from gateway.simulator.api import Call, Handler, Reply, addressed, bounded, envelope, listed, owned, positive
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.devices import Device
from gateway.simulator.errors import Refusal, forbidden, invalid
from gateway.simulator.rows import Row, add_unknown
from gateway.simulator.selection import Selection, Span
from gateway.simulator.times import iso, iso_offset, parse

SIZE_DEFAULT, SIZE_MAXIMUM = 100, 300
DATA_DEFAULT = 10_000
_DAY_MS = 86_400_000
DATA_SPAN_MS = 2 * _DAY_MS
RANGES_SPAN_MS = 14 * _DAY_MS
RANGE_APART_MS = 300_000
CACHE_MS = 120_000


def latest_timestamp(cloud: SimulatedCloud, call: Call) -> Reply:
    """Time of the newest row; 400 before there is any."""
    rows = _newest(cloud, call, owned(cloud, call), 1)
    if not rows.size:
        raise Refusal(400, {"message": "Device has no data."})
    return Reply({"timestamp": rows.last_ms, "datetime": iso_offset(rows.last_ms)})


def latest_data(cloud: SimulatedCloud, call: Call) -> Reply:
    """The newest rows, newest first, as a bare array."""
    faults = cloud.faults
    device = owned(cloud, call)
    size = bounded(call, "size", SIZE_DEFAULT, SIZE_MAXIMUM, faults)
    chosen = _newest(cloud, call, device, size)
    if not faults.duplicate_fraction and not faults.unknown_field_fraction:
        return Reply(cloud.newest_rows(device.device_id, chosen))
    rows = _rows(cloud, device, chosen)[::-1]
    return Reply([row for row in rows for _ in range(1 + (cloud.dice.random() < faults.duplicate_fraction))])


def preprocessed_ranges(cloud: SimulatedCloud, call: Call) -> Reply:
    """Runs of rows without a hole of five minutes."""
    device, faults = addressed(cloud, call), cloud.faults
    spans = _asked(cloud, call, device, RANGES_SPAN_MS)
    if faults.ranges_clipped:
        ranges = cloud.selection(device.device_id, spans).ranges(RANGE_APART_MS)
    else:
        owned_spans = cloud.ownerships.spans(call.manager.manager_id, device.device_id)
        whole = cloud.selection(device.device_id, owned_spans).ranges(RANGE_APART_MS)
        ranges = [(a, b, size) for a, b, size in whole if a <= spans[-1][1] and b >= spans[0][0]]
    claimed = [{"start": iso(a), "stop": iso(b), "size": size + faults.range_excess_rows} for a, b, size in ranges]
    return listed(cloud, call, claimed)


def preprocessed_data(cloud: SimulatedCloud, call: Call) -> Reply:
    """Rows of a span; every page of a query shows the data of its first asking for two minutes."""
    device, faults = addressed(cloud, call), cloud.faults
    limit = bounded(call, "limit", min(DATA_DEFAULT, faults.data_page_maximum), faults.data_page_maximum, faults)
    page = positive(call, "page", 1)
    spans = _asked(cloud, call, device, DATA_SPAN_MS)
    key = (call.manager.manager_id, device.device_id, spans[0][0], spans[-1][1])
    rows = cloud.selection(device.device_id, spans, cloud.frozen_ms(key, CACHE_MS))
    if faults.data_order == "shuffled":
        rows = rows.shuffled(key)
    return envelope(rows.size, page, limit, _rows(cloud, device, rows.rows((page - 1) * limit, page * limit)))


HANDLERS: Mapping[str, Handler] = {
    "latest_timestamp": latest_timestamp,
    "latest_data": latest_data,
    "preprocessed_ranges": preprocessed_ranges,
    "preprocessed_data": preprocessed_data,
}


def _newest(cloud: SimulatedCloud, call: Call, device: Device, count: int) -> Selection:
    """The newest rows of those recorded while the caller owned the device."""
    return cloud.newest(device.device_id, cloud.ownerships.spans(call.manager.manager_id, device.device_id), count)


def _asked(cloud: SimulatedCloud, call: Call, device: Device, longest_ms: int) -> list[Span]:
    """The parts of the span asked for that the caller may read, in order."""
    start_ms, stop_ms = _time(call, "start"), _time(call, "stop")
    if stop_ms < start_ms:
        raise invalid("stop", "The stop must not be before the start.")
    if stop_ms - start_ms > longest_ms:
        raise invalid("stop", f"The interval must not exceed {longest_ms // _DAY_MS} days.")
    owned_spans = cloud.ownerships.spans(call.manager.manager_id, device.device_id)
    spans = [(max(a, start_ms), min(b, stop_ms)) for a, b in owned_spans if a <= stop_ms and b >= start_ms]
    covered = sum(b - a + 1 for a, b in spans) == stop_ms - start_ms + 1
    if not spans or (cloud.faults.partial_ownership == "refuse" and not covered):
        raise forbidden()
    return spans


def _time(call: Call, field: str) -> int:
    for name in (field, f"{field}_iso"):
        if name in call.query:
            return parse(name, call.query[name])
    raise invalid(field, "This field is required.")


def _rows(cloud: SimulatedCloud, device: Device, chosen: Selection) -> list[Row]:
    fraction = cloud.faults.unknown_field_fraction
    rows = cloud.rows(device.device_id, chosen, cloud.faults)
    if fraction:
        rows = [add_unknown(row, cloud.dice) if cloud.dice.random() < fraction else row for row in rows]
    return rows
