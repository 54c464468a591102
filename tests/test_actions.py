"""Actions that look after a memory and share what was found."""

import json
import sqlite3
import sys
from collections.abc import Generator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from conftest import Call, calling
from helpers_endpoint import Embeddings, Reply, dropping, saying, serving
from helpers_sync import line, machine, settle

from agent_mem.app import App
from agent_mem.behaviors.allowed import place
from agent_mem.behaviors.backup import copies, proved
from agent_mem.behaviors.health_check import disk, index
from agent_mem.errors import ActionFailed, AgentMemError, EncoderUnavailable
from agent_mem.records.behavior import Behavior
from agent_mem.records.insight import Insight
from agent_mem.records.memory import Memory
from agent_mem.records.record import now, uuid7
from agent_mem.storage.statements import Statement, Transaction

pytestmark = pytest.mark.anyio

HEALTH = sys.modules["agent_mem.behaviors.health_check"]
"""The module; by that name the package gives its function."""


def insight(agent: str, content: str, **more: Any) -> Insight:  # noqa: ANN401 - fields
    fields: dict[str, Any] = {"topic": "redis", "relevance": 0.8, **more}
    return Insight(agent_name=agent, content=content, behavior_id=uuid7(), run_id=uuid7(), **fields)


async def known(app: App, topic: str = "redis") -> list[Memory]:
    return await app.store.find(Memory, "memories.of_topic", topic=topic, limit=99)


async def test_insights_of_all_agents_become_one_memory_that_names_its_sources(
    app: App, call: Call
) -> None:
    found = [insight(agent, "Redis runs full at 3 GB.") for agent in ("ana", "bo")]
    await app.store.put(*found, insight("cy", "Of little weight.", relevance=0.5))

    first = await call("run_behavior", name="promote")
    before = await known(app)
    again = await call("run_behavior", name="promote")

    (memory,) = before
    assert first["output"]["promoted"] == 1
    assert again["output"] == {"promoted": 0}
    assert await known(app) == before
    assert set(memory.source_ids) == {str(i.id) for i in found}
    assert memory.tags == ["shared", "ana", "bo"]
    assert (memory.kind, memory.relevance, memory.reinforced) == ("knowledge", 0.8, 1)
    for one in found:
        kept = await app.store.get(Insight, one.id)
        assert kept
        assert kept.promoted_to == memory.id


async def test_promotion_adds_to_what_an_agent_has_remembered(app: App, call: Call) -> None:
    mine = await call("remember", content="Redis runs full.", tags=["mine"], relevance=0.9)
    await app.store.put(insight("ana", "Redis  runs full."))

    await call("run_behavior", name="promote")

    (memory,) = await known(app)
    assert memory.id == UUID(mine["id"])
    assert (memory.agent_name, memory.relevance) == ("agent", 0.9)
    assert memory.tags == ["mine", "shared", "ana"]


async def test_promotion_brings_back_neither_what_was_forgotten_nor_what_was_corrected(
    app: App, call: Call
) -> None:
    await app.store.put(insight("ana", "Redis runs full."), insight("ana", "Redis is slow."))
    await call("run_behavior", name="promote")
    full, slow = sorted(await known(app), key=lambda memory: memory.content)[::-1][::-1]
    await call("forget", id=str(full.id))
    await call("remember", content="The disk is slow.", supersedes=str(slow.id))
    await app.store.put(insight("bo", "Redis runs full."), insight("bo", "Redis is slow."))

    await call("run_behavior", name="promote")

    assert await known(app) == []


async def test_promotion_keeps_to_the_weightiest_and_to_a_project(app: App, call: Call) -> None:
    await app.store.put(
        *[
            insight("ana", f"Finding {letter}.", relevance=n / 10)
            for n, letter in enumerate("cba", 7)
        ],
        insight("ana", "Of a bank.", project="bank"),
        insight("ana", "Long ago.", created_at=now() - timedelta(days=9)),
    )

    top = await call("run_behavior", name="promote", input={"top": 1})
    await call("run_behavior", name="promote", input={"project": "shop", "least": 0.75})
    mine = sorted(memory.content for memory in await known(app))
    await call("run_behavior", name="promote", input={"project": "bank"})

    assert top["output"]["promoted"] == 1
    assert mine == ["Finding a.", "Finding b."]
    assert "Of a bank." in [memory.content for memory in await known(app)]


