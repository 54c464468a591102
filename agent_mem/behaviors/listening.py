"""Which new records behaviors wait for, in the order in which they came into this file."""

import logging
import re
from collections.abc import Iterable
from typing import Final

from agent_mem.behaviors.event_filter import EventFilter, filter_of, hears, told
from agent_mem.behaviors.slots import Slot
from agent_mem.errors import InvalidInput
from agent_mem.records import FINDABLE
from agent_mem.records.behavior import Behavior
from agent_mem.records.insight import Insight
from agent_mem.records.record import Record
from agent_mem.records.run import Run
from agent_mem.storage import statements
from agent_mem.storage.statements import Statement, Transaction
from agent_mem.storage.store import Store, decode

MOST: Final = 1_000
"""Changes that are looked at in one go."""
ITEM: Final = re.compile(r"memory://item/([0-9a-f-]{36})")

logger = logging.getLogger(__name__)


class Listener:
    """What hears of new records: those that were written here, and those that the sync brought.

    Where it has got to is noted when all that it told is done. What is told twice after a crash
    has the same slot, and is done once.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._heard = 0
        self._noted = 0
        self._told = False

    async def begin(self) -> None:
        """Go on where it was left."""
        (last,) = await self._store.rows("local.last_change")
        for row in await self._store.rows("scheduler.heard"):
            self._noted = self._heard = row["heard"] if row["heard"] <= last["n"] else 0

    async def heard(self, behaviors: Iterable[Behavior]) -> list[Slot]:
        """List what has come for whom, and go on."""
        listening = filters(behaviors)
        slots: list[Slot] = []
        while rows := await self._store.rows("scheduler.changes", n=self._heard, limit=MOST):
            ids = sorted({found[1] for row in rows if (found := ITEM.fullmatch(row["uri"]))})
            records = await self._store.engine.read(self._among(listening, ids))
            slots += [
                Slot(behavior, str(record.id), "event", input=told(record, because))
                for record, because in sorted(records, key=lambda found: found[0].hlc)
                for behavior, _ in listening
                if hears(behavior, record, because)
            ]
            self._heard = rows[-1]["n"]
        self._told |= bool(slots)
        return slots

    async def settle(self) -> None:
        """Note how far it is, now that all that it told is done."""
        if self._told or self._heard > self._noted + MOST:
            await self._store.engine.write(
                self._store.asking("scheduler.note_heard", heard=self._heard)
            )
            self._noted, self._told = self._heard, False

    def _among(
        self, listening: list[tuple[Behavior, EventFilter]], ids: list[str]
    ) -> Transaction[list[tuple[Record, list[str]]]]:
        """Read those records that anybody listens for, each with the behaviors that led to it."""
        found: list[tuple[Record, list[str]]] = []
        for kind in sorted({wanted.type for _, wanted in listening}):
            model = FINDABLE[kind]
            params = {"owner": self._store.owner, "ids": ids}
            rows = yield Statement(statements.among(model), params)
            for record in (decode(model, row) for row in rows):
                found += [(record, (yield from causes(self._store, record)))]
        return found


def causes(store: Store, record: Record) -> Transaction[list[str]]:
    """Name the behaviors that led to a record: who found it, and who led to that run.

    So two behaviors that listen to each other end, and do not go round for ever.
    """
    if not isinstance(record, Insight):
        return []
    run = yield from store.getting(Run, record.run_id)
    before: list[str] = run.input.get("because", []) if run else []
    return [*before, str(record.behavior_id)]


def filters(behaviors: Iterable[Behavior]) -> list[tuple[Behavior, EventFilter]]:
    """List the behaviors that listen, with what they listen for."""
    found: list[tuple[Behavior, EventFilter]] = []
    for behavior in behaviors:
        if behavior.enabled and behavior.trigger_type == "event":
            try:
                found.append((behavior, filter_of(behavior)))
            except InvalidInput as error:  # a newer program may know what it means
                logger.info("Behaviors: `%s`: %s", behavior.name, error)
    return found
