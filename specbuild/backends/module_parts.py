"""What the files of all frameworks have in common: arguments, rows of layers, imports and helpers by use."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from specbuild.codegen.class_spec import REQUIRED, ClassSpec
from specbuild.codegen.constructions import ComputedTable, Construction, Member, Repeated, literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweredStep
from specbuild.codegen.tree import (
    Assign,
    Call,
    Class,
    Expr,
    For,
    Function,
    Generator,
    Helper,
    Infix,
    ListComprehension,
    ListOf,
    Literal,
    Module,
    Name,
    Parameter,
    Star,
    Statement,
    TupleOf,
    map_children,
)
from specbuild.expressions import concrete
from specbuild.ops.types import TensorType

LONGEST_LITERAL_ROW = 3  # so many equal layers are written one by one
STANDARD_IMPORTS = ("import math", "from collections import OrderedDict")


def assemble_module(
    written: tuple[Statement, ...],
    helpers: Mapping[str, str],
    imports: Mapping[str, str],
    doc: str,
    header: tuple[str, ...],
) -> Module:
    """The whole file: imports that are used, helpers that are used, then classes, the model last."""
    used = used_identifiers(written)
    needed: list[str] = []
    while fresh := [name for name in helpers if name in used and name not in needed]:
        needed += fresh
        for name in fresh:
            used |= set(re.findall(r"[A-Za-z_]\w*", helpers[name]))
    kept = merge_imports([line for name, line in imports.items() if name in used])
    copied = tuple(Helper(source) for name, source in helpers.items() if name in needed)
    return Module(reflow_paragraphs(doc), group_imports(kept), (*copied, *written), header)


def used_identifiers(part: Any) -> set[str]:
    """Every identifier, or part of a dotted one, that code uses."""
    found: set[str] = set()

    def visit(part: Any) -> None:
        if isinstance(part, Name):
            found.update(part.text.split("."))
        elif isinstance(part, Class | Function):
            found.update(word for a in annotation_texts(part) for word in re.findall(r"[A-Za-z_]\w*", a))
        if isinstance(part, tuple | list):
            for item in part:
                visit(item)
        elif is_dataclass(part):
            for f in fields(part):
                visit(getattr(part, f.name))

    visit(part)
    return found


def annotation_texts(part: Class | Function) -> list[str]:
    if isinstance(part, Class):
        return list(part.bases)
    return [a for a in (part.returns, *(p.annotation for p in part.parameters)) if a]


def merge_imports(lines: list[str]) -> tuple[str, ...]:
    """Imports from one module on one line."""
    found: dict[str, str] = {}
    for line in lines:
        head, word, name = line.partition(" import ")
        found[head if word else line] = f"{found[head]}, {name}" if head in found else line
    return tuple(found.values())


def group_imports(imports: tuple[str, ...]) -> tuple[str, ...]:
    """The standard library's imports apart from the framework's."""
    own = tuple(line for line in imports if line in STANDARD_IMPORTS)
    rest = tuple(line for line in imports if line not in own)
    return (*own, "", *rest) if own and rest else own + rest


def emit_construction(made: Construction, **more: Expr) -> Call:
    """A construction as a call: arguments without a default by position, others by name if they differ from it."""
    positional = tuple(a.value for a in made.arguments if a.default is REQUIRED)
    named = tuple((a.name, a.value) for a in made.arguments if a.default is not REQUIRED and not a.is_default)
    return Call(Name(made.function), positional, (*named, *more.items()))


def constructor_parameters(unit: ClassSpec) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(name, p.annotation, None if p.default is REQUIRED else literal_expression(p.default))
        for name, p in unit.params.items()
    )


def class_docstring(unit: ClassSpec, model: bool) -> str:
    """The block's own words, the shapes of its inputs and outputs, and what its parameters mean."""
    block = unit.block

    def format_shape(x: TensorType, layout: Layout) -> str:
        sizes = [str(concrete(x[a])) if model else a for a in layout.order]
        return f"({', '.join([*(['B'] if layout.batched else []), *sizes])}{',' if len(sizes) + layout.batched == 1 else ''})"

    taken = [f"{name} {format_shape(v.type, v.layout)}" for name, v in unit.first_instance.inputs.items()]
    given = [
        f"{name} {format_shape(v.type, v.layout)}".strip() for name, v in unit.first_instance.outputs.items()
    ]
    shapes = f"{'Inputs' if len(taken) > 1 else 'Input'}: {', '.join(taken)}. {'Outputs' if len(given) > 1 else 'Output'}: {', '.join(given)}."
    meant = {**describe_flags(unit), **{name: doc for name, doc in block.docs.items() if doc}}
    told = [f"{name}: {meant[name]}" for name in unit.params if name in meant]
    return "\n\n".join(part for part in (reflow_paragraphs(block.doc), shapes, "\n".join(told)) if part)


def describe_flags(unit: ClassSpec) -> dict[str, str]:
    """What the flags mean that nobody declared: of steps that only some instances have."""
    found: dict[str, list[str]] = {}
    for step in unit.steps:
        flag = unit.flags.get(step.key)
        if isinstance(flag, Name) and flag.text in unit.params and flag.text not in unit.block.params:
            found.setdefault(flag.text, []).append(step.node)
    return {name: f"whether it has {' and '.join(dict.fromkeys(steps))}" for name, steps in found.items()}


