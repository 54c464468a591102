"""Reviews: what is counted of decisions, with which filters; and all of one, with its chain."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from statistics import fmean
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from conftest import Call
from helpers_decisions import decided, repeated
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from agent_mem.app import App
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.decision import Decision
from agent_mem.records.record import now

pytestmark = pytest.mark.anyio

QUESTION = "Which database should the shop use?"
LINE = re.compile(r"(\S+): said (\S+), right (\S+) of (\d+)")


async def test_decisions_are_summed_up(app: App, call: Call) -> None:
    sure = {"confidence": 0.9, "quality_score": 0.5}
    await app.store.put(
        *repeated("push", 6, 9, **sure, latency_ms=100),
        decided("push", True, **sure, latency_ms=900),
        *repeated("wait", 0, 2, confidence=0.25),
        decided("wait", None, confidence=0.65),
    )

    told = (await call("review_decisions"))["statistics"]

    assert told == {
        "count": 13,
        "open": 1,
        "success_rate": 0.5833,
        "interval": [0.3195, 0.8067],
        "quality": 0.5,
        "confidence": 0.7808,
        "latency_p50": 100,
        "latency_p95": 900,
        "calibration": {
            "brier": pytest.approx((7 * 0.01 + 3 * 0.81 + 2 * 0.0625) / 12, abs=1e-4),
            "judged": 12,
            "table": [
                "0.2-0.3: said 0.25, right 0.00 of 2",
                "0.9-1.0: said 0.90, right 0.70 of 10",
            ],
        },
    }


async def test_of_nothing_nothing_is_said(call: Call) -> None:
    assert await call("review_decisions") == {"statistics": {"count": 0, "open": 0}}


TENTHS = st.integers(0, 10).map(lambda tenth: tenth / 10)
SHARES = st.none() | TENTHS | st.floats(0, 1)
MEASURED = st.fixed_dictionaries(
    {
        "success": st.none() | st.booleans(),
        "confidence": SHARES,
        "quality_score": SHARES,
        "latency_ms": st.none() | st.integers(0, 9) | st.floats(0, 1e6),
    }
)
A_STORE = how(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@A_STORE
@given(st.lists(MEASURED, max_size=40))
async def test_statistics_agree_with_plain_counting(
    app: App, call: Call, rows: list[dict[str, Any]]
) -> None:
    project = str(uuid4())
    await app.store.put(*[made(**row, project=project) for row in rows])

    told = (await call("review_decisions", project=project))["statistics"]

    known = [row for row in rows if row["success"] is not None]
    assert (told["count"], told["open"]) == (len(rows), len(rows) - len(known))
    assert told.get("success_rate") == averaged(known, "success")
    assert told.get("confidence") == averaged(rows, "confidence")
    assert told.get("quality") == averaged(rows, "quality_score")
    took = sorted(row["latency_ms"] for row in rows if row["latency_ms"] is not None)
    for percent, name in ((50, "latency_p50"), (95, "latency_p95")):
        enough = [t for t in took if 100 * sum(x <= t for x in took) >= percent * len(took)]
        assert told.get(name) == (enough[0] if enough else None)
    assert told.get("calibration") == calibrated(known)


def averaged(rows: list[dict[str, Any]], name: str) -> Any:  # noqa: ANN401 - a number or nothing
    some = [float(row[name]) for row in rows if row[name] is not None]
    return pytest.approx(fmean(some), abs=1e-4) if some else None


def calibrated(known: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Compare what was said with what came, plainly."""
    judged = [(r["confidence"], r["success"]) for r in known if r["confidence"] is not None]
    if not judged:
        return None
    table: list[Any] = []
    for tenth in range(10):
        last = 2 if tenth == 9 else (tenth + 1) / 10
        mine = [(said, came) for said, came in judged if tenth / 10 <= said < last]
        if mine:
            right = fmean(came for _, came in mine)
            said = fmean(said for said, _ in mine)
            table.append(Line(f"{tenth / 10:.1f}-{tenth / 10 + 0.1:.1f}", said, right, len(mine)))
    error = fmean((said - came) ** 2 for said, came in judged)
    return {"brier": pytest.approx(error, abs=1e-4), "judged": len(judged), "table": table}


