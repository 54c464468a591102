"""What the tool recall is asked, and how it answers within its budget."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from conftest import Call, calling
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.errors import EncoderUnavailable, InvalidInput
from agent_mem.recall.budget import tokens
from agent_mem.recall.meaning import LOADING
from agent_mem.records.insight import Insight
from agent_mem.records.record import Record, now

pytestmark = pytest.mark.anyio


async def hits(call: Call, query: str, **filters: object) -> list[dict[str, Any]]:
    return (await call("recall", query=query, **filters)).get("hits", [])


async def texts(call: Call, query: str, **filters: object) -> list[str]:
    return [hit["text"] for hit in await hits(call, query, **filters)]


async def test_a_hit_says_what_when_who_and_why(call: Call) -> None:
    kept = await call(
        "remember",
        content="The new port is 5433.",
        subject="Ana",
        topic="ports",
        kind="system_state",
        occurred_at="2026-05-01T14:30:00Z",
    )

    (hit,) = await hits(call, "which port?")

    assert hit == {
        "id": kept["id"],
        "kind": "system_state",
        "when": "2026-05-01 14:30",
        "who": "Ana",
        "topic": "ports",
        "text": "The new port is 5433.",
        "why": hit["why"],
    }
    assert "words: port" in hit["why"]


async def test_all_kinds_of_records_are_recalled_together(app: App, call: Call) -> None:
    await call("remember", content="Zeppelin one is a fact.", kind="preference")
    await call("log_event", type="note", content="Zeppelin two happened.")
    await call("log_decision", question="Which zeppelin?", selected=["the third"])
    await call("record_solution", problem="zeppelin leaks", solution="Patch it.")
    await call("save_session", summary="The zeppelin flies.")
    insight: Record = Insight(
        agent_name="a",
        behavior_id=uuid4(),
        run_id=uuid4(),
        topic="t",
        content="Zeppelins repeat.",
    )
    await app.store.put(insight)

    every = {hit["kind"] for hit in await hits(call, "zeppelin", max_tokens=5000)}

    assert every == {"preference", "event", "decision", "solution", "snapshot", "insight"}
    for kinds in (["event"], ["solution", "insight"], ["preference"], ["snapshot", "decision"]):
        found = {hit["kind"] for hit in await hits(call, "zeppelin", kinds=kinds)}
        assert found == set(kinds)
    assert await texts(call, "zeppelin", kinds=["memory"]) == ["Zeppelin one is a fact."]


async def test_an_unknown_kind_is_refused(call: Call) -> None:
    with pytest.raises(InvalidInput) as refused:
        await call("recall", query="x", kinds=["memory", "memoir"])

    assert str(refused.value) == (
        "There is no kind `memoir`; there are event, memory, decision, pattern, snapshot,"
        " work, solution, insight, fact, preference, system_state, task, knowledge, error,"
        " observation, reflection, plan, result."
    )


async def test_filters_leave_only_what_is_asked_for(call: Call) -> None:
    await call("remember", content="Red kite of Ana.", topic="red", agent="ana", project="p1")
    await call("remember", content="Blue kite of Bo.", topic="blue", agent="bo", project="p2")

    assert await texts(call, "kite", topic="red") == ["Red kite of Ana."]
    assert await texts(call, "kite", agent="bo") == ["Blue kite of Bo."]
    assert await texts(call, "kite", project="p1") == ["Red kite of Ana."]
    assert await texts(call, "kite", topic="red", agent="bo") == []
    assert len(await texts(call, "kite")) == 2


async def test_the_projects_of_the_settings_and_of_the_call(tmp_path: Path) -> None:
    here = Settings(db=tmp_path / "memory.db", project="p1")
    async with open_app(here) as app:
        call = calling(app)
        await call("remember", content="Red kite.")
        await call("remember", content="Blue kite.", project="p2")

        assert await texts(call, "kite") == ["Red kite."]
        assert await texts(call, "kite", project="p2") == ["Blue kite."]
        assert len(await texts(call, "kite", project="*")) == 2


async def test_a_time_window_includes_its_beginning_and_not_its_end(call: Call) -> None:
    for day in ("2026-05-01", "2026-05-02", "2026-05-03"):
        await call("remember", content=f"Rain on {day}.", occurred_at=day)

    assert await texts(call, "rain", since="2026-05-02", until="2026-05-03") == [
        "Rain on 2026-05-02."
    ]
    assert len(await texts(call, "rain", since="2026-05-02")) == 2
    assert await texts(call, "rain", until="2026-05-02T00:00:00+00:00") == ["Rain on 2026-05-01."]
    assert await texts(call, "rain", until="2026-05-02T01:00:00+02:00") == ["Rain on 2026-05-01."]


@pytest.mark.parametrize("when", ["yesterday", "2026-13-01", "1.5.2026", ""])
async def test_what_is_not_a_date_is_refused(call: Call, when: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await call("recall", query="x", since=when)

    assert str(refused.value) == (
        "`since` is not a date: write 2026-05-01 or 2026-05-01T14:30:00Z."
    )


async def test_quotes_ask_for_words_that_stand_together(call: Call) -> None:
    await call("remember", content="The shop has a red kite of paper.")
    await call("remember", content="The red shop sells a kite of silk.")

    assert await texts(call, '"red kite"') == ["The shop has a red kite of paper."]
    assert len(await texts(call, "red kite")) == 2
    assert await texts(call, '"kite red"') == []


async def test_a_minus_excludes(call: Call) -> None:
    await call("remember", content="A kite of paper flew.")
    await call("remember", content="A kite of silk flew.")

    assert await texts(call, "kite -paper") == ["A kite of silk flew."]
    assert await texts(call, 'kite -"of silk"') == ["A kite of paper flew."]
    assert await texts(call, "-silk") == ["A kite of paper flew."]


async def test_a_query_can_name_its_topic_and_its_kind(call: Call) -> None:
    await call("remember", content="Kites need wind.", topic="big toys")
    await call("remember", content="Kites need string.", topic="tools", kind="preference")
    await call("log_event", type="note", content="Kites flew.")

    assert await texts(call, 'kites topic:"big toys"') == ["Kites need wind."]
    assert await texts(call, "kites topic:tools") == ["Kites need string."]
    assert await texts(call, "kites kind:event") == ["Kites flew."]
    assert await texts(call, "kind:preference") == ["Kites need string."]
    assert await texts(call, "kites topic:tools", topic="big toys") == ["Kites need wind."]


@pytest.mark.parametrize("query", ["", "   ", "what is it?", '""', "\x00"])
async def test_a_query_without_words_gives_the_latest(call: Call, query: str) -> None:
    for n in (3, 1, 2):
        await call("remember", content=f"Entry {n}.", occurred_at=f"2026-05-0{n}")

    found = await hits(call, query, limit=2)

    assert [hit["text"] for hit in found] == ["Entry 3.", "Entry 2."]
    assert {hit["why"] for hit in found} == {"latest"}


async def test_one_long_record_does_not_hide_the_other_latest(call: Call) -> None:
    await call("remember", content="Short and old.", occurred_at="2026-01-01")
    await call("remember", content=" ".join(f"Sentence number {n}." for n in range(3000)))

    assert len(await hits(call, "", max_tokens=2000)) == 2


async def test_the_answer_is_found_beside_the_question(call: Call) -> None:
    for minute, content in enumerate(
        [
            "Good morning!",
            "Where does the zeppelin land tonight?",
            "In Lisbon, on the northern field.",
            "See you then.",
        ]
    ):
        await call(
            "remember",
            content=content,
            session="chat",
            subject="Bo" if minute % 2 else "Ana",
            occurred_at=f"2026-05-01T10:0{minute}:00Z",
        )

    found = await hits(call, "where does the zeppelin land?")

    answer = next(hit for hit in found if hit["text"].startswith("In Lisbon"))
    assert "reply to a matching question" in answer["why"]
    assert "Good morning!" in [hit["text"] for hit in found]


async def test_a_neighbour_that_the_filters_forbid_is_not_shown(call: Call) -> None:
    for agent, content in (("ana", "Where is the zeppelin?"), ("bo", "In Lisbon.")):
        await call("log_event", type="message", content=content, session="chat", agent=agent)

    assert await texts(call, "zeppelin", agent="ana") == ["Where is the zeppelin?"]
    assert "In Lisbon." in await texts(call, "zeppelin")


async def test_a_neighbour_without_the_quoted_words_is_not_shown(call: Call) -> None:
    for content in ("Where is the red zeppelin?", "In Lisbon."):
        await call("log_event", type="message", content=content, session="chat")

    assert await texts(call, '"red zeppelin"') == ["Where is the red zeppelin?"]
    assert len(await texts(call, "red zeppelin")) == 2


async def test_a_long_text_gives_the_passage_and_a_link_to_the_whole(call: Call) -> None:
    story = " ".join(f"Chapter {n} tells of nothing much at all." for n in range(40))
    kept = await call("remember", content=f"{story} The treasure is in Lisbon. {story}")

    (hit,) = await hits(call, "where is the treasure?")

    assert "The treasure is in Lisbon." in hit["text"]
    assert len(hit["text"]) <= 320
    assert hit["more"] == f"memory://item/{kept['id']}"


async def test_what_says_the_same_is_shown_once_with_a_count(call: Call) -> None:
    await call("remember", content="The kite shop opens at nine.", project="a")
    await call("remember", content="The kite shop  opens at nine.", project="b")
    await call("log_event", type="note", content="The kite shop opens\nat nine.")
    await call("remember", content="The kite shop closes at six.")

    found = await hits(call, "when does the kite shop open?")

    assert [hit.get("alike") for hit in found if "nine" in hit["text"]] == [2]
    assert len(found) == 2


async def test_case_articles_and_marks_at_the_end_make_no_difference(call: Call) -> None:
    for content in ("The kite is red.", "the KITE is red!", '"Kite is red"', "A kite: is (red);"):
        await call("remember", content=content)

    (hit,) = await hits(call, "kite")

    assert hit["alike"] == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The kite is red.", "The kite is blue."),
        ("The kite has 4 lines.", "The kite has 5 lines."),
        ("The kite weighs 5 kg.", "The kite weighs .5 kg."),
        ("The kite may fly.", "The kite may not fly."),
        ("The kite is red.", "The kite is red?"),
        ("Keep the kite in .env", "Keep the kite in env"),
        ("Ana has the kite of Bo.", "Bo has the kite of Ana."),
    ],
)
async def test_what_makes_a_difference_is_shown_twice(call: Call, one: str, other: str) -> None:
    await call("remember", content=one)
    await call("log_event", type="note", content=other)

    found = await hits(call, "kite")

    assert sorted(hit["text"] for hit in found) == sorted([one, other])
    assert not any("alike" in hit for hit in found)


async def test_what_says_the_same_takes_no_place_of_another(call: Call) -> None:
    for project in "abcd":
        await call("remember", content="The kite, the kite, the kite.", project=project)
    await call("remember", content="A kite is in the shop.")

    found = await hits(call, "kite", limit=2)

    assert [hit.get("alike") for hit in found] == [3, None]


async def test_what_says_the_opposite_is_shown_beside_it(call: Call) -> None:
    """The one word that matters may be one that is not searched for."""
    await call("remember", content="Use tabs in the Makefile.")
    await call("remember", content="Do not use tabs in the Makefile.")

    found = await hits(call, "tabs in the Makefile")

    assert {hit["text"] for hit in found} == {
        "Use tabs in the Makefile.",
        "Do not use tabs in the Makefile.",
    }


async def test_no_more_than_the_limit_is_shown(call: Call) -> None:
    names = ("Ana", "Bo", "Cleo", "Dirk", "Edda", "Finn", "Gina")
    for name in names:
        await call("remember", content=f"{name} owns a kite.")

    assert len(await hits(call, "kite", limit=3)) == 3
    assert len(await hits(call, "kite", limit=50, max_tokens=5000)) == len(names)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"limit": 0}, "`limit`: input should be greater than or equal to 1."),
        ({"limit": 51}, "`limit`: input should be less than or equal to 50."),
        ({"max_tokens": 199}, "`max_tokens`: input should be greater than or equal to 200."),
        ({"query": "x" * 100_001}, "`query`: string should have at most 100000 characters."),
        ({"kinds": ["fact"] * 51}, None),
    ],
    ids=["few", "many", "tokens", "query", "kinds"],
)
async def test_what_is_out_of_bounds_is_refused(
    call: Call, arguments: dict[str, Any], sentence: str | None
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await call("recall", **{"query": "x", **arguments})

    assert sentence is None or str(refused.value) == sentence
    assert str(refused.value).startswith(f"`{next(iter(arguments))}`")


async def test_nothing_found_says_so(call: Call) -> None:
    assert await call("recall", query="zeppelin") == {
        "note": f"{LOADING} Nothing found. Try other words, or fewer filters."
    }


async def test_what_does_not_fit_is_shortened_or_counted(call: Call) -> None:
    for name in ("Ana", "Bo", "Cleo", "Dirk"):
        told = " and ".join(f"{name} met a friend in street {n}" for n in range(15))
        await call("remember", content=f"The kite story of {name}: {told}.")

    answer = await call("recall", query="kite story", max_tokens=200)

    (first, *_) = answer["hits"]
    assert len(first["text"]) <= 120
    assert first["text"].endswith("…")
    assert answer["left_out"] == 4 - len(answer["hits"])
    assert answer["note"] == (
        f"{LOADING} Raise max_tokens. What ends in … is whole at memory://item/{{id}}."
    )
    assert "left_out" not in await call("recall", query="kite story", max_tokens=2000)


WORDS = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), min_size=2, max_size=12)
TEXTS = st.one_of(
    st.lists(WORDS, min_size=1, max_size=90).map(" ".join),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=400),
    st.text(
        st.sampled_from("数据库迁移应该在部署之前运行データベース데이터"), min_size=1, max_size=600
    ),
    st.text(st.sampled_from("😀🎉🚀👍🏽👨‍👩‍👧🇩🇪 ok"), min_size=1, max_size=300),
    st.lists(st.uuids().map(str), min_size=1, max_size=14).map(" ".join),
    st.dictionaries(WORDS, st.integers() | WORDS, max_size=40).map(json.dumps),
    st.lists(WORDS, min_size=1, max_size=40).map(lambda w: "".join(f"\n\t{x} = {x}();" for x in w)),
)
NAMES = st.none() | st.text(st.sampled_from("ab cd数😀-/"), min_size=1, max_size=200).filter(
    str.strip
)


@pytest.mark.parametrize(
    ("path", "said"), [("/a/way" * 9, "is incomplete. Raise"), ("/a/way" * 300, "… Raise")]
)
async def test_the_sentence_of_what_is_wrong_is_part_of_the_budget(
    app: App, call: Call, path: str, said: str
) -> None:
    for n in range(9):
        await call("remember", content=f"Kite {n} is in the shop of street {n}.")
    asked = {"query": "kite", "limit": 50, "max_tokens": 260}
    before = await call("recall", **asked)
    assert app.finder.meaning.near

    app.finder.meaning.near.error = EncoderUnavailable(f"The encoder in {path} is incomplete.")
    after = await call("recall", **asked)

    assert said in after["note"]
    assert tokens(json.dumps(after, ensure_ascii=False)) <= 260
    assert 0 < len(after["hits"]) <= len(before["hits"])


@given(
    contents=st.lists(TEXTS.map("kite {}".format), min_size=1, max_size=12),
    names=st.fixed_dictionaries({"topic": NAMES, "subject": NAMES}),
    most=st.integers(200, 2500),
    query=st.sampled_from(["kite", "", "when did the kite fly?"]),
)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_an_answer_never_takes_more_than_its_budget(
    call: Call, contents: list[str], names: dict[str, str | None], most: int, query: str
) -> None:
    for content in contents:
        await call("remember", content=content, **names)

    answer = await call("recall", query=query, limit=50, max_tokens=most)

    assert tokens(json.dumps(answer, ensure_ascii=False)) <= most


async def test_times_are_told_in_utc(call: Call) -> None:
    await call("log_event", type="note", content="A kite flew.")

    (hit,) = await hits(call, "kite")

    told = datetime.strptime(hit["when"], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    assert abs((now() - told).total_seconds()) < 120
