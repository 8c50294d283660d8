"""Builds the classes of a model: groups the instances of each block by structure, and merges each group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
from specbuild.codegen.lowering import LoweredBlock, LoweredStep, block_identity
from specbuild.codegen.merge_instances import InstanceMerger, StructureMismatch
from specbuild.codegen.model_lowering import LoweredModel
from specbuild.codegen.tree import Expr, map_children
from specbuild.expressions import concrete
from specbuild.frontend.edits import EditDef, class_suffixes, to_camel_case


def build_classes(model: LoweredModel, unstable_params: Iterable[str] = ()) -> list[ClassSpec]:
    """The classes of a model in file order: each after the classes that it uses, the model's own last.

    The values of `unstable_params` are emitted as plain numbers.
    """
    instances_by_block: dict[str, list[LoweredBlock]] = {}
    for lowered in model.instances:
        instances_by_block.setdefault(block_identity(lowered.block), []).append(lowered)
    root = with_unstable_params(model.root, unstable_params)
    table = ClassTable({identity: dict(numbers) for identity, numbers in model.value_numbers.items()})
    # instance -> the same, with constructor arguments and rows of layers
    finished: dict[LoweredBlock, LoweredBlock] = {}
    classes: list[ClassSpec] = []
    for identity in sort_inner_first(instances_by_block):
        for lowered in instances_by_block[identity]:
            source = root if lowered is model.root else lowered
            children = {node: finished[child] for node, child in lowered.children.items()}
            filled = fill_arguments(replace(source, children=children), table)
            finished[lowered] = collapse_rows(filled, table.value_numbers[identity])
        instances = [finished[lowered] for lowered in instances_by_block[identity]]
        groups = group_by_structure(instances)
        for group in groups:
            suffixes = distinguishing_suffixes(group, instances) if len(groups) > 1 else ()
            classes += merge_group(group, table, group[0] is finished.get(model.root), suffixes)
    return classes


def with_unstable_params(root: LoweredBlock, names: Iterable[str]) -> LoweredBlock:
    return replace(root, unstable_values={name: concrete(root.block.params[name]) for name in names})


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


def sort_inner_first(instances_by_block: Mapping[str, Sequence[LoweredBlock]]) -> list[str]:
    """Block identities in topological order: each after the blocks that its instances use."""
    ordered: dict[str, None] = {}

    def visit_block(identity: str) -> None:
        for lowered in instances_by_block[identity]:
            for child in lowered.children.values():
                if (inner := block_identity(child.block)) not in ordered:
                    visit_block(inner)
        ordered[identity] = None

    for identity in instances_by_block:
        if identity not in ordered:
            visit_block(identity)
    return list(ordered)


def fill_arguments(lowered: LoweredBlock, table: ClassTable) -> LoweredBlock:
    """Add constructor arguments to calls of inner classes, and inline the values of unstable parameters."""
    steps = [fill_step_arguments(step, lowered, table) for step in lowered.steps]
    if lowered.unstable_values:
        inline = partial(inline_names, values=lowered.unstable_values)
        rewrite = partial(rewrite_values, change=inline)
        steps = [
            replace(
                step,
                member=None if step.member is None else map_expressions(step.member, rewrite),
                call=rewrite(step.call),
            )
            for step in steps
        ]
    return replace(lowered, steps=steps)


def fill_step_arguments(step: LoweredStep, lowered: LoweredBlock, table: ClassTable) -> LoweredStep:
    child = lowered.children.get(step.node)
    if child is None or not isinstance(step.member, Construction) or not step.member.is_own_class:
        return step
    node, inner_class = lowered.block.find_node(step.node), table.class_of[child]
    assert node is not None
    values = {**node.args, **table.extra_arguments[child]}
    arguments = tuple(
        Argument(name, literal_expression(values[name]), param.default)
        for name, param in inner_class.params.items()
    )
    return replace(step, member=Construction(inner_class.name, arguments, is_own_class=True))


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
