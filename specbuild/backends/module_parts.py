"""Parts of an emitted file that are the same in every framework: imports, helpers, rows of layers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from specbuild.backends.docstrings import reflow_paragraphs
from specbuild.codegen.class_spec import REQUIRED, ClassSpec
from specbuild.codegen.code_mapping import map_code
from specbuild.codegen.constructions import (
    INDEX_VARIABLE,
    ComputedTable,
    Construction,
    Member,
    Repeated,
    literal_expression,
)
from specbuild.codegen.lowered_steps import LoweredStep
from specbuild.codegen.parameter_reads import find_short_condition, qualify_code
from specbuild.codegen.short_floats import shorten_floats
from specbuild.codegen.tree import (
    Assign,
    Call,
    Class,
    Expr,
    For,
    Function,
    Generator,
    Helper,
    If,
    Infix,
    ListComprehension,
    ListOf,
    Literal,
    Module,
    Name,
    Parameter,
    Raise,
    Star,
    Statement,
    TupleOf,
)
from specbuild.codegen.tree_walk import code_fields_of_any, list_read_names, map_children
from specbuild.ir.path_index import path_prefixes

LONGEST_LITERAL_ROW = 3  # up to this number, equal layers are written out one by one
STANDARD_IMPORTS = ("import math", "from collections import OrderedDict")
# How emitted code calls the functions of the expression language that are not built into Python.
FUNCTION_NAMES = {"divisible": "make_divisible"} | {
    name: f"math.{name}" for name in ("ceil", "floor", "sqrt", "log")
}
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


def assemble_module(
    definitions: tuple[Statement, ...],
    helpers: Mapping[str, str],
    imports: Mapping[str, str],
    doc: str,
    header: tuple[str, ...],
) -> Module:
    """Return the file: the imports and helpers that these definitions use, then the definitions."""
    definitions = shorten_floats(name_functions(definitions))
    used = used_identifiers(definitions)
    needed: list[str] = []
    while added := [name for name in helpers if name in used and name not in needed]:
        needed += added
        for name in added:
            used |= set(IDENTIFIER.findall(helpers[name]))
    used_imports = merge_imports([line for name, line in imports.items() if name in used])
    used_helpers = tuple(Helper(source) for name, source in helpers.items() if name in needed)
    return Module(reflow_paragraphs(doc), group_imports(used_imports), (*used_helpers, *definitions), header)


def name_functions(code: Any) -> Any:
    """Return code that calls the functions of expressions where Python has them: `math.ceil` for `ceil`."""

    def name_function(expr: Expr) -> Expr | None:
        match expr:
            case Call(Name(name), arguments, ()) if name in FUNCTION_NAMES:
                return Call(Name(FUNCTION_NAMES[name]), map_code(arguments, name_function))
        return None

    return map_code(code, name_function)


def used_identifiers(code: Any) -> set[str]:
    """Return every identifier in the code; a dotted name gives each of its parts."""
    names: set[str] = set()
    waiting = [code]
    while waiting:
        part = waiting.pop()
        if isinstance(part, tuple | list):
            waiting += part
            continue
        if isinstance(part, Name):
            names.update(part.text.split("."))
        elif isinstance(part, Class | Function):
            names.update(name for a in annotation_texts(part) for name in IDENTIFIER.findall(a))
        kind: type = type(part)
        waiting += [getattr(part, name) for name in code_fields_of_any(kind)]
    return names


def annotation_texts(definition: Class | Function) -> list[str]:
    """Return the bases of a class, or the annotations of a function."""
    if isinstance(definition, Class):
        return list(definition.bases)
    return [a for a in (definition.returns, *(p.annotation for p in definition.parameters)) if a]


def merge_imports(lines: list[str]) -> tuple[str, ...]:
    """Join imports from the same module into one line."""
    merged: dict[str, str] = {}
    for line in lines:
        head, word, name = line.partition(" import ")
        merged[head if word else line] = f"{merged[head]}, {name}" if head in merged else line
    return tuple(merged.values())


def group_imports(imports: tuple[str, ...]) -> tuple[str, ...]:
    """Put the imports of the standard library first, with an empty line after them."""
    standard = tuple(line for line in imports if line in STANDARD_IMPORTS)
    others = tuple(line for line in imports if line not in standard)
    return (*standard, "", *others) if standard and others else standard + others


def emit_construction(construction: Construction, **more: Expr) -> Call:
    """Return the call, with arguments by position if they have no default, else by keyword."""
    arguments = construction.arguments
    positional = tuple(a.value for a in arguments if a.default is REQUIRED)
    keywords = tuple((a.name, a.value) for a in arguments if a.default is not REQUIRED and not a.is_default)
    return Call(Name(construction.function), positional, (*keywords, *more.items()))


def constructor_parameters(class_spec: ClassSpec) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(name, p.annotation, None if p.default is REQUIRED else literal_expression(p.default))
        for name, p in class_spec.params.items()
    )


def guard_statements(class_spec: ClassSpec, derived: bool = False) -> list[Statement]:
    """Return the statements that refuse arguments for which the class is not right.

    With `derived`, those that read a name of `class_spec.derived`, and so come after it; otherwise the others.
    """
    return [
        If(guard.condition, (Raise(Call(Name("ValueError"), (Literal(guard.message),))),))
        for guard in class_spec.guards
        if derived != class_spec.derived.keys().isdisjoint(list_read_names(guard.condition))
    ]


def input_parameters(class_spec: ClassSpec, annotation: str = "") -> Iterator[Parameter]:
    """Yield the arguments of the method that calls a layer; those that some calls leave out are None there."""
    for name, items in class_spec.arguments.items():
        is_optional = name in class_spec.optional_arguments
        type_ = annotation if items is None else f"list[{annotation}]"
        type_ = f"{type_} | None" if is_optional else type_
        yield Parameter(name, type_ if annotation else None, Literal(None) if is_optional else None)


def row_length(row: Repeated) -> int:
    assert isinstance(row.length, Literal) and isinstance(row.length.value, int)
    return row.length.value


def row_members(row: Repeated) -> Iterator[Member]:
    """Yield every member of a row."""
    yield from row.head
    yield from [row.tail] * (row_length(row) - len(row.head))


def emit_row(
    row: Repeated, write: Callable[[Member, Expr], Expr], uses_index: bool = False
) -> tuple[Expr, ...]:
    """Return the members of a row: the first ones written out, the rest as a generator.

    `write` returns the code of a member, from it and the code of its index. `uses_index`: it uses the index.
    """
    head = [write(member, Literal(i)) for i, member in enumerate(row.head)]
    is_short = isinstance(row.length, Literal) and row_length(row) - len(head) <= LONGEST_LITERAL_ROW
    if is_short and not row.has_index:
        return tuple(write(member, Literal(i)) for i, member in enumerate(row_members(row)))
    needs_index = row.has_index or uses_index
    tail = write(row.tail, Name("i"))
    if needs_index or not head:
        limits = (Literal(len(head)), row.length) if head else (row.length,)
    elif isinstance(row.length, Literal):
        limits = (Literal(row_length(row) - len(head)),)
    else:
        limits = (Infix("-", row.length, Literal(len(head))),)
    return (*head, Star(Generator(tail, "i" if needs_index else "_", Call(Name("range"), limits))))


def emit_list(members: tuple[Expr, ...]) -> Expr:
    """Return a list of the members; a list comprehension if a generator gives all of them."""
    if len(members) == 1 and isinstance(members[0], Star) and isinstance(members[0].of, Generator):
        generator = members[0].of
        return ListComprehension(generator.element, generator.target, generator.iterable)
    return ListOf(members)


def emit_computed(table: ComputedTable, used_names: Iterable[str]) -> tuple[list[Statement], Expr]:
    """Return the statements that set a table's variables, under names that are still free, and its value."""
    names: dict[str, str] = {}
    for variable, _ in table.variables:
        used = {*used_names, *names.values()}
        name = variable.removesuffix(INDEX_VARIABLE)
        candidates = (name, f"{name}_index", *(f"{name}_{k}" for k in range(2, 100)))
        names[variable] = next(n for n in candidates if n not in used)

    def rename_variables(expr: Expr) -> Expr:
        if isinstance(expr, Name):
            return Name(names.get(expr.text, expr.text))
        return map_children(expr, rename_variables)

    return [Assign(names[name], value) for name, value in table.variables], rename_variables(table.value)


