"""Resources: memory to read by address (`memory://…`), as JSON."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, unquote
from uuid import UUID

from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)
from pydantic import BaseModel

from agent_mem.app import App
from agent_mem.errors import AgentMemError
from agent_mem.recall.similar import resembling
from agent_mem.records.agent import Agent
from agent_mem.records.decision import Decision
from agent_mem.records.event import Event
from agent_mem.records.memory import Memory
from agent_mem.records.record import Record, agent_uri, now
from agent_mem.records.session import Session
from agent_mem.records.snapshot import Snapshot
from agent_mem.records.state import State
from agent_mem.server import skill_files
from agent_mem.server.cursors import after_of, cursor_of
from agent_mem.server.opening import Opening
from agent_mem.tools.outcomes import outcomes
from agent_mem.tools.scope import session_id
from agent_mem.tools.signals import waiting
from agent_mem.tools.tool import EMPTY

MIME = "application/json"
PAGE = 100
INNER = {"owner", "hlc", "origin", "ver", "schema_v", "extra", "deleted_at", "content_hash"}
"""Columns that are the program's own business."""

Reader = Callable[[App, str], Awaitable[Any]]


def plain(record: BaseModel) -> dict[str, Any]:
    """Show a record without its inner columns and what is empty."""
    shown = record.model_dump(mode="json", exclude=INNER)
    return {name: value for name, value in shown.items() if value not in EMPTY}


async def topics(app: App, _: str) -> list[dict[str, Any]]:
    rows = await app.store.rows("memories.topics", after="", limit=1000)
    return [{**row, "uri": topic_uri(row["topic"])} for row in map(dict, rows)]


async def topic(app: App, name: str) -> list[dict[str, Any]]:
    found = await app.store.find(Memory, "memories.of_topic", topic=name, limit=200)
    if not found:
        raise LookupError
    return [plain(memory) for memory in found]


async def sessions(app: App, _: str) -> list[dict[str, Any]]:
    found = await app.store.find(Session, "sessions.newest", before=now(), limit=PAGE)
    return [{**plain(session), "uri": f"memory://sessions/{session.id}"} for session in found]


async def session(app: App, name: str) -> dict[str, Any]:
    """Show a session with its last snapshot and its events; `latest` is the last one."""
    if name == "latest":
        newest = await app.store.find(Session, "sessions.newest", before=now(), limit=1)
        key = newest[0].id if newest else None
    else:
        key = session_id(app, name)
    found = await app.store.get(Session, key) if key else None
    if found is None:
        raise LookupError
    none = {"agent": None, "project": None}
    snapshots = await app.store.find(
        Snapshot, "context_snapshots.latest", session_id=str(found.id), now=now(), limit=1, **none
    )
    events = await app.store.find(Event, "events.of_session", session_id=found.id, limit=PAGE)
    return {
        "session": plain(found),
        "snapshot": plain(snapshots[0]) if snapshots else None,
        "events": [plain(event) for event in events],
    }


async def decision(app: App, key: str) -> dict[str, Any]:
    """Show a decision, its outcomes, what corrects it, and its chain, each oldest first."""
    chain = await app.store.find(Decision, "decisions.chain", id=id_of(key))
    found = await app.store.get(Decision, id_of(key))
    if found is None:
        raise LookupError
    told = await app.store.engine.read(outcomes(app, found.id))
    corrections = await app.store.find(Decision, "decisions.corrections", id=found.id)
    return {
        "decision": plain(found),
        "outcomes": [plain(outcome) for outcome in told],
        "corrected_by": [plain(d) for d in corrections],
        "chain": [plain(d) for d in chain],
    }


async def agents(app: App, _: str) -> list[dict[str, Any]]:
    found = await app.store.find(Agent, "agents.listed", agent=None, limit=1000)
    return [{**plain(one), "uri": agent_uri(one.agent_name)} for one in found]


async def signals(app: App, name: str) -> list[dict[str, Any]]:
    """Show what waits for an agent, in order; to read it takes nothing away."""
    which = {"agent": name, "type": None, "limit": PAGE}
    return [plain(one) for one in await app.store.engine.read(waiting(app, which))]


async def agent(app: App, name: str) -> dict[str, Any]:
    """Show what is known of an agent: its registration, its state, and what it wrote."""
    registered = await app.store.find(Agent, "agents.listed", agent=name, limit=1)
    states = await app.store.find(State, "agent_state.current", agent=name)
    memories = await app.store.find(Memory, "memories.of_agent", agent=name, limit=PAGE)
    decisions = await app.store.find(
        Decision, "decisions.recent", agent=name, project=None, limit=PAGE
    )
    if not (registered or states or memories or decisions):
        raise LookupError
    return {
        "agent": name,
        "registered": plain(registered[0]) if registered else None,
        "state": plain(states[0]) if states else None,
        "memories": [plain(memory) for memory in memories],
        "decisions": [plain(d) for d in decisions],
    }


