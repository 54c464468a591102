"""The index of vectors over files, a database and other processes: always as if made anew."""

import logging
import stat
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_vectors import (
    ASKED,
    DIM,
    MODEL,
    anew,
    everything,
    files,
    fill,
    found,
    index_of,
    reloaded,
    touching,
    vectors,
)

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.recall.embedding import forgetting, registering
from agent_mem.recall.local_index import AT_ONCE, BATCH, WORTH, LocalIndex
from agent_mem.storage.lock import FileLock
from agent_mem.storage.statements import Transaction

pytestmark = pytest.mark.anyio

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")

PROGRAM = [sys.executable, str(Path(__file__).with_name("helpers_vectors.py"))]


async def known(app: App, index: LocalIndex, keys: list[int]) -> set[int]:
    """Tell which of many passages an index has; it finds no more than some."""
    return set(await app.store.engine.read(index.cosines(app.store, ASKED, keys)))


def in_file(index: LocalIndex) -> int:
    """Tell how many rows an index has not had to take in from the database."""
    return index._held.in_file  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - whence a row is shows in nothing else


async def test_vectors_are_found_as_soon_as_they_are_written(app: App) -> None:
    index = index_of(app)
    keys = await fill(app, 3)
    first = await found(app, index)
    more = await fill(app, 2)

    assert first.keys() == set(keys)
    assert (await found(app, index)).keys() == {*keys, *more}


async def test_passages_without_a_vector_have_no_cosine(app: App) -> None:
    index = index_of(app)
    keys = await fill(app, 3)
    compared = index.cosines(app.store, ASKED, [*keys[:2], 99_999])

    assert await app.store.engine.read(compared) == pytest.approx(
        {key: (await found(app, index))[key] for key in keys[:2]}
    )


async def test_a_model_that_nobody_registered_finds_nothing(app: App) -> None:
    index = index_of(app)
    await index.load(app.store)
    await index.save(app.store)

    assert await found(app, index) == {}
    assert files(app) == []


async def test_a_recall_takes_in_some_of_much_and_the_background_the_rest(app: App) -> None:
    keys = await fill(app, 3 * AT_ONCE * BATCH)
    index = index_of(app)

    assert await known(app, index, keys) == set(keys[: AT_ONCE * BATCH])
    await index.catch_up(app.store)
    assert await known(app, index, keys) == set(keys)


async def test_an_index_begins_with_the_file_of_another(app: App) -> None:
    index = index_of(app)
    await fill(app, 50)
    await index.catch_up(app.store)
    before = await found(app, index)
    await index.save(app.store)

    again = await reloaded(app)

    assert await found(app, index) == await found(app, again) == pytest.approx(before)
    assert in_file(index) == in_file(again) == 50


@posix
async def test_the_file_is_its_owners_and_there_is_one(app: App) -> None:
    index = index_of(app)
    for _ in range(3):
        await fill(app, 20)
        await index.catch_up(app.store)
        await index.save(app.store)

    (file,) = files(app)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_file_is_written_when_much_has_changed(app: App) -> None:
    index = LocalIndex(MODEL, DIM, app.settings.db)
    await fill(app, WORTH - 1)
    await index.catch_up(app.store)
    await index.save(app.store)
    assert files(app) == []

    (key,) = await fill(app, 1)
    await index.catch_up(app.store)
    await index.save(app.store)
    (file,) = files(app)

    await app.store.engine.write(touching(app.store, [key] * (WORTH - 1)))
    await index.catch_up(app.store)
    await index.save(app.store)
    assert files(app) == [file]


async def test_what_another_process_has_written_is_not_written_again(app: App) -> None:
    first, second = index_of(app), index_of(app)
    await fill(app, 20)
    for index in (first, second):
        await index.catch_up(app.store)
    await first.save(app.store)
    (file,) = files(app)
    await second.save(app.store)

    assert files(app) == [file]
    assert in_file(second) == 20
    assert await found(app, second) == pytest.approx(await found(app, index_of(app)))


async def test_a_file_that_cannot_be_read_is_written_anew(app: App) -> None:
    first, second = index_of(app), index_of(app)
    await fill(app, 20)
    for index in (first, second):
        await index.catch_up(app.store)
    await first.save(app.store)
    (file,) = files(app)
    file.unlink()
    await second.save(app.store)

    assert files(app) not in ([], [file])
    assert in_file(await reloaded(app)) == 20


async def test_forgetting_much_makes_the_file_smaller(app: App) -> None:
    index = index_of(app)
    keys = await fill(app, 40)
    await index.catch_up(app.store)
    await index.save(app.store)
    await app.store.engine.write(clearing(app, keys[:30]))
    await index.catch_up(app.store)
    await index.save(app.store)

    assert in_file(await reloaded(app)) == 10


def clearing(app: App, keys: list[int]) -> Transaction[None]:
    for key in keys:
        yield app.store.query("memory_index.clear", n=key)


