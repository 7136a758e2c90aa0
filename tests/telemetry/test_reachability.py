"""When the cloud as a whole is said to be away."""

from gateway.cloud.errors import Broken, Throttled, Unreachable
from gateway.telemetry.reachability import UNREACHABLE_AFTER_S, Reachability

CUT = Unreachable("latest_data", Broken.CUT)


def test_while_nobody_asks_nothing_is_wrong() -> None:
    reachability = Reachability()
    assert reachability.trouble(1e6) is None


def test_a_network_that_swallows_everything_is_told_before_the_first_request_has_failed() -> None:
    reachability = Reachability()
    reachability.asked(100.0)
    reachability.asked(105.9)
    assert reachability.trouble(100.0 + UNREACHABLE_AFTER_S - 0.1) is None
    trouble = reachability.trouble(100.0 + UNREACHABLE_AFTER_S)
    assert trouble is not None
    assert (trouble.code, "no answer in time" in trouble.text) == ("cloud_unreachable", True)


def test_a_failure_that_has_told_its_cause_is_told_with_it_and_of_several_the_newest() -> None:
    reachability = Reachability()
    for second, error in enumerate([CUT, CUT, Throttled("latest_data", 1.0)]):
        reachability.asked(float(second))
        reachability.failed(error, second + 0.5)
    assert reachability.trouble(5.9) is None
    assert isinstance(reachability.trouble(6.0), Throttled)


def test_one_tracker_that_is_answered_is_enough() -> None:
    reachability = Reachability()
    for second in range(60):
        reachability.asked(float(second))
        reachability.failed(CUT, second + 0.1)
        reachability.asked(second + 0.2)
        reachability.answered()
        assert reachability.trouble(second + 0.9) is None


def test_the_first_success_ends_it() -> None:
    reachability = Reachability()
    reachability.asked(0.0)
    reachability.failed(CUT, 0.1)
    assert reachability.trouble(60.0) is CUT
    reachability.answered()
    assert reachability.trouble(60.0) is None
    reachability.asked(61.0)
    assert reachability.trouble(61.0 + UNREACHABLE_AFTER_S - 0.1) is None


def test_a_connection_that_breaks_while_nobody_asks_is_a_question_that_failed() -> None:
    reachability = Reachability()
    reachability.failed(CUT, 10.0)
    assert reachability.trouble(10.0 + UNREACHABLE_AFTER_S) is CUT
