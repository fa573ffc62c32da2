"""fix, verify and conform never look better than what they found: the command line on real models and real
runtimes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelint.analyzer.formats import load
from accelint.analyzer.formats.tflite.writer import to_bytes
from cli import ROOT, accelint, report
from rewrite_models import Net, onnx_bytes

QNN, CPU, GPU = "onnxruntime/qnn:sm8650", "onnxruntime/cpu", "litert/gpu"
MODELS = Path(__file__).parent / "models"
FIXTURES = ROOT / "fixtures"
TROUBLED = """g (float[2,3,4,6] q, float[2,3,6,5] k) => (float[2,3,4,5] y) {
  y = Einsum<equation="...ij,...jk->...ik">(q, k)
}"""
PLAIN = "g (float[2,3] x) => (float[2,3] y) { y = Relu(x) }"


def saved(folder: Path, text: str, name: str = "model.onnx", **options: Any) -> Path:
    path = folder / name
    path.write_bytes(onnx_bytes(text, **options))
    return path


def fixed(model: Path, target: str, *options: object, code: int) -> dict[str, Any]:
    """What ``fix --json`` tells."""
    result = accelint("fix", model, "--target", target, "--json", *options)
    assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def share(path: Path, target: str) -> tuple[str, float]:
    found = report("check", path, "--target", target)["models"][0]["targets"][0]
    return found["verdict"], found["coverage"]["operators"]


# ---- fix -------------------------------------------------------------------------------------


def test_the_report_of_a_fix_is_that_of_the_file(tmp_path: Path) -> None:
    """The stored shapes are of another opset's Reshape: what is believed in memory is not what the file
    says.
    """
    out = tmp_path / "out.onnx"
    told = fixed(MODELS / "stale_shapes.onnx", QNN, "-o", out, code=0)
    assert told["verdict"]["after"] == share(out, QNN)[0] == "full"
    text = accelint("fix", MODELS / "stale_shapes.onnx", "--target", QNN, "-o", out).stdout
    assert "full 100%" in text


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("onnx/conv_relu.onnx", QNN),
        ("tflite/conv_net.tflite", GPU),
        ("tflite/variable.tflite", "litert/xnnpack"),
        ("coreml/program.mlmodel", "coreml/ane:m4"),
        ("coreml/conv_net.mlpackage", "coreml/ane:m4"),
    ],
)
def test_where_nothing_changed_the_input_is_written_byte_for_byte(
    source: str, target: str, tmp_path: Path
) -> None:
    model, out = FIXTURES / source, tmp_path / Path(source).name
    told = fixed(model, target, "-o", out, code=int(share(model, target)[0] in ("none", "rejected")))
    assert not told["changed"]
    files = sorted(item for item in model.rglob("*") if item.is_file()) if model.is_dir() else [model]
    for file in files:
        assert (out / file.relative_to(model)).read_bytes() == file.read_bytes()


def test_external_data_goes_with_the_input_that_is_written_again(tmp_path: Path) -> None:
    model = next((FIXTURES / "onnx" / "external").glob("*.onnx"))
    out = tmp_path / "elsewhere" / "out.onnx"
    out.parent.mkdir()
    result = accelint("fix", model, "--target", CPU, "-o", out)
    assert result.returncode == 0, result.stderr
    if "nothing was changed" in result.stdout:
        assert out.read_bytes() == model.read_bytes()
    assert accelint("verify", out, "--target", CPU, "--against", model).returncode == 0


def without(package: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line where a distribution is not installed."""
    hidden = f"""
import importlib.metadata as metadata
real = metadata.version
def version(name):
    if name == {package!r}:
        raise metadata.PackageNotFoundError(name)
    return real(name)
metadata.version = version
from accelint.analyzer.cli import main
main()
"""
    command = [sys.executable, "-c", hidden, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)


