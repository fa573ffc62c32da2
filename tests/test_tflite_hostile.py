"""TFLite files that are damaged or made to harm: one error about the file, quickly and in little memory."""

from __future__ import annotations

import contextlib
import struct
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from accelint.analyzer.conform.corpora.tflite.corpus import cases
from accelint.analyzer.conform.corpora.tflite.net import Net
from accelint.analyzer.errors import GraphError, ModelError
from accelint.analyzer.formats.tflite.emit import Emitter
from accelint.analyzer.formats.tflite.flat import Row
from accelint.analyzer.formats.tflite.reader import from_bytes
from accelint.analyzer.formats.tflite.writer import to_bytes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import accelint

FIXTURES = Path(__file__).parent.parent / "fixtures" / "tflite"
SEEDS = [
    (FIXTURES / "variable.tflite").read_bytes(), (FIXTURES / "conditional.tflite").read_bytes(),
        (FIXTURES / "signatures.tflite").read_bytes(),
    *(case.build() for name in ("DENSIFY", "IF", "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "STABLEHLO_SCATTER") for case in list(cases(ops=[name]))[:1]),
]  # fmt: skip


def structure(rows: Row) -> bytes:
    """A file of these rows, whatever they say."""
    from io import BytesIO

    emitter, stream = Emitter(), BytesIO()
    emitter.root("Model", rows, b"TFL3")
    emitter.write(stream)
    return stream.getvalue()


def subgraph(**rows: object) -> Row:
    return {"tensors": [], "inputs": [], "outputs": [], "operators": [], **rows}


def settle(data: bytes) -> accelint.Model | None:
    """The model, or None where the reader refuses; any other outcome fails the test."""
    start = time.process_time()
    tracemalloc.start()
    try:
        model = from_bytes(data)
        for tensor in list(model.graph.tensors.values())[:20]:
            if tensor.const is not None and len(data) < 100_000:
                with contextlib.suppress(GraphError):
                    tensor.const.read()
    except ModelError as error:
        assert error.exit_code == 3 and error.message.startswith("<bytes>: ") and error.advice
        model = None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.process_time() - start < 5
    assert peak < 64_000_000
    return model


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.sampled_from(range(len(SEEDS))),
    edits=st.lists(
        st.tuples(
            st.integers(0, 1 << 20),
            st.sampled_from(
                [
                    b"\0",
                    b"\xff",
                    b"\x01",
                    b"\x7f",
                    b"\xff\xff\xff\xff",
                    b"\xff\xff\xff\x7f",
                    b"\0\0\0\x80",
                    b"\x04\0\0\0",
                    b"\xfc\xff",
                    b"\x10\x27\0\0",
                ]
            ),
        ),
        min_size=1,
        max_size=6,
    ),
    cut=st.one_of(st.none(), st.integers(0, 1 << 20)),
)
def test_changed_bytes_give_a_model_or_one_error(
    seed: int, edits: list[tuple[int, bytes]], cut: int | None
) -> None:
    data = bytearray(SEEDS[seed])
    for place, value in edits:
        at = place % len(data)
        data[at : at + len(value)] = value
    settle(bytes(data if cut is None else data[: cut % (len(data) + 1)]))


def test_every_truncation_gives_a_model_or_one_error() -> None:
    data = SEEDS[0]
    rejected = sum(settle(data[:length]) is None for length in range(0, len(data), 7))
    assert rejected > len(data) // 7 * 0.9


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"TFL3",
        b"\0\0\0\0TFL3",
        b"\xff\xff\xff\xffTFL3",
        b"\x10\0\0\0TFL3" + bytes(64),
        b"\x08\0\0\0TFL3\x08\0\0\0",
    ],
)
def test_tiny_files_are_rejected(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        from_bytes(content)
    path = tmp_path / "tiny.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"tiny\.tflite"):
        accelint.load(path)


def codes(*types: str) -> list[Row]:
    return [{"builtin_code": name, "deprecated_builtin_code": 127} for name in types]


def test_subgraphs_that_call_each_other_are_rejected() -> None:
    call = {"opcode_index": 0, "builtin_options": ("CallOnceOptions", {"init_subgraph_index": 1})}
    back = {"opcode_index": 0, "builtin_options": ("CallOnceOptions", {"init_subgraph_index": 0})}
    data = structure(
        {
            "operator_codes": codes("CALL_ONCE"),
            "subgraphs": [subgraph(operators=[call]), subgraph(operators=[back])],
        }
    )
    with pytest.raises(ModelError, match="calls itself"):
        from_bytes(data)


def test_a_ladder_of_calls_is_rejected_before_it_is_climbed() -> None:
    def rung(index: int) -> Row:
        op = {"opcode_index": 0, "builtin_options": ("CallOnceOptions", {"init_subgraph_index": index + 1})}
        return subgraph(operators=[op, op] if index < 40 else [])

    data = structure(
        {"operator_codes": codes("CALL_ONCE"), "subgraphs": [rung(index) for index in range(41)]}
    )
    with pytest.raises(ModelError, match="nested beyond reason"):
        from_bytes(data)
    deep = [
        subgraph(
            operators=[
                {"opcode_index": 0, "builtin_options": ("CallOnceOptions", {"init_subgraph_index": i + 1})}
            ]
            if i < 4999
            else []
        )
        for i in range(5000)
    ]
    with pytest.raises(ModelError, match="nested beyond reason"):
        from_bytes(structure({"operator_codes": codes("CALL_ONCE"), "subgraphs": deep}))


@pytest.mark.parametrize(
    ("operator", "problem"),
    [
        ({"opcode_index": 3}, "operator code"),
        ({"opcode_index": 0, "inputs": [7]}, "names tensor 7 of 0"),
        ({"opcode_index": 0, "outputs": [-2]}, "names tensor -2"),
        ({"opcode_index": 0, "intermediates": [1]}, "intermediate"),
    ],
)
def test_an_index_that_leads_nowhere_is_rejected(operator: Row, problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        from_bytes(structure({"operator_codes": codes("ADD"), "subgraphs": [subgraph(operators=[operator])]}))


@pytest.mark.parametrize(
    ("graph", "problem"),
    [
        ({"inputs": [1]}, "index 1 of 0"),
        ({"tensors": [{"buffer": 9, "shape": []}]}, "buffer of tensor 0: index 9"),
        (
            {
                "operators": [
                    {"opcode_index": 0, "builtin_options": ("CallOnceOptions", {"init_subgraph_index": 4})}
                ]
            },
            "subgraph of CALL_ONCE: index 4 of 1",
        ),
    ],
)
def test_a_graph_that_names_what_is_not_there_is_rejected(graph: Row, problem: str) -> None:
    data = structure(
        {"operator_codes": codes("CALL_ONCE"), "subgraphs": [subgraph(**graph)], "buffers": [{}]}
    )
    with pytest.raises(ModelError, match=problem):
        from_bytes(data)


def test_many_offsets_to_one_large_table_are_rejected() -> None:
    """A file of 400 KB in which 5,000 tensors are all the one whose shape has 50,000 dimensions."""
    tensors: list[Row] = [{"shape": [3] * 50_000}, *({"type": "INT8"} for _ in range(5_000))]
    data = bytearray(structure({"subgraphs": [subgraph(tensors=tensors)]}))
    vector = data.index(struct.pack("<I", 5_001)) + 4
    first = vector + struct.unpack_from("<I", data, vector)[0]
    for at in range(vector, vector + 4 * 5_001, 4):
        struct.pack_into("<I", data, at, first - at)
    with pytest.raises(ModelError, match="more content than the file has bytes"):
        from_bytes(bytes(data))
    assert settle(bytes(data)) is None


def test_text_that_is_not_utf8_is_rejected() -> None:
    data = structure(
        {"subgraphs": [subgraph(tensors=[{"name": "abcdefgh", "shape": []}])], "buffers": [{}]}
    ).replace(b"abcdefgh", b"ab\xff\xfeefgh")
    with pytest.raises(ModelError, match="not UTF-8"):
        from_bytes(data)


def test_an_operator_of_a_newer_schema_is_rejected() -> None:
    data = structure({"operator_codes": codes("STABLEHLO_CASE"), "subgraphs": [subgraph(operators=[{}])]})
    assert data.count(struct.pack("<i", 209)) == 1
    with pytest.raises(ModelError, match=r"the value 250 of BuiltinOperator.*newer than this accelint"):
        from_bytes(data.replace(struct.pack("<i", 209), struct.pack("<i", 250)))


def test_a_cycle_of_operators_is_rejected() -> None:
    tensors: list[Row] = [{"shape": [1], "name": name} for name in "ab"]
    operators = [{"inputs": [0], "outputs": [1]}, {"inputs": [1], "outputs": [0]}]
    with pytest.raises(ModelError, match="cycle"):
        from_bytes(
            structure(
                {
                    "operator_codes": codes("ABS"),
                    "subgraphs": [subgraph(tensors=tensors, operators=operators)],
                    "buffers": [{}],
                }
            )
        )


def test_sizes_that_overflow_are_only_numbers() -> None:
    net = Net()
    x, y = net.input((1 << 30, 1 << 30, 1 << 30), "f32"), net.result((1 << 30, 1 << 30, 1 << 30), "f32")
    net.op("ABS", [x], [y])
    assert from_bytes(to_bytes(net.model())).graph.tensor(x).nbytes == 4 << 90


def test_a_sparse_constant_that_lies_is_an_error_when_read() -> None:
    case = next(iter(cases(ops=["DENSIFY"])))
    model = from_bytes(case.build())
    (tensor,) = [item for item in model.graph.tensors.values() if item.const is not None]
    wrong = dict(tensor.attrs["sparsity"])
    wrong["dim_metadata"] = (
        wrong["dim_metadata"][0],
        {**wrong["dim_metadata"][1], "array_indices": ("Int32Vector", {"values": (1, 0, 3, 99)})},
    )
    model.graph.set_tensor(replace(tensor, attrs={**tensor.attrs, "sparsity": wrong}))
    again = from_bytes(to_bytes(model)).graph.tensor(tensor.name).const
    assert again is not None
    with pytest.raises(GraphError, match="outside its shape"):
        again.read()
