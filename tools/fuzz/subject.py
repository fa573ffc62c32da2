"""What is done with one input, and what must not happen: the oracle of the fuzzer.

A model is read, checked for a target of its dialect, rendered in a report form, improved by the planner
(with a prover that believes everything: no runtime is asked), written and read back. A pack is read and used
for checks of small models. Only errors of accelint's own classes may come out.
"""

from __future__ import annotations

import json
import traceback
import unicodedata
from functools import cache
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

from accelint.analyzer.check.coverage import About, Entry
from accelint.analyzer.check.run import check
from accelint.analyzer.cli import indented
from accelint.analyzer.errors import AccelintError, InternalError
from accelint.analyzer.formats import emit, load
from accelint.analyzer.inert import Writer
from accelint.analyzer.report import names, render
from accelint.rewrites.planner import Proof, plan
from accelint.rewrites.registry import allowed, repairs
from accelint.rules.loader import read_pack
from accelint.rules.pack import Chosen
from accelint.rules.registry import choose, pack_folders

WRITABLE = ("onnx", "tflite", "mlpackage", "mlmodel")


class Fault(Exception):
    """Something that must not happen; ``kind`` tells faults apart."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(f"{kind}: {words}")
        self.kind = kind


def used(path: Path, form: str, rng: Random) -> str:
    """Use one input as the command line would; returns ``accepted`` or ``refused``. Raises Fault, or what
    accelint let through.
    """
    if form == "pack":
        return _pack(path, rng)
    if form == "keras":
        return _keras(path)
    return _model(path, rng)


_OWN = ("/analyzer/", "/rules/", "/rewrites/")


def signature(error: BaseException) -> str:
    """The kind of an error and where in accelint it came from."""
    if isinstance(error, Fault):
        return error.kind
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if any(part in frame.filename for part in _OWN)]
    where = own[-1] if own else frames[-1] if frames else None
    place = f"{Path(where.filename).name}:{where.name}:{where.lineno}" if where else "?"
    return f"{type(error).__name__} at {place}"


@cache
def _targets(dialect: str) -> list[Chosen]:
    found = []
    for name in pack_folders():
        pack = choose(name).pack
        if pack.dialect == dialect:
            found += [
                choose(f"{name}:{variant}") if variant else choose(name) for variant in pack.variants or [""]
            ]
    return found


def _model(path: Path, rng: Random) -> str:
    try:
        model = load(path)
        chosen = rng.choice(_targets(model.dialect))
        coverage = check(model, chosen)
        found = repairs(model.graph, coverage)
        coverage = coverage.with_fixes({at: (item.id, item.parity.safe) for at, item in found.items()})
        _rendered(Entry(path, model, About.of(model), [coverage]), rng)
    except AccelintError as error:
        _shown(error)
        return "refused"
    if model.format not in WRITABLE:
        return "accepted"
    try:
        if rng.random() < 0.7:
            rewrites = allowed(model.dialect, rng.choice(("safe", "unsafe")))
            plan(model.graph, rewrites, lambda: check(model, chosen), lambda promise: Proof("proved", "fuzz"))
        _written(model, path)
    except AccelintError as error:
        _shown(error)
    return "accepted"


def _written(model: Any, path: Path) -> None:
    """What is written can be read back, with the same operators."""
    out = path.parent / f"out{path.suffix}"
    emit(model, out)
    try:
        again = load(out)
    except AccelintError as error:
        raise Fault(f"written file is not read: {type(error).__name__}", error.message) from error
    before, after = ([op.type for _, op in item.operators()] for item in (model, again))
    if sorted(before) != sorted(after):
        raise Fault("written file has other operators", f"{before[:5]} {after[:5]}")


def _keras(path: Path) -> str:
    """What happens in accelint's own process; building the model is Keras' part, in a process of its own."""
    from accelint.analyzer.formats.keras.reader import vetted
    from accelint.analyzer.formats.sniff import sniff

    try:
        if sniff(path) == "keras":
            vetted(path)
    except AccelintError as error:
        _shown(error)
        return "refused"
    return "accepted"


def _pack(path: Path, rng: Random) -> str:
    try:
        pack = read_pack(path)
        chosen = pack.chosen(rng.choice(["", *list(pack.variants)]), rng.choice(["", "1.0", "x"]))
        models = _small(pack.dialect)
        for model in models and [rng.choice(models)]:
            _rendered(Entry(model.path, model, About.of(model), [check(model, chosen)]), rng)
    except AccelintError as error:
        _shown(error)
        return "refused"
    return "accepted"


@cache
def _small(dialect: str) -> list[Any]:
    import seeds

    names = {
        "onnx": ["onnx/conv_relu.onnx", "onnx/defaults.onnx", "onnx/bodies.onnx"],
        "tflite": ["tflite/conditional.tflite", "tflite/conv_net.tflite"],
        "tf": ["tf/convnet"],
        "mil": ["coreml/program.mlmodel"],
        "nn": ["coreml/network.mlmodel"],
    }
    return [load(seeds.FIXTURES / name) for name in names.get(dialect, ())]


def _shown(error: AccelintError) -> None:
    """The message as the command line prints it. A defect of accelint in the guise of an error is none."""
    if isinstance(error, InternalError):
        raise Fault("internal error", error.message) from error
    out = BytesIO()
    stream = Writer(out, "utf-8", styled=False, line_buffering=False)
    stream.write(f"accelint: {indented(error.message)}\n")
    stream.flush()
    text = out.getvalue().decode()
    _inert(text, "error message")
    stream.detach()


def _rendered(entry: Entry, rng: Random) -> None:
    """In one of the report forms: they take longer than the check."""
    form = rng.choice(_FORMS)
    text = "".join(render([entry], "0", form))
    text.encode("utf-8")
    for line in text.splitlines() if form in ("json", "jsonl") else ():
        json.loads(line, parse_constant=_no_number)
    _inert(text, f"{form} report")


_FORMS = names()


def _no_number(word: str) -> None:
    raise Fault("NaN or Infinity in JSON", word)


_WANTED = {"\n"}


def _inert(text: str, where: str) -> None:
    """No character that drives a terminal or turns the text around."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return
    for char in set(text):
        if char not in _WANTED and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            raise Fault(f"raw control character in {where}", f"{char!r}")


def warm() -> None:
    """Import and read what every input needs, so that a forked worker starts with it."""
    for dialect in ("onnx", "tflite", "tf", "mil", "nn"):
        _targets(dialect)
        _small(dialect)
        allowed(dialect, "unsafe")