def test_without_a_reference_runtime_nothing_is_written_unless_asked_for(tmp_path: Path) -> None:
    model, out = saved(tmp_path, TROUBLED), tmp_path / "out.onnx"
    result = without("onnxruntime", "fix", model, "--target", QNN, "-o", out)
    assert result.returncode == 4
    assert "pip install 'accelint[onnxruntime]'" in result.stderr
    assert "--unproved" in result.stderr
    assert not out.exists()
    result = without("onnxruntime", "fix", model, "--target", QNN, "-o", out, "--unproved")
    assert result.returncode == 0, result.stderr
    assert "were not proved" in result.stderr
    assert share(out, QNN) == ("full", 1.0)


CUSTOM = TROUBLED.replace("y = Einsum", "z = Einsum").replace("\n}", "\n  y = com.microsoft.Nobody(z)\n}")


def test_what_the_reference_cannot_run_is_not_changed_unless_asked_for(tmp_path: Path) -> None:
    model, out = saved(tmp_path, CUSTOM, checked=False), tmp_path / "out.onnx"
    result = accelint("fix", model, "--target", QNN, "-o", out)
    assert result.returncode == 5, (result.stdout, result.stderr)
    assert "does not run the original" in result.stderr
    assert out.read_bytes() == model.read_bytes()
    out.unlink()
    result = accelint("fix", model, "--target", QNN, "-o", out, "--unproved")
    assert "einsum-to-matmul" in result.stdout, result.stdout
    assert "Einsum" not in {op.type for op in load(out).graph.ops()}


WORSE = """g (float[1,4] a, double[N,4] x) => (float[1,4] z, double[N,4] y) {
  z = Relu(a)
  c = Mul(x, x)
  y = Relu(c)
}"""


def test_a_freeze_that_makes_the_model_worse_is_not_written(tmp_path: Path) -> None:
    """Open, the doubles stay on the CPU; in known sizes the HTP takes one side of them and refuses the
    other.
    """
    model, out = saved(tmp_path, WORSE), tmp_path / "out.onnx"
    assert share(model, QNN)[0] == "partial"
    told = fixed(model, QNN, "--freeze", "N=2", "-o", out, code=1)
    assert "would be worse" in told["not_written"]
    assert told["output"] is None
    assert not told["changed"]
    assert not out.exists()
    result = accelint("fix", model, "--target", QNN, "--freeze", "N=2", "-o", out)
    assert "nothing was written" in result.stderr


def test_a_fix_after_which_nothing_is_accelerated_is_not_fine(tmp_path: Path) -> None:
    model = saved(tmp_path, PLAIN.replace("2,3", "N,3"))
    out = tmp_path / "out.onnx"
    assert accelint("fix", model, "--target", QNN, "-o", out).returncode == 1
    assert out.read_bytes() == model.read_bytes()
    assert accelint("fix", model, "--target", QNN, "-o", out, "--freeze", "N=2").returncode == 0


def scalar() -> Net:
    """One element, reshaped to a scalar by a shape of no elements."""
    net = Net()
    x = net.input("x", (1, 1))
    flat = net.op("RESHAPE", [x, net.const(np.zeros(0), "int32")], (), new_shape=())
    net.outputs = net.op("NEG", [flat], ())  # type: ignore[attr-defined]
    return net


def test_a_constant_of_no_elements_stays_one(tmp_path: Path) -> None:
    net = scalar()
    path, out = tmp_path / "scalar.tflite", tmp_path / "out.tflite"
    path.write_bytes(to_bytes(net.model(net.outputs)))  # type: ignore[attr-defined]
    for file in (path, out):
        if file == out:
            fixed(path, GPU, "-o", out, code=0)
        model = load(file)
        reshape = next(op for op in model.graph.ops() if op.type == "RESHAPE")
        const = model.graph.constant(reshape.inputs[1])
        assert const is not None
        assert const.read().shape == (0,)
        assert share(file, GPU) == ("full", 1.0)


# ---- verify ----------------------------------------------------------------------------------


def verified(model: Path, target: str, *options: object, code: int) -> dict[str, Any]:
    return report("verify", model, "--target", target, *options, code=code)["models"][0]["targets"][0]


PAIR = "g ({a}, {b}) => (float[2,3] y) {{ y = Sub({names}) }}"


def pair(
    folder: Path, name: str, a: str = "float[2,3] a", b: str = "float[2,3] b", names: str = "a, b"
) -> Path:
    return saved(folder, PAIR.format(a=a, b=b, names=names), name)


