"""The text that Core ML's compiler writes of an ML Program (``model.mil``), as the messages that the program
was compiled from.

Source: published files that coremlcompiler wrote (coremlc 1436 to 3520): ``program(1.3) [...] { func
main<ios18>(type name, ...) [...] { type name, ... = operator(key = value, ...)[key = value, ...]; ... } ->
(name, ...); }``. How it writes blocks in an operator is not known from a file; what is read is ``name(inputs)
{ ... } -> (names)``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

from .mil import CODES
from .schema import DTYPES, message

_TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|(->|[{}()\[\]<>=,;])|([^\s{}()\[\]<>=,;"]+))')
_PUNCTUATION = frozenset(("->", *"{}()[]<>=,;"))
_DEEPEST = 64
_NAMES = {"fp16": "float16", "fp32": "float32", "fp64": "float64", "bf16": "bfloat16"}
_NUMBERS = {name: number for number, name in DTYPES.items()}
OPSETS = {
    "ios15": "CoreML5",
    "ios16": "CoreML6",
    "ios17": "CoreML7",
    "ios18": "CoreML8",
    "ios19": "CoreML9",
} | {"ios26": "CoreML9"}
"""Opset of the specification by the name that a compiled function has."""


class MilTextError(ValueError):
    """The text is no program, or of a form that is not known."""


def program(text: str) -> Any:
    """The ``MILSpec.Program`` of a text. Raises MilTextError."""
    reader = _Reader(text)
    made = message("MILSpec.Program")(version=1)
    reader.expect("program")
    reader.skip("(", ")")
    reader.skip_attributes()
    reader.expect("{")
    while reader.take("func"):
        reader.function(made)
    reader.expect("}")
    return made


class _Reader:
    """A walk over the tokens, one ahead."""

    def __init__(self, text: str) -> None:
        self._tokens = self._scan(text)
        self.at = 0
        self.next: str = ""
        self._after: str | None = None
        self._depth = 0
        self._step()

    def _scan(self, text: str) -> Iterator[str]:
        at, end = 0, len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None:
                raise MilTextError(f"no program at character {at}")
            at = self.at = match.end()
            yield match[1] or match[2] or match[3]

    def _step(self) -> str:
        gone = self.next
        self.next = next(self._tokens, "") if self._after is None else self._after
        self._after = None
        return gone

    def _peek(self) -> str:
        """The token after the next one."""
        if self._after is None:
            self._after = next(self._tokens, "")
        return self._after

    def take(self, token: str) -> bool:
        """Pass over a token where it is the next one."""
        if self.next != token:
            return False
        self._step()
        return True

    def expect(self, token: str) -> None:
        """Pass over a token. Raises MilTextError where another one comes."""
        if not self.take(token):
            raise self._wrong(token)

    def _wrong(self, wanted: str) -> MilTextError:
        return MilTextError(f"{self.next[:40]!r} near character {self.at} where {wanted} is expected")

    def word(self) -> str:
        """A name."""
        if not self.next or self.next[0] in '{}()[]<>=,;"':
            raise self._wrong("a name")
        return self._step()

    def skip(self, opening: str, closing: str) -> list[str]:
        """Pass over what stands in brackets; what of it is no punctuation."""
        self.expect(opening)
        depth, found = 1, []
        while depth:
            if not self.next:
                raise self._wrong(closing)
            depth += {opening: 1, closing: -1}.get(self.next, 0)
            token = self._step()
            if token not in _PUNCTUATION:
                found.append(token)
        return found

    def skip_attributes(self) -> None:
        """Pass over attributes in square brackets, where there are some."""
        if self.next == "[":
            self.skip("[", "]")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise MilTextError(f"nested deeper than {_DEEPEST} levels near character {self.at}")

    # ---- types ---------------------------------------------------------------------------------

    def type(self) -> Any:
        """A ``ValueType``."""
        self._deeper()
        made, name = message("MILSpec.ValueType")(), self.word()
        if name == "tensor":
            self._tensor(made.tensorType)
        elif name in ("list", "dict", "tuple", "state"):
            self._compound(made, name)
        else:
            made.tensorType.dataType = self._dtype(name)
        self._depth -= 1
        return made

    def _dtype(self, name: str) -> int:
        number = _NUMBERS.get(_NAMES.get(name, name))
        if number is None:
            raise MilTextError(f"an element type {name[:40]!r} near character {self.at}")
        return number

    def _tensor(self, made: Any) -> None:
        self.expect("<")
        made.dataType = self._dtype(self.word())
        self.expect(",")
        self.expect("[")
        while not self.take("]"):
            size = self.word()
            if size.isdigit() and len(size) < 19:
                made.dimensions.add().constant.size = int(size)
            else:
                made.dimensions.add().unknown.variadic = size == "..."
            self.take(",")
        made.rank = len(made.dimensions)
        self.expect(">")

    def _compound(self, made: Any, name: str) -> None:
        self.expect("<")
        inner = []
        while not self.take(">"):
            sized = self.next == "?" or self.next.isdigit()
            inner.append(self._step() if sized else self.type())
            self.take(",")
        types = [item for item in inner if not isinstance(item, str)]
        if not types and name != "tuple":
            raise MilTextError(f"a {name} of nothing near character {self.at}")
        if name == "state":
            made.stateType.wrappedType.CopyFrom(types[0])
        elif name == "list":
            made.listType.type.CopyFrom(types[0])
        elif name == "dict":
            made.dictionaryType.keyType.CopyFrom(types[0])
        else:
            made.tupleType.types.extend(types)

    # ---- values --------------------------------------------------------------------------------

    def value(self) -> Any:
        """A typed ``Value``: a number, string or list, or a place in a weight file."""
        made = message("MILSpec.Value")()
        made.type.CopyFrom(self.type())
        if made.type.WhichOneof("type") != "tensorType":
            tokens = self.skip("(", ")")
            if made.type.WhichOneof("type") == "listType" and made.type.listType.type.HasField("tensorType"):
                for token in tokens:
                    item = made.immediateValue.list.values.add()
                    item.type.CopyFrom(made.type.listType.type)
                    _store(item, [token])
            return made
        self.expect("(")
        if self.take("BLOBFILE"):
            self._place(made.blobFileValue)
        else:
            _store(made, list(self._literals()))
        self.expect(")")
        return made

    def _place(self, made: Any) -> None:
        self.expect("(")
        while not self.take(")"):
            key = self.word()
            self.expect("=")
            self.type()
            self.expect("(")
            token = self._step()
            if key == "path":
                made.fileName = _text(token)
            elif key == "offset":
                made.offset = int(token)
            self.expect(")")
            self.take(",")

    def _literals(self) -> Iterator[str]:
        """The elements of a value, whatever lists they stand in."""
        depth = 0
        while depth or self.next != ")":
            if not self.next or self.next in ("{", "}", ";", "="):
                raise self._wrong("a value")
            token = self._step()
            if token in "[]":
                depth += 1 if token == "[" else -1
            elif token != ",":
                yield token

    # ---- operations ----------------------------------------------------------------------------

    def function(self, made: Any) -> None:
        """A function, after ``func``."""
        name = self.word()
        self.expect("<")
        opset = self.word()
        self.expect(">")
        function = made.functions[name]
        function.opset = OPSETS.get(opset.lower(), opset)
        self.expect("(")
        self._named(function.inputs, ")")
        self.skip_attributes()
        self.block(function.block_specializations[function.opset])
        self.take(";")

    def _named(self, made: Any, end: str) -> None:
        """``type name, ...`` up to a token."""
        while not self.take(end):
            kind = self.type()
            made.add(name=_name(self.word())).type.CopyFrom(kind)
            self.take(",")

    def block(self, made: Any) -> None:
        """``{ operations } -> (names)``"""
        self._deeper()
        self.expect("{")
        while not self.take("}"):
            self.operation(made.operations.add())
        self.expect("->")
        self.expect("(")
        while not self.take(")"):
            made.outputs.append(_name(self.word()))
            self.take(",")
        self._depth -= 1

    def operation(self, made: Any) -> None:
        """One statement."""
        if self._peek() != "(":  # what it writes; an operator that writes nothing begins with its name
            self._named(made.outputs, "=")
        made.type = self.word().rpartition(".")[2]
        self.expect("(")
        while not self.take(")"):
            self._argument(made.inputs)
            self.take(",")
        if self.take("["):
            while not self.take("]"):
                key = self.word()
                self.expect("=")
                made.attributes[key].CopyFrom(self.value())
                self.take(",")
        while not self.take(";"):
            self._body(made.blocks.add())
            self.take(",")

    def _argument(self, made: Any) -> None:
        key = self.word()
        self.expect("=")
        bindings = made[key].arguments
        if self.take("("):
            while not self.take(")"):
                self._binding(bindings.add())
                self.take(",")
        else:
            self._binding(bindings.add())

    def _binding(self, made: Any) -> None:
        if self._peek() in ("(", "<"):
            made.value.CopyFrom(self.value())
        else:
            made.name = _name(self.word())

    def _body(self, made: Any) -> None:
        """A block of an operation, which may have a name and inputs before it."""
        if self.next not in ("{", "("):
            self.word()
        if self.take("("):
            self._named(made.inputs, ")")
        self.block(made)


def _name(word: str) -> str:
    return word.lstrip("%")


def _text(token: str) -> str:
    if not token.startswith('"'):
        raise MilTextError(f"{token[:40]!r} where a string is expected")
    return re.sub(r"\\(.)", r"\1", token[1:-1])


def _store(made: Any, tokens: list[str]) -> None:
    """Put elements into a value, by its type."""
    dtype = DTYPES.get(made.type.tensorType.dataType, "")
    tensor = made.immediateValue.tensor
    if dtype == "string":
        tensor.strings.values.extend(_text(token) for token in tokens)
    elif dtype == "bool":
        tensor.bools.values.extend(token == "true" for token in tokens)
    elif dtype == "float32":
        tensor.floats.values.extend(map(_number, tokens))
    elif dtype == "int32":
        tensor.ints.values.extend(int(token) for token in tokens)
    elif dtype in CODES:
        whole = "int" in dtype
        values = [int(token) if whole else _number(token) for token in tokens]
        tensor.bytes.values = struct.pack(f"<{len(values)}{CODES[dtype]}", *values)
    else:
        raise MilTextError(f"a value of type {dtype or 'unknown'} in the text")


def _number(token: str) -> float:
    return float.fromhex(token) if "0x" in token.lower() else float(token)
