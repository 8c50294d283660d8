"""Whole specs at random: blocks that are shared, repeats, branches, groups, conditions, weights used again."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import yaml

from specbuild.compiler.pipeline import compile_source
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.expressions import concrete
from specbuild.ir.graph import Block
from specbuild.ops import OPS
from specbuild.ops.types import CHANNEL, TensorType
from tests.system.random_specs.constructs import CONSTRUCTS
from tests.system.random_specs.constructs_of_values import CONSTRUCTS as OF_VALUES
from tests.system.random_specs.operations import apply, featured
from tests.system.random_specs.pieces import ASSUMED, featured_on, fit_to, has_parts, need, weak, whole
from tests.system.random_specs.ranges import grown, hull, ranged, wide
from tests.system.random_specs.scope import Dice, Scope, Unfit, Value
from tests.system.random_specs.tensor_files import graph_of

Raw = dict[str, Any]
KINDS = ["Gate", "Mixer", "Encoder", "Layer", "Stem", "Unit", "Fuse", "Cell", "Neck", "Wide"]
DRAWN = [op for op in OPS if op != "unfinished"]  # that op raises an error when it runs
SAME = ["relu", "tanh", "sigmoid", "gelu", "silu", "softsign", "stop_gradient", "batch_norm"]
PARAMS = ["width", "depth", "reduction", "groups", "factor", "hidden"]


@dataclass(frozen=True)
class Drawn:
    """A random spec, and how often something that was drawn for it did not fit."""

    data: Raw
    refused: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return text(self.data)


def text(data: Raw) -> str:
    dumped: str = yaml.safe_dump(data, sort_keys=False, width=110, default_flow_style=None)
    return dumped


def spec(seed: int, index: int, has_constructs: bool = False) -> Drawn:
    """The spec of this number; the op of the table whose turn it is stands in it.

    `has_constructs` draws `let`, `foreach`, lists, optional inputs and the others of `constructs.py` too.
    """
    random = Dice(f"{seed}/{index}")
    params = parameters(random)
    blocks: Raw = {}
    scope = Scope(random, blocks, {}, {}, words=dict(params), inputs={}, room=random.choice([2, 4, 6, 8, 12]))
    scope.taken |= set(params)
    scope.has_constructs = has_constructs
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        scope.declared(beginning(random))
    scope.last = scope.values[0]
    lets = let_names(scope)
    refused: list[str] = []
    turn = DRAWN[index % len(DRAWN)]
    at = random.randint(0, scope.room - 1)
    tries, shown = 0, ""
    while (scope.room > 0 or turn) and tries < 40:
        tries += 1
        try:
            if turn and scope.room <= at + 1:
                shown = joined(scope, featured(scope, turn))
                turn = ""
            else:
                step(scope)
        except Unfit as reason:
            refused.append(str(reason))
    data: Raw = {"specbuild": 1, "model": "Net"}
    if params:
        data["params"] = params
    data["inputs"] = scope.inputs
    if lets:
        data["let"] = lets
    outputs = ordered(scope, ends(scope, shown))
    if blocks := used(blocks, scope.steps):
        data["blocks"] = blocks
    data["steps"] = scope.steps
    if outputs is not None:
        data["outputs"] = outputs
    if has_constructs and scope.chance(0.5):
        data = free(data)
    return Drawn(data, tuple(refused))


def free(data: Raw) -> Raw:
    """The spec with sizes that can be any: all that both backends take as such."""
    axes = [
        (name, axis)
        for name, raw in data["inputs"].items()
        for axis in raw.get("axes", raw)
        if axis not in (CHANNEL, "dtype")
    ]
    for chosen in (axes, *([one] for one in axes)):
        changed = deepcopy(data)
        for name, axis in chosen:
            sizes = changed["inputs"][name].get("axes", changed["inputs"][name])
            sizes[axis] = {"any": sizes[axis]}
        try:
            model = graph_of(changed, text(changed))
            compile_source(model, "torch"), compile_source(model, "keras")
        except (SpecError, SpecErrors):
            continue
        return changed
    return data


def parameters(random: Random) -> Raw:
    found: Raw = {}
    for name in random.sample(PARAMS, random.randint(0, 2)):
        found[name] = random.choice([2, 3, 4, 6, 8])
    if random.random() < 0.3:
        found["deep"] = random.random() < 0.5
    if random.random() < 0.2:
        found["depths"] = [random.randint(1, 3) for _ in range(random.randint(1, 3))]
    if random.random() < 0.15:
        found["mode"] = random.choice(["fast", "exact"])
    return found


def beginning(random: Random) -> TensorType:
    """The type of an input."""

    def n(most: int = 7) -> int:
        return random.randint(1, most)

    c = random.choice([1, 2, 3, 4, 4, 6, 8, 8, 12])
    return TensorType(
        random.choice(
            [
                {"C": c, "H": n(), "W": n()},
                {"W": n(), "H": n(), "C": c},
                {"T": n(), "C": c},
                {"C": c, "T": n()},
                {"C": c},
                {"T": n(4), "C": c, "H": n(5), "W": n(5)},
                {"C": c, "D": n(3), "H": n(4), "W": n(4)},
                {"N": n(3), "T": n(5), "C": c},
                {"T": n(5), "heads": n(3), "C": c},
                {"C": c, "W": n(9)},
                {"T": n(), "S": n()},
            ]
        )
    )


def joined(scope: Scope, value: Value) -> str:
    """The name of a value as an output; what is the same for every sample meets one that is not."""
    if not value.type.batched:
        other = next(v for v in scope.values if v.type.batched and v.floats)
        if value.floats and value.sizes:
            value = apply(scope, "mean", [value], {"over": list(value.sizes)})
        elif value.sizes:
            value = apply(scope, "slice", [value], {"over": next(iter(value.sizes)), "at": 0})
            value = apply(scope, "sum", [value], {"over": list(value.sizes)}) if value.sizes else value
        if value.type.dtype == "bool":
            value = apply(scope, "where", [other, value, None], {"value": 0})
        else:
            value = apply(scope, "multiply", [other, value], {})
    name = value.name or (value.written and (value.written.name or value.written.named(scope.fresh())))
    assert name
    if all(v.name != name for v in scope.values):
        scope.values.append(replace(value, name=name))
        scope.last = scope.values[-1] if scope.last is value else scope.last
    return name


def used(blocks: Raw, steps: list[Any]) -> Raw:
    """The blocks that these steps use, and those that they use."""

    def kinds(part: Any) -> set[str]:
        if isinstance(part, dict):
            return {k for k in part if k in blocks}.union(*map(kinds, part.values()))
        return (
            set().union(*map(kinds, part))
            if isinstance(part, list)
            else {part} & set(blocks)
            if isinstance(part, str)
            else set()
        )

    found, new = set[str](), kinds(steps)
    while new:
        found |= new
        new = set[str]().union(*(kinds(blocks[k]) for k in new)) - found
    return {k: block for k, block in blocks.items() if k in found}


def ends(scope: Scope, shown: str = "") -> Any:
    """What the model gives: the last value, or several of which no other step has made use."""
    unread = [v for v in scope.values if v.name and v.name not in scope.read and given(scope, v)]
    chosen = scope.random.sample(unread, min(len(unread), scope.random.randint(0, 4)))
    names = list(
        dict.fromkeys([*([shown] if shown else []), *(v.name for v in chosen if v.name is not None)])
    )
    last = scope.last if scope.last is None or given(scope, scope.last) else None
    if last is not None and last.name is None:
        if not names or (scope.chance(0.4) and not shown):
            return None
        names = [*names, "prev"] if scope.chance(0.7) else names
    elif last is not None and last.name not in names and (not names or scope.chance(0.5)):
        names.append(str(last.name))
    if not names:
        found = [v for v in scope.values if v.name and given(scope, v)]
        if not found:
            found = [apply(scope, "stop_gradient", [scope.values[0]], {}, named=True)]
        return scope.random.choice(found).name
    if len(names) == 1 and scope.chance(0.5):
        return names[0]
    if scope.chance(0.5) and "prev" not in names and len({n.replace(".", "_") for n in names}) == len(names):
        return names
    labels = scope.random.sample(["scores", "features", "logits", "side", "rest", "more", "aux"], len(names))
    return dict(zip(labels, names, strict=True))


def let_names(scope: Scope) -> Raw:
    """Names for expressions, which later ones may contain."""
    lets: Raw = {}
    if not scope.has_constructs:
        return lets
    for name in scope.random.sample(["twice", "half", "more", "inner"], scope.random.choice([0, 0, 0, 1, 2])):
        words = [w for w, v in scope.words.items() if isinstance(v, int) and not isinstance(v, bool)]
        word = scope.random.choice(words or ["2"])
        value = scope.words.get(word, 2)
        lets[name], scope.words[name] = scope.random.choice(
            [
                (f"2 * {word}", 2 * value),
                (f"max({word} // 2, 1)", max(value // 2, 1)),
                (f"{word} > 2", value > 2),
            ]
        )
        scope.taken.add(name)
    return lets


def ordered(scope: Scope, outputs: Any) -> Any:
    """The outputs, some with an order of their axes."""
    if not isinstance(outputs, dict) or not scope.has_constructs:
        return outputs
    by_name = {v.name: v for v in scope.values} | {"prev": scope.last}
    return {
        label: {"of": name, "order": scope.random.sample(list(by_name[name].sizes), len(by_name[name].sizes))}
        if by_name[name] and by_name[name].sizes and scope.chance(0.3)
        else name
        for label, name in outputs.items()
    }


def given(scope: Scope, v: Value) -> bool:
    """Whether a value can come out: not an input as it came in, nor what is the same for every sample."""
    return v.type.batched and (scope.inputs is None or v.name not in scope.inputs)


def step(scope: Scope) -> None:
    """One step more: an op, or something with steps inside."""
    ways: list[tuple[float, Callable[[Scope], Any]]] = [(9, operation)]
    if scope.depth < 2:
        ways += [(2, called), (1, group), (1, branches), (1.2, repeated), (0.5, streams), (0.5, scanned)]
        ways += [*CONSTRUCTS, *OF_VALUES] if scope.has_constructs else []
    ways += [(0.8, again), (0.8, conditional), (0.6, tapped), (0.8, whole_again)]
    shares, functions = zip(*ways, strict=True)
    scope.random.choices(functions, shares)[0](scope)


def operation(scope: Scope) -> Value:
    return featured(scope, scope.random.choice(DRAWN))


# Blocks.


def called(scope: Scope, x: Value | None = None, keeps: bool = False) -> Value:
    """A block that there is, if it fits, or a new one."""
    x = x or need(scope, whole)
    if scope.blocks and not keeps and scope.chance(0.5):
        found = shared(scope, x)
        if found is not None:
            return found
    kind, params, parts = new_block(scope, [x, *second(scope, x)], keeps)
    found = place(scope, kind, params, parts)
    if len(parts.given) == 1 and len(parts.outputs) == 1 and not parts.taps:
        scope.wholes.append((x, found))
    first = scope.blocks[kind]["steps"][0]
    inner = parts.taps.get(first.get("as")) if isinstance(first, dict) and len(first) == 2 else None
    if inner is not None and found.name and reads_prev(first):
        scope.wholes.append((parts.given[0], replace(inner, name=f"{found.name}.{inner.name}")))
    return found


@dataclass(frozen=True)
class Parts:
    """What a block was given and what comes out of it: outputs by name, and steps that a tap reaches."""

    given: list[Value]
    outputs: dict[str, Value]
    taps: dict[str, Value]


def second(scope: Scope, x: Value) -> list[Value]:
    other = (
        scope.pick(lambda v: v is not x and v.name is not None and v.type.batched)
        if scope.chance(0.25)
        else None
    )
    return [other] if other else []


def new_block(scope: Scope, given: list[Value], keeps: bool) -> tuple[str, Raw, Parts]:
    """Write a block for these inputs; the name, its arguments here, and what comes out."""
    random = scope.random
    kind = next(
        k
        for k in [*random.sample(KINDS, len(KINDS)), *[f"Block{n}" for n in range(99)]]
        if k not in scope.blocks
    )
    scope.blocks[kind] = {}  # its place is before the blocks that it uses
    names = ["x"] if len(given) == 1 else random.choice([["a", "b"], ["query", "memory"], ["x", "skip"]])
    params = {p: random.choice([1, 2, 3, 4]) for p in random.sample(PARAMS, random.randint(0, 2))}
    if scope.chance(0.2):
        params["deep"] = scope.chance(0.5)
    here = Scope(
        random,
        scope.blocks,
        scope.assumed,
        scope.results,
        words=dict(params),
        room=random.choice([1, 2, 3, 4]),
        depth=scope.depth + 1,
    )
    here.taken |= {*names, *params}
    here.has_constructs = scope.has_constructs
    if keeps or scope.chance(0.7):
        given = [weak(v) for v in given]
    for name, v in zip(names, given, strict=True):
        here.values.append(replace(v, name=name, written=None))
        here.words |= {f"{name}.{axis}": n for axis, n in v.sizes.items()}
    here.last = here.values[0]
    lets = let_names(here)
    fill(here)
    if not here.steps:
        apply(here, "tanh", [here.values[0]], {})
    if keeps:
        fit_to(here, here.values[0])
    outputs = ends(here)
    raw: Raw = {
        "inputs": {
            n: [*random.sample(list(v.sizes), len(v.sizes))] for n, v in zip(names, given, strict=True)
        }
    }
    if len(names) == 1 and scope.chance(0.5):
        raw = {}
    elif scope.chance(0.3) or not all(v.sizes for v in given):
        raw = {"inputs": names}
    declared = {
        p: v if scope.chance(0.6) else {"type": kind_of(v), "default": v} if scope.chance(0.5) else kind_of(v)
        for p, v in params.items()
    }
    body = {**({"params": declared} if declared else {}), **raw, **({"let": lets} if lets else {})}
    body["steps"] = here.steps
    if keeps:
        outputs = None
        found = {"": here.last}
    else:
        by_name = {v.name: v for v in here.values}
        by_name["prev"] = here.last  # type: ignore[assignment]
        if outputs is None:
            found = {"": here.last}
        elif isinstance(outputs, str):
            found = {"": by_name[outputs]}
        elif isinstance(outputs, list):
            found = {n.replace(".", "_"): by_name[n] for n in outputs}
        else:
            found = {n: by_name[t] for n, t in outputs.items()}
    if outputs is not None:
        body["outputs"] = outputs
    if not any(found.values()):
        raise Unfit("a block ends with parts")
    scope.blocks[kind] = body
    scope.assumed[kind] = given
    scope.results[kind] = next(v for v in found.values() if v is not None)
    arguments = {p: v for p, v in params.items() if declared[p] == kind_of(v) or scope.chance(0.4)}
    taps = {v.name: v for v in here.values if v.name and v.name not in names and "." not in v.name}
    return kind, arguments, Parts(given, {n: v for n, v in found.items() if v is not None}, taps)


def kind_of(value: Any) -> str:
    return "bool" if isinstance(value, bool) else "int"


def place(scope: Scope, kind: str, arguments: Raw, parts: Parts, **keys: Any) -> Value:
    """Write the step that uses a block."""
    raw = {p: v if isinstance(v, bool) else scope.said(v) for p, v in arguments.items()}
    step: Raw = {kind: raw or None, **keys}
    if len(parts.given) > 1:
        declared = scope.blocks[kind].get("inputs", {"x": None})
        names = list(declared)
        refs = [scope.reference(v) for v in parts.given]
        step["from"] = dict(zip(names, refs, strict=True)) if scope.chance(0.6) else refs
    elif parts.given[0] is not scope.last:
        step["from"] = scope.reference(parts.given[0])
    elif parts.given[0].name:
        scope.read.add(parts.given[0].name)
    main = next(iter(parts.outputs.values()))
    several = len(parts.outputs) > 1
    found = scope.add(
        step, replace(main, name=None), named=True if several or (parts.taps and scope.chance(0.5)) else None
    )
    if found.name and not keys:
        _, *rest = parts.outputs
        for name in rest:
            scope.values.append(replace(parts.outputs[name], name=f"{found.name}.{name}"))
        for name in [t for t in parts.taps if scope.chance(0.3)]:
            if name not in parts.outputs:
                scope.values.append(replace(parts.taps[name], name=f"{found.name}.{name}"))
                scope.words.pop(name, None)
    return found


def fill(scope: Scope) -> None:
    for _ in range(12):
        if scope.room <= 0:
            break
        try:
            step(scope)
        except Unfit:
            continue


# What the compiler itself says of steps that are used at other types than they were written for.


def probed(scope: Scope, given: list[Value], step: Raw) -> dict[str, TensorType] | None:
    """The types that come out of a step on these values, or None if it does not fit them."""
    names = [f"given{i}" for i in range(len(given))]
    data: Raw = {
        "specbuild": 1,
        "model": "Probe",
        "params": {w: v for w, v in scope.words.items() if "." not in w and w != "i"},
        "inputs": {n: {"axes": v.sizes, "dtype": v.type.dtype} for n, v in zip(names, given, strict=True)},
        "blocks": scope.blocks,
        "steps": [{**step, "from": names if len(names) > 1 else names[0], "as": "found"}],
    }
    if not all(v.type.batched for v in given):
        return None
    try:
        given = {k: v for k, v in data.items() if v}
        model = graph_of(given, text(given))
    except (SpecError, SpecErrors):
        return None
    node = model.nodes[-1]
    if isinstance(node.op, Block):
        return {n: plain_type(o.type) for n, o in node.op.outputs.items()}
    return {"": plain_type(model.outputs[""].type)}


def plain_type(x: TensorType) -> TensorType:
    return TensorType({a: concrete(n) for a, n in x.sizes.items()}, x.dtype, x.batched)


def shared(scope: Scope, x: Value) -> Value | None:
    """A block that was written before, perhaps with other arguments."""
    kind = scope.random.choice(list(scope.blocks))
    block = scope.blocks[kind]
    if not block or len(scope.assumed[kind]) != 1:
        return None
    [assumed] = scope.assumed[kind]
    if x.low < assumed.low or x.high > assumed.high or x.generic < assumed.generic:
        return None
    arguments = {}
    for p, raw in block.get("params", {}).items():
        required = isinstance(raw, str)
        type_ = raw if required else raw.get("type", "int") if isinstance(raw, dict) else kind_of(raw)
        if type_ == "block":
            return None
        if required or scope.chance(0.5):
            arguments[p] = scope.chance(0.5) if type_ == "bool" else scope.random.randint(1, 6)
    types = probed(scope, [x], {kind: arguments or None})
    if types is None:
        return None
    low, high = hull(
        wide(10 * scope.results[kind].most), (0, 0)
    )  # with other arguments, sums are of more numbers
    first = Value(None, next(iter(types.values())), low, high)
    return place(scope, kind, arguments, Parts([x], {"": first}, {}))


def again(scope: Scope) -> Value | None:
    """The weights of a step on another value."""
    steps = [
        s for s in scope.steps if isinstance(s, dict) and "as" in s and len(set(s) - {"from", "as"}) == 1
    ]
    steps = [
        s
        for s in steps
        if next(iter(s)) in OPS
        and len(OPS[next(iter(s))].input_specs) == 1
        and not OPS[next(iter(s))].input_specs[0].variadic
    ]
    if not steps:
        raise Unfit("no step to use again")
    origin = scope.random.choice(steps)
    op = next(iter(origin))
    name = origin.get("from")
    x = next((v for v in scope.values if v.name == name), None)
    before = next((v for v in scope.values if v.name == origin["as"]), None)
    if x is None or before is None or op in ("dropout", "drop_path") or has_parts(op):
        raise Unfit("no step to use again")
    other = (
        scope.pick(
            lambda v: (
                v is not x
                and v.type.dtype == x.type.dtype
                and v.type.batched == x.type.batched
                and v.sizes == x.sizes
                and v.low >= x.low
                and v.high <= x.high
                and v.generic >= x.generic
            )
        )
        or x
    )
    scope.read.add(origin["as"])
    return scope.add({"reuse": origin["as"], "from": scope.reference(other)}, replace(before, name=None))


def conditional(scope: Scope) -> Value:
    """A step that is there or not, as a parameter says."""
    if not scope.words:
        raise Unfit("no parameter to ask")
    word, holds = scope.condition()
    x = need(scope, lambda v: v.type.batched)
    room = len(scope.steps)
    found = featured_on(scope, x)
    if len(scope.steps) != room + 1:
        return found  # steps before it were needed; they stand without a condition
    step = scope.steps[-1] if isinstance(scope.steps[-1], dict) else {scope.steps[-1]: None}
    scope.steps[-1] = {**step, "when": word}
    low, high = hull((x.low, x.high), (found.low, found.high))  # used with other arguments, it is otherwise
    both = replace(found if holds else x, name=found.name, written=found.written)
    both = replace(both, low=low, high=high, generic=x.generic and found.generic)
    scope.values = [both if v is found else v for v in scope.values]
    scope.last = both
    return both


def tapped(scope: Scope) -> Value:
    """A step that reads a value inside a block."""
    found = scope.pick(lambda v: v.name is not None and "." in v.name)
    if found is None:
        raise Unfit("nothing to tap")
    return featured_on(scope, found)


def group(scope: Scope) -> Value:
    """Steps under one name."""
    x = need(scope, lambda v: v.type.batched)
    here = scope.inside(room=scope.random.randint(1, 3), last=x, depth=scope.depth + 1)
    fill_or_one(here, x)
    scope.read |= here.read
    if here.last is None:
        raise Unfit("a group ends with parts")
    step: Raw = {"do": here.steps}
    if x is not scope.last:
        step["from"] = scope.reference(x)
    elif x.name:
        scope.read.add(x.name)
    found = scope.add(step, replace(here.last, name=None))
    if x.name not in here.read and reads_prev(here.steps[0]):
        scope.wholes.append((x, found))
    return found


def reads_prev(step: Any) -> bool:
    """Whether a step reads the value before it, and names no other input."""
    kind, value = next(iter(step.items())) if isinstance(step, dict) else (step, None)
    if kind not in OPS:
        return kind[0].isupper() and "from" not in step
    specs = OPS[kind].input_specs
    named = isinstance(value, list) or (isinstance(value, dict) and any(s.name in value for s in specs))
    return bool(specs) and not named and not (isinstance(step, dict) and "from" in step)


def fill_or_one(here: Scope, x: Value) -> None:
    fill(here)
    if not here.steps:
        here.last = x
        apply(here, "tanh" if x.floats else "stop_gradient", [x], {})


def branches(scope: Scope) -> Value:
    """Branches from one value, joined."""
    x = need(scope, whole)
    names = [scope.fresh() for _ in range(scope.random.randint(2, 3))]
    found: dict[str, Any] = {}
    ends: list[Value] = []
    for name in names:
        here = scope.inside(room=scope.random.randint(1, 2), last=x, depth=scope.depth + 1)
        fill_or_one(here, x)
        fit_to(here, x)
        if here.last is None or here.last.sizes != x.sizes:
            raise Unfit("a branch does not come back to its beginning")
        scope.read |= here.read
        found[name] = here.steps
        ends.append(replace(here.last, name=name))
    merge: Any = scope.random.choice(
        [
            "add",
            "concat",
            "multiply",
            "average",
            {"concat": {"over": scope.random.choice(list(x.sizes))}},
            None,
        ]
    )
    if merge == "concat" and CHANNEL not in x.sizes:
        merge = "maximum"
    step: Raw = {"parallel": found}
    if x is not scope.last:
        step["from"] = scope.reference(x)
    elif x.name:
        scope.read.add(x.name)
    if merge is None:
        scope.steps.append(step)
        scope.values += ends
        scope.last = None
        return apply(scope, "add", [*ends], {})
    step["merge"] = merge
    sizes = dict(x.sizes)
    over = "C" if merge == "concat" else merge["concat"]["over"] if isinstance(merge, dict) else None
    if over:
        sizes[over] *= len(names)
    low, high = ranged("concat" if over else str(merge), {}, ends, x.type)
    result = scope.add(step, Value(None, TensorType(sizes), low, high))
    scope.values += ends
    return result


def repeated(scope: Scope) -> Value:
    """A step one time after another; what it is given may depend on the time."""
    x = need(scope, whole)
    count = scope.random.choice([1, 2, 2, 3, 4])
    if x.most > ASSUMED:
        raise Unfit("a repeat of numbers too large")
    if scope.chance(0.6):
        kind, arguments, parts = new_block(scope, [x], keeps=True)
        raw: Raw = {kind: {p: counted(scope, v) for p, v in arguments.items()} or None}
        low, high = wide(2 * next(iter(parts.outputs.values())).most)  # what is given depends on the time
    else:
        own = weak(replace(x, name=None, written=None))
        here = scope.inside(room=scope.random.randint(1, 2), last=own, depth=scope.depth + 1)
        fill_or_one(here, own)
        fit_to(here, own)
        if here.last is None or here.last.sizes != x.sizes:
            raise Unfit("a repeat does not come back to its beginning")
        scope.read |= here.read
        raw = {"do": here.steps}
        low, high = here.last.low, here.last.high
    low, high = grown(x, low, high, ASSUMED, count)
    if "do" not in raw and probed(scope, [x], {**raw, "repeat": count}) is None:
        raise Unfit("a repeat that does not fit")
    step = {**raw, "repeat": scope.said(count)}
    if x is not scope.last:
        step["from"] = scope.reference(x)
    elif x.name:
        scope.read.add(x.name)
    found = scope.add(step, Value(None, TensorType(x.sizes), low, high))
    if "do" not in raw:
        scope.wholes.append((x, found))
    return found


def streams(scope: Scope) -> Value:
    """A repeat of a block that is given several values and hands on those of the same names."""
    x = need(scope, lambda v: whole(v) and v.most <= ASSUMED)
    y = apply(scope, scope.random.choice(["tanh", "sigmoid", "softsign"]), [x], {}, named=True)
    inner, arguments, _ = new_block(scope, [x], keeps=True)
    kind = f"Streams{len(scope.blocks)}"
    steps: list[Raw] = [
        {inner: arguments or None, "from": "b", "as": "of_b"},
        {"add": ["a", "of_b"], "as": "sum"},
        {"tanh": None, "as": "new_a"},
        {"multiply": ["sum", "b"]},
        {"sigmoid": None, "as": "new_b"},
    ]
    outputs = {"a": "new_a", "b": "new_b"}
    if scope.chance(0.5):
        outputs["more"] = "sum"
    names = scope.random.sample(list(outputs), len(outputs))
    scope.blocks[kind] = {
        "inputs": {name: list(x.sizes) for name in scope.random.sample(["a", "b"], 2)},
        "steps": steps,
        "outputs": {name: outputs[name] for name in names},
    }
    scope.assumed[kind] = [x, y]
    scope.results[kind] = x
    scope.taken |= {"a", "b"}
    step = {kind: None, "from": {"a": scope.reference(x), "b": scope.reference(y)}}
    found = Value(None, TensorType(x.sizes), -1, 1)
    result = scope.add({**step, "repeat": scope.said(scope.random.choice([1, 2, 3]))}, found, named=True)
    scope.values.remove(result)
    results = [replace(found, name=f"{result.name}.{name}") for name in ("a", "b")]
    if scope.chance(0.5):
        swapped = {"a": scope.reference(y), "b": scope.reference(x)}
        other = scope.add({"reuse": result.name, "from": swapped}, found, named=True)
        scope.values.remove(other)
        results.append(replace(found, name=f"{other.name}.b"))
    scope.values += results
    scope.last = None
    return apply(scope, "add", results[-2:], {})


def scanned(scope: Scope) -> Value:
    """A block on one position of an axis after another, with a state of the type of a position."""
    random = scope.random
    x = need(scope, lambda v: whole(v) and v.most <= ASSUMED and len(v.sizes) > 1)
    over = random.choice(list(x.sizes))
    start = apply(scope, "mean", [x], {"over": over}, named=True)
    if scope.chance(0.5):
        start = apply(scope, "weight", [], {"axes": dict(start.sizes), "init": "normal(0.02)"}, named=True)
    part = replace(x, type=x.type.without_axes(over), name=None, written=None)
    inner, arguments, _ = new_block(scope, [part], keeps=True)
    kind = f"Scanned{len(scope.blocks)}"
    names = ["a", "s", "same"] if scope.has_constructs and scope.chance(0.4) else ["a", "s"]
    beside = [{"multiply": ["sum", "same"]}] if "same" in names else []
    scope.blocks[kind] = {
        "inputs": {name: list(part.sizes) for name in random.sample(names, len(names))},
        "steps": [
            {inner: arguments or None, "from": "a", "as": "of_a"},
            {"add": ["of_a", "s"], "as": "sum"},
            *beside,
            {"tanh": None, "as": "new_s"},
        ],
        "outputs": dict(random.sample([("y", "new_s"), ("s", "new_s")], 2)),
    }
    scope.assumed[kind] = [x, start]
    scope.results[kind] = x
    scope.taken |= {"a", "s"}
    step = {kind: None, "from": {"a": scope.reference(x), "s": scope.reference(start)}}
    if "same" in names:  # the same at each position
        step["from"]["same"] = step["from"]["s"]
    step["scan"] = {"over": over, "reverse": True} if scope.chance(0.3) else over
    stacked = Value(None, TensorType({over: x.sizes[over], **part.sizes}), -1, 1)
    last = replace(stacked, type=TensorType(part.sizes))
    result = scope.add(step, stacked, named=True)
    scope.values.remove(result)
    scope.values += [replace(stacked, name=f"{result.name}.y"), replace(last, name=f"{result.name}.s")]
    scope.last = None
    return apply(scope, "tanh", [scope.values[-random.choice([1, 2])]], {})


def whole_again(scope: Scope) -> Value:
    """A block, group or repeat on another value: one without a batch, or with the same weights."""
    if not scope.wholes:
        raise Unfit("nothing to use again")
    x, before = scope.random.choice(scope.wholes)
    if scope.chance(0.5):
        axes = dict(scope.random.sample(list(x.sizes.items()), len(x.sizes)))
        other: Value | None = apply(scope, "weight", [], {"axes": axes}, named=True)
    else:
        other = scope.pick(lambda v: v is not x and v.type == x.type)
    if other is None or other.low < x.low or other.high > x.high or other.generic < x.generic:
        raise Unfit("nothing to use again on")
    origin = scope.reference(before)
    if origin == "prev":
        raise Unfit("nothing to use again")
    found = scope.add(
        {"reuse": origin, "from": scope.reference(other)}, replace(before, name=None), named=True
    )
    if other.type.batched:
        return found
    scope.values.remove(found)  # whether the result has a batch depends on what is inside
    return apply(scope, "add", [replace(before, name=origin), found], {})


def counted(scope: Scope, value: Any) -> Any:
    """An argument that may depend on how often a step was repeated before."""
    if isinstance(value, bool):
        return scope.random.choice([value, "i > 0", "i == 0", "i % 2 == 0"])
    return scope.random.choice(
        [value, value, f"{value} + i", f"{value} * (i + 1)", f"{value} if i == 0 else {value + 1}"]
    )


__all__ = ["Drawn", "spec", "text"]
