"""Tasks: made, changed, listed, and what happened to each."""

from datetime import timedelta
from uuid import UUID

import pytest
from conftest import Call

from agent_mem.app import App
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.record import now, uuid7
from agent_mem.records.work import Work

pytestmark = pytest.mark.anyio

TITLE = "Move staging to port 8443"


async def test_a_task_is_made_by_its_first_update(call: Call) -> None:
    made = await call("update_task", task=TITLE)

    listed = await call("list_tasks")

    assert made == {"id": made["id"], "title": TITLE, "status": "todo", "new": True}
    (task,) = listed["tasks"]
    assert task.pop("updated")
    assert task == {"id": made["id"], "title": TITLE, "status": "todo", "agent": "agent"}


async def test_a_task_is_known_by_its_title_or_its_id(call: Call) -> None:
    made = await call("update_task", task=TITLE)

    by_title = await call("update_task", task="  move STAGING to port  8443 ", status="doing")
    by_id = await call("update_task", task=made["id"], status="done")

    assert by_title == {"id": made["id"], "title": TITLE, "status": "doing", "was": "todo"}
    assert by_id == {"id": made["id"], "title": TITLE, "status": "done", "was": "doing"}


async def test_what_is_not_given_stays_as_it_is(call: Call) -> None:
    await call("update_task", task=TITLE, status="blocked", blockers=["DNS"], progress="Half.")

    await call("update_task", task=TITLE, progress="DNS is asked for.")
    (task,) = (await call("list_tasks"))["tasks"]
    await call("update_task", task=TITLE, blockers=[])
    (freed,) = (await call("list_tasks"))["tasks"]

    assert (task["status"], task["blockers"]) == ("blocked", ["DNS"])
    assert task["progress"] == "DNS is asked for."
    assert "blockers" not in freed


async def test_work_that_was_begun_for_a_task_and_never_logged_is_told(
    app: App, call: Call
) -> None:
    made = await call("update_task", task=TITLE)
    begun = now() - timedelta(hours=2)
    lease = {"claimed_at": begun, "lease_until": begun + timedelta(hours=1)}
    work = Work(agent_name="bob", action="Open the port", signature="x", task_id=UUID(made["id"]))
    await app.store.put(work.model_copy(update=lease))

    (task,) = (await call("list_tasks", task=TITLE))["tasks"]

    steps = [(step.get("did"), step.get("result")) for step in task["history"]]
    assert ("Open the port", "not logged") in steps


async def test_every_change_is_kept_with_who_made_it(call: Call) -> None:
    await call("update_task", task=TITLE, agent="ana")
    await call("update_task", task=TITLE, status="doing", agent="bob")
    await call("update_task", task=TITLE, status="doing", agent="bob")
    await call("log_work", action="Open the port", success=True, task=TITLE, agent="bob")
    await call("log_work", action="Ask for DNS", success=False, error="No answer", task=TITLE)
    await call("update_task", task=TITLE, status="blocked", blockers=["DNS"], agent="bob")
    await call("update_task", task=TITLE, status="done", blockers=[], agent="ana")

    (task,) = (await call("list_tasks", task=TITLE))["tasks"]
    history = [{k: v for k, v in step.items() if k != "when"} for step in task["history"]]

    assert history == [
        {"agent": "ana", "changed": {"status": "todo"}},
        {"agent": "bob", "changed": {"status": "doing"}},
        {"agent": "bob", "did": "Open the port", "result": "done"},
        {"agent": "agent", "did": "Ask for DNS", "result": "failed; No answer"},
        {"agent": "bob", "changed": {"status": "blocked", "blockers": ["DNS"]}},
        {"agent": "ana", "changed": {"status": "done", "blockers": []}},
    ]
    assert (task["status"], task["agent"]) == ("done", "ana")
    assert [step["when"] for step in task["history"]] == sorted(s["when"] for s in task["history"])


