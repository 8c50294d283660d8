"""What `specbuild parity --json` found of a model, for its card: only where it ran these very files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specbuild.api import Model
from specbuild.backends import BACKEND_NAMES
from specbuild.compiler import output_files as output
from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.runtimes.jobs import DTYPES, RUNTIMES

MAX_BYTES = 64 << 20  # bytes of a report
VERDICTS = ("equal", "rounded", "close", "differs", "failed")
MODES = {"forward": "outputs and steps", "gradients": "gradients", "train": "a step of training"}


@dataclass(frozen=True)
class ParityResult:
    """Both files on one runtime of Keras."""

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
    """The results of a report that are of this model; SB703 for no report, SB704 where none is."""
    results = read_report(path)
    mine = [r for r in results if r.get("digest") == model.digest]
    if not mine:
        message = f"`{make_printable(str(path))}` has no result of {model.name} as it is compiled here"
        hint = "run `specbuild parity --json` again: with this spec, variant and parameters"
        raise SpecError("SB704", message, hint=hint)
    files = {name: output.content_hash(model.source(name)) for name in BACKEND_NAMES}
    if any(r.get("files") != files for r in mine):
        message = f"`{make_printable(str(path))}` was measured on other files than are written here"
        hint = "another version of specbuild wrote them: run `specbuild parity --json` again"
        raise SpecError("SB704", message, hint=hint)
    try:
        return tuple(map(parse_result, mine))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise invalid_report(
            path, "a result in it lacks something, or has something else in its place"
        ) from None


def read_report(path: Path) -> list[dict[str, Any]]:
    """The results of a report."""
    try:
        if not path.is_file():
            raise invalid_report(path, "it is no regular file" if path.exists() else "there is no such file")
        if path.stat().st_size > MAX_BYTES:
            raise invalid_report(path, f"it is larger than {MAX_BYTES >> 20} MiB")
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise invalid_report(path, error.strerror or str(error)) from None
    except (ValueError, RecursionError):
        raise invalid_report(path, "it is not JSON") from None
    results = found.get("results") if isinstance(found, dict) else None
    if not isinstance(results, list) or not all(isinstance(r, dict) for r in results):
        raise invalid_report(path, "it has no results")
    return results


def parse_result(record: dict[str, Any]) -> ParityResult:
    """One result; some error of Python's where it is not as it should be."""
    modes = tuple(str(mode) for mode in record["modes"])
    if not set(modes) <= set(MODES):
        raise ValueError("modes")
    worst, allowed = record["worst"], record["tolerance"]["fails"]
    return ParityResult(
        read_choice(record, "runtime", RUNTIMES),
        read_choice(record, "dtype", DTYPES),
        read_choice(record, "device", ("cpu", "cuda")),
        modes,
        read_count(record, "batch"),
        read_count(record, "seeds"),
        float("nan") if worst is None else float(worst),
        float(allowed),
        read_choice(record, "verdict", VERDICTS),
    )


def read_choice(record: dict[str, Any], key: str, known: tuple[str, ...]) -> str:
    value = record[key]
    if value not in known:
        raise ValueError(key)
    return str(value)


def read_count(record: dict[str, Any], key: str) -> int:
    value = record[key]
    if type(value) is not int or not 0 < value < 10**9:
        raise ValueError(key)
    return value


def invalid_report(path: Path, reason: str) -> SpecError:
    hint = "`specbuild parity SPEC --json` prints one"
    return SpecError("SB703", f"`{make_printable(str(path))}` is no report of parity: {reason}", hint=hint)
