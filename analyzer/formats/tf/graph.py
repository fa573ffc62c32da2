"""TensorFlow nodes as a Graph: references resolved, calls inlined, bodies nested.

How a stored graph becomes ours:

- A tensor is named ``node:index``. Function bodies refer to ``node:argument:index``; both become the flat
  index.
- ``Const`` nodes become constant tensors and ``NoOp`` nodes vanish: neither computes anything.
- Calls (``PartitionedCall`` and the like) are inlined, because every consumer of the model inlines them.
  An inlined node keeps its own name, or ``call/name`` when that is taken. The ``Identity`` nodes that only
  return a call's results vanish with it. ``If``, ``While`` and every other node that names functions keep
  them as bodies in ``Operator.graphs``. What was inlined out of a function that XLA compiles is marked
  (``COMPILED``).
- Control inputs stay in the attribute ``control_inputs``, as stored.
- The back edge of a TensorFlow 1 loop (``NextIteration`` to ``Merge``) is a None input of the ``Merge``; its
  name stands in the attribute ``back_edges``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import GraphError
from ...ir.graph import Graph, Operator, Shape, Source, Tensor
from .library import Library
from .ops import MAX_OUTPUTS, OpSpec, OpTable, dtype
from .values import attributes, const_tensor, shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from .debug import DebugInfo

PLACEHOLDERS = ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault")
VARIABLES = ("VarHandleOp", "VariableV2", "Variable")
COMPILED = "_XlaMustCompile"
"""Mark of calls and functions that XLA compiles; operators that were inlined out of one have it as an
attribute.
"""
_MERGES, _BACK = ("Merge", "RefMerge"), ("NextIteration", "RefNextIteration")


@dataclass(slots=True)
class Context:
    """What all graphs of one model share."""

    library: Library
    ops: OpTable
    debug: DebugInfo
    file: Path


@dataclass(slots=True)
class Draft:
    """A graph in the making: tensors and operators by name, not yet checked."""

    name: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    ops: list[Operator] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    """NodeDef of every variable by the tensor it writes."""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def graph(self) -> Graph:
        """The checked graph; raises GraphError on what is wrong with it."""
        made = Graph(self.name, "tf")
        used = dict.fromkeys([*self.inputs, *self.outputs])
        for op in self.ops:
            used.update(dict.fromkeys(name for name in (*op.inputs, *op.outputs) if name))
        for name in used:
            if name not in self.tensors:
                raise GraphError(f"graph {self.name!r} has no tensor {name!r}")
            made.add_tensor(self.tensors[name])
        made.set_interface(self.inputs, self.outputs)
        for op in self.ops:
            made.add_op(op)
        made.ops()
        return made


@dataclass(slots=True)
class Scope:
    """Nodes that see each other: the top-level graph or one call of a function."""

    nodes: Mapping[str, Any]
    path: str
    function: str = ""
    caller: str = ""
    depth: int = 0
    values: dict[str, str] = field(default_factory=dict)
    """Tensor by reference ``node:flat index``; arguments of a function by their own name."""
    returned: frozenset[str] = frozenset()
    """Nodes that only hand back results of a call that is inlined."""
    compiled: bool = False
    """Whether XLA compiles the function (``jit_compile``): TensorFlow's own graph passes do not inline it."""
    written: dict[str, list[tuple[str, int, str]]] = field(default_factory=dict)
    _readers: dict[str, list[list[str]]] | None = None

    def readers(self) -> dict[str, list[list[str]]]:
        """By node: what its readers' references say after its name."""
        if self._readers is None:
            self._readers = {}
            for node in self.nodes.values():
                for reference in node.input:
                    name, *rest = reference.split(":")
                    self._readers.setdefault(name, []).append(rest)
        return self._readers

    def resolve(self, reference: str) -> str:
        """The tensor that a data reference means; raises GraphError when there is none."""
        node, *rest = reference.split(":")
        if not rest:
            found = self.values.get(node) or self.values.get(f"{node}:0")
        elif len(rest) == 1 and rest[0].isdigit():
            found = self.values.get(reference)
        else:
            found = self.values.get(f"{node}:{self._flat(node, rest)}")
        if found is None:
            where = f"function {self.function!r}" if self.function else "the graph"
            raise GraphError(f"{where} reads {reference!r}, which nothing writes")
        return found

    def _flat(self, node: str, rest: list[str]) -> int:
        index = int(rest[1]) if len(rest) > 1 and rest[1].isdigit() else 0
        for flat, (argument, place, _) in enumerate(self.written.get(node, ())):
            if argument == rest[0] and place == index:
                return flat
        return -1


