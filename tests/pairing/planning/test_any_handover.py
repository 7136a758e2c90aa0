"""Any fleet, any order of events: no sensor is given to a tracker while another one has it, and all get theirs.

A small world: trackers confirm when they like, writes are decided on a fleet as it was a moment ago, die in any phase,
and are found again; people change their minds; somebody else writes.
"""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from hypothesis import event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.pairing.desired import Desired
from gateway.pairing.documents import Document, Documents, Sensor, Slot, Wanted, Wish
from gateway.pairing.memory import Intent, Memory
from gateway.pairing.observation import Fleet, Observation
from gateway.pairing.planning.holding import Place
from gateway.pairing.planning.steps import Step, StepKind, steps_of
from tests.pairing.fleets import NOW_MS, sensor

STRAPS = [sensor(letter) for letter in "abcdefgh"]


@dataclass
class Tracker:
    """In the cloud: `target`, `current`; in our store: the rest."""

    serial_number: str
    desired: Desired
    target: Document
    current: Document
    intent: Intent | None = None
    late: Intent | None = None
    writes: int = 0

    @property
    def addresses(self) -> set[str | None]:
        """What it has, or is about to."""
        return {address_in(document, slot) for document in (self.target, self.current) for slot in Slot} - {None}


def address_in(document: Document, slot: Slot) -> str | None:
    found = document[slot]
    return None if found is None else found.address


@dataclass
class World:
    trackers: list[Tracker]
    steps: dict[Place, Step] = field(default_factory=dict)
    planned: dict[str, tuple[Document, int]] = field(default_factory=dict)
    """Of each tracker, what the steps were found for: its target and its generation."""
    is_foreign: bool = False
    """Whether somebody else has written, so that two may have the same between a decision and what comes of it."""

    def fleet(self) -> Fleet:
        return Fleet(
            tuple(
                Observation(
                    tracker.serial_number,
                    desired=tracker.desired,
                    memory=Memory(intent=tracker.intent, late=tracker.late),
                    documents=Documents(tracker.target, tracker.current),
                )
                for tracker in self.trackers
            ),
            now_ms=NOW_MS,
        )

    def plan(self) -> None:
        self.steps = dict(steps_of(self.fleet()))
        self.planned = {it.serial_number: (it.target, it.desired.generation) for it in self.trackers}

    def begin(self, tracker: Tracker) -> bool:
        """Journal what the steps say, unless it is about another target or another wish than there is now."""
        serial_number = tracker.serial_number
        if tracker.intent is not None or self.planned.get(serial_number) != (
            tracker.target,
            tracker.desired.generation,
        ):
            return False
        payload, changed = tracker.target, []
        for slot in Slot:
            step = self.steps.get((serial_number, slot))
            if step is not None and step.is_write:
                assert tracker.desired[slot] is not Wish.UNMANAGED
                payload = payload.with_(slot, step.sensor)
                changed.append(slot)
        if not changed:
            return False
        assert payload != tracker.target, "a write that changes nothing"
        tracker.intent = Intent(tracker.target, payload, tuple(changed), tracker.desired.generation, "", NOW_MS)
        return True

    def land(self, tracker: Tracker, intent: Intent | None) -> None:
        """The cloud does it, whether or not anybody is left to hear of it."""
        if intent is None or tracker.target != intent.base or intent.payload == intent.base:
            return
        for slot in intent.changed:
            new = address_in(intent.payload, slot)
            if new is not None and new != address_in(intent.base, slot) and not self.is_foreign:
                assert not any(new in other.addresses for other in self.trackers if other is not tracker)
                assert [address_in(intent.payload, its) for its in Slot].count(new) == 1
        tracker.target = intent.payload
        tracker.writes += 1

    def found(self, tracker: Tracker) -> None:
        """What became of a write is read; who was killed in it does so after the restart."""
        if tracker.intent is not None:
            tracker.late = tracker.intent if tracker.target == tracker.intent.base else None
        tracker.intent = None

    def rewant(self, tracker: Tracker, slot: Slot, wanted: Wanted) -> None:
        wish = replace(tracker.desired, **{slot.value: wanted})
        tracker.desired = wish.after(tracker.desired)


wanteds = st.sampled_from([*STRAPS, *Wish])
straps = st.sampled_from([None, *STRAPS])
documents = st.builds(Document, straps, straps)


@st.composite
def messy(draw: st.DrawFn) -> World:
    """Anything: the same strap in many places, wanted twice, and whatever others have left there."""
    count = draw(st.integers(1, 5))
    return World(
        [
            Tracker(str(n), Desired(draw(wanteds), draw(wanteds), 1), draw(documents), draw(documents))
            for n in range(count)
        ]
    )


