"""What a command starts and leaves: ended from inside and outside, in little memory, without a trace in the
temporary folder.
"""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from accelint.analyzer import processes
from accelint.analyzer.errors import RuntimeFailure, UsageError, WorkerKilled
from accelint.analyzer.processes import job, memory, scratch
from accelint.analyzer.processes.process import complete
from cli import ROOT, accelint
from tflite_models import chain

pytest.importorskip("ai_edge_litert", reason="pip install 'accelint[litert]'")
TARGET = "litert/xnnpack"
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@contextmanager
def busy_verify(folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[int], Path]]:
    """A verification that would time its model for an hour: the command, its workers, its temporary
    folder.
    """
    place = folder / "tmp"
    place.mkdir()
    model = chain(folder / "model.tflite", ["RELU"])
    command = [sys.executable, "-m", "accelint", "verify", model, "-t", TARGET, "--latency", "100000000"]
    parent = subprocess.Popen(
        list(map(str, command)), cwd=ROOT, text=True, env={**os.environ, "TMPDIR": str(place)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while len(workers := memory.descendants(parent.pid)[1:]) < 2 or not any(map(_works, workers)):
            assert parent.poll() is None, parent.communicate()
            assert time.monotonic() < deadline, "the second worker was never busy"
            time.sleep(0.05)
        yield parent, sorted(workers, key=_works), place
    finally:
        parent.kill()
        parent.communicate()


def _works(pid: int) -> bool:
    """Whether it has used more than starting takes."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / os.sysconf("SC_CLK_TCK") > 1


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@linux
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT"])
def test_a_signal_leaves_no_folder_and_no_worker(name: str, tmp_path: Path) -> None:
    with busy_verify(tmp_path) as (parent, workers, place):
        assert list(place.glob("accelint-*/*/stdout"))
        number = getattr(signal, name)
        os.kill(parent.pid, number)
        _, said = parent.communicate(timeout=20)
        assert parent.returncode == (130 if number == signal.SIGINT else -number), said
        assert "Traceback" not in said
        assert list(place.iterdir()) == []
        assert gone(workers)


@linux
def test_what_a_killed_process_left_goes_with_the_next_start(tmp_path: Path) -> None:
    with busy_verify(tmp_path) as (parent, workers, place):
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(10)
        assert gone(workers)
        assert len(list(place.iterdir())) == 1
    code = "from accelint.analyzer.processes import scratch; print(scratch.make())"
    run = [sys.executable, "-c", code]
    done = subprocess.run(
        run, env={**os.environ, "TMPDIR": str(place)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(place))
    assert list(place.iterdir()) == []


@linux
def test_models_checked_in_parallel_leave_nothing_either(tmp_path: Path) -> None:
    import onnx
    from onnx import helper

    place = tmp_path / "tmp"
    place.mkdir()
    info = [helper.make_tensor_value_info(name, 1, [4, 4]) for name in "xy"]
    node = helper.make_node("Einsum", ["x", "x"], ["y"], equation="...ij,...jk->...ik")  # for onnx's child
    opset = [helper.make_opsetid("", 17)]
    graph = helper.make_graph([node], "g", info[:1], info[1:])
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    for index in range(6):
        onnx.save(model, tmp_path / f"{index}.onnx")
    command = [sys.executable, "-m", "accelint", "check", str(tmp_path), "-t", "onnxruntime/cpu", "-j", "2"]
    for memory_ in ("1G", "512M"):
        done = subprocess.run(
            [*command, "--memory", memory_], cwd=ROOT, env={**os.environ, "TMPDIR": str(place)},
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert list(place.iterdir()) == []


@linux
def test_the_folder_of_a_living_process_stays(tmp_path: Path) -> None:
    mine = scratch.owned(tmp_path, scratch.PREFIX)
    code = "import sys; from pathlib import Path; from accelint.analyzer.processes import scratch as s; " \
        "s.sweep(Path(sys.argv[1]), s.PREFIX)"  # fmt: skip
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert mine.is_dir()
    scratch.release(mine)
    assert list(tmp_path.iterdir()) == []


@linux
def test_a_worker_that_somebody_ended_is_not_the_runtimes_crash(tmp_path: Path) -> None:
    with busy_verify(tmp_path) as (parent, workers, _):
        os.kill(workers[-1], signal.SIGKILL)
        out, said = parent.communicate(timeout=60)
    assert parent.returncode == 6, (out, said)
    assert "ended by SIGKILL from outside" in out
    assert "crashed" not in out + said


JOB = """
    import os, signal, subprocess, sys, time
    def run(request):
        if request["do"] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if request["do"] == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if request["do"] == "hang":
            time.sleep(60)
        if request["do"] == "child":
            hog = "import time; data = b'x' * (600 << 20); time.sleep(60)"
            subprocess.run([sys.executable, "-c", hog])
        if request["do"] == "orphan":
            hog = "import os, time; os.fork() and os._exit(0); data = b'x' * (600 << 20); time.sleep(60)"
            subprocess.run([sys.executable, "-c", hog], start_new_session=True)
            time.sleep(60)
        return {"answer": request["do"]}
"""


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "accelint_test_job.py").write_text(textwrap.dedent(JOB))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return "accelint_test_job"


def test_a_job_answers(jobs: str) -> None:
    assert job.run(jobs, {"do": "this"}) == {"answer": "this"}
    assert job.run(jobs, {"do": "x" * 2_000_000})["answer"] == "x" * 2_000_000, "more than a pipe holds"


@pytest.mark.parametrize(
    ("what", "limits", "words", "kind"),
    [
        ("killed", {}, "ended by SIGKILL from outside", WorkerKilled),
        ("crash", {}, "died of SIGSEGV without an answer", RuntimeFailure),
        ("hang", {"seconds": 1}, "did not finish in 1 s", RuntimeFailure),
        ("child", {"memory": 300 << 20}, "needed more than 300 MB of memory", RuntimeFailure),
        ("orphan", {"memory": 300 << 20}, "needed more than 300 MB of memory", RuntimeFailure),
    ],
)
def test_how_a_job_can_end(jobs: str, what: str, limits: dict[str, int], words: str, kind: type) -> None:
    before = memory.descendants(os.getpid())
    with pytest.raises(RuntimeFailure, match=words) as caught:
        job.run(jobs, {"do": what}, **limits)
    assert type(caught.value) is kind
    assert gone([pid for pid in memory.descendants(os.getpid()) if pid not in before])


def test_a_program_is_limited_like_a_worker() -> None:
    assert complete([sys.executable, "-c", "print('said')"], 30).out == "said"
    with pytest.raises(RuntimeFailure, match="did not finish"):
        complete(["sleep", "60"], 0.5)
    missing = complete(["/nowhere/at-all"], 30)
    assert missing.end.code == 127
    assert "cannot be started" in missing.err


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [
        ("4G", 4 << 30),
        ("512M", 512 << 20),
        ("1.5 GiB", 3 << 29),
        ("536870912", 1 << 29),
        ("900000kb", 900000 << 10),
    ],
)
def test_a_size_of_memory(text: str, bytes_: int) -> None:
    assert memory.parse(text) == bytes_


@pytest.mark.parametrize("text", ["", "lots", "-1G", "4X", "1M", "1e9"])
def test_what_is_no_size_of_memory(text: str) -> None:
    with pytest.raises(UsageError, match="--memory"):
        memory.parse(text)


@pytest.mark.parametrize(
    ("own", "files", "found"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "1000", "memory.max": "2000"}, [1000, 2000]),
        ("0::/gone/in/the/container\n", {"memory.max": "3000"}, [3000]),
        ("4:cpu,memory:/x\n0::/\n", {"memory/x/memory.limit_in_bytes": "4000"}, [4000]),
        ("", {}, []),
    ],
    ids=["version 2", "in a container", "version 1", "none"],
)
def test_the_limits_of_control_groups(
    own: str, files: dict[str, str], found: list[int], tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "own").write_text(own)
    assert memory._control_groups(tmp_path, tmp_path / "own") == found


@linux
def test_the_parent_is_held_to_the_limit_too() -> None:
    code = """
        from accelint.analyzer.processes import memory
        memory.set_limit(600 << 20); memory.bound()
        try:
            b"x" * (2 << 30)
        except MemoryError:
            print("refused")
        from accelint.analyzer.processes.process import complete
        import sys
        hungry = "data = bytes(1 << 30); print(len(data))"
        print(complete([sys.executable, "-c", hungry], 30).out)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert done.stdout.split() == ["refused", str(1 << 30)], done.stderr


def test_inputs_of_unlimited_size_are_not_made(tmp_path: Path) -> None:
    model = chain(tmp_path / "huge.tflite", ["RELU"], (1 << 30, 4, 4, 4))
    result = accelint("verify", model, "--target", TARGET)
    assert result.returncode == 2, result.stderr
    assert "take 256.0 GB" in result.stderr
    assert "--memory" in result.stderr
    small = chain(tmp_path / "large.tflite", ["RELU"], (1 << 25, 4))
    result = accelint("verify", small, "--target", TARGET, "--memory", "1G")
    assert result.returncode == 2, result.stderr
    assert "at most 128 MB" in result.stderr


def test_one_module_starts_processes() -> None:
    """Every other asks it, so that limits and endings are the same for all; what runs by path in an
    interpreter of its own cannot.
    """
    root = Path(processes.__file__).parents[2]
    starts = {"subprocess", "multiprocessing"}
    found = {
        file.relative_to(root).as_posix()
        for part in ("analyzer", "rules", "rewrites")
        for file in (root / part).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import) and any(item.name.partition(".")[0] in starts for item in node.names)
    }

    assert found == {"analyzer/processes/process.py"}
