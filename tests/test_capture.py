"""What a conversation said and did is kept from its transcript: once, without secrets."""

import json
import os
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from conftest import Call
from helpers_transcript import KINDS, Transcript, grown, secret_part

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.hooks import spool, transcript
from agent_mem.hooks.capture import Conversation, Mark, capture, keeping
from agent_mem.hooks.place import MARK, label
from agent_mem.hooks.reader import done, drain
from agent_mem.hooks.spool import Job
from agent_mem.hooks.working import news
from agent_mem.records.event import Event
from agent_mem.records.session import Session
from agent_mem.records.snapshot import Snapshot
from agent_mem.records.solution import Solution
from agent_mem.storage import sqlite

pytestmark = pytest.mark.anyio

PROJECT = "/home/me/shop"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(db=tmp_path / "home" / "memory.db", embedder="none")


@pytest.fixture
def script(tmp_path: Path) -> Transcript:
    return Transcript(tmp_path / "transcript.jsonl")


def job(script: Transcript, event: str = "Stop") -> Job:
    return Job(script.session, str(script.path), PROJECT, event)


async def kept(app: App, script: Transcript) -> list[tuple[str | None, str, str]]:
    found = await app.store.find(
        Event, "events.of_session", session_id=UUID(script.session), limit=5_000
    )
    return [(event.role, event.event_type, event.content) for event in found]


async def standing(app: App, script: Transcript) -> dict[str, Any]:
    params = {"session_id": script.session, "project": None, "agent": None, "now": "2026"}
    found = await app.store.find(Snapshot, "context_snapshots.latest", **params, limit=5)
    assert len(found) == 1
    assert found[0].project == PROJECT
    return found[0].context_data


async def test_what_was_said_and_done_is_kept(app: App, script: Transcript) -> None:
    script.prompt("The cart has to round to cents.")
    script.said([{"type": "text", "text": "Let me look."}], "tool_use")
    script.ran("make test", "Exit code 2\nAssertionError: 1.005 is not 1.01", failed=True)
    script.edited("src/cart.py")
    script.ran("make test", "12 passed")
    script.answer("It rounds to cents now.")

    await capture(app, job(script))

    error = "Bash: make test\nExit code 2\nAssertionError: 1.005 is not 1.01"
    way = "Edit src/cart.py\nThen it worked: make test"
    assert sorted(await kept(app, script), key=str) == sorted(
        [
            ("user", "message", "The cart has to round to cents."),
            ("assistant", "message", "It rounds to cents now."),
            ("tool", "error", error),
            ("tool", "fix", f"{error}\n{way}"),
        ],
        key=str,
    )
    assert await standing(app, script) == {
        "asked": ["The cart has to round to cents."],
        "answer": "It rounds to cents now.",
        "files": ["src/cart.py"],
    }
    (solved,) = await app.store.find(Solution, "knowledge_base.lately", project=PROJECT, limit=9)
    assert (solved.problem_description, solved.solution) == (error, way)
    assert (solved.success_count, solved.usage_count) == (1, 1)


async def test_reading_again_adds_nothing(app: App, script: Transcript) -> None:
    script.prompt("Fix the cart.")
    script.ran("make", "broken", failed=True)
    script.edited("cart.py")
    script.ran("make", "fine")
    script.answer("Done.")
    await capture(app, job(script))
    before = await kept(app, script)

    await capture(app, job(script))
    session = await app.store.get(Session, UUID(script.session))
    assert session
    await app.store.put(session.model_copy(update={"meta": {}}))  # read from the start
    await capture(app, job(script))

    assert await kept(app, script) == before
    (solved,) = await app.store.find(Solution, "knowledge_base.lately", project=None, limit=9)
    assert solved.usage_count == 1


async def test_what_was_forgotten_does_not_come_back(
    app: App, script: Transcript, call: Call
) -> None:
    script.prompt("Forget this.")
    await capture(app, job(script))
    (event,) = await app.store.find(
        Event, "events.of_session", session_id=UUID(script.session), limit=9
    )
    await call("forget", id=str(event.id))
    script.path.write_text(script.path.read_text().replace("2.1.329", "2.1.330"))  # another file

    await capture(app, job(script))

    assert await kept(app, script) == []


