"""See what an idle server costs that has behaviors to look after: processor, disk, and looks.

    python bench/idle.py [--behaviors 50] [--seconds 30]

A real server is started on a file in which so many behaviors are registered: times of day, cron
expressions of later, and events that do not happen. Then nobody calls it. Linux only: the figures
are those of /proc.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio

from agent_mem.app import open_app
from agent_mem.config import Settings
from agent_mem.records.behavior import Behavior, behavior_id
from agent_mem.records.record import now

BEGINNING: Final = 12.0
"""Seconds until a server that nobody calls has opened its file and is at rest."""
KINDS: Final = (
    {"trigger_type": "daily", "schedule": "03:30"},
    {"trigger_type": "schedule", "schedule": "0 4 1 1 *"},
    {"trigger_type": "event", "event_filter": {"type": "event", "kind": "never"}},
)


async def register(file: Path, count: int) -> None:
    async with open_app(Settings(db=file, embedder="none")) as app:
        for number in range(count):
            name = f"behavior {number}"
            more = KINDS[number % len(KINDS)]
            await app.store.put(
                Behavior(
                    id=behavior_id(app.store.owner, "a", name),
                    agent_name="a",
                    name=name,
                    action="analyze",
                    scheduled_at=now(),
                    **more,  # pyright: ignore[reportArgumentType] - fields of several types
                )
            )


def used(pid: int) -> dict[str, float]:
    """Read what a process has used: seconds of a core, bytes to and from the disk, calls."""
    told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    lines = Path(f"/proc/{pid}/io").read_text(encoding="utf-8").splitlines()
    counted = {name: float(n) for name, n in (line.split(": ") for line in lines)}
    return {"core": (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK"), **counted}


def measure(file: Path, seconds: float) -> dict[str, float]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("AGENT_MEM_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "agent_mem", "serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**env, "AGENT_MEM_DB": str(file), "AGENT_MEM_EMBEDDER": "none"},
    )
    try:
        time.sleep(BEGINNING)
        before = used(process.pid)
        time.sleep(seconds)
        after = used(process.pid)
        if not file.with_name(f"{file.name}.runner.lock").exists():
            raise SystemExit("The server has not begun to look: nothing was measured.")
    finally:
        process.kill()
        process.wait()
    per = {name: (after[name] - before[name]) / seconds for name in after}
    return {
        "percent of a core": 100 * per["core"],
        "reads a second": per["syscr"],
        "writes a second": per["syscw"],
        "bytes from the disk a second": per["read_bytes"],
        "bytes to the disk a second": per["write_bytes"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--behaviors", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30)
    given = parser.parse_args()
    with suppress(KeyboardInterrupt), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "memory.db"
        anyio.run(register, file, given.behaviors)
        told = measure(file, given.seconds)
        print(json.dumps({name: round(value, 3) for name, value in told.items()}, indent=2))


if __name__ == "__main__":
    main()
