from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.binding import Binding
from agent_mem.records.fields import Json, Name
from agent_mem.records.record import named_id
from agent_mem.records.skill import Skill
from agent_mem.skills.registry import Registry, bindings, knowing, named
from agent_mem.storage.statements import Transaction
from agent_mem.tools.scope import Agent
from agent_mem.tools.skills import misfit
from agent_mem.tools.tool import Result

NEWEST = "newest"


class Bound(Result):
    id: UUID
    agent: str
    skill: str
    enabled: bool
    priority: int
    config: dict[str, Any]
    version: str | None
    """The one that it keeps to."""


async def bind_skill(
    app: App,
    *,
    skill: Annotated[Name, Field(description="As list_skills gives it")],
    enabled: Annotated[bool, Field(description="Whether it may use it")] = True,
    priority: Annotated[int, Field(ge=0, le=1000, description="The lowest is first")] = 100,
    config: Annotated[Json | None, Field(description="What load_skill gives this agent")] = None,
    version: Annotated[
        Name | None, Field(description="Keep to this version; `newest` follows each new one")
    ] = None,
    agent: Agent = None,
) -> Bound:
    """Bind a skill to an agent, or change that: an agent with bindings may use only these."""
    who = agent or app.settings.agent
    chosen = await app.store.engine.read(choosing(app, who, skill, version))
    if config is not None and (wrong := await misfit(chosen, config)):
        raise InvalidInput(f"`config` does not fit `{skill}` {chosen.version}: {wrong}.")
    told: dict[str, Any] = {"enabled": enabled, "priority": priority}
    told |= {} if config is None else {"config": config}
    told |= {} if version is None else {"version": None if version == NEWEST else version}
    done = await app.store.engine.write(binding(app, who, chosen, told))
    return Bound(
        id=done.id,
        agent=who,
        skill=skill,
        enabled=done.enabled,
        priority=done.priority,
        config=done.config,
        version=done.version,
    )


def choosing(app: App, agent: str, name: str, version: str | None) -> Transaction[Skill]:
    """Find the version of a skill that an agent is to get.

    Raises:
        NotFound: there is none, or nobody has approved it here.
    """
    registry = yield from knowing(app.store)
    newest = registry.newest(name)
    if version is None:
        known = named(registry, (yield from bindings(app.store, agent))).get(name)
        version = known.version if known else None
    if version in (None, NEWEST):
        return newest
    for skill in registry.serving()[name]:
        if skill.version == version:
            return skill
    there = ", ".join(skill.version for skill in registry.serving()[name])
    raise NotFound(f"The skill `{name}` has no version `{version}` to be used; it has {there}.")


def binding(app: App, agent: str, skill: Skill, told: dict[str, Any]) -> Transaction[Binding]:
    """Write what binds an agent to a skill."""
    registry: Registry = yield from knowing(app.store)
    bound = named(registry, (yield from bindings(app.store, agent)))
    key = named_id("binding", app.store.owner, agent, str(skill.id))
    new = Binding(id=key, agent_name=agent, skill_id=skill.id)
    before = bound.get(skill.skill_name, new)
    return (yield from app.store.saving(before.model_copy(update=told)))
