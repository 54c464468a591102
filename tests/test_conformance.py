"""What both databases promise alike: each test runs on a SQLite file and on a PostgreSQL."""

import math
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from helpers_drawn import records
from helpers_engines import restore, stored
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from agent_mem.config import Settings
from agent_mem.errors import StorageError
from agent_mem.records import RECORDS
from agent_mem.records.binding import Binding
from agent_mem.records.decision import Decision
from agent_mem.records.event import Event
from agent_mem.records.memory import Memory
from agent_mem.records.record import NOBODY, Record, now
from agent_mem.records.task import Task
from agent_mem.storage import statements
from agent_mem.storage.migrations import steps
from agent_mem.storage.postgres import Postgres
from agent_mem.storage.sqlite import SQLite
from agent_mem.storage.statements import Row, Statement, Transaction
from agent_mem.storage.store import Engine, Store, decode

pytestmark = pytest.mark.anyio

THEN = datetime(2026, 5, 1, 12, 30, 0, 123456, tzinfo=UTC)
KEY = UUID("01a1fc02-2963-73cb-b534-6c640c66db30")
EARLY, LATE = UUID(int=1), UUID(int=2)
SAME_DATABASE = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
EXPIRING = [model for model in RECORDS if "expires_at" in model.model_fields]


@pytest.fixture(params=["sqlite", "postgres"])
async def engine(request: pytest.FixtureRequest, settings: Settings) -> AsyncGenerator[Engine]:
    async with AsyncExitStack() as opened:
        if request.param == "sqlite":
            yield await opened.enter_async_context(SQLite.open(settings.db))
        else:
            url = request.getfixturevalue("server_url")
            yield await opened.enter_async_context(Postgres.open(url, "me"))


@pytest.fixture
def store(engine: Engine) -> Store:
    return stored(engine)


def drawn(model: type[Record]) -> Record:
    """Draw one record, always the same."""
    found: list[Record] = []

    @how(max_examples=1, derandomize=True, database=None)
    @given(records(model))
    def draw(record: Record) -> None:
        found.append(record)

    draw()
    return found[0].model_copy(update={"owner": "me"})


async def ask(store: Store, sql: str, **params: object) -> list[Row]:
    def asking() -> Transaction[list[Row]]:
        return (yield Statement(sql, {"owner": store.owner, **params}))

    return await store.engine.write(asking())


async def kept(store: Store, record: Record) -> Record | None:
    """Read a record, forgotten or not, without what the database adds to it."""
    got = await store.engine.read(store.getting(type(record), record.id, forgotten=True))
    return got and got.model_copy(update={"ver": record.ver})


async def empty(store: Store, model: type[Record]) -> None:
    await ask(store, f"DELETE FROM {model.TABLE} WHERE owner = :owner")  # noqa: S608 - our own names


async def count(store: Store, model: type[Record]) -> int:
    return (await ask(store, statements.count(model)))[0]["n"]


async def page(store: Store, model: type[Record], after: UUID, limit: int) -> list[UUID]:
    rows = await ask(store, statements.page(model), after=after, limit=limit)
    return [decode(model, row).id for row in rows]


@how(max_examples=100, deadline=None, suppress_health_check=SAME_DATABASE)
@given(record=st.sampled_from(RECORDS).flatmap(records))
async def test_what_is_written_is_what_is_read(store: Store, record: Record) -> None:
    mine = record.model_copy(update={"owner": "me"})
    await empty(store, type(mine))

    assert await restore(store, [mine]) == [True]
    assert await kept(store, mine) == mine


async def test_the_ends_of_what_can_be_written_are_kept(store: Store) -> None:
    smallest, largest = math.ulp(0.0), math.nextafter(math.inf, 0)
    some = [
        Decision(agent_name="a", question="?", selected=["x"], latency_ms=number)
        for number in (smallest, largest, -largest, 0.1, 1 / 3)
    ]
    times = [
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        THEN.replace(microsecond=999_999),
        THEN.replace(microsecond=1),
    ]
    when = [Memory(agent_name="a", content="x", occurred_at=time) for time in times]
    await store.put(*some, *when)

    assert [await value(store, one, "latency_ms") for one in some] == [d.latency_ms for d in some]
    assert [await value(store, one, "occurred_at") for one in when] == times