def test_a_reference_that_gives_no_outputs_is_no_parity(tmp_path: Path) -> None:
    model = saved(tmp_path, PLAIN)
    broken = PLAIN.replace("Relu(x)", "com.microsoft.Nobody(x)")
    other = saved(tmp_path, broken, "other.onnx", checked=False)
    found = verified(model, CPU, "--against", other, code=5)
    assert "the reference gave no outputs" in found["parity_skipped"]
    text = accelint("verify", model, "--target", CPU, "--against", other).stdout
    assert "parity not compared" in text


@pytest.mark.parametrize(
    ("change", "words", "allowed"),
    [
        ({"a": "float[2,3] c", "names": "c, b"}, "input 'a' is now called 'c'", 0),
        ({"a": "float[2,3] b", "b": "float[2,3] a"}, "the order of inputs changed", 0),
        ({"a": "float[2,3] a", "b": "float[1,3] b"}, "input 'b' changed from shape 2x3 to 1x3", 5),
        ({"a": "float[2,3] a", "b": "float[3] b"}, "input 'b' changed from shape 2x3 to 3", 5),
    ],
    ids=["name", "order", "size", "rank"],
)
def test_a_changed_input_is_a_change_of_the_contract(
    change: dict[str, str], words: str, allowed: int, tmp_path: Path
) -> None:
    reference = pair(tmp_path, "reference.onnx")
    model = pair(tmp_path, "model.onnx", **change)
    result = accelint("verify", model, "--target", CPU, "--against", reference)
    assert result.returncode == 5
    assert words in result.stdout
    options = ["--against", reference, "--promise", "contract"]
    assert accelint("verify", model, "--target", CPU, *options).returncode == allowed
    assert accelint("verify", model, "--target", CPU).returncode == 0


def test_an_input_of_another_type_and_one_that_is_gone(tmp_path: Path) -> None:
    texts = {
        "wide": "g (double[2,3] x) => (float[2,3] y) { y = Cast<to=1>(x) }",
        "narrow": "g (float[2,3] x) => (float[2,3] y) { y = Identity(x) }",
        "two": "g (float[2,3] x, float[2,3] z) => (float[2,3] y) { y = Identity(x) }",
    }
    wide, narrow, two = (saved(tmp_path, text, f"{name}.onnx") for name, text in texts.items())
    result = accelint("verify", narrow, "--target", CPU, "--against", wide)
    assert result.returncode == 5
    assert "input 'x' changed from float64 to float32" in result.stdout
    result = accelint("verify", narrow, "--target", CPU, "--against", two)
    assert result.returncode == 5
    assert "input 'z' is gone" in result.stdout


def test_a_size_that_is_frozen_is_no_change_of_the_contract(tmp_path: Path) -> None:
    frozen, dynamic = saved(tmp_path, PLAIN, "frozen.onnx"), saved(tmp_path, PLAIN.replace("2,3", "N,3"))
    assert accelint("verify", frozen, "--target", CPU, "--against", dynamic).returncode == 0
    assert accelint("verify", dynamic, "--target", CPU, "--against", frozen, "--size", "N=2").returncode == 0


X = np.array([[1, -2, 3], [-4, 5, -6]], np.float32)


def test_golden_outputs_are_compared(tmp_path: Path) -> None:
    model = saved(tmp_path, PLAIN)
    right, wrong = np.maximum(X, 0), np.maximum(X, 0) + 1
    for name, y in (("right", right), ("wrong", wrong)):
        np.savez(tmp_path / f"{name}.npz", x=X, y=y)
        apart, beside = tmp_path / f"{name}-pair", tmp_path / f"{name}-arrays"
        apart.mkdir()
        beside.mkdir()
        np.savez(apart / "inputs-0.npz", x=X)
        np.savez(apart / "outputs-0.npz", y=y)
        np.save(beside / "x.npy", X)
        np.save(beside / "y.npy", y)
    forms = ("{}.npz", "{}-pair", "{}-arrays")
    given = {
        name: [word for form in forms for word in ("--inputs", tmp_path / form.format(name))]
        for name in ("right", "wrong")
    }
    sets = verified(model, CPU, *given["right"], code=0)["parity"]["sets"]
    assert [item["ok"] for item in sets] == [True] * 6
    assert [item["inputs"].endswith("golden outputs") for item in sets] == [False, True] * 3
    found = verified(model, CPU, *given["wrong"], code=5)
    assert [item["ok"] for item in found["parity"]["sets"]] == [True, False] * 3


