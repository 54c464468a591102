"""A client's configuration gets our entry, and nothing else in it changes."""

import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from helpers_claude import CLAUDE, needs_claude

from agent_mem.cli import rewriting
from agent_mem.cli.clients import CLIENTS, Machine, user_file
from agent_mem.cli.main import main
from agent_mem.errors import AgentMemError

COMMAND = str(Path(sys.executable).with_name("agent-mem"))
"""The path of Claude Code, where one is installed to be tried."""
SERVER = "postgresql://ana:pa55w0rd@db.example/team"
OTHERS = """{
    "mcpServers": {
        "other": {"command": "x", "env": {"TOKEN": "s3cret"}}
    }
}"""
BUSY = """{
\t// Mine: "do not touch.
\t"inputs": [], /* "old": "s3cret" */
\t"servers": {
\t\t"a": {"command": "a", "args": ["--key", "s3cret"]}, // "said of a"
\t},
}
"""
TOML = """# "Mine".
model = "o9"

[mcp_servers.other]
command = "x"
args = [
  "--key", "s3cret",
]

# Said of profiles.
[profiles.a]
notes = '''
[mcp_servers.nonsense]
'''
"""

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every client a home in which it has nothing yet, and take `claude` off the path."""
    home = tmp_path / "ana"
    (home / "project").mkdir(parents=True)
    for name in ("XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("PATH", str(home / "bin"))
    monkeypatch.chdir(home / "project")
    return home


@pytest.fixture
def run() -> Run:
    def running(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["install", *arguments])

    return running


def place(name: str, text: str | None = None) -> Path:
    """Find a client's file, with some text in it."""
    path = user_file(name, Machine())
    if text is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def entry(name: str, path: Path) -> dict[str, Any]:
    """Read our entry as the client would."""
    text = re.sub(r"(?m)(?<!\S)(//.*$|/\*.*?\*/)", "", path.read_text(encoding="utf-8-sig"))
    text = re.sub(r",(\s*[}\]])", r"\1", text)
    form = CLIENTS[name].form
    return (tomllib if form == "toml" else json).loads(text)[CLIENTS[name].table]["agent-mem"]


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_without_a_file_gets_one_and_loses_it_again(name: str, run: Run) -> None:
    path = place(name)

    shown = run(name)
    assert shown.exit_code == 0, shown.output
    assert f"+++ {path}" in shown.output
    assert entry(name, path)["command"] == COMMAND
    assert entry(name, path)["args"] == ["serve"]
    assert (entry(name, path).get("type") == "stdio") == CLIENTS[name].typed

    assert "configured already" in run(name).output
    assert run(name, "--undo").exit_code == 0
    assert not path.exists()
    assert "nothing to undo" in run(name, "--undo").output


@pytest.mark.parametrize("name", [name for name in CLIENTS if CLIENTS[name].project])
def test_a_project_has_a_file_of_its_own(name: str, run: Run, home: Path) -> None:
    assert run(name, "--project").exit_code == 0

    assert entry(name, home / "project" / (CLIENTS[name].project or ""))["args"] == ["serve"]
    assert not place(name).exists()


def test_a_client_without_projects_says_so(run: Run) -> None:
    shown = run("claude-desktop", "--project")

    assert shown.exit_code == 1
    assert shown.stderr == "Error: Claude Desktop has no configuration for one project.\n"


KEPT = {
    "indented": ("claude-desktop", OTHERS),
    "crlf": ("cursor", OTHERS.replace("\n", "\r\n")),
    "byte order mark": ("cursor", "\ufeff" + OTHERS),
    "one line": ("claude-code", '{"a": 1, "mcpServers": {"other": {"env": {"K": "s3cret"}}}}'),
    "no servers": ("claude-code", '{\n  "numStartups": 3\n}\n'),
    "empty servers": ("claude-code", '{"mcpServers": {}}'),
    "nothing": ("vscode", "\n"),
    "comments": ("vscode", BUSY),
    "only comments": ("vscode", "// later\n"),
    "toml": ("codex", TOML),
    "toml without an end": ("codex", 'model = "o9"'),
    "toml crlf": ("codex", TOML.replace("\n", "\r\n")),
}


