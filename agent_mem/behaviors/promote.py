"""Make of the weightiest insights of all agents what everybody knows: memories, by topic."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.behaviors.action import Outcome, Params, Task
from agent_mem.records.fields import Share
from agent_mem.records.insight import Insight
from agent_mem.records.memory import Memory
from agent_mem.records.record import named_id
from agent_mem.records.signature import signature
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode

MOST_TAGS = 50
SHARED = "shared"
"""The tag of what was promoted; the agents that found it are tags, too."""


class Promotion(Params):
    """What of the insights is promoted."""

    top: Annotated[int, Field(ge=1, le=200)] = 20
    """How many at most."""
    least: Share = 0.6
    """From this relevance on."""


async def promote(app: App, task: Task) -> Outcome:
    """Promote what is not promoted yet; run again, it finds nothing more to do."""
    params = Promotion.model_validate(task.params.model_dump())
    asked = {
        "least": params.least,
        "since": task.since,
        "project": params.project,
        "limit": params.top,
    }

    def promoting() -> Transaction[dict[str, list[str]]]:
        topics: dict[str, list[str]] = {}
        for row in (yield app.store.query("insights.promotable", **asked)):
            insight = decode(Insight, row)
            key = yield from promoted(app, insight)
            yield from app.store.saving(insight.model_copy(update={"promoted_to": key}))
            known = topics.setdefault(insight.topic, [])
            known += [] if str(key) in known else [str(key)]
        return topics

    topics = await app.store.engine.write(promoting())
    return Outcome({"promoted": sum(map(len, topics.values())), "topics": topics}, [])


def promoted(app: App, insight: Insight) -> Transaction[UUID]:
    """Write an insight as a memory, or as one more source of what is known already."""
    new = memory_of(app, insight)
    before = yield from known(app, new)
    if before is None:
        yield from app.store.saving(new)
        return new.id
    if not before.deleted_at and not before.superseded_by:  # or it was forgotten, or corrected
        yield from app.store.saving(merged(before, new))
    return before.id


def known(app: App, new: Memory) -> Transaction[Memory | None]:
    """Look for what says the same: what was promoted before, or what an agent has remembered."""
    before = yield from app.store.getting(Memory, new.id, forgotten=True)
    if before:
        return before
    rows = yield app.store.query("memories.same", content_hash=new.content_hash)
    return next((decode(Memory, row) for row in rows), None)


def memory_of(app: App, insight: Insight) -> Memory:
    same = signature(insight.content)
    new = Memory(
        id=named_id("promoted", app.store.owner, insight.project or "", insight.topic, same),
        agent_name=insight.agent_name,
        project=insight.project,
        topic=insight.topic,
        kind="knowledge",
        content=insight.content,
        relevance=insight.relevance,
        tags=[SHARED, insight.agent_name],
        source_ids=[str(insight.id)],
    )
    return new.model_copy(update={"content_hash": new.fingerprint()})


def merged(before: Memory, new: Memory) -> Memory:
    """Add a source to what is known; its words stay, and so does its topic if it has one."""
    sources = [*before.source_ids, *(s for s in new.source_ids if s not in before.source_ids)]
    tags = [*before.tags, *(tag for tag in new.tags if tag not in before.tags)]
    return before.model_copy(
        update={
            "source_ids": sources,
            "tags": tags[:MOST_TAGS],
            "topic": before.topic or new.topic,
            "relevance": max(before.relevance, new.relevance),
            "reinforced": before.reinforced + len(sources) - len(before.source_ids),
        }
    )
