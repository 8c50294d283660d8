"""The classes of a model: instances of a block sorted by structure, and each group merged into one class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any

from specbuild.codegen.class_spec import ClassSpec, ClassTable
from specbuild.codegen.constructions import (
    Argument,
    Construction,
    Repeated,
    inline_names,
    is_constant,
    literal_expression,
    map_expressions,
)
from specbuild.codegen.containers import collapse_rows
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Backend, LoweredBlock, LoweredStep, block_identity
from specbuild.codegen.merge_instances import InstanceMerger, StructureMismatch
from specbuild.codegen.tree import Expr, map_children
from specbuild.expressions import concrete
from specbuild.frontend.edits import EditDef, to_camel_case
from specbuild.frontend.edits import class_suffixes as edit_words
from specbuild.ir.graph import Block


def build_classes(model: Block, backend: Backend) -> list[ClassSpec]:
    """The classes of a model in the order in which they are written; the model's own is the last."""
    table, top = lower_instances(model, backend)
    kinds: dict[str, list[LoweredBlock]] = {}
    for lowered in table.lowering_order:
        kinds.setdefault(block_identity(lowered.block), []).append(lowered)
    classes: list[ClassSpec] = []
    for kind in sort_inner_first(kinds):
        instances = kinds[kind]
        for lowered in instances:
            fill_arguments(lowered, table)
            collapse_rows(lowered, table.value_numbers[kind])
        groups = group_by_structure(instances)
        for group in groups:
            suffixes = distinguishing_suffixes(group, instances) if len(groups) > 1 else ()
            classes += merge_group(group, table, group[0] is top, suffixes)
    return classes


def distinguishing_suffixes(group: list[LoweredBlock], instances: list[LoweredBlock]) -> list[str]:
    """Endings for the name of a class: edits that set its instances apart, else values inside that only they give."""
    suffixes = edit_words(distinguishing_edits(group, instances))
    if suffixes:
        return suffixes
    shared = set.intersection(*(set(lowered.outputs) for lowered in instances))
    own = [name for name in group[0].outputs if name and name not in shared]
    return [f"With{to_camel_case(own[0].replace('.', '_'))}"] if len(own) == 1 else []


def distinguishing_edits(group: list[LoweredBlock], instances: list[LoweredBlock]) -> list[EditDef]:
    """The edits that were about all of these instances of a block, and not about every other."""
    mine, about = (
        [dict.fromkeys(e for e, _ in x.block.applied_edits) for x in some] for some in (group, instances)
    )
    return [
        e for e in mine[0] if all(e in edits for edits in mine) and not all(e in edits for edits in about)
    ]


def sort_inner_first(kinds: Mapping[str, Sequence[LoweredBlock]]) -> list[str]:
    """Blocks in the order of their first use, each after those that any of its instances uses."""
    ordered: dict[str, None] = {}

    def visit_kind(kind: str) -> None:
        for lowered in kinds[kind]:
            for child in lowered.children.values():
                if (inner := block_identity(child.block)) not in ordered:
                    visit_kind(inner)
        ordered[kind] = None

    for kind in kinds:
        if kind not in ordered:
            visit_kind(kind)
    return list(ordered)


def lower_instances(model: Block, backend: Backend) -> tuple[ClassTable, LoweredBlock]:
    """Every instance as steps. A block whose maps would come in different orders gets them in the framework's own."""
    layouts = tuple(Layout(backend.natural_order(x), (), x.batched) for x in model.inputs.values())
    settled: set[str] = set()
    while True:
        table = ClassTable(backend, settled)
        top = table.lower_block(model, layouts, model=True)
        orders: dict[str, set[tuple[Layout, ...]]] = {}
        for lowered in table.lowering_order:
            orders.setdefault(block_identity(lowered.block), set()).add(
                tuple(v.layout for v in lowered.inputs.values())
            )
        mixed = {kind for kind, found in orders.items() if len(found) > 1} - settled
        if not mixed:
            return table, top
        settled |= mixed


def fill_arguments(lowered: LoweredBlock, table: ClassTable) -> None:
    """The arguments that instances of other classes are made with, now that those classes are known."""
    for index, step in enumerate(lowered.steps):
        child = lowered.children.get(step.node)
        if child is not None and isinstance(step.member, Construction) and step.member.is_own_class:
            unit, node = table.class_of[id(child)], lowered.block.find_node(step.node)
            assert node is not None
            extra = table.extra_arguments[id(child)]
            arguments = tuple(
                Argument(p, literal_expression(extra[p] if p in extra else node.args[p]), param.default)
                for p, param in unit.params.items()
            )
            lowered.steps[index] = replace(step, member=Construction(unit.name, arguments, is_own_class=True))
    if lost := lowered.block.unstable_params:
        told = partial(inline_names, values={name: concrete(lowered.block.params[name]) for name in lost})
        whole = partial(rewrite_values, change=told)
        for index, step in enumerate(lowered.steps):
            make = None if step.member is None else map_expressions(step.member, whole)
            lowered.steps[index] = replace(step, member=make, call=whole(step.call))


def rewrite_values(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """An expression with every value in it changed."""
    return (
        change(expr) if is_constant(expr) else map_children(expr, lambda part: rewrite_values(part, change))
    )


def group_by_structure(instances: list[LoweredBlock]) -> list[list[LoweredBlock]]:
    """Instances sorted into groups of the same structure."""
    if len(instances) == 1:
        return [instances]
    groups: list[tuple[list[Any], list[LoweredBlock]]] = []
    for lowered in instances:
        mine = [None if s.is_skipped else code_skeleton(s) for s in lowered.steps]
        keys = [s.key for s in lowered.steps]
        for shapes, members in groups:
            same_keys = (
                [s.key for s in members[0].steps] == keys
                and list(members[0].outputs) == list(lowered.outputs)
                and members[0].block.frozen_paths == lowered.block.frozen_paths
            )
            if same_keys and all(a == b or a is None or b is None for a, b in zip(shapes, mine, strict=True)):
                shapes[:] = [a if a is not None else b for a, b in zip(shapes, mine, strict=True)]
                members.append(lowered)
                break
        else:
            groups.append((mine, [lowered]))
    return [members for _, members in groups]


def code_skeleton(part: Any) -> Any:
    """The structure of code, whatever numbers stand in it."""
    if isinstance(part, LoweredStep):
        return (code_skeleton(part.call), code_skeleton(part.member), part.parts, part.doc)
    if is_constant(part):
        return "_"
    if isinstance(part, Repeated):
        return ("run", code_skeleton(part.tail), part.has_index)
    if isinstance(part, Argument):
        return ("argument", part.name)
    if isinstance(part, tuple):
        return tuple(code_skeleton(p) for p in part)
    if is_dataclass(part):
        return (type(part).__name__, *(code_skeleton(getattr(part, f.name)) for f in fields(part)))
    return part


def merge_group(
    group: list[LoweredBlock], table: ClassTable, model: bool, suffixes: Sequence[str] = ()
) -> list[ClassSpec]:
    """One class for these instances; if they cannot be told by one after all, one for each."""
    try:
        return [InstanceMerger(group, table, model, suffixes).build_class()]
    except StructureMismatch:
        return [InstanceMerger([lowered], table, model, suffixes).build_class() for lowered in group]
