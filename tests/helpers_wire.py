"""A server process spoken to in raw lines, for what the SDK's client would never send or show."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

SERVE = (sys.executable, "-m", "agent_mem", "serve")
LONGEST_LINE = 64 << 20
PROTOCOL = "2025-11-25"


class Wire:
    """One connection: requests out, every line that came back kept as it came."""

    def __init__(self, process: Process, stderr: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self.stdin = process.stdin
        self.stderr = stderr
        self.lines: list[bytes] = []
        self._stdout = BufferedByteReceiveStream(process.stdout)
        self._last = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close stdin, and end what does not end by itself."""
        with anyio.move_on_after(10, shield=True):
            await self.stdin.aclose()
            await self.process.wait()
        if self.process.returncode is None:
            self.process.kill()
        with anyio.CancelScope(shield=True):
            await self.process.aclose()

    async def hello(self) -> dict[str, Any]:
        """Shake hands as clients did before 2026-07-28."""
        client = {"name": "test", "version": "1"}
        params = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client}
        answer = await self.ask("initialize", params)
        await self.write({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer["result"]

    async def write(self, message: object) -> None:
        await self.write_line(json.dumps(message).encode())

    async def write_line(self, line: bytes) -> None:
        await self.stdin.send(line + b"\n")

    async def send(self, method: str, params: Mapping[str, object]) -> int:
        """Send a request, and give the id that its answer will have."""
        self._last += 1
        await self.write({"jsonrpc": "2.0", "id": self._last, "method": method, "params": params})
        return self._last

    async def call(self, name: str, /, **arguments: object) -> int:
        return await self.send("tools/call", {"name": name, "arguments": arguments})

    async def read(self) -> dict[str, Any]:
        """Read the next line, which must be JSON-RPC."""
        with anyio.fail_after(30):
            line = await self._stdout.receive_until(b"\n", LONGEST_LINE)
        self.lines.append(line)
        message: dict[str, Any] = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        return message

    async def answer(self, key: int) -> dict[str, Any]:
        """Read until one request is answered."""
        while (message := await self.read()).get("id") != key:
            pass
        return message

    async def ask(self, method: str, params: Mapping[str, object]) -> dict[str, Any]:
        return await self.answer(await self.send(method, params))

    async def use(self, name: str, /, **arguments: object) -> dict[str, Any]:
        """Call a tool, and give its result; an error is a result, too."""
        return (await self.answer(await self.call(name, **arguments)))["result"]

    async def rest(self) -> list[dict[str, Any]]:
        """Read what is still to come, until the process has closed its end."""
        found: list[dict[str, Any]] = []
        try:
            while True:
                found.append(await self.read())
        except (anyio.EndOfStream, anyio.IncompleteRead):
            return found


@asynccontextmanager
async def wired(
    env: Mapping[str, str], folder: Path, command: tuple[str, ...] = SERVE
) -> AsyncGenerator[Wire]:
    """Start a server on pipes; its stderr goes to a file, so that it never blocks."""
    stderr = folder / f"stderr-{os.urandom(4).hex()}.txt"
    with stderr.open("wb") as errors:
        process = await anyio.open_process(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=dict(env),
            start_new_session=True,
        )
    async with Wire(process, stderr) as wire:
        yield wire


def text_of(result: Mapping[str, Any]) -> str:
    """Give what a tool's result says to the model."""
    (block,) = result["content"]
    return block["text"]


def customized(env: Mapping[str, str], folder: Path, code: str) -> dict[str, str]:
    """Have Python run some code before anything else in the child."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code, encoding="utf-8")
    paths = [str(folder), *filter(None, [env.get("PYTHONPATH")])]
    return {**env, "PYTHONPATH": os.pathsep.join(paths)}
