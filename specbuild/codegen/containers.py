"""Steps that stand under one name and follow each other become a row of layers: nn.Sequential, keras.Sequential."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from specbuild.codegen.constructions import (
    SELF,
    Construct,
    Container,
    Made,
    Run,
    changed,
    constant,
    counted,
    literal,
    literals,
    unspoken,
    value_of,
)
from specbuild.codegen.from_expression import from_words
from specbuild.codegen.lowering import Lowered, Step, Value
from specbuild.codegen.tree import Call, Expr, Input, Literal, TupleOf, substitute
from specbuild.expressions import names, plain, settled, words


def rows(lowered: Lowered, numbers: dict[str, int]) -> None:
    """Collapse every group of a block whose steps are a plain chain of layers, innermost groups first."""
    groups = lowered.block.groups
    renamed: dict[str, str] = {}
    for depth in sorted({name.count(".") for name in groups}, reverse=True):
        lowered.steps = collapsed(lowered, depth, renamed)
    if renamed:
        rename(lowered, renamed, numbers)


def collapsed(lowered: Lowered, depth: int, renamed: dict[str, str]) -> list[Step]:
    readers: dict[str, int] = {}
    for step in lowered.steps:
        for key in step.inputs:
            readers[key] = readers.get(key, 0) + 1
    for value in lowered.outputs.values():
        readers[value.key] = readers.get(value.key, 0) + 1
    shared = {
        step.holder for step in lowered.steps if step.make is None and step.holder
    }  # called again elsewhere
    inside = Counter(".".join(step.node.split(".")[: depth + 1]) for step in lowered.steps if step.node)
    kept: list[Step] = []
    at = 0
    steps = lowered.steps
    while at < len(steps):
        group = parent(steps[at], lowered, depth)
        if group is None:
            kept.append(steps[at])
            at += 1
            continue
        end = at
        while end < len(steps) and parent(steps[end], lowered, depth) == group:
            end += 1
        members = steps[at:end]
        whole = len(members) == inside[group]
        row_like = chain(members, readers) or loop(members, readers)
        if shared & {m.node for m in members} or not whole:
            kept += members
        elif row_like:
            kept.append(row(members, group, lowered))
            renamed[members[-1].key] = group
        elif ends := cuts(members, readers):
            kept += pieces(members, group, lowered, ends)
            renamed[members[-1].key] = group
        else:
            kept += members
        at = end
    return kept


def parent(step: Step, lowered: Lowered, depth: int) -> str | None:
    """The group of this depth that a step stands in directly."""
    group = step.node.rpartition(".")[0]
    return group if group in lowered.block.groups and group.count(".") == depth else None


def chain(members: list[Step], readers: Mapping[str, int]) -> bool:
    """Whether each member is a layer that reads only the one before, and nobody else reads in between."""
    for index, step in enumerate(members):
        if form(step) is None or step.when or step.skipped or step.parts or len(step.inputs) != 1:
            return False
        if index and (step.inputs[0] != members[index - 1].key or readers.get(step.inputs[0], 0) != 1):
            return False
    return True


def cuts(members: list[Step], readers: Mapping[str, int]) -> list[int]:
    """Where a chain of numbered layers is to be cut, because somebody reads what is in between: the ends of its pieces."""
    numbered = [m.node.rpartition(".")[2] for m in members] == [str(i) for i in range(len(members))]
    own = Counter(key for step in members for key in step.inputs)
    read = [readers.get(step.key, 0) - own[step.key] for step in members[:-1]]
    if not numbered or not chain(members, {**readers, **dict.fromkeys((m.key for m in members), 1)}):
        return []
    return [*(i + 1 for i, count in enumerate(read) if count), len(members)]


def loop(members: list[Step], readers: Mapping[str, int]) -> bool:
    """Whether the members of a repeat are called alike: on the one before, and on the same other values."""
    rest = members[0].inputs[1:]
    own = {m.key for m in members}
    for index, step in enumerate(members):
        if (
            not isinstance(step.make, Construct)
            or not step.make.unit
            or step.when
            or step.skipped
            or step.parts
        ):
            return False
        if (
            len(step.inputs) < 2
            or step.inputs[1:] != rest
            or own & set(rest)
            or (step.inputs[0] in rest and index)
        ):
            return False
        if index and (step.inputs[0] != members[index - 1].key or readers.get(step.inputs[0], 0) != 1):
            return False
    return len(members) > 1 and [m.node.rpartition(".")[2] for m in members] == [
        str(i) for i in range(len(members))
    ]


def form(step: Step) -> Made | None:
    """The layer that a step is, if it is no more than a layer."""
    if step.make is None:
        return step.module
    plain_call = (
        isinstance(step.call, Call)
        and step.call.function == SELF
        and all(isinstance(a, Input) for a in step.call.args)
    )
    return (
        step.make if plain_call and not step.buffer and not step.inits and step.holder == step.node else None
    )


def row(members: list[Step], group: str, lowered: Lowered) -> Step:
    first, last = members[0], members[-1]
    made = [form(step) for step in members]
    local = tuple(m.node[len(group) + 1 :] for m in members)
    length = lowered.block.groups[group].length
    whole = length is not None and length == len(members)
    lost = {name: plain(lowered.block.params[name]) for name in lowered.block.literal}
    told = unspoken(Literal(length if whole else len(members)), lost)
    numbered = local == tuple(str(i) for i in range(len(members)))
    write = spelled if not numbered and any(name.isdigit() for name in local) else compressed
    run = write([m for m in made if m is not None], told)
    looped = isinstance(first.make, Construct) and len(first.inputs) > 1
    container = Container(run, None if numbered else local, looped)
    call = first.call if looped else Call(SELF, (substitute_first(first),))
    return Step(
        last.key,
        first.inputs,
        call,
        last.layout,
        container,
        holder=group,
        light=False,
        named=True,
        when=lowered.block.groups[group].when,
        doc=lowered.block.groups[group].doc,
        node=group,
    )


def pieces(members: list[Step], group: str, lowered: Lowered, ends: list[int]) -> list[Step]:
    """A row as several steps, each of which calls the layers up to a value that is read; the first makes them all."""
    whole = row(members, group, lowered)
    assert isinstance(whole.make, Container)
    found = []
    for begin, end in zip([0, *ends], ends, strict=False):
        first, last = members[begin], members[end - 1]
        step = Step(
            last.key,
            first.inputs,
            Call(SELF, (substitute_first(first),)),
            last.layout,
            holder=group,
            light=False,
            named=True,
            node=group if end - begin > 1 else first.node,
            span=(begin, None if end == len(members) else end),
        )
        found.append(step)
    return [replace(found[0], make=replace(whole.make, cut=True), doc=whole.doc), *found[1:]]


def substitute_first(step: Step) -> Expr:
    return next(part for part in walk_inputs(step.call))


def walk_inputs(expr: Expr) -> list[Input]:
    from specbuild.codegen.tree import walk

    return [part for part in walk(expr) if isinstance(part, Input)]


def compressed(members: list[Made], length: Expr) -> Run:
    """Equal members at the end are told once; members that differ only by the index, once with it."""
    values = [changed(m, partial(at_index, i=i)) for i, m in enumerate(members)]
    said = [key(m) for m in values]
    count = len(values) - 1
    while count and said[count - 1] == said[-1]:
        count -= 1
    differ = len(members) - count < 2 < len(members) and counted(members[-1])
    if differ or (ruled(members[-1]) and len(members) > 1):
        told = {key(m) for m in members}
        if len(told) == 1:
            return Run((), changed(members[-1], spoken), length, index=True)
        if len({key(m) for m in members[1:]}) == 1:
            return Run((values[0],), changed(members[-1], spoken), length, index=True)
    return Run(tuple(values[:count]), values[-1], length)


def spelled(members: list[Made], length: Expr) -> Run:
    """Every member written out: numbered ones with others between them."""
    told = [
        changed(m, lambda e: literal(plain(value_of(e))) if constant(e) and counted(e) else e)
        for m in members
    ]
    return Run(tuple(told[:-1]), told[-1], length)


def ruled(made: Made) -> bool:
    """Whether something in it follows from the index and a parameter, by whose value members may be alike."""
    return any({"i"} < names(w) for value in literals(made) if (w := words(value)))


def at_index(expr: Expr, i: int) -> Expr:
    """The same value, told without the index of the repeat."""
    if isinstance(expr, TupleOf):
        return TupleOf(tuple(at_index(item, i) for item in expr.items))
    return Literal(settled(expr.value, "i", i)) if isinstance(expr, Literal) else expr


def key(made: Made) -> Any:
    """What a member says, by its words where it has some."""
    return (
        repr(changed(made, lambda e: Literal(None) if isinstance(e, Literal | TupleOf) else e)),
        tuple(words(v) or repr(v) for v in literals(made)),
    )


def spoken(expr: Expr) -> Expr:
    """Values that have words said in them."""
    if isinstance(expr, TupleOf):
        return TupleOf(tuple(spoken(item) for item in expr.items))
    text = words(expr.value) if isinstance(expr, Literal) else None
    return from_words(text) if text else expr


def rename(lowered: Lowered, renamed: Mapping[str, str], numbers: dict[str, int]) -> None:
    """Who read the last member of a row reads the row."""

    def final(name: str) -> str:
        while name in renamed and renamed[name] != name:
            name = renamed[name]
        return name

    def number(key: str) -> int:
        return numbers.setdefault(key, len(numbers))

    moved = {number(key): Input(number(final(key))) for key in renamed}
    for i, step in enumerate(lowered.steps):
        if any(k in renamed for k in (*step.inputs, step.key)):
            table = [moved.get(n, Input(n)) for n in range(len(numbers))]
            lowered.steps[i] = replace(
                step,
                key=final(step.key),
                inputs=tuple(map(final, step.inputs)),
                call=substitute(step.call, table),
            )
    for name, value in lowered.outputs.items():
        lowered.outputs[name] = Value(final(value.key), value.type, value.layout)
