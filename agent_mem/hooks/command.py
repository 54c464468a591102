"""What `agent-mem hook` does: a hook's JSON comes in, what the client should know goes out.

It fails open: whatever is wrong, the client goes on as if there were no hook.
"""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, Final, cast

from agent_mem.hooks import spool
from agent_mem.hooks.place import Place
from agent_mem.hooks.restore import restored

GOING_ON: Final = frozenset({"resume", "compact", "fork"})
"""How a conversation begins that was there before."""
SAVED: Final = frozenset({"PreCompact", "Stop", "SessionEnd"})


def main() -> None:
    """Answer the hook on stdin. Nothing that goes wrong here may stop a prompt."""
    try:
        said = answer(json.loads(sys.stdin.buffer.read()), os.environ)
        sys.stdout.buffer.write(said.encode(errors="replace"))
        sys.stdout.buffer.flush()
    except Exception as error:  # noqa: BLE001 - no bug of ours may stop a prompt
        line = " ".join(f"agent-mem hook: {type(error).__name__}: {error}".split())
        sys.stderr.write(line[:300] + "\n")


def answer(given: object, environ: Mapping[str, str]) -> str:
    """Give what the client reads: JSON, or nothing.

    Raises:
        OSError, ValueError, sqlite3.Error: what the client has to do without.
    """
    hook = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    place = Place.of(environ, hook.get("cwd"))
    event = hook.get("hook_event_name")
    if event in SAVED:
        save(place, hook, str(event))
    if event != "SessionStart" or not place.db.is_file():
        return ""
    session = hook.get("session_id") if hook.get("source") in GOING_ON else None
    return injected("SessionStart", restored(place, session))


def save(place: Place, hook: Mapping[str, Any], event: str) -> None:
    """Leave what is to be read of a transcript to whoever has the database open."""
    told = {
        "session": hook.get("session_id"),
        "transcript": hook.get("transcript_path"),
        "project": place.project or "*",
        "event": event,
    }
    job = spool.job(told)
    if job:
        spool.leave(place.db, job)


def injected(event: str, text: str) -> str:
    """Write what a client adds to a conversation."""
    if not text:
        return ""
    said = {"hookSpecificOutput": {"hookEventName": event, "additionalContext": text}}
    return json.dumps(said, ensure_ascii=False)
