"""The command `doctor`: what is really broken is found, and mended where nothing can be lost."""

import stat
from pathlib import Path

import anyio
import pytest
from helpers_doctor import INSIDE, MEANING, OUTSIDE, change, examined, levels, posix, run

from agent_mem.app import open_app
from agent_mem.config import Settings
from agent_mem.errors import StorageError
from agent_mem.records.decision import Decision
from agent_mem.storage.blocks import blocks, parse
from agent_mem.storage.health import library, modes, tighten

CORRUPT = "UPDATE passages_fts_data SET block = x'ffff'"
KEY = "01a1fc02-2963-73cb-b534-6c640c66db30"
ASTRAY = f"UPDATE passages SET record_id = '{KEY}' WHERE n = 1"  # noqa: S608 - our own text
WAITS = f"INSERT INTO outbox (owner, record, id, hlc, tries) VALUES ('me', ?, '{KEY}', 1, 0)"  # noqa: S608 - our own text
TWICE = """
    INSERT INTO passages
    SELECT 9, owner, record, record_id, 1, kind, agent_name, project, session_id,
        topic, subject, at, valid_from, valid_until, expires_at, importance, terms, labels, size,
        marks, dates, digest
    FROM passages WHERE n = 1
"""


@pytest.fixture
def db(settings: Settings) -> Path:
    """Make a memory with something in it."""
    run("remember", "Llamas graze in the valley.", "--topic", "animals")
    run("remember", "Walruses dive below the ice.")
    return settings.db


def test_a_sound_memory_is_sound(db: Path) -> None:
    found = examined()

    assert list(found) == OUTSIDE + INSIDE + MEANING
    assert levels(found) == {"ok"}
    assert found["rows"]["text"] == "The rows can be read (looked at: all 2)."
    assert db.exists()


def test_each_thing_is_told_in_a_line(db: Path) -> None:
    db.chmod(0o644)

    sick = run("doctor", code=1).splitlines()
    mended = run("doctor", "--mend").splitlines()
    well = run("doctor").splitlines()

    assert len(sick) == len(well) == len(OUTSIDE + INSIDE + MEANING)
    assert (
        "bad   modes        Others on this machine may read memory.db: `agent-mem doctor" in sick[2]
    )
    assert mended == ["done  The files are yours alone.", *well]
    assert "ok    words        The full-text index fits the passages." in well


def test_where_nothing_was_remembered_nothing_is_wrong_and_nothing_is_made(
    settings: Settings,
) -> None:
    found = examined("--mend")

    assert found["file"]["text"].startswith("No memory yet")
    assert not settings.db.parent.exists()


@posix
def test_an_empty_file_is_no_memory_yet(settings: Settings) -> None:
    settings.db.parent.mkdir(mode=0o700)
    settings.db.touch(mode=0o600)

    found = examined()

    assert found["file"]["text"].startswith("No memory yet")
    assert settings.db.read_bytes() == b""


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        ("DELETE FROM passages_fts WHERE rowid = 1", "words"),
        (CORRUPT, "words"),
        ("DELETE FROM passages WHERE n = 1", "passages"),
        ("DELETE FROM passages", "passages"),
        ("UPDATE passages SET terms = 'ibex' WHERE n = 1", "passages"),
        ("UPDATE passages SET importance = 0.25", "passages"),
        (ASTRAY, "passages"),
        (TWICE, "passages"),
        ("UPDATE passages_size SET terms = terms + 1", "totals"),
        ("DELETE FROM passages_size", "totals"),
    ],
)
def test_a_damaged_index_is_found_and_made_anew(db: Path, damage: str, check: str) -> None:
    sound = run("recall", "llamas", "--json")
    change(db, damage)

    sick = examined(code=1)[check]
    mended = examined("--mend")

    assert sick["level"] == "bad"
    assert "`agent-mem doctor --mend`" in sick["text"]
    assert levels(mended) == {"ok"}
    assert run("recall", "llamas", "--json") == sound
    assert levels(examined()) == {"ok"}


def test_what_is_wrong_with_the_index_is_counted(db: Path) -> None:
    change(db, ASTRAY)

    told = examined(code=1)["passages"]["text"]

    assert told.startswith("1 rows are not indexed as they should be, and 1 passages are of no row")


