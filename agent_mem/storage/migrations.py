"""The history of the tables: each step applied once, with its hash in a ledger."""

import hashlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from agent_mem.errors import SchemaDrift, SchemaTooNew
from agent_mem.storage.blocks import Dialect, blocks, queries
from agent_mem.storage.statements import Row, Statement, Transaction


class Step(NamedTuple):
    line: str
    version: int
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def steps(dialect: Dialect) -> list[Step]:
    """List what this database's tables went through, oldest first."""
    return [
        Step(block.file, int(block.name), block.text)
        for block in blocks()
        if block.verb == "migrate" and block.dialect in (None, dialect)
    ]


def pending(known: Iterable[Step], ledger: Iterable[Row], *, shared: bool = False) -> list[Step]:
    """Find the steps that are still to do.

    Args:
        known: the steps of this program.
        ledger: the steps that were done.
        shared: programs of several versions use the database side by side. What a newer one did
            is then left as it is, and nothing is to do: it has done all that this one knows.

    Raises:
        SchemaTooNew: the ledger has a step that this program does not know.
        SchemaDrift: a step was applied with another text than it has now.
    """
    applied = {(row["line"], row["version"]): row["sha256"] for row in ledger}
    mine = {(step.line, step.version): step for step in known}
    newer = sorted(applied.keys() - mine.keys())
    if newer and not shared:
        raise SchemaTooNew(
            f"This database has step {newer[0][1]} of {newer[0][0]}, which this agent-mem does not"
            " know: a newer version has changed it. Update this one to use it."
        )
    for key, step in mine.items():
        if applied.get(key, step.sha256) != step.sha256:
            raise SchemaDrift(
                f"Step {step.version} of {step.line} was applied to this database with another"
                " text than this agent-mem has: install the version that wrote it."
            )
    return [] if newer else [step for key, step in mine.items() if key not in applied]


def migrating(dialect: Dialect, split: Callable[[str], Iterable[str]]) -> Transaction[list[Step]]:
    """Bring the tables up to date; nothing happens where they are."""
    named = queries(dialect)
    yield Statement(named["ledger.create"], {})
    ledger = yield Statement(named["ledger.all"], {})
    todo = pending(steps(dialect), ledger, shared=dialect == "postgres")
    for step in todo:
        for sql in split(step.text):
            yield Statement(sql, {})
        entry = {"line": step.line, "version": step.version, "sha256": step.sha256}
        yield Statement(named["ledger.add"], entry)
    return todo
