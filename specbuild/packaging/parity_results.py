"""Results of `specbuild parity --json` for the README of a package: only those of exactly its files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from specbuild.api import Model
from specbuild.backends import all_backend_names, load_backend
from specbuild.compiler.output_files import content_hash
from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.frontend.regular_files import read_regular_file
from specbuild.runtimes.jobs import DTYPES

MAX_BYTES = 64 << 20  # the largest report that is read
VERDICTS = ("equal", "rounded", "close", "differs", "failed")
MODES = {"forward": "outputs and steps", "gradients": "gradients", "train": "one training step"}


class ParityRecord(Struct, frozen=True):
    """The result for one runtime that was compared with the reference, over all seeds."""

    reference: str  # the titles of both: "PyTorch" and "Keras"
    other: str
    runtime: str
    dtype: str
    device: str
    modes: tuple[str, ...]
    batch: int
    seeds: int
    worst: float
    allowed: float
    verdict: str


def load_results(path: Path, model: Model, backends: Sequence[str]) -> tuple[ParityRecord, ...]:
    """Return a report's results for this model and these backends, and others that were compared with them.

    Raises SB703 if the report is invalid, SB704 if it has no such results.
    """
    results = read_report(path)
    own_results = [r for r in results if r.get("digest") == model.digest]
    if not own_results:
        message = f"`{make_printable(str(path))}` has no result for {model.name} as it is compiled here"
        hint = "run `specbuild parity --json` again with this spec, variant and parameters"
        raise SpecError("SB704", message, hint=hint)
    try:
        compared = {name: digest for r in own_results for name, digest in r["files"].items()}
        for name in backends:
            if name not in compared:
                message = f"`{make_printable(str(path))}` has no result of {name} for {model.name}"
                hint = "compare the backends of the package: `specbuild parity --json --backends`"
                raise SpecError("SB704", message, hint=hint)
        own_files = {name: content_hash(model.source(check_backend(name))) for name in compared}
        if any(own_files[name] != digest for r in own_results for name, digest in r["files"].items()):
            message = (
                f"`{make_printable(str(path))}` has results for files that differ from those written here"
            )
            hint = "they are from another version of specbuild: run `specbuild parity --json` again"
            raise SpecError("SB704", message, hint=hint)
        return tuple(map(parse_result, own_results))
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError):
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
        report = json.loads(read_regular_file(path, MAX_BYTES))
    except OSError as error:
        raise invalid_report(path, error.strerror or str(error)) from None
    except (ValueError, RecursionError):
        raise invalid_report(path, "it is not JSON") from None
    results = report.get("results") if isinstance(report, dict) else None
    if not isinstance(results, list) or not all(isinstance(r, dict) for r in results):
        raise invalid_report(path, "it has no results")
    return results


def parse_result(record: dict[str, Any]) -> ParityRecord:
    """Return one result; raises LookupError, TypeError, ValueError or OverflowError if it is invalid.

    A report from before there were more backends has no `backends`: the order of the files is theirs.
    """
    first, second = map(load_backend, map(check_backend, record.get("backends", record["files"])))
    runtimes = {runtime.name: runtime for runtime in second.runtimes}
    modes = tuple(str(mode) for mode in record["modes"])
    if not set(modes) <= set(MODES):
        raise ValueError("modes")
    worst, allowed = record["worst"], record["tolerance"]["fail_above"]
    runtime = runtimes[read_choice(record, "runtime", tuple(runtimes))]
    return ParityRecord(
        first.runtimes[0].short_title,
        runtime.short_title,
        runtime.name,
        read_choice(record, "dtype", DTYPES),
        read_choice(record, "device", ("cpu", "cuda")),
        modes,
        read_count(record, "batch"),
        read_count(record, "seeds"),
        float("nan") if worst is None else float(worst),
        float(allowed),
        read_choice(record, "verdict", VERDICTS),
    )


def check_backend(name: object) -> str:
    """Return the name of a backend; raises ValueError for anything else."""
    if name not in all_backend_names():
        raise ValueError("backends")
    return str(name)


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
