"""The graph of the sentence encoder: a BERT of six layers, in float or in int8.

`bench/build_encoder.py` tells what it is for and how it is quantised.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Not there where the types are checked: the group `encoder` is for the build alone.
onnx: Any = import_module("onnx")

LAYERS, HEADS = 6, 12
EPSILON = 1e-12
PRECISE = frozenset({"g0", "g1"})
"""What is multiplied in float."""
WATCHED = [f"{kind}{layer}" for layer in range(LAYERS) for kind in "xyg"]
"""Inputs of products whose channels are uneven: into a layer, into its inner part, and inside."""
DEPTH = 64
"""Products of the probe that are added up."""
FUSED = "com.microsoft"
OPSETS = {"": 17, FUSED: 1}

Floats = NDArray[np.float32]
Weights = Mapping[str, Floats]


class Graph:
    """The nodes of the encoder and their constants; quantised when the divisors are given."""

    def __init__(self, weights: Weights, divisors: Weights | None) -> None:
        self.weights, self.divisors = weights, divisors
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.tables: dict[str, Floats] = {}
        """What each layer's input is multiplied with."""

    def model(self, projection: Floats | None) -> bytes:
        """Make the file: with the projection's outputs, or with all that it is learned from."""
        hidden = self.embed()
        for layer in range(LAYERS):
            hidden = self.layer(layer, hidden)
        self.sentence(hidden)
        unit = self.node("LpNormalization", [hidden], "unit", axis=-1, p=2)
        names = ["sentence", "tokens"]
        if projection is None:
            names = ["unit", *WATCHED]
        else:
            kept = self.node("MatMul", [unit, self.constant("projection", projection)], "kept")
            self.node("LpNormalization", [kept], "tokens", axis=-1, p=2)
        return self.file(names)

    def file(self, names: Sequence[str]) -> bytes:
        described, kinds = onnx.helper.make_tensor_value_info, onnx.TensorProto
        inputs = [
            described(name, kinds.INT32, ["texts", "length"])
            for name in ("input_ids", "attention_mask")
        ]
        outputs = [described(name, kinds.FLOAT, None) for name in names]
        return file("minilm", self.nodes, inputs, outputs, self.constants)

    def constant(self, name: str, values: NDArray[Any]) -> str:
        self.constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(
        self, kind: str, inputs: Sequence[str], output: str, domain: str = "", **more: float
    ) -> str:
        made = onnx.helper.make_node(kind, inputs, [output], domain=domain, name=output, **more)
        self.nodes.append(made)
        return output

    def embed(self) -> str:
        positions = self.weights["embeddings.position_embeddings.weight"]
        # Every token is of type 0.
        positions = positions + self.weights["embeddings.token_type_embeddings.weight"][0]
        self.node("Shape", ["input_ids"], "length", start=1, end=2)
        first = self.constant("first", np.zeros(1, np.int64))
        table = self.constant("positions", positions)
        place = self.node("Slice", [table, first, "length", first], "place")
        name = "embeddings.LayerNorm"
        inputs = [self.node("Add", [self.words(), place], "embedded"), *self.affine(name)]
        return self.node("LayerNormalization", inputs, "x0", axis=-1, epsilon=EPSILON)

    def words(self) -> str:
        table = self.weights["embeddings.word_embeddings.weight"]
        if self.divisors is None:
            return self.node("Gather", [self.constant("words", table), "input_ids"], "word")
        values, scales = quantised(table.T)
        values = self.constant("words", values.T)
        scales = self.constant("words.scale", scales[:, None])
        word = self.node("Gather", [values, "input_ids"], "word.int8")
        word = self.node("Cast", [word], "word.float", to=onnx.TensorProto.FLOAT)
        scale = self.node("Gather", [scales, "input_ids"], "word.scale")
        return self.node("Mul", [word, scale], "word")

    def layer(self, layer: int, x: str) -> str:
        name = f"encoder.layer.{layer}."
        inner = name + "intermediate.dense"
        y = self.attention(layer, x, name + "attention.")
        g = self.dense(y, self.weights[inner + ".weight"].T, f"f{layer}")
        g = self.node("BiasGelu", [g, self.weight(inner + ".bias")], f"g{layer}", FUSED)
        out = self.dense(g, self.weights[name + "output.dense.weight"].T, f"h{layer}")
        return self.joined(out, y, name + "output.", f"x{layer + 1}")

    def attention(self, layer: int, x: str, name: str) -> str:
        parts = [f"{name}self.{part}." for part in ("query", "key", "value")]
        table = np.concatenate([self.weights[part + "weight"].T for part in parts], axis=1)
        bias = np.concatenate([self.weights[part + "bias"] for part in parts])
        bias = self.constant(name + "bias", bias)
        self.tables[x] = table
        out = f"a{layer}"
        if self.divisors is None:
            inputs = [x, self.constant(name + "table", table), bias, "attention_mask"]
            self.node("Attention", inputs, out, FUSED, num_heads=HEADS)
        else:
            even, *constants = self.divided(x, table, out)
            int8, scale, zero = (f"{x}.{part}" for part in ("int8", "scale", "zero"))
            rounding = onnx.helper.make_node("DynamicQuantizeLinear", [even], [int8, scale, zero])
            self.nodes.append(rounding)
            inputs = [int8, constants[0], bias, scale, constants[1], "attention_mask"]
            self.node("QAttention", [*inputs, zero, constants[2]], out, FUSED, num_heads=HEADS)
        out = self.dense(out, self.weights[name + "output.dense.weight"].T, f"o{layer}")
        return self.joined(out, x, name + "output.", f"y{layer}")

    def dense(self, x: str, table: Floats, out: str) -> str:
        self.tables[x] = table
        if self.divisors is None:
            return self.node("MatMul", [x, self.constant(out + ".table", table)], out)
        if x in PRECISE:
            return self.node("MatMul", [x, self.widened(table, out)], out)
        return self.node("DynamicQuantizeMatMul", self.divided(x, table, out), out, FUSED)

    def widened(self, table: Floats, out: str) -> str:
        """Store a table in int8, to be made float once, when the session starts."""
        values, scales = quantised(table)
        values = self.constant(out + ".int8", values)
        wide = self.node("Cast", [values], out + ".float", to=onnx.TensorProto.FLOAT)
        return self.node("Mul", [wide, self.constant(out + ".scale", scales)], out + ".table")

    def divided(self, x: str, table: Floats, out: str) -> list[str]:
        """Make the inputs of a quantised product: x, the table, its scales and zero points."""
        divisor = (self.divisors or {}).get(x)
        if divisor is not None:
            inverse = self.constant(x + ".inverse", 1 / divisor)
            x = self.node("Mul", [x, inverse], x + ".even")
            table = table * divisor[:, None]
        values, scales = quantised(table)
        named = {"int8": values, "scale": scales, "zero": np.zeros(len(scales), np.int8)}
        return [x, *(self.constant(f"{out}.{key}", named[key]) for key in named)]

    def joined(self, x: str, skipped: str, name: str, out: str) -> str:
        # Not SkipLayerNormalization, which takes three times as long as these.
        biased = self.node("Add", [x, self.weight(name + "dense.bias")], out + ".biased")
        both = self.node("Add", [biased, skipped], out + ".both")
        inputs = [both, *self.affine(name + "LayerNorm")]
        return self.node("LayerNormalization", inputs, out, axis=-1, epsilon=EPSILON)

    def sentence(self, hidden: str) -> None:
        axis = self.constant("axis", np.ones(1, np.int64))
        mask = self.node("Cast", ["attention_mask"], "mask.float", to=onnx.TensorProto.FLOAT)
        mask = self.node("Unsqueeze", [mask, axis], "mask")
        total = self.node("MatMul", [mask, hidden], "totals")
        total = self.node("Squeeze", [total, axis], "total")
        self.node("LpNormalization", [total], "sentence", axis=-1, p=2)

    def affine(self, name: str) -> list[str]:
        return [self.weight(name + ".weight"), self.weight(name + ".bias")]

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name])


def probe() -> bytes:
    """Make a graph of one int8 product: with inputs of 255, sums of 16 bits overflow."""
    described, kinds = onnx.helper.make_tensor_value_info, onnx.TensorProto
    inputs = [described("inputs", kinds.UINT8, ["texts", DEPTH])]
    outputs = [described("sums", kinds.INT32, None)]
    weights = onnx.numpy_helper.from_array(np.full((DEPTH, DEPTH), 127, np.int8), "weights")
    product = onnx.helper.make_node("MatMulInteger", ["inputs", "weights"], ["sums"])
    return file("probe", [product], inputs, outputs, [weights])


def file(
    name: str,
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    constants: Sequence[Any],
) -> bytes:
    """Write a graph."""
    graph = onnx.helper.make_graph(nodes, name, inputs, outputs, constants)
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    made = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return made.SerializeToString(deterministic=True)


def quantised(table: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Round the weights to int8, symmetric, with one scale for each column."""
    scales = np.abs(table).max(axis=0) / np.float32(127)
    return np.rint(table / scales).astype(np.int8), scales
