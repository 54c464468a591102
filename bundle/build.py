"""Build the bundle for Claude Desktop: a zip of the package, what starts it, and what it needs.

    python bundle/build.py dist

The host's uv installs the dependencies at the first start, in the versions of requirements.lock.
"""

import json
import re
import sys
import tomllib
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
VERSION = re.compile(r'__version__ = "(.+)"')
LOCKED = re.compile(r"^([a-z0-9][^\\\n]*?)\s*\\?$", re.MULTILINE)
SERVER = """\
\"\"\"Serve MCP over stdin and stdout.\"\"\"

from agent_mem.cli.main import main

main(["serve"])
"""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file: the same source makes the same bundle."""


def build(folder: Path) -> Path:
    """Write the bundle into a folder, and name it."""
    version = read_version()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"agent-mem-{version}.mcpb"
    with ZipFile(path, "w", ZIP_DEFLATED) as bundle:
        for name, data in sorted(contents(version).items()):
            info = ZipInfo(name, EPOCH)
            info.external_attr = 0o644 << 16
            bundle.writestr(info, data, ZIP_DEFLATED)
    return path


def read_version() -> str:
    """Read the version, in the one place where it is kept."""
    text = (ROOT / "agent_mem" / "__init__.py").read_text(encoding="utf-8")
    return VERSION.findall(text)[0]


def contents(version: str) -> dict[str, bytes]:
    """Gather the files of the bundle by their names in it."""
    manifest = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))
    texts = {
        "manifest.json": json.dumps({**manifest, "version": version}, indent=2) + "\n",
        "pyproject.toml": project(version),
        "server.py": SERVER,
    }
    files = {name: text.encode() for name, text in texts.items()}
    for name in ("LICENSE", "NOTICE"):
        files[name] = (ROOT / name).read_bytes()
    for path in (ROOT / "agent_mem").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            files[path.relative_to(ROOT).as_posix()] = path.read_bytes()
    return files


def project(version: str) -> str:
    """Write the bundle's pyproject.toml: what the package needs, held to what was tested."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = LOCKED.findall((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    return "\n".join(
        [
            "[project]",
            f'name = "{told["name"]}-bundle"',
            f'version = "{version}"',
            f'requires-python = "{told["requires-python"]}"',
            f"dependencies = {json.dumps(told['dependencies'], indent=4)}",
            "",
            "[tool.uv]",
            "# Nothing is built: the package is beside this file.",
            "package = false",
            f"constraint-dependencies = {json.dumps(locked, indent=4)}",
            "",
        ]
    )


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
