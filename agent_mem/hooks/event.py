"""The tool that a plugin's hooks call. It is not listed: no model should, and none pays for it."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

import anyio
from anyio.to_thread import run_sync
from pydantic import Field

from agent_mem.app import App
from agent_mem.errors import AgentMemError
from agent_mem.hooks import spool
from agent_mem.hooks.capture import capture
from agent_mem.hooks.prompt import recalled
from agent_mem.hooks.reader import done
from agent_mem.tools.tool import Result, Tool

PATIENCE: Final = 2.0
"""Seconds for which a client is held up; what takes longer is read in the background."""
SAVED: Final = frozenset({"PreCompact", "Stop"})
RUNNING: Final[set[asyncio.Future[None]]] = set()
"""What was begun and has not ended: asyncio itself forgets it."""

logger = logging.getLogger(__name__)


class Hooked(Result):
    """What a client reads of a hook's answer; all empty means go on."""

    hookSpecificOutput: dict[str, Any] = Field(default_factory=dict)  # noqa: N815 - the clients' name


async def hook_event(
    app: App,
    *,
    event: str,
    session_id: str = "",
    cwd: str = "",
    prompt: str = "",
    transcript_path: str = "",
) -> Hooked:
    """Serve the hooks of Claude Code and Codex. Not for models."""
    project = app.settings.project or cwd
    try:
        with anyio.move_on_after(PATIENCE):
            if event == "UserPromptSubmit" and session_id:
                text = await recalled(app, prompt, session_id, transcript_path, project)
                return injected(event, text)
            if event in SAVED:
                await saved(app, session_id, transcript_path, project, event)
    except (AgentMemError, OSError) as error:  # a prompt goes on without
        logger.warning("%s: %s", event[:80], error)
    return Hooked()


def injected(event: str, text: str) -> Hooked:
    if not text:
        return Hooked()
    return Hooked(hookSpecificOutput={"hookEventName": event, "additionalContext": text})


async def saved(app: App, session: str, transcript: str, project: str, event: str) -> None:
    """Read a transcript; a note stays behind for what there is no time for."""
    given = {
        "session": session,
        "transcript": transcript,
        "project": project or "*",
        "event": event,
    }
    job = spool.job(given)
    if job and app.store.engine.dialect == "sqlite":
        await begun(done(app, await run_sync(spool.leave, app.settings.db, job)))
    elif job:
        await capture(app, job)


async def begun(work: Coroutine[Any, Any, object]) -> None:
    """Do a work; who is cancelled waits no longer, though it still is in a step that it must end.

    A write waits for its turn in a thread, and has to be left there: another process may hold the
    file for long. The work goes no further than that step.
    """
    scope = anyio.CancelScope()

    async def stepping() -> None:
        with scope:
            await work

    doing = asyncio.ensure_future(stepping())
    RUNNING.add(doing)
    doing.add_done_callback(RUNNING.discard)
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError:
        scope.cancel()
        raise


HIDDEN: Final = (Tool(hook_event, hidden=True),)
