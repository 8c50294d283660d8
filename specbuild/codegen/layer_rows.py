"""Turns groups of consecutive layers into rows of layers, such as nn.Sequential and keras.Sequential."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from itertools import groupby
from typing import Any

from msgspec.structs import replace

from specbuild.codegen.constructions import (
    OWN_MEMBER,
    Construction,
    InitialValue,
    LayerRow,
    Member,
    Repeated,
    drop_index_expression,
    expression_names,
    has_index,
    inline_names,
    is_literal,
    literal_expression,
    literal_value,
    literal_values,
    map_expressions,
)
from specbuild.codegen.from_expression import expression_code
from specbuild.codegen.lowered_steps import LoweredBlock, LoweredStep, LoweredValue
from specbuild.codegen.tree import (
    Call,
    Conditional,
    Expr,
    Infix,
    ListOf,
    Literal,
    Name,
    TupleOf,
    ValuePlaceholder,
)
from specbuild.codegen.tree_walk import map_children, substitute_placeholders, walk_expression
from specbuild.expressions import bind_name, concrete, expression_of, expression_text, translate_expression


def collapse_rows(lowered: LoweredBlock, numbers: dict[str, int], shared: Collection[str]) -> LoweredBlock:
    """Replace each group whose steps are a chain or a loop of layers by one step, innermost groups first.

    `numbers` are the block's value numbers; the results of the rows get new ones. Steps in `shared` keep their
    own attributes.
    """
    groups = lowered.block.groups
    renamed: dict[str, str] = {}
    for depth in sorted({name.count(".") for name in groups}, reverse=True):
        lowered = replace(lowered, steps=collapse_groups(lowered, depth, renamed, shared))
    return rename_readers(lowered, renamed, numbers) if renamed else lowered


def collapse_groups(
    lowered: LoweredBlock, depth: int, renamed: dict[str, str], shared: Collection[str]
) -> list[LoweredStep]:
    """Return the steps after collapsing the groups at one depth; adds the keys that change to `renamed`."""
    readers = Counter(key for step in lowered.steps for key in step.inputs)
    readers.update(value.key for value in lowered.outputs.values())
    reused_layers = {step.layer_name for step in lowered.steps if step.member is None and step.layer_name}
    reused_layers |= set(shared)
    group_sizes = Counter(".".join(step.node.split(".")[: depth + 1]) for step in lowered.steps if step.node)
    result: list[LoweredStep] = []
    for group, run in groupby(lowered.steps, key=lambda step: parent_group(step, lowered, depth)):
        members = list(run)
        is_whole_group = group is not None and len(members) == group_sizes[group]
        if (
            group is None
            or not is_whole_group
            or reused_layers & {member.node for member in members}
            or (has_length_rule(group, lowered) and not share_inits(members))
        ):
            result += members
        elif is_layer_chain(members, readers) or (
            can_loop(members, readers) and (len(members) > 1 or has_length_rule(group, lowered))
        ):
            result.append(build_row(members, group, lowered))
            renamed[members[-1].key] = group
        elif ends := piece_ends(members, readers):
            result += split_row(members, group, lowered, ends)
            renamed[members[-1].key] = group
        else:
            result += members
    return result


def parent_group(step: LoweredStep, lowered: LoweredBlock, depth: int) -> str | None:
    """Return the group at this depth that directly contains a step, if any."""
    group = step.node.rpartition(".")[0]
    return group if group in lowered.block.groups and group.count(".") == depth else None


def is_layer_chain(members: list[LoweredStep], readers: Mapping[str, int]) -> bool:
    """Return whether each member is a plain layer on the output of the previous one, which nothing else reads."""
    for index, step in enumerate(members):
        if layer_of_step(step) is None or step.when or step.parts or len(step.inputs) != 1:
            return False
        if index and (step.inputs[0] != members[index - 1].key or readers.get(step.inputs[0], 0) != 1):
            return False
    return True


def piece_ends(members: list[LoweredStep], readers: Mapping[str, int]) -> list[int]:
    """Return the end of each piece of a chain of numbered layers, cut where an inner output is used elsewhere.

    Empty if the members are not such a chain.
    """
    reads_inside = Counter(key for step in members for key in step.inputs)
    reads_outside = [readers.get(step.key, 0) - reads_inside[step.key] for step in members[:-1]]
    if not are_numbered(members) or not is_layer_chain(members, dict.fromkeys((m.key for m in members), 1)):
        return []
    return [*(i + 1 for i, count in enumerate(reads_outside) if count), len(members)]


def are_numbered(members: list[LoweredStep]) -> bool:
    """Return whether the last parts of the members' names are 0, 1, 2, ..."""
    return [m.node.rpartition(".")[2] for m in members] == [str(i) for i in range(len(members))]


