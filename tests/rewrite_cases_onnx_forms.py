"""Cases of the families `window`, `reduce`, `activations` and `moves`: each way in which a rewrite applies,
and a near miss for each guard.
"""

from __future__ import annotations

X = "float[2,3,5] x"
Y = "float[2,3,5] y"
Case = tuple[str, int]


def one(op: str, before: str = X, after: str = Y, constants: str = "") -> str:
    """A model of one operator."""
    return f"g ({before}) => ({after}) {f'<{constants}>' if constants else ''} {{ y = {op} }}"


def window(op: str, after: str, constants: str = "", before: str = "1,4,9") -> str:
    return one(op, f"float[{before}] x", f"float[{after}] y", constants)


def transposed(attrs: str, after: str, weight: str = "4,3,4,3", before: str = "1,4,5,6") -> str:
    bias = 3 if "group=2" not in attrs else 6
    op = f"ConvTranspose<{attrs}>(x, w, b)"
    return window(op, after, f"float[{weight}] w, float[{bias}] b", before)


APPLIES: dict[str, dict[str, str | Case]] = {
    "windows-on-two-axes": {
        "conv": window(
            "Conv<kernel_shape=[3],pads=[1,2],strides=[2],dilations=[2]>(x, w, b)",
            "1,3,4",
            "float[3,4,3] w, float[3] b",
        ),
        "grouped": window("Conv<group=2>(x, w)", "1,6,7", "float[6,2,3] w"),
        "same": window('Conv<auto_pad="SAME_UPPER",strides=[2]>(x, w)', "1,3,5", "float[3,4,3] w"),
        "computed weight": """g (float[1,4,9] x, float[3,4,3] v) => (float[1,3,7] y) {
            w = Neg(v) y = Conv(x, w) }""",
        "transposed": window(
            "ConvTranspose<strides=[2],pads=[1,1],output_padding=[1]>(x, w)", "1,3,18", "float[4,3,3] w"
        ),
        "max pool": window("MaxPool<kernel_shape=[3],strides=[2],pads=[1,1]>(x)", "1,4,5"),
        "average pool": window("AveragePool<kernel_shape=[2]>(x)", "1,4,8"),
        "global": window("GlobalAveragePool(x)", "1,4,1"),
        "global max": window("GlobalMaxPool(x)", "1,4,1"),
    },
    "transposed-conv-to-conv": {
        "stride two": transposed("strides=[2,2],pads=[1,0,1,1],kernel_shape=[4,3]", "1,3,10,12"),
        "kernel is stride": transposed("strides=[2,2]", "1,3,10,12", "4,3,2,2"),
        "stride one": transposed("pads=[1,1,1,1]", "1,3,6,6"),
        "output padding": transposed("strides=[3,3],pads=[1,1,2,1],output_padding=[1,1]", "1,3,14,17"),
        "grouped": transposed("strides=[2,2],group=2", "1,6,12,13"),
        "one axis": transposed("strides=[1,3]", "1,3,1,19", "4,3,1,4", "1,4,1,6"),
        "one axis, grouped": transposed("strides=[1,2],group=2", "1,6,1,14", "4,3,1,4", "1,4,1,6"),
        "small kernel": transposed("strides=[3,3],output_padding=[2,2]", "1,3,15,18", "4,3,1,1"),
        "no bias": window("ConvTranspose<strides=[2,2]>(x, w)", "1,3,10,12", "float[4,3,2,2] w", "1,4,5,6"),
    },
    "pool-without-ceil": {
        "max": window(
            "MaxPool<kernel_shape=[3,3],strides=[2,2],ceil_mode=1>(x)", "1,2,4,3", before="1,2,8,7"
        ),
        "padded": window(
            "MaxPool<kernel_shape=[3,3],strides=[2,2],pads=[1,1,1,1],ceil_mode=1>(x)",
            "1,2,5,4",
            before="1,2,8,7",
        ),
        "average": window(
            "AveragePool<kernel_shape=[3,2],strides=[2,2],ceil_mode=1>(x)", "1,2,4,4", before="1,2,8,7"
        ),
    },
    "pool-on-padded": {
        "padded": window(
            "AveragePool<kernel_shape=[3,3],pads=[1,0,1,2],count_include_pad=1>(x)",
            "1,2,8,7",
            before="1,2,8,7",
        ),
        "no pads": window(
            "AveragePool<kernel_shape=[3,3],count_include_pad=1>(x)", "1,2,6,5", before="1,2,8,7"
        ),
    },
    "batch-norm-to-affine": {
        name: f"""g (float[{shape}] x) => (float[{shape}] y)
            <float[3] s, float[3] b, float[3] m, float[3] q={{0.5,1.5,2}}> {{
            y = BatchNormalization<epsilon=0.01>(x, s, b, m, q) }}"""
        for name, shape in (("rows", "2,3"), ("one axis", "2,3,5"), ("two axes", "2,3,4,5"))
    },
    "extreme-to-pool": {
        "last": one("ReduceMax<axes=[2]>(x)", after="float[2,3,1] y"),
        "inner": one("ReduceMax<axes=[1],keepdims=0>(x)", after="float[2,5] y"),
        "two": one("ReduceMin<axes=[0,-1]>(x)", after="float[1,3,1] y"),
        "all": one("ReduceMax<keepdims=0>(x)", after="float y"),
        "input": (
            f"g ({X}) => (float[2,1,5] y) <int64[1] a={{1}}> {{ y = ReduceMin(x, a) }}",
            18,
        ),
    },
    "sum-to-mean": {
        "inner": f"g ({X}) => (float[2,1,5] y) <int64[1] a={{1}}> {{ y = ReduceSum(x, a) }}",
        "all": one("ReduceSum<keepdims=0>(x)", after="float y"),
    },
    "length-parts": {"inner": one("ReduceL2<axes=[1],keepdims=0>(x)", after="float[2,5] y")},
    "log-sum-exp-parts": {
        "reduction": one("ReduceLogSumExp<axes=[1]>(x)", after="float[2,1,5] y"),
        "without axes": one("ReduceLogSumExp<axes=[1,2],keepdims=0>(x)", after="float[2] y"),
        "log softmax": one("LogSoftmax<axis=1>(x)"),
    },
    "clip-to-min-max": {
        "both": one("Clip(x, a, b)", constants="float a={-0.5}, float b={2}"),
        "lowest": one("Clip(x, a)", constants="float a={-0.5}"),
        "highest": one('Clip(x, "", b)', constants="float b={0.5}"),
        "attributes": (one("Clip<min=-0.5,max=0.25>(x)"), 10),
        "computed": 'g (float[2,3] x, float b) => (float[2,3] y) { y = Clip(x, "", b) }',
    },
    "erf-to-rational": {"plain": one("Erf(x)")},
    "gelu-parts": {
        "erf": (one("Gelu(x)"), 20),
        "tanh": (one('Gelu<approximate="tanh">(x)'), 20),
        "microsoft": one("com.microsoft.Gelu(x)"),
    },
    "cos-to-sin": {
        "plain": one("Cos(x)"),
        "far": f"g ({X}) => ({Y}) <float s={{100}}> {{ f = Mul(x, s) y = Cos(f) }}",
    },
    "softplus-parts": {"plain": one("Softplus(x)")},
    "selu-to-elu": {"plain": one("Selu(x)"), "attributes": one("Selu<alpha=0.7,gamma=2.0>(x)")},
    "sign-turned": {
        "neg": one("Neg(x)"),
        "abs": one("Abs(x)"),
        "ceil": one("Ceil(x)"),
        "min": f"g ({X}, float[5] z) => ({Y}) {{ y = Min(x, z) }}",
        "min of a constant": one("Min(z, x)", constants="float[3,1] z"),
    },
    "round-to-floor": {
        "plain": one("Round(x)"),
        "halves": f"g ({X}) => ({Y}) <float h={{0.5}}> {{ r = Round(x) m = Mul(r, h) y = Round(m) }}",
    },
    "floor-to-ceil": {"plain": one("Floor(x)")},
    "several-to-pairs": {
        "sum": f"g ({X}, float[3,1] v, float[1,5] w) => ({Y}) {{ y = Sum(v, w, x) }}",
        "sum of two": f"g ({X}, float[3,1] v) => ({Y}) {{ y = Sum(x, v) }}",
        "mean": f"g ({X}, float[3,1] v, float[5] w) => ({Y}) {{ y = Mean(x, v, w) }}",
        "max": f"g ({X}, float[3,1] v, float[5] w) => ({Y}) {{ y = Max(x, v, w) }}",
    },
    "pad-to-gather": {
        "reflect": one(
            'Pad<mode="reflect">(x, p)', after="float[2,5,10] y", constants="int64[6] p={0,2,1,0,0,4}"
        ),
        "edge": one('Pad<mode="edge">(x, p)', after="float[2,3,14] y", constants="int64[6] p={0,0,7,0,0,2}"),
        "wrap": (
            one('Pad<mode="wrap">(x, p)', after="float[2,4,5] y", constants="int64[6] p={0,1,0,0,0,0}"),
            19,
        ),
    },
    "slice-to-gather": {
        "old": (one("Slice<axes=[1,2],starts=[1,-4],ends=[3,-1]>(x)", after="float[2,2,3] y"), 9),
        "new": one(
            "Slice(x, s, e, a, t)",
            after="float[2,3,2] y",
            constants="int64[1] s={4}, int64[1] e={0}, int64[1] a={2}, int64[1] t={-2}",
        ),
    },
    "split-to-slices": {
        "sizes": f"""g ({X}) => (float[2,3,1] y, float[2,3,4] z) <int64[2] s={{1,4}}> {{
            y, z = Split<axis=-1>(x, s) }}""",
        "even": "g (float[4,3] x) => (float[2,3] y, float[2,3] z) { y, z = Split(x) }",
        "last is smaller": (
            "g (float[5,3] x) => (float[3,3] y, float[2,3] z) { y, z = Split<num_outputs=2>(x) }",
            18,
        ),
    },
    "expand-to-tile": {
        "inner": "g (float[2,1,5] x) => (float[2,3,5] y) <int64[3] s={2,3,5}> { y = Expand(x, s) }",
        "rank": "g (float[3,1] x) => (float[2,3,4] y) <int64[3] s={2,1,4}> { y = Expand(x, s) }",
    },
    "repeat-to-concat": {
        "tile": one("Tile(x, t)", after="float[4,3,15] y", constants="int64[3] t={2,1,3}"),
        "expand": "g (float[3,1] x) => (float[2,3,4] y) <int64[3] s={2,3,4}> { y = Expand(x, s) }",
    },
    "depth-to-space-by-depth": {
        "two": window('DepthToSpace<blocksize=2,mode="CRD">(x)', "1,3,4,6", before="1,12,2,3"),
    },
    "flatten-to-reshape": {
        "second axis": one("Flatten(x)", after="float[2,15] y"),
        "last axis": one("Flatten<axis=-1>(x)", after="float[6,5] y"),
    },
    "gather-scalar-as-list": {
        "stored": "g (int64[2,3] x) => (int64[2] y) <int64 i={-1}> { y = Gather<axis=1>(x, i) }",
        "computed": "g (float[2,3,5] x, int64 i) => (float[2,5] y) { y = Gather<axis=-2>(x, i) }",
    },
    "moves-on-views": {
        "slice": """g (float[2,3,2,4,5] x) => (float[2,3,1,4,3] y) <int64[2] s={1,3}, int64[2] e={2,-6},
            int64[2] a={2,4}, int64[2] t={1,-1}> { y = Slice(x, s, e, a, t) }""".replace("{2,-6}", "{2,0}"),
        "backwards": """g (float[2,3,2,4,5] x) => (float[2,3,2,4,5] y) <int64[1] s={-1},
            int64[1] e={-100}, int64[1] a={1}, int64[1] t={-1}> { y = Slice(x, s, e, a, t) }""",
        "gather": """g (float[2,3,2,4,5] x) => (float[2,3,4,5] y) <int64 i={1}> {
            y = Gather<axis=2>(x, i) }""",
        "computed index": """g (float[2,3,2,4,5] x, int64[3] i) => (float[2,3,3,4,5] y) {
            y = Gather<axis=2>(x, i) }""",
        "split": """g (float[2,3,2,4,5] x) => (float[2,1,2,4,5] y, float[2,2,2,4,5] z) <int64[2] s={1,2}> {
            y, z = Split<axis=1>(x, s) }""",
        "squeeze": "g (float[2,3,1,4,5] x) => (float[2,3,4,5] y) <int64[1] a={2}> { y = Squeeze(x, a) }",
        "unsqueeze": "g (float[2,3,4,5] x) => (float[2,3,1,4,5] y) <int64[1] a={2}> { y = Unsqueeze(x, a) }",
    },
}
APPLIES["moves-on-views"]["slice"] = """g (float[2,3,2,4,5] x) => (float[2,3,1,4,3] y) <int64[2] s={1,3},
    int64[2] e={2,0}, int64[2] a={2,4}, int64[2] t={1,-1}> { y = Slice(x, s, e, a, t) }"""

