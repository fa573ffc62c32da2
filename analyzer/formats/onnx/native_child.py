"""onnx's C++ in a process of its own. Run by path: ``python native_child.py EXTENSION READ_FD WRITE_FD
PARENT``.

Each request is a line of JSON that names a function and two files, the serialized model and the result; each
answer is a line: the result was written, or onnx's own words. Nothing but the extension is imported: it
starts in 0.04 s.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any


def extension(file: str) -> Any:
    """The module ``onnx.onnx_cpp2py_export`` from its file."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("onnx.onnx_cpp2py_export", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no extension module")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def done(native: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Do one request; what onnx raises is the answer's ``error``."""
    data = Path(request["model"]).read_bytes()
    try:
        if request["do"] == "inline":
            result = native.inliner.inline_local_functions(data, False)
        else:
            how = (request.get("types", False), request.get("strict", False), request["values"])
            result = native.shape_inference.infer_shapes(data, *how)
    except Exception as error:  # the extension raises classes of its own, RuntimeError among them
        return {"error": str(error)[:4000] or type(error).__name__}
    Path(request["result"]).write_bytes(result)
    return {"size": len(result)}


def main(file: str, read_fd: int, write_fd: int, parent: int) -> None:
    """Answer requests until the pipe ends."""
    sys.path[0] = str(Path(__file__).resolve().parents[2] / "processes")
    from worker import prepare  # type: ignore[import-not-found, unused-ignore]

    prepare(parent)
    native = extension(file)
    with os.fdopen(read_fd, encoding="utf-8") as requests, os.fdopen(write_fd, "w", encoding="utf-8") as out:
        for line in requests:
            print(json.dumps(done(native, json.loads(line))), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
