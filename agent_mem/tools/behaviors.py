"""Behaviors: which there are, one run now, and what an agent does by itself."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from agent_mem.app import App
from agent_mem.behaviors.catalog import built_in, named, params_of
from agent_mem.behaviors.event_filter import filter_of
from agent_mem.behaviors.graph import order
from agent_mem.behaviors.runner import run
from agent_mem.behaviors.schedule import TIMED, check, upcoming
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.behavior import Behavior, Overlap, Trigger, behavior_id
from agent_mem.records.fields import Json, Line, Name, Names
from agent_mem.records.record import now
from agent_mem.records.run import RunStatus
from agent_mem.storage.statements import Row, Transaction
from agent_mem.storage.store import decode
from agent_mem.tools.scope import Agent
from agent_mem.tools.tool import EMPTY, Result

TIMES = ("trigger_type", "schedule", "time_zone", "event_filter", "enabled")
"""What a behavior's due times depend on."""
STAMPS = {"owner", "updated_at", "hlc", "origin", "ver", "extra", "schema_v"}
"""What a record has of the database."""


class BehaviorLine(Result):
    name: str
    action: str
    trigger: str
    agent: str
    enabled: bool
    status: str
    last_run: str | None
    error: str | None
    depends_on: list[str]


class BehaviorList(Result):
    behaviors: list[BehaviorLine]


async def list_behaviors(
    app: App, *, agent: Annotated[Name | None, Field(description="Only this agent's")] = None
) -> BehaviorList:
    """List what run_behavior can run, when it runs by itself, and how its last run went."""
    stored = await app.store.find(Behavior, "behaviors.all", agent=agent)
    latest = {UUID(str(r["behavior_id"])): r for r in await app.store.rows("behavior_runs.latest")}
    names = {behavior.name for behavior in stored}
    more = [b for b in built_in(app, agent or app.settings.agent) if b.name not in names]
    return BehaviorList(behaviors=[line(b, latest.get(b.id)) for b in (*stored, *more)])


def line(behavior: Behavior, run: Row | None) -> BehaviorLine:
    """Show a behavior as its last run left it, whichever machine that was on."""
    ended = run and (run["ended_at"] or run["started_at"])
    return BehaviorLine(
        name=behavior.name,
        action=behavior.action,
        trigger=behavior.schedule or behavior.trigger_type,
        agent=behavior.agent_name,
        enabled=behavior.enabled,
        status=run["status"] if run else "idle",
        last_run=datetime.fromisoformat(str(ended)).strftime("%Y-%m-%d %H:%M") if ended else None,
        error=run["error"] if run else None,
        depends_on=behavior.depends_on,
    )


class Finding(Result):
    topic: str
    content: str
    relevance: float


class Ran(Result):
    run: UUID
    status: RunStatus
    output: dict[str, Any]
    insights: list[Finding]
    error: str | None


async def run_behavior(
    app: App,
    *,
    name: Annotated[Name, Field(description="As list_behaviors gives it")],
    input: Annotated[  # noqa: A002 - what a caller calls it
        Json | None, Field(description='Parameters, such as {"hours": 24}')
    ] = None,
    agent: Agent = None,
) -> Ran:
    """Run a behavior now, and get its output and insights.

    Built in: `analyze` (what changed, failed, repeats), `consolidate` (events into memories),
    `promote` (insights into shared memory), `relay` (insights to agents, as signals), `digest`,
    `learn_patterns` (of decisions), `health_check`, `backup`, `prune` (what expired), `reembed`.
    """
    behavior = await named(app, name, agent or app.settings.agent)
    done, insights = await run(app, behavior, input or {}, trigger="manual")
    return Ran(
        run=done.id,
        status=done.status,
        output={key: value for key, value in done.output.items() if value not in EMPTY},
        insights=[
            Finding(topic=i.topic, content=i.content, relevance=i.relevance) for i in insights
        ],
        error=done.error,
    )


class Rules(BaseModel):
    """How it runs."""

    model_config = ConfigDict(extra="forbid")

    timeout_s: Annotated[int, Field(ge=1, le=3600)] = 60
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    backoff_s: Annotated[int, Field(ge=0, le=3600, description="Doubled each time")] = 10
    overlap: Annotated[Overlap, Field(description="If it is due while it runs")] = "skip"


class Registered(Result):
    id: UUID
    name: str
    status: str
    """`new`, `changed`, `same`, or `removed`."""
    next_due: str | None
    runs_after: list[str]
    """What is run before it, in this order."""


