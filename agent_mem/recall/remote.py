"""The endpoint that is set: asked patiently for passages, and briefly for what a query means."""

from collections import OrderedDict
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final

import anyio

from agent_mem.config import Settings
from agent_mem.errors import EmbedderRefused, EmbedderUnreachable
from agent_mem.recall.address import identity
from agent_mem.recall.builtin import in_thread
from agent_mem.recall.embedding import Embedded
from agent_mem.recall.vectors import Vector

if TYPE_CHECKING:
    from agent_mem.recall.endpoint import Endpoint

PATIENCE: Final = 0.3
"""Seconds that a recall waits for an answer; then the built-in encoder's vectors serve."""
REST: Final = 30.0
"""Seconds for which no query is sent after one that was not answered."""
KEPT: Final = 256
"""Queries whose vectors are kept, the latest ones."""


class Remote:
    """A `Source` at an endpoint.

    Raises:
        InvalidInput: the address cannot be one.
    """

    def __init__(self, settings: Settings) -> None:
        self.model = identity(settings.embedder, settings.embedder_url)
        self._settings = settings
        self._patient: Endpoint | None = None
        self._quick: Endpoint | None = None
        self._known: OrderedDict[str, Vector] = OrderedDict()
        self._rests_until = 0.0

    async def open(self) -> str:
        """Load the client once, and name the space that its vectors live in.

        Raises:
            InvalidInput: the key cannot be one.
        """
        self._patient = self._patient or await self._endpoint()
        self._quick = self._quick or await self._endpoint(timeout=PATIENCE, retries=0)
        return self.model

    async def _endpoint(self, **patience: float) -> "Endpoint":
        settings, key = self._settings, self._settings.embedder_key
        secret = key.get_secret_value() if key else None
        # Here, since it takes half a second.
        module = await in_thread(import_module, "agent_mem.recall.endpoint")
        return module.Endpoint(settings.embedder, settings.embedder_url, secret, **patience)

    async def embed(self, texts: Sequence[str]) -> Sequence[Embedded]:
        """Make the vectors of texts, in their order.

        Raises:
            EmbedderRefused, EmbedderUnreachable: there are none, or none now.
        """
        self._patient = self._patient or await self._endpoint()
        return [Embedded(row, None) for row in await self._patient.embed(texts)]

    async def ask(self, text: str) -> Vector | None:
        """Get what a query means, if that can be had at once."""
        if text in self._known:
            self._known.move_to_end(text)
            return self._known[text]
        if self._quick is None or anyio.current_time() < self._rests_until:
            return None
        try:
            with anyio.fail_after(PATIENCE):
                (vector,) = await self._quick.embed([text])
        except (EmbedderRefused, EmbedderUnreachable, TimeoutError):
            self._rests_until = anyio.current_time() + REST
            return None
        self._known[text] = vector
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return vector

    async def aclose(self) -> None:
        """Close the connections."""
        for endpoint in (self._quick, self._patient):
            if endpoint:
                await endpoint.aclose()
