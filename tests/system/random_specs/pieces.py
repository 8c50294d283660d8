"""What the writers of steps share: choosing a value, a step on it, and the way back to the type of another value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from specbuild.ops import OPS, Op
from specbuild.ops.types import CHANNEL
from tests.system.random_specs.operations import apply, fits
from tests.system.random_specs.scope import Scope, Unfit, Value

ASSUMED = 1e3  # a block for many values is written for numbers up to this


def whole(x: Value) -> bool:
    return x.floats and x.type.batched and len(x.sizes) > 0


def need(scope: Scope, fits: Callable[[Value], bool]) -> Value:
    found = scope.pick(fits)
    if found is None:
        raise Unfit("nothing in flight can be given to a block")
    return found


def weak(v: Value) -> Value:
    """A value of which little is known, so that a block written for it takes many."""
    return replace(v, low=-ASSUMED, high=ASSUMED, generic=False)


def fit_to(scope: Scope, target: Value) -> None:
    """Steps that give a value the type of another."""
    last = scope.last or scope.random.choice(scope.values)
    sizes = target.sizes
    if last.sizes == sizes and last.floats and last.type.batched:
        return
    if last.type.dtype != "float" or (not last.type.batched and not last.sizes):
        scope.last = None
        apply(scope, scope.random.choice(["tanh", "sigmoid"]), [target])
        return
    if (
        set(last.sizes) == set(sizes)
        and last.type.batched
        and all(last.sizes[a] == n for a, n in sizes.items() if a != CHANNEL)
    ):
        found = apply(scope, "linear", [last], {"features": target.sizes[CHANNEL]})
        word = f"{target.name}.C"
        value = scope.steps[-1]["linear"]
        value["features"] = word if word in scope.words else found.sizes[CHANNEL]
        return
    wrong = [a for a, n in last.sizes.items() if a not in sizes or sizes[a] != n]
    if wrong:
        last = apply(scope, scope.random.choice(["mean", "sum", "max"]), [last], {"over": wrong})
    apply(scope, "multiply", [target, last], {})


def featured_on(scope: Scope, x: Value) -> Value:
    """A step for an op with one input, on this value."""
    ones = [
        o
        for o, cls in OPS.items()
        if o != "unfinished"
        and len(cls.input_specs) == 1
        and not cls.input_specs[0].variadic
        and not has_parts(o)
    ]
    for _ in range(8):
        op = scope.random.choice([*ones, "conv", "linear"])
        if fits(op)(x):
            return apply(scope, op, [x])
    return apply(scope, "stop_gradient", [x])


def has_parts(op: str) -> bool:
    """Whether an op has several results, each read by its own name."""
    return OPS[op].part_types is not Op.part_types
