"""`specbuild library`: the ops and blocks that steps can use."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import get_terminal_size
from textwrap import wrap
from typing import Annotated, Any

import typer
from msgspec import to_builtins

from specbuild.api import compile
from specbuild.backends import BACKEND_NAMES
from specbuild.cli import options
from specbuild.cli.completion import complete_backend, complete_entry
from specbuild.cli.json_output import print_document
from specbuild.cli.terminal import print_text, suggest_closest
from specbuild.compiler.pipeline import compile_source
from specbuild.diagnostics.errors import make_printable
from specbuild.diagnostics.sentences import first_sentence
from specbuild.frontend.document import BlockDef, ParamDef
from specbuild.frontend.editor_schema import find_library_block, library_block_names, library_blocks
from specbuild.frontend.library import LIBRARY, library_reference
from specbuild.frontend.schema.op_schema import default_as_yaml
from specbuild.ir.cost import model_cost
from specbuild.ops import OPS, Op
from specbuild.ops.base import list_attributes
from specbuild.ops.extensions import all_ops, find_op
from specbuild.summary import format_quantity
from specbuild.summary.examples import example_spec
from specbuild.summary.search import (
    MAX_QUERY,
    LibraryEntry,
    find_same_name,
    format_about,
    known_names,
    list_kinds,
    search_library,
)

WIDTH = 96  # of the text, in characters

library_command = typer.Typer(help="The ops and blocks that steps can use.", no_args_is_help=True)


@library_command.command("list")
def list_library(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List every op and every block of the library, one per line; a terminal shows as much as fits."""
    families: dict[str, dict[str, str]] = {}
    for name, op in all_ops().items():
        families.setdefault(op.family, {})[name] = first_sentence(op.summary)
    blocks = {name: first_sentence(block.doc) for name, block in library_blocks().items()}
    if as_json:
        print_document("library list", {"ops": families, "blocks": blocks})
        return
    column = max(map(len, [*OPS, *blocks])) + 2
    width = get_terminal_size().columns - column - 2 if sys.stdout.isatty() else 10_000
    for title, entries in [*families.items(), ("blocks of the library", blocks)]:
        if entries:
            lines = [f"  {name:{column}}{truncate_text(text, width)}\n" for name, text in entries.items()]
            print_text(f"{title}\n{''.join(lines)}\n")


@library_command.command("search")
def search_entries(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="WORDS...",
            help="A name, another name (SEBlock), words of a title, an author, a year, or a number of arXiv.",
        ),
    ],
    kind: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="Only of this kind, such as attention.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Find ops and blocks by their names, those of other libraries, papers, authors, years and tags."""
    if kind is not None and kind.lower() not in (kinds := list_kinds()):
        hint = suggest_closest(kind, kinds, otherwise=f"; kinds are {', '.join(kinds)}")
        raise typer.BadParameter(f"there is no kind {make_printable(kind)!r}{hint}", param_hint="--kind")
    query = " ".join(words)
    found = search_library(query, kind)
    if as_json:
        print_document("library search", {"found": [entry_as_json(entry) for entry in found]})
        return
    if not found:
        if len(query) > MAX_QUERY:
            raise typer.BadParameter(f"more than {MAX_QUERY} characters name nothing", param_hint="WORDS")
        hint = suggest_closest(query, known_names(), otherwise="; `specbuild library list` lists all")
        raise typer.BadParameter(f"nothing is called {make_printable(query)!r}{hint}", param_hint="WORDS")
    column = max(len(entry.name) for entry in found) + 2
    for entry in found:
        print_text(f"{entry.name:{column}}{truncate_text(first_sentence(entry.doc), WIDTH - column)}\n")
        source = ", ".join(format_about(entry.about))
        names = f"also {', '.join(entry.about.names)}" if entry.about.names else ""
        for line in wrap("; ".join(filter(None, [source, names])), WIDTH - column):
            print_text(f"{' ' * column}{make_printable(line, WIDTH)}\n")


