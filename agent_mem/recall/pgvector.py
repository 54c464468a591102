"""The vector index of one model on the server: pgvector's, which is made once there are many."""

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, Final

from agent_mem.recall.vectors import Near, Vector, written
from agent_mem.records.record import digest
from agent_mem.storage.statements import Statement, Transaction
from agent_mem.storage.store import Store

TIDY: Final = 600.0
"""Seconds between two looks at what is left over, and at how many there are."""
WORTH: Final = 10_000
"""Vectors from which on an index is worth what it costs to write to."""
BUILDING: Final = 3600.0
"""Seconds that making an index may take."""
MEMORY: Final = "256MB"
"""What making an index may use there: where the graph fits, it is many times as fast."""


class ServerIndex:
    """A `VectorIndex` of the server: Malkov and Yashunin's HNSW (2016), as pgvector has it.

    What filters take away does not make it find less (`iterative_scan`, pgvector 0.8). Where an
    owner has little, or there is no index yet, the server compares all that is allowed.
    """

    def __init__(self, model: str, dim: int) -> None:
        self.model = model
        self.dim = dim
        self._tidied_at = -TIDY

    def nearest(
        self, store: Store, asked: Vector, filters: Mapping[str, Any], limit: int
    ) -> Transaction[list[Near]]:
        """Have the server find."""
        yield store.query("memory_index.search_wide", width=str(limit))
        params = {"model": self.model, "asked": written(asked), "limit": limit, **filters}
        rows = yield self._sized(store.query("passages.near", **params))
        # Relaxed order: the index gives some a little too late.
        return sorted(
            (Near(row["n"], row["cosine"]) for row in rows), key=lambda near: -near.cosine
        )

    def cosines(
        self, store: Store, asked: Vector, keys: Sequence[int]
    ) -> Transaction[dict[int, float]]:
        """Have the server compare some passages."""
        params = {"model": self.model, "asked": written(asked), "among": keys}
        rows = yield store.query("memory_index.cosines", **params)
        return {row["n"]: row["cosine"] for row in rows}

    async def load(self, store: Store) -> None:
        """Do nothing: it is there."""

    async def catch_up(self, store: Store) -> None:
        """Do nothing: it is always as new as what it is of."""

    async def save(self, store: Store) -> None:
        """Tidy up now and then; make the index once it is worth it, if this role may."""
        if monotonic() - self._tidied_at >= TIDY:
            self._tidied_at = monotonic()
            await store.engine.write(self._tidying(store))

    def _tidying(self, store: Store) -> Transaction[None]:
        name = f"memory_index_{digest(self.model)[:16]}"
        yield store.query("memory_index.drop_astray", model=self.model)
        (now,) = yield store.query("memory_index.indexed", model=self.model, name=name)
        if now["mine"]:
            yield store.query("memory_index.count_up")
        if now["mine"] and not now["found"] and now["vectors"] >= WORTH:
            yield store.query("memory_index.build_fast", memory=MEMORY)
            made = store.query("memory_index.make").sql
            named = made.replace("memory_index_of_model", name)
            whose = named.replace("'of this model'", quoted(self.model))
            yield self._sized(Statement(whose, {}, BUILDING))

    def _sized(self, statement: Statement) -> Statement:
        """Write the length of the vectors into a statement: no parameter can stand there."""
        return statement._replace(sql=statement.sql.replace("halfvec(384)", f"halfvec({self.dim})"))


def quoted(text: str) -> str:
    """Write a text as SQL does."""
    return f"""'{text.replace("'", "''")}'"""
