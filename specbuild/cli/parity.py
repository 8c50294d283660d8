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
from specbuild.cli.terminal import exit_code, out, report, styled
from specbuild.diagnostics.errors import SpecError, SpecErrors, printable, render
from specbuild.version import __version__
from specbuild.weights.worker_process import numbers

if TYPE_CHECKING:
    from specbuild.parity.compare import Report
    from specbuild.parity.report import Result, Table
    from specbuild.runtimes.jobs import Case, Runtime


def parity(
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
    numbers("parity needs", "torch,keras")
    if tf32 and (device != "cuda" or dtype != "float32"):
        raise typer.BadParameter("only products of float32 on a GPU are rounded so", param_hint="--tf32")
    from specbuild.parity import session
    from specbuild.parity.report import Result
    from specbuild.runtimes.jobs import MODES, RUNTIMES, Place

    runtimes: tuple[Runtime, ...] = RUNTIMES if runtime == "all" else (runtime,)
    faults: list[SpecError] = []
    cases: dict[str, Case] = {}
    form = "json" if as_json else format
    lacking = partial(ended, form=form, faults=faults)
    try:
        session.installed(runtimes)
    except SpecError as error:
        lacking(error)
    if not specs and not blocks:
        raise typer.BadParameter("name a spec, or a block of the library with --block", param_hint="SPEC")
    called = f" {variant}" if variant else ""

    def load(spec: str, root: Path | None = root) -> Model:
        return options.model(spec, variant, settings, root, features, only)

    chosen = bool(variant or settings or features)
    makers = {name + called: library_case(name, load, chosen) for name in blocks or ()}
    makers |= {spec: spec_case(spec, load) for spec in options.once(specs or [])}
    for spec, make in makers.items():
        if (case := made(make, faults)) is not None:
            case.modes = MODES if mode == "all" else (mode,)
            case.dtype, case.batch = dtype, batch
            cases |= {f"{spec}\0{seed + i}": seeded(case, seed + i) for i in range(seeds)}
    place = Place(device, tf32, timeout)
    found: dict[tuple[str, str], list[Report]] = {}
    hellos: list[dict[str, Any]] = []
    if cases:
        names = {case.name: key for key, case in cases.items()}
        with progress(len(cases) * len(runtimes)) as advance:

            def done(said: Report) -> None:
                spec = names[said.name].partition("\0")[0]
                found.setdefault((spec, said.runtime), []).append(said)
                advance(spec)

            try:
                hellos = session.run(list(cases.values()), place, runtimes, done, jobs)
            except SpecError as error:  # a framework does not start, or there is no GPU
                lacking(error)
    order = {key.partition("\0")[0]: case for key, case in cases.items()}
    results = [Result(spec, case, found[spec, r], place) for spec, case in order.items() for r in runtimes]
    faults += [fault for result in results if (fault := result.fault()) is not None]
    if form == "json":
        out(json.dumps(document(results, hellos, faults), indent=2) + "\n")
    else:
        told(results, hellos, depth, form)
        if faults and form == "markdown":
            out("### errors\n\n" + "".join(f"- {fault.code}: {line(fault)}\n" for fault in faults))
        if faults:
            report(SpecErrors(faults))
    if faults:
        raise typer.Exit(exit_code(SpecErrors(faults)))


def ended(error: SpecError, form: str, faults: list[SpecError]) -> NoReturn:
    """Nothing can be compared, for this reason; told with what was wrong before."""
    errors = SpecErrors([*faults, error])
    if form != "json":
        raise errors
    out(json.dumps(document([], [], list(errors.errors)), indent=2) + "\n")
    raise typer.Exit(exit_code(errors))


def line(fault: SpecError) -> str:
    """The message with its place, for Markdown."""
    where = f"{fault.place.file}:{fault.place.line}: " if fault.place else ""
    return printable(f"{where}{fault.message}", 2000)


def made(make: Callable[[], Case], faults: list[SpecError]) -> Case | None:
    """One case; a fault in one does not stop the others."""
    try:
        return make()
    except SpecError as error:
        faults.append(error)
    except SpecErrors as errors:
        faults += errors.errors
    return None


def spec_case(spec: str, load: Callable[..., Model]) -> Callable[[], Case]:
    """What makes the case of a spec, with the files that a user would get."""

    def make() -> Case:
        from specbuild.backends import NAMES
        from specbuild.runtimes.jobs import Case

        model = load(spec)
        sources = {backend: model.source(backend) for backend in NAMES}
        return Case(spec, model.graph, sources=sources, steps=True, calibrated=True, digest=model.digest)

    return make


def library_case(name: str, load: Callable[..., Model], chosen: bool) -> Callable[[], Case]:
    """What makes the case of a block of the library, or of a model, for which there may be choices."""
    from specbuild.runtimes.jobs import Case

    entry = options.library_block(name)
    if entry.model is not None:
        from specbuild.frontend.resolver import library_index

        whole = spec_case(str(library_index()[name]), partial(load, root=None))
        return lambda: replace(whole(), name=name)
    if chosen:
        message = f"{name} is no model: it has usual sizes, no variants and no features"
        raise typer.BadParameter(message, param_hint="--block")
    model = options.alone(entry)
    return lambda: Case(name, model, steps=True, calibrated=True)


def seeded(case: Case, seed: int) -> Case:
    return replace(case, seed=seed, name=f"{case.name} seed {seed}")


@contextmanager
def progress(count: int) -> Iterator[Callable[[str], None]]:
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
            bar.update(task, advance=1, description=printable(spec, 60))

        yield advance


def document(results: list[Result], hellos: list[dict[str, Any]], faults: list[SpecError]) -> dict[str, Any]:
    return {
        "specbuild": __version__,
        "processes": hellos,
        "results": [result.record() for result in results],
        "errors": json.loads(render(SpecErrors(faults), format="json")),
    }


def told(results: list[Result], hellos: list[dict[str, Any]], depth: int, form: str) -> None:
    """The tables of every result, and how the processes were set."""
    from specbuild.parity.report import summary

    show = markdown if form == "markdown" else drawn if styled(sys.stdout) else plain
    for result in results:
        case = result.case
        title = f"{printable(result.spec)}: {result.model.kind}, Keras on {result.runtime}: {result.verdict}"
        how = f"{case.dtype} on {result.place.device}, batch {case.batch}"
        how += f", {len(result.reports)} seeds" if len(result.reports) > 1 else f", seed {case.seed}"
        show(f"{title} ({how})", result.kinds(), [])
        if result.steps:
            show("", result.named(depth), list(result.notes()))
    if len(results) > 1:
        show("summary", summary(results), [])
    for hello in hellos:
        switches = [f"{s['name']} = {s['value']}" for s in hello["switches"]]
        show(f"{hello['framework']} on {hello['device']}", None, switches)


def plain(title: str, table: Table | None, lines: list[str]) -> None:
    text = f"{title}\n" if title else ""
    text += table.text() if table else ""
    out(text + "".join(f"  {line}\n" for line in lines) + "\n")


def markdown(title: str, table: Table | None, lines: list[str]) -> None:
    text = f"### {title}\n\n" if title else ""
    text += f"{table.markdown()}\n" if table else ""
    out(text + "".join(f"- {line}\n" for line in lines) + ("\n" if lines else ""))


def drawn(title: str, table: Table | None, lines: list[str]) -> None:
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
