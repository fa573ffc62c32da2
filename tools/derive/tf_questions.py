"""Calls of raw TensorFlow operators, made from their definitions: what ``tf_convertible.py`` asks the
converters about.

A ``Question`` is plain data: an operator, the values of its type attributes, one text for each input
(``float32[4,?]``, ``float32`` of unknown rank, ``=[1, 2]int32`` for a constant, ``resource``, ``variant``)
and the other attributes. ``build`` makes the call in the graph that is open; TensorFlow's own shape function
has the last word on what may be asked.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

EDGE = [
    "float32",
    "int32",
    "int64",
    "bool",
    "string",
    "uint8",
    "int8",
    "float64",
    "complex64",
    "float16",
    "int16",
    "uint32",
]
"""Element types that functions of TFLite models may take and give; others are made inside, by a cast."""
INNER = ["bfloat16", "uint16", "uint64", "complex128", "qint8", "quint8", "qint32", "qint16", "quint16"]
INDEX = {"int16", "int32", "int64", "uint16"}
HANDLES = ("resource", "variant")
SHAPES = ("4,4,4,4", "4,4", "4", "", "4,4,4", "4,4,4,4,4")
STORED: tuple[Any, ...] = (
    1, 0, [1], [0], [4, 4], [4, 4, 4, 4], [0, 1, 2, 3], [1, 1, 1, 1], [0, 0, 0, 0], 2, [1, 1], [0, 1], [2, 2],
    [[0, 0], [0, 0], [0, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 0]], [4], [1, 1, 1, 1, 1],
)  # fmt: skip
LISTS: tuple[list[int], ...] = ([1, 1, 1, 1], [1, 2, 2, 1], [1], [1, 1, 1, 1, 1], [1, 1], [])
CHOSEN: dict[str, Any] = {"equation": "ij,jk->ik", "seq_dim": 1, "is_training": False}
"""Attributes that need a value which no default gives, or whose default is meant for training."""
PLANS: dict[str, tuple[Any, ...]] = {
    "Slice": ("4,4", [0, 1], [2, 2]),
    "OneHot": ("4", 4, 1, 0),
    "ScatterNd": ([[0], [2]], "2,4", [4, 4]),
    "TensorScatterAdd": ("4,4", [[0], [2]], "2,4"),
    "TensorScatterSub": ("4,4", [[0], [2]], "2,4"),
    "TensorScatterMax": ("4,4", [[0], [2]], "2,4"),
    "TensorScatterMin": ("4,4", [[0], [2]], "2,4"),
    "TensorScatterUpdate": ("4,4", [[0], [2]], "2,4"),
    "Einsum": ("4,4",),
    "SpaceToBatchND": ("4,4,4,4", [2, 2], [[0, 0], [0, 2]]),
    "Pad": ("4,4", [[1, 1], [0, 2]]),
    "PadV2": ("4,4", [[1, 1], [0, 2]], ""),
    "MirrorPad": ("4,4", [[1, 1], [0, 2]]),
    "Tile": ("4,4", [2, 1]),
    "Transpose": ("4,4,2", [2, 0, 1]),
    "Roll": ("4,4", 1, 0),
    "Reshape": ("4,4", [2, 8]),
    "BatchToSpaceND": ("4,4,4,4", [2, 2], [[0, 0], [0, 0]]),
    "Split": (1, "4,4"),
    "SplitV": ("4,4", [2, 2], 1),
    "Conv3DBackpropInputV2": ([4, 4, 4, 4, 4], "2,2,2,4,4", "4,4,4,4,4"),
    "Conv2DBackpropInput": ([4, 4, 4, 4], [[[[1] * 4] * 4]], "4,4,4,4"),
    "DynamicStitch": ([0, 1], "2,4"),
    "ReverseSequence": ("4,4", [1, 2, 3, 4]),
    "Bincount": ("4", 4, "4"),
    "Where": ("4,4",),
    "CropAndResize": ("4,4,4,4", "1,4", [0], [2, 2]),
    "MatrixDiagV2": ("4,4", 0, -1, -1, 0),
    "MatrixDiagV3": ("4,4", 0, -1, -1, 0),
    "MatrixSetDiagV2": ("4,4", "4", 0),
    "MatrixSetDiagV3": ("4,4", "4", 0),
    "MatrixDiagPartV2": ("4,4", 0, 0),
    "MatrixDiagPartV3": ("4,4", 0, 0),
    "SegmentSum": ("4,4", [0, 0, 1, 1]),
    "NonMaxSuppression": ("4,4", "4", 2),
    "NonMaxSuppressionV2": ("4,4", "4", 2, 0.5),
    "NonMaxSuppressionV3": ("4,4", "4", 2, 0.5, 0.1),
    "RGBToHSV": ("4,4,3",),
    "HSVToRGB": ("4,4,3",),
    "Cross": ("4,3", "4,3"),
    "NonMaxSuppressionV4": ("4,4", "4", 2, 0.5, 0.1),
    "NonMaxSuppressionV5": ("4,4", "4", 2, 0.5, 0.1, 0.0),
    "SparseToDense": ([[0, 0], [1, 1]], [4, 4], "2", 0),
    "StridedSlice": ("4,4", [0, 0], [2, 2], [1, 1]),
    "GatherV2": ("4,4", [0, 1], 0),
    "GatherNd": ("4,4", [[0], [1]]),
    "XlaDynamicUpdateSlice": ("4,4", "2,2", [0, 0]),
    "XlaDynamicSlice": ("4,4", [0, 0], [2, 2]),
    "XlaGather": ("4,4", [[0], [2]], [1, 4]),
    "QuantizeAndDequantizeV4": ("4,4", -1, 1),
    "Range": ("", "", ""),
    "BroadcastTo": ("4", [4, 4]),
    "Multinomial": ("4,4", 2),
    "RandomUniform": ("2",),
    "RandomStandardNormal": ("2",),
    "RFFT": ("4,4", [4]),
    "IRFFT": ("4,3", [4]),
    "RFFT2D": ("4,4", [4, 4]),
    "IRFFT2D": ("4,3", [4, 4]),
    "AudioSpectrogram": ("16,1",),
    "Mfcc": ("1,4,9", 16000),
    "LookupTableFindV2": ("resource", "4", 0),
    "TensorListFromTensor": ("4,4", [4]),
    "TensorListReserve": ([4], 4),
    "TensorListSetItem": ("variant", 1, "4"),
    "TensorListGetItem": ("variant", 1, [4]),
    "TensorListStack": ("variant", [4]),
    "TensorListPushBack": ("variant", "4"),
    "TensorListPopBack": ("variant", [4]),
    "TensorListResize": ("variant", 4),
    "TensorListElementShape": ("variant",),
    "TensorListConcatV2": ("variant", [4], [4]),
    "TensorListGather": ("variant", [0, 1], [4]),
    "EmptyTensorList": ([4], 4),
    "FusedBatchNorm": ("4,4,4,4", *["4"] * 4),
    "FusedBatchNormV2": ("4,4,4,4", *["4"] * 4),
    "FusedBatchNormV3": ("4,4,4,4", *["4"] * 4),
    "BatchNormWithGlobalNormalization": ("4,4,4,4", *["4"] * 4),
    "CombinedNonMaxSuppression": ("1,4,1,4", "1,4,2", 2, 4, 0.5, 0.1),
    "StringSplitV2": ("4", '="a"'),
    "RaggedRange": ("4", "4", "4"),
    "RaggedTensorToTensor": ([4, 4], "4", 0, "4"),
    "LowerBound": ("4,4", "4,2"),
    "UpperBound": ("4,4", "4,2"),
    "XlaConvV2": ("1,4,4,2", "2,2,2,4", [1, 1], [[0, 0], [0, 0]], [1, 1], [1, 1], 1),
    "BlockLSTM": (4, "4,2,3", "2,4", "2,4", "7,16", "4", "4", "4", "16"),
    "BlockLSTMV2": (4, "4,2,3", "2,4", "2,4", "7,16", "4", "4", "4", "16"),
    "UnsortedSegmentSum": ("4,4", [0, 0, 1, 1], 2),
    "UnsortedSegmentMax": ("4,4", [0, 0, 1, 1], 2),
    "UnsortedSegmentMin": ("4,4", [0, 0, 1, 1], 2),
    "UnsortedSegmentProd": ("4,4", [0, 0, 1, 1], 2),
    "ExtractImagePatches": ("1,4,4,4",),
    "MaxPoolWithArgmax": ("1,4,4,4",),
    "Dilation2D": ("1,4,4,4", "2,2,4"),
    "SparseFillEmptyRows": ([[0, 0], [1, 1]], "2", [4, 4], 0),
    "InitializeTableV2": ("resource", "4", "4"),
    "Fill": ([4, 4], ""),
    "ArgMax": ("4,4", 1),
    "ArgMin": ("4,4", 1),
    "MaxUnpool": ("4,4",),
    "ResourceGather": ("resource", "4"),
}
"""Inputs of operators that must fit each other: a shape, or a stored value."""


@dataclass(frozen=True, slots=True)
class Question:
    """One call of an operator, as plain data."""

    op: str
    types: dict[str, Any]
    inputs: list[Any]
    attrs: dict[str, Any] = field(default_factory=dict)
    first: bool = False
    """Only the first output is used."""

    def text(self) -> str:
        """The question on one line."""
        return json.dumps(
            [self.op, self.types, self.inputs, self.attrs, *([True] if self.first else [])],
            separators=(",", ":"),
        )

    @classmethod
    def read(cls, text: str) -> Question:
        """The question that ``text`` wrote."""
        return cls(*json.loads(text))

    def changed(self, **parts: Any) -> Question:
        """A copy with some fields replaced."""
        return Question(**{**asdict(self), **parts})


@cache
def definition(op: str) -> Any:
    """The operator's definition, None when TensorFlow does not register it."""
    from tensorflow.python.framework import op_def_registry

    return op_def_registry.get(op)


