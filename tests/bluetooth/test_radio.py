"""What is said of the radio, which adapter is chosen, how long to wait."""

import pytest

from gateway.bluetooth.radio import (
    Adapter,
    Backoff,
    Radio,
    RadioState,
    choose_adapter,
    outlook,
    state_of_error,
)

IN_ORDER = {RadioState.STARTING, RadioState.LISTENING}


def chosen(*adapters: Adapter, wanted: str | None = None) -> str | None:
    adapter = choose_adapter(adapters, wanted)
    return adapter.name if adapter else None


@pytest.mark.parametrize("state", RadioState)
@pytest.mark.parametrize("adapter", [None, "hci1"])
def test_every_state_says_what_is_and_what_to_do(state: RadioState, adapter: str | None) -> None:
    radio = Radio(state, adapter)
    assert radio.text
    assert radio.text[0].isupper()
    assert not radio.text.endswith(".")
    assert bool(radio.action) == (state not in IN_ORDER)
    assert not radio.action.endswith(".")
    assert radio.is_listening == (state is RadioState.LISTENING)


@pytest.mark.parametrize(
    ("state", "action"),
    [
        (RadioState.BLOCKED, "run `sudo rfkill unblock bluetooth`"),
        (RadioState.NO_ADAPTER, "plug in a USB Bluetooth adapter"),
        (RadioState.NO_SERVICE, "run `sudo systemctl start bluetooth`"),
        (RadioState.POWERED_OFF, "run `bluetoothctl power on`"),
    ],
)
def test_the_action_is_what_a_technician_types(state: RadioState, action: str) -> None:
    assert Radio(state).action == action


def test_a_missing_configured_adapter_is_named_with_those_that_are_there() -> None:
    radio = outlook([Adapter("hci1", is_powered=True), Adapter("hci0", is_powered=True)], "hci7")
    assert radio.state is RadioState.NO_ADAPTER
    assert radio.text == "Bluetooth adapter hci7 is missing, only hci0 and hci1 found"
    assert radio.action == "plug it in, or name another one as adapter in [bluetooth]"
    assert outlook([], "hci7").text == "Bluetooth adapter hci7 is missing, no other found"


def test_an_on_board_radio_is_mentioned() -> None:
    adapter = Adapter("hci0", is_powered=True, is_on_board=True)
    assert outlook([adapter], None).notes == (
        "hci0 is the on-board radio: a USB Bluetooth adapter on a cable hears farther",
    )
    assert Radio(RadioState.LISTENING, "hci1", is_on_board=False).notes == ()
    assert Radio(RadioState.LISTENING, "hci1").notes == ()


def test_a_failure_says_what_the_service_said() -> None:
    text = Radio(RadioState.FAILED, "hci0", detail="org.bluez.Error.Failed").text
    assert text == "The Bluetooth service does not do what it is asked: org.bluez.Error.Failed"


def test_a_bus_that_a_setting_leads_to_is_not_the_systems() -> None:
    radio = Radio(RadioState.NO_BUS, detail="DBUS_SYSTEM_BUS_ADDRESS")
    assert radio.text == "No D-Bus answers where DBUS_SYSTEM_BUS_ADDRESS says that it is"
    assert radio.action == "unset DBUS_SYSTEM_BUS_ADDRESS, or start what it names"


def test_the_configured_adapter_is_taken_whatever_it_is() -> None:
    good, wanted = Adapter("hci0", is_powered=True), Adapter("hci1", is_powered=False, is_on_board=True)
    assert chosen(good, wanted, wanted="hci1") == "hci1"
    assert chosen(good, wanted, wanted="hci2") is None


def test_an_adapter_that_works_goes_before_one_on_usb_and_that_before_the_number() -> None:
    board = Adapter("hci0", is_powered=True, is_on_board=True)
    usb = Adapter("hci10", is_powered=True, is_on_board=False)
    assert chosen(board, usb) == "hci10"
    assert chosen(board, Adapter("hci1", is_powered=False, is_on_board=False)) == "hci0"
    assert chosen(board, Adapter("hci1", is_powered=True, is_blocked=True)) == "hci0"
    assert chosen(board, Adapter("hci1", is_powered=True, is_central=False)) == "hci0"
    assert chosen(usb, Adapter("hci2", is_powered=True, is_on_board=False)) == "hci2"
    assert chosen() is None


def test_an_adapter_that_only_has_to_be_switched_on_goes_before_one_that_can_never_listen() -> None:
    adapters = [Adapter("hci0", is_powered=True, is_central=False), Adapter("hci1", is_powered=False)]
    assert outlook(adapters, None) == Radio(RadioState.POWERED_OFF, "hci1")


@pytest.mark.parametrize(
    ("adapter", "state"),
    [
        (Adapter("hci0", is_powered=True), RadioState.STARTING),
        (Adapter("hci0", is_powered=False), RadioState.POWERED_OFF),
        (Adapter("hci0", is_powered=False, is_blocked=True), RadioState.BLOCKED),
        (Adapter("hci0", is_powered=True, is_central=False), RadioState.NO_CENTRAL),
    ],
)
def test_the_outlook_names_what_is_in_the_way(adapter: Adapter, state: RadioState) -> None:
    assert outlook([adapter], None).state is state
    assert outlook([adapter], "hci0").state is state


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("org.bluez.Error.InProgress", RadioState.BUSY),
        ("org.bluez.Error.NotReady", RadioState.POWERED_OFF),
        ("org.freedesktop.DBus.Error.AccessDenied", RadioState.DENIED),
        ("org.freedesktop.DBus.Error.ServiceUnknown", RadioState.NO_SERVICE),
        ("org.freedesktop.DBus.Error.Spawn.ChildExited", RadioState.NO_SERVICE),
        ("org.freedesktop.DBus.Error.UnknownObject", RadioState.NO_ADAPTER),
        ("org.bluez.Error.Failed", RadioState.FAILED),
        ("", RadioState.FAILED),
    ],
)
def test_an_error_of_the_service_is_a_state(name: str, state: RadioState) -> None:
    assert state_of_error(name) is state


def test_waits_double_up_to_three_seconds_and_begin_anew_after_a_success() -> None:
    backoff = Backoff()
    assert [backoff.failed(RadioState.FAILED) for _ in range(7)] == [0.25, 0.5, 1.0, 2.0, 3.0, 3.0, 3.0]
    for _ in range(2000):
        assert backoff.failed(RadioState.FAILED) == 3.0
    backoff.succeeded()
    assert backoff.failed(RadioState.DENIED) == 0.25


def test_a_busy_radio_is_tried_every_second() -> None:
    backoff = Backoff()
    assert [backoff.failed(RadioState.BUSY) for _ in range(20)] == [1.0] * 20
    assert backoff.failed(RadioState.FAILED) == 0.25