async def test_what_save_session_changes_is_history_too(call: Call) -> None:
    await call("update_task", task=TITLE, status="doing")
    done = [{"title": TITLE, "status": "done"}]
    await call("save_session", summary="s", tasks=done)
    await call("save_session", summary="s", tasks=done)

    (task,) = (await call("list_tasks", task=TITLE))["tasks"]

    assert [step["changed"] for step in task["history"]] == [
        {"status": "doing"},
        {"status": "done"},
    ]


async def test_a_task_of_update_task_is_restored_with_the_session(call: Call) -> None:
    await call("update_task", task=TITLE, status="blocked", blockers=["DNS"], session="s")
    await call("update_task", task="Drink tea", status="done")
    await call("save_session", summary="Staging waits.", session="s")

    restored = await call("restore_session", session="s")

    assert restored["tasks"] == [{"title": TITLE, "status": "blocked", "blockers": ["DNS"]}]


async def test_tasks_are_listed_by_status_agent_and_project(call: Call) -> None:
    await call("update_task", task="one", status="doing", agent="ana", project="p")
    await call("update_task", task="two", status="done", agent="ana", project="p")
    await call("update_task", task="three", agent="bob", project="q")
    await call("update_task", task="four", agent="bob", project="*")

    async def titles(**filters: object) -> list[str]:
        found = await call("list_tasks", **filters)
        return [task["title"] for task in found.get("tasks", [])]

    assert await titles() == ["four", "three", "one"]
    assert await titles(status="all") == ["four", "three", "two", "one"]
    assert await titles(status="done") == ["two"]
    assert await titles(agent="ana") == ["one"]
    assert await titles(project="p") == ["four", "one"]
    assert await titles(limit=1) == ["four"]
    assert await titles(status="blocked") == []
    assert await call("list_tasks", status="blocked") == {"note": "No such tasks."}


async def test_the_same_title_in_two_projects_is_two_tasks(call: Call) -> None:
    one = await call("update_task", task=TITLE, project="p")
    two = await call("update_task", task=TITLE, project="q", status="doing")

    assert one["id"] != two["id"]
    assert (await call("list_tasks", project="p"))["tasks"][0]["status"] == "todo"


async def test_a_task_of_another_agent_stays_its_own_when_it_is_updated(call: Call) -> None:
    await call("update_task", task=TITLE, agent="ana")
    await call("update_task", task=TITLE, progress="Reviewed.", agent="bob")

    assert [t["agent"] for t in (await call("list_tasks", agent="ana"))["tasks"]] == ["ana"]


async def test_an_update_that_changes_nothing_writes_nothing(call: Call, app: App) -> None:
    await call("update_task", task=TITLE, status="doing", session="s")
    before = [dict(row) for row in await app.store.rows("local.last_change")]
    waiting = [dict(row) for row in await app.store.rows("local.waiting")]

    await call("update_task", task=TITLE, status="doing", session="s")

    assert [dict(row) for row in await app.store.rows("local.last_change")] == before
    assert [dict(row) for row in await app.store.rows("local.waiting")] == waiting


async def test_the_changes_of_tasks_are_not_found_by_recall(call: Call) -> None:
    await call("update_task", task="Polish the teapot", status="doing")

    assert "hits" not in await call("recall", query="update task status doing teapot")


@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        ("update_task", {"task": " "}, "`task` is blank: say something."),
        ("update_task", {"task": "t", "status": "open"}, "`status`: input should be 'todo',"),
        ("list_tasks", {"task": "Nothing"}, "There is no task `Nothing` in this project:"),
        ("log_work", {"action": "a", "success": True, "task": "T"}, "There is no task `T` in"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_a_sentence(
    call: Call, tool: str, arguments: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await call(tool, **arguments)

    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize("tool", ["update_task", "list_tasks"])
async def test_an_id_that_is_no_task_is_refused(call: Call, tool: str) -> None:
    key = uuid7()

    with pytest.raises(NotFound, match=f"There is no task `{key}`: list_tasks names them."):
        await call(tool, task=str(key))