class Calls:
    """The ways to call one operator."""

    def __init__(self, op: str) -> None:
        self.op = op
        self.definition = definition(op)
        self.attrs = {attr.name: attr for attr in self.definition.attr}
        self.args = list(self.definition.input_arg)
        self.counts = {arg.number_attr for arg in self.args if arg.number_attr}
        types = [arg.type_attr for arg in self.args if arg.type_attr]
        types += [name for name, attr in self.attrs.items() if attr.type == "type"]
        types = [name for name in types if not set(self.allowed(name)) <= INDEX]
        self.primary = types[0] if types else ""

    def allowed(self, name: str) -> list[str]:
        """Element types that an attribute may name, those that models use first."""
        values = [_name(value) for value in self.attrs[name].allowed_values.list.type]
        order = [*EDGE, *INNER, *HANDLES]
        return [item for item in order if item in values] if values else [*EDGE, *INNER[:4], *HANDLES]

    def types(self, dtype: str) -> dict[str, Any]:
        """All type attributes, the first one being ``dtype``."""
        found: dict[str, Any] = {}
        for name, attr in self.attrs.items():
            if attr.type == "type":
                allowed = self.allowed(name) or ["float32"]
                default = _name(attr.default_value.type) if attr.HasField("default_value") else ""
                first = "int32" if name == "Tlen" else dtype if name == self.primary else default
                guesses = [first, dtype if name == "T" else "", "float32", "int32", *allowed]
                found[name] = next((item for item in guesses if item in allowed), allowed[0])
            elif attr.type == "list(type)" and not (
                attr.HasField("default_value") and attr.default_value.list.type
            ):
                found[name] = ["float32"]
        return found

    def everywhere(self, dtypes: Sequence[str], searches: int = 3) -> dict[str, list[Question]]:
        """Calls by the element type of the first type attribute: searched for some, the same calls of another
        type for the rest.
        """
        found: dict[str, list[Question]] = {}
        models: list[Question] = []
        for dtype in dtypes:
            same = [self.retyped(model, self.primary, dtype) for model in models]
            found[dtype] = [question for question in same if accepted(question)]
            if not found[dtype] and searches:
                searches -= 1
                found[dtype] = list(self.questions(dtype))
                models = models or found[dtype]
        return found

    def retyped(self, question: Question, name: str, dtype: str) -> Question:
        """The same call with another value of a type attribute."""

        def one(text: str) -> str:
            item = Input.read(text)
            if item.stored:
                return text.removesuffix(item.dtype) + dtype
            return Input(dtype, item.shape).text if dtype not in HANDLES else dtype

        inputs = [
            ([one(text) for text in item] if isinstance(item, list) else one(item))
            if arg.type_attr == name
            else item
            for arg, item in zip(self.args, question.inputs, strict=True)
        ]
        return question.changed(types={**question.types, name: dtype}, inputs=inputs)

    def questions(self, dtype: str, tries: int = 400) -> Iterator[Question]:
        """Calls that TensorFlow's shape function takes, one of a kind of ranks; each also with all but the
        first input stored.

        Without one, the call whose inputs have no known rank.
        """
        types, kinds = self.types(dtype), set()
        for number, (inputs, attrs) in enumerate(self._combinations(types)):
            if number > tries or len(kinds) > 3:
                break
            question = Question(self.op, types, inputs, attrs)
            if tuple(map(_kind, inputs[:1])) in kinds or not accepted(question):
                continue
            kinds.add(tuple(map(_kind, inputs[:1])))
            stored = self.stored(question) if len(inputs) > 1 else None
            found = [question, *([stored] if stored else [])]
            yield from found
            if len(self.definition.output_arg) > 1:
                yield from [item.changed(first=True) for item in found]
        if not kinds:
            inputs = [self._many(arg, types, self._unranked) for arg in self.args]
            question = Question(self.op, types, inputs, self._attributes(types, LISTS[0], 2))
            if accepted(question):
                yield question

    def stored(self, question: Question) -> Question | None:
        """The same call with every input but the first computed one stored; None when that is no call."""
        keep = next(
            (
                place
                for place, item in enumerate(question.inputs)
                if not isinstance(item, str) or _kind(item) is not None
            ),
            0,
        )
        inputs = [
            item
            if position == keep or not isinstance(item, str) or _kind(item) is None
            else _stored_text(item)
            for position, item in enumerate(question.inputs)
        ]
        changed = question.changed(inputs=inputs)
        return changed if changed != question and accepted(changed) else None

    def _combinations(self, types: dict[str, Any]) -> Iterator[tuple[list[Any], dict[str, Any]]]:
        if self.op in PLANS:
            plan = PLANS[self.op]
            inputs = [
                self._many(arg, types, lambda kind, item=item: _input(kind, item))
                for arg, item in zip(self.args, plan, strict=True)
            ]
            yield inputs, self._attributes(types, LISTS[0], 2)
            yield inputs, self._attributes(types, LISTS[1], 1)
            yield inputs, self._attributes(types, LISTS[3], 1)
            return
        index = [self._is_index(arg) for arg in self.args]
        index = [False, *index[1:]] if all(index) and index else index
        lists = (
            LISTS
            if any(
                attr.type == "list(int)" and not attr.HasField("default_value")
                for attr in self.attrs.values()
            )
            else LISTS[:1]
        )
        free = [
            attr for attr in self.attrs.values() if attr.type == "int" and not attr.HasField("default_value")
        ]
        numbers = (1, 2, 4) if [attr for attr in free if attr.name not in self.counts] else (2,)
        stored = STORED if any(index) else STORED[:1]
        for shape, value, ints, number in itertools.product(
            SHAPES if index else SHAPES[:1], stored, lists, numbers
        ):
            yield self._made(types, [value if is_index else shape for is_index in index], ints, number)
        if len(self.args) < 2:
            return  # the product above is complete
        for (first, rest), value, ints in itertools.product(itertools.permutations(SHAPES, 2), stored, lists):
            yield self._made(
                types, [first, *(value if is_index else rest for is_index in index[1:])], ints, numbers[0]
            )
        rng = random.Random(self.op)
        for _ in range(300):
            items = [
                rng.choice(STORED) if is_index and rng.random() < 0.8 else rng.choice(SHAPES)
                for is_index in index
            ]
            yield self._made(types, items, rng.choice(lists), rng.choice(numbers))

    def _made(
        self, types: dict[str, Any], items: list[Any], ints: list[int], number: int
    ) -> tuple[list[Any], dict[str, Any]]:
        inputs = [
            self._many(arg, types, lambda kind, item=item: _input(kind, item))
            for arg, item in zip(self.args, items, strict=True)
        ]
        return inputs, self._attributes(types, ints, number)

    def _many(self, arg: Any, types: dict[str, Any], one: Any) -> Any:
        if arg.type_list_attr:
            stored = [_name(item) for item in self.attrs[arg.type_list_attr].default_value.list.type]
            return [one(kind) for kind in types.get(arg.type_list_attr, stored)]
        kind = types[arg.type_attr] if arg.type_attr else _name(arg.type)
        return [one(kind)] * 2 if arg.number_attr else one(kind)

    @staticmethod
    def _unranked(kind: str) -> str:
        return kind

    def _is_index(self, arg: Any) -> bool:
        if arg.type_attr:
            attr = self.attrs[arg.type_attr]
            return (
                arg.type_attr != self.primary
                and set(self.allowed(arg.type_attr)) <= INDEX
                and attr.type == "type"
            )
        return bool(arg.type) and _name(arg.type) in ("int32", "int64")

    def _attributes(self, types: dict[str, Any], ints: list[int], number: int) -> dict[str, Any]:
        """The attributes that are neither types nor told by the inputs."""
        told = {name for arg in self.args for name in (arg.type_attr, arg.number_attr, arg.type_list_attr)}
        found = {}
        for name, attr in self.attrs.items():
            if name in told or name in types or attr.type in ("type", "list(type)"):
                continue
            if name in CHOSEN:
                found[name] = CHOSEN[name]
            elif not attr.HasField("default_value"):
                found[name] = _attribute(attr, ints, number)
        return found