def can_loop(members: list[LoweredStep], readers: Mapping[str, int]) -> bool:
    """Return whether one loop can call all members: each on the previous output and the same further inputs."""
    rest = members[0].inputs[1:]
    own = {m.key for m in members}
    for index, step in enumerate(members):
        if (
            not isinstance(step.member, Construction)
            or not step.member.is_own_class
            or layer_of_step(step) is None
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
    return are_numbered(members)


def has_length_rule(group: str, lowered: LoweredBlock) -> bool:
    """Return whether the length of a repeat depends on a parameter."""
    return expression_of(lowered.block.groups[group].length) is not None


def share_inits(members: list[LoweredStep]) -> bool:
    """Return whether all members have the same initial values, whatever their number is."""
    return all(member.inits == members[0].inits for member in members)


def row_inits(members: list[LoweredStep], names: tuple[str, ...]) -> tuple[InitialValue, ...]:
    """Return the initial values of a row's weights, whose attributes begin with the name of the member, or `*`."""
    if len(members) > 1 and share_inits(members):
        return tuple(replace(init, weight=f"*.{init.weight}") for init in members[0].inits)
    pairs = zip(members, names, strict=True)
    return tuple(replace(init, weight=f"{name}.{init.weight}") for m, name in pairs for init in m.inits)


def layer_of_step(step: LoweredStep) -> Member | None:
    """Return the layer of a step that does nothing but call one layer, else None."""
    if step.member is None:
        return step.layer_form
    is_plain_call = (
        isinstance(step.call, Call)
        and step.call.function == OWN_MEMBER
        and all(isinstance(argument, ValuePlaceholder | ListOf) for argument in step.call.args)
        and not any(isinstance(argument, ListOf) for argument in step.call.args[:1])
    )
    is_plain_layer = not step.buffer and step.layer_name == step.node
    return step.member if is_plain_call and is_plain_layer else None


def build_row(members: list[LoweredStep], group: str, lowered: LoweredBlock) -> LoweredStep:
    """Return one step that holds the members of a group as a row of layers, and calls it."""
    first, last = members[0], members[-1]
    layers = [layer for layer in map(layer_of_step, members) if layer is not None]
    names = tuple(m.node[len(group) + 1 :] for m in members)
    length = lowered.block.groups[group].length
    if length is None:
        layers = [bind_outer_index(layer, group, lowered) for layer in layers]
    is_complete = length is not None and length == len(members)
    if length is not None and lowered.declared_sizes:
        length = translate_expression(length, lowered.declared_sizes)
    is_numbered = names == tuple(str(i) for i in range(len(members)))
    length_code = inline_names(
        Literal(length if is_complete and is_numbered else len(members)), lowered.unstable_values
    )
    write = list_members if not is_numbered and any(name.isdigit() for name in names) else compress_members
    is_loop = isinstance(first.member, Construction) and len(first.inputs) > 1
    layer_row = LayerRow(write(layers, length_code), None if is_numbered else names, is_loop)
    call = first.call if is_loop else Call(OWN_MEMBER, (first_input(first),))
    return LoweredStep(
        last.key,
        first.inputs,
        call,
        last.layout,
        layer_row,
        layer_name=group,
        can_inline=False,
        named=True,
        when=lowered.block.groups[group].when,
        doc=lowered.block.groups[group].doc,
        inits=row_inits(members, names),
        node=group,
        remainders=join_distinct(member.remainders for member in members),
        odd_numbers=join_distinct(member.odd_numbers for member in members),
    )


def bind_outer_index(layer: Member, group: str, lowered: LoweredBlock) -> Member:
    """Replace the index of the repeat around a group by the number of its member: it does not count layers of the group."""
    path = group.split(".")
    for depth in range(len(path) - 1, 0, -1):
        outer = lowered.block.groups.get(".".join(path[:depth]))
        if outer is not None and outer.length is not None:
            number = path[depth]
            bind = partial(value_at_index, i=int(number)) if number.isdigit() else drop_index_expression
            return map_expressions(layer, bind)
    return layer


def join_distinct(parts: Iterable[tuple[Expr, ...]]) -> tuple[Expr, ...]:
    """Return the numbers of several steps, each expression once."""
    numbers = {
        expression_text(expr.value): expr for part in parts for expr in part if isinstance(expr, Literal)
    }
    return tuple(numbers.values())


def split_row(
    members: list[LoweredStep], group: str, lowered: LoweredBlock, ends: list[int]
) -> list[LoweredStep]:
    """Return a row as several steps: the first holds all layers, each calls the layers up to one of the `ends`."""
    row = build_row(members, group, lowered)
    assert isinstance(row.member, LayerRow)
    pieces = []
    for start, end in zip([0, *ends], ends, strict=False):
        first, last = members[start], members[end - 1]
        step = LoweredStep(
            last.key,
            first.inputs,
            Call(OWN_MEMBER, (first_input(first),)),
            last.layout,
            layer_name=group,
            can_inline=False,
            named=True,
            node=group if end - start > 1 else first.node,
            span=(start, None if end == len(members) else end),
        )
        pieces.append(step)
    member = replace(row.member, is_split=True)
    return [replace(pieces[0], member=member, inits=row.inits, doc=row.doc), *pieces[1:]]


def first_input(step: LoweredStep) -> ValuePlaceholder:
    """Return the operand that a step's code reads first."""
    return next(part for part in walk_expression(step.call) if isinstance(part, ValuePlaceholder))


def compress_members(members: list[Member], length: Expr) -> Repeated:
    """Write equal members at the end once, and members that differ only by the index once with the index."""
    values = [map_expressions(m, partial(value_at_index, i=i)) for i, m in enumerate(members)]
    keys = [member_key(m) for m in values]
    head_length = len(values) - 1
    while head_length and keys[head_length - 1] == keys[-1]:
        head_length -= 1
    indexed = index_members(members)
    differ_by_index = len(members) - head_length < 2 < len(members) and has_index(members[-1])
    if indexed is not None and (differ_by_index or (has_index_rule(members[-1]) and len(members) > 1)):
        is_uniform = member_key(members[0]) == member_key(members[-1])
        head = () if is_uniform else (values[0],)
        tail = indexed if is_uniform else map_expressions(indexed, drop_first_case)
        if reads_index(tail):
            return Repeated(head, tail, length, has_index=True, indexed=indexed)
    return Repeated(tuple(values[:head_length]), values[-1], length, indexed=indexed)


def index_members(members: list[Member]) -> Member | None:
    """Return the code of all members but perhaps the first, with the index in it; None if they differ otherwise."""
    if not has_index(members[-1]) or len({member_key(m) for m in members[1:]}) > 1:
        return None
    return map_expressions(members[-1], expand_expressions)


def reads_index(member: Member) -> bool:
    """Return whether the code of a member reads the index of its repeat."""
    found: list[bool] = []

    def look_at(expr: Expr) -> Expr:
        found.append(any(part == Name("i") for part in walk_expression(expr)))
        return expr

    map_expressions(member, look_at)
    return any(found)


def drop_first_case(expr: Expr) -> Expr:
    """Return what `a if i == 0 else b` is for the members behind the first one: `b`."""
    expr = map_children(expr, drop_first_case)
    match expr:
        case Conditional(Infix("==", Name("i"), Literal(0)), _, otherwise):
            return otherwise
        case Conditional(Infix(">", Name("i"), Literal(0)), then, _):
            return then
    return expr


def list_members(members: list[Member], length: Expr) -> Repeated:
    """Write out every member: needed where numbered and named members alternate."""

    def drop_index(expr: Expr) -> Expr:
        if is_literal(expr) and has_index(expr):
            return literal_expression(concrete(literal_value(expr)))
        return expr

    *head, last = [map_expressions(m, drop_index) for m in members]
    return Repeated(tuple(head), last, length)


def has_index_rule(member: Member) -> bool:
    """Return whether a value depends on the index and on a parameter, which then decides which members are equal."""
    return any({"i"} < {*expression_names(value)} for value in literal_values(member))


def value_at_index(expr: Expr, i: int) -> Expr:
    """Replace the index of a repeat by its value `i`."""
    if isinstance(expr, TupleOf):
        return TupleOf(tuple(value_at_index(item, i) for item in expr.items))
    return Literal(bind_name(expr.value, "i", i)) if isinstance(expr, Literal) else expr


def member_key(member: Member) -> Any:
    """Return a key by which members are compared: by the expressions of their values, where they have some."""
    return (
        repr(map_expressions(member, lambda e: Literal(None) if isinstance(e, Literal | TupleOf) else e)),
        tuple(expression_text(v) or repr(v) for v in literal_values(member)),
    )


def expand_expressions(expr: Expr) -> Expr:
    """Write symbolic values as their expressions."""
    if isinstance(expr, TupleOf):
        return TupleOf(tuple(expand_expressions(item) for item in expr.items))
    expression = expression_of(expr.value) if isinstance(expr, Literal) else None
    return expr if expression is None else expression_code(expression)


def rename_readers(
    lowered: LoweredBlock, renamed: Mapping[str, str], numbers: dict[str, int]
) -> LoweredBlock:
    """Make the readers of the last member of a group read the row instead; `renamed` maps the keys."""

    def final_key(key: str) -> str:
        while key in renamed and renamed[key] != key:
            key = renamed[key]
        return key

    def value_number(key: str) -> int:
        return numbers.setdefault(key, len(numbers))

    inputs_for = {value_number(key): ValuePlaceholder(value_number(final_key(key))) for key in renamed}
    operands = [inputs_for.get(number, ValuePlaceholder(number)) for number in range(len(numbers))]

    def rename_step(step: LoweredStep) -> LoweredStep:
        if not any(key in renamed for key in (*step.inputs, step.key)):
            return step
        return replace(
            step,
            key=final_key(step.key),
            inputs=tuple(map(final_key, step.inputs)),
            call=substitute_placeholders(step.call, operands),
        )

    outputs = {
        name: LoweredValue(final_key(value.key), value.type, value.layout)
        for name, value in lowered.outputs.items()
    }
    step_sizes = {name: (final_key(key), dim) for name, (key, dim) in lowered.step_sizes.items()}
    steps = list(map(rename_step, lowered.steps))
    return replace(lowered, steps=steps, outputs=outputs, step_sizes=step_sizes)
