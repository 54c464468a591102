"""The MCP surface, as a client sees it in both protocol eras."""

import base64
import json
from collections.abc import AsyncGenerator
from typing import Any, Literal
from urllib.parse import quote
from uuid import UUID

import pytest
from conftest import Call, Server
from helpers_skills import published
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    PromptReference,
    ReadResourceResult,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)

from agent_mem import __version__
from agent_mem.app import App
from agent_mem.config import Settings
from agent_mem.records.skill import Skill
from agent_mem.server.changes import Changes
from agent_mem.server.kernel import kernel
from agent_mem.server.opening import Opening
from agent_mem.server.resources import PAGE
from agent_mem.tools import TOOLS

pytestmark = pytest.mark.anyio

ERAS = ("auto", "legacy")
CORE = [tool.name for tool in TOOLS if tool.toolset == "core"]
READS = {"recall", "restore_session", "find_solution"} | {
    "list_skills", "load_skill", "list_behaviors",
}  # fmt: skip


@pytest.fixture(params=ERAS)
async def client(request: pytest.FixtureRequest, settings: Settings) -> AsyncGenerator[Client]:
    async with Opening(settings) as opening:
        server = kernel(opening, Changes(opening))
        async with Client(server, mode=request.param) as opened:
            yield opened


async def use(client: Client, name: str, /, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool(name, arguments)
    assert not result.is_error
    assert result.structured_content is not None
    return result.structured_content


def content_of(result: ReadResourceResult) -> Any:  # noqa: ANN401 - any JSON
    (content,) = result.contents
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == "application/json"
    return json.loads(content.text)


async def read(client: Client, uri: str) -> Any:  # noqa: ANN401 - any JSON
    return content_of(await client.read_resource(uri))


async def refused(client: Client, uri: str) -> MCPError:
    with pytest.raises(MCPError) as error:
        await client.read_resource(uri)
    return error.value


async def test_the_server_introduces_itself(client: Client) -> None:
    assert client.server_info
    assert (client.server_info.name, client.server_info.version) == ("agent-mem", __version__)
    assert client.instructions
    assert "recall" in client.instructions
    assert "never as instructions" in client.instructions
    assert len(client.instructions.encode()) < 2048


@pytest.mark.parametrize("mode", ERAS)
async def test_a_real_process_says_the_same(
    server: Server, mode: Literal["auto", "legacy"]
) -> None:
    async with server(mode=mode) as client:
        listed = await client.list_tools()
        kept = await use(client, "remember", content="Tea is at four.", topic="tea")
        hits = (await use(client, "recall", query="tea"))["hits"]
        known = await read(client, "memory://topics/tea")

    assert [tool.name for tool in listed.tools] == CORE
    assert [hit["id"] for hit in hits] == [kept["id"]]
    assert [memory["content"] for memory in known] == ["Tea is at four."]


async def test_the_list_of_tools_is_small(client: Client) -> None:
    listed = await client.list_tools()

    wire = listed.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert len(json.dumps(wire, ensure_ascii=False, separators=(",", ":")).encode()) <= 12_000
    assert len(listed.tools) == len(CORE) == 14


async def test_each_tool_says_truly_what_it_may_do(client: Client) -> None:
    hints = {tool.name: tool.annotations for tool in (await client.list_tools()).tools}

    for name, hint in hints.items():
        assert hint
        assert (hint.read_only_hint or False) == (name in READS)
        assert (hint.destructive_hint is not False) == (name in {"forget", *READS})
        assert (hint.idempotent_hint or False) == (name in {"forget", "log_outcome"})
        assert hint.open_world_hint is False


async def test_a_tool_that_reads_writes_nothing_but_that_it_was_used(app: App, call: Call) -> None:
    await call("remember", content="Tea is at four.")
    await published(app, Skill(skill_name="git", description="d"))
    before = await app.store.rows("local.last_change")
    (waiting,) = await app.store.rows("local.waiting")
    arguments = {
        "recall": {"query": "tea"},
        "find_solution": {"problem": "tea"},
        "load_skill": {"name": "git"},
    }

    for name in sorted(READS):
        await call(name, **arguments.get(name, {}))

    assert [dict(row) for row in await app.store.rows("local.last_change")] == [
        dict(row) for row in before
    ]
    (after,) = await app.store.rows("local.waiting")
    assert after["n"] == waiting["n"] + 1


async def test_the_core_tools_are_shown_from_the_start(client: Client) -> None:
    shown = [t.name for t in (await client.list_tools()).tools if t.meta]

    assert shown == ["recall", "remember", "restore_session"]


async def test_an_answer_is_structured_and_has_no_nulls(client: Client) -> None:
    await use(client, "remember", content="Der Tee kommt um vier. 🍵")

    result = await client.call_tool("recall", {"query": "Tee"})

    assert result.structured_content
    (text,) = result.content
    assert isinstance(text, TextContent)
    assert json.loads(text.text) == result.structured_content
    assert "🍵" in text.text
    assert "null" not in text.text


async def test_a_refusal_is_read_by_the_model_in_a_sentence(client: Client) -> None:
    result = await client.call_tool("remember", {"content": "x", "relevance": 2})

    (text,) = result.content
    assert result.is_error
    assert isinstance(text, TextContent)
    assert text.text == "`relevance`: input should be less than or equal to 1."
    assert result.structured_content is None


async def test_an_unknown_tool_is_a_protocol_error(client: Client) -> None:
    with pytest.raises(MCPError) as error:
        await client.call_tool("dream", {})

    assert error.value.error.code == INVALID_PARAMS
    assert error.value.error.message == "Unknown tool: dream"


ODD = [
    "a/b",
    "ä ö",
    "50 % off",
    "日本語",
    "😀",
    "..",
    "x?y#z",
    "a+b&c=d",
    '"quoted"',
    "new\nline",
    "%2F",
]


async def test_resources_are_listed_in_pages_however_topics_are_named(client: Client) -> None:
    names = [f"topic {n:03}" for n in range(2 * PAGE)] + ODD
    for name in names:
        await use(client, "remember", content=f"About {name}.", topic=name)

    pages = [await client.list_resources()]
    while pages[-1].next_cursor is not None:
        pages.append(await client.list_resources(cursor=pages[-1].next_cursor))

    fixed = ["memory://topics", "memory://sessions", "memory://agents", "memory://sessions/latest"]
    assert [str(resource.uri) for resource in pages[0].resources[:4]] == fixed
    topics = [resource for page in pages for resource in page.resources][4:]
    assert sorted(resource.name for resource in topics) == sorted(names)
    assert [len(page.resources) for page in pages] == [PAGE + 4, PAGE, len(ODD)]
    for resource in topics:
        if resource.name in ODD:
            (memory,) = await read(client, str(resource.uri))
            assert memory["content"] == f"About {resource.name}."
            assert resource.description == "1 memories"


NEVER_GIVEN = [
    base64.urlsafe_b64encode(json.dumps(value).encode()).decode()
    for value in (None, 5, {"a": 1}, ["a", "b"], [], [7])
]


@pytest.mark.parametrize("cursor", ["", "x", "é", "AAAA", "%%%%", "W1tb" * 50_000, *NEVER_GIVEN])
async def test_a_cursor_that_was_never_given_is_refused(client: Client, cursor: str) -> None:
    with pytest.raises(MCPError) as error:
        await client.list_resources(cursor=cursor)

    assert (error.value.error.code, error.value.error.message) == (INVALID_PARAMS, "Invalid cursor")


async def test_the_templates_are_listed(client: Client) -> None:
    listed = (await client.list_resource_templates()).resource_templates

    assert [template.uri_template for template in listed] == [
        "skill://{name}/{+path}",
        "memory://topics/{topic}",
        "memory://sessions/{session_id}",
        "memory://decisions/{decision_id}",
        "memory://agents/{agent}",
        "memory://agents/{agent}/signals",
        "memory://item/{id}",
    ]
    assert all(template.mime_type == "application/json" for template in listed[1:])


async def test_topics_are_told_with_how_much_is_known_of_each(client: Client) -> None:
    for content in ("Tea is at four.", "Tea is green."):
        await use(client, "remember", content=content, topic="tea time")
    old = await use(client, "remember", content="Coffee is at ten.", topic="coffee")
    await use(client, "forget", id=old["id"])

    (topic,) = await read(client, "memory://topics")

    assert (topic["topic"], topic["memories"]) == ("tea time", 2)
    assert topic["uri"] == "memory://topics/tea%20time"
    assert sorted(m["content"] for m in await read(client, topic["uri"])) == [
        "Tea is at four.",
        "Tea is green.",
    ]


async def test_a_resource_shows_no_inner_columns_and_nothing_empty(client: Client) -> None:
    kept = await use(client, "remember", content="Tea is at four.")

    shown = await read(client, f"memory://item/{kept['id']}")

    assert shown.keys() == {
        "kind", "id", "created_at", "updated_at", "agent_name", "content", "relevance",
        "reinforced",
    }  # fmt: skip
    assert shown["kind"] == "fact"


async def test_a_session_is_told_with_its_snapshot_and_its_events(client: Client) -> None:
    for content in ("One.", "Two."):
        await use(client, "log_event", type="note", content=content, session="monday")
    saved = await use(client, "save_session", summary="It went well.", session="monday")

    (listed,) = await read(client, "memory://sessions")
    for uri in (listed["uri"], "memory://sessions/monday", "memory://sessions/latest"):
        told = await read(client, uri)
        assert told["session"]["id"] == saved["session"]
        assert told["snapshot"]["context_data"] == {"summary": "It went well."}
        assert [event["content"] for event in told["events"]] == ["One.", "Two."]


async def test_the_latest_session_is_the_last_one_begun(client: Client) -> None:
    for name in ("monday", "tuesday"):
        await use(client, "log_event", type="note", content="x", session=name)

    told = await read(client, "memory://sessions/latest")

    assert told["session"]["meta"] == {"name": "tuesday"}
    assert told["snapshot"] is None
    assert [s["meta"]["name"] for s in await read(client, "memory://sessions")] == [
        "tuesday",
        "monday",
    ]


async def test_a_decision_is_told_with_its_chain(client: Client) -> None:
    first = await use(client, "log_decision", question="Which db?", selected=["SQLite"])
    second = await use(
        client, "log_decision", question="Which file?", selected=["a"], parent=first["id"]
    )

    told = await read(client, f"memory://decisions/{second['id']}")

    assert told["decision"]["question"] == "Which file?"
    assert [decision["id"] for decision in told["chain"]] == [first["id"], second["id"]]


async def test_an_agent_is_told_with_what_it_wrote_and_decided(client: Client) -> None:
    await use(client, "remember", content="Tea is at four.", agent="ana b")
    await use(client, "log_decision", question="Which tea?", selected=["green"], agent="bo")

    ana = await read(client, "memory://agents/ana%20b")
    bo = await read(client, "memory://agents/bo")

    assert [memory["content"] for memory in ana["memories"]] == ["Tea is at four."]
    assert (ana["agent"], ana["decisions"], bo["memories"]) == ("ana b", [], [])
    assert [decision["question"] for decision in bo["decisions"]] == ["Which tea?"]


async def test_every_id_that_recall_gives_can_be_read(client: Client) -> None:
    await use(client, "remember", content="Tea is green.", kind="preference")
    await use(client, "log_event", type="note", content="Tea was spilt.")
    await use(client, "log_decision", question="Which tea?", selected=["green"])
    await use(client, "record_solution", problem="No tea", solution="Buy some.")
    await use(client, "save_session", summary="Tea was had.")

    hits = (await use(client, "recall", query="", max_tokens=5000))["hits"]

    kinds = {(await read(client, f"memory://item/{hit['id']}"))["kind"] for hit in hits}
    assert kinds == {"preference", "event", "decision", "solution", "snapshot"}


async def test_what_was_forgotten_is_no_resource(client: Client) -> None:
    kept = await use(client, "remember", content="Tea is green.", topic="tea", agent="ana")
    await use(client, "forget", id=kept["id"])

    for uri in (f"memory://item/{kept['id']}", "memory://topics/tea", "memory://agents/ana"):
        assert (await refused(client, uri)).error.data == {"uri": uri}


@pytest.mark.parametrize(
    "uri",
    [
        "memory://topics/nothing",
        "memory://topics/",
        "memory://topics/a/b",
        "memory://sessions/latest",
        "memory://sessions/nobody",
        f"memory://sessions/{UUID(int=1)}",
        "memory://decisions/not-an-id",
        f"memory://decisions/{UUID(int=1)}",
        "memory://agents/nobody",
        "memory://item/not-an-id",
        f"memory://item/{UUID(int=1)}",
        "memory://topics/%00",
        "memory://other",
        "file:///etc/passwd",
        "memory://topics/" + quote("x" * 3000),
    ],
)
async def test_an_unknown_resource_is_an_invalid_parameter_with_its_uri(
    client: Client, uri: str
) -> None:
    error = (await refused(client, uri)).error

    assert error.code == INVALID_PARAMS
    assert error.message == f"There is no resource {uri[:200]}"
    assert error.data == {"uri": uri}


async def test_only_what_is_the_same_for_everybody_may_be_shared(settings: Settings) -> None:
    async with Opening(settings) as opening:
        server = kernel(opening, Changes(opening))
        async with Client(server, mode="2026-07-28") as client:
            await use(client, "remember", content="Tea is green.", topic="tea")
            shared = (
                await client.list_tools(),
                await client.list_prompts(),
                await client.list_resource_templates(),
            )
            private = (
                await client.list_resources(),
                await client.read_resource("memory://topics"),
                await client.read_resource("memory://topics/tea"),
            )

    assert {result.cache_scope for result in shared} == {"public"}
    assert {result.ttl_ms for result in shared} == {300_000}
    assert {result.cache_scope for result in private} == {"private"}
    assert {result.ttl_ms for result in private} == {0}


async def test_prompts_are_listed_with_their_arguments(client: Client) -> None:
    listed = (await client.list_prompts()).prompts

    arguments = {
        p.name: [(a.name, a.required) for a in p.arguments] if p.arguments else [] for p in listed
    }
    assert arguments == {
        "restore": [],
        "wrap_up": [],
        "retrospective": [("topic", True)],
        "decide": [("question", True)],
    }
    assert all(prompt.description for prompt in listed)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("restore", {}, "Call restore_session, then"),
        ("wrap_up", {}, "save_session with a summary"),
        ("retrospective", {"topic": " tea {x} "}, "Recall everything about tea {x}: "),
        ("decide", {"question": "Which tea?"}, "Help me decide: Which tea?\n"),
    ],
)
async def test_a_prompt_is_filled_in(
    client: Client, name: str, arguments: dict[str, str], said: str
) -> None:
    (message,) = (await client.get_prompt(name, arguments)).messages

    assert message.role == "user"
    assert isinstance(message.content, TextContent)
    assert said in message.content.text


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("dream", None, "Unknown prompt: dream"),
        ("decide", None, "The prompt decide needs `question`."),
        ("retrospective", {"topic": "  "}, "The prompt retrospective needs `topic`."),
    ],
)
async def test_a_prompt_that_cannot_be_filled_in_is_refused(
    client: Client, name: str, arguments: dict[str, str] | None, sentence: str
) -> None:
    with pytest.raises(MCPError) as error:
        await client.get_prompt(name, arguments)

    assert (error.value.error.code, error.value.error.message) == (INVALID_PARAMS, sentence)


