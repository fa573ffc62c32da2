"""From a file to coverages: load, bring into the target's dialect, check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...rules.pack import Chosen
from ...rules.verdict import Verdict
from ..check.coverage import About, Coverage, Entry, Finding, OperatorVerdict, Origin
from ..check.fingerprints import Place, marked
from ..check.prepared import Conversion, Prepared
from ..check.run import check
from ..errors import AccelintError, MissingExtraError, RuntimeFailure, UsageError
from ..formats import load
from ..ir.graph import Graph, Operator
from ..ir.model import Model
from ..unexpected import unexpected
from .targets import fitting

if TYPE_CHECKING:
    from ..convert import Converted
    from ..convert.blockers import Blocker
    from ..source.export import Exporting


class Also(Protocol):
    """What a caller does beside, while the model is at hand; ``assume`` is what it does to the model."""

    @property
    def assume(self) -> tuple[str, ...]:
        """What is done to the model before."""

    def before(self, model: Model) -> Model:
        """The model that is checked."""

    def after(self, entry: Entry, prepared: Prepared, packs: Sequence[Chosen], optimize: str | None) -> None:
        """Add to an entry that was checked."""


def check_file(
    path: Path,
    packs: Iterable[Chosen],
    *,
    optimize: str | None = None,
    flow: bool = False,
    also: Also | None = None,
    exporting: Exporting | None = None,
) -> Entry:
    """Check one file, read once, for several targets; an error of the file becomes the entry's error.

    ``optimize``: ONNX Runtime's optimization level, as ``check_at`` takes it; targets of other runtimes are
    skipped where one is given.

    ``flow``: also how the data flows through the partitions, for forms that draw it; not of models that are
    converted first.

    ``also``: what is done to the model before, and what is told of it after.

    Targets that take another dialect, to which nothing converts, are the entry's ``skipped``; a target that
    two words named for this dialect is checked once.

    ``path`` may be a model in the user's code (``package.module:build``), which is exported first as
    ``exporting`` says.
    """
    entry = Entry(path)
    try:
        model, entry.origin = loaded(entry.path, exporting)
        _fill(entry, model, packs, optimize=optimize, flow=flow, also=also)
    except AccelintError as error:
        if isinstance(error, UsageError):
            raise
        entry.error = error
    except Exception as error:  # a defect at one model is no reason to say nothing of the others
        entry.error = unexpected(error, path)
    return entry


def check_model(
    model: Model,
    packs: Iterable[Chosen],
    *,
    optimize: str | None = None,
    flow: bool = False,
    also: Also | None = None,
) -> Entry:
    """The same for a model that was read; its errors are raised."""
    entry = Entry(model.path)
    _fill(entry, model, packs, optimize=optimize, flow=flow, also=also)
    return entry


def _fill(
    entry: Entry,
    model: Model,
    packs: Iterable[Chosen],
    *,
    optimize: str | None,
    flow: bool,
    also: Also | None = None,
) -> None:
    model = model if also is None else also.before(model)
    entry.model = model
    entry.about = About.of(model)
    prepared, asked = Prepared(model, edited=also is not None and bool(also.assume)), list(packs)
    _check(entry, prepared, asked, optimize=optimize)
    if flow:
        _draw(entry, model)
    if also is not None:
        also.after(entry, prepared, asked, optimize)


def loaded(path: Path, exporting: Exporting | None = None) -> tuple[Model, Origin | None]:
    """The model of a path, or the one that the user's code builds, with where it comes from."""
    if ":" not in str(path):
        return load(path), None
    from ..source.names import named

    name = named(str(path))
    if name is None:
        return load(path), None
    from ..source.export import Exporting, export

    made = export(name, exporting or Exporting())
    model = load(made.path)
    model.metadata["exported"] = made.folder  # whose files the graph's constants are read from
    return model, Origin(made.by, made.place, made.files, made.printed, made.stored)


def _check(entry: Entry, prepared: Prepared, packs: Iterable[Chosen], *, optimize: str | None) -> None:
    """Check the model for each target that takes it.

    What a missing or broken converter keeps from being checked is a failure of that target, and the model's
    error where nothing else was asked for.
    """
    fit, entry.skipped = fitting(entry.path, prepared.model.dialect, packs, leveled=optimize is not None)
    broken: dict[str, AccelintError] = {}
    for chosen in fit:
        if chosen.pack.dialect in broken:
            entry.failures[chosen.target] = broken[chosen.pack.dialect]
            continue
        try:
            entry.coverages.append(_coverage(prepared, chosen, optimize))
        except (RuntimeFailure, MissingExtraError) as error:
            if len(fit) == 1:
                raise
            entry.failures[chosen.target] = broken[chosen.pack.dialect] = error


def _draw(entry: Entry, model: Model) -> None:
    from ..check.flow import flow

    stored = {op.id for op in model.graph.ops()}
    for coverage in entry.coverages:
        if stored <= {op.id for op in coverage.operators}:
            entry.extra[coverage.target] = {"flow": flow(model.graph, coverage)}


def _coverage(prepared: Prepared, chosen: Chosen, optimize: str | None) -> Coverage:
    if chosen.pack.dialect != prepared.model.dialect:
        return judged(prepared, chosen, optimize)
    return _with_fixes(judged(prepared, chosen, optimize), prepared, chosen, optimize)


