"""The index in step with its records, and what a search gives besides the tool's answer."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest
from anyio.lowlevel import checkpoint
from anyio.to_thread import run_sync
from conftest import Call
from helpers_vectors import DIM, MODEL, embed, filters, vector_of

from agent_mem.app import App
from agent_mem.errors import StorageError
from agent_mem.recall.embedding import Embedded, embed_some, registering
from agent_mem.recall.frequencies import Corpus, Frequencies
from agent_mem.recall.local_index import LocalIndex
from agent_mem.recall.search import Request
from agent_mem.records.memory import Memory
from agent_mem.records.record import now
from agent_mem.records.session import Session
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store

pytestmark = pytest.mark.anyio

LONG = "".join(f"Sentence number {n} tells of zeppelins. " for n in range(60))


async def found(app: App, query: str, **filters: object) -> list[str]:
    results = await app.finder.search(Request(query, **filters))  # pyright: ignore[reportArgumentType] - any filter
    return [hit.about.text for hit in results.hits]


def sizes(app: App) -> tuple[int, int, int]:
    """Count the passages, and what the index says that it has: passages and terms."""
    with closing(sqlite3.connect(app.settings.db)) as db:
        counted = "SELECT count(*), coalesce(sum(size), 0) FROM passages"
        passages, terms = db.execute(counted).fetchone()
        said = db.execute("SELECT passages, terms FROM passages_size").fetchone()
        assert said == (passages, terms)
        db.execute("INSERT INTO passages_fts (passages_fts) VALUES ('integrity-check')")
        matched = "SELECT count(*) FROM passages_fts WHERE passages_fts MATCH 'zeppelin'"
        return passages, terms, db.execute(matched).fetchone()[0]


async def test_a_text_that_changes_is_found_by_its_new_words_only(app: App) -> None:
    memory = Memory(agent_name="a", content="The kite is red.")
    await app.store.put(memory)
    await app.store.put(memory.model_copy(update={"content": "The zeppelin is blue."}))

    assert await found(app, "kite") == []
    assert await found(app, "zeppelin") == ["The zeppelin is blue."]
    assert sizes(app)[0] == 1


async def test_a_text_that_stays_is_not_indexed_again(app: App) -> None:
    memory = Memory(agent_name="a", content="The zeppelin is red.", relevance=0.1)
    await app.store.put(memory)
    before = sizes(app)

    await app.store.put(memory.model_copy(update={"relevance": 0.9}))

    assert sizes(app) == before
    (hit,) = (await app.finder.search(Request("zeppelin"))).hits
    assert hit.about.importance == 0.9


async def test_a_label_that_changes_is_found_by_its_new_name_only(app: App) -> None:
    memory = Memory(agent_name="a", content="It is red.", topic="kites", subject="Ana")
    await app.store.put(memory)
    await app.store.put(memory.model_copy(update={"topic": "zeppelins"}))

    assert await found(app, "kites") == []
    assert await found(app, "zeppelins") == ["It is red."]
    assert await found(app, "Ana") == ["It is red."]


async def test_a_text_that_shrinks_loses_its_last_passages(app: App) -> None:
    memory = Memory(agent_name="a", content=LONG)
    await app.store.put(memory)
    passages, terms, matched = sizes(app)
    await app.store.put(memory.model_copy(update={"content": LONG[:600]}))

    assert passages == matched > 5
    fewer = sizes(app)
    assert fewer[0] == fewer[2] == 2
    assert fewer[1] < terms


async def test_a_forgotten_record_leaves_the_index_and_comes_back(app: App) -> None:
    memory = Memory(agent_name="a", content=LONG)
    await app.store.put(memory)
    before = sizes(app)
    await app.store.put(memory.model_copy(update={"deleted_at": now()}))
    gone = sizes(app)
    await app.store.put(memory)

    assert gone == (0, 0, 0)
    assert sizes(app) == before


async def test_what_recall_never_returns_is_not_indexed(app: App) -> None:
    await app.store.put(Session(agent_name="zeppelin"))

    assert sizes(app) == (0, 0, 0)


async def test_what_was_superseded_is_found_at_its_time(app: App) -> None:
    past = now() - timedelta(days=9)
    old = Memory(
        agent_name="a",
        content="The kite is red.",
        occurred_at=past,
        valid_until=now() - timedelta(days=1),
    )
    await app.store.put(old)

    assert await found(app, "kite") == []
    assert await found(app, "kite", as_of=now() - timedelta(days=2)) == [old.content]
    assert await found(app, "kite", as_of=past - timedelta(days=1)) == []


async def test_what_is_not_valid_yet_is_found_until_its_end(app: App) -> None:
    soon = now() + timedelta(days=1)
    await app.store.put(
        Memory(agent_name="a", content="The kite is red.", valid_until=soon),
        Memory(agent_name="a", content="The kite is blue.", valid_from=soon),
    )

    assert sorted(await found(app, "kite")) == ["The kite is blue.", "The kite is red."]
    assert await found(app, "kite", as_of=now()) == ["The kite is red."]
    assert await found(app, "kite", as_of=soon + timedelta(days=1)) == ["The kite is blue."]


async def test_owners_never_see_each_other(app: App) -> None:
    other = type(app.store)(app.store.engine, "somebody", app.store.index)
    await other.put(Memory(agent_name="a", content="The kite is secret."))

    assert await found(app, "kite") == []
    assert await found(app, "") == []
    assert len((await replace(app.finder, store=other).search(Request("kite"))).hits) == 1


async def test_a_hit_tells_the_passage_and_its_share_of_the_words(app: App) -> None:
    memory = Memory(agent_name="a", content=f"{LONG} The treasure lies in Lisbon.")
    await app.store.put(memory)

    (hit,) = (await app.finder.search(Request("treasure of Lisbon and Rome"))).hits

    assert isinstance(hit.record, Memory)
    assert hit.record.id == memory.id
    assert hit.passage.endswith("The treasure lies in Lisbon.")
    assert len(hit.passage) <= 320
    assert hit.coverage == pytest.approx(2 / 3)
    assert set(hit.features) >= {"words", "session", "dates"}


async def test_a_record_is_found_once_by_its_best_passage(app: App) -> None:
    memory = Memory(agent_name="a", content=f"{LONG} The red zeppelin is in Lisbon.")
    await app.store.put(memory)

    (hit,) = (await app.finder.search(Request("red zeppelin of Lisbon"))).hits

    assert hit.passage.endswith("The red zeppelin is in Lisbon.")
    assert hit.alike == 0


async def test_a_text_without_words_is_found_as_the_latest(app: App) -> None:
    await app.store.put(Memory(agent_name="a", content="!!!"))

    (hit,) = (await app.finder.search(Request(""))).hits

    assert (hit.passage, hit.why, hit.coverage) == ("!!!", ("latest",), 0)


async def test_a_passage_whose_record_is_gone_is_passed_over(app: App) -> None:
    await app.store.put(Memory(agent_name="a", content="The kite is red."))
    with closing(sqlite3.connect(app.settings.db)) as db, db:
        db.execute("DELETE FROM memories")

    assert await found(app, "kite") == []


async def test_no_more_than_the_limit_is_found_however_many_match(app: App, call: Call) -> None:
    for n in range(70):
        await call("remember", content=f"Kite {uuid4().hex} of owner {n}.")

    assert len(await found(app, "kite", limit=50)) == 50
    assert len(await found(app, "", limit=7)) == 7


async def test_a_kind_of_memory_and_a_kind_of_record_are_both_filters(app: App) -> None:
    await app.store.put(
        Memory(agent_name="a", content="Kites fly.", kind="plan"),
        Memory(agent_name="a", content="Kites fall."),
    )

    assert await found(app, "kites", kinds=("plan",)) == ["Kites fly."]
    assert await found(app, "kites", kinds=("memory",), topic="none") == []


async def test_an_id_is_not_reused_for_another_record(app: App) -> None:
    key = UUID(int=7)
    await app.store.put(Memory(id=key, agent_name="a", content="The kite is red."))
    await app.store.put(Memory(id=key, agent_name="a", content="The kite is blue."))

    assert await found(app, "kite") == ["The kite is blue."]


async def test_facts_that_differ_in_one_number_are_both_shown(app: App, call: Call) -> None:
    about = "The staging database of the shop listens behind the proxy in Paris on port"
    await call("remember", content=f"{about} 6432.")
    await call("remember", content=f"{about} 7432.")

    found = await app.finder.search(Request("staging database port"))

    assert {hit.about.text[-5:-1] for hit in found.hits} == {"6432", "7432"}


async def test_a_long_record_does_not_crowd_out_the_others(app: App, call: Call) -> None:
    paragraph = "The deploy of the deploy deploys a deploy to deploy. " * 6
    await call("log_event", type="note", content=paragraph * 100)
    short = await call("remember", content="Mondays are for the deploy, says the team.")

    found = await app.finder.search(Request("deploy", limit=5))

    assert str(found.hits[0].record.id) != short["id"]
    assert short["id"] in {str(hit.record.id) for hit in found.hits}


async def test_what_is_left_out_may_be_all_of_the_latest(app: App, call: Call) -> None:
    kept = await call("remember", content="The garden is green.")
    await app.store.put(*(Memory(agent_name="a", content=f"Staging {n} is up.") for n in range(70)))

    found = await app.finder.search(Request("-staging"))

    assert [str(hit.record.id) for hit in found.hits] == [kept["id"]]


async def test_what_expired_since_is_found_as_of_when_it_was_valid(app: App) -> None:
    hour, today = timedelta(hours=1), now()
    memory = Memory(
        agent_name="a", content="The kite flies.", created_at=today - hour, expires_at=today
    )
    await app.store.put(memory)

    assert (await app.finder.search(Request("kite"))).hits == []
    then = await app.finder.search(Request("kite", as_of=today - hour / 2))
    assert [hit.record.id for hit in then.hits] == [memory.id]


def state(app: App) -> dict[str, Any]:
    """Tell which passages wait for a vector, which have one, and which have token vectors."""
    queries = {
        "waiting": "SELECT n, ticket FROM embedding_queue",
        "embedded": "SELECT n, seq FROM memory_index WHERE vector IS NOT NULL",
        "tokens": "SELECT n, tokens FROM passage_tokens",
    }
    with closing(sqlite3.connect(app.settings.db)) as db:
        return {name: dict(db.execute(sql).fetchall()) for name, sql in queries.items()}


async def embed_all(app: App) -> None:
    async def embed(texts: Sequence[str]) -> Sequence[Embedded]:
        return [Embedded(vector_of(text), text.encode()) for text in texts]

    await app.store.engine.write(registering(app.store, MODEL, DIM))
    while await embed_some(app.store, MODEL, embed, 40):
        pass


async def test_a_new_passage_waits_for_every_model(app: App) -> None:
    await app.store.put(Memory(agent_name="a", content="The kite is red."))
    for model in (MODEL, "another"):
        await app.store.engine.write(registering(app.store, model, DIM))
    await app.store.put(Memory(agent_name="a", content="The kite is blue."))

    with closing(sqlite3.connect(app.settings.db)) as db:
        waiting = db.execute("SELECT model, n FROM embedding_queue").fetchall()
    assert sorted(waiting) == [("another", 1), ("another", 2), (MODEL, 1), (MODEL, 2)]


async def test_facts_that_change_leave_the_vectors_as_they_are(app: App) -> None:
    memory = Memory(agent_name="a", content="The kite is red.", topic="toys")
    await app.store.put(memory)
    await embed_all(app)
    before = state(app)
    await app.store.put(memory.model_copy(update={"topic": "kites"}))

    assert state(app) == {**before, "embedded": {1: before["embedded"][1] + 1}}
    assert before["tokens"] == {1: b"The kite is red."}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"content": "The kite is BLUE."}, "Ana: The kite is BLUE."),
        ({"content": "The kite was red!"}, "Ana: The kite was red!"),  # the same terms
        ({"subject": "Bob"}, "Bob: The kite is red."),
    ],
)
async def test_a_text_that_changes_is_embedded_anew(
    app: App, change: dict[str, str], text: str
) -> None:
    memory = Memory(agent_name="a", content="The kite is red.", subject="Ana")
    await app.store.put(memory)
    await embed_all(app)
    await app.store.put(memory.model_copy(update=change))
    changed = state(app)
    await embed_all(app)

    assert changed["embedded"] == changed["tokens"] == {}
    assert changed["waiting"].keys() == {1}
    assert state(app)["tokens"] == {1: text.encode()}
    assert state(app)["waiting"] == {}


async def test_a_text_that_changes_while_it_is_embedded_waits_again(app: App) -> None:
    memory = Memory(agent_name="a", content="The kite is red.")
    await app.store.put(memory)
    await embed_all(app)
    await app.store.put(memory.model_copy(update={"content": "The kite is blue."}))

    async def late(texts: Sequence[str]) -> Sequence[Embedded]:
        await app.store.put(memory.model_copy(update={"content": "The kite is green."}))
        return await embed(texts)

    await embed_some(app.store, MODEL, late, 40)

    assert state(app)["embedded"] == {}
    await embed_all(app)
    assert state(app)["tokens"] == {1: b"The kite is green."}


async def test_a_forgotten_record_has_no_vectors_and_waits_for_none(app: App) -> None:
    first, second = (Memory(agent_name="a", content=f"{LONG} {n}") for n in range(2))
    await app.store.put(first)
    await embed_all(app)
    await app.store.put(second)
    await app.store.put(*(m.model_copy(update={"deleted_at": now()}) for m in (first, second)))

    assert state(app) == {"waiting": {}, "embedded": {}, "tokens": {}}


async def test_a_passage_whose_number_was_anothers_has_its_own_vector(app: App) -> None:
    index = LocalIndex(MODEL, DIM, app.settings.db)
    memory = Memory(agent_name="a", content="The kite is red.")
    await app.store.put(memory)
    await embed_all(app)
    asked = vector_of("The kite is blue.")
    (before,) = await app.store.engine.read(index.nearest(app.store, asked, filters(), 9))
    await app.store.put(memory.model_copy(update={"deleted_at": now()}))
    await app.store.put(Memory(agent_name="a", content="The kite is blue."))
    between = await app.store.engine.read(index.nearest(app.store, asked, filters(), 9))
    await embed_all(app)
    (after,) = await app.store.engine.read(index.nearest(app.store, asked, filters(), 9))

    assert (before.n, between, after.n) == (1, [], 1)
    assert before.cosine < 0.9 < after.cosine


class Held(Frequencies):
    """Counts words once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = Event()
        self.let = Event()

    def corpus(self, store: Store, words: Sequence[str]) -> Transaction[Corpus]:
        self.begun.set()
        assert self.let.wait(60)
        return (yield from super().corpus(store, words))


async def test_a_search_that_is_cancelled_ends_when_it_has_left_the_database(app: App) -> None:
    held, ended = Held(), False

    async def search() -> None:
        nonlocal ended
        try:
            await replace(app.finder, frequencies=held).search(Request("zeppelins"))
        finally:
            ended = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(search)
        assert await run_sync(held.begun.wait, 60)
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            for _ in range(100):  # all that a task needs to end, if it does not wait
                await checkpoint()
            assert not ended
            held.let.set()

    assert ended
    assert await found(app, "zeppelins") == []


async def test_a_search_that_fails_says_why_once(app: App) -> None:
    await app.store.put(Memory(agent_name="a", content="The zeppelin is red."))
    with closing(sqlite3.connect(app.settings.db)) as db:
        db.execute("DROP TABLE passages_size")

    with pytest.raises(StorageError, match="passages_size"):
        await found(app, "zeppelins")
