"""How the sync stands: what waits, what it is behind, what was set aside, and why."""

from typing import Any, Final
from urllib.parse import urlsplit

from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store

SHOWN: Final = 5
"""How many of those that were set aside are told."""


def standing(local: Store) -> Transaction[dict[str, Any]]:
    """Read the figures; nothing is asked of the server."""
    state = yield local.query("sync.state")
    trouble = yield local.query("sync.trouble")
    refused = yield local.query("sync.refused", limit=SHOWN)
    aside = yield local.query("sync.aside", limit=SHOWN)
    (counted,) = yield local.query("sync.counted")
    synced_at = state[0]["synced_at"] if state else None
    return {
        **counted,
        "synced_at": synced_at,
        "clock_ahead_ms": -state[0]["offset_ms"] if synced_at else None,
        "trouble": dict(trouble[0]) if trouble else None,
        "set_aside": [f"{r['record']} {r['id']}: {r['error']}" for r in (*refused, *aside)][:SHOWN],
    }


def place(url: str) -> str:
    """Name a server without the password that its address may have, or any part of it."""
    try:
        parts = urlsplit(url)
        if not any("@" in part for part in parts[2:]):  # or the password ends in the wrong place
            return f"{parts.hostname or 'localhost'}{parts.path}"
    except ValueError:
        pass
    return "an address that makes no sense"
