"""Vectors travel, too: each is made once, on whichever machine, and the server searches them.

They go when the rows have gone: the server knows which it lacks. They come where many wait to be
made: a machine that comes new would need an hour for what is a minute's download. Little is made
here as fast as it would come.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, NamedTuple

import anyio
import numpy as np

from agent_mem.errors import AgentMemError
from agent_mem.recall.embedding import registering, waiting
from agent_mem.recall.pgvector import ServerIndex
from agent_mem.recall.space import FEW, Turn
from agent_mem.recall.vectors import written
from agent_mem.storage.shelf import introduce, place
from agent_mem.storage.statements import Row, Transaction
from agent_mem.storage.store import Store

BATCH: Final = 200
PAUSE: Final = 5.0
"""Seconds between two looks whether there is something to carry."""
LONGER: Final = 60.0
"""Seconds until the next look after nothing could be carried."""
HEADER: Final = 4
"""Bytes before the numbers of a vector that pgvector sends."""
Connected = Callable[[], AbstractAsyncContextManager[Store | None]]
"""Opens a server; None if it has no pgvector."""


class Model(NamedTuple):
    """A model of this file."""

    model: str
    dim: int


class Mark(NamedTuple):
    """Up to where all was given that could be."""

    life: str
    seq: int
    synced: int


class Carrier:
    """What carries vectors between one file and its server, beside all other processes on the file.

    Args:
        local: the file's records.
        connected: opens the server.
        carrying: held by the process that carries.
    """

    def __init__(self, local: Store, connected: Connected, carrying: Turn) -> None:
        self._local = local
        self._connected = connected
        self._carrying = carrying
        self._indexes: dict[Model, ServerIndex] = {}
        self._given: dict[Model, Mark] = {}

    async def run(self) -> None:
        """Carry what is made here, and what is lacking here, until cancelled."""
        while True:
            with self._carrying() as mine:
                moved = await self._some() if mine else None
            await anyio.sleep(LONGER if moved == 0 else PAUSE)

    async def once(self) -> int:
        """Carry all that can be carried; tell how many vectors it was.

        Raises:
            AgentMemError: the server cannot be reached, or refuses.
        """
        async with self._connected() as server:
            return await self._carry(server) if server else 0

    async def _some(self) -> int | None:
        """Carry if there is something to; tell how much was moved, or None if nothing is due."""
        try:
            return await self.once() if await self._due() else None
        except AgentMemError:  # who makes the passes says what is wrong
            return 0

    async def _due(self) -> bool:
        for model in await self._models():
            given = self._given.get(model) == await self._made(model)
            if not given or await self._local.engine.read(waiting(self._local, model.model)) > FEW:
                return True
        return False

    async def _carry(self, server: Store) -> int:
        count = 0
        for model in await self._models():
            made = await self._made(model)
            count += await fetch(self._local, server, model)
            count += await send(self._local, server, model)
            await self._indexes.setdefault(model, ServerIndex(*model)).save(server)
            self._given[model] = made
        return count

    async def _models(self) -> list[Model]:
        rows = await self._local.rows("memory_index.models")
        return [Model(row["model"], row["dim"]) for row in rows]

    async def _made(self, model: Model) -> Mark:
        """Tell how far the vectors are, and the records: a vector goes after what it is of."""
        (row,) = await self._local.rows("memory_index.latest", model=model.model)
        synced = max((row["ver"] for row in await self._local.rows("sync.cursors")), default=0)
        return Mark(row["life"], row["seq"], synced)


async def fetch(local: Store, server: Store, model: Model) -> int:
    """Take the vectors that many wait for here, as far as the server has them."""
    count, took = 0, 1
    while took and await local.engine.read(waiting(local, model.model)) > FEW:
        asked = {"model": model.model, "limit": BATCH, "share": 0, "shares": 1}
        due = {
            place(row["record_id"], row["part"]): row
            for row in await local.rows("memory_index.queued", **asked)
            if row["record_id"] is not None
        }
        named = {"model": model.model, "among": list(due)}
        made = [
            (due[row["n"]], row)
            for row in await server.rows("memory_index.vectors", **named)
            if row["digest"] == due[row["n"]]["digest"]
        ]
        took = await local.engine.write(taking(local, model, made))
        count += took
    return count


def taking(local: Store, model: Model, made: Sequence[tuple[Row, Row]]) -> Transaction[int]:
    """Keep vectors of what is still as it was when it was asked for; tell how many."""
    count = 0
    for due, row in made:
        vector = read(row["vector"])
        of = {"model": model.model, "n": due["n"]}
        if len(vector) == model.dim and (
            yield local.query("memory_index.take", ticket=due["ticket"])
        ):
            yield local.query("memory_index.put", **of, vector=vector)
            if row["tokens"] is not None:
                yield local.query("memory_index.put_tokens", **of, tokens=row["tokens"])
            count += 1
    yield local.query("memory_index.finish", model=model.model)
    return count


def read(sent: bytes) -> bytes:
    """Read a vector as pgvector sends it: its length, and halves in the network's order."""
    return np.frombuffer(sent, ">f2", offset=HEADER).astype(np.int8).tobytes()


async def send(local: Store, server: Store, model: Model) -> int:
    """Give the server the vectors that it waits for, as far as they are here; tell how many."""
    await server.engine.write(registering(server, model.model, model.dim))
    asked = {"model": model.model, "limit": BATCH, "share": 0, "shares": 1}
    after, count = -1, 0
    while page := await server.rows("memory_index.queued", **asked, after=after):
        if after < 0 and len(page) == BATCH:
            await introduce(server, "embedding_queue")
        after = page[-1]["n"]
        made = await found(local, model, page)
        count += await server.engine.write(giving(server, model, made))
    return count


async def found(local: Store, model: Model, asked: Sequence[Row]) -> Mapping[int, Row]:
    """Find what is made here of passages as they are there, by their keys there."""
    wanted = {row["n"]: row["digest"] for row in asked}
    ids = list({row["record_id"] for row in asked})
    rows = await local.rows("memory_index.made_of", model=model.model, ids=ids)
    made = {place(row["record_id"], row["part"]): row for row in rows}
    return {key: row for key, row in made.items() if wanted.get(key) == row["digest"]}


def giving(server: Store, model: Model, made: Mapping[int, Row]) -> Transaction[int]:
    """Write the vectors that the server still waits for; tell how many."""
    asked = named(model, {key: row["digest"] for key, row in made.items()})
    taken = [row["n"] for row in (yield server.query("memory_index.take_some", **asked))]
    if taken:
        given = named(model, {key: made[key]["digest"] for key in taken})
        vectors = [written(np.frombuffer(made[key]["vector"], np.int8)) for key in taken]
        tokens = [made[key]["tokens"] for key in taken]
        yield server.query("memory_index.put_many", **given, vectors=vectors)
        yield server.query("memory_index.put_all_tokens", **given, tokens=tokens)
    yield server.query("memory_index.finish", model=model.model)
    return len(taken)


def named(model: Model, digests: Mapping[int, int]) -> dict[str, Any]:
    """Name passages by their keys and digests."""
    return {"model": model.model, "among": list(digests), "digests": list(digests.values())}
