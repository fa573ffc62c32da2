"""ML Programs for tests: many operators in one program, built by coremltools, and what coremltools itself
computes of them where it evaluates constants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
_TYPES = {"float32": "fp32", "float16": "fp16", "int32": "int32", "bool": "bool"}


@dataclass(frozen=True)
class Case:
    """One operator: values that are inputs of the program, and its other parameters. ``expected`` computes
    the results where coremltools does not.
    """

    op: str
    inputs: Arrays
    params: Mapping[str, Any] = field(default_factory=dict)
    expected: Callable[..., Any] | None = None
    ios: int = 15
    label: str = ""

    @property
    def id(self) -> str:
        return f"{self.op}-{self.label}" if self.label else self.op


def build(cases: list[Case], path: Path, ios: int) -> list[list[str]]:
    """A package with every case in it, and the names of each case's results. Inputs are
    ``<position>_<key>``.
    """
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import types

    target = getattr(ct.target, f"iOS{ios}")
    kinds = {key: getattr(types, name) for key, name in _TYPES.items()}
    names, specs = [], []
    for index, case in enumerate(cases):
        for key, array in case.inputs.items():
            stored = "float32" if array.dtype == bool else str(array.dtype)  # no bool at a program's boundary
            names.append(f"c{index}_{key}")
            specs.append(mb.TensorSpec(shape=array.shape or (1,), dtype=kinds[stored]))
    results: list[list[str]] = []

    def body(*given: Any) -> Any:
        found, outputs = dict(zip(names, given, strict=True)), []
        for index, case in enumerate(cases):
            values = {key: found[f"c{index}_{key}"] for key in case.inputs}
            for key, array in case.inputs.items():
                if not array.ndim:
                    values[key] = mb.squeeze(x=values[key], axes=[0])
                if array.dtype == bool:
                    values[key] = mb.cast(x=values[key], dtype="bool")
            made = call(mb, case, values)
            renamed = []
            for place, item in enumerate(made):
                item = mb.cast(x=item, dtype="fp32") if item.dtype == types.bool else item
                name = f"c{index}_out{place}"
                item = mb.identity(x=item, name=name)
                renamed.append(name)
                outputs.append(item)
            results.append(renamed)
        return tuple(outputs)

    arguments = ", ".join(names)
    scope: dict[str, Any] = {"body": body}
    exec(
        f"def program({arguments}): return body({arguments})", scope
    )  # coremltools names inputs by the arguments
    program = mb.program(input_specs=specs, opset_version=target)(scope["program"])
    model = ct.convert(
        program, minimum_deployment_target=target, skip_model_load=True,
        compute_precision=ct.precision.FLOAT32, pass_pipeline=ct.PassPipeline.EMPTY,
    )  # fmt: skip
    model.save(str(path))
    return results


def call(mb: Any, case: Case, values: Mapping[str, Any]) -> tuple[Any, ...]:
    """The operator on values; a parameter named ``values`` takes all of them as a list."""
    if case.op in ("concat", "stack", "einsum"):
        made = getattr(mb, case.op)(values=list(values.values()), **case.params)
    else:
        made = getattr(mb, case.op)(**values, **case.params)
    return tuple(made) if isinstance(made, (list, tuple)) else (made,)


def wanted(case: Case) -> list[NDArray[Any]]:
    """The results: by ``expected``, else as coremltools evaluates the operator on constants."""
    if case.expected is not None:
        found = case.expected(**case.inputs)
        return [np.asarray(item) for item in (found if isinstance(found, tuple) else (found,))]
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import types

    kept: list[Any] = []

    @mb.program(
        input_specs=[mb.TensorSpec(shape=(1,), dtype=types.fp32)],
        opset_version=getattr(ct.target, f"iOS{case.ios}"),
    )
    def program(x: Any) -> Any:
        values = {
            key: array.copy() if array.ndim else array[()] for key, array in case.inputs.items()
        }  # it edits some
        kept.extend(item.val for item in call(mb, case, values))
        return mb.identity(x=x)

    assert all(item is not None for item in kept), f"coremltools does not evaluate {case.op}"
    return [np.asarray(item) for item in kept]


def feeds(cases: list[Case]) -> dict[str, NDArray[Any]]:
    """The arrays of every case by the program's input names."""
    return {
        f"c{index}_{key}": np.atleast_1d(array.astype(np.float32) if array.dtype == bool else array)
        for index, case in enumerate(cases)
        for key, array in case.inputs.items()
    }