@st.composite
def tidy(draw: st.DrawFn) -> World:
    """Every strap in one slot, and wanted in one slot: any way to deal them out anew."""
    count = draw(st.integers(1, 6))
    all_: list[Sensor | None] = [sensor(f"strap {n}") for n in range(2 * count)]
    had = draw(st.permutations([*all_, None, None]))
    wanted: list[Wanted] = [Wish.NONE if it is None else it for it in draw(st.permutations([*all_, None, None]))]
    return World(
        [
            Tracker(
                str(n),
                Desired(wanted[2 * n], wanted[2 * n + 1], 1),
                target := Document(had[2 * n], had[2 * n + 1]),
                target,
            )
            for n in range(count)
        ]
    )


Event = tuple[str, int, Slot, Wanted]
"""What happens, to which tracker; of which slot, and what is wanted of it or put there."""


def days(*more: str) -> st.SearchStrategy[list[Event]]:
    """Some events, in any order."""
    what = st.sampled_from(["write", "write", "plan", "begin", "land", "found", "late", "confirm", "confirm", *more])
    return st.lists(st.tuples(what, st.integers(0, 5), st.sampled_from(Slot), wanteds), min_size=10, max_size=40)


def live(world: World, day: list[Event]) -> None:
    for what, place, slot, wanted in day:
        tracker = world.trackers[place % len(world.trackers)]
        if what == "write":
            world.plan()
            if world.begin(tracker):
                event("a write")
        elif what == "plan":
            world.plan()
        elif what == "begin":
            if world.begin(tracker):
                event("a write that was decided on earlier")
        elif what == "land":
            world.land(tracker, tracker.intent)
        elif what == "found":
            world.found(tracker)
        elif what == "late":
            world.land(tracker, tracker.late)
        elif what == "confirm":
            tracker.current = tracker.target
        elif what == "rewant":
            world.rewant(tracker, slot, wanted)
        else:
            world.is_foreign = True
            tracker.target = tracker.target.with_(slot, wanted if isinstance(wanted, Sensor) else None)


def settle(world: World, order: Random) -> None:
    """Nobody else does anything and nothing goes wrong any more: first now and then, in the end everybody always."""
    for tracker in world.trackers:
        tracker.intent = tracker.late = None
        tracker.writes = 0
    count = len(world.trackers)
    for often in [0.6] * count + [1.0] * 4 * (count + 1):
        before = [(tracker.target, tracker.current) for tracker in world.trackers]
        world.plan()
        for tracker in order.sample(world.trackers, count):
            if order.random() < often and world.begin(tracker):
                world.land(tracker, tracker.intent)
                world.found(tracker)
        for tracker in world.trackers:
            if order.random() < often:
                tracker.current = tracker.target
        if often == 1.0 and before == [(tracker.target, tracker.current) for tracker in world.trackers]:
            break
    world.plan()


def check_settled(world: World) -> None:
    """Whoever did not get what is wanted waits for a person to decide, or for somebody who does."""
    wanted = Counter(
        it.address for tracker in world.trackers for slot in Slot if isinstance(it := tracker.desired[slot], Sensor)
    )
    kept = {
        address_in(tracker.target, slot)
        for tracker in world.trackers
        for slot in Slot
        if tracker.desired[slot] is Wish.UNMANAGED
    }
    held = False
    for tracker in world.trackers:
        assert tracker.writes <= 2 * len(Slot), "cleared once and set once at most"
        for slot in tracker.desired.managed:
            step, wish = world.steps[tracker.serial_number, slot], tracker.desired[slot]
            address = wish.address if isinstance(wish, Sensor) else None
            assert not step.is_write
            is_in_place = address_in(tracker.target, slot) == address_in(tracker.current, slot) == address
            assert is_in_place == (step.kind is StepKind.IN_PLACE)
            if step.kind is StepKind.HELD:
                held = True
                assert address in kept or wanted[address or ""] > 1
    if not held:
        assert {step.kind for step in world.steps.values()} <= {StepKind.IN_PLACE}


orders = st.builds(Random, st.integers(0, 1000))


@given(messy(), days("rewant"), orders)
@settings(max_examples=150, deadline=None)
def test_whatever_a_fleet_looks_like_no_write_of_ours_gives_a_sensor_that_another_tracker_has(
    world: World, day: list[Event], order: Random
) -> None:
    """People change their minds in the middle; at the end a person has to decide what no rule can."""
    live(world, day)
    settle(world, order)
    check_settled(world)


@given(messy(), days("rewant", "foreign"), orders)
@settings(max_examples=100, deadline=None)
def test_after_other_writers_all_goes_on_from_wherever_things_stand(
    world: World, day: list[Event], order: Random
) -> None:
    live(world, day)
    world.is_foreign = False
    settle(world, order)
    check_settled(world)


@given(tidy(), days(), orders)
@settings(max_examples=150, deadline=None)
def test_any_exchange_ends_with_everybody_served(world: World, day: list[Event], order: Random) -> None:
    """Chains, circles, circles through both slots of a tracker, slots that give and do not get."""
    live(world, day)
    owners = Counter(address for tracker in world.trackers for address in tracker.addresses)
    assert not owners or max(owners.values()) == 1
    settle(world, order)
    check_settled(world)
    assert all(step == Step(StepKind.IN_PLACE) for step in world.steps.values())
