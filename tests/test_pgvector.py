"""The vectors on the server: with pgvector wherever it is, without it, and with an index."""

import re
from collections.abc import AsyncGenerator, Generator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_meaning import MEMORIES, QUESTION, recall, remember
from helpers_postgres import Cluster, fetch
from helpers_sync import machine
from helpers_vectors import ASKED, DIM, MODEL, PASSAGE, filters, vector_of
from pydantic import SecretStr

from agent_mem.app import App, open_direct
from agent_mem.config import Settings
from agent_mem.recall import pgvector
from agent_mem.recall.embedding import Embedded, keeping, models, registering, renewing, waiting
from agent_mem.recall.pgvector import ServerIndex
from agent_mem.recall.search import Request
from agent_mem.recall.vectors import quantised
from agent_mem.records.memory import Memory
from agent_mem.records.record import uuid7
from agent_mem.storage.postgres import Postgres
from agent_mem.storage.shelf import place, shelving
from agent_mem.storage.statements import Row, Statement, Transaction
from agent_mem.storage.store import Store

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parents[1] / "docs" / "postgres.md"
INDEXES = (
    "SELECT indexdef FROM pg_indexes WHERE tablename = 'memory_index' AND indexdef LIKE '%hnsw%'"
)


@pytest.fixture
async def direct(server_url: str) -> AsyncGenerator[App]:
    async with open_direct(Settings(server=SecretStr(server_url))) as opened:
        yield opened


@pytest.fixture
def bare(cluster: Cluster) -> Generator[str]:
    """Give a database in which nothing was made yet."""
    with cluster.database("template1") as name:
        yield name


def rows(count: int) -> list[dict[str, Any]]:
    """Make passages, every third of a topic."""
    more = {"made": datetime.now(UTC), "digest": 7}
    topics = ("harbour", None, None)
    keys = [uuid7() for _ in range(count)]
    return [
        {**PASSAGE, **more, "record_id": key, "topic": topics[n % 3]} for n, key in enumerate(keys)
    ]


def filling(store: Store, passages: list[dict[str, Any]]) -> Transaction[Mapping[int, Row]]:
    """Shelve passages, and give each a vector of its own."""
    yield from registering(store, MODEL, DIM)
    yield from shelving(store, [row["record_id"] for row in passages], passages)
    made = {place(row["record_id"], 0): row for row in passages}
    done = [({"ticket": n, "digest": 7}, Embedded(vector_of(str(n)), b"abc")) for n in made]
    yield from keeping(store, MODEL, done)
    return made


def cosine(key: int) -> float:
    """Compute a passage's cosine with what is asked, as it is kept: in whole numbers."""
    kept = quantised(vector_of(str(key))[np.newaxis])[0].astype(np.float64)
    return float(kept @ ASKED / np.linalg.norm(kept) / np.linalg.norm(ASKED))


async def test_the_nearest_that_are_allowed_are_found_best_first(direct: App) -> None:
    store, index = direct.store, ServerIndex(MODEL, DIM)
    made = await store.engine.write(filling(store, rows(90)))
    await index.load(store)
    await index.catch_up(store)

    allowed = [key for key, row in made.items() if row["topic"] == "harbour"]
    best = sorted(allowed, key=cosine, reverse=True)
    found = await store.engine.read(index.nearest(store, ASKED, filters(topic="harbour"), 10))
    assert [near.n for near in found] == best[:10]
    assert [near.cosine for near in found] == pytest.approx(
        [cosine(k) for k in best[:10]], abs=0.002
    )

    some = [*best[:3], 12345]
    told = await store.engine.read(index.cosines(store, ASKED, some))
    assert told == {key: pytest.approx(cosine(key), abs=0.002) for key in best[:3]}


async def test_a_vector_of_what_is_another_by_now_is_not_found(direct: App) -> None:
    store, index = direct.store, ServerIndex(MODEL, DIM)
    passages = rows(3)
    made = await store.engine.write(filling(store, passages))
    changed, gone, stays = made
    ids = [made[key]["record_id"] for key in (changed, gone)]
    await store.engine.write(shelving(store, ids, [{**made[changed], "digest": 8}]))

    found = await store.engine.read(index.nearest(store, ASKED, filters(), 10))
    assert [near.n for near in found] == [stays]
    assert await store.engine.read(index.cosines(store, ASKED, [changed, gone])) == {}
    tokens = await store.rows("memory_index.tokens", model=MODEL, among=list(made))
    assert [row["n"] for row in tokens] == [stays]
    assert await store.engine.read(waiting(store, MODEL)) == 1

    await index.save(store)
    left = await store.rows("memory_index.vectors", model=MODEL, among=list(made))
    assert [row["n"] for row in left] == [stays]


