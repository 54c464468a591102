"""Measure the sync: `python bench/sync.py [--rows 100000] [--of FOLDER] [--pause 0.2]`.

It runs on a PostgreSQL of its own. With a folder that `scale.py` has built, its memories with their
vectors are what the first sync carries, before all else.

Two machines are two files. Prints three tables: the first sync of a full memory and the steady
state; how long a write on one running server takes to be readable on another; and what `remember`
and `recall` take inside a server while PostgreSQL is reachable, is not, and hangs, in turn.
All is wall time; texts are those of `scale_texts.py`.
"""

import argparse
import asyncio
import os
import random
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Final, cast

import numpy as np
from mcp import Client, StdioServerParameters
from scale_build import fresh

from agent_mem.app import App, open_app
from agent_mem.cli.trial import trial
from agent_mem.config import Settings
from agent_mem.recall import pgvector
from agent_mem.recall.carrying import Carrier
from agent_mem.records.memory import Memory
from agent_mem.storage.postgres import connect
from agent_mem.storage.sync.syncer import Syncer

STEADY: Final = 2_000
TRAVELS: Final = 60
APART: Final = 2.0
"""Seconds between two of them, at most."""
CALLS: Final = 50
ROUNDS: Final = 12
WARM: Final = 6.0
"""Seconds in which the servers load their driver, connect and make their first pass."""
REST: Final = 6.0
"""Seconds after which a server has nothing left to do: vectors go every five."""
RESAMPLED: Final = 2_000
TOOLS: Final = ("remember", "recall")
BATCH: Final = 500
FOUND_WITHIN: Final = 20.0
MILLI: Final = 1_000


def settings_of(file: Path, url: str) -> Settings:
    return Settings(db=file, server=url, embedder="none", agent="bench")  # pyright: ignore[reportArgumentType] - it is read as in the environment


def batches(texts: Sequence[str]) -> Generator[list[Memory]]:
    rest: Iterable[Memory] = (Memory(agent_name="bench", content=text) for text in texts)
    rest = iter(rest)
    while batch := list(islice(rest, BATCH)):
        yield batch


async def write(app: App, texts: Sequence[str]) -> None:
    for batch in batches(texts):
        await app.store.put(*batch)


async def passed(app: App) -> tuple[int, float]:
    """Make a pass: how many rows moved, in how many seconds."""
    begun = time.perf_counter()
    done = await cast("Syncer", app.syncer).once()
    return done.moved, time.perf_counter() - begun


async def throughput(url: str, folder: Path, rows: int) -> None:
    texts = fresh(rows + STEADY)
    print("| | rows | seconds | rows/s |\n| --- | --- | --- | --- |")
    async with (
        open_app(settings_of(folder / "one.db", url)) as one,
        open_app(settings_of(folder / "two.db", url)) as two,
    ):
        await write(one, texts[:rows])
        line("first push", *await passed(one))
        line("first pull", *await passed(two))
        await write(one, texts[rows:])
        line("steady state: push", *await passed(one))
        line("steady state: pull", *await passed(two))


async def with_vectors(url: str, folder: Path, of: Path) -> None:
    """Carry a full memory whose vectors are made to a server, and from there to a new machine."""
    shutil.copy(of / "memory.db", folder / "full.db")
    print("| with vectors | rows | seconds | rows/s |\n| --- | --- | --- | --- |")
    worth = pgvector.WORTH
    for way, name in (("push", "full.db"), ("pull", "new.db")):
        settings = Settings(db=folder / name, server=url)  # pyright: ignore[reportArgumentType] - as above
        async with open_app(settings) as app:
            await app.finder.meaning.load()
            line(f"{way}: records", *await passed(app))
            pgvector.WORTH = sys.maxsize  # pyright: ignore[reportAttributeAccessIssue] - it has its own line
            vectors, seconds = await carried(app)
            line(f"{way}: vectors", vectors, seconds)
        pgvector.WORTH = worth  # pyright: ignore[reportAttributeAccessIssue] - as it was
        if way == "push":
            async with open_app(settings) as app:
                _, seconds = await carried(app)
                line("push: HNSW index of the vectors", vectors, seconds)
    print()


async def carried(app: App) -> tuple[int, float]:
    """Carry vectors: how many, in how many seconds."""
    begun = time.perf_counter()
    count = await cast("Carrier", app.carrier).once()
    return count, time.perf_counter() - begun


def line(name: str, rows: int, seconds: float) -> None:
    print(f"| {name} | {rows:,} | {seconds:.1f} | {rows / seconds:,.0f} |", flush=True)


def environment(file: Path, url: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AGENT_MEM_", "CLAUDE_"))}
    return {
        **kept,
        "AGENT_MEM_DB": str(file),
        "AGENT_MEM_SERVER": url,
        "AGENT_MEM_LOG_LEVEL": "ERROR",
    }


@asynccontextmanager
async def serving(file: Path, url: str) -> AsyncGenerator[Client]:
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "agent_mem", "serve"], env=environment(file, url)
    )
    async with Client(parameters) as client:
        await client.call_tool("recall", {"query": "ready"})
        yield client


