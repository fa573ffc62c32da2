"""Names that are made to harm are escaped wherever they are shown: reports, errors, usage errors, diffs,
progress on a terminal.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from accelint.analyzer import inert
from onnx import TensorProto, helper

EVIL = "\x1b[31mred\x1b]0;t\x07\x9b2J\x7f\u202eabc\u2066d\u2069\u200f\u061c\r\n[bold]x[/]{x.__class__}"
SEEDS = Path(__file__).parent / "fuzz_seeds"


def run(*args: str | bytes, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "accelint", *args], capture_output=True, timeout=120, **options
    )  # type: ignore[call-overload]


def raw(text: str) -> set[str]:
    return {
        char
        for char in text
        if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn")
    }


def model(folder: Path, name: str = "model.onnx") -> Path:
    """Every name in it is hostile, and an operator is not supported."""
    tensor = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Einsum", [EVIL + "in"], [EVIL + "mid"], name=EVIL, equation="ij->ji"),
        helper.make_node(EVIL, [EVIL + "mid"], ["y"], name=EVIL + "2", domain=EVIL),
    ]
    graph = helper.make_graph(
        nodes,
        EVIL,
        [tensor(EVIL + "in", TensorProto.FLOAT, [EVIL, 3])],
        [tensor("y", TensorProto.FLOAT, None)],
    )
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(EVIL, 1)], ir_version=9
    )
    path = folder / name
    path.write_bytes(made.SerializeToString())
    return path


@pytest.mark.parametrize("form", ["text", "json", "jsonl"])
@pytest.mark.parametrize("target", ["onnxruntime/qnn", "onnxruntime/cpu"])
def test_reports_of_hostile_names(tmp_path: Path, form: str, target: str) -> None:
    result = run("check", str(model(tmp_path)), "-t", target, "--format", form)
    out = result.stdout.decode()
    assert result.returncode in (0, 1), result.stderr
    assert not raw(out) and not raw(result.stderr.decode())
    assert "x1b[31mred" in out or "u001b[31mred" in out
    if form != "text":
        document = json.loads(out)
        entry = document["models"][0] if form == "json" else document
        assert entry["inputs"][0]["name"] == EVIL + "in", "JSON keeps the name itself"


def test_a_hostile_path_in_reports_and_errors(tmp_path: Path) -> None:
    path = model(tmp_path, "a\x1b[31m\nb\u202e.onnx")
    for result in (
        run("check", str(path), "-t", "onnxruntime/cpu"),
        run("check", str(path) + "\x9bmissing", "-t", "onnxruntime/cpu"),
        run("check", str(path), "-t", "no\x1b[31m\nsuch"),
        run("check", "--bad\x1b[31m\u202e", str(path)),
        run("explain", "\x1b[31mX"),
        run("fix", str(path), "-t", "onnxruntime/qnn", "--diff"),
    ):
        text = result.stdout.decode() + result.stderr.decode()
        assert text and not raw(text)
        assert "Traceback" not in text


def test_a_path_that_is_not_utf8(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/bad\xff.onnx"
    Path(os.fsdecode(name)).write_bytes(model(tmp_path).read_bytes())
    for form in ("text", "json", "jsonl"):
        result = run(b"check", name, b"-t", b"onnxruntime/cpu", b"--format", form.encode())
        out = result.stdout.decode("utf-8")
        assert "udcff" in out, result
        assert "Traceback" not in result.stderr.decode()
        if form != "text":
            json.loads(out)


def test_a_message_cannot_begin_a_line_of_its_own(tmp_path: Path) -> None:
    result = run("check", str(tmp_path / "a\naccelint: all is fine"), "-t", "onnxruntime/cpu")
    assert not any(line.startswith("accelint: all is fine") for line in result.stdout.decode().splitlines())
    assert not any(line.startswith("accelint: all is fine") for line in result.stderr.decode().splitlines())


def test_on_a_terminal_only_the_reports_own_styles_pass(tmp_path: Path) -> None:
    primary, secondary = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "accelint", "check", str(model(tmp_path)), "-t", "onnxruntime/qnn"],
        stdout=secondary,
        stderr=secondary,
        env=environment,
    )
    os.close(secondary)
    data = b""
    while True:
        try:
            block = os.read(primary, 65536)
        except OSError:
            break
        if not block:
            break
        data += block
    process.wait(timeout=60)
    text = data.decode().replace("\r\n", "\n")
    assert "\x1b[" in text, "the report has colour on a terminal"
    assert "\x1b[31mred" not in text and "\x1b]" not in text and "\x9b" not in text
    assert raw(text) == {"\x1b"}
    assert "[bold]x[/]{x.__class__}" in text, "markup in a name is text"


def test_the_escapes() -> None:
    assert inert.line("a\x1b\n\u202e\ud800\U000e0001") == "a\\x1b\\n\\u202e\\ud800\\U000e0001"
    assert inert.lines("a\n\tb\r") == "a\n\\tb\\r"
    assert json.loads(
        inert.json_text(json.dumps({"a": EVIL, "b": "\U000e0001\ud800"}, ensure_ascii=False))
    ) == {
        "a": EVIL,
        "b": "\U000e0001\ud800",
    }
    assert inert.tree({"k\n": ["\x1b", 1, None, {"x": ("\x7f",)}]}) == {
        "k\\n": ["\\x1b", 1, None, {"x": ["\\x7f"]}]
    }
