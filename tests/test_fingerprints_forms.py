"""In every form that carries them, fingerprints stay when a tenth of unrelated operators are added, renamed
or moved, whether findings are at the model or at a line of code.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from forms_checks import written
from onnx import TensorProto, helper

QNN = "onnxruntime/qnn:sm8650"
FORMS = ("json", "sarif", "gitlab", "csv")
FINDING = ("Det", "Sinh", "Shrink", "NonZero")
FINE = ("Relu", "Tanh", "Sigmoid", "Abs")
COUNT = 200
TRACE = "pkg.torch.onnx.stack_trace"


def nodes() -> list[onnx.NodeProto]:
    """Operators that read the input each: a fifth of them without a name, a quarter with findings."""
    made = []
    for number in range(COUNT):
        kind = FINDING[number // 4 % 4] if number % 4 == 0 else FINE[number % 4]
        name = "" if number % 5 == 0 else f"/layer{number}/{kind}"
        node = helper.make_node(kind, ["x"], [f"y{number}"], name=name)
        node.metadata_props.add(key=TRACE, value=f'File "/src/net.py", line {number % 50 + 1}, in forward')
        made.append(node)
    return made


def added(found: list[onnx.NodeProto], rng: random.Random) -> list[onnx.NodeProto]:
    """A tenth more operators of which nothing is found."""
    for number in range(COUNT // 10):
        node = helper.make_node(rng.choice(FINE), ["x"], [f"more{number}"], name=f"/more{number}")
        found.insert(rng.randrange(len(found)), node)
    return found


def renamed(found: list[onnx.NodeProto], rng: random.Random) -> list[onnx.NodeProto]:
    """Other names of a tenth of the operators of which nothing is found, and of their outputs."""
    for number, node in enumerate(rng.sample([node for node in found if node.op_type in FINE], COUNT // 10)):
        node.name, node.output[0] = f"renamed{number}", f"out{number}"
    return found


def moved(found: list[onnx.NodeProto], rng: random.Random) -> list[onnx.NodeProto]:
    """A tenth of the operators elsewhere in the file."""
    for node in rng.sample(found, COUNT // 10):
        found.remove(node)
        found.insert(rng.randrange(len(found)), node)
    return found


def lines_moved(found: list[onnx.NodeProto], rng: random.Random) -> list[onnx.NodeProto]:
    """Seven lines more at the top of the file that made the operators: ``code`` is given as many."""
    for node in found:
        for entry in node.metadata_props:
            line = int(entry.value.split("line ")[1].split(",")[0])
            entry.value = f'File "/src/net.py", line {line + 7}, in forward'
    return found


def code(folder: Path, offset: int) -> None:
    """The file that made the operators, some lines further down."""
    lines = ["\n"] * offset + [f"    y{line} = f{line % 40}(x)\n" for line in range(50)]
    (folder / "net.py").write_text("".join(lines), encoding="utf-8")


def prints(folder: Path, made: list[onnx.NodeProto]) -> dict[str, set[str]]:
    """Form -> its fingerprints."""
    outputs = [helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None) for node in made]
    for value, node in zip(outputs, made, strict=True):
        if node.op_type == "NonZero":
            value.type.tensor_type.elem_type = TensorProto.INT64
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 4])]
    graph = helper.make_graph(made, "g", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "m.onnx")
    written(folder, "m.onnx", "-t", QNN, forms=FORMS, cwd=folder)
    texts = {form: (folder / f"report.{form}").read_text(encoding="utf-8") for form in FORMS}
    results = json.loads(texts["sarif"])["runs"][0]["results"]
    inner = [
        item["properties"]["fingerprint"]
        for row in results
        for place in row["locations"]
        for item in place["logicalLocations"]
    ]
    return {
        "json": {
            item["fingerprint"] for item in json.loads(texts["json"])["models"][0]["targets"][0]["findings"]
        },
        "sarif": {row["partialFingerprints"]["primaryLocationLineHash"] for row in results},
        "sarif operators": set(inner),
        "gitlab": {row["fingerprint"] for row in json.loads(texts["gitlab"])},
        "csv": {row["fingerprint"] for row in csv.DictReader(texts["csv"].splitlines())} - {""},
    }


@pytest.fixture(scope="module", params=["model", "code"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:  # type: ignore[type-arg]
    """A repository, with the code or without, and the fingerprints of its model."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / ".git").mkdir()
    if request.param == "code":
        code(folder, 0)
    first = prints(folder, nodes())
    assert len(first["json"]) >= COUNT // 4
    assert len(first["sarif"]) >= (2 if request.param == "model" else 20)
    return folder, first


@pytest.mark.parametrize("edit", [added, renamed, moved, lines_moved], ids=lambda edit: edit.__name__)
def test_they_stay(
    place: tuple[Path, dict[str, set[str]]],
    edit: Callable[[list[onnx.NodeProto], random.Random], list[onnx.NodeProto]],
) -> None:
    folder, first = place
    if edit is lines_moved and (folder / "net.py").exists():
        code(folder, 7)
    assert prints(folder, edit(nodes(), random.Random(7))) == first
    if (folder / "net.py").exists():
        code(folder, 0)


def test_what_is_left_keeps_its_own(place: tuple[Path, dict[str, set[str]]]) -> None:
    folder, first = place
    fewer = [node for node in nodes() if node.op_type != "Det"]
    left = prints(folder, fewer)
    assert all(left[form] <= first[form] for form in first), "what is left keeps its own"
    assert left["json"] < first["json"]
