"""Measure decisions: `python bench/decisions.py [--decisions 10000] [--rounds 200]`.

So many decisions in one project, of 40 types and 2,000 questions with numbers in them, most with
an outcome; the words are those of `data/agents.json`, each as often as there. Then `log_decision`
with its look-up of earlier ones, `log_outcome` and `review_decisions` inside the server, by words
and, once all is embedded, also by meaning. Milliseconds, by the clock, and of the processor's time:
the second is what another process on the same cores does not change. Then `learn_patterns` over all
of them.
"""

import argparse
import asyncio
import random
import re
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from conversations import data_sets

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.learning.measures import nearest_rank
from agent_mem.records.decision import Decision, Option
from agent_mem.records.record import now
from agent_mem.records.signature import signature
from agent_mem.tools.behaviors import run_behavior
from agent_mem.tools.decisions import log_decision
from agent_mem.tools.outcomes import log_outcome
from agent_mem.tools.reviews import review_decisions

PROJECT: Final = "shop"
AGENTS: Final = 5
TYPES: Final = 40
QUESTIONS: Final = 2_000
KNOWN: Final = 0.9
USUAL: Final = 0.7
BATCH: Final = 500
DAYS: Final = 30
CHOICES: Final = ("retry", "skip", "escalate", "wait", "rebuild")
WORD: Final = re.compile(r"[A-Za-z]{4,}")
LONG: Final = 8
"""Words of a question."""


class Deciding:
    """Decisions as agents make them, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a benchmark that repeats itself
        (data,) = data_sets(None)
        texts = [turn.text for each in data.conversations for turn in each.turns]
        self._words = WORD.findall(" ".join(texts))
        self._questions = [self.fresh() for _ in range(QUESTIONS)]

    def fresh(self) -> str:
        """Ask what was not asked before."""
        return f"How should {' '.join(self._random.choices(self._words, k=LONG))} with"

    def question(self) -> str:
        return f"{self._random.choice(self._questions)} {self._random.randrange(1000)} waiting?"

    def context(self) -> dict[str, object]:
        return {
            "load": self._random.random(),
            "day": self._random.choice(("mon", "tue", "wed", "thu", "fri")),
            "market": {
                "price": self._random.gauss(45_000, 2_000),
                "open": self._random.choice((True, False)),
            },
        }

    def decision(self, age: timedelta) -> Decision:
        some = self._random
        question, made = self.question(), now() - age
        known = some.random() < KNOWN
        return Decision(
            agent_name=f"agent-{some.randrange(AGENTS)}",
            project=PROJECT,
            created_at=made,
            decision_type=f"type-{some.randrange(TYPES)}",
            question=question,
            question_signature=signature(question),
            context=self.context(),
            options=[Option(name=name, score=some.random()) for name in CHOICES],
            selected=[some.choice(CHOICES)],
            rationale="It did well the last time, and the others cost more than they bring.",
            confidence=some.random(),
            success=some.random() < USUAL if known else None,
            quality_score=some.random() if known else None,
            latency_ms=some.lognormvariate(5, 1) if known else None,
            outcome_at=made if known else None,
        )


async def fill(app: App, total: int, deciding: Deciding) -> None:
    for start in range(0, total, BATCH):
        ages = (timedelta(days=DAYS) * (1 - i / total) for i in range(start, start + BATCH))
        await app.store.put(*[deciding.decision(age) for age in ages])


async def timed(call: Callable[[], Awaitable[object]], rounds: int) -> list[list[float]]:
    """Give the milliseconds of each round, by the clock and of the processor."""
    took: list[list[float]] = [[], []]
    for _ in range(rounds):
        began = time.perf_counter(), time.process_time()
        await call()
        took[0].append(1000 * (time.perf_counter() - began[0]))
        took[1].append(1000 * (time.process_time() - began[1]))
    return took


async def measure(app: App, deciding: Deciding, rounds: int) -> None:
    made: list[str] = []

    async def log_new() -> None:
        await log(f"{deciding.fresh()} nobody waiting?")

    async def log(question: str | None = None) -> None:
        done = await log_decision(
            app,
            question=question or deciding.question(),
            selected=["retry"],
            options=[Option(name=name) for name in CHOICES],
            context=deciding.context(),
            type="type-1",
            project=PROJECT,
        )
        made.append(str(done.id))

    async def judge() -> None:
        await log_outcome(app, decision=made.pop(), success=True, quality=0.5)

    async def review() -> None:
        await review_decisions(app, project=PROJECT)

    async def review_type() -> None:
        await review_decisions(app, project=PROJECT, type="type-1", term="long")

    for name, call in (
        ("log_decision, a question of before", log),
        ("log_decision, a new one", log_new),
        ("log_outcome", judge),
        ("review_decisions, all", review),
        ("review_decisions, of a type", review_type),
    ):
        told(name, await timed(call, rounds))


def told(name: str, took: list[list[float]]) -> None:
    late = nearest_rank(95, len(took[0])) - 1
    figures = [f"{statistics.median(some):.1f} / {sorted(some)[late]:.1f}" for some in took]
    print(f"| {name} | {' | '.join(figures)} |", flush=True)


async def main(total: int, rounds: int) -> None:
    deciding = Deciding(7)
    with tempfile.TemporaryDirectory() as folder:
        async with open_app(Settings(db=Path(folder) / "memory.db")) as app:
            await fill(app, total, deciding)
            print(f"\n| {total} decisions: by words | p50 / p95 | of the processor |")
            print("| --- | --- | --- |")
            await measure(app, deciding, rounds)
            print("\nEmbedding all of it ...", flush=True)
            await app.finder.meaning.embed(lambda _, __: None)
            print("\n| by words and by meaning | p50 / p95 | of the processor |")
            print("| --- | --- | --- |")
            await measure(app, deciding, rounds)
            began = time.perf_counter()
            done = await run_behavior(app, name="learn_patterns", input={"project": PROJECT})
            print(f"\nlearn_patterns: {time.perf_counter() - began:.1f} s, {done.output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.decisions, arguments.rounds))
