"""Markdown of what `specbuild parity --json` wrote: `parity_tables.py FILE...`, a line for each spec and runtime."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Record = dict[str, Any]

FORWARD = ("output", "step", "rate")
GRADIENTS = ("gradient", "weight_gradient")
NUMBERS = ("batch", "forward", "PyTorch error", "Keras error", "gradients", "training", "rounded")


def results(files: Iterable[Path]) -> list[Record]:
    return [result for file in files for result in json.loads(file.read_text(encoding="utf-8"))["results"]]


def table(found: Iterable[Record]) -> str:
    """A line for each result; columns in which nothing stands are left out."""
    rows = [row(result) for result in found]
    if not rows:
        return ""
    headings = [name for name in rows[0] if any(row[name] not in ("", "0") for row in rows)]
    lines = [headings, ["---:" if name in NUMBERS else "---" for name in headings]]
    lines += [[row[name] for name in headings] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def row(result: Record) -> dict[str, str]:
    kinds: dict[str, list[Record]] = {"forward": [], "gradients": [], "training": []}
    for tensor in result["tensors"]:
        kind = tensor["kind"]
        group = "forward" if kind in FORWARD else "gradients" if kind in GRADIENTS else "training"
        kinds[group].append(tensor)
    steps = kinds["forward"]
    return {
        "model": f"`{name(result)}`",
        "Keras on": result["runtime"],
        "batch": str(result["batch"]),
        "forward": worst(steps, "relative"),
        "PyTorch error": worst(steps, "reference_error"),
        "Keras error": worst(steps, "other_error"),
        "gradients": worst(kinds["gradients"], "relative"),
        "training": worst(kinds["training"], "relative"),
        "tolerance": f"{result['tolerance']['fail_above']:.0e}",
        "rounded": str(result["rounded"]),
        "verdict": result["verdict"],
    }


def forward(result: Record) -> float:
    """How far outputs and steps are apart, the worst of them."""
    return max(x["relative"] or 0.0 for x in result["tensors"] if x["kind"] in FORWARD)


def name(result: Record) -> str:
    return str(result["spec"]).rpartition("/")[2].removesuffix(".yaml")


def worst(tensors: list[Record], figure: str) -> str:
    """The largest of a figure; nothing where it was not measured, and what is no number by its name."""
    if not tensors or (figure != "relative" and all(x[figure] is None for x in tensors)):
        return ""
    if figure == "relative" and any(x["relative"] is None for x in tensors):
        return "no number"
    return f"{max(x[figure] or 0.0 for x in tensors):.1e}"


def faults(found: Iterable[Record]) -> str:
    """Why what failed did."""
    return "".join(
        f"- `{name(r)}`, Keras on {r['runtime']}: {r['error']['message']}\n" for r in found if r["error"]
    )


def processes(files: Iterable[Path], switches: bool = True) -> str:
    """What the frameworks' processes said of themselves, each once."""
    told: dict[str, None] = {}
    for file in files:
        for process in json.loads(file.read_text(encoding="utf-8"))["processes"]:
            set_to = "".join(f"  - {s['name']} = {s['value']}\n" for s in process["switches"] if switches)
            told[f"- {process['framework']} on {process['device']}\n{set_to}"] = None
    return "".join(told)


def main(files: list[Path]) -> None:
    found = results(files)
    print("\n".join(part for part in (table(found), faults(found), processes(files)) if part), end="")


if __name__ == "__main__":
    main([Path(file) for file in sys.argv[1:]])
