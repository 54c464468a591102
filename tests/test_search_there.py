"""What recall finds is the same on the server as in a file, whoever has written it there."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from conftest import calling
from helpers_meaning import MEMORIES, QUESTION, recall, remember
from helpers_sync import machine, sync
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from agent_mem.app import App, open_app, open_direct
from agent_mem.config import Settings
from agent_mem.errors import InvalidInput
from agent_mem.recall import candidates
from agent_mem.recall.search import Request
from agent_mem.records.decision import Decision
from agent_mem.records.memory import Memory
from agent_mem.records.record import Record, named_id
from agent_mem.storage.postgres import Postgres

pytestmark = pytest.mark.anyio

START = datetime(2026, 5, 1, 9, tzinfo=UTC)
AGENTS, PROJECTS, TOPICS = ("a", "b"), ("p", "q", None), ("harbour", "garden", None)
TEXTS = (
    "The ferry leaves the harbour at six.",
    "The ferry was late, so the crane waited.",
    "Ana's tea is green; she drinks it at noon.",
    "ERR_CONN_42 came from src/net/pool.py: 100% of the pool was in use.",
    "A back\\slash, a 'quote', and a | bar.",
    "The crane leaves green paint on the ferry.",
    "渡し船は六時に出ます。",
    "Late tea, late ferry, late crane: late, late, late.",
    "Six cranes drink tea.",
)
LONG = "The harbour is closed until May. " * 60 + "Only the crane works."
"""Of several parts: of those that are alike either is as good as the other."""
WORDS = (
    "ferry",
    "crane",
    "late",
    "tea",
    "harbour",
    "six",
    "green",
    "ERR_CONN_42",
    "渡し船",
    "nothing",
)


def records() -> list[Record]:
    """Make some of each text, of several agents, projects, topics and times."""
    made: list[Record] = []
    scopes = zip(cycle(AGENTS), cycle(PROJECTS), cycle(TOPICS), strict=False)
    for n, (text, (agent, project, topic)) in enumerate(zip(TEXTS * 3, scopes, strict=False)):
        at = START + n * timedelta(hours=5)
        made.append(
            Memory(
                agent_name=agent,
                project=project,
                topic=topic,
                content=f"{text} {'Again. ' * (n // len(TEXTS))}",
                session_id=named_id(f"session {n % 4}"),
                occurred_at=at,
                created_at=at,
                valid_until=START + timedelta(days=2) if n % 6 == 5 else None,
            )
        )
    made += [
        Decision(agent_name="a", question="Paint the crane?", selected=["green"], created_at=START),
        Decision(agent_name="b", question="Which tea?", selected=["late"], created_at=START),
    ]
    return made


RECORDS = records()


@pytest.fixture
async def direct(server_url: str) -> AsyncGenerator[App]:
    settings = Settings(server=SecretStr(server_url), embedder="none")
    async with open_direct(settings) as opened:
        yield opened


@pytest.fixture
async def here(tmp_path: Path) -> AsyncGenerator[App]:
    async with open_app(Settings(db=tmp_path / "here.db", embedder="none")) as opened:
        yield opened


async def found(app: App, request: Request) -> list[tuple[Any, ...]]:
    """Give what is found, and all that is told of it; of equals the order is not owed."""
    hits = (await app.finder.search(request)).hits
    told = [(round(hit.score, 6), str(hit.record.id), hit.passage, hit.why) for hit in hits]
    return sorted(told, reverse=True)


QUERIES = st.lists(
    st.one_of(
        st.sampled_from(WORDS),
        st.sampled_from(WORDS).map("-{}".format),
        st.sampled_from(
            ('"the ferry"', '"late tea"', '"crane leaves"', "kind:decision", "topic:garden")
        ),
    ),
    min_size=1,
    max_size=4,
).map(" ".join)
REQUESTS = st.builds(
    Request,
    QUERIES,
    kinds=st.sampled_from(((), (), ("memory",), ("decision",), ("fact", "decision"))),
    topic=st.sampled_from((*TOPICS, None)),
    agent=st.sampled_from((*AGENTS, None, None)),
    project=st.sampled_from(PROJECTS),
    since=st.sampled_from((None, None, START + timedelta(days=1))),
    until=st.sampled_from((None, None, START + timedelta(days=4))),
    as_of=st.sampled_from((None, None, START + timedelta(days=1, minutes=1))),
    limit=st.sampled_from((3, 50)),
    at=st.just(START + timedelta(days=30)),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(request=REQUESTS)
@pytest.mark.parametrize("cheap", [candidates.CHEAP, 3])
async def test_the_same_is_found_by_words_on_both(
    here: App, direct: App, request: Request, cheap: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where few have a word all of them are ranked; else, rung by rung, the rarest first."""
    monkeypatch.setattr(candidates, "CHEAP", cheap)
    for app in (here, direct):
        if not await app.store.rows("memories.of_agent", agent="a", limit=1):
            await app.store.put(*RECORDS)

    mine, theirs = await found(here, request), await found(direct, request)

    if request.limit == 3:  # of equals either may be left out
        mine, theirs = ([hit[0] for hit in hits] for hits in (mine, theirs))
    assert mine == theirs


