"""How sure a difference is: exact for small samples, and honest where many are looked at."""

import math
import random
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent_mem.learning.evidence import Tally, adjusted, better, differing, layered, worse

TALLIES = st.integers(1, 60).flatmap(lambda n: st.builds(Tally, st.just(n), st.integers(0, n)))
P_VALUES = st.lists(st.floats(0, 1), max_size=30)


def exactly(group: Tally, rest: Tally) -> Fraction:
    """Sum the hypergeometric distribution in whole numbers."""
    total, successes = group.n + rest.n, group.successes + rest.successes
    ways = sum(
        math.comb(group.n, k) * math.comb(rest.n, successes - k)
        for k in range(group.successes, min(group.n, successes) + 1)
    )
    return Fraction(ways, math.comb(total, successes))


@given(TALLIES, TALLIES)
def test_a_tail_is_what_exact_counting_gives(group: Tally, rest: Tally) -> None:
    assert better(group, rest) == pytest.approx(float(exactly(group, rest)), rel=1e-9)


def test_the_lady_tasting_tea_is_right_once_in_seventy() -> None:
    """Fisher 1935: eight cups, four with the milk first, all told apart."""
    assert better(Tally(4, 4), Tally(4, 0)) == pytest.approx(1 / 70)
    assert better(Tally(4, 3), Tally(4, 1)) == pytest.approx(17 / 70)


@given(TALLIES, TALLIES)
def test_one_side_and_the_other_share_only_what_was_seen(group: Tally, rest: Tally) -> None:
    successes = group.successes + rest.successes
    seen = (
        math.comb(group.n, group.successes)
        * math.comb(rest.n, rest.successes)
        / math.comb(group.n + rest.n, successes)
    )

    assert better(group, rest) + worse(group, rest) == pytest.approx(1 + seen)


@given(TALLIES, TALLIES)
def test_a_tail_is_a_beta_posterior_with_a_sceptics_prior(group: Tally, rest: Tally) -> None:
    """Altham 1969, in whole numbers: P(group <= rest) with Beta(a, b + 1) and Beta(c + 1, d)."""
    a, b = group.successes, group.n - group.successes
    c, d = rest.successes, rest.n - rest.successes
    assume(a and d)

    assert better(group, rest) == pytest.approx(float(not_above((a, b + 1), (c + 1, d))), rel=1e-9)


def not_above(one: tuple[int, int], other: tuple[int, int]) -> Fraction:
    """Give P(X <= Y) of two independent Beta variables with whole parameters.

    X <= x is at least one[0] successes of sum(one) - 1; the rest is an integral of a Beta density.
    """
    n, total = sum(one) - 1, Fraction(0)
    for k in range(one[0], n + 1):
        total += math.comb(n, k) * beta(other[0] + k, other[1] + n - k)
    return total / beta(*other)


def beta(a: int, b: int) -> Fraction:
    """Give Euler's beta function of whole numbers."""
    return Fraction(math.factorial(a - 1) * math.factorial(b - 1), math.factorial(a + b - 1))


@pytest.mark.parametrize("times", [1, 2, 4, 8, 16, 500])
def test_the_same_rates_are_surer_in_a_larger_sample(times: int) -> None:
    small, large = (better(Tally(4 * n, 3 * n), Tally(6 * n, 2 * n)) for n in (times, 2 * times))

    assert large < small


def test_two_of_two_says_little() -> None:
    assert differing(Tally(2, 2), [Tally(40, 20)]) > 0.4


def test_a_group_has_to_differ_from_each_of_the_others() -> None:
    good, like_it, bad = Tally(40, 36), Tally(40, 35), Tally(40, 10)

    assert differing(good, [bad]) < 0.001
    assert differing(good, [bad, like_it]) > 0.5
    assert differing(bad, [good]) == pytest.approx(differing(good, [bad]))


def test_what_is_better_than_one_and_not_than_another_is_nothing() -> None:
    middle = Tally(400, 200)

    assert differing(middle, [Tally(400, 40), Tally(400, 360)]) == 1
    assert differing(middle, [Tally(400, 40), middle]) == 1


def test_p_values_are_adjusted_as_holm_did_it() -> None:
    """The example of Holm's step-down: 4 of them, times 4, 3, 2 and 1, never falling."""
    assert adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjusted([]) == []


@given(P_VALUES)
def test_an_adjusted_p_value_is_no_smaller_and_in_the_same_order(p_values: list[float]) -> None:
    found = adjusted(p_values)

    assert all(p <= q <= min(1, len(p_values) * p) for p, q in zip(p_values, found, strict=True))
    by_p = [q for _, q in sorted(zip(p_values, found, strict=True))]
    assert all(one <= other for one, other in pairwise(by_p))


@given(P_VALUES)
def test_one_layer_is_as_if_there_were_none(p_values: list[float]) -> None:
    assert layered([0] * len(p_values), p_values) == adjusted(p_values)


def test_a_crowded_layer_does_not_drown_another() -> None:
    few, many = [0.004], [0.5] * 1000

    found = layered([0, *[1] * 1000], [*few, *many])

    assert found[0] == pytest.approx(0.008)
    assert adjusted([*few, *many])[0] == 1


def test_noise_is_found_no_more_often_than_is_said() -> None:
    """Of 400 looks at 20 candidates from nothing but chance, at most 5% show one at 0.95."""
    some = random.Random(11)  # noqa: S311 - a test that repeats itself
    wrong = 0
    for _ in range(400):
        groups = [(heads(some, 30), heads(some, 60)) for _ in range(20)]
        wrong += min(adjusted([differing(one, [other]) for one, other in groups])) <= 0.05

    assert wrong <= 0.05 * 400


def heads(some: random.Random, n: int) -> Tally:
    return Tally(n, sum(some.random() < 0.6 for _ in range(n)))
