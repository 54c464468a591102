"""Cursors of paged lists: after which name the next page begins."""

import base64
import json

from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS


def cursor_of(name: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([name]).encode()).decode()


def after_of(cursor: str) -> str:
    """Read a cursor that was given out earlier."""
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor))
        json.dumps(found, ensure_ascii=False).encode()  # half a surrogate cannot be asked for
    except (ValueError, RecursionError):
        found = None
    match found:
        case [str(after)]:
            return after
        case _:
            raise MCPError(INVALID_PARAMS, "Invalid cursor")
