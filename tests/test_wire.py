"""The protobuf wire format: reading fields, taking tensor data out and putting it back."""

from __future__ import annotations

import onnx
import pytest
from accelint.analyzer.formats import wire
from accelint.analyzer.formats.onnx.wire import MARK, inflate, span_of, strip
from accelint.analyzer.formats.wire import (
    KEEP,
    LEAF,
    Leaf,
    Span,
    WireError,
    encode,
    fields,
    length,
    splice,
    tag,
    tagged,
    varint,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper


@given(st.integers(0, 2**64 - 1))
def test_a_varint_is_read_as_it_was_written(value: int) -> None:
    data = encode(value)
    assert varint(data, 0, len(data)) == (value, len(data))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 11])
def test_a_varint_that_does_not_end_is_rejected(data: bytes) -> None:
    with pytest.raises(WireError, match="does not end"):
        varint(data, 0, len(data))


def test_fields_tell_number_kind_and_place() -> None:
    data = (
        tag(1, 0)
        + encode(300)
        + tag(20, 2)
        + encode(3)
        + b"abc"
        + tag(3, 5)
        + bytes(4)
        + tag(4, 1)
        + bytes(8)
    )
    found = [(number, kind, data[start:stop]) for number, kind, _, start, stop in fields(data, 0, len(data))]
    assert found == [(1, 0, b"\xac\x02"), (20, 2, b"abc"), (3, 5, bytes(4)), (4, 1, bytes(8))]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (tag(1, 2) + encode(5) + b"abcd", "needs 5 bytes and 4 are left"),
        (tag(1, 2) + encode(2**40), "needs"),
        (tag(0, 0) + b"\0", "field number 0"),
        (tag(1, 3), "wire type 3"),
        (tag(1, 5) + b"abc", "needs 4 bytes"),
        (tag(1, 0), "does not end"),
    ],
)
def test_damaged_fields_are_rejected(data: bytes, problem: str) -> None:
    with pytest.raises(WireError, match=problem):
        list(fields(data, 0, len(data)))