def _attribute(attr: Any, ints: list[int], number: int) -> Any:
    allowed = [item.decode() for item in attr.allowed_values.list.s]
    made: dict[str, Any] = {
        "int": max(number, attr.minimum) if attr.has_minimum else number,
        "float": 0.5,
        "bool": False,
        "string": allowed[0] if allowed else "x",
        "shape": [4],
        "tensor": "tensor",
        "func": "func",
        "list(int)": ints,
        "list(float)": [0.5],
        "list(string)": ["x"],
        "list(shape)": [[4]],
        "list(bool)": [False],
        "list(func)": ["func"],
        "list(tensor)": ["tensor"],
    }
    return made[attr.type]


def default(attr: Any) -> Any:
    """An attribute's default as plain data."""
    value = attr.default_value
    if value.WhichOneof("value") != "list":
        found = getattr(value, value.WhichOneof("value"))
        return found.decode("utf-8", "replace") if isinstance(found, bytes) else found
    fields = {"int": "i", "float": "f", "string": "s", "bool": "b", "type": "type", "shape": "shape"}
    items = list(getattr(value.list, fields[attr.type[5:-1]]))
    return [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in items]


def _name(value: int) -> str:
    import tensorflow as tf

    kind = tf.as_dtype(value)
    return str((kind.base_dtype if kind._is_ref_dtype else kind).name)


