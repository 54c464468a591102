"""Outcomes: each is kept, the last one counts, and they go with their decision."""

from datetime import timedelta
from uuid import UUID

import pytest
from conftest import Call
from helpers_decisions import decided

from agent_mem.app import App
from agent_mem.records.decision import Decision
from agent_mem.records.outcome import Outcome
from agent_mem.records.record import now
from agent_mem.tools.outcomes import outcomes

pytestmark = pytest.mark.anyio


async def made(call: Call) -> str:
    done = await call("log_decision", question="Which port?", selected=["8080"])
    return done["id"]


async def history(app: App, key: str) -> list[Outcome]:
    return await app.store.engine.read(outcomes(app, UUID(key)))


async def test_the_last_outcome_counts_and_all_are_kept(app: App, call: Call) -> None:
    key = await made(call)
    await call("log_outcome", decision=key, success=False, error="In use", latency_ms=9, agent="bo")
    await call("log_outcome", decision=key, success=True, quality=0.75)

    kept = await history(app, key)
    decision = await app.store.get(Decision, UUID(key))

    assert [(o.success, o.error, o.latency_ms, o.agent_name) for o in kept] == [
        (False, "In use", 9, "bo"),
        (True, None, None, "agent"),
    ]
    assert decision
    assert (decision.success, decision.quality_score, decision.error) == (True, 0.75, None)


async def test_the_same_outcome_again_changes_nothing(app: App, call: Call) -> None:
    key = await made(call)
    await call("log_outcome", decision=key, success=True, quality=0.5)
    before = await app.store.get(Decision, UUID(key))

    again = await call("log_outcome", decision=key, success=True, quality=0.5)

    assert again["outcome"] == "worked, quality 0.5"
    assert len(await history(app, key)) == 1
    assert await app.store.get(Decision, UUID(key)) == before


async def test_an_outcome_that_comes_back_is_one_more(app: App, call: Call) -> None:
    key = await made(call)
    for success in (True, False, True):
        await call("log_outcome", decision=key, success=success)

    assert [o.success for o in await history(app, key)] == [True, False, True]


async def test_an_outcome_of_before_there_was_a_history_is_its_first(app: App, call: Call) -> None:
    old = decided("8080", False, error="In use", agent_name="bo")
    await app.store.put(old)

    await call("log_outcome", decision=str(old.id), success=True)
    await call("log_outcome", decision=str(old.id), success=False)

    kept = await history(app, str(old.id))
    assert [(o.success, o.error, o.agent_name) for o in kept] == [
        (False, "In use", "bo"),
        (True, None, "agent"),
        (False, None, "agent"),
    ]
    assert kept[0].created_at == old.outcome_at


async def test_outcomes_are_forgotten_with_their_decision_and_come_back_with_it(
    app: App, call: Call
) -> None:
    key = await made(call)
    await call("log_outcome", decision=key, success=False, error="A secret")

    await call("forget", id=key)
    gone = await history(app, key)
    await call("forget", id=key, undo=True)

    assert gone == []
    assert [o.error for o in await history(app, key)] == ["A secret"]


async def test_an_outcome_is_told_with_its_decision(call: Call) -> None:
    key = await made(call)
    await call("log_outcome", decision=key, success=False, error="In use", latency_ms=9)
    await call("log_outcome", decision=key, success=True)

    told = (await call("review_decisions", decision=key))["outcomes"]

    assert [(o["outcome"], o.get("latency_ms"), o["who"]) for o in told] == [
        ("failed, In use", 9, "agent"),
        ("worked", None, "agent"),
    ]


async def test_what_waits_for_its_outcome_for_a_day_is_asked_for(app: App, call: Call) -> None:
    waits = decided("wait", None, project="shop")
    known = decided("push", True, project="shop")
    corrected = decided("hope", None, project="shop")
    elsewhere = decided("wait", None, project="bank")
    young = decided("wait", None, project="shop", created_at=now() - timedelta(hours=23))
    right = decided("fix", None, project="shop", supersedes=corrected.id, created_at=now())
    await app.store.put(waits, known, corrected, elsewhere, young, right)

    asked = (await call("restore_session", project="shop"))["waiting"]
    await call("log_outcome", decision=str(waits.id), success=True)

    assert asked == [
        {
            "id": str(waits.id),
            "question": "How do we deploy?",
            "since": waits.created_at.date().isoformat(),
        }
    ]
    assert "waiting" not in await call("restore_session", project="shop")


async def test_only_the_latest_of_many_that_wait_are_asked_for(app: App, call: Call) -> None:
    days = [now() - timedelta(days=n) for n in range(2, 9)]
    await app.store.put(*[decided(f"n{n}", None, created_at=day) for n, day in enumerate(days)])

    asked = (await call("restore_session"))["waiting"]

    assert [one["since"] for one in asked] == [day.date().isoformat() for day in days[:5]]
