"""Specs through everything that must hold for them: both files made, clean, and equal in what they compute."""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from specbuild.compiler.pipeline import compile_source
from specbuild.compiler.weight_locations import locate_weights
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.ir.cost import model_cost
from specbuild.ir.graph import Block, walk_ops
from specbuild.parity.compare import ParityCase, ParityReport, compare_cases
from tests.system.random_specs.structure import Raw, text
from tests.system.random_specs.tensor_files import graph_of

BATCH = 125  # specs a process of each framework


@dataclass(frozen=True)
class Outcome:
    """What became of one spec. `kind` is passed, refused, differs, error, traceback or untidy."""

    name: str
    data: Raw
    kind: str
    told: str = ""
    worst: float = 0.0
    ops: tuple[str, ...] = ()
    tensors: int = 0

    @property
    def failed(self) -> bool:
        return self.kind not in ("passed", "refused")

    @property
    def text(self) -> str:
        return text(self.data)


@dataclass(frozen=True)
class Made:
    """A spec that compiled."""

    name: str
    data: Raw
    model: Block
    files: dict[str, str]

    @property
    def ops(self) -> tuple[str, ...]:
        return tuple(node.op.name for _, node, _ in walk_ops(self.model) if hasattr(node.op, "family"))


def made(name: str, data: Raw) -> Made | Outcome:
    """The spec compiled, or why it was not."""
    try:
        model = graph_of(data, text(data))
        files = {backend: compile_source(model, backend) for backend in ("torch", "keras")}
        counts = {
            sum(math.prod(h.shape) for h in locate_weights(model, b) if h.is_trainable)
            for b in ("torch", "keras")
        }
        if counts != {model_cost(model).parameters}:
            return Outcome(name, data, "error", f"parameters: {counts} for {model_cost(model).parameters}")
    except SpecErrors as errors:
        return Outcome(name, data, "refused", f"{errors.errors[0].code} {errors.errors[0].message}")
    except SpecError as error:
        return Outcome(name, data, "refused", f"{error.code} {error.message}")
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno} {last.name}"
        return Outcome(name, data, "traceback", f"{type(error).__name__}: {error} ({where})")
    return Made(name, data, model, files)


def case(one: Made, number: int, runtime: str) -> ParityCase:
    """How it is compared: every third in training too, with several sizes of batch; dropout is off there. On JAX and
    PyTorch in float32, to which Keras rounds there anyway."""
    train = number % 3 == 0
    return ParityCase(
        one.name,
        one.model,
        modes=("forward", "gradients", "train") if train else ("forward", "gradients"),
        batch=number % 2 + 3 if train else number % 3 + 1,
        seed=number,
        dtype="float32" if single(one) or runtime != "tensorflow" else "float64",
    )


def single(one: Made) -> bool:
    """Whether TensorFlow has no float64 for it on a CPU: pooling over three axes."""
    return any(
        node.op.name in ("max_pool", "avg_pool")
        and len(node.op.sliding_window(block.value_type(node.inputs[0])).axes) == 3  # type: ignore[union-attr, arg-type]
        for _, node, block in walk_ops(one.model)
        if hasattr(node.op, "sliding_window")
    )


def judged(one: Made, report: ParityReport) -> Outcome:
    """What became of it, by the bounds that parity has for everyone."""
    if report.error:
        return Outcome(one.name, one.data, "error", report.error, ops=one.ops)
    found = report.relative_by_key
    if wrong := report.failing_differences():
        told = ", ".join(f"{d.key} {d.relative:.1e} {d.problem}".rstrip() for d in wrong[:5])
        return Outcome(one.name, one.data, "differs", told, report.worst_relative, one.ops, len(found))
    return Outcome(one.name, one.data, "passed", "", report.worst_relative, one.ops, len(found))