async def test_an_index_is_made_once_it_is_worth_it_and_finds_the_same(
    direct: App, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, index = direct.store, ServerIndex(MODEL, DIM)
    made = await store.engine.write(filling(store, rows(300)))
    monkeypatch.setattr(pgvector, "WORTH", 301)
    await index.save(store)
    assert await fetch(server_url, INDEXES) == []

    monkeypatch.setattr(pgvector, "WORTH", 300)
    await index.save(store)  # it has just looked
    assert await fetch(server_url, INDEXES) == []
    for _ in range(2):
        await ServerIndex(MODEL, DIM).save(store)
        (row,) = await fetch(server_url, INDEXES)
        assert f"(model = '{MODEL}'::text)" in row["indexdef"]

    def planned() -> Transaction[str]:
        yield Statement("SELECT set_config('enable_seqscan', 'off', true)", {})
        yield Statement("SELECT set_config('enable_sort', 'off', true)", {})
        text = store.query("passages.near").sql.replace("halfvec(384)", f"halfvec({DIM})")
        asked = {"model": MODEL, "asked": pgvector.written(ASKED), "limit": 10}
        params = {"owner": store.owner, **asked, **filters(topic="harbour")}
        lines = yield Statement(f"EXPLAIN {text}", params)
        return "\n".join(str(line["QUERY PLAN"]) for line in lines)

    assert "Index Scan using memory_index_" in await store.engine.read(planned())

    def searched() -> Transaction[list[int]]:
        yield Statement("SELECT set_config('enable_sort', 'off', true)", {})
        found = yield from index.nearest(store, ASKED, filters(topic="harbour"), 10)
        return [near.n for near in found]

    allowed = [key for key, row in made.items() if row["topic"] == "harbour"]
    best = sorted(allowed, key=cosine, reverse=True)[:10]
    assert len(set(best) & set(await store.engine.read(searched()))) >= 9


async def test_who_does_not_own_the_table_makes_no_index(
    direct: App, cluster: Cluster, name: str, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pgvector, "WORTH", 1)
    await direct.store.engine.write(filling(direct.store, rows(2)))
    cluster.sql("ALTER TABLE agent_mem.memory_index OWNER TO postgres", name)
    cluster.sql("GRANT ALL ON agent_mem.memory_index TO plain", name)

    await ServerIndex(MODEL, DIM).save(direct.store)

    assert await fetch(server_url, INDEXES) == []


async def test_a_model_whose_vectors_are_of_another_length_begins_anew(direct: App) -> None:
    store = direct.store
    await store.engine.write(filling(store, rows(2)))
    await store.engine.write(renewing(store, MODEL, DIM))
    assert await store.engine.read(waiting(store, MODEL)) == 2

    await store.engine.write(renewing(store, MODEL, 7))

    assert (await store.engine.read(models(store)))[MODEL].dim == 7
    found = await store.engine.read(ServerIndex(MODEL, DIM).nearest(store, ASKED, filters(), 9))
    assert found == []


async def test_pgvector_in_another_schema_is_found(cluster: Cluster, bare: str) -> None:
    cluster.sql('CREATE SCHEMA "my ext"; CREATE EXTENSION vector SCHEMA "my ext"', bare)
    cluster.sql('GRANT USAGE ON SCHEMA "my ext" TO plain', bare)
    async with open_direct(Settings(server=SecretStr(cluster.url(bare)))) as direct:
        await direct.finder.meaning.load()
        await remember(direct, *MEMORIES)
        await direct.finder.meaning.embed()
        assert (await recall(direct))[0] == MEMORIES[0]


async def test_without_pgvector_the_server_is_searched_by_words(
    cluster: Cluster, bare: str
) -> None:
    async with open_direct(Settings(server=SecretStr(cluster.url(bare)))) as direct:
        await direct.finder.meaning.load()
        await remember(direct, *MEMORIES)
        assert await direct.finder.meaning.embed() == 0
        assert await recall(direct, "llamas") == [MEMORIES[0]]
        assert await recall(direct, QUESTION) == []

    cluster.sql("CREATE EXTENSION vector", bare)
    async with open_direct(Settings(server=SecretStr(cluster.url(bare)))) as direct:
        await direct.finder.meaning.load()
        await direct.finder.meaning.embed()
        assert (await recall(direct))[0] == MEMORIES[0]


async def test_who_may_makes_the_extension_with_the_tables(cluster: Cluster, bare: str) -> None:
    async with Postgres.open(cluster.server.url(bare), "me") as engine:
        assert engine.vectors


async def test_a_role_that_may_make_nothing_goes_without_vectors(
    cluster: Cluster, bare: str
) -> None:
    async with Postgres.open(cluster.url(bare), "me") as engine:
        assert not engine.vectors
    cluster.sql("CREATE EXTENSION vector; REVOKE ALL ON SCHEMA agent_mem FROM plain", bare)
    cluster.sql("ALTER SCHEMA agent_mem OWNER TO postgres", bare)
    cluster.sql("GRANT USAGE ON SCHEMA agent_mem TO plain", bare)

    async with open_direct(Settings(server=SecretStr(cluster.url(bare)))) as direct:
        await remember(direct, *MEMORIES)
        assert await recall(direct, "llamas") == [MEMORIES[0]]
        assert (await direct.finder.search(Request(QUESTION))).hits == []


async def test_the_role_that_the_docs_give_to_machines_may_do_all_that_they_do(
    cluster: Cluster, name: str, direct: App, tmp_path: Path
) -> None:
    """The tables are there, and their owner is another."""
    await direct.finder.meaning.load()
    blocks = re.findall(r"```sql\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    (grants,) = (block for block in blocks if "CREATE ROLE mem_sync" in block)
    cluster.sql(
        grants.replace("DATABASE memory", f"DATABASE {name}").replace("mem_owner", "plain"), name
    )
    cluster.sql("GRANT DELETE ON agent_mem.memory_index TO mem_sync", name)
    url = cluster.url(name, "mem_sync").replace(":mem_sync@", ":choose another@")

    async with machine(tmp_path, url, embedder="builtin") as app:
        await app.finder.meaning.load()
        await remember(app, *MEMORIES)
        await app.finder.meaning.embed()
        memory, *_ = await app.store.find(Memory, "memories.of_agent", agent="a", limit=9)
        assert app.syncer
        assert app.carrier
        for content in (f"{MEMORIES[0]} So they do.", MEMORIES[0]):
            await app.store.put(memory.model_copy(update={"content": content}))
            await app.finder.meaning.embed()
            assert (await app.syncer.once()).sent
            assert await app.carrier.once()
    async with open_direct(Settings(server=SecretStr(url))) as there:
        await there.finder.meaning.load()
        assert (await recall(there))[0] == MEMORIES[0]
