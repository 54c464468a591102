"""The demo: real servers, a real kill, and an exit code that tells the truth."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest
from click.testing import CliRunner, Result
from mcp import Client

from agent_mem.cli import demo, script
from agent_mem.cli.clients import CLIENTS, server_command
from agent_mem.cli.history import BUILT_IN, history
from agent_mem.cli.main import main

# A server that keeps nothing: each process has a memory of its own.
FORGETFUL = """
import os, tempfile
os.environ["AGENT_MEM_DB"] = tempfile.mkdtemp(dir=os.getcwd()) + "/memory.db"
from agent_mem.cli.main import main
main(["serve"])
"""
# A server whose memory may not be where it is told to keep it.
MISPLACED = """
import os
os.environ["AGENT_MEM_DB"] = os.getcwd() + "/Dropbox/memory.db"
from agent_mem.cli.main import main
main(["serve"])
"""
SUBJECTS = ["Begin", "Keep every session in one file", "Write the answer before the question"]
ODD = [
    "",
    '修复 "quoted words" -- drop -v, --all *x* [bold]markup[/bold] 🚀 topic:ports kind:plan',
    "A subject that goes on and on " * 40,
]
COMMAND = [sys.executable, "-m", "agent_mem", "demo"]


def git(folder: Path, *arguments: str) -> None:
    who = {
        f"GIT_{role}_{what}": f"{what}@x"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    subprocess.run(["git", *arguments], cwd=folder, env={**os.environ, **who}, check=True)


def repository(folder: Path, subjects: Sequence[str]) -> Path:
    """Make a repository with a commit for each subject."""
    folder.mkdir()
    git(folder, "init", "-q")
    for subject in subjects:
        git(folder, "commit", "-q", "--allow-empty", "--allow-empty-message", "-m", subject)
    return folder


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Result]:
    """Play the demo in this process, standing in a folder; its servers are real processes."""

    def playing(folder: Path) -> Result:
        monkeypatch.chdir(folder)
        return CliRunner().invoke(main, ["demo"])

    return playing


class Played(NamedTuple):
    """The demo, played to its end by a real process in a repository."""

    told: str
    folder: Path
    left: list[Path]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = repository(tmp_path_factory.mktemp("work") / "repo", SUBJECTS)
    scratch = tmp_path_factory.mktemp("scratch")
    env = {**os.environ, "TMPDIR": str(scratch), "TEMP": str(scratch), "AGENT_MEM_OWNER": "x" * 999}
    done = subprocess.run(COMMAND, cwd=folder, env=env, capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
    return Played(done.stdout.decode(), folder, list(scratch.iterdir()))


def test_what_one_server_is_told_the_next_one_knows(played: Played) -> None:
    before, after = played.told.split("Killed without warning")

    assert before.startswith(f"3 commits of {played.folder}, ")
    assert "NAME@x wrote 3 of the 3 commits" in before
    assert "NAME@x wrote 3 of the 3 commits" in after
    assert "Write the answer before the question" in after
    assert "open: Review the newest commit" in after
    assert "decided before: agent-mem; it worked, quality 0.9" in after
    assert "analyze: 3 events" in after


def test_each_call_is_shown_with_its_time(played: Played) -> None:
    timed = re.findall(r"^(\w+) +\d+\.\d ms  \S", played.told, re.MULTILINE)

    assert timed == [
        *("log_event", *["remember"] * 4, "log_decision", "log_outcome", "save_session"),
        *(*["recall"] * 5, "restore_session", "log_decision", "run_behavior"),
    ]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to be killed by")
def test_the_first_server_is_killed_and_the_second_one_ends(played: Played) -> None:
    assert "Killed without warning: exit code -9." in played.told
    processes = re.findall(r"Server \d, process (\d+)", played.told)
    assert len(set(processes)) == 2
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(int(process), 0)


def test_no_trace_is_left(played: Played) -> None:
    assert played.left == []


def test_the_last_lines_can_be_pasted_for_each_client(played: Played) -> None:
    beside = Path(sys.executable).with_name("agent-mem")

    assert all(f"\n{beside} install {name}\n" in played.told for name in CLIENTS)
    assert played.told.endswith(f"\n{beside} serve\n")


@pytest.mark.parametrize("newest", ODD, ids=["blank", "signs", "long"])
def test_any_subject_is_found_again(
    play: Callable[[Path], Result], tmp_path: Path, newest: str
) -> None:
    shown = play(repository(tmp_path / "repo", [*SUBJECTS, newest]))

    assert shown.exit_code == 0, shown.output
    assert "analyze: 4 events" in shown.stdout


def test_without_a_repository_a_built_in_history_is_played(
    play: Callable[[Path], Result], tmp_path: Path
) -> None:
    shown = play(tmp_path)

    assert shown.exit_code == 0, shown.output
    reason = f"there is no git history in {tmp_path}"
    assert shown.stdout.startswith(f"Using a small built-in history: {reason}.\n")
    assert "The newest commit is e2590cf" in shown.stdout


def test_it_ends_in_silence_when_nobody_reads_on(tmp_path: Path, env: dict[str, str]) -> None:
    with subprocess.Popen(
        COMMAND, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        while b"Server 1" not in process.stdout.readline():
            pass
        process.stdout.close()

        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_too_few_commits_are_said(tmp_path: Path) -> None:
    folder = repository(tmp_path / "repo", ["One", "Two"])

    used, instead = history(folder)

    assert instead == f"the repository in {folder} has fewer than 3 commits"
    assert used.source == "a small built-in history"


def test_only_the_newest_commits_are_read_oldest_first(tmp_path: Path) -> None:
    used, instead = history(repository(tmp_path / "repo", [f"Step {n}" for n in range(53)]))

    assert instead is None
    assert [commit.subject for commit in used.commits] == [f"Step {n}" for n in range(3, 53)]


def test_a_machine_without_git_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    used, instead = history(tmp_path)

    assert instead == "git did not answer"
    assert len(used.commits) >= 3


@pytest.mark.parametrize(
    ("server", "sentence"),
    [
        (FORGETFUL, "Error: The demo broke off. recall did not give back what was put in, but "),
        (MISPLACED, "Error: The demo broke off. log_event was refused: "),
        ("pass", "Error: The demo broke off. "),
    ],
)
def test_a_server_that_fails_is_not_praised(
    play: Callable[[Path], Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    server: str,
    sentence: str,
) -> None:
    monkeypatch.setattr(demo, "SERVE", [sys.executable, "-c", server])

    shown = play(tmp_path)

    assert shown.exit_code == 1
    assert shown.stderr.startswith(sentence)
    assert shown.stderr.count("\n") == 1
    assert "It works here" not in shown.stdout


def test_an_answer_without_what_was_put_in_does_not_pass() -> None:
    kept: script.Kept = {"log_decision": [{"id": "1"}]}

    passed = [step for step in script.known(BUILT_IN) if step.holds([{"output": {}}], kept)]

    assert passed == []


@pytest.mark.parametrize("part", ["context", "tasks", "decisions"])
def test_a_session_that_lacks_a_part_is_not_restored(part: str) -> None:
    whole = {
        "context": {"summary": script.SUMMARY},
        "tasks": [script.TASK],
        "decisions": [{"id": "1"}],
    }

    assert script.restored(whole, "1")
    assert not script.restored({**whole, part: []}, "1")
    assert not script.restored({name: whole[name] for name in whole if name != part}, "1")


def test_a_server_that_neither_answers_nor_ends_is_killed(tmp_path: Path) -> None:
    async def connecting(process: subprocess.Popen[str]) -> None:
        transport = demo.piped(process, patience=0.1)
        async with Client(transport, read_timeout_seconds=0.1, mode="legacy"):
            pass

    deaf = [sys.executable, "-c", "import time\nwhile True: time.sleep(60)"]
    with demo.start(deaf, tmp_path, {}) as process, pytest.raises(ExceptionGroup):
        anyio.run(connecting, process)

    assert process.returncode == (1 if os.name == "nt" else -signal.SIGKILL)


def test_a_path_with_a_space_is_quoted() -> None:
    lines = demo.paste(["/home/ana/my env/bin/agent-mem", "serve"])

    assert lines[1] == "'/home/ana/my env/bin/agent-mem' install claude-desktop"


def test_without_the_command_beside_it_python_runs_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    assert server_command()[1:] == ["-m", "agent_mem", "serve"]
