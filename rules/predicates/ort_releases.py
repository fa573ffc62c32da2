"""What each release of ONNX Runtime loads at all: the newest operator sets and file formats that it knows."""

from __future__ import annotations

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import Context, Outcome
from ..pack import version_key
from ..subjects import Reach
from . import holds_if, predicate

RELEASES = (
    ("1.15", 18, 3, 9),
    ("1.16", 19, 3, 9),
    ("1.17", 20, 4, 9),
    ("1.18", 21, 5, 10),
    ("1.21", 22, 5, 10),
    ("1.23", 23, 5, 11),
    ("1.24", 25, 5, 13),
    ("1.25", 26, 5, 13),
    ("1.32", 28, 5, 14),
)
"""The first release, the newest operator sets of ``ai.onnx`` and ``ai.onnx.ml``, and the newest IR version.

Asked of the packages by models of one Identity (``tools/derive/ort_loads.py``): of 1.15.1, 1.16.3, 1.17.3,
1.18.1 and of the last patch of every minor release from 1.19 to 1.32.
"""


@predicate("ort_operator_set", Reach.LOCAL)
def operator_set(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The release knows the operator set: the operator's, and of an operator of another domain the standard
    one that its file names.
    """
    _, standard, learning, _ = limits(context)
    if op.domain == "ai.onnx.ml":
        return holds_if(op.version <= learning, f"operator set {op.version}", f"{learning} or older")
    own = op.version if op.domain in ("", "ai.onnx") else graph.opsets.get("", 0)
    return holds_if(own <= standard, f"operator set {own}", f"{standard} or older")


@predicate("ort_ir_version", Reach.LOCAL)
def ir_version(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The release reads files of that IR version."""
    newest, own = limits(context)[3], graph.facts.ir_version
    return holds_if(own <= newest, f"IR version {own}", f"{newest} or older")


@predicate("ort_value_in_the_file")
def value_in_the_file(graph: Graph, op: Operator, context: Context) -> Outcome:
    """No stored operand lies in a file beside the model's.

    Source: onnxruntime, ``HasExternalInitializer`` in base_op_builder.cc of the NNAPI and CoreML providers.
    """
    found = (graph.find(name) for name in op.inputs if name)
    outside = [tensor.name for tensor in found if tensor is not None and tensor.attrs.get("external")]
    return holds_if(not outside, f"{', '.join(outside)} outside the file", "values in the file")


def limits(context: Context) -> tuple[str, int, int, int]:
    """What the target's release loads: that of its host where the provider counts its own releases."""
    asked = version_key(context.host or context.version)
    return next((row for row in reversed(RELEASES) if version_key(row[0]) <= asked), RELEASES[0])
