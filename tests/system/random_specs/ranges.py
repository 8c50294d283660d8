"""Between which numbers the result of an op lies, by intervals: exp is given nothing large, a divisor is never near zero.

The bounds hold for what parity draws: inputs of spread one, weights of a spread that keeps that of their inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from math import exp, log, log1p, prod, sqrt
from typing import Any

from specbuild.expressions import concrete
from specbuild.ops.types import TensorType
from tests.system.random_specs.scope import Unfit, Value

Raw = dict[str, Any]
Range = tuple[float, float]
LARGEST = 1e9  # float64 keeps 16 digits: what is added to this still has 7
DRAWN = 6.0  # standard deviations: no number that is drawn is farther out


def hull(*ranges: Range) -> Range:
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def most(*ranges: Range) -> float:
    return max(map(abs, hull(*ranges)))


def times(a: Range, b: Range) -> Range:
    ends = [x * y for x in a for y in b]
    return min(ends), max(ends)


def folded(function: Callable[[Range, Range], Range], ranges: Sequence[Range]) -> Range:
    found = ranges[0]
    for one in ranges[1:]:
        found = function(found, one)
    return found


def ends(function: Callable[[float], float], x: Range) -> Range:
    """The range of a function that never turns."""
    found = [function(v) for v in x]
    return min(found), max(found)


def wide(n: float) -> Range:
    return -n, n


def bent(x: Range) -> Range:
    """Of gelu and its like: a little below zero; at least half of x where x is above it."""
    return x[0] / 2 if x[0] > 0 else -0.5, max(x[1], 0.0)


def grows(x: float, alpha: float) -> float:
    """ELU."""
    return x if x > 0 else alpha * (exp(max(x, -700)) - 1)


def softplus(x: float, beta: float = 1.0) -> float:
    return max(x, 0.0) + log1p(exp(-min(abs(beta * x), 700))) / beta


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-max(min(x, 700), -700)))


def squared(x: Range) -> Range:
    low, high = sorted((x[0] ** 2, x[1] ** 2))
    return (0.0 if x[0] <= 0 <= x[1] else low), high


def power(x: Range, to: Range) -> Range:
    if to[0] == to[1] and float(to[0]).is_integer() and to[0] >= 0:
        n = int(to[0])
        return hull(*((v**n, v**n) for v in x), *([(0.0, 0.0)] if x[0] < 0 < x[1] else []))
    if x[0] <= 0:
        raise Unfit("power: a root of what is not above zero")
    found = [a**b for a in x for b in to]
    return min(found), max(found)


ZERO = (0.0, 0.0)
# What an op makes of one range, with its attributes.
OF_ONE: dict[str, Callable[[Range, Raw], Range]] = {
    "relu": lambda x, a: ends(lambda v: max(v, 0.0), x),
    "relu6": lambda x, a: ends(lambda v: max(min(v, 6.0), 0.0), x),
    "leaky_relu": lambda x, a: hull(x, times(x, wide(a.get("slope", 0.01))), ZERO),
    "prelu": lambda x, a: hull(x, times(x, wide(2)), ZERO),
    **dict.fromkeys(("elu", "celu"), lambda x, a: ends(lambda v: grows(v, a.get("alpha", 1.0)), x)),
    "selu": lambda x, a: ends(lambda v: 1.0507 * grows(v, 1.6733), x),
    **dict.fromkeys(("gelu", "silu", "mish", "hard_silu"), lambda x, a: bent(x)),
    "softplus": lambda x, a: ends(lambda v: softplus(v, a.get("beta", 1.0)), x),
    "softsign": lambda x, a: ends(lambda v: v / (1 + abs(v)), x),
    "sigmoid": lambda x, a: ends(sigmoid, x),
    "hard_sigmoid": lambda x, a: ends(lambda v: max(min(v / 6 + 0.5, 1.0), 0.0), x),
    "log_sigmoid": lambda x, a: ends(lambda v: -softplus(-v), x),
    "tanh": lambda x, a: ends(math.tanh, x),
    "hard_tanh": lambda x, a: ends(lambda v: max(min(v, 1.0), -1.0), x),
    "tanh_shrink": lambda x, a: ends(lambda v: v - math.tanh(v), x),
    **dict.fromkeys(("soft_shrink", "hard_shrink", "dropout", "drop_path"), lambda x, a: hull(x, ZERO)),
    "threshold": lambda x, a: hull(x, (a.get("value", 0.0),) * 2),
    "glu": lambda x, a: hull(x, ZERO),
    "neg": lambda x, a: (-x[1], -x[0]),
    "abs": lambda x, a: (0.0 if x[0] <= 0 <= x[1] else min(map(abs, x)), most(x)),
    "square": lambda x, a: squared(x),
    "sqrt": lambda x, a: ends(sqrt, x),
    "rsqrt": lambda x, a: ends(lambda v: 1 / sqrt(v), x),
    "reciprocal": lambda x, a: ends(lambda v: 1 / v, x),
    "exp": lambda x, a: ends(exp, x),
    "log": lambda x, a: ends(log, x),
    "floor": lambda x, a: ends(math.floor, x),
    "trunc": lambda x, a: ends(math.trunc, x),
    "cast": lambda x, a: (0, 1) if a["dtype"] == "bool" else x,
    "scale": lambda x, a: ends(lambda v: v * a.get("by", 1.0) + a.get("plus", 0.0), x),
    "clip": lambda x, a: ends(
        lambda v: min(max(v, a.get("min", v)), a.get("max", max(v, a.get("min", v)))), x
    ),
    "pad": lambda x, a: x if a.get("mode", "constant") != "constant" else hull(x, (a.get("value", 0),) * 2),
    **dict.fromkeys(("conv", "linear"), lambda x, a: wide(DRAWN * most(x) + 2)),
    "conv_transpose": lambda x, a: wide(2 * DRAWN * most(x) + 2),  # windows overlap
    "batch_norm": lambda x, a: wide(3 * (most(x) + 2) + 2),
    "local_response_norm": lambda x, a: hull(x, ZERO),
    **dict.fromkeys(("unfold", "avg_pool", "adaptive_avg_pool"), lambda x, a: hull(x, ZERO)),
    "resize": lambda x, a: (x[0] - (x[1] - x[0]), x[1] + (x[1] - x[0])) if a["mode"] == "bicubic" else x,
}
# What comes out lies there, whatever goes in.
ALWAYS: dict[str, Range] = {
    **dict.fromkeys(("softmax", "one_hot", "compare", "logical_and", "logical_or", "logical_not"), (0, 1)),
    **dict.fromkeys(("sin", "cos", "erf", "normalize", "sign", "lstm", "gru", "rnn"), (-1, 1)),
    "atan2": wide(math.pi),
    **dict.fromkeys(("weight", "embedding"), wide(DRAWN)),
}
# What comes out are numbers that went in, or means of them.
AMONG = frozenset(
    "slice split sort top_k stack expand squeeze roll flip tile repeat_interleave average concat stop_gradient max_pool "
    "adaptive_max_pool mean max min pixel_shuffle pixel_unshuffle flatten unflatten rename".split()
)


def ranged(
    op: str, raw: Raw, given: Sequence[Value | None], type_: TensorType, words: Raw | None = None
) -> Range:
    """The range of an op's result; raises Unfit where it is too large to tell right from wrong."""
    values = [v for v in given if v is not None]
    try:
        found = between(op, raw, values, type_, words or {})
    except (OverflowError, ZeroDivisionError, ValueError):
        raise Unfit(f"{op}: numbers that are none") from None
    if not most(found) <= LARGEST:
        raise Unfit(f"{op}: numbers too large")
    return found


