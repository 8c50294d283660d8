"""What the code of a class requires of its arguments, read from the code itself. The constructor refuses the rest.

A row of layers whose first members are written out is never shorter than these; an axis is split into equal
parts only if their number divides its size; a layer that pads like `same` is right for odd kernels only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from specbuild.codegen.class_spec import Guard
from specbuild.codegen.constructions import LayerRow, Member, literal_expression
from specbuild.codegen.from_expression import expression_code
from specbuild.codegen.list_lengths import require_lengths
from specbuild.codegen.lowered_steps import LoweredBlock, LoweredStep
from specbuild.codegen.merge_instances import InstanceMerger
from specbuild.codegen.merged_params import instance_values
from specbuild.codegen.printer import print_expression
from specbuild.codegen.tree import Call, Expr, Index, Infix, Literal, Name, TupleOf
from specbuild.codegen.tree_walk import list_read_names
from specbuild.diagnostics.suggestions import join_names
from specbuild.expressions import ExpressionError, evaluate_expression


def find_requirements(merger: InstanceMerger) -> list[Guard]:
    """Return the guards of a class that follow from its code alone."""
    guards = [
        *require_lengths(merger),
        *require_members(count_row_members(merger.merged_steps), merger.instances),
    ]
    guards += [*require_parts(merger), *require_odd_numbers(merger)]
    scopes = [instance_values(lowered.block) for lowered in merger.instances]
    known = {*merger.constructor_params, *merger.derived}
    all_names = known.union(*scopes)
    return [
        guard
        for guard in dict.fromkeys(guards)
        if (names := {*list_read_names(guard.condition)} & all_names)
        and names <= known
        and not any(is_met(guard, values) for values in scopes)
    ]


def is_met(guard: Guard, values: Mapping[str, Any]) -> bool:
    """Return whether a constructor with this guard refuses these values."""
    match guard.condition:
        case Infix("not in", Name(name), TupleOf(known)):  # no expression of a spec: that has lists
            return name in values and literal_expression(values[name]) not in known
    return is_true(print_expression(guard.condition), values)


def is_true(condition: Any, values: Mapping[str, Any]) -> bool:
    try:
        return bool(evaluate_expression(condition, values))
    except (ExpressionError, IndexError):
        return False


def count_row_members(steps: Iterable[LoweredStep]) -> dict[Expr, int]:
    """Return how many members the code of rows has at least: those that are written out. A length `n - 1` has 0."""
    least: dict[Expr, int] = {}
    for step in steps:
        for row in list_rows(step.member):
            if row.members.head or isinstance(row.members.length, Infix):
                least[row.members.length] = max(least.get(row.members.length, 0), len(row.members.head))
    return least


def require_members(least: Mapping[Expr, int], instances: Sequence[LoweredBlock]) -> Iterator[Guard]:
    """Require that rows of these lengths have at least so many members."""
    alike: dict[tuple[str, int], list[Expr]] = {}  # items of one list with one minimum
    for length, number in least.items():
        match length:
            case Index(Name(name), (Literal(int()),)):
                alike.setdefault((name, number), []).append(length)
            case _:
                yield require_row_length(length, number)
    for (listed, number), items in alike.items():
        lists = [instance_values(lowered.block).get(listed, ()) for lowered in instances]
        if all(len(values) == len(items) for values in lists):
            yield require_minimum(Call(Name("min"), (Name(listed),)), number, f"every item of {listed}")
        else:
            code: Expr = Call(Name("min"), tuple(items)) if len(items) > 1 else items[0]
            yield require_minimum(code, number, join_names([print_expression(item) for item in items]))


def require_row_length(length: Expr, number: int) -> Guard:
    """Require that a row has at least so many members: of a length `n - 1`, n must be one more."""
    match length:
        case Infix("-", whole, Literal(int(less))):
            return require_minimum(whole, number + less, print_expression(whole))
    return require_minimum(length, number, print_expression(length))


def list_rows(member: Member | None) -> Iterator[LayerRow]:
    """Yield a row of layers and the rows in it."""
    if isinstance(member, LayerRow):
        yield member
        for part in (*member.members.head, member.members.tail):
            yield from list_rows(part)


def require_minimum(code: Expr, number: int, subject: str) -> Guard:
    return Guard(Infix("<", code, Literal(number)), f"{subject} must be at least {number}")


def require_odd_numbers(merger: InstanceMerger) -> Iterator[Guard]:
    """Require that kernels are odd where a layer pads by half of them."""
    conditions: dict[str, list[Expr]] = {}  # what must be odd -> where it is even
    for expression in merger.odd_numbers:
        code = expression_code(expression)
        subject = print_expression(code.of if isinstance(code, Index) else code)
        is_even = Infix("==", Infix("%", code, Literal(2)), Literal(0))
        conditions.setdefault(subject, []).append(is_even)
    for subject, even in conditions.items():
        yield Guard(join_codes("or", even), f"{subject} must be odd")


def require_parts(merger: InstanceMerger) -> Iterator[Guard]:
    """Require that an axis is split into parts of equal size."""
    for expression in merger.remainders:
        code = expression_code(expression)
        if isinstance(code, Infix) and code.operator == "-":
            if is_same_product(code.left, code.right):
                continue
            if (division := find_division(code.left, code.right)) is not None:
                yield require_multiple([division.left], [division.right])
                continue
            subject, wanted = (
                (code.right, code.left) if isinstance(code.left, Literal) else (code.left, code.right)
            )
            message = f"{print_expression(subject)} must be {print_expression(wanted)}"
            yield Guard(Infix("!=", subject, wanted), message)
            continue
        if not isinstance(code, Infix) or code.operator != "%":
            continue
        whole, parts = split_product(code.left), split_product(code.right)
        for factor in list(parts):
            if factor in whole:
                whole.remove(factor)
                parts.remove(factor)
        if parts and whole:
            yield require_multiple(whole, parts)


def require_multiple(whole: Sequence[Expr], parts: Sequence[Expr]) -> Guard:
    """Require that a product is divisible by another; each is given by its factors."""
    left, right = join_codes("*", whole), join_codes("*", parts)
    message = f"{print_expression(left)} must be divisible by {print_expression(right)}"
    if isinstance(left, Literal):
        message = f"{print_expression(right)} must be a divisor of {print_expression(left)}"
    return Guard(Infix("%", left, right), message)


def find_division(left: Expr, right: Expr) -> Infix | None:
    """Return the division that makes two products equal if nothing remains: `c // h` for `3 * c` and `3 * h * (c // h)`."""
    ours, theirs = Counter(split_product(left)), Counter(split_product(right))
    ours, theirs = ours - theirs, theirs - ours
    for part in theirs:
        match part:
            case Infix("//", whole, divisor) if [ours, theirs] == [
                Counter([whole]),
                Counter([part, divisor]),
            ]:
                return part
    return None


def join_codes(operator: Any, codes: Sequence[Expr]) -> Expr:
    """Return `a + b + c` for these codes and this operator."""
    result = codes[0]
    for code in codes[1:]:
        result = Infix(operator, result, code)
    return result


def is_same_product(left: Expr, right: Expr) -> bool:
    """Return whether two products have the same factors, such as `a * (b // c)` and `b // c * a`."""
    return Counter(split_product(left)) == Counter(split_product(right))


def split_product(expr: Expr) -> list[Expr]:
    """Return the factors of a product."""
    if isinstance(expr, Infix) and expr.operator == "*":
        return [*split_product(expr.left), *split_product(expr.right)]
    return [expr]


def refused_by(guards: Iterable[Guard], values: Mapping[str, Any]) -> bool:
    """Return whether one of these guards refuses these values."""
    return any(is_met(guard, values) for guard in guards)
