"""Attributes drawn so that an op fits its inputs: ranges from the op table, relations between sizes from here."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from specbuild.ops import OPS
from specbuild.ops.attribute_kinds import (
    AttributeKind,
    AxisMapping,
    AxisName,
    AxisNames,
    AxisRenames,
    Boolean,
    Choice,
    Integer,
    PerAxis,
    Real,
)
from specbuild.ops.base import list_attributes
from specbuild.ops.initializers import InitKind
from specbuild.ops.types import CHANNEL, spatial_axes
from tests.system.random_specs.scope import Scope, Unfit, Value

Raw = dict[str, Any]
Chooser = Callable[..., Raw]
INITS = ["zeros", "ones", "normal(0.02)", "constant(0.5)", "uniform(-0.1, 0.1)"]
OF_A_MATRIX = ["xavier_uniform", "xavier_normal", "kaiming_normal", "kaiming_uniform", "orthogonal"]
CHOOSERS: dict[str, Chooser] = {}


def chooses(*names: str) -> Callable[[Chooser], Chooser]:
    """Decorator: this function draws attributes of these ops that their kinds alone do not say."""

    def enter(function: Chooser) -> Chooser:
        CHOOSERS.update(dict.fromkeys(names, function))
        return function

    return enter


def drawn(scope: Scope, op: str, *inputs: Value | None) -> Raw:
    """Attributes of an op for these inputs, as raw YAML with plain numbers."""
    special = CHOOSERS[op](scope, *inputs) if op in CHOOSERS else {}
    found = dict(special)
    for name, a in list_attributes(OPS[op]).items():
        if name in special or (op in CHOOSERS and name not in FREE):
            continue
        if name in ("alpha", "beta"):  # as a power or a divisor, they are positive
            found[name] = scope.random.choice([None, 0.5, 1.5])
        elif isinstance(a.kind, InitKind):
            matrix = (
                OPS[op].family in ("convolution", "linear", "recurrent") and name != "bias_init"
            ) or op == "embedding"
            found[name] = (
                scope.random.choice([*INITS, *(OF_A_MATRIX if matrix else [])]) if scope.chance(0.3) else None
            )
        elif a.is_required or scope.chance(0.4):
            found[name] = of_kind(scope, a.kind, *inputs)
    return {name: value for name, value in found.items() if value is not None}


# What may be drawn by its kind alone, beside what an op's own chooser draws.
FREE = {
    *("bias", "affine", "init", "bias_init", "recurrent_init", "keep", "bidirectional", "returns"),
    *("ceil_mode", "causal", "trained"),
}


def of_kind(scope: Scope, kind: AttributeKind, *inputs: Value | None) -> Any:
    """A value that the kind allows; axes are those of the first input."""
    random, axes = scope.random, list(inputs[0].sizes) if inputs and inputs[0] else []
    match kind:
        case Boolean():
            return scope.chance(0.5)
        case Choice(options=words):
            return random.choice(words)
        case Integer(minimum=low, maximum=high):
            low = -2 if low is None else low
            return random.randint(low, min(low + 3, low + 3 if high is None else high))
        case Real(minimum=low, maximum=high):
            low = -1.0 if low is None else low
            high = low + 2 if high is None else high
            return random.choice([round(random.uniform(low + 0.05, high - 0.05), 2), (low + high) / 2])
        case PerAxis(kind=inner):
            return of_kind(scope, inner)
        case AxisName():
            return random.choice(axes) if axes else scope.axis()
        case AxisNames():
            return subset(scope, axes)
        case AxisMapping(kind=inner):
            return {scope.axis(*[v for v in inputs if v]): of_kind(scope, inner)}
        case AxisRenames():
            return {random.choice(axes): scope.axis(*[v for v in inputs if v])}
    raise AssertionError(f"say in CHOOSERS how to draw {kind}")


def subset(scope: Scope, axes: list[str], most: int = 4) -> Any:
    """One axis or more, in any order."""
    found = scope.random.sample(axes, scope.random.randint(1, min(len(axes), most)))
    return found[0] if len(found) == 1 and scope.chance(0.5) else found


def divisor(scope: Scope, *numbers: int) -> int:
    return scope.random.choice([d for d in range(1, min(numbers) + 1) if not any(n % d for n in numbers)])


def size(scope: Scope) -> int:
    """Channels: a few, often those of a word."""
    known = [
        v for v in scope.words.values() if isinstance(v, int) and not isinstance(v, bool) and 1 <= v <= 9
    ]
    return scope.random.choice([*known, scope.random.randint(1, 8)])


def slid(scope: Scope, x: Value) -> tuple[list[str], list[str] | None]:
    """Axes for a window, and what `over` says: nothing where they are those that an op takes by itself."""
    own = list(spatial_axes(x.type))
    others = [a for a in x.sizes if a != CHANNEL]
    if 1 <= len(own) <= 3 and len(own) < len(x.sizes) and scope.chance(0.7):
        return own, None
    count = min(scope.random.randint(1, 3), len(others), len(x.sizes) - 1)
    found = scope.random.sample(others, max(count, 1))
    return found, found


def per_axis(scope: Scope, axes: list[str], values: list[Any]) -> Any:
    """A value for each axis: one number where they are equal, a list, or a mapping."""
    if all(v == values[0] for v in values) and not isinstance(values[0], list) and scope.chance(0.7):
        return values[0]
    return dict(zip(axes, values, strict=True)) if scope.chance(0.3) else values


def windowed(scope: Scope, x: Value, words: tuple[str, ...], bridged: bool = False) -> Raw:
    """Kernel, stride, dilation and padding with which a window fits; `bridged`: none lies wholly in the padding."""
    random = scope.random
    axes, over = slid(scope, x)
    if over is None and scope.chance(0.2):
        over = list(axes)
    same = scope.chance(0.6)
    kernels = [random.randint(1, min(x.sizes[a], 4)) for a in axes]
    if same:
        kernels = [min(kernels)] * len(axes)
    dilations = [
        2 if 2 * (k - 1) < x.sizes[a] and scope.chance(0.15) else 1
        for k, a in zip(kernels, axes, strict=True)
    ]
    strides = [random.choice([1, 1, 2, 3]) for _ in axes]
    if scope.chance(0.6):
        strides, dilations = [strides[0]] * len(axes), [min(dilations)] * len(axes)
    reach = [d * (k - 1) + 1 for k, d in zip(kernels, dilations, strict=True)]
    most = [r // 2 if bridged else r - 1 for r in reach]
    pads: list[Any] = [
        [random.randint(0, m), random.randint(0, m)] if scope.chance(0.2) else random.randint(0, m)
        for m in most
    ]
    numbers = per_axis(scope, axes, pads if scope.chance(0.5) else [min(most)] * len(axes))
    return {
        "kernel": per_axis(scope, axes, kernels),
        "stride": per_axis(scope, axes, strides) if scope.chance(0.6) else None,
        "dilation": per_axis(scope, axes, dilations) if max(dilations) > 1 or scope.chance(0.2) else None,
        "padding": random.choice([None, numbers, numbers, *words]),
        "over": over if over is None or len(over) > 1 or scope.chance(0.5) else over[0],
    }


@chooses("conv")
def conv(scope: Scope, x: Value) -> Raw:
    found = windowed(scope, x, ("same", "valid", "tf_same", "causal"))
    groups = divisor(scope, x.sizes[CHANNEL]) if scope.chance(0.4) else 1
    found["channels"] = groups * scope.random.randint(1, 3) if groups > 1 else size(scope)
    found["groups"] = groups if groups > 1 else None
    if scope.chance(0.25) and found["padding"] != "tf_same":
        found["padding_mode"] = scope.random.choice(["zeros", "reflect", "replicate", "circular"])
    return found


@chooses("conv_transpose")
def conv_transpose(scope: Scope, x: Value) -> Raw:
    found = windowed(scope, x, ("same", "valid", "tf_same"), bridged=True)
    groups = divisor(scope, x.sizes[CHANNEL]) if scope.chance(0.3) else 1
    found["channels"] = groups * scope.random.randint(1, 3) if groups > 1 else size(scope)
    found["groups"] = groups if groups > 1 else None
    stride = found["stride"]
    if isinstance(stride, int) and stride > 1 and found["padding"] != "tf_same" and scope.chance(0.4):
        found["output_padding"] = stride - 1
    return found


@chooses("max_pool")
def max_pool(scope: Scope, x: Value) -> Raw:
    found = windowed(scope, x, ("same", "valid", "tf_same", "causal"), bridged=True)
    over = found["over"] or list(spatial_axes(x.type))
    if len(over) == 3 and isinstance(over, list) and not x.generic:
        # TensorFlow gives the gradient of a window in three axes to each of its largest, others to one of them
        raise Unfit("max_pool: equal numbers under a window in three axes")
    return found


@chooses("avg_pool")
def avg_pool(scope: Scope, x: Value) -> Raw:
    found = windowed(scope, x, ("same", "valid", "tf_same"), bridged=True) | {"dilation": None}
    if found["padding"] == "tf_same" or scope.chance(0.4):
        found["count_include_pad"] = found["padding"] != "tf_same" and scope.chance(0.5)
    return found


@chooses("adaptive_avg_pool", "adaptive_max_pool")
def adaptive(scope: Scope, x: Value) -> Raw:
    axes, over = slid(scope, x)
    return {"size": per_axis(scope, axes, [scope.random.randint(1, 5) for _ in axes]), "over": over}


@chooses("unfold")
def unfold(scope: Scope, x: Value) -> Raw:
    return windowed(scope, x, ("same", "valid", "causal")) | {"into": scope.axis(x)}


@chooses("fold")
def fold(scope: Scope, x: Value, like: Value | None = None) -> Raw:
    """The axis P, if there is one, holds the points; a window of one row reads them."""
    axis = "P" if "P" in x.sizes else scope.random.choice([a for a in x.sizes if a != CHANNEL])
    along = [a for a in x.sizes if a not in (axis, CHANNEL)][:1]
    return {
        "axis": axis,
        "over": along,
        "kernel": x.sizes[axis],
        "stride": scope.random.choice([None, 1, 2]),
        "dilation": scope.random.choice([None, None, 2]),
    }


@chooses("pad")
def pad(scope: Scope, x: Value) -> Raw:
    mode = scope.random.choice(["constant", "constant", "reflect", "replicate", "circular"])
    axes = scope.random.sample(list(x.sizes), scope.random.randint(1, min(3, len(x.sizes))))
    sides: Raw = {}
    for axis in axes:
        most = {"reflect": x.sizes[axis] - 1, "circular": x.sizes[axis]}.get(mode, 3)
        pair = [scope.random.randint(0, min(most, 3)), scope.random.randint(0, min(most, 3))]
        sides[axis] = pair if scope.chance(0.6) else pair[0]
    whole = x.type.dtype != "float"
    value = (
        (scope.random.randint(0, 2) if whole else -0.5) if mode == "constant" and scope.chance(0.3) else None
    )
    return {"padding": sides, "mode": mode if mode != "constant" else None, "value": value}


@chooses("linear")
def linear(scope: Scope, x: Value) -> Raw:
    over = None if CHANNEL in x.sizes and scope.chance(0.8) else scope.random.choice(list(x.sizes))
    return {"features": size(scope), "over": over}


@chooses("lstm", "gru", "rnn")
def recurrent(scope: Scope, x: Value, lengths: Value | None = None, *others: Value | None) -> Raw:
    steps = [a for a in x.sizes if a != CHANNEL and (lengths is None or a not in lengths.sizes)]
    over = None if "T" in steps and scope.chance(0.7) else scope.random.choice(steps)
    return {"units": scope.random.randint(1, 5), "over": over}


def beside(scope: Scope, x: Value) -> Any:
    """Places for a norm of channels: what it takes by itself, or some of the axes beside C."""
    own = list(spatial_axes(x.type))
    others = [a for a in x.sizes if a != CHANNEL]
    return None if scope.chance(0.6) and enough(x, own) else several(scope, x, others)


def enough(x: Value, axes: list[str], least: int = 3) -> bool:
    """Whether there are so many numbers that a norm of them is not always the same, which has no gradient."""
    return prod(x.sizes[a] for a in axes) >= least


def several(scope: Scope, x: Value, axes: list[str], least: int = 3) -> Any:
    """Some of the axes that have enough numbers."""
    for _ in range(8):
        found = subset(scope, axes)
        if enough(x, [found] if isinstance(found, str) else found, least):
            return found
    return scope.random.choice([a for a in axes if enough(x, [a], least)])


@chooses("group_norm")
def group_norm(scope: Scope, x: Value) -> Raw:
    return {"groups": divisor(scope, x.sizes[CHANNEL]), "over": beside(scope, x), "epsilon": epsilon(scope)}


@chooses("instance_norm")
def instance_norm(scope: Scope, x: Value) -> Raw:
    return {"over": beside(scope, x), "epsilon": epsilon(scope)}


@chooses("layer_norm", "rms_norm")
def layer_norm(scope: Scope, x: Value) -> Raw:
    usual = x.sizes.get(CHANNEL, 1) >= 3 and scope.chance(0.5)
    return {"over": None if usual else several(scope, x, list(x.sizes)), "epsilon": epsilon(scope)}


@chooses("batch_norm")
def batch_norm(scope: Scope, x: Value) -> Raw:
    if 1 in x.sizes.values():
        # 2.13 on a CPU adds up wrong gradients of its weights if the gradient of what comes out lies otherwise in memory
        raise Unfit("batch_norm: sizes of one, where PyTorch mistakes the order in memory")
    over = None if CHANNEL in x.sizes and scope.chance(0.8) else scope.random.choice(list(x.sizes))
    return {"over": over, "epsilon": epsilon(scope), "momentum": scope.random.choice([None, 0.01, 0.3])}


@chooses("normalize", "softmax", "log_softmax")
def along(scope: Scope, x: Value) -> Raw:
    usual = x.sizes.get(CHANNEL, 1) >= 2 and scope.chance(0.4)
    return {"over": None if usual else several(scope, x, list(x.sizes), 2)}


def epsilon(scope: Scope) -> Any:
    return scope.random.choice([None, None, 1e-3, 1e-6])


@chooses("local_response_norm")
def local_response_norm(scope: Scope, x: Value) -> Raw:
    return {
        "size": scope.random.choice([None, 1, 2, 3, 5]),
        "alpha": scope.random.choice([None, 0.5]),
        "k": scope.random.choice([None, 2.0]),
    }


@chooses("variance", "std")
def spread(scope: Scope, x: Value) -> Raw:
    over = subset(scope, [a for a in x.sizes if x.sizes[a] > 1])
    return {"over": over, "correction": scope.random.choice([None, 0, 1])}


@chooses("glu")
def glu(scope: Scope, x: Value) -> Raw:
    return {"over": scope.random.choice([a for a, n in x.sizes.items() if n % 2 == 0])}


@chooses("split")
def split(scope: Scope, x: Value) -> Raw:
    over = scope.random.choice([a for a, n in x.sizes.items() if n > 1])
    n = x.sizes[over]
    names = scope.random.sample(["query", "rest", "first", "second", "value"], 3)
    if scope.chance(0.5) and (n % 2 == 0 or n % 3 == 0):
        count = 2 if n % 2 == 0 else 3
        return {
            "over": over,
            "into": names[:count],
            "keep": False if n == count and scope.chance(0.5) else None,
        }
    cut = scope.random.randint(1, n - 1)
    return {"over": over, "into": {names[0]: cut, names[1]: scope.random.choice([-1, n - cut])}, "keep": None}


@chooses("top_k")
def top_k(scope: Scope, x: Value) -> Raw:
    over = scope.random.choice(list(x.sizes))
    return {
        "over": over,
        "k": scope.random.randint(1, x.sizes[over]),
        "largest": scope.random.choice([None, False]),
    }


@chooses("slice")
def slice_(scope: Scope, x: Value) -> Raw:
    over = scope.random.choice(list(x.sizes))
    n = x.sizes[over]
    if scope.chance(0.4):
        return {"over": over, "at": scope.random.randint(-n, n - 1)}
    start = scope.random.randint(0, n - 1)
    stop = scope.random.choice([None, scope.random.randint(start + 1, n)])
    start = scope.random.choice([start, start - n])
    return {"over": over, "start": start or None, "stop": stop, "step": scope.random.choice([None, None, 2])}


@chooses("squeeze")
def squeeze(scope: Scope, x: Value) -> Raw:
    return {"over": subset(scope, [a for a, n in x.sizes.items() if n == 1])}


@chooses("expand")
def expand(scope: Scope, x: Value) -> Raw:
    first = scope.axis(x)
    found = {first: scope.random.randint(1, 3)}
    if scope.chance(0.3):
        found[scope.axis(x, also=[first])] = 2
    return {"axes": found}


@chooses("roll")
def roll(scope: Scope, x: Value) -> Raw:
    axes = scope.random.sample(list(x.sizes), scope.random.randint(1, min(2, len(x.sizes))))
    return {"shift": {a: scope.random.randint(-3, 3) for a in axes}}


@chooses("flatten")
def flatten(scope: Scope, x: Value) -> Raw:
    axes = scope.random.sample(list(x.sizes), scope.random.randint(1, min(3, len(x.sizes))))
    free = [a for a in x.sizes if a not in axes]
    into = None if CHANNEL not in free and scope.chance(0.4) else scope.random.choice([*axes, scope.axis(x)])
    return {"axes": axes, "into": into}


@chooses("unflatten")
def unflatten(scope: Scope, x: Value) -> Raw:
    axis = scope.random.choice(list(x.sizes))
    first = divisor(scope, x.sizes[axis])
    names = [scope.axis(x), axis] if scope.chance(0.6) else [axis, scope.axis(x)]
    sizes = [first, x.sizes[axis] // first]
    if scope.chance(0.4):
        sizes[scope.random.randint(0, 1)] = -1
    return {"axis": axis, "into": dict(zip(names, sizes, strict=True))}


@chooses("rename")
def rename(scope: Scope, x: Value) -> Raw:
    axes = list(x.sizes)
    if len(axes) > 1 and scope.chance(0.3):
        a, b = scope.random.sample(axes, 2)
        return {"axes": {a: b, b: a}}
    return {"axes": {scope.random.choice(axes): scope.axis(x)}}


@chooses("resize")
def resize(scope: Scope, x: Value, like: Value | None = None) -> Raw:
    axes, over = slid(scope, x)
    if like is not None:
        over = [a for a in axes if a in like.sizes] or axes
        axes = over
    modes = ["nearest", "nearest_exact", "bilinear", *(["bicubic"] if len(axes) == 2 else [])]
    mode = scope.random.choice(modes)
    found: Raw = {
        "mode": mode,
        "over": over,
        "align_corners": True if mode in ("bilinear", "bicubic") and scope.chance(0.3) else None,
    }
    if like is None and scope.chance(0.5):
        found["size"] = per_axis(scope, axes, [scope.random.randint(1, 7) for _ in axes])
    elif like is None:
        found["scale"] = per_axis(scope, axes, [scope.random.choice([1, 2, 2, 3, 1.5]) for _ in axes])
    return found


@chooses("pixel_shuffle")
def pixel_shuffle(scope: Scope, x: Value) -> Raw:
    return {"factor": scope.random.choice([r for r in (1, 2, 3) if x.sizes[CHANNEL] % r**2 == 0])}


@chooses("pixel_unshuffle")
def pixel_unshuffle(scope: Scope, x: Value) -> Raw:
    places = [n for a, n in x.sizes.items() if a != CHANNEL]
    return {"factor": scope.random.choice([r for r in (1, 2, 3) if not any(n % r for n in places)])}


@chooses("clip")
def clip(scope: Scope, x: Value) -> Raw:
    whole = x.type.dtype != "float"
    low, high = (0, 2) if whole else (scope.random.choice([-0.5, 0.1, 0]), scope.random.choice([0.75, 2]))
    return scope.random.choice([{"min": low}, {"max": high}, {"min": low, "max": high}])


@chooses("power")
def power(scope: Scope, x: Value, to: Value | None = None) -> Raw:
    if to is not None:
        return {}
    return {"exponent": scope.random.choice([2, 3, 0.5, -1, 1.5] if x.low > 0.01 else [2, 3, 1])}


@chooses("compare")
def compare(scope: Scope, x: Value, other: Value | None = None) -> Raw:
    whole = x.type.dtype != "float"
    tests = ["less", "less_equal", "greater", "greater_equal", *(["equal", "not_equal"] if whole else [])]
    value = None if other is not None else scope.random.randint(0, 3) if whole else 0.125
    return {"test": scope.random.choice(tests), "value": value}


@chooses("where")
def where(scope: Scope, then: Value, condition: Value, otherwise: Value | None = None) -> Raw:
    whole = then.type.dtype != "float"
    return {"value": None if otherwise is not None else scope.random.choice([0, 1] if whole else [0, -1.5])}


@chooses("one_hot")
def one_hot(scope: Scope, x: Value) -> Raw:
    axis = None if CHANNEL not in x.sizes and scope.chance(0.5) else scope.axis(x)
    return {"count": (x.below or 1) + scope.random.randint(0, 2), "axis": axis}


@chooses("embedding")
def embedding(scope: Scope, x: Value) -> Raw:
    return {"count": (x.below or 1) + scope.random.randint(0, 2), "features": size(scope)}


@chooses("concat")
def concat(scope: Scope, *values: Value) -> Raw:
    first = values[0]
    fits = [
        a
        for a in first.sizes
        if all(v.sizes[b] == n for v in values for b, n in first.sizes.items() if b != a)
    ]
    over = "C" if "C" in fits and scope.chance(0.6) else scope.random.choice(fits)
    return {"over": over if over != "C" or scope.chance(0.5) else None}


@chooses("stack")
def stack(scope: Scope, *values: Value) -> Raw:
    return {"axis": scope.axis(values[0])}


@chooses("contract")
def contract(scope: Scope, *values: Value) -> Raw:
    counts: dict[str, int] = {}
    for value in values:
        for axis in value.sizes:
            counts[axis] = counts.get(axis, 0) + 1
    shared = [a for a, n in counts.items() if n > 1]
    return {"over": subset(scope, shared) if shared and scope.chance(0.9) else None}


@chooses("gather")
def gather(scope: Scope, x: Value, index: Value) -> Raw:
    """The axis that is long enough, and of which the index knows nothing."""
    fits = [a for a, n in x.sizes.items() if a not in index.sizes and n >= (index.below or n + 1)]
    return {"over": scope.random.choice(fits)}


@chooses("grid_sample")
def grid_sample(scope: Scope, x: Value, grid: Value) -> Raw:
    return {
        "over": scope.random.sample(list(x.sizes), 2),
        "coordinates": list(grid.sizes)[-1],
        "mode": scope.random.choice([None, None, "nearest"]),
        "padding_mode": scope.random.choice([None, "border", "reflection"]),
        "align_corners": scope.random.choice([None, True]),
    }


@chooses("kernel_conv")
def kernel_conv(scope: Scope, x: Value, kernel: Value) -> Raw:
    axes = [a for a in x.sizes if a in kernel.sizes and a != CHANNEL]
    groups = x.sizes[CHANNEL] // kernel.sizes["I"]
    return {
        "over": axes,
        "stride": scope.random.choice([None, 2, [scope.random.randint(1, 2) for _ in axes]]),
        "padding": scope.random.choice([None, "valid", 1]),
        "groups": groups if groups > 1 else None,
    }


@chooses("kernel_linear")
def kernel_linear(scope: Scope, x: Value, kernel: Value) -> Raw:
    return {"over": scope.random.choice([a for a, n in x.sizes.items() if n == kernel.sizes["I"]])}


@chooses("segment_reduce")
def segment_reduce(scope: Scope, x: Value, index: Value) -> Raw:
    return {
        "over": scope.random.choice(list(index.sizes)),
        "axis": scope.axis(x),
        "count": (index.below or 1) + scope.random.randint(0, 2),
        "reduce": scope.random.choice([None, "mean", "max"] if x.generic else [None, "mean"]),
    }


@chooses("irfft")
def irfft(scope: Scope, x: Value, imaginary: Value) -> Raw:
    over = scope.random.sample(list(x.sizes), scope.random.randint(1, min(2, len(x.sizes))))
    half = x.sizes[over[-1]]
    return {
        "over": over,
        "size": scope.random.choice([None, 2 * half - 1]) if half > 1 else 1,
        "norm": scope.random.choice([None, "ortho", "forward"]),
    }


@chooses("weight")
def weight(scope: Scope) -> Raw:
    count = scope.random.randint(0, 3)
    axes = scope.random.sample(["C", "H", "W", "T", "S", "K"], count)
    return {"axes": {a: scope.random.randint(1, 5) for a in axes}}


@chooses("attention")
def attention(
    scope: Scope, query: Value, key: Value, value: Value, mask: Value | None, bias: Value | None
) -> Raw:
    return {}  # drawn together with its inputs


@chooses("dropout")
def dropout(scope: Scope, x: Value) -> Raw:
    over = (
        subset(scope, list(x.sizes), most=len(x.sizes) - 1)
        if len(x.sizes) > 1 and scope.chance(0.3)
        else None
    )
    return {"rate": scope.random.choice([0, 0.1, 0.5]), "over": over}


@chooses("drop_path")
def drop_path(scope: Scope, x: Value) -> Raw:
    return {"rate": scope.random.choice([0, 0.1, 0.5])}
