"""Finding by meaning: what it takes to be ready, and what happens until then, and without it."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from helpers_meaning import (
    BUILTIN,
    MEMORIES,
    QUESTION,
    queued,
    recall,
    recalled,
    remember,
    until,
    without_encoder,
)

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.recall.meaning import LOADING
from agent_mem.recall.space import FEW
from agent_mem.storage.lock import FileLock

pytestmark = pytest.mark.anyio


def change(path: Path, sql: str) -> None:
    """Change a file behind the program's back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(sql)


async def test_before_the_encoder_is_loaded_words_answer_and_say_so(app: App) -> None:
    await remember(app, *MEMORIES)

    assert await recall(app) == []
    assert await recall(app, "llamas") == [MEMORIES[0]]
    assert app.finder.meaning.trouble == LOADING


async def test_what_has_no_word_of_the_question_is_found_by_its_meaning(app: App) -> None:
    await remember(app, *MEMORIES)

    await app.finder.meaning.load()

    assert (await recall(app))[0] == MEMORIES[0]
    assert app.finder.meaning.trouble is None


async def test_what_any_process_writes_is_soon_found_by_its_meaning(
    app: App, settings: Settings
) -> None:
    meaning = app.finder.meaning
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(meaning.run)
        await until(lambda: meaning.trouble is None)
        async with open_app(settings) as other:
            await remember(other, *MEMORIES)
            await recalled(app, MEMORIES[0])
        tasks.cancel_scope.cancel()


async def test_what_another_process_embeds_is_found_here_and_not_embedded_twice(
    app: App, settings: Settings
) -> None:
    await app.finder.meaning.load()
    async with open_app(settings) as other:
        await remember(other, *MEMORIES)
        embedded = await other.finder.meaning.embed()

    assert embedded == len(MEMORIES)
    assert (await recall(app))[0] == MEMORIES[0]
    assert await app.finder.meaning.embed() == 0


async def test_while_another_process_embeds_this_one_does_not(app: App, settings: Settings) -> None:
    await remember(app, *MEMORIES)
    lock = FileLock(settings.db.with_name("memory.db.embedding.lock"))

    with closing(lock), lock:
        embedded = await app.finder.meaning.embed()
        left = app.finder.meaning.left
    after = await app.finder.meaning.embed()

    assert (embedded, after) == (0, 3)
    assert left == ["3 passages wait: another process is embedding them."]
    assert app.finder.meaning.left == []


async def test_as_long_as_much_waits_recall_says_how_much(app: App, settings: Settings) -> None:
    await remember(app, *(f"Memory number {n}." for n in range(FEW + 1)))
    lock = FileLock(settings.db.with_name("memory.db.embedding.lock"))

    with closing(lock), lock:
        await app.finder.meaning.load()

    assert app.finder.meaning.trouble == (
        f"{FEW + 1} passages are found by words alone, until they are embedded."
    )


async def test_progress_is_told_to_its_end(app: App) -> None:
    await remember(app, *(f"Memory number {n}." for n in range(30)))
    told: list[tuple[int, int]] = []

    await app.finder.meaning.embed(lambda done, of: told.append((done, of)))

    assert told[-1] == (30, 30)
    assert {of for _, of in told} == {30}


async def test_a_pass_that_is_cancelled_loses_nothing_and_is_gone_on_with(app: App) -> None:
    await remember(app, *(f"Memory number {n}." for n in range(300)))
    meaning = app.finder.meaning
    assert meaning.near

    with anyio.CancelScope() as scope:

        def stop(_done: int, _of: int) -> None:
            scope.cancel()

        await meaning.near.work(50, seen=stop)
    left = await queued(app)
    rest = await meaning.embed()

    assert 0 < left < 300
    assert rest == left
    assert await queued(app) == 0


async def test_where_the_encoder_cannot_run_words_answer_and_say_why(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_encoder(monkeypatch)
    await remember(app, *MEMORIES)

    with anyio.fail_after(10):
        await app.finder.meaning.run()

    assert await recall(app, "llamas") == [MEMORIES[0]]
    assert str(app.finder.meaning.trouble).startswith("The sentence encoder cannot run here")
    assert await app.finder.meaning.embed() == 0
    assert app.finder.meaning.left == [app.finder.meaning.trouble]


async def test_where_no_embedder_is_wanted_words_answer_and_nothing_is_said(
    settings: Settings,
) -> None:
    async with open_app(settings.model_copy(update={"embedder": "none"})) as app:
        await remember(app, *MEMORIES)
        with anyio.fail_after(10):
            await app.finder.meaning.run()
        await app.finder.meaning.load()

        assert await recall(app, QUESTION) == []
        assert await recall(app, "llamas") == [MEMORIES[0]]
        assert app.finder.meaning.trouble is None


async def test_a_model_that_was_forgotten_meanwhile_begins_anew(
    app: App, settings: Settings
) -> None:
    await remember(app, *MEMORIES)
    await app.finder.meaning.load()
    unused = settings.model_copy(update={"embedder": "none"})
    async with open_app(unused) as other:
        await other.finder.meaning.drop(BUILTIN)

    assert await app.finder.meaning.embed() == len(MEMORIES)
    assert (await recall(app))[0] == MEMORIES[0]


async def test_a_database_that_refuses_for_a_time_is_told_and_gone_on_with(
    app: App, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    await remember(app, *MEMORIES)
    meaning = app.finder.meaning
    change(settings.db, "ALTER TABLE embedding_models RENAME TO elsewhere")
    refused: str | None = None

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(meaning.run)
        await until(lambda: "no such table" in str(meaning.trouble))
        refused = meaning.trouble
        change(settings.db, "ALTER TABLE elsewhere RENAME TO embedding_models")
        await until(lambda: meaning.trouble is None and "it goes on" in caplog.text)
        tasks.cancel_scope.cancel()

    assert str(refused).startswith("What is new is found by words alone: ")
    assert await recall(app) != []
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 2  # that it is refused, and that it goes on; not at each attempt
