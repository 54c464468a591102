"""Measure other memories beside this one: `python bench/peers.py LOCOMO_JSON`.

    [--encoder FOLDER] [--peer NAME ...] [--conversations N] [--limit N] [--work FOLDER]

Each conversation is stored turn by turn in a new store of each memory, then each question is asked
once for ten turns. Printed are the figures of `bench/recall.py`, the time that one write and one
search took for the caller, and how many turns were stored and how many of them are there after it.
Who takes an encoder takes ours: the one in FOLDER, behind an OpenAI-compatible endpoint on the
loopback interface. Its own time is printed too, for each of them pays it; agent-mem encodes inside.

The others are installed with pinned versions into environments in the folder of `--work`, from
PyPI and npm, and are no dependency of this project. A memory that cannot run is listed with why.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import anyio
import numpy as np
import peer_stores
from conversations import Question, Turn, data_sets, measured
from mcp import MCPError
from peer_library import Endpoint, serving, timing
from peer_stores import TOP, Open, PeerFailed, Started, Store

from agent_mem.recall.encoder import MODEL, Encoder
from agent_mem.recall.words import STOP_WORDS

LIBRARY = str(Path(__file__).with_name("peer_library.py"))
WAIT = 900
"""Seconds for one conversation of one memory."""


class Peer(NamedTuple):
    name: str
    open: Open
    command: tuple[str, ...] = ()
    """How it is started; {here} is its environment, {folder} the store, {endpoint} the encoder."""
    environment: dict[str, str] = {}  # noqa: RUF012 - never changed
    package: str = ""
    """What is installed for it, apart by blanks: from npm if it begins with @, or from PyPI."""
    ways: tuple[str, ...] = ("",)
    """The ways to ask it; each has a row."""
    encodes: bool = False
    """It has to ask the endpoint for vectors."""


MEM0 = ("{here}/bin/python", LIBRARY, "mem0", "{folder}", "{endpoint}")
QUIET_MEM0 = {"MEM0_TELEMETRY": "False", "MEM0_DIR": "{folder}/mem0"}
PEERS = (
    Peer("FTS5 BM25", peer_stores.full_text),
    Peer(
        "server-memory",
        peer_stores.server(peer_stores.Graph),
        ("{here}/node_modules/.bin/mcp-server-memory",),
        {"MEMORY_FILE_PATH": "{folder}/memory.jsonl"},
        "@modelcontextprotocol/server-memory@2026.8.31",
        ways=("whole question", "each word"),
    ),
    Peer(
        "mcp-memory-service",
        peer_stores.server(peer_stores.Service),
        ("{here}/bin/memory", "server"),
        {
            "MCP_MEMORY_BASE_DIR": "{folder}",
            "MCP_MEMORY_SQLITE_PATH": "{folder}/memory.db",
            "MCP_EXTERNAL_EMBEDDING_URL": "{endpoint}/embeddings",
            "MCP_EXTERNAL_EMBEDDING_MODEL": "all-MiniLM-L6-v2",
            "MCP_SEMANTIC_DEDUP_ENABLED": "false",
        },
        "mcp-memory-service==12.2.0",
        ways=("semantic", "hybrid"),
        encodes=True,
    ),
    Peer(
        "mem0ai",
        peer_stores.library,
        MEM0,
        QUIET_MEM0,
        "mem0ai==2.2.1",
        encodes=True,
    ),
    Peer(
        "mem0ai+fastembed",
        peer_stores.library,
        (*MEM0, " ".join(sorted(STOP_WORDS))),
        QUIET_MEM0,
        "mem0ai==2.2.1 fastembed==0.9.1",
        encodes=True,
    ),
    Peer(
        "chromadb",
        peer_stores.library,
        ("{here}/bin/python", LIBRARY, "chromadb", "{folder}", "{endpoint}"),
        {"ANONYMIZED_TELEMETRY": "False"},
        "chromadb==1.5.9",
        encodes=True,
    ),
    Peer(
        "agent-mem",
        peer_stores.server(peer_stores.Ours),
        (sys.executable, "-m", "agent_mem", "serve"),
        {"AGENT_MEM_DB": "{folder}/memory.db"},
    ),
)


def install(peer: Peer, work: Path) -> Path:
    """Install a memory, once.

    Raises:
        PeerFailed: it cannot be installed here.
    """
    here = work / re.sub(r"\W+", "-", peer.package).strip("-") if peer.package else work
    if peer.package and not (here / "installed").exists():
        shutil.rmtree(here, ignore_errors=True)
        commands = of_npm(peer.package, here) if peer.package[0] == "@" else of_pypi(peer, here)
        for command in commands:
            run(command)
        (here / "installed").touch()
    return here


def of_npm(package: str, here: Path) -> Iterator[list[str]]:
    if missing := [needed for needed in ("node", "npm") if shutil.which(needed) is None]:
        raise PeerFailed(f"there is no {missing[0]} here")
    yield ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(here), package]


def of_pypi(peer: Peer, here: Path) -> Iterator[list[str]]:
    yield [python(), "-m", "venv", str(here)]
    yield [str(here / "bin/python"), "-m", "pip", "install", "--quiet", *peer.package.split()]


def python() -> str:
    """Find a Python whose SQLite loads extensions, as `mcp-memory-service` needs it."""
    test = "import sqlite3; sqlite3.Connection.enable_load_extension"
    usual = [shutil.which(f"python3{minor}", path="/usr/bin") for minor in ("", ".11", ".12")]
    for path in filter(None, (sys.executable, *usual)):
        if not subprocess.run([path, "-c", test], capture_output=True, check=False).returncode:
            return path
    return sys.executable


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise PeerFailed(f"{command[0]} failed: {last}")


class Measured:
    """What was measured of one way to ask a memory."""

    def __init__(self) -> None:
        self.figures: list[tuple[float, ...]] = []
        self.writes: list[float] = []
        self.searches: list[float] = []
        self.stored = self.held = 0
        self.settled = 0.0

    def __str__(self) -> str:
        held = f"{self.held}/{self.stored}"
        times = f"{spread(self.writes)}{spread(self.searches)}{self.settled:9.1f}"
        means = "".join(f"{100 * mean:11.1f}" for mean in np.mean(self.figures, axis=0))
        return f"{means}{len(self.figures):11d}{times}{held:>12}"


def spread(times: list[float]) -> str:
    """Say the median and the 95th percentile."""
    ordered = sorted(times)
    return f"{statistics.median(ordered):9.2f}{ordered[int(0.95 * (len(ordered) - 1))]:9.2f}"


class Conversation(NamedTuple):
    said: list[Turn]
    asked: list[Question]


def conversations(path: Path, count: int | None, limit: int | None) -> Iterator[Conversation]:
    for told in data_sets(path)[0].conversations[:count]:
        yield Conversation(told.turns, told.main[:limit])


class Bench:
    """One run: the rows of one memory."""

    def __init__(self, peer: Peer, endpoint: Endpoint) -> None:
        self.peer = peer
        self.why = ""
        """Why there are no figures, if there are none."""
        self.here = Path()
        self.rows = {way: Measured() for way in peer.ways}
        self._endpoint = endpoint

    def install(self, work: Path) -> None:
        try:
            self.here = install(self.peer, work)
        except (PeerFailed, OSError) as error:
            self.why = str(error)

    async def measure(self, told: Conversation) -> None:
        """Measure one conversation, unless the memory failed before."""
        if self.why:
            return
        encoded = len(self._endpoint.times)
        try:
            with anyio.fail_after(WAIT), tempfile.TemporaryDirectory() as folder:
                async with self.peer.open(self._start(folder)) as store:
                    await self._ask(store, told)
        except* (PeerFailed, MCPError, OSError, LookupError, ValueError) as group:
            self.why = first(group)
        if self.peer.encodes and len(self._endpoint.times) - encoded < len(told.said):
            self.why = self.why or "it did not ask for the vector of each turn"

    def _start(self, folder: str) -> Started:
        """Start in an environment in which nothing of the user's is read, or left behind."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        kept |= {"HOME": folder, "HF_HUB_OFFLINE": "1", **self.peer.environment}
        known = {"here": self.here, "folder": folder, "endpoint": self._endpoint.url}
        command = [part.format(**known) for part in self.peer.command]
        return Started(command, {k: v.format(**known) for k, v in kept.items()}, Path(folder))

    async def _ask(self, store: Store, told: Conversation) -> None:
        writes: list[float] = []
        for turn in told.said:
            with timing(writes):
                await store.write(turn)
        settled, held = await store.settle(), len(await store.held())
        for way, row in self.rows.items():
            row.settled = max(row.settled, settled)
            row.writes += writes
            row.stored += len(told.said)
            row.held += held
            for question in told.asked:
                with timing(row.searches):
                    found = await store.search(question.text, way)
                row.figures.append(measured(found[:TOP], question.evidence))

    def show(self) -> None:
        for way, row in self.rows.items():
            name = " ".join(filter(None, (self.peer.name, way)))
            print(f"{name:34}{f' not measured: {self.why}' if self.why else row}")