def entry_as_json(entry: LibraryEntry) -> dict[str, Any]:
    facts = {key: value for key, value in to_builtins(entry.about).items() if value}
    shown = {"name": entry.name, "kind": entry.kind, "doc": entry.doc, "file": entry.file}
    return {**{key: value for key, value in shown.items() if value}, **facts}


@library_command.command("show")
def show_entry(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="An op or a block, such as conv.", autocompletion=complete_entry),
    ],
    backend: Annotated[
        str | None,
        typer.Option(
            "--backend",
            "-b",
            metavar="|".join((*BACKEND_NAMES, "all")),
            help="Print the file that the example becomes in this framework instead.",
            autocompletion=complete_backend,
            show_default=False,
        ),
    ] = None,
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="Print the file of the library that defines the block instead.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Show one op or block: what it does, its inputs, attributes and defaults, and an example with shapes."""
    if as_yaml and backend is not None:
        raise typer.BadParameter("it prints a file of the library; leave out --backend", param_hint="--yaml")
    if as_json and (as_yaml or backend is not None):
        raise typer.BadParameter(
            "it describes the op or block; leave out --yaml and --backend", param_hint="--json"
        )
    entry = find_entry(name)
    if as_json:
        print_document("library show", describe_entry(entry))
    elif as_yaml:
        if not isinstance(entry, BlockDef):
            raise typer.BadParameter(
                f"{entry.name} is an op, which no YAML file defines", param_hint="--yaml"
            )
        print_text(entry.source.text)
    elif backend is not None:
        names = BACKEND_NAMES if options.check_backend_name(backend) == "all" else (backend,)
        print_text("\n\n".join(emit_example(entry, name) for name in names))
    elif isinstance(entry, BlockDef):
        print_text("\n".join(format_block(entry)) + "\n")
    else:
        print_text("\n".join(format_op(entry)) + "\n")


def describe_entry(entry: type[Op] | BlockDef) -> dict[str, Any]:
    """Return what `library show` says as data: inputs, attributes or parameters, and the example."""
    example = example_spec(entry)
    common = {"name": entry.name, "example": None if example is None else example.text}
    if isinstance(entry, BlockDef):
        params = {
            p.name: {"doc": p.doc, "type": p.type, "required": p.required, "default": p.default}
            for p in entry.params.values()
        }
        kind = "model" if entry.model else "block"
        return {**common, "kind": kind, "doc": entry.doc, "inputs": dict(entry.inputs), "parameters": params}
    attributes = {
        a.name: {
            "doc": a.doc,
            "type": str(a.kind),
            "required": a.is_required,
            "default": None if a.is_required else default_as_yaml(a.default),
        }
        for a in list_attributes(entry).values()
    }
    inputs = {spec.name: {"doc": spec.doc, "optional": spec.optional} for spec in entry.input_specs}
    return {**common, "kind": "op", "doc": entry.__doc__ or "", "inputs": inputs, "attributes": attributes}


def emit_example(entry: type[Op] | BlockDef, backend: str) -> str:
    """Return the emitted file of the example of an op or block, or of a model itself."""
    if isinstance(entry, BlockDef) and entry.model is not None:
        return compile(Path(entry.source.file), backend)
    example = example_spec(entry)
    if example is None:
        raise typer.BadParameter(f"{entry.name} has no example", param_hint="--backend")
    return compile_source(example.model, backend)


def find_entry(name: str) -> type[Op] | BlockDef:
    """Return the op or block of a name; raises a usage error with a hint if there is none."""
    op = find_op(name)
    if op is not None:
        return op
    block = find_library_block(name)
    if block is None:
        same = find_same_name(name)
        hint = f"; here it is {' or '.join(same)}" if same else ""
        hint = hint or suggest_closest(
            name,
            [*OPS, *library_block_names()],
            otherwise="; `specbuild library search` finds by other names",
        )
        raise typer.BadParameter(f"there is no op or block {make_printable(name)!r}{hint}", param_hint="NAME")
    return block


