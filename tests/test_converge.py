"""The test that decides: three machines, everything that can go wrong, and all is there afterwards.

`bench/chaos.py` is the long form (`make chaos`). Its negative control replays the same faults with
versions from a sequence: that must miss rows, or the run was too tame to prove anything.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHAOS = Path(__file__).parent.parent / "bench" / "chaos.py"
SECONDS = 5


def chaos(folder: Path, *arguments: str | Path) -> dict[str, Any]:
    """Play one run; it must come out as it is meant to."""
    command = [sys.executable, CHAOS, "--json", "--history", folder, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(180)
def test_machines_and_server_are_equal_after_all_faults_and_by_a_sequence_they_are_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "control").mkdir()
    told = chaos(tmp_path, "--seed", "7", "--seconds", str(SECONDS))

    assert told["equal"]
    assert told["lost"] == 0
    assert told["wrong"] == []
    # Else it was no test: enough was written, in conflict too, and enough went wrong.
    assert told["acknowledged"] > 200
    assert told["conflicts"] > 5
    assert min(told["kills"], told["cuts"]) > 5
    assert told["crashes"] > 0

    history = Path(told["history"])
    history.write_text(history.read_text().replace('"control": false', '"control": true'))
    control = chaos(tmp_path / "control", "--replay", history)

    assert control["missing"] > 0
    assert control["kills"] == told["kills"]