def first(group: BaseExceptionGroup[Exception]) -> str:
    """Say the first of what went wrong, in a line."""
    error = group.exceptions[0]
    if isinstance(error, BaseExceptionGroup):
        return first(error)
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


async def compare(benches: list[Bench], told: Iterable[Conversation]) -> None:
    """Measure the memories in turn, so that the same noise is in all of them."""
    for conversation in told:
        for bench in benches:
            await bench.measure(conversation)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--encoder", type=Path, default=MODEL)
    parser.add_argument("--peer", action="append", choices=[peer.name for peer in PEERS])
    parser.add_argument("--conversations", type=int, help="only the first so many")
    parser.add_argument("--limit", type=int, help="only the first so many questions of each")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache/agent-mem-bench")
    options = parser.parse_args()
    encoder = Encoder.load(options.encoder)
    with serving(lambda texts: [e.vector.tolist() for e in encoder.encode(texts)]) as endpoint:
        benches = [Bench(p, endpoint) for p in PEERS if p.name in (options.peer or [p.name])]
        for bench in benches:
            bench.install(options.work)
        anyio.run(
            compare, benches, conversations(options.data, options.conversations, options.limit)
        )
        head = ("recall@5", "recall@10", "nDCG@10", "questions")
        print(f"{'':34}" + "".join(f"{name:>11}" for name in head), end="")
        print(f"{'write p50':>10}{'p95':>8}{'search p50':>11}{'p95':>7}{'settled':>9}{'held':>12}")
        for bench in benches:
            bench.show()
        if endpoint.times:
            print(f"{'the encoder alone, a text':34}{'':44}{spread(endpoint.times)}")


if __name__ == "__main__":
    main()
