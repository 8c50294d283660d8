"""How tensors lie in PyTorch, and how one order becomes another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from specbuild.backends.base import Backend, split_definitions
from specbuild.backends.torch import module_file as page
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout, layout_permutation, swapped_dims
from specbuild.codegen.tree import Attribute, Call, Expr, Literal, Module, TupleOf
from specbuild.ops.types import CHANNEL, SPATIAL, TensorType


class TorchBackend(Backend):
    name = "torch"
    title = "PyTorch"

    def natural_order(self, x: TensorType) -> tuple[str, ...]:
        """Maps: C before D, H, W. Anything else: C last."""
        places = tuple(a for a in SPATIAL if a in x)
        others = tuple(a for a in x.axes if a != CHANNEL and a not in places)
        channel = (CHANNEL,) if CHANNEL in x else ()
        return (*others, *channel, *places)

    def convert_layout(
        self, value: Expr, type_: TensorType, held: Layout, wanted: Layout, seen: Mapping[str, Expr]
    ) -> Expr:
        if held.folded and held.folded != wanted.folded:
            sizes = TupleOf(
                (Literal(-1), *(seen.get(a) or literal_expression(type_[a]) for a in held.folded))
            )
            value = call_method(value, "unflatten", 0, sizes)
            held = Layout((*held.folded, *held.order), (), held.batched)
        if wanted.folded and held.folded != wanted.folded:
            spread = Layout((*wanted.folded, *wanted.order), (), held.batched)
            value = self.permute_axes(value, held, spread)
            return call_method(value, "flatten", 0, len(wanted.folded))
        return self.permute_axes(value, held, wanted)

    def permute_axes(self, value: Expr, held: Layout, wanted: Layout) -> Expr:
        order = layout_permutation(held, wanted)
        if order == tuple(range(len(order))):
            return value
        if pair := swapped_dims(order):
            return call_method(value, "transpose", *pair)
        return call_method(value, "permute", *order)

    def module_file(self, units: list[ClassSpec], doc: str, header: tuple[str, ...]) -> Module:
        return page.build_module(self, units, doc, header)

    def helper_sources(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for file in sorted(Path(__file__).with_name("helpers").glob("[a-z]*.py")):
            found |= split_definitions(file.read_text(encoding="utf-8"))
        return found


def call_method(value: Expr, name: str, *args: object, **keywords: object) -> Call:
    """`value.name(*args, **keywords)`."""

    def to_expression(a: object) -> Expr:
        return literal_expression(a) if a is None or isinstance(a, int | float | str | tuple) else a  # type: ignore[return-value]

    return Call(
        Attribute(value, name),
        tuple(map(to_expression, args)),
        tuple((k, to_expression(v)) for k, v in keywords.items()),
    )


backend = TorchBackend()
emits = backend.emits
