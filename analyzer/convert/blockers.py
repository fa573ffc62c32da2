"""What TensorFlow's converter does not support, as records: operator, node, what it needs, Python line.

The converter tells in two ways: ``ConverterError.errors`` (tensorflow/compiler/mlir/lite/metrics/
converter_error_data.proto) and MLIR diagnostics in the message and on standard error. The first is read where
it is there; the text fills what it lacks (a crash leaves only text).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

NEEDS = {
    "ERROR_NEEDS_FLEX_OPS": "flex",
    "ERROR_NEEDS_CUSTOM_OPS": "custom",
    "ERROR_UNSUPPORTED_CONTROL_FLOW_V1": "control-flow-v2",
}
"""What an error code asks for; other codes say nothing by themselves."""

_LIBRARY_FRAMES = ("/tensorflow/python/", "/site-packages/", "/dist-packages/", "/keras/src/")


@dataclass(frozen=True, slots=True)
class Blocker:
    """One reason why a model does not convert.

    Attributes:
        type: TensorFlow operator type, empty when the converter names none.
        node: name of the node in the source model, empty when untold.
        function: the library function that holds the node.
        needs: ``flex`` (Select TF ops have it), ``custom`` (nobody has it), ``static-shape``,
            ``control-flow-v2``,
            ``unsupported`` (by a converter without such ways out) or ``other``.
        message: in the converter's own words.
        code: ``file:line:column`` of the user's code, None when untold.
        operator: id of the operator in the source model, None when it was not found there.
    """

    type: str
    node: str
    function: str
    needs: str
    message: str
    code: str | None = None
    operator: str | None = None

    @property
    def text(self) -> str:
        """The reason as one sentence."""
        who = f"{self.type} {self.node!r}" if self.node else self.type or "the model"
        why = {
            "flex": "has no LiteRT builtin; it converts with Select TF ops only",
            "custom": "has neither a LiteRT builtin nor a Select TF op",
            "static-shape": "needs a static shape to be converted: fix the batch and input shapes",
            "unsupported": "has no conversion",
            "control-flow-v2": "is TensorFlow 1 control flow, which the converter does not take",
        }.get(self.needs, self.message)
        return f"{who} {why}" + (f" ({self.code})" if self.code else "")


def from_errors(errors: Iterable[Mapping[str, Any]]) -> list[Blocker]:
    """Blockers of ``ConverterError.errors`` as the worker passed them on."""
    found = []
    for error in errors:
        message = str(error.get("message", "")).strip()
        kind = str(error.get("operator", "")).removeprefix("tf.")
        node, function, code = _located(error.get("calls", ()))
        if not node and kind in ("", "Const"):  # the pass as a whole: it names the first operator at hand
            kind = ""
        found.append(
            Blocker(kind, node, function, _needs(str(error.get("code", "")), message), _first(message), code)
        )
    return merged(found)


def _located(calls: Iterable[Mapping[str, Any]]) -> tuple[str, str, str | None]:
    node = function = ""
    places: list[str] = []
    for call in calls:
        name = str(call.get("name", ""))
        if not node and name:
            node, _, function = name.partition("@")
        elif name:
            break  # the caller's own location begins
        if call.get("file"):
            places.append(f"{call['file']}:{call.get('line', 0)}:{call.get('column', 0)}")
    own = [place for place in places if not any(part in place for part in _LIBRARY_FRAMES)]
    best = own or places
    return node, function, best[-1] if best else None


_DIAGNOSTIC = re.compile(
    r"'tf\.(?P<type>\w+)' op (?P<message>.+)|failed to legalize operation 'tf\.(?P<illegal>\w+)'"
)
_NODE = re.compile(r'"(?P<node>[^"@:]+)@(?P<function>[^"]+)"')
_SUMMARY = re.compile(r"^(?P<kind>TF Select|Custom) ops: (?P<types>.+)$", re.MULTILINE)
_FILE = re.compile(r'"(?P<file>[^"]+\.py)":(?P<line>\d+):(?P<column>\d+)')


def from_text(text: str) -> list[Blocker]:
    """Blockers that the diagnostics in a message or on standard error name."""
    found: list[Blocker] = []
    flex = {
        kind
        for match in _SUMMARY.finditer(text)
        if match["kind"] == "TF Select"
        for kind in _types(match["types"])
    }
    custom = {
        kind
        for match in _SUMMARY.finditer(text)
        if match["kind"] == "Custom"
        for kind in _types(match["types"])
    }
    for line in text.splitlines():
        match = _DIAGNOSTIC.search(line)
        if match is None or "error:" not in line:
            continue
        kind = match["type"] or match["illegal"]
        node = _NODE.search(line)
        places = [f"{place['file']}:{place['line']}:{place['column']}" for place in _FILE.finditer(line)]
        own = [place for place in places if not any(part in place for part in _LIBRARY_FRAMES)]
        message = match["message"] or "failed to be legalized"
        needs = "flex" if kind in flex else "custom" if kind in custom else _needs("", message)
        where = (node["node"], node["function"]) if node else ("", "")
        found.append(Blocker(kind, *where, needs, message, own[-1] if own else None))
    named = {blocker.type for blocker in found}
    found += [Blocker(kind, "", "", "flex", "needs Select TF ops") for kind in sorted(flex - named)]
    found += [Blocker(kind, "", "", "custom", "is a custom operator") for kind in sorted(custom - named)]
    return merged(found)


def _types(text: str) -> list[str]:
    return [item.strip().removeprefix("tf.") for item in text.split(",") if item.strip()]


def _needs(code: str, message: str) -> str:
    if code in NEEDS:
        return NEEDS[code]
    if "static" in message and "shape" in message:
        return "static-shape"
    return "other"


def _first(message: str) -> str:
    return message.splitlines()[0] if message else ""


def merged(blockers: Iterable[Blocker]) -> list[Blocker]:
    """One record per node, the most telling one; general complaints only when no node is named."""
    best: dict[tuple[str, str, str], Blocker] = {}
    for blocker in blockers:
        key = (blocker.type, blocker.node, blocker.function)
        kept = best.get(key)
        if kept is None or (kept.needs == "other" and blocker.needs != "other"):
            best[key] = replace(blocker, code=blocker.code or (kept.code if kept else None))
    named = [blocker for blocker in best.values() if blocker.type]
    return sorted(named or best.values(), key=lambda blocker: (blocker.node, blocker.type))
