"""Who pulls by the feed's counter misses no row, whatever twelve writers do; by a sequence it does.

A version must become visible in the order in which versions were given. The counter's row is locked
until its transaction ends, so nobody is given a later version before that. A sequence is not.
"""

import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import anyio
import pytest
from helpers_engines import stored
from helpers_postgres import fetch

from agent_mem.records.memory import Memory
from agent_mem.records.record import Record, uuid7
from agent_mem.storage import statements
from agent_mem.storage.blocks import queries
from agent_mem.storage.postgres import Postgres
from agent_mem.storage.sqlite import SQLite
from agent_mem.storage.statements import Row, Statement, Transaction
from agent_mem.storage.store import Store
from agent_mem.storage.sync.incoming import paging, pull
from agent_mem.storage.sync.meeting import Way, heading, knowing
from agent_mem.storage.sync.outgoing import pushing
from agent_mem.storage.sync.tally import Pass

pytestmark = pytest.mark.anyio

WRITERS: Final = 12
PUSHES: Final = 20
SLOW: Final = 0.25
"""The share of the transactions that are slow to commit."""
SLOWEST: Final = 0.08
"""Seconds; where nobody waits for the slow ones they may be slower in the same time."""
SLOWEST_UNLOCKED: Final = 0.4
Versions = dict[str, tuple[int, int]]
"""Each row's clock and version."""
COUNTER: Final = (
    "UPDATE feed SET ver = ver + :n, clock = greatest(clock, :seen) "
    "WHERE owner = :owner RETURNING ver"
)
SEQUENCE: Final = "SELECT nextval('agent_mem.control') * 1000 + :n AS ver"
SEQUENCE_HEAD: Final = (
    "SELECT last_value * 1000 + 999 AS ver, epoch, min_writer, clock_timestamp() AS now"
    " FROM agent_mem.control, feed WHERE owner = :owner"
)


def sequenced(model: type[Record], push: Callable[[type[Record]], str] = statements.push) -> str:
    """Give versions by a sequence, in a push that is the real one otherwise."""
    assert COUNTER in push(model)
    return push(model).replace(COUNTER, SEQUENCE)


def slowly(server: Store, records: list[Record], seconds: float) -> Transaction[list[Row]]:
    """Push, and take some time to commit."""
    rows = yield from pushing(server, records)
    if seconds:
        yield Statement("SELECT pg_sleep(CAST(:s AS float8))", {"s": seconds})
    return rows


def drawn(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - no secret


async def write(server: Store, me: random.Random, slowest: float) -> None:
    """Push new rows, and some of the older ones again with a later clock."""
    origin, clock, mine = uuid7(), 0, list[Memory]()
    for _ in range(PUSHES):
        new = [Memory(agent_name="a", content="x", origin=origin) for _ in range(me.randint(1, 5))]
        again = [*new, *me.sample(mine, min(len(mine), me.randint(0, 1)))]
        mine += new
        sent = {m.id: m.model_copy(update={"hlc": (clock := clock + 1)}) for m in again}
        pause = me.random() * slowest if me.random() < SLOW else 0.0
        await server.engine.write(slowly(server, list(sent.values()), pause))


async def follow(local: Store, server: Store, done: anyio.Event) -> int:
    """Pull until all writers have ended, and once more; tell how often there was something."""
    count = 0
    while True:
        last = done.is_set()
        way = Way(local, server, await server.engine.read(heading(server)), 0, Pass())
        known = await local.engine.read(knowing(local))
        page = await server.engine.read(paging(server, known, way.head))
        await pull(way, known, page)
        count += way.done.received > 0
        if last:
            return count


async def race(url: str, folder: Path, slowest: float = SLOWEST) -> tuple[Versions, Versions, int]:
    """Let twelve write and one follow; give what is there, what was pulled, in how many pulls."""
    done = anyio.Event()
    async with AsyncExitStack() as stack:
        engines = [
            await stack.enter_async_context(Postgres.open(url, "me")) for _ in range(WRITERS + 1)
        ]
        reader, *writers = map(stored, engines)
        local = stored(await stack.enter_async_context(SQLite.open(folder / "memory.db")))
        pulls: list[int] = []

        async def following() -> None:
            pulls.append(await follow(local, reader, done))

        async with anyio.create_task_group() as outer:
            outer.start_soon(following)
            async with anyio.create_task_group() as inner:
                for number, writer in enumerate(writers):
                    inner.start_soon(write, writer, drawn(str(number)), slowest)
            done.set()
        return await versions(reader), await versions(local), pulls[0]


def every(store: Store) -> Transaction[list[Row]]:
    sql = "SELECT id, hlc, ver FROM memories WHERE owner = :owner"
    return (yield Statement(sql, {"owner": store.owner}))


async def versions(store: Store) -> Versions:
    rows = await store.engine.read(every(store))
    return {str(row["id"]): (row["hlc"], row["ver"]) for row in rows}


async def test_no_row_is_missed_by_who_follows_the_counter(server_url: str, tmp_path: Path) -> None:
    there, pulled, pulls = await race(server_url, tmp_path)

    assert len(there) > WRITERS * PUSHES
    assert pulls > 10
    assert pulled == there


async def test_rows_are_missed_by_who_follows_a_sequence(
    server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Postgres.open(server_url, "me"):
        await fetch(server_url, "CREATE SEQUENCE agent_mem.control")
    monkeypatch.setattr(statements, "push", sequenced)
    monkeypatch.setitem(queries("postgres"), "sync.head", SEQUENCE_HEAD)

    there, pulled, _ = await race(server_url, tmp_path, SLOWEST_UNLOCKED)

    missed = [key for key in there if key not in pulled]
    stale = [key for key in pulled if pulled[key] != there[key]]
    assert len(missed) > 10
    assert stale


async def test_versions_are_given_once_and_in_the_order_of_a_batch(canonical: Postgres) -> None:
    server = stored(canonical)
    batch = [Memory(agent_name="a", content=str(n), hlc=1, origin=uuid7()) for n in range(5)]

    first = await server.engine.write(pushing(server, batch[:3]))
    then = await server.engine.write(pushing(server, batch[3:]))

    assert [row["ver"] for row in (*first, *then)] == [1, 2, 3, 4, 5]
    assert [str(row["id"]) for row in (*first, *then)] == [str(m.id) for m in batch]
