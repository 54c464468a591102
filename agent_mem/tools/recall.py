from collections.abc import Iterator
from typing import Annotated, get_args
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.errors import InvalidInput
from agent_mem.recall.budget import Budget, tokens
from agent_mem.recall.search import Found, Request, Results
from agent_mem.records import FINDABLE
from agent_mem.records.fields import MAX_CONTENT, Moment, Name, Names
from agent_mem.records.memory import MemoryKind
from agent_mem.tools.memories import excerpt
from agent_mem.tools.scope import Project
from agent_mem.tools.tool import Result, shown

LONGEST = 500
"""Characters of a hit's text; a longer record shows the passage that was found."""
ENVELOPE = 55
"""Tokens kept for the answer's own frame."""
KINDS = (*FINDABLE, *get_args(MemoryKind))


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
            description="memory, event, decision, pattern, solution, work, insight, snapshot, or a"
            " memory's kind"
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
        kinds=known(kinds or []),
        topic=topic,
        agent=agent,
        project=app.where(project),
        since=since,
        until=until,
        as_of=as_of,
        limit=limit,
    )
    return answer(await app.finder.search(request), max_tokens)


def answer(results: Results, max_tokens: int) -> Recalled:
    """Show as many hits as fit, and say what was left out, or not searched."""
    trouble = results.trouble or ""
    if tokens(trouble) > max_tokens // 2:  # it names a file whose path is very long
        trouble = excerpt(trouble)
    budget = Budget(max_tokens - ENVELOPE - tokens(trouble))
    hits = [hit for found in results.hits for hit in fitted(hit_of(found), budget)]
    left_out = len(results.hits) - len(hits)
    return Recalled(hits=hits, left_out=left_out or None, note=note(hits, left_out, trouble))


def known(kinds: list[str]) -> tuple[str, ...]:
    """Check the names of kinds.

    Raises:
        InvalidInput: there is no such kind.
    """
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise InvalidInput(f"There is no kind `{unknown[0]}`; there are {', '.join(KINDS)}.")
    return tuple(kinds)


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


def fitted(hit: Hit, budget: Budget) -> Iterator[Hit]:
    """Show a hit whole if the budget allows, else its beginning, else not at all."""
    short = hit.model_copy(update={"text": excerpt(hit.text), "more": None})
    for form in (hit, short):
        if budget.take(shown(form)):
            yield form
            return


def note(hits: list[Hit], left_out: int, trouble: str) -> str | None:
    """Say what the hits do not: what was cut or left out, and what was not searched."""
    said = [trouble] if trouble else []
    if left_out or any(hit.text.endswith("…") for hit in hits):
        said.append("Raise max_tokens. What ends in … is whole at memory://item/{id}.")
    elif not hits:
        said.append("Nothing found. Try other words, or fewer filters.")
    return " ".join(said) or None
