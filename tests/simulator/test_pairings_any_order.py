"""Whatever happens to a tracker and its target in any order, current tells what the tracker was given, in the end."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator.bluetooth import ACKNOWLEDGE_MS, BluetoothConfig, Pairings
from gateway.simulator.faults import Faults

LAG_S = 20.0
STEPS = ("write", "push", "restart", "off", "on", "lose network", "find network", "forget", "wait")

steps = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 30_000)), max_size=40)


class Tracker:
    def __init__(self, faults: Faults) -> None:
        self.config = BluetoothConfig(pairings(0))
        self.faults = faults
        self.now_ms = 0
        self.is_on = self.has_network = True
        self.written = [pairings(0)]

    @property
    def is_online(self) -> bool:
        return self.is_on and self.has_network

    def step(self, name: str, after_ms: int) -> None:
        self.now_ms += after_ms
        match name:
            case "write":
                self.written.append(pairings(len(self.written)))
                self.config.change(self.written[-1], self.now_ms, self.faults)
            case "push":
                self.config.push(self.now_ms, self.faults, is_online=self.is_online)
            case "restart":
                self.config.stop(self.now_ms)
                self.config.start()
                self.is_on = True
            case "off":
                self.config.stop(self.now_ms)
                self.is_on = False
            case "on":
                if not self.is_on:
                    self.config.start()
                self.is_on = True
            case "lose network" | "find network":
                self.has_network = name == "find network"
            case "forget":
                self.config.forget()
        if self.is_online:
            self.config.online(self.now_ms, self.faults)


def pairings(number: int) -> Pairings:
    return {"pairing_1": {"mac_address": f"a0:9e:1a:00:00:{number:02x}", "name": "Belt"}}


@given(steps, st.sampled_from(["if_online", "kept", "ignored"]))
def test_only_what_was_written_is_ever_used_and_a_start_brings_the_newest(
    happened: list[tuple[str, int]], push: str
) -> None:
    tracker = Tracker(Faults().merged({"bluetooth_push": push}))
    for name, after_ms in happened:
        before = tracker.config.used(tracker.now_ms + after_ms)
        tracker.step(name, after_ms)
        used = tracker.config.used(tracker.now_ms)
        assert used in [*tracker.written, {}]
        assert used == tracker.config.current(tracker.now_ms), "without a lag nobody can tell them apart"
        if name in {"write", "lose network", "off", "wait"}:
            assert used == before, "the cloud alone changes nothing about a tracker"
    tracker.step("find network", ACKNOWLEDGE_MS)
    tracker.step("restart", 0)
    assert tracker.config.used(tracker.now_ms) == tracker.config.target == tracker.written[-1]


@given(steps)
def test_what_lags_comes_once_and_is_never_newer_than_what_is_used(happened: list[tuple[str, int]]) -> None:
    tracker = Tracker(Faults(bluetooth_lag_s=LAG_S))
    for name, after_ms in happened:
        tracker.step(name, after_ms)
        current, used = tracker.config.current(tracker.now_ms), tracker.config.used(tracker.now_ms)
        if current and used:
            assert tracker.written.index(current) <= tracker.written.index(used)
    tracker.step("wait", round(1000 * LAG_S) + ACKNOWLEDGE_MS)
    assert tracker.config.current(tracker.now_ms) == tracker.config.used(tracker.now_ms)
