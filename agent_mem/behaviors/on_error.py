"""The steps of the workflow "On Error": capture, look it up, try a fix, escalate, document."""

import re
from typing import Any, Final

from agent_mem.app import App
from agent_mem.behaviors.action import Found, Outcome, Params, Task
from agent_mem.behaviors.allowed import allowed
from agent_mem.behaviors.command import executed, named, program
from agent_mem.behaviors.relay import sending
from agent_mem.behaviors.solving import counting, known_as
from agent_mem.errors import ActionFailed, InvalidInput
from agent_mem.recall.search import Request
from agent_mem.records.event import Event
from agent_mem.records.fields import Content
from agent_mem.records.record import named_id, now
from agent_mem.records.signal import Signal
from agent_mem.records.signature import signature
from agent_mem.records.snapshot import Snapshot
from agent_mem.records.solution import Solution
from agent_mem.storage.statements import Transaction

RUNNABLE: Final = re.compile(r"^command: *([\w.-]+) *$", re.MULTILINE)
"""A solution with such a line can be tried by a program that the settings file names."""
ALIKE: Final = 0.5
"""The share of a problem's words that a solution must have to be one of it."""
MOST: Final = 3
BEFORE: Final = 5
"""Events before the error that are captured with it."""
EXCERPT: Final = 500


class Problem(Params):
    """What went wrong, where no event tells it."""

    problem: Content | None = None


def problem_of(task: Task) -> str:
    """Say what went wrong: the error that the workflow heard of, or what it was given.

    Raises:
        InvalidInput: nobody says.
    """
    given: dict[str, Any] = task.run.input if task.run else {}
    told = Problem.model_validate(task.params.model_dump()).problem
    found = told or given.get("problem") or given.get("text")
    if not isinstance(found, str) or not found.strip():
        raise InvalidInput(f"`{task.behavior.name}` needs a `problem`, or an event that has one.")
    return found


def key_of(task: Task) -> str:
    return str(task.run.id) if task.run else task.behavior.name


async def capture(app: App, task: Task) -> Outcome:
    """Keep what went wrong, with what happened before it."""
    problem, project = problem_of(task), project_of(task)
    before = await app.store.find(
        Event, "events.between", since=task.since, until=now(), project=project, limit=BEFORE
    )
    snapshot = Snapshot(
        id=named_id("captured", key_of(task)),
        agent_name=task.behavior.agent_name,
        project=project,
        context_type="error",
        context_data={
            "error": problem,
            "before": [f"{e.event_type}: {e.content[:EXCERPT]}" for e in before],
        },
        tags=["on-error"],
        importance=8,
    )
    await app.store.put(snapshot)
    return Outcome({"snapshot": str(snapshot.id), "events": len(before)}, [])


def project_of(task: Task) -> str | None:
    heard: dict[str, Any] = task.run.input if task.run else {}
    return heard.get("project") or task.params.project


async def lookup(app: App, task: Task) -> Outcome:
    """Search the knowledge base for the same problem, and for like ones."""
    problem = problem_of(task)
    key = await known_as(app, problem)
    request = Request(query=problem, kinds=("solution",), limit=MOST, literal=True)

    def looking() -> Transaction[list[Solution]]:
        same = yield from app.store.getting(Solution, key)
        hits = (yield from app.finder.searching(request)).hits
        like = [h.record for h in hits if isinstance(h.record, Solution) and h.coverage >= ALIKE]
        return [*([same] if same else []), *(found for found in like if found.id != key)]

    found = await app.store.engine.read(looking())
    known = [
        {"solution": s.solution, "worked": s.success_count, "used": s.usage_count}
        for s in found[:MOST]
    ]
    return Outcome({"solutions": known}, [])


def solutions(task: Task) -> list[dict[str, Any]]:
    """Take what a step before has found."""
    return [s for output in task.results.values() for s in output.get("solutions", [])]


async def fix(app: App, task: Task) -> Outcome:
    """Try the first known solution that names a command; what came of it is the result."""
    for known in solutions(task):
        if name := RUNNABLE.search(known["solution"]):
            return Outcome(await tried(app, task, known["solution"], name[1]), [])
    return Outcome({"fixed": False, "why": "No solution is known that can be tried."}, [])


async def tried(app: App, task: Task, solution: str, name: str) -> dict[str, Any]:
    """Run a solution's command."""
    try:
        entry = named(await allowed(app.settings), name)
        ended = await executed(entry, [str(program(entry)), *entry.args], task)
    except ActionFailed as error:
        return {"fixed": False, "solution": solution, "why": str(error)}
    fixed = ended["exit_code"] == 0
    why = None if fixed else f"`{name}` ended with {ended['exit_code']}."
    return {"fixed": fixed, "solution": solution, "why": why}


def attempt(task: Task) -> dict[str, Any]:
    """Take what came of the fix."""
    return next((o for o in task.results.values() if "fixed" in o), {"fixed": False})


async def escalate(app: App, task: Task) -> Outcome:
    """Tell the others what could not be mended: by a signal to all, and an insight."""
    done = attempt(task)
    if done["fixed"]:
        return Outcome({"escalated": False}, [])
    tried_so = f"Tried: {done['solution'][:EXCERPT]}" if done.get("solution") else ""
    parts = (f"Not mended: {problem_of(task)[:EXCERPT]}", tried_so, done.get("why") or "")
    text = "\n".join(part for part in parts if part)
    signal = Signal(
        id=named_id("escalated", key_of(task)),
        sender=task.behavior.agent_name,
        signal_type="escalation",
        payload={"problem": problem_of(task)[:EXCERPT], "text": text},
    )
    await app.store.engine.write(sending(app, signal))
    told = {"escalated": True, "text": text, "signal": str(signal.id)}
    return Outcome(told, [Found("escalation", text, 1.0)])


async def document(app: App, task: Task) -> Outcome:
    """Count the attempt in the knowledge base, and log how it ended."""
    done, problem, project = attempt(task), problem_of(task), project_of(task)
    said = "Mended" if done["fixed"] else "Escalated"
    event = Event(
        id=named_id("documented", key_of(task)),
        agent_name=task.behavior.agent_name,
        project=project,
        event_type="result",
        content=f"{said}: {problem[:EXCERPT]}",
        importance=0.7,
        tags=["on-error"],
    )
    solved = None
    if done.get("solution"):
        solved = Solution(
            id=await known_as(app, problem),
            agent_name=task.behavior.agent_name,
            project=project,
            problem_signature=signature(problem),
            problem_description=problem,
            solution=done["solution"],
        )

    def documenting() -> Transaction[None]:
        # A retry must not count the same attempt twice: the event is there if it was counted.
        if (yield from app.store.getting(Event, event.id, forgotten=True)):
            return
        yield from app.store.saving(event)
        if solved:
            yield from counting(app, solved, worked=done["fixed"])

    await app.store.engine.write(documenting())
    return Outcome({"event": str(event.id), "fixed": done["fixed"]}, [])
