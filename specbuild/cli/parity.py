"""`specbuild parity`: do both emitted files compute the same?"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from specbuild.api import Model
from specbuild.cli import options
from specbuild.cli.terminal import can_style, exit_code, print_error, print_text
from specbuild.diagnostics.errors import SpecError, SpecErrors, format_errors, make_printable
from specbuild.version import __version__
from specbuild.weights.framework_files import require_numpy

if TYPE_CHECKING:
    from specbuild.parity.compare import ParityReport
    from specbuild.parity.report import ParityResult, TextTable
    from specbuild.runtimes.jobs import ParityCase, Runtime


def parity_command(
    specs: Annotated[
        list[str] | None,
        typer.Argument(metavar="SPEC", help="Spec files; - reads standard input.", show_default=False),
    ] = None,
    blocks: Annotated[
        list[str] | None,
        typer.Option(
            "--block",
            metavar="NAME",
            help="A block or a model of the library, by itself; may be given again.",
            show_default=False,
        ),
    ] = None,
    mode: Annotated[
        Literal["all", "forward", "gradients", "train"], typer.Option(help="What is compared.")
    ] = "all",
    dtype: Annotated[
        Literal["float64", "float32", "bfloat16", "float16"], typer.Option(help="In which type.")
    ] = "float64",
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="On which device.")] = "cpu",
    runtime: Annotated[
        Literal["tensorflow", "jax", "torch", "all"],
        typer.Option("--keras-runtime", help="On what Keras runs."),
    ] = "tensorflow",
    batch: Annotated[int, typer.Option(min=1, max=65536, help="How many samples.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the random weights and inputs.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from --seed on.")] = 1,
    tf32: Annotated[
        bool, typer.Option("--tf32", help="Let a GPU round float32 products to TF32; it is off otherwise.")
    ] = False,
    depth: Annotated[int, typer.Option(min=1, help="How many levels of blocks are shown.")] = 1,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="How many specs at once; else by cores and memory.", show_default=False),
    ] = None,
    timeout: Annotated[
        int, typer.Option(min=1, max=10**6, help="Seconds for one framework and one run of a spec.")
    ] = 900,
    variant: options.Variant = None,
    settings: options.Settings = None,
    features: options.Features = None,
    only: options.FeaturesOnly = False,
    format: Annotated[
        Literal["text", "markdown", "json"], typer.Option(help="How the result is told.")
    ] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    root: options.Root = None,
) -> None:
    """Run both emitted files on the same inputs and weights, and compare every step.

    Each framework runs in a process of its own; weights and inputs are random, and well scaled. Below float64
    each is measured against PyTorch in float64 too: a difference that is rounding is told as such, and is no error.
    """
    require_numpy("parity needs", "torch,keras")
    if tf32 and (device != "cuda" or dtype != "float32"):
        raise typer.BadParameter("only products of float32 on a GPU are rounded so", param_hint="--tf32")
    from specbuild.parity import session
    from specbuild.parity.report import ParityResult
    from specbuild.runtimes.jobs import MODES, RUNTIMES, WorkerOptions

    runtimes: tuple[Runtime, ...] = RUNTIMES if runtime == "all" else (runtime,)
    faults: list[SpecError] = []
    cases: dict[str, ParityCase] = {}
    form = "json" if as_json else format
    lacking = partial(stop_with_error, form=form, faults=faults)
    try:
        session.require_packages(runtimes)
    except SpecError as error:
        lacking(error)
    if not specs and not blocks:
        raise typer.BadParameter("name a spec, or a block of the library with --block", param_hint="SPEC")
    called = f" {variant}" if variant else ""

    def load(spec: str, root: Path | None = root) -> Model:
        return options.load_model(spec, variant, settings, root, features, only)

    chosen = bool(variant or settings or features)
    makers = {name + called: library_case_maker(name, load, chosen) for name in blocks or ()}
    makers |= {spec: spec_case_maker(spec, load) for spec in options.check_stdin_once(specs or [])}
    for spec, make in makers.items():
        if (case := try_case(make, faults)) is not None:
            case.modes = MODES if mode == "all" else (mode,)
            case.dtype, case.batch = dtype, batch
            cases |= {f"{spec}\0{seed + i}": with_seed(case, seed + i) for i in range(seeds)}
    place = WorkerOptions(device, tf32, timeout)
    found: dict[tuple[str, str], list[ParityReport]] = {}
    hellos: list[dict[str, Any]] = []
    if cases:
        names = {case.name: key for key, case in cases.items()}
        with progress_bar(len(cases) * len(runtimes)) as advance:

            def done(said: ParityReport) -> None:
                spec = names[said.name].partition("\0")[0]
                found.setdefault((spec, said.runtime), []).append(said)
                advance(spec)

            try:
                hellos = session.run_cases(list(cases.values()), place, runtimes, done, jobs)
            except SpecError as error:  # a framework does not start, or there is no GPU
                lacking(error)
    order = {key.partition("\0")[0]: case for key, case in cases.items()}
    results = [
        ParityResult(spec, case, found[spec, r], place) for spec, case in order.items() for r in runtimes
    ]
    faults += [fault for result in results if (fault := result.parity_error()) is not None]
    if form == "json":
        print_text(json.dumps(parity_document(results, hellos, faults), indent=2) + "\n")
    else:
        print_results(results, hellos, depth, form)
        if faults and form == "markdown":
            print_text(
                "### errors\n\n" + "".join(f"- {fault.code}: {format_error(fault)}\n" for fault in faults)
            )
        if faults:
            print_error(SpecErrors(faults))
    if faults:
        raise typer.Exit(exit_code(SpecErrors(faults)))


def stop_with_error(error: SpecError, form: str, faults: list[SpecError]) -> NoReturn:
    """Nothing can be compared, for this reason; told with what was wrong before."""
    errors = SpecErrors([*faults, error])
    if form != "json":
        raise errors
    print_text(json.dumps(parity_document([], [], list(errors.errors)), indent=2) + "\n")
    raise typer.Exit(exit_code(errors))


def format_error(fault: SpecError) -> str:
    """The message with its place, for Markdown."""
    where = f"{fault.location.file}:{fault.location.line}: " if fault.location else ""
    return make_printable(f"{where}{fault.message}", 2000)


def try_case(make: Callable[[], ParityCase], faults: list[SpecError]) -> ParityCase | None:
    """One case; a fault in one does not stop the others."""
    try:
        return make()
    except SpecError as error:
        faults.append(error)
    except SpecErrors as errors:
        faults += errors.errors
    return None


def spec_case_maker(spec: str, load: Callable[..., Model]) -> Callable[[], ParityCase]:
    """What makes the case of a spec, with the files that a user would get."""

    def make_case() -> ParityCase:
        from specbuild.backends import BACKEND_NAMES
        from specbuild.runtimes.jobs import ParityCase

        model = load(spec)
        sources = {backend: model.source(backend) for backend in BACKEND_NAMES}
        return ParityCase(spec, model.graph, sources=sources, steps=True, calibrate=True, digest=model.digest)

    return make_case


def library_case_maker(name: str, load: Callable[..., Model], chosen: bool) -> Callable[[], ParityCase]:
    """What makes the case of a block of the library, or of a model, for which there may be choices."""
    from specbuild.runtimes.jobs import ParityCase

    entry = options.library_block(name)
    if entry.model is not None:
        from specbuild.frontend.resolver import library_index

        whole = spec_case_maker(str(library_index()[name]), partial(load, root=None))
        return lambda: replace(whole(), name=name)
    if chosen:
        message = f"{name} is no model: it has usual sizes, no variants and no features"
        raise typer.BadParameter(message, param_hint="--block")
    model = options.standalone_model(entry)
    return lambda: ParityCase(name, model, steps=True, calibrate=True)


def with_seed(case: ParityCase, seed: int) -> ParityCase:
    return replace(case, seed=seed, name=f"{case.name} seed {seed}")


@contextmanager
def progress_bar(count: int) -> Iterator[Callable[[str], None]]:
    """A bar on a terminal; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda spec: None
        return
    from rich.console import Console  # only here: most runs draw nothing
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("frameworks start", total=count)

        def advance(spec: str) -> None:
            bar.update(task, advance=1, description=make_printable(spec, 60))

        yield advance


