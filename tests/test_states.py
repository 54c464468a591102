"""An agent's state: revisions, none of which is lost, written by whoever has read the last."""

from typing import Any
from uuid import UUID

import pytest
from conftest import Call, Server
from mcp.types import TextContent

from agent_mem.app import App
from agent_mem.errors import InvalidInput, NotFound, Outdated
from agent_mem.records.state import State
from agent_mem.tools.states import MOST

SOMEBODY = "01a1ff07-0264-79b3-9934-a8b2f8cf1cab"
"""An id that nothing has."""
pytestmark = pytest.mark.anyio

ON = {"AGENT_MEM_TOOLSETS": "agents", "AGENT_MEM_EMBEDDER": "none"}


async def saved(call: Call, *states: dict[str, Any], read: int | None = None) -> list[str]:
    """Save one state after the other; give their ids."""
    ids: list[str] = []
    for state in states:
        given = {} if read is None else {"read": read}
        answer = await call("save_state", state=state, **given)
        read = answer["revision"]
        ids.append(answer["id"])
    return ids


async def loaded(call: Call, **which: object) -> dict[str, Any]:
    return (await call("load_state", **which))["state"]


async def test_what_is_saved_is_loaded_with_its_revision(call: Call) -> None:
    (key,) = await saved(call, {"step": 1, "todo": ["a", {"b": None}]})

    answer = await call("load_state")

    assert (answer["agent"], answer["revision"], answer["id"]) == ("agent", 1, key)
    assert answer["state"] == {"step": 1, "todo": ["a", {"b": None}]}
    assert answer["when"]
    assert answer.keys() == {"agent", "revision", "id", "when", "state"}


async def test_an_agent_without_a_state_is_told_so(call: Call) -> None:
    answer = await call("load_state", agent="ana")

    assert answer == {
        "agent": "ana",
        "note": "`ana` has no state yet: save_state saves its first.",
    }


async def test_every_agent_has_a_state_of_its_own(call: Call) -> None:
    await call("save_state", state={"of": "ana"}, agent="ana")
    bob = await call("save_state", state={"of": "bob"}, agent="bob")

    assert bob["revision"] == 1
    assert await loaded(call, agent="ana") == {"of": "ana"}
    with pytest.raises(NotFound, match="`ana` has no revision or checkpoint"):
        await call("load_state", agent="ana", revision=bob["id"])


@pytest.mark.parametrize(
    "read", [0, -1, 10**30, 1, "1", " 1 ", 3, "3", 0x7FFF_FFFF, SOMEBODY, "x", "٢", "9" * 99]
)
async def test_whoever_has_not_read_the_latest_is_refused_and_given_it(
    call: Call, read: object
) -> None:
    _, key = await saved(call, {"n": 1}, {"n": 2})

    with pytest.raises(Outdated) as refused:
        await call("save_state", state={"n": 3}, read=read)

    assert refused.value.current == {"revision": 2, "id": key, "state": {"n": 2}}
    assert "`agent` is at revision 2, not " in str(refused.value)
    assert (await call("load_state"))["id"] == key


@pytest.mark.parametrize("read", [1.5, True, [], {}, "", "x" * 201])
async def test_what_cannot_be_a_revision_is_refused_in_a_sentence(call: Call, read: object) -> None:
    await saved(call, {"n": 1})

    with pytest.raises(InvalidInput, match=r"^`read`.{5,80}\.$"):
        await call("save_state", state={"n": 2}, read=read)

    assert (await call("load_state"))["revision"] == 1


async def test_a_label_may_look_like_json(call: Call) -> None:
    await saved(call, {"n": 1}, {"n": 2})
    await call("checkpoint_state", label="[1]", revision=1)

    assert await loaded(call, revision="[1]") == {"n": 1}


async def test_whoever_has_read_nothing_is_refused_where_something_is(call: Call) -> None:
    await saved(call, {"n": 1})

    with pytest.raises(Outdated, match="and you have read none; nothing was saved"):
        await saved(call, {"n": 2})


