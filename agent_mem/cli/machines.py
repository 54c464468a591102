"""Play two machines and the PostgreSQL that they share: a memory travels, the network is cut."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import anyio
import click
from anyio.to_thread import run_sync
from mcp import Client
from rich.console import Console

from agent_mem.cli.clients import SERVE
from agent_mem.cli.demo import ask, attempt, serving
from agent_mem.cli.trial import Trial, trial
from agent_mem.errors import AgentMemError

PATIENCE = 60.0
"""Seconds for a memory to travel: after a cut, each machine tries again in its own time."""
LOOK = 0.05
FACT = "The staging database moved to port 6432 on the 20th."
KEY = "release day"
"""What both machines say something about while neither hears of the other."""
EARLIER = "We release on Thursdays, says the laptop."
LATER = "We release on Tuesdays, says the desktop."


def demonstrate(console: Console) -> None:
    """Start a PostgreSQL and two machines, and play with them."""
    console.print("A PostgreSQL of this demo's own is started, and is gone afterwards.")
    try:
        with trial() as server, TemporaryDirectory(prefix="agent-mem-demo-") as folder:
            attempt(partial(play, server, Path(folder), console))
    except AgentMemError as error:
        raise click.ClickException(str(error)) from None
    console.rule("To share a memory, set on every machine")
    console.print("AGENT_MEM_SERVER=postgresql://user:password@host/database")


async def play(server: Trial, folder: Path, console: Console) -> None:
    """Let a memory travel; cut the network; let both write; and see what both know then."""
    async with (
        machine(server, folder / "laptop") as laptop,
        machine(server, folder / "desktop") as desktop,
    ):
        console.rule("Two machines, one PostgreSQL")
        await said(console, "laptop", laptop, content=FACT)
        await heard(console, "desktop", desktop, "Which port has staging?", FACT)
        console.rule("The network is cut")
        await run_sync(partial(server.stop, "immediate"))
        await said(console, "laptop", laptop, content=EARLIER, key=KEY)
        await said(console, "desktop", desktop, content=LATER, key=KEY)
        console.rule("It is back")
        await run_sync(server.start)
        await heard(console, "laptop", laptop, "When do we release?", LATER)
        await heard(console, "desktop", desktop, "When do we release?", LATER)
        console.print("The later one won on both; the other is kept in record_history.")


@asynccontextmanager
async def machine(server: Trial, folder: Path) -> AsyncGenerator[Client]:
    await anyio.Path(folder).mkdir()
    settings = {"AGENT_MEM_SERVER": server.url(), "AGENT_MEM_AGENT": folder.name}
    async with serving(SERVE, folder, settings) as (client, _):
        yield client


async def said(console: Console, name: str, client: Client, **memory: Any) -> None:  # noqa: ANN401 - as `remember` takes it
    begun = perf_counter()
    await ask(client, "remember", memory)
    tell(console, name, begun, f"remembers: {memory['content']}")


async def heard(console: Console, name: str, client: Client, query: str, wanted: str) -> None:
    """Ask until the answer is there, and is the only one of its kind."""
    begun = perf_counter()
    with anyio.move_on_after(PATIENCE):
        while not await knows(client, query, wanted):  # noqa: ASYNC110 - another process makes it so
            await anyio.sleep(LOOK)
        tell(console, name, begun, f"knows: {wanted}")
        return
    raise click.ClickException(f"The {name} did not hear of it within {PATIENCE:g} seconds.")


async def knows(client: Client, query: str, wanted: str) -> bool:
    answer = await ask(client, "recall", {"query": query})
    texts: list[str] = [hit["text"] for hit in answer.get("hits", [])]
    return wanted in texts


def tell(console: Console, name: str, begun: float, text: str) -> None:
    console.print(f"{name:<10}{(perf_counter() - begun) * 1000:8.1f} ms  {text}")
