"""The same failure in another place is the same problem; another failure is not."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Call

from agent_mem.app import App
from agent_mem.records.record import named_id
from agent_mem.records.signature import LONGEST, signature
from agent_mem.records.solution import Attempt, Solution

pytestmark = pytest.mark.anyio

BENCH = Path(__file__).parent.parent / "bench"
MESSAGES: list[dict[str, Any]] = [
    json.loads(line)
    for line in (BENCH / "data" / "errors.jsonl").read_text(encoding="utf-8").splitlines()
]
HELD_OUT = [message for message in MESSAGES if message["set"] == "held-out"]
LONG = 1_000_000
"""Characters: in quadratic time this would take hours, and the suite ends a test after minutes."""


def test_real_messages_of_fifty_programs_share_a_signature_in_all_their_variants() -> None:
    shared = [len({signature(text) for text in m["variants"]}) == 1 for m in HELD_OUT]

    assert len({message["program"] for message in HELD_OUT}) >= 50
    assert all(len(set(message["variants"])) == 3 for message in HELD_OUT)
    assert sum(shared) / len(shared) >= 0.85


def test_no_two_different_errors_share_a_signature() -> None:
    owners: dict[str, set[int]] = {}
    for number, message in enumerate(MESSAGES):
        for text in message["variants"]:
            owners.setdefault(signature(text), set()).add(number)
        for text in message["variants"]:
            assert signature(message["near"]) != signature(text), message["program"]

    assert [numbers for numbers in owners.values() if len(numbers) > 1] == []


def test_the_benchmark_prints_the_rates_of_both_sets() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH / "signatures.py"), "--misses"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )

    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows[2:]] == ["| dev", "| held-out"]
    assert rows[3][1] == str(len(HELD_OUT))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("No module named 'foo'", "No module named 'bar'"),
        ('relation "users" does not exist', 'relation "orders" does not exist'),
        ("cannot open nginx.conf", "cannot open redis.conf"),
        ("exit code 0xc0000005", "exit code 0xc0000135"),
        ("[Errno 13] open failed", "[Errno 28] open failed"),
        ("codec utf-8 failed", "codec utf-16 failed"),
        ("cannot find package left-pad@1.0.0", "cannot find package right-pad@1.0.0"),
        ("failed with status 500", "failed with status 503"),
    ],
)
def test_what_names_the_problem_stays(one: str, other: str) -> None:
    assert signature(one) != signature(other)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("cannot open '/home/ana/x/nginx.conf'", "cannot open 'nginx.conf'"),
        ("open C:\\Users\\Ana Maria\\app.ini failed", "open app.ini failed"),
        ("src/lib/cart.ts:12:5: bad", "#: bad"),
        ("\x1b[31merror\x1b[0m: no", "#error#: no"),
        ("took 3m2s, used 1.5 GiB at 12:00:01 PM CET", "took #, used # at #"),
        ("mail to ana@example.com bounced", "mail to # bounced"),
        ("peer [2001:db8::1f]:8443 and aa:bb:cc:dd:ee:0f", "peer # and #"),
        ("std::vector and a::b stay", "std::vector and a::b stay"),
        ("see https://example.com:8080/a/b/page.html?x=3", "see page.html?x=#"),
        ("pod web-7d9f8b6c54-x2x4k died", "pod web# died"),
        (
            "\N{LEFT SINGLE QUOTATION MARK}foo\N{RIGHT SINGLE QUOTATION MARK} is `bar`",
            "'foo' is 'bar'",
        ),
        ("3 errors, 1 warning", "# error, # warning"),
        ("sha256 of x86_64 in utf8", "sha256 of x86_# in utf8"),
        ("on Wed, 01 May 2024 12:00:00 GMT we may go", "on # we may go"),
        ("/home/ana is full", "# is full"),
    ],
)
def test_what_differs_each_time_goes(text: str, left: str) -> None:
    assert signature(text) == left


def test_a_long_problem_is_told_by_its_hash() -> None:
    assert len(signature("word " * 1_000)) < LONGEST + 20
    assert signature("word " * 1_000 + "a") != signature("word " * 1_000 + "b")


@pytest.mark.parametrize("part", ["a", "-", "a.", "a@", "tmp_", "f", "A-1", "a+", ".", "a/", "1:"])
def test_the_time_grows_with_the_length_whatever_is_in_it(part: str) -> None:
    assert len(signature((part * LONG)[:LONG])) < LONGEST + 20


async def test_a_problem_kept_under_an_older_signature_is_still_the_same(
    app: App, call: Call
) -> None:
    """As a program with other rules wrote it, on this machine or on another."""
    old = "connectionerror: port 5432 refused by db-7"
    kept = Solution(
        id=named_id("solution", "me", old),
        agent_name="a",
        problem_signature=old,
        problem_description="ConnectionError: port 5432 refused by db-7",
        solution="Start the proxy.",
        success_count=1,
        usage_count=1,
    )
    await app.store.put(kept)
    assert signature(kept.problem_description) != old

    (found,) = (await call("find_solution", problem="ConnectionError: port 6000 refused by db-8"))[
        "solutions"
    ]
    again = await call(
        "record_solution",
        problem="ConnectionError: port 6001 refused by db-9",
        solution="Start the proxy.",
    )

    assert (found["id"], found["exact"]) == (str(kept.id), True)
    assert (again["id"], again["worked"], again["used"]) == (str(kept.id), 2, 2)


def test_what_worked_often_promises_more_than_what_worked_once() -> None:
    def promise(worked: int, used: int) -> float:
        return Attempt(solution="s", success_count=worked, usage_count=used).promise()

    assert promise(9, 10) > promise(1, 1) > promise(0, 0) == promise(0, 5) == 0
    assert promise(1, 1) == pytest.approx(0.2065, abs=1e-3)  # Wilson, 95 %


async def test_nine_of_ten_come_before_one_of_one(call: Call) -> None:
    for n in range(10):
        await call("record_solution", problem="It fails.", solution="Often.", worked=n > 0)
    once = await call("record_solution", problem="It fails.", solution="Once.")

    assert (once["solution"], once["worked"], once["used"]) == ("Often.", 9, 10)


async def test_of_what_never_worked_the_least_tried_comes_first(call: Call) -> None:
    for _ in range(2):
        await call("record_solution", problem="It fails.", solution="Twice.", worked=False)

    assert (await call("record_solution", problem="It fails.", solution="New.", worked=False))[
        "solution"
    ] == "New."
