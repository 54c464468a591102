"""How the doctor compares an index with its records: all of a few, and a fair part of very many."""

from pathlib import Path

import pytest
from helpers_doctor import change, examined, run

from agent_mem.app import App
from agent_mem.config import Settings
from agent_mem.records.memory import Memory
from agent_mem.storage.comparison import CLOSELY
from agent_mem.storage.contents import inside

pytestmark = pytest.mark.anyio

KEPT = ", ".join(name for name in Memory.model_fields if name not in ("id", "deleted_at"))
MANY = f"""
    WITH RECURSIVE numbers (n) AS (
        SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n <= {CLOSELY}
    )
    INSERT INTO memories (id, deleted_at, {KEPT})
    SELECT printf('00000000-0000-7000-8000-%012d', n), updated_at, {KEPT} FROM numbers, memories
"""  # noqa: S608 - our own names
"""Adds more memories than are looked at: older ones, which were forgotten."""
TEN = 10
FEW = 4
"""Of ten rows it looks at the newest two, the 9th and 10th, and at every fifth: three in all."""
LONG = " ".join(f"Llama {number} grazes in the valley of the walruses." for number in range(20))
THIRD = "(SELECT id FROM memories ORDER BY id LIMIT 1 OFFSET 2)"
SOME = "looked at: 3 of 10, the newest and a spread of the others; `agent-mem doctor --thorough`"


@pytest.fixture
async def db(app: App) -> Path:
    """Make a memory of ten long texts, each of several passages."""
    await app.store.put(*(Memory(agent_name="a", content=f"{n}. {LONG}") for n in range(TEN)))
    return app.settings.db


async def told(app: App, check: str, most: int | None) -> tuple[str, str]:
    """Give what is found by a check."""
    (found,) = [finding for finding in await inside(app.store, most) if finding.check == check]
    return found.level, found.text


@pytest.mark.parametrize("check", ["rows", "passages"])
@pytest.mark.parametrize(
    ("most", "extent"),
    [(FEW, SOME), (TEN - 1, "looked at: 7 of 10, "), (TEN, "all 10"), (None, "all 10")],
)
async def test_of_many_rows_a_part_is_looked_at_and_the_finding_says_so(
    app: App, db: Path, check: str, most: int | None, extent: str
) -> None:
    level, text = await told(app, check, most)

    assert db.exists()
    assert level == "ok"
    assert extent in text


@pytest.mark.parametrize(("most", "wrong"), [(FEW, 3), (TEN, 10), (None, 10)])
async def test_damage_is_counted_among_what_is_looked_at(
    app: App, db: Path, most: int | None, wrong: int
) -> None:
    change(db, "UPDATE passages SET importance = 0.25")
    _, passages = await told(app, "passages", most)
    change(db, "UPDATE memories SET extra = '{'")
    _, rows = await told(app, "rows", most)

    assert passages.startswith(f"{wrong} rows are not indexed as they should be")
    assert rows.startswith(f"{wrong} rows cannot be read")


async def test_the_newest_and_every_so_manyth_of_the_others_are_looked_at(
    app: App, db: Path
) -> None:
    found: list[int] = []
    for place, (key,) in enumerate(change(db, "SELECT id FROM memories ORDER BY id"), 1):
        change(db, f"UPDATE memories SET extra = '[]' WHERE id = '{key}'")  # noqa: S608 - its own id
        level, _ = await told(app, "rows", FEW)
        found += [place] if level == "bad" else []
        change(db, "UPDATE memories SET extra = '{}'")

    assert found == [5, 9, 10]


@pytest.mark.parametrize(
    "damage",
    [
        f"DELETE FROM passages WHERE record_id = {THIRD}",  # noqa: S608 - our own text
        f"DELETE FROM passages WHERE record_id = {THIRD} AND part = 0",  # noqa: S608 - our own text
        f"DELETE FROM passages WHERE record_id = {THIRD} AND part = 1",  # noqa: S608 - our own text
        f"UPDATE memories SET deleted_at = updated_at WHERE id = {THIRD}",  # noqa: S608 - our own text
    ],
)
async def test_a_row_without_its_passages_is_found_wherever_it_is(
    app: App, db: Path, damage: str
) -> None:
    change(db, damage)

    level, text = await told(app, "passages", FEW)

    assert level == "bad"
    assert text.startswith("1 rows are not indexed as they should be, and 0 passages are of no row")
    assert "looked at: 4 of 10" in text


async def test_a_passage_without_its_row_is_found_wherever_it_is(app: App, db: Path) -> None:
    change(db, f"DELETE FROM memories WHERE id = {THIRD}")  # noqa: S608 - our own text

    _, text = await told(app, "passages", FEW)

    assert text.startswith("0 rows are not indexed as they should be, and 4 passages are of no row")


async def test_what_only_a_thorough_look_finds_is_mended_by_a_thorough_one(
    app: App, db: Path
) -> None:
    change(db, f"UPDATE passages SET importance = 0.25 WHERE record_id = {THIRD}")  # noqa: S608 - our own text

    quick, _ = await told(app, "passages", FEW)
    level, text = await told(app, "passages", None)

    assert (quick, level) == ("ok", "bad")
    assert "`agent-mem doctor --thorough --mend` makes the index anew" in text


def test_the_command_looks_at_every_row_when_asked_and_mends_what_it_finds(
    settings: Settings,
) -> None:
    run("remember", "Llamas graze in the valley.")
    change(settings.db, "UPDATE passages SET importance = 0.25")

    sick = examined("--thorough", code=1)["passages"]
    mended = examined("--thorough", "--mend")["passages"]

    assert "`agent-mem doctor --thorough --mend`" in sick["text"]
    assert mended["level"] == "ok"


def test_the_command_looks_at_a_part_of_very_many_rows(settings: Settings) -> None:
    run("remember", "Llamas graze in the valley.")
    change(settings.db, MANY, "UPDATE memories SET kind = 'lost' WHERE id LIKE '%-000000000001'")

    quick = examined()["rows"]["text"]
    thorough = examined("--thorough", code=1)["rows"]["text"]

    # Of 20,002 rows the newest 10,000, and every second of the others: not the first.
    assert "looked at: 15001 of 20002, the newest and a spread of the others" in quick
    assert thorough.startswith(
        "1 rows cannot be read (looked at: all 20002); the first is 00000000"
    )
