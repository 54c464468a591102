"""How well decisions turned out: intervals, percentiles and calibration, against plain counting."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_mem.learning.measures import (
    UNSAID,
    Bin,
    Group,
    brier,
    mean,
    nearest_rank,
    reliability,
)
from agent_mem.records.rate import wilson


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
    assert (mean(0, 0), brier([]), reliability([])) == (None, None, [])


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


@given(st.lists(st.integers(0, 50), min_size=1, max_size=200).map(sorted), st.integers(1, 100))
def test_a_percentile_is_the_least_value_that_enough_do_not_exceed(
    values: list[int], percent: int
) -> None:
    found = values[nearest_rank(percent, len(values)) - 1]

    def share(limit: int) -> Fraction:
        return Fraction(sum(value <= limit for value in values), len(values))

    assert share(found) >= Fraction(percent, 100)
    assert all(share(value) < Fraction(percent, 100) for value in values if value < found)


def test_the_95th_of_twenty_is_the_nineteenth() -> None:
    assert [nearest_rank(95, n) for n in (20, 21, 1)] == [19, 20, 1]


def group(tenth: int, came: int, n: int, said: float, missed: float) -> Group:
    return Group(tenth, came, n, said, missed, rated=0, quality=0.0, timed=0)


NINE_OF_TEN = [group(9, 1, 6, 6 * 0.9, 6 * 0.01), group(9, 0, 4, 4 * 0.9, 4 * 0.81)]
UNJUDGED = [group(UNSAID, 1, 5, 0, 0), group(3, UNSAID, 5, 1.5, 0), group(UNSAID, UNSAID, 5, 0, 0)]


def test_a_brier_score_is_the_mean_squared_error_of_what_was_judged() -> None:
    assert brier(NINE_OF_TEN) == pytest.approx((6 * 0.01 + 4 * 0.81) / 10)
    assert brier([*UNJUDGED, *NINE_OF_TEN]) == brier(NINE_OF_TEN)
    assert brier(UNJUDGED) is None


def test_what_was_said_stands_beside_what_came() -> None:
    low, high = reliability([*NINE_OF_TEN, *UNJUDGED, group(0, 0, 2, 0.1, 0.005)])

    assert low == Bin(0.0, 0.1, 2, 0.05, 0.0)
    assert (high.low, high.high, high.n) == (0.9, 1.0, 10)
    assert high.said == pytest.approx(0.9)
    assert high.right == pytest.approx(0.6)
    assert reliability(UNJUDGED) == []
