"""Databases of many memories, made fast: what is real in them, and what is not.

The first memories of each are written and embedded by the product. The rest goes in by the
product's own statements, many rows in one transaction, with the columns that the product's
functions compute of each text. Only their vectors are not computed (a million would take an hour):
a sentence vector is the mean of those of the turns that the text is made of, which are real
encodings of some three thousand, plus noise, and the token vectors are those of the turns, plus
noise. So the vectors lie in clusters like the texts do, but more evenly than real ones. Every
memory is one passage.
"""

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import cache
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Final, NamedTuple

import numpy as np
from conversations import Turn
from numpy.typing import NDArray
from scale_texts import A_SESSION, Writer, Written

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.recall.encoder import Encoder
from agent_mem.recall.index import row
from agent_mem.recall.passages import LONGEST
from agent_mem.recall.vectors import Vector, quantised
from agent_mem.records.memory import Memory
from agent_mem.records.record import Record
from agent_mem.records.session import Session
from agent_mem.storage.blocks import queries
from agent_mem.storage.sqlite import connect, encode
from agent_mem.storage.statements import upsert

SEED: Final = 20260101
REAL: Final = 2_000
"""How many memories are embedded by the product."""
BATCH: Final = 500
"""How many of these are written in one transaction."""
SESSIONS: Final = 250
"""Sessions of one transaction, for the rest."""
APART: Final = 0.4
"""The length of the noise that is added to a sentence vector, whose own is 1."""
STEPS: Final = 4
"""The noise that is added to a token vector's numbers, at most, of 127."""
CACHE: Final = -1_000_000
"""KiB of pages that are kept in memory meanwhile, negative as SQLite wants it."""
WORKERS: Final = 2
COMPLETE: Final = "complete.json"
FLOATS: Final = "vectors.f16"

Params = dict[str, Any]


class Rows(NamedTuple):
    """What some sessions put into the tables."""

    sessions: list[Params]
    memories: list[Params]
    passages: list[Params]
    turns: list[list[int]]


@cache
def writer() -> Writer:
    """Make the writer of this process."""
    return Writer(SEED)


