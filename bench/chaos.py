"""Have everything go wrong for three machines, and see whether they agree, and lost nothing.

    python bench/chaos.py [--runs 3] [--seed 1] [--seconds 20] [--control] [--history FOLDER]
    python bench/chaos.py --replay FILE [--json]

Each machine is a folder with two processes that write as agents do and one that syncs, all of them
the product's own code; their clocks are 0, 120 s behind and 90 s ahead. While they write, processes
are killed (kill -9), connections are cut in the middle of a message, refused and stalled, and
PostgreSQL crashes (`-m immediate`) and comes back. Then all faults end. When nothing moves any
more, every machine and the server must have the same rows of every table, and every write that was
acknowledged must be there, as it was or followed by a later one.

With `--control` versions are given by a sequence instead of the feed's counter. Then rows must be
missed: otherwise the run is too tame to prove anything.

One seed draws all faults. They are written to a file, and `--replay` does the same ones again; what
the processes do in between is up to the system, as ever.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import anyio
from chaos_check import Key, Stamp, acknowledged, everything, faults, lost, shared
from chaos_conductor import OWNER, Conductor, spawning
from chaos_plan import Run, drawn, read, write

from agent_mem.cli.trial import Trial, trial
from agent_mem.storage.postgres import Postgres
from agent_mem.storage.sqlite import SQLite
from agent_mem.storage.store import Engine, Store
from agent_mem.storage.sync.syncer import unindexed

COLUMNS: Final = ("seed", "seconds", "acknowledged", "kills", "cuts", "refused", "crashes")
RESULTS: Final = ("rows", "conflicts", "healed in", "equal", "missing", "lost", "wrong", "history")


async def rows(engine: Engine) -> dict[Key, Stamp]:
    return await engine.read(everything(Store(engine, OWNER, unindexed)))


async def judged(conductor: Conductor) -> dict[str, Any]:
    """Compare all that there is."""
    async with Postgres.open(conductor.url, OWNER) as server:
        there = await rows(server)
    missing, gone, told, wrong = 0, 0, 0, list[str]()
    for machine in conductor.machines:
        file = machine.folder / "memory.db"
        wrong += [f"machine {machine.number}: {fault}" for fault in faults(file)]
        async with SQLite.open(file) as engine:
            here = await rows(engine)
        out, own = shared(here), {key: row for key, row in here.items() if not row.shared}
        missing += sum(out.get(key) != there.get(key) for key in out.keys() | there.keys())
        stamps = acknowledged(machine.journals())
        told += len(stamps)
        gone += len(lost(stamps, own | there))
    wrong += [f"{what}: {n}" for what in ("died", "restless") if (n := conductor.counts[what])]
    return {
        "acknowledged": told,
        "rows": len(there),
        "conflicts": sum(table == "record_history" for table, _ in there),
        "equal": missing == 0,
        "missing": missing,
        "lost": gone,
        "wrong": wrong,
    }


async def played(run: Run, server: Trial, folder: Path) -> dict[str, Any]:
    """Play one run to its end; say what came of it."""
    async with AsyncExitStack() as stack:
        conductor = Conductor(run, server, folder)
        stack.callback(conductor.end)
        await conductor.begin(stack)
        await conductor.play()
        healed = await conductor.heal()
        told = await judged(conductor)
    counts = {name: conductor.counts[name] for name in ("kills", "cuts", "refused", "crashes")}
    return {"seed": run.seed, "seconds": run.seconds, **counts, "healed in": healed, **told}


@contextmanager
def places() -> Generator[tuple[Trial, Path]]:
    with trial() as server, tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        yield server, Path(folder)


def play(run: Run) -> dict[str, Any]:
    with places() as (server, folder):
        return anyio.run(played, run, server, folder)


def good(run: Run, told: dict[str, Any]) -> bool:
    """Say whether it came out as it must: whole; or with a sequence, not."""
    if run.control:
        return told["missing"] > 0
    return told["equal"] and not told["lost"] and not told["wrong"]


def line(values: Iterable[object]) -> str:
    return "| " + " | ".join(map(shown, values)) + " |"


def shown(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "**no**"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.0f} s"
        case list():
            return "; ".join(map(str, value)) or "-"  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - of whatever
        case _:
            return str(value)


def planned(options: argparse.Namespace) -> Iterator[Run]:
    if options.replay:
        yield read(options.replay)
        return
    for seed in range(options.seed, options.seed + options.runs):
        yield drawn(seed, options.seconds, control=options.control)


def history(run: Run, folder: Path) -> Path:
    """Write down what goes wrong, so that it can be done again."""
    path = folder / f"chaos-{run.seed}{'-control' if run.control else ''}.jsonl"
    write(path, run)
    return path


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--history", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    options = asked()
    names = (*COLUMNS, *RESULTS)
    found: list[bool] = []
    if not options.json:
        print(line(names), line("---" for _ in names), sep="\n", flush=True)
    for run in planned(options):
        path = history(run, options.history)
        told = {**play(run), "history": str(path)}
        found.append(good(run, told))
        print(json.dumps(told) if options.json else line(told[name] for name in names), flush=True)
    sys.exit(not all(found))


if __name__ == "__main__":
    # What takes long to load is loaded once, and each process is a copy of the one that has it.
    spawning.set_forkserver_preload(["agent_mem.storage.postgres", "agent_mem.tools"])
    main()
