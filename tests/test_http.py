"""The server over HTTP: who may come in, and what each may do and see."""

import json
import signal
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx2
import pytest
import uvicorn
from helpers_http import BOTH, LEGACY, LONG, Web, bearer, web

from agent_mem.app import open_app
from agent_mem.config import Settings
from agent_mem.errors import InvalidInput
from agent_mem.records.memory import Memory
from agent_mem.records.record import now
from agent_mem.server.door import MOST
from agent_mem.server.http import Options, Process, application
from agent_mem.server.kernel import kernel
from agent_mem.server.owners import Owners, settings_of
from agent_mem.server.tokens import Tokens

pytestmark = pytest.mark.anyio

HELLO = {
    "protocolVersion": LEGACY,
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}
FERRY = "The ferry leaves at six."
LISTEN = (
    "subscriptions/listen",
    {"notifications": {"resourceSubscriptions": ["memory://topics"]}},
)
HOOK = {"name": "hook_event", "arguments": {"event": "Stop", "transcript_path": "/etc/passwd"}}
"""What reads a file of this machine, which nobody elsewhere may ask for."""
TOPICS = ("resources/read", {"uri": "memory://topics"})


@pytest.fixture
async def open_web(env: dict[str, str]) -> AsyncGenerator[Web]:
    """Serve whoever is on this machine."""
    async with web(env) as started:
        yield started


@pytest.fixture
def tokens(settings: Settings) -> Tokens:
    return Tokens(settings)


def contents(answer: dict[str, Any]) -> list[str]:
    return [hit["text"] for hit in answer["structuredContent"].get("hits", [])]


async def test_both_eras_are_served_on_one_memory(open_web: Web) -> None:
    modes: tuple[Literal["auto", "legacy"], ...] = ("auto", "legacy")
    for mode in modes:
        async with open_web.talking(mode=mode) as client:
            done = await client.call_tool("remember", {"content": f"{FERRY} Says {mode}."})
            assert not done.is_error
    found = await open_web.call("recall", query="ferry")

    assert sorted(contents(found)) == [f"{FERRY} Says {mode}." for mode in sorted(modes)]


def told(answer: httpx2.Response) -> tuple[int, str]:
    """Say what an answer is, and what it asks for."""
    return answer.status_code, answer.headers.get("www-authenticate", "")


def challenge(error: str, said: str, scope: str = "") -> str:
    needed = f'scope="{scope}", ' if scope else ""
    return f'Bearer realm="agent-mem", {needed}error="{error}", error_description="{said}"'


