from typing import Annotated
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.recall.budget import Budget
from agent_mem.recall.search import Found, Request, search
from agent_mem.records.fields import MAX_CONTENT, Moment, Name, Names
from agent_mem.tools.scope import Project, project_of
from agent_mem.tools.tool import Result, shown

LONGEST = 500
"""Characters of a hit's text; a longer record shows the passage that was found."""
ENVELOPE = 60
"""Tokens kept for the answer's own frame."""


class Hit(Result):
    id: UUID
    kind: str
    when: str
    who: str | None
    topic: str | None
    text: str
    why: str
    alike: int | None
    until: str | None
    more: str | None


class Recalled(Result):
    hits: list[Hit]
    left_out: int | None = None
    note: str | None = None


async def recall(
    app: App,
    *,
    query: Annotated[str, Field(max_length=MAX_CONTENT, description="A question or words")],
    kinds: Annotated[
        Names | None,
        Field(
            description="memory, event, decision, solution, insight, snapshot, or a memory's kind"
        ),
    ] = None,
    topic: Name | None = None,
    agent: Annotated[Name | None, Field(description="Only what this agent wrote")] = None,
    project: Project = None,
    since: Annotated[Moment | None, Field(description="ISO 8601")] = None,
    until: Moment | None = None,
    as_of: Annotated[Moment | None, Field(description="What was valid then")] = None,
    limit: Annotated[int, Field(ge=1, le=50)] = 10,
    max_tokens: Annotated[int, Field(ge=200, le=20_000)] = 800,
) -> Recalled:
    """Recall what was remembered, logged or decided before. Call it before you answer or act.

    Ask in plain words, with names and times ("when did Ana move to the new port?"). "Quoted"
    words must stand together, -word excludes. An empty query gives the latest.
    """
    request = Request(
        query=query,
        kinds=tuple(kinds or ()),
        topic=topic,
        agent=agent,
        project=project_of(app, project),
        since=since,
        until=until,
        as_of=as_of,
        limit=limit,
    )
    results = await search(app.store, request)
    budget = Budget(max_tokens - ENVELOPE)
    hits = [hit for hit in map(hit_of, results.hits) if budget.take(shown(hit))]
    return Recalled(hits=hits, left_out=budget.left_out or None, note=note(results.hits, budget))


def hit_of(found: Found) -> Hit:
    """Say of a record what a model should read."""
    about = found.about
    long = len(about.text) > LONGEST
    return Hit(
        id=found.record.id,
        kind=about.kind or found.record.KIND,
        when=about.at.strftime("%Y-%m-%d %H:%M"),
        who=about.subject or about.agent_name,
        topic=about.topic,
        text=found.passage if long else about.text,
        why="; ".join(found.why),
        alike=found.alike or None,
        until=about.valid_until.strftime("%Y-%m-%d %H:%M") if about.valid_until else None,
        more=f"memory://item/{found.record.id}" if long else None,
    )


def note(hits: list[Found], budget: Budget) -> str | None:
    if not hits:
        return "Nothing found. Try other words, or fewer filters."
    if budget.left_out:
        return "Raise max_tokens, or read memory://item/{id}."
    return None
