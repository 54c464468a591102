"""A lull: nobody has just asked for something. What is done in the background waits for one."""

from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic
from typing import Final, TypeVar

import anyio

from agent_mem.storage.blocks import Dialect
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Engine

T = TypeVar("T")

PATIENCE: Final = 0.05
"""Seconds for which an answer goes before, and for which a lull is waited for: somebody who asks
without end, or for long, must not hold up the rest."""


class Lull:
    """Whether somebody has just asked something of this memory, in this process."""

    def __init__(self) -> None:
        self._open = 0
        self._asked_at = 0.0
        self._answered = anyio.Event()

    @contextmanager
    def broken(self) -> Generator[None]:
        """Say that somebody waits for an answer, as long as this lasts."""
        self._open += 1
        self._asked_at = monotonic()
        try:
            yield
        finally:
            self._open -= 1
            self._answered.set()
            self._answered = anyio.Event()

    async def come(self) -> None:
        """Wait for a lull, but not for long."""
        end = monotonic() + PATIENCE
        while self._open and (left := min(end, self._asked_at + PATIENCE) - monotonic()) > 0:
            with anyio.move_on_after(left):
                await self._answered.wait()


class Patient:
    """A database for what is done in the background: each transaction waits for a lull."""

    def __init__(self, engine: Engine, lull: Lull) -> None:
        self._engine = engine
        self._lull = lull

    @property
    def dialect(self) -> Dialect:
        return self._engine.dialect

    async def read(self, transaction: Transaction[T]) -> T:
        """Run a transaction that only reads, on one snapshot."""
        await self._lull.come()
        return await self._engine.read(transaction)

    async def write(self, transaction: Transaction[T]) -> T:
        """Run a transaction whole or not at all."""
        await self._lull.come()
        return await self._engine.write(transaction)
