from typing import Annotated
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.errors import NotFound
from agent_mem.recall.meaning import Meant
from agent_mem.recall.search import Found, Request
from agent_mem.records.decision import Decision, Option
from agent_mem.records.fields import Json, Line, Name, Names, Number, Share
from agent_mem.records.record import now
from agent_mem.storage.statements import Transaction
from agent_mem.tools.scope import Agent, Project, Scope, SessionName, entering, known_id
from agent_mem.tools.tool import Result

EARLIER = 5
ALIKE = 0.5
"""The share of a question's words that an earlier decision must have to be named."""
SAME = 0.5
"""The cosine of a question with an earlier decision from which that one is named.

Of 10 pairs in other words the shipped encoder puts 6 above it, of 16 that are merely related 1.
"""

DecisionId = Annotated[Name, Field(description="Decision id")]


class Earlier(Result):
    id: UUID
    question: str
    selected: list[str]
    outcome: str
    when: str


class Decided(Result):
    id: UUID
    earlier: list[Earlier]


async def log_decision(
    app: App,
    *,
    question: Annotated[Line, Field(description="What had to be decided")],
    selected: Annotated[Names, Field(min_length=1, description="What was chosen")],
    options: Annotated[
        list[Option] | None, Field(max_length=50, description="All options, with scores")
    ] = None,
    rationale: Annotated[Line | None, Field(description="Why")] = None,
    confidence: Annotated[Share | None, Field(description="0 to 1")] = None,
    type: Annotated[Name, Field(description="A class of decisions, for statistics")] = "general",  # noqa: A002 - what a caller calls it
    context: Annotated[Json | None, Field(description="The circumstances")] = None,
    parent: Annotated[Name | None, Field(description="Id of the decision that led here")] = None,
    patterns: Annotated[Names | None, Field(description="Patterns applied")] = None,
    session: SessionName = None,
    agent: Agent = None,
    project: Project = None,
) -> Decided:
    """Log a decision when you make it, and its outcome later with log_outcome.

    Returns its id, and earlier decisions on the same question with how they turned out.
    """
    scope = Scope.of(app, agent, project)
    decision = Decision(
        agent_name=scope.agent_name,
        project=scope.project,
        decision_type=type,
        question=question,
        context=context or {},
        options=options or [],
        selected=selected,
        rationale=rationale,
        confidence=confidence,
        patterns_applied=patterns or [],
        parent_id=known_id(parent, "decision") if parent else None,
    )

    request = same_question(decision)
    meant = await app.finder.meant(request)

    def deciding() -> Transaction[list[Earlier]]:
        if decision.parent_id:
            yield from existing(app, decision.parent_id)
        found = yield from earlier(app, request, meant)
        key = yield from entering(app, session, scope)
        yield from app.store.saving(decision.model_copy(update={"session_id": key}))
        return found

    return Decided(id=decision.id, earlier=await app.store.engine.write(deciding()))


class Outcome(Result):
    id: UUID
    question: str
    outcome: str


async def log_outcome(
    app: App,
    *,
    decision: DecisionId,
    success: Annotated[bool, Field(description="Did it work?")],
    quality: Annotated[Share | None, Field(description="How well, 0 to 1")] = None,
    latency_ms: Annotated[
        Number | None, Field(ge=0, le=1e12, description="How long it took")
    ] = None,
    error: Annotated[Line | None, Field(description="What went wrong")] = None,
) -> Outcome:
    """Log how a decision turned out. A later outcome replaces an earlier one."""
    key = known_id(decision, "decision")
    outcome = {
        "success": success,
        "quality_score": quality,
        "latency_ms": latency_ms,
        "error": error,
        "outcome_at": now(),
    }

    def judging() -> Transaction[Decision]:
        found = yield from existing(app, key)
        return (yield from app.store.saving(found.model_copy(update=outcome)))

    saved = await app.store.engine.write(judging())
    return Outcome(id=saved.id, question=saved.question, outcome=saved.outcome())


def existing(app: App, key: UUID) -> Transaction[Decision]:
    """Fetch a decision that must be there.

    Raises:
        NotFound: it is not.
    """
    found = yield from app.store.getting(Decision, key)
    if found is None:
        raise NotFound(f"There is no decision `{key}`: recall finds decisions by their question.")
    return found


def same_question(decision: Decision) -> Request:
    return Request(
        query=decision.question,
        kinds=("decision",),
        project=decision.project,
        limit=EARLIER,
        literal=True,
    )


def earlier(app: App, request: Request, meant: Meant | None) -> Transaction[list[Earlier]]:
    """Find decisions on the same question, the likest first."""
    found = yield from app.finder.searching(request, meant)
    return [
        Earlier(
            id=hit.record.id,
            question=hit.record.question,
            selected=hit.record.selected,
            outcome=hit.record.outcome(),
            when=hit.record.created_at.date().isoformat(),
        )
        for hit in found.hits
        if isinstance(hit.record, Decision) and (hit.coverage >= ALIKE or means_it(app, hit))
    ]


def means_it(app: App, hit: Found) -> bool:
    """Tell whether a decision is on the question in other words; other models measure otherwise."""
    return app.finder.meaning.endpoint is None and hit.cosine >= SAME
