"""From a file to coverages: load, bring into the target's dialect, check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...rules.pack import Chosen
from ...rules.registry import in_dialect
from ...rules.verdict import Verdict
from ..check.coverage import Coverage, Entry, Finding, OperatorVerdict
from ..check.fingerprints import Place, marked
from ..check.prepared import Conversion, Prepared
from ..check.run import check
from ..errors import AccelintError, UsageError, unexpected
from ..formats import load
from ..ir.graph import Operator
from ..ir.model import Model

if TYPE_CHECKING:
    from ..convert import Converted
    from ..convert.refusals import Refusal


def check_file(path: Path, packs: Iterable[Chosen], *, optimized: bool = False) -> Entry:
    """Check one file, read once, for several targets; an error of the file becomes the entry's error.

    ``optimized``: as ONNX Runtime hands the graph over at its default optimization level.

    Raises UsageError for a target that takes another dialect, to which nothing converts.
    """
    entry = Entry(path)
    try:
        entry.model = load(path)
        entry.coverages = coverages(Prepared(entry.model), packs, optimized=optimized)
    except AccelintError as error:
        if isinstance(error, UsageError):
            raise
        entry.error = error
    except Exception as error:  # a defect at one model is no reason to say nothing of the others
        entry.error = unexpected(error, path)
    return entry


def coverages(prepared: Prepared, packs: Iterable[Chosen], *, optimized: bool = False) -> list[Coverage]:
    """One coverage a target, in their order; raises as ``check_file`` does."""
    return [_optimized(prepared, item) if optimized else _coverage(prepared, item) for item in packs]


def _optimized(prepared: Prepared, chosen: Chosen) -> Coverage:
    from .optimized import check_optimized

    direct = in_dialect(chosen, prepared.model.dialect)
    if direct is None or not chosen.target.startswith("onnxruntime/"):
        raise UsageError(
            f"{chosen.target} is no target of ONNX Runtime, which alone optimizes a graph "
            f"before it is divided"
        )
    return _with_fixes(check_optimized(prepared, direct), prepared.model.dialect)


def _coverage(prepared: Prepared, chosen: Chosen) -> Coverage:
    model = prepared.model
    direct = in_dialect(chosen, model.dialect)
    if direct is not None:
        return _with_fixes(check(prepared, direct), model.dialect)
    from ..convert.roads import between

    dialect = chosen.pack.dialect
    road = between(model.dialect, dialect)
    if road is None:
        raise UsageError(
            f"{chosen.target} takes {dialect} models and {model.path} is {model.dialect}: convert it first"
        )
    found = prepared.converted.get(dialect)
    if found is None:
        made = road.convert(model, road.DEFAULTS)
        found = Conversion(made, None if made.model is None else Prepared(made.model))
        prepared.converted[dialect] = found
    return of_converted(model, found, chosen)


def _with_fixes(coverage: Coverage, dialect: str) -> Coverage:
    if not coverage.findings:
        return coverage
    from ...rewrites.registry import answers

    return coverage.with_fixes(answers(dialect))


def of_converted(model: Model, conversion: Conversion, chosen: Chosen) -> Coverage:
    """The coverage of a converted model, told in the words of the model that it was converted from."""
    made, prepared = conversion.made, conversion.prepared
    if prepared is None or made.op_map is None:
        return _refused(model, made, chosen)
    coverage = _with_fixes(check(prepared, chosen), prepared.model.dialect)
    sources = {op.id: made.op_map.source(op.id) for op in coverage.operators}
    names = {
        op.id: ";".join(made.op_map.origins[op.id].nodes) if op.id in made.op_map.origins else ""
        for op in coverage.operators
    }
    operators = tuple(_renamed(op, names[op.id], sources[op.id]) for op in coverage.operators)
    findings = _of_sources(prepared.model, coverage, names, sources, chosen)
    unmapped = len(made.op_map.unmapped)
    notes = (
        f"converted by {_converter(model, chosen, made)}: operators are those of the "
        f"{_FORMATS[chosen.pack.dialect]}, "
        f"named after the nodes that they came from"
        + (f"; {unmapped} could not be traced" if unmapped else ""),
        *(
            (f"only the signature {made.signature!r} was converted, not {', '.join(made.others)}",)
            if made.others
            else ()
        ),
    )
    return replace(coverage, operators=operators, findings=findings, notes=notes)


_FORMATS = {"tflite": "TFLite model", "mil": "Core ML program"}


def _title(dialect: str, chosen: Chosen) -> str:
    from ..convert.roads import between

    road = between(dialect, chosen.pack.dialect)
    return road.TITLE if road is not None else "the converter"


def _converter(model: Model, chosen: Chosen, made: Converted) -> str:
    name = _title(model.dialect, chosen)
    return f"{name} {made.versions.get(name.lower(), '')}".rstrip()


def _renamed(op: OperatorVerdict, name: str, source: Operator | None) -> OperatorVerdict:
    return replace(op, name=name or op.name, code=source.source.code if source else op.code)


def _of_sources(
    made: Model,
    coverage: Coverage,
    names: Mapping[str, str],
    sources: Mapping[str, Operator | None],
    chosen: Chosen,
) -> tuple[Finding, ...]:
    """The findings told of the TensorFlow nodes; where one could be traced, the fingerprint is made of it."""
    ids = {item.operator for item in coverage.findings}
    places: dict[str, Place] = {op.id: (graph, op) for graph, op in made.operators() if op.id in ids}
    places |= {id: (None, source) for id in ids if (source := sources[id]) is not None}
    types = {op.id: op.type for op in coverage.operators}
    findings = [_told(item, names[item.operator], sources[item.operator]) for item in coverage.findings]
    found = [places.get(item.operator) for item in findings]
    return marked(findings, found, chosen.target, chosen.pack, [types[item.operator] for item in findings])


def _told(finding: Finding, name: str, source: Operator | None) -> Finding:
    if source is None:
        return finding
    where = f", {source.source.code}" if source.source.code else ""
    message = f"{finding.message} (TensorFlow {source.type} {name!r}{where})"
    return replace(finding, message=message)


def _refused(model: Model, made: Converted, chosen: Chosen) -> Coverage:
    """Nothing runs: the converter refuses, and each of its reasons is a finding about a TensorFlow
    operator.
    """
    graph = model.graphs.get(made.signature, model.graph)
    by_id = {op.id: op for _, op in graph.walk()}
    findings: list[Finding] = []
    places: list[Place] = []
    rows: dict[str, list[int]] = {}
    for refusal in made.refusals:
        op = by_id.get(refusal.operator or "")
        rows.setdefault(op.id if op else "", []).append(len(findings))
        findings.append(_refusal(refusal, op, made, chosen))
        places.append((None, op or Operator("", refusal.type, name=refusal.node)))
    operators = tuple(
        OperatorVerdict(
            op.id, op.label, op.type, Verdict.REJECTED, tuple(rows.get(op.id, ())), code=op.source.code
        )
        for op in by_id.values()
    )
    runtime = f"{chosen.pack.runtime} {chosen.version}"
    return Coverage(
        chosen.target,
        runtime,
        operators,
        marked(findings, places, chosen.target, chosen.pack),
        (),
        (f"{_converter(model, chosen, made)} refuses the model",),
    )


def _refusal(refusal: Refusal, op: Operator | None, made: Converted, chosen: Chosen) -> Finding:
    return Finding(
        code="ACL801",
        rule=f"not-convertible-{refusal.needs}",
        severity="error",
        operator=op.id if op else made.signature,
        message=refusal.text,
        seen=refusal.type,
        limit=f"operators that {_title('tf', chosen)}'s converter knows",
        evidence="measured",
        source=" ".join(f"{name} {version}" for name, version in made.versions.items()),
        effect="rejected",
    )
