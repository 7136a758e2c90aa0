"""The sensors of a tracker over the API: what a change does, and everything that a cloud may do to it."""

from typing import Any

import pytest

from gateway.simulator.pairings import PairingWrite
from tests.simulator.bench import Answer, Bench

BELT = {"mac_address": "a0:9e:1a:00:00:01", "name": "Belt"}
METER = {"mac_address": "a0:9e:1a:00:00:02", "name": "Meter"}


def path(sim: Bench, place: int = 0) -> str:
    return f"devices/{sim.ids[place]}/bluetooth-config/"


async def config(sim: Bench, place: int = 0) -> dict[str, Any]:
    answer = await sim.get(path(sim, place))
    assert answer.body["status"] == "success"
    data: dict[str, Any] = answer.body["data"]
    assert set(data) == {"current", "target"}
    return data


async def send(sim: Bench, body: object, query: str = "") -> Answer:
    return await sim.call("PATCH", path(sim) + query, json=body)


async def patch(sim: Bench, body: object, query: str = "") -> int:
    return (await send(sim, body, query)).status


async def restart(sim: Bench) -> None:
    await sim.control("POST", f"devices/{sim.ids[0]}/restart")


async def test_an_unset_pairing_is_absent(sim: Bench) -> None:
    assert set((await config(sim, 0))["current"]) == {"pairing_1"}
    assert set((await config(sim, 1))["current"]) == {"pairing_1", "pairing_2"}


async def test_a_change_waits_for_the_device_to_start(sim: Bench) -> None:
    before = (await config(sim))["current"]
    assert await patch(sim, {"pairing_1": BELT}) == 200
    sim.clock.advance(3600)
    assert await config(sim) == {"current": before, "target": {"pairing_1": BELT}}
    await restart(sim)
    assert await config(sim) == {"current": {"pairing_1": BELT}, "target": {"pairing_1": BELT}}


async def test_a_start_without_network_is_acknowledged_when_it_is_back(sim: Bench) -> None:
    await patch(sim, {"pairing_1": BELT})
    device = f"devices/{sim.ids[0]}"
    await sim.control("POST", f"{device}/network", {"connected": False})
    await sim.control("POST", f"{device}/restart")
    assert (await config(sim))["current"] != {"pairing_1": BELT}
    await sim.control("POST", f"{device}/network", {"connected": True})
    assert (await config(sim))["current"] == {"pairing_1": BELT}


async def test_immediate_sending_reaches_a_device_that_is_online(sim: Bench) -> None:
    assert await patch(sim, {"pairing_1": BELT}, "?immediate_sending=true") == 200
    assert (await config(sim))["current"] != {"pairing_1": BELT}
    sim.clock.advance(2)
    assert (await config(sim))["current"] == {"pairing_1": BELT}
    await sim.control("POST", f"devices/{sim.ids[0]}/power", {"on": False})
    await patch(sim, {"pairing_1": METER}, "?immediate_sending=true")
    sim.clock.advance(60)
    assert (await config(sim))["current"] == {"pairing_1": BELT}


@pytest.mark.parametrize(("form", "slots"), [("merge", {"pairing_1", "pairing_2"}), ("replace", {"pairing_2"})])
async def test_a_patch_merges_or_replaces_by_knob(sim: Bench, form: str, slots: set[str]) -> None:
    sim.set_faults(bluetooth_patch=form)
    await patch(sim, {"pairing_2": METER})
    assert set((await config(sim))["target"]) == slots


CLEARED = {"null": None, "empty_object": {}, "empty_strings": {"mac_address": "", "name": ""}}


@pytest.mark.parametrize("form", CLEARED)
async def test_only_one_form_unpairs(sim: Bench, form: str) -> None:
    sim.set_faults(unpair=form)
    for name, value in CLEARED.items():
        if name != form:
            assert await patch(sim, {"pairing_1": value}) == 400
    assert await patch(sim, {"pairing_1": CLEARED[form]}) == 200
    assert (await config(sim))["target"] == {}


