"""How tensors lie in PyTorch, and how one order becomes another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from specbuild.backends.base import Backend, classes
from specbuild.backends.torch import module_file as page
from specbuild.codegen.class_def import Unit
from specbuild.codegen.constructions import literal
from specbuild.codegen.layout import Layout, permutation, swapped
from specbuild.codegen.tree import Attribute, Call, Expr, Literal, Module, TupleOf
from specbuild.ops.types import CHANNEL, SPATIAL, Tensor


class Torch(Backend):
    name = "torch"
    title = "PyTorch"

    def natural(self, x: Tensor) -> tuple[str, ...]:
        """Maps: C before D, H, W. Anything else: C last."""
        places = tuple(a for a in SPATIAL if a in x)
        others = tuple(a for a in x.axes if a != CHANNEL and a not in places)
        channel = (CHANNEL,) if CHANNEL in x else ()
        return (*others, *channel, *places)

    def convert(
        self, value: Expr, type_: Tensor, held: Layout, wanted: Layout, seen: Mapping[str, Expr]
    ) -> Expr:
        if held.folded and held.folded != wanted.folded:
            sizes = TupleOf((Literal(-1), *(seen.get(a) or literal(type_[a]) for a in held.folded)))
            value = method(value, "unflatten", 0, sizes)
            held = Layout((*held.folded, *held.order), (), held.batched)
        if wanted.folded and held.folded != wanted.folded:
            spread = Layout((*wanted.folded, *wanted.order), (), held.batched)
            value = self.permuted(value, held, spread)
            return method(value, "flatten", 0, len(wanted.folded))
        return self.permuted(value, held, wanted)

    def permuted(self, value: Expr, held: Layout, wanted: Layout) -> Expr:
        order = permutation(held, wanted)
        if order == tuple(range(len(order))):
            return value
        if pair := swapped(order):
            return method(value, "transpose", *pair)
        return method(value, "permute", *order)

    def module(self, units: list[Unit], doc: str, header: tuple[str, ...]) -> Module:
        return page.module(self, units, doc, header)

    def prelude(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for file in sorted(Path(__file__).with_name("helpers").glob("[a-z]*.py")):
            found |= classes(file.read_text(encoding="utf-8"))
        return found


def method(value: Expr, name: str, *args: object, **keywords: object) -> Call:
    """`value.name(*args, **keywords)`."""

    def told(a: object) -> Expr:
        return literal(a) if a is None or isinstance(a, int | float | str | tuple) else a  # type: ignore[return-value]

    return Call(
        Attribute(value, name), tuple(map(told, args)), tuple((k, told(v)) for k, v in keywords.items())
    )


backend = Torch()
emits = backend.emits
