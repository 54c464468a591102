"""Work: checked before it begins, claimed by one, logged after."""

from datetime import timedelta

import anyio
import pytest
from conftest import Call

from agent_mem.app import App
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.record import now, uuid7
from agent_mem.records.work import Work, work_signature

pytestmark = pytest.mark.anyio

ACTION = "Review pull request 17"
SOON = 0.005
"""Minutes: less than a second."""


async def claimed(call: Call, **more: object) -> str:
    answer = await call("check_work", action=ACTION, claim=True, **more)
    assert answer["state"] == "claimed"
    return answer["claim"]["id"]


async def until_free(call: Call) -> None:
    """Wait until a lease has run out."""
    with anyio.fail_after(10):
        while (await call("check_work", action=ACTION))["state"] == "taken":  # noqa: ASYNC110 - of the passing of time there is no event
            await anyio.sleep(0.05)


async def test_what_nobody_did_is_new(call: Call, app: App) -> None:
    assert await call("check_work", action=ACTION) == {"state": "new"}
    assert [dict(row)["n"] for row in await app.store.rows("local.last_change")] == [0]


async def test_what_was_logged_is_known_with_its_result(call: Call) -> None:
    logged = await call(
        "log_work", action=ACTION, success=True, output={"verdict": "merged", "comments": 3}
    )

    answer = await call("check_work", action="review  Pull request 17.", agent="bob")

    assert logged == {"id": logged["id"], "result": "done; verdict: merged; comments: 3"}
    assert answer["state"] == "done"
    (before,) = answer["before"]
    assert before.pop("when")
    assert before == {
        "id": logged["id"],
        "action": ACTION,
        "agent": "agent",
        "result": "done; verdict: merged; comments: 3",
    }


async def test_other_numbers_and_another_input_are_other_work(call: Call) -> None:
    await call("log_work", action=ACTION, success=True)
    await call("log_work", action="Deploy", input={"to": "staging"}, success=True)

    assert (await call("check_work", action="Review pull request 18"))["state"] == "new"
    other = await call("check_work", action="Deploy", input={"to": "production"})
    same = await call("check_work", action="Deploy", input={"to": "staging"})

    assert (other["state"], same["state"]) == ("new", "done")


async def test_the_order_of_an_input_does_not_matter_and_a_long_one_is_told_apart() -> None:
    assert work_signature("a", {"x": 1, "y": 2}) == work_signature("A!", {"y": 2, "x": 1})
    long = "x" * 400
    assert work_signature(long + "y", {}) != work_signature(long + "z", {})
    assert len(work_signature(long, {})) < 330
    assert work_signature("!", {}) == "!"


async def test_what_failed_may_be_claimed_at_once(call: Call) -> None:
    await call("log_work", action=ACTION, success=False, error="The tests did not run.")

    looked = await call("check_work", action=ACTION)
    claim = await call("check_work", action=ACTION, claim=True)

    assert looked["state"] == "failed"
    assert looked["before"][0]["result"] == "failed; The tests did not run."
    assert claim["state"] == "claimed"


async def test_what_is_done_is_claimed_only_when_it_is_to_be_done_again(call: Call) -> None:
    await call("log_work", action=ACTION, success=True)

    refused = await call("check_work", action=ACTION, claim=True)
    taken = await call("check_work", action=ACTION, again=True)

    assert (refused["state"], "claim" in refused) == ("done", False)
    assert taken["state"] == "claimed"
    assert [before["result"] for before in taken["before"]] == ["done"]


async def test_what_was_done_once_is_done_however_often_it_failed_since(call: Call) -> None:
    done = await call("log_work", action=ACTION, success=True)
    for _ in range(6):
        await call("log_work", action=ACTION, success=False)

    answer = await call("check_work", action=ACTION, claim=True)

    assert answer["state"] == "done"
    assert [before["result"] for before in answer["before"]] == ["done", *["failed"] * 4]
    assert answer["before"][0]["id"] == done["id"]


