"""Whatever two machines and a server go through, they agree in the end, and on the latest of all.

The model is the list of all that was acknowledged: of each row the write with the latest
`(hlc, origin)` is the one that must be everywhere once all is well again.
"""

from collections.abc import Generator
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Final
from uuid import UUID

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.to_thread import run_sync
from helpers_engines import unindexed
from helpers_postgres import Cluster
from helpers_torn import Busy, Torn
from hypothesis import Phase
from hypothesis import settings as how
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from agent_mem.errors import ServerUnreachable
from agent_mem.records.loser import Loser
from agent_mem.records.memory import Memory
from agent_mem.records.record import NOBODY, Record, named_id, now
from agent_mem.storage import statements
from agent_mem.storage.postgres import Postgres
from agent_mem.storage.sqlite import SQLite
from agent_mem.storage.statements import Row, Statement, Transaction
from agent_mem.storage.store import Store, decode
from agent_mem.storage.sync.syncer import synced
from agent_mem.storage.sync.tally import Pass

ROWS: Final = 3
SKEWS: Final = (90, -120)
"""Seconds by which the machines' clocks are wrong."""
TABLES: Final = ("feed", "replicas", "memories", "record_history")
OFTEN: Final = 8
"""In how many rounds of passes all must have come to rest."""
machines = st.integers(0, len(SKEWS) - 1)
rows = st.integers(0, ROWS - 1)
contents = st.sampled_from("abc")


class Clock:
    """The time, as the machine that writes has it."""

    at: ClassVar[int] = 0

    @classmethod
    def time_ns(cls) -> int:
        return cls.at * 1_000_000_000


