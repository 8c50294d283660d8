"""How tensors lie in Keras, and how one order becomes another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from specbuild.backends.base import Backend, classes
from specbuild.backends.keras import module_file as page
from specbuild.codegen.class_def import Unit
from specbuild.codegen.constructions import literal
from specbuild.codegen.layout import Layout, permutation, swapped
from specbuild.codegen.tree import Attribute, Call, Expr, Index, Literal, Module, Name, TupleOf
from specbuild.expressions import words
from specbuild.ops.types import CHANNEL, SPATIAL, Tensor


class Keras(Backend):
    name = "keras"
    title = "Keras 3"

    def natural(self, x: Tensor) -> tuple[str, ...]:
        """C last; D, H, W in this order before it."""
        places = tuple(a for a in SPATIAL if a in x)
        others = tuple(a for a in x.axes if a != CHANNEL and a not in places)
        return (*others, *places, *((CHANNEL,) if CHANNEL in x else ()))

    def convert(
        self, value: Expr, type_: Tensor, held: Layout, wanted: Layout, seen: Mapping[str, Expr]
    ) -> Expr:
        def sizes(order: tuple[str, ...], value: Expr = value, held: Layout = held) -> tuple[Expr, ...]:
            return tuple(seen.get(axis) or size(value, held, axis, type_) for axis in order)

        if held.folded and held.folded != wanted.folded:
            spread = Layout((*held.folded, *held.order), (), held.batched)
            value, held = reshaped(value, sizes(spread.order), held.batched), spread
        if wanted.folded and held.folded != wanted.folded:
            value = self.permuted(value, held, Layout((*wanted.folded, *wanted.order), (), held.batched))
            return reshaped(value, sizes(wanted.order), held.batched)
        return self.permuted(value, held, wanted)

    def permuted(self, value: Expr, held: Layout, wanted: Layout) -> Expr:
        order = permutation(held, wanted)
        if order == tuple(range(len(order))):
            return value
        if pair := swapped(order):
            return call("ops.swapaxes", value, *pair)
        return call("ops.transpose", value, order)

    def module(self, units: list[Unit], doc: str, header: tuple[str, ...]) -> Module:
        return page.module(self, units, doc, header)

    def prelude(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for file in sorted(Path(__file__).with_name("helpers").glob("[a-z]*.py")):
            found |= classes(file.read_text(encoding="utf-8"))
        return found


def call(function: str, *args: object, **keywords: object) -> Call:
    """`function(*args, **keywords)`."""

    def told(a: object) -> Expr:
        return literal(a) if a is None or isinstance(a, int | float | str | tuple) else a  # type: ignore[return-value]

    return Call(Name(function), tuple(map(told, args)), tuple((k, told(v)) for k, v in keywords.items()))


def size(value: Expr, layout: Layout, axis: str, type_: Tensor) -> Expr:
    """The size of an axis: in the author's words if it has some, else read off the value; channels are never in doubt."""
    if words(type_[axis]) is not None or axis in layout.folded or axis == CHANNEL:
        return literal(type_[axis])
    return Index(Attribute(value, "shape"), (Literal(layout.dim(axis)),))


def reshaped(value: Expr, sizes: tuple[Expr, ...], batched: bool) -> Call:
    """The same numbers in other dimensions; the batch is worked out."""
    return call("ops.reshape", value, TupleOf((*((Literal(-1),) if batched else ()), *sizes)))


backend = Keras()
emits = backend.emits
