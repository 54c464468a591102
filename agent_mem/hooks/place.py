"""Where a hook finds the memory, and what it writes around what it injects.

Like all that `agent-mem hook` loads, this imports neither the SDK nor pydantic: a client waits for
a hook. `tests/test_hook.py` holds it to what `config.Settings` reads from the same environment.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

MARK: Final = "[agent-mem]"
"""How everything begins that is injected."""
LABEL: Final = re.compile(r"\[mem [0-9a-f]{12}\]")
"""What stands before each thing that was injected: the end of its id."""


class Place(NamedTuple):
    """A file, whose memory in it, under which agent's name, and about which project."""

    db: Path
    owner: str
    agent: str
    project: str | None

    @classmethod
    def of(cls, environ: Mapping[str, str], cwd: str | None) -> "Place":
        """Read the settings; a project that none of them names is the folder of the session."""
        home = Path.home() / ".agent-mem" / "memory.db"
        named = environ.get("AGENT_MEM_PROJECT") or environ.get("CLAUDE_PROJECT_DIR") or cwd
        return cls(
            db=Path(environ.get("AGENT_MEM_DB") or home).expanduser(),
            owner=(environ.get("AGENT_MEM_OWNER") or "me").strip(),
            agent=(environ.get("AGENT_MEM_AGENT") or "agent").strip(),
            project=None if named == "*" else named or None,
        )


def label(key: object) -> str:
    """Name what is injected, so that it is told apart from what was said, and not said twice."""
    return f"[mem {str(key)[-12:]}]"
