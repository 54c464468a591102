"""Transcripts as Claude Code 2.1 writes them: what was seen of the real client, and no more."""

import json
import random
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

Json = dict[str, Any]
START = datetime(2026, 11, 20, 9, tzinfo=UTC)


@dataclass
class Transcript:
    """One conversation, as it is written down."""

    path: Path
    session: str = field(default_factory=lambda: str(uuid4()))
    cwd: str = "/home/me/shop"
    lines: int = 0

    def line(self, kind: str, **more: object) -> str:
        """Add a line, and give its uuid."""
        self.lines += 1
        at = START + timedelta(seconds=self.lines)
        uuid = str(UUID(int=UUID(self.session).int ^ self.lines))
        written = {
            "parentUuid": None,
            "isSidechain": False,
            "type": kind,
            "uuid": uuid,
            "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "cwd": self.cwd,
            "sessionId": self.session,
            "version": "2.1.329",
            **more,
        }
        self.raw(json.dumps(written) + "\n")
        return uuid

    def raw(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)

    def prompt(self, text: str, **more: object) -> str:
        content = {"role": "user", "content": text}
        return self.line("user", **{"message": content, "promptSource": "sdk", **more})

    def answer(self, text: str, **more: object) -> str:
        return self.said([{"type": "text", "text": text}], "end_turn", **more)

    def said(self, blocks: list[Json], stop: str, **more: object) -> str:
        message = {"role": "assistant", "model": "m", "content": blocks, "stop_reason": stop}
        return self.line("assistant", message=message, **more)

    def call(self, tool: str, **given: object) -> str:
        """Write that a tool is called; its result is for `result`."""
        key = f"toolu_{self.lines:05}"
        self.said([{"type": "tool_use", "id": key, "name": tool, "input": given}], "tool_use")
        return key

    def result(self, key: str, text: str, *, failed: bool = False, **told: object) -> None:
        block = {"type": "tool_result", "tool_use_id": key, "content": text}
        content = {"role": "user", "content": [block | ({"is_error": True} if failed else {})]}
        self.line("user", message=content, **({"toolUseResult": told} if told else {}))

    def ran(self, command: str, output: str, *, failed: bool = False) -> None:
        self.result(self.call("Bash", command=command), output, failed=failed)

    def edited(self, path: str) -> None:
        key = self.call("Edit", file_path=path, old_string="a", new_string="b")
        self.result(key, f"The file {path} has been updated.")

    def injected(self, text: str) -> None:
        """Write what a hook of ours told, as the client keeps it."""
        found = {"type": "hook_additional_context", "content": [text], "hookEvent": "SessionStart"}
        said = f"<system-reminder>\n{text}\n</system-reminder>"
        self.line("attachment", attachment=found, rendered=[{"content": said}])


def grown(transcript: Transcript, size: int) -> None:
    """Let a transcript become as long as a day's work makes it, mostly by what tools print."""
    drawn = random.Random(7)  # noqa: S311 - of a test
    transcript.raw("")
    words = ["order", "total", "cart", "return", "import", "value", "index", "stock", "price"]
    while transcript.path.stat().st_size < size:
        transcript.prompt(f"Step {transcript.lines}: look at {drawn.choice(words)}")
        for _ in range(4):
            page = "\n".join(" ".join(drawn.choices(words, k=9)) for _ in range(150))
            transcript.ran(f"cat src/{drawn.choice(words)}.py", page)
        transcript.answer(f"Done with step {transcript.lines}.")


def drawn(length: int, letters: str = string.ascii_letters + string.digits) -> str:
    """Draw letters and digits, of each at least one."""
    return "".join(secrets.choice(letters) for _ in range(length - 2)) + "a1"


def hexed(length: int) -> str:
    return drawn(length, "0123456789abcdef")


def jwt() -> str:
    from base64 import urlsafe_b64encode  # noqa: PLC0415 - only here

    head, body = (
        urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "HS256"}, {"sub": drawn(12)})
    )
    return f"{head}.{body}.{drawn(43)}"


def pem() -> str:
    body = "\n".join(drawn(64) for _ in range(6))
    return f"-----BEGIN {'RSA PRIVATE'} KEY-----\n{body}\n-----END {'RSA PRIVATE'} KEY-----"


def secret_part(said: str) -> list[str]:
    """Give the parts of a secret that must not be found anywhere: of a key its lines."""
    return [line for line in said.split("\n") if "-----" not in line]


KINDS: dict[str, tuple[Callable[[], str], str]] = {
    "aws key": (
        lambda: "AKIA" + drawn(16, string.ascii_uppercase + "234567").upper(),
        "use {} here",
    ),
    "aws secret": (lambda: drawn(40), "aws_secret_access_key = {}"),
    "github": (lambda: "ghp" + "_" + drawn(36), "git clone https://{}@github.com/a/b"),
    "github pat": (lambda: "github" + "_pat_" + drawn(22) + "_" + drawn(59), "token: {}"),
    "gitlab": (lambda: "gl" + "pat-" + drawn(20), "curl -H 'PRIVATE-TOKEN: {}' x"),
    "slack": (lambda: "xo" + f"xb-{hexed(11)}-{hexed(12)}-{drawn(24)}", "SLACK={}"),
    "stripe": (lambda: "sk" + "_live_" + drawn(24), "the Stripe key {} is new"),
    "openai": (lambda: "sk" + "-proj-" + drawn(60), 'OPENAI_API_KEY="{}"'),
    "anthropic": (lambda: "sk" + "-ant-api03-" + drawn(80), "export ANTHROPIC_API_KEY={}"),
    "google": (lambda: "AI" + "za" + drawn(35), "https://maps.example/js?key={}"),
    "azure storage": (lambda: drawn(86) + "==", "AccountName=a;AccountKey={};Suffix=b"),
    "npm": (lambda: "np" + "m_" + drawn(36), "//registry.example/:_authToken={}"),
    "pypi": (lambda: "py" + "pi-AgEIcHlwaS5vcmc" + drawn(80), "twine upload -p {}"),
    "sendgrid": (lambda: "S" + f"G.{drawn(22)}.{drawn(43)}", "send with {}"),
    "jwt": (jwt, "Cookie: session={}"),
    "private key": (pem, "here is the key:\n{}\nkeep it"),
    "bearer": (lambda: drawn(40), "curl -H 'Authorization: Bearer {}' https://a.example"),
    "connection": (lambda: drawn(14), "postgresql://shop:{}@db.example:5432/shop"),
    "password": (lambda: drawn(9) + "!", "DB_PASSWORD={}"),
    "spoken": (lambda: drawn(11), "The password of the router is {}"),
}
"""Twenty kinds of secrets, each with how it stands in a text. None is written down here whole."""
