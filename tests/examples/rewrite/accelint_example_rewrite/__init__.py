"""A rewrite of one's own: twice a value is the value added to itself."""

from dataclasses import replace

from accelint.rewrites.engine import Miss, Promise, Rewrite


class DoubleAsSum(Rewrite[tuple]):
    """``Mul(x, 2)`` becomes ``Add(x, x)``."""

    id = "example-double-as-sum"
    title = "A product with two becomes a sum of the value with itself"
    dialect = "onnx"
    root = ("Mul",)
    parity = Promise.BIT_EXACT
    answers = ("ACL201",)

    def match(self, graph, op):
        """The product and the value that is doubled, or why there is none."""
        for index, name in enumerate(op.inputs):
            const = graph.constant(name)
            if const is not None and const.elements == 1 and float(const.read().reshape(-1)[0]) == 2.0:
                if const.shape != ():
                    return Miss("the factor is no scalar and may widen the result")
                return op, op.inputs[1 - index]
        return Miss("no operand is a stored 2")

    def apply(self, graph, found):
        """One operator for the other."""
        op, value = found
        graph.replace((op,), (replace(op, id=graph.fresh_id(), type="Add", inputs=(value, value)),))


REWRITES = (DoubleAsSum(),)
