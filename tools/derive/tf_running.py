"""Whether TensorFlow itself runs a call of a raw operator: what its own kernel refuses is no call that a
model could make.

``runs(question)`` is ``runs``, ``refused: ...`` (TensorFlow says the call is wrong, for every value that was
fed), or ``open``: nobody can say, because the operator has no CPU kernel, or because an open shape or a
computed index could still be what the kernel wants. Only ``refused`` takes a call out of a comparison. The
converter and the packs are not asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from tf_asking import graph_of
from tf_questions import HANDLES, INDEX, Input, Question

SECONDS = 5
_LACKS = re.compile(
    r"No OpKernel|Cannot assign|[Oo]nly support|on (the )?CPU|[Nn]ot (yet "
    r")?(supported|implemented|available)|[Uu]nsupported|NCHW"
)
"""What a kernel says of itself and not of the call."""


def runs(question: Question) -> str:
    """Run the call with a few values; see the module."""
    import tensorflow as tf

    if not _closed(question):
        return "open"
    graph, given, _ = graph_of([question])
    try:
        asked = graph.get_operation_by_name("q0")
    except KeyError:  # a constant
        return "runs"
    off = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1, inter_op_parallelism_threads=1, operation_timeout_in_ms=1000 * SECONDS
    )
    told = ""
    with tf.compat.v1.Session(graph=graph, config=off) as session:
        for values in _values(given):
            try:
                session.run(asked, dict(zip(given, values, strict=True)))
            except (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError) as error:
                told = " ".join(
                    error.message.partition("Original stack trace")[0].rpartition("Node: 'q0'")[2].split()
                )[:160]
                if _LACKS.search(error.message):
                    return "open"
            except Exception:  # no kernel, no state: nothing about the call
                return "open"
            else:
                return "runs"
    return f"refused: {told}"


def _closed(question: Question) -> bool:
    """Every shape is known, every index is stored and nothing is a handle: only then do a few values tell
    about all.
    """
    flat = [
        Input.read(text) for item in question.inputs for text in (item if isinstance(item, list) else [item])
    ]
    computed = [item for item in flat if not item.stored and item.dtype not in HANDLES]
    known = all(item.shape is not None and None not in item.shape for item in computed)
    return (
        known
        and not any(item.dtype in HANDLES for item in flat)
        and not (len(flat) > 1 and any(item.dtype in INDEX for item in computed))
    )


def _values(given: Sequence[Any]) -> Iterator[list[Any]]:
    """Values for all placeholders: ones, zeros, small steps, and different ones for each."""
    import numpy as np

    def made(spec: Any, kind: str, rng: Any) -> Any:
        shape, dtype = tuple(spec.shape.as_list()), spec.dtype.as_numpy_dtype
        counted = np.arange(int(np.prod(shape))).reshape(shape)
        steps = {"ones": np.ones(shape), "zeros": np.zeros(shape), "steps": counted % 4, "counted": counted}
        values = steps[kind] if kind in steps else rng.integers(0, 9, shape)
        if spec.dtype.name == "string":
            return np.asarray(values).astype(int).astype(str).astype(object)
        return np.asarray(values).astype(dtype)

    for number, kind in enumerate(("ones", "zeros", "steps", "counted", *["any"] * 8)):
        rng = np.random.default_rng(number)
        yield [made(spec, kind, rng) for spec in given]
