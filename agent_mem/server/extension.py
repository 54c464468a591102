"""Skills over MCP (SEP-2640): what a client knows of it before it asks for a skill."""

from typing import Final

from mcp.types import PaginatedRequestParams, RequestParams

EXTENSION: Final = "io.modelcontextprotocol/skills"


class SkillParams(RequestParams):
    """Which skill: the address of its SKILL.md."""

    uri: str


class FolderParams(PaginatedRequestParams):
    """Which folder of a skill."""

    uri: str


METHODS: Final = {
    "skills/list": ("list", PaginatedRequestParams),
    "skills/get": ("get", SkillParams),
    "resources/directory/read": ("children", FolderParams),
}
"""What answers each method, and what it takes."""
