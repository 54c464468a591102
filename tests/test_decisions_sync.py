"""Decisions of two machines: what each logs alone survives, and both show the same in the end."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from conftest import calling
from helpers_decisions import decided, on_fridays
from helpers_sync import machine, settle, stored

from agent_mem.app import App
from agent_mem.records.decision import Decision
from agent_mem.records.outcome import Outcome
from agent_mem.records.pattern import Pattern
from agent_mem.tools.outcomes import outcomes

pytestmark = pytest.mark.anyio


@pytest.fixture
async def one(tmp_path: Path, server_url: str) -> AsyncGenerator[App]:
    async with machine(tmp_path / "one", server_url) as app:
        yield app


@pytest.fixture
async def two(tmp_path: Path, server_url: str) -> AsyncGenerator[App]:
    async with machine(tmp_path / "two", server_url) as app:
        yield app


async def history(app: App, decision: Decision) -> list[Outcome]:
    return await app.store.engine.read(outcomes(app, decision.id))


async def decision_of(app: App, decision: Decision) -> Decision:
    found = await stored(app, decision)
    assert isinstance(found, Decision)
    return found


async def judge(app: App, decision: Decision, **outcome: object) -> None:
    await calling(app)("log_outcome", decision=str(decision.id), **outcome)


@pytest.mark.parametrize("first", [0, 1])
async def test_outcomes_that_two_machines_log_apart_both_survive(
    one: App, two: App, first: int
) -> None:
    decision = decided("push", None)
    await one.store.put(decision)
    await settle(one, two)
    early, late = (one, two) if first == 0 else (two, one)

    await judge(early, decision, success=False, error="Too slow")
    await judge(late, decision, success=True, quality=0.5)
    await settle(one, two)

    for app in (one, two):
        assert [o.success for o in await history(app, decision)] == [False, True]
        shown = await decision_of(app, decision)
        assert (shown.success, shown.quality_score, shown.error) == (True, 0.5, None)


async def test_a_decision_shows_the_outcome_that_is_last_in_the_history_whatever_the_clocks(
    one: App, two: App
) -> None:
    decision = decided("push", None)
    await one.store.put(decision)
    await settle(one, two)
    for app in (one, two, one):
        for success in (True, False):
            await judge(app, decision, success=success, error=f"{success}")
    await settle(one, two)

    for app in (one, two):
        kept = await history(app, decision)
        shown = await decision_of(app, decision)
        assert len(kept) == 6
        assert (shown.success, shown.error) == (kept[-1].success, kept[-1].error)


async def test_an_outcome_and_a_correction_that_cross_take_nothing_from_each_other(
    one: App, two: App
) -> None:
    wrong = decided("push", None)
    await one.store.put(wrong)
    await settle(one, two)

    await judge(one, wrong, success=False)
    right = await calling(two)(
        "log_decision", question="How?", selected=["wait"], supersedes=str(wrong.id)
    )
    await settle(one, two)

    for app in (one, two):
        told = await calling(app)("review_decisions", decision=str(wrong.id))
        assert [o["outcome"] for o in told["outcomes"]] == ["failed"]
        assert [c["id"] for c in told["corrected_by"]] == [right["id"]]
        assert (await calling(app)("review_decisions"))["statistics"]["count"] == 1


async def test_two_machines_that_correct_the_same_apart_both_did(one: App, two: App) -> None:
    wrong = decided("push", True)
    await one.store.put(wrong)
    await settle(one, two)
    made = [
        await calling(app)(
            "log_decision", question="How?", selected=[name], supersedes=str(wrong.id)
        )
        for app, name in ((one, "wait"), (two, "skip"))
    ]
    await settle(one, two)

    for app in (one, two):
        told = await calling(app)("review_decisions", decision=str(wrong.id))
        assert [c["id"] for c in told["corrected_by"]] == [each["id"] for each in made]


async def learned(app: App) -> dict[UUID, dict[str, Any]]:
    await calling(app)("run_behavior", name="learn_patterns")
    return await patterns(app)


async def patterns(app: App) -> dict[UUID, dict[str, Any]]:
    rows: dict[str, Any] = {"faded": 1, "type": None, "project": None, "limit": 99}
    found = await app.store.find(Pattern, "patterns.listed", **rows)
    return {p.id: p.model_dump(exclude={"ver"}) for p in found}


async def test_two_machines_that_learn_the_same_apart_have_one_pattern_of_it(
    one: App, two: App
) -> None:
    await one.store.put(*on_fridays())
    await settle(one, two)

    mine, theirs = await learned(one), await learned(two)
    await settle(one, two)
    merged = await patterns(one)

    assert mine.keys() == theirs.keys() == merged.keys()
    assert merged == await patterns(two)
    assert await learned(one) == await learned(two) == merged
