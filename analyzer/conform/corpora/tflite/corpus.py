"""The generated TFLite corpus: every builtin operator, with values on both sides of the limits that runtimes
have.

Nothing is stored: a case builds its model when asked, and the same seed gives the same cases everywhere.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from ....formats.tflite.reader import BODIES, body_key
from ....formats.tflite.schema import schema
from ....formats.tflite.versions import HIGHEST
from .elementwise import COMPARE
from .family import FAMILIES, Case, Family
from .net import Net, Skip, seeded
from .stateful import two_input_body

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

for _found in iter_modules(
    [str(Path(__file__).parent)]
):  # a module here registers its families when it is imported
    if _found.name != "corpus":
        import_module(f".{_found.name}", __package__)

INT16 = {
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "TRANSPOSE_CONV",
    "FULLY_CONNECTED",
    "BATCH_MATMUL",
    "AVERAGE_POOL_2D",
    "MAX_POOL_2D",
    "MUL",
    "MEAN",
    "SOFTMAX",
    "PAD",
    "SPACE_TO_BATCH_ND",
}
"""Operators whose int16 kernels have limits of their own."""

__all__ = ["Case", "cases", "operators"]


def operators() -> tuple[str, ...]:
    """The operators that the corpus has cases for; ``CHAIN`` stands for models of a few operators."""
    return tuple(dict.fromkeys(family.op for family in _families()))


def cases(seed: int = 0, ops: Sequence[str] | None = None, limit: int | None = None) -> Iterator[Case]:
    """The cases of these operators (all, unless told), in a fixed order; with a limit, an even sample of that
    many.
    """
    chosen = [family for family in _families() if ops is None or family.op in ops]
    if limit is None:
        for family in chosen:
            yield from family.cases(seed)
        return
    everything = [case for family in chosen for case in family.cases(seed)]
    for index in sorted(seeded(seed, "sample").sample(range(len(everything)), min(limit, len(everything)))):
        yield everything[index]


@lru_cache(maxsize=1)
def _families() -> tuple[Family, ...]:
    """All families, with versions for every operator and one case for each operator that no family is
    about.
    """
    versions = [
        Family(op, "version", _versions, {"op": (op,), "version": tuple(range(1, top + 1))}, 0)
        for op, top in HIGHEST.items()
    ]
    known = {family.op for family in FAMILIES} | {"CUSTOM", "PLACEHOLDER_FOR_GREATER_OP_CODES"}
    bare = [
        Family(op, "no-kernel", _no_kernel, {"op": (op,)}, 0) for op in schema().options if op not in known
    ]
    return (*FAMILIES, *_quantized("q8", "int8", 3), *_quantized("q16", "int16", 0), *versions, *bare)


def _quantized(kind: str, label: str, divisor: int) -> Iterator[Family]:
    """The families again with this kind as their base, and fewer mixes: limits of integer kernels are others
    than those of float ones.
    """
    for family in FAMILIES:
        axis = next((name for name in ("kind", "format") if kind in family.axes.get(name, ())), None)
        if (
            axis is None
            or family.axes[axis][0] == kind
            or family.op in (*COMPARE, "CHAIN")
            or "to" in family.axes
        ):
            continue
        if kind == "q16" and family.op not in INT16:
            continue
        axes = {**family.axes, axis: (kind,)}
        yield Family(
            family.op,
            f"{family.label}-{label}".lstrip("-"),
            family.make,
            axes,
            family.mixes // divisor if divisor else 0,
        )


def _no_kernel(net: Net, p: Any) -> None:
    bodies = {}
    for name in BODIES.get(p.op, ()):
        key = body_key(name) + ("_0" if name in ("branch_subgraph_indices", "called_computations") else "")
        bodies[key] = two_input_body(net, key, "ADD", (2, 3), "f32")
    names = [net.input((2, 3), "f32") for _ in range(2 if bodies else 1)]
    net.op(p.op, names, [net.result((2, 3), "f32")], graphs=bodies)


def _versions(net: Net, p: Any) -> None:
    """The base case of another family of the operator, with another version."""
    base = next(item for item in FAMILIES if item.op == p.op)
    params = {axis: values[0] for axis, values in base.axes.items()}
    base.make(net, type(p)(**params))
    for op in net.graph.ops():
        if op.type == p.op:
            if op.version == p.version:
                raise Skip("the version that it has anyway")
            net.graph.update(op, version=p.version)
