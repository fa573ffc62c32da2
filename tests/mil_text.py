"""Programs written as Core ML's compiler writes them: what ``.mlmodelc`` folders of tests are made of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from accelint.analyzer.formats.coreml.mil import CODES, decode
from accelint.analyzer.formats.coreml.schema import DTYPES, message

SHORT = {"float16": "fp16", "float32": "fp32", "float64": "fp64"}
OPSETS = {"CoreML5": "ios15", "CoreML6": "ios16", "CoreML7": "ios17", "CoreML8": "ios18", "CoreML9": "ios26"}


def compiled(package: Path, folder: Path) -> Path:
    """A package as the compiler leaves it: the text, the weights and what describes them."""
    data = package / "Data" / "com.apple.CoreML"
    spec = message("Model").FromString((data / "model.mlmodel").read_bytes())
    folder.mkdir(parents=True)
    (folder / "model.mil").write_text(text(spec.mlProgram))
    (folder / "coremldata.bin").write_bytes(b"\x05\0\0\0")
    if (data / "weights").is_dir():
        shutil.copytree(data / "weights", folder / "weights")
    schema = [_schema(item) for item in spec.description.input]
    about = {
        "specificationVersion": spec.specificationVersion,
        "modelType": {"name": "MLModelType_mlProgram"},
        "inputSchema": schema,
    }
    (folder / "metadata.json").write_text(json.dumps([about]))
    return folder


def _schema(item: Any) -> dict[str, Any]:
    array = item.type.multiArrayType
    found = {"name": item.name, "shape": json.dumps(list(array.shape)), "hasShapeFlexibility": "0"}
    chosen = array.WhichOneof("ShapeFlexibility")
    if chosen == "shapeRange":
        ranges = [[each.lowerBound, each.upperBound] for each in array.shapeRange.sizeRanges]
        found |= {"hasShapeFlexibility": "1", "shapeRange": json.dumps(ranges)}
    if chosen == "enumeratedShapes":
        shapes = [list(each.shape) for each in array.enumeratedShapes.shapes]
        found |= {"hasShapeFlexibility": "1", "enumeratedShapes": json.dumps(shapes)}
    return found


def text(program: Any) -> str:
    """A ``MILSpec.Program`` as text."""
    lines = ["program(1.3)", '[buildInfo = dict<string, string>({{"coremlc-version", "3520.5.1"}})]', "{"]
    for name, function in program.functions.items():
        (block,) = function.block_specializations.values()
        inputs = ", ".join(f"{kind(item.type)} {item.name}" for item in function.inputs)
        lines += [f"    func {name}<{OPSETS[function.opset]}>({inputs}) " + "{"]
        lines += [statement(operation) for operation in block.operations]
        lines += [f"    }} -> ({', '.join(block.outputs)});"]
    return "\n".join([*lines, "}", ""])


def statement(operation: Any) -> str:
    written = ", ".join(f"{kind(item.type)} {item.name}" for item in operation.outputs)
    reads = ", ".join(f"{key} = {argument(value)}" for key, value in sorted(operation.inputs.items()))
    attributes = ", ".join(f"{key} = {value(item)}" for key, item in sorted(operation.attributes.items()))
    blocks = "".join(
        f" block{index}({', '.join(f'{kind(item.type)} {item.name}' for item in block.inputs)}) {{\n"
        + "\n".join(statement(inner) for inner in block.operations)
        + f"\n}} -> ({', '.join(block.outputs)})"
        for index, block in enumerate(operation.blocks)
    )
    return f"        {written}{' = ' if written else ''}{operation.type}({reads})[{attributes}]{blocks};"


def argument(given: Any) -> str:
    names = [item.name if item.name else value(item.value) for item in given.arguments]
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def kind(item: Any) -> str:
    form = item.WhichOneof("type")
    if form == "stateType":
        return f"state<{kind(item.stateType.wrappedType)}>"
    if form == "listType":
        return f"list<{kind(item.listType.type)}, ?>"
    if form == "dictionaryType":
        return f"dict<{kind(item.dictionaryType.keyType)}, {kind(item.dictionaryType.valueType)}>"
    tensor = item.tensorType
    name = DTYPES.get(tensor.dataType, "string")  # keys of dictionaries, which coremltools leaves open
    dims = [
        "?" if dim.WhichOneof("dimension") == "unknown" else str(dim.constant.size)
        for dim in tensor.dimensions
    ]
    return f"tensor<{SHORT.get(name, name)}, [{', '.join(dims)}]>"


def value(item: Any) -> str:
    if item.WhichOneof("value") == "blobFileValue":
        place = (
            f'path = string("{item.blobFileValue.fileName}"), offset = uint64({item.blobFileValue.offset})'
        )
        return f"{kind(item.type)}(BLOBFILE({place}))"
    if item.type.WhichOneof("type") == "listType":
        return f"{kind(item.type)}({literal(elements(item), 'string')})"
    return f"{kind(item.type)}({literal(elements(item), DTYPES[item.type.tensorType.dataType])})"


def elements(item: Any) -> Any:
    found = decode(item, None)  # type: ignore[arg-type]
    return found.numbers() if hasattr(found, "numbers") else found


def literal(found: Any, dtype: str) -> str:
    if isinstance(found, (tuple, list)):
        return f"[{', '.join(literal(each, dtype) for each in found)}]"
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, str):
        return json.dumps(found)
    assert dtype in CODES
    return float(found).hex() if dtype.startswith("float") else str(found)
