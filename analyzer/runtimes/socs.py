"""Qualcomm chips by name: the ``soc_model`` and ``htp_arch`` that QNN needs to know before it compiles.

Without them every floating-point graph fails at session creation (``Failed to finalize QNN graph``, code
1002) on x86-64, where there is no chip that the library could ask.

Sources: soc_model from LiteRT, ``litert/vendors/qualcomm/core/schema/soc_table.h`` (derived from the QAIRT
2.47 documentation; commit f6745779), htp_arch and VTCM size from ExecuTorch,
``backends/qualcomm/serialization/qc_schema.py`` (commit 0e9182a3). A chip that only the first lists is left
out unless its architecture is documented elsewhere, named in ``source``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Soc:
    """One chip: QNN's number for it, its Hexagon architecture and its tightly coupled memory in MB."""

    model: int
    arch: int
    vtcm: int
    product: str
    source: str = "litert soc_table.h, executorch qc_schema.py"


SOCS: dict[str, Soc] = {
    "sm8650": Soc(57, 75, 8, "Snapdragon 8 Gen 3"),
    "sm8350": Soc(30, 68, 4, "Snapdragon 888"),
    "sm8450": Soc(36, 69, 8, "Snapdragon 8 Gen 1"),
    "sm8475": Soc(42, 69, 8, "Snapdragon 8+ Gen 1"),
    "sm8550": Soc(43, 73, 8, "Snapdragon 8 Gen 2"),
    "sm8750": Soc(69, 79, 8, "Snapdragon 8 Elite"),
    "sm8845": Soc(97, 81, 8, "Snapdragon 8 Gen 5"),
    "sm8850": Soc(87, 81, 8, "Snapdragon 8 Elite Gen 5"),
    "sc8380xp": Soc(
        60, 73, 8, "Snapdragon X Elite", "litert soc_table.h; HTP v73 by ONNX Runtime's QNN documentation"
    ),
    "qcm6490": Soc(93, 68, 2, "QCM6490"),
    "qcs9100": Soc(77, 73, 8, "QCS9100"),
    "sa8255": Soc(52, 73, 8, "SA8255P"),
    "sa8295": Soc(39, 68, 8, "SA8295P"),
    "sa8540": Soc(62, 68, 8, "SA8540P"),
    "sa8797": Soc(72, 81, 16, "SA8797P"),
    "ssg2115p": Soc(46, 73, 2, "Snapdragon AR2 Gen 1"),
    "ssg2125p": Soc(58, 73, 2, "Snapdragon AR2 Gen 1"),
    "sxr1230p": Soc(45, 73, 2, "Snapdragon AR1 Gen 1"),
    "sxr2230p": Soc(53, 69, 8, "Snapdragon XR2 Gen 2"),
    "sxr2330p": Soc(75, 79, 8, "Snapdragon XR2+ Gen 3"),
    "sar2230p": Soc(95, 81, 4, "SAR2230P"),
    "sw6100": Soc(96, 81, 4, "SW6100"),
}
"""By lower-case name; the first is the default."""
