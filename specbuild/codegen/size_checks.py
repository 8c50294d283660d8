"""Sizes of inputs that a class is made for: its code, or a layer in it, has them as numbers. A call checks them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from specbuild.codegen.constructions import (
    ComputedTable,
    Member,
    expression_names,
    literal_values,
    reads_names,
)
from specbuild.codegen.tree import Expr, Literal
from specbuild.diagnostics.suggestions import join_names
from specbuild.expressions import symbolic
from specbuild.ir.axis_sources import AxisOfInput
from specbuild.ir.fixed_sizes import (
    find_divisors,
    find_equal_sizes,
    find_fixed_sizes,
    list_input_sizes,
)
from specbuild.ir.graph import Block, Ref, runtime_sizes
from specbuild.ir.least_sizes import find_least_sizes


class SizeCheck(Struct, frozen=True):
    """A size of an input that must be a number, a multiple of it, at least it, or that of another input."""

    source: str
    axis: str
    is_multiple: bool = False
    is_least: bool = False
    same_as: AxisOfInput | None = None

    @property
    def is_fixed(self) -> bool:
        return not self.is_multiple and not self.is_least and self.same_as is None

    @property
    def helper(self) -> str:
        """The function of the emitted file that checks it."""
        return "check_multiple" if self.is_multiple else "check_least" if self.is_least else "check_size"


def find_size_checks(block: Block, members: Iterable[Member | None]) -> dict[SizeCheck, Expr]:
    """Return the sizes of inputs for which the code of a block with these members is right only."""
    sizes: dict[AxisOfInput, int] = dict(find_fixed_sizes(block))
    names = runtime_sizes(block)
    layers = [x for x in members if x is not None and not isinstance(x, ComputedTable)]
    read = {name for x in layers for value in literal_values(x) for name in expression_names(value)}
    if not read.isdisjoint(block.step_sizes):
        sizes |= list_input_sizes(block)
    for name, (source, axis) in names.items():
        if name in read:
            sizes[source, axis] = symbolic(int(block.inputs[source][axis]), name)
    checks: dict[SizeCheck, Expr] = {SizeCheck(*key): Literal(size) for key, size in sizes.items()}
    for key, divisor in find_divisors(block).items():
        if key not in sizes:
            checks[SizeCheck(*key, is_multiple=True)] = Literal(divisor)
    for key, least in find_least_sizes(block).items():
        if key not in sizes:
            checks[SizeCheck(*key, is_least=True)] = Literal(least)
    # a block inside is called with values that fit; only a table may have another size than they
    may_differ = block.rebuild is None or not all(x.batched for x in block.inputs.values())
    for key, other in find_equal_sizes(block).items() if may_differ else ():
        has_table = not all(block.inputs[source].batched for source, _ in (key, other))
        if key not in sizes and (block.rebuild is None or has_table):
            checks[SizeCheck(*key, same_as=other)] = Literal(0)
    return checks


def free_size_names(block: Block, free: Collection[tuple[Ref, str]]) -> set[str]:
    """Return the names of sizes in expressions that are those of these axes."""
    sizes = {**runtime_sizes(block), **block.step_sizes}
    return {name for name, source in sizes.items() if source in free}


def refuse_fixed_sizes(
    block: Block, members: Iterable[tuple[str, Member | None]], free: Collection[tuple[Ref, str]]
) -> None:
    """Raise SB408 if a layer, by its step, gets a size that can be any: it gets a number when it is made."""
    names = free_size_names(block, free)
    for step, member in members:
        if member is None or isinstance(member, ComputedTable) or not reads_names(member, names):
            continue
        node = block.find_node(step)
        at = block.at if node is None else node.at
        message = "this step needs a size as a number when it is made, and this size can be any"
        raise at.error("SB408", message, "write a number for the axis of the input instead of `any`")


def describe_equal(source: str, axis: str, check: SizeCheck) -> str:
    if axis == check.axis:
        return f"{source} and {check.source} have the same {axis}."
    return f"{check.axis} of {check.source} is {axis} of {source}."


def describe_checks(checks: Mapping[SizeCheck, Expr]) -> str:
    """Return sentences for the docstring of a class: which sizes are fixed, which have a least one, which are equal."""
    axes: dict[str, list[str]] = {}
    for check in checks:
        if check.is_fixed:
            axes.setdefault(check.source, []).append(check.axis)
    parts = [f"{join_names(names)} of {source}" for source, names in axes.items()]
    verb = "is" if len(axes) == 1 and len(*axes.values()) == 1 else "are"
    fixed = [f"{join_names(parts)} {verb} fixed."] if parts else []
    least = [
        f"{check.axis} of {check.source} is at least {size.value}."
        for check, size in checks.items()
        if check.is_least and isinstance(size, Literal)
    ]
    equal = [describe_equal(*check.same_as, check) for check in checks if check.same_as is not None]
    return " ".join(fixed + least + equal)
