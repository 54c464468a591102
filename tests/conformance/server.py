"""The product's own server over HTTP, with what the official conformance suite looks for on it.

`python tests/conformance/server.py PORT DATABASE`: the kernel is the one that is shipped; the
fixtures stand before its handlers, and whatever is not theirs goes to those.
"""

import logging
import re
import sys
from pathlib import Path
from typing import Any, cast

import anyio
import fixtures
from fixtures import FORMS, PROMPTS, RESOURCES, ROUNDS, SAID, SCHEMAS, TEMPLATE, TOOLS, Json
from mcp.server import Server, ServerRequestContext
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ClientCapabilities,
    EmptyResult,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    Result,
    SamplingMessage,
    SetLevelRequestParams,
    TextContent,
    Tool,
)

from agent_mem.config import read
from agent_mem.server.changes import Changes
from agent_mem.server.http import Options, serve
from agent_mem.server.kernel import kernel
from agent_mem.server.opening import Opening

MISSING = -32021
STEP = 0.05
Context = ServerRequestContext[Any]
Asking = CallToolRequestParams | GetPromptRequestParams


class Fixtures:
    """Handlers that answer what is the suite's, and pass the rest on."""

    def __init__(self, server: Server[Any], changes: Changes) -> None:
        self._changes = changes
        self._behind: dict[str, Any] = {}
        for method, model, handler in (
            ("tools/list", PaginatedRequestParams, self.tools),
            ("tools/call", CallToolRequestParams, self.call),
            ("resources/list", PaginatedRequestParams, self.resources),
            ("resources/templates/list", PaginatedRequestParams, self.templates),
            ("resources/read", ReadResourceRequestParams, self.read),
            ("prompts/list", PaginatedRequestParams, self.prompts),
            ("prompts/get", GetPromptRequestParams, self.prompt),
        ):
            entry = server.get_request_handler(method)
            assert entry
            self._behind[method] = entry.handler
            server.add_request_handler(method, cast("Any", model), cast("Any", handler))
        server.add_request_handler("logging/setLevel", SetLevelRequestParams, self.level)
        boundary = RequestStateBoundary(
            RequestStateSecurity.ephemeral(), default_audience="agent-mem"
        )
        server.middleware.append(boundary)

    async def level(self, _: object, __: SetLevelRequestParams) -> EmptyResult:
        return EmptyResult()

    async def tools(self, ctx: Context, params: PaginatedRequestParams) -> ListToolsResult:
        listed: ListToolsResult = await self._behind["tools/list"](ctx, params)
        more = [
            Tool(
                name=name,
                description="For the conformance suite",
                input_schema=SCHEMAS.get(name, fixtures.EMPTY),
            )
            for name in TOOLS
        ]
        return ListToolsResult(tools=[*listed.tools, *more])

    async def call(self, ctx: Context, params: CallToolRequestParams) -> Result:
        name = params.name
        if name not in TOOLS:
            return await self._behind["tools/call"](ctx, params)
        if name in SAID:
            return CallToolResult.model_validate({"content": SAID[name]})
        if name in ROUNDS:
            asked = required(ctx, params)
            return asked or done(f"Hello, {answers(params)}! state-ok")
        if name in FORMS:
            return await elicited(ctx, params)
        return await self.other(ctx, params)

    async def other(self, ctx: Context, params: CallToolRequestParams) -> CallToolResult:
        match params.name:
            case "test_tool_with_logging" | "test_logging_tool" | "test_reconnection":
                await logged(ctx)
            case "test_tool_with_progress":
                for part in (0, 50, 100):
                    await ctx.session.report_progress(part, 100, f"Completed step {part} of 100")
                    await anyio.sleep(STEP)
            case "test_error_handling":
                said = [TextContent(text="This tool intentionally returns an error for testing")]
                return CallToolResult(content=cast("Any", said), is_error=True)
            case "test_missing_capability":
                needing(ctx, "sampling")
            case "test_trigger_tool_change" | "test_trigger_prompt_change":
                tools = "tool" in params.name
                await self._changes.publish(ToolsListChanged() if tools else PromptsListChanged())
            case "test_sampling":
                return await sampled(ctx, params)
            case _:
                pass
        return done("It is done.")

    async def resources(self, ctx: Context, params: PaginatedRequestParams) -> ListResourcesResult:
        listed: ListResourcesResult = await self._behind["resources/list"](ctx, params)
        more = [
            Resource(uri=uri, name=uri, mime_type=told["mimeType"])
            for uri, told in RESOURCES.items()
        ]
        return listed.model_copy(update={"resources": [*listed.resources, *more]})

    async def templates(
        self, ctx: Context, params: PaginatedRequestParams
    ) -> ListResourceTemplatesResult:
        listed: ListResourceTemplatesResult = await self._behind["resources/templates/list"](
            ctx, params
        )
        more = ResourceTemplate(uri_template=TEMPLATE, name="template")
        return ListResourceTemplatesResult(resource_templates=[*listed.resource_templates, more])

    async def read(self, ctx: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        found = RESOURCES.get(params.uri)
        if matched := re.fullmatch(r"test://template/([^/]+)/data", params.uri):
            found = fixtures.templated(matched[1])
        if found is None:
            return await self._behind["resources/read"](ctx, params)
        return ReadResourceResult.model_validate({"contents": [{"uri": params.uri, **found}]})

    async def prompts(self, ctx: Context, params: PaginatedRequestParams) -> ListPromptsResult:
        listed: ListPromptsResult = await self._behind["prompts/list"](ctx, params)
        more = [
            Prompt(
                name=n,
                description="For the conformance suite",
                arguments=[
                    PromptArgument(name=one, description="Text", required=True) for one in given
                ],
            )
            for n, given in PROMPTS.items()
        ]
        return ListPromptsResult(prompts=[*listed.prompts, *more])

    async def prompt(self, ctx: Context, params: GetPromptRequestParams) -> Result:
        if params.name not in PROMPTS:
            return await self._behind["prompts/get"](ctx, params)
        if params.name in ROUNDS and (asked := required(ctx, params)):
            return asked
        said = fixtures.said_by(params.name, params.arguments or {})
        told = [{"role": "user", "content": one} for one in said]
        return GetPromptResult.model_validate({"messages": told})


def required(ctx: Context, params: Asking) -> InputRequiredResult | None:
    """Ask for what is still missing, as far as this client can be asked for it."""
    answered = answers(params)
    able = ctx.session.client_capabilities
    for number, asked in enumerate(ROUNDS[params.name], 1):
        can = {key: one for key, one in asked.items() if able is None or allowed(able, one)}
        if any(key not in answered for key in can):
            told: Json = {"inputRequests": can, "requestState": f"round {number}"}
            return InputRequiredResult.model_validate({"resultType": "input_required", **told})
        if params.request_state == f"round {number}":
            answered = {key: True for one in ROUNDS[params.name][:number] for key in one}
    return None


def allowed(able: ClientCapabilities, asked: Json) -> bool:
    capability = {"elicitation/create": "elicitation", "roots/list": "roots"}
    return getattr(able, capability.get(asked["method"], "sampling")) is not None


def answers(params: Asking) -> dict[str, Any]:
    """Read what the client answered, in this round and in those before it."""
    given = {k: v.model_dump(mode="json") for k, v in (params.input_responses or {}).items()}
    earlier = int((params.request_state or "round 0").removeprefix("round "))
    before = {key: None for one in ROUNDS[params.name][: max(0, earlier - 1)] for key in one}
    return {**before, **given}


def needing(ctx: Context, capability: str) -> None:
    able = ctx.session.client_capabilities
    if able is None or getattr(able, capability) is None:
        raise MCPError(
            MISSING, "A capability is missing", {"requiredCapabilities": {capability: {}}}
        )


async def logged(ctx: Context) -> None:
    for said in ("started", "processing data", "completed"):
        await ctx.session.send_log_message(  # pyright: ignore[reportDeprecated] - the suite asks for it
            "info", f"Tool {said}", related_request_id=ctx.request_id
        )
        await anyio.sleep(STEP)


async def elicited(ctx: Context, params: CallToolRequestParams) -> CallToolResult:
    message = str((params.arguments or {}).get("message", "Please provide what is asked for"))
    answer = await ctx.session.elicit_form(message, FORMS[params.name], ctx.request_id)
    return done(f"Elicitation completed: action={answer.action}, content={answer.content}")


async def sampled(ctx: Context, params: CallToolRequestParams) -> CallToolResult:
    asked = TextContent(text=str((params.arguments or {}).get("prompt", "")))
    answer = await ctx.session.create_message(  # pyright: ignore[reportDeprecated] - as above
        [SamplingMessage(role="user", content=asked)],
        max_tokens=100,
        related_request_id=ctx.request_id,
    )
    return done(f"LLM response: {answer.content}")


def done(said: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=said)])


def conforming(opening: Opening, changes: Changes) -> Server[Any]:
    """Make the kernel, with the fixtures on it."""
    server = kernel(opening, changes)
    Fixtures(server, changes)
    return server


def main() -> int:
    """Serve a memory on a port."""
    logging.captureWarnings(capture=True)
    settings = read(db=Path(sys.argv[2]), embedder="none", log_level="ERROR")
    return anyio.run(serve, settings, Options(port=int(sys.argv[1]), rate=0), conforming)


if __name__ == "__main__":
    sys.exit(main())
