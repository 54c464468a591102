"""Running what is due: held by a lease, with what it depends on before it, and its end written."""

import json
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import uuid4

import anyio

from agent_mem.app import App
from agent_mem.behaviors import BEHAVIORS, OUTWARD
from agent_mem.behaviors.action import Found, Outcome, Task
from agent_mem.behaviors.bound import skill_of
from agent_mem.behaviors.catalog import params_of
from agent_mem.behaviors.desk import Desk
from agent_mem.behaviors.graph import order
from agent_mem.behaviors.slots import (
    LATE,
    LEASE,
    Ended,
    Slot,
    Written,
    claiming,
    ending,
    renewing,
)
from agent_mem.errors import AgentMemError, InvalidInput, StorageError
from agent_mem.records.behavior import Behavior
from agent_mem.records.insight import Insight
from agent_mem.records.record import named_id, uuid7
from agent_mem.records.run import Run
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store

BEAT: Final = LEASE.total_seconds() / 3
"""Seconds between two renewals of a lease."""
GATHERED: Final = 50_000
"""Characters of the results of its steps that a workflow's own run keeps, at most."""

logger = logging.getLogger(__name__)

Work = Callable[[Run], Awaitable[Ended]]


async def run(
    app: App, behavior: Behavior, given: dict[str, object], *, trigger: str
) -> tuple[Run, list[Insight]]:
    """Run a behavior now, and what it depends on before it.

    Raises:
        InvalidInput: a parameter makes no sense, or something that it depends on is not there.
    """
    runner = Runner(app, Desk(app, shared=False), await who(app))
    steps = await runner.steps(behavior)
    for step in steps:
        params_of(app, step, {})
    params_of(app, behavior, given)
    await app.store.engine.write(ensuring(app.store, behavior))
    slot = Slot(behavior, str(uuid7()), trigger, input=given)
    done, ended = await runner.follow(slot, steps)
    if done is None:
        raise InvalidInput(f"The run of `{behavior.name}` was taken over: see list_behaviors.")
    return done, ended.insights


def ensuring(store: Store, behavior: Behavior) -> Transaction[None]:
    """Register what is built in when it is run for the first time."""
    if (yield from store.getting(Behavior, behavior.id, forgotten=True)) is None:
        yield from store.saving(behavior)


async def who(app: App) -> str:
    """Name this file, so that a runner on it can tell which runs were of one before it.

    On the server itself there is no file: there a lease runs out.
    """
    if app.store.engine.dialect == "postgres":
        return f"{uuid4()}:"
    (row,) = await app.store.rows("sync.replica")
    return f"{row['id']}:"


