"""What holds after any series of remember, forget, undo and recall: a plain model is beside it."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from conftest import calling
from helpers_file import faults
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from agent_mem.app import open_app
from agent_mem.config import Settings
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.memory import Memory
from agent_mem.records.record import named_id
from agent_mem.storage.statements import Statement, Transaction
from agent_mem.storage.statements import count as counting

# No two share a word, so that a query of one finds that one alone.
CONTENTS = (
    "Zebras graze beside quiet rivers.",
    "Copper kettles whistle loudly!",
    'Jonas paints "violet" doors',
    "Server alpha-7 rejects TLS handshakes",
    "Мария любит чёрный кофе",
    "東京で会議を開く",
)


def spaced(text: str) -> str:
    return f"  {text.replace(' ', '   ')}\n"


SPACED: tuple[Callable[[str], str], ...] = (str, spaced)
"""Other ways to space the same content."""
SPELT: tuple[Callable[[str], str], ...] = (*SPACED, str.upper, str.swapcase)
"""Other ways to ask for it."""


@dataclass
class Entry:
    content: int
    topic: str | None
    corrects: str | None = None
    forgotten: bool = False
    corrected_by: str | None = None
    keys: set[str] = field(default_factory=set[str])

    @property
    def live(self) -> bool:
        return not self.forgotten and not self.corrected_by


contents = st.integers(0, len(CONTENTS) - 1)
spacings = st.sampled_from(SPACED)
spellings = st.sampled_from(SPELT)
topics = st.sampled_from([None, "one", "two"])
keys = st.sampled_from(["k1", "k2", "k3"])


class Remembering(RuleBasedStateMachine):
    """The tools on a real file, and what a reader of their descriptions expects of them."""

    folder: Path
    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[str, Entry] = {}
        self.open = ExitStack()
        self.file = self.folder / f"{len(list(self.folder.iterdir()))}" / "memory.db"
        self.portal = self.open.enter_context(start_blocking_portal())
        opened = open_app(Settings(db=self.file))
        self.app = self.open.enter_context(self.portal.wrap_async_context_manager(opened))

    def teardown(self) -> None:
        self.open.close()
        assert faults(self.file) == []

    def call(self, name: str, /, **arguments: object) -> dict[str, Any]:
        return self.portal.call(partial(calling(self.app), name, **arguments))

    def live(self, content: int) -> set[str]:
        return {key for key, e in self.entries.items() if e.content == content and e.live}

    @rule(target=ids, content=contents, spelt=spacings, topic=topics)
    def remember(self, content: int, spelt: Callable[[str], str], topic: str | None) -> str:
        done = self.call("remember", content=spelt(CONTENTS[content]), topic=topic)

        if same := self.live(content):
            assert done["status"] == "reinforced"
            assert done["id"] in same
            self.filed(done["id"], topic)
        else:
            assert done["status"] == "new"
            assert done["id"] not in self.entries
            self.entries[done["id"]] = Entry(content, topic)
        return done["id"]

    def filed(self, key: str, topic: str | None) -> None:
        """Add a topic where there was none."""
        self.entries[key].topic = self.entries[key].topic or topic

    @rule(target=ids, content=contents, key=keys, topic=topics)
    def remember_with_a_key(self, content: int, key: str, topic: str | None) -> str:
        own = str(named_id("key", "me", key))
        mine = self.entries.get(own)
        send = partial(self.call, "remember", content=CONTENTS[content], topic=topic, key=key)
        if mine and mine.content != content:
            with pytest.raises(InvalidInput, match="key was used for another"):
                send()
            return own
        same = self.live(content)
        done = send()
        if mine:
            assert (done["id"], done["status"]) == (own, "repeated")
            mine.forgotten = False
        elif same:
            assert done["id"] in same
            known = self.entries[done["id"]].keys
            assert done["status"] == ("repeated" if key in known else "reinforced")
            if key not in known:
                self.filed(done["id"], topic)
            known.add(key)
        else:
            assert (done["id"], done["status"]) == (own, "new")
            self.entries[own] = Entry(content, topic)
        return done["id"]

    @rule(target=ids, old=ids, content=contents, topic=topics)
    def correct(self, old: str, content: int, topic: str | None) -> str:
        entry = self.entries[old]
        send = partial(
            self.call, "remember", content=CONTENTS[content], topic=topic, supersedes=old
        )
        if entry.forgotten:
            with pytest.raises(NotFound):
                send()
            return old
        if entry.corrected_by:
            with pytest.raises(InvalidInput, match="corrected already"):
                send()
            return old
        done = send()
        assert done["status"] == "correction"
        entry.corrected_by = done["id"]
        self.entries[done["id"]] = Entry(content, topic, corrects=old)
        return done["id"]

    @rule(key=ids, undo=st.booleans())
    def forget(self, key: str, undo: bool) -> None:
        self.forgetting({k: e for k, e in self.entries.items() if k == key}, undo=undo, id=key)

    @rule(topic=topics.filter(bool), undo=st.booleans())
    def forget_topic(self, topic: str, undo: bool) -> None:
        among = {k: e for k, e in self.entries.items() if e.topic == topic}
        self.forgetting(among, undo=undo, topic=topic)

    def forgetting(self, among: dict[str, Entry], *, undo: bool, **what: str) -> None:
        meant = {key: entry for key, entry in among.items() if entry.forgotten is undo}
        if not meant:
            with pytest.raises(NotFound):
                self.call("forget", undo=undo, **what)
            return
        done = self.call("forget", undo=undo, **what)
        told = done["restored" if undo else "forgotten"]
        assert {brief["id"] for brief in told} == meant.keys()
        assert done["count"] == len(meant)
        for entry in meant.values():
            entry.forgotten = not undo
        for key, entry in meant.items():
            self.turn(key, entry, undo=undo)

    def turn(self, key: str, entry: Entry, *, undo: bool) -> None:
        """Make what a forgotten correction had corrected the last word again; undo reverses it."""
        before = self.entries[entry.corrects] if entry.corrects else None
        if before is None or before.forgotten or entry.corrected_by:
            return
        if before.corrected_by == (None if undo else key):
            before.corrected_by = key if undo else None

    @rule(content=contents, spelt=spellings)
    def recall(self, content: int, spelt: Callable[[str], str]) -> None:
        hits = self.call("recall", query=spelt(CONTENTS[content])).get("hits", [])

        expected = self.live(content)
        assert len(hits) == bool(expected)  # the same said twice is shown once
        for hit in hits:
            assert hit["id"] in expected
            assert hit.get("alike", 0) == len(expected) - 1

    @invariant()
    def the_counts_agree(self) -> None:
        def asking() -> Transaction[int]:
            (row,) = yield Statement(counting(Memory), {"owner": "me"})
            return row["n"]

        stored = self.portal.call(self.app.store.engine.read, asking())
        assert stored == sum(not entry.forgotten for entry in self.entries.values())


def test_the_tools_do_what_a_plain_model_does(tmp_path: Path) -> None:
    class Here(Remembering):
        folder = tmp_path

    run_state_machine_as_test(
        Here, settings=settings(max_examples=40, stateful_step_count=30, deadline=None)
    )
