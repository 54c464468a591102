from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.errors import InvalidInput
from agent_mem.learning.measures import (
    UNSAID,
    Bin,
    Group,
    brier,
    mean,
    nearest_rank,
    reliability,
)
from agent_mem.records.decision import SHORT_TERM, Decision
from agent_mem.records.fields import Moment, Name
from agent_mem.records.rate import wilson
from agent_mem.records.record import now
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode
from agent_mem.tools.decisions import existing
from agent_mem.tools.outcomes import outcomes
from agent_mem.tools.scope import Project, known_id
from agent_mem.tools.tool import Result

FIRST = datetime.min.replace(tzinfo=UTC)
FOREVER = datetime.max.replace(tzinfo=UTC)
Term = Literal["short", "long"] | None
FOLLOWED = 50
"""Decisions of a chain that are shown, each way: the rest is reached from the last of them."""


class Brief(Result):
    id: UUID
    question: str
    selected: list[str]
    outcome: str
    when: str
    who: str


class Calibration(Result):
    """How often agents were right, beside how sure they said they were."""

    brier: float
    judged: int
    table: list[str]


class Statistics(Result):
    count: int
    open: int
    success_rate: float | None = None
    interval: list[float] = Field(default_factory=list[float])
    quality: float | None = None
    confidence: float | None = None
    latency_p50: float | None = None
    latency_p95: float | None = None
    calibration: Calibration | None = None


class Told(Result):
    """An outcome of the history."""

    outcome: str
    latency_ms: float | None
    when: str
    who: str


class Review(Result):
    statistics: Statistics | None = None
    decisions: list[Brief] = Field(default_factory=list[Brief])
    context: dict[str, Any] = Field(default_factory=dict[str, Any])
    options: list[str] = Field(default_factory=list)
    rationale: str | None = None
    confidence: float | None = None
    patterns: list[str] = Field(default_factory=list)
    outcomes: list[Told] = Field(default_factory=list[Told])
    led_from: list[Brief] = Field(default_factory=list[Brief])
    led_to: list[Brief] = Field(default_factory=list[Brief])
    corrects: UUID | None = None
    corrected_by: list[Brief] = Field(default_factory=list[Brief])


async def review_decisions(
    app: App,
    *,
    decision: Annotated[Name | None, Field(description="Only this one, with its chain")] = None,
    since: Annotated[Moment | None, Field(description="ISO 8601")] = None,
    until: Moment | None = None,
    type: Annotated[Name | None, Field(description="Type of decisions")] = None,  # noqa: A002 - what a caller calls it
    agent: Annotated[Name | None, Field(description="Only this agent's")] = None,
    project: Project = None,
    outcome: Annotated[
        Literal["success", "failure", "open"] | None, Field(description="How they turned out")
    ] = None,
    term: Annotated[Term, Field(description="Younger than a day, or older")] = None,
    corrected: Annotated[bool, Field(description="Those that were corrected, too")] = False,
    limit: Annotated[int, Field(ge=1, le=100)] = 10,
) -> Review:
    """Review decisions: how often they worked, and how sure agents were when they were right.

    Success rate with its 95% interval (Wilson), mean quality and confidence, latency p50 and p95
    (nearest rank), Brier score, and what was said beside what came; then the latest decisions.
    With an id: all of that decision, its outcomes, what led to it, what followed, and corrections.
    """
    if decision:
        return await app.store.engine.read(whole(app, known_id(decision, "decision")))
    asked = {
        **window(since, until, term),
        "type": type,
        "agent": agent,
        "project": app.where(project),
        "outcome": outcome,
        "corrected": int(corrected),
    }
    return await app.store.engine.read(reviewing(app, asked, limit))


