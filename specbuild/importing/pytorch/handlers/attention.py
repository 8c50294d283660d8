"""Products of matrices, and attention."""

from __future__ import annotations

import math
from typing import Any

from specbuild.importing.broadcasting import broadcast_values
from specbuild.importing.layouts import rename_axes, require_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import (
    NamedValue,
    Unsupported,
)
from specbuild.importing.products import contract_letters, multiply_matrices
from specbuild.importing.pytorch.handlers.registry import lowers


@lowers("matmul", "bmm", "mm", "mv", "dot", "vdot")
def lower_matmul(low: Lowerer, input: Any, other: Any) -> NamedValue:
    return multiply_matrices(low, low.value(input), low.value(other))


@lowers("einsum")
def lower_einsum(low: Lowerer, equation: str, *operands: Any) -> NamedValue:
    values = operands[0] if len(operands) == 1 and isinstance(operands[0], list) else operands
    return contract_letters(low, equation, list(values))


# As many parameters as in torch.nn.functional.
@lowers("scaled_dot_product_attention")
def lower_attention(
    low: Lowerer,
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> NamedValue:
    inputs = []
    for x in (query, key, value):
        named, _ = require_axis(low, low.value(x), -2)
        named, _ = require_axis(low, named, -1)
        inputs.append(named)
    q, k, v = map(low.resolve, inputs)
    if low.is_free(q.dims[-2][0]):
        q, _ = require_axis(low, q, -2, "T")
    positions, features = q.dims[-2][0], q.dims[-1][0]
    k, v = align_keys(low, q, k), align_keys(low, q, v)
    roles: tuple[str, ...] = ("query", "key", "value")
    sources = [q, k, v]
    if attn_mask is not None:
        sources.append(align_mask(low, q, k, low.value(attn_mask)))
        roles = (*roles, "mask" if sources[-1].dtype == "bool" else "bias")
    attributes: dict[str, Any] = {} if positions == "T" else {"over": positions}
    if features != "C":
        attributes["features"] = features
    fewer = [
        a
        for a, n in q.axes.items()
        for x in (k, v)
        if a in x.axes and a not in (positions, features) and x.axes[a] < n
    ]
    if len(set(fewer)) > 1:
        raise Unsupported(f"attention whose keys have fewer {' and '.join(dict.fromkeys(fewer))}")
    if fewer:
        attributes["grouped"] = fewer[0]
    if is_causal:
        attributes["causal"] = True
    if scale is not None and not math.isclose(scale, q.axes[features] ** -0.5):
        attributes["scale"] = scale
    sizes = {features: v.axes[v.dims[-1][0]]}
    return low.emit("attention", sources, attributes, sizes=sizes, roles=roles)


def align_keys(low: Lowerer, query: NamedValue, x: NamedValue) -> NamedValue:
    """Give the axes of keys or values the names that they have in the queries; the axis of positions gets another name if needed."""
    names = {}
    positions, features = x.dims[-2][0], x.dims[-1][0]
    if features != query.dims[-1][0]:
        names[features] = query.dims[-1][0]
    if positions != query.dims[-2][0] and positions != "S":
        names[positions] = "S"
    for i in range(-min(len(query.dims), len(x.dims)), -2):
        if x.dims[i]:  # else it is the same along this dimension
            names |= {b: a for a, b in zip(query.dims[i], x.dims[i], strict=True) if a != b}
    return rename_axes(low, x, names) if names else x


def align_mask(low: Lowerer, query: NamedValue, key: NamedValue, mask: NamedValue) -> NamedValue:
    """Name the axes of a mask or bias after those of the scores."""
    axes = {a: n for a, n in query.axes.items() if a != query.dims[-1][0]}
    scores = NamedValue(
        query.source, {**axes, "S": key.axes[key.dims[-2][0]]}, (*query.dims[:-1], ("S",)), "float"
    )
    named = low.resolve(broadcast_values(low, scores, mask)[1])
    extra = [
        a for a, n in named.axes.items() if a not in scores.axes and n == 1
    ]  # the heads, of a single one
    if not extra:
        return named
    sizes = {a: n for a, n in named.axes.items() if a not in extra}
    dims = [tuple(a for a in dim if a not in extra) for dim in named.dims]
    return low.emit("squeeze", [named], {"over": extra}, sizes=sizes, dims=dims)
