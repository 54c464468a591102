"""The process: one server over stdin and stdout, which ends cleanly however it is ended."""

import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterable, Awaitable, Callable
from io import TextIOWrapper
from threading import Timer
from typing import cast

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError

from agent_mem.config import Settings
from agent_mem.server.changes import Changes
from agent_mem.server.kernel import kernel
from agent_mem.server.opening import Opening

GRACE = 0.8
"""Seconds that a write which is under way gets to finish when the process is told to stop."""

SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve(settings: Settings, wire: int, direct: bool) -> None:
    """Serve until stdin closes or a signal comes.

    Args:
        settings: where the memory is, and whose.
        wire: the descriptor that the client reads; nothing else in this process writes to it.
        direct: work on the server itself, without a file.
    """
    logging.basicConfig(stream=sys.stderr, level=settings.log_level)
    stdout = TextIOWrapper(os.fdopen(wire, "wb"), encoding="utf-8")
    beside = Opening(settings, direct=direct, beside=True)
    async with beside as opening, anyio.create_task_group() as tasks:
        changes = Changes(opening)
        if sys.platform != "win32":  # pragma: no branch - there the loop hears no signals, and
            tasks.start_soon(leave_on_signal, opening)  # cli/serve.py ends the process at once
        tasks.start_soon(changes.watch)
        tasks.start_soon(opening.work)
        server = kernel(opening, changes)
        async with stdio_server(stdout=anyio.wrap_file(stdout)) as (read, write):
            good, messages = anyio.create_memory_object_stream[SessionMessage | Exception]()
            tasks.start_soon(listen, read, good, write.send)
            await server.run(messages, write, server.create_initialization_options())
        tasks.cancel_scope.cancel()


async def listen(
    read: AsyncIterable[SessionMessage | Exception],
    good: MemoryObjectSendStream[SessionMessage | Exception],
    answer: Callable[[SessionMessage], Awaitable[None]],
) -> None:
    """Pass on what the client says; once it has gone, see to it that the process goes, too.

    A write that waits for another process would hold it up. It was not answered, and is refused.
    """
    await answer_bad_lines(read, good, answer)
    leaving = Timer(GRACE, os._exit, [0])
    leaving.daemon = True
    leaving.start()


async def answer_bad_lines(
    read: AsyncIterable[SessionMessage | Exception],
    good: MemoryObjectSendStream[SessionMessage | Exception],
    answer: Callable[[SessionMessage], Awaitable[None]],
) -> None:
    """Pass on what is a message, and answer what is not: its sender would wait for ever."""
    async with good:
        async for item in read:
            if not isinstance(item, ValidationError):
                await good.send(item)
            elif str(item.errors()[0]["input"]).strip():  # a blank line says nothing
                await answer(SessionMessage(refusal(item)))


def refusal(error: ValidationError) -> JSONRPCError:
    """Say what is wrong with a line, to the request that it should have been."""
    first, *_ = found = error.errors()
    code = PARSE_ERROR if first["type"] == "json_invalid" else INVALID_REQUEST
    ids = (id_in(item["input"]) for item in found)
    key = next((key for key in ids if key is not None), None)
    return JSONRPCError(
        jsonrpc="2.0",
        id=key,
        error=ErrorData(code=code, message=f"This is no JSON-RPC message: {first['msg']}."),
    )


def id_in(value: object) -> str | int | None:
    """Find the id in a line, where Python reads what the parser refused, or in what it read."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    key = cast("dict[str, object]", value).get("id") if isinstance(value, dict) else None
    if isinstance(key, str):
        return key if key.isprintable() else None
    return key if isinstance(key, int) and not isinstance(key, bool) else None


async def leave_on_signal(opening: Opening, leave: Callable[[int], object] = os._exit) -> None:
    """End the process on SIGTERM (0) or SIGINT (130), after the write that is under way.

    The thread that reads stdin cannot be woken, so the process leaves without waiting for it.
    """
    with anyio.open_signal_receiver(*SIGNALS) as signals:
        async for number in signals:
            with anyio.move_on_after(GRACE, shield=True):
                await opening.close()
            leave(0 if number == signal.SIGTERM else 130)
