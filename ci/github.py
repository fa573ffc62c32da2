"""What the GitHub action runs: ``check`` the models, ``comment`` on the pull request. Standard library only.

Inputs come as environment variables, never as text within a script: they may hold what a shell would run.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

MARKER = "<!-- accelint -->"
SUMMARY = 1_000_000
"""Bytes of a step's summary; GitHub takes 1 MiB."""
FORMS = {"json": "accelint.json", "sarif": "accelint.sarif", "markdown": "accelint.md"}


def main() -> int:
    """Exit 0 whatever the models are like, so that the steps behind this one run; they are told the code."""
    return {"check": check, "comment": comment}[sys.argv[1]]()


def check() -> int:
    """Write the reports, the step's summary and outputs; annotations go to standard output."""
    folder = Path(os.environ["RUNNER_TEMP"]) / _file_name(os.environ.get("ACCELINT_CATEGORY", ""))
    folder.mkdir(parents=True, exist_ok=True)
    command = ["accelint", "check", *_models(), "--target", os.environ["ACCELINT_TARGETS"]]
    command += shlex.split(os.environ.get("ACCELINT_ARGS", ""))
    baseline = os.environ.get("ACCELINT_BASELINE_REPORT", "")
    if baseline and Path(baseline).is_file():
        command += ["--baseline-report", baseline]
    for form, name in FORMS.items():
        command += ["--format", form, "--output", str(folder / name)]
        (folder / name).unlink(missing_ok=True)
    done = subprocess.run([*command, "--format", "github", "--output", "-"], check=False)
    outputs = {form: str(folder / name) for form, name in FORMS.items() if (folder / name).is_file()}
    if "markdown" in outputs:
        text = Path(outputs["markdown"]).read_text(encoding="utf-8")
        text = text.replace(MARKER, _marker(), 1)
        Path(outputs["markdown"]).write_text(text, encoding="utf-8")
        _append("GITHUB_STEP_SUMMARY", text[:SUMMARY])
    for key, value in {**outputs, "exit-code": str(done.returncode)}.items():
        _append("GITHUB_OUTPUT", f"{key}={value}\n")
    return 0


def comment() -> int:
    """Write the comment, or put it in place of the one that an earlier run wrote."""
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    number = int(event["pull_request"]["number"])
    body = Path(os.environ["ACCELINT_MARKDOWN"]).read_text(encoding="utf-8")
    marker = body.partition("\n")[0]
    repository = f"/repos/{os.environ['GITHUB_REPOSITORY']}/issues"
    try:
        known = _find(f"{repository}/{number}/comments", marker)
        if known is None:
            _ask("POST", f"{repository}/{number}/comments", {"body": body})
        else:
            _ask("PATCH", f"{repository}/comments/{known}", {"body": body})
    except HTTPError as error:
        if error.code not in (403, 404):
            raise
        why = f"the token may not write one ({error.code}), see the summary"
        print(f"::notice title=accelint::no comment: {why}")
    return 0


def _models() -> list[str]:
    return [line.strip() for line in os.environ["ACCELINT_MODELS"].splitlines() if line.strip()]


def _marker() -> str:
    category = _file_name(os.environ.get("ACCELINT_CATEGORY", ""))
    return MARKER if category == "accelint" else f"<!-- accelint {category} -->"


def _file_name(category: str) -> str:
    kept = "".join(char if char.isalnum() or char in "._" else "-" for char in category).strip("-.")
    while "--" in kept:
        kept = kept.replace("--", "-")
    return kept or "accelint"


def _append(variable: str, text: str) -> None:
    with Path(os.environ[variable]).open("a", encoding="utf-8") as stream:
        stream.write(text)


def _find(path: str, marker: str) -> int | None:
    """The comment that starts with the marker, the oldest first."""
    page = 1
    while True:
        rows = _ask("GET", f"{path}?per_page=100&page={page}")
        for row in rows:
            if str(row["body"] or "").startswith(marker):
                return int(row["id"])
        if len(rows) < 100:
            return None
        page += 1


def _ask(method: str, path: str, data: dict[str, Any] | None = None) -> Any:
    request = Request(
        os.environ.get("GITHUB_API_URL", "https://api.github.com") + path,
        method=method,
        data=None if data is None else json.dumps(data).encode(),
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
            "Content-Type": "application/json",
        },
    )
    with urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or "null")


if __name__ == "__main__":
    sys.exit(main())
