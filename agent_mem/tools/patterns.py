from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from agent_mem.app import EVERYWHERE, App
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.learning.conditions import given, hold
from agent_mem.records.fields import Json, Name, Names
from agent_mem.records.pattern import Pattern
from agent_mem.storage.statements import Transaction
from agent_mem.tools.scope import Project, known_id
from agent_mem.tools.tool import Result

MOST = 1_000


class Learned(Result):
    id: UUID
    says: str
    confidence: float
    cases: int
    success_rate: float
    agent: str
    shared_with: list[str]
    version: int
    faded: str | None
    user_metadata: dict[str, Any]


class Patterns(Result):
    patterns: list[Learned]
    left_out: int | None = None
    note: str | None = None


async def list_patterns(
    app: App,
    *,
    type: Annotated[Name | None, Field(description="Type of decisions")] = None,  # noqa: A002 - what a caller calls it
    context: Annotated[Json | None, Field(description="Only what applies here")] = None,
    agent: Annotated[
        Name | None, Field(description='Who asks; default: you; "*": patterns of all')
    ] = None,
    project: Project = None,
    faded: Annotated[bool, Field(description="Those that do not hold any more, too")] = False,
    limit: Annotated[int, Field(ge=1, le=100)] = 20,
) -> Patterns:
    """List what was learned from decisions: which choices work or fail, under which conditions.

    Call it before you decide, with the type and the context of the decision.
    """
    who = agent or app.settings.agent
    filters = {"type": type, "project": app.where(project), "faded": int(faded)}
    found = await app.store.find(Pattern, "patterns.listed", **filters, limit=MOST)
    fitting = [
        pattern
        for pattern in found
        if (who == EVERYWHERE or pattern.open_to(who))
        and (context is None or hold(pattern.conditions, given(context, who)))
    ]
    return Patterns(
        patterns=[learned(pattern) for pattern in fitting[:limit]],
        left_out=max(len(fitting) - limit, 0) or None,
        note=None
        if fitting
        else "No pattern is known. run_behavior learn_patterns looks for them.",
    )


async def share_pattern(
    app: App,
    *,
    pattern: Annotated[Name, Field(description="Pattern id")],
    shared_with: Annotated[
        Names | None, Field(description='Agents; ["*"]: all; []: only its own agent')
    ] = None,
    user_metadata: Annotated[Json | None, Field(description="Whatever you keep with it")] = None,
) -> Learned:
    """Share a pattern with agents, whom log_decision offers it then; keep your own data with it.

    What is given replaces what was there.
    """
    key = known_id(pattern, "pattern")
    given = {"shared_with": shared_with, "user_metadata": user_metadata}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise InvalidInput("share_pattern needs `shared_with` or `user_metadata`.")

    def sharing() -> Transaction[Pattern]:
        found = yield from app.store.getting(Pattern, key)
        if found is None:
            raise NotFound(f"There is no pattern `{key}`: list_patterns gives their ids.")
        changed = found.model_copy(update=changes)
        return found if changed == found else (yield from app.store.saving(changed))

    return learned(await app.store.engine.write(sharing()))


def learned(pattern: Pattern) -> Learned:
    return Learned(
        id=pattern.id,
        says=pattern.description,
        confidence=pattern.confidence,
        cases=pattern.sample_size,
        success_rate=round(pattern.success_rate, 4),
        agent=pattern.agent_name,
        shared_with=pattern.shared_with,
        version=pattern.version,
        faded=pattern.faded_at.date().isoformat() if pattern.faded_at else None,
        user_metadata=pattern.user_metadata,
    )
