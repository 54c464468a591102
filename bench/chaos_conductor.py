"""Runs the machines of `chaos.py`, has things go wrong as planned, and waits until all is well."""

import multiprocessing
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

import anyio
import chaos_worker
from anyio.to_thread import run_sync
from chaos_check import local
from chaos_plan import MACHINES, PROCESSES, Fault, Run
from chaos_proxy import Proxy
from chaos_worker import Machine

from agent_mem.cli.trial import Trial
from agent_mem.records import RECORDS
from agent_mem.storage.postgres import Postgres
from agent_mem.storage.statements import Row, Statement, Transaction

SKEWS: Final = (0, -120, 90)
OWNER: Final = "me"
SYNCER: Final = PROCESSES - 1
QUIET: Final = 4
"""How often in a row nothing may be seen to move before it is taken to be over."""
LOOK: Final = 0.3
PATIENCE: Final = 90.0
"""Seconds after which it should have been over."""
VERSIONS: Final = " UNION ALL ".join(f"SELECT ver FROM {model.TABLE}" for model in RECORDS)  # noqa: S608 - our own names
LATEST: Final = f"SELECT coalesce(max(ver), 0) AS ver FROM ({VERSIONS}) AS versions"  # noqa: S608 - our own names
spawning = multiprocessing.get_context("forkserver" if sys.platform != "win32" else "spawn")


class Conductor:
    """Runs the machines of one run, and has things go wrong.

    Args:
        run: what is to go wrong.
        server: the PostgreSQL.
        folder: where the machines' folders are.
    """

    def __init__(self, run: Run, server: Trial, folder: Path) -> None:
        self.machines: list[Machine] = []
        self.counts: Counter[str] = Counter()
        self.url = server.url()
        self._run = run
        self._server = server
        self._folder = folder
        self._proxies: list[Proxy] = []
        self._processes: dict[tuple[int, int], BaseProcess] = {}

    async def begin(self, stack: AsyncExitStack) -> None:
        """Make the server's tables, each machine's way to it, and all processes."""
        async with Postgres.open(self.url, OWNER) as server:
            await server.write(asking("CREATE SEQUENCE agent_mem.control"))
        for number, skew in enumerate(SKEWS):
            proxy = await stack.enter_async_context(Proxy(self._server.port).serving())
            self._proxies.append(proxy)
            folder = self._folder / f"machine{number}"
            folder.mkdir()
            url = self.url.replace(f":{self._server.port}/", f":{proxy.port}/")
            self.machines.append(Machine(number, folder, skew, url, self._run.control))
        for machine in range(MACHINES):
            for number in range(PROCESSES):
                self._start(machine, number)
        with anyio.fail_after(PATIENCE):
            while not all(map(began, self.machines)):  # noqa: ASYNC110 - other processes write
                await anyio.sleep(LOOK)

    async def play(self) -> None:
        """Have everything go wrong that is planned, each at its time."""
        begun = time.monotonic()
        async with anyio.create_task_group() as tasks:
            for fault in self._run.faults:
                await anyio.sleep(max(0.0, begun + fault.at - time.monotonic()))
                tasks.start_soon(getattr(self, f"_{fault.what}"), fault)
            await anyio.sleep(max(0.0, begun + self._run.seconds - time.monotonic()))

    async def heal(self) -> float:
        """End the writing and all faults; wait until nothing moves any more."""
        for proxy in self._proxies:
            proxy.heal()
        for machine, number in list(self._processes):
            if number != SYNCER:
                self._end(machine, number)
        begun = time.monotonic()
        async with Postgres.open(self.url, OWNER) as server:
            quiet = 0
            while quiet < QUIET and time.monotonic() < begun + PATIENCE:
                await anyio.sleep(LOOK)
                quiet = quiet + 1 if await self._still(server) else 0
        self.counts["restless"] = quiet < QUIET
        self.end()
        self.counts["cuts"] = sum(proxy.cuts for proxy in self._proxies)
        self.counts["refused"] = sum(proxy.refused for proxy in self._proxies)
        return time.monotonic() - begun

    def end(self) -> None:
        """Kill every process that runs."""
        for machine, number in list(self._processes):
            self._end(machine, number)

    async def _still(self, server: Postgres) -> bool:
        """Look whether nothing waits on any machine, and each has read all of the server."""
        (row,) = await server.read(asking(LATEST))
        far = [local(machine.folder / "memory.db") for machine in self.machines]
        return all(not here.waiting and here.cursor >= row["ver"] for here in far)

    def _start(self, machine: int, number: int) -> None:
        kills = self.counts["kills"]
        what = chaos_worker.sync if number == SYNCER else chaos_worker.write
        arguments = (self.machines[machine], f"{self._run.seed} {machine} {number} {kills}")
        process = spawning.Process(target=what, args=arguments, daemon=True)
        process.start()
        self._processes[machine, number] = process

    def _end(self, machine: int, number: int) -> None:
        process = self._processes.pop((machine, number))
        self.counts["died"] += not process.is_alive()
        process.kill()
        process.join()

    async def _kill(self, fault: Fault) -> None:
        self._end(fault.machine, fault.n)
        self.counts["kills"] += 1
        self._start(fault.machine, fault.n)

    async def _cut(self, fault: Fault) -> None:
        self._proxies[fault.machine].cut(fault.n, answer=fault.answer)

    async def _refuse(self, fault: Fault) -> None:
        await self._proxies[fault.machine].refuse(fault.seconds)

    async def _stall(self, fault: Fault) -> None:
        await self._proxies[fault.machine].stall(fault.seconds)

    async def _crash(self, fault: Fault) -> None:
        if self.counts["down"]:
            return
        self.counts["down"] = 1
        await run_sync(self._server.stop, "immediate")
        self.counts["crashes"] += 1
        await anyio.sleep(fault.seconds)
        await run_sync(self._server.start)
        self.counts["down"] = 0


def began(machine: Machine) -> bool:
    return sum(path.stat().st_size > 0 for path in machine.journals()) == SYNCER


def asking(text: str) -> Transaction[list[Row]]:
    return (yield Statement(text, {}))
