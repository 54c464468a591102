"""Insights that are told to other agents, and the behaviors of the pack that ships with them."""

from typing import Any

import pytest
from conftest import Call

from agent_mem.app import App
from agent_mem.cli.seed import load
from agent_mem.records.behavior import Behavior
from agent_mem.records.insight import Insight
from agent_mem.records.record import now, uuid7
from agent_mem.tools.behaviors import sensible

pytestmark = pytest.mark.anyio


def insight(content: str, **more: Any) -> Insight:  # noqa: ANN401 - fields
    fields: dict[str, Any] = {"topic": "redis", "relevance": 0.8, "agent_name": "ana", **more}
    return Insight(content=content, behavior_id=uuid7(), run_id=uuid7(), **fields)


async def waiting(call: Call, agent: str) -> list[dict[str, Any]]:
    return (await call("read_signals", agent=agent, minutes=0)).get("signals", [])


async def test_an_insight_is_told_once_however_often_it_is_relayed(app: App, call: Call) -> None:
    full = insight("Redis runs full at 3 GB.", project="shop")
    await app.store.put(full)

    first = await call("run_behavior", name="relay")
    again = await call("run_behavior", name="relay")

    assert (first["output"]["sent"], again["output"]) == (1, {"sent": 0})
    (told,) = await waiting(call, "bo")
    assert (told["type"], told["sender"]) == ("insight", "agent")
    assert told["payload"] == {
        "insight": str(full.id),
        "from": "ana",
        "topic": "redis",
        "content": "Redis runs full at 3 GB.",
        "relevance": 0.8,
        "project": "shop",
    }
    assert await waiting(call, "agent") == []


async def test_only_the_weightiest_go_and_only_to_those_that_are_named(
    app: App, call: Call
) -> None:
    await app.store.put(
        insight("Of little weight.", relevance=0.6),
        insight("Of some weight.", relevance=0.7),
        insight("Of much weight.", relevance=0.9),
        insight("Forgotten.", relevance=1.0, deleted_at=now()),
    )

    await call("run_behavior", name="relay", input={"to": ["bo"], "top": 1})
    assert [one["payload"]["content"] for one in await waiting(call, "bo")] == ["Of much weight."]
    assert await waiting(call, "cy") == []

    ran = await call("run_behavior", name="relay", input={"to": ["bo"]})
    assert ran["output"]["sent"] == 1
    assert len(await waiting(call, "bo")) == 2


async def test_what_a_team_does_by_itself_makes_sense_and_runs_here(app: App, call: Call) -> None:
    await load(app, "brainops")
    await app.store.put(insight("Redis runs full at 3 GB.", relevance=0.9))
    behaviors = await app.store.find(Behavior, "behaviors.all", agent=None)

    assert {behavior.trigger_type for behavior in behaviors} == {"daily", "schedule"}
    for behavior in behaviors:
        sensible(app, behavior)
        ran = await call("run_behavior", name=behavior.name, agent=behavior.agent_name)
        assert ran["status"] == "complete", (behavior.name, ran)
    assert [one["sender"] for one in await waiting(call, "anybody")] == ["WorkflowOrchestrator"]