async def value(store: Store, record: Record, name: str) -> object:
    got = await store.get(type(record), record.id)
    return getattr(got, name)


@pytest.mark.parametrize("number", [1e16, 1e23, -1.5e300, 5e-324, 10**40, 2**63])
async def test_a_number_of_json_is_the_same_number_again(store: Store, number: float) -> None:
    """PostgreSQL writes large ones out, so that they come back as whole numbers."""
    event = Event(agent_name="a", event_type="x", content="y", meta={"n": number})
    await store.put(event)

    got = await store.get(Event, event.id)

    assert got is not None
    assert float(got.meta["n"]) == float(number)


async def test_text_is_kept_to_the_last_sign(store: Store) -> None:
    odd = "é e\u0301 \u202e \ufeff \x7f \t\r\n \\ ' \" $1 :name % 日本語 👩‍👩‍👧 \U0010ffff"
    task = Task(agent_name="a", title=odd, blockers=[odd, "{}", "NULL", ",", '"'])
    event = Event(agent_name="a", event_type="x", content=odd, meta={odd: [odd]})
    await store.put(task, event)

    assert await value(store, task, "title") == odd
    assert await value(store, task, "blockers") == task.blockers
    assert await value(store, event, "meta") == {odd: [odd]}


async def test_a_table_is_read_page_by_page_in_the_order_of_ids(store: Store) -> None:
    for model in RECORDS:
        some = [copy(drawn(model), number) for number in range(1, 8)]
        await restore(store, [*some[::-1]])
        pages: list[list[UUID]] = []
        after = NOBODY
        while ids := await page(store, model, after, 3):
            pages.append(ids)
            after = ids[-1]

        assert pages == [[r.id for r in some[i : i + 3]] for i in (0, 3, 6)]


def copy(record: Record, number: int, **more: object) -> Record:
    """Make another record of this one, like it but for its key and what has to be unique."""
    unique = {"problem_signature": f"s{number}", "name": f"n{number}", "agent_name": f"a{number}"}
    mine = {name: text for name, text in unique.items() if name in type(record).model_fields}
    key = UUID(int=number << 64)
    return record.model_copy(update={"id": key, "hlc": number, **mine, **more})


async def test_of_two_writes_the_later_stays_in_whatever_order_they_come(store: Store) -> None:
    for model in RECORDS:
        stamps = [(5, EARLY), (5, LATE), (4, LATE), (5, EARLY), (6, EARLY), (5, LATE)]
        one = drawn(model)
        some = [
            one.model_copy(update={"hlc": hlc, "origin": origin, "schema_v": number})
            for number, (hlc, origin) in enumerate(stamps)
        ]
        written = [await restore(store, [record]) for record in some]

        assert written == [[True], [True], [False], [False], [True], [False]]
        assert await kept(store, some[4]) == some[4]


async def test_what_is_written_after_an_import_is_later_than_all_of_it(store: Store) -> None:
    ahead = 1 << 62
    await restore(store, [Task(owner="me", agent_name="a", title="old", hlc=ahead, origin=EARLY)])
    task = Task(agent_name="a", title="new")
    await store.put(task)

    got = await store.get(Task, task.id)

    assert got is not None
    assert got.hlc == ahead + 1


async def test_an_import_changes_nothing_of_a_row_but_its_version(store: Store) -> None:
    deleted = Task(
        owner="me",
        agent_name="a",
        title="x",
        updated_at=THEN,
        deleted_at=THEN,
        hlc=7,
        origin=LATE,
        schema_v=3,
        extra={"later": [1]},
        ver=99,
    )
    assert await restore(store, [deleted]) == [True]
    assert await restore(store, [deleted]) == [False]

    assert await kept(store, deleted) == deleted


