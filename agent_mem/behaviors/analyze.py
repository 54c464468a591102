"""Look back over a time window: what changed, what failed, what repeats."""

from collections import Counter

from agent_mem.app import App
from agent_mem.behaviors.action import Found, Outcome, Task, events
from agent_mem.records.decision import Decision
from agent_mem.records.event import Event
from agent_mem.records.signature import signature

REPEATS = 3
"""How often something must happen to be worth telling."""
MOST = 20
EXCERPT = 300
LONGEST = 200
"""Characters of a topic's name."""


async def analyze(app: App, task: Task) -> Outcome:
    """Tell what is worth knowing of the time window, the gravest first."""
    happened = await events(app, task)
    window = {"since": task.since, "project": task.params.project, "limit": MOST}
    failed = await app.store.find(Decision, "decisions.failed", **window)
    touched = await app.store.rows("memories.touched", **window)
    changes = {row["topic"]: row["memories"] for row in touched}
    found = [*failures(failed), *errors(happened), *repetitions(happened), *changed(changes)]
    output = {
        "events": len(happened),
        "errors": sum(event.event_type == "error" for event in happened),
        "failed_decisions": len(failed),
        "changed_topics": changes,
    }
    return Outcome(output, sorted(found, key=lambda item: -item.relevance)[:MOST])


def failures(decisions: list[Decision]) -> list[Found]:
    """Tell which decisions turned out badly."""
    return [
        Found(f"failed: {d.decision_type}"[:LONGEST], f"A decision failed: {d.summary()}", 0.9)
        for d in decisions
    ]


def errors(happened: list[Event]) -> list[Found]:
    """Tell which errors occurred; an error that comes again is graver."""
    found: list[Found] = []
    for count, last in repeated([e for e in happened if e.event_type == "error"]):
        times = "once" if count == 1 else f"{count} times"
        text = f"An error occurred {times}, last at {last.ts:%Y-%m-%d %H:%M}: {last.content}"
        found.append(Found("errors", text[:EXCERPT], min(0.6 + 0.1 * (count - 1), 1.0)))
    return found


def repetitions(happened: list[Event]) -> list[Found]:
    """Tell what else happens again and again."""
    return [
        Found(
            f"repeats: {last.event_type}"[:LONGEST], f"{count} times: {last.content}"[:EXCERPT], 0.5
        )
        for count, last in repeated([e for e in happened if e.event_type != "error"])
        if count >= REPEATS
    ]


def changed(topics: dict[str, int]) -> list[Found]:
    """Tell what memory was written about."""
    names = ", ".join(f"{topic} ({count})" for topic, count in topics.items())
    return [Found("changes", f"Memories changed in: {names}"[:EXCERPT], 0.3)] if names else []


def repeated(happened: list[Event]) -> list[tuple[int, Event]]:
    """Count what is the same but for its numbers; each with its last occurrence."""
    last = {signature(event.content): event for event in happened}
    counts = Counter(signature(event.content) for event in happened)
    return [(count, last[key]) for key, count in counts.most_common(MOST)]
