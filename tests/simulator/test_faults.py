"""The knobs: from a file, by merging, and what a person is told."""

from pathlib import Path

import pytest

from gateway.simulator.errors import FaultsError, Refusal
from gateway.simulator.faults import Faults, profiles
from gateway.simulator.throttle import Throttle


def test_every_knob_is_documented() -> None:
    assert [name for name, knob in Faults.model_fields.items() if not knob.description] == []


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text('latency_ms = 20\nmissing = "null"\n')
    assert Faults.load(path) == Faults(latency_ms=20, missing="null")


def test_an_unknown_knob_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text("latency = 20\nlate_fraction = 2\n")
    with pytest.raises(FaultsError) as caught:
        Faults.load(path)
    assert "latency is unknown, the nearest known knob is latency_ms." in str(caught.value)
    assert "late_fraction is 2" in str(caught.value)


@pytest.mark.parametrize("text", ["latency_ms =", None])
def test_a_file_that_cannot_be_used_says_so(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "faults.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(FaultsError, match=r"faults\.toml"):
        Faults.load(path)


@pytest.mark.parametrize("name", profiles())
def test_every_profile_is_valid_and_taken_by_name(name: str) -> None:
    assert Faults.named(name) != Faults()


def test_a_file_is_taken_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text("latency_ms = 20")
    monkeypatch.chdir(tmp_path)
    for path in ("mine.toml", "./mine.toml", str(tmp_path / "mine.toml")):
        assert Faults.named(path) == Faults(latency_ms=20)


@pytest.mark.parametrize("name", ["harhs", "", "faults.py"])
def test_an_unknown_profile_is_answered_with_those_there_are(name: str) -> None:
    with pytest.raises(FaultsError, match=r"harsh, or the path of a \.toml file"):
        Faults.named(name)


def test_harsh_is_what_it_promises() -> None:
    """2 % errors, answers lost, too few requests for 12 trackers, a minute of outage in three, late backlogs."""
    harsh = Faults.named("harsh")
    assert harsh.error_fraction == 0.02
    assert harsh.lost_answer_fraction == 0.1
    assert (harsh.throttle_rate_per_s, harsh.throttle_burst) == (8, 10)
    assert (harsh.outage_every_s, harsh.outage_s) == (180, 60)
    assert harsh.tracker_offline_s > 30
    assert harsh.late_fraction > 0
    assert harsh.lost_fraction == 0


def test_merging_replaces_single_knobs_and_refuses_the_rest() -> None:
    faults = Faults(latency_ms=5)
    assert faults.merged({"gzip": False}) == Faults(latency_ms=5, gzip=False)
    wrongs: tuple[object, ...] = ({"gzlp": False}, {"slow_bytes_per_s": 0}, {"latency_ms": float("nan")}, [], None, "x")
    for wrong in wrongs:
        with pytest.raises(FaultsError):
            faults.merged(wrong)


def refused(throttle: Throttle, now_ms: int, faults: Faults) -> dict[str, str] | None:
    """The headers of the 429, None if there is none."""
    try:
        throttle.admit(now_ms, faults)
    except Refusal as refusal:
        return refusal.headers if refusal.status == 429 else None
    return None


def test_the_budget_is_a_burst_and_then_a_rate() -> None:
    faults = Faults(throttle_rate_per_s=2, throttle_burst=5)
    throttle = Throttle(0, 5)
    assert sum(refused(throttle, 0, faults) is None for _ in range(9)) == 5
    assert sum(refused(throttle, 1500, faults) is None for _ in range(9)) == 3
    assert sum(refused(throttle, 10**9, faults) is None for _ in range(9)) == 5
    assert sum(refused(throttle, 10**9 + t, faults) is None for t in range(0, 60_000, 100)) == 119


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("seconds", "4"),
        ("date", "Thu, 01 Jan 1970 00:00:14 GMT"),
        ("absent", None),
        ("negative", "-1"),
        ("huge", "1000000000"),
    ],
)
def test_retry_after_takes_every_form(form: str, expected: str | None) -> None:
    """Waiting as long as it says is enough."""
    faults = Faults(throttle_rate_per_s=0.25, throttle_burst=1).merged({"retry_after": form})
    throttle = Throttle(10_000, 1)
    throttle.admit(10_000, faults)
    headers = refused(throttle, 10_000, faults)
    assert headers is not None
    assert headers.get("Retry-After") == expected
    assert refused(throttle, 14_000, faults) is None
