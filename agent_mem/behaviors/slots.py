"""Runs as leases: of all who could run what is due once, one does, and only it may end it.

These are transactions on the database that decides: the file, or the server where one is set. What
they return is what they wrote, so that it can be copied to the file.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

from agent_mem.behaviors.action import Outcome
from agent_mem.errors import BehaviorBusy, ServerRefused
from agent_mem.records.behavior import Behavior
from agent_mem.records.insight import Insight
from agent_mem.records.record import Record, named_id, now
from agent_mem.records.run import Run, run_id
from agent_mem.storage.statements import Statement, Transaction
from agent_mem.storage.store import Store
from agent_mem.storage.sync.meeting import heading
from agent_mem.storage.sync.syncer import PROTOCOL

LEASE: Final = timedelta(seconds=30)
LONGEST: Final = timedelta(hours=1)
"""A retry waits for that long at most."""
LOST: Final = "Whoever ran it was gone before it was done."
LATE: Final = "Another runner has taken it over."
OWN: Final = frozenset({"daily", "schedule", "event"})
"""Triggers by which a behavior begins by itself, and by which it is tried again."""
SHOWN: Final = {"needs_agent": "idle", "skipped": "idle"}
"""How a run's end is told of its behavior, where that has no word of its own for it."""

Written = list[Record]


def slot_key(due_at: datetime) -> str:
    """Write a due time as the same text everywhere."""
    return due_at.astimezone(UTC).isoformat()


@dataclass(frozen=True, slots=True)
class Slot:
    """Something that is due once: a time, an event, a step of a workflow, a call."""

    behavior: Behavior
    key: str
    """What makes it the same everywhere."""
    trigger: str
    due_at: datetime | None = None
    input: dict[str, Any] = field(default_factory=dict[str, Any])
    inner: bool = False
    """It is a step of a run that is held already: nothing else may begin it."""

    @classmethod
    def again(cls, behavior: Behavior, run: Run) -> Self:
        """Make the slot of a run that failed and is to be tried again."""
        key = slot_key(run.due_at) if run.due_at else str(run.input.get("record"))
        return cls(behavior, key, run.trigger, run.due_at, run.input)

    def run(self, owner: str) -> UUID:
        return run_id(owner, self.behavior.id, self.key)


def time_here(store: Store) -> Transaction[datetime]:
    """Ask the database that decides what time it is: leases of several machines go by one clock.

    Raises:
        ServerRefused: only newer programs may write there.
    """
    if store.engine.dialect == "sqlite":
        return now()
    head = yield from heading(store)
    if head.min_writer > PROTOCOL:
        raise ServerRefused("The server asks for a newer agent-mem: this one runs nothing there.")
    return head.now


def claiming(store: Store, slot: Slot, by: str) -> Transaction[Written]:
    """Begin what is due, if nobody has: first in what was written is the run; nothing if not.

    Raises:
        BehaviorBusy: it has to wait until the run before is over.
    """
    if store.engine.dialect == "postgres":
        yield store.query("local.advance", hlc=0)  # holds all other writers of this owner
    at = yield from time_here(store)
    key = slot.run(store.owner)
    before = yield from store.getting(Run, key, forgotten=True)
    if before and not beginnable(before, slot, at):
        return []
    run = Run(
        id=key,
        behavior_id=slot.behavior.id,
        trigger=slot.trigger,
        started_at=at,
        due_at=slot.due_at,
        input=slot.input,
        lease_until=at + LEASE,
        run_by=by,
    )
    if slot.due_at and (yield from under_way(store, slot.behavior, at)):
        if before or slot.behavior.overlap == "queue":
            raise BehaviorBusy
        skipped = {"status": "skipped", "ended_at": at, "lease_until": None, "run_by": None}
        yield from store.saving(run.model_copy(update=skipped))
        return []
    kept: Written = []
    if before:
        kept.append((yield from store.saving(attempt_of(before, at))))
        run = run.model_copy(
            update={"attempt": before.attempt + 1, "created_at": before.created_at}
        )
    begun = yield from store.saving(run)
    yield noting(store, begun)
    return [begun, *kept]


def beginnable(before: Run, slot: Slot, at: datetime) -> bool:
    """Look whether what was begun before may be begun once more."""
    if slot.inner:
        return before.status in ("failed", "running")
    return before.status == "failed" and before.retry_at is not None and before.retry_at <= at


