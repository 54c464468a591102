"""What can be wrong with a memory: whether its index says what its records say."""

from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from agent_mem.records import RECORDS
from agent_mem.records.record import Record
from agent_mem.storage.archive import BATCH, total
from agent_mem.storage.health import MEND, RESTORE, Finding
from agent_mem.storage.lines import reason
from agent_mem.storage.sqlite import encode
from agent_mem.storage.statements import Row, Statement, Transaction
from agent_mem.storage.store import Store, decode

CLOSELY = 20_000
"""Rows of a table that are compared with the index one by one, at most, unless all are to be."""
THOROUGH = "`agent-mem doctor --thorough`"
MEND_ALL = "`agent-mem doctor --thorough --mend`"


@dataclass(slots=True)
class Tally:
    """What came of comparing the index with the records."""

    rows: int = 0
    compared: int = 0
    wrong: int = 0
    unreadable: list[str] = field(default_factory=list[str])

    def extent(self) -> str:
        """Say how many of the rows were compared."""
        if self.compared == self.rows:
            return f"looked at: all {self.rows}"
        return (
            f"looked at: {self.compared} of {self.rows}, the newest and a spread of the others;"
            f" {THOROUGH} looks at all"
        )


def indexed(store: Store, most: int | None) -> Transaction[list[Finding]]:
    """Compare what the index has of records with what it would write now."""
    tally = Tally()
    for model in RECORDS:
        (there,) = yield Statement(total(model), {"owner": store.owner})
        tally.rows += there["n"]
        for page in (yield chosen(store, model, there["n"], most)):
            rows = yield among(store, model, page["ids"])
            held = yield store.query("health.passages_of", ids=page["ids"])
            compare(store, model, rows, held, tally)
    astray = yield orphans(store)
    return [readable(tally), passages(tally, len(astray), MEND_ALL if most is None else MEND)]


def chosen(store: Store, model: type[Record], rows: int, most: int | None) -> Statement:
    """Choose the rows to compare, in pages: the newest, a spread of the others, and all suspects.

    Suspects are found among all rows: those that have no passages, or not all that there are up to
    their last one, and those that were forgotten and have some.
    """
    whole = (
        "(SELECT max(part) + 1 = count(*) FROM passages p"
        " WHERE p.owner = r.owner AND p.record_id = r.id)"
    )
    suspect = f"{whole} IS NOT CASE WHEN deleted_at IS NULL THEN 1 END" if model.KIND else "false"
    # Read forwards: backwards, a file that is not in memory yet takes ten times as long.
    sql = (
        "SELECT json_group_array(id) AS ids FROM ("  # noqa: S608 - our own names
        f" SELECT id, row_number() OVER () / {BATCH} AS page FROM ("
        " SELECT owner, id, deleted_at, row_number() OVER (ORDER BY id) AS place"
        f" FROM {model.TABLE} WHERE owner = :owner) r"
        f" WHERE place > :older OR place % :step = 0 OR {suspect}) GROUP BY page"
    )
    newest = rows if most is None or rows <= most else most // 2
    older = rows - newest
    step = older // max(newest, 1) + 1
    return Statement(sql, {"owner": store.owner, "older": older, "step": step})


def among(store: Store, model: type[Record], ids: str) -> Statement:
    """Read the rows of a page."""
    sql = (
        f"SELECT * FROM {model.TABLE} WHERE owner = :owner"  # noqa: S608 - our own names
        " AND id IN (SELECT value FROM json_each(:ids))"
    )
    return Statement(sql, {"owner": store.owner, "ids": ids})


def compare(
    store: Store, model: type[Record], rows: list[Row], held: list[Row], tally: Tally
) -> None:
    of_record: defaultdict[str, list[Row]] = defaultdict(list)
    for passage in held:
        of_record[passage["record_id"]].append(passage)
    for row in rows:
        tally.compared += 1
        try:
            tally.wrong += not same(of_record[row["id"]], derived(store, decode(model, row)))
        except ValueError as error:
            tally.unreadable.append(f"{row['id']} of {model.TABLE} {reason(error)}")


def same(held: list[Row], wanted: list[Row]) -> bool:
    """Look whether passages are as they would be written now."""
    return len(held) == len(wanted) and all(
        have[name] == encode(value)
        for have, want in zip(held, wanted, strict=True)
        for name, value in want.items()
    )


def derived(store: Store, record: Record) -> list[Row]:
    """Ask the index what it would write of a record, by showing it an empty database."""
    put = store.query("passages.put").sql
    found: list[Row] = []
    index = store.index(store, [record])
    with suppress(StopIteration):
        statement = next(index)
        while True:
            writes = statement.sql == put
            found += [statement.params] if writes else []
            statement = index.send([{"n": len(found)}] if writes else [])
    return found


def readable(tally: Tally) -> Finding:
    if not tally.unreadable:
        return Finding("rows", "ok", f"The rows can be read ({tally.extent()}).")
    text = (
        f"{len(tally.unreadable)} rows cannot be read ({tally.extent()});"
        f" the first is {tally.unreadable[0]}. {RESTORE}"
    )
    return Finding("rows", "bad", text)


def passages(tally: Tally, astray: int, cure: str) -> Finding:
    if not tally.wrong and not astray:
        text = f"The index has what it should have of the rows ({tally.extent()})."
        return Finding("passages", "ok", text)
    text = (
        f"{tally.wrong} rows are not indexed as they should be, and {astray} passages are of no"
        f" row ({tally.extent()}): {cure} makes the index anew."
    )
    return Finding("passages", "bad", text, cure="index")


def keys(name: Callable[[type[Record]], str]) -> str:
    """List the keys of all rows, with what their table is called."""
    tables = (f"SELECT '{name(m)}', id FROM {m.TABLE} WHERE owner = :owner" for m in RECORDS)  # noqa: S608 - our own names
    return " UNION ALL ".join(tables)


def orphans(store: Store) -> Statement:
    """Find the passages whose record is not there."""
    rows = keys(lambda model: model.KIND)
    sql = (
        "SELECT n, terms, labels FROM passages"  # noqa: S608 - our own names
        f" WHERE owner = :owner AND (record, record_id) NOT IN ({rows})"
    )
    return Statement(sql, {"owner": store.owner})
