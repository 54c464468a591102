"""A machine's way to the server: it cuts in the middle of a message, refuses, and stalls."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple

CHUNK: Final = 65_536


class Pair(NamedTuple):
    """One connection, on both sides of the proxy."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter

    def abort(self) -> None:
        for side in self:
            side.transport.abort()


class Proxy:
    """Passes on what one machine and the server say to each other.

    Args:
        target: the server's port.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.cuts = 0
        self.refused = 0
        self._target = target
        self._pairs: set[Pair] = set()
        self._left: dict[bool, int] = {}
        """How many bytes go through before it is cut, of the questions and of the answers."""
        self._refusing = False
        self._flowing = asyncio.Event()
        self._flowing.set()

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator["Proxy"]:
        """Listen on a free port, and break off everything at the end."""
        server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self._break_off()

    def cut(self, after: int, *, answer: bool) -> None:
        """Cut the connection that carries the next bytes, after some of them."""
        self._left[answer] = after

    async def refuse(self, seconds: float) -> None:
        """Break off all connections, and take none for a while."""
        self._refusing = True
        self._break_off()
        await asyncio.sleep(seconds)
        self._refusing = False

    async def stall(self, seconds: float) -> None:
        """Pass nothing on for a while."""
        self._flowing.clear()
        await asyncio.sleep(seconds)
        self._flowing.set()

    def heal(self) -> None:
        """Let everything through from now on."""
        self._left.clear()
        self._refusing = False
        self._flowing.set()

    def _break_off(self) -> None:
        for pair in self._pairs:
            pair.abort()

    async def _meet(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self._refusing:
            self.refused += 1
            client.transport.abort()
            return
        try:
            answers, server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:  # it has crashed
            client.transport.abort()
            return
        pair = Pair(client, server)
        self._pairs.add(pair)
        with suppress(OSError):
            await asyncio.gather(
                self._pass_on(reader, server, pair, answer=False),
                self._pass_on(answers, client, pair, answer=True),
            )
        pair.abort()
        self._pairs.discard(pair)

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pair: Pair,
        *,
        answer: bool,
    ) -> None:
        while data := await reader.read(CHUNK):
            await self._flowing.wait()
            left = self._left.get(answer, len(data))
            writer.write(data[:left])
            await writer.drain()
            if left < len(data):
                del self._left[answer]
                self.cuts += 1
                break
            if answer in self._left:
                self._left[answer] -= len(data)
        pair.abort()
