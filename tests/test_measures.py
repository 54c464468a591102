"""How well decisions turned out: intervals, percentiles and calibration, against plain counting."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_mem.learning.measures import Bin, brier, mean, percentile, reliability
from agent_mem.records.rate import wilson

SHARES = st.floats(0, 1)
FORECASTS = st.lists(st.tuples(SHARES, st.booleans()), max_size=60)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Brown, Cai and DasGupta 2001 and tables of the Wilson score interval, to four digits.
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (1, 1, 0.2065, 1.0),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_an_interval_is_the_one_of_the_tables(
    successes: int, n: int, low: float, high: float
) -> None:
    found = wilson(successes, n)

    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_nothing_is_known_of_no_decisions() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert (mean([]), percentile([], 50), brier([]), reliability([])) == (None, None, None, [])


@given(st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_ends_of_an_interval_are_the_rates_that_would_just_not_be_rejected(
    counted: tuple[int, int],
) -> None:
    """Wilson's interval inverts the score test: at its ends, the difference is 1.96 errors."""
    successes, n = counted
    low, high = wilson(successes, n)

    assert 0 <= low <= successes / n <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            error = math.sqrt(end * (1 - end) / n)
            assert abs(successes / n - end) / error == pytest.approx(1.959964, rel=1e-4)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_more_of_the_same_makes_an_interval_narrower(counted: tuple[int, int]) -> None:
    successes, n = counted
    few, many = wilson(successes, n), wilson(10 * successes, 10 * n)

    assert many.high - many.low < few.high - few.low


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=200), st.integers(1, 100))
def test_a_percentile_is_the_least_value_that_enough_do_not_exceed(
    values: list[float], percent: int
) -> None:
    found = percentile(sorted(values), percent)

    def share(limit: float) -> Fraction:
        return Fraction(sum(value <= limit for value in values), len(values))

    assert found in values
    assert share(found) >= Fraction(percent, 100)
    assert all(share(value) < Fraction(percent, 100) for value in values if value < found)


def test_the_95th_of_twenty_is_the_nineteenth() -> None:
    assert percentile(list(range(1, 21)), 95) == 19
    assert percentile(list(range(1, 22)), 95) == 20
    assert percentile([7.5], 95) == 7.5


@pytest.mark.parametrize(
    ("forecasts", "score"),
    [
        ([(1.0, True), (0.0, False)], 0.0),
        ([(0.5, True), (0.5, False)], 0.25),
        ([(0.9, True), (0.9, False)], (0.01 + 0.81) / 2),
        ([(0.0, True)], 1.0),
    ],
    ids=["knew", "a coin", "half", "the opposite"],
)
def test_a_brier_score_is_the_mean_squared_error(
    forecasts: list[tuple[float, bool]], score: float
) -> None:
    assert brier(forecasts) == pytest.approx(score)


@given(FORECASTS.filter(bool))
def test_a_brier_score_agrees_with_plain_counting(forecasts: list[tuple[float, bool]]) -> None:
    errors = [(Fraction(said) - (1 if came else 0)) ** 2 for said, came in forecasts]

    assert brier(forecasts) == pytest.approx(float(sum(errors) / len(errors)))


def test_what_was_said_stands_beside_what_came() -> None:
    said_nine = [(0.9, True)] * 6 + [(0.9, False)] * 4
    sure = [(1.0, True), (0.95, True)]
    unsure = [(0.05, False), (0.0, True)]

    low, high = reliability([*said_nine, *unsure, *sure])

    assert low == Bin(0.0, 0.1, 2, 0.025, 0.5)
    assert (high.low, high.high, high.n) == (0.9, 1.0, 12)
    assert high.said == pytest.approx((10 * 0.9 + 1.95) / 12)
    assert high.right == pytest.approx(8 / 12)


@given(FORECASTS)
def test_each_forecast_is_in_the_tenth_that_it_belongs_to(
    forecasts: list[tuple[float, bool]],
) -> None:
    table = reliability(forecasts)

    assert sum(one.n for one in table) == len(forecasts)
    assert [one.low for one in table] == sorted({one.low for one in table})
    for one in table:
        last = one.high == 1
        mine = [
            (said, came)
            for said, came in forecasts
            if one.low <= said and (said < one.high or last)
        ]
        assert one.n == len(mine)
        assert one.right == pytest.approx(sum(came for _, came in mine) / len(mine))
        assert one.said == pytest.approx(math.fsum(said for said, _ in mine) / len(mine))


@pytest.mark.parametrize("tenth", range(11))
def test_a_whole_tenth_begins_its_bin(tenth: int) -> None:
    (one,) = reliability([(tenth / 10, True)])

    assert one.low == min(tenth, 9) / 10
