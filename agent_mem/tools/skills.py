from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.recall.words import terms
from agent_mem.records.binding import Binding
from agent_mem.records.fields import Line, Name
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


def permitted(app: App, agent: str) -> Transaction[list[tuple[Skill, dict[str, Any]]]]:
    """List an agent's skills with their configuration, the most important first.

    An agent that has bindings may use what is bound and enabled; one that has none, any skill.
    """
    rows = yield app.store.query("skills.all")
    skills: dict[UUID, Skill] = {skill.id: skill for skill in (decode(Skill, row) for row in rows)}
    bound = yield app.store.query("agent_skill_bindings.of_agent", agent=agent)
    bindings = [decode(Binding, row) for row in bound]
    if not bindings:
        latest = {skill.skill_name: skill for skill in skills.values()}
        return [(skill, {}) for skill in latest.values()]
    enabled = [b for b in bindings if b.enabled and b.skill_id in skills]
    return [(skills[b.skill_id], b.config) for b in enabled]
