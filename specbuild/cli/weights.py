"""`specbuild weights`: write initial weights, convert weight files, inspect and compare them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specbuild.api import Model
from specbuild.backends.registry import BACKEND_NAMES, all_backend_names
from specbuild.cli import options
from specbuild.cli.json_output import print_document, print_errors_as_json
from specbuild.cli.terminal import ExitCode, print_error, print_text, suggest_closest
from specbuild.diagnostics.errors import SpecError, make_printable

if TYPE_CHECKING:
    from specbuild.compiler.parameter_groups import LayerLevel
    from specbuild.weights.convert import ConversionOptions
    from specbuild.weights.matching import MatchExceptions
    from specbuild.weights.report import WeightReport
    from specbuild.weights.statistics import TensorDifference, TensorStatistics

weights_command = typer.Typer(
    help="Write initial weights, convert trained ones between frameworks, inspect and compare weight files.",
    no_args_is_help=True,
)

File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A weight file: .safetensors, a state_dict in .pt or .pth, .weights.h5 or .keras.",
        show_default=False,
    ),
]
Target = Annotated[
    Path,
    options.output_option("FILE", "The output file: .safetensors, .pt, .pth, .weights.h5 or .keras."),
]
Into = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STEP",
        help="The step that published weights are for, if not the whole model. Repeat to load several steps.",
        show_default=False,
    ),
]


def check_target_names(value: str | None) -> str | None:
    """Return the value if it is `specbuild` or the name of a backend."""
    if value in (None, "specbuild", *BACKEND_NAMES):
        return value
    known = ("specbuild", *all_backend_names())
    if value in known:
        return value
    hint = suggest_closest(value, known)
    raise typer.BadParameter(f"{make_printable(value)!r} is not one of {', '.join(known)}{hint}")


To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="NAMES",
        help="The names in a .safetensors output file: specbuild, or a backend such as torch. Default: specbuild.",
        show_default=False,
        callback=check_target_names,
    ),
]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-missing",
        metavar="PATTERN",
        help="Steps or weights that may be missing in the file: they get initial values. Repeat for more.",
        show_default=False,
    ),
]
Unused = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-unused",
        metavar="PATTERN",
        help="Entries of the file that may stay unused. Repeat for more.",
        show_default=False,
    ),
]
Adapt = Annotated[
    list[str] | None,
    typer.Option(
        "--adapt",
        metavar="PATTERN=MODE",
        help="Steps or weights with another shape in the file, and how to adapt them. For other input "
        "channels: repeat, mean, zero, random. For another grid of positions: resample, or "
        "resample(from=14x14, to=16x16, prefix=1) if the model does not state its grid. Repeat for more.",
        show_default=False,
    ),
]
Seed = Annotated[int, options.seed_option("The seed of the random initial weights.")]
Nonfinite = Annotated[bool, typer.Option("--allow-nonfinite", help="Accept NaN and infinity.")]
LayerDecay = Annotated[
    float,
    typer.Option(min=0, max=1, help="The learning rate of a layer, divided by that of the next layer."),
]
Tolerance = Annotated[
    float,
    typer.Option(
        min=0, help="The largest difference that is accepted, relative to the largest value of a tensor."
    ),
]
SpecOption = Annotated[
    str | None,
    typer.Option("--spec", metavar="SPEC", help="The spec of the model.", show_default=False),
]

# Many parameters below: typer reads the options of a command from its signature.


@weights_command.command("init")
def init_weights(
    spec: options.Spec,
    target: Target,
    seed: Seed = 0,
    to: To = None,
    variant: options.Variant = None,
    settings: options.Settings = None,
    features: options.Features = None,
    only: options.FeaturesOnly = False,
    force: options.Force = False,
    as_json: options.Json = False,
    root: options.Root = None,
) -> None:
    """Write the initial weights of a model: the same numbers for both frameworks."""
    from specbuild.weights import convert

    with print_errors_as_json("weights init", as_json):
        model = options.load_model(spec, variant, settings, root, features, only)
        count = convert.write_initial_weights(
            model, target, convert.ConversionOptions(target_names=to, seed=seed, force=force)
        )
    if as_json:
        file = make_printable(str(target), 4096)
        content = {"file": file, "model": model.name, "weights": count, "parameters": model.parameters}
        print_document("weights init", content)
        return
    print_text(
        f"{make_printable(str(target))}: {count} weights of {model.name}, {model.parameters:,} parameters\n"
    )


@weights_command.command("groups")
def list_parameter_groups(
    spec: options.Spec,
    layer_decay: LayerDecay = 1.0,
    variant: options.Variant = None,
    settings: options.Settings = None,
    features: options.Features = None,
    only: options.FeaturesOnly = False,
    as_json: options.Json = False,
    root: options.Root = None,
) -> None:
    """Show the optimizer settings of each weight: whether it decays, and the learning rate of its layer.

    Frozen weights are left out. `compile --with-optimizer-groups` writes the same as code.
    """
    from specbuild.compiler.parameter_groups import layer_levels, optimizer_records

    with print_errors_as_json("weights groups", as_json):
        model = options.load_model(spec, variant, settings, root, features, only)
    if as_json:
        records = optimizer_records(model.graph, layer_decay)
        print_document(
            "weights groups", {"model": model.name, "layer_decay": layer_decay, "weights": records}
        )
    else:
        print_text(format_levels(layer_levels(model.graph), layer_decay, model))


def format_levels(levels: Sequence[LayerLevel], layer_decay: float, model: Model) -> str:
    """Return a table with one row for each group of layers that learn at the same rate, and the totals."""
    from specbuild.summary.table import align_columns  # imported late: it imports all ops

    headings = ("layers after", "rate", "decay", "numbers", "do not", "numbers", "steps")
    rows = [
        (
            str(level.layers_after),
            f"{layer_decay**level.layers_after:.4g}",
            *(f"{n:,}" for n in (*level.decaying, *level.others)),
            ", ".join(level.parts[:4]) + (f" and {len(level.parts) - 4} more" if level.parts[4:] else ""),
        )
        for level in levels
    ]
    table = "\n".join(align_columns([headings, *rows], 0))
    decaying, others = (
        [sum(column) for column in zip((0, 0), *counts, strict=True)]
        for counts in ([level.decaying for level in levels], [level.others for level in levels])
    )
    return (
        f"{table}\n{model.name}: {decaying[0]} tensors with {decaying[1]:,} numbers decay, "
        f"{others[0]} with {others[1]:,} do not\n"
    )


@weights_command.command("convert")
def convert_file(
    spec: options.Spec,
    source: File,
    target: Target,
    origin: options.NamesFrom = None,
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
    force: options.Force = False,
    as_json: options.Json = False,
    root: options.Root = None,
) -> None:
    """Convert a weight file to another file, of the same framework or of the other.

    Nothing is written unless every weight of the model gets a tensor and every tensor is used.
    --allow-missing, --allow-unused and --adapt declare exceptions.
    """
    from specbuild.weights.convert import ConversionOptions, convert_weights

    with print_errors_as_json("weights convert", as_json):
        conversion = ConversionOptions(
            source_names=origin,
            target_names=to,
            into=tuple(into or ()),
            exceptions=match_exceptions(missing, unused, adapt),
            allow_nonfinite=nonfinite,
            seed=seed,
            force=force,
        )
        model = options.load_model(spec, variant, settings, root, features, only)
        report = convert_weights(model, source, target, conversion)
    mismatch = None if report.is_complete else report.mismatch_error(str(source))
    print_conversion(report, target, mismatch, as_json)
    if mismatch:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def match_exceptions(
    missing: Iterable[str] | None, unused: Iterable[str] | None, adapt: Iterable[str] | None
) -> MatchExceptions:
    from specbuild.weights.adapt_options import parse_adaptation
    from specbuild.weights.matching import MatchExceptions

    return MatchExceptions(
        tuple(missing or ()), tuple(unused or ()), tuple(map(parse_adaptation, adapt or ()))
    )


def print_conversion(report: WeightReport, target: Path, mismatch: SpecError | None, as_json: bool) -> None:
    """Print what a conversion matched, and the file it wrote or why it wrote none."""
    file = make_printable(str(target), 4096)
    if as_json:
        content = {"file": None if mismatch else file, **report.to_json()}
        print_document("weights convert", content, mismatch)
        return
    print_text("".join(f"{line}\n" for line in report.format_lines()))
    if mismatch:
        print_error(mismatch)
    else:
        print_text(f"wrote {file}\n")


@weights_command.command("inspect")
def inspect_file(
    source: File,
    spec: SpecOption = None,
    origin: options.NamesFrom = None,
    into: Into = None,
    variant: options.Variant = None,
    settings: options.Settings = None,
    as_json: options.Json = False,
    root: options.Root = None,
) -> None:
    """List the tensors of a weight file. With --spec, use the model's paths, and report whether all match."""
    from specbuild.weights.convert import inspect_weights

    with print_errors_as_json("weights inspect", as_json):
        model = options.load_model(spec, variant, settings, root) if spec else None
        tensors, report = inspect_weights(source, model, naming_options(origin, into))
    if as_json:
        records = [tensor.to_json() for tensor in tensors]
        print_document("weights inspect", {"weights": records, "report": report and report.to_json()})
    else:
        print_statistics(tensors)
        print_text("".join(f"{line}\n" for line in report.format_lines()) if report else "")
    has_nonfinite = any(tensor.not_finite for tensor in tensors)
    if has_nonfinite or (report and not report.is_complete):
        raise typer.Exit(ExitCode.CHECK_FAILED)


