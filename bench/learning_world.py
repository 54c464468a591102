"""A world to decide in, in which some choices work better under some conditions: all of it known.

Circumstances are drawn at random; the chance of success depends on what is planted, and on nothing
else that a context tells. Types without anything planted are noise.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Any, Final

from agent_mem.learning.conditions import hold
from agent_mem.records.decision import Decision, Option

USUAL: Final = 0.6
"""How often a choice works where nothing is planted."""
MARGIN: Final = 0.03
"""Two true rates that are nearer than this count as the same: they are estimated, too."""
SAMPLE: Final = 4_000
BUSY: Final = 0.7
CHOICES: Final = ("direct", "relay", "queue")

Context = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Planted:
    """A regularity: under which conditions which choice works how often."""

    type: str
    choice: str
    rate: float
    where: Mapping[str, Any]

    @property
    def works(self) -> bool:
        return self.rate > USUAL


PLANTED: Final = (
    Planted("route", "direct", 0.2, {"load": {"above": BUSY}}),
    Planted("source", "queue", 0.9, {}),
    Planted("retry", "relay", 0.95, {"region": "eu"}),
    Planted("batch", "queue", 0.1, {"night": True, "vendor": "x"}),
)
NOISE: Final = ("paint", "name")
TYPES: Final = (*(one.type for one in PLANTED), *NOISE)


def drawn(some: random.Random) -> Context:
    """Draw circumstances: four that something may depend on, and four that say nothing."""
    return {
        "load": some.random(),
        "region": some.choice(("eu", "us", "asia")),
        "night": some.choice((True, False)),
        "vendor": some.choice(("x", "y")),
        "moon": some.choice(("new", "waxing", "full", "waning")),
        "coin": some.choice((True, False)),
        "market": {"price": some.gauss(45_000, 2_000)},
        "queue": some.randrange(4),
    }


def chance(type_: str, choice: str, context: Context) -> float:
    """Give the true chance that a choice works."""
    for planted in PLANTED:
        if (planted.type, planted.choice) == (type_, choice) and hold(planted.where, context):
            return planted.rate
    return USUAL


def judged(  # noqa: PLR0917 - what a decision is made of
    some: random.Random, agent: str, when: datetime, type_: str, context: Context, choice: str
) -> Decision:
    return Decision(
        agent_name=agent,
        project="world",
        created_at=when,
        decision_type=type_,
        question=f"How should {type_} be done?",
        context=context,
        options=[Option(name=name) for name in CHOICES],
        selected=[choice],
        success=some.random() < chance(type_, choice, context),
        outcome_at=when,
    )


class Truth:
    """What would be found with decisions without end."""

    def __init__(self, seed: int) -> None:
        some = random.Random(seed)  # noqa: S311 - a benchmark that repeats itself
        self._contexts = [drawn(some) for _ in range(SAMPLE)]

    def rate(self, type_: str, choices: Sequence[str], where: Sequence[Context]) -> float:
        return fmean([chance(type_, choice, one) for one in where for choice in choices])

    def supports(self, type_: str, choice: str, where: Mapping[str, Any], *, works: bool) -> bool:
        """Tell whether a pattern is true: against other choices, and without each condition."""
        given = [one for one in self._contexts if hold(where, one)]
        others = [name for name in CHOICES if name != choice]
        compared = [self.rate(type_, others, given)]
        for left_out in where:
            rest = {key: test for key, test in where.items() if key != left_out}
            beside = [o for o in self._contexts if hold(rest, o) and not hold(where, o)]
            compared.append(self.rate(type_, [choice], beside))
        mine = self.rate(type_, [choice], given)
        sign = 1 if works else -1
        return all(sign * (mine - other) > MARGIN for other in compared)
