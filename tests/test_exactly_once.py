"""What is due runs once: on one file, on two with a server, and while runners are killed.

`bench/once.py` is the long form. Its control lets every server run what it sees: then there must be
due times that were completed twice, or the run was too tame to prove anything.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ONCE = Path(__file__).parent.parent / "bench" / "once.py"

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")


def once(*arguments: str) -> dict[str, Any]:
    """Play one run; it must come out as it is meant to."""
    command = [sys.executable, ONCE, "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@posix
@pytest.mark.parametrize("files", ["1", "2"])
def test_every_due_time_has_one_completed_run_however_often_a_runner_is_killed(files: str) -> None:
    told = once("--seconds", "9", "--every", "1.5", "--files", files)

    assert told["missed"] == told["twice"] == told["at_once"] == told["other"] == 0
    assert told["complete"] + told["failed"] == told["due"]
    assert told["without_reason"] == 0
    # Else it was no test: enough was due, and kills have met runners at work.
    assert told["due"] >= 8
    assert told["kills"] >= 2
    assert told["broken_off"] >= 1


@posix
def test_without_leases_what_is_due_would_be_completed_twice() -> None:
    told = once("--seconds", "4", "--every", "2", "--control")

    assert told["twice"] > 0
