"""Turn decisions that are long-term memory into patterns: which choices work, and when."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from anyio.to_thread import run_sync

from agent_mem.app import App
from agent_mem.behaviors.action import Outcome, Task
from agent_mem.learning.conditions import worded
from agent_mem.learning.patterns import Finding, Key, findings
from agent_mem.records.decision import SHORT_TERM, Decision
from agent_mem.records.fields import MAX_LINE
from agent_mem.records.pattern import EVERYONE, Pattern, Version
from agent_mem.records.record import named_id, now
from agent_mem.storage.statements import Row, Transaction
from agent_mem.storage.store import decode

WINDOW_HOURS = 90 * 24
"""How far back it looks, unless it is told to look farther: what ended before then fades."""
MOST = 20_000
OF_A_TYPE = 1_000
"""The latest decisions of a type in a project: how many of them are evidence."""
NAMED = 100
"""Decisions that a pattern names as its evidence, the latest."""
VERSIONS = 50
"""Earlier versions that a pattern keeps, the latest."""
LISTED = 100
MEASURED = ("confidence", "success_rate", "sample_size", "other_rate", "other_size", "works")
"""What makes another version of a pattern when it changes."""


class Learned(NamedTuple):
    project: str | None
    finding: Finding


async def learn_patterns(app: App, task: Task) -> Outcome:
    """Find the patterns of each project, from all agents together; done again, nothing changes."""
    window = timedelta(hours=max(task.params.hours, WINDOW_HOURS))
    rows = await app.store.rows(
        "decisions.evidence",
        since=now() - window,
        until=now() - SHORT_TERM,
        project=task.params.project,
        limit=MOST,
    )
    found = await run_sync(learned, app.store.owner, rows)  # it may take a second

    def keeping() -> Transaction[dict[str, list[UUID]]]:
        changed: dict[str, list[UUID]] = {"learned": [], "faded": []}
        holding = yield app.store.query("patterns.holding", project=task.params.project, limit=MOST)
        for key, each in found.items():
            if each.finding.holds:
                changed["learned"] += yield from kept(app, key, each)
        for before in (decode(Pattern, row) for row in holding):
            if before.id not in found or not found[before.id].finding.holds:
                changed["faded"] += yield from faded(app, before, found.get(before.id))
        return changed

    changed = await app.store.engine.write(keeping())
    holding = sum(each.finding.holds for each in found.values())
    output: dict[str, Any] = {"decisions": len(rows), "patterns": holding}
    named = {name: [str(key) for key in keys[:LISTED]] for name, keys in changed.items()}
    return Outcome(output | named, [])


def learned(owner: str, rows: Sequence[Row]) -> dict[UUID, Learned]:
    """Weigh what may be a pattern, each under the id that it has on every machine."""
    projects: defaultdict[str | None, list[Decision]] = defaultdict(list)
    for decision in (decode(Decision, row) for row in rows):
        projects[decision.project].append(decision)
    return {
        pattern_id(owner, project, key): Learned(project, finding)
        for project, decisions in projects.items()
        for key, finding in findings(latest(decisions)).items()
    }


def latest(decisions: Iterable[Decision]) -> list[Decision]:
    """Keep so many of each type, of decisions that come the latest first."""
    seen: defaultdict[str, list[Decision]] = defaultdict(list)
    for decision in decisions:
        seen[decision.decision_type].append(decision)
    return [decision for some in seen.values() for decision in some[:OF_A_TYPE]]


def pattern_id(owner: str, project: str | None, key: Key) -> UUID:
    told = [part for condition in key.conditions for part in condition]
    return named_id("pattern", owner, project or "", key.decision_type, *told, "", key.choice)


def kept(app: App, key: UUID, each: Learned) -> Transaction[list[UUID]]:
    """Write a pattern that holds, unless it is there as it is, or was forgotten."""
    before = yield from app.store.getting(Pattern, key, forgotten=True)
    about = each.finding.about or EVERYONE
    shared_with = [about] if about == EVERYONE else []
    pattern = Pattern(id=key, agent_name=about, shared_with=shared_with, **described(each))
    if before:
        pattern = before.model_copy(update=described(each) | {"faded_at": None})
        if before.deleted_at or pattern == before:
            return []
        pattern = versioned(before, pattern)
    yield from app.store.saving(pattern)
    return [key]


def faded(app: App, before: Pattern, each: Learned | None) -> Transaction[list[UUID]]:
    """Mark a pattern that does not hold any more; where nothing is known, nothing is sure."""
    measured = described(each) if each else {"confidence": 0.0}
    measured.pop("evidence_ids", None)  # what it was learned from
    pattern = before.model_copy(update=measured | {"faded_at": now()})
    yield from app.store.saving(versioned(before, pattern))
    return [before.id]


def versioned(before: Pattern, pattern: Pattern) -> Pattern:
    """Count a version where what is known has changed, and keep what it was."""
    names = (*MEASURED, "conditions")
    same = all(getattr(before, name) == getattr(pattern, name) for name in names)
    if same and before.faded_at == pattern.faded_at:
        return pattern
    was = Version(
        version=before.version,
        until=now().isoformat(),
        confidence=before.confidence,
        success_rate=before.success_rate,
        sample_size=before.sample_size,
    )
    history = [*before.history, was][-VERSIONS:]
    return pattern.model_copy(update={"version": before.version + 1, "history": history})


def described(each: Learned) -> dict[str, Any]:
    """Say of a finding what its pattern keeps."""
    project, finding = each
    cases, others = finding.cases, finding.others
    conditions = {condition.key: condition.value for condition in finding.under}
    return {
        "project": project,
        "pattern_type": finding.key.decision_type,
        "description": description(finding, conditions),
        "conditions": conditions,
        "choice": finding.key.choice,
        "works": cases.rate > others.rate,
        "confidence": finding.confidence,
        "success_rate": cases.rate,
        "sample_size": cases.n,
        "other_rate": others.rate,
        "other_size": others.n,
        "evidence_ids": list(finding.evidence[:NAMED]),
    }


def description(finding: Finding, conditions: dict[str, Any]) -> str:
    """Say a pattern in a sentence: what worked, or failed, how often; and what else did."""
    cases, others = finding.cases, finding.others
    works = cases.rate > others.rate
    verb = "worked" if works else "failed"
    times, as_often = (t.successes if works else t.n - t.successes for t in (cases, others))
    where = f" with {worded(conditions)}" if conditions else ""
    return (
        f"{finding.key.decision_type}: in {times} of {cases.n} cases{where},"
        f" `{finding.key.choice}` {verb}; otherwise {as_often} of {others.n} {verb}."
    )[:MAX_LINE]
