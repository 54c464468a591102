"""Several agents over thirty days: `python bench/learning.py [--a-day N] [--seeds N] [--noise N]`.

Half of the agents look at `list_patterns` before they decide, the others do not and choose at
random; each night `learn_patterns` runs. Printed: which of the planted patterns are found, with the
right sign, and from which day on; how many others are, and whether they are true; how often the
agents of each half succeed. Then the same world without anything planted, over many seeds: how
often at least one pattern is found at a stated confidence or more.
"""

import argparse
import asyncio
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from learning_world import CHOICES, NOISE, PLANTED, TYPES, Planted, Truth, drawn, judged

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.learning.patterns import findings
from agent_mem.records.decision import Decision
from agent_mem.records.pattern import EVERYONE, Pattern
from agent_mem.records.rate import wilson
from agent_mem.records.record import now
from agent_mem.tools.behaviors import run_behavior
from agent_mem.tools.patterns import list_patterns

DAYS: Final = 30
READERS: Final = ("ana", "bo", "cleo")
OTHERS: Final = ("dirk", "edda", "finn")
START: Final = timedelta(days=DAYS + 2)
STATED: Final = (0.9, 0.95, 0.99)
MADE: Final = 60
"""Decisions of each agent that the search in noise is among."""
LAST: Final = 10
"""Days at the end that are counted apart."""


@dataclass
class Seen:
    """What came of a run."""

    worked: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    found: dict[str, int] = field(default_factory=dict[str, int])
    """From which day on a planted pattern was known."""
    true: set[UUID] = field(default_factory=set[UUID])
    false: set[UUID] = field(default_factory=set[UUID])


async def lived(seed: int, a_day: int) -> Seen:
    """Live thirty days, with so many decisions of each agent a day."""
    some, truth, seen = random.Random(seed), Truth(seed), Seen()  # noqa: S311 - it repeats itself
    with tempfile.TemporaryDirectory() as folder:
        async with open_app(Settings(db=Path(folder) / "memory.db", project="world")) as app:
            for day in range(1, DAYS + 1):
                for agent in (*READERS, *OTHERS):
                    decisions = [await decided(app, some, agent, day) for _ in range(a_day)]
                    await app.store.put(*decisions)
                    seen.worked[agent] += [bool(d.success) for d in decisions]
                await run_behavior(app, name="learn_patterns")
                await noted(app, day, truth, seen)
    return seen


async def decided(app: App, some: random.Random, agent: str, day: int) -> Decision:
    """Decide: who reads takes what is known to work, and leaves what is known to fail."""
    type_, context = some.choice(TYPES), drawn(some)
    open_to = list(CHOICES)
    if agent in READERS:
        known = await list_patterns(app, type=type_, context=context, agent=agent)
        patterns = [await stored(app, each.id) for each in known.patterns]
        best = [pattern.choice for pattern in patterns if pattern.works]
        bad = {pattern.choice for pattern in patterns if not pattern.works}
        open_to = best[:1] or [name for name in CHOICES if name not in bad] or open_to
    when = now() - START + timedelta(days=day - 1, minutes=some.randrange(1, 1400))
    return judged(some, agent, when, type_, context, some.choice(open_to))


async def stored(app: App, key: UUID) -> Pattern:
    found = await app.store.get(Pattern, key)
    if found is None:
        raise LookupError(key)
    return found


async def noted(app: App, day: int, truth: Truth, seen: Seen) -> None:
    """Note the patterns of a day."""
    listed = await list_patterns(app, agent=EVERYONE, limit=100)
    for pattern in [await stored(app, each.id) for each in listed.patterns]:
        kind, choice, where = pattern.pattern_type, pattern.choice, pattern.conditions
        right = truth.supports(kind, choice, where, works=pattern.works)
        (seen.true if right else seen.false).add(pattern.id)
        for planted in PLANTED:
            if is_about(pattern, planted):
                seen.found.setdefault(planted.type, day)


def is_about(pattern: Pattern, planted: Planted) -> bool:
    """Tell whether a pattern is a planted one: its type, choice, conditions and sign."""
    return (
        (pattern.pattern_type, pattern.choice) == (planted.type, planted.choice)
        and pattern.conditions.keys() == planted.where.keys()
        and pattern.works == planted.works
    )


def rate(worked: Iterable[bool]) -> str:
    some = list(worked)
    low, high = wilson(sum(some), len(some))
    return f"{sum(some) / len(some):.3f} ({low:.3f}-{high:.3f})"


def told(runs: list[Seen], a_day: int) -> None:
    print("\n| planted | works | found in runs | from day on, median |")
    print("| --- | --- | --- | --- |")
    for planted in PLANTED:
        days = sorted(s.found[planted.type] for s in runs if planted.type in s.found)
        middle = days[len(days) // 2] if days else "-"
        where = ", ".join(planted.where) or "always"
        name = f"{planted.type}: `{planted.choice}`, by {where}"
        print(f"| {name} | {planted.rate} | {len(days)} of {len(runs)} | {middle} |")
    true, false = sum(len(s.true) for s in runs), sum(len(s.false) for s in runs)
    print(f"\nPatterns ever found: {true + false}; true in the world: {true}; not: {false}.")
    print("\n| agents | decisions | succeeded | of the last ten days |\n| --- | --- | --- | --- |")
    for name, who in (("read patterns", READERS), ("do not", OTHERS)):
        worked = [s.worked[agent] for s in runs for agent in who]
        all_, last = (
            [w for some in worked for w in some],
            [w for some in worked for w in some[-LAST * a_day :]],
        )
        print(f"| {name} | {len(all_)} | {rate(all_)} | {rate(last)} |")


def noise(seeds: int) -> None:
    """Look for patterns where there are none."""
    surest: list[float] = []
    for seed in range(seeds):
        some = random.Random(f"noise {seed}")  # noqa: S311 - it repeats itself
        when = now() - START
        made = [
            judged(some, agent, when, some.choice(NOISE), drawn(some), some.choice(CHOICES))
            for agent in (*READERS, *OTHERS)
            for _ in range(MADE)
        ]
        surest.append(max((f.confidence for f in findings(made).values()), default=0.0))
    print(f"\n| stated confidence | at least one from noise, of {seeds} runs | it says at most |")
    print("| --- | --- | --- |")
    for stated in STATED:
        print(f"| {stated} | {rate(one >= stated for one in surest)} | {1 - stated:.2f} |")


async def main(a_day: int, seeds: int, noises: int) -> None:
    told([await lived(seed, a_day) for seed in range(seeds)], a_day)
    if noises:
        noise(noises)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--a-day", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--noise", type=int, default=1000)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.a_day, arguments.seeds, arguments.noise))