async def test_a_digest_tells_of_each_project_what_happened_there(app: App, call: Call) -> None:
    for kind in ("error", "error", "note"):
        await call("log_event", type=kind, content="It.", project="shop")
    failed = await call("log_decision", question="Which?", selected=["x"], project="bank")
    await call("log_outcome", decision=failed["id"], success=False)
    await call("remember", content="Tea.", topic="tea")
    for number in range(7):
        await call("log_event", type=f"kind {number}", content="It.", project="zoo")

    ran = await call("run_behavior", name="digest")
    shop = await call("run_behavior", name="digest", input={"project": "shop"})

    assert ran["output"]["projects"] == {
        "everywhere": {"memories": {"tea": 1}},
        "bank": {"decisions": {"failed": 1}},
        "shop": {"events": {"error": 2, "note": 1}},
        "zoo": {"events": {f"kind {n}": 1 for n in range(7)}},
    }
    assert list(shop["output"]["projects"]) == ["shop"]
    told = {i["content"].partition(": ")[2] for i in ran["insights"]}
    assert "events: error (2), note (1)." in told
    assert "events: kind 0 (1), kind 1 (1), kind 2 (1), kind 3 (1), kind 4 (1), 2 more." in told
    hits = await call("recall", query="digest error note", kinds=["insight"], project="shop")
    assert all("bank" not in json.dumps(hit) for hit in hits["hits"])
    assert await app.store.rows(
        "insights.promotable", least=0, since=now() - timedelta(1), project="bank", limit=9
    )


async def test_a_backup_is_a_sound_copy_and_only_the_last_ones_are_kept(
    app: App, call: Call
) -> None:
    await call("remember", content="Tea is at four.")
    other = app.settings.db.parent / "backups" / "other.db"

    first = await call("run_behavior", name="backup", input={"keep": 2})
    other.touch()
    await call("remember", content="Tea is at five.")
    more = [await call("run_behavior", name="backup", input={"keep": 2}) for _ in range(2)]

    file = Path(more[-1]["output"]["file"])
    with closing(sqlite3.connect(file)) as copy:
        assert copy.execute("SELECT count(*) FROM memories").fetchone() == (2,)
    assert first["output"]["records"]["memories"] == 1
    assert more[-1]["output"]["removed"] == [Path(first["output"]["file"]).name]
    assert len(copies(app.settings.db, file.parent)) == 2
    assert other.exists()
    assert file.stat().st_mode & 0o077 == 0
    assert list(file.parent.glob("*.part")) == []


async def test_a_copy_that_is_not_sound_is_none(app: App, call: Call, tmp_path: Path) -> None:
    for number in range(200):
        await call("remember", content=f"Number {number} is a number of its own.")
    made = Path((await call("run_behavior", name="backup"))["output"]["file"])
    torn = bytearray(made.read_bytes())
    torn[len(torn) // 2 : len(torn) // 2 + 8192] = b"\xff" * 8192
    made.write_bytes(bytes(torn))

    with pytest.raises((ActionFailed, sqlite3.DatabaseError)):
        proved(made, "me")
    whole = Path((await call("run_behavior", name="backup"))["output"]["file"])
    with closing(sqlite3.connect(whole)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'project text', 'project text NOT NULL')"
            " WHERE name = 'memories'"
        )
        connection.commit()
    with pytest.raises(ActionFailed, match=r"The copy is not sound: NULL value in memories\.proj"):
        proved(whole, "me")
    folder = tmp_path / "a file"
    folder.touch()
    place(app.settings).write_text(f'backups = "{folder}"', encoding="utf-8")
    place(app.settings).chmod(0o600)
    ran = await call("run_behavior", name="backup")
    assert ran["status"] == "failed"
    assert ran["error"].startswith(f"No copy could be made in {folder}:")


async def checks(call: Call) -> dict[str, Any]:
    ran = await call("run_behavior", name="health_check")
    found = {name: check["level"] for name, check in ran["output"]["checks"].items()}
    assert ran["output"]["healthy"] == (set(found.values()) == {"ok"})
    assert {i["topic"] for i in ran.get("insights", [])} == {
        f"health: {name}" for name, level in found.items() if level != "ok"
    }
    return found


