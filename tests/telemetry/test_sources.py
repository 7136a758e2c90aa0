"""Which trackers get a stream."""

from gateway.telemetry.sources import MOVING_S, RESTED_S, Candidate, Source, streamed


def fleet(*silent_s: float | None, is_streamed: bool = False) -> list[Candidate]:
    return [Candidate(ch, silent, is_streamed) for ch, silent in enumerate(silent_s, start=1)]


def test_a_configured_source_is_what_it_says() -> None:
    trackers = fleet(0.0, 0.0, 0.0, 1e6, None)
    assert streamed(Source.POLL, trackers) == set()
    assert streamed(Source.WEBSOCKET, trackers) == {1, 2, 3, 4, 5}
    assert [source.polls for source in Source] == [True, True, False]


def test_a_couple_of_moving_trackers_are_polled_and_of_more_each_has_a_stream() -> None:
    assert streamed(Source.AUTO, fleet(0.0, 0.0, None, 1e6)) == set()
    assert streamed(Source.AUTO, fleet(0.0, 0.0, 0.0, None, 1e6)) == {1, 2, 3}


def test_a_tracker_that_rests_gets_no_stream_and_keeps_the_one_it_has_for_a_while() -> None:
    others = [Candidate(ch, 0.0, True) for ch in (1, 2, 3)]
    assert 9 not in streamed(Source.AUTO, [*others, Candidate(9, MOVING_S, False)])
    assert 9 in streamed(Source.AUTO, [*others, Candidate(9, MOVING_S, True)])
    assert 9 in streamed(Source.AUTO, [*others, Candidate(9, RESTED_S - 1, True)])
    assert 9 not in streamed(Source.AUTO, [*others, Candidate(9, RESTED_S, True)])


def test_streams_do_not_come_and_go_when_one_of_three_trackers_pauses() -> None:
    """Over an hour in which the third tracker moves for a minute and rests for two, again and again."""
    with_stream: set[int] = set()
    changes = 0
    for second in range(3600):
        phase = second % 180
        silent = [0.0, 0.0, 0.0 if phase < 60 else float(phase - 60)]
        now = streamed(Source.AUTO, [Candidate(ch, s, ch in with_stream) for ch, s in enumerate(silent, start=1)])
        changes += now != with_stream
        with_stream = now
    assert changes == 1


def test_when_all_but_a_couple_have_rested_for_long_these_are_polled_again() -> None:
    assert streamed(Source.AUTO, fleet(0.0, 0.0, RESTED_S - 1, is_streamed=True)) == {1, 2, 3}
    assert streamed(Source.AUTO, fleet(0.0, 0.0, RESTED_S, is_streamed=True)) == set()


def test_a_tracker_whose_rows_no_poll_can_see_gets_a_stream_however_few_there_are() -> None:
    hidden = Candidate(1, None, is_streamed=False, is_hidden=True)
    assert streamed(Source.AUTO, [hidden, *fleet(0.0)[1:]]) == {1}
    assert streamed(Source.POLL, [hidden]) == set()
