"""What reads the notes goes on, whatever it meets with."""

from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from agent_mem.app import App
from agent_mem.hooks import reader, spool
from agent_mem.hooks.reader import Reader
from agent_mem.storage.lock import FileLock

pytestmark = pytest.mark.anyio


async def test_whatever_is_wrong_with_the_notes_the_server_goes_on_and_says_so_once(
    app: App, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = str(tmp_path / "gone.jsonl")
    note = spool.leave(app.settings.db, spool.Job("a", gone, "*", "Stop"))
    lock = note.with_name("reading.lock")
    lock.mkdir()
    monkeypatch.setattr(reader, "LOOK", 0.01)
    looks, enough = 0, anyio.Event()

    async def looking(
        self: Reader, look: Callable[[Reader], Awaitable[None]] = Reader.look
    ) -> None:
        nonlocal looks
        looks += 1
        if looks == 4:
            lock.rmdir()
        if looks == 6:
            enough.set()
        await look(self)

    monkeypatch.setattr(Reader, "look", looking)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Reader(app).run)
            await enough.wait()
            tasks.cancel_scope.cancel()

    assert spool.notes(app.settings.db) == []
    assert len([one for one in caplog.messages if "reading.lock" in one]) == 1


async def test_what_another_process_reads_is_left_to_it(app: App, tmp_path: Path) -> None:
    job = spool.Job("a", str(tmp_path / "gone.jsonl"), "*", "Stop")
    note = spool.leave(app.settings.db, job)
    with closing(FileLock(note.with_name("reading.lock"))) as another, another:
        await Reader(app).look()
        meanwhile = spool.notes(app.settings.db)
    await Reader(app).look()

    assert meanwhile == [note]
    assert spool.notes(app.settings.db) == []
