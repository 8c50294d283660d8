"""What a deployment reports: what was folded, merged and removed, what was left and why, and the proof."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from specbuild.transform.block_rewriter import StepChange
from specbuild.transform.deployed_model import DeployedModel

if TYPE_CHECKING:
    from specbuild.transform.proof import DeploymentProof

NOUNS = {"batch_norm": "batch norm", "multiply": "layer scale", "drop_path": "drop path"}
MAX_LEFT = 12  # kinds of steps that a report lists


def describe_deployment(model: DeployedModel, proofs: Sequence[DeploymentProof] = ()) -> Iterator[str]:
    """Yield the lines of the report."""
    changes = model.deployment.changes()
    parts = [
        *count_steps(changes, "folded"),
        *count_steps(changes, "merged"),
        *count_steps(changes, "removed"),
    ]
    before, after = model.trained.parameters, model.parameters
    yield f"{model.name}: {', '.join(parts) or 'nothing to fold'}; {before:,} parameters became {after:,}"
    yield from describe_left(changes)
    for proof in proofs:
        yield from describe_deployment_proof(proof)


def count_steps(changes: Sequence[StepChange], kind: str) -> list[str]:
    """Return how many steps of each op were changed in one way: `53 batch norms folded`."""
    counts = Counter(change.op for change in changes if change.kind == kind)
    return [f"{count} {name_op(op, count)} {kind}" for op, count in counts.items()]


def name_op(op: str, count: int) -> str:
    """Return what a report calls steps of an op."""
    noun = "sum of branches" if op == "add" else NOUNS.get(op, op)
    if op == "add":
        return noun if count == 1 else "sums of branches"
    return noun if count == 1 else f"{noun}s"


def describe_left(changes: Sequence[StepChange]) -> Iterator[str]:
    """Yield a line for the steps that were left; those of one name with one reason together."""
    together: dict[tuple[str, str], list[StepChange]] = {}
    for change in changes:
        if change.kind == "left":
            together.setdefault((re.sub(r"\d+", "*", change.step), change.text), []).append(change)
    for (_, reason), steps in list(together.items())[:MAX_LEFT]:
        more = f" and {len(steps) - 1} more" if len(steps) > 1 else ""
        yield f"left {steps[0].step}{more} ({steps[0].op}): {reason}"
    if len(together) > MAX_LEFT:
        yield f"left {len(together) - MAX_LEFT} other kinds of steps: --json lists all"


def describe_deployment_proof(proof: DeploymentProof) -> Iterator[str]:
    """Yield what was proved in one framework."""
    bound = f"at most {proof.tolerance.fail_above:g} is allowed"
    yield f"proved on {proof.title} in float64: the outputs differ by {proof.difference:.1e}; {bound}"
    if proof.rounded is not None:
        yield f"with the weights as they are stored, the outputs differ by {proof.rounded:.1e}"


def deployment_record(
    model: DeployedModel, proofs: Sequence[DeploymentProof], files: Sequence[str]
) -> dict[str, Any]:
    """Return the report as JSON."""
    return {
        "model": model.name,
        "parameters": {"trained": model.trained.parameters, "deployed": model.parameters},
        "multiply_adds": {"trained": model.trained.cost.macs, "deployed": model.cost.macs},
        "changes": [asdict(change) for change in model.deployment.changes()],
        "proofs": [
            {
                "runtime": proof.title,
                "difference": proof.difference,
                "allowed": proof.tolerance.fail_above,
                "stored_difference": proof.rounded,
            }
            for proof in proofs
        ],
        "files": list(files),
    }
