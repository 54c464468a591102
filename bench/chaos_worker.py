"""The processes of one machine in `chaos.py`: two that write as agents do, and one that syncs.

Each runs until it is killed. A writer's journal has a line for every row that a call of a tool had
written when it returned, on the disk before the next call: what was acknowledged.
"""

import asyncio
import json
import logging
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO
from uuid import UUID

import anyio
from chaos_check import Stamp, told_of
from pydantic import SecretStr

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.errors import InvalidInput
from agent_mem.records import record as record_module
from agent_mem.records.decision import Decision
from agent_mem.records.memory import Memory
from agent_mem.records.pattern import Pattern
from agent_mem.records.record import Record
from agent_mem.storage import statements
from agent_mem.storage.blocks import queries
from agent_mem.storage.statements import Row, Statement, Transaction
from agent_mem.storage.store import Store
from agent_mem.storage.sync import outgoing, syncer
from agent_mem.tools import TOOLS

PAUSE: Final = 0.08
"""Seconds between two writes of a process, at most."""
FEW: Final = 6
"""How many names all share: what several machines write is the same rows."""
RECENT: Final = 60
OLD: Final = 16
"""Decisions that are learned from."""
SLOW: Final = 0.3
"""The share of the pushes whose transaction is slow to commit, and the seconds that it takes."""
SLOWEST: Final = 0.25
COUNTER: Final = (
    "UPDATE feed SET ver = ver + :n, clock = greatest(clock, :seen) "
    "WHERE owner = :owner RETURNING ver"
)
SEQUENCE: Final = "SELECT nextval('agent_mem.control') * 1000 + :n AS ver"
SEQUENCE_HEAD: Final = (
    "SELECT last_value * 1000 + 999 AS ver, epoch, min_writer, clock_timestamp() AS now"
    " FROM agent_mem.control, feed WHERE owner = :owner"
)


class Machine(NamedTuple):
    """Whom a process belongs to."""

    number: int
    folder: Path
    skew: int
    """Seconds that its clock is ahead."""
    url: str
    """The server, by the way that this machine has to it."""
    control: bool

    @property
    def settings(self) -> Settings:
        server = SecretStr(self.url)
        return Settings(db=self.folder / "memory.db", embedder="none", server=server)

    def journals(self) -> list[Path]:
        return sorted(self.folder.glob("*.journal"))


def skewed(seconds: int) -> None:
    """Have the clock of this process wrong."""
    right = time.time_ns
    time.time_ns = lambda: right() + seconds * 1_000_000_000
    # Every module has its own name for this function: what it does is changed, not its name.
    record_module.__dict__["SKEW"] = timedelta(seconds=seconds)
    record_module.now.__code__ = ahead.__code__


def ahead() -> datetime:
    return datetime.now(UTC) + SKEW  # noqa: F821 # pyright: ignore[reportUndefinedVariable, reportUnknownVariableType] - of the module that it is put into


def sync(machine: Machine, seed: str) -> None:
    """Be the process that syncs a machine."""
    skewed(machine.skew)
    logging.disable(logging.WARNING)  # that the server cannot be reached is no news here
    syncer.LONGEST = 1.0  # pyright: ignore[reportAttributeAccessIssue] - a run has no minutes
    outgoing.pushing = slowly(outgoing.pushing, drawn(seed))
    if machine.control:
        sequence()
    asyncio.run(following(machine))


