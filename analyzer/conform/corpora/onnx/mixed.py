"""Small ONNX models with several things changed at once, chosen by a seed: what nobody thought of.

A recipe of the generated corpus, the attributes of another recipe of its operator, another dtype, operator
set, quantization, other sizes and ranks, inputs stored or computed, static or symbolic.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import partial
from math import prod

from .build import Arg, InvalidCase, Spec, build
from .corpus import DTYPES, QUANTIZED, Case, recipes

EACH = 6
"""Models of an operator."""
TRIES = 8
"""Combinations that are tried for one that is a valid model."""
OPSETS = (7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23)
LARGEST = 1 << 17
"""Elements of an input."""
SIZES = (0, 1, 1, 2, 3, 5, 7, 8, 17, 33)
Change = Callable[[Spec, list[Spec], random.Random], Spec]


def cases(seed: int = 0, ops: Collection[str] | None = None) -> Iterator[Case]:
    """Mixes of every operator, another set for each seed, the operators in turn."""
    groups: dict[str, list[Spec]] = {}
    for spec in recipes():
        if ops is None or spec.op in ops:
            groups.setdefault(spec.op, []).append(spec)
    for number in range(EACH):
        for op, specs in groups.items():
            name = f"mixed/{op}/{seed}-{number}"
            yield Case(name, partial(_build, name, specs), op)


def _build(name: str, specs: list[Spec]) -> bytes:
    rng = random.Random(name)
    for _ in range(TRIES):
        spec = _mixed(specs, rng)
        if any(arg is not None and _elements(arg) > LARGEST for arg in spec.inputs):
            continue
        try:
            return build(spec)
        except (InvalidCase, ValueError, TypeError, IndexError, KeyError, OverflowError, AttributeError):
            continue
    raise InvalidCase("no combination is a valid model")


def _elements(arg: Arg) -> int:
    return prod(dim for dim in arg.shape if isinstance(dim, int))


def _mixed(specs: list[Spec], rng: random.Random) -> Spec:
    spec = rng.choice(specs)
    for change in rng.sample(CHANGES, rng.randint(2, 4)):
        spec = change(spec, specs, rng)
    return spec


def _attributes(spec: Spec, specs: list[Spec], rng: random.Random) -> Spec:
    return replace(spec, attrs={**spec.attrs, **rng.choice(specs).attrs})


def _dtype(spec: Spec, specs: list[Spec], rng: random.Random) -> Spec:
    return replace(spec, dtype=rng.choice(DTYPES[:12]))


def _opset(spec: Spec, specs: list[Spec], rng: random.Random) -> Spec:
    return spec if spec.domain else replace(spec, opset=rng.choice(OPSETS))


def _quantized(spec: Spec, specs: list[Spec], rng: random.Random) -> Spec:
    if spec.results:
        return spec
    return replace(spec, dtype="float32", quantize=rng.choice(QUANTIZED), channel=rng.choice((None, 0, 1)))


def _stored(spec: Spec, specs: list[Spec], rng: random.Random) -> Spec:
    return replace(
        spec,
        inputs=tuple(
            arg if arg is None or rng.random() < 0.5 else replace(arg, const=not arg.const)
            for arg in spec.inputs
        ),
    )


def _symbolic(spec: Spec, specs: list[Spec], rng: random.Random) -> Spec:
    return replace(
        spec,
        inputs=tuple(
            replace(
                arg, shape=tuple(f"d{at}" if rng.random() < 0.4 else dim for at, dim in enumerate(arg.shape))
            )
            if arg is not None and not arg.const
            else arg
            for arg in spec.inputs
        ),
    )


def _sizes(spec: Spec, specs: list[Spec], rng: random.Random) -> Spec:
    """Every dimension of one size becomes another."""
    dims = sorted(
        {dim for arg in spec.inputs if arg is not None for dim in arg.shape if isinstance(dim, int)}
    )
    if not dims or spec.results:
        return spec
    before, after = rng.choice(dims), rng.choice(SIZES)
    return _shaped(spec, lambda arg: tuple(after if dim == before else dim for dim in arg.shape))


def _ranks(spec: Spec, specs: list[Spec], rng: random.Random) -> Spec:
    """A dimension more or less in front of the large operands."""
    if spec.results:
        return spec
    most = max((len(arg.shape) for arg in spec.inputs if arg is not None), default=0)
    size = rng.choice((1, 2))
    more = rng.random() < 0.6
    return _shaped(
        spec,
        lambda arg: (
            arg.shape if len(arg.shape) < max(most, 1) else (size, *arg.shape) if more else arg.shape[1:]
        ),
    )


def _shaped(spec: Spec, shape: Callable[[Arg], tuple[int | str, ...]]) -> Spec:
    changed = tuple(
        arg if arg is None or arg.values is not None else replace(arg, shape=shape(arg))
        for arg in spec.inputs
    )
    return replace(spec, inputs=changed)


CHANGES: tuple[Change, ...] = (_attributes, _dtype, _opset, _quantized, _stored, _symbolic, _sizes, _ranks)
