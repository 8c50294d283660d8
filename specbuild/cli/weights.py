"""`specbuild weights`: first weights, weights carried from file to file, and a look into files of them."""

from __future__ import annotations

import json
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from specbuild.cli import options
from specbuild.cli.terminal import ExitCode, exit_code, print_error, print_text
from specbuild.diagnostics.errors import SpecError, SpecErrors, format_errors, make_printable

if TYPE_CHECKING:
    from specbuild.weights.convert import ConversionOptions
    from specbuild.weights.statistics import TensorDifference, TensorStatistics

weights_command = typer.Typer(
    help="Weights: the first ones, trained ones from one framework to the other, and a look into their files.",
    no_args_is_help=True,
)

Names = Literal["specbuild", "torch", "keras"]
File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A file of weights: .safetensors, a state_dict in .pt or .pth, .weights.h5 or .keras.",
        show_default=False,
    ),
]
Target = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="What to write: .safetensors, .pt, .pth, .weights.h5 or .keras.",
        show_default=False,
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="NAMES",
        help="The names in the file: specbuild, torch, keras, or a layout that the spec has rules for, such as "
        "torchvision. Otherwise those that fit best.",
        show_default=False,
    ),
]
Into = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STEP",
        help="The step that a layout's weights are for, if not the model; may be given again: for each of them.",
        show_default=False,
    ),
]
To = Annotated[
    Names | None,
    typer.Option(
        "--to", help="The names in a .safetensors that is written; otherwise specbuild.", show_default=False
    ),
]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-missing",
        metavar="PATTERN",
        help="Steps or weights that begin anew where the file has none that fits; may be given again.",
        show_default=False,
    ),
]
Unused = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-unused",
        metavar="PATTERN",
        help="Entries of the file that are left out; may be given again.",
        show_default=False,
    ),
]
Adapt = Annotated[
    list[str] | None,
    typer.Option(
        "--adapt",
        metavar="PATTERN=MODE",
        help="Steps or weights that the file has in another size, and how they are made to fit. New input channels: "
        "repeat, mean, zero, random. Another grid of positions: resample, or resample(from=14x14, to=16x16, "
        "prefix=1) where it is not told by the model. May be given again.",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Of the random numbers that new weights begin with.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]
Nonfinite = Annotated[bool, typer.Option("--allow-nonfinite", help="Carry NaN and infinity as they are.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
SpecOption = Annotated[
    str | None,
    typer.Option("--spec", metavar="SPEC", help="The model that the weights are of.", show_default=False),
]


def conversion_choices(
    origin: str | None = None,
    target: str | None = None,
    into: list[str] | None = None,
    missing: list[str] | None = None,
    unused: list[str] | None = None,
    adapt: list[str] | None = None,
    not_finite: bool = False,
    seed: int = 0,
    force: bool = False,
) -> ConversionOptions:
    """What was said on the command line."""
    from specbuild.weights.adapt_options import parse_adaptation
    from specbuild.weights.convert import (
        ConversionOptions,  # only here: all else of specbuild starts without it
    )
    from specbuild.weights.matching import MatchExceptions

    declared = MatchExceptions(
        tuple(missing or ()), tuple(unused or ()), tuple(map(parse_adaptation, adapt or ()))
    )
    return ConversionOptions(origin, target, tuple(into or ()), declared, not_finite, seed, force)


@weights_command.command("init")
def write_initial_weights(
    spec: options.Spec,
    target: Target,
    seed: Seed = 0,
    to: To = None,
    variant: options.Variant = None,
    settings: options.Settings = None,
    features: options.Features = None,
    only: options.FeaturesOnly = False,
    force: Force = False,
    root: options.Root = None,
) -> None:
    """Write the weights that a model begins with: the same numbers for both frameworks."""
    from specbuild.weights import convert as transfer

    model = options.load_model(spec, variant, settings, root, features, only)
    count = transfer.write_initial_weights(
        model, target, conversion_choices(target=to, seed=seed, force=force)
    )
    print_text(
        f"{make_printable(str(target))}: {count} weights of {model.name}, {model.parameters:,} parameters\n"
    )


@weights_command.command("groups")
def list_parameter_groups(
    spec: options.Spec,
    layer_decay: Annotated[
        float,
        typer.Option(min=0, max=1, help="The rate of a layer, as a share of that of the one after it."),
    ] = 1.0,
    variant: options.Variant = None,
    settings: options.Settings = None,
    features: options.Features = None,
    only: options.FeaturesOnly = False,
    as_json: Json = False,
    root: options.Root = None,
) -> None:
    """Tell how an optimizer is to treat each weight: whether it decays, and at what share of the rate it learns.

    What is frozen is left out. `compile --with-optimizer-groups` writes the same as code.
    """
    from specbuild.compiler.param_groups import layer_levels, optimizer_records
    from specbuild.summary.table import align_columns  # only here: it reads the table of ops

    model = options.load_model(spec, variant, settings, root, features, only)
    if as_json:
        document = {
            "model": model.name,
            "layer_decay": layer_decay,
            "weights": optimizer_records(model.graph, layer_decay),
        }
        print_text(json.dumps(document, indent=2) + "\n")
        return
    found = layer_levels(model.graph)
    rows = [
        (
            str(level.layers_after),
            f"{layer_decay**level.layers_after:.4g}",
            *(f"{n:,}" for n in (*level.decaying, *level.others)),
            ", ".join(level.parts[:4]) + (f" and {len(level.parts) - 4} more" if level.parts[4:] else ""),
        )
        for level in found
    ]
    heads = ("layers after", "rate", "decay", "numbers", "do not", "numbers", "steps")
    print_text("\n".join(align_columns([heads, *rows], 0)) + "\n")
    decaying, others = (
        [sum(column) for column in zip(*some, strict=True)]
        for some in ([x.decaying for x in found] or [(0, 0)], [x.others for x in found] or [(0, 0)])
    )
    print_text(
        f"{model.name}: {decaying[0]} tensors with {decaying[1]:,} numbers decay, "
        f"{others[0]} with {others[1]:,} do not\n"
    )


@weights_command.command("convert")
def convert_file(
    spec: options.Spec,
    source: File,
    target: Target,
    origin: From = None,
    to: To = None,
    into: Into = None,
    missing: Missing = None,
    unused: Unused = None,
    adapt: Adapt = None,
    nonfinite: Nonfinite = False,
    seed: Seed = 0,
    variant: options.Variant = None,
    settings: options.Settings = None,
    features: options.Features = None,
    only: options.FeaturesOnly = False,
    force: Force = False,
    as_json: Json = False,
    root: options.Root = None,
) -> None:
    """Carry weights from a file into another, of the same framework or the other.

    Nothing is written unless every weight of the model gets its tensor and every tensor its place,
    but for what is declared by --allow-missing, --allow-unused and --adapt.
    """
    from specbuild.weights import convert as transfer

    try:
        choices = conversion_choices(origin, to, into, missing, unused, adapt, nonfinite, seed, force)
        told = transfer.convert_weights(
            options.load_model(spec, variant, settings, root, features, only), source, target, choices
        )
    except (SpecError, SpecErrors) as error:
        if as_json:
            print_text(
                json.dumps({"errors": json.loads(format_errors(error, format="json"))}, indent=2) + "\n"
            )
            raise typer.Exit(exit_code(error)) from None
        raise
    fault = None if told.is_complete else told.mismatch_error(str(source))
    if as_json:
        errors = json.loads(format_errors(fault, format="json")) if fault else []
        written = None if fault else make_printable(str(target), 4096)
        print_text(json.dumps({"file": written, **told.to_json(), "errors": errors}, indent=2) + "\n")
    else:
        print_text("".join(f"{text}\n" for text in told.format_lines()))
        if fault is None:
            print_text(f"wrote {make_printable(str(target), 4096)}\n")
        else:
            print_error(fault)
    if fault:
        raise typer.Exit(ExitCode.FOUND)


@weights_command.command("inspect")
def inspect_file(
    source: File,
    spec: SpecOption = None,
    origin: From = None,
    into: Into = None,
    variant: options.Variant = None,
    settings: options.Settings = None,
    as_json: Json = False,
    root: options.Root = None,
) -> None:
    """List what a file of weights holds; with --spec under the model's own paths, and whether all fits."""
    from specbuild.weights import convert as transfer

    model = options.load_model(spec, variant, settings, root) if spec else None
    lines, told = transfer.inspect_weights(source, model, conversion_choices(origin, into=into))
    bad = sum(line.not_finite for line in lines)
    if as_json:
        document = {"weights": [line.to_json() for line in lines], "report": told and told.to_json()}
        print_text(json.dumps(document, indent=2) + "\n")
    else:
        print_statistics(lines)
        print_text("".join(f"{text}\n" for text in told.format_lines()) if told else "")
    if bad or (told and not told.is_complete):
        raise typer.Exit(ExitCode.FOUND)


def print_statistics(lines: list[TensorStatistics]) -> None:
    """One row a tensor, and the sum."""
    heads = ("weight", "shape", "type", "least", "largest", "mean", "deviation")
    rows = [
        (
            make_printable(x.name),
            str(x.shape),
            x.dtype,
            *("-" if n is None else f"{n:.4g}" for n in (x.low, x.high, x.mean, x.deviation)),
        )
        for x in lines
    ]
    wide = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row, line in zip((heads, *rows), (None, *lines), strict=True):
        cells = [c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(row, wide, strict=True))]
        bad = f"  {line.not_finite:,} not finite" if line and line.not_finite else ""
        print_text(f"{'  '.join(cells)}{bad}".rstrip() + "\n")
    numbers = sum(line.element_count for line in lines)
    print_text(f"{len(lines)} tensors, {numbers:,} numbers\n")


@weights_command.command("compare")
def compare_files(
    first: File,
    second: File,
    spec: SpecOption = None,
    origin: From = None,
    into: Into = None,
    tolerance: Annotated[
        float,
        typer.Option(min=0, help="The largest difference that passes, over the largest number of a tensor."),
    ] = 0.0,
    variant: options.Variant = None,
    settings: options.Settings = None,
    as_json: Json = False,
    root: options.Root = None,
) -> None:
    """Compare two files of weights; with --spec they may be of different frameworks."""
    from specbuild.weights import convert as transfer

    if not isfinite(tolerance):
        raise typer.BadParameter("it is no number", param_hint="--tolerance")
    model = options.load_model(spec, variant, settings, root) if spec else None
    found = list(transfer.compare_weights(first, second, model, conversion_choices(origin, into=into)))
    apart = [d for d in found if d.relative is None or d.relative > tolerance]
    if as_json:
        print_text(
            json.dumps({"equal": len(found) - len(apart), "apart": [d.to_json() for d in apart]}, indent=2)
            + "\n"
        )
    else:
        print_text(format_comparison(len(found) - len(apart), found, tolerance))
        print_text("".join(f"  {make_printable(d.name, 400)}  {d}\n" for d in apart))
    if apart:
        raise typer.Exit(ExitCode.FOUND)


def format_comparison(equal: int, found: list[TensorDifference], tolerance: float) -> str:
    within = f" within {tolerance:g}" if tolerance else ""
    worst = max((d for d in found if d.relative is not None), key=lambda d: d.relative or 0.0, default=None)
    most = (
        f"; the largest difference is {worst.relative:.1e}, of {make_printable(worst.name, 400)}"
        if worst and worst.relative
        else ""
    )
    return f"{equal} of {len(found)} equal{within}{most}\n"