def _compiled(node: Any, definition: Any) -> bool:
    return any(COMPILED in item.attr and item.attr[COMPILED].b for item in (node, definition))


def data_node(reference: str) -> str:
    """The node part of a data or control reference."""
    return reference.lstrip("^").split(":", 1)[0]


def indexed(nodes: Iterable[Any], where: str) -> dict[str, Any]:
    """Nodes by name in stored order; raises GraphError on a repeated or empty name."""
    found: dict[str, Any] = {}
    for node in nodes:
        if not node.name or node.name in found:
            raise GraphError(
                f"{where} has two nodes named {node.name!r}"
                if node.name
                else f"{where} has a node without a name"
            )
        found[node.name] = node
    return found


def ordered(nodes: Mapping[str, Any], roots: Iterable[str], stop: set[str]) -> list[Any]:
    """The nodes that the roots need, each after what it reads; ``stop`` names the fed ones.

    The stored order is kept where it allows. Raises GraphError on a cycle that no loop explains.
    """
    needed = _needed(nodes, roots, stop)
    order: list[Any] = []
    state: dict[str, int] = {}
    for name, node in nodes.items():
        if name not in needed or name in state:
            continue
        state[name] = 1
        stack = [(node, iter(_reads(nodes, node)))]
        while stack:
            current, rest = stack[-1]
            below = next((read for read in rest if read in needed and state.get(read) != 2), None)
            if below is None:
                state[current.name] = 2
                order.append(current)
                stack.pop()
            elif state.get(below) == 1:
                loop = [entry.name for entry, _ in stack]
                raise GraphError(f"the graph has a cycle: {' -> '.join(loop[loop.index(below) :][:8])}")
            else:
                state[below] = 1
                stack.append((nodes[below], iter(_reads(nodes, nodes[below]))))
    return order


def _reads(nodes: Mapping[str, Any], node: Any) -> list[str]:
    names = [data_node(reference) for reference in node.input]
    if node.op in _MERGES:
        return [name for name in names if name in nodes and nodes[name].op not in _BACK]
    return [name for name in names if name in nodes]


def _needed(nodes: Mapping[str, Any], roots: Iterable[str], stop: set[str]) -> set[str]:
    todo = [name for name in roots if name in nodes]
    found: set[str] = set()
    while todo:
        name = todo.pop()
        if name in found or name in stop:
            continue
        found.add(name)
        todo += [read for read in map(data_node, nodes[name].input) if read in nodes]
    return found


