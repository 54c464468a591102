"""Where each client keeps its configuration, on each platform."""

from pathlib import Path

import pytest

from agent_mem.cli.clients import CLIENTS, Machine, present, user_file

HOME = Path("/home/ana")
MAC = HOME / "Library" / "Application Support"
ROAMING = HOME / "AppData" / "Roaming"

PLACES: list[tuple[str, dict[str, str], str, Path]] = [
    ("linux", {}, "claude-desktop", HOME / ".config/Claude/claude_desktop_config.json"),
    ("linux", {}, "claude-code", HOME / ".claude.json"),
    ("linux", {}, "cursor", HOME / ".cursor/mcp.json"),
    ("linux", {}, "vscode", HOME / ".config/Code/User/mcp.json"),
    ("linux", {}, "codex", HOME / ".codex/config.toml"),
    ("linux", {"XDG_CONFIG_HOME": "/x"}, "vscode", Path("/x/Code/User/mcp.json")),
    ("linux", {"XDG_CONFIG_HOME": ""}, "vscode", HOME / ".config/Code/User/mcp.json"),
    ("linux", {"CLAUDE_CONFIG_DIR": "/c"}, "claude-code", Path("/c/.claude.json")),
    ("linux", {"CODEX_HOME": "/k"}, "codex", Path("/k/config.toml")),
    ("darwin", {}, "claude-desktop", MAC / "Claude/claude_desktop_config.json"),
    ("darwin", {}, "claude-code", HOME / ".claude.json"),
    ("darwin", {}, "cursor", HOME / ".cursor/mcp.json"),
    ("darwin", {}, "vscode", MAC / "Code/User/mcp.json"),
    ("darwin", {"XDG_CONFIG_HOME": "/x"}, "vscode", MAC / "Code/User/mcp.json"),
    ("darwin", {}, "codex", HOME / ".codex/config.toml"),
    ("win32", {}, "claude-desktop", ROAMING / "Claude/claude_desktop_config.json"),
    ("win32", {}, "claude-code", HOME / ".claude.json"),
    ("win32", {}, "cursor", HOME / ".cursor/mcp.json"),
    ("win32", {}, "vscode", ROAMING / "Code/User/mcp.json"),
    ("win32", {"APPDATA": "/r"}, "vscode", Path("/r/Code/User/mcp.json")),
    ("win32", {}, "codex", HOME / ".codex/config.toml"),
]


@pytest.mark.parametrize(("platform", "env", "name", "path"), PLACES)
def test_each_client_has_its_file(
    platform: str, env: dict[str, str], name: str, path: Path
) -> None:
    assert user_file(name, Machine(platform, env, HOME)) == path


def test_every_client_is_tried_on_every_platform() -> None:
    assert {(p, name) for p, _, name, _ in PLACES} == {
        (p, name) for p in ("linux", "darwin", "win32") for name in CLIENTS
    }


def test_the_packaged_claude_of_windows_reads_the_folder_of_its_package(tmp_path: Path) -> None:
    machine = Machine("win32", {"LOCALAPPDATA": str(tmp_path)}, HOME)
    first, used = (tmp_path / "Packages" / name for name in ("Claude_a", "Claude_b"))
    inside = Path("LocalCache/Roaming/Claude")

    first.mkdir(parents=True)
    assert user_file("claude-desktop", machine).parent == first / inside

    (used / inside).mkdir(parents=True)
    assert user_file("claude-desktop", machine).parent == used / inside


def test_a_client_is_found_by_its_command_its_file_or_its_folder(tmp_path: Path) -> None:
    here = Machine("linux", {"PATH": str(tmp_path / "bin")}, tmp_path)
    assert not any(present(name, here) for name in CLIENTS)

    (tmp_path / ".cursor").mkdir()
    (tmp_path / ".claude.json").touch()
    program = tmp_path / "bin" / "codex"
    program.parent.mkdir()
    program.touch(mode=0o755)

    assert [name for name in CLIENTS if present(name, here)] == ["claude-code", "cursor", "codex"]
