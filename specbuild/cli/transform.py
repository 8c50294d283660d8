"""`specbuild transform`: change a model and its weights together."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from specbuild.backends import BACKEND_NAMES, all_backend_names, load_backend
from specbuild.cli import options
from specbuild.cli.completion import complete_installed_backend
from specbuild.cli.json_output import print_document, print_errors_as_json
from specbuild.cli.terminal import log_line, suggest_closest
from specbuild.diagnostics.errors import make_printable

transform_command = typer.Typer(
    help="Change a model and its weights together, and prove that it stays the same.", no_args_is_help=True
)


def check_deployed_backend(value: str) -> str:
    """Return the value if it is `all`, `installed` or the name of a backend."""
    known = (*all_backend_names(), "all", "installed")
    if value in known:
        return value
    raise typer.BadParameter(
        f"{make_printable(value)!r} is not one of {', '.join(known)}{suggest_closest(value, known)}"
    )


Backend = Annotated[
    str,
    typer.Option(
        "--backend",
        "-b",
        metavar="|".join((*BACKEND_NAMES, "all", "installed")),
        help="The framework to write files for, and to prove in.",
        autocompletion=complete_installed_backend,
        callback=check_deployed_backend,
    ),
]
Target = Annotated[
    Path,
    options.output_option("FOLDER", "The folder for the emitted files and their weights."),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The weights of the trained model: .safetensors, .pt, .pth, .weights.h5 or .keras. Without it, the "
        "model is proved with random weights, and no weights are written.",
        show_default=False,
    ),
]
Seed = Annotated[int, options.seed_option("The seed of the random inputs, and of random weights.")]


# Many parameters: typer reads the options of a command from its signature.
@transform_command.command("deploy")
def deploy_command(
    spec: options.Spec,
    target: Target,
    weights: Weights = None,
    backend: Backend = "installed",
    origin: options.NamesFrom = None,
    seed: Seed = 0,
    variant: options.Variant = None,
    settings: options.Settings = None,
    features: options.Features = None,
    only: options.FeaturesOnly = False,
    force: options.Force = False,
    as_json: options.Json = False,
    root: options.Root = None,
) -> None:
    """Write the form of a model that is run and no longer trained, and its weights.

    Batch norms are folded into the convolutions and linear layers beside them, parallel branches that are added up
    are merged, and dropout is removed, wherever that is exact; the report says what was left and why. Then the
    emitted files of both forms run in float64 on the same inputs. Nothing is written unless their outputs are equal.
    """
    from specbuild.transform.deployment import DeploymentRequest, deploy_with_weights
    from specbuild.transform.report import deployment_record, describe_deployment
    from specbuild.weights.convert import ConversionOptions

    with print_errors_as_json("transform deploy", as_json):
        model = options.load_model(spec, variant, settings, root, features, only)
        request = DeploymentRequest(
            choose_backends(backend), target, weights, ConversionOptions(source_names=origin), force, seed
        )
        done = deploy_with_weights(model, request)
    files = [make_printable(str(file), 4096) for file in done.files]
    if as_json:
        print_document("transform deploy", deployment_record(done.model, done.proofs, files))
        return
    for line in [*describe_deployment(done.model, done.proofs), *(f"wrote {file}" for file in files)]:
        log_line(line)


def choose_backends(choice: str) -> list[str]:
    """Return the backends to deploy for; raises SB603 if none is installed."""
    if choice == "all":
        return list(BACKEND_NAMES)
    if choice != "installed":
        return [choice]
    installed = [
        name
        for name in BACKEND_NAMES
        if all(find_spec(module) is not None for module in load_backend(name).runtimes[0].modules)
    ]
    if not installed:
        raise load_backend(BACKEND_NAMES[0]).missing_package(
            load_backend(BACKEND_NAMES[0]).runtimes[0].modules[0]
        )
    return installed