class Builder:
    """Builds the graphs of one model."""

    def __init__(self, context: Context) -> None:
        self.context = context

    # ---- functions and bodies ------------------------------------------------------------

    def function(self, name: str, path: str, depth: int = 0) -> Graph:
        """The body of a library function as a graph of its own, its arguments as inputs."""
        return self.function_draft(name, path, depth).graph()

    def function_draft(self, name: str, path: str, depth: int = 0) -> Draft:
        """The same, still open to changes."""
        definition = self.context.library[name]
        if not depth:
            self.context.library.check(definition.node_def)
        draft = Draft(path)
        arguments: dict[str, str] = {}
        for index, argument in enumerate(definition.signature.input_arg):
            tensor = Tensor(f"{argument.name}:0", dtype(argument.type), _argument_shape(definition, index))
            self._add(draft, tensor)
            draft.inputs.append(tensor.name)
            arguments[argument.name] = tensor.name
        draft.used.update(arguments)
        draft.outputs = self._run(draft, definition, arguments, path, "", depth, inline=False)
        return draft

    def _run(
        self,
        draft: Draft,
        definition: Any,
        arguments: Mapping[str, str],
        path: str,
        caller: str,
        depth: int,
        *,
        inline: bool,
        compiled: bool = False,
    ) -> list[str]:
        """Add a function's nodes to a draft; returns the tensors it gives back, in order."""
        where = f"function {definition.signature.name!r}"
        nodes = indexed(definition.node_def, where)
        results = [
            definition.ret[arg.name] for arg in definition.signature.output_arg if arg.name in definition.ret
        ]
        returned = frozenset(map(data_node, results)) if inline else frozenset()
        scope = Scope(
            nodes, path, definition.signature.name, caller, depth, dict(arguments), returned, compiled
        )
        roots = [*map(data_node, results), *definition.control_ret.values()]
        roots += [name for name, node in nodes.items() if not self._pure(node)]
        self._emit_all(draft, scope, ordered(nodes, roots, set()))
        return [scope.resolve(reference) for reference in results]

    def _pure(self, node: Any) -> bool:
        """False for a node without outputs, which is there for its effect."""
        spec = self.context.ops.get(node.op)
        return spec is None or bool(spec.outputs) or node.op == "NoOp"

    # ---- entry graphs --------------------------------------------------------------------

    def entry(
        self,
        name: str,
        nodes: Mapping[str, Any],
        inputs: Sequence[Tensor],
        outputs: Sequence[str],
        roots: Iterable[str] = (),
    ) -> Draft:
        """The part of the top-level graph that leads from ``inputs`` to the references ``outputs`` and the
        nodes ``roots``.
        """
        draft, fed = Draft(name), {data_node(tensor.name) for tensor in inputs}
        scope = Scope(nodes, name)
        for tensor in inputs:
            self._add(draft, tensor)
            draft.inputs.append(tensor.name)
            scope.values[tensor.name] = tensor.name
            draft.used.add(data_node(tensor.name))
        order = ordered(nodes, [*map(data_node, outputs), *roots], fed)
        self.context.library.check(order)
        self._emit_all(draft, scope, order)
        draft.outputs = [scope.resolve(reference) for reference in outputs]
        return draft

    # ---- nodes ---------------------------------------------------------------------------

    def _emit_all(self, draft: Draft, scope: Scope, order: Sequence[Any]) -> None:
        place = {name: index for index, name in enumerate(scope.nodes)}
        for node in order:
            self._emit(draft, scope, node, f"{scope.path}/{place[node.name]}")

    def _emit(self, draft: Draft, scope: Scope, node: Any, id: str) -> None:
        if node.op == "NoOp":
            return
        if node.op == "Const":
            self._constant(draft, scope, node)
        elif node.op in PLACEHOLDERS and not scope.function:
            self._unfed(draft, scope, node)
        elif node.name in scope.returned and node.op == "Identity" and node.input:
            scope.values[f"{node.name}:0"] = scope.resolve(node.input[0])
            scope.written[node.name] = [("output", 0, "unknown")]
        elif (callee := self.context.library.callee(node)) is not None:
            self._inline(draft, scope, node, callee, id)
        else:
            self._operator(draft, scope, node, id)

    def _inline(self, draft: Draft, scope: Scope, node: Any, callee: str, id: str) -> None:
        definition = self.context.library[callee]
        given = [scope.resolve(reference) for reference in node.input if not reference.startswith("^")]
        names = [argument.name for argument in definition.signature.input_arg]
        if len(given) != len(names):
            raise GraphError(
                f"{node.name!r} gives {len(given)} values to the function {callee!r}, which "
                f"takes {len(names)}"
            )
        caller = f"{scope.caller}/{node.name}" if scope.caller else node.name
        arguments, compiled = (
            dict(zip(names, given, strict=True)),
            scope.compiled or _compiled(node, definition),
        )
        results = self._run(
            draft, definition, arguments, id, caller, scope.depth + 1, inline=True, compiled=compiled
        )
        own = [argument.name for argument in definition.signature.output_arg]
        generic = node.op != callee
        scope.written[node.name] = [
            ("output" if generic else own[index], index if generic else 0, "unknown")
            for index in range(len(results))
        ]
        scope.values.update((f"{node.name}:{index}", result) for index, result in enumerate(results))

    def _constant(self, draft: Draft, scope: Scope, node: Any) -> None:
        if "value" not in node.attr:
            raise GraphError(f"the constant {node.name!r} has no value")
        name = self._fresh(draft, scope, node.name)
        try:
            tensor = const_tensor(
                f"{name}:0", node.attr["value"].tensor, self.context.file, {"node": node.name}
            )
        except GraphError as error:
            raise GraphError(f"node {node.name!r}: {error.message}") from None
        self._add(draft, tensor)
        scope.values[f"{node.name}:0"] = tensor.name
        scope.written[node.name] = [("output", 0, tensor.dtype)]

    def _unfed(self, draft: Draft, scope: Scope, node: Any) -> None:
        """A placeholder that no signature names is an input all the same."""
        name = self._fresh(draft, scope, node.name)
        dims = shape(node.attr["shape"].shape) if "shape" in node.attr else None
        self._add(draft, Tensor(f"{name}:0", dtype(node.attr["dtype"].type), dims))
        draft.inputs.append(f"{name}:0")
        scope.values[f"{node.name}:0"] = f"{name}:0"
        scope.written[node.name] = [("output", 0, "unknown")]

    def _operator(self, draft: Draft, scope: Scope, node: Any, id: str) -> None:
        spec = self.context.ops.get(node.op)
        name = self._fresh(draft, scope, node.name)
        outputs = self._outputs(draft, scope, node, spec, name)
        attrs = attributes(node, spec.defaults if spec else {})
        inputs = self._inputs(scope, node, attrs)
        if node.device:
            attrs["device"] = node.device
        if scope.compiled:
            attrs[COMPILED] = True
        if spec is None:
            attrs["undefined"] = True
        if node.op in VARIABLES and not scope.function:
            draft.variables[outputs[0]] = node
        bodies = {
            key: self.function(called, f"{id}/{key}", scope.depth + 1)
            for key, called in self.context.library.bodies(node)
        }
        source = Source(
            f"{self.context.file.name}#{scope.function}/{node.name}",
            self.context.debug.code(node.name, scope.function),
        )
        draft.ops.append(
            Operator(id, node.op, tuple(inputs), tuple(outputs), attrs, name, graphs=bodies, source=source)
        )

    def _inputs(self, scope: Scope, node: Any, attrs: dict[str, Any]) -> list[str | None]:
        """The tensors read; control inputs and back edges go to the attributes."""
        inputs: list[str | None] = []
        control: list[str] = []
        back: list[str] = []
        for reference in node.input:
            if reference.startswith("^"):
                control.append(reference[1:])
            elif node.op in _MERGES and _type(scope, reference) in _BACK:
                back.append(reference)
                inputs.append(None)
            else:
                inputs.append(scope.resolve(reference))
        if control:
            attrs["control_inputs"] = tuple(control)
        if back:
            attrs["back_edges"] = tuple(back)
        return inputs

    def _outputs(self, draft: Draft, scope: Scope, node: Any, spec: OpSpec | None, name: str) -> list[str]:
        stored = node.attr["_output_shapes"].list.shape if "_output_shapes" in node.attr else ()
        written = spec.written(node) if spec else _guessed(scope, node, len(stored))
        scope.written[node.name] = written
        names = []
        for index, (_, _, kind) in enumerate(written):
            tensor = Tensor(
                f"{name}:{index}", kind, shape(stored[index]) if index < len(stored) else _declared(node)
            )
            self._add(draft, tensor)
            scope.values[f"{node.name}:{index}"] = tensor.name
            names.append(tensor.name)
        return names

    def _fresh(self, draft: Draft, scope: Scope, node: str) -> str:
        """The node's own name, ``call/name`` when it is taken, then numbered."""
        name, count = node, 1
        if name in draft.used and scope.caller:
            name = f"{scope.caller}/{node}"
        stem = name
        while name in draft.used:
            name, count = f"{stem}_{count}", count + 1
        draft.used.add(name)
        return name

    def _add(self, draft: Draft, tensor: Tensor) -> None:
        if tensor.name in draft.tensors:
            raise GraphError(f"graph {draft.name!r} has two tensors named {tensor.name!r}")
        draft.tensors[tensor.name] = tensor


