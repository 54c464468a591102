"""The index: what recall searches, kept in step with the records it is derived from."""

from typing import Any
from zlib import crc32

from agent_mem.recall.passages import describe, split
from agent_mem.records.record import Findable, Record
from agent_mem.storage.shelf import shelving
from agent_mem.storage.statements import Row, Statement, Transaction
from agent_mem.storage.store import Store


def indexing(store: Store, record: Record) -> Transaction[None]:
    """Index a record as it is now, in the transaction that writes it."""
    about = record.findable()
    if about is None:
        return
    texts = [] if record.deleted_at else [about.text[i:j] for i, j in split(about.text)]
    held = yield store.query("passages.held", record_id=record.id)
    before = {old["part"]: old for old in held}
    passages, terms = len(texts) - len(before), -sum(old["size"] for old in held)
    for part, text in enumerate(texts):
        new = {"part": part, **row(record, about, text)}
        terms += new["size"]
        yield from putting(store, new, before.pop(part, None))
    for old in before.values():
        yield words(store, "passages.drop_words", old["n"], old)
        yield store.query("passages.drop", n=old["n"])
        yield from unembedded(store, old["n"])
    yield store.query("passages.resize", passages=passages, terms=terms)


def indexing_there(store: Store, record: Record) -> Transaction[None]:
    """Index a record on the server, in the transaction that writes it."""
    about = record.findable()
    if about is None:
        return
    texts = [] if record.deleted_at else [about.text[i:j] for i, j in split(about.text)]
    made = {"made": record.created_at}
    rows = [{"part": n, **made, **row(record, about, text)} for n, text in enumerate(texts)]
    yield from shelving(store, [record.id], rows)


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
    terms, marks, dates = describe(text, about.at)
    label_terms, _, _ = describe(labels, about.at)
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
        "terms": terms,
        "labels": label_terms,
        "size": len(terms.split()),
        "marks": marks,
        "dates": dates,
        "digest": crc32(embedded(about, text).encode("utf-8", "replace")),
    }


def embedded(about: Findable, text: str) -> str:
    """Write a passage as it is embedded: with who said it in front."""
    return f"{about.subject}: {text}" if about.subject else text
