"""What holds of a vector index after any series of changes, to its rows or to its file."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anyio.from_thread import start_blocking_portal
from helpers_vectors import (
    ASKED,
    DIM,
    MODEL,
    Found,
    embed,
    files,
    filters,
    found,
    index_of,
    reloaded,
    vectors,
)
from hypothesis import Phase
from hypothesis import settings as how
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    rule,
    run_state_machine_as_test,
)

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.recall.embedding import embed_some, forgetting, registering
from agent_mem.recall.local_index import LocalIndex
from agent_mem.records.memory import Memory
from agent_mem.records.record import now
from agent_mem.storage.statements import Transaction

TEXTS = ["The kite is red.", "The zeppelin is blue.", "A word. " * 60, "Rain falls.", "x"]
TOPICS = [None, "weather", "toys"]
texts = st.sampled_from(TEXTS)
topics = st.sampled_from(TOPICS)
Harm = Callable[[bytes, bytes], bytes]
"""What becomes of a file's content, given that of another index's file, or of an older one's."""
HARMS: list[Harm] = [
    lambda content, _: content[: len(content) // 2],
    lambda _content, _other: b"",
    lambda content, _: content[:-9] + bytes(byte ^ 4 for byte in content[-9:-8]) + content[-8:],
    lambda content, _: bytes(len(content)),
    lambda _, other: other,
    lambda _, other: other,
]


class Indexing(RuleBasedStateMachine):
    """Two indexes over a real file, as of two processes, and whatever may happen to theirs."""

    folder: Path
    foreign: list[bytes]
    """Files of other databases."""

    def __init__(self) -> None:
        super().__init__()
        self.open = ExitStack()
        file = self.folder / f"{len(list(self.folder.iterdir()))}" / "memory.db"
        self.portal = self.open.enter_context(start_blocking_portal())
        opened = open_app(Settings(db=file))
        self.app = self.open.enter_context(self.portal.wrap_async_context_manager(opened))
        self.store = self.app.store
        self.portal.call(self.store.engine.write, registering(self.store, MODEL, DIM))
        self.indexes = [index_of(self.app), index_of(self.app, worth=4)]
        self.memories: list[Memory] = []
        self.older: list[bytes] = []
        for text in TEXTS[:3]:
            self.write(text, TOPICS[1], embedded=True)
        self.save(which=False)

    def teardown(self) -> None:
        self.same()
        self.foreign += self.older[:1]
        self.open.close()

    @rule(text=texts, topic=topics, embedded=st.booleans())
    def write(self, text: str, topic: str | None, embedded: bool) -> None:
        self.memories.append(Memory(agent_name="a", content=text, topic=topic))
        self.portal.call(self.store.put, self.memories[-1])
        if embedded:
            self.embed(40)

    @rule(
        which=st.integers(0, 9),
        change=st.one_of(
            st.fixed_dictionaries({"content": texts}),
            st.fixed_dictionaries({"topic": topics}),
            st.just({"deleted_at": now()}),
            st.just({"deleted_at": None}),
        ),
        embedded=st.booleans(),
    )
    def change(self, which: int, change: dict[str, Any], embedded: bool) -> None:
        place = which % len(self.memories)
        self.memories[place] = self.memories[place].model_copy(update=change)
        self.portal.call(self.store.put, self.memories[place])
        if embedded:
            self.embed(40)

    @rule(most=st.integers(1, 40))
    def embed(self, most: int) -> None:
        self.portal.call(embed_some, self.store, MODEL, embed, most)

    @rule(embedded=st.booleans())
    def forget_the_model(self, embedded: bool) -> None:
        self.portal.call(self.store.engine.write, beginning_again(self.app))
        if embedded:
            self.embed(40)

    @rule(which=st.booleans())
    def save(self, which: bool) -> None:
        index = self.indexes[which]
        self.portal.call(index.catch_up, self.store)
        self.portal.call(index.save, self.store)
        self.older += [file.read_bytes() for file in files(self.app)]

    @rule(which=st.booleans())
    def reopen(self, which: bool) -> None:
        self.indexes[which] = self.portal.call(reloaded, self.app)

    @rule(harm=st.sampled_from(HARMS), which=st.integers(0, 99))
    def harm(self, harm: Harm, which: int) -> None:
        """Put another file in its place; one that is mapped stays as it is."""
        known = self.older + self.foreign
        for file in files(self.app):
            new = file.with_suffix(".new")
            new.write_bytes(harm(file.read_bytes(), known[which % len(known)]))
            new.replace(file)
        self.reopen(which % 2 == 0)

    @rule(name=st.sampled_from(["nothing", f"memory.db.{'0' * 32}.vectors"]))
    def rename(self, name: str) -> None:
        for file in files(self.app):
            file.rename(file.with_name(name))

    @rule()
    def same(self) -> None:
        """Compare both indexes with one from nothing, and that with the rows themselves."""
        for topic in TOPICS:
            fresh = self.portal.call(found_anew, self.app, topic)
            assert fresh == pytest.approx(self.portal.call(by_hand, self.app, topic), abs=1e-5)
            for index in self.indexes:
                self.portal.call(index.catch_up, self.store)
                mine = self.portal.call(found_by, self.app, index, topic)
                assert mine == pytest.approx(fresh, abs=1e-5)


def beginning_again(app: App) -> Transaction[None]:
    yield from forgetting(app.store, MODEL)
    yield from registering(app.store, MODEL, DIM)


async def found_by(app: App, index: LocalIndex, topic: str | None) -> Found:
    return await found(app, index, topic=topic)


async def found_anew(app: App, topic: str | None) -> Found:
    return await found(app, index_of(app), topic=topic)


async def by_hand(app: App, topic: str | None) -> Found:
    """Compare what the database has, row by row."""
    rows = await app.store.engine.read(vectors(app))
    keys = [row["n"] for row in rows]
    allowed = {
        row["n"]
        for row in await app.store.rows("passages.fetch", among=keys, **filters(topic=topic))
        if row["allowed"]
    }
    wide = {row["n"]: np.frombuffer(row["vector"], np.int8).astype(float) for row in rows}
    return {
        n: float(v @ ASKED / np.linalg.norm(v) / np.linalg.norm(ASKED))
        for n, v in wide.items()
        if n in allowed
    }


def test_an_index_is_always_as_if_made_anew(tmp_path: Path) -> None:
    machine = type("Here", (Indexing,), {"folder": tmp_path, "foreign": []})
    few = how(max_examples=25, stateful_step_count=12, deadline=None, phases=[Phase.generate])
    run_state_machine_as_test(machine, settings=few)  # pyright: ignore[reportUnknownMemberType]
