"""Attention: values weighted by how well their keys answer a query."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from specbuild.expressions import plain
from specbuild.ops import logic
from specbuild.ops.attribute_kinds import Axis, Flag, Real
from specbuild.ops.base import Op, Takes, attr, floats, op
from specbuild.ops.merge import met
from specbuild.ops.types import CHANNEL, ShapeError, Tensor, listed


@op("attention")
class Attention(Op):
    """Scaled dot-product attention: softmax(scale query . key + bias) value, over the positions of the keys (arXiv 1706.03762).

    The query has positions `over`, the key and the value have theirs under `keys` or, if they lack it, under
    `over`; mask and bias name the positions of the keys `keys`. Every other axis (heads, windows) is met by
    name; what key, value, mask or bias lack is the same for all. A query that the mask leaves no key gives 0.
    """

    takes = (
        Takes("query", "what asks: positions, features and more axes"),
        Takes("key", "what each position offers"),
        Takes("value", "what each position gives"),
        Takes("mask", "where it is true, a query may look at a key", optional=True),
        Takes("bias", "added to the scores", optional=True),
    )
    over: str = attr(Axis(), "axis of the positions of the query", "T")
    keys: str = attr(
        Axis(),
        "axis of the positions of the keys in mask and bias; in key and value too, if they have it",
        "S",
    )
    features: str = attr(Axis(), "axis of the features", CHANNEL)
    scale: float | None = attr(
        Real(), "what scores are multiplied by; 1 over the root of the query's features if not given", None
    )
    causal: bool = attr(Flag(), "whether a query sees only keys up to its own position", False)

    def infer(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        for x in (query, key, value, *([bias] if bias else [])):
            floats(self.name, x)
        if mask is not None:
            logic.mask(self.name, mask)
        others = query.without(self.over, self.features).sizes
        if self.keys in query:
            raise ShapeError(
                "SB401",
                f"the query {query} has the axis {self.keys} of the keys",
                "give the keys' axis another name by `keys`",
            )
        if query[self.features] != key[self.features]:
            raise ShapeError(
                "SB401",
                f"query and key have {plain(query[self.features])} and {plain(key[self.features])} features",
            )
        if key[self.positions(key)] != value[self.positions(value)]:
            raise ShapeError("SB401", f"key {key} and value {value} have different lengths")
        for x in (key, value):
            self.meets(x.without(self.positions(x), self.features), others, "of the query")
        scores = {**others, self.over: query[self.over], self.keys: key[self.positions(key)]}
        for part, name in ((mask, "mask"), (bias, "bias")):
            if part is not None:
                self.meets(part, scores, f"that a {name} can have")
        batched = any(x.batched for x in (query, key, value, mask, bias) if x is not None)
        return Tensor({**query.sizes, self.features: value[self.features]}, "float", batched)

    def positions(self, x: Tensor) -> str:
        """The axis of the positions of a key or a value."""
        return self.keys if self.keys in x else self.over

    def meets(self, x: Tensor, known: Mapping[str, int], told: str) -> None:
        extra = [a for a in x.axes if a not in known]
        if extra:
            raise ShapeError(
                "SB404",
                f"axis {listed(extra)} is not among those {told}: {listed(known)}",
                "`rename` it, or `expand` the query",
            )
        met((Tensor(known), x.typed("float")))

    def macs(self, query: Tensor, key: Tensor, value: Tensor, *_: Tensor | None) -> int:
        scores = prod(plain(n) for a, n in query.sizes.items() if a != self.features) * plain(
            key[self.positions(key)]
        )
        return scores * (plain(query[self.features]) + plain(value[self.features]))
