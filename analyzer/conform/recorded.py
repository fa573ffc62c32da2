"""Answers that a provider gave elsewhere, read as if the runtime were here.

A record is JSON, gzipped or not: a ``_meta`` table and, by model name, ``nodes``, ``opset`` (as which it was
loaded), ``supported`` (rows ``[node index, name, type, accepted, reason]``), ``partitions`` (partitions of
node indexes) or ``error``. Model names are those of the ONNX backend node tests; ``NAME.const.onnx`` is the
test with every input but the first turned into an initializer. An ``error`` with rows comes from the provider
(no session); without rows, or with the prefix ``model:``, the model does not load at all.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .corpora import Item
from .corpora.onnx.build import InvalidCase

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")
"""Tests of the onnx package that providers were asked about."""


OF_RELEASES = frozenset(("operator-set-of-the-release", "ir-version-of-the-release"))
"""Rules about what a release loads: records come from other builds, which had loaded the model."""


_ROW = {"opset": int, "clamped": int, "error": str, "nodes": int, "supported": list, "partitions": list}
_SUPPORTED = (int, str, str, bool, str)
"""Types of what an answer may have, and of a row of ``supported``."""


def _wrong(rows: Any) -> str:
    """What keeps a document from being a record; empty where nothing does."""
    if not isinstance(rows, dict) or not isinstance(rows.get("_meta"), dict):
        return "it has no table _meta"
    for name, row in rows.items():
        if name != "_meta" and not _is_answer(row):
            return f"{name!r} is no answer: see accelint/analyzer/conform/recorded.py for the form"
    return ""


def _is_answer(row: Any) -> bool:
    if not isinstance(row, dict) or not ("error" in row or {"partitions", "supported"} <= row.keys()):
        return False
    if any(key in row and not isinstance(row[key], kind) for key, kind in _ROW.items()):
        return False
    if row.get("clamped") and "opset" not in row:
        return False
    return all(
        isinstance(item, list)
        and len(item) == len(_SUPPORTED)
        and all(isinstance(value, kind) for value, kind in zip(item, _SUPPORTED, strict=True))
        for item in row.get("supported", ())
    ) and all(
        isinstance(item, list) and all(isinstance(index, int) for index in item)
        for item in row.get("partitions", ())
    )


class Recorded:
    """Recorded answers with the interface of ``engine.Asker``; ``items`` are the models that they are
    about.
    """

    def __init__(self, path: Path) -> None:
        opener = gzip.open if path.suffix == ".gz" else open
        try:
            with opener(path, "rt", encoding="utf-8") as stream:
                rows = json.load(stream)
        except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
            raise UsageError(f"{path}: no record of a provider's answers: {error}") from error
        wrong = _wrong(rows)
        if wrong:
            raise UsageError(f"{path}: no record of a provider's answers: {wrong}")
        self.meta = rows.pop("_meta")
        self._rows: dict[str, dict[str, Any]] = rows

    def items(self) -> Iterator[Item]:
        """The recorded models, in the opset as which they were loaded."""
        from .corpora.onnx.corpus import backend_cases

        for case in backend_cases(kinds=KINDS):
            name = case.name.removeprefix("backend/").replace("/const", ".const") + ".onnx"
            row = self._rows.get(name)
            if row is None:
                continue
            try:
                data = case.build()
            except InvalidCase:
                continue
            yield Item(name, data=_clamped(data, row["opset"]) if row.get("clamped") else data)

    def ask(self, digest: str, path: Path, name: str = "") -> dict[str, Any]:
        """The recorded answer in the form of a kept one."""
        row = self._rows[name]
        error = row.get("error", "")
        if error.startswith("model:") or (
            error and "supported" not in row and not error.startswith("signal")
        ):
            return {"status": "invalid", "reason": error, "partitions": None, "placement": []}
        if error:
            return {
                "status": "crashed" if error.startswith("signal") else "refused",
                "reason": error,
                "partitions": None,
                "placement": [],
            }
        partitions = [[f"main/{index}" for index in partition] for partition in row["partitions"]]
        placement = [
            [f"main/{index}", type, "accelerator" if accepted else "cpu", said]
            for index, _, type, accepted, said in row["supported"]
        ]
        return {
            "status": "ok",
            "reason": "",
            "partitions": len(partitions),
            "groups": partitions,
            "placement": placement,
            "accepted": True,
        }

    def run(self, digest: str, path: Path) -> dict[str, Any]:
        """Nothing: what was recorded is all that is known."""
        return {}

    def close(self) -> None:
        """Nothing is held."""


def _clamped(data: bytes, opset: int) -> bytes:
    import onnx

    model = onnx.ModelProto.FromString(data)
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = opset
    clamped: bytes = model.SerializeToString()
    return clamped
