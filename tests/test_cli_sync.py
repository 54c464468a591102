"""`agent-mem sync`: by hand, on a schedule, and as what starts with the machine."""

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result
from helpers_postgres import Cluster

from agent_mem.cli import units
from agent_mem.cli.main import main
from agent_mem.cli.trial import free_port

Run = Callable[..., Result]
COMMAND = (sys.executable, "-m", "agent_mem", "sync")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("AGENT_MEM_EMBEDDER", "none")

    def running(*arguments: str, db: Path | None = None) -> Result:
        if db:
            monkeypatch.setenv("AGENT_MEM_DB", str(db))
        return CliRunner().invoke(main, arguments)

    return running


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, server_url: str) -> str:
    monkeypatch.setenv("AGENT_MEM_SERVER", server_url)
    return server_url


def remember(run: Run, text: str, *options: str) -> None:
    assert run("remember", text, *options).exit_code == 0


@pytest.mark.usefixtures("server")
def test_a_pass_tells_what_it_moved(run: Run, tmp_path: Path) -> None:
    remember(run, "The ferry leaves at six.")
    done = run("sync")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "sent: 1; received: 0.\n", "")

    far = run("sync", "--json", db=tmp_path / "far.db")
    assert far.exit_code == 0
    assert json.loads(far.stdout) == {"sent": 0, "received": 1}
    assert "The ferry leaves at six." in run("recall", "ferry").stdout


@pytest.mark.parametrize("arguments", [["sync"], ["sync", "--daemon"], ["sync", "retry"]])
def test_where_no_server_is_set_one_sentence_says_how(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)

    assert done.exit_code == 1
    assert done.stderr == (
        "Error: No server is set: AGENT_MEM_SERVER=postgresql://user:password@host/database.\n"
    )