def _argument_shape(definition: Any, index: int) -> Shape:
    if index not in definition.arg_attr:
        return None
    attrs = definition.arg_attr[index].attr
    stored = attrs["_output_shapes"].list.shape if "_output_shapes" in attrs else ()
    return next(map(shape, stored), None)


def _type(scope: Scope, reference: str) -> str:
    node = scope.nodes.get(data_node(reference))
    return "" if node is None else str(node.op)


def _declared(node: Any) -> Shape:
    """The shape that variables and fed tensors declare themselves."""
    if node.op in ("VariableV2", "Variable", *PLACEHOLDERS) and "shape" in node.attr:
        return shape(node.attr["shape"].shape)
    return None


def _guessed(scope: Scope, node: Any, shapes: int) -> list[tuple[str, int, str]]:
    """The outputs of an operator nobody defines: those that have a shape or are read, in the order read."""
    found: dict[tuple[str, int], None] = {}
    highest = min(shapes, MAX_OUTPUTS) - 1
    for rest in scope.readers().get(node.name, ()):
        if not rest:
            highest = max(highest, 0)
        elif len(rest) == 2 and rest[1].isdigit():
            found[rest[0], int(rest[1])] = None
        elif rest[0].isdigit():
            highest = max(highest, min(int(rest[0]), 255))
    arguments = list(found) + [("output", index) for index in range(len(found), highest + 1)]
    return [(argument, index, "unknown") for argument, index in arguments]
