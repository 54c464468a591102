"""Problems and what solved them, with every attempt counted."""

import pytest
from conftest import Call

from agent_mem.errors import InvalidInput
from agent_mem.records.signature import signature

pytestmark = pytest.mark.anyio

PROBLEM = "ConnectionError: port 5432 refused"


async def test_a_solution_is_found_by_its_problem(call: Call) -> None:
    done = await call("record_solution", problem=PROBLEM, solution="Start the proxy.")

    found = await call("find_solution", problem=PROBLEM)

    assert done == {"id": done["id"], "solution": "Start the proxy.", "worked": 1, "used": 1}
    assert found == {
        "solutions": [
            {
                "id": done["id"],
                "problem": PROBLEM,
                "solution": "Start the proxy.",
                "worked": 1,
                "used": 1,
                "exact": True,
            }
        ]
    }


@pytest.mark.parametrize(
    "again",
    [
        "connectionerror:  PORT 6000 refused",
        "ConnectionError: port 5432.7 refused",
        "ConnectionError: port 0x1f refused",
    ],
)
async def test_the_same_problem_with_other_numbers_is_the_same(call: Call, again: str) -> None:
    done = await call("record_solution", problem=PROBLEM, solution="Start the proxy.")

    (found,) = (await call("find_solution", problem=again))["solutions"]

    assert (found["id"], found["exact"]) == (done["id"], True)


async def test_a_like_problem_is_found_after_the_same(call: Call) -> None:
    like = await call(
        "record_solution", problem="ConnectionError: socket refused by peer", solution="Wait."
    )
    same = await call("record_solution", problem=PROBLEM, solution="Start the proxy.")
    await call("record_solution", problem="The zeppelin leaks", solution="Patch it.")

    found = (await call("find_solution", problem=PROBLEM))["solutions"]

    assert [solution["id"] for solution in found] == [same["id"], like["id"]]
    assert "exact" not in found[1]
    only = await call("find_solution", problem=PROBLEM, limit=1)
    assert [solution["id"] for solution in only["solutions"]] == [same["id"]]


async def test_a_problem_is_found_by_the_words_of_its_solution(call: Call) -> None:
    done = await call("record_solution", problem=PROBLEM, solution="Start the haproxy.")

    (found,) = (await call("find_solution", problem="haproxy is down"))["solutions"]

    assert found["id"] == done["id"]


async def test_what_works_more_often_comes_first(call: Call) -> None:
    await call("record_solution", problem=PROBLEM, solution="Reboot.", worked=False)
    await call("record_solution", problem=PROBLEM, solution="Start the proxy.")
    best = await call("record_solution", problem=PROBLEM, solution="Start the proxy.")
    once = await call("record_solution", problem=PROBLEM, solution="Wait.", worked=True)

    (found,) = (await call("find_solution", problem=PROBLEM))["solutions"]

    assert (best["worked"], best["used"]) == (2, 2)
    assert (once["solution"], once["worked"], once["used"]) == ("Start the proxy.", 2, 2)
    assert (found["solution"], found["others"]) == ("Start the proxy.", ["Wait.", "Reboot."])


async def test_a_solution_that_stops_working_loses_its_place(call: Call) -> None:
    await call("record_solution", problem=PROBLEM, solution="Reboot.")
    await call("record_solution", problem=PROBLEM, solution="Start the proxy.")
    await call("record_solution", problem=PROBLEM, solution="Reboot.", worked=False)

    now_best = await call("record_solution", problem=PROBLEM, solution="Reboot.", worked=False)

    assert now_best["solution"] == "Start the proxy."


