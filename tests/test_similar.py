"""What says nearly the same as something else: named when it is written, linked when it is read."""

import pytest
from conftest import Call

from agent_mem.app import App
from agent_mem.recall.similar import LONGEST, MOST_SIMILAR, overlap, resembling, within
from agent_mem.records.memory import Memory
from agent_mem.records.record import now
from agent_mem.server.resources import item

pytestmark = pytest.mark.anyio

PORT = "The staging database listens on port {} behind the proxy."


async def near(app: App, content: str, project: str | None = None) -> list[str]:
    memory = Memory(agent_name="a", content=content, project=project)
    return [m.content for m in await app.store.engine.read(resembling(app.store, memory))]


async def links(app: App, key: str) -> list[str]:
    return (await item(app, key)).get("similar", [])


async def test_a_memory_links_what_says_nearly_the_same(app: App, call: Call) -> None:
    first = await call("remember", content=PORT.format(6432))
    second = await call("remember", content=PORT.format(7432))
    other = await call("remember", content="The staging area is closed on Mondays.")

    assert [brief["id"] for brief in second["similar"]] == [first["id"]]
    assert await links(app, first["id"]) == [f"memory://item/{second['id']}"]
    assert await links(app, second["id"]) == [f"memory://item/{first['id']}"]
    assert "similar" not in await item(app, other["id"])


async def test_only_memories_are_said_to_be_alike(app: App, call: Call) -> None:
    event = await call("log_event", type="note", content=PORT.format(1))
    kept = await call("remember", content=PORT.format(2))

    assert "similar" not in kept
    assert "similar" not in await item(app, event["id"])


async def test_what_ended_is_not_alike_any_more(app: App) -> None:
    old = Memory(agent_name="a", content=PORT.format(1), valid_until=now())
    await app.store.put(old)

    assert await near(app, PORT.format(2)) == []


async def test_what_is_alike_in_another_project_is_not_named(app: App) -> None:
    await app.store.put(Memory(agent_name="a", content=PORT.format(1), project="p"))

    assert await near(app, PORT.format(2), "q") == []
    assert await near(app, PORT.format(2), "p") == [PORT.format(1)]


async def test_a_part_of_a_longer_text_is_not_alike(app: App) -> None:
    rest = " ".join(f"Sentence {n} tells of zeppelins, kites and whales." for n in range(20))
    await app.store.put(Memory(agent_name="a", content=f"{PORT.format(1)} {rest}"))

    assert await near(app, PORT.format(1)) == []


async def test_a_few_are_named_however_many_there_are(app: App) -> None:
    several = [Memory(agent_name="a", content=PORT.format(n)) for n in range(9)]
    await app.store.put(*several)

    assert len(await near(app, PORT.format(99))) == MOST_SIMILAR


async def test_the_longest_words_find_it_and_all_words_decide(app: App) -> None:
    long = " ".join(f"extraordinarily{'x' * n}" for n in range(LONGEST))
    await app.store.put(Memory(agent_name="a", content=f"{long} red kite"))
    await app.store.put(Memory(agent_name="a", content=f"{long} " + "ab cd ef gh ij kl mn op qr"))

    assert await near(app, f"{long} red kites") == [f"{long} red kite"]


async def test_what_has_no_words_is_like_nothing(app: App) -> None:
    await app.store.put(Memory(agent_name="a", content="!!!"))

    assert await near(app, "?!") == []


def test_sets_of_words_are_compared_by_what_they_share() -> None:
    assert overlap(set(), set()) == 0
    assert overlap({"a", "b"}, {"b", "c"}) == pytest.approx(1 / 3)
    assert overlap({"a"}, {"a"}) == 1
    assert within("", {"a"}) == 0
    assert within("a b", {"a", "c"}) == 0.5
