"""Turn short-term memory into long-term memory: events into memories that name their sources."""

from collections import defaultdict
from uuid import UUID

from agent_mem.app import App
from agent_mem.behaviors.action import Outcome, Task, events
from agent_mem.records.event import Event
from agent_mem.records.fields import MAX_CONTENT
from agent_mem.records.memory import Memory, MemoryKind
from agent_mem.records.record import named_id
from agent_mem.records.signature import signature
from agent_mem.storage.statements import Transaction

IMPORTANT = 0.6
"""From this importance on, a single event is kept."""
LISTED = 100
"""Memories that a run names; it counts the rest."""
MOST_TAGS = 50
REPEATS = 2
"""A lesser one is kept when it happens this often."""
KINDS: dict[str, MemoryKind] = {"error": "error", "result": "result", "plan": "plan"}


async def consolidate(app: App, task: Task) -> Outcome:
    """Keep what was important or came again; the same events give the same memories."""
    groups: defaultdict[tuple[str, str | None, str], list[Event]] = defaultdict(list)
    for event in await events(app, task):
        groups[event.event_type, event.project, signature(event.content)].append(event)
    memories = [summed_up(app, key, group) for key, group in groups.items() if matters(group)]

    def keeping() -> Transaction[list[UUID]]:
        written: list[UUID] = []
        for memory in memories:
            written += yield from kept(app, memory)
        return written

    written = await app.store.engine.write(keeping())
    output = {
        "events": sum(map(len, groups.values())),
        "written": len(written),
        "memories": [str(key) for key in written[:LISTED]],
    }
    return Outcome(output, [])


def matters(group: list[Event]) -> bool:
    return len(group) >= REPEATS or group[-1].importance >= IMPORTANT


def summed_up(app: App, key: tuple[str, str | None, str], group: list[Event]) -> Memory:
    """Make the memory of events that say the same: the last one's words, and how often."""
    kind, project, same = key
    last = group[-1]
    return Memory(
        id=named_id("consolidated", app.store.owner, project or "", kind, same),
        agent_name=last.agent_name,
        project=project,
        session_id=last.session_id,
        topic=kind,
        occurred_at=last.ts,
        kind=KINDS.get(kind, "observation"),
        content=last.content,
        valid_from=group[0].ts,
        relevance=max(event.importance for event in group),
        tags=sorted({tag for event in group for tag in event.tags})[:MOST_TAGS],
        source_ids=[str(event.id) for event in group],
    )


def kept(app: App, memory: Memory) -> Transaction[list[UUID]]:
    """Write a memory, unless it is there with the same sources, was forgotten, or corrected."""
    before = yield from app.store.getting(Memory, memory.id, forgotten=True)
    if before:
        sources = sorted({*before.source_ids, *memory.source_ids})
        settled = before.deleted_at or before.superseded_by
        if settled or sources == sorted(before.source_ids):
            return []
        memory = merged(before, memory).model_copy(update={"source_ids": sources})
    told = counted(memory)
    yield from app.store.saving(told.model_copy(update={"content_hash": told.fingerprint()}))
    return [memory.id]


def merged(before: Memory, memory: Memory) -> Memory:
    """Keep of the earlier memory when it began, its weight and its tags."""
    return memory.model_copy(
        update={
            "created_at": before.created_at,
            "valid_from": min(filter(None, (before.valid_from, memory.valid_from)), default=None),
            "relevance": max(before.relevance, memory.relevance),
            "tags": sorted({*before.tags, *memory.tags})[:MOST_TAGS],
        }
    )


def counted(memory: Memory) -> Memory:
    """Say how often it happened, and since when, where it was more than once."""
    times = len(memory.source_ids)
    often = f" ({times} times since {memory.valid_from:%Y-%m-%d})" if times > 1 else ""
    content = memory.content[: MAX_CONTENT - len(often)] + often
    return memory.model_copy(update={"content": content, "reinforced": times - 1})