def test_a_server_that_cannot_be_reached_is_worth_another_try(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_MEM_SERVER", f"postgresql://me:secret@127.0.0.1:{free_port()}/x")
    remember(run, "The ferry leaves at six.")

    done = run("sync")

    assert done.exit_code == 75
    assert done.stderr.startswith("Error: PostgreSQL cannot be reached: ")
    assert done.stdout == ""
    found = json.loads(run("status", "--json").stdout)["sync"]
    assert found["waiting"] == 1
    assert found["trouble"]["error"] == done.stderr.removeprefix("Error: ").strip()
    text = run("status").stdout
    assert "; failing since 20" in text
    assert "secret" not in done.stderr + text + json.dumps(found) + run("export", "-").output


def test_a_server_that_refuses_is_not(
    run: Run, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    monkeypatch.setenv("AGENT_MEM_SERVER", server.replace("plain:plain", "plain:secret"))

    done = run("sync")

    assert done.exit_code == 1
    assert "password authentication failed" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--since", "soon"], ["--session-id", "x"], ["--interval", "0"], ["--unit", "cron"], ["now"]],
)
def test_what_makes_no_sense_is_told(run: Run, arguments: list[str]) -> None:
    assert run("sync", *arguments).exit_code == 2


def test_what_would_be_sent_is_told_without_a_server(run: Run) -> None:
    assert run("sync", "--dry-run").stdout == "waiting: 0.\n"
    remember(run, "The ferry leaves at six.")
    remember(run, "The crane is being painted.")

    assert run("sync", "--dry-run").stdout == "memories: 2.\n"
    assert json.loads(run("sync", "--dry-run", "--json").stdout) == {"memories": 2}
    assert run("sync", "--dry-run", "--since", "2999-01-01").stdout == "waiting: 0.\n"
    assert run("sync", "--dry-run", "--since", "2020-01-01T00:00Z").stdout == "memories: 2.\n"


@pytest.mark.usefixtures("server")
def test_only_a_session_or_what_is_new_is_sent(run: Run) -> None:
    remember(run, "The ferry leaves at six.", "--session", "trip")
    remember(run, "The crane is being painted.")
    (entry,) = [
        line
        for line in map(json.loads, run("export", "-").stdout.splitlines()[1:])
        if line["record"] == "sessions"
    ]
    key = entry["row"]["id"]

    assert run("sync", "--session-id", key).stdout == "sent: 2; received: 0.\n"
    assert run("sync", "--since", "2999-01-01").stdout == "sent: 0; received: 0.\n"
    assert run("sync").stdout == "sent: 1; received: 0.\n"


def test_status_tells_how_the_sync_stands(run: Run, server: str, cluster: Cluster) -> None:
    name = server.rpartition("/")[2]
    text = " ".join(run("status").stdout.split())
    assert f"sync with 127.0.0.1/{name}; records waiting for it: 0 " in text

    remember(run, "The ferry leaves at six.")
    cluster.sql("ALTER TABLE agent_mem.memories ADD CONSTRAINT odd CHECK (content = 'x')", name)
    assert run("sync").exit_code == 0

    sync = json.loads(run("status", "--json").stdout)["sync"]
    assert sync["server"] == f"127.0.0.1/{name}"
    assert (sync["waiting"], sync["refused"], sync["aside"], sync["trouble"]) == (1, 1, 0, None)
    assert abs(sync["clock_ahead_ms"]) < 5_000
    assert sync["synced_at"][:4].isdigit()
    text = " ".join(run("status").stdout.split())
    assert "; last done at 20" in text
    assert "; set aside: 1, such as memories " in text
    assert 'violates check constraint "odd"' in text
    assert text.count("(`agent-mem sync retry`)") == 1

    cluster.sql("ALTER TABLE agent_mem.memories DROP CONSTRAINT odd", name)
    assert run("sync", "retry").stdout == "Set aside, and to be tried again: 1.\n"
    assert run("sync").stdout == "sent: 1; received: 0.\n"
    assert json.loads(run("status", "--json").stdout)["sync"]["refused"] == 0


@contextmanager
def daemon(env: dict[str, str], url: str, *arguments: str) -> Generator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*COMMAND, "--daemon", *arguments],
        env={**env, "AGENT_MEM_SERVER": url, "AGENT_MEM_EMBEDDER": "none"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> str:
    assert process.stderr
    return process.stderr.readline()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_it_goes_on_until_it_is_told_to_end(run: Run, env: dict[str, str], server_url: str) -> None:
    with daemon(env, server_url, "--interval", "1", "--json") as process:
        assert told(process) == "sent: 0; received: 0.\n"
        remember(run, "The ferry leaves at six.")
        while (line := told(process)) == "sent: 0; received: 0.\n":
            pass
        assert line == "sent: 1; received: 0.\n"

        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
    assert process.returncode == 0
    assert json.loads(out) == {"sent": 1, "received": 0}
    assert set(err.splitlines()) <= {"sent: 0; received: 0."}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_it_ends_at_once_though_the_server_hangs(env: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with daemon(env, f"postgresql://me:secret@127.0.0.1:{port}/x") as process:
            connection, _ = listener.accept()
            connection.recv(8)  # it waits for the answer
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=10)
            connection.close()
    assert (process.returncode, out, err) == (0, "sent: 0; received: 0.\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_it_goes_on_though_the_server_is_away(env: dict[str, str]) -> None:
    url = f"postgresql://me:secret@127.0.0.1:{free_port()}/x"
    with daemon(env, url, "--interval", "1") as process:
        for _ in range(2):
            assert told(process).startswith("PostgreSQL cannot be reached: ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_the_unit_for_systemd_is_one_that_it_takes(run: Run, tmp_path: Path) -> None:
    text = run("sync", "--unit", "systemd", "--interval", "60").stdout
    assert f'ExecStart="{sys.executable}" -m agent_mem sync --daemon --interval 60\n' in text
    assert "AGENT_MEM_SERVER=postgresql" in text  # said where it belongs, and set nowhere
    assert "\nEnvironmentFile=" in text
    verify = shutil.which("systemd-analyze")
    if verify:
        unit = tmp_path / "agent-mem-sync.service"
        unit.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [verify, "verify", str(unit)], capture_output=True, text=True, check=False
        )
        assert "agent-mem-sync.service" not in done.stderr
        assert done.returncode == 0


def test_a_path_with_odd_characters_is_quoted_in_every_unit() -> None:
    odd = 'C:\\a "b" & <100%>\\python'
    assert 'ExecStart="C:\\\\a \\"b\\" & <100%%>\\\\python" -m' in units.UNITS["systemd"](odd, 1)
    for name in ("launchd", "windows"):
        assert odd in [element.text for element in ET.fromstring(units.UNITS[name](odd, 1)).iter()]  # noqa: S314 - ours


def test_the_unit_for_macos_starts_the_daemon(run: Run) -> None:
    done = run("sync", "--unit", "launchd", "--interval", "60")
    strings = [e.text for e in ET.fromstring(done.stdout).iter("string")]  # noqa: S314 - ours
    command = [sys.executable, "-m", "agent_mem", "sync", "--daemon", "--interval", "60"]
    assert strings[1:8] == command


def test_the_unit_for_windows_starts_the_daemon(run: Run) -> None:
    done = run("sync", "--unit", "windows", "--interval", "60")
    found = {e.tag.rpartition("}")[2]: e.text for e in ET.fromstring(done.stdout).iter()}  # noqa: S314 - ours
    assert found["Command"] == sys.executable
    assert found["Arguments"] == "-m agent_mem sync --daemon --interval 60"
