"""Behaviors that depend on each other, and registering them."""

from pathlib import Path
from typing import Any
from uuid import UUID

import anyio.lowlevel
import pytest
from conftest import Call

from agent_mem.app import App
from agent_mem.behaviors import BEHAVIORS
from agent_mem.behaviors.action import Found, Outcome, Task
from agent_mem.behaviors.desk import Desk
from agent_mem.behaviors.runner import Runner, who
from agent_mem.behaviors.slots import Slot
from agent_mem.errors import ActionFailed, InvalidInput, NotFound
from agent_mem.records.behavior import Behavior, behavior_id
from agent_mem.records.run import Run
from agent_mem.records.skill import Skill

pytestmark = pytest.mark.anyio

Done = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Done:
    """Make an action known that notes what it was given; it fails where its name says so."""
    noted: Done = []

    async def note(_: App, task: Task) -> Outcome:
        await anyio.lowlevel.checkpoint()
        noted.append((task.behavior.name, task.results))
        if task.behavior.name in ("broken", f"broken {len(noted)}"):
            raise ActionFailed("No luck.")
        return Outcome({"by": task.behavior.name}, [Found("t", task.behavior.name, 0.5)])

    monkeypatch.setitem(BEHAVIORS, "note", note)
    return noted


async def register(call: Call, name: str, *needs: str, **more: object) -> dict[str, Any]:
    return await call("register_behavior", name=name, action="note", depends_on=list(needs), **more)


async def runs(app: App, name: str) -> list[Run]:
    key = behavior_id(app.store.owner, "agent", name)
    return await app.store.find(Run, "behavior_runs.of_behavior", behavior_id=key, limit=99)


async def test_steps_run_in_order_and_each_is_given_what_it_depends_on(
    app: App, call: Call, done: Done
) -> None:
    await register(call, "a")
    await register(call, "b", "a")
    await register(call, "c", "a")
    registered = await register(call, "goal", "b", "c")

    ran = await call("run_behavior", name="goal")

    assert registered["runs_after"][0] == "a"
    assert set(registered["runs_after"]) == {"a", "b", "c"}
    assert [name for name, _ in done] == [*registered["runs_after"], "goal"]
    assert dict(done)["b"] == {"a": {"by": "a"}}
    assert dict(done)["goal"] == {"b": {"by": "b"}, "c": {"by": "c"}, "a": {"by": "a"}}
    assert ran["output"]["by"] == "goal"
    assert ran["output"]["steps"] == {name: {"by": name} for name in ("a", "b", "c")}
    (step,) = await runs(app, "a")
    assert (step.trigger, step.status) == ("workflow", "complete")


async def test_a_step_that_fails_stops_what_needs_it(call: Call, done: Done) -> None:
    await register(call, "broken")
    await register(call, "goal", "broken")

    ran = await call("run_behavior", name="goal")

    assert (ran["status"], ran["error"]) == (
        "failed",
        "It needs `broken`, which is not done: No luck.",
    )
    assert [name for name, _ in done] == ["broken"]


async def test_a_workflow_that_is_tried_again_goes_on_where_it_failed(
    app: App, call: Call, done: Done
) -> None:
    await register(call, "a")
    await register(call, "broken 2", "a")
    await register(call, "goal", "broken 2", rules={"backoff_s": 0})
    goal = await app.store.get(Behavior, behavior_id(app.store.owner, "agent", "goal"))
    assert goal
    runner = Runner(app, Desk(app), await who(app))
    slot = Slot(goal, "an event", "event")

    failed, again = await runner.due(slot), await runner.due(slot)

    assert failed
    assert again
    assert (failed.status, again.status, again.attempt) == ("failed", "complete", 2)
    assert [name for name, _ in done] == ["a", "broken 2", "broken 2", "goal"]
    assert [run.status for run in await runs(app, "broken 2")] == ["complete", "failed"]
    assert await runner.due(slot) is None


