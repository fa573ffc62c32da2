"""Where reports and models go: into devices and pipes, never over an input, whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from accelint.analyzer.errors import OutputError
from accelint.analyzer.files import atomic
from cli import ROOT, accelint
from onnx import TensorProto, helper

FIXTURES = ROOT / "fixtures"
CPU = "onnxruntime/cpu"
posix = pytest.mark.skipif(os.name != "posix", reason="devices and pipes")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    shutil.copyfile(FIXTURES / "demo" / "encoder.onnx", path)
    return path


def external(folder: Path) -> Path:
    """A model that keeps a weight in ``weights.bin``."""
    weight = TensorProto(name="w", data_type=1, dims=[2, 2], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", "16")):
        weight.external_data.add(key=key, value=value)
    (folder / "weights.bin").write_bytes(bytes(16))
    infos = [helper.make_tensor_value_info(name, 1, [2, 2]) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])], "g", infos[:1], infos[1:], [weight]
    )
    (folder / "ext.onnx").write_bytes(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
        ).SerializeToString()
    )
    return folder / "ext.onnx"


def shot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(file): (file.stat().st_ino, file.read_bytes()) for file in folder.rglob("*") if file.is_file()
    }


def rejected(path: Path, output: object, command: str = "check", target: str = CPU) -> None:
    before = shot(path.parent)
    more = ["-o" if command == "fix" else "--output", output]
    result = accelint(command, path, "--target", target, *more)
    assert result.returncode == 2, (result.returncode, result.stdout, result.stderr)
    assert "input" in result.stderr
    assert "give another output path" in result.stderr
    assert shot(path.parent) == before


@pytest.mark.parametrize("command", ["check", "fix", "verify"])
def test_the_input_is_rejected_under_any_name(command: str, model: Path, tmp_path: Path) -> None:
    os.link(model, tmp_path / "hard.onnx")
    (tmp_path / "soft.onnx").symlink_to(model.name)
    (tmp_path / "folder").mkdir()
    for name in ("model.onnx", "hard.onnx", "soft.onnx", "folder/../model.onnx"):
        rejected(model, tmp_path / name, command)


def test_every_file_of_a_folder_that_is_the_input_is_rejected(tmp_path: Path) -> None:
    package = tmp_path / "net.mlpackage"
    shutil.copytree(FIXTURES / "coreml" / "conv_net.mlpackage", package)
    inner = package / "Data" / "com.apple.CoreML" / "model.mlmodel"
    os.link(inner, tmp_path / "linked")
    for output in (inner, package / "new.json", tmp_path / "linked"):
        rejected(package, output, target="coreml/ane:m4")
    rejected(inner, package / "Manifest.json", target="coreml/ane:m4")


def test_external_data_and_packs_are_inputs_too(tmp_path: Path) -> None:
    path = external(tmp_path)
    (tmp_path / "again.bin").symlink_to("weights.bin")
    rejected(path, tmp_path / "weights.bin")
    rejected(path, tmp_path / "again.bin")
    assert accelint("check", path, "--target", CPU, "--output", tmp_path / "out.txt").returncode in (0, 1)


def test_the_arrays_and_the_reference_of_a_verification_are_inputs(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    shutil.copyfile(model, other)
    for option in ("--against", "--inputs"):
        result = accelint("verify", model, "--target", CPU, option, other, "--output", other)
        assert result.returncode == 2
        assert "other.onnx is the input" in result.stderr


@posix
def test_devices_and_pipes_are_written_into(model: Path, tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("/dev/null")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    assert accelint("check", model, "--target", CPU, "--output", pipe).returncode == 0
    reader.join(10)
    assert read[0].startswith(str(model).encode())
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    for output in ("/dev/null", link):
        assert accelint("check", model, "--target", CPU, "--output", output).returncode == 0
        assert accelint("fix", model, "--target", CPU, "-o", output, "--json").returncode in (0, 1, 4)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert link.is_symlink()


@posix
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_by_name_goes_on_where_it_was(name: str, model: Path, tmp_path: Path) -> None:
    if not Path(name).exists():
        pytest.skip(f"no {name} here")
    log = tmp_path / "log"
    command = [sys.executable, "-m", "accelint", "check", str(model), "-t", CPU, "--output", name]
    with log.open("w") as stream:
        stream.write("first\n")
        stream.flush()
        assert subprocess.run(command, stdout=stream, cwd=ROOT, check=False).returncode == 0
        stream.seek(0, os.SEEK_END)
        stream.write("last\n")
    lines = log.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("first", "last")
    assert str(model) in lines[1]


@posix
def test_a_device_that_is_full(model: Path) -> None:
    result = accelint("check", model, "--target", CPU, "--output", "/dev/full")
    assert result.returncode == 2
    assert "/dev/full cannot be written: No space left on device" in result.stderr


@posix
@pytest.mark.parametrize("command", ["check", "fix"])
def test_a_file_that_may_not_grow_leaves_nothing_behind(command: str, model: Path, tmp_path: Path) -> None:
    import resource

    output = tmp_path / "out"
    output.write_text("before")
    asked = ["-f", "json", "--output"] if command == "check" else ["-o"]
    done = subprocess.run(
        [sys.executable, "-m", "accelint", command, str(model), "-t", CPU, *asked, str(output)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )  # fmt: skip
    assert done.returncode in (2, 4), done.stderr
    if command == "check":
        assert "cannot be written: File too large (raise the limit" in done.stderr
    assert "Traceback" not in done.stderr
    assert output.read_text() == "before"
    assert {item.name for item in tmp_path.iterdir()} == {"model.onnx", "out"}


def test_a_link_stays_one_and_modes_stay(model: Path, tmp_path: Path) -> None:
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("before")
    real.chmod(0o600)
    link.symlink_to("real.txt")
    assert accelint("check", model, "--target", CPU, "--output", link).returncode == 0
    assert link.is_symlink()
    assert real.read_text().startswith(str(model))
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x" * 300, "File name too long (give a shorter name)"),
        ("gone/x", "does not exist"),
        (".", "is a folder"),
    ],
)
def test_an_output_that_cannot_be(name: str, words: str, model: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    result = accelint("check", model, "--target", CPU, "--output", tmp_path / "folder" / name)
    assert result.returncode == 2, result.stderr
    assert words in result.stderr


def without_override() -> None:
    """Root, too, is held to modes (Linux): the capabilities to pass them by are gone with the next
    program.
    """
    import ctypes

    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="drops capabilities")
def test_closed_folders_are_told(model: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    shutil.copyfile(model, closed / "m.onnx")
    closed.chmod(0)
    try:
        for arguments in ([closed], [closed / "m.onnx"], [model, "--output", closed / "out.txt"]):
            command = [sys.executable, "-m", "accelint", "check", *map(str, arguments), "-t", CPU]
            found = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=without_override
            )
            assert found.returncode in (2, 3), (arguments, found.stderr)
            assert "Permission denied" in found.stdout + found.stderr
            assert "Traceback" not in found.stderr
    finally:
        closed.chmod(0o700)


@posix
def test_names_that_are_not_utf8(model: Path, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/n\xff\xe4.onnx"))
    shutil.copyfile(model, odd)
    for form in ("text", "json", "jsonl"):
        output = Path(os.fsdecode(os.fsencode(tmp_path) + b"/out\xfe." + form.encode()))
        assert accelint("check", odd, "--target", CPU, "-f", form, "--output", output).returncode == 0
        output.read_text(encoding="utf-8")
        assert accelint("check", odd, "--target", CPU, "-f", form).returncode == 0
    result = accelint("verify", odd, "--target", CPU)
    assert result.returncode == 2
    assert "its name is not UTF-8" in result.stderr


def test_a_folder_is_exchanged_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.mlpackage"
    (target / "old").mkdir(parents=True)

    def write(end: Exception | None) -> None:
        with atomic(target, folder=True) as draft:
            (draft / "new").mkdir()
            if end is not None:
                raise end

    with pytest.raises(OutputError, match="cannot be written: No space left"):
        write(OSError(28, "No space left on device"))
    assert [item.name for item in target.iterdir()] == ["old"]
    write(None)
    assert [item.name for item in target.iterdir()] == ["new"]
    assert [item.name for item in tmp_path.iterdir()] == ["out.mlpackage"]


def test_a_keras_file_of_nothing_but_brackets(tmp_path: Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", "[" + "[]," * 5_000_000 + "[]]")
    result = accelint("check", path, "--target", "litert/gpu", "--memory", "300M")
    assert result.returncode == 3
    assert "values (the file is damaged or hostile)" in result.stdout
