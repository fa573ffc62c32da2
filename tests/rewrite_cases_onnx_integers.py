"""Cases of the families `recurrent` and `quantized`: each way in which a rewrite applies, and a near miss
for each guard.
"""

from __future__ import annotations

Case = tuple[str, int]
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def recurrent(
    kind: str,
    attrs: str = "",
    *,
    steps: str = "3",
    count: int = 1,
    inputs: str = "",
    more: str = "",
    outputs: tuple[str, ...] = ("y",),
    bias: bool = True,
) -> str:
    """Three steps of two rows, five inputs and a state of four."""
    width = GATES[kind] * 4
    weights = f"float[{count},{width},5] w, float[{count},{width},4] r"
    weights += f", float[{count},{2 * width}] b" if bias else ""
    shapes = {"y": f"{steps},{count},2,4", "h": f"{count},2,4", "c": f"{count},2,4"}
    declared = ", ".join(f"float[{shapes[name]}] {name}" for name in outputs if name)
    names = ", ".join(name or '""' for name in outputs)
    operands = f"x, w, r, {'b' if bias else ''}{inputs}".rstrip(", ")
    operands = operands.replace(", ,", ', "",')
    return (
        f"g (float[{steps},2,5] x{_inputs(more, True)}) => ({declared}) <{weights}{_inputs(more, False)}> "
        f"{{ {names} = {kind}<hidden_size=4{attrs}>({operands}) }}"
    )


def _inputs(more: str, computed: bool) -> str:
    """What stands before the bar is computed, what stands behind it is stored."""
    before, _, behind = more.partition("|")
    chosen = before if computed else behind
    return f", {chosen}" if chosen else ""


STATES = "float[1,2,4] h0, float[1,2,4] c0"
BOTH = ',direction="bidirectional"'
DYNAMIC = "q, s, z = DynamicQuantizeLinear(x)"


def quantized_product(before: str = "", op: str = "MatMulInteger(q, w, z, wz)", after: str = "2,3,4") -> str:
    return f"""g (float[2,3,5] x) => (float[{after}] y)
    <int8[5,4] w={{{integers(20, -125, 125)}}}, int8 wz={{3}}, float ws={{0.02}}> {{
    {before} {DYNAMIC} i = {op} f = Cast<to=1>(i) m = Mul(s, ws) y = Mul(f, m) }}"""


def integers(count: int, low: int, high: int) -> str:
    return ", ".join(str(low + index * 37 % (high - low)) for index in range(count))


def pairs(dtype: str, zero: str, axis: str = "") -> str:
    return f"""g (float[2,3,5] x) => (float[2,3,5] y) <float s={{0.05}}, {dtype} z={{{zero}}}> {{
    q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }}"""