async def test_whoever_shows_no_good_token_is_refused(env: dict[str, str], tokens: Tokens) -> None:
    good = tokens.add("laptop", "ana", "write")
    gone = tokens.add("old laptop", "ana", "admin")
    late = tokens.add("guest", "ana", "admin", now() - timedelta(seconds=1))
    narrow = tokens.add("reader", "ana", "read")
    tokens.revoke("old laptop")
    unknown = challenge("invalid_token", "The token is not known here.")
    remember = ("tools/call", {"name": "remember", "arguments": {"content": FERRY}})
    author: tuple[str, dict[str, Any]] = ("tools/call", {"name": "register_skill", "arguments": {}})

    async with web(env, "--toolsets", "all") as one:
        found = {
            "none": told(await one.post(*TOPICS)),
            "another kind": told(await one.post(*TOPICS, authorization=f"Basic {good}")),
            "empty": told(await one.post(*TOPICS, authorization="Bearer")),
            "wrong": told(await one.post(*TOPICS, "amt_" + "x" * 43)),
            "a JWT": told(await one.post(*TOPICS, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbmEifQ.")),
            "odd": told(await one.post(*TOPICS, "x" * 5000)),
            "in the address": told(
                await one.client.post(f"{one.url}?access_token={good}", json={})
            ),
            "expired": told(await one.post(*TOPICS, late)),
            "revoked": told(await one.post(*TOPICS, gone)),
            "read, to read": told(await one.post(*TOPICS, narrow)),
            "read, to write": told(await one.post(*remember, narrow)),
            "write, to author": told(await one.post(*author, good)),
            "write, to an unknown tool": told(await one.post("tools/call", {"name": "x"}, good)),
            "write, to the tool of hooks": told(await one.post("tools/call", HOOK, good)),
            "good": told(await one.post(*TOPICS, good)),
        }
        known = await one.call("recall", good, query="ferry")

    asked = (401, 'Bearer realm="agent-mem"')
    needs = "This needs the scope {}."
    assert found == {
        "none": asked,
        "another kind": asked,
        "empty": asked,
        "wrong": (401, unknown),
        "a JWT": (401, unknown),
        "odd": (401, unknown),
        "in the address": asked,
        "expired": (401, challenge("invalid_token", "The token has expired.")),
        "revoked": (401, unknown),
        "read, to read": (200, ""),
        "read, to write": (403, challenge("insufficient_scope", needs.format("write"), "write")),
        "write, to author": (403, challenge("insufficient_scope", needs.format("admin"), "admin")),
        "write, to an unknown tool": (400, ""),
        "write, to the tool of hooks": (400, ""),
        "good": (200, ""),
    }
    assert contents(known) == []


async def test_a_request_that_is_odd_is_refused_but_health_is_told_to_everybody(
    env: dict[str, str], tokens: Tokens
) -> None:
    good = tokens.add("laptop", "ana", "write")
    reader = tokens.add("reader", "ana", "read")
    call = {"method": "tools/call", "params": {"name": "remember", "arguments": {"content": "x"}}}

    async def status(token: str, **more: Any) -> int:  # noqa: ANN401 - the request's own
        sent = {"accept": BOTH, "content-type": "application/json", **bearer(token)}
        return (await one.client.post(one.url, headers=sent, **more)).status_code

    async with web(env) as one:
        found = {
            "wrong host": (await one.post(*TOPICS, good, host="evil.example.com")).status_code,
            "wrong origin": (await one.post(*TOPICS, good, origin="http://evil.com")).status_code,
            "own origin": (await one.post(*TOPICS, good, origin="http://localhost:1")).status_code,
            "too large": await status(good, content=b"[" + b" " * (4 << 20)),
            "no JSON": await status(good, content=b"{"),
            "nested": await status(good, content=b"[" * 100_000),
            "a batch with a call": await status(reader, json=[{"method": "x"}, call]),
            "an empty batch": await status(reader, json=[]),
            "a number": await status(reader, json=7),
            "a nameless call": await status(
                reader, json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": 1}
            ),
        }
        there = one.url.removesuffix("/mcp") + "/healthz"
        healthy = await one.client.get(there, headers={"host": "balancer.internal"})

    assert found == {
        "wrong host": 421,
        "wrong origin": 403,
        "own origin": 200,
        "too large": 413,
        "no JSON": 400,
        "nested": 400,
        "a batch with a call": 403,
        "an empty batch": 400,
        "a number": 400,
        "a nameless call": 403,
    }
    assert (healthy.status_code, healthy.text) == (200, "ok\n")


async def test_who_asks_too_often_is_told_when_to_ask_again(
    env: dict[str, str], tokens: Tokens
) -> None:
    one_of_them, other = (tokens.add(name, "ana", "read") for name in ("hasty", "calm"))
    async with web(env, "--rate", "0.01") as one:
        answers = [await one.post(*TOPICS, one_of_them) for _ in range(2)]
        beside = await one.post(*TOPICS, other)
        wrong = [(await one.post(*TOPICS, "amt_no")).status_code for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert 90 <= int(answers[1].headers["retry-after"]) <= 100
    assert answers[1].json()["error"] == "too_many_requests"
    assert beside.status_code == 200
    assert wrong == [401, 429]


async def test_a_token_works_from_its_making_until_it_is_revoked(
    open_web: Web, tokens: Tokens
) -> None:
    before = (await open_web.post(*TOPICS)).status_code
    token = tokens.add("laptop", "ana", "read")
    while_there = [(await open_web.post(*TOPICS, shown)).status_code for shown in (token, None)]
    tokens.revoke("laptop")
    after = [(await open_web.post(*TOPICS, shown)).status_code for shown in (token, None)]
    tokens.path.write_text("{", encoding="utf-8")
    unreadable = await open_web.post(*TOPICS, token)
    tokens.path.unlink()
    gone = [(await open_web.post(*TOPICS, shown)).status_code for shown in (token, None)]

    assert before == 200
    assert gone == [401, 401]
    assert while_there == [200, 401]
    assert after == [401, 401]
    assert unreadable.status_code == 503
    assert unreadable.json()["error_description"] == "The tokens cannot be read now."


async def test_who_listens_is_put_out_when_the_token_is_revoked(
    env: dict[str, str], tokens: Tokens
) -> None:
    gone, good = (tokens.add(name, "ana", "read") for name in ("gone", "good"))

    async with web(env) as one, one.streaming(*LISTEN, good) as still:
        assert "acknowledged" in await anext(still)
        async with one.streaming(*LISTEN, gone) as lines:
            assert "acknowledged" in await anext(lines)
            tokens.revoke("gone")
            with anyio.fail_after(LONG), pytest.raises(httpx2.RemoteProtocolError):
                await anext(lines)
        await one.call("remember", tokens.add("pen", "ana", "write"), content=FERRY, topic="x")
        with anyio.fail_after(LONG):
            assert "memory://topics" in await anext(still)


async def test_nobody_keeps_others_out_by_listening(env: dict[str, str], tokens: Tokens) -> None:
    many, other = (tokens.add(name, "ana", "read") for name in ("many", "other"))
    wide = httpx2.AsyncClient(
        timeout=LONG, trust_env=False, limits=httpx2.Limits(max_connections=None)
    )

    async with web(env) as one, wide, AsyncExitStack() as listening:
        one.client = wide
        for _ in range(MOST):
            lines = await listening.enter_async_context(one.streaming(*LISTEN, many))
            assert "acknowledged" in await anext(lines)
        refused, let_in = [await one.post(*TOPICS, shown) for shown in (many, other)]

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert let_in.status_code == 200


async def test_off_this_machine_nobody_is_served_without_saying_who_they_are(
    env: dict[str, str], settings: Settings, tokens: Tokens
) -> None:
    for options in (Options(host="0.0.0.0"), Options(names=["memory.example.com"])):  # noqa: S104 - that is tested
        with pytest.raises(InvalidInput, match="agent-mem token add"):
            application(Owners(settings), options, kernel)

    token = tokens.add("laptop", "ana", "read")
    async with web(env, "--host", "0.0.0.0", "--allow-host", "memory.example.com") as one:  # noqa: S104 - as above
        there = one.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - as above
        found = Web(there, one.process, one.client)
        named = await found.post(*TOPICS, token, host="memory.example.com:443")
        other = await found.post(*TOPICS, token, host="10.0.0.5:8765")
        unknown = await found.post(*TOPICS)

    assert [one.status_code for one in (named, other, unknown)] == [200, 421, 401]


async def test_an_address_that_is_taken_is_told_in_a_sentence(
    env: dict[str, str], open_web: Web
) -> None:
    port = open_web.url.split(":")[-1].removesuffix("/mcp")

    with pytest.raises(AssertionError, match=f"127.0.0.1:{port} cannot be used"):
        async with web(env, "--port", port):
            pass


async def test_a_server_that_has_no_memories_any_more_stops(settings: Settings) -> None:
    owners = Owners(settings)
    process = Process(uvicorn.Config("none:none"), owners)

    async with owners.run():
        assert not await process.on_tick(1)
    assert await process.on_tick(1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_a_signal_ends_it_while_clients_listen_and_keeps_what_was_answered(
    number: signal.Signals, code: int, env: dict[str, str], settings: Settings
) -> None:
    listen = {"notifications": {"resourceSubscriptions": ["memory://topics"]}}
    async with (
        web(env) as one,
        one.talking(mode="legacy"),
        one.streaming("subscriptions/listen", listen) as lines,
    ):
        assert "acknowledged" in await anext(lines)
        kept = await one.call("remember", content=FERRY)
        ended = await one.ended(number)
        rest = [json.loads(line.removeprefix("data: ")) async for line in lines]

    assert ended == code
    assert "result" in rest[-1]  # the stream came to its end, and was not torn
    async with open_app(settings) as app:
        (found,) = await app.store.find(Memory, "memories.of_agent", agent="agent", limit=9)
    assert str(found.id) == kept["structuredContent"]["id"]


async def test_every_write_that_was_answered_before_a_signal_is_kept(
    env: dict[str, str], settings: Settings
) -> None:
    answered: list[str] = []

    async def write(number: int) -> None:
        while True:
            try:
                done = await one.call("remember", content=f"Note {number} {len(answered)}.")
            except httpx2.HTTPError:
                return
            answered.append(done["structuredContent"]["id"])

    async with web(env) as one, anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(write, number)
        with anyio.fail_after(LONG):
            while len(answered) < 8:
                await anyio.lowlevel.checkpoint()
        assert await one.ended(signal.SIGTERM) == 0

    async with open_app(settings) as app:
        found = await app.store.find(Memory, "memories.of_agent", agent="agent", limit=1000)
    assert {str(memory.id) for memory in found} >= set(answered)


async def test_the_owner_that_is_set_keeps_its_file(
    env: dict[str, str], settings: Settings, tokens: Tokens
) -> None:
    mine, hers = tokens.add("mine", "me", "write"), tokens.add("hers", "Ana Ümit/..", "write")
    async with web(env) as one:
        await one.call("remember", mine, content=FERRY)
        await one.call("remember", hers, content="The crane is red.")

    there = settings_of("Ana Ümit/..", settings)
    assert there.db.parent.parent == settings.db.parent / "owners"
    assert there.db.parent.name.startswith("ana-mit-")
    assert [path.name for path in (settings.db.parent / "owners").iterdir()] == [
        there.db.parent.name
    ]
    for of, content in ((settings, FERRY), (there, "The crane is red.")):
        async with open_app(of) as app:
            (found,) = await app.store.find(Memory, "memories.of_agent", agent="agent", limit=9)
        assert (found.owner, found.content) == (of.owner, content)


def test_owners_whose_names_look_alike_have_different_folders(settings: Settings) -> None:
    names = ["ana", "Ana", "ANA", "a/n/a", "..", "日本", "CON", "a" * 200, "a" * 199]

    folders = [settings_of(name, settings).db.parent for name in names]

    assert len({str(folder).lower() for folder in folders}) == len(names)
    assert {folder.parent for folder in folders} == {settings.db.parent / "owners"}
    assert all(len(Path(folder).name) <= 60 for folder in folders)
