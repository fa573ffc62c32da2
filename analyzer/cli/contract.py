"""``accelint contract write|check|store|code``."""

import json
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from .limits import Memory

Model = Annotated[Path, typer.Argument(help="An ONNX, TFLite, Core ML, SavedModel or Keras file or folder.")]
Stored = Annotated[Path, typer.Argument(help="A contract that 'contract write' wrote.")]


class Form(str, Enum):
    """How differences are printed."""

    TEXT = "text"
    JSON = "json"


class Language(str, Enum):
    """Of the start-up check."""

    PYTHON = "python"
    KOTLIN = "kotlin"
    SWIFT = "swift"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    for command in (write, check, store, code):
        commands.command(command.__name__)(command)
    app.add_typer(commands, name="contract", help="The interface and meaning that applications rely on.")


def write(
    model: Model,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; default: standard output.")
    ] = None,
    memory: Memory = None,
) -> None:
    """Write a model's contract: names, order, dtypes, shapes and quantization of its inputs, outputs and
    states, and what the file says of their meaning, preprocessing and labels. Add what the file does not say.
    """
    from ..contract.contract import text

    words = text(_contract(model))
    if output is None:
        typer.echo(words, nl=False)
        return
    _write(output, words, model)


def check(
    model: Model,
    contract: Stored,
    form: Annotated[Form, typer.Option("--format", "-f", help="text or json.")] = Form.TEXT,
    memory: Memory = None,
) -> None:
    """Compare a model with a contract. Exit code 1 when an application would notice a difference."""
    from ..contract.compare import differences
    from ..contract.contract import read
    from ..inert import json_text, line

    told = differences(read(contract), _contract(model))
    if form is Form.JSON:
        rows: list[dict[str, Any]] = [
            {"kind": item.kind, "side": item.side, "name": item.name, "text": item.text} for item in told
        ]
        document = {"schema": "accelint/contract-check/1", "model": str(model), "differences": rows}
        typer.echo(json_text(json.dumps(document, indent=1)))
    else:
        for item in told:
            typer.echo(line(f"{model}: {item.text}"))
        if not told:
            typer.echo(line(f"{model}: as promised"))
    raise typer.Exit(int(bool(told)))


def store(
    model: Model,
    contract: Stored,
    output: Annotated[Path, typer.Option("--output", "-o", help="The new model; never the input.")],
    memory: Memory = None,
) -> None:
    """Write a copy of a model that carries the contract inside. Exit code 1, and nothing written, when the
    model is not as the contract says.
    """
    from ..contract.carried import contract_of
    from ..contract.compare import differences
    from ..contract.contract import read
    from ..contract.stored import store as put
    from ..formats import emit, load
    from ..inert import line

    promised, found = read(contract), load(model)
    told = [item for item in differences(promised, contract_of(found)) if item.kind in _INTERFACE]
    if told:
        for item in told:
            typer.echo(line(f"{model}: {item.text}"))
        raise typer.Exit(1)
    put(found, promised)
    emit(found, output)
    typer.echo(line(f"{output}: {model} with its contract"))


_INTERFACE = frozenset({"gone", "new", "renamed", "order", "dtype", "shape", "quantization"})


def code(
    contract: Stored,
    language: Annotated[Language, typer.Option("--language", "-l", help="python, kotlin or swift.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; default: standard output.")
    ] = None,
) -> None:
    """Write a check that an application runs when it starts: is the loaded model the promised one?"""
    from ..contract.code import code as written
    from ..contract.contract import read

    words = written(read(contract), language.value)
    if output is None:
        typer.echo(words, nl=False)
        return
    _write(output, words, contract)


def _write(output: Path, words: str, source: Path) -> None:
    from ..files import atomic

    with atomic(output, source=source) as draft:
        draft.write_text(words, encoding="utf-8")


def _contract(model: Path) -> Any:
    from ..contract.carried import contract_of
    from ..formats import load

    return contract_of(load(model))