@pytest.mark.parametrize("wrong", [[], {"pairing_1": {**BELT, "mac_address": "a09e1a000001"}}, {"pairing_1": "x"}])
async def test_an_invalid_pairing_is_refused(sim: Bench, wrong: object) -> None:
    assert await patch(sim, wrong) == 400


async def test_bluetooth_needs_current_ownership(sim: Bench) -> None:
    await sim.control("POST", f"devices/{sim.ids[0]}/move")
    assert await patch(sim, {"pairing_1": BELT}) == 403
    assert (await sim.get(f"devices/{sim.ids[0]}/bluetooth-config/")).status == 403


# --- what the cloud may do to a change --------------------------------------------------------------------------------


async def test_addresses_may_be_served_in_upper_case(sim: Bench) -> None:
    sim.set_faults(bluetooth_echo="upper")
    answer = await send(sim, {"pairing_1": BELT})
    assert answer.body["data"]["target"] == {"pairing_1": {"mac_address": "A0:9E:1A:00:00:01", "name": "Belt"}}
    assert (await config(sim))["target"] == answer.body["data"]["target"]


async def test_a_long_name_may_be_cut_for_good(sim: Bench) -> None:
    sim.set_faults(bluetooth_name_maximum=3)
    answer = await send(sim, {"pairing_1": BELT})
    sim.set_faults(bluetooth_name_maximum=0)
    assert answer.body["data"]["target"] == {"pairing_1": {**BELT, "name": "Bel"}} == (await config(sim))["target"]


@pytest.mark.parametrize("form", ["null", "empty_object", "empty_strings"])
async def test_an_unset_pairing_may_be_served_in_several_forms(sim: Bench, form: str) -> None:
    sim.set_faults(bluetooth_unset=form)
    assert (await config(sim))["target"]["pairing_2"] == CLEARED[form]


async def test_current_may_have_addresses_alone(sim: Bench) -> None:
    sim.set_faults(bluetooth_current_names=False)
    data = await config(sim, 1)
    assert all(set(pairing) == {"mac_address"} for pairing in data["current"].values())
    assert all(set(pairing) == {"mac_address", "name"} for pairing in data["target"].values())


async def test_the_status_may_be_another_word(sim: Bench) -> None:
    sim.set_faults(bluetooth_status="queued")
    answer = await send(sim, {"pairing_1": BELT})
    assert (answer.status, answer.body["status"]) == (200, "queued")


@pytest.mark.parametrize(
    ("rejects", "name", "is_refused"),
    [
        ("nothing", "B\u00e4lt", False),
        ("non_ascii_names", "B\u00e4lt", True),
        ("non_ascii_names", "Belt 1!", False),
        ("everything", "Belt 1!", True),
    ],
)
@pytest.mark.parametrize("status", [400, 404, 409, 422])
async def test_content_may_be_rejected(sim: Bench, rejects: str, name: str, is_refused: bool, status: int) -> None:
    sim.set_faults(bluetooth_rejects=rejects, bluetooth_rejection_status=status)
    before = (await config(sim))["target"]
    assert await patch(sim, {"pairing_1": {**BELT, "name": name}}) == (status if is_refused else 200)
    assert ((await config(sim))["target"] == before) is is_refused
    assert len(sim.cloud.pairing_writes) == (not is_refused)
    assert await patch(sim, {"pairing_1": None}) == 200


async def test_a_sensor_in_the_target_of_another_tracker_may_be_rejected(sim: Bench) -> None:
    sim.set_faults(bluetooth_rejects="taken_sensors", bluetooth_rejection_status=409)
    sim.cloud.write_pairings(sim.ids[3], {"pairing_1": {**BELT, "mac_address": BELT["mac_address"].upper()}})
    assert await patch(sim, {"pairing_1": BELT}) == 409
    sim.cloud.write_pairings(sim.ids[3], {"pairing_1": None})
    assert await patch(sim, {"pairing_1": BELT}) == 200
    assert await patch(sim, {"pairing_1": BELT}) == 200, "its own"