class Line(NamedTuple):
    """A line of the table of reliability, equal to the text that tells it to two digits."""

    bounds: str
    said: float
    right: float
    n: int

    def __eq__(self, told: object) -> bool:
        found = LINE.fullmatch(str(told))
        return (
            bool(found)
            and (found[1], int(found[4])) == (self.bounds, self.n)
            and (
                (float(found[2]), float(found[3]))
                == pytest.approx((self.said, self.right), abs=0.006)
            )
        )

    __hash__ = None  # pyright: ignore[reportAssignmentType] - nearly equal has no hash


@pytest.mark.parametrize("tenth", range(11))
async def test_a_whole_tenth_begins_its_bin(app: App, call: Call, tenth: int) -> None:
    await app.store.put(made(confidence=tenth / 10))

    (one,) = (await call("review_decisions"))["statistics"]["calibration"]["table"]

    low = min(tenth, 9) / 10
    assert one == f"{low:.1f}-{low + 0.1:.1f}: said {tenth / 10:.2f}, right 1.00 of 1"


CALIBRATED: list[tuple[list[tuple[float, bool]], float]] = [
    ([(1.0, True), (0.0, False)], 0.0),
    ([(0.5, True), (0.5, False)], 0.25),
    ([(0.9, True), (0.9, False)], (0.01 + 0.81) / 2),
    ([(0.0, True)], 1.0),
]


@pytest.mark.parametrize(
    ("forecasts", "score"), CALIBRATED, ids=["knew", "a coin", "half", "the opposite"]
)
async def test_a_brier_score_is_the_mean_squared_error(
    app: App, call: Call, forecasts: list[tuple[float, bool]], score: float
) -> None:
    await app.store.put(*[made(confidence=said, success=came) for said, came in forecasts])

    told = (await call("review_decisions"))["statistics"]["calibration"]

    assert told["brier"] == pytest.approx(score)


def made(**more: Any) -> Decision:  # noqa: ANN401 - any field
    return decided("push", more.pop("success", True), **more)


FILTERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "deploy"}, {"decision_type": "paint"}),
    ({"agent": "ana"}, {"agent_name": "bo"}),
    ({"project": "shop"}, {"project": "bank"}),
    ({"outcome": "success"}, {"success": False}),
    ({"outcome": "success"}, {"success": None}),
    ({"term": "long"}, {"created_at": now() - timedelta(hours=23)}),
    ({"since": (now() - timedelta(days=5)).isoformat()}, {"created_at": now() - timedelta(days=6)}),
    ({"until": (now() - timedelta(days=2)).isoformat()}, {"created_at": now() - timedelta(days=1)}),
]


@pytest.mark.parametrize(("asked", "other"), FILTERS, ids="-".join)
async def test_only_what_is_asked_for_is_counted(
    app: App, call: Call, asked: dict[str, Any], other: dict[str, Any]
) -> None:
    mine = made(project="shop")
    await app.store.put(mine, made(**{"project": "shop", **other}))

    told = await call("review_decisions", **asked)

    assert told["statistics"]["count"] == 1
    assert [one["id"] for one in told["decisions"]] == [str(mine.id)]


async def test_what_is_younger_than_a_day_is_short_term(app: App, call: Call) -> None:
    young = made(created_at=now() - timedelta(hours=1))
    await app.store.put(young, made())

    told = await call("review_decisions", term="short")

    assert [one["id"] for one in told["decisions"]] == [str(young.id)]


