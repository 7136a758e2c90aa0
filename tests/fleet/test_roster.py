"""What to do about a tracker: decided from lists alone."""

import pytest

from gateway.cloud.models import Device
from gateway.fleet.roster import Decision, Step, Tracker, decide, find

OURS = Device(1, "SIM-0004", "imei-1")
LONGER = Device(2, "SIM-0004B", "imei-2")


@pytest.mark.parametrize(
    ("tracker", "owned", "known", "decision"),
    [
        (Tracker("SIM-0004"), [LONGER, OURS], [], Decision(Step.KEEP, 1)),
        (Tracker("SIM-0004", "another name"), [OURS], [], Decision(Step.KEEP, 1)),
        (Tracker("SIM-0004", "imei-9"), [LONGER], [LONGER], Decision(Step.CLAIM, None, "imei-9")),
        (Tracker("SIM-0004"), [], [LONGER, OURS], Decision(Step.CLAIM, 1, "imei-1")),
        (Tracker("SIM-0004", "label"), [], [OURS], Decision(Step.CLAIM, 1, "label")),
        (Tracker("SIM-0004"), [], [LONGER], Decision(Step.NAME)),
        (Tracker("SIM-0004"), [], [Device(1, "SIM-0004")], Decision(Step.NAME, 1)),
        (Tracker("sim-0004"), [OURS], [], Decision(Step.NAME)),
        (Tracker("SIM-0004"), [Device(3)], [], Decision(Step.NAME)),
    ],
)
def test_the_step_follows_from_what_the_cloud_lists(
    tracker: Tracker, owned: list[Device], known: list[Device], decision: Decision
) -> None:
    assert decide(tracker, owned, known) == decision


def test_among_devices_with_one_serial_number_the_name_decides() -> None:
    twins = [Device(1, "S", "a"), Device(2, "S", "b")]
    assert find("S", twins, "b") == twins[1]
    assert find("S", twins, "c") == twins[0]
    assert find("T", twins) is None