class Machines(RuleBasedStateMachine):
    """Two files and a server, each a real one."""

    folder: Path
    portal: BlockingPortal
    cluster: Cluster
    database: str
    numbers: "count[int]"

    def __init__(self) -> None:
        super().__init__()
        self.open = ExitStack()
        self.owner = f"owner {next(self.numbers)}"
        self.time = int(now().timestamp())
        self.told: dict[UUID, list[Memory]] = {}
        url = self.cluster.url(self.database)
        self.server = self.store(Postgres.open(url, self.owner))
        files = (self.folder / f"{self.owner} {n}.db" for n in range(len(SKEWS)))
        self.locals = [self.store(SQLite.open(file)) for file in files]
        self.back_up()

    def store(self, opened: Any) -> Store:  # noqa: ANN401 - either engine's
        entered = self.portal.wrap_async_context_manager(opened)
        return Store(self.open.enter_context(entered), self.owner, unindexed)

    def copy(self, there: str, here: str) -> None:
        """Put the owner's rows of one schema in the place of those of another."""
        mine = f"WHERE owner = '{self.owner}'"
        for table in TABLES:
            emptied = f"DELETE FROM {here}.{table} {mine}"  # noqa: S608 - our own names
            copied = f"INSERT INTO {here}.{table} SELECT * FROM {there}.{table} {mine}"  # noqa: S608 - our own names
            self.cluster.sql(f"{emptied}; {copied}", self.database)

    @rule(machine=machines, row=rows, content=contents, gone=st.booleans())
    def write(self, machine: int, row: int, content: str, gone: bool) -> None:
        self.portal.call(self.writing, machine, row, content, gone)

    @rule(machine=machines, content=contents)
    def write_all_and_sync(self, machine: int, content: str) -> None:
        for row in range(ROWS):
            self.write(machine, row, content, gone=False)
        self.sync(machine)

    async def writing(self, machine: int, row: int, content: str, gone: bool) -> None:
        local = self.locals[machine]
        Clock.at = self.time + SKEWS[machine]
        key = named_id(self.owner, str(row))
        gone_at = now() if gone else None
        new = Memory(id=key, agent_name="a", content=content, deleted_at=gone_at)
        before = await local.engine.read(local.getting(Memory, key, forgotten=True))
        stamped = await local.engine.write(local.saving(new))
        assert before is None or order(stamped) > order(before)
        self.told.setdefault(key, []).append(stamped)

    @rule(seconds=st.integers(1, 300))
    def wait(self, seconds: int) -> None:
        self.time += seconds

    @rule(machine=machines)
    def sync(self, machine: int) -> None:
        self.made(self.locals[machine], self.server)

    @rule(machine=machines, uses=st.integers(0, 20), unheard=st.booleans())
    def sync_until_the_server_is_gone(self, machine: int, uses: int, unheard: bool) -> None:
        torn = replace(self.server, engine=Torn(self.server.engine, uses, unheard=unheard))
        with suppress(ServerUnreachable):
            self.made(self.locals[machine], torn)

    @rule(machine=machines, uses=st.integers(0, 30), unheard=st.booleans())
    def sync_until_killed(self, machine: int, uses: int, unheard: bool) -> None:
        local = self.locals[machine]
        torn = replace(local, engine=Torn(local.engine, uses, unheard=unheard))
        with suppress(ServerUnreachable):
            self.made(torn, self.server)

    @rule(machine=machines, writes=st.integers(0, 2), row=rows)
    def sync_while_the_same_machine_writes(self, machine: int, writes: int, row: int) -> None:
        async def act() -> None:
            await self.writing(machine, row, "meanwhile", gone=False)

        busy = Busy(self.server.engine, writes, act)
        self.made(self.locals[machine], replace(self.server, engine=busy))

    @rule(machine=machines, writes=st.integers(0, 2), row=rows)
    def sync_while_the_other_machine_does(self, machine: int, writes: int, row: int) -> None:
        async def act() -> None:
            await self.writing(1 - machine, row, "elsewhere", gone=False)
            await synced(self.locals[1 - machine], self.server, Pass())

        busy = Busy(self.server.engine, writes, act)
        self.made(self.locals[machine], replace(self.server, engine=busy))

    @rule(machine=machines, writes=st.integers(0, 2))
    def sync_while_the_server_is_backed_up(self, machine: int, writes: int) -> None:
        async def act() -> None:
            await run_sync(self.back_up)

        busy = Busy(self.server.engine, writes, act)
        self.made(self.locals[machine], replace(self.server, engine=busy))

    @rule()
    def back_up(self) -> None:
        self.copy("agent_mem", "backup")

    @rule(named_anew=st.booleans())
    def restore(self, named_anew: bool) -> None:
        """Put the backup in the server's place: that shows to every machine by itself."""
        self.copy("backup", "agent_mem")
        if named_anew:
            anew = "UPDATE agent_mem.feed SET epoch = gen_random_uuid()"
            self.cluster.sql(f"{anew} WHERE owner = '{self.owner}'", self.database)

    def made(self, local: Store, server: Store) -> Pass:
        """Make a pass."""
        Clock.at = self.time  # what is written now is what lost, by whoever sees it
        tally = Pass()
        self.portal.call(synced, local, server, tally)
        return tally

    def teardown(self) -> None:
        try:
            self.heal()
            there = self.everything(self.server)
            assert [self.everything(local) for local in self.locals] == [there, there]
            latest = {str(key): max(told, key=order) for key, told in self.told.items()}
            kept = {key: row for key, row in there.items() if isinstance(row, Memory)}
            assert kept == {key: plain(memory) for key, memory in latest.items()}
        finally:
            self.open.close()

    def heal(self) -> None:
        """Let both sync until nothing moves."""
        for _ in range(OFTEN):
            if not sum(self.made(local, self.server).moved for local in self.locals):
                break
        for local in self.locals:
            (waits,) = self.portal.call(local.rows, "local.waiting")
            (state,) = self.portal.call(local.rows, "sync.counted")
            assert (waits["n"], state["aside"], state["refused"]) == (0, 0, 0)

    def everything(self, store: Store) -> dict[str, Record]:
        found = self.portal.call(store.engine.read, all_rows(store))
        return {str(record.id): plain(record) for record in found}


