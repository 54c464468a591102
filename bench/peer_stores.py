"""The stores that `bench/peers.py` measures, each asked through its own public interface.

A store is opened for one conversation and closed after it. A turn is one item, told with its date
and speaker; only `agent-mem` has arguments for these.
"""

import json
import re
import sqlite3
import time
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import NamedTuple, Protocol

import anyio
from conversations import Turn
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import TextContent
from recall_systems import any_of

from agent_mem.recall.words import STOP_WORDS

TOP = 10
PAGE = 100
WORDS = "by words alone"
"""What `recall` says as long as there are no vectors."""
QUIET = 2
"""Seconds without a write after which none is expected."""
LONGEST_WAIT = 60
LONGEST_LINE = 1 << 24


class PeerFailed(Exception):
    """Say in a line why there are no figures."""


class Store(Protocol):
    async def write(self, turn: Turn) -> None: ...
    async def search(self, question: str, way: str) -> list[str]:
        """Find the keys of the first ten turns."""
        ...

    async def held(self) -> set[str]:
        """Find the keys of all turns that are stored."""
        ...

    async def settle(self) -> float:
        """Wait until all that was written has been worked into the store; say how many seconds."""
        return 0.0


class Started(NamedTuple):
    """What a store is started with: for a server or a library, as a process."""

    command: list[str]
    environment: dict[str, str]
    folder: Path


Open = Callable[[Started], AbstractAsyncContextManager[Store]]


def told(turn: Turn) -> str:
    """Write a turn as one text, with its date and speaker."""
    return f"{turn.speaker} ({turn.at.day} {turn.at:%B %Y}): {turn.text}"


class FullText(Store):
    """FTS5 by itself: a file, porter stemming, any word, no stop words; each turn is committed."""

    def __init__(self, folder: Path) -> None:
        self._db = sqlite3.connect(folder / "fts.db")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("CREATE VIRTUAL TABLE t USING fts5 (key UNINDEXED, text, tokenize=porter)")

    async def write(self, turn: Turn) -> None:
        with self._db:
            self._db.execute("INSERT INTO t VALUES (?, ?)", (turn.key, told(turn)))

    async def search(self, question: str, way: str) -> list[str]:
        del way
        query = "SELECT key FROM t WHERE t MATCH ? ORDER BY rank LIMIT ?"
        return [key for (key,) in self._db.execute(query, (any_of(question), TOP))]

    async def held(self) -> set[str]:
        return {key for (key,) in self._db.execute("SELECT key FROM t")}

    def close(self) -> None:
        self._db.close()


@asynccontextmanager
async def full_text(started: Started) -> AsyncGenerator[Store]:
    with closing(FullText(started.folder)) as store:
        yield store


class Tools:
    """An MCP server's tools, and the folder of its store."""

    def __init__(self, client: Client, folder: Path) -> None:
        self._client = client
        self.folder = folder

    async def call(self, tool: str, **arguments: object) -> str:
        """Call a tool and return its text.

        Raises:
            PeerFailed: it said that it failed.
        """
        result = await self._client.call_tool(tool, arguments)
        text = "".join(part.text for part in result.content if isinstance(part, TextContent))
        if result.is_error:
            raise PeerFailed(f"{tool}: {text}")
        return text

    async def there(self, uri: str) -> bool:
        """Say whether a resource can be read."""
        try:
            return bool((await self._client.read_resource(uri)).contents)
        except MCPError:
            return False


