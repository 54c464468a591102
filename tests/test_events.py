"""What happens is logged, and found at once."""

from datetime import timedelta
from uuid import UUID

import pytest
from conftest import Call

from agent_mem.app import App
from agent_mem.errors import InvalidInput
from agent_mem.records.event import Event
from agent_mem.records.record import now
from agent_mem.records.session import Session

pytestmark = pytest.mark.anyio

TAKEN = "type, content, session, role, importance, tags, agent, project"


async def test_an_event_keeps_all_that_was_said_about_it(app: App, call: Call) -> None:
    logged = await call(
        "log_event",
        type="tool_call",
        content="pytest -q",
        session="monday",
        role="assistant",
        importance=0.9,
        tags=["tests"],
        agent="builder",
        project="shop",
    )

    event = await app.store.get(Event, UUID(logged["id"]))
    assert event
    assert logged.keys() == {"id"}
    assert (event.event_type, event.content, event.role) == ("tool_call", "pytest -q", "assistant")
    assert (event.importance, event.tags) == (0.9, ["tests"])
    assert (event.agent_name, event.project) == ("builder", "shop")


async def test_an_event_is_found_at_once(call: Call) -> None:
    logged = await call("log_event", type="error", content="Disk full on db1.", role="tool")

    (hit,) = (await call("recall", query="disk"))["hits"]

    assert (hit["id"], hit["kind"], hit["topic"]) == (logged["id"], "event", "error")
    assert hit["who"] == "tool"


async def test_the_same_event_twice_is_two_events(call: Call) -> None:
    first = await call("log_event", type="error", content="Disk full.")
    again = await call("log_event", type="error", content="Disk full.")

    assert first["id"] != again["id"]


async def test_a_session_is_one_by_its_name_and_by_its_id(app: App, call: Call) -> None:
    for number in range(2):
        await call("log_event", type="note", content=f"Note {number}.", session="monday")
    window = {"before": now() + timedelta(days=1), "limit": 9}
    (by_name,) = await app.store.find(Session, "sessions.newest", **window)
    await call("log_event", type="note", content="Note 2.", session=str(by_name.id))

    assert len(await app.store.find(Session, "sessions.newest", **window)) == 1
    assert by_name.meta == {"name": "monday"}
    told = await app.store.find(Event, "events.of_session", session_id=by_name.id, limit=9)
    assert [event.content for event in told] == ["Note 0.", "Note 1.", "Note 2."]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"content": "x"}, "log_event needs `type`."),
        ({"type": "note"}, "log_event needs `content`."),
        ({"type": "note", "content": " \n"}, "`content` is blank: say something."),
        (
            {"type": "a\x00", "content": "x"},
            "`type` holds a NUL character, which cannot be stored: leave it out.",
        ),
        ({"type": "t" * 201, "content": "x"}, "`type` is longer than 200 characters."),
        (
            {"type": "note", "content": "x" * 100_001},
            "`content` is longer than 100000 characters.",
        ),
        (
            {"type": "note", "content": "x", "importance": 1.1},
            "`importance`: input should be less than or equal to 1.",
        ),
        (
            {"type": "note", "content": "x", "importance": float("nan")},
            "`importance`: input should be a finite number.",
        ),
        (
            {"type": "note", "content": "x", "level": 3},
            f"log_event has no `level`; it takes {TAKEN}.",
        ),
    ],
    ids=["no type", "no content", "blank", "NUL", "long type", "long", "high", "NaN", "unknown"],
)
async def test_what_cannot_be_logged_is_refused_in_a_sentence(
    call: Call, arguments: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await call("log_event", **arguments)

    assert str(refused.value) == sentence
    assert "hits" not in await call("recall", query="")
