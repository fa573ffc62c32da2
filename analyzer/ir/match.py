"""Patterns of operators, written as the expressions that they compute.

A pattern describes a value by what computes it::

    x, scale = value("x"), number("scale")
    GELU = op("Mul", any_order(x, alone("Add", any_order(alone("Erf", op("Div", x, scale)), number(1)))))

    for match in find(graph, GELU):
        match.root, match.value("x"), match.number("scale")

Operands stand in their places unless they are in ``any_order``; operands that are not written are not looked
at. A name that stands twice means the same value, or the same operator. ``alone`` is an operator whose result
one operator reads and that is no output of the graph: it goes when the pattern is replaced. ``a | b`` is
either, ``through`` steps over operators, ``maybe`` is an operand that may be omitted, ``quantize[1]`` the
second result. What a pattern cannot say is a test in ``where``, or a condition on the ``Match``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import permutations
from math import isclose
from typing import Any, cast

from .graph import Constant, Graph, Operator, Tensor

DOMAINS = ("", "ai.onnx")
"""The domains of a dialect's own operators; those of others are named by ``domain``."""
_NUMBERS = frozenset(
    f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)
) | {"bool"}  # fmt: skip

Held = Mapping[str, "str | Operator | tuple[str, ...]"]


@dataclass(frozen=True)
class Scope:
    """How patterns see a graph. A runtime that sees more or less of one overrides these questions."""

    graph: Graph

    def real(self, name: str | None) -> str | None:
        """The value that stands behind a name, where the runtime passes over operators that do nothing."""
        return name

    def producer(self, name: str | None) -> Operator | None:
        """The operator that computes a value, where the runtime looks at it."""
        return self.graph.producer(name)

    def read_once(self, name: str | None) -> bool:
        """Whether one operator reads the value, and nothing outside of the graph."""
        return len(self.graph.consumers(name)) == 1 and name not in self.graph.outputs

    def uses(self, name: str | None) -> int:
        """How often a value is read; once more for an output of the graph."""
        reads = (reader.inputs.count(name) for reader in self.graph.consumers(name))
        return sum(reads) + self.graph.outputs.count(name or "")

    def written_by(self, name: str | None, *types: str) -> bool:
        """Whether an operator of one of the types computes the value."""
        found = self.producer(self.real(name))
        return found is not None and found.type in types

    def constant(self, name: str | None) -> Constant | None:
        """The value, where it is known before the model runs."""
        return self.graph.constant(self.real(name))

    def number(self, name: str | None) -> float | None:
        """The single number that a constant holds."""
        constant = self.constant(name)
        if constant is None or constant.elements != 1 or constant.dtype not in _NUMBERS:
            return None
        return float(constant.numbers(1)[0])

    def tensor(self, name: str | None) -> Tensor | None:
        """What is known of a value."""
        return None if name is None else self.graph.find(name)

    def rank(self, name: str | None) -> int | None:
        """The number of dimensions of a value."""
        tensor = self.tensor(name)
        return None if tensor is None else tensor.rank

    def ints(self, op: Operator, place: int, attr: str) -> list[int] | None:
        """A list of integers that is an attribute or a constant operand (``axes``, ``shape``)."""
        if attr in op.attrs:
            return [int(value) for value in op.attrs[attr]]
        constant = self.constant(op.inputs[place]) if len(op.inputs) > place else None
        known = constant is not None and constant.dtype in _NUMBERS
        return [int(value) for value in constant.numbers()] if constant and known else None


@dataclass(frozen=True)
class Match:
    """A place where a pattern holds: the operator that it ends with, and what its names stand for."""

    scope: Scope
    root: Operator
    held: Held

    def __contains__(self, name: str) -> bool:
        """Whether the alternative that was found has the name."""
        return name in self.held

    def op(self, name: str) -> Operator:
        """The operator of that name."""
        return cast("Operator", self.held[name])

    def value(self, name: str) -> str:
        """The value of that name."""
        return cast("str", self.held[name])

    def passed(self, name: str) -> tuple[str, ...]:
        """The values that ``through`` went over, from the first to the last."""
        return cast("tuple[str, ...]", self.held[name])

    def constant(self, name: str) -> Constant | None:
        """The constant of that name; None when the alternative that was found has none."""
        return self.scope.constant(self.value(name)) if name in self.held else None

    def number(self, name: str) -> float | None:
        """The number of that name; None when the alternative that was found has none."""
        return self.scope.number(self.value(name)) if name in self.held else None


