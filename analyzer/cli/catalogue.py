"""``accelint targets``, ``rules``, ``explain`` and ``schema``: what the packs say, without a model."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UsageError
from .detail import Detail, Quiet, Verbose, detail

AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("targets")(targets)
    app.command("rules")(rules)
    app.command("explain")(explain)
    app.command("schema")(schema)


def targets(
    name: Annotated[
        str, typer.Argument(help="Only targets with this in a name: qnn, pixel-9, snapdragon.")
    ] = "",
    dialect: Annotated[
        str | None, typer.Option(help="Only of this dialect: onnx, tflite, tf, mil, nn.")
    ] = None,
    askable: Annotated[
        bool, typer.Option("--askable", help="Only those whose runtime or recorded answers can be asked.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List the targets: dialect, what each does (accelerates, converts, runs), runtime, version and date of
    the data, which runtime can be asked, and the releases that @version accepts where there are several. -q:
    names alone; -v: also the names that people know.
    """
    much = detail(quiet, verbose)
    from ...rules.aliases import slug
    from ...rules.catalogue import target_rows

    rows = [
        row
        for row in target_rows()
        if any(slug(name) in known for known in (row["target"], *row["names"]))
        and dialect in (None, row["dialect"])
        and not (askable and row["runs_here"].startswith("no"))
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    width = max((len(row["target"]) for row in rows), default=0)
    for row in rows:
        if much is Detail.BRIEF:
            typer.echo(row["target"])
            continue
        data = f"{row['dialect']:<7} {row['purpose']:<12}{row['runtime']} {row['version']} ({row['date']})"
        data += f"  {row['runs_here']}"
        if len(row["releases"]) > 1:
            data = f"{data.rstrip()}  releases: {', '.join(row['releases'])}"
        typer.echo(f"{row['target']:<{width}}  {data}".rstrip())
        if much is Detail.FULL and row["names"]:
            typer.echo(f"{'':<{width}}  also: {', '.join(row['names'])}")


def rules(
    target: Annotated[str | None, typer.Option("--target", "-t", help="Only this target's.")] = None,
    code: Annotated[
        str | None, typer.Option(help="Only rules with this code, or codes that start so: ACL5.")
    ] = None,
    operator: Annotated[
        str | None, typer.Option("--operator", help="Only rules about this operator type.")
    ] = None,
    effect: Annotated[
        str | None, typer.Option(help="Only rules with this effect: fallback, rejected, note, unknown.")
    ] = None,
    evidence: Annotated[
        str | None,
        typer.Option(help="Only rules with this evidence: device, measured, source, documented, reported."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List the rules of the packs. -q: names alone; -v: also the message and the source."""
    from ...rules.catalogue import rule_rows

    much = detail(quiet, verbose)
    rows = [
        row
        for name in _meant(target)
        for row in rule_rows(name, code, operator)
        if effect in (None, row["effect"]) and evidence in (None, row["evidence"])
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        if much is Detail.BRIEF:
            typer.echo(row["name"])
            continue
        ops = ", ".join(row["ops"][:4]) + (", ..." if len(row["ops"]) > 4 else "")
        former = f"  (formerly {', '.join(row['formerly'])})" if row["formerly"] else ""
        stage = "" if row["lifecycle"] == "stable" else f"  ({row['lifecycle']})"
        typer.echo(
            f"{row['code']}  {row['target']}  {row['name']}  [{row['evidence']}]  {ops}{former}{stage}"
        )
        if much is Detail.FULL:
            typer.echo(f"  {row['effect']}: {row['message']}")
            typer.echo(f"  source: {row['source']} {row['version']}")


def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="CODE|OPERATOR",
            help="A code like ACL503, a rule's name, or an operator type like Resize.",
        ),
    ],
    target: Annotated[str | None, typer.Option("--target", "-t", help="For this target only.")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Explain a code, a rule or an operator: what is accepted, what is not, why, what to change, and the
    sources. -q: without reasons and sources; -v: also the cases that the rules are tested with.
    """
    from ...rewrites.families import stored_answers
    from ...rules.explain import explanation

    much = detail(quiet, verbose)
    told: list[str] = []
    missed: UsageError | None = None
    for name in _meant(target):
        try:
            told.append(
                explanation(
                    what,
                    name,
                    stored_answers(),
                    reasons=much is not Detail.BRIEF,
                    cases=much is Detail.FULL,
                )
            )
        except UsageError as error:  # a word for several targets, of which one knows the operator
            missed = error
    if missed is not None and not told:
        raise missed
    typer.echo("\n".join(told), nl=False)


def _meant(target: str | None) -> list[str | None]:
    """The targets that a word means; None for all of them."""
    if target is None:
        return [None]
    from ...rules.aliases import resolve

    return list(resolve(target))


SCHEMAS = Path(__file__).parent.parent / "report" / "schemas"


def schema(
    name: Annotated[
        str,
        typer.Argument(
            help="Of which JSON: report (check, verify), releases, recommend, fix, conform, targets, rules, "
            "runtimes, baseline, diff, contract, contract-check, config."
        ),
    ] = "report",
) -> None:
    """Print the JSON Schema of what a command prints as JSON, or of the configuration."""
    if name == "config":
        from ..settings import fields

        typer.echo(json.dumps(fields.schema(), indent=1))
        return
    path = SCHEMAS / f"{name}.json"
    known = sorted(["config", *(path.stem for path in SCHEMAS.glob("*.json"))])
    if name not in known:
        raise UsageError(f"no schema is named {name!r}: there are {', '.join(known)}")
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    typer.echo(json.dumps(document, indent=1))