async def test_a_step_that_is_gone_or_switched_off_fails_the_workflow(
    app: App, call: Call, done: Done
) -> None:
    await register(call, "a", enabled=False)
    await register(call, "goal", "a")
    off = await call("run_behavior", name="goal")
    goal = await app.store.get(Behavior, behavior_id(app.store.owner, "agent", "goal"))
    assert goal
    lost = goal.model_copy(update={"depends_on": ["nobody"]})
    run = await Runner(app, Desk(app), await who(app)).due(Slot(lost, "x", "daily"))

    assert off["error"] == "It needs `a`, which is not done: The behavior `a` is switched off."
    assert run
    assert run.error == "`depends_on`: agent has no behavior `nobody`; register it first."
    assert done == []


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"name": "a", "depends_on": ["c"]}, "`depends_on` goes in a circle: a → c → b → a."),
        ({"name": "a", "depends_on": ["a"]}, "`depends_on` goes in a circle: a → a."),
        ({"name": "d", "depends_on": ["x"]}, "`depends_on`: agent has no behavior `x`;"),
        ({"name": "d", "action": "dream"}, "There is no action `dream`; there are analyze, ask,"),
        ({"name": "d", "action": "command"}, "`input.command`: Field required. It takes hours,"),
        ({"name": "d", "params": {"days": 1}}, "`input.days`: Extra inputs are not permitted."),
        ({"name": "d", "trigger": "daily", "schedule": "noon"}, "`noon` is no time of day"),
        ({"name": "d", "trigger": "event"}, "`event.type`: Field required. It takes type, kind,"),
        ({"name": "d", "trigger": "event", "event": {"type": "dream"}}, "`event`: type is one of"),
        ({"name": "d", "schedule": "09:00"}, "`schedule` is for the trigger daily or schedule:"),
        ({"name": "d", "event": {"type": "event"}}, "`event` is for the trigger event: pass"),
        ({"name": "d", "remove": True}, "agent has no behavior `d`."),
        ({"name": "a", "remove": True}, "`b` depends on `a`: change or remove it first."),
    ],
)
async def test_what_makes_no_sense_is_refused_and_nothing_is_written(
    app: App, call: Call, done: Done, wanted: dict[str, Any], sentence: str
) -> None:
    for name, needs in (("a", ()), ("b", ("a",)), ("c", ("b",))):
        await register(call, name, *needs)

    with pytest.raises(InvalidInput) as refused:
        await call("register_behavior", **{"action": "note", **wanted})

    assert str(refused.value).startswith(sentence)
    rows = await app.store.rows("behaviors.of_agent", agent="agent")
    assert [row["name"] for row in rows] == ["a", "b", "c"]
    assert done == []


async def test_a_workflow_has_a_bounded_number_of_steps(call: Call, done: Done) -> None:
    for number in range(50):
        await register(call, f"s{number}", *([f"s{number - 1}"] if number else []))

    with pytest.raises(InvalidInput, match="at most 50"):
        await register(call, "goal", "s49")
    assert done == []


async def test_registering_again_changes_and_the_same_changes_nothing(
    app: App, call: Call, done: Done
) -> None:
    times = {"trigger": "daily", "schedule": "09:30", "time_zone": "Europe/Berlin"}
    new = await register(call, "a", **times)
    same = await register(call, "a", **times)
    changed = await register(call, "a", **times, rules={"retries": 5, "overlap": "queue"})
    before = await app.store.get(Behavior, UUID(new["id"]))
    later = await register(call, "a", **times | {"schedule": "10:30"})
    after = await app.store.get(Behavior, UUID(new["id"]))
    off = await register(call, "a", **times, enabled=False)
    removed = await register(call, "a", remove=True)
    back = await register(call, "a")

    states = [r["status"] for r in (new, same, changed, later, off, removed, back)]
    assert states == ["new", "same", "changed", "changed", "changed", "removed", "new"]
    assert new["id"] == back["id"]
    assert new["next_due"].endswith(":30:00 UTC")
    assert "next_due" not in off
    assert before
    assert after
    assert (before.retries, before.overlap, before.time_zone) == (5, "queue", "Europe/Berlin")
    assert before.created_at == after.created_at
    # What would have been due before it was changed is not.
    assert before.scheduled_at
    assert after.scheduled_at
    assert after.scheduled_at > before.scheduled_at
    assert done == []


async def test_a_behavior_bound_to_a_skill_runs_while_its_agent_may_use_it(
    call: Call, done: Done
) -> None:
    await call("register_skill", name="rescue", description="How to.", body="Call for help.")
    await call("register_skill", name="other", description="Another.")
    await register(call, "a", skill="rescue")
    free = await call("run_behavior", name="a")
    await call("bind_skill", skill="other", priority=5, config={"x": 1})
    bound_elsewhere = await call("run_behavior", name="a")
    await call("bind_skill", skill="rescue")
    bound = await call("run_behavior", name="a")
    off = await call("bind_skill", skill="rescue", enabled=False)
    refused = await call("run_behavior", name="a")

    assert (free["status"], bound["status"], off["enabled"]) == ("complete", "complete", False)
    for ran in (bound_elsewhere, refused):
        assert ran["error"] == "The agent `agent` has no skill `rescue` that it may use."
    assert len(done) == 2


