"""What must hold in a database file whatever happened to the processes that wrote it."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from agent_mem.recall.passages import split

TORN = {
    "a passage without its memory": """
        SELECT n FROM passages p WHERE record = 'memory'
        AND NOT EXISTS (SELECT 1 FROM memories m WHERE m.id = p.record_id)""",
    "a memory that does not wait for sync as it is": """
        SELECT id FROM memories m WHERE NOT EXISTS (
            SELECT 1 FROM outbox o
            WHERE o.record = 'memories' AND o.id = m.id AND o.hlc = m.hlc)""",
    "an outbox entry without its memory": """
        SELECT id FROM outbox o WHERE record = 'memories'
        AND NOT EXISTS (SELECT 1 FROM memories m WHERE m.id = o.id)""",
    "a passage count that is wrong": """
        SELECT passages FROM passages_size WHERE passages <> (SELECT count(*) FROM passages)""",
    "a clock that is behind a row": """
        SELECT id FROM memories WHERE hlc > (SELECT clock FROM replica)""",
}


def faults(path: Path) -> list[str]:
    """Find what is torn in a file: pages, the full-text index, or rows that belong together."""
    with closing(sqlite3.connect(path)) as connection:
        (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
        found = [] if sound == "ok" else [sound]
        found += [f"a memory without its passages: {key}" for key in half_indexed(connection)]
        for what, sql in TORN.items():
            found += [f"{what}: {key}" for (key,) in connection.execute(sql)]
        # Raises where the full-text index is not that of the passages.
        connection.execute(
            "INSERT INTO passages_fts (passages_fts, rank) VALUES ('integrity-check', 1)"
        )
    return found


def half_indexed(connection: sqlite3.Connection) -> Iterator[str]:
    """Find the memories that have not the passages that their text is cut into."""
    rows = connection.execute("""
        SELECT id, content, (SELECT count(*) FROM passages p WHERE p.record_id = m.id)
        FROM memories m WHERE deleted_at IS NULL""")
    for key, content, passages in rows:
        if passages != len(split(content)):
            yield key


def missing(path: Path, ids: Iterable[str]) -> set[str]:
    """Say which of the answered memories are not in the file."""
    with closing(sqlite3.connect(path)) as connection:
        return set(ids) - {key for (key,) in connection.execute("SELECT id FROM memories")}
