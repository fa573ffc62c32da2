"""Predicates of the QNN provider's pack."""

from __future__ import annotations

from math import ceil, floor

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import HOLDS, Context, Outcome
from ..verdict import Answer
from . import holds_if, predicate
from .coreml_ep import dims


@predicate("qnn_einsum")
def qnn_einsum(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The equation is one of the five matrix products that the builder knows."""
    equation = str(op.attrs.get("equation", "")).replace(" ", "")
    terms, arrow, result = equation.partition("->")
    first, comma, second = terms.partition(",")
    known = bool(
        arrow and comma and "," not in second and equation.replace("->", "").replace(",", "").isalpha()
    )
    return holds_if(
        known and _matrix_product(first, second, result),
        f"equation {equation}",
        "a matrix product such as bij,bjk->bik",
    )


def _matrix_product(a: str, b: str, y: str) -> bool:
    """``IsEquationMatMul`` and its four siblings."""
    if len(a) == len(b) == len(y) and len(a) >= 2:
        batch = a[:-2] == b[:-2] == y[:-2]
        plain = batch and a[-2] == y[-2] and a[-1] == b[-2] and b[-1] == y[-1]
        right = batch and a[-2] == y[-2] and a[-1] == b[-1] and b[-2] == y[-1]
        both = len(a) == 4 and a[0] == b[0] == y[0] and a[3] == y[3] and a[1] == b[3] and b[1] == y[1]
        return plain or right or both
    if (len(a), len(b), len(y)) != (4, 3, 4) or a[:3] != y[:3] or a[3] != b[2] or b[1] != y[3]:
        return False
    return b[0] in (a[1], a[2])


@predicate("qnn_scales_match")
def qnn_scales_match(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The scales of a cubic Resize are exactly output size over input size; holds where sizes are given
    instead.
    """
    name = op.inputs[2] if len(op.inputs) > 2 else None
    scales = graph.constant(name)
    before, after = graph.find(op.inputs[0] or ""), graph.find(op.outputs[0] or "")
    if scales is None or not scales.elements or before is None or after is None:
        return holds_if(scales is not None or not name, "computed scales", "constant scales")
    values = scales.numbers()
    sizes = list(zip(before.shape or (), after.shape or (), values, strict=False))
    known = [(x, y, scale) for x, y, scale in sizes if isinstance(x, int) and isinstance(y, int) and x]
    wrong = [scale for x, y, scale in known if abs(scale - y / x) > 1e-5]
    return holds_if(not wrong, f"scale {wrong[0]:g}" if wrong else "", "output size over input size")


@predicate("qnn_slope_along_the_last")
def qnn_slope_along_the_last(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The slope of a PRelu varies along the last dimension only, or along the channels in a graph whose
    layout changes.
    """
    slope = graph.find(op.inputs[1] or "")
    shape = None if slope is None else slope.shape
    if shape is None or not all(isinstance(dim, int) for dim in shape):
        return Outcome(Answer.UNKNOWN, "a slope of unknown size", "along the last dimension")
    last = all(dim == 1 for dim in shape[:-1])
    channels = len(shape) >= 3 and all(dim == 1 for at, dim in enumerate(shape) if at != len(shape) - 3)
    moved = channels and any(other.type == "Conv" for other in graph.ops())
    return holds_if(last or moved, f"slope of {'x'.join(map(str, shape))}", "along the last dimension")


@predicate("qnn_branches_apart")
def qnn_branches_apart(graph: Graph, op: Operator, context: Context) -> Outcome:
    """No two branches write or store tensors of one name, and neither writes one of the operator's own
    name.
    """
    own = [
        {name for name in body.tensors if body.producer(name) is not None or body.constant(name)}
        for body in op.graphs.values()
    ]
    met: set[str] = {name for name in op.outputs if name}
    for names in own:
        shared = sorted(met & names)
        if shared:
            return Outcome(Answer.FAILS, f"a second tensor {shared[0]!r}", "names that differ")
        met |= names
    return Outcome(Answer.HOLDS)


@predicate("qnn_branches_without_average")
def qnn_branches_without_average(graph: Graph, op: Operator, context: Context) -> Outcome:
    """No branch holds an AveragePool."""
    found = any(inner.type == "AveragePool" for body in op.graphs.values() for _, inner in body.walk())
    return holds_if(not found, "AveragePool", "other operators")


@predicate("qnn_last_axis")
def qnn_last_axis(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The axis that is normalized over is the last one."""
    axis, data = int(op.attrs.get("axis", -1)), dims(graph, op, 0)
    if axis == -1:
        return HOLDS
    limit = "the last axis"
    if data is None:
        return Outcome(Answer.UNKNOWN, f"axis {axis} of unknown rank", limit)
    return holds_if(axis == len(data) - 1, f"axis {axis} of {len(data)} dimensions", limit)


@predicate("qnn_scale_of_one_axis")
def qnn_scale_of_one_axis(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The scale has one dimension behind leading ones, which the builder squeezes."""
    scale, limit = dims(graph, op, 1), "one dimension behind leading ones"
    if scale is None:
        return Outcome(Answer.UNKNOWN, "scale of unknown shape", limit)
    return holds_if(all(dim == 1 for dim in scale[:-1]), f"scale {list(scale)}", limit)


@predicate("qnn_scale_of_last_axes")
def qnn_scale_of_last_axes(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Scale and bias have the last sizes of the data, unbroadcast."""
    data = dims(graph, op, 0)
    for name, index in (("scale", 1), ("bias", 2)):
        own = dims(graph, op, index)
        if index >= len(op.inputs) or not op.inputs[index]:
            continue
        if own is None or data is None:
            return Outcome(Answer.UNKNOWN, f"{name} of unknown shape", "the last sizes of the data")
        fits = 0 < len(own) <= len(data) and own == data[len(data) - len(own) :]
        if not fits:
            return holds_if(False, f"{name} {list(own)}", f"the last sizes of {list(data)}")
    return HOLDS


@predicate("qnn_scales_not_quantized")
def qnn_scales_not_quantized(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The scales of a Resize are not the result of a DequantizeLinear."""
    place = 2 if op.type == "Resize" and op.version >= 11 else 1
    writer = graph.producer(op.inputs[place]) if len(op.inputs) > place else None
    made = writer is not None and writer.type == "DequantizeLinear"
    return holds_if(not made, "scales made by DequantizeLinear", "scales stored in float32")


_NEAREST = {
    "half_pixel": ("round_prefer_ceil",),
    "pytorch_half_pixel": ("round_prefer_floor",),
    "asymmetric": ("floor",),
    "align_corners": ("round_prefer_floor", "round_prefer_ceil"),
}
"""How the HTP rounds, by the coordinates: ``nearest_mode`` does not reach it."""
_ROUNDED = {
    "round_prefer_floor": lambda place: ceil(place - 0.5),
    "round_prefer_ceil": lambda place: floor(place + 0.5),
    "floor": floor,
    "ceil": ceil,
}


@predicate("qnn_nearest")
def qnn_nearest(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The elements that a nearest Resize reads are those that the HTP reads, which rounds in a way of its
    own.
    """
    way = str(op.attrs.get("coordinate_transformation_mode", "half_pixel"))
    mode = str(op.attrs.get("nearest_mode", "round_prefer_floor"))
    result = graph.output_tensors(op)[0]
    pairs = zip(dims(graph, op, 0) or ("",), (result.shape if result else None) or ("",), strict=False)
    sizes = [(x, y) for x, y in pairs if isinstance(x, int) and isinstance(y, int)]
    wanted = _NEAREST.get(way, ())
    if not wanted or mode not in _ROUNDED or len(sizes) != len(dims(graph, op, 0) or ("",)):
        return holds_if(None, f"{mode} with {way}", "")
    same = mode in wanted or all(_reads_alike(way, mode, wanted[0], x, y) for x, y in sizes if x != y)
    return holds_if(same, f"{mode} with {way}", " or ".join(wanted))


def _reads_alike(way: str, mode: str, other: str, before: int, after: int) -> bool:
    """Whether both roundings read the same elements when ``before`` become ``after``."""
    for index in range(min(after, 4096)):
        place = (index + 0.5) * before / after - 0.5
        if way == "asymmetric":
            place = index * before / after
        if way == "align_corners":
            place = index * (before - 1) / max(after - 1, 1)
        first, second = (min(max(_ROUNDED[item](place), 0), before - 1) for item in (mode, other))
        if first != second:
            return False
    return True


@predicate("qnn_average")
def qnn_average(graph: Graph, op: Operator, context: Context) -> Outcome:
    """No axis is padded in a way that the HTP averages wrong; kernels that were not measured hold."""
    kernel = list(op.attrs.get("kernel_shape", ()))
    count = len(kernel)
    strides = list(op.attrs.get("strides", ())) or [1] * count
    pads = list(op.attrs.get("pads", ())) or [0] * (2 * count)
    padded = bool(op.attrs.get("count_include_pad", 0))
    axes = zip(kernel, strides, pads, pads[count:], strict=False)
    wrong = [axis for axis in axes if any(axis[2:]) and _average_is_wrong(*axis, padded)]
    seen = "" if not wrong else "kernel {}, stride {}, pads {} and {}".format(*wrong[0])
    return holds_if(not wrong, f"{seen}, count_include_pad {int(padded)}", "")


def _average_is_wrong(kernel: int, stride: int, begin: int, end: int, padded: bool) -> bool:
    """Measured with kernels of 2 and 3 and strides of 1 and 2."""
    if kernel == 2 and stride == 2:
        return begin > 0
    if kernel == 2 and stride == 1:
        return begin > 0 if padded else begin == 0
    return kernel == 3 and stride == 1 and not padded and (begin, end) != (1, 1)


@predicate("qnn_only_quantized")
def qnn_only_quantized(graph: Graph, op: Operator, context: Context) -> Outcome:
    """One QuantizeLinear is all that reads the result: the provider builds both as one operator
    (``cast_lone_q_fusion``).
    """
    readers = graph.consumers(op.outputs[0])
    alone = len(readers) == 1 and readers[0].type == "QuantizeLinear" and op.outputs[0] not in graph.outputs
    return holds_if(alone, "a float result", "one that is only quantized")


COMPILED_SCORES = 192
"""Scores of one batch up to which Hexagon v68 compiled an Attention with a softcap whatever their sizes. With
four queries or more none of 200 or more compiled, with fewer some did.
"""


@predicate("qnn_softcap_scores")
def qnn_softcap_scores(graph: Graph, op: Operator, context: Context) -> Outcome:
    """How many scores an Attention caps, heads and batches together, and the batch size."""
    limit = f"at most {COMPILED_SCORES} scores, batch size 1"
    query, key, past = (_known(dims(graph, op, place)) for place in (0, 1, 4))
    if len(query) != len(key) or len(query) not in (3, 4):
        return Outcome(Answer.UNKNOWN, "sizes that are not known", limit)
    heads = query[1] if len(query) == 4 else int(op.attrs.get("q_num_heads", 1))
    scores = query[0] * heads * query[-2] * (key[-2] + (past[-2] if past else 0))
    seen = f"{scores} scores, batch size {query[0]}"
    if query[0] == 1 and scores > COMPILED_SCORES and query[-2] < 4:
        return Outcome(Answer.UNKNOWN, seen, limit)
    return holds_if(query[0] == 1 and scores <= COMPILED_SCORES, seen, limit)


def _known(shape: tuple[int | str | None, ...] | None) -> tuple[int, ...]:
    """A shape all of whose sizes are known, else none."""
    sizes = tuple(size for size in shape or () if isinstance(size, int))
    return sizes if shape is not None and len(sizes) == len(shape) else ()
