"""Models in the user's own code: exported in a process of their own, findings at the user's own lines."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import exporters
import onnx
import pytest
from accelint.analyzer.source.names import Name, named
from cli import accelint

ONNX = """\
import os
import sys
import time

from onnx import TensorProto, helper, save_model

print("imported", flush=True)
LOOSE = "not a model"


def graph():
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    nodes = [helper.make_node("Relu", ["x"], ["r"], "relu"), helper.make_node("Erf", ["r"], ["y"], "erf")]
    return helper.make_graph(nodes, "g", [x], [y])


def build():
    print("building")
    print("noise", file=sys.stderr)
    return helper.make_model(graph(), opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


MODEL = helper.make_model(graph(), opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def stored():
    save_model(MODEL, "made.onnx")
    return "made.onnx"


def raises():
    return {"a": 1}["b"]  # raises


def leaves():
    sys.exit(3)


def sleeps():
    time.sleep(100)  # sleeps


def crashes():
    os.abort()  # crashes


def wants(x):
    return x


def alone():
    return graph
"""
TARGET = ("--target", "onnxruntime/nnapi")


def line_of(text: str, mark: str) -> int:
    """The line, counted from 1, that holds a mark."""
    [found] = [number for number, line in enumerate(text.splitlines(), 1) if mark in line]
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder of the user's with a module in it."""
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").touch()
    (tmp_path / "pack" / "net.py").write_text(ONNX)
    (tmp_path / "broken.py").write_text("import pack\n\ndef build(:\n    pass\n")
    (tmp_path / "needs.py").write_text("import pack.net\nimport nobody_has_this\n")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("pack.net:build", Name("pack.net:build", "pack.net", "build")),
        ("net:Models.small", Name("net:Models.small", "net", "Models.small")),
        ("a/net.py:build", Name("a/net.py:build", "net", "build", "a/net.py")),
        ("/a b/net.py:build", Name("/a b/net.py:build", "net", "build", "/a b/net.py")),
        ("model.onnx", None),
        ("C:\\models\\a.onnx", None),
        ("a/b:build", None),
        ("net:", None),
        ("net:build()", None),
        ("1net:build", None),
    ],
)
def test_a_name_in_code_is_told_from_a_path(text: str, wanted: Name | None) -> None:
    assert named(text) == wanted


def test_a_file_that_is_there_is_a_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    Path("net:build").write_bytes(b"not a model")
    assert named("net:build") is None


def test_what_the_code_prints_leaves_the_report_whole(project: Path) -> None:
    done = accelint("check", "pack.net:build", *TARGET, "--format", "json", cwd=project)
    [model] = json.loads(done.stdout)["models"]
    assert model["path"] == "pack.net:build"
    assert model["exported"]["code"].endswith(f"/pack/net.py:{line_of(ONNX, 'def build')}")
    assert done.stderr.splitlines()[:3] == ["imported", "building", "noise"]
    assert done.returncode == 0


def test_a_finding_without_a_line_of_its_own_is_where_the_model_is_built(project: Path) -> None:
    done = accelint("check", "pack.net:MODEL", *TARGET, "--format", "github", cwd=project)
    assert f"file=pack/net.py,line={line_of(ONNX, 'MODEL = ')}," in done.stdout
    done = accelint("check", "pack/net.py:build", *TARGET, "--format", "gitlab", cwd=project)
    [row] = json.loads(done.stdout)
    assert row["location"] == {"path": "pack/net.py", "lines": {"begin": line_of(ONNX, "def build")}}


