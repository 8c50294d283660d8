"""`specbuild compile`: specs to source files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from specbuild.api import Model
from specbuild.backends import NAMES
from specbuild.cli import options
from specbuild.cli.changes import SAID, show
from specbuild.cli.package import Order, packaged
from specbuild.cli.terminal import Exit, exit_code, log, out, report
from specbuild.compiler import files as output
from specbuild.compiler.line_diff import changes
from specbuild.diagnostics.errors import SpecError, SpecErrors, nearest, printable, render
from specbuild.elaborate import warnings as notes
from specbuild.frontend.names import snake
from specbuild.version import __version__


@dataclass(frozen=True)
class Result:
    """One emitted file, and where it is to go: None for standard output."""

    spec: str
    model: Model
    backend: str
    text: str
    path: Path | None

    def difference(self) -> str:
        """What would change in the file."""
        return "" if self.path is None else changes(self.path, self.text)

    def record(self, status: str, difference: str | None = None) -> dict[str, Any]:
        return {
            "spec": printable(self.spec, 4096),
            "model": self.model.name,
            "backend": self.backend,
            "file": None if self.path is None else printable(str(self.path), 4096),
            "status": status,
            "parameters": self.model.parameters,
            "multiply_adds": self.model.cost.macs,
            **({"source": self.text} if self.path is None else {}),
            **({} if difference is None else {"diff": difference}),
        }


def backends(value: str) -> str:
    """A backend's name, or all."""
    if value in (*NAMES, "all"):
        return value
    near = nearest(value, (*NAMES, "all"))
    raise typer.BadParameter(
        f"{printable(value)!r} is not one of {', '.join(NAMES)}, all"
        + (f"; did you mean {near}?" if near else "")
    )


def compile(
    specs: options.Specs,
    backend: Annotated[
        str,
        typer.Option(
            "--backend",
            "-b",
            metavar="|".join((*NAMES, "all")),
            help="The framework to write for.",
            callback=backends,
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A file, or a folder for several and for a package; - is standard output.",
            show_default=False,
        ),
    ] = None,
    layout: Annotated[
        Literal["file", "package"],
        typer.Option(help="One file for each framework, or a package with tests and a README."),
    ] = "file",
    variant: options.Variant = None,
    settings: options.Settings = None,
    features: options.Features = None,
    only: options.FeaturesOnly = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; end with 1 if a file is not what it would be.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="The same, and show what would change in each file.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that were edited by hand.")] = False,
    loader: Annotated[
        bool,
        typer.Option(
            "--with-weights-loader",
            help="Add a function to the Keras file that reads weights of `specbuild weights`, in safetensors; in a "
            "package, a file of its own for each framework.",
        ),
    ] = False,
    diagram: Annotated[
        Literal["svg", "mermaid", "none"] | None,
        typer.Option(
            help="How a package shows the model: SVG needs Graphviz, Mermaid stands in the README.",
            show_default="svg",
        ),
    ] = None,
    parity: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What `specbuild parity --json` found of this model, for the README of a package.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A file of a package that is yours: it is neither written nor compared; may be given again.",
            show_default=False,
        ),
    ] = None,
    groups: Annotated[
        bool,
        typer.Option(
            "--with-optimizer-groups",
            help="Add a function that sorts the parameters: what decays, and how fast each layer learns.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Tell what was done as one JSON document.")] = False,
    root: options.Root = None,
) -> None:
    """Compile specs to PyTorch or Keras source.

    One file goes to standard output, or where -o says.

    Several go to files named after the models, in the folder that -o names or in the current one.

    A package is the folder that -o names: specbuild compile net.yaml --layout package -b all -o net/
    """
    chosen = NAMES if backend == "all" else (backend,)
    if layout == "package":
        if len(specs) > 1:
            raise typer.BadParameter("a package holds one model", param_hint="SPEC")
        if target == "-":
            raise typer.BadParameter("a package is a folder", param_hint="--output")
        if features is not None or only:
            raise typer.BadParameter(
                "a package is of the spec as it stands: name the values in its `outputs`",
                param_hint="--features",
            )
        if groups:
            raise typer.BadParameter(
                "it is for a file, not for a package", param_hint="--with-optimizer-groups"
            )
        how = (target, loader, diagram or "svg", parity, check, diff, force, keep or ())
        order = Order(specs[0], variant, settings, root, chosen, *how)
        raise typer.Exit(packaged(order, as_json))
    for option, value in (("--diagram", diagram), ("--parity", parity), ("--keep", keep or None)):
        if value is not None:
            raise typer.BadParameter("it is for a package: --layout package", param_hint=option)
    several = len(specs) > 1 or len(chosen) > 1
    if target == "-" and several and not as_json:
        raise typer.BadParameter("only one file can go to standard output", param_hint="--output")
    if (check or diff) and not several and target in (None, "-"):
        hint = "--check" if check else "--diff"
        raise typer.BadParameter("there is no file to compare with; name it with -o", param_hint=hint)
    if loader and "keras" not in chosen:
        raise typer.BadParameter(
            "a PyTorch file needs none: load_state_dict reads what `specbuild weights` writes",
            param_hint="--with-weights-loader",
        )
    where = place(target, several)

    def load(spec: str) -> Model:
        return options.model(spec, variant, settings, root, features, only)

    def source(model: Model, backend: str) -> str:
        return model.source(backend, loader=loader, groups=groups)

    compiled = [*emitted(options.once(specs), chosen, load, source, where)]
    results = [found for found in compiled if isinstance(found, Result)]
    faults = [found for found in compiled if isinstance(found, SpecError)]
    records = []
    differs = False
    for result in results:
        try:
            looks = check or diff
            status = compared(result) if looks else delivered(result, results, force, as_json)
            difference = result.difference() if diff else None
        except SpecError as error:
            faults.append(error)
            continue
        differs = differs or (looks and status != "same")
        records.append(result.record(status, difference))
        if difference and not as_json:
            show(difference)
        if result.path is not None and not as_json:
            log(f"{result.path} {SAID[status]}" if status in SAID else f"{status} {result.path}")
    if as_json:
        errors = json.loads(render(SpecErrors(faults), format="json"))
        out(json.dumps({"specbuild": __version__, "results": records, "errors": errors}, indent=2) + "\n")
    elif faults:
        report(SpecErrors(faults))
    if faults:
        raise typer.Exit(exit_code(SpecErrors(faults)))
    if differs:
        raise typer.Exit(Exit.FOUND)


