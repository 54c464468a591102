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
GONE: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
"""What a note's transcript meets with that will never be read."""

logger = logging.getLogger(__name__)


class Reader:
    """What looks for notes.

    Args:
        app: into whose memory the transcripts are read.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._told = ""

    async def run(self) -> None:
        """Read what notes name, until cancelled."""
        while True:
            try:
                await self.look()
            except OSError as error:  # a folder in disorder must not take the server with it
                self._tell(str(error))
            await anyio.sleep(LOOK)

    async def look(self) -> None:
        """Read what notes name, unless another process does.

        Raises:
            OSError: the notes or their lock are out of reach.
        """
        if await run_sync(spool.notes, self._app.settings.db):
            file = spool.folder(self._app.settings.db) / "reading.lock"
            with closing(FileLock(file)) as lock, lock.if_free() as mine:
                if mine:
                    self._tell(await drain(self._app))

    def _tell(self, wrong: str) -> None:
        """Warn of what is wrong once, not at each look."""
        if wrong and wrong != self._told:
            logger.warning("Transcripts wait: %s", wrong)
        self._told = wrong


async def drain(app: App) -> str:
    """Read what all notes name, the first one first; tell why one stays, if one does."""
    waits = [await done(app, note) for note in await run_sync(spool.notes, app.settings.db)]
    return next(filter(None, waits), "")


async def done(app: App, note: Path) -> str:
    """Read what a note names, and take the note away.

    Returns:
        why it stays, if it does: the memory, or this machine, refuses for now.
    """
    try:
        if job := spool.read(note):
            await capture(app, job)
    except AgentMemError as error:
        return str(error)
    except OSError as error:
        if not (isinstance(error, GONE) or spool.old(note)):
            return str(error)
    except Exception as error:  # noqa: BLE001 - an odd transcript must not take the server with it
        logger.warning("A transcript cannot be read: %s: %s", type(error).__name__, error)
    try:
        await run_sync(partial(note.unlink, missing_ok=True))
    except OSError as error:
        return str(error)
    return ""