STATED = ',activations=["Sigmoid","Tanh","Tanh"]'
APPLIES: dict[str, dict[str, str | Case]] = {
    "default-activations": {
        "lstm": recurrent("LSTM", STATED),
        "gru of both directions": recurrent(
            "GRU", BOTH + ',activations=["Sigmoid","Tanh","Sigmoid","Tanh"]', count=2
        ),
    },
    "recurrent-unrolled": {
        "lstm": recurrent("LSTM", outputs=("y", "h", "c")),
        "lstm with states": recurrent("LSTM", inputs=', "", h0, c0', more=STATES, outputs=("y", "h", "c")),
        "lstm of both directions": recurrent("LSTM", BOTH, count=2, outputs=("y", "h", "c")),
        "lstm backwards": recurrent("LSTM", ',direction="reverse"', outputs=("y", "h")),
        "lstm of both directions with states": recurrent(
            "LSTM",
            BOTH,
            count=2,
            inputs=', "", h0, c0',
            more="float[2,2,4] h0|float[2,2,4] c0",
            outputs=("", "h", "c"),
        ),
        "lengths": recurrent("LSTM", inputs=", l", more="|int32[2] l={3,3}", outputs=("y", "h")),
        "one step": recurrent("LSTM", steps="1", outputs=("y", "h", "c")),
        "without bias": recurrent("LSTM", bias=False),
        "activations": recurrent("LSTM", ',activations=["sigmoid","Relu","Tanh"]'),
        "gru": recurrent("GRU", outputs=("y", "h")),
        "gru reset after": recurrent("GRU", ",linear_before_reset=1", outputs=("y", "h")),
        "gru with a state": recurrent(
            "GRU", BOTH, count=2, inputs=', "", h0', more="float[2,2,4] h0", outputs=("y", "h")
        ),
        "gru reset after, with a state": recurrent(
            "GRU", ",linear_before_reset=1", inputs=', "", h0', more="float[1,2,4] h0", outputs=("", "h")
        ),
        "rnn": recurrent("RNN", outputs=("y", "h")),
        "old": (recurrent("GRU", BOTH, count=2, outputs=("y", "h")), 9),
        "rnn with a state": (recurrent("RNN", inputs=', "", h0', more="float[1,2,4] h0"), 18),
        "quantized lstm": f"""g (float[3,1,5] x, float[1,1,4] h0) => (float[3,1,1,4] y, float[1,1,4] h)
            <int8[1,5,16] w={{{integers(80, -100, 100)}}}, int8[1,4,16] r={{{integers(64, -100, 100)}}},
            float[1,32] b, float[1,1,4] c0, float[1] ws={{0.01}}, int8[1] wz={{2}}, float[1] rs={{0.008}},
            int8[1] rz={{0}}> {{
            y, h = com.microsoft.DynamicQuantizeLSTM<hidden_size=4>(
            x, w, r, b, "", h0, c0, "", ws, wz, rs, rz) }}""",
    },
    "dynamic-quantization-as-float": {
        "product": quantized_product(),
        "without zero point": quantized_product(op="MatMulInteger(q, w, z)"),
        "two products": f"""g (float[2,3,5] x) => (float[2,3,4] y, float[2,3,2] v)
            <int8[5,4] w={{{integers(20, -125, 125)}}}, uint8[5,2] u={{{integers(10, 0, 255)}}},
            uint8[2] uz={{128,120}}, float[4] ws={{0.02,0.01,0.03,0.02}}, float[2] us={{0.01,0.02}}> {{
            {DYNAMIC} i = MatMulInteger(q, w, z) f = Cast<to=1>(i) m = Mul(ws, s) y = Mul(m, f)
            j = MatMulInteger(q, u, z, uz) k = Cast<to=1>(j) n = Mul(s, us) v = Mul(k, n) }}""",
        "convolution": f"""g (float[1,2,4,5] x) => (float[1,3,4,5] y)
            <uint8[3,2,3,3] w={{{integers(54, 0, 255)}}}, uint8 wz={{120}}, float ws={{0.02}}> {{
            {DYNAMIC} i = ConvInteger<pads=[1,1,1,1]>(q, w, z, wz) f = Cast<to=1>(i)
            m = Mul(s, ws) y = Mul(f, m) }}""",
        "zeros": """g (float[2,3] x) => (float[2,2] y) <int8[3,2] w={1,2,3,4,5,6}, float ws={0.5}> {
            n = Abs(x) o = Neg(n) x0 = Relu(o) q, s, z = DynamicQuantizeLinear(x0)
            i = MatMulInteger(q, w, z) f = Cast<to=1>(i) m = Mul(s, ws) y = Mul(f, m) }""",
    },
    "dequantized-constants": {
        "one scale": """g (float[2,3] x) => (float[2,3] y) <int8[2,3] w={-128,-1,0,1,2,127}, float s={0.3},
            int8 z={3}> { d = DequantizeLinear(w, s, z) y = Mul(x, d) }""",
        "channels": """g (float[2,3] x) => (float[2,3] y) <uint8[2,3] w={0,1,2,200,254,255},
            float[2] s={0.3,0.7}, uint8[2] z={3,128}> {
            d = DequantizeLinear<axis=0>(w, s, z) y = Mul(x, d) }""",
        "without zero point": """g (float[3] x) => (float[3] y) <int32[3] w={-70000,1,2}, float s={0.3}> {
            d = DequantizeLinear(w, s) y = Add(x, d) }""",
        "blocks": (
            f"""g (float[4,6] x) => (float[4,6] y) <int8[4,6] w={{{integers(24, -128, 127)}}},
            float[2,6] s, int8[2,6] z={{{integers(12, -9, 9)}}}> {{
            d = DequantizeLinear<axis=0,block_size=2>(w, s, z) y = Mul(x, d) }}""",
            21,
        ),
        "gathered": """g (int64[3] i) => (float[3,2] y) <uint8[4,2] w={0,1,2,3,200,201,254,255},
            float s={0.3}, uint8 z={7}> { g = Gather(w, i) y0 = DequantizeLinear(g, s, z) y = Neg(y0) }""",
    },
    "dequantized-before-moves": {
        "computed": """g (uint8[2,3] x) => (float[3,2] y) <float s={0.3}, uint8 z={7}> {
            t = Transpose(x) y = DequantizeLinear(t, s, z) }""",
        "stored": """g (int64[3] i) => (float[3,2] y) <uint8[4,2] w={0,1,2,3,200,201,254,255},
            float s={0.3}, uint8 z={7}> { g = Gather(w, i) y = DequantizeLinear(g, s, z) }""",
    },
    "quantization-as-float": {
        "uint8": pairs("uint8", "140"),
        "int8": pairs("int8", "-3"),
        "two readers": """g (float[3] x) => (float[3] y, float[3] v) <float s={0.02}, int8 z={5}> {
            q = QuantizeLinear(x, s, z) a = DequantizeLinear(q, s, z) b = DequantizeLinear(q, s, z)
            y = Neg(a) v = Abs(b) }""",
    },
}

