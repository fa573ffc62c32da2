"""One model for each way in which an ONNX rewrite applies, and for each guard that keeps it from applying.

A case is the body of a model in onnx's text format, with an operator set when it is not 17.
"""

from __future__ import annotations

import rewrite_cases_onnx_forms as forms
import rewrite_cases_onnx_integers as integers
import rewrite_cases_onnx_logic as logic

X = "float[2,3,5] x"
Y = "float[2,3,5] y"


def one(op: str, before: str = X, after: str = Y) -> str:
    """A model of one operator."""
    return f"g ({before}) => ({after}) {{ y = {op} }}"


def einsum(equation: str, after: str, *operands: str) -> str:
    names = [f"x{index}" for index in range(len(operands))]
    inputs = ", ".join(f"float[{shape}] {name}" for name, shape in zip(names, operands, strict=True))
    return f'g ({inputs}) => (float[{after}] y) {{ y = Einsum<equation="{equation}">({", ".join(names)}) }}'


def reduction(op: str, axes: str, after: str, attrs: str = "") -> str:
    count = len(axes.split(","))
    return (
        f"g ({X}) => (float[{after}] y) <int64[{count}] a={{{axes}}}> {{ y = "
        f"{op}<{attrs or 'keepdims=1'}>(x, a) }}"
    )


def five(op: str, after: str = "2,3,4,5,2") -> str:
    return f"g (float[2,3,4,5,2] x) => (float[{after}] y) {{ y = {op} }}"


def dynamic(
    weight: str, product: str, scales: str = "s = Mul(xs, ws) y = Mul(f, s)", scale: str = "1"
) -> str:
    """A product of integers as dynamic quantization writes it."""
    return (
        f"g (float[2,3,8] x) => (float[2,3,4] y) <{weight}, float[{scale}] ws, int8[1] wz> "
        f"{{ xq, xs, xz = DynamicQuantizeLinear(x) i = {product} f = Cast<to=1>(i) {scales} }}"
    )


PRODUCT = "MatMulInteger(xq, w, xz, wz)"

Case = tuple[str, int]