async def test_the_first_state_is_upon_nothing(call: Call) -> None:
    with pytest.raises(NotFound, match="`agent` has no state yet: leave `read` out"):
        await saved(call, {"n": 1}, read=1)

    assert "revision" not in await call("load_state")


async def test_the_latest_may_be_named_by_its_number_in_any_form_or_its_id(call: Call) -> None:
    (first,) = await saved(call, {})
    second = await call("save_state", state={}, read=first.upper())
    third = await call("save_state", state={}, read=str(second["revision"]))

    assert third["revision"] == 3


async def test_the_same_state_again_is_not_taken_for_a_retry(call: Call) -> None:
    """Two that add one to the same number both write the same: one of them has to hear of it."""
    await saved(call, {"n": 1})
    await call("save_state", state={"n": 2}, read=1)

    with pytest.raises(Outdated):
        await call("save_state", state={"n": 2}, read=1)


async def test_a_refusal_says_over_the_wire_what_the_current_state_is(server: Server) -> None:
    spaced = {"text": "two  spaces\nand a line"}
    async with server(**ON) as one, server(**ON) as other:
        first = await one.call_tool("save_state", {"state": spaced})
        refused = await other.call_tool("save_state", {"state": {}})
        assert first.structured_content
        current = {"revision": 1, "id": first.structured_content["id"], "state": spaced}
        sentence, given = refused.content

    assert refused.is_error
    assert refused.structured_content == {"current": current}
    assert isinstance(sentence, TextContent)
    assert isinstance(given, TextContent)
    assert "is at revision 1, and you have read none" in sentence.text
    assert TextContent.model_validate(given).text.startswith('{"current":{"revision":1,')


async def test_an_earlier_revision_is_loaded_by_number_id_or_label(call: Call) -> None:
    ids = await saved(call, {"n": 1}, {"n": 2}, {"n": 3})
    await call("checkpoint_state", label="before", revision=2)

    assert await loaded(call, revision=1) == {"n": 1}
    assert await loaded(call, revision="2") == {"n": 2}
    assert await loaded(call, revision=ids[0]) == {"n": 1}
    assert await loaded(call, revision="before") == {"n": 2}
    assert await loaded(call) == {"n": 3}


@pytest.mark.parametrize("revision", [4, "4", SOMEBODY, "before", "9" * 200])
async def test_a_revision_that_is_not_there_is_refused(call: Call, revision: object) -> None:
    await saved(call, {"n": 1}, {"n": 2}, {"n": 3})

    with pytest.raises(NotFound, match="`agent` has no revision or checkpoint `"):
        await call("load_state", revision=revision)


async def test_two_revisions_are_compared(call: Call) -> None:
    await saved(call, {"a": 1, "b": [1]}, {"a": 1, "b": [1, 2], "c": "new"}, {"a": 3})

    later = await call("load_state", compare=1, revision=2)
    now = await call("load_state", compare=2)

    assert later["changes"] == [{"path": "/b/1", "now": 2}, {"path": "/c", "now": "new"}]
    assert now["revision"] == 3
    assert now["changes"] == [
        {"path": "/a", "was": 1, "now": 3},
        {"path": "/b", "was": [1, 2]},
        {"path": "/c", "was": "new"},
    ]
    assert "state" not in now


async def test_where_nothing_differs_it_says_so(call: Call) -> None:
    await saved(call, {"a": 1}, {"a": 2}, {"a": 1})

    answer = await call("load_state", compare=1)

    assert answer["note"] == "Nothing differs from revision 1."
    assert "changes" not in answer


async def test_of_many_changes_the_first_are_told_and_the_others_counted(call: Call) -> None:
    many = {str(n): n for n in range(MOST + 7)}
    await saved(call, {}, many)

    answer = await call("load_state", compare=1)

    assert len(answer["changes"]) == MOST
    assert answer["note"] == "7 more changes are left out."


