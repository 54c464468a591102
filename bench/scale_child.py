"""One measurement of one database, in a process of its own: `python scale_child.py WHAT FOLDER`.

What it prints is JSON for `scale.py`.
"""

import asyncio
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import numpy as np
from conversations import Question, data_sets
from scale_build import FLOATS, SEED, settings_of, writer

from agent_mem.app import App, open_app
from agent_mem.recall.search import Finder, Request
from agent_mem.recall.vectors import Vector
from agent_mem.storage.sqlite import SQLite
from agent_mem.storage.statements import Transaction, queries
from agent_mem.tools.memories import remember
from agent_mem.tools.recall import recall

QUESTIONS: Final = 316
WRITTEN: Final = 100
"""Memories that are written one after the other."""
AWAITED: Final = 15
"""Memories that are written and waited for until they are found by meaning."""
LOOK: Final = 0.005
"""Seconds between two looks at what still waits."""
COMPARED: Final = 100
"""Questions whose nearest vectors are compared with those of an exact search."""
TOP: Final = 10
CHUNK: Final = 50_000
MILLI: Final = 1_000
MIB: Final = 1 << 10
"""KiB in a MiB."""

T = TypeVar("T")
Figures = dict[str, Any]


def questions(step: int = 2) -> list[Question]:
    """Choose questions of all conversations."""
    (data,) = data_sets(None)
    return [q for each in data.conversations for q in each.questions][::step][:QUESTIONS]


def spread(times: Sequence[float]) -> list[float]:
    """Give the median and the 95th percentile of some seconds, in milliseconds."""
    found = sorted(times)
    return [MILLI * statistics.median(found), MILLI * found[int(0.95 * (len(found) - 1))]]


def memory() -> Figures:
    """Tell this process's resident memory in MiB, and how much of it is of files."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    told = dict(line.split(":", 1) for line in lines)
    return {name: int(told[name].split()[0]) // MIB for name in ("VmRSS", "RssFile")}


async def recalls(folder: Path) -> Figures:
    """Open, recall, recall by stages, remember; measure the memory in between."""
    begun = time.perf_counter()
    async with open_app(settings_of(folder)) as app:
        opened = time.perf_counter() - begun
        await app.finder.meaning.load()
        loaded = time.perf_counter() - begun
        after_load = memory()
        asked = questions()
        times = [await timed(recall(app, query=question.text)) for question in asked]
        after_recalls = memory()
        told = {
            "open": MILLI * opened,
            "load": MILLI * loaded,
            "memory after load": after_load,
            "memory after recalls": after_recalls,
            "recall": spread(times),
            "stages": await stages(app, asked),
        }
        return told | await remembering(app)


async def timed(act: Any) -> float:  # noqa: ANN401 - whatever is awaited
    begun = time.perf_counter()
    await act
    return time.perf_counter() - begun


@dataclass
class Stages:
    """An engine whose reads are timed: what the statements take, and what comes after each."""

    engine: SQLite
    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def dialect(self) -> Any:  # noqa: ANN401 - as the engine says
        return self.engine.dialect

    async def read(self, transaction: Transaction[T]) -> T:
        """Run a transaction that only reads, with a clock beside it."""
        return await self.engine.read(self._timing(transaction))

    async def write(self, transaction: Transaction[T]) -> T:
        return await self.engine.write(transaction)

    def _timing(self, transaction: Transaction[T]) -> Transaction[T]:
        names = {sql: name for name, sql in queries("sqlite").items()}
        try:
            statement = next(transaction)
            while True:
                name = names.get(statement.sql, "record")
                begun = time.perf_counter()
                rows = yield statement
                done = time.perf_counter()
                self.spent[name] += done - begun
                statement = transaction.send(rows)
                self.spent[f"after {name}"] += time.perf_counter() - done
        except StopIteration as end:
            return end.value


async def stages(app: App, asked: Sequence[Question]) -> dict[str, list[float]]:
    """Recall again, and tell what each stage takes."""
    spent: defaultdict[str, list[float]] = defaultdict(list)
    for question in asked:
        engine = Stages(app.store.engine)  # pyright: ignore[reportArgumentType] - it is SQLite here
        finder = Finder(replace(app.store, engine=engine), app.finder.meaning, app.finder.frequencies)
        request = Request(question.text)
        begun = time.perf_counter()
        meant = await finder.meant(request)
        spent["encode"].append(time.perf_counter() - begun)
        await engine.read(finder.searching(request, meant))
        for name, seconds in engine.spent.items():
            spent[name].append(seconds)
    return {name: spread(times) for name, times in spent.items()}


async def remembering(app: App) -> Figures:
    """Write memories beside the work in the background, as in the server."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(app.finder.meaning.run)
        texts = [each.memory.content for n in range(10) for each in writer().session(-1 - n, 1)[1]]
        written = [await timed(remember(app, content=text)) for text in texts[:WRITTEN]]
        await embedded(app)
        indexed = [await timed(awaited(app, text)) for text in texts[WRITTEN : WRITTEN + AWAITED]]
        tasks.cancel_scope.cancel()
    return {"remember": spread(written), "indexed": spread(indexed)}


async def awaited(app: App, text: str) -> None:
    await remember(app, content=text)
    await embedded(app)


async def embedded(app: App) -> None:
    """Wait until nothing waits for its vectors."""
    (model,) = await app.store.rows("memory_index.models")
    while (await app.store.rows("memory_index.waiting", model=model["model"]))[0]["n"]:
        await anyio.sleep(LOOK)


async def vectors(folder: Path) -> Figures:
    """Compare the nearest vectors with those of an exact search in floats."""
    async with open_app(settings_of(folder)) as app:
        await app.finder.meaning.load()
        near, shares = 0, list[float]()
        asked = questions(step=6)[:COMPARED]
        meant = [await app.finder.meaning.ask(question.text) for question in asked]
        queries_ = np.stack([one.vector for one in meant if one])
        keys, cosines = await exact(app, folder, queries_)
        request = Request("")
        filters = request.filters(request.parsed())
        for one, best, scores in zip(meant, keys, cosines, strict=True):
            assert one
            found = await app.store.engine.read(
                one.index.nearest(app.store, one.vector, filters, TOP)
            )
            order = np.argsort(-scores)[:TOP]
            shares.append(len({n for n, _ in found} & set(best[order].tolist())) / TOP)
            near += 1
    return {"compared": near, "recall@10 of vectors": 100 * statistics.mean(shares)}


async def exact(app: App, folder: Path, asked: Vector) -> tuple[Any, Any]:
    """Find the nearest by cosine of all floats: their keys and cosines, TOP of each part."""
    (size,) = await app.store.rows("passages.totals")
    floats = np.memmap(folder / FLOATS, np.float16, "r").reshape(-1, asked.shape[1])
    return size, floats


def main() -> None:
    what, folder = sys.argv[1], Path(sys.argv[2])
    act = {"recalls": recalls, "vectors": vectors}[what]
    print(json.dumps(asyncio.run(act(folder))))


if __name__ == "__main__":
    main()
