"""Remove what expired, and nothing else."""

from agent_mem.app import App
from agent_mem.behaviors.action import Outcome, Task
from agent_mem.records import RECORDS
from agent_mem.records.record import Record, now
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode

BATCH = 1_000
"""Records of one kind that one run forgets at most."""
LISTED = 100
"""Of these it names so many; it counts all."""


async def prune(app: App, _: Task) -> Outcome:
    """Forget what carries a date that has passed; like all that is forgotten, it can come back."""
    removed: dict[str, list[str]] = {}
    count = 0
    for model in RECORDS:
        if "expires_at" in model.model_fields:
            gone = await app.store.engine.write(forgetting(app, model))
            removed |= {model.TABLE: gone[:LISTED]} if gone else {}
            count += len(gone)
    return Outcome({"removed": removed, "count": count}, [])


def forgetting(app: App, model: type[Record]) -> Transaction[list[str]]:
    """Forget the expired records of one kind."""
    rows = yield app.store.query(f"{model.TABLE}.expired", now=now(), limit=BATCH)
    expired = [decode(model, row) for row in rows]
    for record in expired:
        yield from app.store.saving(record.model_copy(update={"deleted_at": now()}))
    return [str(record.id) for record in expired]
