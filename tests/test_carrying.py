"""Vectors are made once: they go to the server, and come from there where many are lacking."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner
from helpers_meaning import MEMORIES, queued, recall, remember
from helpers_postgres import Cluster, analyzed, fetch
from helpers_sync import line, machine, run, sync, syncer
from pydantic import SecretStr

from agent_mem.app import App, open_direct
from agent_mem.cli.main import main
from agent_mem.config import Settings
from agent_mem.errors import ServerUnreachable
from agent_mem.recall import carrying
from agent_mem.recall.carrying import Carrier, Model, taking
from agent_mem.records.event import Event
from agent_mem.records.memory import Memory
from agent_mem.storage.store import Store

pytestmark = pytest.mark.anyio

MANY = tuple(f"The parcel {n} went to pier {n % 7}." for n in range(120))
"""More than are embedded at once."""
HELD = (
    "SELECT v.n FROM agent_mem.memory_index v JOIN agent_mem.passage_tokens t"
    " ON (t.owner, t.model, t.n, t.digest) = (v.owner, v.model, v.n, v.digest)"
)
There = Callable[[], Awaitable[int]]


@pytest.fixture
async def encoded(tmp_path: Path, server_url: str) -> AsyncGenerator[App]:
    """Open a machine that embeds what it writes."""
    async with machine(tmp_path / "encoded", server_url, embedder="builtin") as app:
        await app.finder.meaning.load()
        yield app


@pytest.fixture
def there(cluster: Cluster, name: str) -> There:
    """Count what the server has: vectors with those of their tokens."""

    async def count() -> int:
        return len(await fetch(cluster.server.url(name), HELD))

    return count


def carrier(app: App) -> Carrier:
    assert app.carrier is not None
    return app.carrier


async def written(app: App, *texts: str) -> None:
    """Write, embed and send some memories; their vectors stay."""
    await remember(app, *texts)
    await app.finder.meaning.embed()
    await sync(app)


async def vectors(app: App) -> list[dict[str, Any]]:
    """Read a file's vectors and those of the tokens, by what they are of."""
    sql = (
        "SELECT p.record_id, v.vector, t.tokens FROM passages p JOIN memory_index v ON v.n = p.n"
        " LEFT JOIN passage_tokens t ON t.n = p.n WHERE p.owner = :owner"
        " AND v.vector IS NOT NULL ORDER BY p.record_id"
    )
    return [dict(row) for row in await run(app.store, sql)]


async def test_what_is_embedded_here_is_searched_there(encoded: App, server_url: str) -> None:
    await written(encoded, *MEMORIES)

    assert await carrier(encoded).once() == len(MEMORIES)
    assert await carrier(encoded).once() == 0

    async with open_direct(Settings(server=SecretStr(server_url))) as direct:
        await direct.finder.meaning.load()
        assert await direct.finder.meaning.embed() == 0
        assert (await recall(direct))[0] == MEMORIES[0]


async def test_a_new_machine_takes_vectors_instead_of_making_them(
    encoded: App, tmp_path: Path, server_url: str
) -> None:
    await written(encoded, *MANY)
    await carrier(encoded).once()
    async with machine(tmp_path / "new", server_url, embedder="builtin") as new:
        await new.finder.meaning.load()
        await sync(new)
        assert await queued(new) == len(MANY)

        took = await carrier(new).once()

        assert took == len(MANY)
        await new.finder.meaning.embed()
        assert await vectors(new) == await vectors(encoded)


async def test_a_changed_text_takes_no_vector_of_what_it_was(
    encoded: App, tmp_path: Path, server_url: str
) -> None:
    parcels = [Memory(agent_name="a", content=text) for text in MANY]
    await encoded.store.put(*parcels)
    await encoded.finder.meaning.embed()
    await sync(encoded)
    await carrier(encoded).once()
    async with machine(tmp_path / "new", server_url, embedder="builtin") as new:
        await new.finder.meaning.load()
        await sync(new)
        changed = [p.model_copy(update={"content": f"{p.content} Lost."}) for p in parcels]
        await new.store.put(*changed)

        assert await carrier(new).once() == 0

        assert await queued(new) == len(MANY)
        await sync(new)
        await new.finder.meaning.embed()
        assert await carrier(new).once() == len(MANY)
        await sync(encoded)
        assert await recall(encoded, "parcel 7 lost") != []


async def test_vectors_of_what_never_leaves_a_machine_stay_there(
    encoded: App, there: There
) -> None:
    await encoded.store.put(
        Event(agent_name="a", event_type="note", content="Nobody needs to know.", importance=0.1)
    )
    await written(encoded, MEMORIES[0])

    assert await carrier(encoded).once() == 1
    assert await there() == 1


async def test_two_that_give_the_same_leave_one_of_each(
    encoded: App, tmp_path: Path, server_url: str
) -> None:
    await written(encoded, *MEMORIES)
    async with machine(tmp_path / "other", server_url, embedder="builtin") as other:
        await other.finder.meaning.load()
        await sync(other)
        assert await carrier(other).once() == 0
        await other.finder.meaning.embed()

        given = [await carrier(app).once() for app in (other, encoded)]

    assert given == [len(MEMORIES), 0]