APPLIES: dict[str, dict[str, str | Case]] = {
    "float-for-dynamic-integers": {
        "product": dynamic("int8[8,4] w", PRODUCT),
        "without a zero point": dynamic("int8[8,4] w", "MatMulInteger(xq, w, xz)"),
        "a scale a column": dynamic("int8[8,4] w", PRODUCT, scale="4"),
        "scales one after the other": dynamic("int8[8,4] w", PRODUCT, "s = Mul(f, ws) y = Mul(xs, s)"),
        "two readers": """g (float[3,8] x) => (float[3,4] y, float[3,2] z)
            <int8[8,4] w, int8[8,2] v, float ws, float vs> {
            xq, xs, xz = DynamicQuantizeLinear(x)
            i = MatMulInteger(xq, w, xz) f = Cast<to=1>(i) s = Mul(xs, ws) y = Mul(f, s)
            j = MatMulInteger(xq, v, xz) h = Cast<to=1>(j) t = Mul(vs, xs) z = Mul(t, h) }""",
        "convolution": """g (float[1,3,6,6] x) => (float[1,4,4,4] y)
            <uint8[4,3,3,3] w, float[1] ws, uint8 wz={3}> {
            xq, xs, xz = DynamicQuantizeLinear(x)
            i = ConvInteger(xq, w, xz, wz) f = Cast<to=1>(i) s = Mul(xs, ws) y = Mul(f, s) }""",
        "to float": """g (float[3,8] x) => (float[3,4] y) <int8[8,4] w, float[4] ws, int8[4] wz, float[4] b> {
            xq, xs, xz = DynamicQuantizeLinear(x)
            y = com.microsoft.MatMulIntegerToFloat(xq, w, xs, ws, xz, wz, b) }""",
        "at once": """g (float[3,8] x) => (float[3,4] y) <int8[8,4] w, float ws, int8 wz, float[4] b> {
            y = com.microsoft.DynamicQuantizeMatMul(x, w, ws, wz, b) }""",
    },
    "fold-shape": {
        "shape": "g (float[2,3] x) => (float[2,3] y) { s = Shape(x) c = Cast<to=1>(s) d = "
        "ReduceSum(c) y = Mul(x, d) }"
    },
    "fold-part-of-shape": {
        "gather": "g (float[N,3,4] x) => (float[N,3,4] y) <int64 i={2}> { s = Shape(x) g = "
        "Gather(s, i) f = Cast<to=1>(g) y = Mul(x, f) }",
        "slice": """g (float[N,3,4] x) => (float[N,3,4] y) <int64[1] b={1}, int64[1] e={-1}> {
            s = Shape(x) g = Slice(s, b, e) f = Cast<to=1>(g) y = Mul(x, f) }""",
    },
    "fold-constants": {
        "chain": "g (float[4] x) => (float[4] y) <float[2] a={1,2}, int64[1] r={2}> { t = "
        "Tile(a, r) y = Mul(x, t) }"
    },
    "fold-half-constants": {
        "quotient": "g (float16[3] x) => (float16[3] y) <float16[3] a, float16[3] b> { p = "
        "Abs(a) m = Div(b, p) y = Mul(x, m) }",
    },
    "fold-rounded-constants": {
        "position code": """g (float[1,4] x) => (float[1,4] y) <float[1,4] o={1,1,1,1}, int64 a={1},
            float t={100}, float[4] d={0,0,0.5,0.5}> { c = CumSum(o, a) p = Pow(t, d) q = Div(c, p)
            s = Sin(q) y = Add(x, s) }""",
        "resize": """g (float[1,1,4,4] x) => (float[1,1,4,4] y) <float[1,1,2,2] w={1,2,3,4},
            float[4] k={1,1,2,2}> { r = Resize<mode="linear">(w, "", k) y = Add(x, r) }""",
    },
    "inline-constant-if": {
        "then": """g (float[3] x) => (float[3] z) <bool c={1}> {
        y = If (c) <then_branch = t () => (float[3] a) { a = Neg(x) }, else_branch = e () => (float[3] b) {
        b = Exp(x) }> z = Abs(y) }"""
    },
    "remove-idle": {
        "identity": "g (float[3] x) => (float[3] y) { i = Identity(x) y = Neg(i) }",
        "output": "g (float[3] x) => (float[3] y, float[3] z) { n = Neg(x) z = Abs(n) y = Identity(n) }",
    },
    "merge-reshapes-onnx": {
        "two": """g (float[2,3,4] x) => (float[4,6] y) <int64[2] a={6,4}, int64[2] b={4,-1}> {
        r = Reshape(x, a) u = Unsqueeze(r, one) y = Reshape(u, b) }""".replace(
            "int64[2] b", "int64[1] one={0}, int64[2] b"
        )
    },
    "einsum-to-matmul": {
        "product": einsum("bij,bjk->bik", "2,3,4", "2,3,5", "2,5,4"),
        "attention": einsum("bqhd,bkhd->bhqk", "2,3,4,5", "2,4,3,6", "2,5,3,6"),
        "values": einsum("bhqk,bkhd->bqhd", "2,4,3,6", "2,3,4,5", "2,5,3,6"),
        "outer": einsum("i,j->ij", "4,5", "4", "5"),
        "sum": einsum("ijk->k", "5", "2,3,5"),
        "transpose": einsum("ijk->kij", "5,2,3", "2,3,5"),
        "three": einsum("ij,jk,kl->il", "2,3", "2,4", "4,5", "5,3"),
        "implicit": einsum("ij,jk", "2,5", "2,4", "4,5"),
        "ellipsis": einsum("...ij,...jk->...ik", "2,3,4,6", "2,3,4,5", "2,3,5,6"),
        "two summed": einsum("abcd,cdef->abef", "2,3,2,3", "2,3,4,5", "4,5,2,3"),
        "one operand summed": einsum("abc,bd->ad", "2,4", "2,3,5", "3,4"),
        "three batches": einsum("abcij,abcjk->abcik", "2,1,3,2,4", "2,1,3,2,5", "2,1,3,5,4"),
        "relative positions": einsum("bhwc,hkc->bhwk", "2,3,4,5", "2,3,4,6", "3,5,6"),
        "multiplied": einsum("ij,ij->ij", "3,5", "3,5", "3,5"),
    },
    "reduce-parts": {
        "l1": (reduction("ReduceL1", "1", "2,1,5"), 18),
        "squares": (reduction("ReduceSumSquare", "0,2", "3", "keepdims=0"), 18),
        "log": (
            """g (float[2,3,5] x) => (float[2,1,1] y) <int64[2] a={1,2}> {
            p = Exp(x) y = ReduceLogSum(p, a) }""",
            18,
        ),
        "attribute": one("ReduceL1<axes=[-1]>(x)", after="float[2,3,1] y"),
        "all": one("ReduceSumSquare<keepdims=0>(x)", after="float y"),
    },
    "global-lp-pool-to-reduce": {
        "two": one("GlobalLpPool(x)", "float[2,3,4,5] x", "float[2,3,1,1] y"),
        "one": one("GlobalLpPool<p=1>(x)", "float[2,3,4,5] x", "float[2,3,1,1] y"),
    },
    "mean-variance-parts": {
        "default": one("MeanVarianceNormalization(x)", "float[2,3,4,5] x", "float[2,3,4,5] y"),
        "axes": one("MeanVarianceNormalization<axes=[1,2]>(x)"),
    },
    "celu-to-elu": {"alpha": one("Celu<alpha=0.7>(x)"), "default": one("Celu(x)")},
    "softsign-parts": {"plain": one("Softsign(x)")},
    "hard-activation-parts": {
        "swish": one("HardSwish(x)"),
        "sigmoid": one("HardSigmoid<alpha=0.3,beta=0.4>(x)"),
        "default": one("HardSigmoid(x)"),
    },
    "mish-parts": {
        "plain": (one("Mish(x)"), 18),
        "large": (f"g ({X}) => ({Y}) {{ f = Exp(x) z = Exp(f) y = Mish(z) }}", 18),
    },
    "shrink-to-where": {"plain": one("Shrink<lambd=0.8,bias=0.3>(x)"), "default": one("Shrink(x)")},
    "cosh-parts": {"plain": one("Cosh(x)")},
    "sinh-parts": {"plain": one("Sinh(x)")},
    "erf-to-tanh": {"plain": one("Erf(x)")},
    "hardmax-to-one-hot": {
        "last": one("Hardmax(x)"),
        "inner": one("Hardmax<axis=1>(x)"),
        "negative": one("Hardmax<axis=-3>(x)"),
    },
    "trilu-to-where": {
        "upper": one("Trilu(x)"),
        "lower": one("Trilu<upper=0>(x)"),
        "diagonal": f"g ({X}) => ({Y}) <int64 k={{-1}}> {{ y = Trilu<upper=0>(x, k) }}",
    },
    "cumsum-to-matmul": {
        f"{attrs} {axis}": f"g ({X}) => ({Y}) <int64 a={{{axis}}}> {{ y = CumSum<{attrs}>(x, a) }}"
        for attrs in ("exclusive=0", "exclusive=1", "reverse=1", "exclusive=1,reverse=1")
        for axis in (0, 1, -1)
    },
    "isinf-to-equal": {
        "both": one("IsInf(x)", after="bool[2,3,5] y"),
        "up": one("IsInf<detect_negative=0>(x)", after="bool[2,3,5] y"),
        "down": one("IsInf<detect_positive=0>(x)", after="bool[2,3,5] y"),
    },
    "compress-to-gather": {
        "inner": "g (float[2,3,5] x) => (float[2,2,5] y) <bool[3] c={1,0,1}> { y = Compress<axis=1>(x, c) }"
    },
    "gemm-without-factors": {
        "constants": "g (float[3,4] x) => (float[3,5] y) <float[4,5] b, float[5] c> { y = "
        "Gemm<alpha=0.7,beta=-1.5>(x, b, c) }",
        "computed": "g (float[3,4] x, float[5,4] b, float[3,5] c) => (float[3,5] y) { y = "
        "Gemm<alpha=0.7,beta=2.0,transB=1>(x, b, c) }",
        "no bias": "g (float[3,4] x) => (float[3,5] y) <float[4,5] b> { y = Gemm<alpha=3.0>(x, b) }",
    },
    "layer-norm-over-last-axis": {
        "two": "g (float[2,3,5] x) => (float[2,3,5] y) <float[3,5] s, float[3,5] b> { y = "
        "LayerNormalization<axis=1>(x, s, b) }",
        "no bias": "g (float[2,3,5] x) => (float[2,3,5] y) <float[2,3,5] s> { y = "
        "LayerNormalization<axis=-3>(x, s) }",
    },
    "transpose-on-views-onnx": {
        "window": one("Transpose<perm=[0,1,3,2,4,5]>(x)", "float[1,2,3,4,5,2] x", "float[1,2,4,3,5,2] y"),
        "reversed": one("Transpose(x)", "float[2,3,4,5,2] x", "float[2,5,4,3,2] y"),
        "mixed": one("Transpose<perm=[5,2,0,4,1,3]>(x)", "float[2,3,4,2,3,2] x", "float[2,4,2,3,3,2] y"),
    },
    "merge-dimensions-onnx": {
        "unary": five("Exp(x)"),
        "cast": "g (float[2,3,4,5,2] x) => (int32[2,3,4,5,2] y) { y = Cast<to=6>(x) }",
        "broadcast": "g (float[2,3,4,5,2] x, float[1,1,4,1,1] z) => (float[2,3,4,5,2] y) { y = Sub(x, z) }",
        "lower rank": "g (float[2,3,4,5,2] x) => (float[2,3,4,5,2] y) <float[5,1] c> { y = Mul(c, x) }",
        "scalar": "g (float[2,3,4,5,2] x) => (float[2,3,4,5,2] y) <float c={0.5}> { y = Add(x, c) }",
        "where": "g (float[2,3,4,5,2] x, float[2,3,4,5,2] z) => (float[2,3,4,5,2] y) { c = "
        "Less(x, z) y = Where(c, x, z) }",
        "concat": "g (float[2,3,4,5,2] x, float[2,3,1,5,2] z) => (float[2,3,5,5,2] y) { y = "
        "Concat<axis=-3>(x, z) }",
        "softmax": five("Softmax<axis=-1>(x)"),
        "mean": five("ReduceMean<axes=[2,3,4],keepdims=0>(x)", "2,3"),
        "max": five("ReduceMax<axes=[0,4]>(x)", "1,3,4,5,1"),
        "mean 18": (
            "g (float[2,3,4,5,2] x) => (float[2,3,4,1,1] y) <int64[2] a={-1,-2}> { y = ReduceMean(x, a) }",
            18,
        ),
        "product": "g (float[2,1,3,4,5] x, float[2,1,3,5,2] z) => (float[2,1,3,4,2] y) { y = MatMul(x, z) }",
    },
    "normalization-parts": {
        "layer": "g (float[2,3,5] x) => (float[2,3,5] y) <float[3,5] s, float[3,5] b> { y = "
        "LayerNormalization<axis=1>(x, s, b) }",
        "no bias": "g (float[2,3,5] x) => (float[2,3,5] y) <float[5] s> { y = LayerNormalization(x, s) }",
        "instance": "g (float[2,3,5,4] x) => (float[2,3,5,4] y) <float[3] s, float[3] b> { y = "
        "InstanceNormalization(x, s, b) }",
    },
    "reciprocal-to-div": {"plain": f"g ({X}) => ({Y}) {{ e = Exp(x) y = Reciprocal(e) }}"},
    "product-by-rows": {
        "three": "g (float[2,3,5] x) => (float[2,3,4] y) <float[5,4] w> { y = MatMul(x, w) }",
        "four": "g (float[2,3,2,5] x) => (float[2,3,2,4] y) <float[5,4] w> { y = MatMul(x, w) }",
    },
    "weight-after-norm": {
        "written out": """g (float[2,3,8] x) => (float[2,3,8] y) <float[8] w={1,2,3,4,5,6,7,8}, float two={2},
            float e={1e-5}> { p = Pow(x, two) m = ReduceMean<axes=[-1]>(p) a = Add(m, e) s = Sqrt(a) r =
            Reciprocal(s)
            n = Mul(x, r) y = Mul(w, n) }"""
    },
    "bools-as-integers": {
        "gather": "g (float[2,3] x, int64[2] i) => (bool[2,2] y) { b = Less(x, x) y = Gather<axis=1>(b, i) }",
        "rows": """g (float[2,3] x) => (bool[1,1,1,2] y) <int64[1,1,1,2,2] i={0,1,1,2}> {
            b = Less(x, x) n = Not(b) y = GatherND(n, i) }""",
        "concat": "g (float[2,3] x) => (bool[4,3] y) <bool[2,3] c={1,0,1,0,1,1}> { b = Less(x, "
        "x) y = Concat<axis=0>(b, c) }",
    },
}

