"""What the ML Program families share: reading operands, and the small operators that replacements are made
of.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...analyzer.ir.graph import Constant, Dim, Graph, Operator, Tensor
from ..draft import Draft
from ..views import sizes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Sizes = tuple[int, ...]
READ_UP_TO = 65_536
"""Elements of constants that a match looks at."""


class MilDraft(Draft):
    """A draft whose names are identifiers, as Core ML wants them, and whose operators name their inputs."""

    def tensor(self, dtype: str, shape: Any, quant: Any = None, stem: str = "") -> str:
        """A new tensor's name."""
        name = self._fresh(stem or "value")
        self.tensors[name] = Tensor(name, dtype, shape, quant=quant)
        return name

    def constant(self, array: Any, dtype: str | None = None, stem: str = "const") -> str:
        """A new constant's name."""
        from ..draft import constant_of

        return self.stored(constant_of(array, dtype), stem)

    def stored(self, const: Constant, stem: str = "const") -> str:
        """A new constant's name."""
        name = self._fresh(stem)
        self.tensors[name] = Tensor(name, const.dtype, const.shape, const)
        return name

    def make(
        self, type: str, given: Mapping[str, str | Sequence[str]], shape: Sequence[Dim], *,
        dtype: str | None = None, to: str | None = None, **attrs: Any,
    ) -> str:  # fmt: skip
        """A new operator with one result: its inputs by parameter, in MIL's order; the dtype is the first
        input's.
        """
        names: list[str] = []
        inputs: list[str] = []
        for key, value in given.items():
            for item in [value] if isinstance(value, str) else value:
                names.append(key)
                inputs.append(item)
        kind = dtype or self.find(inputs[0]).dtype
        result = to or self.tensor(kind, tuple(shape), stem=type)
        self.op(type, inputs, (result,), {**attrs, "input_names": tuple(names)})
        return result

    def _fresh(self, stem: str) -> str:
        wanted = re.sub(r"\W", "_", f"{self.like.label}_{stem}")
        wanted = wanted if wanted[:1].isalpha() else f"op_{wanted}"
        name, count = wanted, 0
        while self.graph.find(name) is not None or name in self.tensors or name in self._spoken:
            count += 1
            name = f"{wanted}_{count}"
        self._spoken.add(self.graph.fresh(name))
        return name

    @property
    def _spoken(self) -> set[str]:
        found: set[str] = self.__dict__.setdefault("spoken", set())
        return found

    def _name(self, type: str) -> str:
        stem = re.sub(r"\W", "_", f"{self.like.label}_{type}")
        return stem if not self.ops else f"{stem}_{len(self.ops)}"

    def finish(self, name: str, to: str) -> None:
        """Let the value ``name`` be written as ``to``, a tensor of the graph; what no new operator writes
        is copied by an identity.
        """
        made = next((index for index, op in enumerate(self.ops) if name in op.outputs), None)
        if made is None or to in self.tensors:
            self.make("identity", {"x": name}, self.find(name).shape or (), to=to)
            return
        super().finish(name, to)


def given(op: Operator, key: str) -> str | None:
    """The name that a parameter has, None when it is not given by a tensor."""
    names = op.attrs.get("input_names", ())
    return next((name for name, own in zip(op.inputs, names, strict=False) if own == key and name), None)


def listed(op: Operator, key: str) -> list[str]:
    """The names of a parameter that is a list."""
    names = op.attrs.get("input_names", ())
    return [name for name, own in zip(op.inputs, names, strict=False) if own == key and name]


def shape_of(graph: Graph, name: str | None) -> Sizes | None:
    """The sizes of a tensor, None where they are not all known."""
    tensor = None if name is None else graph.find(name)
    return None if tensor is None else sizes(tensor)


def value_of(graph: Graph, op: Operator, key: str) -> NDArray[Any] | None:
    """The value of a parameter that is a small constant or a configuration."""
    import numpy as np

    if key in op.attrs:
        found = op.attrs[key]
        return found.read() if isinstance(found, Constant) else np.asarray(found)
    const = graph.constant(given(op, key))
    return None if const is None or const.elements > READ_UP_TO or const.dtype == "string" else const.read()


def whole(graph: Graph, op: Operator, key: str) -> list[int] | None:
    """The integers of a constant parameter."""
    found = value_of(graph, op, key)
    return None if found is None else [int(item) for item in found.reshape(-1)]