def _input(kind: str, item: Any) -> str:
    """The text of an input: a shape's, or a stored value's."""
    if kind in HANDLES or item in HANDLES:
        return item if item in HANDLES else kind
    if isinstance(item, str) and not item.startswith("="):
        return f"{kind}[{item}]"
    return f"={item[1:] if isinstance(item, str) else json.dumps(item)}{kind}"


_TEXT = re.compile(r"^=(.*?)([a-z]+\d*)$|^([a-z]+\d*)(?:\[(.*)\])?$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Input:
    """An input's text, read. ``value`` is None for what is computed, ``shape`` None without a rank."""

    dtype: str
    shape: tuple[int | None, ...] | None = None
    value: Any = None
    stored: bool = False

    @classmethod
    def read(cls, text: str) -> Input:
        """Raises ValueError for a text that is none."""
        match = _TEXT.match(text)
        if match is None:
            raise ValueError(text)
        if match[2]:
            return cls(match[2], None, json.loads(match[1]) if match[1][:1] != "@" else match[1], True)
        if match[4] is None:
            return cls(match[3])
        dims = tuple(None if item == "?" else int(item) for item in match[4].split(",") if item)
        return cls(match[3], dims)

    @property
    def text(self) -> str:
        """The text that ``read`` takes; of computed inputs alone."""
        if self.shape is None:
            return self.dtype
        return f"{self.dtype}[{','.join('?' if dim is None else str(dim) for dim in self.shape)}]"


def _kind(item: Any) -> int | None:
    """The rank of a computed input, None of others."""
    if not isinstance(item, str):
        return None
    found = Input.read(item)
    return None if found.stored or found.shape is None else len(found.shape)


def _stored_text(item: str) -> str:
    found = Input.read(item)
    return f"=@{','.join(map(str, found.shape or ()))}@{found.dtype}"


# ---- building ------------------------------------------------------------------------------


def accepted(question: Question) -> bool:
    """Whether TensorFlow takes the call."""
    import tensorflow as tf

    with tf.Graph().as_default():
        try:
            build(question, {}, "asked")
        except Exception:  # whatever it is, this is no way to call the operator
            return False
    return True


def specs(question: Question, prefix: str, scalars: bool = True) -> dict[int, Any]:
    """Specs of what the call takes from outside, by place among its flat inputs.

    Without ``scalars`` a scalar comes as a vector of one, which the call reshapes.
    """
    import tensorflow as tf

    found = {}
    for place, text in enumerate(_flat(question.inputs)):
        item = Input.read(text)
        if not item.stored and item.dtype not in HANDLES:
            shape = item.shape if item.shape or scalars else [1]
            found[place] = tf.TensorSpec(
                shape, item.dtype if item.dtype in EDGE else "float32", name=f"{prefix}{place}"
            )
    return found


def _flat(inputs: list[Any]) -> list[str]:
    return [text for item in inputs for text in (item if isinstance(item, list) else [item])]


def build(question: Question, fed: dict[int, Any], name: str) -> Any:
    """The call's results in the open graph. ``fed`` takes the computed inputs by place; others become
    placeholders.
    """
    from tensorflow.python.framework import op_def_library

    calls = definition(question.op)
    arguments: dict[str, Any] = {}
    place = 0
    for arg, item in zip(calls.input_arg, question.inputs, strict=True):
        texts = item if isinstance(item, list) else [item]
        made = [
            _tensor(text, fed.get(place + order), f"p{name}_{place + order}", arg.is_ref, question.op)
            for order, text in enumerate(texts)
        ]
        place += len(texts)
        arguments[arg.name] = made if isinstance(item, list) else made[0]
    told = {key for arg in calls.input_arg for key in (arg.type_attr, arg.number_attr, arg.type_list_attr)}
    for attr in calls.attr:
        if attr.name in told:
            continue
        if attr.name in question.attrs:
            arguments[attr.name] = _value(attr, question.attrs[attr.name])
        elif attr.name in question.types:
            arguments[attr.name] = question.types[attr.name]
        elif attr.HasField("default_value"):
            arguments[attr.name] = default(attr)
    return op_def_library.apply_op(question.op, name=name, **arguments)


def _tensor(text: str, fed: Any, name: str, ref: bool, op: str) -> Any:
    import tensorflow as tf

    item = Input.read(text)
    raw, v1 = tf.raw_ops, tf.compat.v1
    if ref:
        return raw.VariableV2(
            shape=item.shape or ((2,) if item.dtype == "string" else (4,)), dtype=item.dtype, name=name
        )
    if item.dtype == "resource" and op.startswith("TensorArray"):
        return raw.TensorArrayV3(size=4, dtype="float32", name=name).handle
    if item.dtype == "resource":
        return raw.VarHandleOp(dtype="float32", shape=[4, 4], name=name)
    if item.dtype == "variant":
        return raw.EmptyTensorList(element_shape=[4], max_num_elements=4, element_dtype="float32", name=name)
    if item.stored:
        if not isinstance(item.value, str) or item.value[:1] != "@":
            return tf.constant(item.value, item.dtype, name=name)
        shape = [int(dim) for dim in item.value[1:-1].split(",") if dim]
        neutral_to_nothing = {"string": "a", "bool": True}.get(
            item.dtype, 3
        )  # x * 1 and x + 0 would be folded
        return tf.constant(neutral_to_nothing, item.dtype, shape, name=name)
    if fed is not None and item.shape == () and fed.shape.rank == 1:
        fed = tf.reshape(fed, [], name=f"{name}_scalar")
    edge = item.dtype in EDGE
    value = (
        v1.placeholder(item.dtype if edge else "float32", item.shape, name=f"{name}_in")
        if fed is None
        else fed
    )
    if edge:
        return value
    if item.dtype.startswith(("q", "quint")):
        zeros = tf.constant(0.0, name=f"{name}_low"), tf.constant(1.0, name=f"{name}_high")
        return raw.QuantizeV2(
            input=value, min_range=zeros[0], max_range=zeros[1], T=item.dtype, name=name
        ).output
    return tf.cast(value, item.dtype, name=name)


def _value(attr: Any, value: Any) -> Any:
    import tensorflow as tf

    if attr.type == "tensor":
        return tf.make_tensor_proto([1.0])
    if attr.type in ("func", "list(func)"):
        made = tf.function(lambda x: x, autograph=False).get_concrete_function(tf.TensorSpec([4], "float32"))
        made.add_to_graph(tf.compat.v1.get_default_graph())
        return [made] if attr.type == "list(func)" else made
    if attr.type == "list(tensor)":
        return [tf.make_tensor_proto([1.0])]
    return value


def shown(result: Any, name: str, first: bool = False) -> list[Any]:
    """The results, or the first, as a TFLite model may give them: what its edge refuses is wrapped in an
    operator of another name.
    """
    import tensorflow as tf

    if result is None or isinstance(result, tf.Operation):
        return []
    raw, found = tf.raw_ops, []
    for order, tensor in enumerate(tf.nest.flatten(result)[: 1 if first else None]):
        kind, label = tensor.dtype.base_dtype.name, f"s{name}_{order}"
        if kind in EDGE:
            found.append(tf.identity(tensor, name=label) if tensor.dtype._is_ref_dtype or first else tensor)
        elif kind == "resource":
            found.append(raw.VarIsInitializedOp(resource=tensor, name=label))
        elif kind == "variant":
            found.append(raw.DatasetCardinality(input_dataset=tensor, name=label))
        elif kind.startswith("q"):
            found.append(raw.Bitcast(input=tensor, type=kind.removeprefix("q"), name=label))
        else:
            found.append(tf.cast(tensor, "float32", name=label))
    return found