@pytest.mark.parametrize(("name", "text"), KEPT.values(), ids=KEPT)
def test_all_else_stays_as_it_is(name: str, text: str, run: Run) -> None:
    path = place(name, text)
    path.chmod(0o640)

    shown = run(name)

    assert shown.exit_code == 0, shown.output
    new = path.read_bytes().decode()
    assert entry(name, path.rename(path.with_suffix(".tmp")))["args"] == ["serve"]
    path.with_suffix(".tmp").rename(path)
    lines = text.splitlines() if "\n" in text else []
    assert [line for line in lines if line.rstrip(",") not in new] == []
    assert ("\r\n" in text) == ("\r\n" in new)
    assert new.count("\n") == new.count("\r\n") or "\r\n" not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert rewriting.backup(path).read_bytes() == text.encode()
    assert stat.S_IMODE(rewriting.backup(path).stat().st_mode) == 0o640
    assert "s3cret" not in shown.output

    assert run(name, "--undo").exit_code == 0
    assert path.read_bytes() == text.encode()
    assert not rewriting.backup(path).exists()


LATER = [("claude-desktop", OTHERS), ("vscode", BUSY), ("codex", TOML)]


@pytest.mark.parametrize(("name", "text"), LATER, ids=[name for name, _ in LATER])
def test_what_was_changed_since_is_kept_when_ours_is_taken_out(
    name: str, text: str, run: Run
) -> None:
    path = place(name, text)
    assert run(name).exit_code == 0
    path.write_text(path.read_text(encoding="utf-8").replace('"x"', '"y"').replace('"a"', '"b"'))

    assert run(name, "--undo").exit_code == 0

    left = path.read_text(encoding="utf-8")
    assert "agent-mem" not in left
    assert (
        left.split() == text.replace('"x"', '"y"').replace('"a"', '"b"').split() or name == "vscode"
    )
    assert not rewriting.backup(path).exists()
    assert run(name).exit_code == 0


def test_an_entry_between_others_is_taken_out_with_its_comma(run: Run) -> None:
    mine = '{"mcpServers": {"a": {}, "agent-mem": {"command": "/old"}, "z": {}}}'
    path = place("cursor", mine)

    assert run("cursor", "--undo").exit_code == 0

    assert path.read_text(encoding="utf-8") == '{"mcpServers": {"a": {}, "z": {}}}'


def test_an_entry_of_before_is_mended_and_comes_back(run: Run) -> None:
    mine = '{"mcpServers": {"agent-mem": {"command": "/old", "args": [], "alwaysLoad": true}}}'
    path = place("claude-code", mine)

    assert run("claude-code").exit_code == 0
    assert entry("claude-code", path) == {
        "type": "stdio",
        "command": COMMAND,
        "args": ["serve"],
        "alwaysLoad": True,
    }

    assert run("claude-code", "--undo").exit_code == 0
    assert path.read_text(encoding="utf-8") == mine


def test_tables_of_an_entry_in_toml_become_one(run: Run) -> None:
    mine = (
        '[mcp_servers."agent-mem"]\ncommand = "/old"\nstartup_timeout_sec = 20\nenabled = true\n\n'
        '[mcp_servers.agent-mem.env]\nA_KEY = "s3cret"\n\n# Said of a.\n[a]\nb = 1\n'
    )
    path = place("codex", mine)

    shown = run("codex")
    assert shown.exit_code == 0, shown.output
    assert "s3cret" not in shown.output
    assert path.read_text(encoding="utf-8") == (
        f"[mcp_servers.agent-mem]\ncommand = {json.dumps(COMMAND)}\nstartup_timeout_sec = 20\n"
        'enabled = true\nenv = { A_KEY = "s3cret" }\nargs = ["serve"]\n'
        "\n\n# Said of a.\n[a]\nb = 1\n"
    )

    path.write_text(path.read_text(encoding="utf-8") + "c = 2\n", encoding="utf-8")
    assert run("codex", "--undo").exit_code == 0
    assert tomllib.loads(path.read_text(encoding="utf-8")) == {
        **tomllib.loads(mine),
        "a": {"b": 1, "c": 2},
    }


