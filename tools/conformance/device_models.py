"""Makes the models of a sample of rows of the device tables again; runs in the tables' own environment.

    ENV/bin/python tools/conformance/device_models.py WHEEL_FOLDER TABLE OUT [--sample N] [--seed S]

WHEEL_FOLDER holds the unpacked wheel of winml-cli, TABLE is a folder of its tables
(``QNNExecutionProvider_NPU``). A row is what is left of a case: its features without sizes and values. The
wheel's own generators enumerate the cases again, their own code turns each into features, and the first case
whose features are those of a sampled row is the row's model. OUT gets a ``<table file>.zip`` for each table
file with the models of its rows, and ``rows.jsonl``: a line for each model with what the device did, the
features, and the size of its stratum. A file that is there is not made again. Tables of several operators
are passed over.

Strata are a table file's rows of one outcome; of each at least ``LEAST`` rows are drawn and beyond that in
proportion to the square root of its size, so that rare outcomes are seen.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import random
import re
import sys
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LEAST = 4
OUTCOME = "compile_run_success"
NAME = re.compile(
    r"(?P<op>[^_]+)_(?P<provider>[^_]+)_(?P<device>[^_]+)_(?P<domain>.+)_opset(?P<opset>\d+)(?P<qdq>_qdq)?"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("table")
    parser.add_argument("out", type=Path)
    parser.add_argument("--sample", type=int, default=15000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    expose(options.wheel)
    options.out.mkdir(parents=True, exist_ok=True)
    folder = options.wheel / "winml/modelkit/analyze/rules/runtime_check_rules" / options.table
    files = sorted(folder.glob("*.parquet"))
    drawn = draw(files, options.sample, options.seed)
    with (options.out / "rows.jsonl").open("a", encoding="utf-8") as rows:
        for file in files:
            archive = options.out / f"{file.stem}.zip"
            if not archive.exists():
                make(file, drawn[file.stem], archive, rows)
    return 0


def expose(wheel: Path) -> None:
    """Make the generators importable without what their packages import at the top (transformers, torch)."""
    for name in ("", ".modelkit", *(f".modelkit.{part}" for part in ("analyze", "analyze.utils", "session"))):
        module = types.ModuleType(f"winml{name}")
        module.__path__ = [str(wheel.joinpath("winml", *name.split(".")[1:]))]
        sys.modules[module.__name__] = module
    checker = types.ModuleType("winml.modelkit.analyze.utils.rule_loader")
    checker.get_runtime_rules_search_dirs = list  # type: ignore[attr-defined]
    sys.modules[checker.__name__] = checker
    sys.path.insert(0, str(wheel))


def draw(files: list[Path], sample: int, seed: int) -> dict[str, dict[int, dict[str, Any]]]:
    """For each file the rows drawn, by number: stratum, its size, and the row's rank in it."""
    import pyarrow.parquet as pq

    strata: dict[tuple[str, str], list[int]] = {}
    for file in files:
        for row, outcome in enumerate(pq.read_table(file, columns=[OUTCOME])[OUTCOME].to_pylist()):
            strata.setdefault((file.stem, "".join("FT"[bool(part)] for part in outcome)), []).append(row)
    total = sum(len(rows) ** 0.5 for rows in strata.values())
    drawn: dict[str, dict[int, dict[str, Any]]] = {file.stem: {} for file in files}
    for (stem, outcome), rows in sorted(strata.items()):
        random.Random(f"{seed} {stem} {outcome}").shuffle(rows)
        wanted = min(len(rows), max(LEAST, round(sample * len(rows) ** 0.5 / total)))
        for rank, row in enumerate(rows[:wanted]):
            drawn[stem][row] = {"outcome": outcome, "size": len(rows), "rank": rank / wanted}
    return drawn