async def test_a_transcript_is_read_on_where_the_last_reading_ended(
    app: App, script: Transcript
) -> None:
    script.prompt("One.")
    await capture(app, job(script))
    script.answer("First.")
    script.prompt("Two.")
    half = json.dumps({"type": "user", "message": {"content": "Three."}, "uuid": "u3"})
    script.raw(half[:30])

    await capture(app, job(script))
    assert [text for _, _, text in await kept(app, script)] == ["One.", "First.", "Two."]

    script.raw("\n")  # a line that was never finished is passed over
    script.prompt("Four.")
    await capture(app, job(script))

    assert [text for _, _, text in await kept(app, script)] == ["One.", "First.", "Two.", "Four."]
    assert (await standing(app, script))["asked"] == ["One.", "Two.", "Four."]


async def test_a_call_is_kept_with_a_result_that_comes_later(app: App, script: Transcript) -> None:
    script.prompt("Run it.")
    key = script.call("Bash", command="make deploy")
    await capture(app, job(script, "PreCompact"))
    script.result(key, "no such host", failed=True)

    await capture(app, job(script))

    assert ("tool", "error", "Bash: make deploy\nno such host") in await kept(app, script)
    assert (await standing(app, script))["unsolved"] == ["Bash: make deploy\nno such host"]


async def test_a_shorter_file_is_read_from_its_start(app: App, script: Transcript) -> None:
    script.prompt("One.")
    script.prompt("Two.")
    await capture(app, job(script))
    first = script.path.read_text().splitlines()[0]
    script.path.write_text(first + "\n")
    script.prompt("Other.")

    await capture(app, job(script))

    assert [text for _, _, text in await kept(app, script)] == ["One.", "Two.", "Other."]


async def test_a_long_file_is_read_in_parts(
    app: App, script: Transcript, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcript, "AT_ONCE", 900)
    for n in range(5):
        script.prompt(f"Prompt {n}.")
    script.prompt("x" * 3_000)  # longer than what is read at once
    script.prompt("Last.")
    script.raw("y" * 3_000)

    await capture(app, job(script))

    said = [text for _, _, text in await kept(app, script)]
    assert said == [*(f"Prompt {n}." for n in range(5)), "x" * 3_000, "Last."]


async def test_what_the_client_wrote_and_what_was_injected_is_not_kept(
    app: App, script: Transcript
) -> None:
    told = f"{MARK} Kept of earlier work\n- {label('0' * 12)} fact: The port is 1."
    script.injected(told)
    script.prompt(f"Go on.\n{told}")
    script.prompt("<system-reminder>be brief</system-reminder>")
    script.prompt("<command-name>/compact</command-name>")
    script.prompt("<task-notification>done</task-notification>", origin={"kind": "task"})
    script.prompt("a notification", promptSource="system")
    script.prompt("of the client's own", isMeta=True)
    script.prompt("of a subagent", isSidechain=True)
    script.prompt("of another conversation", sessionId="other")
    script.line("api-request-blob", message={"role": "user", "content": "a copy"})
    script.line("user", message="nothing")
    script.line("user", message={"content": 7}, timestamp="yesterday")
    script.line("user", message={"content": 7}, timestamp=7)
    script.raw("[]\n{broken\n" + "[" * 100_000 + "\n")
    script.result("toolu_unknown", "of a call that nobody made", failed=True)
    script.result(script.call("Bash", command="x"), "<tool_use_error>no such", failed=True)
    script.said([{"type": "thinking", "thinking": "hm"}], "end_turn")

    await capture(app, job(script))

    assert [text for _, _, text in await kept(app, script)] == ["Go on."]


async def test_a_compaction_loses_nothing(app: App, script: Transcript) -> None:
    script.prompt("The cat is called Ferdinand.")
    script.answer("I see.")
    await capture(app, job(script, "PreCompact"))
    script.line("system", subtype="compact_boundary", content="Conversation compacted")
    script.prompt(
        "This session is being continued. The summary below covers the earlier portion.\n\n"
        "The cat has a name.\n\nIf you need details, read the full transcript at: /x\nGo on.",
        isCompactSummary=True,
    )
    script.prompt("What now?")

    await capture(app, job(script))

    context = await standing(app, script)
    assert context["summary"] == "The cat has a name."
    assert context["asked"] == ["The cat is called Ferdinand.", "What now?"]
    assert context["answer"] == "I see."


