"""Prompts: what a person can start with one word."""

from collections.abc import Callable
from dataclasses import dataclass

from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    PaginatedRequestParams,
    PromptArgument,
    PromptMessage,
    TextContent,
)
from mcp.types import Prompt as PromptInfo


@dataclass(frozen=True, slots=True)
class Prompt:
    name: str
    description: str
    text: Callable[[str], str]
    argument: str | None = None


PROMPTS = (
    Prompt(
        "restore",
        "Pick up where the last conversation stopped.",
        lambda _: (
            "Call restore_session, then tell me in a few lines where we stand, what is open,"
            " and what you suggest to do next."
        ),
    ),
    Prompt(
        "wrap_up",
        "Save this conversation for a later one.",
        lambda _: (
            "Look back over this conversation. Remember each lasting fact and preference"
            " that is not in memory yet, log outcomes of decisions that are known by now, then call"
            " save_session with a summary, all tasks, decisions, open questions and next steps."
        ),
    ),
    Prompt(
        "retrospective",
        "Look back at what is known of a topic.",
        lambda topic: (
            f"Recall everything about {topic}: memories, decisions with their outcomes,"
            " errors and solutions. Tell me what worked, what did not, and what we should do"
            " differently; remember what you conclude."
        ),
        "topic",
    ),
    Prompt(
        "decide",
        "Decide a question with what earlier decisions taught.",
        lambda question: (
            f"Help me decide: {question}\nFirst recall earlier decisions on this"
            " question and how they turned out. Weigh the options, score each, choose one, and"
            " log it with log_decision."
        ),
        "question",
    ),
)


async def list_prompts(
    _: ServerRequestContext[object], __: PaginatedRequestParams | None
) -> ListPromptsResult:
    return ListPromptsResult(prompts=[described(prompt) for prompt in PROMPTS])


def described(prompt: Prompt) -> PromptInfo:
    named = [PromptArgument(name=prompt.argument, required=True)] if prompt.argument else None
    return PromptInfo(name=prompt.name, description=prompt.description, arguments=named)


async def get_prompt(
    _: ServerRequestContext[object], params: GetPromptRequestParams
) -> GetPromptResult:
    """Fill in a prompt; an unknown one, or one without its argument, is a protocol error."""
    prompt = next((p for p in PROMPTS if p.name == params.name), None)
    if prompt is None:
        raise MCPError(INVALID_PARAMS, f"Unknown prompt: {params.name[:80]}")
    value = (params.arguments or {}).get(prompt.argument or "", "").strip()
    if prompt.argument and not value:
        raise MCPError(INVALID_PARAMS, f"The prompt {prompt.name} needs `{prompt.argument}`.")
    message = PromptMessage(role="user", content=TextContent(text=prompt.text(value)))
    return GetPromptResult(description=prompt.description, messages=[message])
