"""Patterns among decisions: what is planted is found with its sign, and noise is not."""

import random
from typing import Any

import pytest
from helpers_decisions import decided, on_fridays, repeated, shuffled
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from agent_mem.learning.evidence import Tally
from agent_mem.learning.patterns import Finding, Key, findings
from agent_mem.records.decision import Decision

PUSH = Key("deploy", (("day", '"friday"'),), "push")


def held(decisions: list[Decision]) -> dict[Key, Finding]:
    return {key: found for key, found in findings(decisions).items() if found.holds}


def test_a_choice_that_fails_under_a_condition_is_found_with_its_evidence() -> None:
    decisions = on_fridays()

    found = held(decisions)[PUSH]

    assert (found.cases, found.others) == (Tally(16, 2), Tally(16, 13))
    assert {c.key: c.value for c in found.under} == {"day": "friday"}
    assert set(found.evidence) == {str(d.id) for d in decisions[:16]}


def test_a_choice_that_is_good_everywhere_is_one_pattern_and_not_one_a_condition() -> None:
    some = random.Random(5)  # noqa: S311 - a test that repeats itself
    decisions = [
        decided(
            choice,
            some.random() < (0.95 if choice == "good" else 0.5),
            context={"coin": some.choice(("heads", "tails")), "die": some.randrange(3)},
        )
        for choice in ["good", "plain"] * 150
    ]

    assert {(key.conditions, key.choice) for key in held(decisions)} == {
        ((), "good"),
        ((), "plain"),
    }


def test_a_condition_under_which_everything_fails_says_nothing_about_a_choice() -> None:
    storm, calm = {"weather": "storm"}, {"weather": "calm"}
    decisions = [
        d
        for choice in ("push", "wait")
        for worked, context in ((3, storm), (27, calm))
        for d in repeated(choice, worked, 30, context=context)
    ]

    assert held(decisions) == {}


def test_where_only_one_thing_was_ever_chosen_the_condition_tells() -> None:
    decisions = [
        *repeated("push", 2, 20, context={"day": "friday"}),
        *repeated("push", 18, 20, context={"day": "monday"}),
    ]

    found = held(decisions)

    assert found[PUSH].others == Tally(20, 18)
    assert {key.conditions[0][1] for key in found} == {'"friday"', '"monday"'}


def test_a_condition_that_is_always_given_tells_nothing() -> None:
    decisions = [
        *repeated("push", 2, 20, context={"env": "live"}),
        *repeated("wait", 18, 20, context={"env": "live"}),
    ]

    assert {key.conditions for key in findings(decisions)} == {()}


def test_what_takes_two_conditions_is_found_with_both() -> None:
    """Neither night nor load alone: together they make it fail."""
    decisions: list[Decision] = []
    for night in (True, False):
        for load in ("high", "low"):
            worked = 4 if night and load == "high" else 32
            context = {"night": night, "load": load}
            decisions += repeated("bulk", worked, 40, context=context)
            decisions += repeated("drip", 32, 40, context=context)

    key = Key("deploy", (("load", '"high"'), ("night", "true")), "bulk")
    assert held(decisions)[key].cases == Tally(40, 4)


def test_who_decides_may_be_what_matters() -> None:
    decisions = [
        *repeated("push", 2, 20, agent_name="bo"),
        *repeated("push", 18, 20, agent_name="ana"),
        *repeated("wait", 17, 20, agent_name="bo"),
        *repeated("wait", 17, 20, agent_name="ana"),
    ]

    found = held(decisions)[Key("deploy", (("agent", '"bo"'),), "push")]

    assert found.about == "bo"
    assert findings(decisions)[Key("deploy", (), "push")].about is None


def test_a_decision_for_two_things_counts_for_both_and_once_for_each() -> None:
    some = [*repeated("a", 2, 20)]
    both = [d.model_copy(update={"selected": ["a", "b", "a"]}) for d in some]
    neither = list(repeated("c", 18, 20))

    found = held([*both, *neither])

    assert {key.choice: each.cases for key, each in found.items()} == {
        "a": Tally(20, 2),
        "b": Tally(20, 2),
        "c": Tally(20, 18),
    }


def test_types_are_not_mixed_but_count_as_one_family() -> None:
    one = on_fridays()
    alone = findings(one)[PUSH].confidence
    other = [
        d.model_copy(update={"decision_type": f"type {n}", "success": turn % 2 == 0})
        for n in range(40)
        for turn, d in enumerate(one)
    ]

    assert findings([*one, *other])[PUSH].cases == Tally(16, 2)
    assert findings([*one, *other])[PUSH].confidence < alone


@pytest.mark.parametrize(("n", "holds"), [(2, False), (3, False), (6, True), (20, True)])
def test_the_same_difference_is_a_pattern_only_in_a_large_enough_sample(
    n: int, *, holds: bool
) -> None:
    decisions = [*repeated("push", 0, n), *repeated("wait", n, n)]

    assert (Key("deploy", (), "push") in held(decisions)) is holds


def test_nothing_is_found_in_nothing() -> None:
    assert findings([]) == {}


CONTEXTS = st.fixed_dictionaries(
    {}, optional={"a": st.integers(0, 2), "b": st.booleans(), "c": st.floats(0, 1)}
)
DECISIONS = st.lists(
    st.tuples(st.sampled_from("xyz"), st.booleans(), CONTEXTS, st.sampled_from(("ana", "bo"))),
    max_size=80,
)


@how(max_examples=60, deadline=None)
@given(DECISIONS)
def test_what_is_counted_is_what_plain_counting_gives(
    drawn: list[tuple[str, bool, dict[str, Any], str]],
) -> None:
    decisions = [
        decided(choice, success, context=context, agent_name=who)
        for choice, success, context, who in drawn
    ]

    for key, found in findings(decisions).items():
        mine = [d for d in decisions if fits(d, found) and d.selected == [key.choice]]
        rest = [d for d in decisions if fits(d, found) and d.selected != [key.choice]]
        assert found.cases == tallied(mine)
        assert found.cases.n >= 5 * (1 + len(found.under))
        if rest:
            assert found.others == tallied(rest)
        assert 0 <= found.confidence < 1
        assert found.holds == bool(found.evidence)


def fits(decision: Decision, found: Finding) -> bool:
    """Look whether the conditions of a finding are given, by hand."""
    told: dict[str, Any] = {**decision.context, "agent": decision.agent_name}
    for one in found.under:
        test, value = one.value, told.get(one.key)
        if one.name in ("low", "middle", "high"):
            if value is None or not test.get("above", -1) < value <= test.get("up_to", 2):
                return False
        elif value != test or isinstance(value, bool) != isinstance(test, bool):
            return False
    return True


def tallied(decisions: list[Decision]) -> Tally:
    return Tally(len(decisions), sum(bool(d.success) for d in decisions))


def test_the_order_of_decisions_changes_nothing() -> None:
    decisions = on_fridays()

    assert findings(decisions) == findings(shuffled(decisions))


def test_noise_gives_a_pattern_no_more_often_than_is_said() -> None:
    """Of 100 projects with nothing but noise, at most 5 have even one."""
    wrong = 0
    for seed in range(100):
        some = random.Random(seed)  # noqa: S311 - a test that repeats itself
        decisions = [
            decided(
                some.choice(("a", "b", "c")),
                some.random() < 0.6,
                context={"x": some.random(), "y": some.randrange(3), "z": some.random() < 0.5},
                agent_name=some.choice(("ana", "bo")),
            )
            for _ in range(200)
        ]
        wrong += bool(held(decisions))

    assert wrong <= 5
