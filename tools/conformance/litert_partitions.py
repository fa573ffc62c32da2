"""Hold the replay of LiteRT's partitioner, and of the sort that ranks its pieces, against LiteRT itself.

    python tools/conformance/litert_partitions.py [GRAPHS] [TIES]

Random graphs: the pieces that XNNPACK made and the count that the GPU delegate gave, against the replay.
Ties: chains whose largest pieces are of one size; the piece on the GPU is the one whose bits XNNPACK does not
give.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import tflite_models as tflite
from accelint.analyzer.partitioners.litert import largest, partitions
from accelint.analyzer.runtimes import Request, Session, tensors
from accelint.analyzer.runtimes.workers.tflite_file import TfliteFile

NOT_SUPPORTED = "LOG_SOFTMAX"
"""An operator that neither delegate takes."""
SIZES = (24, 25, 28, 33, 40, 64, 100, 129, 140, 200)


def graph(path: Path, seed: int) -> Path:
    """A random graph of 3 to 40 operators, some of which no delegate takes."""
    draw = random.Random(seed)
    count = draw.randint(3, 40)
    names, ops = ["x0", "x1"], []
    for index in range(count):
        kind, recent = (
            draw.choice(["ABS", "NEG", "EXP", "ADD", "ADD", NOT_SUPPORTED, NOT_SUPPORTED]),
            names[-6:],
        )
        reads = [draw.choice(recent) for _ in range(2 if kind == "ADD" else 1)]
        ops.append(
            (kind, reads, [f"t{index}"], "AddOptions", {}) if kind == "ADD" else (kind, reads, [f"t{index}"])
        )
        names.append(f"t{index}")
    read = {name for op in ops for name in op[1]}
    outputs = [f"t{index}" for index in range(count) if f"t{index}" not in read or draw.random() < 0.1]
    return tflite.write(path, dict.fromkeys(names, (tflite.F32, (1, 4))), ops, ["x0", "x1"], outputs)


def partitions_agree(xnnpack: Session, gpu: Session, model: Path) -> bool:
    """Whether the replay gives XNNPACK's pieces and the GPU's count."""
    file = TfliteFile(model)
    replayed = partitions(file.ops, {op.index for op in file.ops if op.type != NOT_SUPPORTED})
    found: dict[int, list[int]] = {}
    for item in xnnpack.ask(Request(model)).placement:
        if item.partition is not None:
            found.setdefault(item.partition, []).append(item.index)
    answer = gpu.ask(Request(model))
    return (
        sorted(map(sorted, found.values())) == sorted(map(sorted, replayed))
        and answer.ok
        and "disagreement" not in answer.notes
    )


def tie_agrees(xnnpack: Session, gpu: Session, folder: Path, count: int, seed: int) -> bool:
    """Whether the piece that the replay names first is the one that the GPU computed."""
    draw = random.Random(seed * 1000 + count)
    sizes = [draw.choice([1, 2, 3]) for _ in range(count)]
    kinds, ends = [], []
    for size in sizes:
        kinds += [*("TANH", "EXP", "SIN")[:size], NOT_SUPPORTED]
        ends.append(len(kinds) - 1)
    model = tflite.chain(folder / "tie.tflite", kinds[:-1], shape=(1, 64))
    file = TfliteFile(model)
    (first,) = largest(partitions(file.ops, {op.index for op in file.ops if op.type != NOT_SUPPORTED}), 1)
    data = np.random.default_rng(count).normal(size=(1, 64)).astype(np.float32)
    keep = [f"t{index}" for index in range(1, len(kinds))]
    feed = tensors.write(folder / "tie.npz", {"t0": data})
    given = {"t0": data, **gpu.ask(Request(model, feed, outputs=True, options={"keep": keep})).tensors()}
    other = [
        number for number, size in enumerate(sizes) if differs(xnnpack, folder, size, ends[number], given)
    ]
    return other == [sum(end < first[0] for end in ends)]


def differs(xnnpack: Session, folder: Path, size: int, end: int, given: dict[str, np.ndarray]) -> bool:
    """Whether a piece's result is not what XNNPACK computes from the piece's own input."""
    partition = tflite.chain(folder / "piece.tflite", ["TANH", "EXP", "SIN"][:size], shape=(1, 64))
    feed = tensors.write(folder / "piece.npz", {"t0": given[f"t{end - size}"]})
    right = xnnpack.ask(Request(partition, feed, outputs=True)).tensors()[f"t{size}"]
    return not np.array_equal(right, given[f"t{end}"])


def main(graphs: int = 300, ties: int = 5) -> int:
    """Print both figures; 1 when anything disagrees."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        Session("litert/xnnpack") as xnnpack,
        Session("litert/gpu") as gpu,
    ):
        folder = Path(scratch)
        same = sum(
            partitions_agree(xnnpack, gpu, graph(folder / "graph.tflite", seed)) for seed in range(graphs)
        )
        print(f"random graphs whose partitions and counts are as replayed: {same} of {graphs}")
        cases = [(count, seed) for count in SIZES for seed in range(ties)]
        right = sum(tie_agrees(xnnpack, gpu, folder, count, seed) for count, seed in cases)
        print(f"ties settled as the delegate settles them: {right} of {len(cases)}")
    return int(same < graphs or right < len(cases))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