@dataclass(frozen=True)
class Place:
    """Where results go: one path, or a folder in which each has its name; neither: standard output."""

    path: Path | None = None
    folder: Path | None = None

    def of(self, model: Model, backend: str) -> Path | None:
        return self.path if self.folder is None else self.folder / f"{snake(model.name)}_{backend}.py"


def place(target: str | None, several: bool) -> Place:
    if target == "-" or (target is None and not several):
        return Place()
    path = Path(target or ".")
    return (
        Place(folder=path)
        if several or target is None or target.endswith("/") or path.is_dir()
        else Place(path)
    )


def emitted(
    specs: list[str],
    backends: tuple[str, ...],
    load: Callable[[str], Model],
    source: Callable[[Model, str], str],
    where: Place,
) -> Iterator[Result | SpecError]:
    """What each spec gives for each backend; a fault in one does not stop the others."""
    for spec in progress(specs):
        try:
            model = load(spec)
        except SpecError as error:
            yield error
            continue
        except SpecErrors as errors:
            yield from errors.errors
            continue
        for note in [*notes.edited(model.whole), *notes.dropped(model.whole, model.graph)]:
            log(str(note))
        for backend in backends:
            try:
                yield Result(spec, model, backend, source(model, backend), where.of(model, backend))
            except SpecError as error:
                yield error


def progress(specs: list[str]) -> Iterator[str]:
    """The specs one after another; with a bar on a terminal, if there are several."""
    if len(specs) == 1 or not sys.stderr.isatty():
        yield from specs
        return
    from rich.console import Console  # only here: most runs draw nothing
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=len(specs))
        for spec in specs:
            bar.update(task, description=printable(spec, 60))
            yield spec
            bar.advance(task)


def compared(result: Result) -> str:
    """How the file on the disk stands to what it would be."""
    assert result.path is not None
    return output.state(result.path, result.text)


def delivered(result: Result, results: list[Result], force: bool, as_json: bool) -> str:
    """Write one result where it goes; what was done."""
    if result.path is None:
        if not as_json:
            out(result.text)
        return "printed"
    rivals = [r for r in results if r.path == result.path and r is not result]
    if rivals:
        reason = f"{printable(result.spec)} and {printable(rivals[0].spec)} would both be written there"
        raise output.refused(result.path, reason, "compile them apart, each with its own -o")
    output.folder(result.path.parent)
    return "wrote" if output.write(result.path, result.text, force=force) else "unchanged"
