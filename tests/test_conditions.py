"""The circumstances of decisions: told apart, cut into thirds, and matched with a context."""

from itertools import pairwise
from typing import Any

import pytest
from helpers_drawn import JSON
from hypothesis import given
from hypothesis import strategies as st

from agent_mem.learning.conditions import (
    Condition,
    circumstances,
    conditions,
    hold,
    thirds,
    worded,
)
from agent_mem.learning.conditions import given as given_by

NUMBERS = st.lists(st.floats(-1e9, 1e9), min_size=6, max_size=60)


def test_what_lies_deeper_has_a_path() -> None:
    context = {
        "market": {"price": 45_000.5, "open": True, "deep": {"er": 1, "est": {"gone": 1}}},
        "cycle": 1,
        "mood": "calm",
        "nothing": None,
        "list": [1, 2],
        "story": "x" * 101,
        "k" * 101: 1,
    }

    assert circumstances(context) == {
        "market.price": 45_000.5,
        "market.open": True,
        "market.deep.er": 1,
        "cycle": 1,
        "mood": "calm",
    }


def test_few_numbers_stand_for_themselves_and_many_for_their_third() -> None:
    told: list[dict[str, Any]] = [{"few": n % 5, "many": n} for n in range(1, 31)]

    found = list(conditions(told))

    assert found[0] == (
        Condition("few", "1", "1"),
        Condition("many", "low", '{"up_to": 10.6667}'),
    )
    assert [one[1].name for one in found].count("low") == 10
    assert [one[1].name for one in found].count("middle") == 10
    assert found[29][1].value == {"above": 20.3333}


def test_one_and_true_and_the_word_one_are_three_things() -> None:
    found = list(conditions([{"a": 1}, {"a": 1.0}, {"a": True}, {"a": "1"}]))

    assert [one[0].name for one in found] == ["1", "1", "true", '"1"']
    assert hold({"a": 1}, {"a": 1.0})
    assert not hold({"a": 1}, {"a": True})
    assert not hold({"a": True}, {"a": 1})
    assert not hold({"a": 1}, {"a": "1"})


def test_a_number_that_is_too_large_for_arithmetic_stands_for_itself() -> None:
    huge = 10**400
    told: list[dict[str, Any]] = [{"a": n} for n in range(10)]

    found = list(conditions([*told, {"a": huge}]))

    assert found[10][0].value == huge
    assert hold({"a": huge}, {"a": huge})
    assert not hold({"a": {"above": 1}}, {"a": huge})


def test_a_word_among_numbers_stands_for_itself() -> None:
    told: list[dict[str, Any]] = [*({"a": n} for n in range(10)), {"a": "none"}]

    assert list(conditions(told))[10] == (Condition("a", '"none"', '"none"'),)
    assert not hold({"a": {"above": 1}}, {"a": "none"})


def test_only_what_is_told_most_often_is_looked_at() -> None:
    told: list[dict[str, Any]] = [
        {f"key{n:02}": 1 for n in range(25)},
        {f"key{n:02}": 1 for n in range(5, 25)},
    ]

    assert [c.key for c in next(conditions(told))] == [f"key{n:02}" for n in range(5, 25)]


def test_bounds_hold_within_them_the_upper_one_included() -> None:
    wanted = {"load": {"above": 0.5, "up_to": 0.75}}

    assert [hold(wanted, {"load": load}) for load in (0.5, 0.51, 0.75, 0.76)] == [
        False,
        True,
        True,
        False,
    ]
    assert not hold(wanted, {})


def test_who_decides_is_a_circumstance_whatever_the_context_says() -> None:
    assert given_by({"agent": "x", "load": 1}, "ana") == {"agent": "ana", "load": 1}


@given(st.lists(JSON, min_size=1, max_size=12))
def test_whatever_a_context_tells_holds_where_it_was_told(contexts: list[dict[str, Any]]) -> None:
    told = [circumstances(context) for context in contexts]

    for context, found in zip(contexts, conditions(told), strict=True):
        assert all(hold({one.key: one.value}, context) for one in found)


@given(st.integers(6, 300))
def test_the_thirds_of_different_numbers_are_of_one_size(count: int) -> None:
    low, high = thirds(range(count))

    sizes = [sum(n <= low for n in range(count)), sum(n > high for n in range(count))]
    assert all(abs(size - count / 3) <= 1 for size in sizes)


@given(NUMBERS.filter(lambda some: len(set(some)) > 5))
def test_each_number_is_in_exactly_one_third(numbers: list[float]) -> None:
    found = [one[0] for one in conditions([{"a": n} for n in numbers])]
    tests = {one.test: one.value for one in found}

    for number, mine in zip(numbers, found, strict=True):
        assert [t for t, v in tests.items() if hold({"a": v}, {"a": number})] == [mine.test]
    for one, other in pairwise(sorted(zip(numbers, (c.name for c in found), strict=True))):
        assert ("low", "middle", "high").index(one[1]) <= ("low", "middle", "high").index(other[1])


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"day": "friday"}, "day = friday"),
        ({"open": True, "n": 3}, "open = true and n = 3"),
        ({"load": {"above": 0.5, "up_to": 0.75}}, "load above 0.5 and up to 0.75"),
        ({"price": {"up_to": 45123.5}}, "price up to 45123.5"),
    ],
    ids=["a word", "two", "between", "up to"],
)
def test_conditions_are_told_in_words(wanted: dict[str, Any], words: str) -> None:
    assert worded(wanted) == words
