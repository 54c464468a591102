"""Export and import: a backup is only as good as what comes back from it."""

import json
import os
import sqlite3
import stat
import sys
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import calling
from hypothesis import given, strategies
from hypothesis import settings as hypothesis_settings

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.errors import InvalidInput, StorageDamaged, StorageError
from agent_mem.records import RECORDS
from agent_mem.records.agent import Agent
from agent_mem.records.behavior import Behavior
from agent_mem.records.binding import Binding
from agent_mem.records.checkpoint import Checkpoint
from agent_mem.records.decision import Decision, Option
from agent_mem.records.event import Event
from agent_mem.records.insight import Insight
from agent_mem.records.loser import Loser
from agent_mem.records.memory import Memory
from agent_mem.records.outcome import Outcome
from agent_mem.records.pattern import Pattern, Version
from agent_mem.records.receipt import Receipt
from agent_mem.records.record import Record, now, uuid7
from agent_mem.records.run import Run
from agent_mem.records.session import Session
from agent_mem.records.signal import Signal
from agent_mem.records.skill import Entry, Skill, sha256
from agent_mem.records.skill_file import SkillFile
from agent_mem.records.skill_load import SkillLoad
from agent_mem.records.snapshot import Snapshot
from agent_mem.records.solution import Attempt, Solution
from agent_mem.records.state import State
from agent_mem.records.sync_pass import SyncPass
from agent_mem.records.task import Task
from agent_mem.records.work import Work
from agent_mem.storage.archive import check, dump, load, replacing

pytestmark = pytest.mark.anyio
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")

THEN = datetime(2026, 5, 1, 12, 30, 0, 120000, tzinfo=UTC)
ODD = 'Zoë said: "it\'s" 50%\n日本語 🦆 \u2028 \\u0041 \x7f'
LOST = uuid7()


def examples() -> list[Record]:
    return [
        Session(agent_name="a", user_id="u", ended_at=THEN, meta={"name": ODD}),
        Event(agent_name="a", session_id=uuid7(), ts=THEN, event_type="error", content=ODD),
        Memory(agent_name="a", topic="ops", content=f"Llamas graze. {ODD}", relevance=1 / 3),
        Memory(id=LOST, agent_name="a", content="Walruses dive.", deleted_at=now(), tags=["x"]),
        Decision(
            agent_name="a",
            question="Which?",
            selected=["x"],
            options=[Option(name="x", score=0.1), Option(name="y")],
            context={"deep": [1, 2.5, None, {"k": ODD}]},
        ),
        Outcome(decision_id=uuid7(), agent_name="a", success=False, quality_score=1 / 3, error=ODD),
        Pattern(
            agent_name="*",
            pattern_type="t",
            description=ODD,
            conditions={"load": {"above": 0.1}},
            choice="x",
            works=False,
            confidence=0.99,
            success_rate=1 / 3,
            sample_size=9,
            other_rate=0.5,
            other_size=8,
            user_metadata={"deep": [None, ODD]},
            history=[Version(version=1, until="x", confidence=1, success_rate=0.1, sample_size=5)],
        ),
        Work(agent_name="a", action=ODD, signature="s", output={"n": 10**30}, lease_until=THEN),
        Snapshot(agent_name="a", context_data={"goal": ODD, "steps": [1, 2]}, expires_at=None),
        Task(agent_name="a", title="Ship it", blockers=[ODD]),
        Solution(
            agent_name="a",
            problem_signature="exit #",
            problem_description="exit 1",
            solution="retry",
            others=[Attempt(solution=ODD, usage_count=2)],
        ),
        SkillFile(skill_id=uuid7(), path="a.md", media_type="x", digest=sha256(b""), content=ODD),
        Skill(
            skill_name="s",
            description="d",
            spec={"inputSchema": {}},
            body=ODD,
            is_active=False,
            files=[Entry(path="a.md", size=9, digest=sha256(b""), executable=True)],
            registered_by="ana@laptop",
        ),
        Binding(agent_name="a", skill_id=uuid7(), config={"n": 10**30}),
        SkillLoad(skill_id=uuid7(), agent_name=ODD),
        Behavior(agent_name="a", name="nightly", action="prune"),
        Run(behavior_id=uuid7(), duration_ms=0.1, ended_at=THEN),
        Insight(agent_name="a", behavior_id=uuid7(), run_id=uuid7(), topic="t", content=ODD),
        Agent(agent_name="a", role=ODD, directives=[ODD], config={"n": 10**30}),
        State(agent_name="a", state={ODD: [1, None]}, revision=1),
        Checkpoint(agent_name="a", label=ODD, revision=1, state_id=uuid7()),
        Signal(sender="a", targets=["b", ODD], signal_type="t", payload={"n": 0.1}),
        Receipt(signal_id=uuid7(), agent_name="b", processed_at=THEN, result={"n": ODD}),
        SyncPass(sync_source="laptop", sync_started_at=THEN, meta={"sent": 1}),
        Loser(record="tasks", record_id=uuid7(), body={"title": ODD}, reason="Later won."),
    ]