def setting(op: Operator, key: str, default: Any) -> Any:
    """A configuration, or its default where it is not given."""
    found = op.attrs.get(key)
    return default if found is None else found


def numbers(op: Operator, key: str, default: Sequence[int]) -> list[int]:
    """A list of integers of the configuration."""
    found = op.attrs.get(key)
    if found is None:
        return list(default)
    return [int(item) for item in (found if isinstance(found, tuple) else (found,))]


def result(op: Operator) -> str:
    """The name of the first result."""
    return op.outputs[0] or ""


# ---- small operators ---------------------------------------------------------------------------


def reshape(draft: MilDraft, name: str, shape: Sequence[int], to: str | None = None) -> str:
    """``name`` in another shape."""
    import numpy as np

    if to is None and draft.find(name).shape == tuple(shape):
        return name
    target = draft.constant(np.array(shape, np.int32), stem="shape")
    return draft.make("reshape", {"x": name, "shape": target}, shape, to=to)


def transpose(draft: MilDraft, name: str, perm: Sequence[int], to: str | None = None) -> str:
    """``name`` with its axes in another order."""
    known = sizes(draft.find(name)) or ()
    if to is None and list(perm) == sorted(perm):
        return name
    return draft.make("transpose", {"x": name}, [known[axis] for axis in perm], to=to, perm=tuple(perm))


def take(draft: MilDraft, name: str, axis: int, start: int, stop: int, step: int = 1) -> str:
    """Positions ``start`` to ``stop`` of one axis."""
    import numpy as np

    known = list(sizes(draft.find(name)) or ())
    if start == 0 and stop == known[axis] and step == 1:
        return name
    begin, end, stride = [0] * len(known), list(known), [1] * len(known)
    begin[axis], end[axis], stride[axis] = start, stop, step
    known[axis] = -(-(stop - start) // step)
    first = draft.constant(np.array(begin, np.int32), stem="begin")
    last = draft.constant(np.array(end, np.int32), stem="end")
    return draft.make("slice_by_index", {"x": name, "begin": first, "end": last}, known, stride=tuple(stride))


def concat(draft: MilDraft, names: Sequence[str], axis: int, to: str | None = None) -> str:
    """Values one behind the other."""
    if len(names) == 1 and to is None:
        return names[0]
    shapes = [sizes(draft.find(name)) or () for name in names]
    shape = list(shapes[0])
    shape[axis] = sum(item[axis] for item in shapes)
    return draft.make("concat", {"values": list(names)}, shape, to=to, axis=axis, interleave=False)


def binary(draft: MilDraft, type: str, left: str, right: str, to: str | None = None) -> str:
    """An element-wise operator of two operands that broadcast."""
    import numpy as np

    one, other = sizes(draft.find(left)) or (), sizes(draft.find(right)) or ()
    shape = np.broadcast_shapes(one, other)
    return draft.make(type, {"x": left, "y": right}, shape, to=to)


def unary(draft: MilDraft, type: str, name: str, to: str | None = None, **attrs: Any) -> str:
    """An element-wise operator of one operand."""
    return draft.make(type, {"x": name}, draft.find(name).shape or (), to=to, **attrs)


def cast(draft: MilDraft, name: str, dtype: str, to: str | None = None) -> str:
    """The value in another dtype."""
    words = {"float16": "fp16", "float32": "fp32"}
    result = to or draft.tensor(dtype, draft.find(name).shape, stem="cast")
    draft.op("cast", (name,), (result,), {"dtype": words.get(dtype, dtype), "input_names": ("x",)})
    return result


def scalar(draft: MilDraft, value: float, dtype: str, stem: str = "number") -> str:
    """A number."""
    import numpy as np

    return draft.constant(np.array(value, np.dtype(dtype)), dtype, stem)


def pad(
    draft: MilDraft,
    name: str,
    pairs: Sequence[tuple[int, int]],
    mode: str = "constant",
    to: str | None = None,
) -> str:
    """Zeros, or what the mode says, around the last axes; one pair an axis."""
    import numpy as np

    if to is None and not any(map(any, pairs)):
        return name
    known = list(sizes(draft.find(name)) or ())
    flat = [item for pair in pairs for item in pair]
    for axis, (before, after) in enumerate(pairs, len(known) - len(pairs)):
        known[axis] += before + after
    widths = draft.constant(np.array(flat, np.int32), stem="pad")
    return draft.make("pad", {"x": name, "pad": widths}, known, to=to, mode=mode, constant_val=0.0)
