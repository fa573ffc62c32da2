"""LiteRT on the CPU: the XNNPACK delegate (``litert/xnnpack``) and the built-in kernels without it
(``litert/cpu``, the reference).

``Interpreter._get_ops_details()`` lists the file's operators and, behind them, one ``DELEGATE`` operator per
delegated partition with the tensors that it reads and writes; what lies between those tensors is the
partition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...partitioners.litert import partitions
from .. import tensors
from ..answers import Answer, Placed, Request
from .tflite_file import Op, TfliteFile, exposed, pick
from .timing import measure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class CpuWorker:
    """Answers requests with an ``Interpreter``, one per request."""

    def __init__(self, name: str, folder: Path) -> None:
        from ai_edge_litert import interpreter

        self.module = interpreter
        self.folder = folder
        self.delegate = name == "litert/xnnpack"
        self.asked = 0

    def __call__(self, request: Request) -> Answer:
        """One answer."""
        self.asked += 1
        kept = tuple(request.options.get("keep", ()))
        resolver = self.module.OpResolverType
        plain = (
            resolver.BUILTIN_REF
            if request.options.get("kernels") == "reference"
            else resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        model = exposed(request.model, kept, self.folder) if self.delegate else request.model
        try:
            interpreter = self.module.Interpreter(
                model_path=str(model),
                num_threads=int(request.options.get("threads", 1)),
                experimental_op_resolver_type=resolver.AUTO if self.delegate else plain,
                experimental_preserve_all_tensors=bool(kept) and not self.delegate,
            )
            feeds = _feeds(interpreter, request)
            _resize(interpreter, feeds)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            return Answer("refused", reason=str(error)[:2000])
        placement, partitions = self._placement(interpreter, request) if request.placement else ((), None)
        notes = {"shapes": _planned(interpreter)} if request.options.get("shapes") else {}
        ran = self._run(interpreter, request, feeds, kept)
        return Answer(
            ran.status, reason=ran.reason, outputs=ran.outputs, latency=ran.latency,
            placement=placement, partitions=partitions, notes=notes,
        )  # fmt: skip

    def _placement(self, interpreter: Any, request: Request) -> tuple[tuple[Placed, ...], int | None]:
        """Without the delegate every operator runs on the target, the kernels, and nothing is partitioned."""
        file = TfliteFile(request.model)
        if not self.delegate:
            graphs = [file, *file.called()]
            return tuple(
                Placed(op.index, graph.label(op), op.type, "accelerator", graph.graph)
                for graph in graphs
                for op in graph.ops
            ), None
        placed, count = _placements(file, interpreter)
        for body in file.called():
            more, partitioned = self._body(body, count)
            placed, count = placed + more, count + partitioned
        return tuple(placed), count

    def _body(self, body: TfliteFile, first: int) -> tuple[list[Placed], int]:
        """Placement of a body: the delegate is applied to each subgraph by itself, and the interpreter tells
        of the first only.
        """
        path = self.folder / "body.tflite"
        path.write_bytes(body.promoted())
        try:
            interpreter = self.module.Interpreter(model_path=str(path), num_threads=1)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = f"the body cannot be loaded alone: {error}"[:300]
            return [
                Placed(op.index, body.label(op), op.type, "unknown", body.graph, reason=reason)
                for op in body.ops
            ], 0
        return _placements(body, interpreter, first)

    def _run(
        self, interpreter: Any, request: Request, feeds: dict[int, Any], kept: tuple[str, ...]
    ) -> Answer:
        if not request.outputs and not request.latency_runs:
            return Answer("ok")
        try:
            for index, array in feeds.items():
                interpreter.set_tensor(index, array)
            interpreter.invoke()
            found = [
                (item["name"], interpreter.get_tensor(item["index"]))
                for item in interpreter.get_output_details()
            ]
            found += [] if self.delegate else _intermediate(interpreter, kept)
            latency = measure(
                interpreter.invoke, request.latency_runs, int(request.options.get("threads", 1))
            )
        except (ValueError, RuntimeError) as error:
            return Answer("failed", reason=f"running the model: {str(error)[:2000]}")
        path = self.folder / f"outputs-{self.asked}.npz"
        return Answer("ok", outputs=tensors.write(path, found) if request.outputs else None, latency=latency)


def open(name: str, folder: Path) -> CpuWorker:
    """A worker for ``litert/cpu`` or ``litert/xnnpack``."""
    return CpuWorker(name, folder)


def _placements(file: TfliteFile, interpreter: Any, first: int = 0) -> tuple[list[Placed], int]:
    """Where the operators of one subgraph run and in how many partitions; ``interpreter`` has it as its
    first.
    """
    details = interpreter._get_ops_details()[len(file.ops) :]
    ends = [
        ({int(item) for item in each["inputs"]}, [int(item) for item in each["outputs"]]) for each in details
    ]
    partitioned = [_closed(file.ops, file.between(*each), *each) for each in ends]
    doubtful: set[int] = set()
    if partitioned:
        partitioned, doubtful = settle(file.ops, partitioned, _silent(file, partitioned))
        doubtful |= _only_for(file, doubtful, set().union(*partitioned))
    return [_placed(file, op, partitioned, doubtful, first) for op in file.ops], len(partitioned)


def _closed(ops: Sequence[Op], found: set[int], inputs: set[int], outputs: Sequence[int]) -> set[int]:
    """A partition with the operators that no way back from its results meets and that are in it all the same:
    they read what it computes and does not give, or write what is read in it and not given to it.
    """
    while True:
        made = {item for index in found for item in ops[index].outputs} - set(outputs)
        read = {item for index in found for item in ops[index].inputs} - inputs
        more = {op.index for op in ops if made & set(op.inputs) or read & set(op.outputs)} - found
        if not more:
            return found
        found = found | more


def _silent(file: TfliteFile, partitioned: list[set[int]]) -> list[int]:
    """Operators outside the partitions whose results nobody reads, if they have any: no walk back from a
    result meets them.
    """
    read = {item for op in file.ops for item in op.inputs} | set(file.outputs)
    inside = set().union(*partitioned)
    return [
        op.index
        for op in file.ops
        if op.index not in inside and not read & {item for item in op.outputs if item >= 0}
    ]


def _only_for(file: TfliteFile, doubtful: set[int], inside: set[int]) -> set[int]:
    """Operators outside the partitions whose results only doubtful ones read: they show no more."""
    found: set[int] = set()
    for op in reversed(file.ops):
        written = {item for item in op.outputs if item >= 0}
        readers = {other.index for other in file.ops if written & set(other.inputs)}
        alone = readers and readers <= doubtful | found and not written & set(file.outputs)
        if alone and op.index not in inside:
            found.add(op.index)
    return found


def settle(
    ops: Sequence[Op], partitioned: list[set[int]], silent: Sequence[int]
) -> tuple[list[set[int]], set[int]]:
    """The partitions with those silent operators that must be in them, and the operators that may or may not
    be.

    XNNPACK takes every partition, so only a choice of silent operators with which LiteRT's partitioner gives
    exactly these partitions can be true; what all such choices have in common is certain.
    """
    if not silent or len(silent) > _CHOICES:
        return partitioned, set(silent)
    known = set().union(*partitioned)
    fitting = []
    for choice in range(1 << len(silent)):
        chosen = {index for bit, index in enumerate(silent) if choice >> bit & 1}
        found = [set(partition) for partition in partitions(ops, known | chosen)]
        if [partition - chosen for partition in found] == partitioned:
            fitting.append((found, chosen))
    if not fitting:
        return partitioned, set(silent)
    sure = set.intersection(*(chosen for _, chosen in fitting))
    doubtful = set().union(*(chosen for _, chosen in fitting)) - sure
    return [partition - doubtful for partition in fitting[-1][0]], doubtful


_CHOICES = 6
"""Silent operators up to which all choices are tried."""


def _placed(file: TfliteFile, op: Op, partitioned: list[set[int]], doubtful: set[int], first: int) -> Placed:
    number = next(
        (first + number for number, partition in enumerate(partitioned) if op.index in partition), None
    )
    device, reason = "cpu", "not in any delegated partition" if partitioned else ""
    if op.index in doubtful:
        device, reason = "unmapped", "nothing reads what it writes, so the partitions do not show it"
    elif number is not None:
        device, reason = (
            ("folded", "constant, unpacked when loading") if _unpacks(file, op) else ("accelerator", "")
        )
    return Placed(op.index, file.label(op), op.type, device, file.graph, number, reason)


def _unpacks(file: TfliteFile, op: Op) -> bool:
    """XNNPACK unpacks float16, int8 and sparse constants once, when it is applied
    (``Delegate::PrepareOpsToDelegate``).
    """
    if file.unpacks(op):
        return True
    if not op.inputs or op.type not in ("DEQUANTIZE", "DENSIFY"):
        return False
    writer = next((item for item in file.ops if op.inputs[0] in item.outputs), None)
    if writer is not None:  # a sparse constant is densified first
        return writer.type == "DENSIFY" and _unpacks(file, writer)
    stored = file.constant(op.inputs[0])
    return stored and (op.type == "DENSIFY" or file.dtype(op.inputs[0]) == file.schema.TensorType.INT8)


def _feeds(interpreter: Any, request: Request) -> dict[int, Any]:
    """Arrays by tensor index; by the tensor's name or its name in the signature."""
    wanted = interpreter.get_input_details()
    if request.inputs is None:
        if not request.outputs and not request.latency_runs:
            return {}
        return {item["index"]: _drawn(item, int(request.options.get("seed", 0))) for item in wanted}
    given = tensors.read(request.inputs)
    aliases = _aliases(interpreter)
    feeds = {}
    for item in wanted:
        name = pick(given, item["index"], item["name"], aliases.get(item["index"], ""))
        if name is None:
            raise KeyError(f"no array for input {item['name']!r}: given are {', '.join(given) or 'none'}")
        feeds[item["index"]] = given[name]
    return feeds