def naming_options(origin: str | None, into: Iterable[str] | None) -> ConversionOptions:
    from specbuild.weights.convert import ConversionOptions

    return ConversionOptions(source_names=origin, into=tuple(into or ()))


def print_statistics(tensors: Sequence[TensorStatistics]) -> None:
    """Print one row for each tensor, and the totals."""
    headings = ("weight", "shape", "type", "least", "largest", "mean", "deviation")
    rows = [
        (
            make_printable(x.name),
            str(x.shape),
            x.dtype,
            *("-" if n is None else f"{n:.4g}" for n in (x.low, x.high, x.mean, x.deviation)),
        )
        for x in tensors
    ]
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row, tensor in zip((headings, *rows), (None, *tensors), strict=True):
        cells = [
            c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        warning = f"  {tensor.not_finite:,} not finite" if tensor and tensor.not_finite else ""
        print_text(f"{'  '.join(cells)}{warning}".rstrip() + "\n")
    numbers = sum(tensor.element_count for tensor in tensors)
    print_text(f"{len(tensors)} tensors, {numbers:,} numbers\n")


@weights_command.command("compare")
def compare_files(
    first: File,
    second: File,
    spec: SpecOption = None,
    origin: options.NamesFrom = None,
    into: Into = None,
    tolerance: Tolerance = 0.0,
    variant: options.Variant = None,
    settings: options.Settings = None,
    as_json: options.Json = False,
    root: options.Root = None,
) -> None:
    """Compare two weight files. With --spec, they may be of different frameworks."""
    from specbuild.weights.convert import compare_weights

    if not isfinite(tolerance):
        raise typer.BadParameter("it is not a number", param_hint="--tolerance")
    with print_errors_as_json("weights compare", as_json):
        model = options.load_model(spec, variant, settings, root) if spec else None
        differences = list(compare_weights(first, second, model, naming_options(origin, into)))
    unequal = [d for d in differences if d.relative is None or d.relative > tolerance]
    if as_json:
        equal = len(differences) - len(unequal)
        print_document("weights compare", {"equal": equal, "different": [d.to_json() for d in unequal]})
    else:
        print_text(format_comparison(len(differences) - len(unequal), differences, tolerance))
        print_text("".join(f"  {make_printable(d.name, 400)}  {d}\n" for d in unequal))
    if unequal:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def format_comparison(equal: int, differences: Sequence[TensorDifference], tolerance: float) -> str:
    """Return one line: how many tensors are equal, and the largest difference."""
    within = f" within {tolerance:g}" if tolerance else ""
    worst = max(
        (d for d in differences if d.relative is not None), key=lambda d: d.relative or 0.0, default=None
    )
    largest = (
        f"; the largest difference is {worst.relative:.1e}, of {make_printable(worst.name, 400)}"
        if worst and worst.relative
        else ""
    )
    return f"{equal} of {len(differences)} equal{within}{largest}\n"
