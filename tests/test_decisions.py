"""Decisions: logged with their reasons, judged by their outcomes, found before the next one."""

from uuid import UUID, uuid4

import pytest
from conftest import Call

from agent_mem.app import App
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.decision import Decision
from agent_mem.records.record import now

pytestmark = pytest.mark.anyio

QUESTION = "Which database should the shop use?"


async def stored(app: App, key: str) -> Decision:
    decision = await app.store.get(Decision, UUID(key))
    assert decision
    return decision


async def test_a_decision_keeps_all_that_was_said_about_it(app: App, call: Call) -> None:
    done = await call(
        "log_decision",
        question=QUESTION,
        selected=["SQLite"],
        options=[{"name": "SQLite", "score": 0.9}, {"name": "MySQL"}],
        rationale="One file is enough.",
        confidence=0.8,
        type="storage",
        context={"users": 3},
        patterns=["keep it small"],
        session="monday",
        agent="builder",
        project="shop",
    )

    decision = await stored(app, done["id"])
    assert done.keys() == {"id"}
    assert (decision.decision_type, decision.agent_name, decision.project) == (
        "storage",
        "builder",
        "shop",
    )
    assert [option.model_dump() for option in decision.options] == [
        {"name": "SQLite", "score": 0.9},
        {"name": "MySQL", "score": None},
    ]
    assert (decision.rationale, decision.confidence) == ("One file is enough.", 0.8)
    assert (decision.context, decision.patterns_applied) == ({"users": 3}, ["keep it small"])
    assert decision.session_id


async def test_earlier_decisions_on_the_question_are_told_with_their_outcome(call: Call) -> None:
    failed = await call("log_decision", question=QUESTION, selected=["MySQL"])
    await call("log_outcome", decision=failed["id"], success=False, error="It was down.")
    open_one = await call("log_decision", question=QUESTION, selected=["SQLite", "Redis"])
    await call("log_decision", question="Who paints the office?", selected=["Ana"])
    await call("log_decision", question="Which paint does the shop like?", selected=["red"])

    done = await call("log_decision", question="Which database does the shop need?", selected=["x"])

    today = now().date().isoformat()
    assert sorted(done["earlier"], key=lambda e: e["id"]) == [
        {
            "id": failed["id"],
            "question": QUESTION,
            "selected": ["MySQL"],
            "outcome": "failed, It was down",
            "when": today,
        },
        {
            "id": open_one["id"],
            "question": QUESTION,
            "selected": ["SQLite", "Redis"],
            "outcome": "not known yet",
            "when": today,
        },
    ]


async def test_earlier_decisions_of_another_project_are_not_told(call: Call) -> None:
    await call("log_decision", question=QUESTION, selected=["MySQL"], project="bank")
    everywhere = await call("log_decision", question=QUESTION, selected=["Neo4j"])

    done = await call("log_decision", question=QUESTION, selected=["SQLite"], project="shop")

    assert [earlier["id"] for earlier in done["earlier"]] == [everywhere["id"]]


async def test_at_most_five_earlier_decisions_are_told(call: Call) -> None:
    for name in ("Ana", "Bo", "Cleo", "Dirk", "Edda", "Finn"):
        await call("log_decision", question="Who paints the office?", selected=[name])

    done = await call("log_decision", question="Who paints the office?", selected=["Gina"])

    assert len(done["earlier"]) == 5


async def test_a_decision_can_follow_from_another(app: App, call: Call) -> None:
    first = await call("log_decision", question=QUESTION, selected=["SQLite"])
    second = await call(
        "log_decision", question="Where is its file?", selected=["/data"], parent=first["id"]
    )
    third = await call(
        "log_decision", question="Who may read it?", selected=["Ana"], parent=second["id"]
    )

    for key in (first["id"], second["id"], third["id"]):
        chain = await app.store.find(Decision, "decisions.chain", id=UUID(key))
        assert [str(d.id) for d in chain] == [first["id"], second["id"], third["id"]]


