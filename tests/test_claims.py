"""Claims on work: of several agents one gets it, on one file and on several machines."""

import sqlite3
import sys
from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest
from conftest import calling
from helpers_sync import machine, restore, settle
from helpers_wire import Wire, wired

from agent_mem.app import App
from agent_mem.config import Settings
from agent_mem.records.record import now
from agent_mem.records.work import Work, work_signature

pytestmark = pytest.mark.anyio

ROUNDS = 500
ACTION = "Rotate the certificates"
ON = {"AGENT_MEM_TOOLSETS": "work", "AGENT_MEM_EMBEDDER": "none"}


async def answered(wire: Wire, key: int) -> dict[str, Any]:
    result = (await wire.answer(key))["result"]
    assert not result["isError"]
    return result["structuredContent"]


async def test_two_agents_claim_the_same_work_at_the_same_moment_and_one_gets_it(
    env: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    """They have the same name, as two conversations of one client do."""
    wins: Counter[int] = Counter()
    async with wired(env | ON, tmp_path) as one, wired(env | ON, tmp_path) as other:
        pair = [one, other]
        for wire in pair:
            await wire.hello()
        for number in range(ROUNDS):
            first = number % 2  # neither is always the first to be asked
            keys = {
                n: await pair[n].call("check_work", action=f"Review {number}", claim=True)
                for n in (first, 1 - first)
            }
            answers = {n: await answered(pair[n], key) for n, key in keys.items()}
            (winner,) = [n for n, answer in answers.items() if answer["state"] == "claimed"]
            assert answers[1 - winner]["state"] == "taken"
            assert answers[1 - winner]["claim"] == answers[winner]["claim"]
            wins[winner] += 1

    with closing(sqlite3.connect(settings.db)) as file:
        rows = file.execute("SELECT count(*), count(DISTINCT signature) FROM work_history")
        assert rows.fetchone() == (ROUNDS, ROUNDS)
    assert wins.total() == ROUNDS
    assert min(wins[0], wins[1]) > ROUNDS // 20


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
async def test_the_claim_of_a_process_that_was_killed_ends_by_itself(
    env: dict[str, str], tmp_path: Path
) -> None:
    async with wired(env | ON, tmp_path) as other:
        await other.hello()
        async with wired(env | ON, tmp_path) as one:
            await one.hello()
            key = await one.call("check_work", action=ACTION, claim=True, minutes=0.03)
            mine = (await answered(one, key))["claim"]["id"]
            one.process.kill()
            await one.process.wait()
        states: list[str] = []
        with anyio.fail_after(10):
            while "claimed" not in states:
                key = await other.call("check_work", action=ACTION, claim=True)
                answer = await answered(other, key)
                states.append(answer["state"])
                assert (answer["claim"]["id"] == mine) == (answer["state"] == "taken")

    assert states[0] == "taken"
    assert set(states[:-1]) == {"taken"}


def claim(minutes_ago: float, agent: str) -> Work:
    begun = now() - timedelta(minutes=minutes_ago)
    return Work(
        agent_name=agent,
        action=ACTION,
        signature=work_signature(ACTION, {}),
        claimed_at=begun,
        lease_until=begun + timedelta(hours=1),
        hlc=1,
        owner="me",
    )


async def checked(app: App, **more: object) -> dict[str, Any]:
    return await calling(app)("check_work", action=ACTION, **more)


async def test_of_two_machines_that_claimed_apart_the_earlier_keeps_it_and_the_other_is_told(
    tmp_path: Path, server_url: str
) -> None:
    async with (
        machine(tmp_path / "one", server_url, agent="ana") as one,
        machine(tmp_path / "two", server_url, agent="bob") as two,
    ):
        ana = await checked(one, claim=True)
        bob = await checked(two, claim=True)
        assert ana["state"] == bob["state"] == "claimed"
        await settle(two, one)  # the later one comes first

        lost = await checked(two, renew=bob["claim"]["id"])
        kept = await checked(one, renew=ana["claim"]["id"])
        logged = await calling(two)(
            "log_work", action=ACTION, success=True, claim=bob["claim"]["id"]
        )
        await settle(one, two)
        told = await calling(one)("log_work", action=ACTION, success=True)

    assert (lost["state"], lost["claim"]["agent"]) == ("taken", "ana")
    assert lost["claim"]["id"] == ana["claim"]["id"]
    assert kept["state"] == "claimed"
    assert [also["agent"] for also in logged["also"]] == ["ana"]
    assert told["id"] == ana["claim"]["id"]
    assert [also["agent"] for also in told["also"]] == ["bob"]


async def test_the_order_in_which_claims_arrive_does_not_matter(app: App) -> None:
    early, late = claim(20, "ana"), claim(10, "bob")
    for work in (late, early):
        await restore(app, work)

    assert (await checked(app))["claim"]["id"] == str(early.id)


async def test_of_two_claims_of_one_moment_the_smaller_id_has_it(app: App) -> None:
    one = claim(10, "ana")
    later = UUID(int=one.id.int + 1)
    other = one.model_copy(update={"id": later, "agent_name": "bob"})
    for work in (other, one):
        await restore(app, work)

    assert (await checked(app))["claim"]["id"] == str(one.id)


async def test_whoever_lost_does_not_come_after_the_one_who_won(app: App) -> None:
    early, late = claim(20, "ana"), claim(10, "bob")
    for work in (late, early):
        await restore(app, work)

    await checked(app, renew=str(late.id), agent="bob")
    await calling(app)("log_work", action=ACTION, success=False, agent="ana")

    assert (await checked(app))["state"] == "failed"
