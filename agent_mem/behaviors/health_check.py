"""Look whether all is well: the file, the disk, the sync, the index, the behaviors."""

import shutil
from functools import partial
from pathlib import Path
from typing import Final, Literal, NamedTuple
from uuid import UUID

from anyio.to_thread import run_sync

from agent_mem.app import App
from agent_mem.behaviors.action import Found, Outcome, Task
from agent_mem.records.behavior import Behavior
from agent_mem.storage.health import whole
from agent_mem.storage.sync.standing import standing

SCARCE: Final = 1 << 30
"""Bytes that should be free on the disk, or ten times what the file has."""
BEHIND: Final = 1_000
"""Records that may wait for the server."""
WAITING: Final = 1_000
"""Passages that may wait to be embedded."""
RELEVANCE: Final = {"warn": 0.7, "bad": 0.9}


class Check(NamedTuple):
    """One thing that was looked at; its text has no figures, so that the same is said once."""

    name: str
    level: Literal["ok", "warn", "bad"]
    text: str
    facts: dict[str, object]


async def health_check(app: App, _: Task) -> Outcome:
    """Look at everything, and tell what is not well."""
    checks = [
        *await files(app),
        await sync(app),
        index(app),
        await behaviors(app),
    ]
    output = {
        "healthy": all(check.level == "ok" for check in checks),
        "checks": {c.name: {"level": c.level, "text": c.text, **c.facts} for c in checks},
    }
    wrong = [check for check in checks if check.level != "ok"]
    found = [Found(f"health: {c.name}", c.text, RELEVANCE[c.level]) for c in wrong]
    return Outcome(output, found)


async def files(app: App) -> list[Check]:
    """Look at the file; who works on the server itself has none."""
    if app.store.engine.dialect == "postgres":
        return []
    path = app.settings.db.expanduser().resolve()
    return [
        await run_sync(partial(database, path), abandon_on_cancel=True),
        await run_sync(partial(disk, path)),
    ]


def database(path: Path) -> Check:
    """Check every page of the file."""
    found = whole(path)
    return Check("database", found.level, found.text, {"bytes": path.stat().st_size})


def disk(path: Path) -> Check:
    """Look whether there is room to write."""
    free = shutil.disk_usage(path.parent).free
    scarce = free < max(SCARCE, 10 * path.stat().st_size)
    text = "The disk is nearly full." if scarce else "There is room on the disk."
    return Check("disk", "warn" if scarce else "ok", text, {"free": free})


async def sync(app: App) -> Check:
    """Look how far the file and its server are apart."""
    if app.syncer is None:
        return Check("sync", "ok", "No server is set.", {})
    found = await app.store.engine.read(standing(app.store))
    facts = {name: found[name] for name in ("waiting", "refused", "aside", "synced_at")}
    if found["trouble"]:
        return Check("sync", "bad", f"The sync fails: {found['trouble']['error']}", facts)
    if found["refused"] or found["aside"]:
        return Check("sync", "warn", "Records were set aside: see `agent-mem status`.", facts)
    if found["waiting"] > BEHIND:
        return Check("sync", "warn", "Many records wait for the server.", facts)
    return Check("sync", "ok", "The sync keeps up.", facts)


def index(app: App) -> Check:
    """Look whether what was written can be found by meaning."""
    waits = sum(space.waits for space in app.finder.meaning.spaces)
    facts: dict[str, object] = {"waiting": waits}
    if waits > WAITING:
        return Check("index", "warn", "Many passages wait to be embedded: run `reembed`.", facts)
    if errors := [str(space.error) for space in app.finder.meaning.spaces if space.error]:
        text = f"Not everything is found by meaning: {errors[0]}"
        return Check("index", "warn", text, facts)
    return Check("index", "ok", "The index keeps up.", facts)


async def behaviors(app: App) -> Check:
    """Name the behaviors whose last run failed."""
    runs = await app.store.rows("behavior_runs.latest")
    failed = {UUID(str(row["behavior_id"])) for row in runs if row["status"] == "failed"}
    listed = await app.store.find(Behavior, "behaviors.all", agent=None)
    names = sorted({b.name for b in listed if b.id in failed and b.enabled})
    facts: dict[str, object] = {"failing": names}
    if names:
        return Check("behaviors", "warn", f"Behaviors fail: {', '.join(names)}.", facts)
    return Check("behaviors", "ok", "No behavior fails.", facts)
