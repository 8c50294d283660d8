"""Deploys a model with its weights: reads a weight file, folds, proves, and then writes."""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from specbuild.api import Model
from specbuild.backends.registry import all_file_kinds, load_backend
from specbuild.compiler.output_files import create_folder, write_error, write_output
from specbuild.compiler.weight_locations import canonical_locations
from specbuild.frontend.names import to_snake_case
from specbuild.transform.carried_weights import carry_weights
from specbuild.transform.deployed_model import DeployedModel, deploy_model
from specbuild.weights.convert import (
    DEFAULT_OPTIONS,
    ConversionOptions,
    match_file,
    resolve_target,
    write_weights,
)

if TYPE_CHECKING:
    import numpy as np

    from specbuild.transform.proof import DeploymentProof

    Array: TypeAlias = np.ndarray[Any, Any]


class DeploymentRequest(Struct, frozen=True):
    """What to deploy: for which backends, with which weights, into which folder; `seed` is that of random numbers."""

    backends: Sequence[str]
    folder: Path
    weights: Path | None = None
    options: ConversionOptions = DEFAULT_OPTIONS
    force: bool = False
    seed: int = 0


class Deployment(Struct, frozen=True):
    """A deployed model, its proofs, and the files that were written."""

    model: DeployedModel
    proofs: tuple[DeploymentProof, ...]
    files: tuple[Path, ...]


def deploy_with_weights(trained: Model, request: DeploymentRequest) -> Deployment:
    """Deploy a model: prove it in each framework, and then write an emitted file and its weights for each.

    Without a weight file, it is proved with random weights, and no weights are written. Raises SpecError.
    """
    from specbuild.transform.proof import (
        ProofWeights,
        find_participants,
        prove_deployment,
    )  # late: needs numpy

    participants = find_participants(request.backends)
    model = deploy_model(trained)
    sources = {name: model.source(name) for name in request.backends}
    targets = plan_files(model, request)
    values = read_weights(trained, request)
    stored = None if request.weights is None else carry_weights(model, values)
    weights = ProofWeights(dict(values), carry_weights(model, values, exact=True), stored)
    proofs = tuple(prove_deployment(model, p, weights, request.seed) for p in participants)
    for proof in proofs:
        proof.require_equal(model)
    create_folder(request.folder)
    files = []
    for name, (file, weight_file) in targets.items():
        write_output(file, sources[name], force=request.force)
        files.append(file)
        if stored is not None:
            options = ConversionOptions(target_names=name, force=request.force)
            kind, names = resolve_target(weight_file, options)
            write_weights(model, weight_file, kind, names, stored)
            files.append(weight_file)
    return Deployment(model, proofs, tuple(files))


def plan_files(model: DeployedModel, request: DeploymentRequest) -> dict[str, tuple[Path, Path]]:
    """Return the emitted file and the weight file for each backend; raises SB702 if a weight file exists."""
    targets = {}
    for name in request.backends:
        stem = f"{to_snake_case(model.name)}_{name}"
        weight_file = request.folder / f"{stem}{weight_ending(name)}"
        if request.weights is not None and os.path.lexists(weight_file) and not request.force:
            raise write_error(weight_file, "the file exists", "give another folder, or pass --force")
        targets[name] = request.folder / f"{stem}.py", weight_file
    return targets


def weight_ending(backend: str) -> str:
    """Return the ending of the weight files that a framework reads by itself."""
    kinds = [kind for kind in all_file_kinds() if kind.backend == backend]
    return kinds[0].endings[0] if load_backend(backend).needs_loader and kinds else ".safetensors"


def read_weights(trained: Model, request: DeploymentRequest) -> Mapping[str, Array]:
    """Return the canonical weights of the trained model: those of the file, or random ones.

    Raises SpecError SB801 if the file does not match.
    """
    if request.weights is None:
        import numpy as np

        from specbuild.parity.random_data import draw_weight

        random = np.random.default_rng(request.seed)
        return {weight.path: draw_weight(weight, random) for weight in canonical_locations(trained.graph)}
    matched, report = match_file(trained, request.weights, request.options)
    if not report.is_complete:
        raise report.mismatch_error(str(request.weights))
    return matched.values
