"""Embedding what was written: in the background, a batch at a time, whoever wrote it.

The database has a queue of passages for each model, so that a pass which was killed, or a machine
that was switched off, loses nothing, and a new model begins where it was stopped.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple, Protocol
from uuid import UUID

import numpy as np

from agent_mem.recall.index import embedded
from agent_mem.recall.passages import split
from agent_mem.recall.vectors import Vector, quantised, written
from agent_mem.records import FINDABLE
from agent_mem.records.record import Findable, Record
from agent_mem.storage.statements import Row, Transaction
from agent_mem.storage.store import Store


class Embedded(NamedTuple):
    """What a model makes of one text."""

    vector: Vector
    tokens: bytes | None
    """The vectors of its tokens as int8, one after the other, where the model gives them."""


Embed = Callable[[Sequence[str]], Awaitable[Sequence[Embedded]]]


class Source(Protocol):
    """What makes vectors of texts."""

    async def open(self) -> str:
        """Get ready, and name the model.

        Raises:
            EncoderUnavailable, EmbedderRefused: it cannot be used.
        """
        ...

    async def embed(self, texts: Sequence[str]) -> Sequence[Embedded]:
        """Make the vectors of texts, in their order.

        Raises:
            EmbedderRefused, EmbedderUnreachable: it makes none, or none now.
        """
        ...


class Model(NamedTuple):
    """What the database says of a model."""

    dim: int
    complete: bool
    """All passages have been embedded with it once."""
    file: str | None
    """Its index, as it was last written."""


def models(store: Store) -> Transaction[dict[str, Model]]:
    """List the models that passages are embedded with, by name."""
    rows = yield store.query("memory_index.models")
    return {r["model"]: Model(r["dim"], bool(r["complete"]), r["file"]) for r in rows}


def waiting(store: Store, model: str) -> Transaction[int]:
    """Count the passages that wait for a model."""
    (row,) = yield store.query("memory_index.waiting", model=model)
    return row["n"]


class Waiting(NamedTuple):
    key: Row
    """Its `ticket`, and its `digest`: where they are others by now, so is its text."""
    text: str | None
    """None if the passage is gone, or cannot be read."""


def registering(store: Store, model: str, dim: int) -> Transaction[None]:
    """Note a model; when it is a new one, ask for the vectors of all that is there."""
    if (yield store.query("memory_index.add_model", model=model, dim=dim)):
        yield store.query("memory_index.enqueue_all", model=model)


class Share(NamedTuple):
    """Which of those that wait: several workers each take their own."""

    number: int = 0
    of: int = 1


WHOLE = Share()


async def embed_some(
    store: Store, model: str, embed: Embed, most: int, share: Share = WHOLE
) -> int:
    """Embed the latest passages that wait for a model, in one batch; tell how many waited."""
    found = await store.engine.read(reading(store, model, most, share))
    texts = [item.text for item in found if item.text is not None]
    made = iter(await embed(texts) if texts else ())
    done = [(item.key, None if item.text is None else next(made)) for item in found]
    if done:
        await store.engine.write(keeping(store, model, done))
    return len(done)


def reading(
    store: Store, model: str, most: int, share: Share = WHOLE
) -> Transaction[list[Waiting]]:
    """Read the texts of what waits, each as it is embedded: with who said it in front."""
    params = {"model": model, "limit": most, "share": share.number, "shares": share.of}
    rows = yield store.query("memory_index.queued", **params, after=-1)
    known: dict[str, Findable | None] = {}
    found: list[Waiting] = []
    for row in rows:
        key = row["record_id"]
        if key is not None and key not in known:
            known[key] = yield from findable(store, row)
        about = known[key] if key is not None else None
        found.append(Waiting(row, text_of(about, row["part"] or 0)))
    return found


def findable(store: Store, row: Row) -> Transaction[Findable | None]:
    """Read the record of a passage; None if it is gone, or cannot be read."""
    theirs = replace(store, owner=row["owner"])
    record: Record | None = None
    with suppress(ValueError):
        record = yield from theirs.getting(FINDABLE[row["record"]], UUID(row["record_id"]))
    return record.findable() if record else None


def text_of(about: Findable | None, part: int) -> str | None:
    """Cut a passage out of its record's text; None if it is not there."""
    spans = split(about.text) if about else []
    if about is None or part >= len(spans):
        return None
    start, end = spans[part]
    return embedded(about, about.text[start:end])


def keeping(
    store: Store, model: str, done: Sequence[tuple[Row, Embedded | None]]
) -> Transaction[None]:
    """Keep the vectors of what is still as it was when it was read."""
    for key, made in done:
        same = {"ticket": key["ticket"], "digest": key["digest"]}
        taken = yield store.query("memory_index.take", model=model, **same)
        if taken and made:
            yield from keeping_one(store, model, {**key, "n": taken[0]["n"]}, made)
    yield store.query("memory_index.finish", model=model)


def keeping_one(store: Store, model: str, key: Row, made: Embedded) -> Transaction[None]:
    of = {"model": model, "n": key["n"], "digest": key["digest"]}
    vector = quantised(made.vector[np.newaxis])[0]
    kept = vector.tobytes() if store.engine.dialect == "sqlite" else written(vector)
    yield store.query("memory_index.put", **of, vector=kept)
    if made.tokens is not None:
        yield store.query("memory_index.put_tokens", **of, tokens=made.tokens)


def forgetting(store: Store, model: str) -> Transaction[None]:
    """Forget a model and all that it made; it begins anew when it is used again."""
    for name in ("drop_queue", "drop_vectors", "drop_all_tokens", "drop_model"):
        yield store.query(f"memory_index.{name}", model=model)


def renewing(store: Store, model: str, dim: int) -> Transaction[None]:
    """Ask for all of a model's vectors anew; the old ones serve until then, if they are as long."""
    if (yield from models(store))[model].dim != dim:
        yield from forgetting(store, model)
        yield from registering(store, model, dim)
    else:
        yield store.query("memory_index.enqueue_again", model=model)
