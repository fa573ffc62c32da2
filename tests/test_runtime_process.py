"""Workers that misbehave on purpose: each way to go wrong is a typed answer, and no process is left
behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from accelint.analyzer.errors import UsageError
from accelint.analyzer.runtimes import Answer, Request, Session, find, runtimes

ROGUE = Path(__file__).parent / "rogue_worker.py"
MODEL = Path(__file__)


@pytest.fixture
def rogue():
    """Sessions whose worker module is ``rogue_worker``, which does what the request's options say."""
    made: list[Session] = []

    def make(**limits: float) -> Session:
        found = Session("onnxruntime/cpu", module=str(ROGUE), **limits)  # type: ignore[arg-type]
        made.append(found)
        return found

    yield make
    for item in made:
        item.close()


def ask(session: Session, behaviour: str, **options: object) -> Answer:
    return session.ask(Request(MODEL, options={"do": behaviour, **options}))


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone(pid: int, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGFPE"])
def test_a_crash_is_an_answer_with_its_signal_and_last_words(rogue, name: str) -> None:
    session = rogue()
    answer = ask(session, "signal", number=int(getattr(signal, name)))
    assert (answer.status, answer.signal) == ("crashed", name)
    assert "these are my last words" in answer.log


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_an_end_from_outside_is_not_the_runtimes_crash(rogue, name: str) -> None:
    answer = ask(rogue(), "signal", number=int(getattr(signal, name)))
    assert (answer.status, answer.signal) == ("killed", name)
    assert "from outside" in answer.reason
    assert "these are my last words" in answer.log


def test_the_worker_is_replaced_after_a_crash(rogue) -> None:
    session = rogue()
    assert ask(session, "answer").ok
    first = session.pid
    assert ask(session, "signal", number=int(signal.SIGSEGV)).status == "crashed"
    assert ask(session, "answer").ok
    assert session.pid != first
    assert session.starts == 3, "a worker that had answered before crashed, so a fresh one was asked too"


def test_a_crash_that_an_earlier_model_caused_is_not_blamed_on_this_one(rogue) -> None:
    session = rogue()
    assert ask(session, "answer").ok
    assert ask(session, "crash-unless-first").ok
    assert session.starts == 2


def test_the_worker_stays_alive_from_model_to_model(rogue) -> None:
    session = rogue()
    pids = {ask(session, "answer").notes["pid"] for _ in range(3)}
    assert pids == {session.pid}
    assert session.starts == 1


def test_a_hang_is_an_answer_and_the_worker_is_killed(rogue) -> None:
    session = rogue(timeout=0.5)
    ask(session, "answer")
    pid = session.pid
    start = time.monotonic()
    answer = ask(session, "hang")
    assert answer.status == "hung"
    assert 0.4 < time.monotonic() - start < 10
    assert gone(pid)


def test_an_exit_without_an_answer(rogue) -> None:
    answer = ask(rogue(), "exit", code=7)
    assert (answer.status, answer.exit_code, answer.signal) == ("crashed", 7, None)


@pytest.mark.parametrize(
    "text", ["not json", "[]", '{"status": "splendid"}', '{"status": "ok", "surprise": 1}', ""]
)
def test_an_answer_that_is_none(rogue, text: str) -> None:
    session = rogue()
    assert ask(session, "garbage", text=text).status == "garbage"
    assert ask(session, "answer").ok


def test_noise_on_standard_output_and_error_is_no_answer(rogue) -> None:
    answer = ask(rogue(), "noise")
    assert answer.ok
    assert '{"status": "crashed"}' in answer.log
    assert len(answer.log) < 20_000, "only the tail is kept"


def test_memory_beyond_the_limit(rogue) -> None:
    answer = ask(rogue(memory=200 << 20), "hog", megabytes=2000)
    assert answer.status == "exhausted"
    assert "200 MB allowed" in answer.reason


def test_memory_of_a_child_counts(rogue) -> None:
    answer = ask(rogue(memory=200 << 20), "child-hog", megabytes=600)
    assert answer.status == "exhausted"


def test_children_go_with_the_worker(rogue) -> None:
    session = rogue()
    child = int(ask(session, "child").notes["child"])
    assert alive(child)
    session.close()
    assert gone(child)


def test_an_exception_of_the_runtime_is_an_answer_with_its_trace(rogue) -> None:
    answer = ask(rogue(), "raise")
    assert answer.status == "failed"
    assert "ZeroDivisionError" in answer.reason
    assert "Traceback" in answer.log


def test_a_library_that_cannot_be_loaded(rogue, tmp_path: Path) -> None:
    module = tmp_path / "broken.py"
    module.write_text("import ctypes\nctypes.CDLL('libnothing.so.99')\n")
    with Session("onnxruntime/cpu", module=str(module)) as session:
        answer = session.ask(Request(MODEL))
    assert answer.status == "missing"
    assert "libnothing.so.99" in answer.reason


def test_a_worker_that_dies_while_starting(tmp_path: Path) -> None:
    module = tmp_path / "dying.py"
    module.write_text("import os, sys\nprint('no licence', file=sys.stderr, flush=True)\nos._exit(3)\n")
    with Session("onnxruntime/cpu", module=str(module)) as session:
        answer = session.ask(Request(MODEL))
    assert (answer.status, answer.exit_code) == ("crashed", 3)
    assert "no licence" in answer.log


PARENT = """
    import sys, threading, time
    from pathlib import Path
    from accelint.analyzer.runtimes import Request, Session
    session = Session("onnxruntime/cpu", module=sys.argv[1])
    pid = session.ask(Request(Path(sys.argv[1]), options={"do": "answer"})).notes["pid"]
    child = session.ask(Request(Path(sys.argv[1]), options={"do": "child"})).notes["child"]
    print(pid, child, flush=True)
    session.ask(Request(Path(sys.argv[1]), options={"do": "hang"}))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupting_leaves_no_worker_behind(number: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(ROGUE)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert parent.stdout is not None
    worker, child = map(int, parent.stdout.readline().split())
    assert alive(worker)
    assert alive(child)
    time.sleep(0.2)
    os.kill(parent.pid, number)
    parent.wait(10)
    parent.stdout.close()
    assert gone(worker)
    if number == signal.SIGINT:  # a parent that is killed cannot clean up after a worker's own children
        assert gone(child)
    elif alive(child):
        os.kill(child, signal.SIGKILL)


def test_a_worker_outlives_the_thread_that_asked_first(rogue) -> None:
    """The kernel ties a worker to the thread that started it; a pool's thread may end long before the
    session.
    """
    session = rogue()
    thread = threading.Thread(target=lambda: ask(session, "answer"))
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert ask(session, "answer").ok
    assert session.starts == 1


def test_closing_removes_the_files(rogue) -> None:
    session = rogue()
    folder = Path(str(ask(session, "answer").notes["folder"]))
    assert folder.is_dir()
    session.close()
    assert not folder.exists()


def test_every_runtime_says_what_is_missing_and_how_to_get_it() -> None:
    for item in runtimes():
        assert item.available == (not item.missing), item
        assert item.available or item.command or "only" in item.missing or "macOS" in item.missing, item


def test_the_list_imports_no_runtime() -> None:
    heavy = {"onnxruntime", "ai_edge_litert", "tensorflow", "coremltools", "ethosu", "numpy", "onnx"}
    code = "import sys\nfrom accelint.analyzer.runtimes import runtimes\nruntimes()\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("onnxruntime/qn", "onnxruntime/qnn"),
        ("onnxruntime/qnn:sm9999", "sm8650"),
        ("litert/cpu:x", "no variants"),
    ],
)
def test_an_unknown_runtime_names_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=near):
        find(name)


def test_a_worker_sees_the_users_path_but_not_their_warnings(
    rogue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "users_module.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    answer = ask(rogue(), "import", module="users_module")
    assert answer.ok, answer
    assert answer.notes["warnings"] == []
