"""Broken and hostile input: one clear sentence or a right answer, and nothing written."""

import json
import math
import sqlite3
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import Call, calling
from helpers_wire import Wire, text_of, wired
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_mem.app import App
from agent_mem.config import Settings
from agent_mem.errors import InvalidInput
from agent_mem.recall.search import Request
from agent_mem.records.decision import Decision
from agent_mem.records.memory import Memory
from agent_mem.records.record import uuid7
from agent_mem.server.resources import decision
from agent_mem.tools import TOOLS
from agent_mem.tools.tool import Tool

pytestmark = pytest.mark.anyio

UNKNOWN = "01a1fc21-3489-7e54-a51f-d6da40504f9b"
TEN_MB = "a" * 10_000_000
HALF = "half \ud800 of a pair"
FTS = ['"', "*", "NEAR(", "NEAR(tea milk, 2)", "-", "AND OR NOT", '"open', "tea*", "^tea", "a:b"]
SQL = ["'; DROP TABLE memories; --", "1' OR '1'='1", 'x"); DELETE FROM events; --', "%_\\"]
ODD = [
    "\u202etfel ot thgir\u202c",
    "\u200f",
    "\ufeffmark",
    "é\u0301",
    "👩‍👩‍👧",
    "\x1b[2J",
    "\x07",
    "😀" * 500,
]
LONG = ["/" * 2_000, "-w " * 600, '"a b" ' * 300, "in 3 days " * 150, "1,1." * 500, "a-" * 1_000]
DATES = [
    "0001-01-01",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
    "2026-02-30",
    "soon",
]
ALL_TOOLS = {"AGENT_MEM_TOOLSETS": "all"}
IDS = [UNKNOWN, UNKNOWN[:-1], "0" * 32, "not an id", "../../etc/passwd"]
TEXTS = ["", " ", "\n\t", "nul \x00 inside", HALF, TEN_MB, *FTS, *SQL, *ODD, *LONG, *DATES, *IDS]
WRONG: list[object] = [
    5,
    -1,
    10**30,
    1.5,
    math.nan,
    math.inf,
    -math.inf,
    True,
    "nan",
    "[",
    "{",
    "[]",
]
DEEP = "[" * 300 + "]" * 300
SHAPES: list[object] = [
    None,
    [],
    {},
    [None],
    [5],
    [[[]]],
    [""],
    ["x"] * 500,
    [HALF],
    {"a": math.nan},
]
OBJECTS: list[object] = [{HALF: 1}, {"a": "\x00"}, {"a": json.loads(DEEP)}, {"a\nb" * 400: 1}, DEEP]


def needed(tool: Tool, known: str) -> dict[str, object]:
    """Give a tool arguments that it accepts."""
    values: dict[str, object] = {"selected": ["this"], "success": True, "decision": known}
    values["state"] = {"a": 1}
    if tool.name == "run_behavior":
        values["name"] = "analyze"
    required = tool.schema.get("required", [])
    return {name: values.get(name, "plain words") for name in required}


def cases(tool: Tool, known: str) -> Iterator[dict[str, object]]:
    """Put every hostile value in the place of every argument, and leave each out."""
    good = needed(tool, known)
    for name in tool.schema["properties"]:
        for value in (*TEXTS, *WRONG, *SHAPES, *OBJECTS):
            yield {**good, name: value}
    for name in good:
        yield {key: value for key, value in good.items() if key != name}
    for name in ("unknown", "line\nbreak", "x" * 5_000, "", HALF):
        yield {**good, name: 1}


def complaints(sentence: str) -> list[str]:
    """Say what is not clear in a sentence that should be."""
    rules = {
        "is empty": not sentence.strip(),
        "is not one line": "\n" in sentence or "\r" in sentence,
        "is too long": len(sentence) >= 400,
        "does not end": not sentence.endswith("."),
        "shows the inside": any(
            word in sentence.lower() for word in ("traceback", "pydantic", "http", "errors.")
        ),
        "cannot be sent": any("\ud800" <= letter <= "\udfff" for letter in sentence),
    }
    return [what for what, broken in rules.items() if broken]


