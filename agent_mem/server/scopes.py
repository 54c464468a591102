"""What a token may do: `read`, `write` and `admin`, each with what stands before it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, cast, get_args

from agent_mem.tools import TOOLS
from agent_mem.tools.tool import Tool

Scope = Literal["read", "write", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

RUNS: Final = frozenset({"run_behavior"})
"""Tools that start what may be a program."""


def needed(tool: Tool) -> Scope:
    """Say what a tool needs: `admin` where it changes what others run, or runs it."""
    if tool.reads:
        return "read"
    return "admin" if tool.toolset == "authoring" or tool.name in RUNS else "write"


NEEDED: Final[Mapping[str, Scope]] = {tool.name: needed(tool) for tool in TOOLS}


def asked(message: object) -> Scope:
    """Say what a JSON-RPC message needs, or the messages of a list.

    Only a call of a tool can need more than `read`; a tool that is not listed needs `write`.
    """
    if isinstance(message, list):
        found = [asked(one) for one in cast("list[object]", message)]
        return SCOPES[max(map(SCOPES.index, found), default=0)]
    if not isinstance(message, dict):
        return "read"
    told = cast("dict[str, Any]", message)
    if told.get("method") != "tools/call":
        return "read"
    params = told.get("params")
    name = cast("dict[str, Any]", params).get("name") if isinstance(params, dict) else None
    return NEEDED.get(name, "write") if isinstance(name, str) else "write"


def allows(granted: Iterable[str], scope: Scope) -> bool:
    """Tell whether what was granted is enough: each scope includes those before it."""
    return any(one in SCOPES and SCOPES.index(one) >= SCOPES.index(scope) for one in granted)