def test_full_text_damage_that_sqlite_itself_finds_is_mended_too(db: Path) -> None:
    change(
        db,
        "UPDATE passages_fts_docsize SET sz = NULL",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(sql, 'sz BLOB', 'sz BLOB NOT NULL')"
        " WHERE name = 'passages_fts_docsize'",
    )

    sick = examined(code=1)["pages"]
    mended = examined("--mend")

    assert sick["text"].startswith("The full-text index is damaged (NULL value in passages_fts_")
    assert levels(mended) == {"ok"}
    assert "Llamas" in run("recall", "llamas")


def test_an_index_beyond_mending_moves_to_a_new_file(db: Path, tmp_path: Path) -> None:
    change(db, "DELETE FROM passages_fts_data")
    file, new = str(tmp_path / "all.jsonl"), tmp_path / "new.db"

    told = examined("--mend", code=1)["memory"]["text"]
    run("export", file)
    run("import", file, db=new)

    assert "`agent-mem export` it, set AGENT_MEM_DB to a new file" in told
    assert "Llamas" in run("recall", "llamas", db=new)
    assert levels(examined(db=new), "folder") == {"ok"}


def test_mending_leaves_what_other_owners_have(db: Path) -> None:
    run("remember", "Ibexes climb the llama's rocks.", owner="team")
    change(db, "DELETE FROM passages WHERE owner = 'me'", CORRUPT)

    assert levels(examined("--mend")) == {"ok"}

    assert "Ibexes" in run("recall", "ibexes", owner="team")
    assert "Ibexes" not in run("recall", "llamas")
    assert levels(examined(owner="team")) == {"ok"}


def test_what_was_forgotten_has_no_place_in_the_index(db: Path) -> None:
    change(db, "UPDATE memories SET deleted_at = updated_at WHERE content LIKE 'Llamas%'")

    assert examined(code=1)["passages"]["text"].startswith("1 rows are not indexed")
    examined("--mend")

    assert "Llamas" not in run("recall", "llamas")


def test_what_waits_for_sync_without_a_row_is_taken_out(db: Path) -> None:
    change(db, WAITS.replace("?", "'memories'"), WAITS.replace("?", "'wonders'"))

    found = examined()["outbox"]
    mended = examined("--mend")["outbox"]

    assert found["level"] == "warn"
    assert found["text"].startswith("2 entries wait for sync without a row")
    assert mended["level"] == "ok"
    assert change(db, "SELECT count(*) FROM outbox") == [(2,)]


@pytest.mark.parametrize(
    ("damage", "check", "text"),
    [
        (
            "UPDATE memories SET superseded_by = ? WHERE topic = 'animals' RETURNING id",
            "corrections",
            "1 memories were corrected by one that is not here; the first is ",
        ),
        (
            "UPDATE decisions SET parent_id = ? RETURNING id",
            "decisions",
            "1 decisions follow from one that is not here; the first is ",
        ),
    ],
)
def test_a_reference_to_nothing_is_told_with_its_id(
    db: Path, settings: Settings, damage: str, check: str, text: str
) -> None:
    decide(settings)
    key = change(db, damage.replace("?", f"'{KEY}'"))[0][0]

    found = examined()[check]

    assert found["level"] == "warn"
    assert found["text"].startswith(f"{text}{key}.")


def decide(settings: Settings) -> None:
    """Write a decision, as no command does."""

    async def deciding() -> None:
        async with open_app(settings) as app:
            await app.store.put(Decision(agent_name="a", question="Which?", selected=["this"]))

    anyio.run(deciding)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE memories SET content = '' WHERE topic = 'animals'",
        "UPDATE memories SET extra = '{' WHERE topic = 'animals'",
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_the_others_are_found(db: Path, damage: str) -> None:
    change(db, damage, CORRUPT)

    sick = examined(code=1)["rows"]
    mended = examined("--mend", code=1)

    assert sick["text"].startswith("1 rows cannot be read (looked at: all 2); the first is ")
    assert "of memories" in sick["text"]
    assert levels(mended, "rows") == {"ok"}
    assert "Walruses" in run("recall", "walruses")


@posix
def test_files_that_others_may_read_are_closed_to_them(db: Path) -> None:
    db.chmod(0o640)
    db.parent.chmod(0o755)

    sick = examined(code=1)
    mended = examined("--mend")

    assert (sick["modes"]["level"], sick["folder"]["level"]) == ("bad", "warn")
    assert levels(mended) == {"ok"}
    assert stat.S_IMODE(db.stat().st_mode) == 0o600
    assert stat.S_IMODE(db.parent.stat().st_mode) == 0o700