def parity_document(
    results: list[ParityResult], hellos: list[dict[str, Any]], faults: list[SpecError]
) -> dict[str, Any]:
    return {
        "specbuild": __version__,
        "processes": hellos,
        "results": [result.to_json() for result in results],
        "errors": json.loads(format_errors(SpecErrors(faults), format="json")),
    }


def print_results(results: list[ParityResult], hellos: list[dict[str, Any]], depth: int, form: str) -> None:
    """The tables of every result, and how the processes were set."""
    from specbuild.parity.report import summary_table

    show = print_markdown if form == "markdown" else print_styled if can_style(sys.stdout) else print_plain
    for result in results:
        case = result.case
        title = (
            f"{make_printable(result.spec)}: {result.model.kind}, Keras on {result.runtime}: {result.verdict}"
        )
        how = f"{case.dtype} on {result.options.device}, batch {case.batch}"
        how += f", {len(result.reports)} seeds" if len(result.reports) > 1 else f", seed {case.seed}"
        show(f"{title} ({how})", result.kind_table(), [])
        if result.steps:
            show("", result.step_table(depth), list(result.format_notes()))
    if len(results) > 1:
        show("summary", summary_table(results), [])
    for hello in hellos:
        switches = [f"{s['name']} = {s['value']}" for s in hello["switches"]]
        show(f"{hello['framework']} on {hello['device']}", None, switches)


def print_plain(title: str, table: TextTable | None, lines: list[str]) -> None:
    text = f"{title}\n" if title else ""
    text += table.format_text() if table else ""
    print_text(text + "".join(f"  {line}\n" for line in lines) + "\n")


def print_markdown(title: str, table: TextTable | None, lines: list[str]) -> None:
    text = f"### {title}\n\n" if title else ""
    text += f"{table.format_markdown()}\n" if table else ""
    print_text(text + "".join(f"- {line}\n" for line in lines) + ("\n" if lines else ""))


def print_styled(title: str, table: TextTable | None, lines: list[str]) -> None:
    """On a terminal, what differs stands out."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    console = Console(markup=False, highlight=False, emoji=False)
    if title:
        console.print(Text(title, style="bold"), soft_wrap=True)
    if table is not None:
        grid = Grid(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
        for i, heading in enumerate(table.headings):
            grid.add_column(heading, justify="right" if i in table.numbers else "left", no_wrap=True)
        styles = {"differs": "bold red", "failed": "bold red", "close": "yellow", "rounded": "yellow"}
        for row in table.rows:
            style = next((styles[cell] for cell in row if cell in styles), "")
            grid.add_row(*map(Text, row), style=style)
        console.print(grid)
    for line in lines:
        console.print(Text(f"  {line}", style="dim"), soft_wrap=True)
