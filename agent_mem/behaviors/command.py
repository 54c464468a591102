"""Run a program that the settings file names: no shell, nothing inherited, nothing left behind."""

import json
import re
import subprocess
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated, Any, Final, cast

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process
from pydantic import Field

from agent_mem.app import App
from agent_mem.behaviors import processes
from agent_mem.behaviors.action import Outcome, Params, Task
from agent_mem.behaviors.allowed import Command, allowed
from agent_mem.errors import ActionFailed
from agent_mem.records.fields import Line, Name

SHOWN: Final = 20_000
"""Bytes of each stream that are kept."""
ENDLESS: Final = 4 << 20
"""Bytes of each stream after which a program is stopped: nobody reads so much."""
QUOTED: Final = 500
LINGER: Final = 1.0
"""Seconds for which its last words are waited for when it has ended."""
MARK: Final = "AGENT_MEM_RUN"
"""The run, told to the program: what it does may be done twice, this tells it so."""
BATCH: Final = re.compile(r"\.(bat|cmd)$", re.IGNORECASE)
"""Windows runs these through a shell, whatever it is asked."""


class Running(Params):
    """Which program, and with what."""

    command: Name
    """Its name in the settings file."""
    args: Annotated[list[Line], Field(max_length=50, default_factory=list)]


async def command(app: App, task: Task) -> Outcome:
    """Run a program to its end; it has failed unless its exit code is 0."""
    params = Running.model_validate(task.params.model_dump())
    entry = named(await allowed(app.settings), params.command)
    argv = [str(program(entry)), *entry.args, *fitting(entry, params)]
    ended = await executed(entry, argv, task)
    if ended["exit_code"]:
        told = (ended["stderr"] or ended["stdout"])[-QUOTED:].strip()
        raise ActionFailed(f"`{params.command}` ended with {ended['exit_code']}: {told}")
    return Outcome({"command": params.command, **ended}, [])


def named(found: Any, name: str) -> Command:  # noqa: ANN401 - Allowed
    """Find a command in the settings file.

    Raises:
        ActionFailed: it is not there.
    """
    entry = found.commands.get(name)
    if entry is None:
        known = ", ".join(found.commands) or "none"
        raise ActionFailed(f"The settings file allows no command `{name[:80]}`; it has: {known}.")
    return entry


def program(entry: Command) -> Path:
    """Look whether the program is one, and is what its owner put there.

    Raises:
        ActionFailed: it is not.
    """
    path = entry.program
    if not path.is_file():
        raise ActionFailed(f"{path} is no program.")
    if BATCH.search(path.name):
        raise ActionFailed(f"{path} is a batch file, which a shell would run.")
    if processes.others_may_write(path.resolve()):
        raise ActionFailed(f"Others may write {path}: it is not run.")
    return path


def fitting(entry: Command, params: Running) -> list[str]:
    """Look whether the further arguments are allowed, each as a whole.

    Raises:
        ActionFailed: one is not.
    """
    for arg in params.args:
        if not any(re.fullmatch(pattern, arg) for pattern in entry.more):
            raise ActionFailed(
                f"`{params.command}` may not be given `{arg[:80]}`: no pattern of `more` fits it."
            )
    return params.args


async def executed(entry: Command, argv: list[str], task: Task) -> dict[str, Any]:
    """Run it, and stop it with its children however this ends.

    Raises:
        ActionFailed: it cannot be started, or has no end of words.
    """
    mark = str(task.run.id) if task.run else "none"
    with ExitStack() as stack:
        folder = entry.folder or stack.enter_context(
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        )
        try:
            process = await anyio.open_process(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=environment(entry, mark),
                **processes.apart(),
            )
        except OSError as error:
            why = error.strerror or error
            raise ActionFailed(f"{argv[0]} cannot be started: {why}.") from error
        try:
            return await followed(process, told(task))
        finally:
            with anyio.CancelScope(shield=True):
                await processes.stop(process, f"{MARK}={mark}")
                await process.aclose()


def environment(entry: Command, mark: str) -> dict[str, str]:
    """Give what every program needs, what the settings file says, and nothing of ours."""
    return {**processes.PLAIN, **entry.env, MARK: mark}


def told(task: Task) -> bytes:
    """Tell the program on its stdin what it is about, as JSON: never on its command line."""
    run = task.run
    said = {"input": run.input if run else {}, "results": task.results}
    return json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")


async def followed(process: Process, said: bytes) -> dict[str, Any]:
    """Read what it says until it has ended.

    Raises:
        ActionFailed: there is no end of it.
    """
    kept: dict[str, bytes | None] = {}

    async def read(name: str, stream: ByteReceiveStream | None) -> None:
        kept[name] = b""
        kept[name] = await capped(cast("ByteReceiveStream", stream))
        if kept[name] is None:
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        async with anyio.create_task_group() as reading:
            reading.start_soon(read, "stdout", process.stdout)
            reading.start_soon(read, "stderr", process.stderr)
            tasks.start_soon(write, process, said)
            await process.wait()
            # Its children may hold the pipes open: what they say later is not waited for.
            reading.cancel_scope.deadline = anyio.current_time() + LINGER
        tasks.cancel_scope.cancel()
    if None in kept.values():
        raise ActionFailed(f"It wrote more than {ENDLESS >> 20} MiB: it was stopped.")
    texts = {name: plain(words or b"") for name, words in kept.items()}
    return {"exit_code": process.returncode, **texts}


async def write(process: Process, said: bytes) -> None:
    stdin = cast("ByteSendStream", process.stdin)
    with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):  # it reads not
        await stdin.send(said)
        await stdin.aclose()


async def capped(stream: ByteReceiveStream) -> bytes | None:
    """Read all, and keep the beginning; None if there is no end of it."""
    kept, size = b"", 0
    async for part in stream:
        size += len(part)
        kept += part[: SHOWN - len(kept)]
        if size > ENDLESS:
            return None
    return kept


def plain(said: bytes) -> str:
    """Read bytes as text that can be kept."""
    return said.decode("utf-8", "replace").replace("\x00", "\ufffd")
