"""What litert/builtins and litert/flex say of neighbours, lists, tables and types; the answers are TensorFlow
2.21.0's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from accelint.analyzer.check.judge import judge
from accelint.analyzer.ir.graph import Constant, Graph, Operator, Tensor
from accelint.rules.registry import choose

HALF, ROOT = 0.5, 0.70710678


class Made:
    """A TensorFlow graph of float32[2,4] tensors, operator by operator."""

    def __init__(self, dtype: str = "float32") -> None:
        self.graph, self.dtype = Graph("main", "tf"), dtype
        self.graph.add_tensor(Tensor("x:0", dtype, (2, 4)))
        self.count = 0

    def number(self, value: float) -> str:
        name = f"c{self.count}:0"
        self.count += 1
        data = np.float32(value).tobytes()
        self.graph.add_tensor(Tensor(name, self.dtype, (), Constant("float32", (), inline=data)))
        return name

    def op(self, kind: str, *inputs: Any) -> str:
        names = [self.number(item) if isinstance(item, float) else item for item in inputs]
        name = f"n{self.count}"
        self.count += 1
        self.graph.add_tensor(Tensor(f"{name}:0", self.dtype, (2, 4)))
        self.graph.add_op(
            Operator(f"main/{self.count}", kind, tuple(names), (f"{name}:0",), {"T": self.dtype}, name)
        )
        return f"{name}:0"

    def verdict(self, kind: str, target: str) -> str:
        op = next(op for op in self.graph.ops() if op.type == kind)
        return str(judge(self.graph, op, choose(target))[0].value)


def with_erfc(half_first: bool = True, factor: float = ROOT, dtype: str = "float32") -> Made:
    made = Made(dtype)
    inner = made.op("Erfc", made.op("Mul", made.op("Neg", "x:0"), factor))
    if half_first:
        made.op("Mul", made.op("Mul", HALF, "x:0"), inner)
    else:
        made.op("Mul", made.op("Mul", "x:0", inner), HALF)
    return made


def with_erf(division: bool = False, read_twice: bool = False) -> Made:
    made = Made()
    inner = made.op("Erf", made.op("RealDiv", "x:0", 1.41421356) if division else made.op("Mul", "x:0", ROOT))
    made.op("Mul", made.op("Mul", HALF, "x:0"), made.op("AddV2", 1.0, inner))
    if read_twice:
        made.op("Mul", inner, inner)
    return made


@pytest.mark.parametrize(
    ("made", "kind", "builtins", "flex"),
    [
        (with_erfc(), "Erfc", "accelerated", "accelerated"),
        (with_erfc(half_first=False), "Erfc", "rejected", "rejected"),
        (with_erfc(factor=0.8), "Erfc", "rejected", "rejected"),
        (with_erfc(dtype="float16"), "Erfc", "rejected", "rejected"),
        (with_erf(), "Erf", "accelerated", "accelerated"),
        (with_erf(division=True), "Erf", "accelerated", "accelerated"),
        (with_erf(read_twice=True), "Erf", "rejected", "accelerated"),
    ],
)
def test_the_exact_gelu_and_what_only_looks_like_it(made: Made, kind: str, builtins: str, flex: str) -> None:
    assert made.verdict(kind, "litert/builtins") == builtins
    assert made.verdict(kind, "litert/flex") == flex


@pytest.mark.parametrize(
    ("kind", "attrs", "builtins", "flex"),
    [
        ("Abs", {"T": "float32"}, "accelerated", "accelerated"),
        ("Abs", {"T": "int64"}, "rejected", "accelerated"),
        ("Identity", {"T": "variant"}, "accelerated", "accelerated"),
        ("Digamma", {"T": "float32"}, "rejected", "rejected"),
        ("BatchCholesky", {"T": "float32"}, "rejected", "rejected"),
        ("HashTableV2", {"key_dtype": "string", "value_dtype": "int64"}, "accelerated", "accelerated"),
        ("HashTableV2", {"key_dtype": "int64", "value_dtype": "int64"}, "rejected", "accelerated"),
        (
            "MaxPool",
            {"T": "float32", "data_format": "NHWC", "strides": (1, 2, 2, 1), "ksize": (1, 2, 2, 1)},
            "accelerated",
            "accelerated",
        ),
        (
            "MaxPool",
            {"T": "float32", "data_format": "NHWC", "strides": (1, 2, 2, 1), "ksize": (2, 1, 1, 1)},
            "rejected",
            "accelerated",
        ),
        ("SplitV", {"T": "float32", "Tlen": "int64"}, "rejected", "accelerated"),
    ],
)
def test_element_types_and_attributes(kind: str, attrs: dict[str, Any], builtins: str, flex: str) -> None:
    graph = Graph("main", "tf")
    graph.add_tensor(Tensor("x:0", "float32", (1, 4, 4, 4)))
    graph.add_tensor(Tensor("y:0", "float32", (1, 4, 4, 4)))
    op = Operator("main/0", kind, ("x:0",), ("y:0",), attrs, "n")
    graph.add_op(op)
    assert judge(graph, op, choose("litert/builtins"))[0].value == builtins
    assert judge(graph, op, choose("litert/flex"))[0].value == flex


def test_every_operator_of_tensorflow_has_an_answer() -> None:
    from accelint.analyzer.formats.tf import ops as tf_ops

    listed = {
        line.split("\t")[0]
        for line in (tf_ops.Path(tf_ops.__file__).with_name("ops.tsv")).read_text().splitlines()
        if line[:1] != "#"
    }
    for target in ("litert/builtins", "litert/flex"):
        chosen = choose(target)
        undecided = {
            op for rule in chosen.rules if rule.effect == "unknown" and rule.refuse for op in rule.ops
        }
        assert listed - {""} <= set(chosen.known)
        assert len(undecided) < 20, sorted(undecided)
