"""What happens by itself: behaviors, their runs, and what comes of them."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest
from conftest import Call

from agent_mem.app import App
from agent_mem.behaviors import BEHAVIORS
from agent_mem.behaviors.action import Outcome, Task
from agent_mem.behaviors.catalog import named
from agent_mem.behaviors.runner import run
from agent_mem.errors import InvalidInput, NotFound, StorageBusy
from agent_mem.records.behavior import Behavior
from agent_mem.records.decision import Decision
from agent_mem.records.event import Event
from agent_mem.records.insight import Insight
from agent_mem.records.memory import Memory
from agent_mem.records.record import now
from agent_mem.records.run import Run
from agent_mem.records.snapshot import Snapshot

pytestmark = pytest.mark.anyio

LOOKING_AFTER = ["backup", "health_check", "promote", "prune", "reembed"]
ALONE = sorted(["analyze", "consolidate", "digest", "learn_patterns", "relay", *LOOKING_AFTER])
"""What can be run without being registered: it needs no word of anybody."""


async def memories(app: App, output: dict[str, Any]) -> list[Memory]:
    found = [await app.store.get(Memory, UUID(key)) for key in output["memories"]]
    return [memory for memory in found if memory]


async def test_the_built_in_behaviors_are_listed(call: Call) -> None:
    listed = (await call("list_behaviors"))["behaviors"]

    assert listed == [
        {
            "name": name,
            "action": name,
            "trigger": "manual",
            "agent": "agent",
            "enabled": True,
            "status": "idle",
        }
        for name in ALONE
    ]


async def test_a_behavior_tells_how_its_last_run_went(call: Call) -> None:
    await call("run_behavior", name="prune")

    listed = {b["name"]: b for b in (await call("list_behaviors"))["behaviors"]}

    assert sorted(listed) == ALONE
    assert listed["prune"]["status"] == "complete"
    assert listed["prune"]["last_run"][:4] == str(now().year)
    assert "last_run" not in listed["analyze"]


async def test_registered_behaviors_are_listed_by_agent_with_their_schedule(
    app: App, call: Call
) -> None:
    nightly = Behavior(
        agent_name="ana",
        name="nightly",
        action="consolidate",
        trigger_type="schedule",
        schedule="0 3 * * *",
    )
    await app.store.put(nightly, Behavior(agent_name="bo", name="daily", action="prune"))

    (first, *others) = (await call("list_behaviors", agent="ana"))["behaviors"]

    assert (first["name"], first["trigger"], first["agent"]) == ("nightly", "0 3 * * *", "ana")
    assert [b["name"] for b in others] == ALONE
    everyone = (await call("list_behaviors"))["behaviors"]
    assert {"nightly", "daily"} < {b["name"] for b in everyone}


async def test_analyze_tells_the_gravest_first(call: Call) -> None:
    for port in (1, 2, 3):
        await call("log_event", type="error", content=f"Port {port} refused.")
    await call("log_event", type="error", content="Disk full.")
    for number in range(3):
        await call("log_event", type="tool_call", content=f"pytest run {number}")
    await call("log_event", type="tool_call", content="ruff check")
    await call("remember", content="Tea is at four.", topic="tea")
    decided = await call("log_decision", question="Which port?", selected=["80"], type="infra")
    await call("log_outcome", decision=decided["id"], success=False, error="It was taken.")

    ran = await call("run_behavior", name="analyze")

    assert ran["status"] == "complete"
    assert ran["output"] == {
        "events": 8,
        "errors": 4,
        "failed_decisions": 1,
        "changed_topics": {"tea": 1},
    }
    told = [(i["topic"], i["content"], i["relevance"]) for i in ran["insights"]]
    day = f"{now():%Y-%m-%d}"
    assert [(topic, relevance) for topic, _, relevance in told] == [
        ("failed: infra", 0.9),
        ("errors", 0.8),
        ("errors", 0.6),
        ("repeats: tool_call", 0.5),
        ("changes", 0.3),
    ]
    assert told[0][1] == (
        "A decision failed: Which port? Chosen: 80. Outcome: failed, It was taken."
    )
    assert told[1][1].startswith(f"An error occurred 3 times, last at {day}")
    assert told[1][1].endswith(": Port 3 refused.")
    assert told[2][1].startswith(f"An error occurred once, last at {day}")
    assert told[3][1] == "3 times: pytest run 2"
    assert told[4][1] == "Memories changed in: tea (1)"


async def test_insights_are_written_with_their_run_and_are_recalled(app: App, call: Call) -> None:
    await call("log_event", type="error", content="The zeppelin leaks.")

    ran = await call("run_behavior", name="analyze", agent="ana")

    (hit,) = (await call("recall", query="zeppelin leaks", kinds=["insight"]))["hits"]
    insight = await app.store.get(Insight, UUID(hit["id"]))
    done = await app.store.get(Run, UUID(ran["run"]))
    assert insight
    assert done
    assert (insight.run_id, insight.behavior_id) == (done.id, done.behavior_id)
    assert insight.agent_name == "ana"
    assert (done.status, done.trigger, done.error) == ("complete", "manual", None)
    assert done.ended_at
    assert done.duration_ms is not None


async def test_analyze_of_nothing_tells_nothing(call: Call) -> None:
    ran = await call("run_behavior", name="analyze")

    assert ran.keys() == {"run", "status", "output"}
    assert ran["output"] == {"events": 0, "errors": 0, "failed_decisions": 0}


async def test_analyze_looks_at_its_time_window_and_its_project(app: App, call: Call) -> None:
    past = now() - timedelta(hours=5)
    await app.store.put(
        Event(agent_name="a", event_type="error", content="Old.", ts=past, project="shop")
    )
    await call("log_event", type="error", content="Of the shop.", project="shop")
    await call("log_event", type="error", content="Of the bank.", project="bank")
    await call("remember", content="Bank fact.", topic="bank", project="bank")
    failed = await call("log_decision", question="Which?", selected=["x"], project="bank")
    await call("log_outcome", decision=failed["id"], success=False)

    recent = await call("run_behavior", name="analyze", input={"hours": 1, "project": "shop"})
    longer = await call("run_behavior", name="analyze", input={"hours": 6, "project": "shop"})

    assert recent["output"] == {"events": 1, "errors": 1, "failed_decisions": 0}
    assert longer["output"]["events"] == 2


async def test_names_of_any_length_become_topics(call: Call) -> None:
    for number in range(3):
        await call("log_event", type="t" * 200, content=f"Again {number}.")
    decided = await call("log_decision", question="Which?", selected=["x"], type="d" * 200)
    await call("log_outcome", decision=decided["id"], success=False)

    ran = await call("run_behavior", name="analyze")

    assert ran["status"] == "complete"
    assert {len(insight["topic"]) for insight in ran["insights"]} == {200}


async def test_consolidate_keeps_what_was_important_or_came_again(app: App, call: Call) -> None:
    grave = await call(
        "log_event", type="error", content="Disk full.", importance=0.9, session="s", tags=["b"]
    )
    for number, tags in ((1, ["x"]), (2, ["a", "x"])):
        await call("log_event", type="result", content=f"Took {number} s.", tags=tags)
    await call("log_event", type="note", content="Nothing special.", importance=0.59)

    ran = await call("run_behavior", name="consolidate")

    error, result = sorted(await memories(app, ran["output"]), key=lambda memory: memory.kind)
    assert ran["output"]["events"] == 4
    assert (error.kind, error.topic, error.content) == ("error", "error", "Disk full.")
    assert (error.relevance, error.source_ids, error.tags) == (0.9, [grave["id"]], ["b"])
    assert error.session_id
    assert result.content == f"Took 2 s. (2 times since {now():%Y-%m-%d})"
    assert (result.kind, result.reinforced, result.tags) == ("result", 1, ["a", "x"])
    assert len(result.source_ids) == 2
    assert result.content_hash == result.fingerprint()
    found = await call("recall", query="disk full", kinds=["memory"])
    assert [hit["id"] for hit in found["hits"]] == [str(error.id)]


async def test_consolidate_again_changes_nothing(app: App, call: Call) -> None:
    await call("log_event", type="error", content="Disk full.", importance=0.9)
    first = await call("run_behavior", name="consolidate")
    (before,) = await memories(app, first["output"])

    again = await call("run_behavior", name="consolidate")

    assert again["output"] == {"events": 1, "written": 0}
    assert await app.store.get(Memory, before.id) == before


async def test_consolidate_adds_new_sources_to_the_same_memory(app: App, call: Call) -> None:
    await call("log_event", type="error", content="Disk 1 full.", importance=0.9)
    (before,) = await memories(app, (await call("run_behavior", name="consolidate"))["output"])
    await call("log_event", type="error", content="Disk 2 full.", importance=0.2)

    (after,) = await memories(app, (await call("run_behavior", name="consolidate"))["output"])

    assert (after.id, after.created_at) == (before.id, before.created_at)
    assert len(after.source_ids) == 2
    assert set(before.source_ids) < set(after.source_ids)
    assert after.content.startswith("Disk 2 full. (2 times")


async def test_consolidate_keeps_sources_that_left_the_window(app: App, call: Call) -> None:
    past = now() - timedelta(hours=5)
    old = Event(agent_name="a", event_type="error", content="Disk full.", ts=past, importance=0.9)
    await app.store.put(old)
    await call("run_behavior", name="consolidate")
    new = await call("log_event", type="error", content="Disk full.", importance=0.9)

    ran = await call("run_behavior", name="consolidate", input={"hours": 1})

    (memory,) = await memories(app, ran["output"])
    assert set(memory.source_ids) == {str(old.id), new["id"]}


async def test_consolidate_does_not_bring_back_what_was_forgotten(app: App, call: Call) -> None:
    await call("log_event", type="error", content="Disk full.", importance=0.9)
    (memory,) = await memories(app, (await call("run_behavior", name="consolidate"))["output"])
    await call("forget", id=str(memory.id))
    await call("log_event", type="error", content="Disk full.", importance=0.9)

    assert (await call("run_behavior", name="consolidate"))["output"] == {"events": 2, "written": 0}
    assert await app.store.get(Memory, memory.id) is None


async def test_consolidate_does_not_bring_back_what_was_corrected(app: App, call: Call) -> None:
    await call("log_event", type="error", content="Disk full.", importance=0.9)
    (memory,) = await memories(app, (await call("run_behavior", name="consolidate"))["output"])
    await call("remember", content="The quota was reached.", supersedes=str(memory.id))
    await call("log_event", type="error", content="Disk full.", importance=0.9)

    assert (await call("run_behavior", name="consolidate"))["output"] == {"events": 2, "written": 0}
    before = await app.store.get(Memory, memory.id)
    assert before
    assert before.superseded_by


async def test_consolidate_keeps_projects_and_types_apart(call: Call) -> None:
    for project in ("shop", "bank"):
        for kind in ("error", "note"):
            await call("log_event", type=kind, content="Full.", importance=0.9, project=project)

    ran = await call("run_behavior", name="consolidate")
    shop = await call("run_behavior", name="consolidate", input={"project": "shop"})

    assert len(ran["output"]["memories"]) == 4
    assert shop["output"] == {"events": 2, "written": 0}


async def test_consolidate_fits_a_long_event_into_a_memory(app: App, call: Call) -> None:
    for _ in range(2):
        await call("log_event", type="note", content="word " * 19_999 + "word!")

    (memory,) = await memories(app, (await call("run_behavior", name="consolidate"))["output"])

    assert len(memory.content) == 100_000
    assert memory.content.endswith(f"(2 times since {now():%Y-%m-%d})")


async def test_prune_removes_only_what_expired(app: App, call: Call) -> None:
    past = now() - timedelta(seconds=1)
    soon = now() + timedelta(hours=1)
    old = Memory(agent_name="a", content="Old tea.", expires_at=past)
    new = Memory(agent_name="a", content="New tea.", expires_at=soon)
    ever = Memory(agent_name="a", content="Tea for ever.")
    decision = Decision(agent_name="a", question="Which tea?", selected=["x"], expires_at=past)
    snapshot = Snapshot(agent_name="a", context_data={"summary": "Tea."}, expires_at=past)
    await app.store.put(old, new, ever, decision, snapshot)

    ran = await call("run_behavior", name="prune")
    again = await call("run_behavior", name="prune")

    assert ran["output"] == {
        "count": 3,
        "erased": 0,
        "removed": {
            "memories": [str(old.id)],
            "decisions": [str(decision.id)],
            "context_snapshots": [str(snapshot.id)],
        },
    }
    assert again["output"] == {"count": 0, "erased": 0}
    assert await app.store.get(Memory, old.id) is None
    assert await app.store.get(Memory, new.id)
    assert await app.store.get(Memory, ever.id)
    assert (await call("forget", id=str(old.id), undo=True))["count"] == 1


async def test_a_registered_behavior_runs_with_its_parameters(app: App, call: Call) -> None:
    past = now() - timedelta(hours=30)
    await app.store.put(
        Event(agent_name="a", event_type="note", content="Old.", ts=past),
        Behavior(agent_name="ana", name="weekly", action="analyze", params={"hours": 168}),
    )

    ran = await call("run_behavior", name="weekly")
    short = await call("run_behavior", name="weekly", input={"hours": 1})

    assert ran["output"]["events"] == 1
    assert short["output"]["events"] == 0


async def test_an_agents_own_behavior_comes_before_anothers(app: App) -> None:
    mine = Behavior(agent_name="ana", name="nightly", action="prune")
    await app.store.put(Behavior(agent_name="bo", name="nightly", action="analyze"), mine)

    assert (await named(app, "nightly", "ana")).id == mine.id
    assert (await named(app, "nightly", "cleo")).name == "nightly"


async def test_a_behavior_of_that_name_comes_before_the_built_in_one(app: App) -> None:
    mine = Behavior(agent_name="ana", name="prune", action="analyze")
    await app.store.put(mine)

    assert (await named(app, "prune", "ana")).action == "analyze"


async def test_an_unknown_behavior_is_refused(call: Call) -> None:
    with pytest.raises(NotFound) as refused:
        await call("run_behavior", name="dream")

    assert str(refused.value) == "There is no behavior `dream`: list_behaviors names them."


async def test_a_behavior_that_is_switched_off_is_refused(app: App, call: Call) -> None:
    await app.store.put(Behavior(agent_name="agent", name="off", action="prune", enabled=False))

    with pytest.raises(InvalidInput) as refused:
        await call("run_behavior", name="off")

    assert str(refused.value) == "The behavior `off` is switched off."


async def test_an_action_that_this_program_lacks_is_refused(app: App, call: Call) -> None:
    await app.store.put(Behavior(agent_name="agent", name="new", action="dream"))

    with pytest.raises(NotFound) as refused:
        await call("run_behavior", name="new")

    assert str(refused.value) == (
        "There is no action `dream`; there are analyze, ask, backup, command, consolidate, digest,"
        " health_check, learn_patterns, promote, prune, reembed, relay, webhook, capture, lookup,"
        " fix, escalate, document."
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"days": 3}, "`input.days`: Extra inputs are not permitted. It takes hours, project."),
        ({"hours": 0}, "`input.hours`: Input should be greater than 0. It takes hours, project."),
        (
            {"hours": 9000},
            "`input.hours`: Input should be less than or equal to 8784. It takes hours, project.",
        ),
    ],
    ids=["unknown", "none", "long"],
)
async def test_what_an_action_does_not_take_is_refused_before_it_runs(
    call: Call, given: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await call("run_behavior", name="prune", input=given)

    assert str(refused.value) == sentence
    listed = {b["name"]: b["status"] for b in (await call("list_behaviors"))["behaviors"]}
    assert listed["prune"] == "idle"


async def failing(_: App, __: Task) -> Outcome:
    raise StorageBusy


async def endless(_: App, __: Task) -> Outcome:
    await anyio.sleep_forever()
    raise AssertionError


async def test_an_action_that_fails_is_written_as_failed(
    app: App, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BEHAVIORS, "failing", failing)

    ran = await call("run_behavior", name="failing")

    assert ran == {
        "run": ran["run"],
        "status": "failed",
        "error": "Another process has held the database for too long: try again.",
    }
    done = await app.store.get(Run, UUID(ran["run"]))
    assert done
    assert (done.status, done.error) == ("failed", ran["error"])
    listed = {b["name"]: b["status"] for b in (await call("list_behaviors"))["behaviors"]}
    assert listed["failing"] == "failed"


async def test_an_action_that_takes_too_long_is_stopped_and_written_as_failed(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BEHAVIORS, "endless", endless)
    slow = Behavior(agent_name="ana", name="slow", action="endless")
    at_once = slow.model_copy(update={"timeout_s": 0})

    with anyio.fail_after(30):
        done, insights = await run(app, at_once, {}, trigger="schedule")

    assert (done.status, done.error) == ("failed", "It took longer than 0 s.")
    assert insights == []
    kept = await app.store.get(Run, done.id)
    assert kept
    assert (kept.status, kept.trigger) == ("failed", "schedule")


async def test_an_unknown_run_is_not_there(app: App) -> None:
    assert await app.store.get(Run, uuid4()) is None


async def test_an_agent_runs_what_is_built_in_as_itself(call: Call) -> None:
    await call("log_event", type="error", content="The zeppelin leaks.")
    await call("run_behavior", name="analyze", agent="alice")

    await call("run_behavior", name="analyze", agent="bob")

    for agent in ("alice", "bob"):
        found = await call("recall", query="zeppelin leaks", kinds=["insight"], agent=agent)
        assert [hit["who"] for hit in found["hits"]] == [agent]


async def test_a_forgotten_insight_does_not_come_back(call: Call) -> None:
    await call("remember", content="Tea is at four.", topic="tea")
    await call("run_behavior", name="analyze")
    (hit,) = (await call("recall", query="tea", kinds=["insight"]))["hits"]
    await call("forget", id=hit["id"])

    await call("run_behavior", name="analyze")

    assert "hits" not in await call("recall", query="tea", kinds=["insight"])


async def test_an_insight_stays_in_the_project_that_it_is_about(call: Call) -> None:
    await call("log_event", type="error", content="The zeppelin leaks.", project="secret")
    await call("run_behavior", name="analyze", input={"project": "secret"})

    assert (await call("recall", query="zeppelin", kinds=["insight"], project="secret"))["hits"]
    assert "hits" not in await call("recall", query="zeppelin", kinds=["insight"], project="open")


async def test_consolidating_later_counts_all_that_happened(app: App, call: Call) -> None:
    for _ in range(3):
        await call("log_event", type="error", content="The kiln is cold.", tags=["a"])
    await call("run_behavior", name="consolidate")
    await call("log_event", type="error", content="The kiln is cold.", tags=["b"])

    ran = await call("run_behavior", name="consolidate")

    memory = await app.store.get(Memory, UUID(ran["output"]["memories"][0]))
    assert memory
    assert memory.content.startswith("The kiln is cold. (4 times since ")
    assert (memory.reinforced, memory.tags, len(memory.source_ids)) == (3, ["a", "b"], 4)


async def test_what_was_forgotten_long_ago_is_erased(app: App, call: Call) -> None:
    long_ago = now() - timedelta(days=31)
    old = Memory(agent_name="a", content="Old.", deleted_at=long_ago)
    new = Memory(agent_name="a", content="New.", deleted_at=now() - timedelta(days=29))
    await app.store.put(old, new)

    ran = await call("run_behavior", name="prune")

    assert ran["output"]["erased"] == 1
    assert await app.store.engine.read(app.store.locating(old.id)) == []
    assert [r.id for r in await app.store.engine.read(app.store.locating(new.id))] == [new.id]