async def test_a_parent_that_is_not_there_is_refused_and_nothing_is_written(call: Call) -> None:
    nobody = str(uuid4())

    with pytest.raises(NotFound) as unknown:
        await call("log_decision", question=QUESTION, selected=["x"], session="s", parent=nobody)
    with pytest.raises(NotFound) as misspelt:
        await call("log_decision", question=QUESTION, selected=["x"], parent="the first")

    assert str(unknown.value) == (
        f"There is no decision `{nobody}`: recall finds decisions by their question."
    )
    assert str(misspelt.value) == "There is no decision `the first`: an id has 36 characters."
    assert "hits" not in await call("recall", query="")


async def test_a_forgotten_decision_is_no_parent(call: Call) -> None:
    first = await call("log_decision", question=QUESTION, selected=["SQLite"])
    await call("forget", id=first["id"])

    with pytest.raises(NotFound):
        await call("log_decision", question="Where?", selected=["/data"], parent=first["id"])


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        ({"success": True}, "worked"),
        ({"success": True, "quality": 0.75}, "worked, quality 0.75"),
        ({"success": False, "quality": 0, "error": "Too slow"}, "failed, quality 0, Too slow"),
    ],
    ids=["worked", "well", "failed"],
)
async def test_an_outcome_is_told_wherever_the_decision_is(
    call: Call, outcome: dict[str, object], told: str
) -> None:
    done = await call("log_decision", question=QUESTION, selected=["SQLite"])

    judged = await call("log_outcome", decision=done["id"], latency_ms=12.5, **outcome)

    assert judged == {"id": done["id"], "question": QUESTION, "outcome": told}
    (hit,) = (await call("recall", query="database"))["hits"]
    assert hit["text"] == f"{QUESTION} Chosen: SQLite. Outcome: {told}."
    (known,) = (await call("restore_session"))["decisions"]
    assert known["outcome"] == told


async def test_a_later_outcome_replaces_an_earlier_one(app: App, call: Call) -> None:
    done = await call("log_decision", question=QUESTION, selected=["SQLite"], rationale="Small.")
    await call("log_outcome", decision=done["id"], success=False, error="Locked", latency_ms=9)
    before = await stored(app, done["id"])
    await call("log_outcome", decision=done["id"], success=True)

    after = await stored(app, done["id"])
    assert (after.success, after.error, after.latency_ms) == (True, None, None)
    assert before.outcome_at
    assert after.outcome_at
    assert after.outcome_at > before.outcome_at
    assert after.rationale == "Small."


async def test_an_outcome_of_nothing_is_refused(call: Call) -> None:
    nobody = str(uuid4())

    with pytest.raises(NotFound) as refused:
        await call("log_outcome", decision=nobody, success=True)

    assert str(refused.value) == (
        f"There is no decision `{nobody}`: recall finds decisions by their question."
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"selected": []},
            "`selected`: list should have at least 1 item after validation, not 0.",
        ),
        ({"selected": "SQLite"}, "`selected`: input should be a valid list."),
        ({"options": [{"score": 1}]}, "log_decision needs `options.0.name`."),
        ({"options": [{"name": "a", "cost": 1}]}, "log_decision has no `options.0.cost`."),
        ({"confidence": -0.1}, "`confidence`: input should be greater than or equal to 0."),
        ({"rationale": "r" * 2001}, "`rationale` is longer than 2000 characters."),
        (
            {"context": {"a": float("inf")}},
            "`context` holds a number that JSON has no word for: leave it out.",
        ),
        (
            {"context": {"a": "x" * 100_000}},
            "`context` is longer than 100000 characters: store less, or in parts.",
        ),
    ],
    ids=["none", "text", "nameless", "unknown", "unsure", "wordy", "infinite", "large"],
)
async def test_what_cannot_be_decided_is_refused_in_a_sentence(
    call: Call, arguments: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await call("log_decision", **{"question": QUESTION, "selected": ["x"], **arguments})

    assert str(refused.value) == sentence
