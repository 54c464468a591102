"""Which choices work, and under which conditions: found among decisions with their outcomes.

A candidate is a choice, alone or with one or two conditions. It is a pattern if it turns out
better (or worse) than each more general one: than other choices under the same conditions, and than
the same choice where a condition is not given. So a choice that is good everywhere gives one
pattern, and not one more for each condition that has nothing to do with it (Webb 2007, "Discovering
significant patterns": productive rules). How sure that is, see `evidence`. Candidates with more
conditions are so many that they would drown those with fewer, so each number of conditions gets the
same share of the error (Webb 2008, "Layered critical values").
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple

from agent_mem.learning.conditions import AGENT, Condition, circumstances, conditions, given
from agent_mem.learning.evidence import Tally, differing, layered
from agent_mem.records.decision import Decision

LEAST: Final = 5
"""Cases for each condition, and for the choice, below which nothing is looked at.

How many cases there are does not depend on how they turned out, so leaving out what could hardly be
shown is no choice among results; and it leaves more certainty for the rest.
"""
MOST_CONDITIONS: Final = 2
STATED: Final = 0.95
"""The confidence from which something is called a pattern."""
DIGITS: Final = 10_000
"""Confidences are cut to four digits: machines differ in the last ones."""

ANY: Final = ""
"""Stands for whatever was chosen: no choice has an empty name."""

Given = tuple[Condition, ...]
Numbers = tuple[int, ...]
"""Conditions by their numbers, which are counted faster."""
Counts = Counter[tuple[Numbers, str]]


class Key(NamedTuple):
    """What makes two patterns the same."""

    decision_type: str
    conditions: tuple[tuple[str, str], ...]
    choice: str


class Finding(NamedTuple):
    """A choice under some conditions, and how it turned out."""

    key: Key
    under: Given
    cases: Tally
    others: Tally
    """What it was compared with first: other choices, or else other conditions."""
    confidence: float
    evidence: tuple[str, ...]

    @property
    def about(self) -> str | None:
        """Name the agent for whom it holds, if it is not for all."""
        return next((str(c.value) for c in self.under if c.key == AGENT), None)

    @property
    def holds(self) -> bool:
        return self.confidence >= STATED


class Candidate(NamedTuple):
    key: Key
    under: Given
    cases: Tally
    others: list[Tally]


class Case(NamedTuple):
    decision: Decision
    under: Given

    def choices(self) -> list[str]:
        return sorted(set(self.decision.selected))


def findings(decisions: Iterable[Decision]) -> dict[Key, Finding]:
    """Weigh all candidates of one family: their confidence counts that they are many."""
    by_type: defaultdict[str, list[Decision]] = defaultdict(list)
    for decision in decisions:
        by_type[decision.decision_type].append(decision)
    cases = {kind: cases_of(some) for kind, some in by_type.items()}
    found = [each for kind, some in cases.items() for each in candidates(kind, some)]
    p_values = layered(
        [len(each.under) for each in found], [differing(each.cases, each.others) for each in found]
    )
    return {
        each.key: weighed(each, p, cases[each.key.decision_type])
        for each, p in zip(found, p_values, strict=True)
    }


def weighed(each: Candidate, p: float, cases: Sequence[Case]) -> Finding:
    """Say how sure a candidate is; what is sure enough names its evidence."""
    confidence = math.floor((1 - p) * DIGITS) / DIGITS
    named = evidence(each, cases) if confidence >= STATED else ()
    return Finding(each.key, each.under, each.cases, each.others[0], confidence, named)


def cases_of(decisions: Sequence[Decision]) -> list[Case]:
    told = [circumstances(given(d.context, d.agent_name)) for d in decisions]
    return [Case(d, under) for d, under in zip(decisions, conditions(told), strict=True)]


def candidates(kind: str, cases: Sequence[Case]) -> Iterator[Candidate]:
    """List what may be a pattern, by its conditions and choice alone: outcomes do not decide it."""
    known = sorted({condition for case in cases for condition in case.under})
    counts, successes = counted(cases, {condition: n for n, condition in enumerate(known)})

    def tally(numbers: Numbers, choice: str) -> Tally:
        return Tally(counts[numbers, choice], successes[numbers, choice])

    for (numbers, choice), n in counts.items():
        if choice == ANY or n < LEAST * (1 + len(numbers)):
            continue
        mine = tally(numbers, choice)
        elsewhere = [tally(less, choice).without(mine) for less in more_general(numbers)]
        others = [rest for rest in (tally(numbers, ANY).without(mine), *elsewhere) if rest.n]
        if others and all(rest.n for rest in elsewhere):  # else a condition tells nothing
            under = tuple(known[number] for number in numbers)
            key = Key(kind, tuple((c.key, c.name) for c in under), choice)
            yield Candidate(key, under, mine, others)


def counted(cases: Sequence[Case], numbered: Mapping[Condition, int]) -> tuple[Counts, Counts]:
    """Count cases and successes, for each set of conditions with each choice and with any."""
    counts, successes = Counts(), Counts()
    for case in cases:
        numbers = sorted(numbered[condition] for condition in case.under)
        sets = (s for size in range(MOST_CONDITIONS + 1) for s in combinations(numbers, size))
        choices = (ANY, *case.choices())
        keys = [(some, choice) for some in sets for choice in choices]
        counts.update(keys)
        if case.decision.success:
            successes.update(keys)
    return counts, successes


def more_general(numbers: Numbers) -> Iterator[Numbers]:
    """Leave out one condition."""
    return combinations(numbers, len(numbers) - 1) if numbers else iter(())


def evidence(candidate: Candidate, cases: Sequence[Case]) -> tuple[str, ...]:
    """Name the decisions that are cases of it, the latest first."""
    mine = [
        case.decision
        for case in cases
        if candidate.key.choice in case.decision.selected
        and set(candidate.under) <= set(case.under)
    ]
    return tuple(str(d.id) for d in sorted(mine, key=lambda d: (d.created_at, d.id), reverse=True))