NEAR: dict[str, tuple[tuple[str | Case, str], ...]] = {
    "windows-on-two-axes": (
        (window("MaxPool<kernel_shape=[3]>(x)", "1,4,?", before="1,4,N"), "not all known"),
        (window("GlobalMaxPool(x)", "1,4,1,1", before="1,4,2,3"), "4 dimensions"),
        (
            "g (float[1,4,9] x, float[3,4,K] w) => (float[1,3,7] y) { y = Conv(x, w) }",
            "weight are not known",
        ),
    ),
    "transposed-conv-to-conv": (
        ((transposed("strides=[2,2]", "1,3,10,12", "4,3,2,2"), 10), "before operator set 11"),
        (window("ConvTranspose(x, w)", "1,3,11", "float[4,3,3] w"), "two spatial axes"),
        (
            "g (float[1,4,5,6] x, float[4,3,2,2] w) => (float[1,3,6,7] y) { y = ConvTranspose(x, w) }",
            "computed when the model runs",
        ),
        (transposed("dilations=[2,2]", "1,3,11,10"), "dilated"),
        (transposed('auto_pad="SAME_UPPER",strides=[2,2]', "1,3,10,12"), "size of its result"),
        (transposed("strides=[2,1]", "1,3,12,8"), "differ"),
        (transposed("strides=[2,2],output_padding=[1,1]", "1,3,11,13", "4,3,2,2"), "last window"),
    ),
    "pool-without-ceil": (
        (window("MaxPool<kernel_shape=[3]>(x)", "1,4,7"), "rounded down already"),
        (
            window(
                "AveragePool<kernel_shape=[3],strides=[2],pads=[1,1],ceil_mode=1,count_include_pad=1>(x)",
                "1,4,5",
            ),
            "or count",
        ),
        (window("MaxPool<kernel_shape=[2],ceil_mode=1>(x)", "1,4,?", before="1,4,N"), "not all known"),
        (window("MaxPool<kernel_shape=[1],strides=[3],ceil_mode=1>(x)", "1,4,4"), "lies in the padding"),
    ),
    "pool-on-padded": (
        (window("AveragePool<kernel_shape=[3]>(x)", "1,4,7"), "does not count"),
        (
            window('AveragePool<kernel_shape=[3],count_include_pad=1,auto_pad="SAME_UPPER">(x)', "1,4,9"),
            "automatic",
        ),
        ((window("AveragePool<kernel_shape=[3],count_include_pad=1>(x)", "1,4,7"), 10), "operator set 11"),
        (
            window("AveragePool<kernel_shape=[3],count_include_pad=1>(x)", "1,4,?", before="1,4,N"),
            "not all known",
        ),
    ),
    "batch-norm-to-affine": (
        (
            """g (float[2,3] x, float[3] s) => (float[2,3] y) <float[3] b, float[3] m, float[3] q> {
            y = BatchNormalization(x, s, b, m, q) }""",
            "statistics are computed",
        ),
        (
            """g (float[2,3] x) => (float[2,3] y) <float[3] s, float[3] b, float[3] m, float[3] q> {
            y = BatchNormalization<training_mode=1>(x, s, b, m, q) }""",
            "training mode",
        ),
        (
            """g (float16[2,3] x) => (float16[2,3] y)
            <float16[3] s, float16[3] b, float16[3] m, float16[3] q> {
            y = BatchNormalization(x, s, b, m, q) }""",
            "not on float32",
        ),
    ),
    "extreme-to-pool": (
        ("g (float16[3] x) => (float16[1] y) { y = ReduceMax(x) }", "not on float32"),
        ((f"g ({X}, int64[1] a) => (float[?,?,?] y) {{ y = ReduceMax(x, a) }}", 18), "axes are computed"),
        ((one("ReduceMax<noop_with_empty_axes=1>(x)"), 18), "does nothing"),
    ),
    "sum-to-mean": (
        (f"g ({X}, int64[1] a) => (float[?,?,?] y) {{ y = ReduceSum(x, a) }}", "axes are computed"),
    ),
    "length-parts": (("g (float[N] x) => (float[1] y) { y = ReduceL2(x) }", "known sizes"),),
    "log-sum-exp-parts": (
        ((one("LogSoftmax(x)"), 12), "before operator set 13"),
        (
            (f"g ({X}, int64[1] a) => (float[?,?,?] y) {{ y = ReduceLogSumExp(x, a) }}", 18),
            "axes are computed",
        ),
    ),
    "clip-to-min-max": (
        ((one("Clip<min=0.0>(x)"), 7), "do not broadcast"),
        (one("Clip(x)"), "no limit"),
    ),
    "erf-to-rational": (
        ("g (float16[3] x) => (float16[3] y) { y = Erf(x) }", "not on float32"),
        ((one("Erf(x)"), 10), "before operator set 11"),
    ),
    "gelu-parts": ((("g (bfloat16[3] x) => (bfloat16[3] y) { y = Gelu(x) }", 20), "not on floats"),),
    "cos-to-sin": (("g (float16[3] x) => (float16[3] y) { y = Cos(x) }", "not on float32"),),
    "softplus-parts": (("g (bfloat16[3] x) => (bfloat16[3] y) { y = Softplus(x) }", "not on floats"),),
    "selu-to-elu": (("g (bfloat16[3] x) => (bfloat16[3] y) { y = Selu(x) }", "not on floats"),),
    "round-to-floor": (("g (bfloat16[3] x) => (bfloat16[3] y) { y = Round(x) }", "not on floats"),),
    "floor-to-ceil": (("g (bfloat16[3] x) => (bfloat16[3] y) { y = Floor(x) }", "not on floats"),),
    "sign-turned": (
        (f"g ({X}, float[5] v, float[5] w) => ({Y}) {{ y = Min(x, v, w) }}", "compare two"),
        ("g (float[N] x, float[1] v) => (float[N] y) { y = Min(x, v) }", "not all known"),
    ),
    "several-to-pairs": (
        ((f"g ({X}, {X.replace('x', 'v')}) => ({Y}) {{ y = Sum(x, v) }}", 7), "not broadcast"),
        (f"g ({X}, float[5] v) => ({Y}) {{ y = Max(x, v) }}", "2 operands"),
        ("g (float[N] x, float[1] v) => (float[N] y) { y = Sum(x, v) }", "not all known"),
    ),
    "pad-to-gather": (
        (one("Pad(x, p)", after="float[2,4,5] y", constants="int64[6] p={0,1,0,0,0,0}"), "mode is constant"),
        (
            'g (float[N,3] x) => (float[?,4] y) <int64[4] p={0,1,0,0}> { y = Pad<mode="edge">(x, p) }',
            "not all known",
        ),
        (f'g ({X}, int64[6] p) => (float[?,?,?] y) {{ y = Pad<mode="edge">(x, p) }}', "widths are computed"),
        (
            one('Pad<mode="edge">(x, p)', after="float[2,2,5] y", constants="int64[6] p={0,-1,0,0,0,0}"),
            "negative",
        ),
        (
            one(
                'Pad<mode="edge">(x, p)', after="float[2,3,70005] y", constants="int64[6] p={0,0,70000,0,0,0}"
            ),
            "too large",
        ),
        (
            one('Pad<mode="reflect">(x, p)', after="float[2,6,5] y", constants="int64[6] p={0,3,0,0,0,0}"),
            "more than there is",
        ),
    ),
    "slice-to-gather": (
        ((one("Slice<axes=[1],starts=[0],ends=[1]>(x)", "float[N,3] x", "float[N,1] y"), 9), "not all known"),
        ((one("Slice<axes=[1],starts=[2],ends=[1]>(x)", after="float[2,0,5] y"), 9), "no elements"),
    ),
    "split-to-slices": (
        (
            ("g (float[4,3] x) => (float[2,3] y, float[2,3] z) { y, z = Split(x) }", 9),
            "before operator set 10",
        ),
        ("g (float[N,4] x) => (float[N,2] y, float[N,2] z) { y, z = Split<axis=1>(x) }", "not all known"),
        (
            "g (float[4] x, int64[2] s) => (float[?] y, float[?] z) { y, z = Split(x, s) }",
            "computed when the model runs",
        ),
    ),
    "expand-to-tile": (("g (float[1] x, int64[1] s) => (float[?] y) { y = Expand(x, s) }", "not all known"),),
    "repeat-to-concat": (
        ("g (float[1] x, int64[1] s) => (float[?] y) { y = Expand(x, s) }", "not all known"),
        ("g (float[1] x) => (float[65] y) <int64[1] t={65}> { y = Tile(x, t) }", "65 copies"),
        ("g (float x, int64[0] s) => (float y) { y = Expand(x, s) }", "no axis"),
    ),
    "depth-to-space-by-depth": (
        (window("DepthToSpace<blocksize=2>(x)", "1,3,4,6", before="1,12,2,3"), "DCR already"),
        (
            window('DepthToSpace<blocksize=2,mode="CRD">(x)', "N,3,4,6", before="N,12,2,3"),
            "not all known",
        ),
    ),
    "flatten-to-reshape": (
        (one("Flatten(x)", "float[N,3,5] x", "float[N,15] y"), "not all known"),
        (one("Flatten(x)", "float[2,0,5] x", "float[2,0] y"), "no elements"),
    ),
    "gather-scalar-as-list": (
        ("g (float[2,3] x, int64[1] i) => (float[2,1] y) { y = Gather<axis=1>(x, i) }", "no scalar"),
        ("g (float[N,3] x, int64 i) => (float[N] y) { y = Gather<axis=1>(x, i) }", "not all known"),
    ),
    "moves-on-views": (
        ("g (float[2,3] x) => (float[3] y) <int64 i={1}> { y = Gather(x, i) }", "at most four"),
        ("g (float[N,3,2,4,5] x) => (float[3,2,4,5] y) <int64 i={1}> { y = Gather(x, i) }", "not all known"),
        (
            "g (float[2,3,2,4,5] x, int64[2,2] i) => (float[2,2,3,2,4,5] y) { y = Gather(x, i) }",
            "indices of several dimensions",
        ),
        (
            """g (float[2,3,2,4,5] x) => (float[1,3,1,4,4] y) <int64[3] s={1,1,1}, int64[3] e={2,2,5},
            int64[3] a={0,2,4}> { y = Slice(x, s, e, a) }""",
            "too many axes",
        ),
    ),
}