def window(since: datetime | None, until: datetime | None, term: Term) -> dict[str, datetime]:
    """Bound the time by what was asked for, and by the term.

    Raises:
        InvalidInput: nothing is left of it.
    """
    yesterday = now() - SHORT_TERM
    begin = max(since or FIRST, yesterday if term == "short" else FIRST)
    end = min(until or FOREVER, yesterday if term == "long" else FOREVER)
    if begin > end:
        raise InvalidInput("`until` is before `since`, or before what `term` allows.")
    return {"since": begin, "until": end}


def reviewing(app: App, asked: dict[str, Any], limit: int) -> Transaction[Review]:
    rows = yield app.store.query("decisions.measured", **asked)
    groups = [Group(**row) for row in rows]
    timed = sum(group.timed for group in groups)
    middle, late = nearest_rank(50, timed), nearest_rank(95, timed)
    ranked = yield app.store.query("decisions.ranked", **asked, middle=middle, late=late)
    took = {row["place"]: row["latency_ms"] for row in ranked}
    latest = yield app.store.query("decisions.reviewed", **asked, limit=limit)
    found = statistics(groups)
    found.latency_p50, found.latency_p95 = took.get(middle), took.get(late)
    return Review(statistics=found, decisions=[brief(decode(Decision, row)) for row in latest])


def statistics(groups: list[Group]) -> Statistics:
    """Sum up decisions; those without an outcome count as open, and as nothing else."""
    count = sum(group.n for group in groups)
    known = sum(group.n for group in groups if group.known)
    worked = sum(group.n for group in groups if group.came == 1)
    said = [group for group in groups if group.tenth != UNSAID]
    found = Statistics(
        count=count,
        open=count - known,
        success_rate=short(mean(worked, known)),
        quality=short(mean(sum(g.quality for g in groups), sum(g.rated for g in groups))),
        confidence=short(mean(sum(g.said for g in said), sum(g.n for g in said))),
        calibration=calibration(groups),
    )
    if known:
        found.interval = [round(end, 4) for end in wilson(worked, known)]
    return found


def short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def calibration(groups: list[Group]) -> Calibration | None:
    score = brier(groups)
    if score is None:
        return None
    judged = sum(group.n for group in groups if group.judged)
    table = [line(one) for one in reliability(groups)]
    return Calibration(brier=round(score, 4), judged=judged, table=table)


def line(one: Bin) -> str:
    """Tell what was said and what came of it, of the forecasts between two confidences."""
    return f"{one.low:.1f}-{one.high:.1f}: said {one.said:.2f}, right {one.right:.2f} of {one.n}"


def whole(app: App, key: UUID) -> Transaction[Review]:
    """Tell all of one decision."""
    found = yield from existing(app, key)
    led_from = yield from along(app, "ancestors", key)
    led_to = yield from along(app, "descendants", key)
    corrections = yield app.store.query("decisions.corrections", id=key)
    return Review(
        decisions=[brief(found)],
        context=found.context,
        options=[option.told() for option in found.options],
        rationale=found.rationale,
        confidence=found.confidence,
        patterns=found.patterns_applied,
        outcomes=[
            Told(
                outcome=each.told(),
                latency_ms=each.latency_ms,
                when=minute(each.created_at),
                who=each.agent_name,
            )
            for each in (yield from outcomes(app, key))
        ],
        led_from=led_from[::-1],
        led_to=led_to,
        corrects=found.supersedes,
        corrected_by=[brief(decode(Decision, row)) for row in corrections],
    )


def along(app: App, way: str, key: UUID) -> Transaction[list[Brief]]:
    """Walk a chain from a decision; it may be in a circle, which comes back to itself."""
    rows = yield app.store.query(f"decisions.{way}", id=key, limit=FOLLOWED)
    return [brief(d) for d in (decode(Decision, row) for row in rows) if d.id != key]


def brief(decision: Decision) -> Brief:
    return Brief(
        id=decision.id,
        question=decision.question,
        selected=decision.selected,
        outcome=decision.outcome(),
        when=minute(decision.created_at),
        who=decision.agent_name,
    )


def minute(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M")
