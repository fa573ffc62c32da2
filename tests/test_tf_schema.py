"""What accelint declares about TensorFlow holds for the TensorFlow that is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from accelint.analyzer.formats.tf.ops import OpTable, builtin, dtype
from accelint.analyzer.formats.tf.proto import DTYPES, MESSAGES, UPSTREAM, message
from tf_models import ROOT, needs_tensorflow

pytestmark = [pytest.mark.tensorflow, needs_tensorflow]

PROGRAM = """
import json, sys
from tensorflow.core.protobuf import saved_model_pb2, tensor_bundle_pb2, trackable_object_graph_pb2
from tensorflow.core.framework import graph_debug_info_pb2, types_pb2
from google.protobuf import descriptor_pool
found = {}
for name in json.loads(sys.argv[1]):
    message = descriptor_pool.Default().FindMessageTypeByName("tensorflow." + name)
    found[name] = {field.number: [field.name, field.type, field.is_repeated] for field in message.fields}
print(json.dumps({"messages": found, "types": dict(types_pb2.DataType.items())}))
"""


@pytest.fixture(scope="module")
def upstream() -> dict[str, dict[str, dict[str, list[object]]]]:
    names = json.dumps([UPSTREAM.get(name, name) for name in MESSAGES])
    output = subprocess.run(
        [sys.executable, "-c", PROGRAM, names], check=True, capture_output=True, text=True
    ).stdout
    found: dict[str, dict[str, dict[str, list[object]]]] = json.loads(output)
    return found


def test_every_declared_field_is_tensorflows(upstream: dict[str, dict[str, dict[str, list[object]]]]) -> None:
    for name in MESSAGES:
        theirs = upstream["messages"][UPSTREAM.get(name, name)]
        for field in message(name).DESCRIPTOR.fields:
            if field.number > 1000:
                assert str(field.number) not in theirs, (
                    f"{name}.{field.name} is ours and TensorFlow uses its number"
                )
                continue
            assert theirs[str(field.number)] == [field.name, field.type, field.is_repeated], (
                f"{name}.{field.name}"
            )


def test_every_dtype_has_its_number(upstream: dict[str, dict[str, dict[str, list[object]]]]) -> None:
    numbers = {
        number: name
        for name, number in upstream["types"].items()
        if isinstance(number, int) and 0 < number < 100
    }
    assert set(numbers) == set(DTYPES)
    assert (dtype(1), dtype(101), dtype(14), dtype(99)) == ("float32", "float32", "bfloat16", "unknown")


def test_the_operator_table_is_the_installed_registrys(tmp_path: Path) -> None:
    """The table is what its script makes of this TensorFlow, where the version is the one it names."""
    for folder in ("tools/derive", "analyzer/formats/tf"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "derive" / "tf_ops.py", tmp_path / "tools" / "derive")
    subprocess.run(
        [sys.executable, str(tmp_path / "tools" / "derive" / "tf_ops.py")], check=True, capture_output=True
    )
    made = (tmp_path / "analyzer" / "formats" / "tf" / "ops.tsv").read_text(encoding="utf-8").splitlines()
    ours = (ROOT / "analyzer" / "formats" / "tf" / "ops.tsv").read_text(encoding="utf-8").splitlines()
    if made[0] != ours[0]:
        pytest.skip(f"the table is of another version: {ours[0]}")
    assert made == ours


def test_custom_operators_are_not_builtin() -> None:
    assert builtin("Conv2D")
    assert not builtin("VendorThing")
    assert OpTable().get("VendorThing") is None
