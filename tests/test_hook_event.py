"""The tool that a plugin's hooks call: unseen, quick, silent where nothing matters."""

import asyncio
import json
from contextlib import AsyncExitStack, ExitStack, closing
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import anyio
import pytest
from conftest import Call, Server
from helpers_transcript import Transcript
from mcp import Client
from mcp.types import TextContent

from agent_mem.app import App, open_app, open_direct
from agent_mem.config import Settings
from agent_mem.hooks import event, spool
from agent_mem.hooks.event import hook_event
from agent_mem.hooks.place import MARK, label
from agent_mem.hooks.prompt import matters
from agent_mem.hooks.reader import drain
from agent_mem.recall.search import Request
from agent_mem.records.event import Event
from agent_mem.records.session import Session
from agent_mem.storage.lock import FileLock

pytestmark = pytest.mark.anyio

PROJECT = "/home/me/shop"
HERE = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(db=tmp_path / "home" / "memory.db", embedder="none")


async def asked(app: App, prompt: str, transcript: str = "", session: str = HERE) -> str:
    answer = await hook_event(
        app,
        event="UserPromptSubmit",
        session_id=session,
        cwd=PROJECT,
        prompt=prompt,
        transcript_path=transcript,
    )
    return answer.hookSpecificOutput.get("additionalContext", "")


async def test_a_prompt_is_told_what_matters_for_it(app: App, call: Call) -> None:
    await call("remember", content="The staging database listens on port 6543.", project=PROJECT)

    told = await asked(app, "Which port does the staging database listen on?")

    assert told.startswith(MARK)
    assert "fact, agent, " in told
    assert told.endswith("The staging database listens on port 6543.")


@pytest.mark.parametrize(
    "prompt",
    [
        "Rename the variable in this function.",
        "port?",
        "/compact",
        "<task-notification>staging database port</task-notification>",
        "  ",
    ],
)
async def test_a_prompt_for_which_nothing_matters_is_met_with_silence(
    app: App, call: Call, prompt: str
) -> None:
    await call("remember", content="The staging database listens on port 6543.", project=PROJECT)

    assert await asked(app, prompt) == ""


@pytest.mark.parametrize(
    ("cosine", "coverage", "words", "told"),
    [
        (0.5, 0.0, 1, True),  # near in meaning
        (0.4, 0.5, 4, True),  # nearly so, and with words of the prompt
        (0.4, 0.3, 4, False),
        (0.3, 0.9, 4, False),  # its words mean something else here
        (0.4, 1.0, 2, False),  # of a prompt of two words
        (0.0, 0.6, 4, True),  # meaning is not known
        (0.0, 0.5, 4, False),
    ],
)
async def test_what_matters_is_near_in_meaning_or_in_words(
    app: App, call: Call, cosine: float, coverage: float, words: int, *, told: bool
) -> None:
    await call("remember", content="The staging database listens on port 6543.")
    (hit,) = (await app.finder.search(Request("staging"))).hits

    assert matters(replace(hit, cosine=cosine, coverage=coverage), words) is told


async def test_another_projects_memory_does_not_matter(app: App, call: Call) -> None:
    await call("remember", content="The staging database listens on port 1.", project="/other")

    assert await asked(app, "Which port does the staging database listen on?") == ""


async def test_nothing_is_told_twice_until_a_conversation_is_compacted(
    app: App, call: Call, tmp_path: Path
) -> None:
    done = await call("remember", content="The staging database listens on port 6543.")
    script = Transcript(tmp_path / "t.jsonl")
    question = "Which port does the staging database listen on?"
    script.injected(f"- {label(done['id'])} fact, agent: …")
    again = await asked(app, question, str(script.path))
    script.raw('{"type":"system","subtype":"compact_boundary"}\n')
    after = await asked(app, question, str(script.path))

    assert again == ""
    assert "6543" in after


async def test_what_was_said_in_this_conversation_is_not_told_to_it(
    app: App, tmp_path: Path
) -> None:
    script = Transcript(tmp_path / "t.jsonl", HERE)
    script.prompt("The staging database listens on port 6543.")
    await hook_event(
        app, event="Stop", session_id=HERE, cwd=PROJECT, transcript_path=str(script.path)
    )
    question = "Which port does the staging database listen on?"

    here = await asked(app, question, str(script.path))
    elsewhere = await asked(app, question, "", "22222222-2222-4222-8222-222222222222")

    assert here == ""
    assert "event, user, " in elsewhere
    assert "6543" in elsewhere


@pytest.mark.parametrize("event", ["Stop", "PreCompact", "Notification", ""])
async def test_an_event_that_tells_nothing_is_answered_with_nothing(app: App, event: str) -> None:
    answer = await hook_event(app, event=event, session_id="", transcript_path="/none")

    assert answer.hookSpecificOutput == {}