class Pattern(ABC):
    """What a value has to be."""

    @abstractmethod
    def values(self, scope: Scope, name: str | None, held: Held) -> Iterator[Held]:
        """Every way in which the value is that, each with the names held by then."""

    @property
    def types(self) -> frozenset[str]:
        """The operator types that it can end with."""
        return frozenset()

    @property
    def needs(self) -> frozenset[str]:
        """Types without which it holds nowhere in a graph."""
        return frozenset()

    def ends(self, scope: Scope, op: Operator, held: Held) -> Iterator[Held]:
        """Every way in which it ends with an operator, whoever reads that."""
        return iter(())

    def match(self, graph: Graph | Scope, op: Operator) -> Match | None:
        """The first way in which the pattern ends with an operator."""
        return next(self.matches(graph, op), None)

    def matches(self, graph: Graph | Scope, op: Operator) -> Iterator[Match]:
        """Every way in which the pattern ends with an operator."""
        scope = graph if isinstance(graph, Scope) else Scope(graph)
        return (Match(scope, op, held) for held in self.ends(scope, op, {}))

    def __or__(self, other: Pattern) -> Pattern:
        """Either."""
        return Either((self, other))


def find(graph: Graph | Scope, pattern: Pattern) -> Iterator[Match]:
    """Every match, by the operators that they end with in execution order, each with its first alternative
    first.
    """
    scope = graph if isinstance(graph, Scope) else Scope(graph)
    ops, types = scope.graph.ops(), pattern.types
    if pattern.needs <= {item.type for item in ops}:
        for item in ops:
            if item.type in types:
                yield from pattern.matches(scope, item)


# ---- values ----------------------------------------------------------------------------------


def _bound(held: Held, name: str, what: str | Operator | tuple[str, ...]) -> Held | None:
    """The names with one more; None when it stands for something else already."""
    if not name:
        return held
    known = held.get(name)
    if known is None:
        return {**held, name: what}
    return held if known is what or known == what else None


@dataclass(frozen=True, eq=False)
class Value(Pattern):
    """A value that is there, of any kind or one that passes a test."""

    name: str = ""
    test: Callable[[Scope, str], bool] | None = None
    omitted: bool = False

    def values(self, scope: Scope, name: str | None, held: Held) -> Iterator[Held]:
        """The value behind the name."""
        real = scope.real(name)
        if not real:
            if self.omitted:
                yield held
            return
        if self.test is not None and not self.test(scope, real):
            return
        bound = _bound(held, self.name, real)
        if bound is not None:
            yield bound


def value(name: str = "", where: Callable[[Scope, str], bool] | None = None) -> Value:
    """Any value, or one that passes a test."""
    return Value(name, where)


ANY = value()


def constant(name: str = "", where: Callable[[Constant], bool] | None = None) -> Value:
    """A value that is known before the model runs, and passes a test."""

    def test(scope: Scope, real: str) -> bool:
        found = scope.constant(real)
        return found is not None and (where is None or where(found))

    return Value(name, test)


def number(what: str | float = "", within: float = 0.0) -> Value:
    """A constant with one element: any under this name, or one of this value, give or take a share of it."""

    def test(scope: Scope, real: str) -> bool:
        found = scope.number(real)
        return found is not None and (isinstance(what, str) or isclose(found, what, rel_tol=within))

    return Value(what if isinstance(what, str) else "", test)


def maybe(pattern: Value) -> Value:
    """An operand that may be omitted."""
    return replace(pattern, omitted=True)


# ---- operators -------------------------------------------------------------------------------


@dataclass(frozen=True)
class AnyOrder:
    """Operands that may stand in any order; there are no others."""

    operands: tuple[Pattern, ...]


def any_order(*operands: Pattern) -> AnyOrder:
    """Operands of an operator that may stand in any order; the operator has exactly these."""
    return AnyOrder(operands)


@dataclass(frozen=True, eq=False)
class Op(Pattern):
    """An operator of one of some types, with what it reads."""

    kinds: frozenset[str]
    operands: tuple[Pattern, ...] = ()
    unordered: bool = False
    name: str = ""
    alone: bool = False
    domains: tuple[str, ...] = DOMAINS
    attrs: Mapping[str, Any] = field(default_factory=dict)
    where: Callable[[Scope, Operator], bool] | None = None
    output: int = 0

    @property
    def types(self) -> frozenset[str]:
        """Its types."""
        return self.kinds

    @cached_property
    def needs(self) -> frozenset[str]:
        """Its type, when it has one only, and those of its operands."""
        own = self.kinds if len(self.kinds) == 1 else frozenset[str]()
        return own.union(*(operand.needs for operand in self.operands))

    def __getitem__(self, output: int) -> Op:
        """The value that it writes at another place than the first."""
        return replace(self, output=output)

    def values(self, scope: Scope, name: str | None, held: Held) -> Iterator[Held]:
        """The value is what such an operator writes at that place."""
        real = scope.real(name)
        op = scope.producer(real)
        if op is None or op.type not in self.kinds or op.outputs.index(real) != self.output:
            return
        if not self.alone or scope.read_once(real):
            yield from self.ends(scope, op, held)

    def ends(self, scope: Scope, op: Operator, held: Held) -> Iterator[Held]:
        """It is the operator, and reads what it should."""
        if op.type not in self.kinds or op.domain not in self.domains:
            return
        if any(op.attrs.get(key) != wanted for key, wanted in self.attrs.items()):
            return
        if self.where is not None and not self.where(scope, op):
            return
        bound = _bound(held, self.name, op)
        if bound is None:
            return
        for operands in self._orders(op):
            yield from _all(scope, tuple(zip(operands, op.inputs, strict=False)), bound)

    def _orders(self, op: Operator) -> Iterator[Sequence[Pattern]]:
        given = len(op.inputs)
        if self.unordered:
            yield from permutations(self.operands) if given == len(self.operands) else ()
        elif all(isinstance(item, Value) and item.omitted for item in self.operands[given:]):
            yield self.operands


