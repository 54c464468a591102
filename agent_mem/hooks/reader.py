"""What reads the notes that hooks leave, in one of the processes on the file."""

import logging
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import anyio
from anyio.to_thread import run_sync

from agent_mem.app import App
from agent_mem.errors import AgentMemError
from agent_mem.hooks import spool
from agent_mem.hooks.capture import capture
from agent_mem.storage.lock import FileLock

LOOK: Final = 1.0
"""Seconds between two looks for notes."""

logger = logging.getLogger(__name__)


class Reader:
    """What looks for notes.

    Args:
        app: into whose memory the transcripts are read.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def run(self) -> None:
        """Read what notes name, until cancelled."""
        while True:
            if await run_sync(spool.notes, self._app.settings.db):
                file = spool.folder(self._app.settings.db) / "reading.lock"
                with closing(FileLock(file)) as lock, lock.if_free() as mine:
                    if mine:
                        await drain(self._app)
            await anyio.sleep(LOOK)


async def drain(app: App) -> None:
    """Read what all notes name, the first one first."""
    for note in await run_sync(spool.notes, app.settings.db):
        await done(app, note)


async def done(app: App, note: Path) -> None:
    """Read what a note names, and take the note away; it stays if the memory refuses for now."""
    job = spool.read(note)
    try:
        if job:
            await capture(app, job)
    except AgentMemError as error:
        logger.warning("A transcript waits: %s", error)
        return
    except Exception as error:  # noqa: BLE001 - an odd transcript must not take the server with it
        logger.warning("A transcript cannot be read: %s: %s", type(error).__name__, error)
    await run_sync(partial(note.unlink, missing_ok=True))
