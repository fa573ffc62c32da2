"""A corpus of small ONNX models that asks a runtime about every operator from many sides.

``cases`` starts from recipes (operator, shapes, attributes) and varies one thing at a time: dtype,
operator-set version, which inputs are constant, symbolic sizes, quantization. ``backend_cases`` gives the
node tests that ship with onnx. Both are the same on every run.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import elementwise as onnx_elementwise
from . import layout as onnx_layout
from . import microsoft as onnx_microsoft
from . import spatial as onnx_spatial
from .build import Arg, InvalidCase, Spec, build

if TYPE_CHECKING:
    import onnx

__all__ = ["Case", "InvalidCase", "backend_cases", "cases"]

DTYPES = (
    "float32",
    "float16",
    "bfloat16",
    "float64",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "bool",
    "string",
    "complex64",
    "int4",
    "uint4",
    "float8e4m3fn",
)
QUANTIZED = ("uint8", "int8", "uint16", "int16", "int4")


@dataclass(frozen=True, slots=True)
class Case:
    """One model: ``build`` gives its bytes, or raises InvalidCase when the combination is no valid model."""

    name: str
    build: Callable[[], bytes]
    op: str = ""


def cases(seed: int = 0, ops: Collection[str] | None = None, limit: int | None = None) -> Iterator[Case]:
    """Every recipe with its variations, each name once.

    Args:
        seed: of the choice that ``limit`` makes.
        ops: operator types to keep, all when None.
        limit: at most so many cases of one operator, chosen at random but always with the base.
    """
    groups: dict[str, list[Spec]] = {}
    for spec in recipes():
        if ops is None or spec.op in ops:
            groups.setdefault(spec.op, []).append(spec)
    for op, specs in groups.items():
        found = {spec.name: spec for spec in _expand(specs)}
        chosen = list(found.values())
        if limit is not None and len(chosen) > limit:
            rng = random.Random(f"{seed}/{op}")
            chosen = [chosen[0], *rng.sample(chosen[1:], limit - 1)]
        for spec in chosen:
            yield Case(spec.name, partial(build, spec), op)


def recipes() -> Iterator[Spec]:
    """What the corpora start from."""
    yield from onnx_elementwise.recipes()
    yield from onnx_spatial.recipes()
    yield from onnx_layout.recipes()
    yield from onnx_microsoft.recipes()


def _expand(specs: list[Spec]) -> Iterator[Spec]:
    """The recipes of one operator, then variations: dtypes of all, the rest around a few."""
    yield from specs
    first = next((spec for spec in specs if spec.note == "base"), specs[0])
    for spec in specs:
        yield from _dtypes(spec, DTYPES if spec is first else ("float16", "int32", "int64", "uint8"))
    for spec in (first, *specs[1 :: max(1, len(specs) // 6)]):
        yield from _versions(spec)
        yield from _constness(spec)
        yield from _symbolic(spec)
    for spec in specs:
        yield from _quantized(spec)


def _dtypes(spec: Spec, names: Collection[str]) -> Iterator[Spec]:
    for dtype in names:
        if dtype != spec.dtype and any(arg is not None and arg.dtype is None for arg in spec.inputs):
            yield replace(spec, dtype=dtype)


def _versions(spec: Spec) -> Iterator[Spec]:
    if spec.domain:
        return
    for opset in (7, 9, 10, 11, 12, 13, 15, 17, 18, 19, 20, 22, 23):
        if opset != spec.opset:
            yield replace(spec, opset=opset)


def _constness(spec: Spec) -> Iterator[Spec]:
    """Each input turned from constant to computed and back, and all of them constant."""
    for index, arg in enumerate(spec.inputs):
        if arg is not None:
            yield spec.with_(
                f"{'computed' if arg.const else 'const'}{index}",
                inputs=spec.input_(index, const=not arg.const),
            )
    if len(spec.inputs) > 1:
        yield spec.with_(
            "allconst", inputs=tuple(None if arg is None else replace(arg, const=True) for arg in spec.inputs)
        )


def _symbolic(spec: Spec) -> Iterator[Spec]:
    """A symbol for the first dimension, for the last, for all, of the first input and of every computed
    one.
    """
    for note, which in (("first", slice(0, 1)), ("last", slice(-1, None)), ("every", slice(0, None))):
        for scope in (1, len(spec.inputs)):
            inputs = tuple(
                _symbols(arg, which, index) if index < scope else arg for index, arg in enumerate(spec.inputs)
            )
            if inputs != spec.inputs:
                yield spec.with_(f"symbolic-{note}{scope}", inputs=inputs)


def _symbols(arg: Arg | None, which: slice, index: int) -> Arg | None:
    if arg is None or arg.const or not arg.shape:
        return arg
    positions = range(len(arg.shape))[which]
    return replace(
        arg, shape=tuple(f"d{spot}" if spot in positions else dim for spot, dim in enumerate(arg.shape))
    )


def _quantized(spec: Spec) -> Iterator[Spec]:
    """The operator between DequantizeLinear and QuantizeLinear."""
    if (
        spec.results
        or spec.dtype != "float32"
        or spec.op in ("QuantizeLinear", "DequantizeLinear", "Cast", "Constant")
    ):
        return
    for dtype in QUANTIZED:
        yield replace(spec, quantize=dtype)
    if any(arg is not None and arg.const and arg.dtype is None and arg.shape for arg in spec.inputs):
        for axis in (0, 1):
            yield spec.with_(f"axis{axis}", quantize="int8", channel=axis)


def backend_cases(*, constants: bool = True, kinds: Sequence[str] = ("node",)) -> Iterator[Case]:
    """The tests of these kinds that ship with onnx; the node tests again with all inputs but the first turned
    into initializers.
    """
    import warnings

    from onnx.backend.test.loader import load_model_tests

    for kind in kinds:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tests overflow casts on purpose
            tests = load_model_tests(kind=kind)
        for test in tests:
            if test.model is None:
                yield Case(f"backend/{test.name}", (Path(test.model_dir) / "model.onnx").read_bytes, "")
                continue
            yield Case(f"backend/{test.name}", test.model.SerializeToString, "")
            if constants:
                values = test.data_sets[0][0] if test.data_sets else []
                yield Case(f"backend/{test.name}/const", partial(_with_constants, test.model, values), "")


def _with_constants(stored: onnx.ModelProto, values: Sequence[Any]) -> bytes:
    """The model with the test's own values as initializers for every input but the first."""
    import onnx
    from onnx import numpy_helper

    model = onnx.ModelProto()
    model.CopyFrom(stored)
    kept: list[Any] = []
    for index, info in enumerate(model.graph.input):
        value = values[index] if index < len(values) else None
        if (
            index == 0
            or not info.type.HasField("tensor_type")
            or not (isinstance(value, onnx.TensorProto) or hasattr(value, "dtype"))
        ):
            kept.append(info)
            continue
        tensor = onnx.TensorProto()
        tensor.CopyFrom(value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(value))
        tensor.name = info.name
        model.graph.initializer.append(tensor)
    if len(kept) == len(model.graph.input):
        raise InvalidCase("nothing to turn into a constant")
    del model.graph.input[:]
    model.graph.input.extend(kept)
    data: bytes = _named(model).SerializeToString()
    return data


def _named(model: onnx.ModelProto) -> onnx.ModelProto:
    for index, node in enumerate(model.graph.node):
        node.name = f"n{index}"
    return model