def between(op: str, raw: Raw, values: Sequence[Value], type_: TensorType, words: Raw) -> Range:
    if op in ALWAYS:
        return ALWAYS[op]
    if op == "const":
        return of_table(raw, words)
    ranges = [(v.low, v.high) for v in values]
    x = ranges[0]
    if op in OF_ONE:
        return OF_ONE[op](x, raw)
    if op in AMONG:
        return hull(*ranges)
    before, after = (prod(map(concrete, t.sizes.values())) for t in (values[0].type, type_))
    n = max(before // max(after, 1), 1)  # how many numbers of x make one
    match op:
        case "add":
            return sum(low for low, _ in ranges), sum(high for _, high in ranges)
        case "subtract":
            return folded(lambda a, b: (a[0] - b[1], a[1] - b[0]), ranges)
        case "multiply":
            return folded(times, ranges)
        case "divide":
            return folded(lambda a, b: times(a, ends(lambda v: 1 / v, b)), ranges)
        case "minimum":
            return min(low for low, _ in ranges), min(high for _, high in ranges)
        case "maximum":
            return max(low for low, _ in ranges), max(high for _, high in ranges)
        case "where":
            return hull(x, ranges[2] if len(ranges) > 2 else (raw.get("value") or 0,) * 2)
        case "gather":
            return x
        case "grid_sample":
            return hull(x, ZERO)
        case "kernel_conv" | "kernel_linear":
            n = prod(values[1].sizes.values()) // values[1].sizes["O"]
            return wide(n * most(x) * most(ranges[1]))
        case "segment_reduce":
            n = values[0].sizes[raw["over"]]
            return hull(ZERO, x, (n * x[0], n * x[1]))
        case "fft" | "ifft" | "rfft" | "irfft":
            over = raw["over"]
            n = prod(values[0].sizes[a] for a in ([over] if isinstance(over, str) else over))
            return wide(4 * n * most(*ranges))
        case "attention":
            return hull(ranges[2], ZERO)  # nothing is left where a mask hides all
        case "contract":
            over = raw.get("over") or []
            sizes = {a: size for v in values for a, size in v.sizes.items()}
            return times(
                folded(times, ranges),
                (prod(sizes[a] for a in ([over] if isinstance(over, str) else over)),) * 2,
            )
        case "power":
            return power(x, ranges[1] if len(ranges) > 1 else (raw.get("exponent", 1.0),) * 2)
        case "layer_norm" | "group_norm" | "instance_norm" | "rms_norm":
            return wide(2 * sqrt(before) + 2)
        case "log_softmax":
            return x[0] - x[1] - log(before + 1), 0.0
        case "fold":
            return times(x, (0, values[0].sizes[raw["axis"]]))
        case "sum":
            return n * x[0], n * x[1]
        case "cumsum":
            n = values[0].sizes[raw["over"]]
            return hull(x, (n * x[0], n * x[1]))
        case "prod":
            return hull(*((v**n, v**n) for v in x)) if x[0] >= 0 else wide(max(most(x), 1.0) ** n)
        case "logsumexp":
            return x[0], x[1] + log(n)
        case "l2_norm":
            return 0.0, most(x) * sqrt(n)
        case "variance":
            return 0.0, 2 * most(x) ** 2
        case "std":
            return 0.0, 1.5 * most(x)
        case "argmax":
            return 0, values[0].sizes[raw["over"]] - 1
    raise AssertionError(f"say between which numbers {op} lies")


FUNCTIONS: Raw = {
    **{name: getattr(math, name) for name in ("sin", "cos", "exp", "sqrt", "log", "floor")},
    "abs": abs,
    "minimum": min,
    "maximum": max,
    "sign": lambda v: (v > 0) - (v < 0),
    "where": lambda c, a, b: a if c else b,
}


def of_table(raw: Raw, words: Raw) -> Range:
    """The least and the largest number of a table: each is computed."""
    axes = raw["axes"]
    if "random" in raw:
        return -3, 3
    code = compile(str(raw["value"]), "table", "eval")
    found = [
        float(eval(code, FUNCTIONS | words | dict(zip(axes, place, strict=True))))
        for place in product(*map(range, axes.values()))
    ]
    return min(found), max(found)


GENERIC = frozenset(
    "flatten unflatten rename roll flip slice split squeeze stop_gradient tanh sigmoid softsign softplus linear mean "
    "scale neg silu lstm gru rnn".split()
)
SAME_NUMBERS = AMONG - {"average", "mean"} | {"gather", "minimum", "maximum", "unfold"}


def known(op: str, raw: Raw, given: Sequence[Value | None], value: Value, words: Raw) -> Value:
    """The result of an op with what is known of its numbers."""
    values = [v for v in given if v is not None]
    low, high = ranged(op, raw, given, value.type, words)
    below = None
    if value.type.dtype == "int32":
        if op == "argmax":
            below = values[0].sizes[raw["over"]]
        elif op in SAME_NUMBERS and all(v.below is not None for v in values if v.type.dtype == "int32"):
            below = max((v.below or 0 for v in (values[:1] if op == "gather" else values)), default=0) or None
    generic = op in GENERIC and bool(values) and all(v.generic for v in values) and value.floats
    return replace(value, low=low, high=high, below=below, generic=generic)


def grown(x: Value, low: float, high: float, assumed: float, times: int) -> Range:
    """The range after a step was repeated that makes numbers from `low` to `high` of those up to `assumed`."""
    largest = most((low, high))
    if largest <= assumed:
        return low, high
    found = wide(max(x.most, 1.0) * (largest / assumed) ** times)
    if found[1] > LARGEST:
        raise Unfit("repeat: numbers too large")
    return found


__all__ = ["LARGEST", "Range", "grown", "hull", "known", "most", "ranged", "wide"]
