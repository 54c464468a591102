"""Vectors without an encoder, for tests, and a program: `python helpers_vectors.py WHAT FILE`."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4
from zlib import crc32

import anyio
import numpy as np

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.recall.embedding import Embedded, registering
from agent_mem.recall.local_index import LocalIndex
from agent_mem.recall.vectors import ANY_TIME, Vector, quantised
from agent_mem.storage.lock import FileLock
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store

MODEL = "test"
DIM = 24
Found = dict[int, float]
"""The keys of passages, each with its cosine."""
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
PASSAGE: Mapping[str, Any] = {
    "record": "memory",
    "part": 0,
    "kind": "fact",
    "agent_name": None,
    "project": None,
    "session_id": None,
    "topic": None,
    "subject": None,
    "at": LONG_AGO,
    "valid_from": None,
    "valid_until": None,
    "expires_at": None,
    "importance": 0.5,
    "terms": "",
    "labels": "",
    "size": 0,
    "marks": 0,
    "dates": "",
    "digest": 0,
}


def vector_of(text: str, dim: int = DIM) -> Vector:
    """Make a vector that a text always has, and no other text."""
    return np.random.default_rng(crc32(text.encode())).normal(size=dim).astype(np.float32)


ASKED = vector_of("what is asked")


async def embed(texts: Sequence[str]) -> Sequence[Embedded]:
    """Stand in for an encoder."""
    return [Embedded(vector_of(text), None) for text in texts]


def filters(**changes: object) -> dict[str, Any]:
    """Make the parameters of `passages.allowed` that allow all of an owner's, but for changes."""
    return {
        "kinds": None,
        "topic": None,
        "agent": None,
        "project": None,
        **ANY_TIME,
        "valid_at": datetime.now(UTC),
        "begun_by": ANY_TIME["until"],
        "ended": False,
        **changes,
    }


def filling(
    store: Store, rows: Iterable[Mapping[str, Any]], dim: int = DIM
) -> Transaction[list[int]]:
    """Write passages with random vectors, each given as what is not as in `PASSAGE`."""
    yield from registering(store, MODEL, dim)
    keys: list[int] = []
    for row in rows:
        key = uuid4()
        (made,) = yield store.query("passages.put", **{**PASSAGE, "record_id": key, **row})
        yield from putting(store, made["n"], vector_of(str(key), dim))
        keys.append(made["n"])
    return keys


def putting(store: Store, n: int, vector: Vector) -> Transaction[None]:
    value = quantised(vector[np.newaxis])[0].tobytes()
    yield store.query("memory_index.put", model=MODEL, n=n, vector=value)


def touching(store: Store, keys: Iterable[int]) -> Transaction[None]:
    for key in keys:
        yield store.query("memory_index.touch", n=key)


def index_of(app: App, worth: int = 1) -> LocalIndex:
    return LocalIndex(MODEL, DIM, app.settings.db, worth=worth)


def everything(app: App, index: LocalIndex, **changes: object) -> Transaction[Found]:
    near = yield from index.nearest(app.store, ASKED, filters(**changes), 10_000)
    return dict(near)


async def found(app: App, index: LocalIndex, **changes: object) -> Found:
    return await app.store.engine.read(everything(app, index, **changes))


async def fill(app: App, count: int) -> list[int]:
    return await app.store.engine.write(filling(app.store, [PASSAGE] * count))


def files(app: App) -> list[Path]:
    return sorted(app.settings.db.parent.glob("*.vectors"))


async def reloaded(app: App) -> LocalIndex:
    index = index_of(app)
    await index.load(app.store)
    return index


async def anew(app: App) -> Found:
    index = index_of(app)
    await index.catch_up(app.store)
    return await found(app, index)


def vectors(app: App) -> Transaction[list[Any]]:
    rows = yield app.store.query("memory_index.tail", model=MODEL, seq=0, limit=10_000, never=0)
    return [row for row in rows if row["vector"]]


async def saves(file: Path) -> None:
    """Write the index file again and again, saying so."""
    async with open_app(Settings(db=file)) as app:
        keys = await app.store.engine.write(filling(app.store, [PASSAGE] * 2_000))
        index = LocalIndex(MODEL, DIM, file, worth=1)
        while True:
            await app.store.engine.write(touching(app.store, keys[:3]))
            await index.catch_up(app.store)
            await index.save(app.store)
            say("saved")


async def adds(file: Path) -> None:
    """Add a passage for each line that comes in, and say its key, while nobody else may."""
    with closing(FileLock(file.with_name("lock"))) as lock, lock.if_free() as mine:
        assert mine
        async with open_app(Settings(db=file)) as app:
            say("ready")
            for _ in sys.stdin:
                (key,) = await app.store.engine.write(filling(app.store, [PASSAGE]))
                say(str(key))


def say(what: str) -> None:
    print(what, flush=True)  # noqa: T201 - the test reads it


if __name__ == "__main__":
    anyio.run({"saves": saves, "adds": adds}[sys.argv[1]], Path(sys.argv[2]))
