"""Completions: topics, agents, projects, skills, behaviors and sessions, as they are typed."""

from mcp.server import ServerRequestContext
from mcp.types import CompleteRequestParams, CompleteResult, Completion

from agent_mem.app import App
from agent_mem.records.record import now
from agent_mem.records.session import Session
from agent_mem.server.opening import Opening
from agent_mem.skills.registry import permitted
from agent_mem.tools.behaviors import list_behaviors

NAMES = {
    "topic": "memories.topic_names",
    "agent": "memories.agent_names",
    "project": "memories.project_names",
}
MOST = 100
"""Values in one answer, by the specification."""


class Completions:
    """The handler of `completion/complete`; an argument's name says what is completed."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    async def __call__(
        self, _: ServerRequestContext[object], params: CompleteRequestParams
    ) -> CompleteResult:
        typed = params.argument.value.casefold()
        names = await known(await self._opening(), params.argument.name)
        fitting = [name for name in names if name.casefold().startswith(typed)]
        return CompleteResult(
            completion=Completion(
                values=fitting[:MOST], total=len(fitting), has_more=len(fitting) > MOST
            )
        )


async def known(app: App, what: str) -> list[str]:
    """List what is known of a kind of thing; nothing of an unknown kind."""
    if what in ("session", "session_id"):
        found = await app.store.find(Session, "sessions.newest", before=now(), limit=5 * MOST)
        return [str(session.meta.get("name", session.id)) for session in found]
    if what == "behavior":
        return [behavior.name for behavior in (await list_behaviors(app)).behaviors]
    if what == "skill":
        permission = permitted(app.store, app.settings.agent)
        return sorted(skill.skill_name for skill, _ in await app.store.engine.read(permission))
    return [row["name"] for row in await app.store.rows(NAMES[what])] if what in NAMES else []
