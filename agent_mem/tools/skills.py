from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.behaviors.bound import permitted
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.recall.words import terms
from agent_mem.records.binding import Binding
from agent_mem.records.fields import Content, Json, Line, Name, Names
from agent_mem.records.record import named_id
from agent_mem.records.skill import Skill
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode
from agent_mem.tools.scope import Agent
from agent_mem.tools.tool import Result


class SkillLine(Result):
    name: str
    description: str
    category: str | None
    version: str


class SkillList(Result):
    skills: list[SkillLine]
    note: str | None = None


async def list_skills(
    app: App,
    *,
    agent: Agent = None,
    category: Name | None = None,
    query: Annotated[Line | None, Field(description="Words of the name or description")] = None,
) -> SkillList:
    """List the skills that an agent may use, in its order of priority."""
    name = agent or app.settings.agent
    found = [skill for skill, _ in await app.store.engine.read(permitted(app, name))]
    lines = [
        SkillLine(
            name=skill.skill_name,
            description=skill.description,
            category=skill.category,
            version=skill.version,
        )
        for skill in found
        if category in (None, skill.category) and matches(skill, query)
    ]
    return SkillList(skills=lines, note=None if lines else "No such skills.")


def matches(skill: Skill, query: str | None) -> bool:
    """Look whether a skill has any word that is asked for."""
    words = set(terms(query or ""))
    return not words or bool(words & set(terms(f"{skill.skill_name} {skill.description}")))


class Loaded(Result):
    name: str
    description: str
    version: str
    body: str | None
    spec: dict[str, Any]
    dependencies: list[str]
    config: dict[str, Any]


async def load_skill(
    app: App,
    *,
    name: Annotated[Name, Field(description="As list_skills gives it")],
    agent: Agent = None,
) -> Loaded:
    """Load a skill: its instructions (SKILL.md), and its configuration for an agent."""
    who = agent or app.settings.agent
    allowed = await app.store.engine.read(permitted(app, who))
    for skill, config in allowed:
        if skill.skill_name == name:
            return Loaded(
                name=name,
                description=skill.description,
                version=skill.version,
                body=skill.body,
                spec=skill.spec,
                dependencies=skill.dependencies,
                config=config,
            )
    if await app.store.rows("skills.named", name=name):
        raise InvalidInput(f"The agent `{who}` has no enabled binding to the skill `{name}`.")
    raise NotFound(f"There is no skill `{name}`: list_skills names them.")


class SkillRegistered(Result):
    id: UUID
    name: str
    version: str
    status: str


async def register_skill(
    app: App,
    *,
    name: Annotated[
        Name, Field(pattern="^[a-z0-9]+([_-][a-z0-9]+)*$", description="Such as git-workflow")
    ],
    description: Annotated[Line, Field(description="What it does, and when to use it")],
    body: Annotated[Content | None, Field(description="SKILL.md: the instructions")] = None,
    category: Name | None = None,
    version: Annotated[Name, Field(description="A new one for each change")] = "1.0.0",
    spec: Annotated[Json | None, Field(description="MCP-compatible description")] = None,
    dependencies: Annotated[Names | None, Field(description="Skills that it needs")] = None,
    active: Annotated[bool, Field(description="Whether agents may load it")] = True,
) -> SkillRegistered:
    """Register a skill: instructions that agents can load. A published version is never changed."""
    skill = Skill(
        id=named_id("skill", app.store.owner, name, version),
        skill_name=name,
        description=description,
        category=category,
        version=version,
        spec=spec or {},
        body=body,
        dependencies=dependencies or [],
        is_active=active,
    )

    status = await app.store.engine.write(publishing(app, skill))
    return SkillRegistered(id=skill.id, name=name, version=version, status=status)


PUBLISHED = {"skill_name", "description", "spec", "body", "dependencies"}
"""What hosts approve of a skill: it stays as it is."""


def publishing(app: App, skill: Skill) -> Transaction[str]:
    """Write a version that is new, or whether it is active; tell which.

    Raises:
        InvalidInput: the version was published with other words.
    """
    before = yield from app.store.getting(Skill, skill.id, forgotten=True)
    if before and not before.deleted_at:
        if before.model_dump(include=PUBLISHED) != skill.model_dump(include=PUBLISHED):
            raise InvalidInput(
                f"`{skill.skill_name}` {skill.version} is published: give the change a new version."
            )
        kept = {"is_active": skill.is_active, "category": skill.category}
        changed = before.model_copy(update=kept)
        if changed == before:
            return "same"
        yield from app.store.saving(changed)
        return "changed"
    yield from app.store.saving(skill)
    return "new"


class Bound(Result):
    id: UUID
    agent: str
    skill: str
    enabled: bool
    priority: int
    config: dict[str, Any]


async def bind_skill(
    app: App,
    *,
    skill: Annotated[Name, Field(description="As list_skills gives it")],
    enabled: Annotated[bool, Field(description="Whether it may use it")] = True,
    priority: Annotated[int, Field(ge=0, le=1000, description="The lowest is first")] = 100,
    config: Annotated[Json | None, Field(description="What load_skill gives this agent")] = None,
    agent: Agent = None,
) -> Bound:
    """Bind a skill to an agent, or change that: an agent with bindings may use only these."""
    who = agent or app.settings.agent
    told: dict[str, Any] = {"enabled": enabled, "priority": priority}
    told |= {} if config is None else {"config": config}
    done = await app.store.engine.write(binding(app, who, skill, told))
    return Bound(
        id=done.id,
        agent=who,
        skill=skill,
        enabled=done.enabled,
        priority=done.priority,
        config=done.config,
    )


def binding(app: App, agent: str, name: str, told: dict[str, Any]) -> Transaction[Binding]:
    """Write what binds an agent to the latest version of a skill.

    Raises:
        NotFound: there is no such skill.
    """
    rows = yield app.store.query("skills.named", name=name)
    if not rows:
        raise NotFound(f"There is no skill `{name[:80]}`: list_skills names them.")
    skill = decode(Skill, rows[0])
    bound = yield app.store.query("agent_skill_bindings.of_agent", agent=agent)
    key = named_id("binding", app.store.owner, agent, str(skill.id))
    new = Binding(id=key, agent_name=agent, skill_id=skill.id)
    known = (b for row in bound if (b := decode(Binding, row)).skill_id == skill.id)
    return (yield from app.store.saving(next(known, new).model_copy(update=told)))
