from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.behaviors.runner import built_in, named, run
from agent_mem.records.behavior import Behavior
from agent_mem.records.fields import Json, Name
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode
from agent_mem.tools.scope import Agent
from agent_mem.tools.tool import EMPTY, Result


class BehaviorLine(Result):
    name: str
    action: str
    trigger: str
    agent: str
    enabled: bool
    status: str
    last_run: str | None


class BehaviorList(Result):
    behaviors: list[BehaviorLine]


async def list_behaviors(
    app: App, *, agent: Annotated[Name | None, Field(description="Only this agent's")] = None
) -> BehaviorList:
    """List what run_behavior can run, when it runs by itself, and how its last run went."""

    def listing() -> Transaction[list[Behavior]]:
        rows = yield app.store.query("behaviors.all", agent=agent)
        return [decode(Behavior, row) for row in rows]

    stored = await app.store.engine.read(listing())
    names = {behavior.name for behavior in stored}
    more = [b for b in built_in(app, agent or app.settings.agent) if b.name not in names]
    return BehaviorList(behaviors=[line(behavior) for behavior in (*stored, *more)])


def line(behavior: Behavior) -> BehaviorLine:
    return BehaviorLine(
        name=behavior.name,
        action=behavior.action,
        trigger=behavior.schedule or behavior.trigger_type,
        agent=behavior.agent_name,
        enabled=behavior.enabled,
        status=behavior.status,
        last_run=behavior.last_run.strftime("%Y-%m-%d %H:%M") if behavior.last_run else None,
    )


class Finding(Result):
    topic: str
    content: str
    relevance: float


class Ran(Result):
    run: UUID
    status: Literal["running", "failed", "complete"]
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
    `learn_patterns` (of decisions), `prune` (what expired), `reembed` (what is not found by meaning
    yet).
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
