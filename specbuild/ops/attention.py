"""Attention: averages of values, weighted by how well their keys match a query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod

from specbuild.diagnostics.suggestions import join_names
from specbuild.expressions import concrete
from specbuild.ops import logic
from specbuild.ops.attribute_kinds import AxisName, Boolean, Real
from specbuild.ops.base import InputSpec, Op, attribute_field, register_op, require_floats
from specbuild.ops.merge import broadcast_types
from specbuild.ops.types import CHANNEL, ShapeError, TensorType, share_axes


@register_op("attention")
class Attention(Op):
    """Scaled dot-product attention: softmax(scale * query . key + bias) . value (arXiv 1706.03762).

    `over` is the axis of the query's positions. The positions of key and value are on the axis `keys`, or on
    `over` if they have no axis `keys`. A mask or a bias is about keys: {S} says which keys are seen, {T, S} which
    key by which query. In self-attention, where the positions of the keys are on T too, {T} means the same as {S}. All
    other axes (heads, windows) are aligned by name; where key, value, mask or bias lack one, they are broadcast. A
    query for which the mask excludes every key gives 0.

    With `grouped: heads`, key and value may have fewer heads than the query, a divisor of them: adjacent heads
    of the query share one (grouped-query attention, arXiv 2305.13245). In training, `dropout` sets weights of
    the values to 0, after the softmax, and scales the others by 1 / (1 - dropout).
    """

    input_specs = (
        InputSpec("query", "the queries: positions, features and any other axes"),
        InputSpec("key", "the key of each position"),
        InputSpec("value", "the value of each position"),
        InputSpec("mask", "true where a query may attend to a key", optional=True),
        InputSpec("bias", "added to the scores", optional=True),
    )
    over: str = attribute_field(AxisName(), "axis of the query's positions", "T")
    keys: str = attribute_field(
        AxisName(),
        "axis of the positions of the keys, in key, value, mask and bias if they have it",
        "S",
    )
    features: str = attribute_field(AxisName(), "axis of the features", CHANNEL, role="output")
    scale: float | None = attribute_field(
        Real(), "factor of the scores; by default 1 / sqrt(number of features)", None
    )
    causal: bool = attribute_field(
        Boolean(), "whether a query attends to no key after its own position", False
    )
    grouped: str | None = attribute_field(
        AxisName(), "axis of which key and value may have fewer positions than the query", None
    )
    dropout: float = attribute_field(
        Real(0, 1), "probability of dropping a weight in training", 0, role="detail"
    )

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
                f"the query {query} has an axis {self.keys}, which is that of the keys",
                "give the axis of the keys another name with `keys`",
            )
        if query[self.features] != key[self.features]:
            counts = f"{concrete(query[self.features])} and {concrete(key[self.features])}"
            raise ShapeError(
                "SB401",
                f"query and key have {counts} features",
                "both need the same number of features",
            )
        if key[self.position_axis(key)] != value[self.position_axis(value)]:
            raise ShapeError("SB401", f"key {key} and value {value} have different lengths")
        for x in map(self.expand_groups, (query, query), (key, value)):
            self.check_axes(x.without_axes(self.position_axis(x), self.features), others, "of the query")
        scores = {**others, self.over: query[self.over], self.keys: key[self.position_axis(key)]}
        for name, part in (("mask", mask), ("bias", bias)):
            if part is not None:
                self.check_axes(self.name_keys(part, key, name), scores, "of the scores")
        batched = any(x.batched for x in (query, key, value, mask, bias) if x is not None)
        return TensorType({**query.sizes, self.features: value[self.features]}, "float", batched)

    def expand_groups(self, query: TensorType, x: TensorType) -> TensorType:
        """Return the type of a key or value with as many positions of the axis `grouped` as the query."""
        axis = self.grouped
        if axis is None:
            return x
        if axis in (self.over, self.keys, self.features):
            raise ShapeError(
                "SB404", f"`grouped` is an axis such as heads, not {axis}, which has another role"
            )
        if axis not in x or x[axis] == query[axis]:
            query[axis]
            return x
        if concrete(query[axis]) % concrete(x[axis]):
            raise ShapeError(
                "SB401",
                f"{concrete(query[axis])} {axis} of the query cannot share {concrete(x[axis])} of {x}",
                f"the number of {axis} of key and value divides that of the query",
            )
        return x.with_sizes({axis: query[axis]})

    def dropout_rate(self) -> float | None:
        return self.dropout if self.dropout else None

    def position_axis(self, x: TensorType) -> str:
        """Return the axis of the positions of a key or a value."""
        return self.keys if self.keys in x else self.over

    def means_keys(self, x: TensorType, key: TensorType) -> bool:
        """Return whether the axis `over` of a mask or bias has the positions of the keys."""
        return self.over in x and self.keys not in x and self.keys not in key

    def name_keys(self, x: TensorType, key: TensorType, name: str) -> TensorType:
        """Return the type of a mask or bias with the axis `keys`. Raises ShapeError if it is about queries only."""
        if self.means_keys(x, key):
            return x.replace_axes(self.over, {self.keys: x[self.over]})
        if self.over in x and self.keys not in x:
            raise ShapeError(
                "SB404",
                f"the {name} {x} has the axis {self.over} of the queries, and not {self.keys}, that of the keys",
                f"a {name} is about keys: `rename: {{axes: {{{self.over}: {self.keys}}}}}`; what single queries give "
                "can be left out by a `multiply` after this step",
            )
        return x

    def joint_axes(
        self,
        query: TensorType,
        key: TensorType,
        value: TensorType,
        mask: TensorType | None = None,
        bias: TensorType | None = None,
    ) -> Iterable[Sequence[tuple[int, str]]]:
        inputs = (query, key, value, mask, bias)
        has_keys_on_over = (
            False,
            *(self.position_axis(x) == self.over for x in (key, value)),
            *(x is not None and self.means_keys(x, key) for x in (mask, bias)),
        )
        named = [
            x.replace_axes(self.over, {self.keys: x[self.over]}) if x is not None and changed else x
            for x, changed in zip(inputs, has_keys_on_over, strict=True)
        ]
        excluded = (self.features,) if self.grouped is None else (self.features, self.grouped)
        return [
            [(i, self.over if axis == self.keys and has_keys_on_over[i] else axis) for i, axis in group]
            for group in share_axes(named, excluded)
        ]

    def check_axes(self, x: TensorType, known: Mapping[str, int], owner: str) -> None:
        """Raise ShapeError if `x` has an axis that is not in `known`, or has it in another size."""
        extra = [a for a in x.axes if a not in known]
        if extra:
            raise ShapeError(
                "SB404",
                f"axis {join_names(extra)} is not among those {owner}: {join_names(known)}",
                "`rename` it, or `expand` the query",
            )
        broadcast_types((TensorType(known), x.with_dtype("float")))

    def count_macs(self, query: TensorType, key: TensorType, value: TensorType, *_: TensorType | None) -> int:
        scores = prod(concrete(n) for a, n in query.sizes.items() if a != self.features) * concrete(
            key[self.position_axis(key)]
        )
        return scores * (concrete(query[self.features]) + concrete(value[self.features]))
