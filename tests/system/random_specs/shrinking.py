"""A spec that fails, made small: parts are taken away as long as it fails in the same way."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from tests.system.random_specs.running import Made, Outcome, made, run
from tests.system.random_specs.structure import Raw

ROUNDS = 12
STEP_KEYS = ("from", "as", "when", "repeat", "merge")


def smaller(outcome: Outcome, runtime: str = "tensorflow") -> Outcome:
    """The smallest spec found that fails as this one does."""
    best = outcome
    for _ in range(ROUNDS):
        tries = [
            data
            for data in candidates(best.data)
            if not isinstance(made("x", data), Outcome) or outcome.kind == "traceback"
        ]
        if outcome.kind == "traceback":
            found = [made("x", data) for data in tries]
            failing = [one for one in found if isinstance(one, Outcome) and alike(one, outcome)]
        else:
            failing = [
                o
                for o in run(
                    [(f"{outcome.name}_{i}", data) for i, data in enumerate(tries)],
                    outcome.kind == "untidy",
                    runtime,
                )
                if alike(o, outcome)
            ]
        if not failing:
            break
        least = min(failing, key=lambda o: size(o.data))
        best = Outcome(outcome.name, least.data, least.kind, least.told, least.worst, least.ops)
    return best


def alike(a: Outcome, b: Outcome) -> bool:
    return a.kind == b.kind and (a.kind not in ("error", "traceback") or a.told[:25] == b.told[:25])


def size(data: Any) -> int:
    if isinstance(data, dict):
        return sum(1 + size(v) for v in data.values())
    return sum(map(size, data)) + len(data) if isinstance(data, list) else 1


def candidates(data: Raw) -> Iterator[Raw]:
    """The spec with something less."""
    for path in bodies(data):
        steps = at(data, path)
        for cut in sorted({len(steps) // 2, len(steps) - 2, len(steps) - 1}):
            if 0 < cut < len(steps):
                changed = deepcopy(data)
                del at(changed, path)[cut:]
                owner = at(changed, path[:-1]) if path else changed
                if path[-1] == "steps" and isinstance(owner, dict):
                    owner.pop("outputs", None)
                    yield changed
        for i, step in enumerate(steps):
            yield without(data, path, i, step)
            if isinstance(step, dict):
                yield from trimmed(data, path, i, step)
    for section in ("blocks", "inputs", "params"):
        for name in list(data.get(section) or {}):
            changed = deepcopy(data)
            del changed[section][name]
            yield changed
    if "outputs" in data:
        yield {k: v for k, v in data.items() if k != "outputs"}
        outputs = data["outputs"]
        for one in outputs if not isinstance(outputs, str) else []:
            yield {**data, "outputs": outputs[one] if isinstance(outputs, dict) else one}
            yield {
                **data,
                "outputs": {k: v for k, v in outputs.items() if k != one}
                if isinstance(outputs, dict)
                else [o for o in outputs if o != one],
            }


def bodies(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to every list of steps."""
    if isinstance(data, dict):
        for key, value in data.items():
            here = (*path, key)
            branch = len(path) > 0 and path[-1] == "parallel"
            if key in ("steps", "do") or branch:
                yield here
            yield from bodies(value, here)
    elif isinstance(data, list):
        for i, item in enumerate(data):
            yield from bodies(item, (*path, i))


def at(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


def without(data: Raw, path: tuple[Any, ...], i: int, step: Any) -> Raw:
    """The spec without a step; who read it reads what it read."""
    changed = deepcopy(data)
    steps = at(changed, path)
    del steps[i]
    if isinstance(step, dict) and "as" in step:
        value = next((v for k, v in step.items() if k not in STEP_KEYS), None)
        source = (
            step.get("from")
            if isinstance(step.get("from"), str)
            else value[0]
            if isinstance(value, list) and value
            else "prev"
        )
        before = steps[i - 1].get("as") if i and isinstance(steps[i - 1], dict) else None
        source = (before or source) if source == "prev" else source
        owner = at(changed, path[:-1])
        replaced(owner if isinstance(owner, dict) else steps, step["as"], source)
    return changed


def replaced(data: Any, old: str, new: Any) -> None:
    pairs = (
        list(data.items())
        if isinstance(data, dict)
        else list(enumerate(data))
        if isinstance(data, list)
        else []
    )
    for key, value in pairs:
        if value == old and key != "as":
            data[key] = new
        else:
            replaced(value, old, new)


def trimmed(data: Raw, path: tuple[Any, ...], i: int, step: Raw) -> Iterator[Raw]:
    """A step with a key or an attribute less, a group for its steps, `repeat` once, a block for its body's name."""
    for key in ("when", "repeat", "from", "as"):
        if key in step:
            changed = deepcopy(data)
            del at(changed, path)[i][key]
            yield changed
    kind = next((k for k in step if k not in STEP_KEYS), None)
    value = step.get(kind) if kind else None
    if kind == "do" and isinstance(value, list):
        changed = deepcopy(data)
        at(changed, path)[i : i + 1] = deepcopy(value)
        yield changed
    if isinstance(value, dict) and kind != "parallel":
        for name in value:
            changed = deepcopy(data)
            del at(changed, path)[i][kind][name]
            yield changed
            if isinstance(value[name], str) and any(c in value[name] for c in "*/+-"):
                for simple in (1, 2, 3):
                    changed = deepcopy(data)
                    at(changed, path)[i][kind][name] = simple
                    yield changed


__all__ = ["Made", "smaller"]
