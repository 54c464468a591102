"""Problems and their solutions: the same problem has one record, and every attempt counts."""

from uuid import UUID

from agent_mem.app import App
from agent_mem.recall.search import Request
from agent_mem.records.record import named_id, now
from agent_mem.records.signature import signature
from agent_mem.records.solution import Solution
from agent_mem.storage.statements import Transaction

LIKE = 10
"""How many like problems are looked at for being the same."""


async def known_as(app: App, problem: str) -> UUID:
    """Give the same problem the same id, on every machine.

    A program that reduced problems to other signatures may have kept it under another id. Then it
    is among those that are like it.
    """
    same = signature(problem)
    key = named_id("solution", app.store.owner, same)
    request = Request(query=problem, kinds=("solution",), limit=LIKE, literal=True)

    def looking() -> Transaction[UUID]:
        if (yield from app.store.getting(Solution, key, forgotten=True)):
            return key
        hits = (yield from app.finder.searching(request)).hits
        like = [hit.record for hit in hits if isinstance(hit.record, Solution)]
        return next((s.id for s in like if signature(s.problem_description) == same), key)

    return await app.store.engine.read(looking())


def counting(app: App, first: Solution, *, worked: bool) -> Transaction[Solution]:
    """Count one more attempt to solve a problem."""
    before = yield from app.store.getting(Solution, first.id, forgotten=True)
    counted = (before or first).tried(first.solution, worked=worked)
    # What helped in two projects helps everywhere; what was forgotten is known again.
    where = first.project if counted.project == first.project else None
    known = {"last_used": now(), "project": where, "deleted_at": None}
    return (yield from app.store.saving(counted.model_copy(update=known)))