async def test_files_of_other_models_and_databases_stay(app: App) -> None:
    folder, digits = app.settings.db.parent, "0" * 32
    other = LocalIndex("other", DIM, app.settings.db, worth=1)
    await fill(app, 9)
    await app.store.engine.write(registering(app.store, "other", DIM))
    await app.store.engine.write(another_models(app))
    await other.catch_up(app.store)
    await other.save(app.store)
    theirs = {*files(app), folder / f"memory.db.old.{digits}.vectors"}
    stale = folder / f"memory.db.{digits}.vectors"
    stuck = folder / f"memory.db.{'1' * 32}.vectors"  # a folder is not removed, as an open file
    stuck.mkdir()
    for path in (*theirs, stale):
        path.touch()

    index = index_of(app)
    await index.catch_up(app.store)
    await index.save(app.store)

    assert set(files(app)) > {*theirs, stuck}
    assert len(files(app)) == 4
    assert not stale.exists()


def another_models(app: App) -> Transaction[None]:
    value = np.ones(DIM, np.int8).tobytes()
    yield app.store.query("memory_index.put", model="other", n=1, vector=value)


async def test_a_database_whose_name_is_a_pattern_has_one_file(tmp_path: Path) -> None:
    async with open_app(Settings(db=tmp_path / "[m]?.db")) as app:
        index = index_of(app)
        for _ in range(2):
            await fill(app, 5)
            await index.catch_up(app.store)
            await index.save(app.store)

        assert len(files(app)) == 1


async def test_a_model_that_was_forgotten_begins_anew_in_every_process(app: App) -> None:
    index = index_of(app)
    await fill(app, 30)
    await index.catch_up(app.store)
    await index.save(app.store)
    await app.store.engine.write(forgetting(app.store, MODEL))
    nothing = await found(app, index)
    (key,) = await fill(app, 1)

    assert nothing == {}
    assert (await found(app, index)).keys() == {key}
    assert (await found(app, await reloaded(app))).keys() == {key}


async def test_a_change_that_was_on_its_way_while_the_file_was_loaded_is_not_lost(app: App) -> None:
    keys = await fill(app, 5)
    index = index_of(app)
    await index.catch_up(app.store)
    await index.save(app.store)
    keys += await fill(app, 5)
    await index.catch_up(app.store)
    keys += await fill(app, 5)

    on_its_way = everything(app, index)
    asked = [next(on_its_way)]
    asked.append(on_its_way.send(await asking(app, asked[-1])))
    await index.load(app.store)
    with pytest.raises(StopIteration):
        on_its_way.send(await asking(app, asked[-1]))

    assert (await found(app, index)).keys() == set(keys)


async def asking(app: App, statement: Any) -> Any:  # noqa: ANN401 - whatever it is
    def one() -> Transaction[Any]:
        return (yield statement)

    return await app.store.engine.read(one())


@contextmanager
def limited(size: int) -> Generator[None]:
    """Let no file grow beyond some bytes, as on a full disk."""
    import resource  # noqa: PLC0415 - Windows has none

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@posix
@pytest.mark.parametrize("size", [1_000, 60_000])
async def test_a_full_disk_leaves_no_file_and_is_not_tried_again_at_once(
    app: App, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    index = index_of(app)
    await fill(app, 300)  # an index of 45 kB; the log of the database is longer than 60 kB
    await index.catch_up(app.store)
    with limited(size), caplog.at_level(logging.WARNING):
        await index.save(app.store)
    assert [record.name for record in caplog.records] == ["agent_mem.recall.local_index"]
    assert files(app) == []
    await index.save(app.store)
    assert files(app) == []
    assert len(await found(app, index)) == 300

    await fill(app, 1)
    await index.catch_up(app.store)
    await index.save(app.store)
    assert in_file(await reloaded(app)) == 301


@contextmanager
def program(what: str, file: Path) -> Generator[subprocess.Popen[str]]:
    """Run a program beside this one, and kill it at the end."""
    command = [*PROGRAM, what, str(file)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.mark.parametrize("times", [1, 3])
async def test_an_index_whose_writer_was_killed_is_read_or_made_anew(
    settings: Settings, times: int
) -> None:
    with program("saves", settings.db) as writer:
        for _ in range(times):
            assert line_of(writer) == "saved"
    async with open_app(settings) as app:
        index = await reloaded(app)

        keys = [row["n"] for row in await app.store.engine.read(vectors(app))]
        assert len(keys) == 2_000
        assert await known(app, index, keys) == set(keys)
        assert await found(app, index) == pytest.approx(await anew(app))
        await fill(app, 600)
        await index.catch_up(app.store)
        await index.save(app.store)
        assert len(files(app)) == 1


async def test_processes_see_each_others_vectors_and_one_embeds(app: App) -> None:
    index = index_of(app)
    with closing(FileLock(app.settings.db.with_name("lock"))) as lock:
        with program("adds", app.settings.db) as other:
            assert line_of(other) == "ready"
            with lock.if_free() as mine:
                assert not mine
            mine_too = await fill(app, 2)
            theirs: list[int] = []
            for _ in range(2):
                assert other.stdin
                other.stdin.write("\n")
                other.stdin.flush()
                theirs.append(int(line_of(other)))
                assert (await found(app, index)).keys() == {*mine_too, *theirs}
        with lock.if_free() as mine:
            assert mine
        with lock.if_free() as mine:
            assert mine