async def test_what_a_model_saved_itself_stays(app: App, script: Transcript, call: Call) -> None:
    script.prompt("Begin.")
    await capture(app, job(script))
    await call(
        "save_session",
        summary="Half done.",
        next_steps=["Test it."],
        session=script.session,
        project=PROJECT,
    )
    script.prompt("Go on.")

    await capture(app, job(script))

    params = {"session_id": script.session, "project": None, "agent": None, "now": "2026"}
    latest, *_ = await app.store.find(Snapshot, "context_snapshots.latest", **params, limit=5)
    assert latest.context_data == {
        "summary": "Half done.",
        "next_steps": ["Test it."],
        "asked": ["Go on."],
    }


async def test_tasks_are_followed(app: App, script: Transcript) -> None:
    script.prompt("Plan it.")
    for number, title in enumerate(("Write it", "Test it", "Ship it"), 1):
        key = script.call("TaskCreate", subject=title)
        script.result(key, f"Task #{number} created", task={"id": str(number), "subject": title})
    await capture(app, job(script))
    script.result(script.call("TaskUpdate", taskId="1", status="completed"), "Updated")
    script.result(script.call("TaskUpdate", taskId="2", status="in_progress"), "Updated")
    script.result(script.call("TaskUpdate", taskId="9", status="completed"), "None", failed=True)

    await capture(app, job(script))

    assert (await standing(app, script))["tasks"] == ["doing: Test it", "todo: Ship it"]

    todos = [
        {"content": "All else", "status": "pending"},
        {"content": "Old", "status": "completed"},
    ]
    script.result(script.call("TodoWrite", todos=todos), "Saved")
    await capture(app, job(script))
    assert (await standing(app, script))["tasks"] == ["todo: All else"]

    script.result(script.call("TodoWrite", todos=["odd", {"content": "Odd", "status": 7}]), "Saved")
    script.result(script.call("TaskCreate", subject="Of a later form"), "Made", task="odd")
    await capture(app, job(script))
    assert (await standing(app, script))["tasks"] == ["todo: Odd", "todo: Of a later form"]

    script.result(script.call("TodoWrite", todos="none"), "Saved")
    await capture(app, job(script))
    assert "tasks" not in await standing(app, script)


async def test_a_session_ends_and_can_go_on(app: App, script: Transcript) -> None:
    script.prompt("Begin.")
    await capture(app, job(script, "SessionEnd"))
    ended = await app.store.get(Session, UUID(script.session))
    script.prompt("Again.")
    await capture(app, job(script))
    open_again = await app.store.get(Session, UUID(script.session))

    assert ended
    assert open_again
    assert (ended.status, ended.source, ended.project) == ("completed", "claude-code", PROJECT)
    assert ended.ended_at == ended.started_at
    assert (open_again.status, open_again.ended_at) == ("active", None)


async def test_what_no_database_keeps_is_left_out(app: App, script: Transcript) -> None:
    script.prompt("a \x00 b \ud800 c")
    script.prompt("long " * 30_000)
    script.ran("x" * 9_000, "e" * 50_000, failed=True)

    await capture(app, job(script))

    (_, _, odd), (_, _, long), (_, _, error) = await kept(app, script)
    assert odd == "a  b ? c"
    assert len(long) == 20_000
    assert 4_000 < len(error) < 5_000


async def test_of_a_hundred_secrets_of_twenty_kinds_none_is_stored(
    app: App, script: Transcript, settings: Settings
) -> None:
    planted: list[str] = []
    for draw, around in KINDS.values():
        secrets = [draw() for _ in range(5)]
        prompt, answer, command, output, todo = (around.format(secret) for secret in secrets)
        planted += secrets
        script.prompt(f"Use this: {prompt}")
        script.ran(f"run {command}", f"Exit code 1\n{output}", failed=True)
        script.edited("config.py")
        script.ran(f"run {command}", "fine")
        script.result(
            script.call("TodoWrite", todos=[{"content": todo, "status": "pending"}]), "ok"
        )
        script.answer(f"I used {answer}.")
    assert len(planted) == 100

    await drain_one(app, job(script, "SessionEnd"))

    stored = b"".join(p.read_bytes() for p in settings.db.parent.rglob("*") if p.is_file())
    assert b"[redacted: " in stored
    assert b"I used" in stored
    found = [part for secret in planted for part in secret_part(secret) if part.encode() in stored]
    assert found == []


async def drain_one(app: App, left: Job) -> None:
    """Leave a note, and have it read."""
    spool.leave(app.settings.db, left)
    await drain(app)
    assert spool.notes(app.settings.db) == []