def test_commands_are_about_the_model_that_stays(project: Path) -> None:
    """A model in a temporary folder cannot be fixed; the user's own and the one that is kept can."""

    def commands(*words: str) -> dict[str, str]:
        done = accelint("check", *words, "-t", "litert/gpu,onnxruntime/coreml", "-f", "json", cwd=project)
        [model] = json.loads(done.stdout)["models"]
        converted, own = model["targets"]
        assert (converted["target"], converted["verdict"]) == ("litert/gpu", "full")
        assert "commands" not in converted
        assert own["target"] == "onnxruntime/coreml:mlprogram"
        return own.get("commands", {})

    (project / "cum.py").write_text(
        "from pack.net import helper, TensorProto, save_model\n"
        "import numpy as np\nfrom onnx import numpy_helper\n\n"
        "def build():\n"
        "    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 4]) for n in 'xy')\n"
        "    axis = numpy_helper.from_array(np.array(1), 'axis')\n"
        "    node = helper.make_node('CumSum', ['x', 'axis'], ['y'], 'sum')\n"
        "    graph = helper.make_graph([node], 'g', [x], [y], [axis])\n"
        "    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9)\n\n"
        "def stored():\n    save_model(build(), 'own.onnx')\n    return 'own.onnx'\n"
    )
    assert commands("cum:build") == {}
    assert commands("cum:stored")["fix"].split()[2].endswith("/own.onnx")
    fix = commands("cum:build", "--export-to", "kept.onnx")["fix"]
    onnx.checker.check_model(project / "kept.onnx")
    assert fix.split()[:3] == ["accelint", "fix", "kept.onnx"]
    assert accelint(*fix.split()[1:], cwd=project).returncode == 0


@pytest.mark.parametrize(
    ("name", "code", "words", "mark"),
    [
        ("pack.net:raises", 3, "raises() raised KeyError: 'b' (pack/net.py:{})", "# raises"),
        ("pack.net:leaves", 3, "leaves() raised SystemExit: 3 (pack/net.py:{})", "sys.exit"),
        ("pack.net:crashes", 4, "died of SIGABRT (it was at pack/net.py:{})", "# crashes"),
        ("pack.net:wants", 3, "wants() raised TypeError", None),
        ("pack.net:bild", 3, "pack.net has no 'bild' (it has build", None),
        ("pack.net:alone", 3, "an object of type function is no model (supported: a torch.nn.Module", None),
        ("pack.net:LOOSE", 3, "the path 'not a model', where nothing is is no model", None),
        ("pack.nets:build", 3, "there is no module 'pack.nets' for ", None),
        ("pack/nets.py:build", 3, "there is no file pack/nets.py", None),
        ("broken:build", 3, "importing broken raised SyntaxError: invalid syntax (broken.py:3)", None),
        ("needs:build", 3, "ModuleNotFoundError: No module named 'nobody_has_this' (needs.py:2)", None),
    ],
)
def test_what_fails_is_told_with_the_users_line(
    project: Path, name: str, code: int, words: str, mark: str | None
) -> None:
    done = accelint("check", name, *TARGET, "--format", "github", cwd=project)
    assert done.returncode == code
    assert words.format(mark and line_of(ONNX, mark)) in done.stdout
    if mark and code == 3:
        assert done.stdout.startswith(f"::error file=pack/net.py,line={line_of(ONNX, mark)},")


def test_a_limit_of_time_tells_where_it_was(project: Path) -> None:
    done = accelint("check", "pack.net:sleeps", *TARGET, "--export-timeout", "2", cwd=project)
    assert done.returncode == 4
    assert "took longer than 2 s" in done.stdout
    assert f"(it was at pack/net.py:{line_of(ONNX, '# sleeps')})" in done.stdout


def test_every_command_of_a_model_takes_code(project: Path) -> None:
    """One that goes by what ``check`` says, and those that run, change and convert the model."""
    own = ("--python", sys.executable)
    ran = accelint(
        "verify", "pack.net:build", "-t", "onnxruntime/cpu", "--against", "pack.net:MODEL", *own, cwd=project
    )
    assert ran.returncode == 0, ran.stderr
    assert "parity holds" in ran.stdout
    assert ran.stderr.startswith("imported\nbuilding\n")
    fixed = accelint("fix", "pack.net:build", *TARGET, "-o", "fixed.onnx", *own, cwd=project)
    assert fixed.returncode in (0, 1), fixed.stderr
    onnx.checker.check_model(project / "fixed.onnx")
    history = accelint("releases", "pack.net:build", "-t", "onnxruntime/xnnpack", *own, cwd=project)
    assert history.returncode in (0, 1), history.stderr
    assert "pack.net:build" in history.stdout
    made = accelint("convert", "pack.net:build", "--to", "tflite", "-o", "m.tflite", cwd=project)
    assert made.stderr.startswith("imported\nbuilding\n")
    assert made.returncode in (0, 4), made.stderr  # the converter may not be here
    assert (project / "m.tflite").exists() == (made.returncode == 0)
    gone = accelint("recommend", "pack.net:bild", cwd=project)
    assert (gone.returncode, gone.stderr.count("pack.net has no 'bild'")) == (3, 1)


