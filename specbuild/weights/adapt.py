"""Weights whose tensor in the file has another size, made to fit as declared: new input channels, other grids.

All is done on canonical tensors, so that both frameworks get the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.compiler.weight_locations import held
from specbuild.diagnostics.errors import SpecError
from specbuild.ir.graph import Block, instances
from specbuild.weights import input_channels as stems
from specbuild.weights import tables
from specbuild.weights.adapt_options import RESAMPLE, Adaptation
from specbuild.weights.initial import initial
from specbuild.weights.matching import Adapted, Carried, Unfit, matches, said
from specbuild.weights.mismatch import Weighed

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]


def adapted(model: Block, found: Carried, declared: Sequence[Adaptation], seed: int = 0) -> Carried:
    """What was carried, with each weight of another size that is declared made to fit; SB807 where it cannot be.

    A weight of the same shape is meant only by a declaration that tells two different grids.
    """
    weights = {h.path: h for h in held(model, "torch")}
    steps = {path: (block, node) for path, node, block in instances(model)}
    values, mismatched, done = dict(found.values), [], []
    for u in (*found.mismatched, *fitting(found, declared)):
        value = found.others.get(u.path) if u.found else values[u.path]
        if value is None:
            mismatched.append(u)
            continue
        h = weights[u.path]
        weighed = Weighed(h, *steps[u.path.removesuffix(f".{h.name}")], value)
        if not u.found and not isinstance(weighed.node.op, tables.TABLES):
            continue
        way = next((a for a in declared if meets(a, u)), None)
        if way is None:
            mismatched.append(replace(u, advice=advice(weighed)))
        else:
            values[u.path], how = made(model, weighed, way, seed)
            done.append(Adapted(replace(u, found=u.found or said(value)), how, way.text))
    return replace(found, values=values, mismatched=mismatched, adapted=done)


def fitting(found: Carried, declared: Sequence[Adaptation]) -> list[Unfit]:
    """Weights that have the shape of the model, and are to be on another grid all the same."""
    moving = [a for a in declared if a.moves]
    exact = [Unfit(path, value.shape, path, value.shape) for path, value in found.values.items() if moving]
    return [u for u in exact if any(meets(a, u) for a in moving)]


def meets(way: Adaptation, u: Unfit) -> bool:
    """Whether a weight is meant: by its path, by its step, or by its name in the file."""
    return matches(u.path, way.pattern) or matches(u.name, way.pattern)


def made(model: Block, weighed: Weighed, way: Adaptation, seed: int = 0) -> tuple[Array, str]:
    """The tensor that fits, and how it was made."""
    if way.mode == RESAMPLE:
        return tables.adapted(weighed, way)
    return stems.adapted(weighed, way, initial(model, [weighed.held], seed)[weighed.held.path])


def advice(weighed: Weighed) -> str:
    """The mode that would make a weight fit, if one would by itself."""
    for mode, check in (("repeat", stems.channels), (RESAMPLE, tables.plan)):
        try:
            check(weighed, Adaptation("", "", mode))
        except SpecError:
            continue
        return mode
    return ""