async def travelling(url: str, folder: Path) -> None:
    """Write on one server, and ask another until it is there."""
    times: list[float] = []
    async with serving(folder / "a.db", url) as here, serving(folder / "b.db", url) as there:
        for n in range(TRAVELS):
            word = f"parcel{n}x{os.getpid()}"
            await asyncio.sleep(random.uniform(0, APART))  # noqa: S311 - at no time that a pass is known to be
            await here.call_tool("remember", {"content": f"The {word} has left."})
            begun = time.perf_counter()
            while not await knows(there, word) and time.perf_counter() - begun < FOUND_WITHIN:  # noqa: ASYNC110 - it is another process's
                await asyncio.sleep(0.01)
            times.append(time.perf_counter() - begun)
    print(f"\nreadable on another machine after, p50 / p95 ms: {pair(times)}\n", flush=True)


async def knows(client: Client, word: str) -> bool:
    result = await client.call_tool("recall", {"query": f'"{word}"'})
    return word in str(result.structured_content)


def pair(times: Sequence[float]) -> str:
    found = sorted(times)
    p95 = found[int(0.95 * (len(found) - 1))]
    return f"{MILLI * statistics.median(found):.1f} / {MILLI * p95:.1f}"


@contextmanager
def hanging() -> Generator[str]:
    """Give the address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept: list[socket.socket] = []
        closed = threading.Event()

        def accept() -> None:
            while not closed.is_set():
                try:
                    kept.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"postgresql://postgres:x@127.0.0.1:{listener.getsockname()[1]}/postgres"
        closed.set()
        for each in kept:
            each.close()


Times = dict[str, dict[str, list[list[float]]]]
"""What calls took: of each server, of each tool, turn by turn."""


async def beside(urls: dict[str, str], folder: Path, pause: float) -> None:
    """Call a server of each kind in turn, again and again, so that noise meets all alike."""
    times: Times = {name: {tool: [] for tool in TOOLS} for name in urls}
    texts = iter(fresh(ROUNDS * CALLS * len(urls)))
    async with AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(serving(folder / f"{name}.db", url))
            for name, url in urls.items()
        }
        await asyncio.sleep(WARM)
        for _ in range(ROUNDS):
            for name in random.sample(list(urls), len(urls)):
                await asyncio.sleep(REST)
                took = await turn(clients[name], islice(texts, CALLS), pause)
                for tool, found in took.items():
                    times[name][tool].append(found)
    print("| PostgreSQL is | remember, p50 / p95 ms | recall |\n| --- | --- | --- |")
    for name, found in times.items():
        cells = (pair([*chain(*found[tool])]) for tool in TOOLS)
        print(f"| {name} | {' | '.join(cells)} |")
    for tool in TOOLS:
        low, middle, high = more(times, tool)
        print(
            f"\n{tool}, p95 while it is reachable: {middle:+.1%} (90 %: {low:+.1%} to {high:+.1%})"
        )


async def turn(client: Client, texts: Iterable[str], pause: float) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {tool: [] for tool in TOOLS}
    for text in texts:
        await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - as above
        for tool, arguments in (
            ("remember", {"content": text}),
            ("recall", {"query": text[:80]}),
        ):
            begun = time.perf_counter()
            await client.call_tool(tool, arguments)
            times[tool].append(time.perf_counter() - begun)
    return times


def more(times: Times, tool: str) -> list[float]:
    """Tell how much more the p95 is where the server is reachable than where it is not.

    Gives the 5th, 50th and 95th percentile of resamplings (the bootstrap: Efron 1979) of whole
    turns, since the calls of one have their noise in common.
    """
    there, *others = (np.array(found[tool]) for found in times.values())
    gone = np.concatenate(others)
    rng = np.random.default_rng(0)
    ratios = [
        np.percentile(rng.choice(there, len(there)), 95)
        / np.percentile(rng.choice(gone, len(gone)), 95)
        for _ in range(RESAMPLED)
    ]
    return [float(ratio) - 1 for ratio in np.percentile(ratios, [5, 50, 95])]


async def create(url: str, database: str) -> None:
    pool = await connect(url)
    await pool.execute(f"CREATE DATABASE {database}")
    await pool.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--of", type=Path)
    parser.add_argument("--pause", type=float, default=0.2, help="seconds between calls, at most")
    options = parser.parse_args()
    with trial() as server, hanging() as deaf, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.of:
            asyncio.run(create(server.url(), "vectors"))
            asyncio.run(with_vectors(server.url("vectors"), folder, options.of))
        asyncio.run(throughput(server.url(), folder, options.rows))
        for database in ("travels", "beside"):  # without the rows of before
            asyncio.run(create(server.url(), database))
        asyncio.run(travelling(server.url("travels"), folder))
        nowhere = "postgresql://postgres:x@127.0.0.1:1/postgres"
        urls = {"reachable": server.url("beside"), "unreachable": nowhere, "hanging": deaf}
        asyncio.run(beside(urls, folder, options.pause))


if __name__ == "__main__":
    main()
