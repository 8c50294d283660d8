"""The notes under a parity table: what was compared, and what its words and numbers mean."""

from __future__ import annotations

from collections.abc import Iterator

from specbuild.diagnostics.errors import make_printable
from specbuild.ir.graph import walk_ops
from specbuild.ops.base import Op
from specbuild.parity.difference import KIND_TITLES, ZERO_SHARE, statistics_uses
from specbuild.parity.result import ParityResult, format_number, format_reference_errors
from specbuild.parity.tolerance import FEW_VALUES, scarce_statistics

MAX_NOTES = 5  # rounded tensors that get a note each


def format_notes(result: ParityResult) -> Iterator[str]:
    """Yield explanations that are needed to read the numbers."""
    case, (reference, other) = result.case, result.short_titles
    yield f"tolerance {format_number(result.tolerance.fail_above)}: {result.tolerance.reason}"
    if result.tolerance.warn_above < result.tolerance.fail_above:
        yield f"differences above {format_number(result.tolerance.warn_above)} are reported as close"
    if result.has_rounding:
        yield (
            f"{reference} error, {other} error: relative difference from the {reference} file in "
            "float64, with the same weights and inputs"
        )
    yield from rounding_notes(result)
    if set(case.modes) - {"forward"}:
        share = ZERO_SHARE[case.dtype]
        scale = "the largest of all" if share == 1 else f"at least {share:g} of the largest"
        yield (
            f"gradients, and weights after a step: differences are divided by {scale}, because a much "
            "smaller gradient may be zero except for rounding"
        )
    if "train" in case.modes:
        yield from training_notes(result)
    if unrecorded := result.worst_report.unrecorded_steps:
        yield f"part of another step in one of the files, so not recorded: {', '.join(unrecorded)}"


def training_notes(result: ParityResult) -> Iterator[str]:
    """Yield what is compared in the training step."""
    yield "training: one step of gradient descent; weights and statistics are compared after it"
    ops = [node.op for _, node, _ in walk_ops(result.model)]
    if any(isinstance(op, Op) and op.dropout_rate() is not None for op in ops):
        yield (
            "dropout and drop-path: their rates are compared, then set to 0 in both files for the "
            "training step"
        )
    uses = statistics_uses(result.model, result.case.batch)
    if uses:
        yield (
            "running variance: some frameworks divide by n - 1, others by n; the share of the batch is "
            "multiplied by (n - 1) / n where necessary"
        )
    if scarce := scarce_statistics(result.model, result.case.batch):
        yield (
            f"statistics of {FEW_VALUES} values, which amplify rounding, so that training may be `rounded` (a larger "
            f"--batch avoids it): {', '.join(scarce)}"
        )
    if reused := [path for path, (_, counts) in uses.items() if len(counts) > 1]:
        yield (
            "statistics left out, because the step is used several times and they depend on the order: "
            f"{', '.join(reused)}"
        )


def rounding_notes(result: ParityResult) -> Iterator[str]:
    """Yield what the verdict `rounded` means, and the numbers of the tensors that have it."""
    rounded = result.rounded_differences
    if not rounded:
        return
    reference, other = result.short_titles
    dtype: str = result.case.dtype
    if not result.has_rounding and result.tolerance.perturbs_other:
        dtype = f"float64, with float32 inside {other},"
    yield (
        f"rounded: {len(rounded)} of {len(result.differences)} tensors, where {dtype} is too coarse to "
        "compare the files: rounding moves a number across the corner of a ReLU, or exchanges two in a "
        "max pooling, or a norm sees few numbers in training. float64 decides, on a runtime that does not "
        "round it"
    )
    yield (
        f"a tensor is rounded if one of these is large enough: the error of {reference}; the change of "
        f"{reference} in float64 when weights and inputs change by "
        f"{format_number(result.tolerance.perturbation)}"
        + (f"; the change of {other} when they change in their last digit" * result.tolerance.perturbs_other)
    )
    for d in rounded[:MAX_NOTES]:
        errors = format_reference_errors(d)
        text = f"difference {format_number(d.relative)}, {reference} error {errors[0]}"
        text += f", {other} error {errors[1]}"
        text += f"; float64 changes by {format_number(d.sensitivity)}" if d.sensitivity else ""
        text += f"; {other} changes by {format_number(d.other_sensitivity)}" if d.other_sensitivity else ""
        yield f"rounded: {KIND_TITLES[d.kind]}: {make_printable(d.path, 60)}: {text}"
    if len(rounded) > MAX_NOTES:
        yield f"rounded: {len(rounded) - MAX_NOTES} more, in --json"
