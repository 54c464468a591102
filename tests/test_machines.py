"""The demo of two machines: a real PostgreSQL, two real servers, and a cut."""

import subprocess
import sys
from importlib.machinery import ModuleSpec

import click
import pytest
from click.testing import CliRunner
from conftest import Server
from rich.console import Console

from agent_mem.cli import machines, trial
from agent_mem.cli.main import main

pytestmark = pytest.mark.anyio


def test_a_memory_travels_and_the_later_of_two_changes_wins_after_a_cut() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent_mem", "demo", "--sync"],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )

    assert done.returncode == 0, done.stderr
    told = [line.split("ms  ")[1] for line in done.stdout.splitlines() if "ms  " in line]
    assert told == [
        f"remembers: {machines.FACT}",
        f"knows: {machines.FACT}",
        f"remembers: {machines.EARLIER}",
        f"remembers: {machines.LATER}",
        f"knows: {machines.LATER}",
        f"knows: {machines.LATER}",
    ]
    assert "AGENT_MEM_SERVER=" in done.stdout


def test_without_a_postgresql_to_start_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(_: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(trial, "find_spec", missing)

    done = CliRunner().invoke(main, ["demo", "--sync"])

    assert done.exit_code == 1
    assert "pip install 'agent-mem[demo]'" in done.output


async def test_a_machine_that_never_hears_of_it_is_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "PATIENCE", 0.2)

    async with server() as client:
        with pytest.raises(click.ClickException, match=r"did not hear of it within 0\.2 seconds"):
            await machines.heard(Console(), "laptop", client, "Which?", "This.")