def test_an_interrupt_ends_the_users_code(project: Path) -> None:
    text = (
        "import os\nfrom pack.net import sleeps\nopen('pid', 'w').write(str(os.getpid()))\nbuild = sleeps\n"
    )
    (project / "slow.py").write_text(text)
    command = [sys.executable, "-m", "accelint", "check", "slow:build", *TARGET]
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pid = project / "pid"
    wait_for(lambda: pid.is_file() and pid.read_text().isdecimal())
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    wait_for(lambda: not Path(f"/proc/{pid.read_text()}").exists())


def wait_for(holds: object, seconds: float = 30) -> None:
    assert callable(holds)
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def test_options_of_an_export_want_a_model_in_code(project: Path) -> None:
    (project / "a.onnx").write_bytes(b"")
    for words, told in (
        (("a.onnx", "--python", "python3"), "are for models of your own code"),
        (("pack.net:build", "--python", "no-such-python"), "there is no such program"),
        (("pack.net:build", "--export-timeout", "0"), "--export-timeout 0 is no time limit"),
        (("pack.net:build", "pack.net:MODEL", "--export-to", "k.onnx"), "--export-to keeps one model"),
    ):
        done = accelint("check", *words, *TARGET, cwd=project)
        assert done.returncode == 2
        assert told in done.stderr


def test_the_users_code_does_not_run_in_accelints_process(project: Path) -> None:
    code = (
        "import sys; from accelint.analyzer.cli import main\n"
        f"sys.argv = ['accelint', 'check', 'pack.net:build', *{TARGET!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, timeout=60
    )
    modules = done.stderr.splitlines()[-1].split()
    assert "accelint.analyzer.source.export" in modules, "nothing was exported"
    assert not {"pack", "pack.net", "onnx.helper"} & set(modules)


@pytest.mark.skipif(importlib.util.find_spec("watchfiles") is None, reason="needs the extra [watch]")
def test_watch_checks_again_when_a_file_is_saved(project: Path) -> None:
    command = [sys.executable, "-m", "accelint", "watch", "pack.net:build", *TARGET, "-q"]
    with (project / "out").open("w") as out, (project / "err").open("w") as err:
        process = subprocess.Popen(command, cwd=project, stdout=out, stderr=err)
    file = project / "pack" / "net.py"
    try:
        wait_for(lambda: (project / "err").read_text().count("Ctrl+C") == 1)
        time.sleep(0.5)  # the watch itself begins after it is announced
        replaced = file.with_suffix(".new")
        replaced.write_text(ONNX.replace('"Erf"', '"Tanh"'))
        replaced.replace(file)  # as editors save
        wait_for(lambda: (project / "err").read_text().count("Ctrl+C") == 2)
        time.sleep(0.5)
        file.write_text("broken(\n")
        wait_for(lambda: (project / "err").read_text().count("Ctrl+C") == 3)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    finally:
        process.kill()
    told = (project / "out").read_text()
    assert "1 of 2 operators accelerated" in told
    assert "2 of 2 operators accelerated" in told
    assert "importing pack.net raised SyntaxError" in told
    assert f"{Path('pack', 'net.py')} was saved" in (project / "err").read_text()


# ---- real exporters ------------------------------------------------------------------------------

