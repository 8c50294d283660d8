"""The classes of a model: instances of a block sorted by structure, and each group merged into one class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any

from specbuild.codegen.class_def import Unit, Units
from specbuild.codegen.constructions import (
    Argument,
    Construct,
    Run,
    changed,
    constant,
    literal,
    unspoken,
)
from specbuild.codegen.containers import rows
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Backend, Lowered, Step, identity
from specbuild.codegen.merge_instances import Merger, Mismatch
from specbuild.codegen.tree import Expr, rebuild
from specbuild.expressions import plain
from specbuild.frontend.edits import EditDef, camel
from specbuild.frontend.edits import words as edit_words
from specbuild.ir.graph import Block


def units(model: Block, backend: Backend) -> list[Unit]:
    """The classes of a model in the order in which they are written; the model's own is the last."""
    table, top = lowered_alike(model, backend)
    kinds: dict[str, list[Lowered]] = {}
    for lowered in table.order:
        kinds.setdefault(identity(lowered.block), []).append(lowered)
    made: list[Unit] = []
    for kind in inner_first(kinds):
        found = kinds[kind]
        for lowered in found:
            filled(lowered, table)
            rows(lowered, table.numbers[kind])
        groups = alike(found)
        for group in groups:
            apart = apart_words(group, found) if len(groups) > 1 else ()
            made += merged(group, table, group[0] is top, apart)
    return made


def apart_words(group: list[Lowered], found: list[Lowered]) -> list[str]:
    """Endings for the name of a class: edits that set its instances apart, else values inside that only they give."""
    words = edit_words(apart_by(group, found))
    if words:
        return words
    shared = set.intersection(*(set(lowered.outputs) for lowered in found))
    own = [name for name in group[0].outputs if name and name not in shared]
    return [f"With{camel(own[0].replace('.', '_'))}"] if len(own) == 1 else []


def apart_by(group: list[Lowered], found: list[Lowered]) -> list[EditDef]:
    """The edits that were about all of these instances of a block, and not about every other."""
    mine, about = ([dict.fromkeys(e for e, _ in x.block.touched) for x in some] for some in (group, found))
    return [
        e for e in mine[0] if all(e in edits for edits in mine) and not all(e in edits for edits in about)
    ]


def inner_first(kinds: Mapping[str, Sequence[Lowered]]) -> list[str]:
    """Blocks in the order of their first use, each after those that any of its instances uses."""
    ordered: dict[str, None] = {}

    def visit(kind: str) -> None:
        for lowered in kinds[kind]:
            for child in lowered.children.values():
                if (inner := identity(child.block)) not in ordered:
                    visit(inner)
        ordered[kind] = None

    for kind in kinds:
        if kind not in ordered:
            visit(kind)
    return list(ordered)


def lowered_alike(model: Block, backend: Backend) -> tuple[Units, Lowered]:
    """Every instance as steps. A block whose maps would come in different orders gets them in the framework's own."""
    layouts = tuple(Layout(backend.natural(x), (), x.batched) for x in model.inputs.values())
    settled: set[str] = set()
    while True:
        table = Units(backend, settled)
        top = table.lower(model, layouts, model=True)
        orders: dict[str, set[tuple[Layout, ...]]] = {}
        for lowered in table.order:
            orders.setdefault(identity(lowered.block), set()).add(
                tuple(v.layout for v in lowered.inputs.values())
            )
        mixed = {kind for kind, found in orders.items() if len(found) > 1} - settled
        if not mixed:
            return table, top
        settled |= mixed


def filled(lowered: Lowered, table: Units) -> None:
    """The arguments that instances of other classes are made with, now that those classes are known."""
    for index, step in enumerate(lowered.steps):
        child = lowered.children.get(step.node)
        if child is not None and isinstance(step.make, Construct) and step.make.unit:
            unit, node = table.unit_of[id(child)], lowered.block.node(step.node)
            assert node is not None
            extra = table.extra[id(child)]
            arguments = tuple(
                Argument(p, literal(extra[p] if p in extra else node.args[p]), param.default)
                for p, param in unit.params.items()
            )
            lowered.steps[index] = replace(step, make=Construct(unit.name, arguments, unit=True))
    if lost := lowered.block.literal:
        told = partial(unspoken, lost={name: plain(lowered.block.params[name]) for name in lost})
        whole = partial(rebuilt, change=told)
        for index, step in enumerate(lowered.steps):
            make = None if step.make is None else changed(step.make, whole)
            lowered.steps[index] = replace(step, make=make, call=whole(step.call))


def rebuilt(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """An expression with every value in it changed."""
    return change(expr) if constant(expr) else rebuild(expr, lambda part: rebuilt(part, change))


def alike(found: list[Lowered]) -> list[list[Lowered]]:
    """Instances sorted into groups of the same structure."""
    if len(found) == 1:
        return [found]
    groups: list[tuple[list[Any], list[Lowered]]] = []
    for lowered in found:
        mine = [None if s.skipped else skeleton(s) for s in lowered.steps]
        keys = [s.key for s in lowered.steps]
        for shapes, members in groups:
            same_keys = (
                [s.key for s in members[0].steps] == keys
                and list(members[0].outputs) == list(lowered.outputs)
                and members[0].block.frozen == lowered.block.frozen
            )
            if same_keys and all(a == b or a is None or b is None for a, b in zip(shapes, mine, strict=True)):
                shapes[:] = [a if a is not None else b for a, b in zip(shapes, mine, strict=True)]
                members.append(lowered)
                break
        else:
            groups.append((mine, [lowered]))
    return [members for _, members in groups]


def skeleton(part: Any) -> Any:
    """The structure of code, whatever numbers stand in it."""
    if isinstance(part, Step):
        return (skeleton(part.call), skeleton(part.make), part.parts, part.doc)
    if constant(part):
        return "_"
    if isinstance(part, Run):
        return ("run", skeleton(part.tail), part.index)
    if isinstance(part, Argument):
        return ("argument", part.name)
    if isinstance(part, tuple):
        return tuple(skeleton(p) for p in part)
    if is_dataclass(part):
        return (type(part).__name__, *(skeleton(getattr(part, f.name)) for f in fields(part)))
    return part


def merged(group: list[Lowered], table: Units, model: bool, apart: Sequence[str] = ()) -> list[Unit]:
    """One class for these instances; if they cannot be told by one after all, one for each."""
    try:
        return [Merger(group, table, model, apart).unit()]
    except Mismatch:
        return [Merger([lowered], table, model, apart).unit() for lowered in group]
