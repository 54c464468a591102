"""The encoder that is shipped: loaded when it is first wanted, and used in threads.

Nobody waits for these threads who has to leave: they work on nothing that is not made anew.
"""

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync

from agent_mem.recall.embedding import Embedded

if TYPE_CHECKING:
    from agent_mem.recall.encoder import Encoded, Encoder

in_thread = partial(run_sync, abandon_on_cancel=True)


class Builtin:
    """A `Source` in this process, which has token vectors, too."""

    def __init__(self) -> None:
        self._encoder: Encoder | None = None

    async def open(self) -> str:
        """Load the encoder once, and name its model.

        Raises:
            EncoderUnavailable: it cannot be loaded here.
        """
        self._encoder = self._encoder or await loaded()
        return self._encoder.name

    async def encode(self, texts: Sequence[str]) -> "list[Encoded]":
        """Encode texts; none before the encoder is loaded."""
        return await in_thread(self._encoder.encode, texts) if self._encoder else []

    async def embed(self, texts: Sequence[str]) -> Sequence[Embedded]:
        """Make the vectors of texts, in their order."""
        made = await self.encode(texts)
        return [Embedded(one.vector, one.tokens.tobytes()) for one in made]


async def loaded() -> "Encoder":
    # Here, since it takes as long as all else together, and not every machine can.
    module = await in_thread(import_module, "agent_mem.recall.encoder")
    return await in_thread(module.shipped)
