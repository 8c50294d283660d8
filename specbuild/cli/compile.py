"""`specbuild compile`: compile specs to source files, or to a package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from specbuild.api import Model
from specbuild.backends import BACKEND_NAMES, load_backend
from specbuild.cli import options
from specbuild.cli.package import PackageRequest, compile_package
from specbuild.cli.source_files import SourceRequest, compile_source_files
from specbuild.cli.terminal import log_line
from specbuild.diagnostics.errors import make_printable

Target = Annotated[
    str | None,
    options.output_option(
        "PATH", "The output file; a folder for several files or for a package; - is stdout."
    ),
]
Layout = Annotated[
    Literal["file", "package"],
    typer.Option(help="One file per framework, or a package with tests and a README."),
]
Check = Annotated[
    bool, typer.Option("--check", help="Write nothing; exit with 1 if a file is not up to date.")
]
ShowDiff = Annotated[
    bool, typer.Option("--diff", help="Like --check, and show what would change in each file.")
]
Loader = Annotated[
    bool,
    typer.Option(
        "--with-weights-loader",
        help="Add a function to the Keras file that loads .safetensors files written by `specbuild weights`. "
        "In a package: add a file with such functions for each framework.",
    ),
]
DiagramFormat = Annotated[
    Literal["svg", "mermaid", "none"] | None,
    typer.Option(
        help="The diagram of a package: an SVG file (needs Graphviz), Mermaid in the README, or none.",
        show_default="svg",
    ),
]
ParityFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The output of `specbuild parity --json` for this model, to be shown in a package's README.",
        show_default=False,
    ),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="A file of the package that is yours: neither written nor checked. Repeat for more files.",
        show_default=False,
    ),
]
Project = Annotated[
    bool,
    typer.Option(
        "--project",
        help="With --layout package: put the package into src/ of a project that pip can install, with a "
        "pyproject.toml.",
    ),
]
Groups = Annotated[
    bool,
    typer.Option(
        "--with-optimizer-groups",
        help="Add a function that groups the parameters for an optimizer: by weight decay and by layer.",
    ),
]
Deploy = Annotated[
    bool,
    typer.Option(
        "--deploy",
        help="Write the form that is run and no longer trained: batch norms folded, parallel branches merged, "
        "dropout removed. `specbuild transform deploy` also carries the weights, and proves that both are equal.",
    ),
]


# Many parameters: typer reads the options of a command from its signature.
def compile_command(
    specs: options.Specs,
    backend: options.RequiredBackend = "",  # the check of the option asks for one, and names the choices
    target: Target = None,
    layout: Layout = "file",
    variant: options.Variant = None,
    settings: options.Settings = None,
    features: options.Features = None,
    only: options.FeaturesOnly = False,
    check: Check = False,
    diff: ShowDiff = False,
    force: options.Force = False,
    loader: Loader = False,
    diagram: DiagramFormat = None,
    parity: ParityFile = None,
    keep: Keep = None,
    project: Project = False,
    groups: Groups = False,
    deploy: Deploy = False,
    as_json: options.Json = False,
    root: options.Root = None,
) -> None:
    """Compile specs to PyTorch or Keras source.

    One file goes to stdout, or to the path given with -o.

    Several files are named after their models, and go to the folder given with -o or to the current one.

    A package goes to the folder given with -o: specbuild compile net.yaml --layout package -b all -o net/
    """

    def load_spec(spec: str) -> Model:
        model = options.load_model(spec, variant, settings, root, features, only)
        return report_deployed(model) if deploy else model

    backends = BACKEND_NAMES if backend == "all" else (backend,)
    if layout == "package":
        has_features = features is not None or only
        check_package_usage(specs, target, has_features=has_features, groups=groups, deploy=deploy)
        package = PackageRequest(
            specs[0],
            backends,
            target,
            load_spec,
            loaders=loader,
            diagram=diagram or "svg",
            parity=parity,
            keep=keep or (),
            is_project=project,
            check=check,
            diff=diff,
            force=force,
            as_json=as_json,
        )
        raise typer.Exit(compile_package(package))
    for option, value in (
        ("--diagram", diagram),
        ("--parity", parity),
        ("--keep", keep or None),
        ("--project", project or None),
    ):
        if value is not None:
            raise typer.BadParameter("it is for a package: --layout package", param_hint=option)
    request = SourceRequest(
        specs,
        backends,
        target,
        load_spec,
        loader,
        groups,
        check=check,
        diff=diff,
        force=force,
        as_json=as_json,
    )
    check_source_usage(request)
    raise typer.Exit(compile_source_files(request))


def report_deployed(model: Model) -> Model:
    """Return the deployed form of a model, and log what became of its steps."""
    from specbuild.transform.deployed_model import deploy_model  # imported late: few runs need it
    from specbuild.transform.report import describe_deployment

    deployed = deploy_model(model)
    for line in describe_deployment(deployed):
        log_line(line)
    return deployed


def check_package_usage(
    specs: list[str], target: str | None, *, has_features: bool, groups: bool, deploy: bool
) -> None:
    """Reject options that do not go together with `--layout package`."""
    if deploy:
        raise typer.BadParameter("it is for a file, not for a package", param_hint="--deploy")
    if len(specs) > 1:
        raise typer.BadParameter("a package holds one model", param_hint="SPEC")
    if target == "-" or is_named_as_file(target):
        raise typer.BadParameter("a package is a folder", param_hint="--output")
    if has_features:
        raise typer.BadParameter(
            "a package has the outputs of the spec: add the features to its `outputs`",
            param_hint="--features",
        )
    if groups:
        raise typer.BadParameter("it is for a file, not for a package", param_hint="--with-optimizer-groups")


def is_named_as_file(target: str | None) -> bool:
    """Return whether a path has the name of a Python file, and is no folder."""
    return target is not None and target.endswith(".py") and not Path(target).is_dir()


def check_source_usage(request: SourceRequest) -> None:
    """Reject options that do not go together without `--layout package`."""
    target, has_several_files = request.target, request.has_several_files
    if target == "-" and has_several_files and not request.as_json:
        raise typer.BadParameter("only one file can go to stdout", param_hint="--output")
    if has_several_files and is_named_as_file(target):
        several = "specs" if len(request.specs) > 1 else "frameworks"
        raise typer.BadParameter(
            f"{make_printable(str(target))} is the name of one file, and several {several} give several files; "
            f"give a folder: -o {make_printable(str(Path(str(target)).with_suffix('')))}/",
            param_hint="--output",
        )
    if request.is_dry_run and (target == "-" or (target is None and not has_several_files)):
        hint = "--check" if request.check else "--diff"
        raise typer.BadParameter("there is no file to compare with; name it with -o", param_hint=hint)
    if request.loader and not any(load_backend(name).needs_loader for name in request.backends):
        titles = " or ".join(load_backend(name).title for name in request.backends)
        raise typer.BadParameter(
            f"a {titles} file needs no loader: the framework itself reads what `specbuild weights` writes",
            param_hint="--with-weights-loader",
        )
    options.check_stdin_once(list(request.specs))
