"""What the doctor finds wrong with vectors, indexes and encoders, and how it mends that."""

import json
import stat
from pathlib import Path

import anyio
import pytest
from helpers_doctor import change, examined, levels, posix, run
from helpers_endpoint import MODEL, hanging, serving
from helpers_meaning import BUILTIN, without_encoder

from agent_mem.app import open_app
from agent_mem.config import Settings
from agent_mem.recall import survey
from agent_mem.recall.local_index import LocalIndex


@pytest.fixture
def db(settings: Settings) -> Path:
    """Make a memory with something in it."""
    run("remember", "Llamas graze in the valley.")
    run("remember", "Walruses dive below the ice.")
    return settings.db


def embedded(db: Path) -> Path:
    """Embed what is there, and have an index file of it."""
    run("reembed")

    async def writing() -> str:
        async with open_app(Settings(db=db)) as app:
            index = LocalIndex(BUILTIN, 384, app.settings.db, worth=1)
            await index.load(app.store)
            await index.save(app.store)
            return (await app.store.rows("memory_index.models"))[0]["file"]

    return db.with_name(anyio.run(writing))


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM memory_index WHERE n = 1",
        "UPDATE memory_index SET vector = NULL WHERE n = 1",
        "DELETE FROM embedding_queue",
        "INSERT INTO memory_index VALUES ('all-MiniLM-L6-v2', 99, 99, x'00')",
        "INSERT INTO passage_tokens VALUES (99, 'all-MiniLM-L6-v2', x'00')",
    ],
)
def test_vectors_that_are_missing_or_left_over_are_mended(db: Path, damage: str) -> None:
    run("reembed")
    run("remember", "Ibexes climb.")
    change(db, damage)

    sick = examined()["vectors"]
    mended = examined("--mend")
    run("reembed")

    assert sick["level"] == "warn"
    assert "`agent-mem doctor --mend`" in sick["text"]
    assert levels(mended) == {"ok"}
    assert change(db, "SELECT count(*) FROM memory_index WHERE vector NOT NULL") == [(3,)]
    assert change(db, "SELECT count(*) FROM passage_tokens") == [(3,)]


@posix
def test_an_index_file_that_is_torn_or_gone_is_made_anew(db: Path) -> None:
    file = embedded(db)
    assert levels(examined()) == {"ok"}
    file.write_bytes(file.read_bytes()[:-1])
    torn = examined()["index"]
    file.unlink()
    gone = examined()["index"]

    mended = examined("--mend")

    assert torn["level"] == gone["level"] == "warn"
    assert f"{file.name} is torn." in torn["text"]
    assert f"{file.name} cannot be read: FileNotFoundError." in gone["text"]
    assert levels(mended) == {"ok"}
    assert change(db, "SELECT file FROM embedding_models") == [(None,)]  # three need no file


@posix
def test_index_files_that_are_used_no_more_are_removed(db: Path) -> None:
    file = embedded(db)
    old = db.with_name(f"{db.name}.{'0' * 32}.vectors")
    other = db.with_name(f"{db.name}.other.{'0' * 32}.vectors")
    for left in (old, other):
        left.touch(mode=0o600)

    found = examined()["index"]["text"]
    mended = examined("--mend")

    assert f"{old.name} is used no more." in found
    assert other.name not in found
    assert file.name not in found
    assert levels(mended, "folder") == {"ok"}
    assert not old.exists()
    assert other.exists()


@posix
def test_the_files_of_the_vectors_are_for_their_owner_alone_too(db: Path) -> None:
    file, lock = embedded(db), db.with_name("memory.db.embedding.lock")
    before = {stat.S_IMODE(path.stat().st_mode) for path in (file, lock)}
    for path in (file, lock):
        path.chmod(0o644)

    sick = examined(code=1)["modes"]["text"]
    mended = examined("--mend")

    assert before == {0o600}
    assert file.name in sick
    assert lock.name in sick
    assert levels(mended) == {"ok"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (file, lock)} == {0o600}


def test_an_encoder_that_cannot_run_is_a_warning(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_encoder(monkeypatch)

    found = examined()["encoder"]

    assert found["level"] == "warn"
    assert found["text"].startswith("The sentence encoder cannot run here")
    assert db.exists()


def test_an_endpoint_that_hangs_is_told_after_a_time(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "PATIENCE", 0.5)
    with serving() as api:
        api.replies = [hanging]
        told = json.loads(
            run("doctor", "--json", embedder=MODEL, embedder_url=api.url, embedder_key="sk")
        )

    _, endpoint = [f for f in told["findings"] if f["check"] == "encoder"]
    assert endpoint["level"] == "warn"
    assert endpoint["text"].endswith("within 0.5 seconds.")
    assert db.exists()
