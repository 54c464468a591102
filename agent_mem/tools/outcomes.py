from typing import Annotated
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.records.decision import Decision
from agent_mem.records.fields import Line, Name, Number, Share
from agent_mem.records.outcome import Outcome
from agent_mem.records.record import named_id, now
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode
from agent_mem.tools.decisions import existing
from agent_mem.tools.scope import Agent, known_id
from agent_mem.tools.tool import Result

VALUES = ("success", "quality_score", "latency_ms", "error")


class Judged(Result):
    id: UUID
    question: str
    outcome: str


async def log_outcome(
    app: App,
    *,
    decision: Annotated[Name, Field(description="Decision id")],
    success: Annotated[bool, Field(description="Did it work?")],
    quality: Annotated[Share | None, Field(description="How well, 0 to 1")] = None,
    latency_ms: Annotated[
        Number | None, Field(ge=0, le=1e12, description="How long it took")
    ] = None,
    error: Annotated[Line | None, Field(description="What went wrong")] = None,
    agent: Agent = None,
) -> Judged:
    """Log how a decision turned out. If that changes, log it again: the last one counts."""
    outcome = Outcome(
        decision_id=known_id(decision, "decision"),
        agent_name=agent or app.settings.agent,
        success=success,
        quality_score=quality,
        latency_ms=latency_ms,
        error=error,
    )
    saved = await app.store.engine.write(judging(app, outcome))
    return Judged(id=saved.id, question=saved.question, outcome=saved.outcome())


def judging(app: App, outcome: Outcome) -> Transaction[Decision]:
    """Add an outcome to those of its decision, which shows the last one; the same changes nothing.

    Both are written in one transaction, so on every machine the decision shows that outcome which
    is the last in the order of sync.
    """
    before = yield from existing(app, outcome.decision_id)
    latest = {name: getattr(outcome, name) for name in VALUES}
    if latest == {name: getattr(before, name) for name in VALUES}:
        return before
    yield from first_kept(app, before)
    yield from app.store.saving(outcome)
    return (yield from app.store.saving(before.model_copy(update={**latest, "outcome_at": now()})))


def first_kept(app: App, decision: Decision) -> Transaction[None]:
    """Keep the outcome that a decision has of a time when outcomes were not kept."""
    if decision.success is None or (yield from outcomes(app, decision.id)):
        return
    kept = Outcome.model_validate(
        {
            "id": named_id("outcome", str(decision.id), str(decision.outcome_at)),
            "created_at": decision.outcome_at or decision.updated_at,
            "decision_id": decision.id,
            "agent_name": decision.agent_name,
            **{name: getattr(decision, name) for name in VALUES},
        }
    )
    yield from app.store.saving(kept)


def outcomes(app: App, key: UUID, *, forgotten: bool = False) -> Transaction[list[Outcome]]:
    """List the outcomes of a decision, the last one last."""
    rows = yield app.store.query("outcomes.of_decision", id=key)
    found = [decode(Outcome, row) for row in rows]
    return [outcome for outcome in found if forgotten or outcome.deleted_at is None]
