"""`agent-mem sync log` and `agent-mem sync lost`: what the sync has done, for a person to read."""

import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner, Result

from agent_mem.app import open_app
from agent_mem.cli.main import main
from agent_mem.cli.sync_log import said
from agent_mem.cli.trial import free_port
from agent_mem.config import Settings
from agent_mem.records.loser import Loser
from agent_mem.records.memory import Memory
from agent_mem.records.record import Record, now, uuid7
from agent_mem.records.run import Run as Ran
from agent_mem.records.task import Task

FERRY = Memory(agent_name="a", content="The ferry leaves at six.")
TASK = Task(agent_name="a", title="Paint the crane.")
Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("AGENT_MEM_EMBEDDER", "none")

    def running(*arguments: str, db: Path | None = None) -> Result:
        if db:
            monkeypatch.setenv("AGENT_MEM_DB", str(db))
        return CliRunner().invoke(main, arguments)

    return running


def put(db: Path, record: Record, **changes: object) -> None:
    """Write a record on a machine, as it is there but for some changes."""

    async def putting() -> None:
        async with open_app(Settings(db=db, embedder="none")) as app:
            getting = app.store.getting(type(record), record.id, forgotten=True)
            known = await app.store.engine.read(getting) or record
            await app.store.put(known.model_copy(update=changes))

    anyio.run(putting)


def asked(run: Run, *arguments: str, db: Path | None = None) -> Any:  # noqa: ANN401 - JSON
    done = run(*arguments, "--json", db=db)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def machines(
    tmp_path: Path, server_url: str, monkeypatch: pytest.MonkeyPatch, run: Run
) -> tuple[Path, Path]:
    """Give the files of two machines that have both changed two records."""
    monkeypatch.setenv("AGENT_MEM_SERVER", server_url)
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    put(one, FERRY)
    put(one, TASK)
    for db in (one, two):
        assert run("sync", db=db).exit_code == 0
    put(one, FERRY, content="The ferry leaves at seven.\nFrom pier 2.")
    put(one, TASK, title="Paint it red.")
    put(two, FERRY, content="The ferry leaves at eight.")
    put(two, TASK, title="Paint it blue.")
    for db in (one, two, one):
        assert run("sync", db=db).exit_code == 0
    return one, two


@pytest.mark.usefixtures("machines")
def test_the_last_passes_are_listed_with_what_they_moved_newest_first(run: Run) -> None:
    first, *others = asked(run, "sync", "log")

    assert first["begun"] >= others[-1]["begun"]  # to the second; which is which, the counts tell
    assert first.keys() == {"begun", "machine", "status", "sent", "received", "error"}
    assert {one["machine"] for one in (first, *others)} == {platform.node()}
    assert (others[-1]["sent"], others[-1]["received"]) == (2, 0)
    assert (others[-2]["sent"], others[-2]["received"]) == (0, 2)
    assert asked(run, "sync", "log", "--limit", "1") == [first]
    lines = run("sync", "log").stdout.splitlines()
    (heading,) = [line for line in lines if "begun" in line]
    assert heading.split() == ["begun", "machine", "status", "sent", "received", "error"]
    assert len([line for line in lines if "completed" in line]) == len(others) + 1


def test_a_pass_that_failed_is_listed_with_its_reason(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("sync", "log").stdout == "No pass has moved anything yet, and none has failed.\n"
    monkeypatch.setenv("AGENT_MEM_SERVER", f"postgresql://me:secret@127.0.0.1:{free_port()}/x")
    for _ in range(2):
        assert run("sync").exit_code == 75

    (failed,) = asked(run, "sync", "log")
    assert (failed["status"], failed["sent"], failed["received"]) == ("failed", 0, 0)
    assert failed["error"].startswith("PostgreSQL cannot be reached: ")
    text = " ".join(run("sync", "log").stdout.split())
    assert "failed" in text
    assert "be reached:" in text
    assert "secret" not in text


def test_what_lost_is_listed_on_every_machine_newest_first(
    machines: tuple[Path, Path], run: Run
) -> None:
    told = [asked(run, "sync", "lost", db=db) for db in machines]

    assert told[0] == told[1]
    assert {(one["record"], one["id"]) for one in told[0]} == {
        ("memories", str(FERRY.id)),
        ("tasks", str(TASK.id)),
    }
    assert all(one["reason"].startswith("A later change of 20") for one in told[0])
    texts = [one["body"].get("content") or one["body"]["title"] for one in told[0]]
    assert set(texts) == {"The ferry leaves at seven.\nFrom pier 2.", "Paint it red."}
    assert asked(run, "sync", "lost", "--limit", "1") == told[0][:1]


@pytest.mark.usefixtures("machines")
def test_what_lost_of_one_record_is_told_in_words(run: Run) -> None:
    (ferry,) = asked(run, "sync", "lost", str(FERRY.id))
    assert ferry["id"] == str(FERRY.id)

    lines = run("sync", "lost", str(FERRY.id)).stdout.splitlines()
    assert lines[0].startswith(" 1. 20")
    assert lines[0].endswith("Z · memories")
    assert lines[1:3] == ["    The ferry leaves at seven.", "    From pier 2."]
    assert lines[3].startswith("    why: A later change of 20")
    assert lines[4:] == [f"    id: {FERRY.id}"]
    assert '"title": "Paint it red."' in run("sync", "lost", str(TASK.id)).stdout


def test_where_nothing_lost_that_is_told(run: Run) -> None:
    assert run("sync", "lost").stdout == "Nothing was lost.\n"
    assert run("sync", "lost", str(uuid7())).stdout == "Nothing was lost.\n"
    assert asked(run, "sync", "lost") == []


@pytest.mark.parametrize(
    "arguments", [["lost", "x"], ["lost", "--limit", "0"], ["log", "--limit", "0"], ["log", "x"]]
)
def test_what_makes_no_sense_is_told(run: Run, arguments: list[str]) -> None:
    assert run("sync", *arguments).exit_code == 2


def test_what_a_newer_program_lost_is_told_as_it_is() -> None:
    won = Memory(agent_name="a", content="x", updated_at=now())
    lost = Loser.of(FERRY.model_copy(update={"deleted_at": now()}), won)
    odd = Ran(behavior_id=uuid7())

    assert said(lost) == "(forgotten) The ferry leaves at six."
    assert json.loads(said(Loser.of(odd, won)))["behavior_id"] == str(odd.behavior_id)
    newer = lost.model_copy(update={"body": {"id": "x", "mood": "calm"}, "record": "memories"})
    assert said(newer) == '{"mood": "calm"}'
    assert said(newer.model_copy(update={"record": "moods"})) == '{"mood": "calm"}'


def test_a_control_character_of_what_lost_does_not_steer_the_terminal(
    run: Run, machines: tuple[Path, Path]
) -> None:
    one, two = machines
    put(one, FERRY, content="\x1b[2J gone")
    put(two, FERRY, content="Later.")
    for db in (one, two, one):
        assert run("sync", db=db).exit_code == 0

    assert "\x1b" not in run("sync", "lost").stdout
