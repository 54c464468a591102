"""Work that is shared out among agents: done before, under way, claimed, logged."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.recall.search import Found, Request
from agent_mem.records.fields import Json, Line, Name, Number
from agent_mem.records.record import now
from agent_mem.records.work import Work, work_signature
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode
from agent_mem.tools.decisions import ALIKE, means_it
from agent_mem.tools.scope import Agent, Project, Scope, known_id
from agent_mem.tools.tasks import named_task
from agent_mem.tools.tool import Result

SHOWN = 5
MOST = 50
LONGEST = 300
"""Characters of a result that are shown; the whole is at `memory://item/{id}`."""

State = Literal["new", "claimed", "taken", "done", "failed"]

Action = Annotated[Line, Field(description='The work, as you would title it: "Review PR 17"')]
Input = Annotated[
    Json | None,
    Field(description="What it is done with, where that makes it another piece of work"),
]
Minutes = Annotated[Number, Field(gt=0, le=1440, description="How long the claim holds")]

NOTES: dict[State, str] = {
    "new": "",
    "claimed": "It is yours until then: log_work ends the claim, `renew` prolongs it.",
    "taken": "Another agent is at it. If that is you, pass the claim's id as `renew`.",
    "done": "It was done before. To claim it once more, pass `again`.",
    "failed": "It was tried before and failed.",
}


class Past(Result):
    id: UUID
    action: str
    agent: str
    when: str
    result: str


class Claim(Result):
    id: UUID
    agent: str
    since: str
    until: str


class Checked(Result):
    state: State
    claim: Claim | None
    """Whoever is at it: the caller where the state is `claimed`."""
    before: list[Past]
    similar: list[Past]
    note: str | None


async def check_work(
    app: App,
    *,
    action: Action,
    input: Input = None,  # noqa: A002 - what a caller calls it
    claim: Annotated[bool, Field(description="Claim it, if nobody has it or has done it")] = False,
    again: Annotated[bool, Field(description="Claim it though it was done before")] = False,
    renew: Annotated[Name | None, Field(description="Id of your claim, to prolong it")] = None,
    minutes: Minutes = 30,
    agent: Agent = None,
    project: Project = None,
) -> Checked:
    """Check whether a piece of work was done before or is under way, before you begin it.

    With `claim` it becomes yours until you log_work or the time is over: of several agents one
    gets it. Returns its state (new, claimed, taken, done, failed), and what is similar.
    """
    scope = Scope.of(app, agent, project)
    wanted = Work(
        agent_name=scope.agent_name,
        project=scope.project,
        action=action,
        signature=work_signature(action, input or {}),
        input=input or {},
    )
    mine = known_id(renew, "claim") if renew else None
    lease = timedelta(minutes=minutes)
    if claim or again or mine:
        deciding = claiming(app, wanted, lease, mine, again=again)
        state, holder, before = await app.store.engine.write(deciding)
    else:
        state, holder, before = await app.store.engine.read(looking(app, wanted))
    return Checked(
        state=state,
        claim=claim_of(holder) if holder else None,
        before=[past(work) for work in before],
        similar=await similar(app, wanted),
        note=NOTES[state] or None,
    )


Standing = tuple[State, Work | None, list[Work]]
"""How some work stands, who is at it, and what came of it before."""


def looking(app: App, wanted: Work) -> Transaction[Standing]:
    """See how some work stands."""
    same = {"signature": wanted.signature, "project": wanted.project}
    rows = yield app.store.query("work_history.results", **same, limit=SHOWN)
    before = [decode(Work, row) for row in rows]
    for holder in (yield from claims(app, wanted)):
        return "taken", holder, before
    if any(work.success for work in before):
        return "done", None, before
    return ("failed" if before else "new"), None, before


def claims(app: App, wanted: Work) -> Transaction[list[Work]]:
    """List the claims on some work that have not run out. The earliest holds.

    Two machines may both have claimed before they heard of each other. They come to the same
    answer, since each claim is a row of its own.
    """
    same = {"signature": wanted.signature, "project": wanted.project}
    rows = yield app.store.query("work_history.under_way", **same, now=now(), limit=MOST)
    return [decode(Work, row) for row in rows]


def claiming(
    app: App, wanted: Work, lease: timedelta, mine: UUID | None, *, again: bool
) -> Transaction[Standing]:
    """Claim some work or renew a claim; in one write transaction, so that one gets it.

    Raises:
        NotFound: there is no such claim.
        InvalidInput: its result was logged.
    """
    at = now()
    held = (yield from existing(app, mine)) if mine else None
    state, holder, before = yield from looking(app, held or wanted)
    if held and held.ended():
        raise InvalidInput(f"The claim `{held.id}` has ended, as log_work said: claim it anew.")
    if holder and not (held and holder.id == held.id):
        if held and held.open(at):  # whoever lost does not come after the one who won
            yield from app.store.saving(held.model_copy(update={"lease_until": at}))
        return state, holder, before
    if state == "done" and not again:
        return state, holder, before
    begun = held.claimed_at if held and held.open(at) else at
    claim = {"claimed_at": begun, "lease_until": at + lease}
    saved = yield from app.store.saving((held or wanted).model_copy(update=claim))
    return "claimed", saved, before


def existing(app: App, key: UUID) -> Transaction[Work]:
    """Fetch a claim that must be there.

    Raises:
        NotFound: it is not.
    """
    found = yield from app.store.getting(Work, key)
    if found is None or found.claimed_at is None:
        raise NotFound(f"There is no claim `{key}`: check_work gives its id when it claims.")
    return found


class LoggedWork(Result):
    id: UUID
    result: str
    also: list[Past]
    """Who else did it, or is at it, since it was claimed."""


async def log_work(
    app: App,
    *,
    action: Action,
    success: Annotated[bool, Field(description="Did it work?")],
    output: Annotated[Json | None, Field(description="What came of it")] = None,
    error: Annotated[Line | None, Field(description="What went wrong")] = None,
    input: Input = None,  # noqa: A002 - what a caller calls it
    claim: Annotated[Name | None, Field(description="Its id; default: your claim on it")] = None,
    task: Annotated[Line | None, Field(description="Title or id of the task it was for")] = None,
    duration_ms: Annotated[
        Number | None, Field(ge=0, le=1e12, description="Default: since the claim")
    ] = None,
    agent: Agent = None,
    project: Project = None,
) -> LoggedWork:
    """Log what came of a piece of work, so that nobody does it twice. It ends your claim."""
    scope = Scope.of(app, agent, project)
    wanted = Work(
        agent_name=scope.agent_name,
        project=scope.project,
        action=action,
        signature=work_signature(action, input or {}),
        input=input or {},
    )
    key = known_id(claim, "claim") if claim else None
    result = {"success": success, "output": output or {}, "error_message": error}

    def logging() -> Transaction[LoggedWork]:
        begun = yield from (existing(app, key) if key else begun_by(app, wanted))
        took = duration_ms if duration_ms is not None else since(begun)
        of = (yield from named_task(app, scope, task)).id if task else begun.task_id
        ended = begun.model_copy(update={**result, "duration_ms": took, "task_id": of})
        saved = yield from app.store.saving(ended)
        also = yield from others(app, saved)
        return LoggedWork(id=saved.id, result=clipped(saved.result()), also=also)

    return await app.store.engine.write(logging())


def begun_by(app: App, wanted: Work) -> Transaction[Work]:
    """Find the claim of this agent on some work; without one it is logged as new."""
    open_ones = yield from claims(app, wanted)
    return next((work for work in open_ones if work.agent_name == wanted.agent_name), wanted)


def since(work: Work) -> float | None:
    """Measure how long it took, in milliseconds."""
    if work.claimed_at is None:
        return None
    return max(0.0, (now() - work.claimed_at).total_seconds() * 1000)


def others(app: App, work: Work) -> Transaction[list[Past]]:
    """List who else is at some work, or has done it since it was claimed: it was done twice."""
    _, holder, before = yield from looking(app, work)
    begun = work.claimed_at or work.created_at
    twice = [w for w in before if w.id != work.id and w.success and w.updated_at >= begun]
    return [past(other) for other in (*([holder] if holder else []), *twice)]


async def similar(app: App, wanted: Work) -> list[Past]:
    """Find work that is like this in its words or its meaning, and is not the same."""
    request = Request(
        query=wanted.action, kinds=("work",), project=wanted.project, limit=SHOWN, literal=True
    )
    found = await app.finder.search(request)
    return [past(work) for hit in found.hits if (work := other(app, hit, wanted))]


def other(app: App, hit: Found, wanted: Work) -> Work | None:
    work = hit.record
    if not isinstance(work, Work) or work.signature == wanted.signature:
        return None
    return work if hit.coverage >= ALIKE or means_it(app, hit) else None


def past(work: Work) -> Past:
    under_way = work.open(now())
    return Past(
        id=work.id,
        action=work.action,
        agent=work.agent_name,
        when=minute(work.claimed_at if under_way and work.claimed_at else work.updated_at),
        result="under way" if under_way else clipped(work.result()),
    )


def claim_of(work: Work) -> Claim:
    return Claim(
        id=work.id,
        agent=work.agent_name,
        since=minute(work.claimed_at),
        until=minute(work.lease_until),
    )


def minute(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S") if at else ""


def clipped(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST].rstrip() + "…"
