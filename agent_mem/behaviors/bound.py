"""Whether a behavior has the skill that it is bound to."""

from agent_mem.app import App
from agent_mem.errors import InvalidInput
from agent_mem.records.behavior import Behavior
from agent_mem.records.skill import Skill
from agent_mem.skills.registry import permitted


async def skill_of(app: App, behavior: Behavior) -> Skill | None:
    """Fetch the skill that a behavior is bound to; None if it is bound to none.

    Raises:
        InvalidInput: its agent may not use it, or nobody has approved it here.
    """
    if behavior.skill is None:
        return None
    for skill, _ in await app.store.engine.read(permitted(app.store, behavior.agent_name)):
        if skill.skill_name == behavior.skill:
            return skill
    raise InvalidInput(
        f"The agent `{behavior.agent_name}` has no skill `{behavior.skill}` that it may use."
    )