async def test_what_one_agent_claimed_another_does_not_get(call: Call) -> None:
    mine = await claimed(call, agent="ana")

    answer = await call("check_work", action=ACTION, claim=True, agent="bob")
    same_name = await call("check_work", action=ACTION, claim=True, agent="ana")

    assert answer["state"] == same_name["state"] == "taken"
    assert (answer["claim"]["id"], answer["claim"]["agent"]) == (mine, "ana")


async def test_a_claim_is_renewed_by_its_id(call: Call) -> None:
    first = await call("check_work", action=ACTION, claim=True, minutes=1)

    longer = await call("check_work", action=ACTION, renew=first["claim"]["id"], minutes=60)

    assert longer["state"] == "claimed"
    assert longer["claim"]["id"] == first["claim"]["id"]
    assert longer["claim"]["since"] == first["claim"]["since"]
    assert longer["claim"]["until"] > first["claim"]["until"]


async def test_a_claim_ends_by_itself(call: Call) -> None:
    await claimed(call, agent="ana", minutes=SOON)
    await until_free(call)

    assert await claimed(call, agent="bob")


async def test_whoever_comes_back_too_late_is_told_who_has_it_now(call: Call) -> None:
    late = await claimed(call, agent="ana", minutes=SOON)
    await until_free(call)
    bob = await claimed(call, agent="bob")

    answer = await call("check_work", action=ACTION, renew=late, agent="ana")
    logged = await call("log_work", action=ACTION, claim=late, success=True, agent="ana")

    assert (answer["state"], answer["claim"]["id"]) == ("taken", bob)
    (also,) = logged["also"]
    assert (also["id"], also["agent"], also["result"]) == (bob, "bob", "under way")


async def test_a_claim_that_ran_out_is_renewed_if_nobody_has_it(call: Call, app: App) -> None:
    late = await claimed(call, minutes=SOON)
    await until_free(call)
    before = now()

    answer = await call("check_work", action=ACTION, renew=late)
    stored = await app.store.get(Work, (await found(app, late)).id)

    assert (answer["state"], answer["claim"]["id"]) == ("claimed", late)
    assert stored
    assert stored.claimed_at
    assert stored.claimed_at >= before


async def test_what_was_done_while_a_claim_had_run_out_is_not_claimed_again(call: Call) -> None:
    late = await claimed(call, agent="ana", minutes=SOON)
    await until_free(call)
    await call("log_work", action=ACTION, success=True, agent="bob")

    assert (await call("check_work", action=ACTION, renew=late))["state"] == "done"
    logged = await call("log_work", action=ACTION, claim=late, success=True, agent="ana")
    assert [also["agent"] for also in logged["also"]] == ["bob"]


async def found(app: App, key: str) -> Work:
    rows = await app.store.find(
        Work, "work_history.under_way", signature=work_signature(ACTION, {}), project=None,
        now=now() - timedelta(days=1), limit=9,
    )  # fmt: skip
    return next(work for work in rows if str(work.id) == key)


async def test_logging_ends_the_claim_of_the_agent_that_has_one(call: Call) -> None:
    mine = await claimed(call, agent="ana")

    other = await call("log_work", action=ACTION, success=False, agent="bob")
    logged = await call("log_work", action=ACTION, success=True, agent="ana")
    answer = await call("check_work", action=ACTION)

    assert other["id"] != mine
    assert [also["id"] for also in other["also"]] == [mine]
    assert logged["id"] == mine
    assert "also" not in logged
    assert [before["id"] for before in answer["before"]] == [mine, other["id"]]


