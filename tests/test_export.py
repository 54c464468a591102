"""The commands `export` and `import`."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent_mem.cli.main import main
from agent_mem.config import Settings

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")


def run(*arguments: str, code: int = 0, **settings: object) -> str:
    """Run the command in this process, and give what it printed."""
    env = {f"AGENT_MEM_{name.upper()}": str(value) for name, value in settings.items()}
    result = CliRunner(env=env).invoke(main, arguments)
    assert result.exit_code == code, result.output
    return result.output


def test_a_memory_moves_to_another_machine_by_its_archive(tmp_path: Path) -> None:
    file, other = str(tmp_path / "all.jsonl"), tmp_path / "other.db"
    run("remember", "Llamas graze.")

    assert run("export", file) == f"Rows of the owner 'me' in {file}: 1.\n"
    moved = run("import", file, db=other)
    again = run("import", file, db=other)

    assert moved == f"Rows in {file}: 1; written: 1; here already: 0.\n"
    assert again == f"Rows in {file}: 1; written: 0; here already: 1.\n"
    assert "Llamas graze." in run("recall", "llamas", db=other)


def test_programs_read_json(tmp_path: Path) -> None:
    file, other = str(tmp_path / "all.jsonl"), tmp_path / "other.db"
    run("remember", "Llamas graze.")

    wrote = json.loads(run("export", file, "--json"))
    read = json.loads(run("import", file, "--json", db=other))

    assert (wrote["file"], wrote["rows"], wrote["agent_mem"]) == (file, 1, 1)
    assert wrote["counts"]["memories"] == 1
    assert read == {"rows": 1, "written": 1, "records": {"memories": 1}}


def test_an_empty_memory_has_an_archive_too(tmp_path: Path) -> None:
    file = str(tmp_path / "none.jsonl")
    run("export", file)

    assert run("import", file) == f"Rows in {file}: 0; written: 0; here already: 0.\n"


def test_the_memory_is_not_replaced_by_its_archive(settings: Settings) -> None:
    run("remember", "Llamas graze.")

    told = run("export", str(settings.db), code=1)

    assert told == f"Error: {settings.db} is the memory itself: export it to another file.\n"
    assert "Llamas" in run("recall", "llamas")


def test_a_broken_archive_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")

    told = run("import", str(tmp_path / "x"), code=1)

    assert told.startswith(f"Error: Line 1 of {tmp_path / 'x'} is not JSON")
    assert told.count("\n") == 1


def test_stdout_has_nothing_but_the_archive(env: dict[str, str]) -> None:
    run("remember", "Llamas graze.")

    done = subprocess.run(
        [sys.executable, "-m", "agent_mem", "export"], env=env, capture_output=True, check=True
    )

    header, *rows = done.stdout.decode().splitlines()
    assert json.loads(header)["counts"]["memories"] == len(rows) == 1
    assert not done.stderr


@posix
def test_a_terminal_sees_how_far_it_is(env: dict[str, str], tmp_path: Path) -> None:
    run("remember", "Llamas graze.")
    told = {
        name: on_a_terminal(env, name, str(tmp_path / "all.jsonl")) for name in ("export", "import")
    }

    assert "Exporting" in told["export"]
    assert "Importing" in told["import"]
    assert "100%" in told["export"]
    assert not on_a_terminal(env, "export", "--json")


def on_a_terminal(env: dict[str, str], *arguments: str) -> str:
    """Run the command with a terminal as its stderr, and give what that showed."""
    pty = pytest.importorskip("pty")
    terminal, side = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-m", "agent_mem", *arguments],
            env={**env, "TERM": "xterm"},
            stdout=subprocess.DEVNULL,
            stderr=side,
            check=True,
        )
        os.set_blocking(terminal, False)
        with suppress(BlockingIOError):
            return os.read(terminal, 1 << 16).decode()
        return ""
    finally:
        os.close(terminal)
        os.close(side)


@posix
def test_a_reader_that_leaves_is_told_of(env: dict[str, str]) -> None:
    run("remember", "Llamas graze.")
    read, write = os.pipe()
    os.close(read)

    done = subprocess.run(
        [sys.executable, "-m", "agent_mem", "export"],
        env=env,
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)

    assert done.returncode == 1
    assert done.stderr.decode() == "Error: The archive cannot be written: Broken pipe.\n"
