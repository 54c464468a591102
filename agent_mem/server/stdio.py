"""The process: one server over stdin and stdout, which ends cleanly however it is ended."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from io import TextIOWrapper

import anyio
from mcp.server.stdio import stdio_server

from agent_mem.config import Settings
from agent_mem.server.changes import Changes
from agent_mem.server.kernel import kernel
from agent_mem.server.opening import Opening
from agent_mem.tools import TOOLS

GRACE = 0.8
"""Seconds that a write which is under way gets to finish when the process is told to stop."""

SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve(settings: Settings, wire: int) -> None:
    """Serve until stdin closes or a signal comes.

    Args:
        settings: where the memory is, and whose.
        wire: the descriptor that the client reads; nothing else in this process writes to it.
    """
    logging.basicConfig(stream=sys.stderr, level=settings.log_level)
    stdout = TextIOWrapper(os.fdopen(wire, "wb"), encoding="utf-8")
    async with Opening(settings) as opening, anyio.create_task_group() as tasks:
        changes = Changes()
        tasks.start_soon(leave_on_signal, opening)
        tasks.start_soon(changes.watch, opening)
        server = kernel(opening, changes, TOOLS)
        async with stdio_server(stdout=anyio.wrap_file(stdout)) as (read, write):
            await server.run(read, write, server.create_initialization_options())
        tasks.cancel_scope.cancel()


async def leave_on_signal(opening: Opening, leave: Callable[[int], object] = os._exit) -> None:
    """End the process on SIGTERM (0) or SIGINT (130), after the write that is under way.

    The thread that reads stdin cannot be woken, so the process leaves without waiting for it.
    """
    with anyio.open_signal_receiver(*SIGNALS) as signals:
        async for number in signals:
            with anyio.move_on_after(GRACE, shield=True):
                await opening.close()
            leave(0 if number == signal.SIGTERM else 130)
