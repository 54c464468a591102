"""Which skills an agent may use, and whether a behavior has the one that it is bound to."""

from typing import Any
from uuid import UUID

from agent_mem.app import App
from agent_mem.errors import InvalidInput
from agent_mem.records.behavior import Behavior
from agent_mem.records.binding import Binding
from agent_mem.records.skill import Skill
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode


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


async def skill_of(app: App, behavior: Behavior) -> Skill | None:
    """Fetch the skill that a behavior is bound to; None if it is bound to none.

    Raises:
        InvalidInput: its agent may not use it.
    """
    if behavior.skill is None:
        return None
    for skill, _ in await app.store.engine.read(permitted(app, behavior.agent_name)):
        if skill.skill_name == behavior.skill:
            return skill
    raise InvalidInput(
        f"The agent `{behavior.agent_name}` has no skill `{behavior.skill}` that it may use."
    )
