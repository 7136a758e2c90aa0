"""What the sensors' part is told of the trackers: whose each sensor is, and whether it delivers."""

import asyncio
from dataclasses import dataclass, field

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
from gateway.pairing.desired import Desired
from gateway.pairing.documents import Sensor, Wish
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
    wanted: Desired = field(default_factory=Desired)

    def desired(self, serial_number: str) -> Desired:
        return self.wanted if serial_number == "SIM-0001" else Desired()


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


def two(read: Read | None, *released: str) -> SensorUsers:
    """Two trackers, of which some wearers may be shown."""
    channels = {number: Channel(number, Wearer(f"SIM-000{number}"), 1000) for number in (1, 2)}
    for channel in channels.values():
        channel.since_ms = 0 if channel.wearer.serial_number in released else None
    return SensorUsers(channels, read)


NOTHING = BluetoothConfig(NOBODY, NOBODY)


@pytest.mark.parametrize(
    ("read", "released", "is_known"),
    [
        (None, (), False),
        (None, ("SIM-0001",), False),
        (None, ("SIM-0001", "SIM-0002"), True),
        (Read({}, is_complete=False), ("SIM-0001", "SIM-0002"), True),
        (Read({}, is_complete=False), ("SIM-0001",), False),
        (Read({"SIM-0001": NOTHING}, is_complete=False), ("SIM-0001",), False),
        (Read({"SIM-0002": NOTHING}, is_complete=False), ("SIM-0001",), True),
        (Read({"SIM-0002": NOTHING}, is_complete=False), (), False),
        (Read({}), (), True),
    ],
)
async def test_any_sensor_may_be_an_unreleased_athletes_until_their_trackers_are_read(
    read: Read | None, released: tuple[str, ...], *, is_known: bool
) -> None:
    withheld = two(read, *released).withheld()
    assert (withheld is not None) is is_known
    assert not withheld


async def test_what_an_unreleased_athlete_is_to_get_is_withheld_before_the_cloud_is_told() -> None:
    wanted = Desired(
        heart_rate=Sensor("a0:9e:1a:00:00:01", "Polar H10 AE60D42F"), power=Sensor("e8:fe:6e:00:00:01", "")
    )
    read = Read({}, wanted=wanted)
    assert two(read).withheld() == [("a0:9e:1a:00:00:01", "Polar H10 AE60D42F"), ("e8:fe:6e:00:00:01", None)]
    assert two(read, "SIM-0001").withheld() == []
    assert two(Read({}, wanted=Desired(heart_rate=Wish.NONE))).withheld() == []


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
