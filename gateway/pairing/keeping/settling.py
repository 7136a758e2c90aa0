"""The configuration against what was wanted before it was read."""

from collections.abc import Mapping

import msgspec

from gateway.pairing.desired import Basis, Desired, Origin
from gateway.pairing.keeping.events import Event, event
from gateway.pairing.planning.changes import is_many

_NOTHING = Desired()


def settled(
    stored: Mapping[str, Desired], configured: Mapping[str, Desired], fleet: int, now_ms: int
) -> tuple[dict[str, Desired], list[Event]]:
    """What becomes different when the configuration is taken over, and what is to be told of it.

    Args:
        stored: What was wanted until now.
        configured: What the configuration wants of the trackers that it manages.
        fleet: How many trackers there are.
        now_ms: Now, epoch ms.
    """
    new = [serial for serial in configured if not configured[serial].is_same_as(stored.get(serial, _NOTHING))]
    taken = [
        serial for serial in configured if serial not in new and stored.get(serial, _NOTHING).origin is not Origin.FILE
    ]
    left = [serial for serial in stored if stored[serial].origin is Origin.FILE and serial not in configured]
    bulk = is_many(len(new), fleet)
    desired = {
        **{
            serial: _taken_over(configured[serial], stored.get(serial, _NOTHING), now_ms, is_bulk=bulk)
            for serial in (*new, *taken)
        },
        **{serial: Desired(basis=Basis.FILE, at_ms=now_ms).after(stored[serial]) for serial in left},
    }
    events = [
        *(event(serial, None, "Configured", "The configuration wants something else of it", now_ms) for serial in new),
        *(
            event(serial, None, "TakenByFile", "The configuration decides from now on what it listens to", now_ms)
            for serial in taken
        ),
        *(
            event(serial, None, "LeftFile", "The configuration no longer says what it shall listen to", now_ms)
            for serial in left
        ),
    ]
    return desired, events


def _taken_over(configured: Desired, before: Desired, now_ms: int, *, is_bulk: bool) -> Desired:
    """What the configuration only repeats is wanted as it was."""
    wanted = msgspec.structs.replace(configured, origin=Origin.FILE, basis=Basis.FILE, at_ms=now_ms, is_bulk=is_bulk)
    return wanted.after(before).about(wanted.differing(before), before)