def _all(scope: Scope, pairs: Sequence[tuple[Pattern, str | None]], held: Held) -> Iterator[Held]:
    if not pairs:
        yield held
        return
    (pattern, name), *rest = pairs
    for bound in pattern.values(scope, name, held):
        yield from _all(scope, rest, bound)


def op(types: str | Sequence[str], *operands: Pattern | AnyOrder, **options: Any) -> Op:
    """An operator of one of the types, with what it reads from its first operand on.

    Options: ``name`` it is called by in the match, ``attrs`` that have these values, ``domains`` other than
    the dialect's own, ``where`` a test of the operator.
    """
    kinds = frozenset((types,) if isinstance(types, str) else types)
    if len(operands) == 1 and isinstance(operands[0], AnyOrder):
        return Op(kinds, operands[0].operands, unordered=True, **options)
    return Op(kinds, cast("tuple[Pattern, ...]", operands), **options)


def alone(types: str | Sequence[str], *operands: Pattern | AnyOrder, **options: Any) -> Op:
    """``op`` whose result one operator reads, and nothing outside of the graph."""
    return op(types, *operands, alone=True, **options)


@dataclass(frozen=True, eq=False)
class Either(Pattern):
    """The first of some patterns that holds, or another where what is around it needs that."""

    options: tuple[Pattern, ...]

    @property
    def types(self) -> frozenset[str]:
        """Those of all of them."""
        return frozenset().union(*(option.types for option in self.options))

    @cached_property
    def needs(self) -> frozenset[str]:
        """Those of each of them."""
        first, *rest = (option.needs for option in self.options)
        return first.intersection(*rest)

    def values(self, scope: Scope, name: str | None, held: Held) -> Iterator[Held]:
        """One after the other."""
        for option in self.options:
            yield from option.values(scope, name, held)

    def ends(self, scope: Scope, op: Operator, held: Held) -> Iterator[Held]:
        """One after the other."""
        for option in self.options:
            yield from option.ends(scope, op, held)


@dataclass(frozen=True, eq=False)
class Through(Pattern):
    """A pattern behind any number of operators that are stepped over by their first operand."""

    kinds: frozenset[str]
    inner: Pattern
    name: str = ""

    @property
    def needs(self) -> frozenset[str]:
        """Those of what is behind."""
        return self.inner.needs

    def values(self, scope: Scope, name: str | None, held: Held) -> Iterator[Held]:
        """All steps are taken that can be; each of their results is read once."""
        passed: list[str] = []
        real = scope.real(name)
        while real is not None:
            passed.insert(0, real)
            step = scope.producer(real)
            if step is None or step.type not in self.kinds or not scope.read_once(real):
                break
            real = scope.real(step.inputs[0])
        bound = _bound(held, self.name, tuple(passed))
        if bound is not None:
            yield from self.inner.values(scope, real, bound)


def through(types: Sequence[str], inner: Pattern, name: str = "") -> Through:
    """``inner``, behind any number of operators of these types that nothing else reads.

    Under ``name`` the match has the values on the way, that of ``inner`` first.
    """
    return Through(frozenset(types), inner, name)


# ---- single steps ----------------------------------------------------------------------------


def sole_reader(graph: Graph, op: Operator | None, *types: str) -> Operator | None:
    """The operator that alone reads the first result, of one of the types if any are given.

    None when others read it too or it is an output of the graph; None for None, so that steps can follow each
    other.
    """
    if op is None or not op.outputs or op.outputs[0] in graph.outputs:
        return None
    readers = graph.consumers(op.outputs[0])
    return readers[0] if len(readers) == 1 and (not types or readers[0].type in types) else None


def writer(graph: Graph, name: str | None, *types: str) -> Operator | None:
    """The operator that writes a value, of one of the types."""
    found = graph.producer(name)
    return found if found is not None and found.type in types else None


def reads(op: Operator) -> list[str]:
    """The tensors that an operator reads, those that its bodies capture included."""
    names = [name for name in op.inputs if name]
    for body in op.graphs.values():
        names += body.captures()
    return names


def writers(graph: Graph, op: Operator) -> set[str]:
    """Ids of the operators whose results an operator waits for."""
    found = (graph.producer(name) for name in reads(op))
    return {item.id for item in found if item is not None and item is not op}
