"""What the reference interpreter says about models, asked in a process of its own (a wrong model may take it
down).

    python tests/tflite_worker.py < request.json > answer.json

The request is a list of jobs: ``["allocate", path]`` gives the shapes of all outputs after allocation,
``["same", a, b]`` whether two models give the same bits for the same random inputs. An answer is ``{"error":
...}`` where the interpreter refuses.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def ask(jobs: list[list[str]]) -> list[dict[str, Any]]:
    """Answers to the jobs, in order."""
    done = subprocess.run(
        [sys.executable, __file__], input=json.dumps(jobs), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"the interpreter died with {done.returncode}: {done.stderr[-2000:]}"
    answers: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return answers


def _interpreter(path: str) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_path=path, experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    return interpreter


def _allocate(path: str) -> dict[str, Any]:
    details = _interpreter(path).get_output_details()
    return {
        "shapes": [[int(dim) for dim in item["shape"]] for item in details],
        "indices": [int(item["index"]) for item in details],
    }


def _runs(path: str) -> list[Any]:
    """Signature by signature, three calls each: names, dtypes, shapes and bytes of all outputs."""
    import numpy as np

    interpreter = _interpreter(path)
    random = np.random.default_rng(3)

    def values(detail: dict[str, Any]) -> Any:
        shape, dtype = detail["shape"], detail["dtype"]
        if np.issubdtype(dtype, np.floating):
            return random.standard_normal(shape).astype(dtype)
        return random.integers(0, 2 if dtype == np.bool_ else 100, shape).astype(dtype)

    seen: list[Any] = []
    for key in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(key)
        for _ in range(3):
            feeds = {name: values(detail) for name, detail in sorted(runner.get_input_details().items())}
            seen += [
                (key, name, str(value.dtype), value.shape, value.tobytes().hex())
                for name, value in sorted(runner(**feeds).items())
            ]
    interpreter = _interpreter(path)
    for _ in range(3):
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], values(detail))
        interpreter.invoke()
        for detail in interpreter.get_output_details():
            value = interpreter.get_tensor(detail["index"])
            seen.append(
                (
                    detail["name"],
                    str(value.dtype),
                    value.shape,
                    value.tobytes().hex(),
                    str(detail["quantization"]),
                )
            )
    return seen


def _answer(job: list[str]) -> dict[str, Any]:
    try:
        if job[0] == "allocate":
            return _allocate(job[1])
        first, second = _runs(job[1]), _runs(job[2])
        return {"same": first == second, "outputs": len(first)}
    except (RuntimeError, ValueError, TypeError) as error:
        return {"error": str(error)}


if __name__ == "__main__":
    print(json.dumps([_answer(job) for job in json.load(sys.stdin)]))
