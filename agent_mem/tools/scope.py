"""Who is writing, about which project, in which session: arguments, with defaults of the settings.

Neither comes from the connection: one server process is not one conversation.
"""

from dataclasses import dataclass
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.errors import NotFound
from agent_mem.records.fields import Name, Text
from agent_mem.records.record import named_id
from agent_mem.records.session import Session
from agent_mem.storage.statements import Transaction

Agent = Annotated[Name | None, Field(description="Which agent; default: you")]
Project = Annotated[
    Text | None,
    Field(max_length=1000, description='Project; default: the current one; "*": everywhere'),
]
SessionName = Annotated[Name | None, Field(description="Conversation or job, by any name or id")]


@dataclass(frozen=True, slots=True)
class Scope:
    """The agent and the project that a call is about."""

    agent_name: str
    project: str | None

    @classmethod
    def of(cls, app: App, agent: str | None, project: str | None) -> Self:
        return cls(agent or app.settings.agent, app.where(project))


def session_id(app: App, name: str) -> UUID:
    """Give a session its id: the name itself if it is one, else one that the name always gives."""
    try:
        return UUID(name)
    except ValueError:
        return named_id("session", app.store.owner, name)


def entering(app: App, name: str | None, scope: Scope) -> Transaction[UUID | None]:
    """Make sure that a session is there, as part of the write that belongs to it."""
    if name is None:
        return None
    key = session_id(app, name)
    if (yield from app.store.getting(Session, key, forgotten=True)) is None:
        session = Session(
            id=key, agent_name=scope.agent_name, project=scope.project, meta={"name": name}
        )
        yield from app.store.saving(session)
    return key


def known_id(text: str, what: str) -> UUID:
    """Read an id that the caller was given earlier.

    Raises:
        NotFound: no id looks like this.
    """
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"There is no {what} `{text[:80]}`: an id has 36 characters.") from None