async def test_a_change_may_be_ignored_with_success(sim: Bench) -> None:
    sim.set_faults(bluetooth_ignored_fraction=1)
    before = await config(sim)
    answer = await send(sim, {"pairing_1": BELT})
    assert (answer.status, answer.body["data"]) == (200, before)
    [write] = sim.cloud.pairing_writes
    assert write.before == write.after


async def test_a_reader_may_be_told_the_target_of_before_for_a_while(sim: Bench) -> None:
    sim.set_faults(bluetooth_stale_s=5)
    before = (await config(sim))["target"]
    answer = await send(sim, {"pairing_1": BELT})
    assert answer.body["data"]["target"] == {"pairing_1": BELT}
    sim.clock.advance(2)
    await send(sim, {"pairing_2": METER})
    assert (await config(sim))["target"] == before
    sim.clock.advance(4.9)
    assert (await config(sim))["target"] == before
    sim.clock.advance(0.1)
    assert (await config(sim))["target"] == {"pairing_1": BELT, "pairing_2": METER}


async def test_current_may_lag_behind_what_the_tracker_does(sim: Bench) -> None:
    sim.set_faults(bluetooth_lag_s=60)
    before = (await config(sim))["current"]
    await patch(sim, {"pairing_1": BELT})
    await restart(sim)
    sim.clock.advance(59)
    assert (await config(sim))["current"] == before
    assert sim.cloud.bluetooth(sim.ids[0]).used(sim.clock()) == {"pairing_1": BELT}
    sim.clock.advance(1)
    assert (await config(sim))["current"] == {"pairing_1": BELT}


@pytest.mark.parametrize(
    ("push", "online", "offline"), [("if_online", True, False), ("kept", True, True), ("ignored", False, False)]
)
async def test_who_is_reached_by_immediate_sending_is_a_knob(
    sim: Bench, push: str, online: bool, offline: bool
) -> None:
    sim.set_faults(bluetooth_push=push)
    await patch(sim, {"pairing_1": BELT}, "?immediate_sending=true")
    sim.clock.advance(2)
    assert ((await config(sim))["current"] == {"pairing_1": BELT}) is online
    sim.cloud.set_network(sim.ids[0], connected=False)
    await patch(sim, {"pairing_1": METER}, "?immediate_sending=true")
    sim.clock.advance(60)
    sim.cloud.set_network(sim.ids[0], connected=True)
    assert ((await config(sim))["current"] == {"pairing_1": METER}) is offline


async def test_what_is_on_its_way_to_a_tracker_is_lost_when_it_is_switched_off(sim: Bench) -> None:
    before = (await config(sim))["current"]
    await patch(sim, {"pairing_1": BELT}, "?immediate_sending=true")
    sim.clock.advance(1)
    sim.cloud.set_power(sim.ids[0], on=False)
    sim.clock.advance(60)
    assert (await config(sim))["current"] == before


# --- what a tracker may do with its target ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "current", "used"),
    [
        ("at_start", {"pairing_1": BELT, "pairing_2": METER}, {"pairing_1": BELT, "pairing_2": METER}),
        ("never", {}, {}),
        ("says_so", {"pairing_1": BELT, "pairing_2": METER}, {}),
        ("one_slot", {"pairing_1": BELT}, {"pairing_1": BELT}),
    ],
)
async def test_trackers_differ_in_what_they_take_and_in_what_they_say(
    sim: Bench, how: str, current: object, used: object
) -> None:
    device = f"devices/{sim.ids[0]}"
    await sim.control("POST", f"{device}/forget")
    await patch(sim, {"pairing_1": BELT, "pairing_2": METER})
    assert (await sim.control("POST", f"{device}/obedience", {"how": how})).body["obedience"] == how
    await restart(sim)
    shown = (await sim.control("GET", f"{device}/pairings")).body
    assert (shown["current"], shown["used"]) == (current, used)
    assert (await config(sim))["current"] == current
    await sim.control("POST", f"{device}/obedience", {"how": "at_start"})
    await restart(sim)
    assert (await config(sim))["current"] == shown["target"]


