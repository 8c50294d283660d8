"""`python -m tests.system.arguments BACKEND SPEC...`: try every constructor argument, and print a table."""

from __future__ import annotations

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


def main(backend: str, *paths: str) -> None:
    print(
        "| spec | same | refused by both | refused by the file alone | of no use to the spec | wrong | seconds |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)
    for path in map(Path, paths):
        spec, files = open_spec(path)

        def elaborate_with(
            changed: Mapping[str, Any], path: Path = path, parts: Any = (spec, files)
        ) -> Block:
            return elaborate_model(*parts, {**smaller(path), **changed}).graph

        start, counts = time.perf_counter(), Counter[str]()
        for trial in sweep(elaborate_model(spec, files, smaller(path)), elaborate_with, backend):
            kind = trial.outcome.partition(" by the file")[0] + (
                " by the file" if " by the file" in trial.outcome else ""
            )
            counts[kind if trial.is_right else "wrong"] += 1
            if not trial.is_right:
                print(f"{path.stem}: {trial}", file=sys.stderr)
        found = [counts[k] for k in ("same", "refused", "refused by the file", "accepted", "wrong")]
        print(
            f"| {path.stem} | {' | '.join(map(str, found))} | {time.perf_counter() - start:.0f} |", flush=True
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
