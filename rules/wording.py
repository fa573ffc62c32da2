"""Conditions of packs in words, for ``accelint explain`` and the support pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_FACTS = {
    "known_dim": "known size",
    "known_rank": "rank, where it is known,",
    "elements": "element count",
    "bytes": "size in bytes",
    "quant": "quantization",
    "zero_point": "zero point",
    "quant_axis": "quantized axis",
    "consumers": "count of readers",
    "known_magnitude": "largest magnitude, where it is known,",
    "flexible": "kind of flexible shapes",
}
_STATES = {
    "const": ("stored in the file", "computed"),
    "static": ("of a static shape", "of a dynamic shape"),
    "present": ("present", "omitted"),
    "variable": ("a variable", "no variable"),
    "sparse": ("sparse", "dense"),
    "used": ("used", "not used"),
    "unbounded": ("without an upper bound on a dimension", "bounded on every dimension"),
    "graph_input": ("an input of the model", "no input of the model"),
    "graph_output": ("an output of the model", "no output of the model"),
}
_OPERATOR = {
    "version": "the operator's version",
    "domain": "the operator's domain",
    "type": "the operator",
    "inputs": "the count of inputs",
    "outputs": "the count of outputs",
    "computed_inputs": "the count of computed inputs",
    "stored_inputs": "the count of stored inputs",
    "passed_on": "the count of outputs of the function that are its inputs",
}
_TESTS = {
    "eq": "is {}",
    "not_eq": "is not {}",
    "one_of": "is {}",
    "none_of": "is none of {}",
    "between": "is {}",
    "at_least": "is at least {}",
    "at_most": "is at most {}",
    "multiple_of": "is a multiple of {}",
    "same_as": "is the same as {}",
}


def say(table: Mapping[str, Any]) -> str:
    """A condition's table as a clause: ``the rank of input 0 is 3 to 5``."""
    if "any_of" in table:
        return "; or ".join(
            " and ".join(map(say, item)) if isinstance(item, list) else say(item) for item in table["any_of"]
        )
    if "call" in table:
        extra = ", ".join(f"{key} {_value(value)}" for key, value in table.items() if key != "call")
        name = str(table["call"])
        return predicate_words().get(name, name.replace("_", " ")) + (f" ({extra})" if extra else "")
    test = next((key for key in _TESTS if key in table), "present")
    state = _STATES.get("present" if test == "present" else table.get("of", ""))
    if table.get("op") == "in_body":
        return f"the operator is {'' if table.get('eq') else 'not '}inside a subgraph"
    if state and isinstance(table.get(test), bool):
        verb = "are" if isinstance(table.get("input", table.get("output")), list) else "is"
        clause = f"{_holder(table)} {verb} {state[0] if table[test] is (test != 'not_eq') else state[1]}"
    else:
        clause = f"{_subject(table)} {_TESTS[test].format(_limit(test, table[test]))}"
    return clause + _tail(table)


@cache
def predicate_words() -> dict[str, str]:
    """Predicate -> the first sentence of its docstring, read from the source so that nothing of the graph is
    imported.
    """
    found: dict[str, str] = {}
    for file in sorted((Path(__file__).parent / "predicates").glob("*.py")):
        text = file.read_text(encoding="utf-8")
        for name, words in re.findall(
            r'^@predicate\("(\w+)"[^\n]*\ndef [^:]*?:?.*?"""(.+?)(?:"""|\n\n|$)',
            text,
            re.MULTILINE | re.DOTALL,
        ):
            said = " ".join(words.split()).rstrip(".").replace("``", "")
            found[name] = said if said[1:2].isupper() else said[:1].lower() + said[1:]
    return found


def _tail(table: Mapping[str, Any]) -> str:
    said = {"fails": "required", "holds": "may be omitted"}.get(table.get("absent", ""), "")
    tail = [said] if said else []
    tail += ["unknown counts as not supported"] if table.get("unknown") == "fails" else []
    return f" ({', '.join(tail)})" if tail else ""


def _limit(test: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return _subject(value)
    if test == "between" and isinstance(value, list):
        return f"{value[0]} to {value[1]}"
    if test == "one_of" and isinstance(value, list):
        return _listed([_value(item) for item in value], "or")
    return _value(value)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_value(item) for item in value)
    return (
        {"": "the default domain", True: "true", False: "false"}.get(value, str(value))
        if isinstance(value, (str, bool))
        else str(value)
    )


def _listed(words: list[str], last: str) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def _subject(table: Mapping[str, Any]) -> str:
    some = "some " if table.get("some") else ""
    if "op" in table:
        return _OPERATOR[table["op"]]
    fact = table.get("of")
    if "attr" in table:
        return some + _attribute(table, fact)
    if fact in ("dim", "known_dim"):
        axis = table.get("axis", "all")
        known = "known " if fact == "known_dim" else ""
        which = (
            f"every {known}size"
            if axis == "all"
            else f"the {known}size on axis {_listed(list(map(str, _many(axis))), 'and')}"
        )
        return (
            f"{some}{which.removeprefix('every ').removeprefix('the ') if some else which} "
            f"of {_holder(table)}"
        )
    index = table.get("index")
    element = (
        f"element {_listed(list(map(str, _many(index))), 'and')} of " if index not in (None, "all") else ""
    )
    return f"{some or 'the '}{_FACTS.get(str(fact), str(fact))} of {element}{_holder(table)}"


def _attribute(table: Mapping[str, Any], fact: str | None) -> str:
    name, index = table["attr"], table.get("index")
    place = f"{name}[{', '.join(map(str, _many(index)))}]" if index not in (None, "all") else str(name)
    default = f" (default {_value(table['default'])})" if "default" in table else ""
    return (f"the length of {place}" if fact == "length" else place) + default


def _holder(table: Mapping[str, Any]) -> str:
    if "attr" in table:
        return str(table["attr"])
    side = "input" if "input" in table else "output"
    which, only = table[side], {"computed": "computed ", "stored": "stored "}.get(table.get("only", ""), "")
    if which == "all":
        return f"every {only}{side}"
    if which == "rest":
        return f"every {only}{side} but the first"
    many = _many(which)
    return f"{only}{side}{'s' if len(many) > 1 else ''} {_listed(list(map(str, many)), 'and')}"


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
