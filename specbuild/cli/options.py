"""Options that several commands share, and how a spec with such options is loaded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec.structs import replace

from specbuild.api import Model, create_model
from specbuild.backends.registry import BACKEND_NAMES, all_backend_names
from specbuild.cli import completion
from specbuild.cli.terminal import suggest_closest
from specbuild.compiler.arguments import arguments_from_flags, parse_features
from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.frontend.decoding import BYTE_LIMIT
from specbuild.frontend.source import Source
from specbuild.frontend.spec_paths import spec_path

if TYPE_CHECKING:
    from specbuild.compiler.pipeline import Compilation
    from specbuild.frontend.document import BlockDef

Specs = Annotated[
    list[str],
    typer.Argument(
        metavar="SPEC",
        help="Spec files, or files of the library such as library:backbones/resnet.yaml; - reads stdin.",
        show_default=False,
    ),
]
Spec = Annotated[
    str,
    typer.Argument(
        metavar="SPEC",
        help="A spec file, or one of the library such as library:backbones/resnet.yaml; - reads stdin.",
        show_default=False,
    ),
]
Variant = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Use this variant of the spec.",
        autocompletion=completion.complete_variant,
        show_default=False,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set a parameter of the spec; VALUE is YAML. Repeat for more parameters.",
        autocompletion=completion.complete_setting,
        show_default=False,
    ),
]
Features = Annotated[
    str | None,
    typer.Option(
        "--features",
        metavar="PATH,...",
        help="Intermediate values to return as outputs, such as layer2,layer3; `show --taps` lists them.",
        autocompletion=completion.complete_features,
        show_default=False,
    ),
]
FeaturesOnly = Annotated[
    bool,
    typer.Option(
        "--features-only", help="Return only the features; steps that they do not need are removed."
    ),
]
Root = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Imports must stay in this folder. Default: the nearest folder above the spec with a "
        "pyproject.toml or a .git, else the folder of the spec.",
        show_default=False,
    ),
]


def output_option(metavar: str, text: str) -> Any:
    """Return the option -o, which every command has that writes files."""
    return typer.Option("--output", "-o", metavar=metavar, help=text, show_default=False)


def seed_option(text: str) -> Any:
    """Return the option --seed, which every command has that draws random numbers."""
    return typer.Option(min=0, help=text)


NamesFrom = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="NAMES",
        help="The names in the file: specbuild, a backend such as torch, or published names that the spec has "
        "rules for, such as torchvision. Default: those that match best.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that exist or were edited by hand.")]


def check_backend_name(value: str) -> str:
    """Return the value if it is a backend's name or `all`."""
    if value in (*BACKEND_NAMES, "all") or value in all_backend_names():
        return value
    known = (*all_backend_names(), "all")
    if not value:
        raise typer.BadParameter(
            f"the framework to compile for is missing; choose {', '.join(known[:-1])} or all"
        )
    hint = "; Keras runs on it" if value in ("tensorflow", "tf", "jax") else suggest_closest(value, known)
    raise typer.BadParameter(f"{make_printable(value)!r} is not one of {', '.join(known)}{hint}")


def backend_option(show_default: str | bool = True) -> Any:
    return typer.Option(
        "--backend",
        "-b",
        metavar="|".join((*BACKEND_NAMES, "all")),
        help="The framework to compile for.",
        autocompletion=completion.complete_backend,
        callback=check_backend_name,
        show_default=show_default,
    )


Backend = Annotated[str, backend_option()]
RequiredBackend = Annotated[str, backend_option("required")]


def spec_source(spec: str) -> Path | Source:
    """Return the path of a spec, which may be a file of the library, or for `-` the text on stdin.

    Raises SB001 if stdin is closed.
    """
    if spec != "-":
        return spec_path(spec)
    try:
        text = sys.stdin.buffer.read(BYTE_LIMIT + 1)
    except OSError:
        message = "cannot read standard input: it is closed"
        raise SpecError("SB001", message, None, "give the spec to the command: `... < net.yaml`") from None
    return Source(text, "<stdin>")


def check_stdin_once(specs: list[str]) -> list[str]:
    """Return the specs unchanged; it is a usage error if two of them are stdin (`-`)."""
    if specs.count("-") > 1:
        raise typer.BadParameter("standard input (-) can be read only once")
    return specs


def load_model(
    spec: str,
    variant: str | None,
    settings: list[str] | None,
    root: Path | None,
    features: str | None = None,
    only: bool = False,
) -> Model:
    """Load a spec with the options of the command line; raises SpecError or SpecErrors."""
    if only and features is None:
        raise typer.BadParameter(
            "it needs --features, such as --features layer2,layer3", param_hint="--features-only"
        )
    arguments = arguments_from_flags(settings or [], variant)
    if features is not None:
        arguments = replace(arguments, features=parse_features(features, only))
    return create_model(spec_source(spec), arguments, root)


def library_block(name: str) -> BlockDef:
    """Return a block of the library by its name."""
    # imported late: few commands need it
    from specbuild.frontend.editor_schema import find_library_block, library_block_names

    block = find_library_block(name)
    if block is not None:
        return block
    hint = suggest_closest(
        name, library_block_names(), otherwise="; `specbuild library list` lists all blocks"
    )
    raise typer.BadParameter(
        f"there is no block {make_printable(name)!r} in the library{hint}", param_hint="--block"
    )


def standalone_model(entry: BlockDef) -> Compilation:
    """Return the compilation of a model whose only step is this block, with inputs of typical sizes."""
    from specbuild.summary.examples import example_model

    model = example_model(entry)
    if model is None:
        message = f"there are no example inputs for {entry.name}; give a spec that uses it"
        raise typer.BadParameter(message, param_hint="--block")
    return model
