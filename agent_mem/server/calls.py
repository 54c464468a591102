"""Calling tools: the handlers of `tools/list` and `tools/call`."""

import json
from collections.abc import Sequence
from typing import Any

from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp.types import Tool as ToolInfo

from agent_mem.errors import AgentMemError, Outdated
from agent_mem.server.opening import Opening
from agent_mem.tools.tool import Tool

ALWAYS_LOADED = frozenset({"recall", "remember", "restore_session"})
"""The tools that a client with tool search should show from the start."""


class Calls:
    """The tools by their names, on one memory."""

    def __init__(self, opening: Opening, tools: Sequence[Tool]) -> None:
        self._opening = opening
        self._tools = {tool.name: tool for tool in tools}

    async def list(
        self, _: ServerRequestContext[object], __: PaginatedRequestParams | None
    ) -> ListToolsResult:
        listed = [tool for tool in self._tools.values() if not tool.hidden]
        return ListToolsResult(tools=[described(tool) for tool in listed])

    async def call(
        self, _: ServerRequestContext[object], params: CallToolRequestParams
    ) -> CallToolResult:
        """Run a tool; what it raises on purpose is read by the model, the rest is a bug."""
        tool = self._tools.get(params.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name[:80]}")
        try:
            app = await self._opening()
            with app.lull.broken():
                result = await tool(app, params.arguments or {})
        except Outdated as error:
            given = {"current": error.current}
            return CallToolResult(
                content=[TextContent(text=str(error)), as_text(given)],
                structured_content=given,
                is_error=True,
            )
        except AgentMemError as error:
            return CallToolResult(content=[TextContent(text=str(error))], is_error=True)
        return CallToolResult(content=[as_text(result)], structured_content=result)


def as_text(result: dict[str, Any]) -> TextContent:
    return TextContent(text=json.dumps(result, ensure_ascii=False, separators=(",", ":")))


def described(tool: Tool) -> ToolInfo:
    """Describe a tool to a client. No output schema: no model is shown it, and all pay for it."""
    meta: dict[str, Any] | None = None
    if tool.name in ALWAYS_LOADED:
        meta = {"anthropic/alwaysLoad": True}
    return ToolInfo(
        name=tool.name,
        description=tool.description,
        input_schema=tool.schema,
        annotations=hints(tool),
        _meta=meta,
    )


def hints(tool: Tool) -> ToolAnnotations:
    """Say what a call may do, where it is not what a client assumes of every tool."""
    if tool.reads:
        return ToolAnnotations(read_only_hint=True, open_world_hint=False)
    return ToolAnnotations(
        destructive_hint=None if tool.destroys else False,
        idempotent_hint=tool.repeatable or None,
        open_world_hint=False,
    )
