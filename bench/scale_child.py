"""One measurement of one database, in a process of its own: `python scale_child.py WHAT FOLDER`.

What it prints is JSON for `scale.py`.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import numpy as np
from conversations import Question, data_sets
from numpy.typing import NDArray
from scale_build import COMPLETE, FLOATS, fresh, imported, settings_of

from agent_mem.app import App, open_app
from agent_mem.recall.search import Finder, Request
from agent_mem.recall.vectors import Vector
from agent_mem.storage.blocks import queries
from agent_mem.storage.sqlite import SQLite
from agent_mem.storage.statements import Row, Statement, Transaction
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
DIM: Final = 384
OTHERS: Final = (
    "SELECT n, vector FROM memory_index WHERE vector IS NOT NULL AND (n < :first OR n >= :end)"
)
MILLI: Final = 1_000
MIB: Final = 1 << 10
"""KiB in a MiB."""

STAGES: Final = {
    "passages.totals": "counts of words",
    "passages.frequencies": "counts of words",
    "passages.matching": "full text",
    "passages.latest_matching": "full text",
    "passages.newest": "full text",
    "memory_index.latest": "vectors",
    "memory_index.tail": "vectors",
    "passages.records": "neighbours and rows",
    "passages.links": "neighbours and rows",
    "passages.fetch": "neighbours and rows",
    "memory_index.tokens": "token vectors, ranking",
    "record": "the records",
}

T = TypeVar("T")
Figures = dict[str, Any]
Keyed = tuple[NDArray[np.int64], NDArray[Any]]
"""Keys, and the vectors of each."""


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
    """An engine whose reads are timed: each statement, with what comes after it, is of a stage."""

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
                stage = STAGES[names.get(statement.sql, "record")]
                begun = time.thread_time()
                statement = transaction.send((yield statement))
                self.spent[stage] += time.thread_time() - begun
        except StopIteration as end:
            return end.value


async def stages(app: App, asked: Sequence[Question]) -> dict[str, list[float]]:
    """Recall again, and tell what each stage takes."""
    spent: defaultdict[str, list[float]] = defaultdict(list)
    for question in asked:
        engine = Stages(app.store.engine)  # pyright: ignore[reportArgumentType] - it is SQLite here
        finder = Finder(
            replace(app.store, engine=engine), app.finder.meaning, app.finder.frequencies
        )
        request = Request(question.text)
        begun = time.perf_counter()
        meant = await finder.meant(request)
        spent["encode"].append(time.perf_counter() - begun)
        await engine.read(finder.searching(request, meant))
        for stage in dict.fromkeys(STAGES.values()):
            spent[stage].append(engine.spent[stage])
    return {name: spread(times) for name, times in spent.items()}


async def remembering(app: App) -> Figures:
    """Write memories beside the work in the background, as in the server."""
    texts = fresh(WRITTEN + AWAITED)
    written: list[float] = []
    indexed: list[float] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(app.finder.meaning.run)
        written += [await timed(remember(app, content=text)) for text in texts[:WRITTEN]]
        await embedded(app)
        indexed += [await timed(awaited(app, text)) for text in texts[WRITTEN:]]
        tasks.cancel_scope.cancel()
    return {"remember": spread(written), "indexed": spread(indexed)}


async def awaited(app: App, text: str) -> None:
    await remember(app, content=text)
    await embedded(app)


async def embedded(app: App) -> None:
    """Wait until nothing waits for its vectors."""
    (model,) = await app.store.rows("memory_index.models")
    waiting = "memory_index.waiting"
    while (await app.store.rows(waiting, model=model["model"]))[0]["n"]:  # noqa: ASYNC110 - the database has no events
        await anyio.sleep(LOOK)


async def vectors(folder: Path) -> Figures:
    """Compare the nearest vectors with those of an exact search in floats."""
    request = Request("")
    filters = request.filters(request.parsed())
    async with open_app(settings_of(folder)) as app:
        await app.finder.meaning.load()
        asked = questions(step=6)[:COMPARED]
        meant = [one for q in asked if (one := await app.finder.meaning.ask(q.text))]
        best = Best(np.stack([one.vector for one in meant]))
        for keys, rows in await all_vectors(app, folder):
            best.look(keys, rows)
        shares: list[float] = []
        for one, exact in zip(meant, best.keys.tolist(), strict=True):
            nearest = one.index.nearest(app.store, one.vector, filters, TOP)
            found = await app.store.engine.read(nearest)
            shares.append(len({near.n for near in found} & set(exact)) / TOP)
    return {"vectors": 100 * statistics.mean(shares)}


async def all_vectors(app: App, folder: Path) -> list[Keyed]:
    """List all vectors with their keys: as floats, but for those that the product made."""
    first = json.loads((folder / COMPLETE).read_text(encoding="utf-8"))["first"]
    floats: NDArray[Any] = np.memmap(folder / FLOATS, np.float16, "r").reshape(-1, DIM)
    asking = Statement(OTHERS, {"first": first, "end": first + len(floats)})

    def reading() -> Transaction[list[Row]]:
        return (yield asking)

    others = await app.store.engine.read(reading())
    rows = np.frombuffer(b"".join(row["vector"] for row in others), np.int8).reshape(-1, DIM)
    starts = range(0, len(floats), CHUNK)
    parts = [(first + start, floats[start : start + CHUNK]) for start in starts]
    return [
        (np.array([row["n"] for row in others], np.int64), rows),
        *((np.arange(start, start + len(part), dtype=np.int64), part) for start, part in parts),
    ]


class Best:
    """The TOP nearest of all rows that were looked at, for each of some vectors."""

    def __init__(self, asked: Vector) -> None:
        self._asked = asked
        self.keys = np.zeros((len(asked), 0), np.int64)
        self._cosines = np.zeros((len(asked), 0), np.float32)

    def look(self, keys: NDArray[np.int64], rows: NDArray[Any]) -> None:
        wide = rows.astype(np.float32)
        wide /= np.linalg.norm(wide, axis=1, keepdims=True)
        cosines = np.hstack([self._cosines, self._asked @ wide.T])
        every = np.hstack([self.keys, np.broadcast_to(keys, (len(self._asked), len(keys)))])
        best = np.argsort(-cosines, axis=1)[:, :TOP]
        self._cosines = np.take_along_axis(cosines, best, axis=1)
        self.keys = np.take_along_axis(every, best, axis=1)


async def imports(folder: Path) -> Figures:
    """Write and embed memories through the product, into a new database."""
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        async with open_app(settings_of(Path(fresh))) as app:
            return {"import": await imported(app)}


def main() -> None:
    what, folder = sys.argv[1], Path(sys.argv[2])
    act = {"recalls": recalls, "vectors": vectors, "imports": imports}[what]
    print(json.dumps(asyncio.run(act(folder))))


if __name__ == "__main__":
    main()