async def test_ten_megabytes_are_read_once_and_then_only_what_is_new(
    app: App, script: Transcript
) -> None:
    grown(script, 10_000_000)
    await drain_one(app, job(script))
    counted = Counter(role for role, _, _ in await kept(app, script))
    session = await app.store.get(Session, UUID(script.session))
    assert session
    offset = session.meta["transcript"]["offset"]
    assert offset == script.path.stat().st_size

    script.prompt("One more.")
    reading = transcript.read(
        script.path, script.session, offset, session.meta["transcript"]["head"]
    )

    assert counted["user"] == counted["assistant"] > 100
    assert [said.text for said in reading.said] == ["One more."]


async def test_a_note_is_taken_away_when_its_transcript_is_gone(
    app: App, script: Transcript
) -> None:
    await drain_one(app, job(script))
    note = spool.leave(app.settings.db, job(script))
    note.write_text("broken")

    await drain(app)

    assert spool.notes(app.settings.db) == []
    await done(app, note)  # somebody else was faster


async def test_a_note_stays_while_the_memory_refuses(
    app: App, script: Transcript, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.prompt("Keep me.")
    note = spool.leave(app.settings.db, job(script))
    with monkeypatch.context() as context, closing(sqlite3.connect(app.settings.db)) as other:
        context.setitem(sqlite.PRAGMAS, "busy_timeout", 1)
        async with open_app(app.settings) as hasty:
            other.execute("BEGIN IMMEDIATE")
            await done(hasty, note)

    assert spool.notes(app.settings.db) == [note]
    await drain(app)
    assert [text for _, _, text in await kept(app, script)] == ["Keep me."]


@pytest.mark.skipif(os.name == "nt", reason="there, no such name can be, and the note may go")
async def test_a_note_stays_while_this_machine_refuses_and_holds_up_no_other(
    app: App, script: Transcript, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.prompt("Keep me.")
    refused = script.path.with_name("x" * 300)  # as with too many open files: no sign of its end
    note = spool.leave(app.settings.db, Job("a", str(refused), PROJECT, "Stop"))
    unread = spool.folder(app.settings.db) / "1.json"
    unread.mkdir()
    spool.leave(app.settings.db, job(script))

    why = await drain(app)

    assert refused.name in why
    assert spool.notes(app.settings.db) == [note, unread]
    assert [text for _, _, text in await kept(app, script)] == ["Keep me."]
    monkeypatch.setattr(spool, "KEPT", 0)
    assert await done(app, note) == ""
    assert spool.notes(app.settings.db) == [unread]


async def test_another_file_of_many_parts_is_read_whole(
    app: App, script: Transcript, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.prompt("x" * 5_000)
    await capture(app, job(script))
    script.path.unlink()
    script.lines = 50
    for n in range(9):
        script.prompt(f"Prompt {n}.")
    script.prompt("y" * 5_000)
    monkeypatch.setattr(transcript, "AT_ONCE", 900)

    await capture(app, job(script))

    said = [text for _, _, text in await kept(app, script)]
    assert said == ["x" * 5_000, *(f"Prompt {n}." for n in range(9)), "y" * 5_000]


async def test_a_transcript_that_no_record_can_be_made_of_takes_nothing_else_with_it(
    app: App, script: Transcript
) -> None:
    script.prompt("Keep me.", uuid="u")
    other = Transcript(script.path.with_name("other.jsonl"))
    other.prompt("Me, too.")
    spool.leave(app.settings.db, Job("n" * 999, str(script.path), PROJECT, "Stop"))  # no such name
    spool.leave(app.settings.db, Job(script.session, str(script.path.parent), PROJECT, "Stop"))
    spool.leave(app.settings.db, Job(script.session, "\x00", PROJECT, "Stop"))

    await drain_one(app, job(other))

    assert [text for _, _, text in await kept(app, other)] == ["Me, too."]


async def test_a_reading_counts_only_if_nobody_read_on_meanwhile(
    app: App, script: Transcript
) -> None:
    script.prompt("One.")
    early = transcript.read(script.path, script.session)
    script.prompt("Two.")
    await capture(app, job(script))
    whose = Conversation(UUID(script.session), "agent", PROJECT)

    late = keeping(app, job(script), whose, Mark(0, "", {}), early, news(early))

    assert await app.store.engine.write(late) is False
    assert (await standing(app, script))["asked"] == ["One.", "Two."]
