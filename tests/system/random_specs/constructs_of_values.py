"""Steps for constructs of the language: numbered layers, kernels that are values, values inside all members, list parameters,
sizes of another value, given numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from specbuild.ops.types import CHANNEL, TensorType
from tests.system.random_specs.constructs import named
from tests.system.random_specs.operations import apply
from tests.system.random_specs.pieces import ASSUMED, need, whole
from tests.system.random_specs.ranges import wide
from tests.system.random_specs.scope import Scope, Unfit, Value
from tests.system.random_specs.tensor_files import FILE, tensor_name

Raw = dict[str, Any]


def numbered(scope: Scope) -> Value:
    """A group with gaps in the numbers of its layers, of which one is read from outside."""
    x = need(scope, lambda v: whole(v) and CHANNEL in v.sizes)
    skipped = scope.random.choice([1, 2, 3])
    steps: list[Any] = ["tanh", {"linear": {"features": x.sizes[CHANNEL]}, "as": skipped}, "softsign"]
    if scope.chance(0.4):
        steps += [{"tanh": None, "as": skipped + 4}]
    raw: Raw = {"do": steps, "from": scope.reference(x)}
    found = Value(None, TensorType(x.sizes), -1, 1)
    group = scope.add(raw, found, named=True)
    place = scope.random.choice([skipped, skipped + 1])
    inner = Value(f"{group.name}.{place}", TensorType(x.sizes), -1, 1)
    if place == skipped:
        inner = replace(inner, low=-1e3, high=1e3)
    scope.read.add(str(group.name))
    return apply(scope, "add", [group, inner], {"broadcast": False}) if scope.chance(0.5) else group


def given_kernel(scope: Scope) -> Value:
    """A linear map or a convolution whose kernel is computed: standardised, or from the sample."""
    x = need(scope, lambda v: whole(v) and CHANNEL in v.sizes and not {"O", "I"} & set(v.sizes))
    places = [a for a in x.sizes if a != CHANNEL]
    count = scope.random.choice([1, 2, 3, 4])
    axes = {"O": count, "I": x.sizes[CHANNEL]}
    source = named(scope, x)
    if scope.chance(0.3):
        mean = apply(scope, "mean", [x], {"over": places}) if places else x
        scope.add({"linear": {"features": count * x.sizes[CHANNEL]}, "from": scope.reference(mean)}, mean)
        made = Value(None, TensorType(axes), -1, 1)
        scope.add({"unflatten": {"axis": CHANNEL, "into": axes}}, made)
        kernel = scope.add("tanh", made, named=True)
        if len(places) > 1:
            raise Unfit("a kernel of a sample and places")
    else:
        along = scope.random.choice(places) if places and scope.chance(0.5) else None
        axes |= {along: scope.random.choice([1, 2, 3])} if along else {}
        order = dict(scope.random.sample(list(axes.items()), len(axes)))
        weight = apply(scope, "weight", [], {"axes": order, "init": "normal(0.5)"})
        kernel = apply(scope, "normalize", [weight], {"over": [a for a in order if a != "O"]}, named=True)
        if along:
            step = {"conv": {"weight": kernel.name, "over": [along], "padding": "causal"}, "from": source}
            sizes = x.sizes | {CHANNEL: count}
            scope.read.add(str(kernel.name))
            return scope.add(step, Value(None, TensorType(sizes), *wide(10 * x.most)))
    scope.read.add(str(kernel.name))
    most = 10 * x.most * x.sizes[CHANNEL]
    step = {"linear": {"weight": kernel.name}, "from": source}
    return scope.add(step, Value(None, TensorType(x.sizes | {CHANNEL: count}), *wide(most)))


def skips(scope: Scope) -> Value:
    """A repeat of a block with a value beside that is read from each member, or from one of them."""
    x = need(scope, lambda v: whole(v) and v.most <= ASSUMED)
    kind = f"Skips{len(scope.blocks)}"
    inner: list[Any] = ["tanh"]
    if CHANNEL in x.sizes and scope.chance(0.6):
        inner = [{"linear": {"features": "x.C"}}, "tanh"]
    steps = [
        *inner[:-1],
        {inner[-1]: None, "as": "skip"},
        {"add": ["x", "skip"]},
        {"softsign": None, "as": "next"},
    ]
    block: Raw = {"inputs": {"x": list(x.sizes)}, "steps": steps}
    if scope.chance(0.5):
        block["outputs"] = dict(scope.random.sample([("x", "next"), ("skip", "skip")], 2))
    scope.blocks[kind] = block
    scope.assumed[kind] = []
    count = scope.random.choice([2, 3])
    raw: Raw = {kind: None, "from": scope.reference(x), "repeat": scope.said(count)}
    if scope.chance(0.4):
        raw["names"] = "part{i + 1}"
    found = Value(None, TensorType(x.sizes), -1, 1)
    made = scope.add(raw, found, named=True)
    if "outputs" in block:
        scope.values.remove(made)
    scope.read.add(str(made.name))
    scope.last = None
    join = scope.random.choice(["add", "average", "maximum"])
    return scope.add({join: [f"{made.name}.*.skip"]}, replace(found, low=-3, high=3))


def listed(scope: Scope) -> Value:
    """Members or a table by a parameter that is a list."""
    lists = {word: v for word, v in scope.words.items() if isinstance(v, list)}
    if not lists:
        raise Unfit("no parameter with a list")
    word = scope.random.choice(list(lists))
    items = lists[word]
    x = need(scope, whole)
    found = Value(None, TensorType(x.sizes), -1, 1)
    if scope.chance(0.5):
        raw: Raw = {
            "do": [{"scale": {"by": "k"}}, "tanh"],
            "foreach": {"k": word},
            "from": scope.reference(x),
        }
        members = scope.add(raw, found, named=True)
        scope.values.remove(members)
        scope.last = None
        sizes = dict(x.sizes)
        over = scope.random.choice(list(sizes))
        sizes[over] *= len(items)
        return scope.add(
            {"concat": {"of": [f"{members.name}.*"], "over": over}}, Value(None, TensorType(sizes), -1, 1)
        )
    axis = scope.axis(x)
    source = named(scope, x)
    table = Value(None, TensorType({axis: len(items)}, batched=False), 1, max(items))
    made = scope.add({"const": {"axes": {axis: f"len({word})"}, "values": word}}, table, named=True)
    scope.read.add(str(made.name))
    most = x.most * max(items)
    return scope.add(
        {"multiply": [source, made.name]}, Value(None, TensorType(x.sizes | {axis: len(items)}), *wide(most))
    )


def resized(scope: Scope) -> Value:
    """A map that is resized to the size of another, which is made smaller before."""
    x = need(scope, lambda v: whole(v) and {"H", "W"} <= set(v.sizes) and CHANNEL in v.sizes)
    source = named(scope, x)
    axes = scope.random.choice([["H", "W"], ["H"], ["W"]])
    small = apply(scope, "avg_pool", [x], {"over": axes, "kernel": 1, "stride": 2})
    moved = apply(scope, "tanh", [small], {})
    mode = scope.random.choice(["nearest", "nearest", "bilinear"])
    step = {"resize": {"like": source, "mode": mode}, "from": scope.reference(moved)}
    back = scope.add(step, Value(None, TensorType(x.sizes), -1, 1), named=True)
    return apply(scope, "multiply", [back, x], {})


def numbers(scope: Scope) -> Value:
    """A table of given numbers, in the spec or in a file beside it, multiplied."""
    x = need(scope, lambda v: whole(v) and len(v.sizes) <= 3)
    axes = dict(scope.random.sample(list(x.sizes.items()), scope.random.randint(1, len(x.sizes))))
    if len(axes) == 3 or any(n > 12 for n in axes.values()):
        raise Unfit("a table too large")
    drawn = [-1.5, -1, -0.25, 0, 0.5, 1, 2]

    def nested(sizes: list[int]) -> Any:
        return [nested(sizes[1:]) if sizes[1:] else scope.random.choice(drawn) for _ in range(sizes[0])]

    table = Value(None, TensorType(axes, batched=False), -1.5, 2)
    given: Raw = {"values": nested(list(axes.values()))}
    if scope.chance(0.4):
        given = {"file": FILE, "tensor": tensor_name(tuple(axes.values()))}
    made = scope.add({"const": {"axes": axes, **given}}, table, named=True)
    return apply(scope, "multiply", [x, made], {})


def drawn_numbers(scope: Scope) -> Value:
    """A table of random numbers that are always the same, multiplied."""
    x = need(scope, lambda v: whole(v) and len(v.sizes) <= 3)
    axes = dict(scope.random.sample(list(x.sizes.items()), scope.random.randint(1, len(x.sizes))))
    kind, low = scope.random.choice([("signs", -1), ("uniform(-1, 1)", -1), ("uniform(0, 1)", 0)])
    table = Value(None, TensorType(axes, batched=False), low, 1)
    raw = {"axes": axes, "random": kind, "seed": scope.said(scope.random.choice([1, 2, 3]))}
    return apply(scope, "multiply", [x, scope.add({"const": raw}, table, named=True)], {})


def sized(scope: Scope) -> Value:
    """Rows and columns become places, and get the sizes of a step before again."""
    x = need(scope, lambda v: whole(v) and {"H", "W"} <= set(v.sizes) and not {"K", "Q"} & set(v.sizes))
    pooled = apply(scope, "avg_pool", [x], {"over": ["H", "W"], "kernel": 1, "stride": 2}, named=True)
    axes = scope.random.sample(["H", "W"], 2)
    places = apply(scope, "flatten", [pooled], {"axes": axes, "into": "Q"})
    moved = apply(scope, "tanh", [places], {})
    into = {axis: f"{pooled.name}.{axis}" for axis in axes}
    sizes = {axis: n for axis, n in moved.sizes.items() if axis != "Q"} | {a: pooled.sizes[a] for a in axes}
    found = Value(None, TensorType(sizes), -1, 1)
    return scope.add({"unflatten": {"axis": "Q", "into": into}}, found)


CONSTRUCTS: list[tuple[float, Callable[[Scope], Any]]] = [
    (0.4, numbers),
    (0.3, drawn_numbers),
    (0.8, sized),
    (0.4, numbered),
    (0.6, given_kernel),
    (0.5, skips),
    (0.8, listed),
    (0.5, resized),
]
