"""The sentence encoder that is shipped: from a text to its vector, and to one for each token.

Importing this module needs `onnxruntime`, which not every machine has: whoever wants the encoder
imports the module when it is wanted, and is told EncoderUnavailable by the import or by `load`.
How the graph was made is told by `bench/build_encoder.py`.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from agent_mem.errors import EncoderUnavailable
from agent_mem.recall.words import STOP_WORDS

# Newer builds of onnxruntime write a session file, and report to their maker, once they are loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
try:
    import tokenizers

    onnxruntime: Any = import_module("onnxruntime")  # it has no types
except ImportError as missing:
    raise EncoderUnavailable(
        f"The sentence encoder cannot run here, recall goes by words alone: {missing}."
    ) from missing

MODEL = Path(__file__).parent / "model"
GRAPH, PROBE, TOKENIZER = "minilm.onnx", "probe.onnx", "tokenizer.json"
MANIFEST = "model.json"

TOKEN_SCALE = 1 / 127
"""What one step of a token's int8 vector is worth: times this, it is of unit length."""

_LONGEST = 256
"""Tokens of a text, the first and last mark included; what is longer was not trained."""
_CHARACTERS = 4096
"""Characters that are looked at: more than make so many tokens, but for runs of blanks."""
_BATCH_TEXTS = 8
_BATCH_TOKENS = _LONGEST
"""Texts and tokens, with padding, of one run: more do not fit the caches and take longer."""

_LARGEST = np.full((4, 64), 255, np.uint8)
"""What the probe multiplies, by 127."""


class Encoded(NamedTuple):
    """What the encoder says of one text."""

    vector: NDArray[np.float32]
    """384 numbers, of unit length."""
    tokens: NDArray[np.int8]
    """One row of 96 for each kept token, in steps of TOKEN_SCALE."""
    words: tuple[str, ...]
    """For each kept token the whole word of the text that it is of, in lower case."""


class Manifest(BaseModel):
    """What `model.json` says: the model's name, and the SHA-256 of each file."""

    name: str
    files: dict[str, str]


class Session(Protocol):
    """The part of an onnxruntime session that is used."""

    def run(
        self, output_names: Sequence[str], input_feed: Mapping[str, NDArray[Any]]
    ) -> Sequence[NDArray[Any]]: ...


class Encoder:
    """The model in memory. Several threads may encode at once."""

    def __init__(self, name: str, session: Session, tokenizer: tokenizers.Tokenizer) -> None:
        self.name = name
        self._session = session
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path = MODEL) -> "Encoder":
        """Load the model, if its files are those that were shipped."""
        try:
            manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
            for name in (GRAPH, PROBE, TOKENIZER):
                _check(folder / name, manifest.files.get(name))
            tokenizer = open_tokenizer((folder / TOKENIZER).read_bytes())
        except (OSError, ValidationError) as error:
            raise EncoderUnavailable(
                f"The sentence encoder in {folder} is incomplete: install agent-mem again."
            ) from error
        # By its path: a session that is given the content keeps that too.
        session = open_session(str(folder / GRAPH), careful=overflows(str(folder / PROBE)))
        return cls(manifest.name, session, tokenizer)

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Encode each text, in the order given; never fail, whatever the text.

        A vector differs a little with the texts that are encoded beside it: activations are
        quantised with one scale for all.
        """
        texts = [_plain(text) for text in texts]
        # One by one: a batch starts threads in the tokenizer, which warns when a process forks.
        found = [self._tokenizer.encode(text) for text in texts]
        done: dict[int, Encoded] = {}
        for batch in _batches([len(encoding) for encoding in found]):
            sentences, tokens = self._run([found[i].ids for i in batch])
            for i, sentence, rows in zip(batch, sentences, tokens, strict=True):
                kept = _kept(texts[i], found[i])
                done[i] = Encoded(sentence.copy(), _rounded(rows[list(kept)]), tuple(kept.values()))
        return [done[i] for i in range(len(texts))]

    def _run(self, ids: list[list[int]]) -> Sequence[NDArray[np.float32]]:
        padded = np.zeros((2, len(ids), max(map(len, ids))), np.int32)
        for i, row in enumerate(ids):
            padded[:, i, : len(row)] = row, [1] * len(row)
        feed = {"input_ids": padded[0], "attention_mask": padded[1]}
        return self._session.run(["sentence", "tokens"], feed)


@cache
def shipped() -> Encoder:
    """Load the model once, for all memories that this process has open.

    Raises:
        EncoderUnavailable: it cannot be loaded here.
    """
    return Encoder.load()


def overflows(probe: str) -> bool:
    """Tell whether sums of int8 products overflow here, as on processors that have no VNNI."""
    (sums,) = open_session(probe, careful=False).run(["sums"], {"inputs": _LARGEST})
    return bool((sums != _LARGEST[0].sum() * 127).any())


def open_session(graph: str | bytes, *, careful: bool = True) -> Session:
    """Make a session of a file or its content; it prints nothing.

    Where it has to be careful, int8 products are made in a way that nowhere overflows. Where the
    processor has AMX, that takes twice as long.
    """
    options = onnxruntime.SessionOptions()
    # A second thread has to be woken for each product: a query takes as long, and half more of the
    # processor. Where there is much to encode, several texts are encoded at a time.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.x64quantprecision", str(int(careful)))
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def open_tokenizer(content: bytes) -> tokenizers.Tokenizer:
    """Make the tokenizer, cutting at the length that the model was trained for."""
    tokenizer = tokenizers.Tokenizer.from_str(content.decode())
    tokenizer.no_padding()
    # What else it takes has no types.
    tokenizer.enable_truncation(_LONGEST)  # pyright: ignore[reportUnknownMemberType]
    # A text that says "[SEP]" has a word in brackets, and no end there.
    tokenizer.encode_special_tokens = True
    return tokenizer


def _check(file: Path, digest: str | None) -> None:
    with file.open("rb") as content:
        if hashlib.file_digest(content, "sha256").hexdigest() != digest:
            raise EncoderUnavailable(
                f"{file} is not the file that was shipped: install agent-mem again."
            )


def _plain(text: str) -> str:
    # Half a surrogate pair is no text to the tokenizer.
    return text[:_CHARACTERS].encode("utf-8", "replace").decode()


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Give the indexes of texts of about the same length together."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if len(batch) == _BATCH_TEXTS or (len(batch) + 1) * lengths[i] > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _kept(text: str, encoding: tokenizers.Encoding) -> dict[int, str]:
    """Give the places of the tokens that say something, each with its whole word."""
    spans: dict[int, tuple[int, int]] = {}
    for word, (start, end) in zip(encoding.word_ids, encoding.offsets, strict=True):
        if word is not None:
            spans[word] = (spans.get(word, (start, end))[0], end)
    words = {
        place: text[slice(*spans[word])].lower()
        for place, word in enumerate(encoding.word_ids)
        if word is not None
    }
    telling = {
        place: word
        for place, word in words.items()
        if word not in STOP_WORDS and any(map(str.isalnum, word))
    }
    return telling or words


def _rounded(rows: NDArray[np.float32]) -> NDArray[np.int8]:
    return np.rint(rows / TOKEN_SCALE).astype(np.int8)