def frozen_parts(class_spec: ClassSpec) -> list[tuple[LoweredStep, str]]:
    """Return what is not trained: each step, with the path of a part of it; empty for the whole step."""
    if not class_spec.block.frozen_paths:
        return []
    weights = {name for lowered in class_spec.instances for name in (*lowered.weights, *lowered.children)}
    trained = {path for name in weights for path in path_prefixes(name)}
    below: dict[str, list[LoweredStep]] = {}  # path -> the steps with a layer there
    for step in class_spec.steps:
        for path in path_prefixes(step.layer_name) if step.member is not None else ():
            below.setdefault(path, []).append(step)
    parts = []
    for path in class_spec.block.frozen_paths:
        if path in trained:
            parts += [(step, "") for step in below.get(path, ())]
            for layer in list(path_prefixes(path))[:-1]:
                inside = path[len(layer) + 1 :]
                parts += [(step, inside) for step in below.get(layer, ()) if step.layer_name == layer]
    return parts


def emit_for_each(parts: list[Expr], name: str, write: Callable[[Name], Statement]) -> list[Statement]:
    """Return a statement for every part; for several parts, a loop with the variable `name`."""
    if len(parts) == 1 and isinstance(parts[0], Star):
        return [For(name, parts[0].of, (write(Name(name)),))]
    if len(parts) > 1:
        return [For(name, TupleOf(tuple(parts)), (write(Name(name)),))]
    if parts and not isinstance(parts[0], Name):
        return [Assign(name, parts[0]), write(Name(name))]
    return [write(part) for part in parts if isinstance(part, Name)]


