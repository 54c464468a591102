"""Play the main job through real servers: what one process was told, the next one knows."""

import json
import os
import shlex
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import IO, Any, cast

import anyio
import click
from anyio.to_thread import run_sync
from mcp import Client
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp.types import TextContent
from rich.console import Console

from agent_mem.cli import output
from agent_mem.cli.clients import CLIENTS, SERVE, server_command
from agent_mem.cli.history import History, history
from agent_mem.cli.script import Answer, Answers, Kept, Step, known, told
from agent_mem.tools.memories import excerpt

PATIENCE = 20.0
"""Seconds for one answer, and for a server to end."""
SETTINGS = {"AGENT_MEM_AGENT": "demo"}


@click.command("demo")
@click.option("--sync", is_flag=True, help="Play two machines and a PostgreSQL between them.")
def demo_command(sync: bool) -> None:
    """Play a session on this repository's own history: tell a server, kill it, ask the next."""
    console = output.console()
    if sync:
        import_module("agent_mem.cli.machines").demonstrate(console)
        return
    past, instead = history(Path.cwd())
    if instead:
        console.print(f"Using {past.source}: {instead}.")
    console.print(f"{len(past.commits)} commits of {past.source}, in a memory made for this demo.")
    with TemporaryDirectory(prefix="agent-mem-demo-", ignore_cleanup_errors=True) as folder:
        attempt(partial(play, past, Path(folder), console))
    console.rule("It works here. To use it")
    for line in paste(server_command()):
        console.print(line)


def attempt(play: Callable[[], Awaitable[None]]) -> None:
    """Play it; whatever breaks it off is told in one sentence."""
    broken: BaseException | None = None
    try:
        anyio.run(play)
    except* (click.ClickException, MCPError, OSError, SystemExit) as group:
        broken = first(group)
    if isinstance(broken, SystemExit):  # nobody reads what is printed any more
        raise broken
    if broken:
        raise click.ClickException(output.plain(f"The demo broke off. {broken}"))


def first(error: BaseException) -> BaseException:
    """Find what happened in a task group, or in one inside it."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    return first(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])


async def play(past: History, folder: Path, console: Console) -> None:
    """Tell one server, kill it, and ask another on the same file."""
    kept: Kept = {}
    async with serving(SERVE, folder, SETTINGS) as (client, process):
        console.rule(f"Server 1, process {process.pid}")
        for step in told(past):
            await perform(client, step, kept, console)
        process.kill()
        await run_sync(process.wait)
        console.print(f"Killed without warning: exit code {process.returncode}.")
    async with serving(SERVE, folder, SETTINGS) as (client, process):
        console.rule(f"Server 2, process {process.pid}")
        for step in known(past):
            await perform(client, step, kept, console)


async def perform(client: Client, step: Step, kept: Kept, console: Console) -> None:
    """Call a tool, check what came back, and show it with the time that it took."""
    answers: Answers = []
    times: list[float] = []
    for call in step.calls:
        arguments = {k: v(kept) if callable(v) else v for k, v in call.items()}
        began = perf_counter()
        answers.append(await ask(client, step.tool, arguments))
        times.append((perf_counter() - began) * 1000)
    if not step.holds(answers, kept):
        came = json.dumps(answers[-1], ensure_ascii=False)
        raise click.ClickException(f"{step.tool} did not give back what was put in, but {came}")
    kept[step.tool] = answers
    first, *more = (excerpt(output.plain(line)) for line in step.shows(answers))
    console.print(f"{step.tool:<16}{median(times):7.1f} ms  {first}")
    for line in more:
        console.print(f"{'':28}{line}", style="dim")


async def ask(client: Client, tool: str, arguments: dict[str, Any]) -> Answer:
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        told = " ".join(part.text for part in result.content if isinstance(part, TextContent))
        raise click.ClickException(f"{tool} was refused: {told}")
    return result.structured_content or {}


@asynccontextmanager
async def serving(
    command: Sequence[str],
    folder: Path,
    settings: Mapping[str, str],
    patience: float = PATIENCE,
) -> AsyncGenerator[tuple[Client, subprocess.Popen[str]]]:
    """Start a server that is ours to kill, with the SDK's client on it."""
    with start(command, folder, settings) as process:
        transport = piped(process, patience)
        async with Client(transport, read_timeout_seconds=patience) as client:
            yield client, process


def start(
    command: Sequence[str], folder: Path, settings: Mapping[str, str]
) -> subprocess.Popen[str]:
    """Start a server on a memory of its own, without the settings of this machine.

    It does not stand in the user's folder, whose modules would be imported before ours.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AGENT_MEM_", "CLAUDE_"))}
    return subprocess.Popen(  # noqa: S603 - our own command
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        cwd=folder,
        env={**kept, **settings, "AGENT_MEM_DB": str(folder / "memory.db")},
    )


@asynccontextmanager
async def piped(process: subprocess.Popen[str], patience: float) -> AsyncGenerator[tuple[Any, Any]]:
    """Carry messages through a process's pipes; both ends of a pipe speak the same lines."""
    stdout, stdin = cast("tuple[IO[str], IO[str]]", (process.stdout, process.stdin))
    async with stdio_server(anyio.wrap_file(stdout), anyio.wrap_file(stdin)) as streams:
        try:
            yield streams
        finally:
            with anyio.CancelScope(shield=True):
                await run_sync(end, process, stdin, patience)


def end(process: subprocess.Popen[str], stdin: IO[str], patience: float) -> None:
    """Close a server's stdin, which is how it is told to end; kill it if it does not."""
    stdin.close()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()


def paste(command: list[str]) -> list[str]:
    """Write what has to be run here, for each client."""
    program = command[:-1]
    return [
        "this writes a client's configuration (--dry-run shows it, --undo takes it back):",
        *(quoted([*program, "install", name]) for name in CLIENTS),
        "",
        "any other client has to start this:",
        quoted(command),
    ]


def quoted(command: list[str]) -> str:
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)
