"""What is remembered, corrected, repeated and forgotten."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from conftest import Call

from agent_mem.app import App
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.memory import Memory
from agent_mem.records.record import now

pytestmark = pytest.mark.anyio

CITIES = ("Lisbon", "Oslo", "Quito", "Hanoi", "Cairo", "Perth", "Lagos", "Osaka", "Turin", "Basel")


async def texts(call: Call, query: str, **filters: object) -> list[str]:
    return [hit["text"] for hit in (await call("recall", query=query, **filters)).get("hits", [])]


async def stored(app: App, key: str) -> Memory:
    memory = await app.store.get(Memory, UUID(key))
    assert memory
    return memory


async def test_a_memory_keeps_all_that_was_said_about_it(app: App, call: Call) -> None:
    done = await call(
        "remember",
        content="Ana moved the service to port 5433.",
        topic="ports",
        kind="system_state",
        subject="Ana",
        occurred_at="2026-05-01T14:30:00+02:00",
        session="monday",
        relevance=0.9,
        tags=["infra"],
        agent="builder",
        project="shop",
    )

    memory = await stored(app, done["id"])
    assert done["status"] == "new"
    assert (
        memory.model_dump(mode="json", exclude_defaults=True).items()
        >= {
            "content": "Ana moved the service to port 5433.",
            "topic": "ports",
            "kind": "system_state",
            "subject": "Ana",
            "occurred_at": "2026-05-01T12:30:00Z",
            "relevance": 0.9,
            "agent_name": "builder",
            "project": "shop",
        }.items()
    )
    assert memory.tags == ["infra"]
    assert memory.session_id


async def test_a_memory_is_written_under_the_settings_agent_and_no_project(
    app: App, call: Call
) -> None:
    done = await call("remember", content="Tea is served at four.")

    memory = await stored(app, done["id"])
    assert (memory.agent_name, memory.project, memory.session_id) == ("agent", None, None)


async def test_the_same_content_again_reinforces_the_memory(app: App, call: Call) -> None:
    first = await call("remember", content="The port is 5433.", relevance=0.4)
    again = await call("remember", content="  The port is\n5433. ", relevance=0.8)
    third = await call("remember", content="The port is 5433.", relevance=0.1)

    assert again == {"id": first["id"], "status": "reinforced"}
    assert third["status"] == "reinforced"
    memory = await stored(app, first["id"])
    assert (memory.reinforced, memory.relevance) == (2, 0.8)
    assert await texts(call, "port") == ["The port is 5433."]


async def test_what_is_said_again_for_longer_is_kept_for_longer(app: App, call: Call) -> None:
    done = await call("remember", content="The tunnel is open.", expires_in=1)
    await call("remember", content="The tunnel is open.", expires_in=10)
    longer = (await stored(app, done["id"])).expires_at
    await call("remember", content="The tunnel is open.", expires_in=2)
    as_long = (await stored(app, done["id"])).expires_at
    await call("remember", content="The tunnel is open.")

    assert longer
    assert timedelta(days=9) < longer - now() <= timedelta(days=10)
    assert as_long == longer
    assert (await stored(app, done["id"])).expires_at is None


@pytest.mark.parametrize(
    "difference",
    [{"project": "shop"}, {"subject": "Ana"}, {"occurred_at": "2026-05-01"}],
    ids=lambda difference: next(iter(difference)),
)
async def test_the_same_words_about_something_else_are_another_memory(
    call: Call, difference: dict[str, str]
) -> None:
    first = await call("remember", content="The build is green.")
    other = await call("remember", content="The build is green.", **difference)

    assert other["status"] == "new"
    assert other["similar"] == [{"id": first["id"], "text": "The build is green."}]


async def test_a_near_duplicate_is_kept_and_named(call: Call) -> None:
    first = await call("remember", content="Deploys of the shop run on Tuesday at noon.")
    other = await call("remember", content="Deploys of the shop run on Tuesday at midnight.")
    await call("remember", content="Ana prefers dark chocolate.")

    assert other["status"] == "new"
    assert other["similar"] == [
        {"id": first["id"], "text": "Deploys of the shop run on Tuesday at noon."}
    ]
    assert len(await texts(call, "deploys of the shop")) == 2


async def test_a_long_near_duplicate_is_named_once_by_its_beginning(call: Call) -> None:
    long = " ".join(f"The server of {city} answers on port {n}." for n, city in enumerate(CITIES))
    assert len(long) > 320
    first = await call("remember", content=long)

    other = await call("remember", content=long.replace("port 0", "socket 0"))

    assert [near["id"] for near in other["similar"]] == [first["id"]]
    assert len(other["similar"][0]["text"]) <= 120
    assert other["similar"][0]["text"].endswith("…")


async def test_a_part_of_a_long_memory_is_not_a_near_duplicate_of_it(call: Call) -> None:
    short = "The server of Lisbon answers on port 0."
    await call("remember", content=short)
    rest = [f"The server of {city} answers on port {n}." for n, city in enumerate(CITIES)]

    assert "similar" not in await call("remember", content=" ".join(rest))


async def test_what_has_no_words_resembles_nothing(call: Call) -> None:
    await call("remember", content="!!!")

    assert (await call("remember", content="???")).keys() == {"id", "status"}


async def test_a_correction_supersedes_and_keeps_the_history(app: App, call: Call) -> None:
    old = await call("remember", content="The port is 5432.", occurred_at="2026-01-10")
    new = await call(
        "remember",
        content="The port is 5433.",
        occurred_at="2026-03-01",
        supersedes=old["id"],
    )

    assert new["status"] == "correction"
    assert "similar" not in new
    assert await texts(call, "port") == ["The port is 5433."]
    assert await texts(call, "port", as_of="2026-02-01") == ["The port is 5432."]
    assert await texts(call, "port", as_of="2026-03-02") == ["The port is 5433."]
    assert await texts(call, "port", as_of="2026-01-01") == []
    before = await stored(app, old["id"])
    assert str(before.superseded_by) == new["id"]
    assert before.content == "The port is 5432."
    (hit,) = (await call("recall", query="port", as_of="2026-02-01"))["hits"]
    assert hit["until"] == "2026-03-01 00:00"


async def test_a_correction_without_a_time_holds_from_now(app: App, call: Call) -> None:
    old = await call("remember", content="The port is 5432.")
    new = await call("remember", content="The port is 5433.", supersedes=old["id"])

    before, after = await stored(app, old["id"]), await stored(app, new["id"])
    assert before.valid_until == after.valid_from == after.created_at


async def test_what_was_corrected_is_not_reinforced(call: Call) -> None:
    old = await call("remember", content="The port is 5432.")
    await call("remember", content="The port is 5433.", supersedes=old["id"])

    assert (await call("remember", content="The port is 5432."))["status"] == "new"


async def test_only_the_latest_can_be_corrected(call: Call) -> None:
    old = await call("remember", content="The port is 5432.")
    new = await call("remember", content="The port is 5433.", supersedes=old["id"])

    with pytest.raises(InvalidInput) as refused:
        await call("remember", content="The port is 5434.", supersedes=old["id"])

    assert str(refused.value) == (
        f"Memory `{old['id']}` was corrected already: correct `{new['id']}`."
    )
    assert await texts(call, "port") == ["The port is 5433."]


async def test_a_correction_of_nothing_is_refused_and_not_written(call: Call) -> None:
    nobody = str(uuid4())

    with pytest.raises(NotFound) as refused:
        await call("remember", content="The port is 5434.", session="s", supersedes=nobody)
    with pytest.raises(NotFound) as misspelt:
        await call("remember", content="The port is 5434.", supersedes="the old one")

    assert str(refused.value) == f"There is no memory `{nobody}` to correct: recall gives the ids."
    assert str(misspelt.value) == "There is no memory `the old one`: an id has 36 characters."
    assert await texts(call, "port") == []


async def test_a_retry_with_the_same_key_changes_nothing(app: App, call: Call) -> None:
    first = await call("remember", content="Tea is at four.", key="tea-1")
    again = await call("remember", content="Tea is at four.", key="tea-1")

    assert again == {"id": first["id"], "status": "repeated"}
    assert (await stored(app, first["id"])).reinforced == 0


async def test_a_retry_of_a_reinforcement_counts_once(app: App, call: Call) -> None:
    first = await call("remember", content="Tea is at four.")
    second = await call("remember", content="Tea is at four.", key="tea-1")
    again = await call("remember", content="Tea is at four.", key="tea-1")
    other = await call("remember", content="Tea is at four.", key="tea-2")

    assert [second["status"], again["status"], other["status"]] == [
        "reinforced",
        "repeated",
        "reinforced",
    ]
    assert again["id"] == first["id"]
    assert (await stored(app, first["id"])).reinforced == 2


async def test_a_retry_of_a_correction_is_not_refused(call: Call) -> None:
    old = await call("remember", content="Tea is at four.")
    new = await call("remember", content="Tea is at five.", supersedes=old["id"], key="fix")
    again = await call("remember", content="Tea is at five.", supersedes=old["id"], key="fix")

    assert again == {"id": new["id"], "status": "repeated"}


async def test_a_key_that_was_used_for_something_else_is_refused(call: Call) -> None:
    first = await call("remember", content="Tea is at four.", key="tea")

    with pytest.raises(InvalidInput) as refused:
        await call("remember", content="Coffee is at ten.", key="tea")

    assert str(refused.value) == (
        f"This key was used for another memory, `{first['id']}`: use a new one."
    )


async def test_what_expired_is_not_found(app: App, call: Call) -> None:
    kept = await call("remember", content="The tunnel is open.", expires_in=2)
    memory = await stored(app, kept["id"])
    assert await texts(call, "tunnel") == ["The tunnel is open."]

    await app.store.put(memory.model_copy(update={"expires_at": now()}))

    assert await texts(call, "tunnel") == []
    assert await texts(call, "") == []


async def test_a_project_sees_its_own_memories_and_those_of_everywhere(call: Call) -> None:
    await call("remember", content="The shop sells tea.", project="shop")
    await call("remember", content="The bank sells loans.", project="bank")
    await call("remember", content="The sun sells nothing.", project="*")

    assert sorted(await texts(call, "sells", project="shop")) == [
        "The shop sells tea.",
        "The sun sells nothing.",
    ]
    assert len(await texts(call, "sells", project="*")) == 3
    assert len(await texts(call, "sells")) == 3


async def test_what_is_forgotten_is_not_found_until_it_is_brought_back(call: Call) -> None:
    kept = await call("remember", content="The alarm code is 1234.", topic="codes")

    gone = await call("forget", id=kept["id"])
    hidden = await texts(call, "alarm")
    back = await call("forget", id=kept["id"], undo=True)

    assert gone == {
        "count": 1,
        "forgotten": [{"id": kept["id"], "text": "The alarm code is 1234."}],
    }
    assert hidden == []
    assert back == {
        "count": 1,
        "restored": [{"id": kept["id"], "text": "The alarm code is 1234."}],
    }
    assert await texts(call, "alarm") == ["The alarm code is 1234."]


async def test_a_topic_is_forgotten_and_brought_back_whole(call: Call) -> None:
    for n in range(60):
        await call("remember", content=f"Fact number {n} of the trip.", topic="trip")
    other = await call("remember", content="A fact of the house.", topic="house")

    gone = await call("forget", topic="trip")

    assert (gone["count"], len(gone["forgotten"])) == (60, 50)
    assert [hit["id"] for hit in (await call("recall", query="fact"))["hits"]] == [other["id"]]
    assert (await call("forget", topic="trip", undo=True))["count"] == 60
    assert len(await texts(call, "fact", limit=50, topic="trip", max_tokens=20_000)) == 50


async def test_an_event_and_a_decision_can_be_forgotten_too(call: Call) -> None:
    event = await call("log_event", type="error", content="Disk full on db1.")
    decision = await call("log_decision", question="Which disk for db1?", selected=["NVMe"])

    await call("forget", id=event["id"])
    await call("forget", id=decision["id"])

    assert await texts(call, "disk db1") == []


async def test_nothing_comes_back_after_thirty_days(app: App, call: Call) -> None:
    kept = await call("remember", content="The alarm code is 1234.")
    memory = await stored(app, kept["id"])
    long_ago = now() - timedelta(days=30, minutes=1)
    await app.store.put(memory.model_copy(update={"deleted_at": long_ago}))

    with pytest.raises(NotFound) as refused:
        await call("forget", id=kept["id"], undo=True)
    await app.store.put(memory.model_copy(update={"deleted_at": long_ago + timedelta(minutes=2)}))

    assert str(refused.value) == (
        f"Nothing with the id `{kept['id']}` was forgotten in the last 30 days."
    )
    assert (await call("forget", id=kept["id"], undo=True))["count"] == 1


async def test_what_is_not_there_cannot_be_forgotten(call: Call) -> None:
    nobody = str(uuid4())

    with pytest.raises(NotFound) as by_id:
        await call("forget", id=nobody)
    with pytest.raises(NotFound) as by_topic:
        await call("forget", topic="nothing")
    with pytest.raises(NotFound) as undone:
        await call("forget", topic="nothing", undo=True)

    assert str(by_id.value) == (
        f"There is nothing with the id `{nobody}`: recall gives ids and topics."
    )
    assert str(by_topic.value) == (
        "There is nothing under the topic `nothing`: recall gives ids and topics."
    )
    assert str(undone.value) == (
        "Nothing under the topic `nothing` was forgotten in the last 30 days."
    )


@pytest.mark.parametrize(
    "arguments", [{}, {"id": str(uuid4()), "topic": "x"}], ids=["none", "both"]
)
async def test_forget_wants_an_id_or_a_topic(call: Call, arguments: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        await call("forget", **arguments)

    assert str(refused.value) == "forget needs either `id` or `topic`, and not both."


async def test_a_fact_that_was_wrong_from_the_start_is_found_as_of_before_its_correction(
    call: Call,
) -> None:
    old = await call("remember", content="Staging listens on port 8080.")
    between = now()
    await call(
        "remember",
        content="Staging listens on port 8443.",
        occurred_at="2020-01-13",
        supersedes=old["id"],
    )

    then = await call("recall", query="staging port", as_of=between.isoformat())
    today = await call("recall", query="staging port")

    assert old["id"] in {hit["id"] for hit in then["hits"]}
    assert old["id"] not in {hit["id"] for hit in today["hits"]}


async def test_forgetting_a_correction_makes_the_corrected_the_last_word_again(call: Call) -> None:
    old = await call("remember", content="The kite is red.")
    new = await call("remember", content="The kite is blue.", supersedes=old["id"])

    async def kites() -> set[str]:
        return {hit["text"] for hit in (await call("recall", query="kite"))["hits"]}

    assert await kites() == {"The kite is blue."}
    await call("forget", id=new["id"])
    assert await kites() == {"The kite is red."}
    await call("forget", id=new["id"], undo=True)
    assert await kites() == {"The kite is blue."}


async def test_what_differs_in_case_is_another_memory(call: Call) -> None:
    one = await call("remember", content="The images are in /srv/Data.")
    other = await call("remember", content="The images are in /srv/data.")

    assert other["status"] == "new"
    assert other["similar"][0]["id"] == one["id"]


async def test_reinforcing_adds_the_topic_and_tags_that_were_missing(app: App, call: Call) -> None:
    first = await call("remember", content="Tea is at four.", tags=["tea"])
    await call("remember", content="Tea is at four.", topic="house", tags=["tea", "time"])

    memory = await stored(app, first["id"])
    assert (memory.topic, memory.tags) == ("house", ["tea", "time"])


async def test_a_topic_is_forgotten_in_its_project_alone(call: Call) -> None:
    await call("remember", content="A deploys on Monday.", topic="deploy", project="a")
    kept = await call("remember", content="B deploys on Friday.", topic="deploy", project="b")

    gone = await call("forget", topic="deploy", project="a")

    assert gone["count"] == 1
    found = await call("recall", query="deploys", project="*")
    assert [hit["id"] for hit in found["hits"]] == [kept["id"]]


async def test_a_key_does_not_overwrite_what_was_forgotten(call: Call) -> None:
    first = await call("remember", content="Alpha.", key="k")
    await call("forget", id=first["id"])

    with pytest.raises(InvalidInput, match="This key was used for another memory"):
        await call("remember", content="Beta.", key="k")
    again = await call("remember", content="Alpha.", key="k")

    assert again == {"id": first["id"], "status": "repeated"}
    assert (await call("recall", query="alpha"))["hits"][0]["id"] == first["id"]


async def test_what_had_expired_stays_when_it_is_brought_back(app: App, call: Call) -> None:
    memory = Memory(agent_name="a", content="Tea.", expires_at=now() - timedelta(days=1))
    await app.store.put(memory)
    await call("run_behavior", name="prune")

    await call("forget", id=str(memory.id), undo=True)

    assert (await call("recall", query="tea"))["hits"][0]["id"] == str(memory.id)


async def test_a_correction_that_comes_back_leaves_a_later_one_as_it_is(call: Call) -> None:
    old = await call("remember", content="The kite is red.")
    blue = await call("remember", content="The kite is blue.", supersedes=old["id"])
    await call("forget", id=blue["id"])
    await call("remember", content="The kite is green.", supersedes=old["id"])

    for undo, kites in ((True, {"blue", "green"}), (False, {"green"})):
        await call("forget", id=blue["id"], undo=undo)

        hits = (await call("recall", query="kite"))["hits"]
        assert {hit["text"].split()[-1].strip(".") for hit in hits} == kites
