"""Child processes: begun apart, and stopped with all that they have begun."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import anyio
from anyio.abc import Process

GRACE: Final = 0.5
"""Seconds that a process has after SIGTERM: less than a server has to end."""
OTHERS: Final = 0o022
if sys.platform == "win32":  # pragma: no cover - another system
    PLAIN: Final = {
        "PATH": r"C:\Windows\System32",
        "SYSTEMROOT": os.environ.get("SYSTEMROOT", r"C:\Windows"),
    }
else:
    PLAIN: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def apart() -> dict[str, Any]:
    """Say how a child is begun so that its children can be stopped with it."""
    if sys.platform == "win32":  # pragma: no cover - another system
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def others_may_write(path: Path) -> bool:
    """Look whether anybody but the owner could put something else there."""
    return os.name == "posix" and bool(path.stat().st_mode & OTHERS)


async def stop(process: Process, mark: str) -> None:
    """End a process and its children: politely, and then for certain."""
    if process.returncode is None:
        hit(process, "TERM")
        with anyio.move_on_after(GRACE):
            await process.wait()
    hit(process, "KILL")
    for stray in strays(mark):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(stray, signal.SIGKILL)
    await process.wait()


def hit(process: Process, how: str) -> None:
    """Send a signal to a process and all of its group."""
    if sys.platform == "win32":  # pragma: no cover - another system
        command = ["taskkill", "/T", "/F", "/PID", str(process.pid)]
        subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - the system's
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.Signals[f"SIG{how}"])


def strays(mark: str, proc: Path = Path("/proc")) -> Iterator[int]:
    """Find what has left its group, by what it was told at its beginning (Linux)."""
    told = mark.encode()
    for folder in proc.glob("[0-9]*"):
        with suppress(OSError):
            if told in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)
