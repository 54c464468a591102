"""The index: what recall searches, kept in step with the records it is derived from."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from zlib import crc32

from agent_mem.recall.passages import describe, split
from agent_mem.recall.words import terms
from agent_mem.records.record import Findable, Record
from agent_mem.storage.shelf import shelving
from agent_mem.storage.statements import Row, Statement, Transaction
from agent_mem.storage.store import Store


def indexing(store: Store, records: Sequence[Record]) -> Transaction[None]:
    """Index records as they are now, in the transaction that writes them."""
    wanted = {str(record.id): rows_of(record, about) for record, about in findable(records)}
    if not wanted:
        return
    held: dict[str, dict[int, Row]] = {key: {} for key in wanted}
    for old in (yield store.query("passages.held", ids=list(held))):
        held[old["record_id"]][old["part"]] = old
    count, size = 0, 0
    for key, rows in wanted.items():
        before = held[key]
        count += len(rows) - len(before)
        size += sum(new["size"] for new in rows) - sum(old["size"] for old in before.values())
        yield from replacing(store, rows, before)
    yield store.query("passages.resize", passages=count, terms=size)


def indexing_there(store: Store, records: Sequence[Record]) -> Transaction[None]:
    """Index records on the server, in the transaction that writes them."""
    found = list(findable(records))
    if found:
        rows = [
            {"made": record.created_at, **row}
            for record, about in found
            for row in rows_of(record, about)
        ]
        yield from shelving(store, [record.id for record, _ in found], rows)


def findable(records: Iterable[Record]) -> Iterator[tuple[Record, Findable]]:
    """Choose those that recall can find."""
    for record in records:
        if (about := record.findable()) is not None:
            yield record, about


def rows_of(record: Record, about: Findable) -> list[dict[str, Any]]:
    """Make what the index keeps of a record: nothing of one that is forgotten."""
    texts = [] if record.deleted_at else [about.text[i:j] for i, j in split(about.text)]
    return [{"part": part, **row(record, about, text)} for part, text in enumerate(texts)]


def replacing(
    store: Store, rows: Sequence[dict[str, Any]], held: dict[int, Row]
) -> Transaction[None]:
    """Write the passages of one record, by part, in the place of those that it had."""
    for new in rows:
        yield from putting(store, new, held.pop(new["part"], None))
    for old in held.values():
        yield words(store, "passages.drop_words", old["n"], old)
        yield store.query("passages.drop", n=old["n"])
        yield from unembedded(store, old["n"])


def putting(store: Store, new: dict[str, Any], old: Row | None) -> Transaction[None]:
    """Write one passage; its words and its vectors only where they are others than before."""
    (key,) = yield store.query("passages.put", **new)
    if old is None:
        yield words(store, "passages.add_words", key["n"], new)
    elif (old["terms"], old["labels"]) != (new["terms"], new["labels"]):
        yield words(store, "passages.drop_words", old["n"], old)
        yield words(store, "passages.add_words", old["n"], new)
    if old and old["digest"] == new["digest"]:
        yield store.query("memory_index.touch", n=old["n"])
        return
    if old:
        yield from unembedded(store, old["n"])
    yield store.query("memory_index.enqueue", n=key["n"])


def unembedded(store: Store, n: int) -> Transaction[None]:
    """Take away a passage's vectors."""
    for name in ("clear", "drop_tokens", "dequeue"):
        yield store.query(f"memory_index.{name}", n=n)


def words(store: Store, name: str, n: int, of: Row) -> Statement:
    return store.query(name, n=n, terms=of["terms"], labels=of["labels"])


def row(record: Record, about: Findable, text: str) -> dict[str, Any]:
    """Make what the index keeps of one passage. It is found by its topic and subject, too."""
    labels = ". ".join(label for label in (about.subject, about.topic) if label)
    described, marks, dates = describe(text, about.at)
    return {
        "record": record.KIND,
        "record_id": record.id,
        "kind": about.kind or record.KIND,
        "agent_name": about.agent_name,
        "project": about.project,
        "session_id": about.session_id,
        "topic": about.topic,
        "subject": about.subject,
        "at": about.at,
        "valid_from": about.valid_from,
        "valid_until": about.valid_until,
        "expires_at": about.expires_at,
        "importance": about.importance,
        "terms": described,
        "labels": " ".join(terms(labels)),
        "size": len(described.split()),
        "marks": marks,
        "dates": dates,
        "digest": crc32(embedded(about, text).encode("utf-8", "replace")),
    }


def embedded(about: Findable, text: str) -> str:
    """Write a passage as it is embedded: with who said it in front."""
    return f"{about.subject}: {text}" if about.subject else text