async def test_the_time_since_the_claim_is_how_long_it_took(call: Call, app: App) -> None:
    key = await claimed(call)
    work = await found(app, key)
    await call("log_work", action=ACTION, success=True)
    alone = await call("log_work", action="Sweep", success=True)
    told = await call("log_work", action="Mop", success=True, duration_ms=12.5)

    took = {
        k: (await app.store.get(Work, work.id.__class__(k))) for k in (key, alone["id"], told["id"])
    }

    assert took[key].duration_ms >= 0  # pyright: ignore[reportOptionalMemberAccess, reportOptionalOperand] - it is there
    assert took[alone["id"]].duration_ms is None  # pyright: ignore[reportOptionalMemberAccess] - it is there
    assert took[told["id"]].duration_ms == 12.5  # pyright: ignore[reportOptionalMemberAccess] - it is there


async def test_a_claim_whose_result_was_logged_is_not_renewed(call: Call) -> None:
    key = await claimed(call)
    await call("log_work", action=ACTION, success=False)

    with pytest.raises(InvalidInput, match="has ended, as log_work said: claim it anew"):
        await call("check_work", action=ACTION, renew=key)


async def test_a_project_has_work_of_its_own(call: Call) -> None:
    await claimed(call, project="p")
    await call("log_work", action="Sweep", success=True, project="*")

    assert (await call("check_work", action=ACTION, project="q"))["state"] == "new"
    assert (await call("check_work", action=ACTION, project="*"))["state"] == "taken"
    assert (await call("check_work", action="Sweep", project="q"))["state"] == "done"


async def test_similar_work_is_named_and_is_not_the_same(call: Call, app: App) -> None:
    await call("log_work", action="Rotate the certificates of staging", success=True)
    await call("log_work", action="Bake a cake", success=True)
    await app.finder.meaning.load()

    answer = await call("check_work", action="Rotate the staging certificates")

    assert answer["state"] == "new"
    assert [work["action"] for work in answer["similar"]] == ["Rotate the certificates of staging"]
    same = await call("check_work", action="Rotate the certificates of staging")
    assert "similar" not in same


async def test_recall_finds_work_and_what_came_of_it(call: Call) -> None:
    await call("log_work", action="Rotate the certificates", success=True, output={"until": "2027"})
    await claimed(call, minutes=SOON)
    await until_free(call)

    (hit,) = (await call("recall", query="certificates", kinds=["work"]))["hits"]

    assert (hit["kind"], hit["who"]) == ("work", "agent")
    assert hit["text"] == "Rotate the certificates\nResult: done; until: 2027"
    assert "hits" not in await call("recall", query="pull request")


async def test_a_long_result_is_shown_in_part(call: Call) -> None:
    logged = await call("log_work", action=ACTION, success=True, output={"text": "long " * 200})

    assert logged["result"].startswith("done; text: long long")
    assert logged["result"].endswith("…")
    assert len(logged["result"]) <= 301


async def test_forgotten_work_was_not_done(call: Call) -> None:
    done = await call("log_work", action=ACTION, success=True)
    await call("forget", id=done["id"])

    assert (await call("check_work", action=ACTION))["state"] == "new"


@pytest.mark.parametrize("minutes", [0, -1, 1441, float("nan")])
async def test_a_lease_is_bounded(call: Call, minutes: float) -> None:
    with pytest.raises(InvalidInput, match="`minutes`: input should be"):
        await call("check_work", action=ACTION, claim=True, minutes=minutes)


@pytest.mark.parametrize(
    ("tool", "more"),
    [("check_work", {"renew": "x"}), ("log_work", {"claim": "x", "success": True})],
)
async def test_a_claim_that_is_no_id_is_refused(
    call: Call, tool: str, more: dict[str, object]
) -> None:
    with pytest.raises(NotFound, match="There is no claim `x`: an id has 36 characters"):
        await call(tool, action=ACTION, **more)


async def test_a_claim_that_was_never_made_is_refused(call: Call) -> None:
    logged = (await call("log_work", action=ACTION, success=True))["id"]
    for key in (str(uuid7()), logged):
        with pytest.raises(NotFound, match=f"There is no claim `{key}`: check_work gives its id"):
            await call("check_work", action=ACTION, renew=key)
