"""Weights whose tensor in the file has another size, made to fit as declared: new input channels, other grids.

All is done on canonical tensors, so that both frameworks get the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.compiler.weight_locations import locate_weights
from specbuild.diagnostics.errors import SpecError
from specbuild.ir.graph import Block, walk_ops
from specbuild.weights import input_channels as stems
from specbuild.weights import tables
from specbuild.weights.adapt_options import RESAMPLE, Adaptation
from specbuild.weights.initial import initialize_weights
from specbuild.weights.matching import AdaptedWeight, MatchedWeights, UnfitWeight, format_shape, is_matching
from specbuild.weights.mismatch import MismatchedWeight

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]


def adapt_weights(
    model: Block, matched: MatchedWeights, adaptations: Sequence[Adaptation], seed: int = 0
) -> MatchedWeights:
    """What was carried, with each weight of another size that is declared made to fit; SB807 where it cannot be.

    A weight of the same shape is meant only by a declaration that tells two different grids.
    """
    weights = {h.path: h for h in locate_weights(model, "torch")}
    steps = {path: (block, node) for path, node, block in walk_ops(model)}
    values, mismatched, adapted = dict(matched.values), [], []
    for u in (*matched.mismatched, *same_shape_candidates(matched, adaptations)):
        value = matched.mismatched_values.get(u.path) if u.actual else values[u.path]
        if value is None:
            mismatched.append(u)
            continue
        h = weights[u.path]
        weight = MismatchedWeight(h, *steps[u.path.removesuffix(f".{h.name}")], value)
        if not u.actual and not isinstance(weight.node.op, tables.TABLE_OPS):
            continue
        adaptation = next((a for a in adaptations if is_selected(a, u)), None)
        if adaptation is None:
            mismatched.append(replace(u, suggested_mode=suggest_mode(weight)))
        else:
            values[u.path], description = adapt_tensor(model, weight, adaptation, seed)
            adapted.append(
                AdaptedWeight(
                    replace(u, actual=u.actual or format_shape(value)), description, adaptation.text
                )
            )
    return replace(matched, values=values, mismatched=mismatched, adapted=adapted)


def same_shape_candidates(matched: MatchedWeights, adaptations: Sequence[Adaptation]) -> list[UnfitWeight]:
    """Weights that have the shape of the model, and are to be on another grid all the same."""
    moving = [a for a in adaptations if a.is_regridding]
    exact = [
        UnfitWeight(path, value.shape, path, value.shape) for path, value in matched.values.items() if moving
    ]
    return [u for u in exact if any(is_selected(a, u) for a in moving)]


def is_selected(adaptation: Adaptation, u: UnfitWeight) -> bool:
    """Whether a weight is meant: by its path, by its step, or by its name in the file."""
    return is_matching(u.path, adaptation.pattern) or is_matching(u.file_name, adaptation.pattern)


def adapt_tensor(
    model: Block, weight: MismatchedWeight, adaptation: Adaptation, seed: int = 0
) -> tuple[Array, str]:
    """The tensor that fits, and how it was made."""
    if adaptation.mode == RESAMPLE:
        return tables.adapt_table(weight, adaptation)
    return stems.adapt_kernel(
        weight, adaptation, initialize_weights(model, [weight.location], seed)[weight.location.path]
    )


def suggest_mode(weight: MismatchedWeight) -> str:
    """The mode that would make a weight fit, if one would by itself."""
    for mode, check in (("repeat", stems.plan_channels), (RESAMPLE, tables.plan_resampling)):
        try:
            check(weight, Adaptation("", "", mode))
        except SpecError:
            continue
        return mode
    return ""
