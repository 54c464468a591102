"""What is saved at the end of one conversation is there at the beginning of the next."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from conftest import Call
from helpers_skills import published
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_mem.app import App
from agent_mem.errors import InvalidInput
from agent_mem.recall.budget import tokens
from agent_mem.records.binding import Binding
from agent_mem.records.record import Record, now
from agent_mem.records.session import Session
from agent_mem.records.skill import Skill
from agent_mem.records.snapshot import Snapshot
from agent_mem.records.task import Task

pytestmark = pytest.mark.anyio


async def test_what_was_saved_is_restored(call: Call) -> None:
    saved = await call(
        "save_session",
        summary="The importer reads CSV.",
        tasks=[
            {"title": "Read XML", "status": "doing", "progress": "half", "blockers": ["a schema"]},
            {"title": "Write docs"},
            {"title": "Read CSV", "status": "done"},
        ],
        decisions=["Use the csv module."],
        open_questions=["Which encoding?"],
        next_steps=["Ask Ana."],
        session="monday",
    )

    found = await call("restore_session")

    assert (saved["open_tasks"], saved["archived"]) == (2, 1)
    assert found["session"] == saved["session"]
    assert found["context"] == {
        "summary": "The importer reads CSV.",
        "decisions": ["Use the csv module."],
        "open_questions": ["Which encoding?"],
        "next_steps": ["Ask Ana."],
    }
    assert sorted(found["tasks"], key=lambda task: task["title"]) == [
        {"title": "Read XML", "status": "doing", "progress": "half", "blockers": ["a schema"]},
        {"title": "Write docs", "status": "todo"},
    ]
    assert abs((now() - read(found["saved_at"])).total_seconds()) < 120
    assert "note" not in found
    assert "left_out" not in found


def read(told: str) -> datetime:
    return datetime.strptime(told, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


async def test_a_finished_task_is_archived_and_not_deleted(app: App, call: Call) -> None:
    await call("save_session", summary="Begun.", tasks=[{"title": "Read  CSV"}])
    (begun,) = await app.store.find(
        Task, "tasks.listed", project=None, agent=None, status="open", limit=9
    )

    done = await call(
        "save_session", summary="Done.", tasks=[{"title": "read csv", "status": "done"}]
    )

    assert (done["open_tasks"], done["archived"]) == (0, 1)
    assert "tasks" not in await call("restore_session")
    task = await app.store.get(Task, begun.id)
    assert task
    assert (task.status, task.title) == ("done", "read csv")
    assert task.created_at == begun.created_at


async def test_the_same_title_in_another_project_is_another_task(app: App, call: Call) -> None:
    for project in ("shop", "bank"):
        await call("save_session", summary="s", tasks=[{"title": "Ship"}], project=project)

    assert (
        len(
            await app.store.find(
                Task, "tasks.listed", project=None, agent=None, status="open", limit=9
            )
        )
        == 2
    )


async def test_the_last_of_several_is_restored_or_the_one_that_is_named(call: Call) -> None:
    for day in ("monday", "tuesday", "wednesday"):
        await call("save_session", summary=f"It is {day}.", session=day)
    monday = (await call("restore_session", session="monday"))["session"]

    assert (await call("restore_session"))["context"] == {"summary": "It is wednesday."}
    for name in ("monday", monday):
        found = await call("restore_session", session=name)
        assert found["context"] == {"summary": "It is monday."}


async def test_a_project_and_an_agent_restore_their_own(call: Call) -> None:
    await call("save_session", summary="Of the shop.", project="shop", agent="ana")
    await call("save_session", summary="Of everywhere.", agent="bo")
    await call("save_session", summary="Of the bank.", project="bank", agent="cleo")

    assert (await call("restore_session", project="shop"))["context"] == {
        "summary": "Of everywhere."
    }
    assert (await call("restore_session", agent="ana"))["context"] == {"summary": "Of the shop."}
    assert "context" not in await call("restore_session", project="shop", agent="cleo")


async def test_a_named_session_is_restored_from_any_project(call: Call) -> None:
    await call("save_session", summary="Of the shop.", project="shop", session="monday")

    found = await call("restore_session", session="monday", project="bank")

    assert found["context"] == {"summary": "Of the shop."}


async def test_saving_completes_the_session(app: App, call: Call) -> None:
    logged = await call("log_event", type="note", content="x", session="monday")
    saved = await call("save_session", summary="s", session="monday")

    session = await app.store.get(Session, UUID(saved["session"]))
    assert logged
    assert session
    assert session.status == "completed"
    assert session.ended_at


async def test_nothing_saved_says_so(call: Call) -> None:
    assert await call("restore_session") == {"note": "No session was saved here yet."}


async def test_a_session_that_is_not_known_says_so(call: Call) -> None:
    await call("save_session", summary="s", session="monday")

    found = await call("restore_session", session="tuesday")

    assert found.keys() == {"session", "note"}
    assert found["note"] == "No session was saved here yet."


async def test_a_snapshot_is_not_restored_after_its_thirty_days(app: App, call: Call) -> None:
    saved = await call("save_session", summary="Old.")
    snapshot = await app.store.get(Snapshot, UUID(saved["id"]))
    assert snapshot
    assert snapshot.expires_at
    assert timedelta(days=29) < snapshot.expires_at - now() <= timedelta(days=30)

    await app.store.put(snapshot.model_copy(update={"expires_at": now()}))

    assert "context" not in await call("restore_session")


async def test_recent_errors_come_with_their_known_solutions(call: Call) -> None:
    problem = "ConnectionError: port 5432 refused by host db1"
    await call("log_event", type="error", content=problem)
    await call("log_event", type="error", content="A zeppelin crashed into Lisbon.")
    await call("record_solution", problem=problem, solution="Start the proxy first.")

    newest, oldest = (await call("restore_session"))["errors"]

    assert newest["error"] == "A zeppelin crashed into Lisbon."
    assert "solution" not in newest
    assert oldest["error"] == problem
    assert oldest["solution"] == f"{problem}\nStart the proxy first."
    assert abs((now() - read(oldest["when"])).total_seconds()) < 120


async def test_a_solution_to_something_else_is_not_shown_with_an_error(call: Call) -> None:
    await call("log_event", type="error", content="The zeppelin over Lisbon lost its anchor.")
    await call("record_solution", problem="Lisbon is hot in summer", solution="Drink water.")

    (error,) = (await call("restore_session"))["errors"]

    assert error.keys() == {"error", "when"}


async def test_recent_decisions_come_with_their_outcomes(call: Call) -> None:
    first = await call("log_decision", question="Which port?", selected=["5433"])
    second = await call("log_decision", question="Which host?", selected=["db1", "db2"])
    await call("log_outcome", decision=first["id"], success=True)

    assert (await call("restore_session"))["decisions"] == [
        {
            "id": second["id"],
            "question": "Which host?",
            "selected": ["db1", "db2"],
            "outcome": "not known yet",
        },
        {
            "id": first["id"],
            "question": "Which port?",
            "selected": ["5433"],
            "outcome": "worked",
        },
    ]


async def test_skills_come_in_the_agents_order(app: App, call: Call) -> None:
    skills = [Skill(skill_name=name, description="d") for name in ("git", "sql", "css")]
    order: list[Record] = [
        Binding(agent_name="ana", skill_id=skill.id, priority=priority)
        for skill, priority in zip(skills, (3, 1, 2), strict=True)
    ]
    await published(app, *skills)
    await app.store.put(*order)

    assert (await call("restore_session", agent="ana"))["skills"] == ["sql", "css", "git"]
    assert (await call("restore_session"))["skills"] == ["css", "git", "sql"]


async def test_a_long_summary_loses_its_end_and_lists_lose_what_does_not_fit(call: Call) -> None:
    await call(
        "save_session",
        summary="The importer reads CSV. " * 2000,
        next_steps=["Ask Ana.", "word " * 300, "Ship it."],
    )

    found = await call("restore_session", max_tokens=500)

    assert found["context"]["summary"].startswith("The importer reads CSV. The importer")
    assert found["context"]["summary"].endswith("…")
    assert found["context"]["next_steps"] == ["Ask Ana.", "Ship it."]
    assert found["left_out"] == 2
    assert found["note"] == "Raise max_tokens, or recall what you need."
    whole = await call("restore_session", max_tokens=20_000)
    assert len(whole["context"]["next_steps"]) == 3


LINES = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=200),
        st.text(st.sampled_from("abc defg数据😀\n"), min_size=1, max_size=2000),
    ).filter(lambda line: bool(line.strip())),
    max_size=6,
)


@given(lines=st.tuples(LINES, LINES, LINES), summary=LINES, most=st.integers(300, 2500))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_what_is_restored_never_takes_more_than_its_budget(
    call: Call, lines: tuple[list[str], ...], summary: list[str], most: int
) -> None:
    decisions, questions, steps = lines
    for line in steps:
        await call("log_event", type="error", content=line)
        await call("log_decision", question=line, selected=["x"])
    await call(
        "save_session",
        summary="".join(["It begins.", *summary]),
        tasks=[{"title": line, "blockers": decisions} for line in questions],
        decisions=decisions,
        open_questions=questions,
        next_steps=steps,
        session="monday",
    )

    found = await call("restore_session", max_tokens=most)

    assert tokens(json.dumps(found, ensure_ascii=False)) <= most


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"summary": " "}, "`summary` is blank: say something."),
        ({"tasks": [{"status": "done"}]}, "save_session needs `tasks.0.title`."),
        (
            {"tasks": [{"title": "t", "status": "late"}]},
            "`tasks.0.status`: input should be 'todo', 'doing', 'blocked' or 'done'.",
        ),
        ({"tasks": [{"title": "t", "when": "now"}]}, "save_session has no `tasks.0.when`."),
        ({"next_steps": ["ok", ""]}, "`next_steps.1` is blank: say something."),
        (
            {"summary": "s" * 99_000, "decisions": ["d" * 2000]},
            "What is saved is longer than 100000 characters: store less, or in parts.",
        ),
    ],
    ids=["blank", "nameless", "late", "unknown", "empty line", "large"],
)
async def test_what_cannot_be_saved_is_refused_in_a_sentence(
    call: Call, arguments: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await call("save_session", **{"summary": "s", "session": "monday", **arguments})

    assert str(refused.value) == sentence
    assert "context" not in await call("restore_session")
