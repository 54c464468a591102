"""The file lock that makes the processes of one machine write in turn."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import portalocker


class FileLock:
    """An exclusive lock on a side file; it waits for its turn, and dies with its process.

    SQLite before 3.51.3 can corrupt a file when several writers and checkpoints meet (the
    WAL-reset race); no two of our processes write or checkpoint at the same time. A blocking
    lock is fair too, which SQLite's own busy polling is not.
    """

    def __init__(self, path: Path) -> None:
        # Left open for the life of the engine: opening it for each write would cost more.
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")

    def __enter__(self) -> Self:
        portalocker.lock(self._file, portalocker.LockFlags.EXCLUSIVE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        portalocker.unlock(self._file)

    @contextmanager
    def if_free(self) -> Generator[bool]:
        """Hold the lock if nobody else does, and tell whether that is so."""
        try:
            portalocker.lock(
                self._file, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING
            )
        except portalocker.LockException:
            yield False
            return
        try:
            yield True
        finally:
            portalocker.unlock(self._file)

    def close(self) -> None:
        self._file.close()
