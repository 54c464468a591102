"""A database in whose use something comes between."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from agent_mem.errors import ServerUnreachable
from agent_mem.storage.blocks import Dialect
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Engine

T = TypeVar("T")


class Busy:
    """A real engine; between what it writes something else is done, once.

    Args:
        engine: what does the work.
        writes: how many transactions that write come before it.
        act: what is done then.
    """

    def __init__(self, engine: Engine, writes: int, act: Callable[[], Awaitable[object]]) -> None:
        self._engine = engine
        self._left = writes
        self._act = act

    @property
    def dialect(self) -> Dialect:
        return self._engine.dialect

    async def read(self, transaction: Transaction[T]) -> T:
        return await self._engine.read(transaction)

    async def write(self, transaction: Transaction[T]) -> T:
        self._left -= 1
        if self._left == -1:
            await self._act()
        return await self._engine.write(transaction)


class Torn:
    """A real engine that a process uses so often, and then never again: it is dead.

    Args:
        engine: what does the work.
        uses: how many transactions come to their end.
        unheard: the one after them is done, too, and nobody hears of it.
    """

    def __init__(self, engine: Engine, uses: int, *, unheard: bool) -> None:
        self._engine = engine
        self._left = uses
        self._unheard = unheard

    @property
    def dialect(self) -> Dialect:
        return self._engine.dialect

    async def read(self, transaction: Transaction[T]) -> T:
        return await self._use(self._engine.read, transaction)

    async def write(self, transaction: Transaction[T]) -> T:
        return await self._use(self._engine.write, transaction)

    async def _use(
        self, how: Callable[[Transaction[T]], Awaitable[T]], transaction: Transaction[T]
    ) -> T:
        self._left -= 1
        if self._left >= 0:
            return await how(transaction)
        if self._left == -1 and self._unheard:
            await how(transaction)
        raise ServerUnreachable