class Ours(Store):
    """The server of this project: `remember` and `recall`."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._keys: dict[str, list[str]] = {}

    async def write(self, turn: Turn) -> None:
        about = {"subject": turn.speaker, "session": turn.session}
        done = await self._tools.call(
            "remember", content=turn.text, occurred_at=turn.at.isoformat(), **about
        )
        self._keys.setdefault(json.loads(done)["id"], []).append(turn.key)

    async def search(self, question: str, way: str) -> list[str]:
        del way
        found = await self._tools.call("recall", query=question, limit=TOP, max_tokens=20_000)
        return [key for hit in json.loads(found).get("hits", ()) for key in self._keys[hit["id"]]]

    async def held(self) -> set[str]:
        return {key for at in self._keys for key in await self._read(at)}

    async def settle(self) -> float:
        """Wait for the vectors: until recall goes not by words alone, and nothing is written."""
        began = time.monotonic()
        while WORDS in (said := await self._tools.call("recall", query="anything")):
            if time.monotonic() - began > LONGEST_WAIT:
                raise PeerFailed(json.loads(said)["note"])
            await anyio.sleep(QUIET / 10)
        with closing(sqlite3.connect(self._tools.folder / "memory.db")) as db:
            before, now = None, db.execute("PRAGMA data_version").fetchone()
            while before != now:
                await anyio.sleep(QUIET)
                before, now = now, db.execute("PRAGMA data_version").fetchone()
        return time.monotonic() - began - QUIET

    async def _read(self, at: str) -> list[str]:
        return self._keys[at] if await self._tools.there(f"memory://item/{at}") else []


class Graph(Store):
    """`@modelcontextprotocol/server-memory`: a turn is an entity with one observation.

    It finds what contains the whole query. The way `each word` searches once for each word that
    is no stop word, and puts first what was found most often: more than its interface offers.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def write(self, turn: Turn) -> None:
        entity = {"name": turn.key, "entityType": "turn", "observations": [told(turn)]}
        await self._tools.call("create_entities", entities=[entity])

    async def search(self, question: str, way: str) -> list[str]:
        if way == "whole question":
            return (await self._find(question))[:TOP]
        counts: dict[str, int] = {}
        for word in sorted(set(re.findall(r"\w+", question.lower())) - STOP_WORDS):
            for key in await self._find(word):
                counts[key] = counts.get(key, 0) + 1
        return sorted(counts, key=lambda key: -counts[key])[:TOP]

    async def _find(self, words: str) -> list[str]:
        found = await self._tools.call("search_nodes", query=words)
        return [entity["name"] for entity in json.loads(found)["entities"]]

    async def held(self) -> set[str]:
        graph = json.loads(await self._tools.call("read_graph"))
        return {entity["name"] for entity in graph["entities"]}


class Service(Store):
    """`mcp-memory-service`: a turn is a memory; what it finds is known by its hash."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._keys: dict[str, str] = {}

    async def write(self, turn: Turn) -> None:
        done = await self._tools.call(
            "memory_store", content=told(turn), metadata={"tags": [turn.speaker, turn.session]}
        )
        if stored := re.search(r"stored successfully \(hash: (\w+)\)", done):
            self._keys[stored[1]] = turn.key

    async def search(self, question: str, way: str) -> list[str]:
        found = await self._tools.call("memory_search", query=question, mode=way, limit=TOP)
        hashes = re.findall(r"^\s+Hash: (\w+)", found, re.MULTILINE)
        return [self._keys[digest] for digest in hashes if digest in self._keys]

    async def held(self) -> set[str]:
        return {self._keys[digest] async for digest in self._listed()}

    async def _listed(self) -> AsyncIterator[str]:
        page, more = 1, True
        while more:
            listed = json.loads(await self._tools.call("memory_list", page=page, page_size=PAGE))
            for memory in listed["memories"]:
                yield memory["content_hash"]
            page, more = page + 1, listed["has_more"]


class Library(Store):
    """A library in a process of its own environment, asked by lines of JSON."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def write(self, turn: Turn) -> None:
        await self._ask("write", turn.key, told(turn), turn.speaker)

    async def search(self, question: str, way: str) -> list[str]:
        del way
        return await self._ask("search", question, TOP)

    async def held(self) -> set[str]:
        return set(await self._ask("held"))

    async def _ask(self, *line: object) -> list[str]:
        wire, answers = self._process.stdin, self._process.stdout
        if wire is None or answers is None:
            raise RuntimeError
        wire.write(json.dumps(line).encode() + b"\n")
        await wire.drain()
        if not (answer := await answers.readline()):
            raise PeerFailed(f"its process ended with {await self._process.wait()}")
        return json.loads(answer)


@asynccontextmanager
async def library(started: Started) -> AsyncGenerator[Store]:
    """Start a library in its own process."""
    with (started.folder / "stderr").open("wb") as errors:
        process = await create_subprocess_exec(
            *started.command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=errors,
            limit=LONGEST_LINE,
            env=started.environment,
        )
        try:
            yield Library(process)
        finally:
            if process.stdin:
                process.stdin.close()
            await process.wait()


def server(store: Callable[[Tools], Store]) -> Open:
    """Start an MCP server over stdio."""

    @asynccontextmanager
    async def opened(started: Started) -> AsyncGenerator[Store]:
        command, *arguments = started.command
        parameters = StdioServerParameters(
            command=command, args=arguments, env=started.environment, cwd=started.folder
        )
        with (started.folder / "stderr").open("w") as errors:
            async with Client(stdio_client(parameters, errlog=errors)) as client:
                yield store(Tools(client, started.folder))

    return opened
