"""`python -m tests.system.arguments BACKEND SPEC...`: try every constructor argument, and print a table.

With `--sample N`, only N trials of each spec, always the same.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specbuild.compiler.pipeline import elaborate_model, open_spec
from specbuild.ir.graph import Block
from tests.system.arguments.sweep import sweep
from tests.system.smaller import smaller


def main(backend: str, paths: list[Path], sample: int | None = None) -> None:
    print(
        "| spec | same | refused by both | refused by the file alone | of no use to the spec | not tried | wrong | CPU seconds |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for path in paths:
        spec, files = open_spec(path)

        def elaborate_with(
            changed: Mapping[str, Any], path: Path = path, parts: Any = (spec, files)
        ) -> Block:
            return elaborate_model(*parts, {**smaller(path), **changed}).graph

        start, counts = time.process_time(), Counter[str]()
        for trial in sweep(
            elaborate_model(spec, files, smaller(path)), elaborate_with, backend, sample=sample
        ):
            counts[trial.outcome.partition(":")[0] if trial.is_right else "wrong"] += 1
            if not trial.is_right:
                print(f"{path.stem}: {trial}", file=sys.stderr, flush=True)
        found = [
            counts[k] for k in ("same", "refused", "refused by the file", "accepted", "not tried", "wrong")
        ]
        print(
            f"| {path.stem} | {' | '.join(map(str, found))} | {time.process_time() - start:.0f} |", flush=True
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.system.arguments")
    parser.add_argument("backend", choices=["torch", "keras"])
    parser.add_argument("specs", nargs="+", type=Path)
    parser.add_argument("--sample", type=int)
    given = parser.parse_args()
    main(given.backend, given.specs, given.sample)