async def test_a_published_skill_is_never_changed(app: App, call: Call) -> None:
    said = {"name": "rescue", "description": "How to.", "body": "Call for help."}
    new = await call("register_skill", **said)
    same = await call("register_skill", **said)
    with pytest.raises(InvalidInput) as refused:
        await call("register_skill", **said | {"body": "Run."})
    second = await call("register_skill", **said | {"body": "Run.", "version": "1.1.0"})
    off = await call("register_skill", **said, active=False)

    assert [r["status"] for r in (new, same, second, off)] == ["new", "same", "new", "changed"]
    assert str(refused.value) == "`rescue` 1.0.0 is published: give the change a new version."
    kept = await app.store.get(Skill, UUID(new["id"]))
    assert kept
    assert (kept.body, kept.is_active) == ("Call for help.", False)
    assert (await call("load_skill", name="rescue"))["body"] == "Run."


async def test_only_a_skill_that_is_there_is_bound_and_again_changes_the_binding(
    call: Call,
) -> None:
    with pytest.raises(NotFound):
        await call("bind_skill", skill="nothing")
    await call("register_skill", name="rescue", description="How to.")
    first = await call("bind_skill", skill="rescue", config={"level": 1}, agent="ana")
    again = await call("bind_skill", skill="rescue", priority=3, agent="ana")

    assert first["id"] == again["id"]
    assert (again["priority"], again["config"]) == (3, {"level": 1})
    assert (await call("load_skill", name="rescue", agent="ana"))["config"] == {"level": 1}


FIX = """[commands.restart]
program = "/bin/sh"
args = ["-c", "{does}"]
"""


async def on_error(call: Call, folder: Path, does: str) -> None:
    """Register the workflow of the example."""
    (folder / "config.toml").write_text(FIX.format(does=does), encoding="utf-8")
    (folder / "config.toml").chmod(0o600)
    needs = {
        "capture": [],
        "lookup": ["capture"],
        "fix": ["lookup"],
        "escalate": ["fix"],
        "document": ["escalate", "fix"],
    }
    for name, before in needs.items():
        await call("register_behavior", name=name, action=name, depends_on=before)


@pytest.mark.parametrize(("does", "fixed"), [("exit 0", True), ("exit 1", False)])
async def test_an_error_is_captured_looked_up_mended_or_escalated_and_documented(
    app: App, call: Call, does: str, *, fixed: bool
) -> None:
    problem = "Connection refused by redis:6379"
    await call("record_solution", problem=problem, solution="Start it.\ncommand: restart")
    await on_error(call, app.settings.db.parent, does)

    ran = await call("run_behavior", name="document", input={"problem": problem})

    steps = ran["output"]["steps"]
    assert ran["output"]["fixed"] is fixed
    assert steps["lookup"]["solutions"][0]["solution"].startswith("Start it.")
    assert steps["fix"]["fixed"] is fixed
    assert steps["escalate"]["escalated"] is not fixed
    known = (await call("find_solution", problem=problem))["solutions"][0]
    assert (known["worked"], known["used"]) == (2 if fixed else 1, 2)
    assert (await call("recall", query="redis", kinds=["snapshot"]))["hits"]
    insights = (await call("recall", query="redis not mended", kinds=["insight"])).get("hits", [])
    assert len(insights) == (not fixed)


async def test_the_first_solution_that_can_be_tried_is_tried(app: App, call: Call) -> None:
    await on_error(call, app.settings.db.parent, "exit 0")
    await call("record_solution", problem="The moon is gone.", solution="Wait for it.")
    like = "The moon is gone once more."
    await call("record_solution", problem=like, solution="command: restart")

    ran = await call("run_behavior", name="document", input={"problem": "The moon is gone."})

    fix = ran["output"]["steps"]["fix"]
    assert (fix["fixed"], fix["solution"]) == (True, "command: restart")


async def test_an_error_that_nothing_is_known_of_is_escalated(app: App, call: Call) -> None:
    await on_error(call, app.settings.db.parent, "exit 0")
    await call("record_solution", problem="The moon is gone.", solution="command: unknown")

    unknown = await call("run_behavior", name="document", input={"problem": "It rains inside."})
    refused = await call("run_behavior", name="document", input={"problem": "The moon is gone."})
    nothing = await call("run_behavior", name="document")

    waiting = (await call("read_signals", agent="another"))["signals"]
    assert [(one["type"], one["sender"]) for one in waiting] == [("escalation", "agent")] * 2
    assert waiting[0]["payload"]["problem"] == "It rains inside."
    assert str(waiting[0]["id"]) == unknown["output"]["steps"]["escalate"]["signal"]
    assert unknown["output"]["steps"]["fix"]["why"] == "No solution is known that can be tried."
    assert "allows no command `unknown`" in refused["output"]["steps"]["fix"]["why"]
    assert nothing["error"].endswith("`capture` needs a `problem`, or an event that has one.")
