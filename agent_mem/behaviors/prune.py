"""Remove what expired, and nothing else."""

from datetime import timedelta

from agent_mem.app import App
from agent_mem.behaviors.action import Outcome, Task
from agent_mem.records import RECORDS
from agent_mem.records.record import Record, now
from agent_mem.storage import statements
from agent_mem.storage.statements import Statement, Transaction
from agent_mem.storage.store import decode

UNDO = timedelta(days=30)
"""How long what was forgotten can come back."""
BATCH = 1_000
LISTED = 100
"""Of each kind it names so many; it counts all."""


async def prune(app: App, _: Task) -> Outcome:
    """Forget what carries a date that has passed, and erase what was forgotten long ago."""
    removed: dict[str, list[str]] = {}
    count = erased = 0
    for model in RECORDS:
        erased += await app.store.engine.write(erasing(app, model))
        while gone := await app.store.engine.write(forgetting(app, model)):
            count += len(gone)
            removed[model.TABLE] = (removed.get(model.TABLE, []) + gone)[:LISTED]
    return Outcome({"removed": removed, "count": count, "erased": erased}, [])


def forgetting(app: App, model: type[Record]) -> Transaction[list[str]]:
    """Forget some expired records of one kind; like all that is forgotten, they can come back."""
    if "expires_at" not in model.model_fields:
        return []
    params = {"owner": app.store.owner, "now": now(), "limit": BATCH}
    rows = yield Statement(statements.expired(model), params)
    expired = [decode(model, row) for row in rows]
    for record in expired:
        yield from app.store.saving(record.model_copy(update={"deleted_at": now()}))
    return [str(record.id) for record in expired]


def erasing(app: App, model: type[Record]) -> Transaction[int]:
    """Erase what was forgotten too long ago to come back, and that a server has heard of.

    What it has not would come back from there. Where there never was a server, nothing waits.
    On the server itself nothing is erased: a machine may come whose copy is not forgotten yet.
    """
    if app.store.engine.dialect == "postgres":
        return 0
    met = yield app.store.query("sync.state")
    erase = statements.erase(model, waiting=not (app.settings.server or met))
    rows = yield Statement(erase, {"owner": app.store.owner, "before": now() - UNDO})
    for row in rows:
        yield app.store.query("local.drop_dirty", record=model.TABLE, id=row["id"])
    return len(rows)
