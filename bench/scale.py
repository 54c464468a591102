"""Measure recall at scale: `python bench/scale.py 10000 100000 1000000 [--folder F]`.

Makes a database of each size in the folder, or takes the one that is there, and prints one table:
how long it takes to open, what it weighs in memory and on disk, recall end to end inside a server's
process and by stage, remember, the import. `scale_build.py` tells which of the vectors are real.
Each size is measured in a fresh process. Recalls are 316 of the questions of `data/agents.json`,
each asked once, so that the first ones count their words for the first time. A stage's time is the
processor's, of the thread that recalls, and so is less than what passes where others are at work;
all else is wall time. Each run leaves some hundred more memories in the database.

`--processes 8` runs so many processes on a copy of the last size: see `scale_processes.py`.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from scale_build import COMPLETE, build, disk
from scale_processes import compared

CHILD: Final = Path(__file__).with_name("scale_child.py")
Figures = dict[str, Any]


def measured(folder: Path) -> Figures:
    """Measure one database."""
    told: Figures = json.loads((folder / COMPLETE).read_text(encoding="utf-8"))
    told["disk"], told["index"] = disk(folder)
    # Before anything is written, so that the floats that were kept are those of the index.
    for what in ("vectors", "recalls", "imports"):
        told |= child(what, folder)
    return told | {"doctor": doctor(folder)}


def child(what: str, folder: Path) -> Figures:
    command = [sys.executable, str(CHILD), what, str(folder)]
    # As in the server, where this is said before numpy is loaded.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    found = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
    return json.loads(found.stdout)


def doctor(folder: Path) -> float:
    """Tell how many seconds `agent-mem doctor` takes."""
    environment = {**os.environ, "AGENT_MEM_DB": str(folder / "memory.db")}
    command = [sys.executable, "-m", "agent_mem", "doctor"]
    begun = time.perf_counter()
    subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
    return time.perf_counter() - begun


def lines(size: int, told: Figures) -> dict[str, str]:
    """Write the figures of one size, by what they are."""
    loaded, after = told["memory after load"], told["memory after recalls"]
    return {
        "opened / ready to find by meaning, ms": f"{told['open']:.0f} / {told['load']:.0f}",
        "resident after loading, MiB (of files)": resident(loaded),
        "resident after the recalls, MiB (of files)": resident(after),
        "recall, p50 / p95 ms": pair(told["recall"]),
        **{f"… {name}": pair(times) for name, times in told["stages"].items()},
        "remember answered, p50 / p95 ms": pair(told["remember"]),
        "found by meaning, p50 / p95 ms": pair(told["indexed"]),
        "import with vectors, passages/s": f"{told['import']:.0f}",
        "database, bytes a memory": f"{told['disk'] / size:.0f}",
        "index file, bytes a memory": f"{told['index'] / size:.0f}",
        "index made without its file, s": f"{told['indexed without file']:.1f}",
        "of the exact 10 nearest vectors found, %": f"{told['vectors']:.1f}",
        "`agent-mem doctor`, s": f"{told['doctor']:.1f}",
    }


def resident(told: dict[str, int]) -> str:
    return f"{told['VmRSS']} ({told['RssFile']})"


def pair(times: list[float]) -> str:
    return " / ".join(f"{each:.1f}" for each in times)


def table(columns: dict[int, dict[str, str]]) -> None:
    print("| |", " | ".join(f"{size:,}" for size in columns), "|")
    print("| --- |", " --- |" * len(columns), sep="")
    for name in next(iter(columns.values())):
        print("|", " | ".join([name, *(column[name] for column in columns.values())]), "|")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir(), "agent-mem-scale")
    )
    parser.add_argument("--processes", type=int)
    options = parser.parse_args()
    folders: dict[int, Path] = {size: options.folder / str(size) for size in options.sizes}
    for size, folder in folders.items():
        asyncio.run(build(folder, size))
    if options.processes:
        for told in compared(folders[options.sizes[-1]], options.processes):
            print(told)
    else:
        table({size: lines(size, measured(folder)) for size, folder in folders.items()})


if __name__ == "__main__":
    main()
