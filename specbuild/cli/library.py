"""`specbuild library`: the ops and blocks that a step may name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any

import typer

from specbuild.cli.terminal import print_text
from specbuild.diagnostics.errors import closest_match, make_printable
from specbuild.diagnostics.sentences import first_sentence
from specbuild.frontend.document import BlockDef, ParamDef
from specbuild.frontend.editor_schema import library_blocks
from specbuild.frontend.resolver import LIBRARY
from specbuild.frontend.schema.op_schema import default_as_yaml
from specbuild.ir.cost import model_cost
from specbuild.ops import OPS, Op
from specbuild.ops.base import list_attributes
from specbuild.summary import format_quantity
from specbuild.summary.examples import example_spec

WIDTH = 96

library_command = typer.Typer(help="The ops and blocks that a step may name.", no_args_is_help=True)


@library_command.command("list")
def list_library(
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON document.")] = False,
) -> None:
    """List every op and every block of the library, a line each."""
    families: dict[str, dict[str, str]] = {}
    for name, op in OPS.items():
        families.setdefault(op.family, {})[name] = first_sentence(op.summary)
    blocks = {name: first_sentence(block.doc) for name, block in library_blocks().items()}
    if as_json:
        print_text(json.dumps({"ops": families, "blocks": blocks}, indent=2) + "\n")
        return
    column = max(map(len, [*OPS, *blocks])) + 2
    for title, entries in [*families.items(), ("blocks of the library", blocks)]:
        if entries:
            print_text(
                f"{title}\n"
                + "".join(
                    f"  {name:{column}}{truncate_text(text, WIDTH - column - 2)}\n"
                    for name, text in entries.items()
                )
                + "\n"
            )


@library_command.command("show")
def show_entry(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An op or a block, such as conv.")],
) -> None:
    """Show one op or block: what it does, what it takes, its defaults, an example with shapes."""
    if name in OPS:
        print_text("\n".join(format_op(OPS[name])) + "\n")
        return
    blocks = library_blocks()
    if name not in blocks:
        near = closest_match(name, [*OPS, *blocks])
        hint = f"; did you mean {near}?" if near else "; `specbuild library list` lists them"
        raise typer.BadParameter(f"there is no op or block {make_printable(name)!r}{hint}", param_hint="NAME")
    print_text("\n".join(format_block(blocks[name])) + "\n")


def format_op(op: type[Op]) -> Iterator[str]:
    yield f"{op.name} (op, {op.family})"
    yield from wrap_paragraphs(op.__doc__ or "")
    yield from format_section(
        "Inputs",
        [(t.name, t.doc, " (optional)" * t.optional + " (two or more)" * t.variadic) for t in op.input_specs],
    )
    found = [
        (a.name, a.doc, format_type(str(a.kind), a.is_required, a.default))
        for a in list_attributes(op).values()
    ]
    yield from format_section("Attributes", found)
    yield from format_example(op)


def format_block(block: BlockDef) -> Iterator[str]:
    place = Path(block.source.file).relative_to(LIBRARY)
    yield f"{block.name} ({'model' if block.model else 'block'}, library:{place.as_posix()})"
    yield from wrap_paragraphs(block.doc)
    inputs = [
        (name, "any axes" if axes is None else make_printable(json.dumps(axes).replace('"', "")), "")
        for name, axes in block.inputs.items()
    ]
    yield from format_section("Inputs", inputs)
    yield from format_section(
        "Parameters", [(p.name, p.doc, format_parameter(p)) for p in block.params.values()]
    )
    if block.model is not None and block.model.variants:
        values = [
            (name, make_printable(json.dumps(values).replace('"', "")), "")
            for name, values in block.model.variants.items()
        ]
        yield from format_section("Variants", values)
    yield from format_example(block)


def format_example(entry: type[Op] | BlockDef) -> Iterator[str]:
    """The entry in use: a spec's inputs and steps, with what comes out and what it takes."""
    found = example_spec(entry)
    if found is not None:
        yield from ("", "Example", *(f"  {line}" for line in found.text.splitlines()))
        took = model_cost(found.model)
        came = ", ".join(str(output.type) for output in found.model.outputs.values())
        macs = f", {format_quantity(took.macs)} multiply-adds" if took.macs else ""
        yield f"  -> {came}: {took.parameters:,} parameters{macs}"


def format_type(kind: str, required: bool, default: Any) -> str:
    if required:
        return f" ({kind}; required)"
    shown = default_as_yaml(default)
    return f" ({kind})" if shown is None else f" ({kind}; default {format_value(shown)})"


def format_parameter(p: ParamDef) -> str:
    limits = [f"at least {p.minimum}"] * (p.minimum is not None) + [f"at most {p.maximum}"] * (
        p.maximum is not None
    )
    choices = [f"one of {', '.join(map(str, p.choices))}"] * bool(p.choices)
    return format_type(make_printable(", ".join([p.type, *limits, *choices])), p.required, p.default)


def format_value(value: Any) -> str:
    return make_printable(value if isinstance(value, str) else json.dumps(value))


def format_section(title: str, entries: list[tuple[str, str, str]]) -> Iterator[str]:
    """A titled list of names, each with what it means and what it holds."""
    if not entries:
        return
    yield from ("", title)
    column = max(len(name) for name, _, _ in entries) + 4
    for name, doc, holds in entries:
        lines = wrap(make_printable(doc + holds, 2000).strip(), WIDTH - column) or [""]
        yield f"  {name:{column - 2}}{lines[0]}".rstrip()
        yield from (" " * column + line for line in lines[1:])


def wrap_paragraphs(text: str) -> Iterator[str]:
    for part in text.strip().split("\n\n"):
        yield ""
        yield from wrap(make_printable(" ".join(part.split()), 4000), WIDTH)


def truncate_text(text: str, width: int) -> str:
    return make_printable(text, max(width, 20))