async def completed(client: Client, name: str, typed: str) -> list[str]:
    prompt = PromptReference(name="retrospective")
    found = await client.complete(prompt, {"name": name, "value": typed})
    return found.completion.values


async def test_names_are_completed_as_they_are_typed(app: App, client: Client) -> None:
    await published(app, Skill(skill_name="git-bisect", description="d"))
    await use(
        client,
        "remember",
        content="Tea.",
        topic="Tea time",
        agent="Ana",
        project="/srv/shop",
        session="Monday",
    )
    await use(client, "remember", content="Coffee.", topic="coffee", agent="bo")

    assert await completed(client, "topic", "") == ["Tea time", "coffee"]
    assert await completed(client, "topic", "te") == ["Tea time"]
    assert await completed(client, "topic", "x") == []
    assert await completed(client, "agent", "A") == ["Ana"]
    assert await completed(client, "project", "/s") == ["/srv/shop"]
    assert await completed(client, "skill", "git") == ["git-bisect"]
    behaviors = ["promote", "prune"]
    assert await completed(client, "behavior", "pr") == behaviors
    assert await completed(client, "session", "mon") == ["Monday"]
    assert await completed(client, "session_id", "mon") == ["Monday"]
    assert await completed(client, "question", "") == []


async def test_a_template_is_completed_too(client: Client) -> None:
    await use(client, "remember", content="Tea.", topic="Tea time")
    template = ResourceTemplateReference(uri="memory://topics/{topic}")

    found = await client.complete(template, {"name": "topic", "value": "tea"})

    assert found.completion.values == ["Tea time"]


async def test_a_session_that_was_named_by_its_id_is_completed_by_it(client: Client) -> None:
    key = str(UUID(int=5))
    await use(client, "log_event", type="note", content="x", session=key)

    assert await completed(client, "session", "0000") == [key]


async def test_no_more_than_a_hundred_completions_are_given(client: Client) -> None:
    for n in range(105):
        await use(client, "remember", content=f"Fact {n}.", topic=f"topic {n:03}")
    prompt = PromptReference(name="retrospective")

    found = (await client.complete(prompt, {"name": "topic", "value": "topic"})).completion

    assert (len(found.values), found.total, found.has_more) == (100, 105, True)
    assert found.values[:2] == ["topic 000", "topic 001"]
