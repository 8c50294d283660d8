"""Steps for constructs of the language: members side by side, spliced and collected, lists, optional inputs, given numbers."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

from specbuild.ops.types import CHANNEL, TensorType
from tests.system.random_specs.operations import apply
from tests.system.random_specs.pieces import featured_on, fit_to, need, whole
from tests.system.random_specs.ranges import hull, ranged
from tests.system.random_specs.scope import Scope, Unfit, Value

Raw = dict[str, Any]


def side_by_side(scope: Scope) -> Value:
    """Members side by side, on one value with a number of their own, or each on a value of its own."""
    x = need(scope, whole)
    count = scope.random.choice([1, 2, 3])
    raw: Raw
    if scope.chance(0.5):
        here = scope.inside(room=2, depth=scope.depth + 1)
        numbers = [scope.random.choice([1, 2, 3, -1]) for _ in range(count)]
        here.steps = [{"scale": {"by": "k"}}, "tanh"]
        here.last = Value(None, TensorType(x.sizes), -1, 1)
        found = member(here, x)
        raw = {"do": here.steps, "foreach": {"k": count if scope.chance(0.3) else numbers}}
        read_input(scope, x, raw)
    else:
        values = [x, *(same(scope, x) for _ in range(count - 1))]
        low, high = hull(*((v.low, v.high) for v in values))
        here = scope.inside(room=1, last=replace(x, low=low, high=high, generic=False), depth=scope.depth + 1)
        found = member(here, x)
        raw = {"do": here.steps, "foreach": {"v": [named(scope, v) for v in values]}, "from": "v"}
    scope.read |= here.read
    if scope.chance(0.3):
        raw["names"] = scope.random.choice(["side{i + 1}", "s{2 * i}"])
    return collected(scope, raw, x, [found] * count, optional=True)


def member(here: Scope, x: Value) -> Value:
    """Steps of a member, which come back to the type of a value."""
    assert here.last is not None
    featured_on(here, here.last)
    fit_to(here, x)
    if here.last is None or here.last.sizes != x.sizes or not here.last.type.batched:
        raise Unfit("a member does not come back to its beginning")
    return here.last


def same(scope: Scope, x: Value) -> Value:
    """Another value of the same type."""
    other = scope.pick(lambda v: v is not x and v.floats and v.type == x.type)
    return other or apply(scope, scope.random.choice(["tanh", "sigmoid", "softsign"]), [x], {}, named=True)


def named(scope: Scope, x: Value) -> str:
    """The name of a value, where `prev` would be another one."""
    if x.name is None:
        x = replace(x, name=scope.reference(x))
        if x.name == "prev":
            if x.written is None:
                raise Unfit("a value without a name")
            x = replace(x, name=x.written.name or x.written.named(scope.fresh()))
            scope.values.append(x)
            scope.last = x
    assert x.name is not None
    scope.read.add(x.name)
    return x.name


def read_input(scope: Scope, x: Value, raw: Raw) -> None:
    if x is not scope.last:
        raw["from"] = scope.reference(x)
    elif x.name:
        scope.read.add(x.name)


def collected(scope: Scope, raw: Raw, x: Value, members: list[Value], optional: bool) -> Value:
    """Write a step with members, and join their values: by `collect`, or by a step that reads all of them."""
    over = scope.random.choice(list(x.sizes))
    joins = [*(["add", "average", "maximum"] if len(members) > 1 else []), {"concat": {"over": over}}]
    join: Any = scope.random.choice(joins)
    sizes = dict(x.sizes)
    if isinstance(join, dict):
        sizes[over] *= len(members)
    low, high = ranged("concat" if isinstance(join, dict) else join, {}, members, TensorType(sizes))
    found = Value(None, TensorType(sizes), low, high)
    if not optional or scope.chance(0.6):
        return scope.add({**raw, "collect": join}, found)
    name = scope.fresh()
    scope.steps.append({**raw, "as": name})
    scope.room -= 1
    if isinstance(join, dict):
        return scope.add({"concat": {"of": [f"{name}.*"], "over": over}}, found)
    return scope.add({join: [f"{name}.*"]}, found)


def chained(scope: Scope) -> Value:
    """A repeat whose members have names, are collected, or lie in the group around them."""
    x = need(scope, whole)
    count = scope.random.choice([1, 2, 3])
    inner: list[Any] = ["tanh"]
    if CHANNEL in x.sizes and scope.chance(0.6):
        inner = [{"linear": {"features": x.sizes[CHANNEL]}}, "tanh"]
    found = Value(None, TensorType(x.sizes), -1, 1)
    if scope.chance(0.5):
        before = scope.random.choice(["sigmoid", "softsign", "stop_gradient"])
        repeat: Raw = {"do": inner, "repeat": scope.said(count), "splice": True}
        if scope.chance(0.4):
            repeat["names"] = "layer{i + 1}"
        raw: Raw = {"do": [before, repeat, *(["softsign"] if scope.chance(0.5) else [])]}
        read_input(scope, x, raw)
        return scope.add(raw, found)
    raw = {"do": inner, "repeat": scope.said(count), "names": "layer{i + 1}"}
    read_input(scope, x, raw)
    return (
        collected(scope, raw, x, [found] * count, optional=False)
        if scope.chance(0.6)
        else scope.add(raw, found)
    )


def lists(scope: Scope) -> Value:
    """A block that takes a list, called with lists of one length or of several."""
    x = need(scope, lambda v: whole(v) and len(v.sizes) > 1)
    values = [x, *(same(scope, x) for _ in range(scope.random.choice([0, 1, 2])))]
    kind = f"Lists{len(scope.blocks)}"
    axes = scope.random.choice([None, ["..."], scope.random.sample(list(x.sizes), len(x.sizes))])
    first = scope.chance(0.4)  # an input before the list
    inner: list[Any] = ["tanh"]
    if CHANNEL in x.sizes and scope.chance(0.6):
        features = scope.random.choice([x.sizes[CHANNEL], "m[0].C", "v.C"])
        inner = [{"linear": {"features": features}}, *inner]
    sides: Raw = {"do": inner, "foreach": {"v": "m.*"}, "from": "v", "as": "sides"}
    one = scope.chance(0.5)  # a list of one value fits
    joined = "sides.0" if one else "sides"
    steps: list[Any] = [
        sides if one else {**sides, "collect": "add"},
        {"multiply": [joined, "m.0"]},
        {"add": ["prev", "m.2"], "when": "len(m) > 2"},
        {"concat": {"of": ["prev", "m.*"], "over": next(iter(x.sizes))}, "as": "all_of_them"},
        {"mean": {"over": next(iter(x.sizes))}},
        "tanh",
    ]
    if first:
        steps.insert(1, {"add": [joined, "base"], "as": "with_base"})
        steps[2] = {"multiply": ["with_base", "m.0"]}
    inputs = {**({"base": list(x.sizes)} if first else {}), "m": {"each": axes}}
    scope.blocks[kind] = {"inputs": inputs, "steps": steps}
    scope.assumed[kind] = []  # it is used here only
    sizes = {a: n for a, n in x.sizes.items() if a != next(iter(x.sizes))}
    found = Value(None, TensorType(sizes), -1, 1)
    names = [named(scope, v) for v in values]
    results = []
    for _ in range(scope.random.choice([1, 2])):
        chosen = [
            scope.random.choice(names) for _ in range(scope.random.choice([1, 2, 3] if one else [2, 3]))
        ]
        given: Any = {"m": chosen, **({"base": names[0]} if first else {})}
        if scope.chance(0.5):
            given = [*([names[0]] if first else []), *chosen]
        results.append(scope.add({kind: None, "from": given}, found, named=True))
    return apply(scope, "add", results, {}) if len(results) > 1 else results[0]


def optional(scope: Scope) -> Value:
    """A block with an input that a call may leave out."""
    x = need(scope, whole)
    other = same(scope, x)
    kind = f"Maybe{len(scope.blocks)}"
    steps: list[Any] = ["tanh", {"multiply": ["prev", "m"], "when": "given(m)"}]
    if CHANNEL in x.sizes and scope.chance(0.4):
        steps.insert(scope.random.choice([0, 2]), {"linear": {"features": x.sizes[CHANNEL]}})
    if scope.chance(0.4):
        steps.append({scope.random.choice(["relu", "neg"]): None, "when": "not given(m)"})
    inputs = {"x": list(x.sizes), "m": {"axes": list(x.sizes), "optional": True}}
    scope.blocks[kind] = {"inputs": inputs, "steps": [*steps, "tanh"]}
    scope.assumed[kind] = []
    outer = kind
    if scope.chance(0.5):
        outer = f"Hands{len(scope.blocks)}"
        passed = [{kind: None, "from": {"x": "x", "m": "m"}, "as": "inner"}, {"add": ["x", "inner"]}, "tanh"]
        scope.blocks[outer] = {"inputs": deepcopy(inputs), "steps": passed}
        scope.assumed[outer] = []
    found = Value(None, TensorType(x.sizes), -1, 1)
    names = [named(scope, x), named(scope, other)]
    results = []
    for _ in range(scope.random.choice([1, 2, 3])):
        given = scope.random.choice([names[0], {"x": names[0]}, names, {"x": names[1], "m": names[0]}])
        results.append(scope.add({outer: None, "from": given}, found, named=True))
    return apply(scope, "add", results, {}) if len(results) > 1 else results[0]


def alternatives(scope: Scope) -> Value:
    """Steps of one name, of which a parameter chooses."""
    if not scope.words:
        raise Unfit("no parameter to ask")
    x = need(scope, whole)
    beside = {step["as"] for step in scope.steps if isinstance(step, dict) and "as" in step}
    words = {word: n for word, n in scope.words.items() if word.partition(".")[0] not in beside}
    word, _ = replace(scope, words=words).condition()
    name = scope.fresh()
    first, second = scope.random.sample(["tanh", "sigmoid", "softsign"], 2)
    given = named(scope, x)
    scope.steps.append({first: None, "from": given, "as": name, "when": word})
    scope.steps.append({second: None, "from": given, "as": name, "when": f"not ({word})"})
    scope.room -= 2
    found = Value(name, TensorType(x.sizes), -1, 1)
    scope.values.append(found)
    scope.last = None
    return apply(scope, "stop_gradient", [found], {})


def all_parts(scope: Scope) -> Value:
    """The parts of a split, read all at once."""
    x = need(scope, lambda v: whole(v) and any(n in (2, 3, 4, 6, 9) for n in v.sizes.values()))
    over = scope.random.choice([axis for axis, n in x.sizes.items() if n in (2, 3, 4, 6, 9)])
    count = scope.random.choice([n for n in (2, 3) if x.sizes[over] % n == 0])
    size = x.sizes[over] // count
    raw: Raw = {"split": {"over": over, "into": ["p", "q", "r"][:count], "keep": True}, "as": scope.fresh()}
    read_input(scope, x, raw)
    scope.steps.append(raw)
    scope.room -= 1
    scope.last = None
    part = Value(None, TensorType({**x.sizes, over: size}), x.low, x.high)
    if scope.chance(0.5):
        return scope.add({"concat": {"of": [f"{raw['as']}.*"], "over": over}}, replace(part, type=x.type))
    low, high = ranged("add", {}, [part] * count, part.type)
    return scope.add({"add": [f"{raw['as']}.*"]}, replace(part, low=low, high=high))


def from_nothing(scope: Scope) -> Value:
    """A block without inputs, called for numbers that a value is multiplied by."""
    x = need(scope, whole)
    axes = dict(scope.random.sample(list(x.sizes.items()), 1))
    kind = f"Table{len(scope.blocks)}"
    [axis] = axes
    table = scope.random.choice(
        [{"weight": {"axes": axes, "init": "normal(0.02)"}}, {"const": {"axes": axes, "value": axis}}]
    )
    scope.blocks[kind] = {"inputs": {}, "steps": [table, "tanh"]}
    scope.assumed[kind] = []
    numbers = Value(None, TensorType(axes, batched=False), -1, 1)
    return apply(scope, "multiply", [x, scope.add({kind: None}, numbers, named=True)], {})


def chosen(scope: Scope) -> Value:
    """A block with a parameter that is a step of the caller's choice, or none."""
    x = need(scope, whole)
    kind = f"Chosen{len(scope.blocks)}"
    default = scope.random.choice(["none", "softsign"])
    parameter = {"type": "block", "default": default}
    after = {"use": "act", "when": scope.random.choice(["true", "x." + next(iter(x.sizes)) + " > 2"])}
    scope.blocks[kind] = {
        "params": {"act": parameter},
        "inputs": {"x": list(x.sizes)},
        "steps": ["tanh", {"use": "act", "as": "acted"}, *([after] if scope.chance(0.4) else []), "tanh"],
    }
    scope.assumed[kind] = []
    found = Value(None, TensorType(x.sizes), -1, 1)
    given = named(scope, x)
    results = []
    for _ in range(scope.random.choice([1, 2])):
        act = scope.random.choice([{}, {"act": "sigmoid"}, {"act": "none"}, {"act": {"scale": {"by": 0.5}}}])
        results.append(scope.add({kind: act or None, "from": given}, found, named=True))
    return apply(scope, "add", results, {}) if len(results) > 1 else results[0]


