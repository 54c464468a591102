from typing import Annotated
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.learning.conditions import given, hold
from agent_mem.recall.meaning import Meant
from agent_mem.recall.search import Found, Request
from agent_mem.records.decision import Decision, Option
from agent_mem.records.fields import Json, Line, Name, Names, Share
from agent_mem.records.pattern import Pattern
from agent_mem.records.signature import signature
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode
from agent_mem.tools.scope import Agent, Project, Scope, SessionName, entering, known_id
from agent_mem.tools.tool import Result

EARLIER = 5
ENOUGH = 20
"""Candidates by words, and by meaning, of which the earlier decisions are: the likest are first."""
OFFERED = 3
MOST = 500
"""Patterns of a type that are looked at."""
ALIKE = 0.5
"""The share of a question's words that an earlier decision must have to be named."""
SAME = 0.5
"""The cosine of a question with an earlier decision from which that one is named.

Of 10 pairs in other words the shipped encoder puts 6 above it, of 16 that are merely related 1.
"""


class Earlier(Result):
    id: UUID
    question: str
    selected: list[str]
    outcome: str
    when: str


class Taught(Result):
    id: UUID
    says: str


class Decided(Result):
    id: UUID
    earlier: list[Earlier]
    patterns: list[Taught]


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
    supersedes: Annotated[Name | None, Field(description="Id of the decision it corrects")] = None,
    patterns: Annotated[Names | None, Field(description="Patterns applied")] = None,
    session: SessionName = None,
    agent: Agent = None,
    project: Project = None,
) -> Decided:
    """Log a decision when you make it, and its outcome later with log_outcome.

    Returns its id, earlier decisions on the same question with how they turned out, and what was
    learned of such cases.
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
        supersedes=known_id(supersedes, "decision") if supersedes else None,
        question_signature=signature(question),
    )

    request = same_question(decision)
    meant = await app.finder.meant(request)

    def deciding() -> Transaction[Decided]:
        above = yield from placed(app, decision)
        found = yield from earlier(app, decision, request, meant)
        taught = yield from offered(app, decision)
        key = yield from entering(app, session, scope)
        yield from app.store.saving(
            decision.model_copy(update={"session_id": key, "parent_id": above})
        )
        return Decided(id=decision.id, earlier=found, patterns=taught)

    return await app.store.engine.write(deciding())


def placed(app: App, decision: Decision) -> Transaction[UUID | None]:
    """Find what a decision follows from; a correction stands where the corrected one stood.

    Raises:
        NotFound: what it follows from, or corrects, is not there.
        InvalidInput: it would follow from itself, or correct what is corrected already.
    """
    above, old = decision.parent_id, decision.supersedes
    if above:
        yield from existing(app, above)
        rows = yield app.store.query("decisions.led_by", id=above)
        uncircled(above, old, {UUID(row["id"]) for row in rows})
    if old is None:
        return above
    before = yield from existing(app, old)
    for row in (yield app.store.query("decisions.corrections", id=old)):
        raise InvalidInput(f"Decision `{old}` was corrected already: correct `{row['id']}`.")
    return above or before.parent_id


def uncircled(above: UUID, old: UUID | None, led: set[UUID]) -> None:
    """Refuse a parent that follows from itself, or from what is corrected.

    Raises:
        InvalidInput: there would be a circle.
    """
    if above in led:
        raise InvalidInput(f"The decision `{above}` follows from itself: name another parent.")
    if old in {above, *led}:
        raise InvalidInput(
            f"A correction of `{old}` cannot follow from it: leave out `parent`, and it takes the"
            " place of what it corrects."
        )


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
        wide=ENOUGH,
        literal=True,
    )


def earlier(
    app: App, decision: Decision, request: Request, meant: Meant | None
) -> Transaction[list[Earlier]]:
    """Find decisions on the same question: those on the very same, then the likest."""
    same = yield app.store.query(
        "decisions.of_question",
        signature=decision.question_signature,
        project=decision.project,
        limit=EARLIER,
    )
    found = {d.id: d for d in (decode(Decision, row) for row in same)}
    if len(found) < EARLIER:
        for like in (yield from resembling(app, request, meant)):
            found.setdefault(like.id, like)
    return [told(d) for d in found.values() if d.id != decision.supersedes][:EARLIER]


def resembling(app: App, request: Request, meant: Meant | None) -> Transaction[list[Decision]]:
    """Find decisions on a like question that nothing corrects, the likest first."""
    hits = (yield from app.finder.searching(request, meant)).hits
    found: list[Decision] = []
    for hit in hits:
        if isinstance(hit.record, Decision) and (hit.coverage >= ALIKE or means_it(app, hit)):
            corrected = yield app.store.query("decisions.corrections", id=hit.record.id)
            found += [] if corrected else [hit.record]
    return found


def told(decision: Decision) -> Earlier:
    return Earlier(
        id=decision.id,
        question=decision.question,
        selected=decision.selected,
        outcome=decision.outcome(),
        when=decision.created_at.date().isoformat(),
    )


def offered(app: App, decision: Decision) -> Transaction[list[Taught]]:
    """Find what was learned of such cases, what was chosen first, then what else could be."""
    among = {*decision.selected, *(option.name for option in decision.options)}
    filters = {"type": decision.decision_type, "project": decision.project, "faded": 0}
    told = given(decision.context, decision.agent_name)
    rows = yield app.store.query("patterns.listed", **filters, limit=MOST)
    fitting = [
        pattern
        for pattern in (decode(Pattern, row) for row in rows)
        if pattern.open_to(decision.agent_name)
        and pattern.choice in among
        and hold(pattern.conditions, told)
    ]
    fitting.sort(key=lambda pattern: pattern.choice not in decision.selected)
    return [Taught(id=p.id, says=p.description) for p in fitting[:OFFERED]]


def means_it(app: App, hit: Found) -> bool:
    """Tell whether a decision is on the question in other words; other models measure otherwise."""
    return app.finder.meaning.endpoint is None and hit.cosine >= SAME
