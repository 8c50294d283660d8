"""What several commands take: specs, and the choices made for them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specbuild.api import Model, create_model
from specbuild.compiler.arguments import arguments_from_flags, parse_features
from specbuild.diagnostics.errors import closest_match, make_printable
from specbuild.frontend.decoding import BYTE_LIMIT
from specbuild.frontend.source import Source

if TYPE_CHECKING:
    from specbuild.frontend.document import BlockDef
    from specbuild.ir.graph import Block

Specs = Annotated[
    list[str], typer.Argument(metavar="SPEC", help="Spec files; - reads standard input.", show_default=False)
]
Spec = Annotated[
    str, typer.Argument(metavar="SPEC", help="A spec file; - reads standard input.", show_default=False)
]
Variant = Annotated[
    str | None, typer.Option(metavar="NAME", help="One of the spec's variants.", show_default=False)
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="The value of a parameter, as YAML; may be given again.",
        show_default=False,
    ),
]
Features = Annotated[
    str | None,
    typer.Option(
        "--features",
        metavar="PATH,...",
        help="Values inside that the model gives too, as `show --taps` lists them: layer2,layer3.",
        show_default=False,
    ),
]
FeaturesOnly = Annotated[
    bool, typer.Option("--features-only", help="Give nothing else: what no feature needs is left out.")
]
Root = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="The folder that imports stay in; the current one unless the spec lies elsewhere.",
        show_default=False,
    ),
]


def spec_source(spec: str) -> Path | Source:
    """The file of this name, or what stands on standard input."""
    return Source(sys.stdin.buffer.read(BYTE_LIMIT + 1), "<stdin>") if spec == "-" else Path(spec)


def check_stdin_once(specs: list[str]) -> list[str]:
    """The specs, if standard input is only asked for once."""
    if specs.count("-") > 1:
        raise typer.BadParameter("standard input (-) can be read once only")
    return specs


def load_model(
    spec: str,
    variant: str | None,
    settings: list[str] | None,
    root: Path | None,
    features: str | None = None,
    only: bool = False,
) -> Model:
    """The model of a spec with the choices of the command line; raises SpecError or SpecErrors."""
    if only and features is None:
        raise typer.BadParameter(
            "name the features: --features layer2,layer3, say", param_hint="--features-only"
        )
    given = arguments_from_flags(settings or [], variant)
    if features is not None:
        given = replace(given, features=parse_features(features, only))
    return create_model(spec_source(spec), given, root)


def library_block(name: str) -> BlockDef:
    """A block of the library."""
    from specbuild.frontend.editor_schema import library_blocks  # only here: it reads the whole library

    names = library_blocks()
    if name in names:
        return names[name]
    near = closest_match(name, names)
    raise typer.BadParameter(
        f"there is no block {make_printable(name)!r} in the library"
        + (f"; did you mean {near}?" if near else "; `specbuild library list` lists them"),
        param_hint="--block",
    )


def standalone_model(entry: BlockDef) -> Block:
    """A model of which this block is the only step, with usual sizes."""
    from specbuild.summary.examples import example_model

    found = example_model(entry)
    if found is None:
        message = f"{entry.name} needs inputs of its own; name a spec that uses it"
        raise typer.BadParameter(message, param_hint="--block")
    return found