@pytest.mark.parametrize("name", ["cursor", "codex"])
def test_settings_are_written_and_secrets_not_shown(
    name: str, run: Run, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    path = place(name)
    monkeypatch.setenv("AGENT_MEM_SERVER", SERVER)
    env = (
        "--env",
        "AGENT_MEM_OWNER=ana",
        "--env",
        "AGENT_MEM_SERVER",
        "--env",
        "AGENT_MEM_DB=m.db",
    )

    shown = run(name, "--toolsets", "core,work", *env)

    assert shown.exit_code == 0, shown.output
    assert '"ana"' in shown.output
    assert "pa55w0rd" not in shown.output
    assert entry(name, path)["args"] == ["serve", "--toolsets", "core,work"]
    told = {"AGENT_MEM_OWNER": "ana", "AGENT_MEM_SERVER": SERVER}
    assert (
        tomllib.loads(path.read_text(encoding="utf-8"))["mcp_servers"]["agent-mem"]["env"]
        == {
            **told,
            "AGENT_MEM_DB": str(home / "project" / "m.db"),
        }
        if name == "codex"
        else True
    )

    again = run(name, "--env", f"AGENT_MEM_SERVER={SERVER}2")
    assert "(what changes is not shown: it is secret)" in again.output
    assert f'"{SERVER}2"' in path.read_text(encoding="utf-8")
    assert entry(name, path)["args"] == ["serve", "--toolsets", "core,work"]


WRONG = {
    "no such setting": (("--env", "AGENT_MEM_COLOUR=red"), "There is no setting"),
    "no value": (("--env", "AGENT_MEM_OWNER"), "AGENT_MEM_OWNER has no value here"),
    "bad value": (("--env", "AGENT_MEM_LOG_LEVEL=LOUD"), "AGENT_MEM_LOG_LEVEL: "),
    "bad toolset": (("--toolsets", "all,magic"), "there is no toolset `magic`"),
}


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
def test_a_setting_that_makes_no_sense_is_refused(
    arguments: tuple[str, ...], said: str, run: Run
) -> None:
    shown = run("cursor", *arguments)

    assert shown.exit_code == 1
    assert said in shown.stderr
    assert not place("cursor").exists()


BROKEN = {
    "cut off": ("cursor", '{"mcpServers": {'),
    "a list": ("cursor", "[]"),
    "comments in plain JSON": ("claude-desktop", "{} // mine"),
    "servers are a list": ("cursor", '{"mcpServers": []}'),
    "no servers": ("cursor", '{"mcpServers": null}'),
    "an entry is nothing": ("cursor", '{"mcpServers": {"agent-mem": null}}'),
    "an entry is a text": ("cursor", '{"mcpServers": {"agent-mem": "x"}}'),
    "env is a list": ("cursor", '{"mcpServers": {"agent-mem": {"env": []}}}'),
    "cut off TOML": ("codex", "[mcp_servers"),
    "an inline table": ("codex", 'mcp_servers = { a = { command = "x" } }\n'),
    "a comma alone": ("cursor", '{"mcpServers": {,}}'),
}


@pytest.mark.parametrize(("name", "text"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_not_what_it_should_be_is_left_alone(name: str, text: str, run: Run) -> None:
    path = place(name, text)

    shown = run(name)

    assert shown.exit_code == 1
    assert "nothing was changed" in shown.stderr
    assert shown.stderr.count("\n") == 1
    assert path.read_text(encoding="utf-8") == text
    assert names(path.parent) == [path.name]
    assert not rewriting.backup(path).exists()


def test_a_file_that_is_not_utf_8_or_no_file_is_left_alone(run: Run) -> None:
    path = place("cursor", "{}")
    path.write_bytes("{}".encode("utf-16"))
    assert "is not UTF-8: nothing was changed" in run("cursor").stderr

    path.unlink()
    path.mkdir()
    assert "cannot be read: " in run("cursor").stderr


def test_a_dry_run_changes_nothing(run: Run) -> None:
    path = place("cursor", OTHERS)

    assert "+++" in run("cursor", "--dry-run").output
    assert path.read_text(encoding="utf-8") == OTHERS
    assert names(path.parent) == [path.name]

    run("cursor")
    written = path.read_text(encoding="utf-8")
    assert "+++" in run("cursor", "--undo", "--dry-run").output
    assert path.read_text(encoding="utf-8") == written


def test_a_link_stays_a_link(run: Run, home: Path) -> None:
    path = place("cursor", OTHERS)
    kept = home / "dotfiles" / "cursor.json"
    kept.parent.mkdir()
    path.rename(kept)
    path.symlink_to(kept)

    assert run("cursor").exit_code == 0

    assert path.readlink() == kept
    assert entry("cursor", kept)["command"] == COMMAND
    assert names(kept.parent) == ["cursor.json"]
    assert rewriting.backup(path).read_text(encoding="utf-8") == OTHERS


def test_a_change_by_another_program_in_between_is_not_lost(home: Path) -> None:
    path = home / "a.json"
    path.write_text("{}", encoding="utf-8")
    for new in ("{ }", None):
        with pytest.raises(AgentMemError, match="has just been changed by another program"):
            rewriting.replace(path, "{ 1", new)
    with pytest.raises(AgentMemError, match="has just been changed by another program"):
        rewriting.replace(path, None, "{ }")

    assert path.read_text(encoding="utf-8") == "{}"
    assert names(home) == ["a.json", "project"]


def test_a_place_that_cannot_be_written_is_told_in_a_sentence(run: Run, home: Path) -> None:
    (home / ".cursor").touch()

    shown = run("cursor")

    assert shown.exit_code == 1
    assert shown.stderr.startswith("Error: ")
    assert shown.stderr.count("\n") == 1


def test_without_a_client_it_tells_what_is_here(run: Run, home: Path) -> None:
    place("cursor", '{"mcpServers": {"agent-mem": {"command": "/gone/agent-mem"}}}')
    place("vscode", "{")
    place("codex", "")
    run("claude-code")
    # The command exists, though the path of this test is short.
    told = run()

    states = dict(re.findall(r"(?m)^(\S+) +(.*)$", told.stdout))
    assert states["claude-desktop"] == "not found on this machine"
    assert states["claude-code"] == f"starts {COMMAND}"
    assert states["cursor"].startswith("starts /gone/agent-mem, which is not there any more")
    assert "is not JSON" in states["vscode"]
    assert states["codex"] == "found, not configured"
    assert str(home / ".claude.json") in told.stdout


STAND_IN = """#!{python}
import json, pathlib, sys
path = pathlib.Path.home() / ".claude.json"
held = json.loads(path.read_text()) if path.exists() else {{}}
_, command, _, scope, name, *rest = sys.argv[1:]
assert scope == "user"
servers = held.setdefault("mcpServers", {{}})
if command == "remove":
    servers.pop(name, None)
elif "stubborn" not in held:
    at = rest.index("--")
    env = dict(pair.split("=", 1) for pair in rest[1:at:2])
    servers[name] = {{
        "type": "stdio", "command": rest[at + 1], "args": rest[at + 2:], "env": env
    }}
held["seen"] = held.get("seen", 0) + 1
path.write_text(json.dumps(held))
"""


@pytest.fixture
def claude(home: Path) -> Path:
    """Put a `claude` on the path that does what the real one does to its file."""
    program = home / "bin" / "claude"
    program.parent.mkdir()
    program.write_text(STAND_IN.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    return home / ".claude.json"


@pytest.mark.skipif(os.name == "nt", reason="the program is a script")
def test_claude_code_changes_its_own_file(run: Run, claude: Path) -> None:
    shown = run("claude-code", "--env", "AGENT_MEM_OWNER=ana")
    assert shown.exit_code == 0, shown.output
    assert json.loads(claude.read_text(encoding="utf-8"))["seen"] == 2
    assert entry("claude-code", claude)["env"] == {"AGENT_MEM_OWNER": "ana"}
    assert "configured already" in run("claude-code").output

    # A secret would be seen in the list of processes.
    assert run("claude-code", "--env", f"AGENT_MEM_SERVER={SERVER}").exit_code == 0
    assert json.loads(claude.read_text(encoding="utf-8"))["seen"] == 2
    assert entry("claude-code", claude)["env"]["AGENT_MEM_SERVER"] == SERVER

    assert run("claude-code", "--undo").exit_code == 0
    assert json.loads(claude.read_text(encoding="utf-8")) == {"mcpServers": {}, "seen": 3}

    assert run("claude-code").exit_code == 0
    assert entry("claude-code", claude)["args"] == ["serve"]


@pytest.mark.skipif(os.name == "nt", reason="the program is a script")
def test_a_claude_that_does_not_do_it_is_told_of(run: Run, claude: Path) -> None:
    claude.write_text('{"stubborn": true}', encoding="utf-8")

    shown = run("claude-code")

    assert shown.exit_code == 1
    assert "`claude mcp` did not do it" in shown.stderr


@needs_claude
def test_the_real_claude_code_connects(run: Run, home: Path) -> None:
    (home / "bin").mkdir()
    (home / "bin" / "claude").symlink_to(CLAUDE)

    assert run("claude-code").exit_code == 0

    listed = subprocess.run(
        [CLAUDE, "mcp", "list"], capture_output=True, encoding="utf-8", check=True
    )
    # On a busy machine it may not wait for the tools, and says so instead of the tick.
    line = rf"agent-mem: {re.escape(str(COMMAND))} serve - \S Connected"
    assert re.search(line, listed.stdout)