def test_more_fields_than_a_model_can_have_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is in the millions; here it is lowered."""
    monkeypatch.setattr(wire, "MAX_FIELDS", 1000)
    data = (tag(1, 2) + encode(0)) * 1001
    with pytest.raises(WireError, match="fields in one message"):
        strip(tag(7, 2) + encode(len(data)) + data, len(data) + 3)


ROUTES = {"book": {1: "page", 2: LEAF}, "page": {3: "page", 4: LEAF}}


@st.composite
def pages(draw: st.DrawFn, depth: int = 3) -> tuple[bytes, bytes]:
    """A page with pages in it, and the same with every field 4 doubled."""
    plain, doubled = b"", b""
    for number in draw(st.lists(st.sampled_from([3, 4, 5] if depth else [4, 5]), max_size=4)):
        data = draw(st.binary(max_size=300)) if number != 3 else b""
        inner = draw(pages(depth - 1)) if number == 3 else (data, data * (2 if number == 4 else 1))
        plain, doubled = (
            done + tag(number, 2) + encode(len(new)) + new
            for done, new in zip((plain, doubled), inner, strict=True)
        )
    return plain, doubled


@settings(deadline=None)
@given(pages(), st.binary(max_size=20))
def test_what_is_replaced_far_below_changes_the_lengths_above(
    page: tuple[bytes, bytes], other: bytes
) -> None:
    book = [tag(1, 2) + encode(len(item)) + item + tag(9, 2) + encode(len(other)) + other for item in page]

    def doubled(leaf: Leaf) -> list[bytes | Span]:
        span = Span(leaf.number, leaf.start, leaf.stop - leaf.start)
        return tagged(leaf.number, [span, book[0][leaf.start : leaf.stop]])

    pieces = splice(book[0], len(book[0]), "book", ROUTES, doubled, lambda start, stop: True) or [book[0]]
    assert length(pieces) == len(book[1])
    whole = (
        book[0][piece.offset : piece.offset + piece.length] if isinstance(piece, Span) else piece
        for piece in pieces
    )
    assert b"".join(whole) == book[1]


def test_what_no_one_replaces_or_enters_stays() -> None:
    page = tag(4, 2) + encode(1) + b"x"
    book = tag(1, 2) + encode(len(page)) + page + tag(2, 0) + encode(7)
    every = (book, len(book), "book", ROUTES)
    assert splice(*every, lambda leaf: None, lambda start, stop: True) is None
    assert splice(*every, lambda leaf: [b""]) is None  # a page of up to KEEP bytes
    assert splice(*every, lambda leaf: [b""], lambda start, stop: True) == [
        b"", tag(1, 2) + encode(0), b"", b"", b"", book[-2:],
    ]  # fmt: skip


def test_messages_nested_deeper_than_protobuf_reads_are_rejected() -> None:
    page = b""
    for _ in range(wire.MAX_DEPTH + 2):
        page = tag(3, 2) + encode(len(page)) + page
    book = tag(1, 2) + encode(len(page)) + page
    with pytest.raises(WireError, match="nested deeper"):
        splice(book, len(book), "book", ROUTES, lambda leaf: None, lambda start, stop: True)


def numbers(name: str, count: int, kind: int, *, raw: bool) -> TensorProto:
    data = (
        bytes(index % 256 for index in range(count * 4)) if raw else [float(index) for index in range(count)]
    )
    return helper.make_tensor(name, kind, [count], data, raw=raw)


def holder(tensors: list[TensorProto]) -> onnx.ModelProto:
    """The same tensors as initializers, in a node, in a body, in a function and in a sparse tensor."""
    body = helper.make_graph([], "body", [], [], tensors)
    node = helper.make_node("If", ["c"], ["y"], then_branch=body)
    constants = [
        helper.make_node("Constant", [], [f"k{index}"], value=tensor) for index, tensor in enumerate(tensors)
    ]
    graph = helper.make_graph([node, *constants], "g", [], [], tensors)
    indices = helper.make_tensor("i", TensorProto.INT64, [2], [0, 1])
    graph.sparse_initializer.append(
        helper.make_sparse_tensor(numbers("s", 2, TensorProto.FLOAT, raw=False), indices, [9])
    )
    function = helper.make_function("local", "f", [], ["k0"], constants, [helper.make_opsetid("", 17)])
    return helper.make_model(graph, functions=[function])


COUNTS = st.sampled_from([0, 1, KEEP // 4 - 1, KEEP // 4, KEEP // 4 + 1, 5000])


@given(st.lists(st.tuples(COUNTS, st.booleans(), st.booleans()), max_size=4))
def test_what_strip_takes_out_inflate_puts_back(shapes: list[tuple[int, bool, bool]]) -> None:
    tensors = [
        numbers(f"t{index}", count, TensorProto.FLOAT, raw=raw)
        for index, (count, raw, _) in enumerate(shapes)
    ]
    for tensor, (_, _, explicit) in zip(tensors, shapes, strict=True):
        if explicit:
            tensor.data_location = TensorProto.DEFAULT
    model = holder(tensors)
    data = model.SerializeToString()
    stripped = strip(data, len(data))
    large = sum(count * 4 > KEEP for count, _, _ in shapes)
    assert len(stripped.spans) == 4 * large
    assert len(stripped.data) < 4000 + 4 * KEEP * len(shapes)
    canonical = onnx.ModelProto.FromString(stripped.data).SerializeToString()
    pieces = inflate(canonical, stripped.spans)
    full = b"".join(
        data[piece.offset : piece.offset + piece.length] if isinstance(piece, Span) else piece
        for piece in pieces
    )
    assert length(pieces) == len(full)
    assert onnx.ModelProto.FromString(full) == model


def test_a_span_is_exactly_the_data() -> None:
    tensor = numbers("t", 1000, TensorProto.FLOAT, raw=True)
    data = helper.make_model(helper.make_graph([], "g", [], [], [tensor])).SerializeToString()
    (span,) = strip(data, len(data)).spans
    assert data[span.offset : span.offset + span.length] == tensor.raw_data


def test_a_tensor_with_two_values_is_left_to_protobuf() -> None:
    tensor = numbers("t", 1000, TensorProto.FLOAT, raw=True)
    tensor.float_data.extend([1.0, 2.0])
    data = helper.make_model(helper.make_graph([], "g", [], [], [tensor])).SerializeToString()
    assert strip(data, len(data)).spans == []


@pytest.mark.parametrize("value", ["", "1", "-1", "0x0", "٣", "9" * 30, "default"])
def test_a_forged_mark_is_rejected(value: str) -> None:
    with pytest.raises(WireError, match=MARK):
        span_of(value, [Span(9, 0, 1)])


def test_nesting_without_end_is_rejected_and_not_followed() -> None:
    data = bytes(KEEP + 1)
    for _ in range(5000):
        graph = tag(6, 2) + encode(len(data)) + data
        node = tag(5, 2) + encode(len(graph)) + graph
        data = tag(1, 2) + encode(len(node)) + node
    data = tag(7, 2) + encode(len(data)) + data
    with pytest.raises(WireError, match="nested deeper"):
        strip(data, len(data))
