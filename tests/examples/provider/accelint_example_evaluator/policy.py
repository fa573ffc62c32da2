"""The evaluator runs a model as one piece or not at all."""

from accelint.analyzer.policies.base import Partitioning


class Whole:
    """One partition with every operator that is supported."""

    bodies = True

    def folded(self, graph, options):
        """Nothing is computed ahead of time."""
        return set()

    def partition(self, graph, supported, options):
        """All of them together."""
        ids = tuple(op.id for op in graph.ops() if op.id in supported)
        return Partitioning((ids,) if ids else ())


POLICIES = {"": Whole}
