"""An agent's state, in revisions: what is written upon anything but the latest is refused."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field, WithJsonSchema

from agent_mem.app import App
from agent_mem.errors import InvalidInput, NotFound, Outdated
from agent_mem.records.checkpoint import Checkpoint
from agent_mem.records.difference import differences
from agent_mem.records.fields import Json, Name
from agent_mem.records.record import now
from agent_mem.records.state import HIGHEST, State
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode
from agent_mem.tools.scope import Agent
from agent_mem.tools.tool import Result

SHOWN = 10
DIGITS = 10
"""As many as the highest revision has."""
MOST = 100
"""Changes that are told."""
RECENT = timedelta(days=30)
"""How long what was written apart and lost is named with the current state."""


def in_words(value: object) -> object:
    """Read the number of a revision as its name."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Revision = Annotated[
    Name, BeforeValidator(in_words), WithJsonSchema({"type": ["integer", "string"]})
]
Read = Annotated[
    Revision | None, Field(description="Revision (or id) that you read; left out for the first")
]


class StateSaved(Result):
    agent: str
    revision: int
    id: UUID


async def save_state(
    app: App,
    *,
    state: Annotated[Json, Field(description="All of it, not only what changes")],
    read: Read = None,
    agent: Agent = None,
) -> StateSaved:
    """Save an agent's state as a new revision, so that it can go on elsewhere.

    Name the revision that you read: if there is a later one, nothing is saved, and you get that one
    to change instead. No revision is ever lost.
    """
    who = agent or app.settings.agent

    def saving() -> Transaction[State]:
        current = yield from current_of(app, who)
        yield from up_to_date(app, who, current, read)
        return (yield from adding(app, who, current, state))

    return saved_as(await app.store.engine.write(saving()))


class Loaded(Result):
    agent: str
    revision: int | None = None
    id: UUID | None = None
    when: str | None = None
    restored: UUID | None = None
    """The revision that a rollback brought back with it."""
    state: dict[str, Any] = Field(default_factory=dict)
    changes: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    checkpoints: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    lost: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    note: str | None = None


async def load_state(
    app: App,
    *,
    revision: Annotated[
        Revision | None, Field(description="Number, id or checkpoint's label; default: current")
    ] = None,
    compare: Annotated[
        Revision | None, Field(description="Tell what changed since this one, instead of the state")
    ] = None,
    agent: Agent = None,
) -> Loaded:
    """Load an agent's state, the latest or an earlier revision, or tell how two differ."""
    who = agent or app.settings.agent

    def loading() -> Transaction[Loaded]:
        current = yield from current_of(app, who)
        if current is None:
            return Loaded(agent=who, note=f"`{who}` has no state yet: save_state saves its first.")
        chosen = (yield from revision_of(app, who, revision)) if revision else current
        found = told(chosen)
        if compare:
            found = compared((yield from revision_of(app, who, compare)), chosen, found)
        else:
            found.state = chosen.state
        if chosen.id == current.id:
            found.checkpoints = yield from labels(app, who)
            found.lost = yield from lost(app, current)
            found.note = found.note or (LOST if found.lost else None)
        return found

    return await app.store.engine.read(loading())


LOST = (
    "What is under `lost` was written at the same time on another machine and is not in this"
    " state: load it by its id, and save what you make of both."
)


def saved_as(state: State) -> StateSaved:
    return StateSaved(agent=state.agent_name, revision=state.revision, id=state.id)


def told(state: State) -> Loaded:
    return Loaded(
        agent=state.agent_name,
        revision=state.revision,
        id=state.id,
        when=state.created_at.strftime("%Y-%m-%d %H:%M:%S"),
        restored=state.restored_id,
    )


def compared(before: State, after: State, found: Loaded) -> Loaded:
    """Tell what changed from one revision to another."""
    changes = list(differences(before.state, after.state))
    found.changes = changes[:MOST]
    if not changes:
        found.note = f"Nothing differs from revision {before.revision}."
    elif changes[MOST:]:
        found.note = f"{len(changes) - MOST} more changes are left out."
    return found


