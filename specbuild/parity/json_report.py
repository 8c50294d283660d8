"""The result of a parity run as JSON."""

from __future__ import annotations

from math import isfinite
from typing import Any

from specbuild.diagnostics.errors import make_printable
from specbuild.parity.difference import Difference
from specbuild.parity.notes import format_notes
from specbuild.parity.result import ParityResult


def result_record(result: ParityResult) -> dict[str, Any]:
    """Return the whole result as a JSON object."""
    return {
        "spec": make_printable(result.spec, 4096),
        "model": result.model.name,
        "digest": result.case.digest,
        "files": result.file_digests,
        "backends": [backend for backend, _ in result.worst_report.participants],
        "runtime": result.runtime,
        "dtype": result.case.dtype,
        "device": result.options.device,
        "tf32": result.options.tf32,
        "modes": list(result.case.modes),
        "batch": result.case.batch,
        "seed": min(report.seed for report in result.reports),
        "seeds": len(result.reports),
        "verdict": result.verdict,
        "rounded": len(result.rounded_differences),
        "worst": finite_or_none(max((d.relative for d in result.differences.values()), default=0.0)),
        "tolerance": {
            "fail_above": result.tolerance.fail_above,
            "warn_above": result.tolerance.warn_above,
            "reason": result.tolerance.reason,
        },
        "error": error_record(result),
        "notes": list(format_notes(result)),
        "tensors": [tensor_record(result, d) for d in result.differences.values()],
    }


def error_record(result: ParityResult) -> dict[str, Any] | None:
    """Return the error of the result as a JSON object."""
    error = result.parity_error()
    if error is None:
        return None
    location = error.location
    return {
        "code": error.code,
        "message": error.message,
        "seed": result.worst_report.seed,
        "step": result.worst_report.first_failing_step() or None,
        "file": location.file if location else None,
        "line": location.line if location else None,
        "column": location.column if location else None,
    }


def tensor_record(result: ParityResult, d: Difference) -> dict[str, Any]:
    """Return one tensor's difference as a JSON object; numbers that are not finite become null."""
    return {
        "kind": d.kind,
        "path": d.path,
        "absolute": finite_or_none(d.absolute),
        "relative": finite_or_none(d.relative),
        "reference_error": None if d.reference_error is None else finite_or_none(d.reference_error),
        "other_error": None if d.other_error is None else finite_or_none(d.other_error),
        "reference_sensitivity": finite_or_none(d.sensitivity),
        "other_sensitivity": finite_or_none(d.other_sensitivity),
        "standard_deviation": finite_or_none(d.deviation),
        "verdict": result.tolerance.judge_difference(d),
    }


def finite_or_none(x: float) -> float | None:
    return x if isfinite(x) else None
