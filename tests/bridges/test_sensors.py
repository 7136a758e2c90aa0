"""What the sensors' part is told of the trackers: whose each sensor is, and whether it delivers."""

import asyncio
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.sensors import Refusal
from gateway.bridges.sensors import SensorUsers
from gateway.cloud.models import BluetoothConfig, Pairing, PairingSet
from gateway.live.requests import ErrorCode
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.address import normal_form
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock

NOW_MS = 1_795_000_000_000
STRAP = Pairing("a0:9e:1a:00:00:01", "Polar H10 AE60D42F")
OTHER_STRAP = Pairing("a0:9e:1a:00:00:02", "Polar H10 AE60D430")
METER = Pairing("e8:fe:6e:00:00:01", "ASSIOMA17287L")
NOBODY = PairingSet()


@dataclass(frozen=True)
class Read:
    """What the cloud says."""

    current: dict[str, BluetoothConfig]
    is_complete: bool = True


def users(current: PairingSet = NOBODY, target: PairingSet = NOBODY, channel: Channel | None = None) -> SensorUsers:
    """One tracker that is configured and read, and one that is ours in the cloud and not configured here."""
    config = BluetoothConfig(current, target)
    read = Read({"SIM-0001": config, "SIM-0009": config})
    return SensorUsers({1: channel or Channel(1, Wearer("SIM-0001", "Ada", 10), 1000)}, read)


def listened_to(users: SensorUsers) -> list[tuple[str, str, bool]]:
    return [(str(one.kind), one.address, one.is_applied) for one in users.assignments()]


async def test_each_place_of_a_tracker_has_its_kind_of_sensor() -> None:
    both = PairingSet(STRAP, METER)
    [strap, meter] = users(both, both).assignments()
    assert (strap.serial_number, strap.athlete, strap.number) == ("SIM-0001", "Ada", 10)
    assert (strap.kind, strap.address, strap.name) == (SensorKind.HEART_RATE, STRAP.mac_address, STRAP.name)
    assert (meter.kind, meter.address, meter.name) == (SensorKind.POWER, METER.mac_address, METER.name)
    assert strap.is_applied
    assert meter.is_applied


async def test_whether_the_wearer_may_be_shown_is_told_of_each_sensor() -> None:
    channel = Channel(1, Wearer("SIM-0001", "Ada", 10), 1000)
    fleet = users(PairingSet(STRAP, METER), channel=channel)
    assert [one.is_released for one in fleet.assignments()] == [True, True]
    channel.since_ms = None
    assert [one.is_released for one in fleet.assignments()] == [False, False]


@pytest.mark.parametrize(
    ("current", "target", "expected"),
    [
        (STRAP, STRAP, [(STRAP, True)]),
        (STRAP, Pairing("A0-9E-1A-00-00-01", "another name"), [(STRAP, True)]),  # the same in other words
        (STRAP, OTHER_STRAP, [(STRAP, True), (OTHER_STRAP, False)]),
        (None, STRAP, [(STRAP, False)]),
        (UNSET, STRAP, [(STRAP, False)]),
        (STRAP, None, [(STRAP, True)]),
        (STRAP, UNSET, [(STRAP, True)]),
        (None, None, []),
    ],
)
async def test_what_a_tracker_shall_listen_to_is_told_besides_what_it_does(
    current: Pairing | UnsetType | None, target: Pairing | UnsetType | None, expected: list[tuple[Pairing, bool]]
) -> None:
    told = listened_to(users(PairingSet(current), PairingSet(target)))
    assert told == [("heart_rate", pairing.mac_address, is_applied) for pairing, is_applied in expected]


@pytest.mark.parametrize("mac", [None, "", "garbage", "a0:9e:1a:00:00", "a0:9e:1a:00:00:01\n", "\N{DEGREE SIGN}" * 12])
async def test_what_no_radio_could_find_is_nobodys_sensor_and_takes_none_of_the_others_away(mac: str | None) -> None:
    assert listened_to(users(PairingSet(Pairing(mac, "name\n"), METER))) == [("power", METER.mac_address, True)]


@given(st.one_of(st.none(), st.text()), st.one_of(st.none(), st.text()))
def test_whatever_the_cloud_says_of_a_sensor_it_is_one_or_none(mac: str | None, name: str | None) -> None:
    async def told() -> None:
        for one in users(PairingSet(Pairing(mac, name))).assignments():
            assert one.address == normal_form(one.address)

    asyncio.run(told())


@pytest.mark.parametrize(("read", "are_known"), [(None, False), (Read({}, is_complete=False), False), (Read({}), True)])
async def test_nothing_is_known_before_the_cloud_is_asked_and_has_told_of_all(
    read: Read | None, *, are_known: bool
) -> None:
    told = SensorUsers({1: Channel(1, Wearer("SIM-0001"), 1000)}, read)
    assert told.are_known is are_known
    assert told.assignments() == []


async def test_each_kind_of_sensor_is_seen_in_its_own_values() -> None:
    channel = Channel(1, Wearer("SIM-0001"), 1000, reference_ms=lambda: NOW_MS)
    channel.device_id = 1
    values = np.full((len(QUANTITIES), 10), np.nan)
    values[Column.POWER] = 0.0
    now_s = asyncio.get_running_loop().time()
    channel.rows_came(SampleBlock(NOW_MS - 2000 + 100 * np.arange(10, dtype=np.int64), values), now_s)
    told = users(channel=channel)
    assert told.delivers("SIM-0001", SensorKind.POWER) is True
    assert told.delivers("SIM-0001", SensorKind.HEART_RATE) is False
    assert told.delivers("SIM-0009", SensorKind.POWER) is None


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_of_a_closer_look_has_a_code_that_clients_know(refusal: Refusal) -> None:
    assert ErrorCode(refusal)