def run(specs: Iterable[tuple[str, Raw]], tidy: bool = True, runtime: str = "tensorflow") -> list[Outcome]:
    """Every spec compiled, linted, and compared: one process of each framework for all."""

    def compared(some: list[Made]) -> Iterator[tuple[Made, ParityReport]]:
        cases = [case(one, numbers[one.name], runtime) for one in some]
        return zip(some, compare_cases(cases, runtimes=[runtime]), strict=True)

    found: dict[str, Outcome] = {}
    compiled: list[Made] = []
    numbers: dict[str, int] = {}
    for number, (name, data) in enumerate(specs):
        one = made(name, data)
        found[name] = Outcome(name, data, "passed")
        numbers[name] = int("".join(c for c in name if c.isdigit()) or 3 * number)
        if isinstance(one, Made):
            compiled.append(one)
        else:
            found[name] = one
    for start in range(0, len(compiled), BATCH):
        some = compiled[start : start + BATCH]
        for one, report in compared(some):
            found[one.name] = judged(one, report)
    zero = [
        o
        for o in found.values()
        if o.kind == "differs" and all("gradient:" in part for part in o.told.split(", "))
    ]
    again = [m for o in zero if isinstance(m := made(o.name, anchored(o.data)), Made)]
    if again:
        for one, report in compared(again):
            if (outcome := judged(one, report)).kind == "passed":
                found[one.name] = replace(outcome, data=found[one.name].data)
    if tidy:
        for name, told in untidy(compiled).items():
            if not found[name].failed:
                found[name] = Outcome(name, found[name].data, "untidy", told, ops=found[name].ops)
    return list(found.values())


def anchored(data: Raw) -> Raw:
    """The spec with its inputs as outputs too, so that no gradient of an input is zero but for rounding."""
    changed = deepcopy(data)
    steps = changed["steps"]
    if "outputs" not in changed:
        last = steps[-1] if isinstance(steps[-1], dict) else {steps[-1]: None}
        steps[-1] = {"as": "given_last", **last}
        changed["outputs"] = [steps[-1]["as"]]
    outputs = changed["outputs"]
    named = {"first": outputs} if isinstance(outputs, str) else outputs
    named = dict(named) if isinstance(named, dict) else {name.replace(".", "_"): name for name in named}
    if "prev" in named.values():
        last = steps[-1] if isinstance(steps[-1], dict) else {steps[-1]: None}
        steps[-1] = {"as": "given_last", **last}
        named = {k: steps[-1]["as"] if v == "prev" else v for k, v in named.items()}
    for name, raw in changed["inputs"].items():
        if raw.get("dtype", "float") == "float":
            steps.append({"scale": {"by": 2}, "from": name, "as": f"anchor_{name}"})
            named[f"anchor_{name}"] = f"anchor_{name}"
    return {**changed, "outputs": named}


def untidy(compiled: list[Made]) -> dict[str, str]:
    """What ruff says of the files: of the linter, and of the formatter, which leaves them alone."""
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for one in compiled:
            for backend, source in one.files.items():
                (Path(folder) / f"{one.name}-{backend}.py").write_text(source, encoding="utf-8")
        # FURB136: `a if a > b else b` are the author's own words
        check = ["check", "--ignore", "FURB136", "--output-format", "concise"]
        for command in (check, ["format", "--diff"]):
            done = subprocess.run(
                [sys.executable, "-m", "ruff", *command, "--isolated", "."],
                cwd=folder,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                for line in done.stdout.splitlines():
                    name = line.removeprefix("--- ").partition("-")[0]
                    if line.startswith(("r", "--- ")) and any(m.name == name for m in compiled):
                        found.setdefault(name, f"ruff {command[0]}: {line}")
                found = found or {compiled[0].name: done.stdout[:500] + done.stderr[:500]}
    return found


def coverage(outcomes: Iterable[Outcome]) -> Counter[str]:
    """In how many compared specs each op stands."""
    found: Counter[str] = Counter()
    for outcome in outcomes:
        if outcome.kind in ("passed", "differs"):
            found.update(set(outcome.ops))
    return found


def kept(outcome: Outcome, folder: Path) -> Path:
    """The spec of a failure and what was wrong with it, as a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{outcome.name}.yaml"
    told = "".join(f"# {line}\n" for line in f"{outcome.kind}: {outcome.told}".splitlines())
    path.write_text(told + text(outcome.data), encoding="utf-8")
    return path


__all__: list[Any] = ["Outcome", "coverage", "kept", "made", "run"]