@pytest.fixture
async def filled(app: App) -> App:
    await app.store.put(*examples())
    return app


@pytest.fixture
async def archive(filled: App, tmp_path: Path) -> Path:
    path = tmp_path / "all.jsonl"
    await export(filled, path)
    return path


@pytest.fixture
def elsewhere(tmp_path: Path) -> Settings:
    return Settings(db=tmp_path / "elsewhere" / "memory.db")


async def export(app: App, path: Path) -> None:
    with replacing(path) as file:
        await dump(app.store, file)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def written(path: Path, values: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


def ask(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(settings.db, isolation_level=None)) as db:
        return db.execute(sql).fetchall()


async def test_what_is_restored_is_equal_to_the_byte(
    archive: Path, elsewhere: Settings, tmp_path: Path
) -> None:
    again = tmp_path / "again.jsonl"
    async with open_app(elsewhere) as app:
        wrote = await load(app.store, archive)
        await export(app, again)

    first, *rows = archive.read_bytes().splitlines(keepends=True)
    second, *restored = again.read_bytes().splitlines(keepends=True)
    assert restored == rows
    assert {json.loads(row)["record"] for row in rows} == {model.TABLE for model in RECORDS}
    headers = [json.loads(line) for line in (first, second)]
    assert headers[0].pop("exported_at") < headers[1].pop("exported_at")
    assert headers[0] == headers[1]
    assert wrote == headers[0]["counts"]
    assert wrote.total() == len(rows) == len(examples())


async def test_what_is_restored_is_found_and_what_was_forgotten_is_not(
    archive: Path, elsewhere: Settings
) -> None:
    async with open_app(elsewhere) as app:
        await load(app.store, archive)
        llamas = await calling(app)("recall", query="llamas")
        walruses = await calling(app)("recall", query="walruses")
        await calling(app)("forget", id=str(LOST), undo=True)
        back = await calling(app)("recall", query="walruses")

    assert "Llamas graze" in json.dumps(llamas)
    assert "Walruses" not in json.dumps(walruses)
    assert "Walruses dive" in json.dumps(back)


async def test_importing_again_changes_nothing(archive: Path, elsewhere: Settings) -> None:
    state = "SELECT (SELECT clock FROM replica), (SELECT max(n) FROM changes), o.* FROM outbox o"
    async with open_app(elsewhere) as app:
        await load(app.store, archive)
        before = ask(elsewhere, state)
        wrote = await load(app.store, archive)

        assert wrote.total() == 0
        assert ask(elsewhere, state) == before
        assert len(before) == len(examples())  # all of them wait for sync


async def test_the_later_of_two_versions_of_a_row_stays(
    archive: Path, filled: App, tmp_path: Path
) -> None:
    (task,) = await open_tasks(filled)
    await filled.store.put(task.model_copy(update={"status": "doing"}))
    later = tmp_path / "later.jsonl"
    await export(filled, later)

    assert (await load(filled.store, archive)).total() == 0
    assert [task.status for task in await open_tasks(filled)] == ["doing"]

    async with open_app(Settings(db=tmp_path / "third" / "memory.db")) as app:
        await load(app.store, archive)
        assert dict(+await load(app.store, later)) == {"tasks": 1}
        assert [task.status for task in await open_tasks(app)] == ["doing"]


async def open_tasks(app: App) -> list[Task]:
    return await app.store.find(
        Task, "tasks.listed", project=None, agent=None, status="open", limit=9
    )


async def test_recall_goes_by_the_later_version(archive: Path, filled: App, tmp_path: Path) -> None:
    values = lines(archive)
    (llamas,) = [v["row"] for v in values[1:] if v["row"].get("topic") == "ops"]
    llamas |= {"content": "Ibexes climb.", "hlc": llamas["hlc"] + 1}

    await load(filled.store, written(tmp_path / "changed.jsonl", values))

    assert "Ibexes" in json.dumps(await calling(filled)("recall", query="ibexes"))
    assert "Llamas" not in json.dumps(await calling(filled)("recall", query="llamas"))


async def test_what_is_written_next_is_later_than_all_that_was_imported(
    archive: Path, elsewhere: Settings, tmp_path: Path
) -> None:
    header, *rows = lines(archive)
    ahead = (int(now().timestamp()) + 23 * 3_600) * 1000 << 16
    for row in rows:
        row["row"]["hlc"] = ahead
    async with open_app(elsewhere) as app:
        await load(app.store, written(tmp_path / "ahead.jsonl", [header, *rows]))
        (task,) = await open_tasks(app)
        await app.store.put(task.model_copy(update={"status": "doing"}))
        (after,) = await open_tasks(app)

    assert after.hlc > ahead
    assert after.status == "doing"


async def test_rows_from_the_future_are_refused(
    archive: Path, elsewhere: Settings, tmp_path: Path
) -> None:
    """They would win every conflict, and push this file's clock to where no export may be."""
    header, *rows = lines(archive)
    rows[0]["row"]["hlc"] = (int(now().timestamp()) + 25 * 3_600) * 1000 << 16
    async with open_app(elsewhere) as app:
        with pytest.raises(InvalidInput, match=r"Line 2 of .* is from the future"):
            await load(app.store, written(tmp_path / "ahead.jsonl", [header, *rows]))


async def test_an_archive_holds_one_moment_whatever_is_written_meanwhile(
    filled: App, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "moment.jsonl"

    def disturb(done: int, of: int) -> None:
        assert of == len(examples())
        if done == 1:
            ask(settings, "DELETE FROM insights")

    with replacing(path) as file:
        await dump(filled.store, file, disturb)

    assert check(path, "me") == len(examples())
    assert ask(settings, "SELECT count(*) FROM insights") == [(0,)]


async def test_many_rows_go_page_by_page(app: App, elsewhere: Settings, tmp_path: Path) -> None:
    await app.store.put(*(Task(agent_name="a", title=f"No. {n}") for n in range(1001)))
    path = tmp_path / "many.jsonl"
    await export(app, path)
    seen: list[tuple[int, int]] = []

    async with open_app(elsewhere) as other:
        await load(other.store, path, lambda done, of: seen.append((done, of)))

    assert len(lines(path)) == 1 + 1001
    assert seen == [(500, 1001), (1000, 1001), (1001, 1001)]
    assert ask(elsewhere, "SELECT count(*) FROM tasks") == [(1001,)]


async def test_only_one_owner_s_rows_are_exported(filled: App, tmp_path: Path) -> None:
    settings = filled.settings.model_copy(update={"owner": "team"})
    async with open_app(settings) as app:
        await app.store.put(Task(agent_name="a", title="Ours"))
        await export(app, tmp_path / "team.jsonl")

    header, *rows = lines(tmp_path / "team.jsonl")
    assert header["owner"] == "team"
    assert [row["row"]["title"] for row in rows] == ["Ours"]


async def test_another_owner_s_archive_is_refused(archive: Path, elsewhere: Settings) -> None:
    settings = elsewhere.model_copy(update={"owner": "you"})
    async with open_app(settings) as app:
        with pytest.raises(InvalidInput, match=r"owner 'me'.* 'you': set AGENT_MEM_OWNER to 'me'"):
            await load(app.store, archive)


def row(values: list[dict[str, Any]], table: str) -> dict[str, Any]:
    return next(value["row"] for value in values[1:] if value["record"] == table)


Damage = Callable[[list[dict[str, Any]]], object]
BROKEN: dict[str, tuple[Damage, str]] = {
    "no header": (lambda v: v.pop(0), "^Line 1 of .* is not the header of an archive"),
    "a list as header": (lambda v: v.insert(0, []), "^Line 1 of .* is not the header"),  # type: ignore[arg-type]
    "a later form": (lambda v: v[0].update(agent_mem=2), "^Line 1 .* of version 2 .* update it"),
    "no version": (lambda v: v[0].update(agent_mem="x"), "^Line 1 .* wrong 'agent_mem'"),
    "no counts": (lambda v: v[0].pop("counts"), "^Line 1 .* wrong 'counts': field required"),
    "a later schema": (lambda v: v[0]["schema"].update(tasks=99), "^Line 1 .* step 99 of 'tasks'"),
    "a later table": (lambda v: v[0]["schema"].update(wonders=1), "^Line 1 .* step 1 of 'wonders'"),
    "an unknown kind": (lambda v: v[3].update(record="wonders"), "^Line 4 .* kind 'wonders'"),
    "no row": (lambda v: v[3].update(row=None), "^Line 4 .* is not a row"),
    "more than a row": (lambda v: v[3].update(more=1), "^Line 4 .* is not a row"),
    "no id": (lambda v: v[3]["row"].pop("id"), "^Line 4 .* lacks 'id'"),
    "a wrong share": (lambda v: row(v, "insights").update(relevance=7), "wrong 'relevance'"),
    "no content": (lambda v: row(v, "events").update(content=" "), "wrong 'content': is blank"),
    "a column too many": (lambda v: row(v, "tasks").update(wonder=1), "wrong 'wonder'"),
    "a mixed-up owner": (lambda v: v[3]["row"].update(owner="you"), "^Line 4 .* owner.* 'you'"),
    "a clock at its end": (lambda v: v[3]["row"].update(hlc=1 << 62), "^Line 4 .* large .* 'hlc'"),
    "half a character": (lambda v: v[3]["row"].update(extra={"x": "\ud800"}), "^Line 4 .* surrog"),
    "no number": (lambda v: v[3]["row"].update(extra={"x": float("nan")}), "^Line 4 .* JSON"),
    "no end": (lambda v: row(v, "behavior_runs").update(duration_ms=1e300), "large .* 'duration_"),
    "a row too few": (
        lambda v: v.pop(),
        "ends after line 25 with 24 rows, .* counts 25: it is not",
    ),
    "a row too many": (lambda v: v.append(v[3]), "ends after line 27 with 26 rows, .* counts 25"),
}


@pytest.mark.parametrize(("damage", "sentence"), BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_archive_is_refused_whole_with_its_line(
    archive: Path, elsewhere: Settings, damage: Damage, sentence: str
) -> None:
    values = lines(archive)
    damage(values)
    written(archive, values)

    async with open_app(elsewhere) as app:
        with pytest.raises(InvalidInput, match=sentence):
            await load(app.store, archive)

    counts = [ask(elsewhere, f"SELECT count(*) FROM {m.TABLE}") for m in RECORDS]  # noqa: S608 - our own names
    assert counts == [[(0,)]] * len(RECORDS)


@pytest.mark.parametrize("text", [b"", b"\n", b"SQLite format 3\0", b"\xff\xfe", b"[" * 10**5])
def test_what_is_no_archive_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(text)

    with pytest.raises(InvalidInput, match=r"^Line 1 of .* is not JSON"):
        check(path, "me")


async def test_an_archive_that_is_cut_off_anywhere_is_refused(archive: Path) -> None:
    whole = archive.read_bytes()
    for end in range(0, len(whole) - 1, 61):
        archive.write_bytes(whole[:end])
        with pytest.raises(InvalidInput, match=r"^Line \d+ of .* is not JSON|is not complete"):
            check(archive, "me")


async def test_an_older_archive_may_lack_later_columns(archive: Path, tmp_path: Path) -> None:
    values = lines(archive)
    values[0]["schema"]["tasks"] = 0
    del row(values, "tasks")["progress"]

    assert check(written(tmp_path / "old.jsonl", values), "me") == len(examples())


async def test_a_damaged_byte_is_refused_or_harmless(archive: Path) -> None:
    whole = archive.read_bytes()

    @hypothesis_settings(max_examples=200, deadline=None)
    @given(at=strategies.integers(0, len(whole) - 1), byte=strategies.integers(0, 255))
    def damage(at: int, byte: int) -> None:
        archive.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
        try:
            assert check(archive, "me") == len(examples())
        except InvalidInput:
            return

    damage()


async def test_no_half_archive_is_left_where_one_was(
    filled: App, archive: Path, settings: Settings
) -> None:
    before = archive.read_bytes()
    ask(settings, "UPDATE insights SET relevance = 7")

    with pytest.raises(StorageDamaged, match=r"^Row .* of insights cannot be read .*'relevance'"):
        await export(filled, archive)

    assert archive.read_bytes() == before
    assert [path.name for path in archive.parent.iterdir() if path.is_file()] == [archive.name]


@posix
async def test_a_full_disk_leaves_what_was_there(filled: App, archive: Path) -> None:
    before = archive.read_bytes()

    with (
        at_most(1000),
        pytest.raises(StorageError, match=r"all\.jsonl cannot be written: File too"),
    ):
        await export(filled, archive)

    assert archive.read_bytes() == before
    assert [path.name for path in archive.parent.iterdir() if path.is_file()] == [archive.name]


@contextmanager
def at_most(size: int) -> Generator[None]:
    """Let no file of this process grow beyond a size, which is how a full disk begins."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@posix
async def test_nobody_else_can_read_an_archive(archive: Path, filled: App) -> None:
    archive.chmod(0o644)
    before = os.umask(0)
    await export(filled, archive)
    os.umask(before)

    assert stat.S_IMODE(archive.stat().st_mode) == 0o600


@posix
async def test_a_link_to_an_archive_stays_a_link(archive: Path, filled: App) -> None:
    link = archive.with_name("latest")
    link.symlink_to(archive)
    archive.write_bytes(b"")

    await export(filled, link)

    assert link.is_symlink()
    assert check(archive, "me") == len(examples())


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("home", "is not a file: name one, or write `-`"), ("none/x", "cannot be written: No such")],
)
async def test_where_no_file_can_be_is_told(
    filled: App, tmp_path: Path, name: str, sentence: str
) -> None:
    with pytest.raises(StorageError, match=sentence):
        await export(filled, tmp_path / name)
