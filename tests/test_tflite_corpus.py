"""The generated TFLite corpus: reproducible, complete, and made of models that the reference interpreter
accepts.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import tflite_worker
from accelint.analyzer.conform.corpora.tflite.corpus import Case, cases, operators
from accelint.analyzer.conform.corpora.tflite.net import KINDS, Net, Skip, broadcast
from accelint.analyzer.formats.tflite.reader import from_bytes
from accelint.analyzer.formats.tflite.schema import schema
from accelint.analyzer.formats.tflite.versions import HIGHEST, RULES, Signature, version_of

NO_KERNEL = {
    "CALL",
    "CONCAT_EMBEDDINGS",
    "DELEGATE",
    "STABLEHLO_LOGISTIC",
    "STABLEHLO_DIVIDE",
    "STABLEHLO_RESHAPE",
    "STABLEHLO_CLAMP",
    "STABLEHLO_CONCATENATE",
    "STABLEHLO_BROADCAST_IN_DIM",
    "STABLEHLO_CONVOLUTION",
    "STABLEHLO_SLICE",
    "STABLEHLO_CUSTOM_CALL",
    "STABLEHLO_REDUCE",
    "STABLEHLO_ABS",
    "STABLEHLO_COSINE",
    "STABLEHLO_EXPONENTIAL",
    "STABLEHLO_FLOOR",
    "STABLEHLO_LOG",
    "STABLEHLO_NEGATE",
    "STABLEHLO_OR",
    "STABLEHLO_POWER",
    "STABLEHLO_REMAINDER",
    "STABLEHLO_RSQRT",
    "STABLEHLO_SELECT",
    "STABLEHLO_SUBTRACT",
    "STABLEHLO_TANH",
    "STABLEHLO_COMPARE",
    "STABLEHLO_CONVERT",
    "STABLEHLO_DYNAMIC_SLICE",
    "STABLEHLO_DYNAMIC_UPDATE_SLICE",
    "STABLEHLO_IOTA",
    "STABLEHLO_DOT_GENERAL",
    "STABLEHLO_SORT",
    "STABLEHLO_WHILE",
    "STABLEHLO_TRANSPOSE",
    "STABLEHLO_CBRT",
}
"""Operators of the schema that the reference resolver has no kernel for."""


@pytest.fixture(scope="module")
def everything() -> list[Case]:
    return list(cases())


def test_names_are_unique_and_there_are_thousands(everything: list[Case]) -> None:
    names = Counter(case.name for case in everything)
    assert len(everything) > 5_000
    assert names.most_common(1)[0][1] == 1
    assert all(case.name.split("/")[0].split(":")[0] == case.op for case in everything)


def test_every_operator_of_the_schema_has_cases(everything: list[Case]) -> None:
    assert (
        set(schema().options) - {"PLACEHOLDER_FOR_GREATER_OP_CODES"}
        <= {case.op for case in everything}
        == set(operators())
    )


def test_the_same_seed_gives_the_same_models_in_every_process() -> None:
    ops = ["CONV_2D", "STRIDED_SLICE", "LSTM", "CHAIN"]
    code = (
        "import sys, hashlib\n"
        "from accelint.analyzer.conform.corpora.tflite.corpus import cases\n"
        "print(hashlib.sha256(b''.join(case.name.encode() + case.build() for case in cases(3, "
        "sys.argv[1:]))).hexdigest())\n"
    )
    here = hashlib.sha256(b"".join(case.name.encode() + case.build() for case in cases(3, ops))).hexdigest()
    there = subprocess.run(
        [sys.executable, "-c", code, *ops],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "5"},
    ).stdout.strip()
    assert here == there


def test_another_seed_gives_other_mixes_and_keeps_the_rest() -> None:
    first, second = ({case.name for case in cases(seed, ["CONV_2D"])} for seed in (0, 1))
    assert first != second
    assert "CONV_2D/base" in first & second and "CONV_2D/stride=2x2" in first & second


def test_a_limit_gives_an_even_sample(everything: list[Case]) -> None:
    sample = list(cases(limit=500))
    assert len(sample) == 500 == len({case.name for case in sample} & {case.name for case in everything})
    assert len({case.op for case in sample}) > 90


def test_values_stand_on_both_sides_of_limits() -> None:
    """What the corpus is for: strides, kernels, ranks, constness and dtypes that some runtime takes and
    another does not.
    """
    seen: dict[str, set[object]] = {
        "rank": set(),
        "dtype": set(),
        "stride": set(),
        "runtime weights": set(),
        "dynamic": set(),
        "versions": set(),
    }
    for case in (*cases(limit=1500), *cases(ops=["CONV_2D", "FULLY_CONNECTED"])):
        graph = from_bytes(case.build()).graph
        for op in graph.ops():
            seen["rank"] |= {tensor.rank for tensor in graph.input_tensors(op) if tensor}
            seen["dtype"] |= {tensor.dtype for tensor in graph.input_tensors(op) if tensor}
            seen["dynamic"] |= {tensor.static for tensor in graph.input_tensors(op) if tensor}
            seen["versions"].add((op.type, op.version))
            if op.type == "CONV_2D":
                seen["stride"].add((op.attrs["stride_h"], op.attrs["stride_w"]))
                seen["runtime weights"].add(graph.tensor(op.inputs[1] or "").const is None)
    assert seen["rank"] >= {0, 1, 2, 3, 4, 5, 6}
    assert seen["dtype"] >= {kind.dtype for kind in KINDS.values()} - {
        "float8e4m3fn",
        "float8e5m2",
        "int2",
        "uint4",
        "uint64",
        "complex128",
        "bfloat16",
    }
    assert seen["stride"] >= {(1, 1), (2, 2), (1, 2), (4, 4), (5, 5)}
    assert seen["runtime weights"] == seen["dynamic"] == {True, False}
    assert {version for type_, version in seen["versions"] if type_ == "FULLY_CONNECTED"} == set(range(1, 15))


def test_every_operator_with_a_kernel_has_a_model_that_the_interpreter_takes(tmp_path: Path) -> None:
    """The first cases of each operator, and a sample of the rest: allocated, with the output shapes that the
    models say.
    """
    pytest.importorskip("ai_edge_litert")
    first = [
        case
        for op in operators()
        for case in list(cases(ops=[op]))[:3]
        if op not in NO_KERNEL and op != "CUSTOM"
    ]
    chosen = {case.name: case for case in (*first, *cases(limit=400))}
    jobs, models = [], []
    for index, case in enumerate(chosen.values()):
        data = case.build()
        (tmp_path / f"{index}.tflite").write_bytes(data)
        jobs.append(["allocate", str(tmp_path / f"{index}.tflite")])
        models.append(from_bytes(data))
    answers = tflite_worker.ask(jobs)
    good = {case.op for case, answer in zip(chosen.values(), answers, strict=True) if "error" not in answer}
    assert set(operators()) - good <= NO_KERNEL | {"CUSTOM"}
    assert sum("error" not in answer for answer in answers) / len(answers) > 0.95
    for case, model, answer in zip(chosen.values(), models, answers, strict=True):
        by_index = {tensor.attrs["index"]: tensor for tensor in model.graph.tensors.values()}
        for shape, index in zip(answer.get("shapes", ()), answer.get("indices", ()), strict=True):
            tensor = by_index[index]
            assert tuple(shape) == tensor.attrs.get("stored_shape", tensor.shape), case.name


def test_the_interpreter_rejects_what_has_no_kernel(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    jobs = []
    for case in (case for op in sorted(NO_KERNEL) for case in cases(ops=[op])):
        (tmp_path / f"{case.op}.tflite").write_bytes(case.build())
        jobs.append(["allocate", str(tmp_path / f"{case.op}.tflite")])
    assert len(jobs) == len(NO_KERNEL)
    assert all("Didn't find op" in answer.get("error", "") for answer in tflite_worker.ask(jobs))


@pytest.mark.parametrize(
    ("type_", "inputs", "outputs", "changes", "version"),
    [
        ("CONV_2D", ("float32", "float32"), ("float32",), {}, 1),
        ("CONV_2D", ("int8", "int8", "int32"), ("int8",), {}, 3),
        ("CONV_2D", ("float32", "int8"), ("float32",), {"per_channel": True}, 5),
        ("CONV_2D", ("float32", "float32"), ("float32",), {"grouped": True}, 6),
        ("FULLY_CONNECTED", ("float32", "float32"), ("float32",), {}, 6),
        ("TRANSPOSE", ("float32", "int32"), ("float32",), {"shapes": ((1, 2, 3, 4, 5), (5,))}, 4),
        ("BROADCAST_TO", ("float32", "int32"), ("float32",), {}, 2),
        ("CAST", ("float32",), ("uint32",), {}, 2),
        ("ABS", ("float32",), ("float32",), {}, 1),
    ],
)
def test_versions_are_those_of_the_converter(
    type_: str, inputs: tuple[str, ...], outputs: tuple[str, ...], changes: dict[str, object], version: int
) -> None:
    known = {
        "inputs": inputs,
        "outputs": outputs,
        "shapes": ((1, 2, 3, 4), (1,)),
        "attrs": schema().option_defaults(type_),
    } | changes
    assert version_of(type_, Signature(**known)) == version  # type: ignore[arg-type]


def test_no_rule_gives_a_version_that_the_resolver_lacks() -> None:
    above = {
        (op, version) for op, rules in RULES.items() for version, _ in rules if version > HIGHEST.get(op, 1)
    }
    assert above == set()


def test_shapes_broadcast_or_are_skipped() -> None:
    assert broadcast((2, 1, 3), (4, 1)) == (2, 4, 3)
    with pytest.raises(Skip):
        broadcast((2, 3), (3, 2))


def test_an_option_that_the_operator_lacks_is_a_mistake() -> None:
    net = Net()
    with pytest.raises(KeyError, match="ABS has no options"):
        net.op("ABS", [net.input((1,), "f32")], [net.result((1,), "f32")], {"axis": 1})
