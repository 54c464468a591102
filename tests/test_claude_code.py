"""With the real Claude Code, if it is installed: what one conversation learns, the next one knows.

It talks to a stand-in for its model's API on this machine, and needs no account.
"""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from helpers_claude import CLAUDE, needs_claude
from helpers_messages import Json, Model, answering

from agent_mem.hooks.place import MARK
from agent_mem.recall.budget import tokens

PLUGIN = Path(__file__).parent.parent / "plugin"
REMEMBER = "mcp__plugin_agent-mem_mem__remember"
LEARNED = "The staging database listens on port 6543."
SAID = "The office cat is called Ferdinand."

pytestmark = [needs_claude, pytest.mark.timeout(300)]


class Client:
    """The real client, in a home and a project of its own."""

    def __init__(self, folder: Path, model: Model) -> None:
        self.model = model
        self.home, self.project = folder / "home", folder / "project"
        for each in (self.home, self.project):
            each.mkdir()
        own = Path(sys.executable).parent
        self.env = {
            "PATH": f"{own}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "USERPROFILE": str(self.home),
            "CLAUDE_CONFIG_DIR": str(self.home / ".claude"),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "ANTHROPIC_BASE_URL": model.url,
            "ANTHROPIC_API_KEY": "none-is-needed",
            "AGENT_MEM_EMBEDDER": "none",
        }

    def say(self, prompt: str, *options: str) -> list[Json]:
        """Say something in a conversation; give what the model was asked."""
        before = len(self.model.requests)
        command = [CLAUDE, "--plugin-dir", str(PLUGIN), "--allowedTools", REMEMBER, *options]
        done = subprocess.run(
            [*command, "-p", prompt],
            cwd=self.project,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "hook" not in done.stderr.lower(), done.stderr
        return self.model.requests[before:]

    def transcripts(self) -> list[Path]:
        found = (self.home / ".claude" / "projects").glob("*/*.jsonl")
        return sorted(found, key=lambda path: path.stat().st_mtime)


@pytest.fixture
def client(tmp_path: Path) -> Generator[Client]:
    with answering() as model:
        yield Client(tmp_path, model)


def injected(transcript: Path) -> list[str]:
    """List what hooks of ours told a conversation."""
    told: list[str] = []
    for line in transcript.read_text(encoding="utf-8").splitlines():
        kept: Json = json.loads(line).get("attachment") or {}
        if kept.get("type") == "hook_additional_context":
            told += [text for text in kept["content"] if text.startswith(MARK)]
    return told


def test_the_plugin_is_valid(client: Client) -> None:
    done = subprocess.run(
        [CLAUDE, "plugin", "validate", str(PLUGIN), "--strict"],
        env=client.env,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_what_a_conversation_learned_is_in_the_first_request_of_the_next(client: Client) -> None:
    client.model.calls = [(REMEMBER, {"content": LEARNED})]

    first = client.say(SAID)
    (script,) = client.transcripts()
    compacted = client.say("/compact", "--resume", script.stem)
    went_on = client.say("Go on.", "--resume", script.stem)
    next_one = client.say("What do we know?")

    assert MARK not in json.dumps(first[0])  # nothing was known yet
    assert compacted
    for requests in (went_on, next_one):
        asked = json.dumps(requests[0]["messages"])
        assert MARK in asked
        assert LEARNED in asked
        assert SAID in asked
    listed = [tool["name"] for tool in next_one[0]["tools"]]
    assert not [name for name in listed if "hook_event" in name]
    report(client)


def report(client: Client) -> None:
    """Print what was injected, by conversation."""
    print()  # noqa: T201 - figures, for who runs it with -s
    for n, script in enumerate(client.transcripts(), 1):
        told = injected(script)
        size, cost = sum(map(len, told)), sum(map(tokens, told))
        print(f"conversation {n}: {len(told)} times, {size} characters, {cost} tokens at most")  # noqa: T201