def reflow_paragraphs(text: str) -> str:
    """Paragraphs with their lines joined, to be broken anew; lists and indented lines stay as they are."""
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        lines = paragraph.splitlines()
        kept = any(re.match(r"\s|[-*+] |\d+[.)] ", line) for line in lines)
        paragraphs.append(paragraph if kept else " ".join(lines))
    return "\n\n".join(paragraphs)


def row_length(run: Repeated) -> int:
    assert isinstance(run.length, Literal) and isinstance(run.length.value, int)
    return run.length.value


def row_members(run: Repeated) -> Iterator[Member]:
    """Every member of a row."""
    yield from run.head
    yield from [run.tail] * (row_length(run) - len(run.head))


def emit_row(
    run: Repeated, write: Callable[[Member, Expr], Expr], numbered: bool = False
) -> tuple[Expr, ...]:
    """The members of a row: some written out, the rest by a generator.

    `write` gets a member and its number as code; `numbered` says that it makes use of the number.
    """
    head = [write(member, Literal(i)) for i, member in enumerate(run.head)]
    if (
        isinstance(run.length, Literal)
        and not run.has_index
        and row_length(run) - len(head) <= LONGEST_LITERAL_ROW
    ):
        return tuple(write(member, Literal(i)) for i, member in enumerate(row_members(run)))
    counts = run.has_index or numbered
    tail = write(run.tail, Name("i"))
    if counts or not head:
        span = (Literal(len(head)), run.length) if head else (run.length,)
    elif isinstance(run.length, Literal):
        span = (Literal(row_length(run) - len(head)),)
    else:
        span = (Infix("-", run.length, Literal(len(head))),)
    return (*head, Star(Generator(tail, "i" if counts else "_", Call(Name("range"), span))))


def emit_list(members: tuple[Expr, ...]) -> Expr:
    """Members as a list; all of them by one generator: as a comprehension."""
    if len(members) == 1 and isinstance(members[0], Star) and isinstance(members[0].of, Generator):
        made = members[0].of
        return ListComprehension(made.element, made.target, made.iterable)
    return ListOf(members)


def emit_computed(made: ComputedTable, taken: Iterable[str]) -> tuple[list[Statement], Expr]:
    """A table's variables as statements, under names that are free, and its value."""
    names: dict[str, str] = {}
    for name, _ in made.variables:
        used = {*taken, *names.values()}
        names[name] = next(
            n for n in (name, f"{name}_index", *(f"{name}_{k}" for k in range(2, 100))) if n not in used
        )

    def rename_variables(expr: Expr) -> Expr:
        return (
            Name(names.get(expr.text, expr.text))
            if isinstance(expr, Name)
            else map_children(expr, rename_variables)
        )

    return [Assign(names[name], value) for name, value in made.variables], rename_variables(made.value)


def frozen_parts(unit: ClassSpec) -> list[tuple[LoweredStep, str]]:
    """What is held and not trained: whole steps, or what a row of layers has under a path."""
    weights = {name for lowered in unit.instances for name in (*lowered.weights, *lowered.children)}
    found = []
    for path in unit.block.frozen_paths:
        if not any(f"{name}.".startswith(f"{path}.") for name in weights):
            continue
        for step in unit.steps:
            if step.member is not None and f"{step.layer_name}.".startswith(f"{path}."):
                found.append((step, ""))
            elif step.member is not None and path.startswith(f"{step.layer_name}."):
                found.append((step, path[len(step.layer_name) + 1 :]))
    return found


def emit_for_each(parts: list[Expr], name: str, do: Callable[[Name], Statement]) -> list[Statement]:
    """A statement for every part, in a loop if there are several."""
    if len(parts) == 1 and isinstance(parts[0], Star):
        return [For(name, parts[0].of, (do(Name(name)),))]
    if len(parts) > 1:
        return [For(name, TupleOf(tuple(parts)), (do(Name(name)),))]
    if parts and not isinstance(parts[0], Name):
        return [Assign(name, parts[0]), do(Name(name))]
    return [do(part) for part in parts if isinstance(part, Name)]


def flag_conditions(unit: ClassSpec) -> dict[str, Expr]:
    """The attributes that say whether steps are done that hold nothing, with their conditions."""
    return {
        flag_name(step, unit): unit.flags[step.key]
        for step in unit.steps
        if step.member is None and step.key in unit.flags
    }


def flag_name(step: LoweredStep, unit: ClassSpec) -> str:
    """The attribute that says whether a step is done; steps of one kind under one condition share it."""
    stem = step.node.rstrip("0123456789")
    alike = [
        s
        for s in unit.steps
        if s.member is None and s.key in unit.flags and s.node.rstrip("0123456789") == stem
    ]
    shared = stem and all(unit.flags[s.key] == unit.flags[step.key] for s in alike)
    return f"use_{(stem if shared else step.node).replace('.', '_')}"