async def test_a_forgotten_solution_is_not_found(call: Call) -> None:
    done = await call("record_solution", problem=PROBLEM, solution="Start the proxy.")
    await call("forget", id=done["id"])

    assert await call("find_solution", problem=PROBLEM) == {
        "note": "No solution is known. Record yours with record_solution."
    }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"problem": "p"}, "record_solution needs `solution`."),
        ({"problem": "", "solution": "s"}, "`problem` is blank: say something."),
        (
            {"problem": "p" * 100_001, "solution": "s"},
            "`problem` is longer than 100000 characters.",
        ),
        (
            {"problem": "p", "solution": "s", "worked": "perhaps"},
            "`worked`: input should be a valid boolean, unable to interpret input.",
        ),
    ],
    ids=["no solution", "blank", "long", "perhaps"],
)
async def test_what_cannot_be_recorded_is_refused_in_a_sentence(
    call: Call, arguments: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await call("record_solution", **arguments)

    assert str(refused.value) == sentence


async def test_a_whole_stack_trace_is_a_problem(call: Call) -> None:
    trace = "Traceback:\n" + '  File "/srv/app/x.py", line 7, in run\n' * 200 + "KeyError: 'id'"
    await call("record_solution", problem=trace, solution="Ask for the key first.")

    (found,) = (await call("find_solution", problem=trace))["solutions"]

    assert found["exact"]
    assert found["solution"] == "Ask for the key first."
    assert found["more"] == f"memory://item/{found['id']}"
    assert len(found["problem"]) <= 1_001


async def test_no_more_than_three_other_attempts_are_told(call: Call) -> None:
    await call("record_solution", problem=PROBLEM, solution="Right.")
    for n in range(4):
        await call("record_solution", problem=PROBLEM, solution=f"Wrong {n}.", worked=False)

    (found,) = (await call("find_solution", problem=PROBLEM))["solutions"]

    assert found["solution"] == "Right."
    assert found["others"] == ["Wrong 0.", "Wrong 1.", "Wrong 2."]
    assert found["more"] == f"memory://item/{found['id']}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("timeout after 30 s on 10.0.0.1:5432", "Timeout after 31 s on 10.0.0.9:5433"),
        ("cannot read /home/ana/app/x.conf", "cannot read /srv/app/x.conf"),
        (
            "job 01a1fc02-2963-73cb-b534-6c640c66db30 died",
            "job 7f86a838-73cb-8836-b05f-1d7f60e01a1f died",
        ),
        ("segfault at 0x7f3a", "segfault  at 0x11"),
        ("failed on 2026-05-01 at 09:30", "failed on 2026-11-21 at 10:00"),
    ],
)
def test_a_problem_keeps_its_signature_when_it_comes_again(one: str, other: str) -> None:
    assert signature(one) == signature(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HTTP 404", "HTTP 500"),
        ("ORA-00942: no table", "ORA-01017: no table"),
        ("exit code: 1", "exit code: 137"),
        ("error TS2345", "error TS2322"),
    ],
)
def test_errors_with_other_codes_are_other_problems(one: str, other: str) -> None:
    assert signature(one) != signature(other)


async def test_the_signs_of_an_error_are_no_query_language(call: Call) -> None:
    await call("record_solution", problem="ld: cannot find -lssl", solution="Install it.")

    found = await call("find_solution", problem="Linking on Debian: ld: cannot find -lssl")

    assert found["solutions"][0]["solution"] == "Install it."


def test_tracebacks_that_end_in_another_error_are_other_problems() -> None:
    frames = "".join(f"file /x/y{chr(97 + n)}.py, in run\n" for n in range(26))

    assert signature(frames + "KeyError") != signature(frames + "OperationalError")
    assert signature(frames + "KeyError") == signature(frames + "KEYERROR")


async def test_a_forgotten_solution_that_works_again_keeps_its_counts(call: Call) -> None:
    done = await call("record_solution", problem=PROBLEM, solution="Start the proxy.")
    await call("forget", id=done["id"])

    again = await call("record_solution", problem=PROBLEM, solution="Start the proxy.")

    assert (again["worked"], again["used"]) == (2, 2)


async def test_what_helped_in_two_projects_is_found_in_every_one(call: Call) -> None:
    await call("record_solution", problem=PROBLEM, solution="Restart.", project="a")
    await call("record_solution", problem=PROBLEM, solution="Restart.", project="b")

    assert (await call("recall", query=PROBLEM, project="c"))["hits"]
