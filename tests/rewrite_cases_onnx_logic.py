"""Cases of the family `logic`: each way in which a rewrite applies, and a near miss for each guard."""

from __future__ import annotations

Case = tuple[str, int]
IDS, B = "int64[2,3] x, int64[3] v", "bool[2,3]"


def compared(type: str, operands: str = "float[2,3] x", constants: str = "float[3] v={0.5,-1,2}") -> str:
    return f"g ({operands}) => (bool[2,3] y) <{constants}> {{ y = {type}(x, v) }}"


def logic(type: str) -> str:
    return f"g (bool[2,3] x, bool[3] v) => ({B} y) {{ y = {type}(x, v) }}"


APPLIES: dict[str, dict[str, str | Case]] = {
    "logic-as-numbers": {
        "not": f"g (bool[2,3] x) => ({B} y) {{ y = Not(x) }}",
        **{name.lower(): logic(name) for name in ("And", "Or", "Xor")},
        "equal bools": logic("Equal"),
        "equal integers": f"g ({IDS}) => ({B} y) {{ y = Equal(x, v) }}",
        "equal int32": f"g (int32[2,3] x) => ({B} y) <int32[3] v={{1,0,2147483647}}> {{ y = Equal(x, v) }}",
        **{
            f"{name} of integers": f"g ({IDS}) => ({B} y) {{ y = {name}(x, v) }}"
            for name in ("Greater", "Less", "GreaterOrEqual", "LessOrEqual")
        },
        **{
            f"{name} of floats": compared(name)
            for name in ("Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal")
        },
    },
    "where-of-integers": {
        "int64": "g (bool[2,3] c, int64[3] x, int64[2,1] z) => (int64[2,3] y) { y = Where(c, x, z) }",
        "int32": """g (bool[2,3] c, int32[2,3] x) => (int32[2,3] y) <int32 z={-5}> {
            y = Where(c, x, z) }""",
    },
    "moves-as-wide-numbers": {
        "bool": "g (bool[2,3] x) => (bool[3,2] y) { y = Transpose(x) }",
        "int32": """g (int32[2,3] x) => (int32[2,1,3] y) <int64[1] a={1}> { y = Unsqueeze(x, a) }""",
        "bytes": """g (int64[2] i) => (float[2,2] y) <uint8[3,2] w={0,1,128,254,255,7}> {
            g = Gather(w, i) y = Cast<to=1>(g) }""",
        "concat": "g (bool[2,3] x) => (bool[4,3] y) <bool[2,3] c={1,0,0,1,1,0}> { y = Concat<axis=0>(x, c) }",
    },
    "integers-as-int64": {
        **{
            type.lower(): f"""g (int32[2,3] x) => (int32[2,3] y) <int32[3] v={{2147483647,-2147483648,3}}> {{
            y = {type}(x, v) }}"""
            for type in ("Add", "Sub", "Mul", "Max")
        },
        "reduction": """g (int32[2,3] x) => (int32[2,1] y) <int64[1] a={1}> { y = ReduceSum(x, a) }""",
    },
    "concat-without-empty-operands": {
        "one is left": """g (float[2,3] x) => (float[2,3] y) <float[0,3] e> {
            c = Concat<axis=0>(e, x) y = Neg(c) }""",
        "two are left": """g (float[2,3] x, float[1,3] z) => (float[3,3] y) <float[0,3] e> {
            y = Concat<axis=0>(x, e, z) }""",
    },
    "log-by-root": {
        "sum": """g (float[2,3] x) => (float[2,3] y) <float e={1e-6}> {
            s = Mul(x, x) p = Add(s, e) y = Log(p) }""",
        "exponentials": """g (float[2,3] x) => (float[2,1] y) <int64[1] a={1}> {
            m = ReduceMax<axes=[1]>(x) d = Sub(x, m) e = Exp(d) s = ReduceSum(e, a) y = Log(s) }""",
        "limit": """g (float[2,3] x) => (float[2,3] y) <float e={1e-30}> {
            p = Clip(x, e) y = Log(p) }""",
        "large": """g (float[2,3] x) => (float[2,3] y) <float e={1e-9}, float k={2.5}> {
            m = Mul(x, k) g = Exp(m) p = Max(e, g) y = Log(p) }""",
    },
    "softmax-without-nan-guard": {
        "guard": """g (float[2,3] x) => (float[2,3] y) <float z={0}> {
            p = Softmax(x) n = IsNaN(p) w = Where(n, z, p) y = Neg(w) }""",
    },
}

NEAR: dict[str, tuple[tuple[str | Case, str], ...]] = {
    "logic-as-numbers": (
        ((f"g ({IDS}) => ({B} y) {{ y = Equal(x, v) }}", 8), "below 9"),
        (compared("Greater", "float16[2,3] x, float16[3] v", ""), "compares float16"),
        (compared("Greater", "float[2,3] x, float[3] v", ""), "may be infinite"),
    ),
    "where-of-integers": (
        ("g (bool[2] c, float[2] x, float[2] z) => (float[2] y) { y = Where(c, x, z) }", "on float32"),
    ),
    "moves-as-wide-numbers": (
        ("g (float[2,3] x) => (float[3,2] y) { y = Transpose(x) }", "moves float32"),
        (
            """g (float[9,2] t, int64[2] i) => (float[2,2] y) <int32[3] w={1,2,3}> {
            y = Gather(t, p) p = Gather(w, i) }""".replace(
                "y = Gather(t, p) p = Gather(w, i)", "p = Gather(w, i) y = Gather(t, p)"
            ),
            "moves float32",
        ),
    ),
    "integers-as-int64": (("g (int64[2] x) => (int64[2] y) { y = Add(x, x) }", "not on int32"),),
    "concat-without-empty-operands": (
        ("g (float[2,3] x) => (float[4,3] y) { y = Concat<axis=0>(x, x) }", "has elements"),
        ("g (float[2,3] x) => (float[0,3] y) <float[0,3] e> { y = Concat<axis=0>(e, e) }", "no operand"),
    ),
    "log-by-root": (
        ("g (float[2] x) => (float[2] y) { y = Log(x) }", "kept above 0"),
        (
            "g (float[2] x) => (float[2] y) <float e={0}> { p = Clip(x, e) y = Log(p) }",
            "kept above 0",
        ),
        ("g (float16[2] x) => (float16[2] y) { p = Add(x, x) y = Log(p) }", "not on float32"),
    ),
    "softmax-without-nan-guard": (
        ("g (float[2] x) => (bool[2] y) { y = IsNaN(x) }", "not the guard"),
        (
            """g (float[2] x, float[2] z) => (float[2] y) {
            p = Softmax(x) w = Where(n, z, x) n = IsNaN(p) y = Neg(w) }""".replace(
                "w = Where(n, z, x) n = IsNaN(p)", "n = IsNaN(p) w = Where(n, z, x)"
            ),
            "does not give the Softmax",
        ),
        (
            """g (float[2] x, float[2] z) => (float[2] y) {
            p = Softmax(x) n = IsNaN(p) y = Where(n, z, p) }""",
            "output of the graph",
        ),
    ),
}