async def test_a_tracker_that_takes_one_slot_goes_on_with_the_power_meter_it_had(sim: Bench) -> None:
    device_id = sim.ids[1]
    had = (await config(sim, 1))["current"]
    sim.cloud.set_obedience(device_id, "one_slot")
    sim.cloud.write_pairings(device_id, {"pairing_1": None, "pairing_2": METER})
    sim.cloud.restart(device_id)
    assert (await config(sim, 1))["current"] == {"pairing_2": had["pairing_2"]}
    assert sim.cloud.bluetooth(device_id).used(sim.clock()) == {"pairing_2": had["pairing_2"]}


async def test_a_forgetful_tracker_uses_nothing_until_its_next_start(sim: Bench) -> None:
    await patch(sim, {"pairing_1": BELT}, "?immediate_sending=true")
    shown = (await sim.control("POST", f"devices/{sim.ids[0]}/forget")).body
    assert (shown["current"], shown["used"], shown["target"]) == ({}, {}, {"pairing_1": BELT})
    sim.clock.advance(60)
    assert (await config(sim))["current"] == {}
    await restart(sim)
    assert (await config(sim))["current"] == {"pairing_1": BELT}


# --- who has changed what ---------------------------------------------------------------------------------------------


async def test_every_change_is_written_down_with_who_made_it_and_whether_blindly(sim: Bench) -> None:
    first = (await config(sim))["target"]
    await config(sim)
    await patch(sim, {"pairing_1": BELT})
    sim.clock.advance(10)
    await patch(sim, {"pairing_1": "x"})
    await patch(sim, {"pairing_2": METER}, "?immediate_sending=true")
    await sim.control("POST", f"devices/{sim.ids[0]}/pairings", {"pairing_1": None})
    began_ms = sim.clock() - 10_000
    both = {"pairing_1": BELT, "pairing_2": METER}
    assert sim.cloud.pairing_writes == [
        PairingWrite(began_ms, sim.ids[0], "us", first, {"pairing_1": BELT}, {"pairing_1": BELT}, False, 2),
        PairingWrite(sim.clock(), sim.ids[0], "us", {"pairing_1": BELT}, {"pairing_2": METER}, both, True, 0),
        PairingWrite(sim.clock(), sim.ids[0], "other", both, {"pairing_1": None}, {"pairing_2": METER}, False, 0),
    ]


async def test_another_account_is_not_us(sim: Bench) -> None:
    await sim.control("POST", f"devices/{sim.ids[0]}/move")
    await sim.log_in("rival@example.org", "other-simulated-password")
    assert await patch(sim, {"pairing_1": BELT}) == 200
    assert [write.by for write in sim.cloud.pairing_writes] == ["other"]


async def test_another_controller_is_not_held_up_by_the_knobs(sim: Bench) -> None:
    sim.set_faults(
        unpair="empty_strings", bluetooth_patch="replace", bluetooth_rejects="everything", bluetooth_ignored_fraction=1
    )
    sim.cloud.write_pairings(sim.ids[1], {"pairing_1": BELT})
    sim.cloud.write_pairings(sim.ids[1], {"pairing_2": None})
    assert (await config(sim, 1))["target"] == {"pairing_1": BELT}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("devices/1/pairings", {"pairing_1": None}, 404),
        ("devices/1/forget", None, 404),
        ("devices/1/obedience", {"how": "never"}, 404),
        ("devices/4101/pairings", {"pairing_3": None}, 400),
        ("devices/4101/pairings", {"pairing_1": {"mac_address": "a0:9e:1a:00:00:01"}}, 400),
        ("devices/4101/pairings", [], 400),
        ("devices/4101/obedience", {"how": "perhaps"}, 400),
        ("devices/4101/obedience", {"how": ["never"]}, 400),
        ("devices/4101/obedience", {}, 400),
        ("sensors/H10/place", {"distance_m": 0.1}, 404),
    ],
)
async def test_wrong_commands_are_refused(sim: Bench, path: str, body: object, status: int) -> None:
    assert (await sim.control("POST", path, body)).status == status
    assert sim.cloud.pairing_writes == []
    assert (await sim.control("GET", "devices/1/pairings")).status == 404