def make(file: Path, drawn: dict[int, dict[str, Any]], archive: Path, out: io.TextIOBase) -> None:
    """Write the models of one table file's drawn rows."""
    import pyarrow.parquet as pq

    rows = pq.read_table(file).to_pylist()
    names = [name for name in rows[0] if name != OUTCOME]
    wanted = {tuple(rows[row][name] for name in names): row for row in drawn}
    found: list[dict[str, Any]] = []
    part = archive.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as models:
        for features, model in cases(file.stem, names):
            row = wanted.pop(features, None)
            if row is None:
                continue
            told = {name: json.loads(value).get("v") for name, value in zip(names, features, strict=True)}
            found.append({"file": file.stem, "row": row, **drawn[row], "features": told})
            models.writestr(f"{row}.onnx", model())
            if not wanted:
                break
    print(f"{file.stem}: {len(found)} of {len(drawn)} rows", flush=True)
    for item in found:
        out.write(json.dumps(item, default=str) + "\n")
    out.flush()
    part.rename(archive)


def cases(stem: str, names: list[str]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Features of each case of a file, in the order of its columns, with what makes its model."""
    generators = importlib.import_module("winml.modelkit.pattern.op_input_gen")
    processor = importlib.import_module("winml.modelkit.analyze.runtime_checker.result_processor")
    encode = processor.encode_rule_condition_value_for_parquet
    generator = generator_of(stem, generators)
    if generator is None:
        return
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet):
        tags = [item[1] for item in generator.iter()]
    kinds = processor._get_input_constraint_types(tags)
    attributes = processor._get_all_attr_names(tags)
    create = generator._create_model
    generator._create_model = lambda *given, **named: (given, named)
    for given, tag in generator.iter():
        with contextlib.redirect_stdout(quiet):
            made = list(generator.iter_const_and_dynamic_models(given, tag))
        quiet.truncate(0)
        for (words, named), item in made:
            item["attrs"] = {name: plain(value) for name, value in item["attrs"].items()}
            row = processor.item_to_row(
                item,
                kinds,
                attributes,
                generator.replace_float_with_dummy_in_query,
                use_qdq=stem.endswith("_qdq"),
            )
            with contextlib.suppress(NotImplementedError):
                row = generator.derive_properties(row)
            features = tuple(encode(absent(row.get(name))) for name in names)

            def model(words: Any = words, named: Any = named) -> bytes:
                with contextlib.redirect_stdout(quiet):
                    return create(*words, **named).SerializeToString()  # type: ignore[no-any-return]

            yield features, model


def plain(value: Any) -> Any:
    """An attribute as the wheel stores it: a tensor as its message's fields."""
    if not hasattr(value, "SerializeToString"):
        return value
    return importlib.import_module("google.protobuf.json_format").MessageToDict(value)


def absent(value: Any) -> Any:
    """Value, or None for a number that is none."""
    return None if isinstance(value, float) and value != value else value


def generator_of(stem: str, generators: types.ModuleType) -> Any:
    """What enumerates the cases of a table file; None where it is for more than one operator."""
    onnx = importlib.import_module("winml.modelkit.onnx")
    match = NAME.fullmatch(stem)
    if match is None:
        return None
    domain = onnx.ONNXDomain.from_str("" if match["domain"] == "ai.onnx" else match["domain"])
    quantizer = None
    if match["qdq"]:
        quantizer = generators.qdq_gen.QDQGenerator(1, onnx.ONNXDomain.COM_MICROSOFT)
    try:
        schema = domain.get_op_schema(match["op"], int(match["opset"]))
        return generators.get_runtime_checker_op(match["op"], domain=domain.value)(
            schema, qdq_generator=quantizer
        )
    except (KeyError, onnx_error()):
        return None


def onnx_error() -> type[Exception]:
    """What onnx raises for an operator that it does not know."""
    return importlib.import_module("onnx.defs").SchemaError  # type: ignore[no-any-return]


if __name__ == "__main__":
    sys.exit(main())