NEAR: dict[str, tuple[tuple[str | Case, str], ...]] = {
    "default-activations": (
        (recurrent("LSTM"), "states no activations"),
        (recurrent("LSTM", ',activations=["Sigmoid","Relu","Tanh"]'), "Sigmoid, Relu, Tanh"),
        (recurrent("LSTM", STATED + ",activation_alpha=[0.5]"), "have parameters"),
    ),
    "recurrent-unrolled": (
        (recurrent("LSTM").replace("float", "double"), "not on float32"),
        (recurrent("LSTM", steps="N"), "not all known"),
        (recurrent("LSTM", ",clip=3.0"), "has clip"),
        (recurrent("LSTM", inputs=', "", "", "", p', more="|float[1,12] p"), "peepholes"),
        ((recurrent("LSTM"), 6), "before operator set 7"),
        (recurrent("LSTM", inputs=", l", more="|int32[2] l={3,2}"), "end early"),
        (recurrent("LSTM", inputs=", l", more="int32[2] l"), "end early"),
        (
            """g (float[3,2,5] x, float[1,16,5] w) => (float[3,1,2,4] y) <float[1,16,4] r> {
            y = LSTM<hidden_size=4>(x, w, r) }""",
            "weights or biases are computed",
        ),
        (recurrent("RNN", ',activations=["Softsign"]'), "activations are Softsign"),
        (recurrent("RNN", steps="257"), "257 steps"),
    ),
    "dynamic-quantization-as-float": (
        (
            "g (float[2,3] x) => (uint8[2,3] q, float s, uint8 z) { q, s, z = DynamicQuantizeLinear(x) }",
            "output of the graph",
        ),
        (
            f"g (float[2,3] x) => (float[2,3] y) {{ {DYNAMIC} y = DequantizeLinear(q, s, z) }}",
            "read by others",
        ),
        (quantized_product().replace("m = Mul(s, ws)", "m = Add(s, ws)"), "read by others"),
        (quantized_product(op="MatMulInteger(q, w)"), "read by others"),
    ),
    "dequantized-constants": (
        (
            "g (uint8[3] x) => (float[3] y) <float s={0.3}> { d = DequantizeLinear(x, s) y = Neg(d) }",
            "computed when the model runs",
        ),
        (
            "g (float x) => (float[3] y) <int8[3] w={1,2,3}, float s={0.3}> { y = DequantizeLinear(w, s) }",
            "output of the graph",
        ),
        (
            """g (float[3] x, float s) => (float[3] y) <int8[3] w={1,2,3}> {
            d = DequantizeLinear(w, s) y = Add(x, d) }""",
            "scales are computed",
        ),
        (
            """g (int64[3] i) => (float[3,2] y) <uint8[2,2] w={0,1,2,3}, float[2] s={0.3,0.5}> {
            g = Gather(w, i) d = DequantizeLinear(g, s) y = Neg(d) }""",
            "scale for each channel",
        ),
        (
            (
                """g (float[1] x) => (float[1] y) <uint4[1] w={1}, float s={0.3}> {
                d = DequantizeLinear(w, s) y = Add(x, d) }""",
                21,
            ),
            "uint4 are not written out",
        ),
    ),
    "dequantized-before-moves": (
        ("g (float[2,3] x) => (float[3,2] y) { y = Transpose(x) }", "not move quantized"),
        ("g (uint8[2,3] x) => (uint8[3,2] y) { y = Transpose(x) }", "read by others"),
        (
            """g (uint8[2,2] x) => (float[2,2] y) <float[2] s={0.3,0.5}> {
            t = Transpose(x) y = DequantizeLinear(t, s) }""",
            "for each channel",
        ),
    ),
    "quantization-as-float": (
        (
            "g (float[3] x) => (uint8[3] y) <float s={0.3}, uint8 z={3}> { y = QuantizeLinear(x, s, z) }",
            "output of the graph",
        ),
        (
            """g (float[3,2] x) => (float[3,2] y) <float[2] s={0.3,0.4}, uint8[2] z={3,4}> {
            q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }""",
            "one for each channel",
        ),
        (
            """g (float[3] x) => (float[3] y) <float s={0.3}, float t={0.4}, uint8 z={3}> {
            q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, t, z) }""",
            "same scale",
        ),
        (
            (
                """g (float16[3] x, float16 s) => (float16[3] y) <uint8 z={3}> {
            q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }""",
                19,
            ),
            "not on float32",
        ),
        (
            (
                """g (float[3] x) => (float[3] y) <float s={0.3}, uint8 z={3}> {
            q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }""",
                10,
            ),
            "before operator set",
        ),
    ),
}
