"""The worker: runs in a process of its own, asks the evaluator, and tells what it said."""

from accelint.analyzer.runtimes import tensors
from accelint.analyzer.runtimes.answers import Answer, Placed


def open(name, folder):
    """A worker; what it returns answers each request."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    def ask(request):
        model = onnx.load(str(request.model))
        try:
            evaluator = ReferenceEvaluator(model)
            outputs = evaluator.run(None, tensors.read(request.inputs)) if request.inputs else None
        except (NotImplementedError, RuntimeError) as error:
            return Answer("refused", reason=f"{type(error).__name__}: {error}")
        named = dict(zip(evaluator.output_names, outputs or (), strict=False))
        kept = tensors.write(folder / "outputs.npz", named) if named else None
        nodes = enumerate(model.graph.node)
        placement = tuple(
            Placed(index, node.name, node.op_type, "accelerator", partition=0) for index, node in nodes
        )
        return Answer("ok", placement=placement, partitions=1, outputs=kept)

    return ask