@pytest.fixture
def witness(app: App) -> Iterator[sqlite3.Connection]:
    """Look at the file from outside: `data_version` tells whether anybody wrote."""
    with closing(sqlite3.connect(app.settings.db)) as connection:
        yield connection


def version(witness: sqlite3.Connection) -> int:
    return witness.execute("PRAGMA data_version").fetchone()[0]


def counts(witness: sqlite3.Connection) -> dict[str, int]:
    """Count the rows of every table, but of those that are filled in the background."""
    tables = witness.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN"
        " ('embedding_models', 'embedding_queue', 'memory_index', 'passage_tokens',"
        " 'sqlite_sequence')"
    ).fetchall()
    return {t: witness.execute(f'SELECT count(*) FROM "{t}"').fetchone()[0] for (t,) in tables}  # noqa: S608 - names of tables


async def tried(tool: Tool, app: App, arguments: Mapping[str, object]) -> str | None:
    """Call a tool; give the sentence of a refusal, and see that a result can be sent."""
    try:
        result = await tool(app, dict(arguments))
    except InvalidInput as refusal:
        return str(refusal)
    json.dumps(result, ensure_ascii=False, allow_nan=False).encode()
    return None


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
async def test_hostile_input_is_refused_in_a_sentence_or_understood(
    tool: Tool, app: App, call: Call, witness: sqlite3.Connection
) -> None:
    known = (await call("log_decision", question="Which port?", selected=["8443"]))["id"]
    wrong: list[str] = []
    refused = 0
    for arguments in cases(tool, known):
        before = version(witness)
        sentence = await tried(tool, app, arguments)
        if sentence is None:
            continue
        refused += 1
        wrong += [f"{what}: {sentence[:500]!r}" for what in complaints(sentence)]
        wrong += [] if version(witness) == before else [f"wrote, and said {sentence!r}"]

    assert wrong == []
    assert refused > len(tool.schema["properties"])
    assert (await call("recall", query="Which port?"))["hits"][0]["id"] == known
    assert witness.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("text", [*FTS, *SQL, *ODD, *LONG])
async def test_strange_text_is_kept_as_it_is_and_found_again(
    text: str, app: App, call: Call, witness: sqlite3.Connection
) -> None:
    content = f"zanzibar {text} end"

    done = await call("remember", content=content, topic="odd", tags=[f"t{text[:50]}"])
    stored = await app.store.find(Memory, "memories.of_topic", topic="odd", limit=5)
    found = await call("recall", query="zanzibar")

    assert [(m.content, m.tags) for m in stored] == [(content, [f"t{text[:50]}".strip()])]
    assert [hit["id"] for hit in found["hits"]] == [done["id"]]
    assert counts(witness)["memories"] == 1


@pytest.mark.parametrize("query", [*FTS, *SQL, *ODD, *LONG, "\x00", "-tea", "topic:", 'kind:""'])
async def test_any_query_is_answered(query: str, call: Call) -> None:
    await call("remember", content="Ana drinks green tea")

    found = await call("recall", query=query)

    assert found.keys() <= {"hits", "note", "left_out"}
    assert found.get("hits") or found["note"]


@pytest.fixture
async def encoded(app: App) -> App:
    """Know a little, with the encoder loaded."""
    await app.store.put(
        Memory(agent_name="a", content="Ana drinks green tea", subject="Ana", topic="tea"),
        Memory(
            agent_name="a", content="🚀 数据库 ฝนตก", occurred_at=datetime(2026, 5, 1, tzinfo=UTC)
        ),
    )
    await app.finder.meaning.load()
    return app


@pytest.mark.parametrize("query", [*FTS, *SQL, *ODD, *LONG, "\x00", "-tea", "topic:", 'kind:""'])
async def test_any_query_is_answered_with_the_encoder(query: str, encoded: App) -> None:
    found = await calling(encoded)("recall", query=query)

    assert found.get("hits") or found["note"].startswith("Nothing found.")


