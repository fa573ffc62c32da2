"""What TFLite metadata says of a model: its tensors in words, their ranges, images, normalization and labels.

Metadata is a FlatBuffer of its own in the model's buffer ``TFLITE_METADATA``; the files that it names are in
a zip archive after the model. Source: tensorflow/tflite-support, ``metadata/metadata_schema.fbs``, 1.1.0.
"""

from __future__ import annotations

import zipfile
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ...errors import ModelError
from .flat import Broken, Flat, Row
from .schema import Schema, fields_of

if TYPE_CHECKING:
    from ...ir.model import Model

NAME = "TFLITE_METADATA"
IDENTIFIER = b"M001"
LONGEST = 4 << 20
"""Bytes of a file that metadata names; a vocabulary has less."""

_ENUMS = {
    "AssociatedFileType": (
        "UNKNOWN DESCRIPTIONS TENSOR_AXIS_LABELS TENSOR_VALUE_LABELS TENSOR_AXIS_SCORE_CALIBRATION VOCABULARY"
    ),
    "ColorSpaceType": "UNKNOWN RGB GRAYSCALE",
    "BoundingBoxType": "UNKNOWN BOUNDARIES UPPER_LEFT CENTER",
    "CoordinateType": "RATIO PIXEL",
    "ScoreTransformationType": "IDENTITY LOG INVERSE_LOGISTIC",
}
_UNIONS: dict[str, tuple[str, ...]] = {
    "ContentProperties": ("FeatureProperties", "ImageProperties", "BoundingBoxProperties"),
    "ProcessUnitOptions": (
        "NormalizationOptions",
        "ScoreCalibrationOptions",
        "ScoreThresholdingOptions",
        "BertTokenizerOptions",
        "SentencePieceTokenizerOptions",
    ),
}
_TABLES: dict[str, list[list[Any]]] = {
    "AssociatedFile": [
        ["name", "string", None],
        ["description", "string", None],
        ["type", "AssociatedFileType", "UNKNOWN"],
        ["locale", "string", None],
    ],
    "FeatureProperties": [],
    "ImageSize": [["width", "uint", 0], ["height", "uint", 0]],
    "ImageProperties": [
        ["color_space", "ColorSpaceType", "UNKNOWN"],
        ["default_size", "ImageSize", None],
    ],
    "BoundingBoxProperties": [
        ["index", "[uint]", None],
        ["type", "BoundingBoxType", "UNKNOWN"],
        ["coordinate_type", "CoordinateType", "RATIO"],
    ],
    "ValueRange": [["min", "int", 0], ["max", "int", 0]],
    "Content": [["content_properties", "ContentProperties", None], ["range", "ValueRange", None]],
    "NormalizationOptions": [["mean", "[float]", None], ["std", "[float]", None]],
    "ScoreCalibrationOptions": [
        ["score_transformation", "ScoreTransformationType", "IDENTITY"],
        ["default_score", "float", 0.0],
    ],
    "ScoreThresholdingOptions": [["global_score_threshold", "float", 0.0]],
    "BertTokenizerOptions": [["vocab_file", "[AssociatedFile]", None]],
    "SentencePieceTokenizerOptions": [
        ["sentencePiece_model", "[AssociatedFile]", None],
        ["vocab_file", "[AssociatedFile]", None],
    ],
    "ProcessUnit": [["options", "ProcessUnitOptions", None]],
    "Stats": [["max", "[float]", None], ["min", "[float]", None]],
    "TensorMetadata": [
        ["name", "string", None],
        ["description", "string", None],
        ["dimension_names", "[string]", None],
        ["content", "Content", None],
        ["process_units", "[ProcessUnit]", None],
        ["stats", "Stats", None],
        ["associated_files", "[AssociatedFile]", None],
    ],
    "SubGraphMetadata": [
        ["name", "string", None],
        ["description", "string", None],
        ["input_tensor_metadata", "[TensorMetadata]", None],
        ["output_tensor_metadata", "[TensorMetadata]", None],
        ["associated_files", "[AssociatedFile]", None],
        ["input_process_units", "[ProcessUnit]", None],
        ["output_process_units", "[ProcessUnit]", None],
    ],
    "ModelMetadata": [
        ["name", "string", None],
        ["description", "string", None],
        ["version", "string", None],
        ["subgraph_metadata", "[SubGraphMetadata]", None],
        ["author", "string", None],
        ["license", "string", None],
        ["associated_files", "[AssociatedFile]", None],
        ["min_parser_version", "string", None],
    ],
}
"""Name, type and default of the fields of each table, in the order of their slots."""


def about(model: Model) -> Row | None:
    """The ``ModelMetadata`` of a model, None where it has none. Raises ModelError where it is broken."""
    stored = model.metadata.get("metadata", {}).get(NAME)
    if stored is None:
        return None
    try:
        return Flat(stored.raw(), _schema()).root("ModelMetadata", IDENTIFIER)
    except Broken as error:
        raise ModelError(
            model.path, f"its metadata is broken: {error}", "write it again with the metadata writer"
        ) from error


def labels(model: Model, name: str) -> tuple[str, ...]:
    """The lines of a file that metadata names; none where the file is not there or is no short text."""
    try:
        with zipfile.ZipFile(model.path) as archive:
            entry = archive.getinfo(name)
            if entry.file_size > LONGEST:
                return ()
            with archive.open(entry) as stream:
                text = stream.read(LONGEST + 1).decode()
    except (OSError, KeyError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return ()
    return tuple(text.splitlines()) if len(text) <= LONGEST else ()


@lru_cache(maxsize=1)
def _schema() -> Schema:
    enums = {name: dict(enumerate(members.split())) for name, members in _ENUMS.items()}
    bases = dict.fromkeys(_ENUMS, "b")
    tables = {name: fields_of(rows, bases, _UNIONS) for name, rows in _TABLES.items()}
    source = {"project": "tensorflow/tflite-support", "date": "2021"}
    return Schema(tables, enums, bases, _UNIONS, {}, source)