async def test_each_write_ticks_the_clock_and_keeps_one_origin(store: Store) -> None:
    tasks = [Task(agent_name="a", title=str(i)) for i in range(5)]
    before = now()
    await store.put(*tasks)

    got = [one for task in tasks if (one := await store.get(Task, task.id))]

    assert [one.hlc for one in got] == sorted({one.hlc for one in got})
    assert got[0].hlc >> 16 >= int(before.timestamp() * 1000)
    assert len({one.origin for one in got} | {NOBODY}) == 2
    assert all(one.updated_at >= before for one in got)


async def test_a_tombstone_is_kept_but_neither_got_nor_counted(store: Store) -> None:
    for model in RECORDS:
        live, gone = copy(drawn(model), 1), copy(drawn(model), 2, deleted_at=THEN)
        await restore(store, [live, gone])

        assert await store.get(model, gone.id) is None
        assert await kept(store, gone) == gone
        assert await count(store, model) == 1
        assert await page(store, model, NOBODY, 9) == [live.id, gone.id]


async def test_erasing_takes_the_tombstones_of_before_and_no_other(store: Store) -> None:
    for model in RECORDS:
        dates = [THEN - timedelta(microseconds=1), THEN, None]
        some = [copy(drawn(model), i, deleted_at=date) for i, date in enumerate(dates, 1)]
        await restore(store, some)

        erased = await ask(store, statements.erase(model), before=THEN)

        assert [UUID(str(row["id"])) for row in erased] == [some[0].id]
        assert await page(store, model, NOBODY, 9) == [some[1].id, some[2].id]


async def test_what_carries_a_date_that_has_passed_is_listed(store: Store) -> None:
    for model in EXPIRING:
        second = timedelta(seconds=1)
        dates = [THEN - second, THEN, THEN + second, None]
        some = [copy(drawn(model), i, expires_at=date) for i, date in enumerate(dates, 1)]
        deleted = copy(drawn(model), 9, expires_at=THEN, deleted_at=THEN)
        await restore(store, [*some, deleted])

        listed = await ask(store, statements.expired(model), now=THEN, limit=9)
        first = await ask(store, statements.expired(model), now=THEN, limit=1)

        assert [decode(model, row).id for row in listed] == [some[0].id, some[1].id]
        assert [decode(model, row).id for row in first] == [some[0].id]


async def test_owners_do_not_see_or_change_each_others_rows(engine: Engine, store: Store) -> None:
    task = Task(agent_name="a", title="mine")
    await store.put(task)
    other = Store(engine, "you", store.index)

    assert await ask(other, statements.page(Task), after=NOBODY, limit=9) == []
    assert await ask(other, statements.erase(Task), before=now()) == []
    assert await other.get(Task, task.id) is None
    assert await count(store, Task) == 1


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda: Binding(agent_name="a", skill_id=KEY), id="the same again"),
        pytest.param(lambda: Binding.model_construct(agent_name=None, skill_id=KEY), id="no agent"),
    ],
)
async def test_a_row_that_breaks_a_rule_is_refused_and_so_is_all_beside_it(
    store: Store, broken: Callable[[], Record]
) -> None:
    await store.put(Binding(agent_name="a", skill_id=KEY))
    beside = Task(agent_name="a", title="beside")

    with pytest.raises(StorageError):
        await store.put(beside, broken())

    assert await store.get(Task, beside.id) is None
    assert await count(store, Binding) == 1


async def test_reading_cannot_write(store: Store) -> None:
    task = Task(agent_name="a", title="x")

    with pytest.raises(StorageError):
        await store.engine.read(store.putting(task))

    assert await store.get(Task, task.id) is None


async def test_the_ledger_lists_each_step_once(store: Store) -> None:
    ledger = await store.rows("ledger.all")

    known = [(step.line, step.version, step.sha256) for step in steps(store.engine.dialect)]
    assert len(known) > len(RECORDS)
    assert sorted((row["line"], row["version"], row["sha256"]) for row in ledger) == sorted(known)


async def test_a_step_cannot_be_noted_twice(store: Store) -> None:
    with pytest.raises(StorageError):
        await store.engine.write(store.asking("ledger.add", line="tasks", version=1, sha256="x"))
