"""An ML Program as an ONNX model: scopes, names, constants and bodies; operators are the families'
business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import NotCoveredError, UsageError
from ..extensions import modules
from .call import Call
from .emit import Emitter, onnx_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ..ir.graph import Graph, Operator
    from ..ir.model import Model

LABEL = "reference evaluation, not Core ML"
"""What every number that comes of this is called."""
OPSET = 21
EXTERNAL = 1 << 28
"""Bytes of constants beyond which they are stored beside the model."""
Lowering = Callable[[Call], None]


@cache
def lowerings() -> Mapping[str, Lowering]:
    """By MIL operator: the function that writes it. A family is a module of ``mil`` that lists its own in
    ``LOWERINGS``.
    """
    found: dict[str, Lowering] = {}
    for name in modules([str(Path(__file__).parent / "mil")]):
        found.update(import_module(f".mil.{name}", __package__).LOWERINGS)
    return found


def write(model: Model, path: Path, keep: Sequence[str]) -> None:
    """As ``lower``."""
    if model.dialect != "mil":
        raise UsageError(f"{model.path} is {model.dialect}: only ML Programs are evaluated through ONNX")
    _store(Writer().model(model.graph, keep), path)


def partial(model: Model) -> Any:
    """The ONNX model with the operators that can be written, for inference: the others
    compute nothing.
    """
    writer = Writer()
    body, constants = writer.model(model.graph, (), whole=False)
    return _assembled(body, constants)


class Writer:
    """Writes one program."""

    def __init__(self) -> None:
        self.emitter = Emitter()
        self.states: dict[str, str] = {}
        """By name of a state, the ONNX name of its value now."""
        self.known: dict[tuple[int, str], Any] = {}
        """Constants that operators on weights give, by graph and name."""
        self._constants: dict[tuple[int, str], str] = {}
        self._results: dict[tuple[str, int], str] = {}
        self.missing: dict[str, str] = {}
        self.reserved: set[str] = set()
        """Names that results of the main graph keep."""

    def model(self, graph: Graph, keep: Sequence[str], *, whole: bool = True) -> tuple[Any, dict[str, Any]]:
        """The ONNX graph of a function, and its constants. Outputs are in order those of the function and
        what is kept; one that is an input has another name. Raises NotCoveredError.
        """
        from onnx import helper

        self.emitter.used.update(graph.inputs)
        names = {name: name for name in graph.inputs}
        inputs = []
        for name in graph.inputs:
            tensor = graph.tensor(name)
            if tensor.attrs.get("state"):
                self._state(graph, name)
            sizes = [
                dim if isinstance(dim, int) else f"{name}_{axis}"
                for axis, dim in enumerate(tensor.shape or ())
            ]
            inputs.append(helper.make_tensor_value_info(name, onnx_type(tensor.dtype), sizes))
        wanted = {
            name for name in (*graph.outputs, *keep) if name not in graph.inputs and graph.producer(name)
        }
        self.emitter.used.update(wanted)
        self.reserved = wanted
        names = self.block(graph, names)
        if self.missing and whole:
            raise _not_covered(self.missing)
        outputs = []
        for name in dict.fromkeys((*graph.outputs, *keep)):
            if graph.find(name) is None:
                continue
            made = self._output(graph, name, names)
            if made is not None:
                outputs.append(helper.make_tensor_value_info(made, onnx_type(self._dtype(graph, name)), None))
        body = helper.make_graph(self.emitter.nodes, graph.name or "main", inputs, outputs)
        return body, self.emitter.constants

    def _state(self, graph: Graph, name: str) -> None:
        """A state is zeros until it is written; the input of that name may give another value."""
        import numpy as np

        tensor = graph.tensor(name)
        if not tensor.static:
            raise NotCoveredError(f"the state {name!r} of unknown size")
        self.emitter.constants[name] = np.zeros(tuple(tensor.shape or ()), np.dtype(tensor.dtype))  # type: ignore[arg-type]
        self.states[name] = name

    def _dtype(self, graph: Graph, name: str) -> str:
        writer = graph.producer(name)
        if writer is not None and writer.type == "classify":
            return "int64" if writer.outputs[0] == name else graph.tensor(writer.inputs[0] or "").dtype
        return graph.tensor(name).dtype

    def _output(self, graph: Graph, name: str, names: Mapping[str, str]) -> str | None:
        """An output under its own name; one that is an input or a constant is copied."""
        found = self.name_of(graph, name, names)
        if found == name and name not in graph.inputs:
            return name
        if name in graph.inputs:
            return self.emitter.op("Identity", found, to=self.emitter.fresh(f"{name}_out"))
        return self.emitter.op("Identity", found, to=name)

    # ---- blocks --------------------------------------------------------------------------

    def block(self, graph: Graph, names: Mapping[str, str]) -> dict[str, str]:
        """Write the operators of a graph; the ONNX names of everything that it computes. What is not
        covered is remembered, and written no further.
        """
        scope = dict(names)
        for op in graph.ops():
            for index, result in enumerate(op.outputs):
                if result is not None:
                    scope[result] = self._name_result(graph, op, index, result)
            self._operator(graph, op, scope)
        return scope

    def _name_result(self, graph: Graph, op: Operator, index: int, result: str) -> str:
        reserved = graph.outer is None and result in self.reserved
        self.reserved.discard(result)
        name = result if reserved else self.emitter.fresh(result)
        self._results[op.id, index] = name
        return name

    def _operator(self, graph: Graph, op: Operator, scope: Mapping[str, str]) -> None:
        function = lowerings().get(op.type)
        try:
            if function is None:
                raise NotCoveredError(f"the operator {op.type}")
            function(Call(self, graph, op, scope))
        except NotCoveredError as error:
            self.missing.setdefault(op.label, error.message)
            self.missing.update(error.operators)
        except (IndexError, KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            # an operator of a stranger's file need not fit its own schema
            self.missing.setdefault(op.label, f"{op.type}, which does not fit its schema ({error})"[:200])

    def result_name(self, op: Operator, index: int) -> str:
        """The ONNX name of a result."""
        return self._results[op.id, index]

    def body(
        self,
        graph: Graph,
        names: Mapping[str, str],
        write_outputs: Callable[[Mapping[str, str]], list[str]],
        inputs: Sequence[Any] = (),
    ) -> Any:
        """A graph as the body of a node: what it reads from around it has its names from ``names``."""
        from onnx import helper

        outer, self.emitter.nodes = self.emitter.nodes, []
        try:
            outputs = write_outputs(self.block(graph, names))
            infos = [helper.make_empty_tensor_value_info(name) for name in outputs]
            return helper.make_graph(self.emitter.nodes, self.emitter.fresh(graph.name), list(inputs), infos)
        finally:
            self.emitter.nodes = outer

    # ---- values --------------------------------------------------------------------------

    def name_of(self, graph: Graph, name: str, names: Mapping[str, str]) -> str:
        """The ONNX name of a value that is read. Raises NotCoveredError."""
        if name in names:
            return names[name]
        owner: Graph | None = graph
        while owner is not None and name not in owner.tensors:
            owner = owner.outer
        key = (id(owner), name)
        if key not in self._constants:
            value = self.constant(graph, name)
            if value is None:
                raise NotCoveredError(f"the value {name!r}, which nothing computes")
            self._constants[key] = self.emitter.constant(value, name)
        return self._constants[key]

    def constant(self, graph: Graph, name: str) -> NDArray[Any] | None:
        """The value of a constant tensor, or of one that was computed from weights; None for all others."""
        owner: Graph | None = graph
        while owner is not None and name not in owner.tensors:
            owner = owner.outer
        if (id(owner), name) in self.known:
            found: NDArray[Any] = self.known[id(owner), name]
            return found
        const = graph.constant(name)
        if const is None:
            return None
        from .weights import read

        return read(const)

    def know(self, graph: Graph, name: str, value: NDArray[Any]) -> None:
        """A result that is known now is a constant."""
        owner: Graph | None = graph
        while owner is not None and name not in owner.tensors:
            owner = owner.outer
        self.known[id(owner), name] = value


def _not_covered(missing: Mapping[str, str]) -> NotCoveredError:
    kinds = dict.fromkeys(missing.values())
    some = "; ".join(list(kinds)[:5]) + (f" and {len(kinds) - 5} more" if len(kinds) > 5 else "")
    first = next(iter(missing))
    return NotCoveredError(f"the {LABEL}, does not cover {some} (first at {first!r})", missing)


def _store(parts: Any, path: Path) -> None:
    """Write graph and constants; beyond ``EXTERNAL`` bytes the constants go into a file beside the model."""
    import onnx

    body, constants = parts
    model = _assembled(body, constants)
    if sum(array.nbytes for array in constants.values()) > EXTERNAL:
        onnx.save_model(
            model, path, save_as_external_data=True, location=f"{path.name}.data", size_threshold=4096
        )
        return
    path.write_bytes(model.SerializeToString())


def _assembled(body: Any, constants: Mapping[str, Any]) -> Any:
    from onnx import helper, numpy_helper

    body.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="accelint")
    model.ir_version = 10
    model.doc_string = LABEL
    return model


def covered(types: Iterable[str]) -> list[str]:
    """Those of the operator types that are not covered."""
    return sorted({name for name in types if name not in lowerings()})