TORCH = """\
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return self.conv(x).relu()  # conv


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block()

    def forward(self, x):
        x = self.block(x).flatten(1)
        best, _ = torch.topk(x, 5)  # topk
        return torch.cumsum(best, 1)  # cumsum


class Odd(nn.Module):
    def forward(self, x):
        x = x + 1
        return torch.linalg.eigh(x)  # eigh


def build():
    return Net(), torch.zeros(1, 3, 8, 8)


def odd():
    return Odd(), (torch.zeros(2, 2),)
"""
JAX = """\
import jax
import jax.numpy as jnp
from flax import nnx


class Net(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 8, (3, 3), rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.conv(x))
        return jnp.linalg.det(x[:, :, :, :8])  # det


def build():
    return Net(nnx.Rngs(0)), jnp.zeros((1, 8, 8, 3))
"""
KERAS = """\
import keras
import tensorflow as tf
from keras import layers


class Own(layers.Layer):
    def call(self, x):
        return tf.math.special.bessel_j0(x)  # own


def build():
    x = start = keras.Input((8, 8, 3), batch_size=1)
    x = layers.Conv2D(4, 3)(x)
    x = keras.ops.digamma(x) if hasattr(keras.ops, "digamma") else keras.ops.fft2((x, x))[0]  # operation
    x = Own()(x)
    stack = keras.Sequential(
        [
            layers.Dense(4),
            layers.Activation(
                tf.math.special.bessel_i1,
            ),  # stacked
        ]
    )
    return keras.Model(start, stack(x))


@tf.function(input_signature=[tf.TensorSpec((1, 8), tf.float32)])
def step(x):
    if tf.reduce_sum(x) > 0:
        x = tf.math.special.bessel_i0(x)  # bessel
    return x * 2.0
"""


def places(folder: Path, *words: str) -> dict[str, set[tuple[str, int]]]:
    """Where text, SARIF and GitHub's annotations show the findings of one check: file and line."""
    done = accelint(
        "check", *words, "-v", "-f", "text", "-f", "sarif", "-o", "r.sarif", "-f", "github", "-o", "r.txt",
        cwd=folder,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    results = json.loads((folder / "r.sarif").read_text())["runs"][0]["results"]
    sarif = [item["physicalLocation"] for result in results for item in result["locations"]]
    text = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("at ")]
    github = (folder / "r.txt").read_text().splitlines()
    return {
        "sarif": {(item["artifactLocation"]["uri"], item["region"]["startLine"]) for item in sarif},
        "github": {
            (row.partition("file=")[2].partition(",")[0], int(row.partition("line=")[2].partition(",")[0]))
            for row in github
        },
        "text": {
            (os.path.relpath(place.rpartition(":")[0], folder), int(place.rpartition(":")[2]))
            for row in text
            for part in row.split("(")[1:]
            if (place := part.partition(")")[0])
        },
    }


def environment(name: str) -> str:
    found = exporters.python(name)
    if found is None:
        pytest.skip(f"no environment with {name}: make exporters")
    return str(found)


def test_findings_of_a_torch_module_are_at_the_users_lines(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(TORCH)
    words = ("net:build", "--python", environment("torch"), "--target", "onnxruntime/coreml")
    lines = {("net.py", line_of(TORCH, mark)) for mark in ("# topk", "# cumsum")}
    assert places(tmp_path, *words) == {"text": lines, "sarif": lines, "github": lines}


@pytest.mark.tensorflow
@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="needs the extra [tensorflow]")
def test_findings_of_keras_and_of_tensorflow_are_at_the_users_lines(tmp_path: Path) -> None:
    """Layers that Keras calls by itself when it exports are at the line that called or made them."""
    (tmp_path / "net.py").write_text(KERAS)
    marks = ("# operation", "# own", "layers.Activation(", "# bessel")
    lines = {("net.py", line_of(KERAS, mark)) for mark in marks}
    found = places(tmp_path, "net:build", "net:step", "--target", "litert/builtins")
    assert found == {"text": lines, "sarif": lines, "github": lines}


def test_what_torch_cannot_export_is_told_at_the_users_line(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(TORCH)
    words = ("net:odd", "--python", environment("torch"), "--target", "qnn", "--format", "github")
    done = accelint("check", *words, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stdout.startswith(f"::error file=net.py,line={line_of(TORCH, '# eigh')},")
    assert "aten._linalg_eigh" in done.stdout


def test_findings_of_a_flax_module_are_at_the_users_lines(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(JAX)
    words = ("net:build", "--python", environment("jax"), "--target", "onnxruntime/coreml")
    lines = {("net.py", line_of(JAX, "# det"))}
    assert places(tmp_path, *words) == {"text": lines, "sarif": lines, "github": lines}
