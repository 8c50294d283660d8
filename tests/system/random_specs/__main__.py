"""`python -m tests.system.random_specs --count 1000 --seed 7`: a recorded run; the record is printed as Markdown."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from specbuild.ops import OPS
from specbuild.parity.participants import runtime_names
from tests.system.random_specs.deployed_forms import try_deployment
from tests.system.random_specs.other_arguments import try_arguments
from tests.system.random_specs.running import BATCH, Outcome, coverage, kept, run
from tests.system.random_specs.shrinking import smaller
from tests.system.random_specs.structure import spec


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.random_specs", description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first spec")
    parser.add_argument("--failures", type=Path, default=Path("failures"), help="folder for specs that fail")
    parser.add_argument("--runtime", choices=runtime_names(), default="tensorflow", help="of Keras")
    parser.add_argument("--shrink", type=int, default=3, help="how many failures are made small")
    parser.add_argument("--constructs", action="store_true", help="also draw those of constructs.py")
    parser.add_argument(
        "--arguments", type=int, default=0, help="how many constructor arguments of each to try"
    )
    parser.add_argument("--deploy", action="store_true", help="also deploy each, and compare it in PyTorch")
    given = parser.parse_args()
    began = time.process_time()
    drawn = {
        f"r{n}": spec(given.seed, n, given.constructs) for n in range(given.first, given.first + given.count)
    }
    outcomes: list[Outcome] = []
    names = list(drawn)
    for start in range(0, len(names), BATCH):
        some = run([(name, drawn[name].data) for name in names[start : start + BATCH]], runtime=given.runtime)
        outcomes += some
        for outcome in some:
            if outcome.failed:
                path = kept(outcome, given.failures)
                print(f"{outcome.name} {outcome.kind}: {outcome.told[:300]} -> {path}", flush=True)
        print(f"{len(outcomes)} of {len(names)}", file=sys.stderr, flush=True)
    unfit = Counter(why.partition(":")[0] for one in drawn.values() for why in one.refused)
    print(record(given.seed, outcomes, unfit))
    failed = [o for o in outcomes if o.failed]
    if given.arguments:
        tried = Counter[str]()
        for name, one in drawn.items():
            for trial in try_arguments(one.text, given.arguments):
                tried[trial.outcome.partition(":")[0] if trial.is_right else "wrong"] += 1
                if not trial.is_right:
                    print(f"{name} {trial}", flush=True)
        print(f"constructor arguments in PyTorch: {dict(tried)}")
    if given.deploy:
        deployed = {name: try_deployment(one.data) for name, one in drawn.items()}
        print(f"deployed forms: {dict(Counter(told.partition(':')[0] for told in deployed.values()))}")
        wrong = {name: told for name, told in deployed.items() if told.startswith("differs")}
        print("".join(f"{name} deployed {told}\n" for name, told in wrong.items()), end="", flush=True)
    for outcome in failed[: given.shrink]:
        small = smaller(outcome, given.runtime)
        print(f"{outcome.name} made small: {small.told[:300]} -> {kept(small, given.failures / 'small')}")
    print(f"{time.process_time() - began:.0f} s in this process")
    return 1 if failed else 0


def record(seed: int, outcomes: list[Outcome], unfit: Counter[str]) -> str:
    """Numbers of a run: what was compared, what was refused and why, how often each op was seen."""
    kinds = Counter(o.kind for o in outcomes)
    passed = [o for o in outcomes if o.kind == "passed"]
    lines = [
        f"{len(outcomes)} specs of seed {seed}: "
        + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()),
        f"{sum(o.tensors for o in passed):,} tensors compared in those that passed, "
        f"{sum(len(o.ops) for o in passed):,} ops; the largest difference is {max((o.worst for o in passed), default=0):.1e}",
        "",
        "Refused by the compiler: "
        + (
            ", ".join(
                f"{n} x {why[:100]}"
                for why, n in Counter(o.told for o in outcomes if o.kind == "refused").most_common()
            )
            or "none"
        ),
        "",
        "Drawn and thrown away: " + ", ".join(f"{n} x {why}" for why, n in unfit.most_common()),
        "",
        "| op | specs |",
        "|---|---|",
    ]
    counts = coverage(outcomes)
    lines += [f"| {op} | {counts[op]} |" for op in sorted(OPS, key=lambda op: (counts[op], op))]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