MISSES: dict[str, tuple[str | Case, str]] = {
    "float-for-dynamic-integers": (
        """g (float[3,8] x, int8[8,4] w) => (float[3,4] y) <float ws> {
        xq, xs, xz = DynamicQuantizeLinear(x)
        i = MatMulInteger(xq, w, xz) f = Cast<to=1>(i) s = Mul(xs, ws) y = Mul(f, s) }""",
        "are computed",
    ),
    "fold-shape": ("g (float[N,3] x) => (int64[2] y) { s = Shape(x) y = Neg(s) }", "not all known"),
    "fold-part-of-shape": (
        "g (float[N,3,4] x) => (int64 y) <int64 i={0}> { s = Shape(x) g = Gather(s, i) y = Neg(g) }",
        "not all known",
    ),
    "fold-constants": (
        "g (float[4] x) => (float[4] y) { a = Neg(x) y = Exp(a) }",
        "computed when the model runs",
    ),
    "fold-half-constants": (
        "g (float[3] x) => (float[3] y) <float[1] a={2}> { s = Sqrt(a) y = Mul(x, s) }",
        "output of the graph",
    ),
    "fold-rounded-constants": (
        "g (float16[3] x) => (float16[3] y) <float16[3] a> { s = Sin(a) y = Mul(x, s) }",
        "not on float32",
    ),
    "inline-constant-if": (
        """g (bool c, float[3] x) => (float[3] y) {
        y = If (c) <then_branch = t () => (float[3] a) { a = Neg(x) }, else_branch = e () => (float[3] b) {
        b = Exp(x) }> }""",
        "computed when the model runs",
    ),
    "remove-idle": ("g (float[3] x) => (float[3] y) { y = Identity(x) }", "connects an input"),
    "merge-reshapes-onnx": (
        "g (float[2,3] x) => (float[6] y) <int64[1] a={6}> { y = Reshape(x, a) }",
        "not the result of a reshape",
    ),
    "einsum-to-matmul": (einsum("ii->i", "3", "3,3"), "takes a diagonal"),
    "reduce-parts": (
        (f"g ({X}, int64[1] a) => (float[?,?,?] y) {{ y = ReduceL1(x, a) }}", 18),
        "computed when the model runs",
    ),
    "global-lp-pool-to-reduce": (
        one("GlobalLpPool<p=3>(x)", "float[2,3,4] x", "float[2,3,1] y"),
        "its p is 3",
    ),
    "mean-variance-parts": (
        "g (float x) => (float y) { y = MeanVarianceNormalization<axes=[0]>(x) }",
        "output",
    ),
    "celu-to-elu": (one("Celu<alpha=-1.0>(x)"), "not positive"),
    "softsign-parts": (
        "g (float[N] z, int64[1] s) => (float[?] y) { x = Reshape(z, s) y = Softsign(x) }",
        "output",
    ),
    "hard-activation-parts": ((one("HardSigmoid(x)"), 10), "before operator set 11"),
    "mish-parts": (("g (bfloat16[3] x) => (bfloat16[3] y) { y = Mish(x) }", 18), "not on floats"),
    "shrink-to-where": ("g (int32[3] x) => (int32[3] y) { y = Shrink(x) }", "not on floats"),
    "cosh-parts": ("g (float[3] x) => (float[3] y) { y = Cosh(x) }", "output"),
    "sinh-parts": ("g (float[3] x) => (float[3] y) { y = Sinh(x) }", "output"),
    "erf-to-tanh": ("g (int32[3] x) => (int32[3] y) { y = Erf(x) }", "not on floats"),
    "hardmax-to-one-hot": (
        one("Hardmax(x)", "float[2,N] x", "float[2,N] y"),
        "size of its axis is not known",
    ),
    "trilu-to-where": (one("Trilu(x)", "float[2,N] x", "float[2,N] y"), "sizes are not known"),
    "cumsum-to-matmul": (f"g ({X}, int64 a) => ({Y}) {{ y = CumSum(x, a) }}", "axis is computed"),
    "isinf-to-equal": (
        one("IsInf<detect_negative=0,detect_positive=0>(x)", after="bool[2,3,5] y"),
        "no sign",
    ),
    "compress-to-gather": (
        "g (float[2,3] x, bool[3] c) => (float[2,?] y) { y = Compress<axis=1>(x, c) }",
        "computed when the model runs",
    ),
    "gemm-without-factors": (
        "g (float[3,4] x) => (float[3,5] y) <float[4,5] b> { y = Gemm<beta=3.0>(x, b) }",
        "factors are 1",
    ),
    "layer-norm-over-last-axis": (
        "g (float[2,3,5] x) => (float[2,3,5] y) <float[5] s> { y = LayerNormalization<axis=1>(x, s) }",
        "weights are broadcast",
    ),
    "transpose-on-views-onnx": (one("Transpose<perm=[2,0,1]>(x)", after="float[5,2,3] y"), "few enough"),
    "normalization-parts": (
        "g (float16[2,3,5] x) => (float16[2,3,5] y) <float16[5] s> { y = LayerNormalization(x, s) }",
        "not on float32",
    ),
    "reciprocal-to-div": ("g (bfloat16[3] x) => (bfloat16[3] y) { y = Reciprocal(x) }", "not on floats"),
    "product-by-rows": (
        "g (float[2,3,5] x, float[5,4] w) => (float[2,3,4] y) { y = MatMul(x, w) }",
        "no stored matrix",
    ),
    "weight-after-norm": (
        "g (float[3] x) => (float[3] y) <float[3] w={1,2,3}> { n = Neg(x) y = Mul(w, n) }",
        "not the weight",
    ),
    "bools-as-integers": (
        "g (float[2,3] x, int64[2] i) => (float[2,2] y) { y = Gather<axis=1>(x, i) }",
        "does not move bools",
    ),
    "merge-dimensions-onnx": (
        "g (float[2,1,2,1,2] x, float[1,3,1,3,1] z) => (float[2,3,2,3,2] y) { y = Add(x, z) }",
        "too many dimensions",
    ),
}
for _id in ("mean-variance-parts", "softsign-parts", "cosh-parts", "sinh-parts"):
    _type = {
        "mean-variance-parts": "MeanVarianceNormalization",
        "softsign-parts": "Softsign",
        "cosh-parts": "Cosh",
        "sinh-parts": "Sinh",
    }[_id]
    MISSES[_id] = (f"g (bfloat16[2,3,4,5] x) => (bfloat16[2,3,4,5] y) {{ y = {_type}(x) }}", "not on floats")

FAMILIES = (forms, integers, logic)
"""Families with cases of their own."""
NEAR: dict[str, tuple[tuple[str | Case, str], ...]] = {id: (miss,) for id, miss in MISSES.items()}
for _family in FAMILIES:
    APPLIES.update(_family.APPLIES)
    NEAR.update(_family.NEAR)
