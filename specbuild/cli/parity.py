"""`specbuild parity`: do the emitted files of several backends compute the same?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from msgspec import Struct
from msgspec.structs import replace

from specbuild.api import Model
from specbuild.cli import options
from specbuild.cli.completion import complete_backends, complete_block
from specbuild.cli.parity_output import WorkerRecord, print_report, stop_with_error
from specbuild.cli.terminal import exit_code, suggest_closest
from specbuild.diagnostics.errors import SpecError, SpecErrors, make_printable
from specbuild.weights.framework_files import require_numpy

if TYPE_CHECKING:
    from specbuild.parity.case import ParityCase
    from specbuild.parity.compare import ParityReport
    from specbuild.parity.participants import Lineup
    from specbuild.parity.result import ParityResult
    from specbuild.runtimes.jobs import DType, Mode, WorkerOptions

Specs = Annotated[
    list[str] | None,
    typer.Argument(metavar="SPEC", help="Spec files; - reads stdin.", show_default=False),
]
LibraryBlocks = Annotated[
    list[str] | None,
    typer.Option(
        "--block",
        metavar="NAME",
        help="A block or a model of the library, by itself. Repeat for more.",
        autocompletion=complete_block,
        show_default=False,
    ),
]
ModeOption = Annotated[
    Literal["all", "forward", "gradients", "train"],
    typer.Option(
        help="What to compare: outputs and steps, gradients, or a training step. Default: all that the "
        "backends can run.",
        show_default=False,
    ),
]
DTypeOption = Annotated[
    Literal["float64", "float32", "bfloat16", "float16"], typer.Option(help="The number type.")
]
DeviceOption = Annotated[Literal["cpu", "cuda"], typer.Option(help="The device.")]
Backends = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="The backends to compare, separated by commas. The first is the reference. Default: torch,keras.",
        autocompletion=complete_backends,
        show_default=False,
    ),
]
RuntimeOption = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        "--keras-runtime",
        metavar="NAME",
        help="The runtime of a backend that has several: tensorflow, jax or torch for Keras; or all. "
        "Default: the first.",
        show_default=False,
    ),
]
Batch = Annotated[int, typer.Option(min=1, max=65536, help="The batch size.")]
Seed = Annotated[int, options.seed_option("The seed of the random weights and inputs.")]
SeedCount = Annotated[int, typer.Option(min=1, help="How many seeds to run, counting up from --seed.")]
Tf32 = Annotated[
    bool,
    typer.Option("--tf32", help="Let a GPU round float32 matrix products to TF32. Default: full precision."),
]
Depth = Annotated[int, typer.Option(min=1, help="How many levels of blocks the tables show.")]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="How many specs run in parallel. Default: from the number of cores and free memory.",
        show_default=False,
    ),
]
Timeout = Annotated[
    int, typer.Option(min=1, max=10**6, help="The time limit of one framework for one run, in seconds.")
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", help="Also list the switches of each framework, which keep results exact."
    ),
]
ReportFormat = Annotated[Literal["text", "markdown", "json"], typer.Option(help="The format of the report.")]
AsJson = Annotated[bool, typer.Option("--json", help="The same as --format json.")]


class ParitySettings(Struct, frozen=True):
    """What every spec is run with."""

    modes: tuple[Mode, ...]
    dtype: DType
    batch: int
    seeds: range
    lineup: Lineup
    worker: WorkerOptions
    jobs: int | None  # how many specs run in parallel


# Many parameters: typer reads the options of a command from its signature.
def parity_command(
    specs: Specs = None,
    blocks: LibraryBlocks = None,
    mode: ModeOption = "all",
    dtype: DTypeOption = "float64",
    device: DeviceOption = "cpu",
    backends: Backends = None,
    runtime: RuntimeOption = None,
    batch: Batch = 2,
    seed: Seed = 0,
    seeds: SeedCount = 1,
    tf32: Tf32 = False,
    depth: Depth = 1,
    jobs: Jobs = None,
    timeout: Timeout = 900,
    variant: options.Variant = None,
    settings: options.Settings = None,
    features: options.Features = None,
    only: options.FeaturesOnly = False,
    verbose: Verbose = False,
    format: ReportFormat = "text",
    as_json: AsJson = False,
    root: options.Root = None,
) -> None:
    """Run the emitted files of several backends on the same inputs and weights, and compare every step.

    Each framework runs in its own process. Weights and inputs are random, scaled to keep values near one.
    Below float64, the results are also compared with the reference in float64: a difference no larger than
    the rounding errors is reported as `rounded`, and is not an error.
    """
    require_numpy("parity needs")
    if tf32 and (device != "cuda" or dtype != "float32"):
        raise typer.BadParameter("it needs --device cuda and --dtype float32", param_hint="--tf32")
    from specbuild.parity.participants import require_runtime_packages
    from specbuild.runtimes.jobs import WorkerOptions

    def load_spec(spec: str, root: Path | None = root) -> Model:
        return options.load_model(spec, variant, settings, root, features, only)

    output_format = "json" if as_json else format
    errors: list[SpecError] = []
    try:
        lineup = parse_lineup(backends, runtime)
        modes = lineup.modes if mode == "all" else (mode,)
        lineup.require_support(modes, dtype)
        parity_settings = ParitySettings(
            modes=modes,
            dtype=dtype,
            batch=batch,
            seeds=range(seed, seed + seeds),
            lineup=lineup,
            worker=WorkerOptions(device, tf32, timeout),
            jobs=jobs,
        )
        require_runtime_packages(parity_settings.lineup)
        has_arguments = bool(variant or settings or features)
        load_case = partial(load_spec_case, load=load_spec, backends=list(parity_settings.lineup.backends))
        builders = case_builders(specs or [], blocks or [], load_case, variant, has_arguments)
        results, workers = run_parity(build_cases(builders, parity_settings, errors), parity_settings)
    except SpecError as error:  # a framework is missing or does not start, or there is no GPU
        stop_with_error(error, errors, output_format)
    errors += [e for result in results if (e := result.parity_error()) is not None]
    print_report(results, workers, errors, output_format, depth, verbose)
    if errors:
        raise typer.Exit(exit_code(SpecErrors(errors)))


def parse_lineup(backends: str | None, runtime: str | None) -> Lineup:
    """Return what --backends and --runtime choose."""
    from specbuild.backends import BACKEND_NAMES
    from specbuild.parity.participants import runtime_names, select_lineup

    names = [name.strip() for name in backends.split(",")] if backends else list(BACKEND_NAMES)
    if len(names) < 2 or len(set(names)) < len(names):
        raise typer.BadParameter(
            "give two or more different backends, such as torch,keras", param_hint="--backends"
        )
    known = (*runtime_names(names), "all")
    if runtime is not None and runtime not in known:
        hint = suggest_closest(runtime, known)
        message = f"{make_printable(runtime)!r} is not one of {', '.join(known)}{hint}"
        raise typer.BadParameter(message, param_hint="--runtime")
    return select_lineup(None if runtime == "all" else (runtime or "",), names)


def case_builders(
    specs: list[str],
    blocks: list[str],
    load_case: Callable[..., ParityCase],
    variant: str | None,
    has_arguments: bool,
) -> dict[str, Callable[[], ParityCase]]:
    """Return a function for each spec and library block that builds its case; no spec is loaded yet."""
    if not specs and not blocks:
        raise typer.BadParameter("give a spec, or a block of the library with --block", param_hint="SPEC")
    suffix = f" {variant}" if variant else ""
    builders = {name + suffix: library_case_builder(name, load_case, has_arguments) for name in blocks}
    return builders | {spec: partial(load_case, spec) for spec in options.check_stdin_once(specs)}


def load_spec_case(
    spec: str, load: Callable[..., Model], backends: Sequence[str], **arguments: Any
) -> ParityCase:
    """Return the case of a spec, with the files that `specbuild compile` writes."""
    from specbuild.parity.case import ParityCase

    model = load(spec, **arguments)
    sources = {backend: model.source(backend) for backend in backends}
    return ParityCase(
        spec,
        model.graph,
        sources=sources,
        steps=True,
        calibrate=True,
        digest=model.digest,
        resized=model.compilation.resized,
        compiler=model.compilation.compiler,
    )


def library_case_builder(
    name: str, load_case: Callable[..., ParityCase], has_arguments: bool
) -> Callable[[], ParityCase]:
    """Return a function that builds the case of a block or a model of the library.

    Only a model has variants, parameters and features: for a block, `has_arguments` is a usage error.
    """
    from specbuild.parity.case import ParityCase

    entry = options.library_block(name)
    if entry.model is not None:
        from specbuild.frontend.library import library_index

        return lambda: replace(load_case(str(library_index()[name]), root=None), name=name)
    if has_arguments:
        message = f"{name} is a block, not a model: it has no variants, parameters or features"
        raise typer.BadParameter(message, param_hint="--block")
    example = options.standalone_model(entry)
    return lambda: ParityCase(name, example.graph, steps=True, calibrate=True, compiler=example.compiler)


def build_cases(
    builders: Mapping[str, Callable[[], ParityCase]], settings: ParitySettings, errors: list[SpecError]
) -> dict[tuple[str, int], ParityCase]:
    """Build a case for each spec and seed. An invalid spec is left out; its errors are added to `errors`."""
    cases = {}
    for spec, build_case in builders.items():
        try:
            case = build_case()
        except SpecError as error:
            errors.append(error)
            continue
        except SpecErrors as error:
            errors += error.errors
            continue
        at_sizes = {spec: case} | {f"{spec} at {label}": x for label, x in case.at_other_sizes().items()}
        for name, sized in at_sizes.items():
            for seed in settings.seeds:
                cases[name, seed] = replace(
                    sized,
                    name=f"{sized.name} seed {seed}",
                    modes=settings.modes,
                    dtype=settings.dtype,
                    batch=settings.batch,
                    seed=seed,
                )
    return cases


def run_parity(
    cases: Mapping[tuple[str, int], ParityCase], settings: ParitySettings
) -> tuple[Sequence[ParityResult], Sequence[WorkerRecord]]:
    """Run the cases of each spec and seed on every runtime.

    Return a result for each spec and runtime, over all seeds, and the settings of the worker processes.
    Raises SpecError SB603 if a framework does not start, and SB604 if there is no GPU.
    """
    from specbuild.parity.result import ParityResult
    from specbuild.parity.session import run_cases

    if not cases:
        return [], []
    spec_by_name = {case.name: spec for (spec, _), case in cases.items()}
    reports: dict[tuple[str, tuple[str, str]], list[ParityReport]] = {}
    with progress_bar(len(cases) * len(settings.lineup.others)) as advance:

        def add_report(report: ParityReport) -> None:
            spec = spec_by_name[report.name]
            reports.setdefault((spec, report.participants[1]), []).append(report)
            advance(spec)

        workers = run_cases(list(cases.values()), settings.worker, settings.lineup, add_report, settings.jobs)
    case_by_spec = {spec: case for (spec, _), case in cases.items()}
    results = [
        ParityResult(spec, case, reports[spec, other.key], settings.worker)
        for spec, case in case_by_spec.items()
        for other in settings.lineup.others
    ]
    return results, workers


@contextmanager
def progress_bar(count: int) -> Iterator[Callable[[str], Any]]:
    """Show a progress bar on a terminal; yield a function that advances it by one and names a spec."""
    if not sys.stderr.isatty():
        yield lambda spec: None
        return
    from rich.console import Console  # imported late: most runs show no bar
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting the frameworks", total=count)
        yield lambda spec: bar.update(task, advance=1, description=make_printable(spec, 60))
