"""Write every report form of every fixture, and check each as ``tests/test_forms.py`` does.

    python tools/dev/forms.py [FOLDER OR MODEL ...]

Each model is checked for up to three targets that take it. Exits with 1 where a form is invalid.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from forms_checks import FORMS, validate, written  # noqa: E402

TARGETS = {
    ".onnx": "onnxruntime/qnn,onnxruntime/coreml,onnxruntime/cpu",
    ".tflite": "litert/gpu,litert/nnapi,litert/cpu",
    ".mlpackage": "coreml/ane",
    ".mlmodel": "coreml/ane",
}
"""Models that need a converter's process (TensorFlow, Keras) are left to the tests."""


def models(places: list[Path]) -> list[Path]:
    """Models in the order of their paths; what is within a package is not one."""
    found = [path for place in places for path in ([place] if place.suffix else sorted(place.rglob("*")))]
    return [
        path
        for path in found
        if path.suffix in TARGETS and not any(parent.suffix == ".mlpackage" for parent in path.parents)
    ]


def main() -> None:
    places = [Path(name) for name in sys.argv[1:]] or [ROOT / "fixtures"]
    wrong = 0
    found = models(places)
    for path in found:
        with tempfile.TemporaryDirectory() as folder:
            try:
                written(Path(folder), path, "-t", TARGETS[path.suffix])
                validate(Path(folder))
            except Exception as error:
                wrong += 1
                print(f"{path}: {type(error).__name__}: {str(error)[:300]}")
    print(f"{len(found)} models x {len(FORMS)} forms: {wrong} with an invalid form")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