async def test_a_rollback_is_a_new_revision_and_those_in_between_are_kept(
    app: App, call: Call
) -> None:
    first, second = await saved(call, {"n": 1}, {"n": 2})

    answer = await call("rollback_state", to=1)

    assert (answer["revision"], answer["restored"]) == (3, 1)
    assert await loaded(call) == {"n": 1}
    assert (await call("load_state"))["restored"] == first
    assert await loaded(call, revision=2) == {"n": 2}
    new = await app.store.get(State, UUID(answer["id"]))
    assert new is not None
    assert (new.parent_id, new.restored_id) == (UUID(second), UUID(first))


async def test_a_rollback_that_names_no_revision_goes_to_the_last_checkpoint(call: Call) -> None:
    await saved(call, {"n": 1}, {"n": 2}, {"n": 3})
    await call("checkpoint_state", label="a", revision=2)
    await call("checkpoint_state", label="b", revision=1)

    assert (await call("rollback_state"))["restored"] == 1
    assert (await call("rollback_state", to="a"))["restored"] == 2


async def test_a_rollback_may_insist_on_what_was_read(call: Call) -> None:
    await saved(call, {"n": 1}, {"n": 2}, {"n": 3})

    with pytest.raises(Outdated) as refused:
        await call("rollback_state", to=1, read=2)

    assert refused.value.current["revision"] == 3
    assert (await call("rollback_state", to=1, read=3))["revision"] == 4


async def test_what_cannot_be_rolled_back_is_refused(call: Call) -> None:
    with pytest.raises(NotFound, match="`agent` has no state yet"):
        await call("rollback_state", to=1)
    await saved(call, {"n": 1}, {"n": 2})
    with pytest.raises(NotFound, match="`agent` has no checkpoint: name a revision"):
        await call("rollback_state")
    with pytest.raises(InvalidInput, match="`agent` is at revision 2: nothing is to be undone"):
        await call("rollback_state", to=2)

    assert (await call("load_state"))["revision"] == 2


async def test_a_label_names_the_current_revision_and_can_be_given_anew(call: Call) -> None:
    await saved(call, {"n": 1})
    first = await call("checkpoint_state", label="good")
    await call("save_state", state={"n": 2}, read=1)
    moved = await call("checkpoint_state", label="good")
    again = await call("checkpoint_state", label="good")
    back = await call("checkpoint_state", label="good", revision=1)

    assert first == {"agent": "agent", "label": "good", "revision": 1}
    assert moved == {"agent": "agent", "label": "good", "revision": 2, "was": 1}
    assert again == {"agent": "agent", "label": "good", "revision": 2}
    assert back == {"agent": "agent", "label": "good", "revision": 1, "was": 2}
    assert (await call("load_state"))["checkpoints"] == [{"label": "good", "revision": 1}]
    assert await loaded(call, revision="good") == {"n": 1}


async def test_checkpoints_are_listed_with_the_current_state_the_latest_first(call: Call) -> None:
    await saved(call, {"n": 1}, {"n": 2})
    for number in range(12):
        await call("checkpoint_state", label=f"l{number}", revision=1 + number % 2)

    now, before = await call("load_state"), await call("load_state", revision=1)

    assert now["checkpoints"][:2] == [
        {"label": "l11", "revision": 2},
        {"label": "l10", "revision": 1},
    ]
    assert len(now["checkpoints"]) == 10
    assert "checkpoints" not in before


@pytest.mark.parametrize("label", ["12", "٢", SOMEBODY, SOMEBODY.replace("-", "")])
async def test_a_label_that_could_be_a_revision_is_refused(call: Call, label: str) -> None:
    await saved(call, {"n": 1})

    with pytest.raises(InvalidInput, match="`label` is a number or an id, as revisions have"):
        await call("checkpoint_state", label=label)


async def test_where_there_is_no_state_there_is_nothing_to_name(call: Call) -> None:
    with pytest.raises(NotFound, match="`agent` has no state yet"):
        await call("checkpoint_state", label="good")
    with pytest.raises(NotFound, match="`agent` has no revision or checkpoint `1`"):
        await call("checkpoint_state", label="good", revision=1)
