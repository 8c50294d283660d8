"""Steps that stand under one name and follow each other become a row of layers: nn.Sequential, keras.Sequential."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from specbuild.codegen.constructions import (
    SELF,
    Construction,
    Container,
    Member,
    Repeated,
    constant_value,
    has_index,
    inline_names,
    is_constant,
    literal_expression,
    literal_values,
    map_expressions,
)
from specbuild.codegen.from_expression import parse_code
from specbuild.codegen.lowering import LoweredBlock, LoweredStep, Value
from specbuild.codegen.tree import Call, Expr, Input, Literal, TupleOf, substitute_inputs
from specbuild.expressions import bind_name, concrete, expression_of, referenced_names


def collapse_rows(lowered: LoweredBlock, numbers: dict[str, int]) -> None:
    """Collapse every group of a block whose steps are a plain chain of layers, innermost groups first."""
    groups = lowered.block.groups
    renamed: dict[str, str] = {}
    for depth in sorted({name.count(".") for name in groups}, reverse=True):
        lowered.steps = collapse_groups(lowered, depth, renamed)
    if renamed:
        rename_readers(lowered, renamed, numbers)


def collapse_groups(lowered: LoweredBlock, depth: int, renamed: dict[str, str]) -> list[LoweredStep]:
    readers: dict[str, int] = {}
    for step in lowered.steps:
        for key in step.inputs:
            readers[key] = readers.get(key, 0) + 1
    for value in lowered.outputs.values():
        readers[value.key] = readers.get(value.key, 0) + 1
    shared = {
        step.layer_name for step in lowered.steps if step.member is None and step.layer_name
    }  # called again elsewhere
    inside = Counter(".".join(step.node.split(".")[: depth + 1]) for step in lowered.steps if step.node)
    kept: list[LoweredStep] = []
    at = 0
    steps = lowered.steps
    while at < len(steps):
        group = parent_group(steps[at], lowered, depth)
        if group is None:
            kept.append(steps[at])
            at += 1
            continue
        end = at
        while end < len(steps) and parent_group(steps[end], lowered, depth) == group:
            end += 1
        members = steps[at:end]
        whole = len(members) == inside[group]
        row_like = is_layer_chain(members, readers) or can_loop(members, readers)
        if shared & {m.node for m in members} or not whole:
            kept += members
        elif row_like:
            kept.append(build_row(members, group, lowered))
            renamed[members[-1].key] = group
        elif ends := piece_ends(members, readers):
            kept += split_row(members, group, lowered, ends)
            renamed[members[-1].key] = group
        else:
            kept += members
        at = end
    return kept


def parent_group(step: LoweredStep, lowered: LoweredBlock, depth: int) -> str | None:
    """The group of this depth that a step stands in directly."""
    group = step.node.rpartition(".")[0]
    return group if group in lowered.block.groups and group.count(".") == depth else None


def is_layer_chain(members: list[LoweredStep], readers: Mapping[str, int]) -> bool:
    """Whether each member is a layer that reads only the one before, and nobody else reads in between."""
    for index, step in enumerate(members):
        if layer_of_step(step) is None or step.when or step.is_skipped or step.parts or len(step.inputs) != 1:
            return False
        if index and (step.inputs[0] != members[index - 1].key or readers.get(step.inputs[0], 0) != 1):
            return False
    return True


def piece_ends(members: list[LoweredStep], readers: Mapping[str, int]) -> list[int]:
    """Where a chain of numbered layers is to be cut, because somebody reads what is in between: the ends of its pieces."""
    numbered = [m.node.rpartition(".")[2] for m in members] == [str(i) for i in range(len(members))]
    own = Counter(key for step in members for key in step.inputs)
    read = [readers.get(step.key, 0) - own[step.key] for step in members[:-1]]
    if not numbered or not is_layer_chain(members, {**readers, **dict.fromkeys((m.key for m in members), 1)}):
        return []
    return [*(i + 1 for i, count in enumerate(read) if count), len(members)]


def can_loop(members: list[LoweredStep], readers: Mapping[str, int]) -> bool:
    """Whether the members of a repeat are called alike: on the one before, and on the same other values."""
    rest = members[0].inputs[1:]
    own = {m.key for m in members}
    for index, step in enumerate(members):
        if (
            not isinstance(step.member, Construction)
            or not step.member.is_own_class
            or step.when
            or step.is_skipped
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


def layer_of_step(step: LoweredStep) -> Member | None:
    """The layer that a step is, if it is no more than a layer."""
    if step.member is None:
        return step.layer_form
    plain_call = (
        isinstance(step.call, Call)
        and step.call.function == SELF
        and all(isinstance(a, Input) for a in step.call.args)
    )
    return (
        step.member
        if plain_call and not step.buffer and not step.inits and step.layer_name == step.node
        else None
    )


def build_row(members: list[LoweredStep], group: str, lowered: LoweredBlock) -> LoweredStep:
    first, last = members[0], members[-1]
    made = [layer_of_step(step) for step in members]
    local = tuple(m.node[len(group) + 1 :] for m in members)
    length = lowered.block.groups[group].length
    whole = length is not None and length == len(members)
    lost = {name: concrete(lowered.block.params[name]) for name in lowered.block.unstable_params}
    told = inline_names(Literal(length if whole else len(members)), lost)
    numbered = local == tuple(str(i) for i in range(len(members)))
    write = list_members if not numbered and any(name.isdigit() for name in local) else compress_members
    run = write([m for m in made if m is not None], told)
    looped = isinstance(first.member, Construction) and len(first.inputs) > 1
    container = Container(run, None if numbered else local, looped)
    call = first.call if looped else Call(SELF, (first_input(first),))
    return LoweredStep(
        last.key,
        first.inputs,
        call,
        last.layout,
        container,
        layer_name=group,
        is_light=False,
        named=True,
        when=lowered.block.groups[group].when,
        doc=lowered.block.groups[group].doc,
        node=group,
    )


def split_row(
    members: list[LoweredStep], group: str, lowered: LoweredBlock, ends: list[int]
) -> list[LoweredStep]:
    """A row as several steps, each of which calls the layers up to a value that is read; the first makes them all."""
    whole = build_row(members, group, lowered)
    assert isinstance(whole.member, Container)
    found = []
    for begin, end in zip([0, *ends], ends, strict=False):
        first, last = members[begin], members[end - 1]
        step = LoweredStep(
            last.key,
            first.inputs,
            Call(SELF, (first_input(first),)),
            last.layout,
            layer_name=group,
            is_light=False,
            named=True,
            node=group if end - begin > 1 else first.node,
            span=(begin, None if end == len(members) else end),
        )
        found.append(step)
    return [replace(found[0], member=replace(whole.member, is_split=True), doc=whole.doc), *found[1:]]


def first_input(step: LoweredStep) -> Expr:
    return next(part for part in walk_inputs(step.call))


def walk_inputs(expr: Expr) -> list[Input]:
    from specbuild.codegen.tree import walk_expression

    return [part for part in walk_expression(expr) if isinstance(part, Input)]


def compress_members(members: list[Member], length: Expr) -> Repeated:
    """Equal members at the end are told once; members that differ only by the index, once with it."""
    values = [map_expressions(m, partial(value_at_index, i=i)) for i, m in enumerate(members)]
    said = [member_key(m) for m in values]
    count = len(values) - 1
    while count and said[count - 1] == said[-1]:
        count -= 1
    differ = len(members) - count < 2 < len(members) and has_index(members[-1])
    if differ or (has_index_rule(members[-1]) and len(members) > 1):
        told = {member_key(m) for m in members}
        if len(told) == 1:
            return Repeated((), map_expressions(members[-1], expand_expressions), length, has_index=True)
        if len({member_key(m) for m in members[1:]}) == 1:
            return Repeated(
                (values[0],), map_expressions(members[-1], expand_expressions), length, has_index=True
            )
    return Repeated(tuple(values[:count]), values[-1], length)


def list_members(members: list[Member], length: Expr) -> Repeated:
    """Every member written out: numbered ones with others between them."""
    told = [
        map_expressions(
            m,
            lambda e: (
                literal_expression(concrete(constant_value(e))) if is_constant(e) and has_index(e) else e
            ),
        )
        for m in members
    ]
    return Repeated(tuple(told[:-1]), told[-1], length)


def has_index_rule(member: Member) -> bool:
    """Whether something in it follows from the index and a parameter, by whose value members may be alike."""
    return any({"i"} < referenced_names(w) for value in literal_values(member) if (w := expression_of(value)))


def value_at_index(expr: Expr, i: int) -> Expr:
    """The same value, told without the index of the repeat."""
    if isinstance(expr, TupleOf):
        return TupleOf(tuple(value_at_index(item, i) for item in expr.items))
    return Literal(bind_name(expr.value, "i", i)) if isinstance(expr, Literal) else expr


def member_key(member: Member) -> Any:
    """What a member says, by its words where it has some."""
    return (
        repr(map_expressions(member, lambda e: Literal(None) if isinstance(e, Literal | TupleOf) else e)),
        tuple(expression_of(v) or repr(v) for v in literal_values(member)),
    )


def expand_expressions(expr: Expr) -> Expr:
    """Values that have words said in them."""
    if isinstance(expr, TupleOf):
        return TupleOf(tuple(expand_expressions(item) for item in expr.items))
    text = expression_of(expr.value) if isinstance(expr, Literal) else None
    return parse_code(text) if text else expr


def rename_readers(lowered: LoweredBlock, renamed: Mapping[str, str], numbers: dict[str, int]) -> None:
    """Who read the last member of a row reads the row."""

    def final_key(name: str) -> str:
        while name in renamed and renamed[name] != name:
            name = renamed[name]
        return name

    def value_number(key: str) -> int:
        return numbers.setdefault(key, len(numbers))

    moved = {value_number(key): Input(value_number(final_key(key))) for key in renamed}
    for i, step in enumerate(lowered.steps):
        if any(k in renamed for k in (*step.inputs, step.key)):
            table = [moved.get(n, Input(n)) for n in range(len(numbers))]
            lowered.steps[i] = replace(
                step,
                key=final_key(step.key),
                inputs=tuple(map(final_key, step.inputs)),
                call=substitute_inputs(step.call, table),
            )
    for name, value in lowered.outputs.items():
        lowered.outputs[name] = Value(final_key(value.key), value.type, value.layout)