async def test_what_a_machine_sends_is_found_on_the_server(
    one: App, direct: App, tmp_path: Path, server_url: str
) -> None:
    ferry, tea = (Memory(agent_name="a", content=text) for text in (TEXTS[0], TEXTS[2]))
    await one.store.put(ferry, tea)
    await sync(one)
    assert await recall(direct, "ferry") == [TEXTS[0]]

    await one.store.put(ferry.model_copy(update={"content": LONG}))
    await one.store.put(tea.model_copy(update={"deleted_at": START}))
    await sync(one)

    assert await recall(direct, "ferry") == []
    assert await recall(direct, "green tea") == []
    assert await recall(direct, "harbour") == [LONG]
    async with machine(tmp_path / "two", server_url) as two:
        await sync(two)
        (mine,), (theirs,) = (
            await two.store.rows("passages.totals"),
            await direct.store.rows("passages.totals"),
        )
        assert (mine["passages"], mine["terms"]) == (theirs["passages"], theirs["terms"])


async def test_what_was_forgotten_before_it_was_sent_is_not_counted(one: App, direct: App) -> None:
    await one.store.put(Memory(agent_name="a", content=TEXTS[0], deleted_at=START))
    await sync(one)

    (size,) = await direct.store.rows("passages.totals")
    assert (size["passages"], size["terms"]) == (0, 0)


async def test_what_loses_on_the_server_is_not_found_there(one: App, two: App, direct: App) -> None:
    ferry = Memory(agent_name="a", content="The ferry leaves at six.")
    await one.store.put(ferry)
    await sync(one, two)
    await two.store.put(ferry.model_copy(update={"content": "The ferry leaves at seven."}))
    await one.store.put(ferry.model_copy(update={"content": "The ferry leaves at eight."}))
    await sync(one, two)

    assert await recall(direct, "ferry") == ["The ferry leaves at eight."]
    assert await recall(direct, "seven") == []


async def test_nobody_finds_on_the_server_what_is_anothers(direct: App, server_url: str) -> None:
    await remember(direct, *MEMORIES)
    theirs = Settings(server=SecretStr(server_url), owner="somebody", embedder="none")
    async with open_direct(theirs) as other:
        assert await recall(other, "llamas graze") == []
        await remember(other, "Llamas sleep.")
        assert await recall(other, "llamas") == ["Llamas sleep."]
    assert await recall(direct, "llamas") == [MEMORIES[0]]


async def test_the_server_is_searched_by_meaning_too(server_url: str) -> None:
    async with open_direct(Settings(server=SecretStr(server_url))) as direct:
        await direct.finder.meaning.load()
        await remember(direct, *MEMORIES)
        assert await recall(direct) == []

        assert await direct.finder.meaning.embed() == len(MEMORIES)

        assert (await recall(direct))[0] == MEMORIES[0]
        assert (await direct.finder.search(Request(QUESTION))).trouble is None


async def test_the_tools_work_on_the_server_itself(server_url: str) -> None:
    async with open_direct(Settings(server=SecretStr(server_url), embedder="none")) as direct:
        call = calling(direct)
        first = await call("remember", content="The ferry leaves at six.", topic="harbour")
        again = await call("remember", content="The ferry leaves at six.", topic="harbour")
        near = await call("remember", content="The ferry leaves at six today.", topic="harbour")
        await call("log_event", type="error", content="The crane fell.")
        await call("log_decision", question="Paint it?", selected=["green"])
        ran = [
            await call("run_behavior", name=name)
            for name in ("analyze", "prune", "reembed", "health_check", "promote", "digest")
        ]
        backup = await call("run_behavior", name="backup")
        await call("save_session", summary="All is painted.")
        restored = await call("restore_session")

        assert again == {"id": first["id"], "status": "reinforced"}
        assert [one["id"] for one in near["similar"]] == [first["id"]]
        assert {run["status"] for run in ran} == {"complete"}
        assert "pg_dump" in backup["error"]
        assert "All is painted." in str(restored)
        hits = (await call("recall", query="ferry"))["hits"]
        assert {hit["id"] for hit in hits} == {first["id"], near["id"]}
        await call("forget", id=first["id"])
        assert [hit["id"] for hit in (await call("recall", query="ferry"))["hits"]] == [near["id"]]


async def test_what_is_written_on_the_server_comes_to_the_machines(
    direct: App, one: App, canonical: Postgres
) -> None:
    assert canonical.vectors
    await remember(direct, *MEMORIES)
    await sync(one)

    assert await recall(one, "llamas") == [MEMORIES[0]]


async def test_without_an_address_there_is_nothing_to_work_on() -> None:
    with pytest.raises(InvalidInput, match="Set AGENT_MEM_SERVER"):
        async with open_direct(Settings()):
            pass
