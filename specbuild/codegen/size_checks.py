"""Sizes of inputs that a class is made for: its code, or a layer in it, has them as numbers. A call checks them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from specbuild.codegen.constructions import ComputedTable, Member, expression_names, literal_values
from specbuild.codegen.tree import Expr, Literal
from specbuild.diagnostics.suggestions import join_names
from specbuild.expressions import symbolic
from specbuild.ir.fixed_sizes import AxisOfInput, find_divisors, find_fixed_sizes
from specbuild.ir.graph import Block, runtime_sizes


@dataclass(frozen=True)
class SizeCheck:
    """A size of an input that must be a number, or a multiple of it."""

    source: str
    axis: str
    is_multiple: bool = False

    @property
    def helper(self) -> str:
        """The function of the emitted file that checks it."""
        return "check_multiple" if self.is_multiple else "check_size"


def find_size_checks(block: Block, members: Iterable[Member | None]) -> dict[SizeCheck, Expr]:
    """Return the sizes of inputs for which the code of a block with these members is right only."""
    sizes: dict[AxisOfInput, int] = dict(find_fixed_sizes(block))
    names = runtime_sizes(block)
    layers = [x for x in members if x is not None and not isinstance(x, ComputedTable)]
    read = {name for x in layers for value in literal_values(x) for name in expression_names(value)}
    for name, (source, axis) in names.items():
        if name in read:
            sizes[source, axis] = symbolic(int(block.inputs[source][axis]), name)
    checks: dict[SizeCheck, Expr] = {SizeCheck(*key): Literal(size) for key, size in sizes.items()}
    for key, divisor in find_divisors(block).items():
        if key not in sizes:
            checks[SizeCheck(*key, is_multiple=True)] = Literal(divisor)
    return checks


def describe_checks(checks: Iterable[SizeCheck]) -> str:
    """Return a sentence for the docstring of a class: which sizes are fixed."""
    axes: dict[str, list[str]] = {}
    for check in checks:
        if not check.is_multiple:
            axes.setdefault(check.source, []).append(check.axis)
    parts = [f"{join_names(names)} of {source}" for source, names in axes.items()]
    verb = "is" if len(axes) == 1 and len(*axes.values()) == 1 else "are"
    return f"{join_names(parts)} {verb} fixed." if parts else ""
