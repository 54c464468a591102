"""States on several machines: what was written apart is kept, and one of it is current on all."""

import random
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from conftest import Call, calling
from helpers_sync import clock, machine, settle, sync

from agent_mem.app import App
from agent_mem.errors import InvalidInput, Outdated

pytestmark = pytest.mark.anyio

LOST = "What is under `lost` was written at the same time on another machine"
STEPS = 40
BEHIND = -120
"""Seconds by which one machine's clock is wrong."""


@pytest.fixture
async def three(tmp_path: Path, server_url: str) -> AsyncGenerator[list[App]]:
    async with AsyncExitStack() as opened:
        folders = (tmp_path / name for name in ("one", "two", "three"))
        yield [await opened.enter_async_context(machine(f, server_url)) for f in folders]


async def saved(app: App, state: dict[str, Any], read: object = None) -> dict[str, Any]:
    """Save the team's state upon the current one, or what is said."""
    seen = await load(app)
    given = read or seen.get("id")
    more = {"read": given} if given else {}
    return await calling(app)("save_state", state=state, agent="team", **more)


async def load(app: App, **which: object) -> dict[str, Any]:
    return await calling(app)("load_state", agent="team", **which)


async def refused(call: Call, **arguments: object) -> Outdated:
    with pytest.raises(Outdated) as error:
        await call("save_state", agent="team", **arguments)
    return error.value


async def test_what_one_machine_saves_the_other_goes_on_from(one: App, two: App) -> None:
    await saved(one, {"n": 1})
    await settle(one, two)
    mine = await load(two)
    await saved(two, {"n": 2}, mine["revision"])
    await settle(two, one)

    stale = await refused(calling(one), state={"n": 9}, read=1)

    assert stale.current["revision"] == 2
    assert (await load(one))["state"] == {"n": 2}
    assert "lost" not in await load(one)


async def test_of_two_revisions_of_one_number_the_later_is_current_and_the_other_is_found(
    one: App, two: App
) -> None:
    await saved(one, {"n": 1})
    await settle(one, two)
    early = await saved(one, {"by": "one"})
    late = await saved(two, {"by": "two"})
    assert early["revision"] == late["revision"] == 2
    await settle(two, one)

    for app in (one, two):
        now = await load(app)
        assert (now["id"], now["state"]) == (late["id"], {"by": "two"})
        assert now["lost"] == [{"revision": 2, "id": early["id"]}]
        assert now["note"].startswith(LOST)
        assert (await load(app, revision=early["id"]))["state"] == {"by": "one"}
        changes = (await load(app, compare=early["id"]))["changes"]
        assert changes == [{"path": "/by", "was": "one", "now": "two"}]


async def test_a_number_that_two_machines_gave_does_not_say_what_was_read(
    one: App, two: App
) -> None:
    """Whoever read the losing revision 2 has not read the one that won."""
    await saved(one, {"n": 1})
    await settle(one, two)
    early = await saved(one, {"by": "one"})
    late = await saved(two, {"by": "two"})
    await settle(two, one)

    unclear = await refused(calling(one), state={"n": 3}, read=2)
    stale = await refused(calling(one), state={"n": 3}, read=early["id"])
    with pytest.raises(InvalidInput, match="`team` has several revisions 2: name one by its id"):
        await load(one, revision=2)
    merged = await saved(one, {"by": "both"}, late["id"])

    assert f"read it by its id {late['id']}" in str(unclear)
    assert (
        unclear.current
        == stale.current
        == {
            "revision": 2,
            "id": late["id"],
            "state": {"by": "two"},
        }
    )
    assert merged["revision"] == 3


async def test_the_longer_line_is_current_though_the_other_was_written_later(
    one: App, two: App
) -> None:
    """A number once given is never given back: it would count two states."""
    with clock(BEHIND):
        for n in (1, 2, 3):
            await saved(one, {"one": n})
    late = await saved(two, {"two": 1})
    await settle(one, two)

    for app in (one, two):
        now = await load(app)
        assert (now["revision"], now["state"]) == (3, {"one": 3})
        assert now["lost"] == [{"revision": 1, "id": late["id"]}]
    assert (await saved(two, {"both": 1}))["revision"] == 4


async def test_a_checkpoint_and_a_rollback_hold_on_the_other_machine(one: App, two: App) -> None:
    await saved(one, {"n": 1})
    await calling(one)("checkpoint_state", label="good", agent="team")
    await saved(one, {"n": 2})
    await settle(one, two)

    back = await calling(two)("rollback_state", to="good", agent="team")
    await settle(two, one)

    assert (back["revision"], back["restored"]) == (3, 1)
    assert (await load(one))["state"] == {"n": 1}
    assert (await load(one, revision=2))["state"] == {"n": 2}


async def test_of_a_label_given_on_two_machines_the_later_holds_on_both(one: App, two: App) -> None:
    for n in (1, 2):
        await saved(one, {"n": n})
    await settle(one, two)
    for app, revision in ((one, 1), (two, 2)):
        await calling(app)("checkpoint_state", label="good", revision=revision, agent="team")
    await settle(two, one)

    for app in (one, two):
        assert (await load(app))["checkpoints"] == [{"label": "good", "revision": 2}]


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_written_apart_all_agree_on_one_state_and_nothing_is_lost(
    three: list[App], seed: int
) -> None:
    """The clocks are wrong, and machines sync now and then."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    written: dict[str, dict[str, Any]] = {}
    for step in range(STEPS):
        number = rng.randrange(3)
        app = three[number]
        if rng.random() < 0.3:
            await sync(app)
            continue
        with clock((0, BEHIND, 90)[number]):
            answer = await saved(app, {"step": step, "by": number})
        written[answer["id"]] = {"step": step, "by": number}
    await settle(*three)

    heads = [await load(app) for app in three]
    assert heads[0] == heads[1] == heads[2]
    assert heads[0]["state"] == written[heads[0]["id"]]
    for app in three:
        for key, state in written.items():
            assert (await load(app, revision=key))["state"] == state
        rows = [
            (await app.store.rows("agent_state.numbered", agent="team", revision=number))
            for number in range(1, heads[0]["revision"] + 2)
        ]
        assert all(rows[:-1])
        assert not rows[-1]
        assert sum(len(row) for row in rows) == len(written)
    assert len(written) > heads[0]["revision"]  # else nothing was written apart
