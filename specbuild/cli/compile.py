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
from specbuild.backends import BACKEND_NAMES
from specbuild.cli import options
from specbuild.cli.file_status import STATUS_TEXT, print_diff
from specbuild.cli.package import PackageRequest, compile_package
from specbuild.cli.terminal import ExitCode, exit_code, log_line, print_error, print_text
from specbuild.compiler import output_files as output
from specbuild.compiler.line_diff import diff_file
from specbuild.diagnostics.errors import SpecError, SpecErrors, closest_match, format_errors, make_printable
from specbuild.elaborate import notes
from specbuild.frontend.names import to_snake_case
from specbuild.version import __version__


@dataclass(frozen=True)
class CompiledFile:
    """One emitted file, and where it is to go: None for standard output."""

    spec: str
    model: Model
    backend: str
    text: str
    path: Path | None

    def render_diff(self) -> str:
        """What would change in the file."""
        return "" if self.path is None else diff_file(self.path, self.text)

    def json_record(self, status: str, difference: str | None = None) -> dict[str, Any]:
        return {
            "spec": make_printable(self.spec, 4096),
            "model": self.model.name,
            "backend": self.backend,
            "file": None if self.path is None else make_printable(str(self.path), 4096),
            "status": status,
            "parameters": self.model.parameters,
            "multiply_adds": self.model.cost.macs,
            **({"source": self.text} if self.path is None else {}),
            **({} if difference is None else {"diff": difference}),
        }


def check_backend_name(value: str) -> str:
    """A backend's name, or all."""
    if value in (*BACKEND_NAMES, "all"):
        return value
    near = closest_match(value, (*BACKEND_NAMES, "all"))
    raise typer.BadParameter(
        f"{make_printable(value)!r} is not one of {', '.join(BACKEND_NAMES)}, all"
        + (f"; did you mean {near}?" if near else "")
    )


def compile_command(
    specs: options.Specs,
    backend: Annotated[
        str,
        typer.Option(
            "--backend",
            "-b",
            metavar="|".join((*BACKEND_NAMES, "all")),
            help="The framework to write for.",
            callback=check_backend_name,
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
    chosen = BACKEND_NAMES if backend == "all" else (backend,)
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
        order = PackageRequest(specs[0], variant, settings, root, chosen, *how)
        raise typer.Exit(compile_package(order, as_json))
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
    where = output_target(target, several)

    def load(spec: str) -> Model:
        return options.load_model(spec, variant, settings, root, features, only)

    def source(model: Model, backend: str) -> str:
        return model.source(backend, loader=loader, groups=groups)

    compiled = [*compile_specs(options.check_stdin_once(specs), chosen, load, source, where)]
    results = [found for found in compiled if isinstance(found, CompiledFile)]
    faults = [found for found in compiled if isinstance(found, SpecError)]
    records = []
    differs = False
    for result in results:
        try:
            looks = check or diff
            status = compare_file(result) if looks else write_result(result, results, force, as_json)
            difference = result.render_diff() if diff else None
        except SpecError as error:
            faults.append(error)
            continue
        differs = differs or (looks and status != "same")
        records.append(result.json_record(status, difference))
        if difference and not as_json:
            print_diff(difference)
        if result.path is not None and not as_json:
            log_line(
                f"{result.path} {STATUS_TEXT[status]}" if status in STATUS_TEXT else f"{status} {result.path}"
            )
    if as_json:
        errors = json.loads(format_errors(SpecErrors(faults), format="json"))
        print_text(
            json.dumps({"specbuild": __version__, "results": records, "errors": errors}, indent=2) + "\n"
        )
    elif faults:
        print_error(SpecErrors(faults))
    if faults:
        raise typer.Exit(exit_code(SpecErrors(faults)))
    if differs:
        raise typer.Exit(ExitCode.FOUND)


@dataclass(frozen=True)
class OutputTarget:
    """Where results go: one path, or a folder in which each has its name; neither: standard output."""

    path: Path | None = None
    folder: Path | None = None

    def path_for(self, model: Model, backend: str) -> Path | None:
        return self.path if self.folder is None else self.folder / f"{to_snake_case(model.name)}_{backend}.py"


def output_target(target: str | None, several: bool) -> OutputTarget:
    if target == "-" or (target is None and not several):
        return OutputTarget()
    path = Path(target or ".")
    return (
        OutputTarget(folder=path)
        if several or target is None or target.endswith("/") or path.is_dir()
        else OutputTarget(path)
    )


def compile_specs(
    specs: list[str],
    backends: tuple[str, ...],
    load: Callable[[str], Model],
    source: Callable[[Model, str], str],
    where: OutputTarget,
) -> Iterator[CompiledFile | SpecError]:
    """What each spec gives for each backend; a fault in one does not stop the others."""
    for spec in iterate_with_progress(specs):
        try:
            model = load(spec)
        except SpecError as error:
            yield error
            continue
        except SpecErrors as errors:
            yield from errors.errors
            continue
        for note in [
            *notes.edit_notes(model.full_graph),
            *notes.unused_step_notes(model.full_graph, model.graph),
        ]:
            log_line(str(note))
        for backend in backends:
            try:
                yield CompiledFile(
                    spec, model, backend, source(model, backend), where.path_for(model, backend)
                )
            except SpecError as error:
                yield error


def iterate_with_progress(specs: list[str]) -> Iterator[str]:
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
            bar.update(task, description=make_printable(spec, 60))
            yield spec
            bar.advance(task)


def compare_file(result: CompiledFile) -> str:
    """How the file on the disk stands to what it would be."""
    assert result.path is not None
    return output.file_state(result.path, result.text)


def write_result(result: CompiledFile, results: list[CompiledFile], force: bool, as_json: bool) -> str:
    """Write one result where it goes; what was done."""
    if result.path is None:
        if not as_json:
            print_text(result.text)
        return "printed"
    rivals = [r for r in results if r.path == result.path and r is not result]
    if rivals:
        reason = (
            f"{make_printable(result.spec)} and {make_printable(rivals[0].spec)} would both be written there"
        )
        raise output.write_error(result.path, reason, "compile them apart, each with its own -o")
    output.create_folder(result.path.parent)
    return "wrote" if output.write_output(result.path, result.text, force=force) else "unchanged"