def _drawn(item: dict[str, Any], seed: int) -> Any:
    import numpy as np

    from ..inputs import draw

    shape = [int(dim) if dim > 0 else 1 for dim in item["shape"]]
    return draw(item["name"], np.dtype(item["dtype"]).name, shape, seed)


def _aliases(interpreter: Any) -> dict[int, str]:
    """Signature name by tensor index, of the first signature."""
    signatures = interpreter._get_full_signature_list()
    first = next(iter(signatures.values()), None)
    return {} if first is None else {int(index): name for name, index in first.get("inputs", {}).items()}


def _resize(interpreter: Any, feeds: dict[int, Any]) -> None:
    for item in interpreter.get_input_details():
        array = feeds.get(item["index"])
        if array is not None and tuple(array.shape) != tuple(int(dim) for dim in item["shape"]):
            interpreter.resize_tensor_input(item["index"], list(array.shape), strict=True)


def _planned(interpreter: Any) -> list[tuple[int, list[int]]]:
    """Index and shape of the tensors whose memory is planned before the model runs; dynamic ones have none
    yet.
    """
    found = []
    for item in interpreter.get_tensor_details():
        try:
            interpreter.tensor(item["index"])()
        except ValueError:
            continue
        found.append((int(item["index"]), [int(dim) for dim in item["shape"]]))
    return found


def _intermediate(interpreter: Any, kept: tuple[str, ...]) -> list[tuple[str, Any]]:
    if not kept:
        return []
    by_name = {item["name"]: item["index"] for item in interpreter.get_tensor_details()}
    found = []
    for name in kept:
        try:
            found.append((name, interpreter.get_tensor(by_name[name])))
        except (KeyError, ValueError):
            continue  # never computed: folded into a delegated partition
    return found