def masked_tokens(scope: Scope) -> Value:
    """Attention of tokens to themselves, of which a mask leaves out some, and a size that is checked."""
    x = need(scope, lambda v: whole(v) and CHANNEL in v.sizes and len(v.sizes) > 1 and v.most < 50)
    over = scope.random.choice([axis for axis in x.sizes if axis != CHANNEL])
    axes = {over: x.sizes[over]}
    mask = scope.declared(TensorType(axes, "bool")) if scope.chance(0.5) else None
    if mask is None:
        table = Value(None, TensorType(axes, "bool", batched=False))
        mask = scope.add(
            {"const": {"axes": axes, "value": f"{over} != 1", "dtype": "bool"}}, table, named=True
        )
    name = named(scope, x)
    scope.read.add(mask.name or "")
    keys = scope.axis(x)
    raw = {"query": name, "key": name, "value": name, "mask": mask.name, "over": over, "keys": keys}
    step = {"attention": raw, "expect": {over: x.sizes[over]}}
    return scope.add(step, Value(None, TensorType(x.sizes), min(x.low, 0), max(x.high, 0)))


CONSTRUCTS: list[tuple[float, Callable[[Scope], Any]]] = [
    (0.8, side_by_side),
    (0.6, chained),
    (0.6, lists),
    (0.6, optional),
    (0.4, alternatives),
    (0.4, all_parts),
    (0.3, from_nothing),
    (0.4, chosen),
    (0.4, masked_tokens),
]