@dataclass(frozen=True, slots=True)
class Runner:
    """What runs behaviors in this process."""

    app: App
    desk: Desk
    me: str

    async def steps(self, behavior: Behavior) -> list[Behavior]:
        """List what has to run before a behavior.

        Raises:
            InvalidInput: something of it is not there, or they depend on each other in a circle.
        """
        if not behavior.depends_on:
            return []
        known = await self.app.store.find(Behavior, "behaviors.of_agent", agent=behavior.agent_name)
        return order(behavior, known)

    async def due(self, slot: Slot) -> Run | None:
        """Run what is due once; None if another has, does, or did.

        Raises:
            StorageError: it can be decided nowhere now.
        """
        try:
            steps = await self.steps(slot.behavior)
        except InvalidInput as error:
            failed = Ended(Outcome({}, []), str(error), [])
            done, _ = await self._carry(slot, lambda _: said(failed), alone=True)
            return done
        done, _ = await self.follow(slot, steps)
        return done

    async def follow(self, slot: Slot, steps: list[Behavior]) -> tuple[Run | None, Ended]:
        """Run some steps, then what is due."""
        alone = not any(b.action in OUTWARD for b in (*steps, slot.behavior))

        async def work(run: Run) -> Ended:
            results = await self._results(run, steps, alone=alone)
            ended = await self._acted(slot, run, results)
            return gathered(ended, results) if results else ended

        return await self._carry(slot, work, alone=alone)

    async def _carry(self, slot: Slot, work: Work, *, alone: bool) -> tuple[Run | None, Ended]:
        """Claim what is due, hold it while it is worked on, and write how it ended."""
        ended = Ended(Outcome({}, []), LATE, [])
        by = f"{self.me}{os.getpid()}:{uuid4().hex}"
        begun = await self.desk.decide(partial(claiming, slot=slot, by=by), alone=alone)
        run = first(begun)
        if run is None:
            return None, ended
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._renew, run, tasks.cancel_scope)
            try:
                ended = await work(run)
            except AgentMemError as error:  # here: out of a group it would come in a group
                ended = Ended(Outcome({}, []), str(error), [])
            tasks.cancel_scope.cancel()
        # What was done is done: if the server cannot be told now, the file is, and it travels.
        end = partial(ending, behavior=slot.behavior, run=run, ended=ended)
        return first(await self.desk.decide(end, alone=True)), ended

    async def _renew(self, run: Run, working: anyio.CancelScope) -> None:
        """Prolong the lease as long as it is worked on; stop the work where it is another's."""
        while True:
            await anyio.sleep(BEAT)
            try:
                held = await self.desk.decide(partial(renewing, run=run), alone=True)
            except StorageError as error:
                logger.warning("Behaviors: a lease cannot be prolonged: %s", error)
                continue
            if not held:
                working.cancel()

    async def _results(
        self, run: Run, steps: list[Behavior], *, alone: bool
    ) -> dict[str, dict[str, Any]]:
        """Run the steps of a workflow in order; what an earlier attempt has done is not repeated.

        Raises:
            InvalidInput: one of them failed.
        """
        results: dict[str, dict[str, Any]] = {}
        for step in steps:
            given = {name: results[name] for name in step.depends_on}
            slot = Slot(step, str(run.id), "workflow", input=run.input, inner=True)
            done = await self._step(slot, given, alone=alone)
            if done is None or done.status != "complete":
                why = done.error if done and done.error else "it waits for an agent."
                raise InvalidInput(f"It needs `{step.name}`, which is not done: {why}")
            results[step.name] = done.output
        return results

    async def _step(
        self, slot: Slot, results: dict[str, dict[str, Any]], *, alone: bool
    ) -> Run | None:
        async def work(run: Run) -> Ended:
            return await self._acted(slot, run, results)

        done, _ = await self._carry(slot, work, alone=alone)
        return done or first(await self.desk.decide(partial(fetching, slot=slot), alone=alone))

    async def _acted(self, slot: Slot, run: Run, results: dict[str, dict[str, Any]]) -> Ended:
        """Do a behavior's action; what goes wrong with it is how it ended."""
        behavior, given = slot.behavior, slot.input if slot.trigger == "manual" else {}
        try:
            if not behavior.enabled:
                raise InvalidInput(f"The behavior `{behavior.name}` is switched off.")
            params = params_of(self.app, behavior, given)
            skill = await skill_of(self.app, behavior)
        except AgentMemError as error:
            return Ended(Outcome({}, []), str(error), [])
        task = Task(behavior, params, run, results, skill)
        outcome, error = await attempted(self.app, task)
        return Ended(outcome, error, [insight(task, run, found) for found in outcome.insights])


async def said(ended: Ended) -> Ended:
    return ended


def first(written: Written) -> Run | None:
    """Give the run that was written, if one was."""
    return next((record for record in written if isinstance(record, Run)), None)


def fetching(store: Store, slot: Slot) -> Transaction[Written]:
    """Read how a step went that was run before."""
    found = yield from store.getting(Run, slot.run(store.owner))
    return [found] if found else []


def gathered(ended: Ended, results: dict[str, dict[str, Any]]) -> Ended:
    """Keep what came of the steps with what came of it all, unless it is too much."""
    large = len(json.dumps(results, ensure_ascii=False)) > GATHERED
    steps = dict.fromkeys(results, "complete") if large else results
    output = {**ended.outcome.output, "steps": steps}
    return Ended(ended.outcome._replace(output=output), ended.error, ended.insights)


async def attempted(app: App, task: Task) -> tuple[Outcome, str | None]:
    """Do the action within its time; what it raises is its error."""
    try:
        with anyio.fail_after(task.behavior.timeout_s):
            return await BEHAVIORS[task.behavior.action](app, task), None
    except TimeoutError:
        return Outcome({}, []), f"It took longer than {task.behavior.timeout_s} s."
    except AgentMemError as error:
        return Outcome({}, []), str(error)
    except Exception as error:  # one broken action must not take the server with it
        logger.exception("The behavior `%s` has a bug.", task.behavior.name)
        return Outcome({}, []), f"It has a bug: {type(error).__name__}."


def insight(task: Task, run: Run, found: Found) -> Insight:
    behavior, project = task.behavior, found.project or task.params.project
    return Insight(
        # The same finding is the same insight, however often it is found.
        id=named_id("insight", str(behavior.id), project or "", found.topic, found.content),
        agent_name=behavior.agent_name,
        project=project,
        behavior_id=behavior.id,
        run_id=run.id,
        topic=found.topic,
        content=found.content,
        relevance=found.relevance,
    )
