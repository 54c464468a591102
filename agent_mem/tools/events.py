from typing import Annotated
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.records.event import Event
from agent_mem.records.fields import Content, Name, Names, Share
from agent_mem.storage.statements import Transaction
from agent_mem.tools.scope import Agent, Project, Scope, SessionName, entering
from agent_mem.tools.tool import Result


class Logged(Result):
    id: UUID


async def log_event(
    app: App,
    *,
    type: Annotated[Name, Field(description="error, message, tool_call, result, ...")],  # noqa: A002 - what a caller calls it
    content: Annotated[Content, Field(description="What happened")],
    session: SessionName = None,
    role: Annotated[Name | None, Field(description="user, assistant, tool, ...")] = None,
    importance: Annotated[Share, Field(description="0 to 1")] = 0.5,
    tags: Names | None = None,
    agent: Agent = None,
    project: Project = None,
) -> Logged:
    """Log what happens as it happens: errors, results, messages.

    Short-term memory, found by recall at once; the behavior `consolidate` turns what matters
    of it into long-term memory. For a lasting fact use remember.
    """
    scope = Scope.of(app, agent, project)
    event = Event(
        agent_name=scope.agent_name,
        project=scope.project,
        role=role,
        event_type=type,
        content=content,
        importance=importance,
        tags=tags or [],
    )

    def logging() -> Transaction[None]:
        key = yield from entering(app, session, scope)
        yield from app.store.saving(event.model_copy(update={"session_id": key}))

    await app.store.engine.write(logging())
    return Logged(id=event.id)