async def test_all_is_well_or_what_is_not_is_told(
    app: App, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    well = await checks(call)
    failing = Behavior(agent_name="a", name="bad", action="nothing")
    await app.store.put(failing, Behavior(agent_name="a", name="b", action="command"))
    await call("register_behavior", name="c", action="command", params={"command": "none"})
    await call("run_behavior", name="c")
    monkeypatch.setattr(HEALTH, "SCARCE", 1 << 60)

    ill = await checks(call)

    assert well == dict.fromkeys(("database", "disk", "sync", "index", "behaviors"), "ok")
    assert ill == {**well, "disk": "warn", "behaviors": "warn"}
    assert disk(app.settings.db).level == "warn"


async def test_an_index_that_waits_is_told(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HEALTH, "WAITING", -1)

    assert index(app).text == "Many passages wait to be embedded: run `reembed`."

    monkeypatch.undo()
    app.finder.meaning.spaces[0].error = EncoderUnavailable("There is no encoder here.")
    assert index(app).text == "Not everything is found by meaning: There is no encoder here."


async def test_a_sync_that_fails_or_lags_is_told(
    tmp_path: Path, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with line(server_url) as way, machine(tmp_path / "one", way.url) as app:
        call = calling(app)
        await settle(app)
        well = await checks(call)
        monkeypatch.setattr(HEALTH, "BEHIND", -1)
        behind = await checks(call)

        def refusing() -> Transaction[None]:
            sql = (
                "UPDATE outbox SET error = 'It is refused.', next_at = '9999' WHERE owner = :owner"
            )
            yield Statement(sql, {"owner": "me"})

        await app.store.engine.write(refusing())
        aside = await checks(call)
        way.close()
        with pytest.raises(AgentMemError):
            await settle(app)
        failing = await checks(call)

    levels = [found["sync"] for found in (well, behind, aside, failing)]
    assert levels == ["ok", "warn", "warn", "bad"]


@pytest.fixture
def endpoint() -> Generator[Embeddings]:
    with serving() as server:
        yield server


async def asking(app: App, url: str = "", **params: object) -> None:
    if url:
        text = f'[model]\nurl = "{url}"\nname = "tiny"\nkey = "k3y"\n'
        place(app.settings).write_text(text, encoding="utf-8")
        place(app.settings).chmod(0o600)
    params = {"prompt": "What is most urgent?", **params}
    rules = {"retries": 0}
    await calling(app)("register_behavior", name="urgent", action="ask", params=params, rules=rules)


def answer(words: object) -> Reply:
    return saying({"choices": [{"message": {"content": words}}]})


async def test_a_model_that_is_set_is_asked_and_its_answer_is_an_insight(
    app: App, call: Call, endpoint: Embeddings
) -> None:
    endpoint.replies = [answer("The disk\x00.")]
    await call("register_skill", name="triage", description="How.", body="Be brief.")
    await asking(app, endpoint.url)
    await call(
        "register_behavior",
        name="urgent",
        action="ask",
        params={"prompt": "What is most urgent?"},
        skill="triage",
    )

    ran = await call("run_behavior", name="urgent", input={"topic": "urgent"})

    (body,) = endpoint.bodies
    assert endpoint.paths == ["/v1/chat/completions"]
    assert endpoint.headers[0]["authorization"] == "Bearer k3y"
    assert body["model"] == "tiny"
    prompt = body["messages"][0]["content"]
    assert prompt == 'Be brief.\n\nWhat is most urgent?\n\n{"input": {"topic": "urgent"}}'
    assert ran["output"] == {"answer": "The disk\ufffd."}
    assert [(i["topic"], i["content"]) for i in ran["insights"]] == [("urgent", "The disk\ufffd.")]


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (answer(" "), "The model's answer has no words in it."),
        (answer(None), "The model's answer has no words in it."),
        (saying(b"{" * 9), "The model's answer has no words in it."),
        (saying([]), "The model's answer has no words in it."),
        (saying({}, 500), "The model's endpoint answered 500."),
        (saying({}, 302, Location="http://127.0.0.1/"), "The model's endpoint answered 302."),
        (saying(b"x" * (2 << 20)), "The model's answer is too long."),
        (dropping, "The model cannot be reached (RemoteProtocolError)."),
    ],
)
async def test_a_model_without_an_answer_is_a_failure(
    app: App, call: Call, endpoint: Embeddings, reply: Reply, sentence: str
) -> None:
    endpoint.replies = [reply]
    await asking(app, endpoint.url)

    assert (await call("run_behavior", name="urgent"))["error"] == sentence


async def test_without_a_model_the_next_agent_is_asked_until_it_answers(
    app: App, call: Call
) -> None:
    await asking(app, topic="urgent")
    ran = await call("run_behavior", name="urgent")
    listed = {b["name"]: b for b in (await call("list_behaviors"))["behaviors"]}
    restored = await call("restore_session")
    other = await call("restore_session", agent="somebody")

    done = await call("run_behavior", name="urgent", input={"answer": "The disk."})

    assert ran["status"] == listed["urgent"]["status"] == "needs_agent"
    assert restored["asked"] == [
        {"behavior": "urgent", "agent": "agent", "prompt": "What is most urgent?"}
    ]
    assert "asked" not in other
    assert (done["status"], done["output"]) == ("complete", {"answer": "The disk."})
    assert "asked" not in await call("restore_session")
