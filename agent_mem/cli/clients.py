"""The clients that can be configured: where each keeps its servers, and in which form.

Looked up in the vendors' documentation, and tried where `docs/clients.md` says so.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Literal

SERVE = [sys.executable, "-m", "agent_mem", "serve"]

Form = Literal["json", "jsonc", "toml"]


@dataclass(frozen=True)
class Machine:
    """What decides where a client's files are."""

    platform: str = sys.platform
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    home: Path = field(default_factory=Path.home)

    def folder(self, variable: str, default: Path) -> Path:
        """Take the folder that a variable names, if it is set."""
        return Path(self.env[variable]) if self.env.get(variable) else default

    @property
    def applications(self) -> Path:
        """Find the folder of the applications' own files."""
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        if self.platform == "win32":
            return self.folder("APPDATA", self.home / "AppData" / "Roaming")
        return self.folder("XDG_CONFIG_HOME", self.home / ".config")


@dataclass(frozen=True)
class Client:
    """A program that starts servers: `table` of its file has one entry for each of them."""

    title: str
    form: Form
    table: str
    command: str | None
    project: Path | None
    typed: bool = False
    """Whether an entry says `"type": "stdio"`."""


CLIENTS = {
    "claude-desktop": Client("Claude Desktop", "json", "mcpServers", None, None),
    "claude-code": Client(
        "Claude Code", "json", "mcpServers", "claude", Path(".mcp.json"), typed=True
    ),
    "cursor": Client("Cursor", "jsonc", "mcpServers", "cursor", Path(".cursor/mcp.json")),
    "vscode": Client("VS Code", "jsonc", "servers", "code", Path(".vscode/mcp.json"), typed=True),
    "codex": Client("Codex", "toml", "mcp_servers", "codex", Path(".codex/config.toml")),
}


def user_file(name: str, machine: Machine) -> Path:
    """Name the file of a client in which a user's servers are."""
    match name:
        case "claude-desktop":
            return desktop(machine) / "claude_desktop_config.json"
        case "claude-code":
            return machine.folder("CLAUDE_CONFIG_DIR", machine.home) / ".claude.json"
        case "cursor":
            return machine.home / ".cursor" / "mcp.json"
        case "vscode":
            return machine.applications / "Code" / "User" / "mcp.json"
        case _:
            return machine.folder("CODEX_HOME", machine.home / ".codex") / "config.toml"


def desktop(machine: Machine) -> Path:
    """Find Claude Desktop's folder; on Windows, the packaged app sees only its package's."""
    if machine.platform == "win32":
        local = machine.folder("LOCALAPPDATA", machine.home / "AppData" / "Local")
        packaged = [
            package / "LocalCache" / "Roaming" / "Claude"
            for package in sorted((local / "Packages").glob("Claude_*"))
        ]
        used = [folder for folder in packaged if folder.is_dir()]
        if packaged:
            return (used or packaged)[0]
    return machine.applications / "Claude"


def present(name: str, machine: Machine) -> bool:
    """Tell whether a client seems to be on this machine: its command, or its folder."""
    command = CLIENTS[name].command
    if command and which(command, path=machine.env.get("PATH", "")):
        return True
    file = user_file(name, machine)
    return file.exists() or (file.parent.is_dir() and file.parent != machine.home)


def server_command() -> list[str]:
    """Name the command of this installation that a client has to run."""
    name = "agent-mem.exe" if os.name == "nt" else "agent-mem"
    script = Path(sys.executable).with_name(name)
    return [str(script), "serve"] if script.exists() else SERVE
