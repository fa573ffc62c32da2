"""What a call gives back: reports that are read as values, written in any form, and shown in notebooks."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..check.coverage import Coverage, Entry
from ..errors import UsageError

if TYPE_CHECKING:
    from ..check.coverage import Finding, OperatorVerdict, Partition


@dataclass(frozen=True)
class Result:
    """One model on one target.

    Attributes:
        path: the model.
        coverage: verdicts, findings and partitions, as the check made them.
        actual: what the real runtime did, from ``verify``; empty otherwise: the keys of the JSON report.
    """

    path: Path
    coverage: Coverage
    actual: Mapping[str, Any]

    @property
    def target(self) -> str:
        """The target's name, with its variant."""
        return self.coverage.target

    @property
    def verdict(self) -> str:
        """``full``, ``partial``, ``none``, ``rejected`` or ``unknown``."""
        return self.coverage.verdict

    @property
    def share(self) -> float:
        """Share of the running operators that is accelerated, from 0 to 1."""
        return self.coverage.by_operators

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """What the accelerator runs as one piece each."""
        return self.coverage.partitions

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Why operators are not accelerated, and what else is to be known."""
        return self.coverage.findings

    @property
    def operators(self) -> tuple[OperatorVerdict, ...]:
        """What becomes of each operator of the file."""
        return self.coverage.operators

    @property
    def agrees(self) -> bool | None:
        """Whether the runtime did what was predicted; None without ``verify``."""
        return not self.actual["contradictions"] if "contradictions" in self.actual else None

    @property
    def parity(self) -> bool | None:
        """Whether the numbers agree with the reference; None where they were not compared."""
        found = self.actual.get("parity")
        return found["ok"] if found else None


class Report:
    """Models on targets. It is a collection of ``Result``; one alone gives its own attributes through."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries

    @property
    def results(self) -> tuple[Result, ...]:
        """One for each model and target, in the order of the call."""
        return tuple(
            Result(entry.path, coverage, entry.extra.get(coverage.target, {}))
            for entry in self.entries
            for coverage in entry.coverages
        )

    @property
    def result(self) -> Result:
        """The only result. Raises UsageError when there are several, or none."""
        found = self.results
        if len(found) != 1:
            raise UsageError(f"the report has {len(found)} results: go through report.results")
        return found[0]

    @property
    def errors(self) -> dict[Path, Exception]:
        """Models that could not be read, where the call was told to keep them."""
        return {entry.path: entry.error for entry in self.entries if entry.error is not None}

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def render(self, form: str = "text") -> str:
        """The report in one of the forms that ``accelint check --format`` knows."""
        from accelint import __version__

        from ..report import render

        return "".join(render(self.entries, __version__, form))

    def to_json(self) -> dict[str, Any]:
        """The report as the document that ``accelint schema`` describes."""
        from accelint import __version__

        from ..report.document import document

        return document(self.entries, __version__)

    def write(self, path: str | Path, form: str = "") -> Path:
        """Write the report, whole or not at all. Without a form the file's ending chooses it: ``.html``,
        ``.json``, ``.sarif``, ``.md``, ``.csv``, ``.txt`` and so on. Raises UsageError for other endings.
        """
        from ..files import atomic

        target = Path(path)
        text = self.render(form or _form_of(target))
        with atomic(target) as draft:
            draft.write_text(text, encoding="utf-8")
        return target

    def __str__(self) -> str:
        return self.render("text")

    def __repr__(self) -> str:
        rows = ", ".join(f"{row.path.name} on {row.target}: {row.verdict}" for row in self.results[:4])
        return f"<accelint.Report {rows}{', ...' if len(self) > 4 else ''}>"

    def _repr_html_(self) -> str:
        """In a notebook: the page, in a frame of its own so that neither disturbs the other."""
        page = html.escape(self.render("html"), quote=True)
        return (
            f'<iframe srcdoc="{page}" sandbox="allow-scripts" style="width:100%;height:640px;border:0" '
            f'title="accelint report"></iframe>'
        )


_FORMS = {
    ".html": "html", ".json": "json", ".jsonl": "jsonl", ".sarif": "sarif", ".md": "markdown", ".csv": "csv",
    ".txt": "text", ".dot": "dot", ".mmd": "mermaid", ".xml": "junit",
}  # fmt: skip


def _form_of(path: Path) -> str:
    if path.suffix not in _FORMS:
        raise UsageError(f"{path}: no report ends so: give form=..., or one of {', '.join(_FORMS)}")
    return _FORMS[path.suffix]