def current_of(app: App, agent: str) -> Transaction[State | None]:
    """Find the current state of an agent."""
    rows = yield app.store.query("agent_state.current", agent=agent)
    return next((decode(State, row) for row in rows), None)


def up_to_date(
    app: App, agent: str, current: State | None, read: Revision | None
) -> Transaction[None]:
    """See to it that a writer has read the current revision.

    Raises:
        Outdated: it has not, and is given that one.
        NotFound: there is none.
    """
    if current is None:
        if read is not None:
            raise NotFound(f"`{agent}` has no state yet: leave `read` out to save its first.")
        return
    if read is None:
        raise outdated(current, "and you have read none")
    number = number_of(read)
    if number is None:
        if str(current.id) != read.lower():
            raise outdated(current, f"not {read[:80]}")
    elif number != current.revision:
        raise outdated(current, f"not {number}")
    elif len((yield from numbered(app, agent, number))) > 1:
        raise outdated(current, f"of which there are several: read it by its id {current.id}")


def outdated(current: State, why: str) -> Outdated:
    """Refuse a write, with all that is needed to make it anew."""
    return Outdated(
        f"`{current.agent_name}` is at revision {current.revision}, {why}; nothing was saved."
        " Make your change to the current state, and name its revision (or id) as `read`.",
        {"revision": current.revision, "id": str(current.id), "state": current.state},
    )


def number_of(name: Revision) -> int | None:
    """Read the number of a revision."""
    return int(name) if name.isascii() and name.isdigit() and len(name) <= DIGITS else None


def numbered(app: App, agent: str, number: int) -> Transaction[list[State]]:
    params = {"agent": agent, "revision": min(number, HIGHEST)}
    rows = yield app.store.query("agent_state.numbered", **params)
    return [decode(State, row) for row in rows]


def revision_of(app: App, agent: str, name: Revision) -> Transaction[State]:
    """Find a revision by its number, its id, or the label of a checkpoint.

    Raises:
        NotFound: there is none.
        InvalidInput: there are several of this number.
    """
    number = number_of(name)
    if number is None:
        key = yield from key_of(app, agent, name)
        one = (yield from app.store.getting(State, key)) if key else None
        found = [one] if one and one.agent_name == agent else []
    else:
        found = yield from numbered(app, agent, number)
    if len(found) > 1:
        ids = ", ".join(f"{state.id}" for state in found)
        raise InvalidInput(f"`{agent}` has several revisions {number}: name one by its id: {ids}.")
    if not found:
        raise NotFound(f"`{agent}` has no revision or checkpoint `{name[:80]}`.")
    return found[0]


def key_of(app: App, agent: str, name: str) -> Transaction[UUID | None]:
    """Read the id of a revision, or find that which a label names."""
    try:
        return UUID(name)
    except ValueError:
        rows = yield app.store.query("checkpoints.of_agent", agent=agent, label=name, limit=1)
        return next((decode(Checkpoint, row).state_id for row in rows), None)


def adding(
    app: App, agent: str, current: State | None, state: Json, restored: UUID | None = None
) -> Transaction[State]:
    """Add a revision upon the current one."""
    new = State(
        agent_name=agent,
        state=state,
        revision=current.revision + 1 if current else 1,
        parent_id=current.id if current else None,
        restored_id=restored,
    )
    return (yield from app.store.saving(new))


def labels(app: App, agent: str) -> Transaction[list[dict[str, Any]]]:
    """List an agent's checkpoints, each label once, the latest first."""
    rows = yield app.store.query("checkpoints.of_agent", agent=agent, label=None, limit=5 * SHOWN)
    latest: dict[str, int] = {}
    for row in rows:
        latest.setdefault(row["label"], row["revision"])
    named = [{"label": label, "revision": revision} for label, revision in latest.items()]
    return named[:SHOWN]


def lost(app: App, current: State) -> Transaction[list[dict[str, Any]]]:
    """List what was lately written apart from the current state, and lost against it."""
    which = {"agent": current.agent_name, "current": current.id, "since": now() - RECENT}
    rows = yield app.store.query("agent_state.lost", **which, limit=SHOWN)
    states = [decode(State, row) for row in rows]
    return [{"revision": state.revision, "id": str(state.id)} for state in states]