def order(record: Record) -> tuple[int, str]:
    return record.hlc, str(record.origin)


def plain(record: Record) -> Record:
    """Leave out what the server counts."""
    return record.model_copy(update={"ver": None})


def all_rows(store: Store) -> Transaction[list[Record]]:
    found: list[Record] = []
    for model in (Memory, Loser):
        page: dict[str, object] = {"owner": store.owner, "after": NOBODY, "limit": 1_000}
        rows: list[Row] = yield Statement(statements.page(model), page)
        found += [decode(model, row) for row in rows]
    return found


@pytest.fixture
def machine(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[type[Machines]]:
    """Give machines of their own to every series of events."""
    monkeypatch.setattr("agent_mem.storage.store.time", Clock)
    with cluster.database() as database, start_blocking_portal() as portal:
        copies = (f"CREATE TABLE backup.{t} (LIKE agent_mem.{t})" for t in TABLES)
        cluster.sql(f"CREATE SCHEMA backup; {'; '.join(copies)}", database)
        given = {"folder": tmp_path, "portal": portal, "cluster": cluster, "database": database}
        yield type("Here", (Machines,), {**given, "numbers": count()})


def test_machines_agree_on_the_latest_of_all_whatever_happened(machine: type[Machines]) -> None:
    few = how(max_examples=12, stateful_step_count=16, deadline=None, phases=[Phase.generate])
    run_state_machine_as_test(machine, settings=few)  # pyright: ignore[reportUnknownMemberType]


def test_a_backup_shows_to_a_machine_even_if_others_have_written_to_it_since(
    machine: type[Machines],
) -> None:
    two = machine()
    two.write(0, 0, "a", gone=False)
    two.sync(0)
    two.restore(named_anew=False)
    two.write(1, 1, "b", gone=False)
    two.write(1, 2, "c", gone=False)
    two.sync(1)

    two.teardown()


@pytest.mark.parametrize("uses", range(6))
@pytest.mark.parametrize("named_anew", [False, True])
def test_a_restored_server_is_given_what_a_broken_pass_had_sent(
    machine: type[Machines], *, uses: int, named_anew: bool
) -> None:
    two = machine()
    two.sync(0)
    two.back_up()
    two.write(0, 0, "a", gone=False)
    two.sync_until_the_server_is_gone(0, uses, unheard=False)
    two.restore(named_anew=named_anew)

    two.teardown()


@pytest.mark.parametrize("uses", range(1, 6))
def test_a_machine_whose_pull_broke_off_reads_of_a_restored_server_what_is_new_there(
    machine: type[Machines], uses: int
) -> None:
    two = machine()
    two.sync(0)
    two.back_up()
    two.write_all_and_sync(1, "a")
    two.sync_until_the_server_is_gone(0, uses, unheard=False)
    two.restore(named_anew=False)
    two.write_all_and_sync(1, "b")

    two.teardown()


def test_a_restored_server_is_known_as_one_however_often_it_was_met_in_vain(
    machine: type[Machines],
) -> None:
    two = machine()
    two.back_up()
    two.write(0, 0, "a", gone=False)
    two.sync(0)
    two.restore(named_anew=False)
    for _ in range(OFTEN):
        two.sync_until_killed(0, 1, unheard=False)

    two.teardown()


def test_a_backup_that_was_made_just_before_a_push_shows_to_who_has_pushed(
    machine: type[Machines],
) -> None:
    two = machine()
    two.sync(0)
    two.write(0, 0, "a", gone=False)
    two.sync_while_the_server_is_backed_up(0, 1)
    two.restore(named_anew=False)

    two.teardown()


def test_a_push_that_comes_late_does_not_undo_what_another_machine_has_sent_meanwhile(
    machine: type[Machines],
) -> None:
    two = machine()
    behind = SKEWS.index(min(SKEWS))
    two.write(behind, 0, "a", gone=False)
    two.sync_while_the_other_machine_does(behind, 0, 0)

    two.teardown()
