"""What TensorFlow's operators write and which attributes they default to, from the table ``ops.tsv``.

A node of a stored graph names only its inputs; how many outputs it has, of which dtype and under which
argument names (``node:values:0``) is the operator definition's business. Operators outside the table
(custom ones) are described by the definitions that a SavedModel stores beside its graph.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import GraphError
from .proto import DTYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_OUTPUTS = 1 << 16
"""No real operator has more outputs; a node that claims so is damaged."""


@dataclass(frozen=True, slots=True)
class Output:
    """One output argument: a fixed dtype or the attribute that gives it, and how often it is repeated."""

    name: str
    fixed: int = 0
    type_attr: str = ""
    number_attr: str = ""
    list_attr: str = ""


@dataclass(frozen=True, slots=True)
class OpSpec:
    """Outputs, attribute defaults and function attributes of one operator type."""

    outputs: tuple[Output, ...]
    defaults: Mapping[str, Any]
    functions: tuple[str, ...] = ()

    def written(self, node: Any) -> list[tuple[str, int, str]]:
        """Every tensor that a NodeDef writes, in order: argument, index within the argument, dtype.

        Raises GraphError when the node claims an impossible number of outputs.
        """
        found: list[tuple[str, int, str]] = []
        for output in self.outputs:
            kinds = self._kinds(output, node)
            found += [(output.name, index, kind) for index, kind in enumerate(kinds)]
        return found

    def _kinds(self, output: Output, node: Any) -> list[str]:
        if output.list_attr:
            kinds = (
                [dtype(number) for number in node.attr[output.list_attr].list.type]
                if output.list_attr in node.attr
                else []
            )
            return kinds or [
                item["type"] and dtype(item["type"]) for item in self.defaults.get(output.list_attr, ())
            ]
        kind = dtype(output.fixed) if output.fixed else self._dtype(output.type_attr, node)
        if not output.number_attr:
            return [kind]
        count = (
            node.attr[output.number_attr].i
            if output.number_attr in node.attr
            else self.defaults.get(output.number_attr, 0)
        )
        if not 0 <= count <= MAX_OUTPUTS:
            raise GraphError(f"node {node.name!r} ({node.op}) claims {count} outputs")
        return [kind] * count

    def _dtype(self, attr: str, node: Any) -> str:
        if attr in node.attr:
            return dtype(node.attr[attr].type)
        default = self.defaults.get(attr)
        return dtype(default["type"]) if isinstance(default, dict) else "unknown"


def dtype(number: int) -> str:
    """accelint's name of a tensorflow.DataType; reference types are named by their element."""
    return DTYPES.get(number - 100 if number > 100 else number, "unknown")


class OpTable:
    """Operator definitions: the built-in table, then what a model stores about its own operators."""

    def __init__(self, stored: Any = ()) -> None:
        self._stored = {op.name: op for op in stored}
        self._known: dict[str, OpSpec | None] = {}

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def get(self, name: str) -> OpSpec | None:
        """The definition of an operator type, None when nobody defines it."""
        if name not in self._known:
            line = _lines().get(name)
            if line is not None:
                self._known[name] = _parsed(line)
            else:
                self._known[name] = _from_definition(self._stored[name]) if name in self._stored else None
        return self._known[name]


def builtin(name: str) -> bool:
    """True when TensorFlow itself defines the operator."""
    return name in _lines()


@cache
def _lines() -> dict[str, str]:
    text = (Path(__file__).parent / "ops.tsv").read_text(encoding="utf-8")
    return {line.partition("\t")[0]: line for line in text.splitlines() if not line.startswith("#")}


def _parsed(line: str) -> OpSpec:
    _, outputs, defaults, functions = line.split("\t")
    written = tuple(_output(text) for text in outputs.split(",") if text)
    return OpSpec(written, json.loads(defaults), tuple(functions.split(",")) if functions else ())


def _output(text: str) -> Output:
    name, _, spec = text.partition(":")
    if spec.startswith("**"):
        return Output(name, list_attr=spec[2:])
    kind, _, number = spec.partition("*")
    if kind.startswith("@"):
        return Output(name, fixed=int(kind[1:]), number_attr=number)
    return Output(name, type_attr=kind, number_attr=number)


def _from_definition(op: Any) -> OpSpec:
    outputs = tuple(
        Output(arg.name, arg.type, arg.type_attr, arg.number_attr, arg.type_list_attr)
        for arg in op.output_arg
    )
    defaults: dict[str, Any] = {}
    for attr in op.attr:
        kind = attr.default_value.WhichOneof("value")
        if kind in ("i", "f", "b"):
            defaults[attr.name] = getattr(attr.default_value, kind)
        elif kind == "s":
            defaults[attr.name] = attr.default_value.s.decode("utf-8", "replace")
        elif kind == "type":
            defaults[attr.name] = {"type": attr.default_value.type}
    return OpSpec(
        outputs, defaults, tuple(attr.name for attr in op.attr if attr.type in ("func", "list(func)"))
    )
