"""`specbuild expand`: many models from one spec, with a manifest."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from specbuild.backends import BACKEND_NAMES
from specbuild.cli import options
from specbuild.cli.completion import complete_setting, complete_variant
from specbuild.cli.json_output import make_document, print_document, print_errors_as_json
from specbuild.cli.show import check_limit
from specbuild.cli.terminal import ExitCode, log_line, print_error, print_text
from specbuild.compiler.output_files import create_folder, read_output, replace_file, write_error
from specbuild.compiler.pipeline import open_spec
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.diagnostics.suggestions import list_some
from specbuild.summary.budget import parse_amount
from specbuild.sweep.expansion import ExpandedPoint, expand_points
from specbuild.sweep.folder_use import is_only_user, use_folder
from specbuild.sweep.grid import MAX_POINTS, ValueGrid, choose_points, parse_grid
from specbuild.sweep.stale_files import find_stale_files, remove_stale_files

MANIFEST = re.compile(r'(\{"specbuild": "\d+", .*\}\n)*')


def check_shard(value: str) -> str:
    """Return the value if it is a shard such as 1/4."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", value)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise typer.BadParameter("a shard is written as 1/4, the first of four")
    return value


Target = Annotated[
    Path,
    options.output_option("FOLDER", "The folder for the files and the manifest."),
]
Values = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUES",
        help="The values of a parameter, separated by commas; each is YAML. Repeat for more parameters.",
        autocompletion=complete_setting,
        show_default=False,
    ),
]
Variants = Annotated[
    str | None,
    typer.Option(
        "--variant",
        metavar="NAMES",
        help="Variants of the spec, separated by commas.",
        autocompletion=complete_variant,
        show_default=False,
    ),
]
Sample = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Expand N random points of the grid.", show_default=False),
]
Seed = Annotated[int, options.seed_option("The seed of the sample.")]
MaxParams = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER",
        help="Write no model with more parameters than this, such as 25M.",
        callback=check_limit,
        show_default=False,
    ),
]
Shard = Annotated[
    str,
    typer.Option(
        metavar="I/N",
        help="Expand this part of the points, such as 1/4: several machines can share the work and the folder.",
        callback=check_shard,
    ),
]
SkipInvalid = Annotated[
    bool, typer.Option("--skip-invalid", help="Points that the spec refuses are no error.")
]

Prune = Annotated[
    bool, typer.Option("--prune", help="Remove files of earlier runs that no manifest in the folder lists.")
]


# Many parameters: typer reads the options of a command from its signature.
def expand_command(
    spec: options.Spec,
    target: Target,
    settings: Values = None,
    variant: Variants = None,
    backend: options.Backend = "all",
    sample: Sample = None,
    seed: Seed = 0,
    max_params: MaxParams = None,
    shard: Shard = "1/1",
    skip_invalid: SkipInvalid = False,
    prune: Prune = False,
    as_json: options.Json = False,
    root: options.Root = None,
) -> None:
    """Compile a spec with all combinations of parameter values and variants, and list the models in a manifest.

    Each line of manifest.jsonl is the JSON document of one point: what was set, parameters, multiply-adds, and the files.
    Files are named by their content, so points with the same code share them.

    specbuild expand net.yaml --set width=16,32 --variant small,large -o sweep/
    """
    grid = parse_grid(settings or [], variant)
    if not grid.axes:
        raise typer.BadParameter(
            "give the values of a parameter, such as --set width=16,32", param_hint="--set"
        )
    part = tuple(map(int, shard.split("/")))
    points = choose_grid_points(grid, sample, seed, (part[0], part[1]))
    with print_errors_as_json("expand", as_json):
        opened_spec, files = open_spec(options.spec_source(spec), root)
        grid.check_names(opened_spec)
        limit = None if max_params is None else parse_amount(max_params)
        backends = BACKEND_NAMES if backend == "all" else (backend,)
        create_folder(target)
        with use_folder(target) as descriptor:
            found = list(expand_points(opened_spec, files, grid, points, backends, target, limit))
            manifest = target / (
                "manifest.jsonl" if part[1] == 1 else f"manifest-{part[0]}-of-{part[1]}.jsonl"
            )
            write_manifest(manifest, found)
            is_alone = is_only_user(descriptor)
            if is_alone or (is_alone is None and part[1] == 1):
                report_stale_files(target, prune)
            elif prune:
                log_line("note: --prune removed nothing, since another run may be writing to this folder")
    report_points(manifest, found, skip_invalid, as_json)


def report_points(manifest: Path, found: list[ExpandedPoint], skip_invalid: bool, as_json: bool) -> None:
    """Print what was expanded; end the command if the spec refused a point, unless such points are no error."""
    errors = [error for point in found if point.errors is not None for error in point.errors.errors]
    failure = None
    if errors and not skip_invalid:
        failure = SpecErrors({str(error): error for error in errors}.values())
    if as_json:
        records = [point.point_record() for point in found]
        print_document("expand", {"manifest": str(manifest), "points": records}, failure)
    else:
        print_text(f"{manifest}: {describe_points(found)}\n")
    if failure is None:
        return
    if not as_json:
        print_error(failure)
        log_line("hint: --skip-invalid leaves such points out")
    raise typer.Exit(ExitCode.INVALID)


def report_stale_files(folder: Path, prune: bool) -> None:
    """Say which files in the folder no manifest lists, or remove them. Raises SB702 if it is not known which ones."""
    try:
        stale = find_stale_files(folder)
    except SpecError as error:
        if prune:
            raise
        log_line(f"note: {error.message}")
        return
    if not stale:
        return
    names, plural = list_some(path.name for path in stale), "s" * (len(stale) != 1)
    if prune:
        remove_stale_files(stale)
        log_line(f"removed {len(stale)} file{plural} of earlier runs: {names}")
    else:
        log_line(
            f"note: {len(stale)} file{plural} of earlier runs in no manifest: {names}; --prune removes them"
        )


def choose_grid_points(grid: ValueGrid, sample: int | None, seed: int, shard: tuple[int, int]) -> list[int]:
    """Return the points to expand; too many of them are a usage error."""
    count = grid.size if sample is None else min(sample, grid.size)
    if count / shard[1] > MAX_POINTS:
        message = f"the grid has {grid.size:,} points, and a run expands at most {MAX_POINTS:,}"
        raise typer.BadParameter(
            f"{message}; choose some with --sample, or split them with --shard", param_hint="--set"
        )
    return choose_points(grid.size, sample, seed, shard)


def write_manifest(path: Path, points: list[ExpandedPoint]) -> None:
    """Write a line for each point. Raises SB702 if the existing file is no manifest."""
    current = read_output(path)
    if current is None or not MANIFEST.fullmatch(current):
        raise write_error(path, "a file exists there that is no manifest", "give another folder")
    lines = [json.dumps(make_document("expand", point.point_record(), point.errors)) for point in points]
    create_folder(path.parent)
    replace_file(path, "".join(f"{line}\n" for line in lines))


def describe_points(points: list[ExpandedPoint]) -> str:
    """Return how many points there are of each status."""
    counts: dict[str, int] = {}
    for point in points:
        status = point.status.replace("_", " ")
        counts[status] = counts.get(status, 0) + 1
    plural = "s" * (len(points) != 1)
    return f"{len(points)} point{plural}: " + (
        ", ".join(f"{n} {status}" for status, n in counts.items()) or "none"
    )
