"""Stores of conversations for the benchmarks: real files, filled through the tool and embedded.

A store takes a while to fill and to embed, so that it is kept in the system's folder for temporary
files, under a digest of its turns and of the sources that decide what is in it.
"""

import hashlib
import json
import shutil
import tempfile
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import anyio
from anyio.to_thread import run_sync
from conversations import Turn

import agent_mem
from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.tools.memories import remember

CACHE = Path(tempfile.gettempdir()) / "agent-mem-bench"
PRODUCT = Path(agent_mem.__file__).parent
IDLE = (
    *("address", "budget", "builtin", "endpoint", "feeding", "mapped", "ranking", "remote"),
    *("similar", "space"),
)
"""The modules of `recall` that neither decide what a store holds nor what is found in it."""
READING = (
    *("anchors", "candidates", "features", "frequencies", "held", "local_index", "meaning"),
    *("query", "search"),
)
"""Those that only read what a store holds."""


class Stored(NamedTuple):
    app: App
    keys: dict[str, list[str]]
    """By a memory's id the keys of its turns: the same words in one session are one memory."""


@asynccontextmanager
async def stored(turns: Sequence[Turn]) -> AsyncGenerator[Stored]:
    """Open the store of some turns with its encoder loaded; make it if it is not there yet."""
    folder = CACHE / digest_of(turns, *IDLE, *READING)
    if not await anyio.Path(folder).exists():
        await _make(folder, turns)
    keys = json.loads(await anyio.Path(folder / "keys.json").read_text())
    async with open_app(_settings(folder)) as app:
        await app.finder.meaning.load()
        yield Stored(app, keys)


def digest_of(told: object, *without: str) -> str:
    """Digest what is told, and the product's sources of recall but for some modules."""
    digest = hashlib.sha256(json.dumps(told, default=str).encode())
    for pattern in ("recall/**/*", "records/*", "storage/sql/*"):
        for path in sorted(PRODUCT.glob(pattern)):
            if path.suffix in {".json", ".py", ".sql"} and path.stem not in without:
                digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def _settings(folder: Path) -> Settings:
    return Settings(db=folder / "memory.db", project=None, embedder="builtin")


async def _make(folder: Path, turns: Sequence[Turn]) -> None:
    """Remember the turns and embed them; the folder is there when all is done."""
    partial = folder.with_name(f"{folder.name}.{uuid4().hex}")
    await anyio.Path(partial).mkdir(parents=True)
    try:
        async with open_app(_settings(partial)) as app:
            keys = await _fill(app, turns)
            await app.finder.meaning.embed()
            if app.finder.meaning.trouble:
                raise SystemExit(app.finder.meaning.trouble)
        await anyio.Path(partial / "keys.json").write_text(json.dumps(keys))
        with suppress(OSError):  # another run may have made it meanwhile
            await anyio.Path(partial).rename(folder)
    finally:
        await run_sync(lambda: shutil.rmtree(partial, ignore_errors=True))


async def _fill(app: App, turns: Sequence[Turn]) -> dict[str, list[str]]:
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for turn in turns:
        done = await remember(
            app, content=turn.text, subject=turn.speaker, occurred_at=turn.at, session=turn.session
        )
        keys[str(done.id)].append(turn.key)
    return keys
