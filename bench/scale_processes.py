"""Several processes on one file, each as busy as a person keeps it: `scale.py --processes 8`.

Every second each process remembers something and recalls what another one remembered last, which
it must find by then. The parent runs one process alone first, on the same copy of a database.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import anyio
from scale_build import fresh, settings_of
from scale_child import spread, timed

from agent_mem.app import App, open_app
from agent_mem.tools.memories import remember
from agent_mem.tools.recall import Recalled, recall

SECONDS: Final = 25
EACH: Final = 1.0
"""Seconds from one recall of a process to its next."""
READY: Final = 4.0
"""Seconds that all have to open the file."""


class Place(NamedTuple):
    """One of several processes."""

    folder: Path
    number: int
    of: int
    begin: float
    """When it begins, by the clock."""

    def said(self, number: int) -> Path:
        """Name the file in which a process says how much it has written."""
        return self.folder / f"said.{number}"


def compared(source: Path, processes: int) -> list[dict[str, Any]]:
    """Run one process, then several, on a copy of a database: one row of figures for each."""
    with tempfile.TemporaryDirectory(dir=source.parent) as copy:
        for path in source.glob("memory.db*"):
            shutil.copy(path, copy)
        return [together(Path(copy), 1), together(Path(copy), processes)]


def together(folder: Path, processes: int) -> dict[str, Any]:
    for path in folder.glob("said.*"):
        path.unlink()
    begin = time.time() + READY
    command = [sys.executable, __file__, str(folder), str(processes), str(begin)]
    running = [
        subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE)
        for number in range(processes)
    ]
    found = [json.loads(process.communicate()[0]) for process in running]
    every = {name: [s for one in found for s in one[name]] for name in ("recall", "remember")}
    return {
        "processes": processes,
        "asked": len(every["recall"]),
        "missed": sum(one["missed"] for one in found),
        **{name: spread(times) for name, times in every.items()},
    }


async def one(place: Place) -> dict[str, Any]:
    """Be one of the processes."""
    told: dict[str, Any] = {"recall": [], "remember": [], "missed": 0}
    texts = fresh(SECONDS)
    async with open_app(settings_of(place.folder)) as app:
        await app.finder.meaning.load()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.finder.meaning.run)
            start = place.begin + EACH * place.number / place.of
            for n in range(SECONDS):
                await anyio.sleep(max(0.0, start + n * EACH - time.time()))
                text = f"{named(place.number, n)}: {texts[n]}"
                told["remember"].append(await timed(remember(app, content=text)))
                place.said(place.number).write_text(str(n), encoding="utf-8")
                await ask(app, place, n, told)
            tasks.cancel_scope.cancel()
    return told


def named(number: int, n: int) -> str:
    """Name what a process writes as its n-th, so that it can be asked for."""
    return f"beacon{number}lamp{n}"


async def ask(app: App, place: Place, n: int, told: dict[str, Any]) -> None:
    """Recall what another process has written last, if it has written anything."""
    other = (place.number + 1 + n) % place.of
    if not place.said(other).exists():
        return
    name = named(other, int(place.said(other).read_text(encoding="utf-8") or 0))
    begun = time.perf_counter()
    found: Recalled = await recall(app, query=f"What did {name} say?")
    told["recall"].append(time.perf_counter() - begun)
    told["missed"] += not any(name in hit.text for hit in found.hits)


def main() -> None:
    folder, of, begin, number = sys.argv[1:]
    place = Place(Path(folder), int(number), int(of), float(begin))
    print(json.dumps(asyncio.run(one(place))))


if __name__ == "__main__":
    main()
