"""Quantized models through the model of the first optimization level, beside ONNX Runtime's own: pairs are
removed, handed on and inserted as it does, on both sides of each guard.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from accelint.analyzer.check.prepared import Prepared
from accelint.analyzer.flows.optimized import optimize
from accelint.analyzer.formats import load
from accelint.analyzer.optimizer.releases import lacking
from test_optimizer import F, K, model

sys.path.append(str(Path(__file__).parent.parent / "tools" / "conformance"))
import level1

Q, DQ = "QuantizeLinear", "DequantizeLinear"
Case = tuple[str, dict[str, np.ndarray]]
S = {"s": np.array(0.1, F), "z": np.array(3, np.uint8), "s2": np.array(0.2, F), "z2": np.array(5, np.uint8)}


def pair(a: str, b: str, s: str = "s", z: str = "z") -> str:
    return f" {b}q=QuantizeLinear({a},{s},{z}) {b}=DequantizeLinear({b}q,{s},{z})"


QUANTIZED: dict[str, Case] = {
    "double pairs": (
        "g (float[2] x) => (float[2] y) { r=Relu(x)"
        + pair("r", "a")
        + pair("a", "b", "s2", "z2")
        + " y=Neg(b) }",
        S,
    ),
    "double pairs, read twice": (
        "g (float[2] x) => (float[2] y, float[2] w) { r=Relu(x)"
        + pair("r", "a")
        + pair("a", "b", "s2", "z2")
        + " y=Neg(b) w=Neg(a) }",
        S,
    ),
    "forward": (
        "g (float[2,3] x) => (float[3,2] y) { " + pair("x", "a") + " t=Transpose<perm=[1,0]>(a) y=Relu(t) }",
        S,
    ),
    "forward, two readers": (
        "g (float[2,3] x) => (float[3,2] y, float[3,2] w) { "
        + pair("x", "a")
        + " t=Transpose<perm=[1,0]>(a) y=Relu(t) w=Neg(t) }",
        S,
    ),
    "forward, reshape chain": (
        "g (float[2,3] x) => (float[6] y) { "
        + pair("x", "a")
        + " t=Reshape(a,sh) u=Unsqueeze(t,ax) v=Squeeze(u,ax) y=Relu(v) }",
        {**S, "sh": np.array([6]), "ax": np.array([0])},
    ),
    "forward to an output": (
        "g (float[2,3] x) => (float[6] y) { " + pair("x", "a") + " y=Reshape(a,sh) }",
        {**S, "sh": np.array([6])},
    ),
    "forward into q": (
        "g (float[2,3] x) => (float[6] y) { "
        + pair("x", "a")
        + " t=Reshape(a,sh)"
        + pair("t", "b")
        + " y=Relu(b) }",
        {**S, "sh": np.array([6])},
    ),
    "backward": (
        "g (float[2,3] x) => (float[6] y) { r=Relu(x) t=Reshape(r,sh)" + pair("t", "b") + " y=Neg(b) }",
        {**S, "sh": np.array([6])},
    ),
    "backward from an input": (
        "g (float[2,3] x) => (float[6] y) { t=Reshape(x,sh)" + pair("t", "b") + " y=Neg(b) }",
        {**S, "sh": np.array([6])},
    ),
    "backward, read twice": (
        "g (float[2,3] x) => (float[6] y, float[2,3] w) { r=Relu(x) t=Reshape(r,sh)"
        + pair("t", "b")
        + " y=Neg(b) w=Abs(r) }",
        {**S, "sh": np.array([6])},
    ),
    "per channel": (
        "g (float[2,3] x) => (float[3,2] y) { q=QuantizeLinear<axis=1>(x,sc,zc) "
        "a=DequantizeLinear<axis=1>(q,sc,zc) t=Transpose<perm=[1,0]>(a) y=Relu(t) }",
        {"sc": np.ones(3, F), "zc": np.zeros(3, np.uint8)},
    ),
    "maxpool": (
        "g (float[1,2,6,6] x) => (float[1,2,6,6] y) { "
        + pair("x", "a")
        + " t=MaxPool<kernel_shape=[1,1]>(a) y=Relu(t) }",
        S,
    ),
    "where": (
        "g (bool[3] c, float[3] x) => (float[3] y) { "
        + pair("x", "a")
        + " t=Where(c,a,k)"
        + pair("t", "b")
        + " y=Relu(b) }",
        {**S, "k": np.array(2, F)},
    ),
    "where of a list": (
        "g (bool[3] c, float[3] x) => (float[3] y) { "
        + pair("x", "a")
        + " t=Where(c,a,k)"
        + pair("t", "b")
        + " y=Relu(b) }",
        {**S, "k": np.array([2], F)},
    ),
    "float weights": (
        "g (float[1,2,8,8] x) => (float[1,3,6,6] y) { "
        + pair("x", "a")
        + " t=Conv(a,K)"
        + pair("t", "b")
        + " y=Relu(b) }",
        {**S, "K": K},
    ),
    "float weights and bias": (
        "g (float[1,2,8,8] x) => (float[1,3,6,6] y) { "
        + pair("x", "a")
        + " t=Conv(a,K,B) u=Relu(t)"
        + pair("u", "b")
        + " y=Neg(b) }",
        {**S, "K": K, "B": np.ones(3, F)},
    ),
    "float bias": (
        "g (float[1,2,8,8] x) => (float[1,3,6,6] y) { "
        + pair("x", "a")
        + " w=DequantizeLinear(K,ws,wz) t=Conv(a,w,B)"
        + pair("t", "b")
        + " y=Neg(b) }",
        {**S, "K": K.astype(np.int8), "ws": np.array(0.1, F), "wz": np.array(0, np.int8), "B": np.ones(3, F)},
    ),
    "float bias, per channel": (
        "g (float[1,2,8,8] x) => (float[1,3,6,6] y) { "
        + pair("x", "a")
        + " w=DequantizeLinear<axis=0>(K,ws,wz) t=Conv(a,w,B)"
        + pair("t", "b")
        + " y=Neg(b) }",
        {**S, "K": K.astype(np.int8), "ws": np.ones(3, F), "wz": np.zeros(3, np.int8), "B": np.ones(3, F)},
    ),
    "weights that do not lead to q": (
        "g (float[1,2,8,8] x) => (float[1,3,6,6] y) { " + pair("x", "a") + " t=Conv(a,K) y=Relu(t) }",
        {**S, "K": K},
    ),
}
QUANTIZED |= {
    "transposed weights": (
        "g (float[2,4] x) => (float[2,5] y) { w=DequantizeLinear<axis=0>(K,ws,wz) "
        "t=Transpose<perm=[1,0]>(w) y=MatMul(x,t) }",
        {"K": np.ones((5, 4), np.int8), "ws": np.ones(5, F), "wz": np.zeros(5, np.int8)},
    ),
    "transposed weights, one scale": (
        "g (float[2,4] x) => (float[2,5] y) { w=DequantizeLinear(K,ws,wz) "
        "t=Transpose<perm=[1,0]>(w) y=MatMul(x,t) }",
        {"K": np.ones((5, 4), np.int8), "ws": np.array(1, F), "wz": np.array(0, np.int8)},
    ),
    "per channel, two transposes": (
        "g (float[2,3] x) => (float[2,3] y) { q=QuantizeLinear<axis=1>(x,sc,zc) "
        "a=DequantizeLinear<axis=1>(q,sc,zc) t=Transpose<perm=[1,0]>(a) u=Transpose<perm=[1,0]>(t) "
        "y=Relu(u) }",
        {"sc": np.ones(3, F), "zc": np.zeros(3, np.uint8)},
    ),
    "per channel, relu before": (
        "g (float[2,3] x) => (float[3,2] y) { r=Relu(x) q=QuantizeLinear<axis=1>(r,sc,zc) "
        "a=DequantizeLinear<axis=1>(q,sc,zc) t=Transpose<perm=[1,0]>(a) y=Relu(t) }",
        {"sc": np.ones(3, F), "zc": np.zeros(3, np.uint8)},
    ),
    "quantized input": (
        "g (uint8[2,3] x) => (float[3,2] y) { a=DequantizeLinear<axis=1>(x,sc,zc) "
        "t=Transpose<perm=[1,0]>(a) y=Relu(t) }",
        {"sc": np.ones(3, F), "zc": np.zeros(3, np.uint8)},
    ),
    "transpose pushed into a unit": (
        "g (float[2,3] x) => (float[3,2] y) { "
        + pair("x", "a")
        + " r=Relu(a)"
        + pair("r", "b")
        + " t=Transpose<perm=[1,0]>(b)"
        + pair("t", "c")
        + " y=Neg(c) }",
        S,
    ),
    "a unit of a transpose": (
        "g (float[2,3] x) => (float[2,3] y) { t=Transpose<perm=[1,0]>(x)"
        + pair("t", "b")
        + " u=Relu(b)"
        + pair("u", "c")
        + " y=Transpose<perm=[1,0]>(c) }",
        S,
    ),
    "add of two": (
        "g (float[1,2,3,4] x, float[1,2,3,4] w) => (float[1,2,3,4] y) { t=Transpose<perm=[0,2,3,1]>(x)"
        + pair("t", "a")
        + " u=Transpose<perm=[0,2,3,1]>(w)"
        + pair("u", "b")
        + " c=Add(a,b)"
        + pair("c", "d")
        + " y=Transpose<perm=[0,3,1,2]>(d) }",
        S,
    ),
}


@pytest.mark.parametrize("name", QUANTIZED)
def test_the_same_operators_are_left(name: str, tmp_path: Path) -> None:
    file = model(*QUANTIZED[name], tmp_path / "m.onnx")
    theirs = level1.reference(file)
    assert not isinstance(theirs, str), theirs
    assert level1.predicted(file) == theirs


@pytest.mark.parametrize(("name", "release"), [("float weights", "1.20.1"), ("where", "1.23.2")])
def test_a_release_without_the_pass(name: str, release: str, tmp_path: Path) -> None:
    loaded = load(model(*QUANTIZED[name], tmp_path / "m.onnx"))
    older, here = (
        optimize(Prepared(loaded), lacking(version)).prepared.model.graph.ops() for version in (release, "")
    )
    assert len(here) == len(older) + 1


OLDER = {
    ("weights that do not lead to q", "1.21.1"): {"Conv": 1, DQ: 2, Q: 1, "Relu": 1},
    ("float weights and bias", "1.22.1"): {"Conv": 1, DQ: 2, "Neg": 1, Q: 2, "Relu": 1},
    ("float weights and bias", "1.20.1"): {"Conv": 1, DQ: 2, "Neg": 1, Q: 2, "Relu": 1},
    ("per channel", "1.16.3"): {DQ: 1, Q: 1, "Relu": 1, "Transpose": 1},
    ("forward, reshape chain", "1.20.1"): {
        DQ: 4,
        Q: 4,
        "Relu": 1,
        "Reshape": 1,
        "Squeeze": 1,
        "Unsqueeze": 1,
    },
}
"""What other releases left (``tools/derive/ort_passes.py``)."""


@pytest.mark.parametrize(("name", "release"), OLDER)
def test_what_other_releases_left(name: str, release: str, tmp_path: Path) -> None:
    loaded = load(model(*QUANTIZED[name], tmp_path / "m.onnx"))
    graph = optimize(Prepared(loaded), lacking(release)).prepared.model.graph
    assert Counter(op.type for op in graph.ops()) == OLDER[name, release]
