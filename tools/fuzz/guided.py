"""The same inputs, oracle and mutations, guided by coverage: accelint's bytecode is instrumented by Atheris,
and libFuzzer keeps what reaches something new.

    python tools/fuzz/guided.py FORMAT [SECONDS]     (onnx, tflite, graphdef, mlmodel or pack)

Needs the extra ``fuzz`` (Linux). The corpus stays in ``.work/fuzz/guided/FORMAT`` for the next run; a fault
ends the run, and its input is kept beside it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import zlib
from pathlib import Path
from random import Random

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["accelint"]):
    import mutators
    import run
    import subject
    from seeds import ROOT, Seed

    subject.warm()  # readers, policies and rewrites are imported when they are needed first

MOST = 1 << 16
"""Bytes of an input."""


class Guided:
    """One format: the seeds as a corpus on disk, one input used, one input mutated."""

    def __init__(self, form: str) -> None:
        self.form = form
        self.maker = run.Maker([form], 0)
        self.scratch = Path(tempfile.mkdtemp(prefix="fuzz-"))
        self.corpus = ROOT / ".work" / "fuzz" / "guided" / form
        self.corpus.mkdir(parents=True, exist_ok=True)
        for index, item in enumerate(self.maker.seeds[form]):
            if not any(self.corpus.glob(f"seed-{index}")):
                (self.corpus / f"seed-{index}").write_bytes(item.files[""])

    def one(self, data: bytes) -> None:
        """Use an input. Raises what is a fault."""
        folder = self.scratch / "input"
        folder.mkdir()
        try:
            path = run.put(folder, self.form, {"": data})
            subject.used(path, self.form, Random(zlib.crc32(data)))
        finally:
            shutil.rmtree(folder)

    def mutate(self, data: bytes, most: int, seed: int) -> bytes:
        """An input changed by its structure, or by its bytes where it has none."""
        rng = Random(seed)
        try:
            made = self.maker.mutated(self.form, Seed(self.form, "", {"": data}), rng)[""]
        except Exception:  # what is no input of the format has no structure
            made = mutators.spoiled(rng, data)
        return made[:most] if rng.random() < 0.9 else mutators.spoiled(rng, data)[:most]


def main() -> None:
    """Run libFuzzer; it ends the process."""
    form, seconds = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "60"
    guided = Guided(form)
    faults = ROOT / ".work" / "fuzz" / "guided" / f"{form}-faults"
    faults.mkdir(exist_ok=True)
    options = [
        f"-max_total_time={seconds}", f"-max_len={MOST}", "-timeout=10", "-rss_limit_mb=1024",
        f"-artifact_prefix={faults}/",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(guided.corpus)], guided.one, custom_mutator=guided.mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