async def item(app: App, key: str) -> dict[str, Any]:
    found: list[Record] = await app.store.engine.read(app.store.locating(id_of(key)))
    for record in found:
        if record.deleted_at is None:
            return {"kind": record.KIND, **plain(record), **await similar(app, record)}
    raise LookupError


async def similar(app: App, record: Record) -> dict[str, Any]:
    """Name the memories that say nearly the same as one."""
    if not isinstance(record, Memory):
        return {}
    near = await app.store.engine.read(resembling(app.store, record))
    links = [f"memory://item/{memory.id}" for memory in near if memory.id != record.id]
    return {"similar": links} if links else {}


def id_of(text: str) -> UUID:
    """Read an id in an address."""
    try:
        return UUID(text)
    except ValueError as error:
        raise LookupError(text) from error


def topic_uri(name: str) -> str:
    return f"memory://topics/{quote(name, safe='')}"


READERS: tuple[tuple[str, str, str, Reader], ...] = (
    ("memory://topics", "topics", "All topics, with how much is known of each", topics),
    ("memory://topics/{topic}", "topic", "What is known of a topic", topic),
    ("memory://sessions", "sessions", "The latest sessions", sessions),
    ("memory://sessions/{session_id}", "session", "A session: snapshot and events", session),
    (
        "memory://decisions/{decision_id}",
        "decision",
        "A decision, its outcomes and its chain",
        decision,
    ),
    ("memory://agents", "agents", "The agents that are registered", agents),
    ("memory://agents/{agent}", "agent", "An agent: its state, memories and decisions", agent),
    ("memory://agents/{agent}/signals", "signals", "What waits for an agent, in order", signals),
    ("memory://item/{id}", "item", "Anything that recall gave an id for", item),
)
LATEST = "memory://sessions/latest"


class Resources:
    """The handlers of `resources/list`, `resources/templates/list` and `resources/read`."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    async def list(
        self, _: ServerRequestContext[object], params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        """List the fixed resources, then a page of topics."""
        after = after_of(params.cursor) if params and params.cursor is not None else ""
        app = await self._opening()
        rows = await app.store.rows("memories.topics", after=after, limit=PAGE)
        listed = [] if after else [*fixed(), *(await skill_files.resources(app))]
        listed += [
            Resource(
                uri=topic_uri(row["topic"]),
                name=row["topic"],
                description=f"{row['memories']} memories",
                mime_type=MIME,
            )
            for row in rows
        ]
        cursor = cursor_of(rows[-1]["topic"]) if len(rows) == PAGE else None
        return ListResourcesResult(resources=listed, next_cursor=cursor)

    async def templates(
        self, _: ServerRequestContext[object], __: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        return ListResourceTemplatesResult(
            resource_templates=[
                skill_files.TEMPLATE,
                *(
                    ResourceTemplate(uri_template=uri, name=name, description=text, mime_type=MIME)
                    for uri, name, text, _ in READERS
                    if "{" in uri
                ),
            ]
        )

    async def read(
        self, _: ServerRequestContext[object], params: ReadResourceRequestParams
    ) -> ReadResourceResult:
        """Read one resource; an unknown one is an invalid parameter, with its URI as data."""
        try:
            app = await self._opening()
            if params.uri.startswith(skill_files.SCHEME):
                return ReadResourceResult(contents=[await skill_files.contents(app, params.uri)])
            reader, name = reader_of(params.uri)
            value = await reader(app, name)
        except LookupError as error:
            raise unknown(params.uri) from error
        except AgentMemError as error:
            raise MCPError(INTERNAL_ERROR, str(error), {"uri": params.uri}) from error
        text = json.dumps(value, ensure_ascii=False)
        return ReadResourceResult(
            contents=[TextResourceContents(uri=params.uri, text=text, mime_type=MIME)]
        )


def fixed() -> list[Resource]:
    """List the resources that are always there."""
    named = [(uri, name, text) for uri, name, text, _ in READERS if "{" not in uri]
    named.append((LATEST, "latest session", "The last session: snapshot and events"))
    return [
        Resource(uri=uri, name=name, description=text, mime_type=MIME) for uri, name, text in named
    ]


def reader_of(uri: str) -> tuple[Reader, str]:
    """Find what reads an address, and the name in it."""
    for template, _, _, reader in READERS:
        pattern = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
        pattern = re.sub(r"\{\w+\}", "([^/]+)", pattern)
        if found := re.fullmatch(pattern, uri):
            return reader, unquote(found[1]) if found.groups() else ""
    raise unknown(uri)


def unknown(uri: str) -> MCPError:
    return MCPError(INVALID_PARAMS, f"There is no resource {uri[:200]}", {"uri": uri})