@posix
def test_a_folder_that_has_other_files_is_left_as_it_is(db: Path) -> None:
    db.chmod(0o644)
    db.parent.chmod(0o755)
    db.with_name("notes.txt").touch()

    found = examined("--mend")

    assert found["modes"]["level"] == "ok"
    assert "which has other files too" in found["folder"]["text"]
    assert stat.S_IMODE(db.parent.stat().st_mode) == 0o755


def test_a_damaged_page_is_found_and_the_file_is_left_alone(db: Path) -> None:
    ((page,),) = change(db, "SELECT rootpage FROM sqlite_master WHERE name = 'memories'")
    with db.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    damaged = db.read_bytes()

    found = examined("--mend", code=1)

    assert list(found) == ["sqlite", "place", "modes", "pages"]
    assert found["pages"]["text"].startswith(f"{db} is damaged (")
    assert "`agent-mem import` your last archive" in found["pages"]["text"]
    assert db.read_bytes() == damaged


@posix
def test_a_file_that_is_no_database_is_told_apart(settings: Settings) -> None:
    settings.db.parent.mkdir(mode=0o700)
    settings.db.touch(mode=0o600)
    settings.db.write_text("Dear diary, " * 100)

    found = examined("--mend", code=1)

    assert found["pages"]["text"].startswith(f"{settings.db} is damaged (file is not a database).")
    assert settings.db.read_text().startswith("Dear diary")


@posix
def test_a_folder_in_the_place_of_the_file_is_told(settings: Settings) -> None:
    settings.db.mkdir(mode=0o700, parents=True)

    assert "unable to open database file" in examined(code=1)["pages"]["text"]


def test_another_program_s_database_is_left_alone(settings: Settings) -> None:
    settings.db.parent.mkdir(mode=0o700)
    change(settings.db, "CREATE TABLE songs (name text)")
    settings.db.chmod(0o600)

    found = examined("--mend", code=1)

    assert "is another program's database" in found["tables"]["text"]
    assert change(settings.db, "SELECT name FROM sqlite_master") == [("songs",)]


def test_a_memory_of_a_newer_program_is_told(db: Path) -> None:
    change(db, "INSERT INTO schema_ledger VALUES ('wonders', 1, 'x')")

    assert "a newer version has changed it" in examined(code=1)["tables"]["text"]


def test_steps_that_are_due_are_only_done_when_asked(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = parse("wonders", "-- migrate 1 --\nCREATE TABLE wonders (a text);\n")
    more = (*blocks(), *step)
    monkeypatch.setattr("agent_mem.storage.migrations.blocks", lambda: more)
    tables = "SELECT count(*) FROM sqlite_master WHERE name = 'wonders'"

    found = examined()

    assert found["tables"]["text"].startswith("1 steps are due")
    assert list(found) == OUTSIDE
    assert change(db, tables) == [(0,)]
    assert levels(examined("--mend")) == {"ok"}
    assert change(db, tables) == [(1,)]


def test_what_cannot_be_mended_is_told(db: Path) -> None:
    change(db, "DELETE FROM schema_ledger WHERE line = 'tasks'")

    found = examined("--mend", code=1)

    assert "table tasks already exists" in found["memory"]["text"]


def test_a_synced_folder_is_told(tmp_path: Path) -> None:
    found = examined(code=1, db=tmp_path / "Dropbox" / "memory.db")

    assert "is synced by Dropbox" in found["place"]["text"]


def test_a_name_that_no_file_can_have_is_told(tmp_path: Path) -> None:
    found = examined(code=1, db=tmp_path / ("x" * 300))

    assert found["memory"]["text"].endswith("File name too long.")


def test_a_wrong_setting_is_told(db: Path) -> None:
    assert db.exists()

    assert "AGENT_MEM_LOG_LEVEL" in examined(code=1, log_level="LOUD")["memory"]["text"]


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ((3, 40, 1), "warn"),
        ((3, 44, 5), "warn"),
        ((3, 44, 6), "ok"),
        ((3, 45, 0), "warn"),
        ((3, 50, 6), "warn"),
        ((3, 50, 7), "ok"),
        ((3, 51, 2), "warn"),
        ((3, 51, 3), "ok"),
        ((3, 52, 0), "ok"),
    ],
)
def test_a_sqlite_that_can_damage_files_is_named(version: tuple[int, int, int], level: str) -> None:
    found = library(version)

    assert found.level == level
    assert ".".join(map(str, version)) in found.text


def test_a_system_without_modes_has_none_to_check(tmp_path: Path) -> None:
    assert [finding.level for finding in modes(tmp_path / "x", posix=False)] == ["ok"]


def test_files_that_are_not_ours_to_change_are_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        tighten(tmp_path / "none" / "memory.db")