def attempt_of(before: Run, at: datetime) -> Run:
    """Keep an attempt that failed as a row of its own, beside the run that goes on."""
    lost = {} if before.ended() else {"status": "failed", "error": LOST, "ended_at": at}
    own = named_id("attempt", str(before.id), str(before.attempt))
    return before.model_copy(
        update={"id": own, "attempt_of": before.id, "retry_at": None, "lease_until": None, **lost}
    )


def under_way(store: Store, behavior: Behavior, at: datetime) -> Transaction[bool]:
    """Look whether a behavior runs now, anywhere."""
    rows = yield store.query("behavior_runs.under_way", behavior_id=behavior.id, now=at)
    return bool(rows)


def renewing(store: Store, run: Run) -> Transaction[Written]:
    """Prolong a lease; nothing is written where it is another's by now."""
    at = yield from time_here(store)
    held = yield from store.getting(Run, run.id)
    if not holds(held, run):
        return []
    return [(yield from store.saving(run.model_copy(update={"lease_until": at + LEASE})))]


def holds(held: Run | None, run: Run) -> bool:
    return held is not None and not held.ended() and held.run_by == run.run_by


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run went."""

    outcome: Outcome
    error: str | None
    insights: list[Insight]


def ending(store: Store, behavior: Behavior, run: Run, ended: Ended) -> Transaction[Written]:
    """End a run with what it found, all or nothing; nothing where it is another's by now."""
    if store.engine.dialect == "postgres":
        yield store.query("local.advance", hlc=0)
    at = yield from time_here(store)
    held = yield from store.getting(Run, run.id)
    if not holds(held, run):
        return []
    status = "failed" if ended.error else ended.outcome.status
    over = over_at(run, at) | {
        "status": status,
        "output": ended.outcome.output,
        "error": ended.error,
        "retry_at": retry(behavior, run, at) if ended.error else None,
    }
    done = yield from store.saving(run.model_copy(update=over))
    yield noting(store, done)
    written: Written = [done]
    for new in ended.insights:
        # What was found before is known, or was forgotten.
        if (yield from store.getting(Insight, new.id, forgotten=True)) is None:
            written.append((yield from store.saving(new)))
    return written


def over_at(run: Run, at: datetime) -> dict[str, Any]:
    took = max((at - run.started_at).total_seconds() * 1000, 0.0)
    return {"ended_at": at, "duration_ms": took, "lease_until": None}


def retry(behavior: Behavior, run: Run, at: datetime) -> datetime | None:
    """Say when a run that failed is tried again; each time it waits twice as long."""
    if run.trigger not in OWN or run.attempt > behavior.retries:
        return None
    return at + min(timedelta(seconds=behavior.backoff_s * 2 ** (run.attempt - 1)), LONGEST)


def losing(
    store: Store, behavior: Behavior | None, run: Run, gone: str | None
) -> Transaction[Written]:
    """Mark a run as failed whose lease is over, or whose runner is known to be gone."""
    at = yield from time_here(store)
    held = yield from store.getting(Run, run.id)
    if held is None or held.ended():
        return []
    dead = gone is not None and (held.run_by or "").startswith(gone) and held.trigger != "manual"
    if not dead and (held.lease_until is None or held.lease_until > at):
        return []
    again = retry(behavior, held, at) if behavior and behavior.enabled else None
    over = over_at(held, at) | {"status": "failed", "error": LOST, "retry_at": again}
    lost = yield from store.saving(held.model_copy(update=over))
    yield noting(store, lost)
    return [lost]


def noting(store: Store, run: Run) -> Statement:
    """Show at the behavior how its last run goes."""
    return store.query(
        "behaviors.note_status",
        id=run.behavior_id,
        status=SHOWN.get(run.status, run.status),
        last_run=run.ended_at or run.started_at,
    )


def mirroring(local: Store, written: Written) -> Transaction[None]:
    """Copy to the file what the server decided, so that it need not wait for the sync."""
    taken: Written = []
    for record in written:
        taken += [record] if (yield from local.taking(record)) else []
        if isinstance(record, Run) and record.attempt_of is None:
            yield noting(local, record)
    yield from local.index(local, taken)
