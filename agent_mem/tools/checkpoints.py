"""Names for revisions of an agent's state, and the way back to them."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from agent_mem.app import App
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.checkpoint import Checkpoint
from agent_mem.records.fields import Name
from agent_mem.records.record import named_id
from agent_mem.records.state import State
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode
from agent_mem.tools.scope import Agent
from agent_mem.tools.states import (
    Revision,
    StateSaved,
    adding,
    current_of,
    revision_of,
    saved_as,
    up_to_date,
)
from agent_mem.tools.tool import Result


def label_of(text: str) -> str:
    """Refuse what names a revision already."""
    try:
        UUID(text)
    except ValueError:
        if not text.isdigit():
            return text
    raise ValueError("is a number or an id, as revisions have: give it a name")


Label = Annotated[Name, AfterValidator(label_of)]


class Labelled(Result):
    agent: str
    label: str
    revision: int
    was: int | None
    """The revision that had the label before."""


async def checkpoint_state(
    app: App,
    *,
    label: Annotated[Label, Field(description="Such as `before the migration`")],
    revision: Annotated[
        Revision | None, Field(description="Number, id or another label; default: current")
    ] = None,
    agent: Agent = None,
) -> Labelled:
    """Give a revision of an agent's state a name to come back to. A name can be given anew."""
    who = agent or app.settings.agent

    def labelling() -> Transaction[Labelled]:
        if revision:
            state = yield from revision_of(app, who, revision)
        else:
            state = yield from present(app, who)
        before = yield from latest(app, who, label)
        if before is None or before.state_id != state.id:
            yield from app.store.saving(checkpoint(app, state, label))
        was = before.revision if before and before.state_id != state.id else None
        return Labelled(agent=who, label=label, revision=state.revision, was=was)

    return await app.store.engine.write(labelling())


class RolledBack(StateSaved):
    restored: int
    """The revision whose state it has."""


async def rollback_state(
    app: App,
    *,
    to: Annotated[
        Revision | None, Field(description="Label, number or id; default: the last checkpoint")
    ] = None,
    read: Annotated[
        Revision | None, Field(description="Refuse if this is not the current revision any more")
    ] = None,
    agent: Agent = None,
) -> RolledBack:
    """Bring an earlier state back, as a new revision; those in between are kept."""
    who = agent or app.settings.agent

    def rolling() -> Transaction[RolledBack]:
        current = yield from present(app, who)
        if read:
            yield from up_to_date(app, who, current, read)
        state = yield from (revision_of(app, who, to) if to else last_checkpoint(app, who))
        if state.id == current.id:
            raise InvalidInput(f"`{who}` is at revision {state.revision}: nothing is to be undone.")
        new = yield from adding(app, who, current, state.state, state.id)
        return RolledBack(**saved_as(new).model_dump(), restored=state.revision)

    return await app.store.engine.write(rolling())


def present(app: App, agent: str) -> Transaction[State]:
    """Find the current state of an agent that has one.

    Raises:
        NotFound: it has none.
    """
    current = yield from current_of(app, agent)
    if current is None:
        raise NotFound(f"`{agent}` has no state yet: save_state saves its first.")
    return current


def latest(app: App, agent: str, label: str | None) -> Transaction[Checkpoint | None]:
    """Find the last checkpoint of a label, or of all."""
    rows = yield app.store.query("checkpoints.of_agent", agent=agent, label=label, limit=1)
    return next((decode(Checkpoint, row) for row in rows), None)


def last_checkpoint(app: App, agent: str) -> Transaction[State]:
    """Find the state that was named last.

    Raises:
        NotFound: there is no checkpoint.
    """
    found = yield from latest(app, agent, None)
    if found is None:
        raise NotFound(f"`{agent}` has no checkpoint: name a revision.")
    return (yield from revision_of(app, agent, str(found.state_id)))


def checkpoint(app: App, state: State, label: str) -> Checkpoint:
    return Checkpoint(
        # The same name for the same revision is the same checkpoint, on every machine.
        id=named_id("checkpoint", app.store.owner, state.agent_name, label, str(state.id)),
        agent_name=state.agent_name,
        label=label,
        revision=state.revision,
        state_id=state.id,
    )
