"""What there is to find by meaning with: each model, how far it has got, and what is wrong."""

from pathlib import Path
from typing import Final, NamedTuple

import anyio
from anyio.to_thread import run_sync

from agent_mem.errors import AgentMemError
from agent_mem.recall import mapped
from agent_mem.recall.embedding import Model, models, waiting
from agent_mem.recall.local_index import LocalIndex, remove
from agent_mem.recall.mapped import BadIndex
from agent_mem.recall.meaning import Meaning
from agent_mem.recall.space import Space
from agent_mem.storage.health import MEND, Finding, indexes
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store

PATIENCE: Final = 10.0
"""Seconds in which a model has to show that it works."""


class State(NamedTuple):
    """How far a model has got."""

    model: str
    set: bool
    """It is to be used, by the settings."""
    embedded: int
    passages: int
    bytes: int
    """The size of its index file."""
    trouble: str | None
    """Why it cannot be used here, or not now."""


async def survey(store: Store, path: Path, meaning: Meaning) -> list[State]:
    """Look at the models that are set, and at those that have been; an endpoint is asked."""
    found: list[State] = []
    known = await store.engine.read(models(store))
    for space, name in ((meaning.near, "the built-in encoder"), (meaning.far, meaning.endpoint)):
        if space:
            found.append(await state(store, path, space, name or ""))
    named = {state.model for state in found}
    idle = [name for name in known if name not in named]
    return found + [await measured(store, path, name, known[name]) for name in idle]


async def state(store: Store, path: Path, space: Space, name: str) -> State:
    """Look at a model that is set: whether it works, and how far it has got."""
    trouble: str | None = None
    try:
        with anyio.fail_after(PATIENCE):
            name = await space.name()
            await space.check()
    except AgentMemError as error:
        trouble = str(error)
    except TimeoutError:
        trouble = f"There was no answer within {PATIENCE:g} seconds."
    known = await store.engine.read(models(store))
    found = await measured(store, path, name, known.get(name))
    return found._replace(set=True, trouble=trouble)


async def measured(store: Store, path: Path, name: str, known: Model | None) -> State:
    totals = await store.rows("passages.totals")
    total = sum(row["passages"] for row in totals)
    left = await store.engine.read(waiting(store, name)) if known else total
    file = path.with_name(known.file) if known and known.file else None
    size = file.stat().st_size if file and file.exists() else 0
    return State(name, False, total - left, total, size, None)


async def checkup(store: Store, path: Path, meaning: Meaning) -> list[Finding]:
    """Check what is found by meaning with; nothing is changed."""
    states = await survey(store, path, meaning)
    return [
        *(able(state) for state in states if state.set),
        await store.engine.read(complete(store)),
        await files(store, path),
    ]


def able(state: State) -> Finding:
    if state.trouble:
        return Finding("encoder", "warn", state.trouble)
    text = f"{state.model} works; passages embedded: {state.embedded} of {state.passages}."
    return Finding("encoder", "ok", text)


def complete(store: Store) -> Transaction[Finding]:
    """Look for passages that have no vector and do not wait for one, and for the reverse."""
    lost = 0
    for model in (yield from models(store)):
        (row,) = yield store.query("memory_index.unqueued", model=model)
        lost += row["n"]
    astray = yield store.query("memory_index.astray")
    if not lost and not astray:
        return Finding("vectors", "ok", "Every passage has its vectors, or waits for them.")
    text = (
        f"{lost} passages have no vector and do not wait for one, and {len(astray)} vectors are of"
        f" no passage: {MEND} asks for the ones and removes the others."
    )
    return Finding("vectors", "warn", text, cure="vectors")


async def files(store: Store, path: Path) -> Finding:
    """Check the file of each index from its first byte to its last, and look for older ones."""
    wrong: list[str] = []
    noted = await store.rows("memory_index.models")
    for row in noted:
        if row["file"]:
            expected = {"name": row["file"], "seq": row["file_seq"], "life": row["life"]}
            try:
                await run_sync(mapped.read, path.with_name(row["file"]), expected)
            except BadIndex as error:
                wrong.append(str(error))
    old = {file.name for file in indexes(path)} - {row["file"] for row in noted}
    wrong += [f"{name} is used no more." for name in sorted(old)]
    if not wrong:
        return Finding("index", "ok", "The files of the vector indexes are whole.")
    text = f"{' '.join(wrong)} {MEND} makes them anew from the database."
    return Finding("index", "warn", text, cure="files")


def mending(store: Store) -> Transaction[int]:
    """Ask for the vectors that are missing, and remove those that are of no passage; count both."""
    count = 0
    for row in (yield store.query("memory_index.astray")):
        yield store.query("memory_index.clear", n=row["n"])
        yield store.query("memory_index.drop_tokens", n=row["n"])
        count += 1
    for model in (yield from models(store)):
        (lost,) = yield store.query("memory_index.unqueued", model=model)
        yield store.query("memory_index.enqueue_all", model=model)
        count += lost["n"]
    return count


async def rewriting(store: Store, path: Path) -> int:
    """Remove the files of all indexes, and write those anew that are worth one; count models."""
    known = await store.engine.read(models(store))
    for name in known:
        await store.engine.write(store.asking("memory_index.forget_file", model=name))
    for file in indexes(path):
        remove(file)
    for name, model in known.items():
        index = LocalIndex(name, model.dim, path)
        await index.load(store)
        await index.save(store)
    return len(known)
