"""``accelint targets``, ``rules``, ``explain`` and ``schema``: what the packs say, without a model."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UsageError

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
) -> None:
    """List the targets: dialect, what each does (accelerates, converts, runs), runtime, version and date of
    the data, which runtime can be asked, and the releases that @version accepts where there are several. The
    names that people know are in --json.
    """
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
        data = f"{row['dialect']:<7} {row['purpose']:<12}{row['runtime']} {row['version']} ({row['date']})"
        data += f"  {row['runs_here']}"
        if len(row["releases"]) > 1:
            data = f"{data.rstrip()}  releases: {', '.join(row['releases'])}"
        typer.echo(f"{row['target']:<{width}}  {data}".rstrip())


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
        typer.Option(help="Only rules with this evidence: measured, source, documented, reported."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the rules of the packs."""
    from ...rules.catalogue import rule_rows

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
        ops = ", ".join(row["ops"][:4]) + (", ..." if len(row["ops"]) > 4 else "")
        former = f"  (formerly {', '.join(row['formerly'])})" if row["formerly"] else ""
        typer.echo(f"{row['code']}  {row['target']}  {row['name']}  [{row['evidence']}]  {ops}{former}")


def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="CODE|OPERATOR",
            help="A code like ACL503, a rule's name, or an operator type like Resize.",
        ),
    ],
    target: Annotated[str | None, typer.Option("--target", "-t", help="For this target only.")] = None,
) -> None:
    """Explain a code, a rule or an operator: what is accepted, what is not, why, what to change, and the
    sources.
    """
    from ...rewrites.families import stored_answers
    from ...rules.explain import explanation

    told: list[str] = []
    missed: UsageError | None = None
    for name in _meant(target):
        try:
            told.append(explanation(what, name, stored_answers()))
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


def schema() -> None:
    """Print the JSON Schema of the report."""
    path = Path(__file__).parent.parent / "report" / "schema.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    typer.echo(json.dumps(document, indent=1))