def fresh(count: int) -> list[str]:
    """Write texts that no run had before."""
    stamp = time.time_ns()
    sessions = (
        writer().session(stamp + n, stamp + count)[1] for n in range(count // A_SESSION + 1)
    )
    return [each.memory.content for written in sessions for each in written][:count]


def settings_of(folder: Path) -> Settings:
    """Read no setting of whoever runs this."""
    return Settings(db=folder / "memory.db", project=None, embedder="builtin", owner="me")


async def build(folder: Path, count: int) -> None:
    """Make a database of so many memories, unless there is one."""
    if (folder / COMPLETE).exists():
        return
    begin(folder)
    async with open_app(settings_of(folder)) as app:
        await imported(app)
    first = fill(folder, count)
    async with open_app(settings_of(folder)) as app:
        began = time.perf_counter()
        await app.finder.meaning.load()  # takes in all vectors, and writes the file of the index
        indexed = time.perf_counter() - began
    told = {"first": first, "indexed without file": indexed}
    (folder / COMPLETE).write_text(json.dumps(told), encoding="utf-8")


def begin(folder: Path) -> None:
    """Make room for a new database."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("memory.db*"):
        path.unlink()


async def imported(app: App) -> float:
    """Write and embed memories through the product; tell how many passages a second."""
    sessions = [writer().session(number, REAL) for number in range(REAL // A_SESSION)]
    memories = [shortened(each.memory) for _, made in sessions for each in made]
    await app.finder.meaning.load()
    began = time.perf_counter()
    for start in range(0, REAL, BATCH):
        await app.store.put(*memories[start : start + BATCH])
    await app.finder.meaning.embed()
    return REAL / (time.perf_counter() - began)


class Pool:
    """The encodings of the turns of which all texts are made."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        made = Encoder.load().encode([f"{turn.speaker}: {turn.text}" for turn in turns])
        self._chance = np.random.default_rng(SEED)
        self._vectors = np.stack([one.vector for one in made])
        self._tokens = [one.tokens for one in made]

    def vectors(self, texts: Sequence[Sequence[int]]) -> Vector:
        """Make the sentence vectors of texts, each given by the turns that it is made of."""
        means: Vector = np.stack([self._vectors[list(turns)].mean(axis=0) for turns in texts])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        noise = self._chance.standard_normal(means.shape, np.float32)
        found = np.add(means, noise * (APART * means.shape[1] ** -0.5), dtype=np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def tokens(self, turns: Sequence[int]) -> bytes:
        """Make the token vectors of one text."""
        rows = np.concatenate([self._tokens[turn] for turn in turns])
        noise = self._chance.integers(-STEPS, STEPS + 1, rows.shape, np.int8)
        return (np.clip(rows, STEPS - 127, 127 - STEPS) + noise).tobytes()


def fill(folder: Path, count: int) -> int:
    """Write the rest of the memories; give the key of their first passage."""
    sessions = range(REAL // A_SESSION, count // A_SESSION)
    pool = Pool(writer().turns)
    with closing(connect(folder / "memory.db")) as db, (folder / FLOATS).open("wb") as floats:
        ((last,),) = db.execute("SELECT max(n) FROM passages")
        db.execute("PRAGMA synchronous = OFF")
        db.execute(f"PRAGMA cache_size = {CACHE}")
        for rows in written(sessions):
            vectors = pool.vectors(rows.turns)
            floats.write(vectors.astype(np.float16).tobytes())
            insert(db, rows, quantised(vectors), [pool.tokens(turns) for turns in rows.turns])
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return last + 1


def written(sessions: range) -> Iterator[Rows]:
    """Write the texts in other processes, some sessions at a time, in their order."""
    with ProcessPoolExecutor(WORKERS) as workers:
        starts = range(sessions.start, sessions.stop, SESSIONS)
        parts = [range(start, min(start + SESSIONS, sessions.stop)) for start in starts]
        ahead = [workers.submit(rows_of, part, sessions.stop) for part in parts[: WORKERS * 2]]
        for part in [*parts[len(ahead) :], *[None] * len(ahead)]:
            yield ahead.pop(0).result()
            if part:
                ahead.append(workers.submit(rows_of, part, sessions.stop))


def rows_of(numbers: range, of: int) -> Rows:
    """Write some sessions, as the tables have them."""
    rows = Rows([], [], [], [])
    for number in numbers:
        session, memories = writer().session(number, of)
        rows.sessions.append(encoded(session.model_dump()))
        for each in memories:
            put(rows, each)
    return rows


def put(rows: Rows, written: Written) -> None:
    memory = shortened(written.memory)
    passage = row(memory, memory.findable(), memory.content)
    rows.memories.append(encoded(memory.model_dump()))
    rows.passages.append(encoded({"owner": "me", "part": 0, **passage}))
    rows.turns.append(written.turns)


def shortened(memory: Memory) -> Memory:
    """Keep to one passage."""
    return memory.model_copy(update={"content": memory.content[:LONGEST].rstrip()})


def encoded(params: Params) -> Params:
    return {name: encode(value) for name, value in params.items()}


def insert(db: Connection, rows: Rows, vectors: NDArray[np.int8], tokens: Sequence[bytes]) -> None:
    """Write some rows into all tables that they are in, as the product does one by one."""
    ask = queries("sqlite")
    db.execute("BEGIN IMMEDIATE")
    ((origin, clock, *_),) = db.execute(
        ask["local.tick"], {"wall": (time.time_ns() // 10**6) << 16}
    )
    ((model,),) = db.execute("SELECT model FROM embedding_models")
    ((last,),) = db.execute("SELECT max(n) FROM passages")
    for kind, found in ((Session, rows.sessions), (Memory, rows.memories)):
        save(db, kind, found, {"owner": "me", "origin": origin, "hlc": clock + 1})
    db.executemany(ask["passages.put"], rows.passages)
    keys = range(last + 1, last + 1 + len(rows.passages))
    words = zip(keys, rows.passages, strict=True)
    db.executemany(ask["passages.add_words"], ({"n": n, **each} for n, each in words))
    kept = [
        {"model": model, "n": n, "vector": vector.tobytes(), "tokens": token}
        for n, vector, token in zip(keys, vectors, tokens, strict=True)
    ]
    db.executemany(ask["memory_index.put"], kept)
    db.executemany(ask["memory_index.put_tokens"], kept)
    size = sum(each["size"] for each in rows.passages)
    db.execute(ask["passages.resize"], {"passages": len(rows.passages), "terms": size})
    db.execute(ask["local.advance"], {"hlc": clock + 1 + len(rows.memories)})
    db.execute("COMMIT")


def save(db: Connection, kind: type[Record], rows: Sequence[Params], stamp: Params) -> None:
    """Write records and their outbox entries."""
    stamped = [{**each, **stamp, "hlc": stamp["hlc"] + n} for n, each in enumerate(rows)]
    db.executemany(upsert(kind), stamped)
    dirty = ({**each, "record": kind.TABLE} for each in stamped)
    db.executemany(queries("sqlite")["local.mark_dirty"], dirty)


def disk(folder: Path) -> tuple[int, int]:
    """Give the bytes of the database with its log, and of the file of its index."""
    files = {path.name: path.stat().st_size for path in folder.glob("memory.db*")}
    index = sum(size for name, size in files.items() if name.endswith(".vectors"))
    return sum(files.values()) - index, index
