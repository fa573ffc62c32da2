"""The kits of continuous integration run as CI runs them: the action's steps, the pre-commit hook, the GitLab
job, the image's build.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli import ROOT
from forms_checks import annotations

ENCODER = "fixtures/demo/encoder.onnx"
QNN = "onnxruntime/qnn:sm8650"
BIN = Path(sys.executable).parent
SHIPPED = ("accelint/", "analyzer/", "rules/", "rewrites/")
OWN = (".pre-commit-hooks.yaml", "pyproject.toml", "setup.py", "README.md", "LICENSE")
"""What a wheel, or the hook's environment, is built of."""


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """A folder for PATH, in which ``accelint`` is this one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "accelint"
    script.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-m", "accelint"])} "$@"\n')
    script.chmod(0o755)
    (folder / "python").symlink_to(sys.executable)
    return folder


# ---- the files are what their readers take ---------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("check-jsonschema", "--builtin-schema", "vendor.github-actions", "action.yml"),
        ("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "ci/gitlab.yml"),
        ("pre-commit", "validate-manifest", ".pre-commit-hooks.yaml"),
        ("hadolint", "ci/Dockerfile"),
    ],
    ids=lambda words: words[-1],
)
def test_files_are_valid(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [BIN / words[0], *words[1:]], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_workflows_in_the_docs_are_valid(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    found = re.findall(r"```yaml\n(.*?)```", text, re.S)
    kinds = {"jobs": "vendor.github-workflows", "include": "vendor.gitlab-ci"}
    checked = []
    for number, block in enumerate(found):
        kind = next((name for key, name in kinds.items() if key in yaml.safe_load(block)), None)
        path = tmp_path / f"{number}.yml"
        path.write_text(block)
        words = (
            ["check-jsonschema", "--builtin-schema", str(kind)] if kind else ["pre-commit", "validate-config"]
        )
        done = subprocess.run([BIN / words[0], *words[1:], path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        checked.append(words[-1])
    assert {"vendor.github-workflows", "vendor.gitlab-ci", "validate-config"} <= set(checked)


# ---- the action ------------------------------------------------------------------------------


class Comments(BaseHTTPRequestHandler):
    """GitHub's interface for comments of one pull request, as far as the action uses it."""

    stored: list[dict[str, Any]]
    asked: list[str]
    forbidden = False

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, code: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _handle(self) -> None:
        self.asked.append(self.command)
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.forbidden or self.headers["Authorization"] != "Bearer secret":
            self._answer(403, {"message": "Resource not accessible by integration"})
        elif self.command == "GET":
            page = int(re.search(r"[?&]page=(\d+)", self.path)[1])  # type: ignore[index]
            self._answer(200, self.stored[(page - 1) * 100 : page * 100])
        elif self.command == "POST" and self.path == "/repos/me/models/issues/7/comments":
            self.stored.append({"id": len(self.stored) + 1, **json.loads(data)})
            self._answer(201, self.stored[-1])
        elif self.command == "PATCH" and (
            match := re.fullmatch(r"/repos/me/models/issues/comments/(\d+)", self.path)
        ):
            self.stored[int(match[1]) - 1].update(json.loads(data))
            self._answer(200, {})
        else:
            self._answer(404, {})

    do_GET = do_POST = do_PATCH = _handle


