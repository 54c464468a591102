"""The tables on the server: made, updated, and closed to other owners.

Programs of several versions use them side by side. So a newer one adds columns with defaults, and
tables, which an older one leaves alone; where it has to break older ones, it raises what the
server asks of its writers (`feed.min_writer`).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from agent_mem.records import RECORDS
from agent_mem.records.record import uuid7
from agent_mem.storage.blocks import queries
from agent_mem.storage.migrations import migrating, pending, steps
from agent_mem.storage.statements import Row, Statement, Transaction

TEXT: Final = re.compile(r"^(\s+|ALTER TABLE \w+ ADD COLUMN )(\w+ text)\b(?! ARRAY)", re.MULTILINE)
POLICY: Final = "owner = nullif(current_setting('agent_mem.owner', true), '')"


def split(script: str) -> Iterator[str]:
    """Cut a script into statements; text is ordered by code points, as in SQLite."""
    collated = TEXT.sub(r'\1\2 COLLATE "C"', script)
    return filter(None, map(str.strip, collated.split(";\n")))


def stale() -> Transaction[bool]:
    """Look whether migrations are due: mostly they are not, and the role may not do them."""
    (ledger,) = yield Statement(queries("postgres")["canonical.ledger_exists"], {})
    if not ledger["found"]:
        return True
    applied = yield Statement(queries("postgres")["ledger.all"], {})
    return bool(pending(steps("postgres"), applied, shared=True))


def founding() -> Transaction[None]:
    """Make or update the tables; let every owner see only their own rows."""
    named = queries("postgres")
    (schema,) = yield Statement(named["canonical.schema_exists"], {})
    if not schema["found"]:
        yield Statement(named["canonical.schema"], {})
    for name in ("ledger.create", "canonical.lock"):
        yield Statement(named[name], {})
    yield from migrating("postgres", split)
    for model in RECORDS:
        yield Statement(
            f"CREATE INDEX IF NOT EXISTS {model.TABLE}_ver ON {model.TABLE} (owner, ver)", {}
        )
    for row in (yield Statement(named["canonical.unprotected"], {})):
        for sql in protecting(row["name"]):
            yield Statement(sql, {})


def protecting(table: str) -> Iterator[str]:
    """Hide the rows of others, from the owner of the table, too."""
    yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
    yield f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"
    yield f"CREATE POLICY owner_only ON {table} USING ({POLICY}) WITH CHECK ({POLICY})"


def enrolling(owner: str) -> Transaction[None]:
    ids: Mapping[str, object] = {"owner": owner, "origin": uuid7(), "epoch": uuid7()}
    yield Statement(queries("postgres")["canonical.enrol"], ids)


def extension() -> Transaction[Row]:
    """Look for pgvector, and for the table that needs it."""
    (state,) = yield Statement(queries("postgres")["memory_index.extension"], {})
    return state


def extending() -> Transaction[None]:
    """Make pgvector: mostly only a superuser may."""
    yield Statement(queries("postgres")["memory_index.extend"], {})


def vectors() -> Transaction[None]:
    """Make the table of the vectors."""
    yield Statement(queries("postgres")["memory_index.found"], {})
    for sql in protecting("memory_index"):
        yield Statement(sql, {})


def widening(what: str) -> Transaction[None]:
    """Make the events' column for the vectors of other programs, or its index."""
    for name in ("hurry", what):
        yield Statement(queries("postgres")[f"memory_index.{name}"], {})
