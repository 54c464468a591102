"""Programs that a behavior runs: what is allowed, what is not, and that nothing is left behind."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from conftest import Call

from agent_mem.behaviors import processes
from agent_mem.behaviors.allowed import mine, place
from agent_mem.behaviors.command import SHOWN
from agent_mem.config import Settings
from agent_mem.errors import ActionFailed

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="it has other programs, and no modes"),
]

Allow = Callable[..., None]
Ran = dict[str, Any]

ECHO = """
import json, os, sys
print(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(),
                  "stdin": json.loads(sys.stdin.read())}))
"""


@pytest.fixture
def allow(settings: Settings) -> Allow:
    """Write the settings file."""

    def write(program: Path | str = sys.executable, **more: object) -> None:
        said = {"program": str(program), **more}
        text = "\n".join(f"{name} = {toml(value)}" for name, value in said.items())
        path = settings.db.with_name("config.toml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"[commands.it]\n{text}\n", encoding="utf-8")
        path.chmod(0o600)

    return write


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {json.dumps(v)}" for k, v in value.items()) + " }"  # pyright: ignore[reportUnknownVariableType] - JSON
    return json.dumps(value)


async def run(call: Call, *args: str, name: str = "it", seconds: int = 20) -> Ran:
    params = {"command": name, "args": list(args)}
    rules = {"timeout_s": seconds, "retries": 0}
    await call("register_behavior", name="b", action="command", params=params, rules=rules)
    return await call("run_behavior", name="b")


def alive(pid: int) -> bool:
    """Look whether a process runs; one that has ended and is not yet noticed does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split()[2] != "Z"
    except FileNotFoundError:
        return False


async def gone(pid: int) -> None:
    with anyio.fail_after(10):
        while alive(pid):  # noqa: ASYNC110 - another process ends
            await anyio.sleep(0.02)


async def test_a_program_is_run_without_a_shell_with_nothing_inherited(
    call: Call, allow: Allow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    allow(args=["-c", ECHO, "$HOME; ls"], more=["--dry-run"], env={"SET": "by the file"})

    ran = await run(call, "--dry-run")

    said = json.loads(ran["output"]["stdout"])
    assert ran["status"] == "complete"
    assert said["argv"] == ["$HOME; ls", "--dry-run"]
    assert said["env"].pop("AGENT_MEM_RUN") == ran["run"]
    assert said["env"].pop("LC_CTYPE", "C.UTF-8") == "C.UTF-8"  # Python's own
    assert said["env"] == {**processes.PLAIN, "SET": "by the file"}
    assert Path(said["cwd"]).name.startswith("tmp")
    assert not Path(said["cwd"]).exists()
    assert said["stdin"] == {"input": {}, "results": {}}


async def test_its_folder_is_the_one_of_the_settings_file(
    call: Call, allow: Allow, tmp_path: Path
) -> None:
    allow(args=["-c", ECHO], folder=str(tmp_path))

    ran = await run(call)

    assert Path(json.loads(ran["output"]["stdout"])["cwd"]) == tmp_path
    assert tmp_path.exists()


REFUSED = "`it` may not be given"


@pytest.mark.parametrize(
    ("more", "arg", "sentence"),
    [
        ([], "anything", f"{REFUSED} `anything`: no pattern of `more` fits it."),
        (["--dry-run"], "; rm -rf /", f"{REFUSED} `; rm -rf /`"),
        (["--dry-run"], "--dry-run; id", f"{REFUSED} `--dry-run; id`"),
        (["--dry-run"], "--dry-run\n--delete", f"{REFUSED} `--dry-run --delete`"),
        (["[a-z]+"], "$(id)", f"{REFUSED} `$(id)`"),
        (["[a-z]+"], "`id`", f"{REFUSED} ``id``"),
        (["[a-z]+"], "a|b", f"{REFUSED} `a|b`"),
        (["[a-z]+"], "../../etc/passwd", f"{REFUSED} `../../etc/passwd`"),
        (["[a-z./]+"], "--config=x", f"{REFUSED} `--config=x`"),
    ],
)
async def test_an_argument_that_no_pattern_fits_as_a_whole_is_refused(
    call: Call, allow: Allow, more: list[str], arg: str, sentence: str
) -> None:
    allow(args=["-c", "print('ran')"], more=more)

    ran = await run(call, arg)

    assert ran["status"] == "failed"
    assert ran["error"].startswith(sentence)


@pytest.mark.parametrize("name", ["sh", "/bin/sh", "../it", "it; id", "IT", "it "])
async def test_only_a_name_of_the_settings_file_is_run(call: Call, allow: Allow, name: str) -> None:
    allow(args=["-c", "print('ran')"])

    ran = await run(call, name=name)

    if name.strip() == "it":  # names lose the space around them
        assert ran["status"] == "complete"
    else:
        assert ran["error"] == (f"The settings file allows no command `{name}`; it has: it.")


async def test_without_a_settings_file_nothing_is_run(call: Call) -> None:
    assert (await run(call))["error"] == ("The settings file allows no command `it`; it has: none.")


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("python3", "commands.it.program: write a whole path, without `..`."),
        ("/usr/bin/../bin/env", "commands.it.program: write a whole path, without `..`."),
        ("/nowhere/program", "/nowhere/program is no program."),
        ("/usr/bin", "/usr/bin is no program."),
    ],
)
async def test_a_program_is_a_whole_path_to_a_file(
    call: Call, allow: Allow, program: str, sentence: str
) -> None:
    allow(program)

    assert sentence in (await run(call))["error"]