@pytest.fixture
def github() -> Iterator[tuple[str, type[Comments]]]:
    """Its address, and what it holds: a hundred comments of others, one of which names the marker."""
    others = [{"id": number + 1, "body": f"hello {number} <!-- accelint -->"} for number in range(100)]
    handler = type("Handler", (Comments,), {"stored": others, "asked": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    server.server_close()
    thread.join()


class Job:
    """The steps of ``action.yml`` that are scripts, run as GitHub's runner runs them."""

    def __init__(self, folder: Path, tool: Path, api: str, **inputs: str) -> None:
        self.action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
        self.inputs = {name: str(row.get("default", "")) for name, row in self.action["inputs"].items()}
        self.inputs |= {name.replace("_", "-"): value for name, value in inputs.items()}
        self.inputs["token"] = "secret"
        self.outputs: dict[str, dict[str, str]] = {}
        self.summary = folder / "summary"
        self.codes: dict[str, int] = {}
        self.said = ""
        event = folder / "event.json"
        event.write_text(json.dumps({"pull_request": {"number": 7}}))
        self.folder = folder
        self.environment = {
            "PATH": f"{tool}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "RUNNER_TEMP": str(folder / "temp"),
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": "me/models",
            "GITHUB_API_URL": api,
            **{name: os.environ[name] for name in ("ACCELINT_TREE",) if name in os.environ},
        }

    def _value(self, text: str) -> str:
        def found(match: re.Match[str]) -> str:
            words = match[1].strip().split(".")
            return self.inputs[words[1]] if words[0] == "inputs" else self.outputs[words[1]].get(words[3], "")

        return re.sub(r"\$\{\{(.*?)\}\}", found, text)

    def run(self, cwd: Path = ROOT) -> Job:
        for number, step in enumerate(self.action["runs"]["steps"]):
            if "run" not in step or step["name"] == "Install accelint":
                continue
            assert "${{" not in step["run"], "an input within a script could be a script"
            output = self.folder / f"output{number}"
            output.touch()
            told = {key: self._value(value) for key, value in step.get("env", {}).items()}
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=cwd, env={**self.environment, **told, "GITHUB_OUTPUT": str(output)},
                capture_output=True, text=True, timeout=300, check=False,
            )  # fmt: skip
            self.codes[step["name"]] = done.returncode
            assert "Traceback" not in done.stderr, done.stderr
            self.said += done.stdout
            pairs = (line.split("=", 1) for line in output.read_text().splitlines())
            self.outputs[step.get("id", str(number))] = dict(pairs)
        return self


def test_the_action_reports_comments_and_fails_as_the_check_does(
    tmp_path: Path, tool: Path, github: tuple[str, type[Comments]]
) -> None:
    api, server = github
    job = Job(tmp_path, tool, api, models=f"{ENCODER}\n", targets=QNN, args="--min-coverage 95").run()
    assert job.codes == {"Check the models": 0, "Comment on the pull request": 0, "Result": 1}
    outputs = job.outputs["check"]
    assert outputs["exit-code"] == "1"
    log = json.loads(Path(outputs["sarif"]).read_text(encoding="utf-8"))
    assert log["runs"][0]["results"]
    commands = [line for line in job.said.splitlines() if line.startswith("::")]
    assert annotations("\n".join(commands))[0][1]["file"] == ENCODER
    body = server.stored[-1]["body"]
    assert len(server.stored) == 101
    assert body == job.summary.read_text(encoding="utf-8")
    assert body.startswith("<!-- accelint -->\n")
    assert ENCODER in body

    (tmp_path / "again").mkdir()
    old = shutil.copy(outputs["json"], tmp_path / "old.json")
    again = Job(
        tmp_path / "again",
        tool,
        api,
        models=ENCODER,
        targets=QNN,
        args="--fail-on never",
        baseline_report=str(old),
    ).run()
    assert again.codes["Result"] == 0
    assert len(server.stored) == 101, "the comment is updated"
    assert "no change" in server.stored[-1]["body"]
    assert "PATCH" in server.asked


def test_two_steps_of_the_action_have_a_comment_each(
    tmp_path: Path, tool: Path, github: tuple[str, type[Comments]]
) -> None:
    api, server = github
    words = {"models": "fixtures/onnx/qdq.onnx", "targets": "onnxruntime/cpu"}
    job = Job(tmp_path, tool, api, category="on the CPU --> $(x)", **words).run()
    assert job.codes["Result"] == 0
    assert server.stored[-1]["body"].startswith("<!-- accelint on-the-CPU-x -->\n")


def test_inputs_of_the_action_are_no_scripts(
    tmp_path: Path, tool: Path, github: tuple[str, type[Comments]]
) -> None:
    api, _ = github
    evil = f"$(touch {tmp_path}/pwned)\n`touch {tmp_path}/pwned`; touch {tmp_path}/pwned"
    job = Job(tmp_path, tool, api, models=evil, targets=QNN, args='"; x"').run()
    assert job.codes["Result"] not in (0, 70)
    assert not (tmp_path / "pwned").exists()


def test_a_token_that_may_not_comment_is_no_failure(
    tmp_path: Path, tool: Path, github: tuple[str, type[Comments]]
) -> None:
    api, server = github
    server.forbidden = True
    job = Job(tmp_path, tool, api, models="fixtures/onnx/qdq.onnx", targets="onnxruntime/cpu").run()
    assert job.codes["Result"] == 0
    assert "no comment: the token may not write one" in job.said


# ---- pre-commit ------------------------------------------------------------------------------


def _repository(folder: Path, *files: str) -> Path:
    """A git repository with those files of this one."""
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "files"]):
        command = ["git", "-c", "user.name=x", "-c", "user.email=x@x", *words]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def test_the_pre_commit_hook_checks_the_models_of_a_repository(tmp_path: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    source = _repository(
        tmp_path / "accelint", *(name for name in listed if name.startswith(SHIPPED) or name in OWN)
    )
    models = _repository(tmp_path / "models", ENCODER, "fixtures/onnx/qdq.onnx", "README.md")
    rev = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=source, capture_output=True, text=True, check=True
    ).stdout.strip()
    site = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    environment = {
        **{name: value for name, value in os.environ.items() if name != "ACCELINT_TREE"},
        "PRE_COMMIT_HOME": str(tmp_path / "home"),
        # The hook's environment is built as ever, but takes its dependencies from this one.
        "PIP_NO_DEPS": "1", "PYTHONPATH": str(site),
    }  # fmt: skip
    for target, code, told in (("onnxruntime/cpu", 0, "Passed"), (QNN, 1, "gate missed")):
        hook = {"id": "accelint", "args": ["--target", target, "--min-coverage", "95"]}
        config = {"repos": [{"repo": str(source), "rev": rev, "hooks": [hook]}]}
        (models / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
        subprocess.run(["git", "add", "-A"], cwd=models, check=True)
        done = subprocess.run(
            [BIN / "pre-commit", "run", "--all-files", "--color", "never"],
            cwd=models, env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert (done.returncode, told in done.stdout) == (code, True), done.stdout + done.stderr
        assert code == 0 or ENCODER in done.stdout


# ---- GitLab, the image -----------------------------------------------------------------------


def test_the_gitlab_job_leaves_the_reports_that_it_names(tmp_path: Path, tool: Path) -> None:
    job = yaml.safe_load((ROOT / "ci" / "gitlab.yml").read_text(encoding="utf-8"))[".accelint"]
    variables = {
        **job["variables"],
        "ACCELINT_MODELS": f"{ROOT}/fixtures/demo/*.onnx",
        "ACCELINT_TARGETS": QNN,
    }
    environment = {**os.environ, **variables, "PATH": f"{tool}{os.pathsep}{os.environ['PATH']}"}
    script = "\n".join(job["script"])
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "partial" in done.stdout
    for name in (*job["artifacts"]["reports"].values(), *job["artifacts"]["paths"]):
        assert (tmp_path / name).stat().st_size > 100


def test_the_image_is_built_of_what_a_wheel_needs() -> None:
    """The files that the hook above was built of, and nothing that Docker is told to leave out."""
    text = (ROOT / "ci" / "Dockerfile").read_text(encoding="utf-8")
    copied = {name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M) for name in line.split()}
    needed = {name.rstrip("/") for name in (*SHIPPED, *OWN)} - {".pre-commit-hooks.yaml"}
    assert copied - {"constraints.txt"} == needed
    assert all((ROOT / name).exists() for name in copied)
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert sent == copied
