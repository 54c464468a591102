"""What the encoder adds to finding, and what it may not: everything asked for still holds."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from conftest import Call, calling
from helpers_endpoint import MODEL, serving
from helpers_meaning import MEMORIES, QUESTION, recall, remember
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.recall.meaning import LOADING
from agent_mem.recall.search import Request
from agent_mem.records.memory import Memory
from agent_mem.records.record import now
from agent_mem.tools.decisions import SAME

pytestmark = pytest.mark.anyio


@pytest.fixture
async def encoded(app: App) -> App:
    """Have the encoder loaded; what a test writes waits until it is embedded."""
    await app.finder.meaning.load()
    return app


async def known(app: App, *texts: str) -> None:
    await remember(app, *texts)
    await app.finder.meaning.embed()


async def hits(call: Call, query: str, **filters: object) -> list[dict[str, Any]]:
    return (await call("recall", query=query, **filters)).get("hits", [])


async def test_recall_tells_of_the_encoder_as_long_as_it_is_not_ready(app: App, call: Call) -> None:
    await remember(app, *MEMORIES)
    before = await call("recall", query=QUESTION)
    by_words = await call("recall", query="llamas")

    await app.finder.meaning.load()
    after = await call("recall", query=QUESTION)

    assert before == {"note": f"{LOADING} Nothing found. Try other words, or fewer filters."}
    assert by_words["note"] == LOADING
    assert "note" not in after
    assert [hit["text"] for hit in after["hits"]] == [MEMORIES[0]]
    assert after["hits"][0]["why"] == "meaning"


async def test_what_is_not_embedded_yet_is_found_by_its_words(encoded: App) -> None:
    await remember(encoded, *MEMORIES)

    assert await recall(encoded) == []
    assert (await recall(encoded, "llamas"))[0] == MEMORIES[0]

    await encoded.finder.meaning.embed()
    assert (await recall(encoded))[0] == MEMORIES[0]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("🚀", "🚀 is for a deploy."),
        ("ฝนตก", "วันนี้ ฝนตก"),
        ("数据库", "数据库在哪里"),
        ("ERR_CONN_4711", "It said ERR_CONN_4711 and stopped."),
        ("handleUserLogin", "handleUserLogin loses the token."),
    ],
)
async def test_what_the_encoder_does_not_know_is_found_by_its_words_first(
    encoded: App, query: str, text: str
) -> None:
    others = (
        "🎉 is for a party.",
        "ประชุม",
        "服务器在这里",
        "It said ERR_DISK_12.",
        "getUser works.",
    )
    await known(encoded, *MEMORIES, text, *others)

    assert (await recall(encoded, query))[0] == text


@pytest.mark.parametrize("query", ["what is it?", "who are you and what do you do"])
async def test_a_query_of_stop_words_goes_by_meaning_or_gives_the_latest(
    app: App, query: str
) -> None:
    await remember(app, *MEMORIES)
    latest = (await app.finder.search(Request(query))).hits

    await app.finder.meaning.load()
    meant = (await app.finder.search(Request(query))).hits

    assert [hit.why for hit in latest] == [("latest",)] * len(MEMORIES)
    assert {hit.about.text for hit in meant} == set(MEMORIES)
    assert all("meaning" in hit.features for hit in meant)
    assert not any(why.startswith("words") for hit in meant for why in hit.why)


async def test_an_empty_query_gives_the_latest_whatever_the_encoder(encoded: App) -> None:
    await known(encoded, *MEMORIES)

    for query in ("", "  ", '""', "kind:fact", "-llamas"):
        found = (await encoded.finder.search(Request(query))).hits
        assert {hit.why for hit in found} == {("latest",)}


@pytest.mark.parametrize(
    "query", ["xyzzy plugh", "what is the capital of Peru?", "who won the world cup?"]
)
async def test_nothing_is_found_for_what_nothing_tells_of(encoded: App, query: str) -> None:
    await known(
        encoded,
        "We deploy with Helm to two regions.",
        "Roll back with one command if the canary fails.",
        "Staging is rebuilt every night.",
    )

    assert await recall(encoded, query) == []
    assert await recall(encoded, "What happens when a release is broken?") != []


async def test_only_what_has_the_quoted_words_is_found(encoded: App) -> None:
    await known(encoded, *MEMORIES, "Animals eat grass on the hill.", "Grass is what animals eat.")

    assert await recall(encoded, '"eat grass" animals') == ["Animals eat grass on the hill."]
    assert await recall(encoded, '"graze the moon"') == []


async def test_what_is_excluded_is_not_found_by_its_meaning_either(encoded: App) -> None:
    await encoded.store.put(
        Memory(agent_name="a", content="Goats feed on meadows.", topic="alps", subject="Heidi"),
        Memory(agent_name="a", content=MEMORIES[0]),
    )
    await encoded.finder.meaning.embed()

    assert set(await recall(encoded, QUESTION)) == {MEMORIES[0], "Goats feed on meadows."}
    for query in (f"{QUESTION} -goats", f"{QUESTION} -alps", f"{QUESTION} -heidi"):
        assert await recall(encoded, query) == [MEMORIES[0]]
    assert await recall(encoded, f'{QUESTION} -llamas -"feed on"') == []


TOPICS, KINDS = ("farm", "shop"), ("fact", "plan")
TEXTS = ("Llamas graze.", "Goats eat grass.", "The cow is fed hay.", "Tea is at noon.")


Told = tuple[str, str, str]


@given(
    told=st.lists(
        st.tuples(st.sampled_from(TEXTS), st.sampled_from(TOPICS), st.sampled_from(KINDS)),
        min_size=1,
        max_size=6,
    ),
    asked=st.sampled_from(["animals that feed on plants", "cattle food", "grass", "what is it"]),
    among=st.tuples(st.sampled_from(["", *TOPICS]), st.sampled_from(["", *KINDS])),
    less=st.sampled_from(["", "goats", "cow"]),
)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_nothing_that_is_not_asked_for_is_ever_found(
    encoded: App, told: list[Told], asked: str, among: tuple[str, str], less: str
) -> None:
    """Each example has a project of its own, in the one file."""
    project, (topic, kind) = uuid4().hex, among
    where = {"agent_name": "a", "project": project}
    memories = [
        Memory.model_validate({**where, "content": text, "topic": about, "kind": sort})
        for text, about, sort in told
    ]
    await encoded.store.put(*memories)
    await encoded.finder.meaning.embed()
    parts = [asked, topic and f"topic:{topic}", kind and f"kind:{kind}", less and f"-{less}"]

    request = Request(" ".join(filter(None, parts)), project=project, limit=50)
    found = (await encoded.finder.search(request)).hits

    for hit in found:
        assert hit.about.project == project
        assert hit.about.topic == (topic or hit.about.topic)
        assert hit.about.kind == (kind or hit.about.kind)
        assert not less or less not in hit.about.text.lower()


async def test_what_ended_is_not_found_by_its_meaning_unless_it_is_asked_for(
    encoded: App,
) -> None:
    old = Memory(agent_name="a", content=MEMORIES[0], valid_until=now())
    await encoded.store.put(old)
    await encoded.finder.meaning.embed()

    assert await recall(encoded) == []
    assert await recall(encoded, f"{QUESTION} What did they use to be?") == [MEMORIES[0]]


async def test_the_answer_is_found_beside_what_means_the_question(encoded: App, call: Call) -> None:
    for text in ("Which livestock do you keep?", "Seven of them, all white.", "Nice."):
        await call("log_event", type="message", content=text, session="chat")
    await known(encoded, *MEMORIES[1:])

    found = await hits(call, "what farm animals are there")

    answer = next(hit for hit in found if hit["text"].startswith("Seven"))
    assert "next to a match" in answer["why"]
    assert found.index(answer) < 2


async def test_a_hit_tells_how_near_its_meaning_is(encoded: App) -> None:
    await known(encoded, *MEMORIES)

    (hit,) = (await encoded.finder.search(Request(QUESTION))).hits

    assert 0.3 < hit.cosine < 0.7
    assert hit.coverage == 0


async def test_a_decision_is_named_that_is_on_the_question_in_other_words(
    app: App, call: Call
) -> None:
    first = await call(
        "log_decision", question="Which message queue should we use?", selected=["RabbitMQ"]
    )
    again = {"question": "What broker do we pick for asynchronous messages?", "selected": ["Kafka"]}
    unaware = await call("log_decision", **again)
    await call("forget", id=unaware["id"])

    await app.finder.meaning.load()
    aware = await call("log_decision", **again)
    other = await call("log_decision", question="Who restores a lost database?", selected=["Ana"])

    assert "earlier" not in unaware
    assert [earlier["id"] for earlier in aware["earlier"]] == [first["id"]]
    assert "earlier" not in other


async def test_how_near_two_questions_are_is_known_of_the_shipped_encoder_only(
    tmp_path: Path,
) -> None:
    with serving() as api:
        far = Settings(
            db=tmp_path / "m.db", embedder=MODEL, embedder_url=api.url, embedder_key=SecretStr("k")
        )
        async with open_app(far) as app:
            call = calling(app)
            await call("log_decision", question="Which queue should we use?", selected=["Redis"])
            await app.finder.meaning.embed()
            other = await call("log_decision", question="Who owns the office?", selected=["Ana"])
            same = await call("log_decision", question="Which queue do we use?", selected=["Kafka"])
            await app.finder.meaning.embed()
            near = (await app.finder.search(Request("Who owns the office?"))).hits

    assert [hit.cosine > SAME for hit in near] == [True] * 3
    assert "earlier" not in other
    assert [earlier["question"] for earlier in same["earlier"]] == ["Which queue should we use?"]


async def test_a_known_solution_is_found_in_other_words(app: App, call: Call) -> None:
    done = await call(
        "record_solution", problem="The disk has no space left", solution="Delete old logs."
    )
    asked = "volume is full"
    before = await call("find_solution", problem=asked)

    await app.finder.meaning.load()
    after = await call("find_solution", problem=asked)
    unlike = await call("find_solution", problem="TypeError: str is not callable")

    assert "solutions" not in before
    assert [solution["id"] for solution in after["solutions"]] == [done["id"]]
    assert "solutions" not in unlike
