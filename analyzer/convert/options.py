"""What a conversion is asked for, checked against the model before a worker starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from ..errors import UsageError
from ..ir.graph import Graph, Shape

Optimize = Literal["none", "fp16", "dynamic", "int8", "int16x8"]
OPTIMIZATIONS: tuple[Optimize, ...] = ("none", "fp16", "dynamic", "int8", "int16x8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of every conversion; a converter ignores what it has no use for.

    Attributes:
        signature: the entry graph to convert, the model's main one when None.
        shapes: fixed shapes by input name (the signature's or the tensor's).
        batch: size of the first dimension of every input that leaves it open.
        select_tf_ops: let the runtime fall back to TensorFlow kernels (LiteRT's Select TF ops).
        allow_custom_ops: keep operators that only the application defines.
        optimize: weights as float16 (``fp16``) or int8 (``dynamic``), or everything in int8 (``int8``), or
        in int8 with activations in int16 (``int16x8``).
        deployment: the oldest system that a Core ML model has to run on (``iOS15`` ... ``iOS18``,
        ``macOS15``).
        data: an ``.npz`` with calibration samples by input name, stacked on a new first axis;
        random data when None.
        samples: how many random calibration samples, drawn from ``seed``.
        seconds, memory: limits of the worker; bytes, where they are to be fewer than the limit for everything
        (``processes.memory``).
    """

    signature: str | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    batch: int | None = None
    select_tf_ops: bool = False
    allow_custom_ops: bool = False
    optimize: Optimize = "none"
    deployment: str = "iOS17"
    data: Path | None = None
    samples: int = 16
    seed: int = 0
    seconds: float = 900.0
    memory: int | None = None

    @property
    def fixes_shapes(self) -> bool:
        """True when the options say anything about shapes."""
        return bool(self.shapes) or self.batch is not None


def static_shapes(graph: Graph, options: Options) -> dict[str, Shape]:
    """The shape of every input by its signature name, with what the options fix.

    Raises UsageError for an unknown input and for a shape that contradicts the model's.
    """
    names = input_names(graph)
    asked = {_resolve(name, names): shape for name, shape in options.shapes.items()}
    if options.batch is not None and options.batch < 1:
        raise UsageError(f"a batch of {options.batch} is no size: give 1 or more")
    found: dict[str, Shape] = {}
    for tensor, name in names.items():
        stored = graph.tensor(tensor).shape
        shape = _agreed(name, stored, asked[name]) if name in asked else stored
        if options.batch is not None and shape and not isinstance(shape[0], int):
            shape = (options.batch, *shape[1:])
        found[name] = shape
    return found


def input_names(graph: Graph) -> dict[str, str]:
    """The signature's name of every input by its tensor's name."""
    keys = graph.attrs.get("signature_inputs") or graph.inputs
    return dict(zip(graph.inputs, keys, strict=True))


def _resolve(name: str, names: Mapping[str, str]) -> str:
    if name in names.values():
        return name
    for tensor, key in names.items():
        if name in (tensor, tensor.split(":")[0]):
            return key
    near = get_close_matches(name, names.values(), n=1)
    hint = f", did you mean {near[0]!r}?" if near else ""
    raise UsageError(
        f"the model has no input {name!r}{hint} (its inputs: {', '.join(names.values()) or 'none'})"
    )


def _agreed(name: str, stored: Shape, asked: tuple[int, ...]) -> Shape:
    if any(dim < 1 for dim in asked):
        raise UsageError(f"the shape {'x'.join(map(str, asked))} for {name!r} has a dimension below 1")
    if stored is None:
        return asked
    fits = len(stored) == len(asked) and all(
        not isinstance(old, int) or old == new for old, new in zip(stored, asked, strict=True)
    )
    if not fits:
        shown = "x".join("?" if dim is None else str(dim) for dim in stored)
        raise UsageError(
            f"the shape {'x'.join(map(str, asked))} for {name!r} contradicts the model's {shown}"
        )
    return asked