@given(
    query=st.lists(
        st.text(max_size=40)
        | st.sampled_from(["tea", "Ana's", "before the release", "as of 3 May 2026", "old port"])
        | st.sampled_from([*FTS, *ODD, "topic:tea", "kind:fact", "-x", "🚀", "数据库", "what"]),
        max_size=6,
    ).map(" ".join),
    literal=st.booleans(),
)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_text_can_be_asked_with_the_encoder(
    query: str, literal: bool, encoded: App
) -> None:
    found = await encoded.finder.search(Request(query, literal=literal))

    assert len({hit.record.id for hit in found.hits}) == len(found.hits) <= 2
    assert all(hit.why and math.isfinite(hit.score) for hit in found.hits)


async def test_a_refused_write_leaves_every_table_as_it_was(
    call: Call, witness: sqlite3.Connection
) -> None:
    await call("remember", content="Ana drinks green tea", topic="tea")
    before = counts(witness)

    with pytest.raises(InvalidInput):
        await call("remember", content="Ana drinks mint tea", supersedes=UNKNOWN, session="new")
    with pytest.raises(InvalidInput):
        await call("log_decision", question="Which?", selected=["x"], parent=UNKNOWN, session="new")
    with pytest.raises(InvalidInput):
        await call("log_outcome", decision=UNKNOWN, success=True)
    with pytest.raises(InvalidInput):
        await call("forget", topic="coffee")
    with pytest.raises(InvalidInput):
        await call("save_session", summary="a" * 99_999, next_steps=["b"], session="new")

    assert counts(witness) == before


async def test_a_memory_cannot_correct_itself_or_what_is_corrected(call: Call) -> None:
    old = (await call("remember", content="The port is 80", key="port"))["id"]
    same = await call("remember", content="The port is 80", key="port", supersedes=old)
    new = (await call("remember", content="The port is 81", supersedes=old))["id"]

    assert same == {"id": old, "status": "repeated"}
    with pytest.raises(InvalidInput, match="key was used for another memory"):
        await call("remember", content="The port is 83", key="port", supersedes=old)
    with pytest.raises(InvalidInput, match=f"corrected already: correct `{new}`"):
        await call("remember", content="The port is 82", supersedes=old)


async def test_decisions_that_lead_to_each_other_are_told_once(app: App) -> None:
    one, other, own = uuid7(), uuid7(), uuid7()
    decided = Decision(agent_name="a", question="Which?", selected=["x"])
    for key, parent in ((one, other), (other, one), (own, own)):
        await app.store.put(decided.model_copy(update={"id": key, "parent_id": parent}))

    circle = await decision(app, str(one))
    alone = await decision(app, str(own))

    assert {d["id"] for d in circle["chain"]} == {str(one), str(other)}
    assert [d["id"] for d in alone["chain"]] == [str(own)]


@pytest.mark.parametrize("name", ["context"])
async def test_what_is_nested_as_deep_as_is_allowed_can_be_read_again(
    name: str, app: App, call: Call
) -> None:
    deepest = '{"a":' * 64 + "1" + "}" * 64

    done = await call("log_decision", question="Which?", selected=["x"], **{name: deepest})
    shown = await decision(app, done["id"])

    assert shown["decision"][name] == json.loads(deepest)
    with pytest.raises(InvalidInput, match="nested more than 64 levels"):
        await call(
            "log_decision", question="Deeper?", selected=["x"], **{name: f'{{"a":{deepest}}}'}
        )


async def test_what_was_expired_is_found_again_once_it_is_remembered_again(call: Call) -> None:
    brief = await call("remember", content="The gate code is 4711", expires_in=1e-9)
    gone = await call("recall", query="gate code")

    again = await call("remember", content="The gate code is 4711")
    found = await call("recall", query="gate code")

    assert "hits" not in gone
    assert again == {"id": brief["id"], "status": "reinforced"}
    assert [hit["id"] for hit in found["hits"]] == [brief["id"]]


