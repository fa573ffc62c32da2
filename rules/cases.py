"""A rule's own cases: a line of TOML becomes a graph with one operator.

A tensor is written ``float32[1,8,N,?]`` (N symbolic, ? unknown), ``float32`` (unknown rank), ``float32[]``
(scalar), with ``const`` before it for a constant, ``= 1, 2`` after it for its values, ``quant`` /
``quant:axis`` before it for per-tensor / per-channel quantization with a scale of 0.5, ``scale:90`` and
``zero:3`` for other per-tensor parameters, ``variable``, ``sparse``, ``by:VAR_HANDLE`` for one that an
operator of that type computes (``over:TYPE`` after it is what that operator reads), ``range``, ``enumerated``
and ``unbounded`` for a flexible input of that default shape, ``kind:dictionary`` for what is no tensor, ``-``
for an omitted one and ``@0`` for input 0 again. ``passes`` is true where the first input is an output of the
graph as well, ``inner`` where the operator's results are not.
``graphs`` has bodies by name, each a list of operator types that read its two inputs (``"Less LogicalAnd"``).
``readers`` are operators that read the first result, ``Cast:int32`` with the dtype that they write.
``ir`` is the version of the file's format. Constants of strings hold ``a`` throughout.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..analyzer.ir.graph import Constant, Dim, Graph, Operator, Quantization, Shape, Tensor

_TENSOR = re.compile(
    r"^(?P<flags>(?:[A-Za-z_:0-9.-]+ "
    r")*)(?P<dtype>[a-z0-9]+(?:\([a-z0-9()]+\))?)(?:\[(?P<dims>[^\]]*)\])?(?:\s*=\s*(?P<values>.+))?$"
)


def build(case: Mapping[str, Any], default_type: str, dialect: str) -> tuple[Graph, Operator]:
    """The graph of a case and the operator that it is about. Raises ValueError on a malformed tensor."""
    graph = Graph("main", dialect, {"": int(case.get("version", 1))})
    graph.facts = replace(graph.facts, ir_version=int(case.get("ir", 0)))
    inputs = [add_tensor(graph, f"in{index}", text) for index, text in enumerate(case.get("in", ()))]
    outputs = [
        add_tensor(graph, f"out{index}", text) for index, text in enumerate(case.get("out", ["float32"]))
    ]
    domain, _, kind = str(case.get("type", default_type)).rpartition(":")
    op = Operator(
        id="main/0",
        type=kind,
        domain=case.get("domain", domain),
        version=int(case.get("version", 1)),
        name="case",
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        attrs={key: _attribute(value) for key, value in case.get("attrs", {}).items()},
        graphs={
            name: _body(name, dialect, str(types).split()) for name, types in case.get("graphs", {}).items()
        },
    )
    for name, text in zip(inputs, case.get("in", ()), strict=True):
        if name and (maker := re.search(r"(?:^| )by:(\w+) ", text)):
            graph.add_op(Operator(f"main/{name}", maker[1], _under(graph, name, text), outputs=(name,)))
    graph.set_interface(
        [
            name
            for name in inputs
            if name and graph.tensor(name).const is None and graph.producer(name) is None
        ],
        _given(case, inputs, outputs),
    )
    if "before" in case and inputs and inputs[0]:
        source = Tensor("before", "float32", graph.tensor(inputs[0]).shape)
        graph.add_tensor(source)
        graph.set_interface(["before", *graph.inputs[1:]], graph.outputs)
        graph.add_op(Operator("main/1", str(case["before"]), ("before",), (inputs[0],), version=op.version))
    graph.add_op(op)
    for index, text in enumerate(case.get("readers", ())):
        kind, _, dtype = text.partition(":")
        graph.add_tensor(Tensor(f"read{index}", dtype or "float32"))
        graph.add_op(
            Operator(f"main/reader{index}", kind, (outputs[0],), (f"read{index}",), version=op.version)
        )
    return graph, op


def _given(case: Mapping[str, Any], inputs: list[str | None], outputs: list[str | None]) -> list[str]:
    """The graph's outputs: the operator's, unless they are inner, and the first input where it passes."""
    passed = inputs[:1] if case.get("passes") else []
    return [name for name in (*(() if case.get("inner") else outputs), *passed) if name]


def _under(graph: Graph, name: str, text: str) -> tuple[str, ...]:
    """What the maker of an input reads: the result of the operator that ``over:`` names."""
    under = re.search(r"(?:^| )over:(\w+) ", text)
    if under is None:
        return ()
    graph.add_tensor(Tensor(f"{name}/under", "float16"))
    graph.add_op(Operator(f"main/{name}/under", under[1], outputs=(f"{name}/under",)))
    return (f"{name}/under",)


def _body(name: str, dialect: str, types: list[str]) -> Graph:
    """A body of operators that each read its two inputs."""
    body = Graph(name, dialect)
    for tensor in ("a", "b", *(f"made{index}" for index in range(len(types)))):
        body.add_tensor(Tensor(tensor, "float32"))
    body.set_interface(["a", "b"], [])
    for index, kind in enumerate(types):
        body.add_op(Operator(f"{name}/{index}", kind, ("a", "b"), (f"made{index}",)))
    return body


def _attribute(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def add_tensor(graph: Graph, name: str, text: str) -> str | None:
    """Add a tensor as a case writes it, and give its name. Raises ValueError when it is not written so."""
    if text == "-":
        return None
    if text.startswith("@"):
        return f"in{text[1:]}"
    match = _TENSOR.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a tensor: write it like 'const float32[1,8,N,?]'")
    flags = match["flags"].split()
    shape = _shape(match["dims"])
    const = _constant(match["dtype"], shape, match["values"]) if "const" in flags else None
    attrs: dict[str, Any] = {"is_variable": True} if "variable" in flags else {}
    if "external" in flags:
        attrs["external"] = True
    if "sparse" in flags:
        attrs["sparsity"] = {"traversal_order": ()}
    attrs |= _flexible(flags, shape)
    graph.add_tensor(Tensor(name, match["dtype"], shape, const, _quant(flags, shape), attrs))
    return name


def _flexible(flags: list[str], shape: Shape) -> dict[str, Any]:
    """What a Core ML file says of a flexible input, or of a value that is no tensor."""
    kind = next((flag.removeprefix("kind:") for flag in flags if flag.startswith("kind:")), "")
    chosen = next((flag for flag in flags if flag in ("range", "enumerated", "unbounded")), "")
    if not chosen:
        return {"kind": kind} if kind else {}
    upper = -1 if chosen == "unbounded" else 64
    form = "enumerated" if chosen == "enumerated" else "range"
    return {"flexible": form, "default_shape": shape, "bounds": ((1, upper),) * len(shape or ())}


def _shape(dims: str | None) -> Shape:
    if dims is None:
        return None
    return tuple(_dim(text.strip()) for text in dims.split(",") if text.strip())


def _dim(text: str) -> Dim:
    if text == "?":
        return None
    return int(text) if text.lstrip("-").isdigit() else text


def _quant(flags: list[str], shape: Shape) -> Quantization | None:
    values = {flag.partition(":")[0]: flag.partition(":")[2] for flag in flags if ":" in flag}
    if "scale" in values or "zero" in values:
        return Quantization((float(values.get("scale", 0.5)),), (int(values.get("zero", 0)),))
    for flag in flags:
        if flag == "quant":
            return Quantization((0.5,), (0,))
        if flag.startswith("quant:"):
            axis = int(flag.partition(":")[2])
            size = shape[axis] if shape and axis < len(shape) and isinstance(shape[axis], int) else 2
            return Quantization((0.5,) * int(size or 2), (0,) * int(size or 2), axis)
    return None


def _constant(dtype: str, shape: Shape, values: str | None) -> Constant:
    import numpy as np

    from ..analyzer.ir.arrays import to_bytes

    dims = tuple(dim if isinstance(dim, int) else 1 for dim in shape or ())
    count = 1
    for dim in dims:
        count *= dim
    if dtype == "string":  # each is stored behind its length as four bytes
        return Constant(dtype, dims, inline=(b"\1\0\0\0a" * count))
    numbers = [_number(text) for text in values.split(",")] if values else [0] * count
    array = np.resize(np.array(numbers), count) if count else np.array([])
    return Constant(dtype, dims, inline=to_bytes(array, dtype))


def _number(text: str) -> float | int | bool:
    text = text.strip()
    if text in ("true", "false"):
        return text == "true"
    return float(text) if any(char in text for char in ".einf") else int(text)
