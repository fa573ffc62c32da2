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


class Recorded:
    """Recorded answers with the interface of ``engine.Asker``; ``items`` are the models that they are
    about.
    """

    def __init__(self, path: Path) -> None:
        opener = gzip.open if path.suffix == ".gz" else open
        try:
            with opener(path, "rt", encoding="utf-8") as stream:
                self._rows: dict[str, dict[str, Any]] = json.load(stream)
            self.meta = self._rows.pop("_meta")
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise UsageError(f"{path}: no record of a provider's answers: {error}") from error

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
