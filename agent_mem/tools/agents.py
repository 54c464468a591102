from typing import Annotated, Any

from pydantic import Field

from agent_mem.app import App
from agent_mem.records.agent import Agent as Registered
from agent_mem.records.agent import agent_id
from agent_mem.records.fields import Json, Line, Name, Names
from agent_mem.records.record import now
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode
from agent_mem.tools.scope import Agent
from agent_mem.tools.states import current_of
from agent_mem.tools.tool import Result

MOST = 500


class Registration(Result):
    agent: str
    new: bool | None
    role: str | None
    directives: list[str]
    capabilities: list[str]
    config: dict[str, Any]


async def register_agent(
    app: App,
    *,
    role: Annotated[Line | None, Field(description="What it is here for")] = None,
    directives: Annotated[
        list[Line] | None, Field(max_length=50, description="Rules that it goes by")
    ] = None,
    capabilities: Annotated[Names | None, Field(description="What it can do, a word each")] = None,
    config: Annotated[Json | None, Field(description="Its settings, whatever they are")] = None,
    agent: Agent = None,
) -> Registration:
    """Register an agent, so that others find it, or change what is said of it.

    What is left out stays as it is.
    """
    who = agent or app.settings.agent
    given = {"role": role, "directives": directives, "capabilities": capabilities, "config": config}
    changes = {name: value for name, value in given.items() if value is not None}

    def registering() -> Transaction[tuple[Registered | None, Registered]]:
        new = Registered(id=agent_id(app.store.owner, who), agent_name=who)
        before = yield from app.store.getting(Registered, new.id)
        after = (before or new).model_copy(update=changes)
        if after != before:
            yield from app.store.saving(after)
        return before, after

    before, after = await app.store.engine.write(registering())
    return Registration(
        agent=who,
        new=None if before else True,
        role=after.role,
        directives=after.directives,
        capabilities=after.capabilities,
        config=after.config,
    )


class AgentLine(Result):
    agent: str
    role: str | None
    directives: list[str]
    capabilities: list[str]
    config: dict[str, Any]
    revision: int | None
    """Of its state."""
    last_seen: str | None
    signals: int | None
    """How many wait for it."""


class AgentList(Result):
    agents: list[AgentLine]
    note: str | None = None


async def list_agents(
    app: App,
    *,
    agent: Annotated[Name | None, Field(description="Only this one")] = None,
    capability: Annotated[Name | None, Field(description="Only those that can do this")] = None,
    limit: Annotated[int, Field(ge=1, le=100)] = 20,
) -> AgentList:
    """List the agents that are registered: role, directives, capabilities, and what waits."""

    def listing() -> Transaction[list[AgentLine]]:
        rows = yield app.store.query("agents.listed", agent=agent, limit=MOST)
        known = [decode(Registered, row) for row in rows]
        able = [a for a in known if can(a, capability)]
        lines: list[AgentLine] = []
        for one in able[:limit]:
            lines += [(yield from line(app, one))]
        return lines

    found = await app.store.engine.read(listing())
    return AgentList(agents=found, note=None if found else "No such agents are registered.")


def can(agent: Registered, capability: str | None) -> bool:
    """Tell whether an agent has a capability, however it is capitalised."""
    wanted = capability and capability.casefold()
    return not wanted or wanted in {each.casefold() for each in agent.capabilities}


def line(app: App, agent: Registered) -> Transaction[AgentLine]:
    state = yield from current_of(app, agent.agent_name)
    (seen,) = yield app.store.query("agents.seen", agent=agent.agent_name)
    (count,) = yield app.store.query("signals.counted", agent=agent.agent_name, now=now())
    return AgentLine(
        agent=agent.agent_name,
        role=agent.role,
        directives=agent.directives,
        capabilities=agent.capabilities,
        config=agent.config,
        revision=state.revision if state else None,
        last_seen=str(seen["at"])[:16].replace("T", " ") if seen["at"] else None,
        signals=count["unprocessed"] or None,
    )
