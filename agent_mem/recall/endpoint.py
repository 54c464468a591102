"""Sentence vectors from OpenAI, or from any server that speaks its embeddings API.

Only texts, the model's name and the key are sent, and only to the address that is set: what
OPENAI_* variables hold (another key, an organization), the client library's headers about this
machine, and redirects are left out. A proxy of the environment is used, but not to this machine.
At DEBUG, openai and httpx log the address, the status and the headers of answers, and nothing
that is sent: so an address holds no secret, and a key only what a header can carry.
"""

import re
from base64 import b64decode
from collections.abc import Iterator, MutableMapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from openai import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncOpenAI,
    DefaultAsyncHttpxClient,
    Timeout,
)
from pydantic import BaseModel

from agent_mem.errors import AgentMemError, EmbedderRefused, EmbedderUnreachable, InvalidInput
from agent_mem.recall import address

MOST_TEXTS: Final = 128
"""Texts of a request, at most; fewer as soon as the server has refused so many."""
MOST_BYTES: Final = 100_000
"""UTF-8 bytes of a request's texts, at most: OpenAI takes 300,000 tokens."""
LONGEST: Final = 8_000
"""UTF-8 bytes of a text, at most. OpenAI takes 8,191 tokens, and no token is less than a byte."""
BLANK: Final = "."
"""What is sent for a text without a word: servers refuse an empty one, some also mere space."""
PATIENCE: Final = 60.0
"""Seconds to wait for an answer: a busy machine needs many for a full request."""
CONNECTING: Final = 5.0
"""Seconds to wait for a connection."""
RETRIES: Final = 2
"""Further attempts, after about half a second and a second, or as the server's Retry-After says."""
QUOTED: Final = 200
"""Characters of words that are not ours in an error, at most."""

_NEEDED: Final = re.compile(r"accept(-encoding)?|connection|content-(length|type)|host|user-agent")
_KEY: Final = re.compile(r"[!-~]+")  # of a header with anything else, the log at DEBUG would tell
_PERHAPS_TOO_MUCH: Final = frozenset({400, 413, 422})
_LATER: Final = frozenset({408, 409, 429})


class _Request(Protocol):
    """What is used of a request of httpx, which is not a dependency of ours."""

    headers: MutableMapping[str, str]


class _Item(BaseModel):
    embedding: str | list[float]
    index: int | None = None


class _Answer(BaseModel):
    data: list[_Item]


class _Useless(Exception):
    """What is wrong with the vectors of an answer, as a part of a sentence."""