async def test_a_program_that_others_may_write_or_that_is_none_is_not_run(
    call: Call, allow: Allow, tmp_path: Path
) -> None:
    loose, text, batch = (tmp_path / name for name in ("loose", "text", "it.BAT"))
    for file, mode in ((loose, 0o777), (text, 0o600), (batch, 0o700)):
        file.write_text("#!/bin/sh\necho ran\n", encoding="utf-8")
        file.chmod(mode)
    errors: list[str] = []
    for file in (loose, text, batch):
        allow(file)
        errors.append((await run(call))["error"])

    assert errors[0] == f"Others may write {loose}: it is not run."
    assert errors[1] == f"{text} cannot be started: Permission denied."
    assert errors[2] == f"{batch} is a batch file, which a shell would run."


async def test_a_settings_file_that_others_may_write_allows_nothing(
    call: Call, allow: Allow, settings: Settings
) -> None:
    allow(args=["-c", "print('ran')"])
    place(settings).chmod(0o620)

    assert "Others may write" in (await run(call))["error"]
    with pytest.raises(ActionFailed):
        mine(place(settings), os.stat_result((0o100600, 0, 0, 0, 12345, 0, 0, 0, 0, 0)))
    mine(place(settings), os.stat_result((0o100666, *[0] * 9)), posix=False)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[commands", "cannot be read"),
        ("[commands.it]\nprogramme = '/x'", "commands.it.program: Field required."),
        ("[commands.it]\nprogram = '/x'\nmore = ['(']", "commands.it.more.0: is no pattern"),
        ("[webhooks.it]\nurl = 'ftp://x'\nsecret = '0123456789abcdef'", "write https://host/path."),
        ("[webhooks.it]\nurl = 'https://x'\nsecret = 'short'", "webhooks.it.secret"),
    ],
)
async def test_a_settings_file_that_makes_no_sense_is_told_without_its_secrets(
    call: Call, settings: Settings, text: str, sentence: str
) -> None:
    place(settings).write_text(text, encoding="utf-8")

    error = (await run(call))["error"]

    assert sentence in error
    assert "short" not in error.replace("too short", "").replace("shorter", "")


async def test_an_exit_code_is_a_failure_and_its_words_are_told(call: Call, allow: Allow) -> None:
    allow(args=["-c", "import sys; print('no disk', file=sys.stderr); sys.exit(3)"])

    ran = await run(call)

    assert ran["status"] == "failed"
    assert ran["error"] == "`it` ended with 3: no disk"


async def test_only_so_much_of_what_it_says_is_kept(call: Call, allow: Allow) -> None:
    allow(args=["-c", "import sys; sys.stdout.buffer.write(b'\\x00\\xffab' * 100_000)"])

    said = (await run(call))["output"]["stdout"]

    assert len(said) == SHOWN
    assert said[:4] == "\ufffd\ufffdab"


async def test_a_program_without_an_end_of_words_is_stopped(call: Call, allow: Allow) -> None:
    allow(args=["-c", "import os\nwhile True: os.write(1, b'x' * 65536)"])

    ran = await run(call)

    assert ran["error"] == "It wrote more than 4 MiB: it was stopped."


STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"])
apart = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
    start_new_session=True)
with open(sys.argv[1], "w") as file:
    print(os.getpid(), child.pid, apart.pid, file=file)
time.sleep(600 if len(sys.argv) < 3 else 0)
"""


async def test_what_ignores_sigterm_is_killed_with_its_children_when_its_time_is_over(
    call: Call, allow: Allow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE", 0.2)
    pids = tmp_path / "pids"
    allow(args=["-c", STUBBORN, str(pids)])

    ran = await run(call, seconds=2)

    assert ran["error"] == "It took longer than 2 s."
    for pid in map(int, pids.read_text(encoding="utf-8").split()):
        await gone(pid)


async def test_children_that_are_left_behind_are_stopped_and_not_waited_for(
    call: Call, allow: Allow, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    allow(args=["-c", STUBBORN, str(pids), "and go"])

    with anyio.fail_after(15):
        ran = await run(call)

    assert ran["status"] == "complete"
    for pid in map(int, pids.read_text(encoding="utf-8").split()):
        await gone(pid)


async def test_a_program_need_not_read_what_it_is_told(call: Call, allow: Allow) -> None:
    allow(args=["-c", "import os; os.close(0); print('done')"])

    assert (await run(call))["output"]["stdout"] == "done\n"