def judged(prepared: Prepared, chosen: Chosen, optimize: str | None = None) -> Coverage:
    """One target's answer, converted first where it has to be; without rewrites, unless it is converted."""
    model, dialect = prepared.model, chosen.pack.dialect
    if dialect == model.dialect == "onnx":
        from .optimized import check_at

        return check_at(prepared, chosen, optimize)
    if dialect == model.dialect:
        return check(prepared, chosen)
    from ..convert.roads import between

    road = between(model.dialect, dialect)
    assert road is not None, "fitting() lets no other target through"
    found = prepared.converted.get(dialect)
    if found is None:
        made = road.convert(model, road.DEFAULTS)
        found = Conversion(made, None if made.model is None else Prepared(made.model))
        prepared.converted[dialect] = found
    return of_converted(model, found, chosen)


def _with_fixes(
    coverage: Coverage, prepared: Prepared, chosen: Chosen, optimize: str | None = None
) -> Coverage:
    """With the rewrites that remove findings, and the options that name the target."""
    leveled = ("--optimize", "off") if coverage.optimize == "off" else ()
    asked = ("--optimizer", "runtime") if optimize == "runtime" and coverage.optimize else ()
    coverage = replace(coverage, options=(*_options(chosen), *leveled, *asked))
    if not coverage.findings:
        return coverage
    from ...rewrites.registry import repairs
    from ...rewrites.trial import kept

    found = repairs(prepared.model.graph, coverage, prepared.repairs)
    if found:
        known = next((item.prepared.model.graph for item in prepared.optimized.values()), None)
        check_of = _predicting(prepared.model, chosen, optimize)
        found = kept(prepared.model.graph, coverage, found, check_of, known)
    return coverage.with_fixes({index: (item.id, item.parity.safe) for index, item in found.items()})


def _predicting(model: Model, chosen: Chosen, optimize: str | None) -> Callable[[Graph], Coverage]:
    """The check of another graph of a model."""
    from .optimized import DEFAULT, RUNTIME, check_at

    level = DEFAULT if optimize == RUNTIME else optimize  # the runtime itself is not asked dozens of times

    def predict(graph: Graph) -> Coverage:
        graphs = {name: graph if item is model.graph else item for name, item in model.graphs.items()}
        return check_at(Prepared(replace(model, graph=graph, graphs=graphs), edited=True), chosen, level)

    return predict


def _options(chosen: Chosen) -> tuple[str, ...]:
    version = "" if chosen.version == chosen.pack.version else f"@{chosen.version}"
    own = () if chosen.pack.file is None else ("--pack", str(chosen.pack.file))
    return ("--target", f"{chosen.target}{version}", *own)


def of_converted(model: Model, conversion: Conversion, chosen: Chosen) -> Coverage:
    """The coverage of a converted model, told in the words of the model that it was converted from."""
    made, prepared = conversion.made, conversion.prepared
    if prepared is None or made.op_map is None:
        return _not_convertible(model, made, chosen)
    coverage = _with_fixes(check(prepared, chosen), prepared, chosen)
    sources = {op.id: made.op_map.source(op.id) for op in coverage.operators}
    names = {
        op.id: ";".join(made.op_map.origins[op.id].nodes) if op.id in made.op_map.origins else ""
        for op in coverage.operators
    }
    operators = tuple(_renamed(op, names[op.id], sources[op.id]) for op in coverage.operators)
    findings = _of_sources(
        prepared.model, coverage, names, sources, chosen, _ORIGINS.get(model.dialect, model.dialect)
    )
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
    origin: str,
) -> tuple[Finding, ...]:
    """The findings told of the source's operators; where one is traced, the fingerprint is made of it."""
    ids = {item.operator for item in coverage.findings}
    places: dict[str, Place] = {op.id: (graph, op) for graph, op in made.operators() if op.id in ids}
    places |= {id: (None, source) for id in ids if (source := sources[id]) is not None}
    types = {op.id: op.type for op in coverage.operators}
    findings = [
        _told(item, names[item.operator], sources[item.operator], origin) for item in coverage.findings
    ]
    found = [places.get(item.operator) for item in findings]
    return marked(findings, found, chosen.target, chosen.pack, [types[item.operator] for item in findings])


_ORIGINS = {"tf": "TensorFlow", "onnx": "ONNX"}


def _told(finding: Finding, name: str, source: Operator | None, origin: str) -> Finding:
    if source is None:
        return finding
    where = f", {source.source.code}" if source.source.code else ""
    message = f"{finding.message} ({origin} {source.type} {name!r}{where})"
    return replace(finding, message=message)


def _not_convertible(model: Model, made: Converted, chosen: Chosen) -> Coverage:
    """Nothing runs: the model is not convertible, and each of its reasons is a finding about a TensorFlow
    operator.
    """
    graph = model.graphs.get(made.signature, model.graph)
    by_id = {op.id: op for _, op in graph.walk()}
    findings: list[Finding] = []
    places: list[Place] = []
    rows: dict[str, list[int]] = {}
    for blocker in made.blockers:
        op = by_id.get(blocker.operator or "")
        rows.setdefault(op.id if op else "", []).append(len(findings))
        findings.append(_blocker(blocker, op, made, _title(model.dialect, chosen)))
        places.append((None, op or Operator("", blocker.type, name=blocker.node)))
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
        (f"{_converter(model, chosen, made)} cannot convert the model",),
        purpose=chosen.pack.purpose,
    )


def _blocker(blocker: Blocker, op: Operator | None, made: Converted, title: str) -> Finding:
    return Finding(
        code="ACL801",
        rule=f"not-convertible-{blocker.needs}",
        severity="error",
        operator=op.id if op else made.signature,
        message=blocker.text,
        seen=blocker.type,
        limit=f"operators that {title}'s converter knows",
        evidence="measured",
        source=" ".join(f"{name} {version}" for name, version in made.versions.items()),
        effect="rejected",
        phase="compile",
    )
