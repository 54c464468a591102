"""Patterns: learned from decisions, offered before the next one, shared, versioned, faded."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from conftest import Call
from helpers_decisions import decided, on_fridays, repeated

from agent_mem.app import App
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.decision import Decision
from agent_mem.records.pattern import Pattern
from agent_mem.records.record import now

pytestmark = pytest.mark.anyio

FRIDAY = {"day": "friday"}
ON_FRIDAYS = "deploy: in 14 of 16 cases with day = friday, `push` failed; otherwise 3 of 16 failed."


async def learn(call: Call, **given: object) -> dict[str, Any]:
    done = await call("run_behavior", name="learn_patterns", input=given)
    assert done["status"] == "complete"
    return done["output"]


async def patterns(app: App) -> list[Pattern]:
    rows: dict[str, Any] = {"faded": 1, "type": None, "project": None, "limit": 99}
    return await app.store.find(Pattern, "patterns.listed", **rows)


async def on_friday(app: App) -> Pattern:
    (found,) = [p for p in await patterns(app) if p.choice == "push" and p.conditions == FRIDAY]
    return found


async def taught(call: Call, **more: object) -> list[str]:
    base: dict[str, Any] = {
        "question": "How do we deploy today?",
        "type": "deploy",
        "selected": ["push"],
        "context": FRIDAY,
    }
    done = await call("log_decision", **{**base, **more})
    return [pattern["says"] for pattern in done.get("patterns", [])]


async def test_what_decisions_teach_is_kept_with_its_figures(app: App, call: Call) -> None:
    decisions = on_fridays()
    await app.store.put(*decisions)

    output = await learn(call)

    pattern = await on_friday(app)
    assert str(pattern.id) in output["learned"]
    assert output["decisions"] == 96
    assert pattern.description == ON_FRIDAYS
    assert (pattern.agent_name, pattern.shared_with) == ("*", ["*"])
    assert (pattern.works, pattern.success_rate, pattern.sample_size) == (False, 0.125, 16)
    assert (pattern.other_rate, pattern.other_size) == (0.8125, 16)
    assert (pattern.version, pattern.history, pattern.faded_at) == (1, [], None)
    assert 0.95 <= pattern.confidence < 1
    assert set(pattern.evidence_ids) == {str(d.id) for d in decisions[:16]}


async def test_learning_twice_changes_nothing(app: App, call: Call) -> None:
    await app.store.put(*on_fridays())
    await learn(call)
    before = await patterns(app)

    output = await learn(call)

    assert await patterns(app) == before
    assert output.keys() == {"decisions", "patterns"}
    assert output["patterns"] == len(before) > 0


async def test_other_evidence_for_the_same_figures_is_no_new_version(app: App, call: Call) -> None:
    first, *rest = on_fridays()
    await app.store.put(first, *rest)
    await learn(call)
    other = decided("push", first.success, context=FRIDAY)
    await app.store.put(first.model_copy(update={"deleted_at": now()}), other)

    await learn(call)

    pattern = await on_friday(app)
    assert (pattern.version, pattern.history, pattern.sample_size) == (1, [], 16)
    assert str(other.id) in pattern.evidence_ids
    assert str(first.id) not in pattern.evidence_ids


async def test_what_was_forgotten_is_not_learned_again(app: App, call: Call) -> None:
    await app.store.put(*on_fridays())
    await learn(call)
    first = await on_friday(app)
    await call("forget", id=str(first.id))

    output = await learn(call)

    assert "learned" not in output
    assert await app.store.get(Pattern, first.id) is None


async def test_what_is_younger_than_a_day_open_or_corrected_teaches_nothing(
    app: App, call: Call
) -> None:
    fridays = on_fridays()
    young = [d.model_copy(update={"created_at": now() - timedelta(hours=23)}) for d in fridays]
    await app.store.put(*young)
    empty = await learn(call)
    await app.store.put(*[d.model_copy(update={"success": None}) for d in fridays])
    still = await learn(call)
    await app.store.put(*fridays)
    await app.store.put(*[decided("x", None, supersedes=d.id) for d in fridays])

    assert empty == still == await learn(call) == {"decisions": 0, "patterns": 0}


async def test_each_project_learns_for_itself(app: App, call: Call) -> None:
    await app.store.put(*[d.model_copy(update={"project": "shop"}) for d in on_fridays()])

    elsewhere = await learn(call, project="bank")
    await learn(call, project="shop")

    assert elsewhere["decisions"] == 0
    assert {p.project for p in await patterns(app)} == {"shop"}
    assert await taught(call, project="shop")
    assert not await taught(call, project="bank")


async def test_a_pattern_that_stops_holding_fades_and_comes_back(app: App, call: Call) -> None:
    await app.store.put(*on_fridays())
    await learn(call)
    first = await on_friday(app)
    good = [*repeated("push", 60, 60, context=FRIDAY)]
    await app.store.put(*good)

    output = await learn(call)
    faded = await on_friday(app)
    found = await call("recall", query="in cases with day = friday push failed", kinds=["pattern"])
    await app.store.put(*[d.model_copy(update={"deleted_at": now()}) for d in good])
    await learn(call)
    again = await on_friday(app)

    assert str(first.id) in output["faded"]
    assert faded.faded_at
    assert (faded.version, faded.sample_size) == (2, 76)
    assert faded.confidence < 0.95 <= first.confidence
    assert faded.evidence_ids == first.evidence_ids
    assert str(first.id) not in [hit["id"] for hit in found.get("hits", [])]
    assert (again.version, again.faded_at, again.confidence) == (3, None, first.confidence)
    assert [(v.version, v.sample_size) for v in again.history] == [(1, 16), (2, 76)]


async def test_a_pattern_of_which_nothing_is_known_any_more_fades(app: App, call: Call) -> None:
    decisions = on_fridays()
    await app.store.put(*decisions)
    await learn(call)
    await app.store.put(*[d.model_copy(update={"deleted_at": now()}) for d in decisions])

    await learn(call)
    faded = await on_friday(app)
    twice = await learn(call)

    assert (faded.confidence, faded.version) == (0, 2)
    assert faded.faded_at
    assert "faded" not in twice


async def test_what_is_long_past_is_learned_from_only_if_it_is_asked_for(
    app: App, call: Call
) -> None:
    old = now() - timedelta(days=120)
    await app.store.put(*[d.model_copy(update={"created_at": old}) for d in on_fridays()])

    assert (await learn(call))["patterns"] == 0
    assert (await learn(call, hours=24 * 150))["patterns"] > 0


async def test_a_decision_is_told_what_was_learned_of_such_cases(app: App, call: Call) -> None:
    await app.store.put(*on_fridays())
    await learn(call)

    said = await taught(call)

    assert ON_FRIDAYS in said
    assert len(said) <= 3
    assert ON_FRIDAYS in await taught(
        call, selected=["wait"], options=[{"name": "push"}, {"name": "wait"}]
    )
    assert ON_FRIDAYS not in await taught(call, selected=["wait"])
    assert ON_FRIDAYS not in await taught(call, context={"day": "monday"})
    assert ON_FRIDAYS not in await taught(call, context={})
    assert not await taught(call, type="paint")


async def test_what_was_chosen_is_told_about_before_what_was_not(app: App, call: Call) -> None:
    await app.store.put(*repeated("push", 10, 60), *repeated("wait", 50, 60))
    await learn(call)
    options = [{"name": "push"}, {"name": "wait"}]

    first = await taught(call, selected=["push"], options=options)
    other = await taught(call, selected=["wait"], options=options)

    assert ["`push` failed" in says for says in first] == [True, False]
    assert ["`wait` worked" in says for says in other] == [True, False]


async def test_what_is_about_one_agent_is_its_own_until_it_is_shared(app: App, call: Call) -> None:
    await app.store.put(
        *repeated("push", 2, 20, agent_name="bo"),
        *repeated("push", 18, 20, agent_name="ana"),
        *repeated("wait", 17, 20, agent_name="bo"),
        *repeated("wait", 17, 20, agent_name="ana"),
    )
    await learn(call)
    (mine,) = [p for p in await patterns(app) if p.agent_name == "bo" and p.choice == "push"]

    assert mine.shared_with == []
    assert mine.description in await taught(call, agent="bo")
    assert mine.description not in await taught(call, agent="ana")
    assert str(mine.id) in await listed(call, agent="bo")
    assert str(mine.id) not in await listed(call, agent="ana")

    await call("share_pattern", pattern=str(mine.id), shared_with=["ana"])
    assert str(mine.id) in await listed(call, agent="ana")
    assert str(mine.id) not in await listed(call, agent="cleo")
    assert str(mine.id) in await listed(call, agent="*")


async def listed(call: Call, **asked: object) -> list[str]:
    return [one["id"] for one in (await call("list_patterns", **asked)).get("patterns", [])]


async def test_what_is_kept_with_a_pattern_survives_learning(app: App, call: Call) -> None:
    await app.store.put(*on_fridays())
    await learn(call)
    key = str((await on_friday(app)).id)
    await call("share_pattern", pattern=key, shared_with=["ana"], user_metadata={"owner": "Ana"})
    await app.store.put(*repeated("push", 0, 4, context=FRIDAY))

    await learn(call)

    pattern = await on_friday(app)
    assert (pattern.shared_with, pattern.user_metadata) == (["ana"], {"owner": "Ana"})
    assert (pattern.sample_size, pattern.version) == (20, 2)
    assert pattern.description not in await taught(call, agent="bo")
    assert pattern.description in await taught(call, agent="ana")


async def test_sharing_the_same_again_changes_nothing(app: App, call: Call) -> None:
    await app.store.put(*on_fridays())
    await learn(call)
    key = str((await on_friday(app)).id)
    first = await call("share_pattern", pattern=key, user_metadata={"a": 1})
    before = await on_friday(app)

    again = await call("share_pattern", pattern=key, user_metadata={"a": 1})

    assert again == first
    assert first["user_metadata"] == {"a": 1}
    assert await on_friday(app) == before


async def test_sharing_is_refused_in_a_sentence(call: Call) -> None:
    nobody = str(uuid4())

    with pytest.raises(InvalidInput) as nothing:
        await call("share_pattern", pattern=nobody)
    with pytest.raises(NotFound) as unknown:
        await call("share_pattern", pattern=nobody, shared_with=["*"])

    assert str(nothing.value) == "share_pattern needs `shared_with` or `user_metadata`."
    assert str(unknown.value) == f"There is no pattern `{nobody}`: list_patterns gives their ids."


async def test_patterns_are_listed_by_what_applies(app: App, call: Call) -> None:
    await app.store.put(*on_fridays())
    await learn(call)
    key = str((await on_friday(app)).id)

    assert key in await listed(call)
    assert key in await listed(call, type="deploy", context=FRIDAY)
    assert key not in await listed(call, context={"day": "monday"})
    assert not await listed(call, type="paint")


async def test_a_list_says_what_it_leaves_out_or_that_there_is_nothing(
    app: App, call: Call
) -> None:
    nothing = await call("list_patterns")
    await app.store.put(*repeated("push", 10, 60), *repeated("wait", 50, 60))
    await learn(call)
    short = await call("list_patterns", limit=1)

    assert nothing == {"note": "No pattern is known. run_behavior learn_patterns looks for them."}
    assert (len(short["patterns"]), short["left_out"]) == (1, 1)


async def test_a_faded_pattern_is_listed_only_if_it_is_asked_for(app: App, call: Call) -> None:
    await app.store.put(*on_fridays())
    await learn(call)
    pattern = await on_friday(app)
    await app.store.put(pattern.model_copy(update={"faded_at": now()}))

    faded = await call("list_patterns", faded=True)

    assert str(pattern.id) not in await listed(call)
    assert {p["id"]: p.get("faded") for p in faded["patterns"]}[str(pattern.id)] == (
        now().date().isoformat()
    )


async def test_recall_finds_a_pattern(app: App, call: Call) -> None:
    await app.store.put(*on_fridays())
    await learn(call)

    hits = (await call("recall", query="push on friday", kinds=["pattern"]))["hits"]

    assert hits[0]["kind"] == "pattern"
    assert ON_FRIDAYS in [hit["text"] for hit in hits]


async def test_a_context_that_cannot_be_compared_teaches_and_breaks_nothing(
    app: App, call: Call
) -> None:
    odd = {"day": "friday", "list": [1], "none": None, "huge": 10**400, "long": "x" * 5000}
    await app.store.put(*[d.model_copy(update={"context": odd}) for d in on_fridays()])

    output = await learn(call)

    assert output["decisions"] == 96
    assert isinstance(await taught(call, context=odd), list)


async def test_only_the_latest_thousand_of_a_type_are_evidence(app: App, call: Call) -> None:
    old = now() - timedelta(days=9)
    await app.store.put(*repeated("push", 0, 300, created_at=old))
    await app.store.put(*repeated("push", 500, 500), *repeated("wait", 0, 500))

    output = await learn(call)

    assert output["decisions"] == 1300
    assert {p.choice: p.sample_size for p in await patterns(app)} == {"push": 500, "wait": 500}


async def test_a_pattern_is_the_same_from_whatever_it_was_stored_in(app: App, call: Call) -> None:
    """A database may give 1 for 1.0; what is learned from both is one condition."""
    await app.store.put(*on_fridays())
    numbered = {"friday": 1, "monday": 2}
    await app.store.put(
        *[
            d.model_copy(update={"context": {"n": number if turn % 2 else float(number)}})
            for turn, d in enumerate(on_fridays())
            for number in [numbered[d.context["day"]]]
        ]
    )

    await learn(call)

    wanted = [p.conditions for p in await patterns(app) if p.choice == "push" and p.conditions]
    assert {"n": 1} in wanted
    assert await app.store.get(Decision, UUID(int=1)) is None