class Endpoint:
    """An HTTP endpoint that speaks OpenAI's embeddings API.

    Raises:
        InvalidInput: the address or the key cannot be one.
    """

    def __init__(
        self,
        model: str,
        url: str,
        key: str | None,
        *,
        timeout: float = PATIENCE,
        retries: int = RETRIES,
    ) -> None:
        place = address.parse(url)
        self._model = model
        self._host = address.host(place)
        self._key = _checked(key)
        self._timeout = timeout
        self._most = MOST_TEXTS
        self._plain = False
        self._client = AsyncOpenAI(
            base_url=str(place),
            api_key="in the header that `_dress` writes",
            timeout=Timeout(timeout, connect=min(timeout, CONNECTING)),
            max_retries=retries,
            http_client=DefaultAsyncHttpxClient(
                trust_env=not address.is_here(place),
                follow_redirects=False,
                event_hooks={"request": [self._dress]},
            ),
        )

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Get the vectors of texts: one row of unit length for each, in their order.

        Texts are cut to LONGEST. Without texts there is no request, and the shape is (0, 0).

        Raises:
            EmbedderRefused: the endpoint will not do it, or not as it is set; trying again is vain.
            EmbedderUnreachable: it cannot be reached, or cannot do it now; every retry failed.
        """
        if not texts:
            return np.empty((0, 0), np.float32)
        rows: list[NDArray[Any]] = []
        try:
            for batch in self._batches([_sendable(text) for text in texts]):
                rows += await self._embed(batch)
            return _united(rows)
        except APIStatusError as error:
            raise self._told(error) from None
        except APIConnectionError as error:
            raise self._unreached(error) from None
        except _Useless as error:
            raise EmbedderRefused(
                f"The embeddings of {self._host} are of no use, {error}: check"
                f" AGENT_MEM_EMBEDDER_URL and AGENT_MEM_EMBEDDER (`{self._model}`)."
            ) from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _batches(self, texts: list[str]) -> Iterator[list[str]]:
        batch: list[str] = []
        size = 0
        for text in texts:
            length = len(text.encode())
            if len(batch) >= self._most or size + length > MOST_BYTES:
                yield batch
                batch, size = [], 0
            batch.append(text)
            size += length
        yield batch

    async def _embed(self, batch: list[str]) -> list[NDArray[Any]]:
        """Get a batch's vectors; if it is refused, as plain numbers; if that is too, in halves.

        Some servers refuse base64, and many take fewer texts at once than OpenAI does.
        """
        plain, middle = self._plain, len(batch) // 2
        try:
            return await self._ask(batch, plain=plain)
        except APIStatusError as error:
            if error.status_code not in _PERHAPS_TOO_MUCH or (plain and not middle):
                raise
        if not plain:
            self._plain = True
            return await self._embed(batch)
        rows = [*await self._embed(batch[:middle]), *await self._embed(batch[middle:])]
        self._most = min(self._most, middle)
        return rows

    async def _ask(self, batch: list[str], *, plain: bool) -> list[NDArray[Any]]:
        # Base64 is a quarter of the bytes; a server that does not know it sends numbers.
        form = {} if plain else {"encoding_format": "base64"}
        body = {"model": self._model, "input": batch, **form}
        # As bytes: openai's own parser makes an object of each number, and trusts each shape.
        content = await self._client.post("/embeddings", body=body, cast_to=bytes)
        return _rows(content, len(batch))

    async def _dress(self, request: _Request) -> None:
        """Leave only the headers that the request needs, and the key."""
        for name in list(request.headers):
            if not _NEEDED.fullmatch(name):
                del request.headers[name]
        if self._key:
            request.headers["authorization"] = f"Bearer {self._key}"

    def _told(self, error: APIStatusError) -> AgentMemError:
        """Say what an error of the server means, and which setting to look at."""
        status = error.status_code
        answered = f"{self._host} answered {status}"
        if status in {401, 403}:  # nothing is quoted: such an answer may hold some of the key
            advice = "check" if self._key else "it wants a key; set"
            return EmbedderRefused(
                f"{answered} for `{self._model}`: {advice} AGENT_MEM_EMBEDDER_KEY."
            )
        answered += self._quoted(error)
        if status in _LATER or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return EmbedderUnreachable(
                f"{answered}: if it goes on, check AGENT_MEM_EMBEDDER_URL, and what"
                " AGENT_MEM_EMBEDDER_KEY is allowed."
            )
        return EmbedderRefused(f"{answered}: {self._advice(status)}")

    def _advice(self, status: int) -> str:
        if status < HTTPStatus.BAD_REQUEST:
            return "it points elsewhere; set AGENT_MEM_EMBEDDER_URL to where that is."
        if status == HTTPStatus.NOT_FOUND:
            return (
                f"check AGENT_MEM_EMBEDDER (`{self._model}`), and AGENT_MEM_EMBEDDER_URL, which"
                " ends in `/v1` as a rule."
            )
        return f"check that AGENT_MEM_EMBEDDER (`{self._model}`) is a model for embeddings."

    def _unreached(self, error: APIConnectionError) -> AgentMemError:
        if isinstance(error, APITimeoutError):
            why = f"no answer within {self._timeout:g} seconds"
        else:
            why = self._bare(str(error.__cause__)) or type(error.__cause__).__name__
        return EmbedderUnreachable(
            f"{self._host} cannot be reached ({why}): check AGENT_MEM_EMBEDDER_URL."
        )

    def _quoted(self, error: APIStatusError) -> str:
        """Quote what the server says of its error, unless that is a web page."""
        said = error.body
        if isinstance(said, dict):
            said = cast("dict[str, object]", said).get("message")
        if not isinstance(said, str) or not said or said.startswith("<"):
            return ""
        return f" ({self._bare(said)})"

    def _bare(self, words: str) -> str:
        """Shorten words that are not ours, and take the key out."""
        bare = words.replace(self._key, "[key]") if self._key else words
        return bare[:QUOTED].strip()


def _checked(key: str | None) -> str | None:
    stripped = (key or "").strip()
    if stripped and not _KEY.fullmatch(stripped):
        raise InvalidInput("AGENT_MEM_EMBEDDER_KEY has a character that no key has.")
    return stripped or None


def _sendable(text: str) -> str:
    """Cut a text to LONGEST, between characters, and make it valid."""
    kept = text.strip()[:LONGEST].encode("utf-8", "replace")[:LONGEST].decode("utf-8", "ignore")
    return kept or BLANK


def _rows(content: bytes, count: int) -> list[NDArray[Any]]:
    """Read an answer's vectors, in the order of the texts."""
    try:
        items = _Answer.model_validate_json(content).data
        rows = [_numbers(item.embedding) for item in items]
    except ValueError:
        raise _Useless("the answer is not a list of vectors") from None
    places = [n if item.index is None else item.index for n, item in enumerate(items)]
    if sorted(places) != list(range(count)):
        raise _Useless(f"there is not one for each of {count} texts")
    return [rows[n] for n in np.argsort(places)]


def _numbers(embedding: str | list[float]) -> NDArray[Any]:
    if isinstance(embedding, str):
        return np.frombuffer(b64decode(embedding, validate=True), dtype="<f4")
    return np.array(embedding, dtype=np.float64)


def _united(rows: list[NDArray[Any]]) -> NDArray[np.float32]:
    """Make one matrix of vectors, each of unit length."""
    if len({len(row) for row in rows}) > 1:
        raise _Useless("they differ in length")
    with np.errstate(over="ignore", invalid="ignore"):
        matrix = np.stack(rows).astype(np.float64)
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    if not (np.isfinite(norms).all() and norms.all()):
        raise _Useless("one is zero, or has something in it that is no finite number")
    return (matrix / norms).astype(np.float32)
