"""What the vocabulary of packs cannot say of the evaluator's limits."""

from accelint.rules.predicates import holds_if, predicate

ACTIVATIONS = {"affine", "tanh"}


@predicate("example_activations")
def activations(graph, op, context):
    """Every activation of a recurrent operator is one that the evaluator knows; Tanh where none is given."""
    given = [str(name).lower() for name in op.attrs.get("activations", ("Tanh",))]
    unknown = [name for name in given if name not in ACTIVATIONS]
    return holds_if(not unknown, ", ".join(unknown or given), ", ".join(sorted(ACTIVATIONS)))
