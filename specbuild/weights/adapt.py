"""Adapt tensors of another size to the model, where the user asks for it: to other channels or other grids.

The tensors are canonical, so all frameworks get the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec.structs import replace

from specbuild.compiler.weight_locations import canonical_locations
from specbuild.diagnostics.errors import SpecError
from specbuild.ir.graph import Block, walk_ops
from specbuild.weights.adapt_options import RESAMPLE, Adaptation
from specbuild.weights.initial import initialize_weights
from specbuild.weights.input_channels import adapt_kernel, plan_channels
from specbuild.weights.matching import (
    AdaptedWeight,
    MatchedWeights,
    UnfitWeight,
    format_array_shape,
    is_matching,
)
from specbuild.weights.mismatch import MismatchedWeight
from specbuild.weights.tables import adapt_table, plan_resampling

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]


def adapt_weights(
    model: Block, matched: MatchedWeights, adaptations: Sequence[Adaptation], seed: int = 0
) -> MatchedWeights:
    """Adapt the mismatched weights that an adaptation selects; raises SpecError SB807 if that is impossible.

    The others stay mismatched; a mode that would adapt them is suggested. A table that has the model's shape
    is adapted only if the adaptation states two different grids.
    """
    locations = {w.path: w for w in canonical_locations(model)}
    steps = {path: (block, node) for path, node, block in walk_ops(model)}
    values, mismatched, adapted = dict(matched.values), [], []
    for unfit in (*matched.mismatched, *same_shape_candidates(matched, adaptations)):
        value = matched.mismatched_values.get(unfit.path) if unfit.actual else values[unfit.path]
        if value is None:
            mismatched.append(unfit)
            continue
        location = locations[unfit.path]
        weight = MismatchedWeight(location, *steps[unfit.path.removesuffix(f".{location.name}")], value)
        if not unfit.actual and not location.spec.is_table:
            continue
        adaptation = next((a for a in adaptations if is_selected(a, unfit)), None)
        if adaptation is None:
            mismatched.append(replace(unfit, suggested_mode=suggest_mode(weight)))
        else:
            values[unfit.path], description = adapt_tensor(weight, adaptation, seed)
            source = replace(unfit, actual=unfit.actual or format_array_shape(value))
            adapted.append(AdaptedWeight(source, description, adaptation.text))
    return replace(matched, values=values, mismatched=mismatched, adapted=adapted)


def same_shape_candidates(matched: MatchedWeights, adaptations: Sequence[Adaptation]) -> list[UnfitWeight]:
    """Return weights of the right shape that are to be resampled to another grid of as many positions."""
    regridding = [a for a in adaptations if a.is_regridding]
    if not regridding:
        return []
    weights = [UnfitWeight(path, value.shape, path, value.shape) for path, value in matched.values.items()]
    return [w for w in weights if any(is_selected(a, w) for a in regridding)]


def is_selected(adaptation: Adaptation, weight: UnfitWeight) -> bool:
    """Return whether the adaptation's pattern matches the weight, its step, or its name in the file."""
    return is_matching(weight.path, adaptation.pattern) or is_matching(weight.file_name, adaptation.pattern)


def adapt_tensor(weight: MismatchedWeight, adaptation: Adaptation, seed: int = 0) -> tuple[Array, str]:
    """Return the adapted tensor, and a description of how it was made."""
    if adaptation.mode == RESAMPLE:
        return adapt_table(weight, adaptation)
    initial = initialize_weights([weight.location], seed)[weight.location.path]
    return adapt_kernel(weight, adaptation, initial)


def suggest_mode(weight: MismatchedWeight) -> str:
    """Return a mode that can adapt the weight without options; empty if there is none."""
    for mode, check in (("repeat", plan_channels), (RESAMPLE, plan_resampling)):
        try:
            check(weight, Adaptation("", "", mode))
        except SpecError:
            continue
        return mode
    return ""