def flag_conditions(class_spec: ClassSpec) -> dict[str, Expr]:
    """Return the conditions of optional steps that no identity layer replaces, by attribute name."""
    return {
        flag_name(step, class_spec): class_spec.flags[step.key]
        for step in class_spec.steps
        if not step.can_be_identity
        and step.key in class_spec.flags
        and find_short_condition(step, class_spec) is None
    }


def condition_code(step: LoweredStep, class_spec: ClassSpec, owner: str = "") -> Expr:
    """Return the condition of an optional step as a method reads it; `owner` has the attributes, such as `self`."""
    condition = find_short_condition(step, class_spec)
    if condition is not None:
        return qualify_code(condition, class_spec, owner)
    name = flag_name(step, class_spec)
    return Name(f"{owner}.{name}" if owner else name)


def flag_name(step: LoweredStep, class_spec: ClassSpec) -> str:
    """Return the attribute for the condition of a step. Steps of one kind with one condition share it.

    A parameter of this name that is the condition needs no attribute.
    """
    flags, stem = class_spec.flags, step.node.rstrip(".0123456789")
    same_kind = [
        s
        for s in class_spec.steps
        if not s.can_be_identity and s.key in flags and s.node.rstrip(".0123456789") == stem
    ]
    is_shared = stem and all(flags[s.key] == flags[step.key] for s in same_kind)
    name = f"use_{(stem if is_shared else step.node).replace('.', '_')}"
    match flags[step.key]:
        case Name(param) if class_spec.attribute_names.get(param) == name:
            return name
    while name in class_spec.taken_attributes:
        name += "_"
    return name
