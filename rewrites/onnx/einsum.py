"""ONNX: Einsum as Transpose, Reshape and MatMul, which every accelerator takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from ..views import sizes
from .operands import FLOATS, reduced, reshape, transpose

_TERM = re.compile(r"^[A-Za-z]*(\.\.\.)?[A-Za-z]*$")


@dataclass(frozen=True, slots=True)
class Equation:
    """The letters of every operand and of the result, and each letter's size; ``...`` is spelled out in
    digits.
    """

    op: Operator
    terms: tuple[str, ...]
    result: str
    sizes: dict[str, int]


class EinsumToMatMul(Rewrite[Equation]):
    """Einsum becomes transposes, reshapes and matrix products, two operands at a time."""

    id: ClassVar[str] = "einsum-to-matmul"
    title: ClassVar[str] = "Einsum becomes Transpose, Reshape, ReduceSum and MatMul, two operands at a time"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Einsum",)
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL501", "ACL504", "ACL401", "ACL502", "ACL505")

    def match(self, graph: Graph, op: Operator) -> Equation | Miss:
        """Float operands of known sizes, no letter twice in one operand."""
        tensors = graph.input_tensors(op)
        shapes = [sizes(tensor) for tensor in tensors]
        if any(shape is None for shape in shapes):
            return Miss("the sizes of its operands are not all known")
        if any(tensor is None or tensor.dtype not in FLOATS for tensor in tensors):
            return Miss("its operands are not floats")
        return parse(op, [shape or () for shape in shapes])

    def apply(self, graph: Graph, found: Equation) -> None:
        """Contract from left to right."""
        draft = Draft(graph, found.op)
        names = [name or "" for name in found.op.inputs]
        name, term = names[0], found.terms[0]
        for index in range(1, len(names)):
            later = set(found.result).union(*found.terms[index + 1 :])
            name, term = _contract(
                draft, (name, term), (names[index], found.terms[index]), later, found.sizes
            )
        name, term = _summed(draft, name, term, set(found.result))
        name = transpose(draft, name, [term.index(letter) for letter in found.result])
        draft.finish(name, found.op.outputs[0] or "")
        draft.commit((found.op,))


def parse(op: Operator, shapes: list[tuple[int, ...]]) -> Equation | Miss:
    """The equation with ``...`` spelled out. Source: ONNX, Einsum-12."""
    text = str(op.attrs.get("equation", "")).replace(" ", "")
    left, arrow, result = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes) or not all(_TERM.match(term) for term in (*terms, result)):
        return Miss(f"its equation {text!r} is not understood")
    spare = [len(shape) - len(term.replace("...", "")) for term, shape in zip(terms, shapes, strict=True)]
    digits = "0123456789"[
        : max((count for term, count in zip(terms, spare, strict=True) if "..." in term), default=0)
    ]
    pairs = zip(terms, spare, strict=True)
    spelled = [
        term.replace("...", digits[len(digits) - count :]) if "..." in term else term for term, count in pairs
    ]
    if arrow:
        result = result.replace("...", digits)
    else:
        letters = sorted(
            {
                letter
                for letter in "".join(spelled)
                if letter.isalpha() and "".join(spelled).count(letter) == 1
            }
        )
        result = digits + "".join(letters)
    return _checked(op, spelled, result, shapes)


def _checked(op: Operator, terms: list[str], result: str, shapes: list[tuple[int, ...]]) -> Equation | Miss:
    known: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        if len(term) != len(shape):
            return Miss(f"the operand {term!r} does not fit the shape {shape}")
        if len(set(term)) != len(term):
            return Miss(f"the operand {term!r} takes a diagonal")
        for letter, size in zip(term, shape, strict=True):
            if known.setdefault(letter, size) != size:
                return Miss(f"{letter!r} has the sizes {known[letter]} and {size}: it is broadcast")
    if len(set(result)) != len(result) or not set(result) <= set(known):
        return Miss(f"its result {result!r} is not understood")
    if 0 in known.values():
        return Miss("a tensor has no elements")
    return Equation(op, tuple(terms), result, known)


Value = tuple[str, str]
"""A tensor's name and its letters."""


def _summed(draft: Draft, name: str, term: str, keep: set[str]) -> Value:
    """Sum over the letters that nobody needs any more."""
    axes = [axis for axis, letter in enumerate(term) if letter not in keep]
    if not axes:
        return name, term
    return reduced(draft, "ReduceSum", name, axes, keep=False), "".join(
        letter for letter in term if letter in keep
    )


def _contract(draft: Draft, one: Value, other: Value, later: set[str], size: dict[str, int]) -> Value:
    """The product of two operands, summed over what is not needed later."""
    left, left_term = _summed(draft, *one, later | set(other[1]))
    right, right_term = _summed(draft, *other, later | set(left_term))
    batch = [letter for letter in left_term if letter in right_term and letter in later]
    summed = [letter for letter in left_term if letter in right_term and letter not in later]
    rows = [letter for letter in left_term if letter not in right_term]
    columns = [letter for letter in right_term if letter not in left_term]
    left = transpose(draft, left, [left_term.index(letter) for letter in (*batch, *rows, *summed)])
    right = transpose(draft, right, [right_term.index(letter) for letter in (*batch, *summed, *columns)])
    b = tuple(size[letter] for letter in batch)
    m, k, n = (prod(size[letter] for letter in letters) for letters in (rows, summed, columns))
    if len(b) > 2:
        b = (prod(b),)
    type = "MatMul" if summed else "Mul"
    a, c = reshape(draft, left, (*b, m, k)), reshape(draft, right, (*b, k, n))
    product = draft.value(type, (a, c), draft.find(a).dtype, (*b, m, n))
    term = "".join((*batch, *rows, *columns))
    return reshape(draft, product, [size[letter] for letter in term]), term


REWRITES = (EinsumToMatMul(),)