async def register_behavior(
    app: App,
    *,
    name: Annotated[Name, Field(description="What it is called, and changed by")],
    action: Annotated[Name, Field(description="analyze, promote, digest, command, ...")],
    trigger: Annotated[Trigger, Field(description="What makes it due")] = "manual",
    schedule: Annotated[
        Line | None, Field(description='daily: "09:30"; schedule: cron, "*/15 9-17 * * MON-FRI"')
    ] = None,
    time_zone: Annotated[Name | None, Field(description="Europe/Berlin; default: UTC")] = None,
    event: Annotated[
        Json | None,
        Field(description='New records: {"type": "event", "kind": "error", "importance": 0.7}'),
    ] = None,
    params: Annotated[Json | None, Field(description="What the action takes")] = None,
    depends_on: Annotated[
        Names | None, Field(description="Behaviors to run before it, whose results it gets")
    ] = None,
    rules: Annotated[Rules | None, Field(description="How it runs")] = None,
    skill: Annotated[Name | None, Field(description="Skill that the agent must have")] = None,
    enabled: Annotated[bool, Field(description="Whether it runs by itself")] = True,
    remove: Annotated[bool, Field(description="Remove it; its runs are kept")] = False,
    agent: Agent = None,
) -> Registered:
    """Register what an agent does by itself: an action, and when it is due. Again: change it.

    Actions: analyze, consolidate, learn_patterns, prune, promote, relay, health_check, backup,
    reembed, digest; command and webhook (what the settings file allows), ask; and the steps of
    "On Error": capture, lookup, fix, escalate, document.
    """
    who = agent or app.settings.agent
    wanted = Behavior(
        id=behavior_id(app.store.owner, who, name),
        agent_name=who,
        name=name,
        trigger_type=trigger,
        schedule=schedule,
        time_zone=time_zone,
        event_filter=event or {},
        action=action,
        params=params or {},
        depends_on=depends_on or [],
        **(rules or Rules()).model_dump(),
        skill=skill,
        enabled=enabled,
        scheduled_at=now(),
    )
    if remove:
        return await app.store.engine.write(removing(app, wanted))
    sensible(app, wanted)
    return await app.store.engine.write(registering(app, wanted))


def sensible(app: App, wanted: Behavior) -> None:
    """Look whether a behavior makes sense, before it is registered.

    Raises:
        InvalidInput: it does not.
    """
    params_of(app, wanted, {})
    check(wanted)
    if wanted.trigger_type == "event":
        filter_of(wanted)
    for name, needed in (("schedule", TIMED), ("event", {"event"})):
        given = wanted.schedule if name == "schedule" else wanted.event_filter
        if given and wanted.trigger_type not in needed:
            right = " or ".join(sorted(needed))
            raise InvalidInput(f"`{name}` is for the trigger {right}: pass that as `trigger`.")


def registering(app: App, wanted: Behavior) -> Transaction[Registered]:
    """Write a behavior that is new or another than before; what it depends on must be there."""
    rows = yield app.store.query("behaviors.of_agent", agent=wanted.agent_name)
    steps = order(wanted, [decode(Behavior, row) for row in rows])
    before = yield from app.store.getting(Behavior, wanted.id, forgotten=True)
    status = "new"
    if before and not before.deleted_at:
        since = before.scheduled_at if same(before, wanted, TIMES) else wanted.scheduled_at
        kept = {"created_at": before.created_at, "scheduled_at": since}
        wanted = wanted.model_copy(
            update=kept | {"status": before.status, "last_run": before.last_run}
        )
        status = (
            "same" if same(before, wanted, Behavior.model_fields.keys() - STAMPS) else "changed"
        )
    if status != "same":
        yield from app.store.saving(wanted)
    coming = upcoming(wanted, now()) if wanted.trigger_type in TIMED and wanted.enabled else None
    return Registered(
        id=wanted.id,
        name=wanted.name,
        status=status,
        next_due=coming.strftime("%Y-%m-%d %H:%M:%S UTC") if coming else None,
        runs_after=[step.name for step in steps],
    )


def same(before: Behavior, after: Behavior, fields: Any) -> bool:  # noqa: ANN401 - names
    return all(getattr(before, name) == getattr(after, name) for name in fields)


def removing(app: App, wanted: Behavior) -> Transaction[Registered]:
    """Remove a behavior, unless others depend on it.

    Raises:
        NotFound: it is not there.
        InvalidInput: others depend on it.
    """
    before = yield from app.store.getting(Behavior, wanted.id)
    if before is None:
        raise NotFound(f"{wanted.agent_name} has no behavior `{wanted.name[:80]}`.")
    rows = yield app.store.query("behaviors.of_agent", agent=wanted.agent_name)
    others = [b.name for row in rows if wanted.name in (b := decode(Behavior, row)).depends_on]
    if others:
        raise InvalidInput(f"`{others[0]}` depends on `{wanted.name}`: change or remove it first.")
    yield from app.store.saving(before.model_copy(update={"deleted_at": now()}))
    return Registered(
        id=before.id, name=before.name, status="removed", next_due=None, runs_after=[]
    )
