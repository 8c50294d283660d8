"""How tensors lie in Keras, and how one order becomes another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from specbuild.backends.base import Backend, split_definitions
from specbuild.backends.keras import module_file as page
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout, layout_permutation, swapped_dims
from specbuild.codegen.tree import Attribute, Call, Expr, Index, Literal, Module, Name, TupleOf
from specbuild.expressions import expression_of
from specbuild.ops.types import CHANNEL, SPATIAL, TensorType


class KerasBackend(Backend):
    name = "keras"
    title = "Keras 3"

    def natural_order(self, x: TensorType) -> tuple[str, ...]:
        """C last; D, H, W in this order before it."""
        places = tuple(a for a in SPATIAL if a in x)
        others = tuple(a for a in x.axes if a != CHANNEL and a not in places)
        return (*others, *places, *((CHANNEL,) if CHANNEL in x else ()))

    def convert_layout(
        self, value: Expr, type_: TensorType, held: Layout, wanted: Layout, seen: Mapping[str, Expr]
    ) -> Expr:
        def axis_sizes(order: tuple[str, ...], value: Expr = value, held: Layout = held) -> tuple[Expr, ...]:
            return tuple(seen.get(axis) or axis_size(value, held, axis, type_) for axis in order)

        if held.folded and held.folded != wanted.folded:
            spread = Layout((*held.folded, *held.order), (), held.batched)
            value, held = emit_reshape(value, axis_sizes(spread.order), held.batched), spread
        if wanted.folded and held.folded != wanted.folded:
            value = self.permute_axes(value, held, Layout((*wanted.folded, *wanted.order), (), held.batched))
            return emit_reshape(value, axis_sizes(wanted.order), held.batched)
        return self.permute_axes(value, held, wanted)

    def permute_axes(self, value: Expr, held: Layout, wanted: Layout) -> Expr:
        order = layout_permutation(held, wanted)
        if order == tuple(range(len(order))):
            return value
        if pair := swapped_dims(order):
            return call_function("ops.swapaxes", value, *pair)
        return call_function("ops.transpose", value, order)

    def module_file(self, units: list[ClassSpec], doc: str, header: tuple[str, ...]) -> Module:
        return page.build_module(self, units, doc, header)

    def helper_sources(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for file in sorted(Path(__file__).with_name("helpers").glob("[a-z]*.py")):
            found |= split_definitions(file.read_text(encoding="utf-8"))
        return found


def call_function(function: str, *args: object, **keywords: object) -> Call:
    """`function(*args, **keywords)`."""

    def to_expression(a: object) -> Expr:
        return literal_expression(a) if a is None or isinstance(a, int | float | str | tuple) else a  # type: ignore[return-value]

    return Call(
        Name(function),
        tuple(map(to_expression, args)),
        tuple((k, to_expression(v)) for k, v in keywords.items()),
    )


def axis_size(value: Expr, layout: Layout, axis: str, type_: TensorType) -> Expr:
    """The size of an axis: in the author's words if it has some, else read off the value; channels are never in doubt."""
    if expression_of(type_[axis]) is not None or axis in layout.folded or axis == CHANNEL:
        return literal_expression(type_[axis])
    return Index(Attribute(value, "shape"), (Literal(layout.dim(axis)),))


def emit_reshape(value: Expr, sizes: tuple[Expr, ...], batched: bool) -> Call:
    """The same numbers in other dimensions; the batch is worked out."""
    return call_function("ops.reshape", value, TupleOf((*((Literal(-1),) if batched else ()), *sizes)))


backend = KerasBackend()
emits = backend.emits
