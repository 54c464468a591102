"""Embedding what waits: by the command, by the behavior, and after an import or a seed."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import Call
from helpers_meaning import BUILTIN, MEMORIES, QUESTION, remember, without_encoder

from agent_mem.app import App
from agent_mem.cli.main import main
from agent_mem.config import Settings
from agent_mem.records.behavior import Behavior
from agent_mem.storage.lock import FileLock

COMMAND = [sys.executable, "-m", "agent_mem"]


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code, result.output
    return result


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path, timeout=10)) as db:
        return db.execute(sql).fetchall()


def left(path: Path) -> int:
    ((n,),) = rows(path, "SELECT count(*) FROM embedding_queue")
    assert isinstance(n, int)
    return n


@pytest.fixture
def db(settings: Settings) -> Path:
    """Make a memory, and embed it."""
    for text in MEMORIES:
        run("remember", text)
    run("reembed")
    return settings.db


def archive(folder: Path, count: int) -> str:
    """Write an archive of many memories, from a memory that is then forgotten."""
    file = folder / "all.jsonl"
    source = str(folder / "source.db")
    env = {"AGENT_MEM_DB": source, "AGENT_MEM_EMBEDDER": "none"}
    for text in MEMORIES:
        CliRunner(env=env).invoke(main, ["remember", text])
    CliRunner(env=env).invoke(main, ["export", str(file)])
    header, *lines = file.read_text().splitlines()
    first = next(line for line in lines if "Llamas" in line)
    ((key,),) = rows(folder / "source.db", "SELECT id FROM memories WHERE content LIKE 'Llamas%'")
    assert isinstance(key, str)
    more = [
        first.replace(key, f"{key[:-6]}{n:06x}").replace("Llamas", f"Llamas of herd {n}")
        for n in range(count)
    ]
    told = json.loads(header)
    told["counts"]["memories"] += count
    file.write_text("\n".join([json.dumps(told), *lines, *more]) + "\n")
    return str(file)


def test_what_waits_is_embedded_once(settings: Settings) -> None:
    run("remember", MEMORIES[0])
    run("remember", MEMORIES[1])

    first, again = run("reembed"), run("reembed")

    assert first.stdout == "Passages embedded: 2.\n"
    assert again.stdout == "Passages embedded: 0.\n"
    assert left(settings.db) == 0


def test_all_can_be_made_anew(db: Path) -> None:
    before = rows(db, "SELECT max(seq) FROM memory_index")

    done = json.loads(run("reembed", "--all", "--json").stdout)

    assert done == {"embedded": 3}
    assert before == [(3,)]
    assert rows(db, "SELECT count(*), min(seq) FROM memory_index") == [(3, 4)]


def test_a_model_that_is_not_used_can_be_forgotten(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = run("reembed", "--drop", BUILTIN, code=1)
    monkeypatch.setenv("AGENT_MEM_EMBEDDER", "none")
    done = run("reembed", "--drop", BUILTIN)
    again = run("reembed", "--drop", BUILTIN, code=1)

    assert f"there is no `{BUILTIN}`: none." in used.stderr
    assert done.stdout == f"The vectors of {BUILTIN} are forgotten.\n"
    assert again.exit_code == 1
    assert rows(db, "SELECT count(*) FROM memory_index") == [(0,)]
    assert rows(db, "SELECT count(*) FROM passage_tokens") == [(0,)]


def test_a_model_that_is_forgotten_is_told_in_json(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_MEM_EMBEDDER", "none")

    assert json.loads(run("reembed", "--drop", BUILTIN, "--json").stdout) == {"dropped": BUILTIN}
    assert db.exists()


def test_where_the_encoder_cannot_run_it_fails_in_a_sentence(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("remember", MEMORIES[0])
    without_encoder(monkeypatch)

    failed = run("reembed", code=1)

    assert failed.stderr.startswith("The sentence encoder cannot run here")
    assert failed.stderr.count("\n") == 1
    assert rows(settings.db, "SELECT count(*) FROM embedding_queue") == [(0,)]


def test_the_shell_finds_by_meaning_without_a_server(settings: Settings) -> None:
    for text in MEMORIES:
        run("remember", text)

    found = run("recall", QUESTION).stdout

    assert found.splitlines()[1] == f"    {MEMORIES[0]}"
    assert left(settings.db) == 0


@pytest.mark.usefixtures("settings")
def test_the_shell_says_why_it_finds_by_words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    run("remember", MEMORIES[0])
    without_encoder(monkeypatch)

    found = run("recall", "llamas").stdout

    assert MEMORIES[0] in found
    assert found.splitlines()[-1].startswith("The sentence encoder cannot run here")


def test_what_is_imported_is_embedded(settings: Settings, tmp_path: Path) -> None:
    done = run("import", archive(tmp_path, 20))

    assert done.stderr == ""
    assert rows(settings.db, "SELECT count(*) FROM memory_index") == [(23,)]
    assert left(settings.db) == 0


def test_what_is_imported_is_kept_where_it_cannot_be_embedded(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = archive(tmp_path, 2)
    without_encoder(monkeypatch)

    done = run("import", file)

    assert done.stdout.endswith("written: 5; here already: 0.\n")
    assert done.stderr.startswith("The sentence encoder cannot run here")
    assert rows(settings.db, "SELECT count(*) FROM passages") == [(5,)]


def test_an_import_beside_a_process_that_embeds_leaves_it_the_work(
    db: Path, tmp_path: Path
) -> None:
    lock = FileLock(db.with_name("memory.db.embedding.lock"))

    with closing(lock), lock:
        done = run("import", archive(tmp_path, 2))

    assert done.stderr == "5 passages wait: another process is embedding them.\n"


def test_what_a_pack_brings_is_embedded_once(settings: Settings) -> None:
    run("seed", "ops-team")
    embedded = rows(settings.db, "SELECT count(*) FROM memory_index")
    run("seed", "ops-team")

    assert embedded == rows(settings.db, "SELECT count(*) FROM passages")
    assert rows(settings.db, "SELECT count(*) FROM memory_index") == embedded
    assert left(settings.db) == 0


def test_a_process_that_is_killed_loses_nothing_and_the_next_goes_on(
    env: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    beside = {**env, "AGENT_MEM_EMBEDDER": "none"}
    file = archive(tmp_path, 600)
    subprocess.run([*COMMAND, "import", file], env=beside, check=True, capture_output=True)
    with subprocess.Popen([*COMMAND, "reembed"], env=env, stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while embedded(settings.db) == 0 and time.monotonic() < until:
            os.sched_yield()
        process.kill()
    before, waits = embedded(settings.db), left(settings.db)

    rest = json.loads(run("reembed", "--json").stdout)

    assert 0 < before < 603
    assert before + waits == 603
    assert rest == {"embedded": waits}
    assert embedded(settings.db) == 603


def embedded(path: Path) -> int:
    ((n,),) = rows(path, "SELECT count(*) FROM memory_index")
    assert isinstance(n, int)
    return n


@pytest.mark.anyio
async def test_the_behavior_embeds_what_waits_and_tells_what_is_left(app: App, call: Call) -> None:
    await remember(app, *MEMORIES)

    first = await call("run_behavior", name="reembed")
    again = await call("run_behavior", name="reembed")

    assert (first["status"], first["output"]) == ("complete", {"embedded": 3, "left": 0})
    assert again["output"] == {"embedded": 0, "left": 0}


@pytest.mark.anyio
async def test_the_behavior_stops_in_time_and_goes_on_when_it_is_run_again(
    app: App, call: Call
) -> None:
    await app.store.put(Behavior(agent_name="agent", name="some", action="reembed", timeout_s=1))
    await remember(app, *(f"{text * 9} {n}" for n in range(200) for text in MEMORIES))

    first = await call("run_behavior", name="some")
    rest = await app.finder.meaning.embed()

    assert first["status"] == "complete"
    assert first["output"]["left"] > 0
    assert rest >= 600 - first["output"]["embedded"]
