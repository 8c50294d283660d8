"""softmax(scale * query . key + bias) . value, written out as products, becomes one `attention`."""

from __future__ import annotations

import math
from collections.abc import Iterator

from msgspec import Struct

from specbuild.importing.named_values import BlockInput, Instance, Step, ValueSource


class Pattern(Struct):
    """A product with softmax, and what it is made of. `gone` are the steps that it replaces."""

    result: Step
    gone: list[Step]
    query: ValueSource
    key: ValueSource
    value: ValueSource
    biases: list[ValueSource]
    scale: float
    over: str
    keys: str
    features: str
    mask: ValueSource | None = None


def is_masking(step: Step | BlockInput) -> bool:
    """Return whether a choice hides scores: it puts minus infinity in the place of those that are not wanted."""
    return (
        isinstance(step, Step)
        and step.roles == ("then", "condition")
        and step.attributes.get("value") == -math.inf
    )


def unite_attention(instance: Instance) -> None:
    while (pattern := next(find_patterns(instance), None)) is not None:
        replace_pattern(instance, pattern)


def count_reads(instance: Instance, step: Step) -> int:
    reads = [s for other in instance.steps for s in other.sources] + instance.outputs
    return sum(s.step is step for s in reads)


def is_private(instance: Instance, source: ValueSource, op: str) -> bool:
    """Return whether a value is the result of this op, and is read once."""
    step = source.step
    return isinstance(step, Step) and step.op == op and count_reads(instance, step) == 1


def find_patterns(instance: Instance) -> Iterator[Pattern]:
    for step in instance.steps:
        if step.op != "contract" or len(step.sources) != 2 or not isinstance(step.attributes["over"], str):
            continue
        for weights, value in (step.sources, step.sources[::-1]):
            if is_private(instance, weights, "softmax"):
                pattern = match_pattern(instance, step, weights, value)
                if pattern is not None:
                    yield pattern


def match_pattern(
    instance: Instance, result: Step, weights: ValueSource, value: ValueSource
) -> Pattern | None:
    """Return the pattern whose last product is `result`; None if something in it is not as in attention."""
    keys, softmax = result.attributes["over"], weights.step
    assert isinstance(softmax, Step)
    if softmax.attributes.get("over", "C") != keys:
        return None
    gone, scores, mask = [softmax], softmax.sources[0], None
    if is_private(instance, scores, "where") and is_masking(scores.step):
        assert isinstance(scores.step, Step)
        gone.append(scores.step)
        scores, mask = scores.step.sources
    biases: list[ValueSource] = []
    while is_private(instance, scores, "add") and len(scores.step.sources) == 2:  # type: ignore[union-attr]
        add = scores.step
        assert isinstance(add, Step)
        main = [s for s in add.sources if is_score(s)]
        if len(main) != 1:
            return None
        [scores] = main
        biases.insert(0, next(s for s in add.sources if s != scores))
        gone.append(add)
    scale = 1.0
    if is_private(instance, scores, "scale"):
        assert isinstance(scores.step, Step)
        if set(scores.step.attributes) != {"by"}:
            return None
        scale = scores.step.attributes["by"]
        gone.append(scores.step)
        scores = scores.step.sources[0]
    if not is_private(instance, scores, "contract"):
        return None
    product = scores.step
    assert isinstance(product, Step)
    features = product.attributes["over"]
    query = [s for s in product.sources if keys not in source_axes(s)]
    key = [s for s in product.sources if keys in source_axes(s)]
    if not isinstance(features, str) or len(query) != 1 or len(key) != 1:
        return None
    pattern = Pattern(result, [*gone, product], query[0], key[0], value, biases, scale, "", keys, features)
    pattern.mask = mask
    return pattern if complete_pattern(instance, pattern) else None


def is_score(source: ValueSource) -> bool:
    """Return whether a value may be scores: a product, also scaled or with biases added."""
    step = source.step
    if isinstance(step, Step) and step.op == "add":
        return any(is_score(s) for s in step.sources)
    return isinstance(step, Step) and (
        step.op == "contract" or (step.op == "scale" and is_score(step.sources[0]))
    )


def complete_pattern(instance: Instance, pattern: Pattern) -> bool:
    """Fill in the axis of the queries, and take in a scale and renames before the product; returns whether it fits."""
    query, key, value = map(source_axes, (pattern.query, pattern.key, pattern.value))
    positions = [a for a in query if a not in key]
    others = set(query) - {*positions, pattern.features}
    if len(positions) != 1 or pattern.features not in value or pattern.keys not in value:
        return False
    if not {*key, *value} <= others | {pattern.keys, pattern.features}:
        return False
    [pattern.over] = positions
    if is_private(instance, pattern.query, "scale"):
        step = pattern.query.step
        assert isinstance(step, Step)
        if set(step.attributes) == {"by"}:
            pattern.scale *= step.attributes["by"]
            pattern.gone.append(step)
            pattern.query = step.sources[0]
    renames = {pattern.over: pattern.keys}
    for role in ("key", "value"):
        source = getattr(pattern, role)
        if (
            isinstance(source.step, Step)
            and source.step.op == "rename"
            and source.step.attributes["axes"] == renames
        ):
            setattr(pattern, role, source.step.sources[0])
    return True


def replace_pattern(instance: Instance, pattern: Pattern) -> None:
    step, width = pattern.result, source_axes(pattern.query)[pattern.features]
    step.op, step.attributes = "attention", {}
    for name, axis, default in (
        ("over", pattern.over, "T"),
        ("keys", pattern.keys, "S"),
        ("features", pattern.features, "C"),
    ):
        if axis != default:
            step.attributes[name] = axis
    if not math.isclose(pattern.scale, width**-0.5, rel_tol=1e-6):
        step.attributes["scale"] = pattern.scale
    step.sources, step.roles = [pattern.query, pattern.key, pattern.value], ("query", "key", "value")
    if pattern.mask is not None and is_causal(pattern):
        step.attributes["causal"] = True
    elif pattern.mask is not None:
        step.sources.append(pattern.mask)
        step.roles = (*step.roles, "mask")
    if pattern.biases:
        step.sources.append(add_biases(instance, pattern))
        step.roles = (*step.roles, "bias")
    for gone in pattern.gone:
        instance.steps.remove(gone)
    for source, hint in zip(step.sources, ("queries", "keys", "values"), strict=False):
        if isinstance(source.step, Step) and not source.step.weights and not source.step.instance:
            source.step.hint = hint


def is_causal(pattern: Pattern) -> bool:
    """Return whether the mask is a table that hides what comes later."""
    table = pattern.mask.step if pattern.mask is not None else None
    wanted = (f"{pattern.over} >= {pattern.keys}", f"{pattern.keys} <= {pattern.over}")
    return isinstance(table, Step) and table.op == "const" and table.attributes.get("value") in wanted


def add_biases(instance: Instance, pattern: Pattern) -> ValueSource:
    """Return the sum of what is added to the scores."""
    whole, *others = pattern.biases
    for other in others:
        axes = {**source_axes(whole), **source_axes(other)}
        is_broadcast = source_axes(whole).items() ^ source_axes(other).items()
        add = Step("add", {"broadcast": True} if is_broadcast else {}, [whole, other], axes=axes, hint="bias")
        add.line = pattern.result.line
        instance.steps.insert(instance.steps.index(pattern.result), add)
        whole = ValueSource(add)
    return whole


def source_axes(source: ValueSource) -> dict[str, int]:
    """Return the axes of a value; of a part, those of the whole, which has the same."""
    step = source.step
    return step.axes if isinstance(step, Step | BlockInput) else {}
