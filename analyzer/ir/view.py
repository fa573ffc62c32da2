"""An edited copy of a graph: the same operators by id, with the tensors as a runtime has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ..errors import GraphError
from .graph import Graph, Operator
from .payloads import Tensor

_NOTHING: Mapping[str, Operator | None] = MappingProxyType({})


def edited(
    graph: Graph, ops: Mapping[str, Operator | None] = _NOTHING, tensors: Iterable[Tensor] = ()
) -> Graph:
    """The graph with other operators under some ids and other tensors under some names.

    It shares everything else with ``graph``, bodies included, and costs little more than what is edited;
    where nothing differs it is ``graph`` itself.

    Args:
        ops: by id, what stands there instead; None leaves the operator out.
        tensors: take the place of those of the same name; new names are added.

    Raises:
        GraphError: an id that the graph does not have, an operator under another id than its own, or one that
            reads or writes what does not exist, writes what another one writes, or closes a cycle.
    """
    swaps = {id: (graph.op(id), new) for id, new in ops.items() if new is not graph.op(id)}
    told = [tensor for tensor in tensors if graph.tensors.get(tensor.name) is not tensor]
    for id, (_, new) in swaps.items():
        if new is not None and new.id != id:
            raise GraphError(f"operator {new.id!r} cannot stand for {id!r}: a view keeps the ids")
    if not swaps and not told:
        return graph
    return graph.view(list(swaps.values()), told)