@pytest.mark.parametrize("outcome", ["failure", "open"])
async def test_what_failed_and_what_is_open_can_be_asked_for(
    app: App, call: Call, outcome: str
) -> None:
    by_outcome = {"failure": made(success=False), "open": made(success=None)}
    await app.store.put(*by_outcome.values(), made())

    told = await call("review_decisions", outcome=outcome)

    assert [one["id"] for one in told["decisions"]] == [str(by_outcome[outcome].id)]


async def test_the_latest_are_shown_and_all_are_counted(app: App, call: Call) -> None:
    days = [now() - timedelta(days=n) for n in range(2, 9)]
    await app.store.put(*[made(created_at=day) for day in days])

    told = await call("review_decisions", limit=2)

    assert told["statistics"]["count"] == 7
    assert [one["when"] for one in told["decisions"]] == [minute(day) for day in days[:2]]


def minute(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M")


async def test_what_was_corrected_is_left_out_unless_it_is_asked_for(app: App, call: Call) -> None:
    wrong = made(success=False)
    right = made(supersedes=wrong.id)
    await app.store.put(wrong, right)

    without = await call("review_decisions")
    with_it = await call("review_decisions", corrected=True)
    await call("forget", id=str(right.id))
    again = await call("review_decisions")

    assert without["statistics"]["success_rate"] == 1
    assert with_it["statistics"]["count"] == 2
    assert [one["id"] for one in again["decisions"]] == [str(wrong.id)]


async def test_a_window_that_ends_before_it_begins_is_refused(call: Call) -> None:
    with pytest.raises(InvalidInput) as refused:
        await call("review_decisions", since="2026-05-02", until="2026-05-01")

    assert str(refused.value) == "`until` is before `since`, or before what `term` allows."


async def test_all_of_a_decision_is_told(call: Call) -> None:
    first = await call(
        "log_decision",
        question=QUESTION,
        selected=["SQLite"],
        options=[{"name": "SQLite", "score": 0.9}, {"name": "MySQL"}],
        rationale="One file is enough.",
        confidence=0.8,
        context={"users": 3},
        patterns=["keep it small"],
    )
    right = await call(
        "log_decision", question=QUESTION, selected=["MySQL"], supersedes=first["id"]
    )

    told = await call("review_decisions", decision=first["id"])
    correction = await call("review_decisions", decision=right["id"])

    assert told.keys() == {
        "decisions", "context", "options", "rationale", "confidence", "patterns", "corrected_by",
    }  # fmt: skip
    assert told["options"] == ["SQLite: 0.9", "MySQL"]
    assert (told["context"], told["patterns"]) == ({"users": 3}, ["keep it small"])
    assert [one["id"] for one in told["corrected_by"]] == [right["id"]]
    assert correction["corrects"] == first["id"]


async def chained(call: Call, count: int) -> list[str]:
    keys: list[str] = []
    for n in range(count):
        parent = {"parent": keys[-1]} if keys else {}
        done = await call("log_decision", question=f"Step {n}?", selected=["x"], **parent)
        keys.append(done["id"])
    return keys


def ids(briefs: list[dict[str, Any]]) -> list[str]:
    return [one["id"] for one in briefs]


async def test_a_chain_can_be_walked_both_ways(call: Call) -> None:
    keys = await chained(call, 5)
    side = await call("log_decision", question="Beside?", selected=["x"], parent=keys[1])

    told = await call("review_decisions", decision=keys[2])

    assert ids(told["led_from"]) == keys[:2]
    assert ids(told["led_to"]) == keys[3:]
    above = await call("review_decisions", decision=keys[1])
    assert set(ids(above["led_to"])) == {*keys[2:], side["id"]}


async def test_a_deep_chain_is_walked_in_steps_to_either_end(call: Call) -> None:
    keys = await chained(call, 120)
    walked: list[str] = []
    at = keys[-1]
    while above := (await call("review_decisions", decision=at)).get("led_from"):
        walked = [*ids(above), *walked]
        at = above[0]["id"]

    down = ids((await call("review_decisions", decision=keys[0]))["led_to"])

    assert walked == keys[:-1]
    assert down == keys[1:51]


async def test_a_circle_that_came_by_sync_is_walked_once(app: App, call: Call) -> None:
    one, other = made(), made()
    circle = [
        one.model_copy(update={"parent_id": other.id}),
        other.model_copy(update={"parent_id": one.id}),
    ]
    await app.store.put(*circle)

    told = await call("review_decisions", decision=str(one.id))
    with pytest.raises(InvalidInput) as refused:
        await call("log_decision", question="?", selected=["x"], parent=str(one.id))

    assert ids(told["led_from"]) == ids(told["led_to"]) == [str(other.id)]
    assert str(refused.value) == (
        f"The decision `{one.id}` follows from itself: name another parent."
    )


@pytest.mark.parametrize("parent", [0, 1, 2])
async def test_a_correction_that_follows_from_what_it_corrects_is_refused(
    call: Call, parent: int
) -> None:
    keys = await chained(call, 3)

    with pytest.raises(InvalidInput) as refused:
        await call(
            "log_decision", question="?", selected=["x"], parent=keys[parent], supersedes=keys[0]
        )

    assert str(refused.value) == (
        f"A correction of `{keys[0]}` cannot follow from it: leave out `parent`, and it takes the"
        " place of what it corrects."
    )
    assert (await call("review_decisions"))["statistics"]["count"] == 3


async def test_a_correction_stands_where_the_corrected_one_stood(app: App, call: Call) -> None:
    keys = await chained(call, 2)

    right = await call("log_decision", question="?", selected=["y"], supersedes=keys[1])

    saved = await app.store.get(Decision, UUID(right["id"]))
    assert saved
    assert saved.parent_id == UUID(keys[0])


@pytest.mark.parametrize("way", ["parent", "supersedes", "both"])
async def test_whom_to_correct_must_be_there_and_be_the_last_word(call: Call, way: str) -> None:
    nobody = str(uuid4())
    first = await call("log_decision", question="?", selected=["x"])
    last = await call("log_decision", question="?", selected=["y"], supersedes=first["id"])
    given: dict[str, dict[str, str]] = {
        "parent": {"supersedes": nobody},
        "supersedes": {"supersedes": first["id"]},
        "both": {"supersedes": nobody, "parent": last["id"]},
    }

    with pytest.raises(InvalidInput) as refused:
        await call("log_decision", question="?", selected=["z"], **given[way])

    assert str(refused.value) == (
        f"Decision `{first['id']}` was corrected already: correct `{last['id']}`."
        if way == "supersedes"
        else f"There is no decision `{nobody}`: recall finds decisions by their question."
    )


async def test_a_decision_that_is_not_there_cannot_be_reviewed(call: Call) -> None:
    with pytest.raises(NotFound):
        await call("review_decisions", decision=str(uuid4()))


@A_STORE
@given(kinds=st.lists(st.sampled_from(["worked", "failed", "open", "corrected"]), max_size=12))
async def test_a_review_counts_what_is_in_the_store(app: App, call: Call, kinds: list[str]) -> None:
    project = str(uuid4())
    for kind in kinds:
        success: Callable[[str], bool | None] = {"worked": True, "open": None}.get
        wrong = made(
            success=success(kind) if kind in ("worked", "open") else False, project=project
        )
        await app.store.put(wrong)
        if kind == "corrected":
            await app.store.put(made(success=True, project=project, supersedes=wrong.id))

    told = (await call("review_decisions", project=project))["statistics"]

    worked = kinds.count("worked") + kinds.count("corrected")
    known = len(kinds) - kinds.count("open")
    assert (told["count"], told["open"]) == (len(kinds), kinds.count("open"))
    assert told.get("success_rate") == (pytest.approx(worked / known, abs=1e-4) if known else None)
