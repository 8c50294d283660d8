"""Attention: values weighted by how well their keys answer a query."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from specbuild.expressions import concrete
from specbuild.ops import logic
from specbuild.ops.attribute_kinds import AxisName, Boolean, Real
from specbuild.ops.base import InputSpec, Op, attribute_field, register_op, require_floats
from specbuild.ops.merge import broadcast_types
from specbuild.ops.types import CHANNEL, ShapeError, TensorType, join_names


@register_op("attention")
class Attention(Op):
    """Scaled dot-product attention: softmax(scale query . key + bias) value, over the positions of the keys (arXiv 1706.03762).

    The query has positions `over`, the key and the value have theirs under `keys` or, if they lack it, under
    `over`; mask and bias name the positions of the keys `keys`. Every other axis (heads, windows) is met by
    name; what key, value, mask or bias lack is the same for all. A query that the mask leaves no key gives 0.
    """

    input_specs = (
        InputSpec("query", "what asks: positions, features and more axes"),
        InputSpec("key", "what each position offers"),
        InputSpec("value", "what each position gives"),
        InputSpec("mask", "where it is true, a query may look at a key", optional=True),
        InputSpec("bias", "added to the scores", optional=True),
    )
    over: str = attribute_field(AxisName(), "axis of the positions of the query", "T")
    keys: str = attribute_field(
        AxisName(),
        "axis of the positions of the keys in mask and bias; in key and value too, if they have it",
        "S",
    )
    features: str = attribute_field(AxisName(), "axis of the features", CHANNEL)
    scale: float | None = attribute_field(
        Real(), "what scores are multiplied by; 1 over the root of the query's features if not given", None
    )
    causal: bool = attribute_field(Boolean(), "whether a query sees only keys up to its own position", False)

    def infer_type(
        self,
        query: TensorType,
        key: TensorType,
        value: TensorType,
        mask: TensorType | None = None,
        bias: TensorType | None = None,
    ) -> TensorType:
        for x in (query, key, value, *([bias] if bias else [])):
            require_floats(self.name, x)
        if mask is not None:
            logic.require_mask(self.name, mask)
        others = query.without_axes(self.over, self.features).sizes
        if self.keys in query:
            raise ShapeError(
                "SB401",
                f"the query {query} has the axis {self.keys} of the keys",
                "give the keys' axis another name by `keys`",
            )
        if query[self.features] != key[self.features]:
            raise ShapeError(
                "SB401",
                f"query and key have {concrete(query[self.features])} and {concrete(key[self.features])} features",
            )
        if key[self.position_axis(key)] != value[self.position_axis(value)]:
            raise ShapeError("SB401", f"key {key} and value {value} have different lengths")
        for x in (key, value):
            self.check_axes(x.without_axes(self.position_axis(x), self.features), others, "of the query")
        scores = {**others, self.over: query[self.over], self.keys: key[self.position_axis(key)]}
        for part, name in ((mask, "mask"), (bias, "bias")):
            if part is not None:
                self.check_axes(part, scores, f"that a {name} can have")
        batched = any(x.batched for x in (query, key, value, mask, bias) if x is not None)
        return TensorType({**query.sizes, self.features: value[self.features]}, "float", batched)

    def position_axis(self, x: TensorType) -> str:
        """The axis of the positions of a key or a value."""
        return self.keys if self.keys in x else self.over

    def check_axes(self, x: TensorType, known: Mapping[str, int], told: str) -> None:
        extra = [a for a in x.axes if a not in known]
        if extra:
            raise ShapeError(
                "SB404",
                f"axis {join_names(extra)} is not among those {told}: {join_names(known)}",
                "`rename` it, or `expand` the query",
            )
        broadcast_types((TensorType(known), x.with_dtype("float")))

    def count_macs(self, query: TensorType, key: TensorType, value: TensorType, *_: TensorType | None) -> int:
        scores = prod(concrete(n) for a, n in query.sizes.items() if a != self.features) * concrete(
            key[self.position_axis(key)]
        )
        return scores * (concrete(query[self.features]) + concrete(value[self.features]))
