"""`specbuild import`: an existing PyTorch or Keras model becomes a spec."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from specbuild.cli.json_output import print_document
from specbuild.cli.terminal import ExitCode, log_line, print_text
from specbuild.diagnostics.errors import SpecError
from specbuild.importing.request import parse_request

if TYPE_CHECKING:
    from specbuild.importing.importer import ImportedModel
    from specbuild.importing.proof import Proof
    from specbuild.importing.request import ImportRequest
    from specbuild.runtimes.worker_process import WorkerProcess

# Many parameters below: typer reads the options of a command from its signature.


Model = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="The model: timm:NAME, torchvision:NAME, a class or function of a file such as ./net.py:Net, or "
        "of a module such as package.module:build_net; or a .keras file.",
        show_default=False,
    ),
]
Output = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help="The spec to write; - is stdout.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="An argument for the class or function. Repeat for more.",
        show_default=False,
    ),
]
Others = Annotated[
    list[str] | None,
    typer.Option(
        "--also",
        metavar="NAME=VALUE",
        help="Make the model again with this argument. What the spec says must hold for both; the spec with these "
        "arguments is proved too. Repeat for more.",
        show_default=False,
    ),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="NAME=[AXES:]SIZES[:DTYPE]",
        help="An input without its batch: image=3x224x224, tokens=T:16:int32, or clip=CxDxHxW:3x8x64x64. "
        "Repeat for more, in the order of forward. Default: what timm, torchvision or the .keras file say.",
        show_default=False,
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write the weights that the model has to this .safetensors file, under the spec's own names.",
        show_default=False,
    ),
]
NoProof = Annotated[
    bool, typer.Option("--no-proof", help="Do not compare the emitted model with the original.")
]
Partial = Annotated[
    bool,
    typer.Option(
        "--partial",
        help="Leave modules that cannot be imported as blocks with their inputs and outputs, to be finished by hand.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite existing files.")]
Json = Annotated[bool, typer.Option("--json", help="Print the report as one JSON document.")]


def importing_command(
    source: Model,
    output: Output = "-",
    settings: Settings = None,
    also: Others = None,
    inputs: Inputs = None,
    weights: Weights = None,
    partial: Partial = False,
    no_proof: NoProof = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write a spec for an existing PyTorch or Keras model. For PyTorch, this runs the code of the model on this machine.

    A Keras model is read from its .keras file, and none of its code runs. A PyTorch model is made and run once, in a
    process of its own; its modules become blocks, and arguments of their constructors become parameters. Then the emitted
    model and the original are compared in float64: outputs, gradients, a step of training. Exits with 0 if they are
    equal, with 1 if not, and with 3 if the model cannot be imported.
    """
    request = parse_request(source, settings or [], inputs or [], also or [])
    request = replace(request, partial=partial)
    reader = request.reader
    reader.require_packages()
    from specbuild.importing.importer import import_request, start_worker  # imported late: they need numpy
    from specbuild.importing.proof import prove_import
    from specbuild.importing.report import describe_import, report_record
    from specbuild.importing.results import require_targets

    check_options(partial and bool(also or weights is not None), json and output == "-")
    require_targets(output, weights, force)
    if reader.runs_code:
        log_line(f"this runs the code of {source} on this machine")
    with ExitStack() as processes:
        worker = processes.enter_context(start_worker(reader))
        other_worker = processes.enter_context(start_worker(reader)) if also else None
        imported = import_request(request, worker, other_worker)
        is_proved = not no_proof and not imported.unfinished
        proofs: list[Proof] = []
        if is_proved and not partial and other_worker is None:
            imported, proofs = vary_import(request, imported, worker)
        write_files(imported, worker, output, weights, force)
        if is_proved:
            proofs.insert(0, prove_import(imported, worker))
            if imported.second is not None and other_worker is not None:
                proofs.append(prove_import(imported.second, other_worker))
    if json:
        print_document("import", report_record(source, imported, proofs))
    else:
        for line in describe_import(source, imported, proofs):
            log_line(line)
    if imported.unexplained or imported.unfinished or not all(proof.is_equal for proof in proofs):
        raise typer.Exit(ExitCode.CHECK_FAILED)


def vary_import(
    request: ImportRequest, imported: ImportedModel, worker: WorkerProcess
) -> tuple[ImportedModel, list[Proof]]:
    """Return the import with a second capture of the user's class and its proof, if there is one; else as it is."""
    from specbuild.importing.importer import start_worker
    from specbuild.importing.variations import find_variation, list_variations

    if not any(True for _ in list_variations(imported.trace.root.constructor, set())):
        return imported, []
    with start_worker(request.reader) as other_worker:
        found = find_variation(request, imported, worker, other_worker)
    return (found[0], [found[1]]) if found is not None else (imported, [])


def write_files(
    imported: ImportedModel, worker: WorkerProcess, output: str, weights: Path | None, force: bool
) -> None:
    """Write the spec and the weights. The weights are read first: if the process does not give them, nothing is written."""
    from specbuild.importing.results import read_own_weights, write_tables, write_text_file
    from specbuild.weights.convert import write_weights
    from specbuild.weights.matching import CANONICAL

    own_weights = {} if weights is None else read_own_weights(imported, worker)
    if imported.tables.arrays:
        write_tables(imported, output, force)
    if output == "-":
        print_text(imported.text)
    else:
        write_text_file(Path(output), imported.text, force)
        log_line(f"wrote {output}")
    if weights is not None:
        write_weights(imported.model, weights, None, CANONICAL, own_weights)
        log_line(f"wrote {weights}")


def check_options(is_partial_with_more: bool, is_both_on_stdout: bool) -> None:
    """Raise SpecError SB961 for options that do not go together."""
    if is_partial_with_more:
        hint = "leave them out, and finish the spec first"
        raise SpecError("SB961", "--partial takes no --also and no --weights", hint=hint)
    if is_both_on_stdout:
        message = "--json and the spec would both go to stdout"
        raise SpecError("SB961", message, hint="name a file: -o net.yaml")
