"""What is published tells the same everywhere: the bundle, the registry's file, the package."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from agent_mem import __version__
from agent_mem.config import Settings

ROOT = Path(__file__).parent.parent
SETTINGS = {f"AGENT_MEM_{name.upper()}" for name in Settings.model_fields}
SECRET = {
    f"AGENT_MEM_{name.upper()}"
    for name, setting in Settings.model_fields.items()
    if "SecretStr" in str(setting.annotation)
}


def read(name: str) -> Any:  # noqa: ANN401 - JSON or TOML
    text = (ROOT / name).read_text(encoding="utf-8")
    return tomllib.loads(text) if name.endswith(".toml") else json.loads(text)


def test_everything_has_the_version_of_the_package() -> None:
    server = read("server.json")
    versions = {
        "pyproject": read("pyproject.toml")["project"]["version"],
        "bundle": read("bundle/manifest.json")["version"],
        "server.json": server["version"],
        **{package["identifier"]: package["version"] for package in server["packages"]},
    }
    plugin = "plugin/.claude-plugin/plugin.json"
    if (ROOT / plugin).exists():
        versions["plugin"] = read(plugin).get("version", __version__)

    assert set(versions.values()) == {__version__}, versions


def test_the_readme_proves_whose_the_name_in_the_registry_is() -> None:
    named = re.findall(
        r"<!-- mcp-name: (\S+) -->", (ROOT / "README.md").read_text(encoding="utf-8")
    )

    assert named == [read("server.json")["name"]]


def test_the_registry_would_take_its_file() -> None:
    server = read("server.json")
    (package,) = server["packages"]

    assert server["$schema"].endswith("/2025-12-11/server.schema.json")
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", server["name"])
    assert 1 <= len(server["description"]) <= 100
    assert 1 <= len(server["title"]) <= 100
    assert package["registryType"] == "pypi"
    assert package["identifier"] == read("pyproject.toml")["project"]["name"]
    assert package["transport"] == {"type": "stdio"}
    assert package["packageArguments"] == [{"type": "positional", "value": "serve"}]
    assert package.keys() == {
        *("registryType", "identifier", "version", "runtimeHint", "transport"),
        *("packageArguments", "environmentVariables"),
    }


def test_a_client_is_asked_only_for_settings_and_hides_the_secret_ones() -> None:
    (package,) = read("server.json")["packages"]
    asked = {each["name"]: each.get("isSecret", False) for each in package["environmentVariables"]}
    manifest = read("bundle/manifest.json")
    env = manifest["server"]["mcp_config"]["env"]
    options = {
        name: manifest["user_config"][value.removeprefix("${user_config.").removesuffix("}")]
        for name, value in env.items()
    }

    assert asked.keys() == env.keys() <= SETTINGS
    assert {name for name, secret in asked.items() if secret} == asked.keys() & SECRET
    assert {n for n, option in options.items() if option.get("sensitive")} == env.keys() & SECRET
    # Without one, a host would leave `${user_config.…}` in the environment.
    assert all("default" in option for option in options.values())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the bundle, and unpack it into an empty folder."""
    folder = tmp_path_factory.mktemp("bundle")
    subprocess.run([sys.executable, ROOT / "bundle" / "build.py", folder], check=True)
    with ZipFile(folder / f"agent-mem-{__version__}.mcpb") as packed:
        packed.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_a_bundle_holds_the_package_and_no_more(bundle: Path) -> None:
    held = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "agent_mem"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    beside = {"manifest.json", "pyproject.toml", "server.py", "LICENSE", "NOTICE"}

    assert held == beside | set(listed.stdout.split())


def test_a_bundle_starts_by_what_its_manifest_says(bundle: Path, env: dict[str, str]) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    config = manifest["server"]["mcp_config"]
    assert [config["command"], *config["args"]] == [
        *("uv", "run", "--directory", "${__dirname}", manifest["server"]["entry_point"]),
    ]

    # As uv would start it, in an environment that is there already: it is the bundle's own code.
    (bundle / "agent_mem" / "__init__.py").write_text('__version__ = "9.9"', encoding="utf-8")
    discover = (
        '{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion":'
        ' "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}}}\n'
    )
    ran = subprocess.run(
        [sys.executable, manifest["server"]["entry_point"]],
        cwd=bundle,
        input=discover,
        capture_output=True,
        encoding="utf-8",
        env={name: value for name, value in env.items() if not name.startswith("COV")},
        check=True,
    )
    assert json.loads(ran.stdout)["result"]["serverInfo"]["version"] == "9.9"


def test_a_bundle_needs_what_the_package_needs_in_the_versions_that_were_tried(
    bundle: Path,
) -> None:
    told = tomllib.loads((bundle / "pyproject.toml").read_text(encoding="utf-8"))
    package = read("pyproject.toml")["project"]
    held = {line.split("==")[0] for line in told["tool"]["uv"]["constraint-dependencies"]}
    needed = {re.split(r"[^\w-]", line)[0] for line in package["dependencies"]}

    assert told["project"]["dependencies"] == package["dependencies"]
    assert told["project"]["requires-python"] == package["requires-python"]
    assert needed <= held
