"""`agent-mem hook`: a conversation begins with what was kept, and no hook ever stops a prompt."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner
from conftest import Call

from agent_mem.app import App, open_app
from agent_mem.cli import entry
from agent_mem.cli.main import main
from agent_mem.config import Settings, read
from agent_mem.hooks import command, spool
from agent_mem.hooks.place import LABEL, MARK, Place
from agent_mem.hooks.restore import MOST, fitted, parts, restored
from agent_mem.records.event import Event
from agent_mem.records.snapshot import Snapshot

PROJECT = "/home/me/shop"
START = {"hook_event_name": "SessionStart", "source": "startup", "session_id": str(uuid4())}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(db=tmp_path / "home" / "memory.db", project=PROJECT, embedder="none")


@pytest.fixture
def place(settings: Settings) -> Place:
    return Place(settings.db, settings.owner, settings.agent, PROJECT)


def hook(given: object, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command as a client does."""
    text = given if isinstance(given, str) else json.dumps(given)
    return subprocess.run(
        [sys.executable, "-m", "agent_mem", "hook"],
        input=text,
        env={**environ, "CLAUDE_PROJECT_DIR": PROJECT},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=30,
    )


def context(said: str) -> str:
    output: dict[str, Any] = json.loads(said)["hookSpecificOutput"]
    assert output["hookEventName"] == "SessionStart"
    return output["additionalContext"]


@pytest.mark.anyio
async def test_a_conversation_begins_with_what_was_kept(call: Call, env: dict[str, str]) -> None:
    await call("remember", content="The staging port is 6543.", kind="fact")
    await call(
        "log_decision",
        question="Which queue?",
        options=[{"name": "NATS"}, {"name": "SQS"}],
        selected=["NATS"],
    )
    await call(
        "log_event",
        type="error",
        content="Bash: make test\nModuleNotFoundError: No module named 'cart'",
    )
    await call(
        "record_solution",
        problem="ModuleNotFoundError: No module named 'cart'",
        solution="Run make install.",
    )
    await call(
        "save_session", summary="Half of the cart is done.", tasks=[{"title": "Finish the cart"}]
    )
    await call("send_signal", type="review_please", to=["agent"], agent="other")

    done = hook(START, env)

    assert (done.returncode, done.stderr) == (0, "")
    told = context(done.stdout)
    assert told.startswith(MARK)
    for kept in (
        "The staging port is 6543.",
        "Which queue? -> NATS",
        "No module named 'cart' | solved by",
        "Run make install.",
        "summary: Half of the cart is done.",
        "todo: Finish the cart",
        "review_please from other",
    ):
        assert kept in told
    assert len(LABEL.findall(told)) >= 6


@pytest.mark.anyio
async def test_other_projects_and_owners_are_not_told(call: Call, place: Place) -> None:
    await call("remember", content="Theirs.", project="/home/me/other")
    await call("remember", content="Ours.")

    assert "Theirs" not in restored(place, None)
    assert "Ours" in restored(place, None)
    assert restored(place._replace(owner="somebody"), None) == ""
    assert "Theirs" in restored(place._replace(project=None), None)


@pytest.mark.anyio
async def test_what_is_told_stays_within_what_a_client_takes(call: Call, place: Place) -> None:
    for n in range(60):
        await call("remember", content=f"Fact {n}: " + "word " * 300)
    await call(
        "save_session",
        summary="s" * 50_000,
        tasks=[{"title": f"{n} " + "t" * 900} for n in range(99)],
    )

    told = restored(place, None)

    assert 3_000 < len(told) <= MOST < 10_000


def test_what_is_told_is_counted_as_the_client_counts() -> None:
    told = fitted([("Ducks", 6_000, ["🦆" * 99] * 60), ("More", 6_000, ["🦆" * 99] * 60)])

    # In UTF-16, of which each duck is two.
    assert MOST - 300 < len(told.encode("utf-16-le")) // 2 <= MOST


def test_a_part_of_a_snapshot_is_told_on_one_line() -> None:
    assert list(parts({"a\nb" + "c" * 99: ["x\ny"]})) == [f"- a b{'c' * 76}…: x y"]


@pytest.mark.anyio
async def test_a_conversation_that_goes_on_is_told_of_itself_first(
    app: App, place: Place, env: dict[str, str]
) -> None:
    mine, other = uuid4(), uuid4()
    for key, said in ((mine, "mine"), (other, "another")):
        await app.store.put(
            Snapshot(
                session_id=key,
                agent_name="agent",
                project=PROJECT,
                context_data={"summary": said, "asked": ["a", {"b": 1}], "own": 7},
            )
        )

    told = restored(place, str(mine).upper())
    resumed = hook({**START, "source": "compact", "session_id": str(mine)}, env)
    begun = hook({**START, "session_id": str(mine)}, env)

    assert told.index("This conversation") < told.index("summary: mine") < told.index("another")
    assert told.index("- asked: {'b': 1}") < told.index("- asked: a") < told.index("- own: 7")
    assert context(resumed.stdout) == told
    assert context(begun.stdout).index("another") < context(begun.stdout).index("mine")


@pytest.mark.anyio
async def test_an_error_without_a_like_solution_is_told_alone(
    app: App, place: Place, call: Call
) -> None:
    await call("record_solution", problem="the disk of the printer is full", solution="Empty it.")
    await app.store.put(Event(agent_name="a", project=PROJECT, event_type="error", content="x y z"))

    assert "solved by" not in restored(place, None)


