"""Who owned which tracker when; at most one manager at a time."""

from dataclasses import dataclass, replace

from gateway.simulator.selection import Span
from gateway.simulator.times import SENTINEL_MS, iso


@dataclass(frozen=True, slots=True)
class Ownership:
    """One row of the register: from `start_ms` on and before `end_ms`, which is the sentinel while it lasts."""

    ownership_id: int
    device_id: int
    manager_id: int
    start_ms: int
    end_ms: int = SENTINEL_MS

    def as_json(self, device_details: dict[str, object]) -> dict[str, object]:
        """The ownership object of the API."""
        return {
            "id": self.ownership_id,
            "start_time": iso(self.start_ms),
            "end_time": iso(self.end_ms),
            "device": self.device_id,
            "manager": self.manager_id,
            "device_details": device_details,
        }


class Register:
    """All ownerships ever."""

    def __init__(self) -> None:
        self._rows: dict[int, Ownership] = {}
        self._of_device: dict[int, list[int]] = {}

    def current(self, device_id: int) -> Ownership | None:
        """The ownership that lasts."""
        ids = self._of_device.get(device_id)
        last = self._rows[ids[-1]] if ids else None
        return last if last is not None and last.end_ms == SENTINEL_MS else None

    def owns(self, manager_id: int, device_id: int) -> bool:
        """Whether the manager owns the device now."""
        current = self.current(device_id)
        return current is not None and current.manager_id == manager_id

    def of_manager(self, manager_id: int) -> list[Ownership]:
        """All rows of a manager, oldest first."""
        return [row for row in self._rows.values() if row.manager_id == manager_id]

    def row(self, ownership_id: int) -> Ownership | None:
        """One row."""
        return self._rows.get(ownership_id)

    def spans(self, manager_id: int, device_id: int) -> list[Span]:
        """When the manager owned the device, in order, both ends inclusive."""
        rows = (self._rows[number] for number in self._of_device.get(device_id, ()))
        return [(row.start_ms, row.end_ms - 1) for row in rows if row.manager_id == manager_id]

    def take(self, manager_id: int, device_id: int, now_ms: int) -> Ownership:
        """Make the manager the owner from now on; whoever owned the device does so no longer."""
        self.end(device_id, now_ms)
        row = Ownership(7001 + len(self._rows), device_id, manager_id, now_ms)
        self._rows[row.ownership_id] = row
        self._of_device.setdefault(device_id, []).append(row.ownership_id)
        return row

    def end(self, device_id: int, now_ms: int) -> None:
        """End the ownership that lasts, if any."""
        current = self.current(device_id)
        if current is not None:
            self._rows[current.ownership_id] = replace(current, end_ms=now_ms)