async def test_a_server_without_pgvector_is_given_nothing(cluster: Cluster, tmp_path: Path) -> None:
    with cluster.database("template1") as name:
        url = cluster.url(name)
        async with machine(tmp_path / "one", url, embedder="builtin") as app:
            await app.finder.meaning.load()
            await written(app, *MEMORIES)
            assert await carrier(app).once() == 0


async def test_what_was_embedded_here_meanwhile_is_not_taken_again(encoded: App) -> None:
    await remember(encoded, *MEMORIES)
    (row,) = await encoded.store.rows("memory_index.models")
    model = Model(row["model"], row["dim"])
    asked = {"model": model.model, "limit": 9, "share": 0, "shares": 1}
    due = await encoded.store.rows("memory_index.queued", **asked)
    five = b"\x45\x00"  # as half a float
    theirs = {"vector": b"\x01\x80\x00\x00" + five * model.dim, "tokens": None}
    short = {**theirs, "vector": b"\x00\x01\x00\x00" + five}

    made = [(due[0], theirs), (due[0], theirs), (due[1], short)]
    assert await encoded.store.engine.write(taking(encoded.store, model, made)) == 1

    assert await queued(encoded) == len(MEMORIES) - 1
    (kept,) = await vectors(encoded)
    assert kept["record_id"] == due[0]["record_id"]
    assert (kept["vector"], kept["tokens"]) == (b"\x05" * model.dim, None)


async def test_of_many_that_wait_there_the_planner_learns_before_they_are_sent(
    encoded: App, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "BATCH", 2)
    await written(encoded, *MEMORIES)

    assert await carrier(encoded).once() == len(MEMORIES) > 2

    assert await analyzed(server_url, "embedding_queue")


async def test_it_is_carried_in_the_background_and_goes_on_after_a_cut(
    tmp_path: Path, server_url: str, monkeypatch: pytest.MonkeyPatch, there: There
) -> None:
    monkeypatch.setattr(carrying, "PAUSE", 0.02)
    monkeypatch.setattr(carrying, "LONGER", 0.05)
    async with line(server_url) as way, machine(tmp_path / "a", way.url, embedder="builtin") as app:
        await app.finder.meaning.load()
        await written(app, *MEMORIES[:2])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(carrier(app).run)
            await holds(there, 2)
            way.close()
            await remember(app, MEMORIES[2])
            await app.finder.meaning.embed()
            await true(way.turned_away(2))
            with pytest.raises(ServerUnreachable):
                await carrier(app).once()
            way.open()
            await sync(app)
            await holds(there, 3)
            tasks.cancel_scope.cancel()


async def holds(there: There, count: int) -> None:
    """Wait until the server has so many vectors."""

    async def look() -> bool:
        return await there() == count

    await true(look)


async def true(look: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what other tasks bring about."""
    with anyio.fail_after(30):
        while not await look():  # noqa: ASYNC110 - of what a server has there is no event
            await anyio.sleep(0.01)


async def test_only_the_process_whose_turn_it_is_looks(
    encoded: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "PAUSE", 0.0)
    await written(encoded, *MEMORIES)
    turns: list[bool] = []
    asked = anyio.Event()

    @contextmanager
    def turn() -> Generator[bool]:
        turns.append(len(turns) == 3)
        yield turns[-1]

    @asynccontextmanager
    async def connected() -> AsyncGenerator[Store | None]:
        assert turns == [False, False, False, True]
        asked.set()
        yield None

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Carrier(encoded.store, connected, turn).run)
        with anyio.fail_after(30):
            await asked.wait()
        tasks.cancel_scope.cancel()


async def test_what_was_given_is_not_looked_for_again(
    encoded: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "PAUSE", 0.0)
    monkeypatch.setattr(carrying, "LONGER", 0.0)
    await written(encoded, *MEMORIES)
    looks: list[str] = []
    done = anyio.Event()

    @contextmanager
    def turn() -> Generator[bool]:
        looks.append("may")
        if len(looks) > 5:
            done.set()
        yield True

    @asynccontextmanager
    async def connected() -> AsyncGenerator[Store | None]:
        looks.append("connects")
        async with syncer(encoded).searched() as server:
            yield server

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Carrier(encoded.store, connected, turn).run)
        with anyio.fail_after(30):
            await done.wait()
        tasks.cancel_scope.cancel()

    assert looks[:6] == ["may", "connects", "may", "may", "may", "may"]


def test_a_pass_by_hand_carries_vectors_too(
    tmp_path: Path, server_url: str, monkeypatch: pytest.MonkeyPatch, there: There
) -> None:
    monkeypatch.setenv("AGENT_MEM_DB", str(tmp_path / "m.db"))
    monkeypatch.setenv("AGENT_MEM_SERVER", server_url)
    for text in MEMORIES:
        assert CliRunner().invoke(main, ["remember", text]).exit_code == 0
    for command in ("reembed", "sync"):
        assert CliRunner().invoke(main, [command]).exit_code == 0

    assert anyio.run(there) == len(MEMORIES)