MALFORMED = [
    (b"junk", None, -32700),
    (b"\xff\xfe\x00", None, -32700),
    (b"null", None, -32600),
    (b"[]", None, -32600),
    (b"{}", None, -32600),
    (b'{"jsonrpc": "2.0", "id": true}', None, -32600),
    (b'{"jsonrpc": "2.0", "id": 4000}', 4000, -32600),
    (b'{"jsonrpc": "2.0", "id": "mine", "method": "tools/list", "params": 5}', "mine", -32600),
    (b'{"jsonrpc": "2.0", "id": 4001, "method": "x", "params": {"a": "\\ud800"}}', 4001, -32700),
    (b'{"jsonrpc": "2.0", "id": "\\ud800", "method": "x"}', None, -32700),
    (b'{"jsonrpc": "2.0", "id": 4002, "params": ' + DEEP.encode() + b"}", 4002, -32700),
    (b'{"jsonrpc": "2.0", "id": 4003, "params": ' + b"[" * 100_000 + b"}", None, -32700),
    (b'{"jsonrpc": "2.0", "id": 4004, "method": "tools/list", "params": {}', None, -32700),
]


@pytest.fixture
async def wire(env: dict[str, str], tmp_path: Path) -> AsyncGenerator[Wire]:
    async with wired(env | ALL_TOOLS, tmp_path) as connected:
        await connected.hello()
        yield connected


async def test_a_line_that_is_no_message_is_answered_and_the_server_lives(wire: Wire) -> None:
    for line, key, code in MALFORMED:
        await wire.write_line(line)
        answer = await wire.read()
        assert (answer["id"], answer["error"]["code"]) == (key, code), line[:80]
        assert complaints(answer["error"]["message"]) == []

    await wire.write_line(b"")
    await wire.write_line(b" \t ")
    done = await wire.use("remember", content="still here")

    assert done["structuredContent"]["status"] == "new"
    assert wire.stderr.read_text(encoding="utf-8") == ""


async def test_half_a_surrogate_pair_is_refused_on_the_wire_by_every_tool(
    wire: Wire, settings: Settings
) -> None:
    await wire.use("remember", content="Ana drinks green tea")
    with closing(sqlite3.connect(settings.db)) as witness:
        before = counts(witness)
        for tool in TOOLS:
            half = dict.fromkeys(needed(tool, UNKNOWN), "half \ud800")
            answer = await wire.answer(await wire.call(tool.name, **(half or {"agent": HALF})))
            assert answer["error"]["code"] == -32700, tool.name
            assert complaints(answer["error"]["message"]) == []

        assert counts(witness) == before
    assert "green tea" in text_of(await wire.use("recall", query="tea"))


async def test_broken_calls_are_refused_on_the_wire_in_one_sentence(wire: Wire) -> None:
    for arguments in (
        {"content": TEN_MB},
        {"content": "x", "expires_in": math.nan},
        {"content": "x", "line\nbreak": 1},
        {"content": "x", "supersedes": "line\nbreak"},
        {"content": "nul \x00"},
        {},
    ):
        result = await wire.use("remember", **arguments)
        assert result["isError"]
        assert complaints(text_of(result)) == []
    for name in ("", "line\nbreak", "x" * 5_000, "__init__"):
        answer = await wire.answer(await wire.call(name))
        assert answer["error"]["code"] == -32602

    assert "Nothing found." in text_of(await wire.use("recall", query=""))


async def test_a_file_that_cannot_be_opened_is_told_in_one_sentence_and_costs_only_the_call(
    env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    nowhere = {"AGENT_MEM_DB": str(tmp_path / "file" / "x.db")}
    async with wired(env | ALL_TOOLS | nowhere, tmp_path) as wire:
        await wire.hello()
        called = await wire.use("remember", content="x")
        subscribed = await wire.ask("resources/subscribe", {"uri": "memory://topics"})
        listed = await wire.ask("tools/list", {})

    assert called["isError"]
    assert complaints(text_of(called)) == []
    assert str(tmp_path / "file" / "x.db") in text_of(called)
    assert complaints(subscribed["error"]["message"]) == []
    assert len(listed["result"]["tools"]) == len(TOOLS)
