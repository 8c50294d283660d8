"""Similarities and distances of two values."""

from __future__ import annotations

from typing import Any

from specbuild.importing.broadcasting import combine_values
from specbuild.importing.handler_table import unusual_values
from specbuild.importing.layouts import require_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import NamedValue, Unsupported
from specbuild.importing.pytorch.handlers.registry import lowers
from specbuild.importing.reducing import reduce_value
from specbuild.importing.trace import FunctionCall


@lowers("cosine_similarity")
def lower_cosine_similarity(low: Lowerer, x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> NamedValue:
    directions = []
    for x in (x1, x2):
        value, axis = require_axis(low, low.value(x), dim)
        attributes = unusual_values({"over": "C"}, over=axis, epsilon=eps)
        directions.append(low.emit("normalize", [value], attributes))
    product = combine_values(low, "multiply", directions[0], directions[1])
    return reduce_value(low, "sum", product, dim, False)


@lowers("nn.CosineSimilarity")
def lower_cosine_layer(low: Lowerer, call: FunctionCall, x1: Any, x2: Any) -> NamedValue:
    return lower_cosine_similarity(low, x1, x2, call.settings["dim"], call.settings["eps"])


@lowers("pairwise_distance")
def lower_distance(
    low: Lowerer, x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> NamedValue:
    difference = combine_values(low, "add", combine_values(low, "subtract", x1, x2), eps)
    if p == 1:
        return reduce_value(low, "sum", low.emit("abs", [difference]), -1, keepdim)
    if p != 2:
        raise Unsupported(f"a distance with p = {p}")
    return reduce_value(low, "l2_norm", difference, -1, keepdim)


@lowers("nn.PairwiseDistance")
def lower_distance_layer(low: Lowerer, call: FunctionCall, x1: Any, x2: Any) -> NamedValue:
    s = call.settings
    return lower_distance(low, x1, x2, s["norm"], s["eps"], s["keepdim"])
