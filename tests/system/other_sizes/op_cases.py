"""`python -m tests.system.other_sizes.op_cases [RUNTIME] [NAME...]`: every case of an op with sizes that can be any.

The steps of a case stand in a block, and every size of an input but that of its channels can be any. The emitted files are
compared at the sizes of the case and at others. It prints what is not equal, and counts.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import yaml
from msgspec.structs import replace

from specbuild import load
from specbuild.compiler.pipeline import compile_source
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.ops.types import CHANNEL
from specbuild.parity.compare import ParityCase, ParityReport, WorkerLane, WorkerOptions
from specbuild.parity.participants import select_lineup
from tests.backends.test_op_parity import CASES, dtype
from tests.parity_runner import BACKENDS


def free_spec(name: str) -> str | None:
    """The case as a spec whose sizes can be any; None if it has no size but those of channels."""
    inputs, steps = map(yaml.safe_load, CASES[name])
    declared: dict[str, Any] = {}
    has_free = False
    for word, given in inputs.items():
        sizes = given.get("axes", given) if isinstance(given, dict) else {}
        if not isinstance(sizes, dict):
            return None
        declared[word] = {**given, "axes": [*sizes]} if "dtype" in given else [*sizes]
        for axis, size in sizes.items():
            if axis != CHANNEL and isinstance(size, int):
                sizes[axis], has_free = {"any": size}, True
    if not has_free:
        return None
    source = {word: word for word in inputs} if len(inputs) > 1 else next(iter(inputs))
    spec = {
        "specbuild": 1,
        "model": "Net",
        "inputs": inputs,
        "blocks": {"Inner": {"inputs": declared, "steps": steps}},
        "steps": [{"Inner": None, "from": source}],
    }
    return yaml.safe_dump(spec, sort_keys=False)


def list_cases(names: list[str], counts: Counter[str]) -> Iterator[ParityCase]:
    for name in names:
        text = free_spec(name)
        if text is None:
            continue
        try:
            model = load(text)
            for backend in BACKENDS:
                compile_source(model.graph, backend)
        except (SpecError, SpecErrors):
            counts["refused"] += 1
            continue
        resized = model.compilation.resized
        case = ParityCase(name, model.graph, modes=("forward",), dtype=dtype(name), resized=resized)
        yield replace(case, resized=())
        yield from case.at_other_sizes().values()


def main() -> None:
    runtime, *names = sys.argv[1:] or ["tensorflow"]
    counts: Counter[str] = Counter()

    def count_report(report: ParityReport) -> None:
        counts["equal" if report.is_equal else "failed"] += 1
        if not report.is_equal:
            print(report.name, report.error or report.worst_relative, flush=True)

    lane = WorkerLane(WorkerOptions(timeout=600), select_lineup([runtime], BACKENDS))
    lane.run_cases(list_cases(names or sorted(CASES), counts), count_report)
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))


if __name__ == "__main__":
    main()