@pytest.mark.parametrize(
    "given",
    ["", "no json", "[]", "null", "{}", '{"hook_event_name": "Stop"}', '{"cwd": 7}', "[" * 99_999],
)
def test_what_makes_no_sense_is_met_with_silence(
    given: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(given, monkeypatch)

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") <= 1


def run_here(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the command in this process, by the way that a client takes."""
    read_end, write_end = os.pipe()
    os.write(write_end, given.encode()[:60_000])
    os.close(write_end)
    with os.fdopen(read_end, encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        monkeypatch.setattr("sys.argv", ["agent-mem", "hook"])
        entry.main()


@pytest.mark.parametrize("file", ["none", "empty", "text", "foreign", "newer", "folder"])
def test_a_file_that_cannot_be_read_is_met_with_silence(
    file: str, settings: Settings, env: dict[str, str]
) -> None:
    settings.db.parent.mkdir()
    if file == "folder":
        settings.db.mkdir()
    if file in ("empty", "text"):
        settings.db.write_text("" if file == "empty" else "no database" * 99)
    if file in ("foreign", "newer"):
        with closing(sqlite3.connect(settings.db)) as db:
            db.execute("CREATE TABLE schema_ledger (line text, version integer, sha256 text)")
            if file == "newer":
                db.execute("INSERT INTO schema_ledger VALUES ('memories', 99, 'x')")
            db.commit()

    done = hook(START, env)

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.count("\n") <= 1


@pytest.mark.anyio
async def test_a_file_that_another_process_holds_is_not_waited_for(
    call: Call, env: dict[str, str], settings: Settings
) -> None:
    await call("remember", content="The staging port is 6543.")
    with closing(sqlite3.connect(settings.db, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        done = hook(START, env)

    assert done.returncode == 0
    assert "6543" in done.stdout  # readers do not wait for writers


def test_the_end_of_a_session_leaves_a_note_that_says_only_where(
    settings: Settings, env: dict[str, str]
) -> None:
    given = {
        "session_id": "s",
        "transcript_path": "/t.jsonl",
        "cwd": "/elsewhere",
        "reason": "exit",
    }

    done = hook({"hook_event_name": "SessionEnd", **given}, env)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (note,) = spool.notes(settings.db)
    assert spool.read(note) == spool.Job("s", "/t.jsonl", PROJECT, "SessionEnd")


def test_notes_are_read_in_the_order_in_which_they_were_left(settings: Settings) -> None:
    left = [spool.leave(settings.db, spool.Job(str(n), "/t", "/p", "Stop")) for n in range(5)]

    assert spool.notes(settings.db) == left


@pytest.mark.parametrize("text", ["", "[]", '{"session": "s"}', '{"session": 1, "transcript": 2}'])
def test_a_broken_note_is_none(settings: Settings, text: str) -> None:
    note = spool.leave(settings.db, spool.Job("s", "/t", "/p", "Stop"))
    note.write_text(text)

    assert spool.read(note) is None
    assert spool.read(note.with_name("gone")) is None


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"AGENT_MEM_DB": "~/x.db", "AGENT_MEM_OWNER": " team ", "AGENT_MEM_AGENT": "bot"},
        {"AGENT_MEM_PROJECT": "named", "CLAUDE_PROJECT_DIR": "/dir"},
        {"CLAUDE_PROJECT_DIR": "/dir", "AGENT_MEM_OWNER": ""},
    ],
    ids=["nothing", "all", "named", "folder"],
)
def test_a_hook_finds_the_same_memory_as_the_server(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGENT_MEM_DB")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    settings = read()

    found = Place.of(os.environ, None)

    assert found == Place(
        settings.db.expanduser(), settings.owner, settings.agent, settings.project
    )


def test_a_project_is_the_folder_of_the_session_unless_it_is_named() -> None:
    assert Place.of({}, "/home/me/shop").project == "/home/me/shop"
    assert Place.of({"AGENT_MEM_PROJECT": "*"}, "/home/me/shop").project is None


def test_a_hook_loads_neither_the_sdk_nor_what_checks_models(env: dict[str, str]) -> None:
    code = "import sys, agent_mem.cli.entry, agent_mem.hooks.command; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    ).stdout.split()

    assert not {"mcp", "pydantic", "anyio", "click", "asyncio", "numpy"} & set(loaded)


@pytest.mark.anyio
async def test_a_note_of_no_project_is_of_everywhere(tmp_path: Path) -> None:
    given = {"hook_event_name": "Stop", "session_id": "s", "transcript_path": "/t"}
    environ = {"AGENT_MEM_DB": str(tmp_path / "m.db")}

    assert command.answer(given, environ) == ""

    (note,) = spool.notes(tmp_path / "m.db")
    assert spool.read(note) == spool.Job("s", "/t", "*", "Stop")


@pytest.mark.anyio
async def test_a_new_file_has_nothing_to_tell(settings: Settings, place: Place) -> None:
    async with open_app(settings):
        assert restored(place, None) == ""


def test_the_command_answers_a_hook_however_it_is_reached(settings: Settings) -> None:
    given = {"hook_event_name": "Stop", "session_id": "s", "transcript_path": "/t"}

    done = CliRunner().invoke(main, ["hook"], input=json.dumps(given))

    assert (done.exit_code, done.output) == (0, "")
    assert len(spool.notes(settings.db)) == 1