async def test_what_takes_too_long_is_left_to_the_background(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Transcript(tmp_path / "t.jsonl", HERE)
    script.prompt("Keep me.")
    monkeypatch.setattr(event, "PATIENCE", 0)

    await hook_event(
        app, event="PreCompact", session_id=HERE, cwd=PROJECT, transcript_path=str(script.path)
    )

    left = [spool.read(note) for note in spool.notes(app.settings.db)]
    assert left in ([], [spool.Job(HERE, str(script.path), PROJECT, "PreCompact")])


async def test_while_another_process_holds_the_file_a_client_is_not_held_up(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Transcript(tmp_path / "t.jsonl", HERE)
    script.prompt("Keep me.")
    given = {"session_id": HERE, "cwd": PROJECT, "transcript_path": str(script.path)}
    monkeypatch.setattr(event, "PATIENCE", 0.2)
    file = app.settings.db.with_name(app.settings.db.name + ".lock")

    with ExitStack() as held:  # a lock of its own, as another process has
        held.enter_context(held.enter_context(closing(FileLock(file))))
        loop = asyncio.get_running_loop()
        freed = loop.call_later(10, held.close)
        await hook_event(app, event="Stop", **given)
        assert loop.time() < freed.when()  # it did not wait for that
    with anyio.fail_after(20):
        await asyncio.gather(*event.RUNNING)
    waiting = spool.notes(app.settings.db)  # it has ended its step, and gone no further
    await drain(app)

    found = await app.store.find(Event, "events.of_session", session_id=UUID(HERE), limit=9)
    assert len(waiting) == 1
    assert spool.notes(app.settings.db) == []
    assert [event.content for event in found] == ["Keep me."]


async def test_a_path_that_is_none_stops_no_prompt(app: App, call: Call) -> None:
    await call("remember", content="The staging database listens on port 6543.", project=PROJECT)

    assert "6543" in await asked(app, "Which port does the staging database listen on?", "\x00")


async def test_a_memory_that_is_damaged_stops_no_prompt(app: App, call: Call) -> None:
    await call("remember", content="The staging database listens on port 6543.", project=PROJECT)
    for suffix in ("", "-wal"):
        file = app.settings.db.with_name(app.settings.db.name + suffix)
        file.write_bytes(b"x" * file.stat().st_size)

    assert await asked(app, "Which port does the staging database listen on?") == ""


async def test_without_a_file_a_transcript_is_read_at_once(tmp_path: Path, server_url: str) -> None:
    script = Transcript(tmp_path / "t.jsonl", HERE)
    script.prompt("Keep me.")
    settings = Settings(db=tmp_path / "none.db", server=server_url, embedder="none")  # pyright: ignore[reportArgumentType] - pydantic makes it a secret
    async with open_direct(settings) as app:
        given = {"session_id": HERE, "cwd": PROJECT, "transcript_path": str(script.path)}
        await hook_event(app, event="Stop", **given)
        found = await app.store.find(Event, "events.of_session", session_id=UUID(HERE), limit=9)

    assert [event.content for event in found] == ["Keep me."]
    assert spool.notes(settings.db) == []


async def test_it_can_be_called_and_is_not_listed(server: Server) -> None:
    async with server(AGENT_MEM_EMBEDDER="none") as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        answer = await client.call_tool("hook_event", {"event": "Stop"})

    assert "recall" in names
    assert "hook_event" not in names
    (content,) = answer.content
    assert isinstance(content, TextContent)
    assert json.loads(content.text) == {}
    assert not answer.is_error


async def test_twenty_sessions_at_once_lose_nothing_and_mix_nothing(
    server: Server, settings: Settings, tmp_path: Path
) -> None:
    """Three processes serve twenty conversations in one project, and read what they leave."""
    scripts = [Transcript(tmp_path / f"{n}.jsonl") for n in range(20)]

    async def converse(client: Client, script: Transcript, n: int) -> None:
        for turn in range(2):
            script.prompt(f"Prompt {turn} of {n}")
            script.ran(f"make {n}", f"error {turn} of {n}", failed=True)
            script.answer(f"Answer {turn} of {n}")
            given = {"session_id": script.session, "transcript_path": str(script.path)}
            await client.call_tool("hook_event", {"event": "Stop", "cwd": PROJECT, **given})
        script.prompt(f"Prompt 2 of {n}")
        job = spool.Job(script.session, str(script.path), PROJECT, "SessionEnd")
        spool.leave(settings.db, job)

    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(server(AGENT_MEM_EMBEDDER="none")) for _ in range(3)
        ]
        async with anyio.create_task_group() as tasks:
            for n, script in enumerate(scripts):
                tasks.start_soon(converse, clients[n % 3], script, n)
        with anyio.fail_after(60):
            while spool.notes(settings.db):  # noqa: ASYNC110 - another process takes them away
                await anyio.sleep(0.1)

    async with open_app(settings) as app:
        for n, script in enumerate(scripts):
            key = UUID(script.session)
            found = await app.store.find(Event, "events.of_session", session_id=key, limit=99)
            session = await app.store.get(Session, key)
            assert sorted(event.content for event in found) == sorted(said_by(n))
            assert session
            assert (session.status, session.project) == ("completed", PROJECT)


def said_by(n: int) -> list[str]:
    return [
        *(f"Prompt {turn} of {n}" for turn in range(3)),
        *(f"Answer {turn} of {n}" for turn in range(2)),
        *(f"Bash: make {n}\nerror {turn} of {n}" for turn in range(2)),
    ]