def drawn(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - no secret


async def following(machine: Machine) -> None:
    async with open_app(machine.settings) as app:
        assert app.syncer  # noqa: S101 - the settings have a server
        await app.syncer.run()


Pushing = Callable[..., Transaction[list[Row]]]


def slowly(pushing: Pushing, rng: random.Random) -> Pushing:
    """Have some pushes take their time to commit."""

    def slow(server: Store, records: list[Record], latest: int) -> Transaction[list[Row]]:
        rows = yield from pushing(server, records, latest)
        if rng.random() < SLOW:
            pause = {"s": rng.uniform(0, SLOWEST)}
            yield Statement("SELECT pg_sleep(CAST(:s AS float8))", pause)
        return rows

    return slow


def sequence() -> None:
    """Give versions by a sequence: the negative control."""
    real = statements.push

    def push(model: type[Record]) -> str:
        assert COUNTER in real(model)  # noqa: S101 - else it would be no control
        return real(model).replace(COUNTER, SEQUENCE)

    statements.push = push  # pyright: ignore[reportAttributeAccessIssue] - it is only called
    queries("postgres")["sync.head"] = SEQUENCE_HEAD


def write(machine: Machine, seed: str) -> None:
    """Be a process that writes."""
    skewed(machine.skew)
    asyncio.run(writing(machine, seed))


async def writing(machine: Machine, seed: str) -> None:
    saved: list[Record] = []
    note(saved)
    path = machine.folder / f"{seed.replace(' ', '-')}.journal"
    with path.open("a", encoding="utf-8") as journal:
        async with open_app(machine.settings) as app:
            writer = Writer(app, drawn(seed))
            while True:
                saved.clear()
                if await writer.act():
                    acknowledge(journal, saved)
                await anyio.sleep(writer.rng.uniform(0, PAUSE))


def note(saved: list[Record]) -> None:
    """Have the store tell what it writes."""
    real = Store.saving

    def saving(self: Store, record: Record) -> Transaction[Record]:
        stamped = yield from real(self, record)
        saved.append(stamped)
        return stamped

    Store.saving = saving  # pyright: ignore[reportAttributeAccessIssue] - it is only listened to


def acknowledge(journal: TextIO, saved: list[Record]) -> None:
    """Write down what a call has written, safe from a crash."""
    last: dict[UUID, Stamp] = {record.id: told_of(record) for record in saved}
    journal.writelines(json.dumps(stamp) + "\n" for stamp in last.values())
    journal.flush()
    os.fsync(journal.fileno())


@dataclass
class Writer:
    """An agent that does anything that writes, by the tools."""

    app: App
    rng: random.Random

    async def act(self) -> bool:
        """Call a tool; tell whether it did what it was asked to."""
        act = self.rng.choice([self.new, self.new, self.shared, self.named, self.solve, self.log])
        other = self.rng.choice([self.forget, self.restore, self.correct, self.save])
        more = self.rng.choice([self.judge, self.work, self.task, self.learn, self.share])
        name, arguments = await self.rng.choice([act, other, more])()
        tool = next(tool for tool in TOOLS if tool.name == name)
        try:
            await tool(self.app, arguments)
        except InvalidInput:  # another process was quicker
            return False
        return True

    @property
    def one(self) -> int:
        return self.rng.randrange(FEW)

    async def recent(self, model: type[Record] = Memory) -> str:
        """Choose a memory, or another record, of whichever machine."""
        rows = await self.app.store.engine.read(latest(self.app.store, model))
        ids = [row["id"] for row in rows] or [str(record_module.uuid7())]
        return self.rng.choice(ids)

    async def new(self) -> tuple[str, dict[str, Any]]:
        return "remember", {"content": f"Fact {self.rng.random()}.", "topic": f"topic {self.one}"}

    async def shared(self) -> tuple[str, dict[str, Any]]:
        return "remember", {"content": f"Known fact {self.one}.", "tags": [f"t{self.one}"]}

    async def named(self) -> tuple[str, dict[str, Any]]:
        n = self.rng.randrange(FEW * 10)
        return "remember", {"content": f"Named fact {n}.", "key": f"key {n}"}

    async def solve(self) -> tuple[str, dict[str, Any]]:
        solution = {"problem": f"Error {self.one} of the pump", "solution": f"Turn it {self.one}x."}
        return "record_solution", {**solution, "worked": self.rng.choice([True, True, False])}

    async def log(self) -> tuple[str, dict[str, Any]]:
        event = {"type": "result", "content": f"Step {self.rng.random()}."}
        decision = {"question": f"Which way {self.one}?", "selected": [f"way {self.one}"]}
        return self.rng.choice(
            [
                ("log_event", {**event, "importance": self.rng.random(), "session": "one"}),
                ("log_decision", {**decision, "confidence": self.rng.random()}),
            ]
        )

    async def forget(self) -> tuple[str, dict[str, Any]]:
        return "forget", {"id": await self.recent()}

    async def restore(self) -> tuple[str, dict[str, Any]]:
        return "forget", {"id": await self.recent(), "undo": True}

    async def correct(self) -> tuple[str, dict[str, Any]]:
        said = f"It is {self.rng.random()}."
        return "remember", {"content": said, "supersedes": await self.recent()}

    async def save(self) -> tuple[str, dict[str, Any]]:
        task = {"title": f"Task {self.one}", "status": self.rng.choice(["todo", "done"])}
        summary = f"So far {self.rng.random()}."
        return "save_session", {
            "summary": summary,
            "tasks": [task],
            "session": f"session {self.one}",
        }

    async def judge(self) -> tuple[str, dict[str, Any]]:
        outcome = {"success": self.rng.random() < 1 / 2, "quality": self.rng.random()}
        return "log_outcome", {"decision": await self.recent(Decision), **outcome}

    async def work(self) -> tuple[str, dict[str, Any]]:
        job = {"action": f"Job {self.one}"}
        return self.rng.choice(
            [
                ("check_work", {**job, "again": True, "minutes": 0.01}),
                ("log_work", {**job, "success": self.rng.random() < 1 / 2}),
            ]
        )

    async def task(self) -> tuple[str, dict[str, Any]]:
        status = self.rng.choice(["todo", "doing", "blocked", "done"])
        return "update_task", {"task": f"Task {self.one}", "status": status}

    async def learn(self) -> tuple[str, dict[str, Any]]:
        """Decide again what all decide, with other outcomes, so that patterns come and go."""
        await self.app.store.put(*[self.of_long_ago(n) for n in range(OLD)])
        return "run_behavior", {"name": "learn_patterns"}

    def of_long_ago(self, n: int) -> Decision:
        when = record_module.now() - timedelta(days=3)
        return Decision(
            id=record_module.named_id("chaos", str(n)),
            agent_name="agent",
            created_at=when,
            question="How?",
            selected=["push" if n % 2 else "wait"],
            success=self.rng.random() < (0.1 if n % 2 else 0.9),
            outcome_at=when,
        )

    async def share(self) -> tuple[str, dict[str, Any]]:
        with_whom = self.rng.choice([["*"], ["ana"], []])
        return "share_pattern", {"pattern": await self.recent(Pattern), "shared_with": with_whom}


def latest(store: Store, model: type[Record]) -> Transaction[list[Row]]:
    sql = f"SELECT id FROM {model.TABLE} WHERE owner = :owner ORDER BY hlc DESC LIMIT :n"  # noqa: S608 - our own name
    return (yield Statement(sql, {"owner": store.owner, "n": RECENT}))
