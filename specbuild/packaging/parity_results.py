"""Results of `specbuild parity --json` for the README of a package: only those of exactly its files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specbuild.api import Model
from specbuild.backends import BACKEND_NAMES
from specbuild.compiler.output_files import content_hash
from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.parity.participants import runtime_names
from specbuild.runtimes.jobs import DTYPES

MAX_BYTES = 64 << 20  # the largest report that is read
VERDICTS = ("equal", "rounded", "close", "differs", "failed")
MODES = {"forward": "outputs and steps", "gradients": "gradients", "train": "a step of training"}


@dataclass(frozen=True)
class ParityResult:
    """The result for one runtime that was compared with the reference, over all seeds."""

    runtime: str
    dtype: str
    device: str
    modes: tuple[str, ...]
    batch: int
    seeds: int
    worst: float
    allowed: float
    verdict: str


def load_results(path: Path, model: Model) -> tuple[ParityResult, ...]:
    """Return a report's results for this model; raises SB703 if it is invalid, SB704 if it has none."""
    results = read_report(path)
    own_results = [r for r in results if r.get("digest") == model.digest]
    if not own_results:
        message = f"`{make_printable(str(path))}` has no result for {model.name} as it is compiled here"
        hint = "run `specbuild parity --json` again with this spec, variant and parameters"
        raise SpecError("SB704", message, hint=hint)
    files = {name: content_hash(model.source(name)) for name in BACKEND_NAMES}
    if any(r.get("files") != files for r in own_results):
        message = f"`{make_printable(str(path))}` has results for files that differ from those written here"
        hint = "they are from another version of specbuild: run `specbuild parity --json` again"
        raise SpecError("SB704", message, hint=hint)
    try:
        return tuple(map(parse_result, own_results))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise invalid_report(
            path, "a result in it lacks something, or has something else in its place"
        ) from None


def read_report(path: Path) -> list[dict[str, Any]]:
    """Return all results of a report; raises SB703 if it is invalid."""
    try:
        if not path.is_file():
            raise invalid_report(
                path, "it is not a regular file" if path.exists() else "there is no such file"
            )
        if path.stat().st_size > MAX_BYTES:
            raise invalid_report(path, f"it is larger than {MAX_BYTES >> 20} MiB")
        report = json.loads(path.read_bytes())
    except OSError as error:
        raise invalid_report(path, error.strerror or str(error)) from None
    except (ValueError, RecursionError):
        raise invalid_report(path, "it is not JSON") from None
    results = report.get("results") if isinstance(report, dict) else None
    if not isinstance(results, list) or not all(isinstance(r, dict) for r in results):
        raise invalid_report(path, "it has no results")
    return results


def parse_result(record: dict[str, Any]) -> ParityResult:
    """Return one result; raises KeyError, TypeError, ValueError or OverflowError if it is invalid."""
    modes = tuple(str(mode) for mode in record["modes"])
    if not set(modes) <= set(MODES):
        raise ValueError("modes")
    worst, allowed = record["worst"], record["tolerance"]["fails"]
    return ParityResult(
        read_choice(record, "runtime", runtime_names()),
        read_choice(record, "dtype", DTYPES),
        read_choice(record, "device", ("cpu", "cuda")),
        modes,
        read_count(record, "batch"),
        read_count(record, "seeds"),
        float("nan") if worst is None else float(worst),
        float(allowed),
        read_choice(record, "verdict", VERDICTS),
    )


def read_choice(record: dict[str, Any], key: str, choices: tuple[str, ...]) -> str:
    value = record[key]
    if value not in choices:
        raise ValueError(key)
    return str(value)


def read_count(record: dict[str, Any], key: str) -> int:
    value = record[key]
    if type(value) is not int or not 0 < value < 10**9:
        raise ValueError(key)
    return value


def invalid_report(path: Path, reason: str) -> SpecError:
    hint = "`specbuild parity SPEC --json` prints one"
    return SpecError("SB703", f"`{make_printable(str(path))}` is not a parity report: {reason}", hint=hint)