def format_op(op: type[Op]) -> Iterator[str]:
    yield f"{op.name} (op, {op.family})"
    yield from wrap_paragraphs(op.__doc__ or "")
    inputs = [
        (spec.name, spec.doc, " (optional)" * spec.optional + " (two or more)" * spec.variadic)
        for spec in op.input_specs
    ]
    yield from format_section("Inputs", inputs)
    attributes = [
        (a.name, a.doc, format_type(str(a.kind), a.is_required, a.default))
        for a in list_attributes(op).values()
    ]
    yield from format_section("Attributes", attributes)
    yield from format_example(op)


def format_block(block: BlockDef) -> Iterator[str]:
    reference = library_reference(Path(block.source.file).resolve(), LIBRARY)
    yield f"{block.name} ({'model' if block.model else 'block'}, {reference})"
    yield from wrap_paragraphs(block.doc)
    about = [("paper", ", ".join(format_about(block.about)), ""), ("names", ", ".join(block.about.names), "")]
    yield from format_section("About", [entry for entry in about if entry[1]])
    inputs = [
        (name, "any axes" if axes is None else format_data(axes), "") for name, axes in block.inputs.items()
    ]
    yield from format_section("Inputs", inputs)
    parameters = [(p.name, p.doc, format_parameter(p)) for p in block.params.values()]
    yield from format_section("Parameters", parameters)
    if block.model is not None and block.model.variants:
        variants = [(name, format_data(values), "") for name, values in block.model.variants.items()]
        yield from format_section("Variants", variants)
    yield from format_example(block)


def format_example(entry: type[Op] | BlockDef) -> Iterator[str]:
    """Yield a short spec that uses the op or block, with its output types and its cost, if there is one."""
    example = example_spec(entry)
    if example is None:
        return
    yield from ("", "Example", *(f"  {line}" for line in example.text.splitlines()))
    cost = model_cost(example.model)
    types = ", ".join(str(output.type) for output in example.model.outputs.values())
    macs = f", {format_quantity(cost.macs)} multiply-adds" if cost.macs else ""
    yield f"  -> {types}: {cost.parameters:,} parameters{macs}"


def format_data(value: Any) -> str:
    """Return data of a spec as text, without quotes."""
    return make_printable(json.dumps(value).replace('"', ""))


def format_type(kind: str, is_required: bool, default: Any) -> str:
    """Return the type and the default of an attribute or a parameter, in parentheses."""
    if is_required:
        return f" ({kind}; required)"
    value = default_as_yaml(default)
    return f" ({kind})" if value is None else f" ({kind}; default {format_value(value)})"


def format_parameter(p: ParamDef) -> str:
    limits = [
        *([f"at least {p.minimum}"] if p.minimum is not None else []),
        *([f"at most {p.maximum}"] if p.maximum is not None else []),
        *([f"one of {', '.join(map(str, p.choices))}"] if p.choices else []),
    ]
    return format_type(make_printable(", ".join([p.type, *limits])), p.required, p.default)


def format_value(value: Any) -> str:
    return make_printable(value if isinstance(value, str) else json.dumps(value))


def format_section(title: str, entries: list[tuple[str, str, str]]) -> Iterator[str]:
    """Yield a title and a list of names, each with its description and its type."""
    if not entries:
        return
    yield from ("", title)
    column = max(len(name) for name, _, _ in entries) + 4
    for name, description, type_text in entries:
        lines = wrap(make_printable(description + type_text, 2000).strip(), WIDTH - column) or [""]
        yield f"  {name:{column - 2}}{lines[0]}".rstrip()
        yield from (" " * column + line for line in lines[1:])


def wrap_paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.strip().split("\n\n"):
        yield ""
        yield from wrap(make_printable(" ".join(paragraph.split()), 4000), WIDTH)


def truncate_text(text: str, width: int) -> str:
    return make_printable(text, max(width, 20))