def test_an_array_that_is_nothing_of_the_model_is_wrong_usage(tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=X, z=X)
    result = accelint("verify", saved(tmp_path, PLAIN), "--target", CPU, "--inputs", tmp_path / "in.npz")
    assert result.returncode == 2
    assert "z is neither an input nor an output of the model" in result.stderr


def test_a_runtime_that_only_compiles_gives_no_parity(tmp_path: Path) -> None:
    path = FIXTURES / "tflite" / "conv_net_int8.tflite"
    target = "litert/ethos-u:u65"
    found = verified(path, target, code=5)
    assert "--no-parity" in found["parity_skipped"]
    assert verified(path, target, "--no-parity", code=0)["agreement"]
    assert accelint("verify", path, "--target", target, "--no-parity", "--against", path).returncode == 2


def test_a_model_of_which_nothing_is_accelerated_is_not_fine(tmp_path: Path) -> None:
    model = saved(tmp_path, PLAIN.replace("2,3", "N,3"))
    assert verified(model, QNN, code=1)["parity"]["ok"]
    assert verified(saved(tmp_path, PLAIN), QNN, code=0)["parity"]["ok"]


# ---- conform ---------------------------------------------------------------------------------


def test_conform_goes_on_past_bad_models(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    saved(folder, PLAIN, "good.onnx")
    (folder / "bad.onnx").write_text("not a model")
    (folder / "gone.onnx").symlink_to(tmp_path / "nowhere.onnx")
    out = tmp_path / "out.json"
    options = ["--corpus", folder, "--cache", tmp_path / "cache", "--output", out]
    result = accelint("conform", CPU, *options)
    assert result.returncode == 3, result.stderr
    assert "bad.onnx" in result.stderr
    assert "gone.onnx" in result.stderr
    run = json.loads(out.read_text())["corpora"]["models"]
    assert run["models"]["ok"] == 1
    assert {item["model"] for item in run["unreadable"]} >= {"bad.onnx", "gone.onnx"}
    (folder / "good.onnx").unlink()
    result = accelint("conform", CPU, *options)
    assert result.returncode == 4
    assert "nothing could be compared" in result.stderr


def test_a_defect_at_one_model_does_not_end_conform(tmp_path: Path) -> None:
    for name in ("a", "b"):
        saved(tmp_path, PLAIN.replace("y", f"y{name}"), f"{name}.onnx")
    broken = """
import accelint.analyzer.conform.engine as engine
real = engine.load
def load(path):
    if path.name == "a.onnx":
        raise ZeroDivisionError("a defect")
    return real(path)
engine.load = load
from accelint.analyzer.cli import main
main()
"""
    options = ["conform", CPU, "--corpus", tmp_path, "--cache", tmp_path / "cache"]
    command = [sys.executable, "-c", broken, *map(str, options)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
    assert result.returncode == 70, result.stderr
    assert "a.onnx: internal error: ZeroDivisionError: a defect" in result.stderr
    assert "Traceback" not in result.stderr
    assert "1 ok" in result.stdout


def test_the_command_on_a_page_makes_the_same_figures(tmp_path: Path) -> None:
    folder, page = tmp_path / "my models", tmp_path / "page.md"
    folder.mkdir()
    shutil.copyfile(FIXTURES / "onnx" / "conv_relu.onnx", folder / "m.onnx")
    options = ["--corpus", folder, "--cache", tmp_path / "cache", "--limit", 3]
    assert accelint("conform", CPU, *options, "--page", page).returncode == 0
    line = next(item for item in page.read_text().splitlines() if item.startswith("- command: "))
    assert line == f"- command: accelint conform {CPU} --corpus '{folder}' --limit 3"
