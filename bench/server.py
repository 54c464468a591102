"""Measure the server: `python bench/server.py [--memories 10000] [--rounds 15]`.

Process start to first answer, against the SDK's server with one tool, in turn; then, with so many
memories, the time of a recall and of a remember inside the server and through stdio (beside an
echo of the bare server through the same client), and the resident memory of the process. Times
are in milliseconds. The memories are sentences of random words, as unevenly frequent as in a
natural language without its stop words (Zipf-Mandelbrot), the rarer the longer, in sessions of
twenty; a question has five such words.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from mcp import Client, StdioServerParameters

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.records.memory import Memory
from agent_mem.records.record import uuid7
from agent_mem.tools.memories import remember
from agent_mem.tools.recall import recall

BARE = [sys.executable, str(Path(__file__).with_name("bare_server.py"))]
OURS = [sys.executable, "-m", "agent_mem", "serve"]
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    },
}
WORDS = 20_000
STOP_WORDS = 25
BATCH = 500


def first_answer(command: list[str], db: Path) -> float:
    """Start a process and wait for its first answer."""
    began = time.perf_counter()
    environment = {**os.environ, "AGENT_MEM_DB": str(db)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError
        process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        took = time.perf_counter() - began
        process.stdin.close()
    if b'"result"' not in line:
        raise RuntimeError(line)
    return 1000 * took


class Language:
    """Random sentences whose words are as unevenly frequent as in a natural language."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a benchmark that repeats itself
        self._words = [self._word(rank) for rank in range(WORDS)]
        self._weights = [1 / (rank + STOP_WORDS) for rank in range(1, WORDS + 1)]

    def _word(self, rank: int) -> str:
        syllables = ("ka", "ro", "mi", "ten", "sul", "ve", "dor", "lin", "pa", "gus", "ze", "fo")
        longer = (rank > WORDS // 100) + (rank > WORDS // 10)
        return "".join(self._random.choices(syllables, k=self._random.randint(2, 3) + longer))

    def words(self, count: int) -> list[str]:
        return self._random.choices(self._words, self._weights, k=count)

    def sentence(self) -> str:
        return " ".join(self.words(self._random.randint(8, 30))).capitalize() + "."

    def question(self) -> str:
        return f"When did {' '.join(self.words(5))}?"


async def fill(app: App, language: Language, count: int) -> None:
    for begin in range(0, count, BATCH):
        batch: list[Memory] = []
        for n in range(begin, min(begin + BATCH, count)):
            session = uuid7() if not n % 20 else batch[-1].session_id if batch else uuid7()
            memory = Memory(agent_name="bench", content=language.sentence(), session_id=session)
            batch.append(memory.model_copy(update={"content_hash": memory.fingerprint()}))
        await app.store.put(*batch)


async def timed(rounds: int, act: Callable[[], Awaitable[object]]) -> list[float]:
    times: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        await act()
        times.append(1000 * (time.perf_counter() - began))
    return times


def row(name: str, times: list[float]) -> None:
    times = sorted(times)
    p95 = times[int(0.95 * (len(times) - 1))]
    print(f"{name:44}{times[0]:9.2f}{statistics.median(times):9.2f}{p95:9.2f}")


async def inside(db: Path, language: Language, memories: int, rounds: int) -> None:
    async with open_app(Settings(db=db)) as app:
        await fill(app, language, memories)
        await timed(20, lambda: recall(app, query=language.question()))
        asked = await timed(rounds, lambda: recall(app, query=language.question()))
        row(f"recall inside the server, {memories} memories", asked)
        written = await timed(rounds, lambda: remember(app, content=language.sentence()))
        row("remember inside the server", written)


async def through_stdio(db: Path, language: Language, rounds: int) -> None:
    environment = {**os.environ, "AGENT_MEM_DB": str(db)}

    def calling(
        client: Client, tool: str, name: str, say: Callable[[], str]
    ) -> Callable[[], Awaitable[object]]:
        return lambda: client.call_tool(tool, {name: say()})

    async with Client(StdioServerParameters(command=BARE[0], args=BARE[1:])) as bare:
        row(
            "echo of the bare server through stdio",
            await timed(rounds, calling(bare, "echo", "text", language.sentence)),
        )
    ours = StdioServerParameters(command=OURS[0], args=OURS[1:], env=environment)
    async with Client(ours) as client:
        await timed(20, calling(client, "recall", "query", language.question))
        row(
            "recall through stdio",
            await timed(rounds, calling(client, "recall", "query", language.question)),
        )
        row(
            "remember through stdio",
            await timed(rounds, calling(client, "remember", "content", language.sentence)),
        )
        print(f"{'resident memory of the server':44}{resident('agent_mem serve'):9.1f} MiB")


def resident(command: str) -> float:
    """Find the resident memory of our child, in MiB (Linux)."""
    for status in Path("/proc").glob("[0-9]*/status"):
        line = status.with_name("cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        fields = dict(f.split(":\t", 1) for f in status.read_text().splitlines() if ":\t" in f)
        if line.endswith(command) and fields["PPid"].strip() == str(os.getpid()):
            return int(fields["VmRSS"].split()[0]) / 1024
    return float("nan")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--memories", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    language = Language(seed=7)
    print(f"{'milliseconds':44}{'min':>9}{'p50':>9}{'p95':>9}")
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "memory.db"
        pairs = [(first_answer(BARE, db), first_answer(OURS, db)) for _ in range(options.rounds)]
        bare, ours = zip(*pairs[1:], strict=True)
        row("bare SDK server: start to first answer", list(bare))
        row("agent-mem: start to first answer", list(ours))
        ratio = statistics.median(ours) / statistics.median(bare)
        print(f"{'ratio of the medians':44}{ratio:18.2f}")
        asyncio.run(inside(db, language, options.memories, 20 * options.rounds))
        asyncio.run(through_stdio(db, language, 20 * options.rounds))


if __name__ == "__main__":
    main()
