"""Steps that are ops: inputs that an op can take, made where there are none, and what is known of its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

from specbuild.expressions import concrete, evaluate_expression
from specbuild.ops import OPS
from specbuild.ops.attribute_kinds import (
    AttributeValueError,
    AxisMapping,
    Integer,
    Padding,
    PartSizes,
    PerAxis,
)
from specbuild.ops.base import list_attributes
from specbuild.ops.types import CHANNEL, ShapeError, TensorType, spatial_axes
from tests.system.random_specs.attributes import Raw, drawn, subset
from tests.system.random_specs.ranges import known, ranged
from tests.system.random_specs.scope import Scope, Unfit, Value, worded
from tests.system.random_specs.tables import table

Inputs = list[Value | None]


# What the first input of an op must be, beside what the op's own shape rule says at once.


def places(x: Value, least: int = 1) -> bool:
    others = len([a for a in x.sizes if a != CHANNEL])
    return x.floats and least <= others and len(x.sizes) > 1


def mapped(x: Value) -> bool:
    return x.floats and CHANNEL in x.sizes and len(x.sizes) > 1


def shuffled(x: Value) -> bool:
    axes = spatial_axes(x.type)
    return x.floats and CHANNEL in x.sizes and len(axes) == 2 and x.type.batched


FITS: dict[str, Callable[[Value], bool]] = {
    **dict.fromkeys(("conv", "conv_transpose"), mapped),
    "kernel_conv": lambda x: mapped(x) and x.type.batched and not {"O", "I"} & set(x.sizes),
    "kernel_linear": lambda x: x.floats and bool(x.sizes),
    **dict.fromkeys(
        ("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool", "unfold", "resize"), places
    ),
    **dict.fromkeys(("lstm", "gru", "rnn", "group_norm", "local_response_norm"), mapped),
    "instance_norm": lambda x: mapped(x) and all(n > 1 for a, n in x.sizes.items() if a != CHANNEL),
    "fold": lambda x: x.floats and len(x.sizes) > 2,
    "pixel_shuffle": shuffled,
    "pixel_unshuffle": shuffled,
    "glu": lambda x: x.floats and any(n % 2 == 0 for n in x.sizes.values()),
    "split": lambda x: any(n > 1 for n in x.sizes.values()),
    "squeeze": lambda x: 1 in x.sizes.values(),
    **dict.fromkeys(("variance", "std"), lambda x: x.floats and max(x.sizes.values(), default=1) > 1),
    **dict.fromkeys(
        ("sqrt", "rsqrt", "log", "reciprocal"), lambda x: x.floats and x.low >= 0.02 and x.high < 1e3
    ),
    "exp": lambda x: x.floats and x.high <= 8,
    **dict.fromkeys(("sin", "cos"), lambda x: x.floats and x.most <= 100),
    "erf": lambda x: x.floats,
    "atan2": lambda x: x.floats and x.generic,
    **dict.fromkeys(("square", "power"), lambda x: x.most <= 1e3),
    "prod": lambda x: x.floats and x.most <= 8,
    **dict.fromkeys(
        (
            "floor",
            "trunc",
            "cast",
            "threshold",
            "hard_shrink",
            "soft_shrink",
            "sign",
            "argmax",
            "sort",
            "top_k",
            "compare",
        ),
        lambda x: x.generic or (not x.floats and x.type.dtype != "bool"),
    ),
    **dict.fromkeys(("one_hot", "embedding"), lambda x: x.below is not None),
    **dict.fromkeys(("logical_not", "logical_and", "logical_or"), lambda x: x.type.dtype == "bool"),
    **dict.fromkeys(("dropout", "drop_path", "logsumexp"), lambda x: x.floats),
    "mean": lambda x: x.floats and not x.is_centred,
    "attention": lambda x: x.floats and len(x.sizes) > 1 and x.most < 50,
    **dict.fromkeys(("fft", "ifft", "rfft", "irfft"), lambda x: x.floats and x.most < 1e4),
    "grid_sample": lambda x: x.floats and x.type.batched and 2 <= len(x.sizes) <= 3,
    "segment_reduce": lambda x: x.floats and x.type.batched and bool(x.sizes),
    "roll": lambda x: True,
    "sum": lambda x: not x.is_centred,
    "where": lambda x: x.type.dtype != "bool",
}
WHOLE = (
    "where",
    "concat",
    "stack",
    "roll",
    "flip",
    "slice",
    "split",
    "tile",
    "repeat_interleave",
    "expand",
    "squeeze",
    "flatten",
    "unflatten",
    "rename",
    "sum",
    "max",
    "min",
    "cumsum",
    "abs",
    "neg",
    "sign",
    "square",
    "add",
    "subtract",
    "multiply",
    "minimum",
    "maximum",
    "clip",
    "pad",
    "argmax",
    "sort",
    "top_k",
    "compare",
    "gather",
    "stop_gradient",
)


def fits(op: str) -> Callable[[Value], bool]:
    special = FITS.get(op)
    axes = any(
        a.is_required and str(a.kind) in ("the name of an axis", "an axis or a list of axes")
        for a in list_attributes(OPS[op]).values()
    )
    least = (
        1
        if axes
        or op
        in (
            "flatten",
            "unflatten",
            "rename",
            "roll",
            "flip",
            "softmax",
            "log_softmax",
            "batch_norm",
            "linear",
            "layer_norm",
            "rms_norm",
            "normalize",
            "slice",
            "concat",
        )
        else 0
    )

    def fit(x: Value) -> bool:
        if len(x.sizes) < least or prod(x.sizes.values()) > 4000:
            return False
        if special is not None and op not in WHOLE:
            return special(x)
        return (x.floats or (op in WHOLE and x.type.dtype == "int32")) and (special is None or special(x))

    return fit


def first(scope: Scope, op: str) -> Value:
    """The first input: a value in flight that fits, one made to fit, or a new input of the model."""
    fit = fits(op)
    found = scope.pick(fit)
    if found is None or (scope.inputs is not None and len(scope.inputs) < 2 and scope.chance(0.1)):
        found = made(scope, op) or found
    if found is None or not fit(found):
        raise Unfit(f"nothing fits {op}")
    return found


def made(scope: Scope, op: str) -> Value | None:
    """A value that fits an op, by steps before it or as a new input."""
    random = scope.random
    if op in ("sqrt", "rsqrt", "log", "reciprocal", "power"):
        return positive(scope)
    if op in ("exp", "sin", "cos", "square", "prod", "attention"):
        x = scope.pick(lambda v: v.floats and len(v.sizes) > 1)
        return apply(scope, random.choice(["tanh", "softsign", "sigmoid"]), [x]) if x else None
    if op in ("logical_not", "logical_and", "logical_or"):
        return condition(scope, scope.pick(lambda v: v.floats))
    if op in ("one_hot", "embedding"):
        new = scope.declared(
            TensorType({a: random.randint(1, 5) for a in random.sample("TNK", random.randint(1, 2))}, "int32")
        )
        return new or picked(scope, 5)
    if op == "squeeze":
        x = scope.pick(lambda v: v.floats and len(v.sizes) > 0)
        return apply(scope, "mean", [x], {"over": random.choice(list(x.sizes)), "keep": True}) if x else None
    if op == "fold":
        x = scope.pick(lambda v: places(v) and v.type.batched and "P" not in v.sizes)
        along = [a for a in x.sizes if a != CHANNEL] if x else []
        return (
            apply(
                scope,
                "unfold",
                [x],
                {"kernel": random.randint(1, 3), "over": along[:1], "into": "P", "padding": "same"},
            )
            if x
            else None
        )
    shapes: list[dict[str, int]] = [
        {"C": random.choice([2, 4, 6, 8]), "H": random.randint(3, 7), "W": random.randint(3, 7)},
        {"T": random.randint(2, 7), "C": random.choice([2, 3, 4, 6])},
        {
            "C": random.choice([2, 4]),
            "D": random.randint(2, 4),
            "H": random.randint(2, 5),
            "W": random.randint(2, 5),
        },
        {
            "T": random.randint(2, 4),
            "C": random.choice([2, 4]),
            "H": random.randint(3, 5),
            "W": random.randint(3, 5),
        },
    ]
    random.shuffle(shapes)
    for sizes in shapes:
        if fits(op)(Value("?", TensorType(sizes), -6, 6, generic=True)):
            return scope.declared(TensorType(sizes))
    return None


def positive(scope: Scope) -> Value | None:
    """A value whose numbers are well above zero."""
    x = scope.pick(lambda v: v.floats and v.most < 1e6)
    if x is None:
        return None
    way = scope.random.choice(["sigmoid", "square", "softplus", "clip"])
    if way == "clip":
        return apply(scope, "clip", [x], {"min": 0.25, "max": 4})
    if way == "square" and x.most > 30:
        way = "sigmoid"
    found = apply(scope, way, [x], {})
    return apply(scope, "scale", [found], {"plus": 0.5})


def condition(scope: Scope, like: Value | None) -> Value:
    """Something true or false that meets a value by its axes."""
    sizes = dict(like.sizes) if like else {"T": 3}
    known = scope.pick(
        lambda v: v.type.dtype == "bool" and all(sizes.get(a) == n for a, n in v.sizes.items())
    )
    if known and scope.chance(0.6):
        return known
    some = (
        {a: sizes[a] for a in scope.random.sample(list(sizes), scope.random.randint(1, len(sizes)))}
        if sizes
        else {}
    )
    if scope.chance(0.3) and (new := scope.declared(TensorType(some, "bool"))):
        return new
    if scope.chance(0.5) and (
        x := scope.pick(
            lambda v: v.generic and v.floats and all(sizes.get(a) == n for a, n in v.sizes.items())
        )
    ):
        return apply(scope, "compare", [x])
    return apply(
        scope, "const", [], {"axes": some, "value": table(scope, list(some), "bool"), "dtype": "bool"}
    )


def picked(
    scope: Scope, below: int, among: dict[str, int] | None = None, own: list[str] | None = None
) -> Value:
    """Integers from 0 to below a number: a table of them, with an axis of its own and maybe some of a value."""
    axis = scope.random.choice(own or ["K", "N"])
    sizes = {axis: scope.random.randint(1, 5)}
    if among and scope.chance(0.3):
        shared = scope.random.choice(list(among))
        sizes[shared] = among[shared]
    inside = " + ".join(f"{scope.random.randint(1, 4)} * {a}" for a in sizes)
    raw = {"axes": sizes, "value": f"({inside} + {scope.random.randint(0, 3)}) % {below}", "dtype": "int32"}
    found = apply(scope, "const", [], raw)
    return rebound(scope, found, below)


def rebound(scope: Scope, value: Value, below: int) -> Value:
    """The same value, of which more is known."""
    known = replace(value, below=below)
    scope.values = [known if v is value else v for v in scope.values]
    if scope.last is value:
        scope.last = known
    return known


def inputs(scope: Scope, op: str, x: Value | None = None) -> Inputs:
    """What an op is applied to."""
    cls, random = OPS[op], scope.random
    if not cls.input_specs:
        return []
    x = x or first(scope, op)
    if op == "attention":
        return [x]
    if op == "compare":
        other = scope.pick(
            lambda v: (
                v is not x and v.type.dtype == x.type.dtype and meets(v, x) and (v.generic or not v.floats)
            )
        )
        return [x, other if other and other.name != x.name and scope.chance(0.4) else None]
    if op == "gather":
        return [x, index(scope, x)]
    if op == "segment_reduce":
        return [x, segments(scope, x)]
    if op in ("kernel_conv", "kernel_linear"):
        return [x, kernel(scope, op, x)]
    if op in ("lstm", "gru", "rnn"):
        return [x, *padding(scope, x)]
    if op == "grid_sample":
        axes = {scope.axis(x): random.randint(1, 5)}
        axes[scope.axis(x, also=list(axes))] = 2
        return [x, apply(scope, "weight", [], {"axes": axes, "init": "uniform(-0.1, 0.1)"})]
    if op == "irfft":
        return [x, alike(scope, x)]
    if op == "where":
        other = alike(scope, x) if scope.chance(0.4) else None
        return [x, condition(scope, x), other]
    if op in ("logical_and", "logical_or"):
        return [x, *[condition(scope, x) for _ in range(random.randint(1, 2))]]
    if op == "divide":
        other = scope.pick(lambda v: v.floats and v.low >= 0.02 and meets(v, x)) or positive_part(scope, x)
        return [x, other]
    if op == "power" and x.low > 0.01 and x.high < 50 and scope.chance(0.4):
        return [x, scope.pick(lambda v: v.floats and v.most <= 8 and meets(v, x)) or x]
    if op == "power":
        return [x, None]
    if op in ("concat", "stack"):
        others = [alike(scope, x, op == "concat") for _ in range(random.randint(1, 2))]
        return [x, *others]
    if op == "contract":
        return [x, partner(scope, x)]
    if cls.input_specs[0].variadic:
        count = 1 if getattr(cls, "is_binary", False) else random.choice([1, 1, 2])
        loose = op in ("multiply", "divide")
        found = [
            (
                scope.pick(lambda v: v.floats == x.floats and v.type.dtype != "bool" and meets(v, x))
                if loose
                else None
            )
            or alike(scope, x)
            for _ in range(count)
        ]
        return [x, *found]
    return [
        x,
        *[optional(scope, x) if t.optional and scope.chance(0.3) else None for t in cls.input_specs[1:]],
    ]


def optional(scope: Scope, x: Value) -> Value | None:
    """Another value for an optional input, with the same axes if there is one."""
    return scope.pick(
        lambda v: (
            v is not x
            and v.type.dtype == x.type.dtype
            and set(v.sizes) >= set(x.sizes)
            and (v.generic or not v.floats)
        )
    )


def meets(v: Value, x: Value) -> bool:
    return (
        all(x.sizes.get(a, n) in (n, 1) or n == 1 for a, n in v.sizes.items())
        and len({*v.sizes, *x.sizes}) < 5
    )


def alike(scope: Scope, x: Value, joined: bool = False) -> Value:
    """A value with the same axes and type, or with one axis of another size if it is to be joined."""

    def same(v: Value) -> bool:
        differ = [a for a in x.sizes if v.sizes.get(a) != x.sizes[a]]
        return (
            v.type.dtype == x.type.dtype
            and set(v.sizes) == set(x.sizes)
            and len(differ) <= (1 if joined else 0)
        )

    found = scope.pick(same, [v for v in scope.all() if v is not x] if scope.chance(0.8) else None)
    if found:
        return found
    if x.floats and scope.chance(0.3):
        return apply(scope, "weight", [], {"axes": dict(x.sizes), "init": "normal(0.02)"})
    return x


def positive_part(scope: Scope, x: Value) -> Value:
    found = apply(scope, "sigmoid", [x], {})
    return apply(scope, "scale", [found], {"plus": 0.5})


def partner(scope: Scope, x: Value) -> Value:
    """What a value is contracted with: a weight or another value that shares an axis."""
    found = scope.pick(
        lambda v: (
            v.floats
            and v is not x
            and meets(v, x)
            and bool(set(v.sizes) & set(x.sizes))
            and all(v.sizes[a] == x.sizes[a] for a in v.sizes if a in x.sizes)
            and prod({**x.sizes, **v.sizes}.values()) < 4000
        )
    )
    if found and scope.chance(0.6):
        return found
    axes = (
        scope.random.sample(list(x.sizes), scope.random.randint(1, min(2, len(x.sizes)))) if x.sizes else []
    )
    sizes = {a: x.sizes[a] for a in axes} | {scope.axis(x): scope.random.randint(1, 4)}
    return apply(scope, "weight", [], {"axes": sizes, "init": "normal(0.02)"})


def index(scope: Scope, x: Value) -> Value:
    """Places of an axis of a value."""

    def fit(v: Value) -> bool:
        if v.below is None:
            return False
        shared = [a for a in v.sizes if a in x.sizes]
        own = len(v.sizes) - len(shared)
        along = bool(shared) or (x.type.batched and v.type.batched)
        room = any(a not in v.sizes and n >= v.below for a, n in x.sizes.items())
        return room and all(v.sizes[a] == x.sizes[a] for a in shared) and (own == 1 or not along)

    found = scope.pick(fit)
    if found and scope.chance(0.7):
        return found
    axis = scope.random.choice(list(x.sizes))
    rest = {a: n for a, n in x.sizes.items() if a != axis}
    return picked(scope, x.sizes[axis], rest, [scope.axis(x)])


def kernel(scope: Scope, op: str, x: Value) -> Value:
    """A kernel for a value: a weight, maybe normalised."""
    random = scope.random
    if op == "kernel_linear":
        sizes = {"O": random.randint(1, 4), "I": random.choice(list(x.sizes.values()))}
    else:
        groups = random.choice([n for n in range(1, x.sizes[CHANNEL] + 1) if x.sizes[CHANNEL] % n == 0])
        windows = [a for a in x.sizes if a != CHANNEL][-2:]
        sizes = {"O": groups * random.randint(1, 2), "I": x.sizes[CHANNEL] // groups}
        sizes |= {a: random.randint(1, min(3, x.sizes[a])) for a in windows}
    axes = dict(random.sample(list(sizes.items()), len(sizes)))
    weight = apply(scope, "weight", [], {"axes": axes, "init": "uniform(-0.1, 0.1)"})
    return apply(scope, "tanh", [weight]) if scope.chance(0.4) else weight


def segments(scope: Scope, x: Value) -> Value:
    """For each position of an axis of a value, maybe of two, the segment that it belongs to."""
    axes = scope.random.sample(list(x.sizes), 2 if len(x.sizes) > 1 and scope.chance(0.3) else 1)
    below = scope.random.randint(1, 4)
    inside = " + ".join(f"{scope.random.randint(1, 4)} * {a}" for a in axes)
    raw = {
        "axes": {a: x.sizes[a] for a in axes},
        "value": f"({inside} + {scope.random.randint(0, 3)}) % {below}",
        "dtype": "int32",
    }
    return rebound(scope, apply(scope, "const", [], raw), below)


def padding(scope: Scope, x: Value) -> Inputs:
    """The lengths of the sequences of a recurrent layer, or a mask of their steps, or neither."""
    axes = [a for a in x.sizes if a != CHANNEL]
    if not x.type.batched or scope.chance(0.6):
        return []
    if scope.chance(0.5):
        over = scope.random.choice(axes)
        rest = {a: x.sizes[a] for a in axes if a != over}
        inside = " + ".join([str(scope.random.randint(0, 3)), *rest])
        raw = {"axes": rest, "value": f"({inside}) % {x.sizes[over] + 1}", "dtype": "int32"}
        return [apply(scope, "const", [], raw)]
    table_ = {"axes": {a: x.sizes[a] for a in axes}, "value": table(scope, axes, "bool"), "dtype": "bool"}
    return [None, apply(scope, "const", [], table_)]


def apply(scope: Scope, op: str, given: Inputs, raw: Raw | None = None, named: bool | None = None) -> Value:
    """Write a step for an op on these inputs; attributes are drawn where they are not given."""
    cls = OPS[op]
    if op == "attention":
        return attend(scope, given[0])
    if raw is None:
        raw = table_of(scope) if op == "const" else drawn(scope, op, *given)
    if op == "add" or getattr(cls, "needs_equal_axes", False):
        sizes = [dict(v.sizes) for v in given if v]
        raw = raw | ({"broadcast": True} if any(s != sizes[0] for s in sizes) else {})
    made = read(scope, op, raw)
    types = [None if v is None else v.type for v in given]
    try:
        type_, parts = made.infer_type(*types), made.part_types(*types)
    except (ShapeError, AttributeValueError) as e:
        raise Unfit(f"{op}: {e.message}") from None
    if prod(concrete(n) for n in type_.sizes.values()) > 6000:
        raise Unfit(f"{op}: too large")
    value = known(op, raw, given, Value(None, type_), scope.words)
    step = written(scope, op, raw, given)
    is_centred = op.endswith("_norm") or (op in ("stop_gradient", "flip", "rename") and given[0].is_centred)  # type: ignore[union-attr]
    value = replace(value, is_centred=is_centred)
    if not parts:
        return scope.add(step, value, named)
    whole = scope.add(step, value, True)
    scope.values.remove(whole)
    found = [replace(value, name=f"{whole.name}.{part}", type=t) for part, t in parts.items()]
    if "indices" in parts and given[0]:
        size = given[0].sizes[raw["over"]]
        found[1] = replace(found[1], low=0, high=size - 1, below=size, generic=False)
    scope.values += found
    scope.last = None
    return scope.random.choice(found)


def read(scope: Scope, op: str, raw: Raw) -> Any:
    """The op with these attributes."""
    cls = OPS[op]
    kinds = list_attributes(cls)
    taken = {t.name for t in cls.input_specs}
    try:
        return cls(
            **{
                name: kinds[name].kind.read_value(
                    value, lambda text: evaluate_expression(text, environment(scope))
                )
                for name, value in raw.items()
                if name not in taken
            }
        )
    except AttributeValueError as e:
        raise Unfit(f"{op}: {e.message}") from None


def environment(scope: Scope) -> dict[str, Any]:
    """The words of a scope as expressions read them: `x.C` is the axis C of x."""
    found: dict[str, Any] = {}
    for word, value in scope.words.items():
        head, dot, axis = word.partition(".")
        if dot:
            found.setdefault(head, {})[axis] = value
        else:
            found[word] = value
    return found


NUMERIC = (Integer, PerAxis, AxisMapping, Padding, PartSizes)


def written(scope: Scope, op: str, raw: Raw, given: Inputs) -> dict[str, Any]:
    """The step as YAML has it: numbers in words, inputs where they may stand."""
    cls = OPS[op]
    kinds = list_attributes(cls)
    values = {n: worded(scope, v) if isinstance(kinds[n].kind, NUMERIC) else v for n, v in raw.items()}
    values = dict(scope.random.sample(list(values.items()), len(values)))
    if not cls.input_specs:
        return {op: values}
    if cls.input_specs[0].variadic:
        refs = [scope.reference(v) for v in given if v]
        return {op: {"of": refs, **values}} if values else {op: refs}
    step: dict[str, Any] = {}
    head = given[0]
    assert head is not None
    rest = {t.name: v for t, v in zip(cls.input_specs[1:], given[1:], strict=False) if v is not None}
    if rest and scope.chance(0.2):
        step["from"] = {
            t.name: scope.reference(v) for t, v in zip(cls.input_specs, given, strict=False) if v is not None
        }
    else:
        values |= {name: scope.reference(v) for name, v in rest.items()}
        if head is not scope.last or scope.chance(0.1):
            step["from"] = scope.reference(head)
        elif head.name:
            scope.read.add(head.name)
    return {op: values, **step}


def table_of(scope: Scope) -> Raw:
    """A table of numbers."""
    axes = scope.random.sample(["C", "H", "W", "T", "S", "K"], scope.random.randint(0, 3))
    sizes = {a: scope.random.randint(1, 5) for a in axes if a not in scope.words}
    dtype = scope.random.choice([None, "float", "int32", "bool"])
    value = table(scope, list(sizes), dtype or "float")
    if dtype in (None, "float") and sum(sizes.values()) % 2:
        numbers = ["normal(0.5)", "uniform(-1, 1)", "signs"][len(sizes) % 3]
        return {"axes": sizes, "random": numbers, "seed": sum(sizes.values())}
    return {"axes": sizes, "value": value, **({"dtype": dtype} if dtype else {})}


def attend(scope: Scope, x: Value | None) -> Value:
    """Attention over an axis of a value: keys and values are projected, or another sequence's; maybe masked."""
    assert x is not None
    random = scope.random
    features = CHANNEL if CHANNEL in x.sizes and scope.chance(0.85) else random.choice(list(x.sizes))
    over = random.choice([a for a in x.sizes if a != features])
    keys = "S" if "S" not in x.sizes and scope.chance(0.6) else scope.axis(x)
    rest = {a: n for a, n in x.sizes.items() if a not in (over, features)}

    def source(v: Value) -> bool:
        positions = [a for a in v.sizes if a not in rest and a != features]
        fits = all(v.sizes[a] == n for a, n in rest.items() if a in v.sizes)
        return v.floats and v.most < 50 and features in v.sizes and fits and positions in ([over], [keys])

    memory = scope.pick(source) or x
    if keys not in memory.sizes and scope.chance(0.4):
        memory = apply(scope, "rename", [memory], {"axes": {over: keys}})
    raw: Raw = {"dropout": 0.1} if scope.chance(0.1) else {}
    even = [a for a in rest if a in memory.sizes and memory.sizes[a] % 2 == 0]
    if even and scope.chance(0.3):
        raw["grouped"] = random.choice(even)
        half = memory.sizes[raw["grouped"]] // 2
        memory = apply(scope, "slice", [memory], {"over": raw["grouped"], "stop": half})
    key = memory
    if key.sizes[features] != x.sizes[features] or scope.chance(0.5):
        key = apply(scope, "linear", [memory], {"features": x.sizes[features], "over": features})
    value = key
    if scope.chance(0.5):
        value = apply(scope, "linear", [memory], {"features": random.randint(1, 5), "over": features})
    length = key.sizes[keys if keys in key.sizes else over]
    scores = {**rest, over: x.sizes[over], keys: length}
    mask = bias = None
    if scope.chance(0.4):
        some = [a for a in scores if a in (over, keys) or scope.chance(0.3)]
        some = some if scope.chance(0.7) else [keys]
        if scope.chance(0.3) and (new := scope.declared(TensorType({a: scores[a] for a in some}, "bool"))):
            mask = new
        else:
            mask = apply(
                scope,
                "const",
                [],
                {"axes": {a: scores[a] for a in some}, "value": table(scope, some, "bool"), "dtype": "bool"},
            )
    if scope.chance(0.35):
        some = [a for a in scores if scope.chance(0.7)] or [keys]
        random.shuffle(some)
        way = "weight" if scope.chance(0.6) else "const"
        numbers: Raw = {"axes": {a: scores[a] for a in some}}
        numbers |= {"init": "normal(0.02)"} if way == "weight" else {"value": table(scope, some, "float")}
        bias = apply(scope, way, [], numbers)
    raw |= {"over": over} if over != "T" or scope.chance(0.2) else {}
    raw |= {"keys": keys} if keys != "S" else {}
    raw |= {"features": features} if features != CHANNEL else {}
    raw |= {"scale": 0.3} if scope.chance(0.2) else {}
    raw |= {"causal": True} if scope.chance(0.25) else {}
    given: Inputs = [x, key, value, mask, bias]
    made = read(scope, "attention", raw)
    try:
        type_ = made.infer_type(*[None if v is None else v.type for v in given])
    except ShapeError as e:
        raise Unfit(f"attention: {e.message}") from None
    low, high = ranged("attention", raw, given, type_)
    return scope.add(written(scope, "attention", raw, given), Value(None, type_, low, high))


def featured(scope: Scope, op: str) -> Value:
    """A step for this op."""
    return apply(scope, op, inputs(scope, op))


__all__ = ["Inputs", "Unfit", "apply", "featured", "first", "inputs", "subset"]
