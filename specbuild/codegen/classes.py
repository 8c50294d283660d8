"""Builds the classes of a model: groups the instances of each block by structure, and merges each group."""

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
from specbuild.frontend.edits import EditDef, class_suffixes, to_camel_case
from specbuild.ir.graph import Block


def build_classes(model: Block, backend: Backend) -> list[ClassSpec]:
    """The classes of a model in file order: each after the classes that it uses, the model's own last."""
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
    """Name endings for a class: the edits, or else the one output, that only its instances have."""
    suffixes = class_suffixes(distinguishing_edits(group, instances))
    if suffixes:
        return suffixes
    shared = set.intersection(*(set(lowered.outputs) for lowered in instances))
    own = [name for name in group[0].outputs if name and name not in shared]
    return [f"With{to_camel_case(own[0].replace('.', '_'))}"] if len(own) == 1 else []


def distinguishing_edits(group: list[LoweredBlock], instances: list[LoweredBlock]) -> list[EditDef]:
    """The edits that changed every instance of this group, but not every instance of the block."""
    in_group, in_block = (
        [dict.fromkeys(edit for edit, _ in lowered.block.applied_edits) for lowered in members]
        for members in (group, instances)
    )
    return [
        edit
        for edit in in_group[0]
        if all(edit in edits for edits in in_group) and not all(edit in edits for edits in in_block)
    ]


def sort_inner_first(kinds: Mapping[str, Sequence[LoweredBlock]]) -> list[str]:
    """Block identities in topological order: each after the blocks that its instances use."""
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
    """Lower every block instance of a model; also returns the model's own steps.

    A block whose instances would get their inputs in different layouts gets them all in the framework's own
    axis order, so that one class can serve them.
    """
    layouts = tuple(Layout(backend.natural_order(x), (), x.batched) for x in model.inputs.values())
    natural_order_blocks: set[str] = set()
    while True:
        table = ClassTable(backend, natural_order_blocks)
        top = table.lower_block(model, layouts, model=True)
        layouts_of: dict[str, set[tuple[Layout, ...]]] = {}
        for lowered in table.lowering_order:
            layouts_of.setdefault(block_identity(lowered.block), set()).add(
                tuple(value.layout for value in lowered.inputs.values())
            )
        mixed = {kind for kind, variants in layouts_of.items() if len(variants) > 1} - natural_order_blocks
        if not mixed:
            return table, top
        natural_order_blocks |= mixed


def fill_arguments(lowered: LoweredBlock, table: ClassTable) -> None:
    """Add constructor arguments to the calls of inner classes, whose parameters are known by now."""
    for index, step in enumerate(lowered.steps):
        child = lowered.children.get(step.node)
        if child is not None and isinstance(step.member, Construction) and step.member.is_own_class:
            inner_class, node = table.class_of[id(child)], lowered.block.find_node(step.node)
            assert node is not None
            extra = table.extra_arguments[id(child)]
            arguments = tuple(
                Argument(p, literal_expression(extra[p] if p in extra else node.args[p]), param.default)
                for p, param in inner_class.params.items()
            )
            lowered.steps[index] = replace(
                step, member=Construction(inner_class.name, arguments, is_own_class=True)
            )
    if lowered.block.unstable_params:
        values = {name: concrete(lowered.block.params[name]) for name in lowered.block.unstable_params}
        rewrite = partial(rewrite_values, change=partial(inline_names, values=values))
        for index, step in enumerate(lowered.steps):
            member = None if step.member is None else map_expressions(step.member, rewrite)
            lowered.steps[index] = replace(step, member=member, call=rewrite(step.call))


def rewrite_values(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Apply `change` to every constant in an expression."""
    if is_constant(expr):
        return change(expr)
    return map_children(expr, lambda part: rewrite_values(part, change))


def group_by_structure(instances: list[LoweredBlock]) -> list[list[LoweredBlock]]:
    """Group instances whose code differs only in values and in the steps that they skip."""
    if len(instances) == 1:
        return [instances]
    groups: list[tuple[list[Any], list[LoweredBlock]]] = []
    for lowered in instances:
        skeletons = [None if s.is_skipped else code_skeleton(s) for s in lowered.steps]
        keys = [s.key for s in lowered.steps]
        for group_skeletons, members in groups:
            same_keys = (
                [s.key for s in members[0].steps] == keys
                and list(members[0].outputs) == list(lowered.outputs)
                and members[0].block.frozen_paths == lowered.block.frozen_paths
            )
            if same_keys and all(
                a == b or a is None or b is None for a, b in zip(group_skeletons, skeletons, strict=True)
            ):
                group_skeletons[:] = [
                    a if a is not None else b for a, b in zip(group_skeletons, skeletons, strict=True)
                ]
                members.append(lowered)
                break
        else:
            groups.append((skeletons, [lowered]))
    return [members for _, members in groups]


def code_skeleton(part: Any) -> Any:
    """A comparable form of code in which every value is replaced by a placeholder."""
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
    group: list[LoweredBlock], table: ClassTable, is_model: bool, suffixes: Sequence[str] = ()
) -> list[ClassSpec]:
    """One class for these instances; if they cannot share one after all, one class each."""
    try:
        return [InstanceMerger(group, table, is_model, suffixes).build_class()]
    except StructureMismatch:
        return [InstanceMerger([lowered], table, is_model, suffixes).build_class() for lowered in group]
