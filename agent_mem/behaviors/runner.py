"""Running a behavior once: its action, its run, and the insights that came of it."""

import anyio
from pydantic import ValidationError

from agent_mem.app import App
from agent_mem.behaviors import BEHAVIORS
from agent_mem.behaviors.action import Found, Outcome, Params, Task
from agent_mem.errors import AgentMemError, InvalidInput, NotFound
from agent_mem.records.behavior import Behavior
from agent_mem.records.insight import Insight
from agent_mem.records.record import named_id, now
from agent_mem.records.run import Run
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode


def built_in(app: App, agent: str) -> list[Behavior]:
    """List the actions that can be run without being registered."""
    return [
        Behavior(
            id=named_id("behavior", app.store.owner, agent, name),
            agent_name=agent,
            name=name,
            action=name,
        )
        for name in BEHAVIORS
    ]


async def named(app: App, name: str, agent: str) -> Behavior:
    """Find a behavior by its name: a registered one, or one that is built in.

    Raises:
        NotFound: there is none.
        InvalidInput: it is switched off.
    """
    rows = await app.store.rows("behaviors.named", name=name, agent=agent)
    # An agent without a behavior of its own runs what is built in before what another has.
    stored = [
        b
        for row in rows
        if (b := decode(Behavior, row)).agent_name == agent or name not in BEHAVIORS
    ]
    found = next((b for b in (*stored, *built_in(app, agent)) if b.name == name), None)
    if found is None:
        raise NotFound(f"There is no behavior `{name}`: list_behaviors names them.")
    if not found.enabled:
        raise InvalidInput(f"The behavior `{name}` is switched off.")
    return found


async def run(
    app: App, behavior: Behavior, given: dict[str, object], *, trigger: str
) -> tuple[Run, list[Insight]]:
    """Run a behavior now; how it went is written with what it found, all or nothing."""
    task = Task(behavior, params_of(app, behavior, given))
    started = Run(behavior_id=behavior.id, trigger=trigger)
    await app.store.put(behavior.model_copy(update={"status": "running"}), started)
    outcome, error = await attempted(app, task)
    ended = now()
    status = "failed" if error else "complete"
    done = started.model_copy(
        update={
            "ended_at": ended,
            "status": status,
            "output": outcome.output,
            "error": error,
            "duration_ms": (ended - started.started_at).total_seconds() * 1000,
        }
    )
    insights = [insight(task, done, found) for found in outcome.insights]
    behavior = behavior.model_copy(update={"status": status, "last_run": ended})

    def ending() -> Transaction[None]:
        yield from app.store.putting(behavior, done)
        for new in insights:
            # What was found before is known, or was forgotten.
            if (yield from app.store.getting(Insight, new.id, forgotten=True)) is None:
                yield from app.store.saving(new)

    await app.store.engine.write(ending())
    return done, insights


def params_of(app: App, behavior: Behavior, given: dict[str, object]) -> Params:
    """Check what the action is told, before anything is written.

    Raises:
        NotFound: this program does not have the action.
        InvalidInput: a parameter makes no sense.
    """
    if behavior.action not in BEHAVIORS:
        known = ", ".join(BEHAVIORS)
        raise NotFound(f"There is no action `{behavior.action}`; there are {known}.")
    try:
        params = Params.model_validate({**behavior.params, **given})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        known = ", ".join(Params.model_fields)
        raise InvalidInput(f"`input.{name[:80]}`: {first['msg']}. It takes {known}.") from None
    return params.model_copy(update={"project": app.where(params.project)})


async def attempted(app: App, task: Task) -> tuple[Outcome, str | None]:
    """Do the action within its time; what it raises on purpose is its error."""
    try:
        with anyio.fail_after(task.behavior.timeout_s):
            return await BEHAVIORS[task.behavior.action](app, task), None
    except TimeoutError:
        return Outcome({}, []), f"It took longer than {task.behavior.timeout_s} s."
    except AgentMemError as error:
        return Outcome({}, []), str(error)


def insight(task: Task, done: Run, found: Found) -> Insight:
    behavior, project = task.behavior, task.params.project
    return Insight(
        # The same finding is the same insight, however often it is found.
        id=named_id("insight", str(behavior.id), project or "", found.topic, found.content),
        agent_name=behavior.agent_name,
        project=project,
        behavior_id=behavior.id,
        run_id=done.id,
        topic=found.topic,
        content=found.content,
        relevance=found.relevance,
    )
