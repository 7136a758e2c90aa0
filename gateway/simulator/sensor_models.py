"""Heart-rate straps and power meters as products: what each model advertises, measures and allows, and who has which.

From the makers' documents and from what others have seen; none was measured by us.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.simulator.encoders import BodyLocation, CrankLocation, PowerFeature


@dataclass(frozen=True, slots=True)
class Model:
    """A product.

    Attributes:
        name, manufacturer, firmware: As its device information has them.
        label: Its advertised name, with what is printed on it as `{id8}`, `{id4}` (hexadecimal) or `{digits}`.
        prefix: The first half of its address, lower case; of a random static address it begins with c to f.
        is_random: Whether its address is a random static one.
        location: Where it is worn or mounted.
        interval_s: How often it advertises, seconds.
        links: How many may be connected with it at once.
        power: What its power measurement has; None of a heart-rate strap.
        advertises_service: Whether its advertisement names its service.
        broadcasts: Whether its advertisement has the heart rate, in Polar's form.
        block: What it puts before that.
        measures_contact: Whether its heart-rate measurement tells skin contact.
        measures_rr: Whether it sends RR intervals.
    """

    name: str
    manufacturer: str
    firmware: str
    label: str
    prefix: str
    location: BodyLocation | CrankLocation
    interval_s: float
    is_random: bool = False
    links: int = 1
    power: PowerFeature | None = None
    advertises_service: bool = True
    broadcasts: bool = False
    block: bytes | None = None
    measures_contact: bool = True
    measures_rr: bool = True


_PEDAL = PowerFeature.BALANCE | PowerFeature.CRANK_REVOLUTIONS | PowerFeature.OFFSET_COMPENSATION
_CRANK = PowerFeature.TORQUE | PowerFeature.CRANK_REVOLUTIONS | PowerFeature.CRANK_LENGTH

POLAR_H10 = Model(
    "Polar H10", "Polar Electro Oy", "5.0.0", "Polar H10 {id8}", "a0:9e:1a", BodyLocation.CHEST, 1.0,
    broadcasts=True, measures_contact=False,
)  # fmt: skip
POLAR_H10_DUAL = replace(POLAR_H10, links=2)
"""An H10 whose second link was switched on in Polar's app."""
POLAR_H9 = Model(
    "Polar H9", "Polar Electro Oy", "1.2.1", "Polar H9 {id8}", "a0:9e:1a", BodyLocation.CHEST, 1.0,
    broadcasts=True, measures_contact=False,
)  # fmt: skip
VERITY_SENSE = Model(
    "Polar Sense", "Polar Electro Oy", "2.1.0", "Polar Sense {id8}", "a0:9e:1a", BodyLocation.OTHER, 0.76,
    broadcasts=True, block=b"\x0b\x01\x01", measures_rr=False,
)  # fmt: skip
TICKR = Model(
    "TICKR", "Wahoo Fitness", "4.2.0", "TICKR {id4}", "d4:3a:2e", BodyLocation.CHEST, 1.022,
    is_random=True,
)  # fmt: skip
"""One of before 2020; those since then have three links."""
HRM_DUAL = Model(
    "HRM-Dual", "Garmin", "2.10", "HRM-Dual:{digits:06d}", "e7:51:0c", BodyLocation.CHEST, 0.98,
    is_random=True,
)  # fmt: skip
WHOOP = Model(
    "WHOOP", "WHOOP Inc.", "50.36", "WHOOP 5AG{digits:07d}", "f1:66:9b", BodyLocation.WRIST, 1.285,
    is_random=True, advertises_service=False, measures_contact=False,
)  # fmt: skip
ASSIOMA_LEFT = Model(
    "ASSIOMA", "Favero Electronics", "4.98", "ASSIOMA{digits:05d}L", "e8:fe:6e", CrankLocation.LEFT_PEDAL, 0.25,
    links=2, power=_PEDAL | PowerFeature.NOT_DISTRIBUTED,
)  # fmt: skip
ASSIOMA_RIGHT = Model(
    "ASSIOMA", "Favero Electronics", "4.98", "ASSIOMA{digits:05d}R", "e8:fe:6f", CrankLocation.RIGHT_PEDAL, 0.25,
    links=2, power=_PEDAL | PowerFeature.DISTRIBUTED,
)  # fmt: skip
STAGES = Model(
    "Stages Power L", "Stages Cycling", "2.1.24", "Stages {digits:05d}", "de:07:55", CrankLocation.LEFT_CRANK, 1.0,
    is_random=True, power=_CRANK | PowerFeature.NOT_DISTRIBUTED,
)  # fmt: skip
POWRLINK = Model(
    "POWRLINK ZERO", "Wahoo Fitness", "1.2.9", "POWRLINK {id4}", "c9:b4:18", CrankLocation.LEFT_PEDAL, 0.1,
    is_random=True, links=3, power=_PEDAL | PowerFeature.NOT_DISTRIBUTED,
)  # fmt: skip

MODELS: Mapping[str, Model] = {
    "assioma_left": ASSIOMA_LEFT,
    "assioma_right": ASSIOMA_RIGHT,
    "hrm_dual": HRM_DUAL,
    "polar_h9": POLAR_H9,
    "polar_h10": POLAR_H10,
    "polar_h10_dual": POLAR_H10_DUAL,
    "powrlink": POWRLINK,
    "stages": STAGES,
    "tickr": TICKR,
    "verity_sense": VERITY_SENSE,
    "whoop": WHOOP,
}
"""By the key under which a script names them."""

_STRAPS = (
    POLAR_H10, POLAR_H9, TICKR, POLAR_H10, POLAR_H10,
    VERITY_SENSE, POLAR_H10, HRM_DUAL, POLAR_H10, WHOOP,
)  # fmt: skip
_DUAL_LINK_PLACES = frozenset({0, 8, 10})
_METERS = (ASSIOMA_LEFT, STAGES, ASSIOMA_RIGHT, POWRLINK)


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of a model, by its number; no two of the first 65 536 have one name or one address."""

    model: Model
    number: int

    @property
    def name(self) -> str:
        """As it advertises and as the cloud has it."""
        scrambled = self._scrambled
        return self.model.label.format(
            id8=f"{scrambled:06X}{(0x2F + 37 * self.number) % 256:02X}",
            id4=f"{scrambled % 65536:04X}",
            digits=(17287 + 7919 * self.number) % 100_000,
        )

    @property
    def address(self) -> str:
        """In the cloud's form, lower case; the second half of a Polar's is printed on it."""
        return f"{self.model.prefix}:{self._scrambled.to_bytes(3).hex(':')}"

    @property
    def _scrambled(self) -> int:
        # Neighbours look different; an odd factor makes no two the same.
        return (0xAE60D4 + 0x5DEECD * self.number) % 2**24


def strap(place: int) -> Unit:
    """The heart-rate strap of the athlete at a place of the team; three have a second link allowed."""
    return Unit(POLAR_H10_DUAL if place in _DUAL_LINK_PLACES else _STRAPS[place % len(_STRAPS)], place)


def meter(place: int) -> Unit | None:
    """The power meter of that athlete; None of those who do not ride, who stand at even places."""
    rider, is_rider = divmod(place, 2)
    return Unit(_METERS[rider % len(_METERS)], rider) if is_rider else None
