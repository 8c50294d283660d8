"""What Keras gets wrong for the values of a model that is being joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from specbuild.emit.code import Call, Expr, Infix, Input, Literal, Name, Prefix, walk
from specbuild.emit.lower import Step


def scaled_by_layers(steps: Sequence[Step]) -> list[Step]:
    """The steps of a model; what multiplies by a number in front of a layer is a layer itself.

    Keras takes the product of a symbolic value and a number to be sparse, and traces the layers behind it so;
    not every operation takes that.
    """
    behind: dict[str, set[str]] = {}  # value -> the products that it follows from without a layer between
    wanted: set[str] = set()
    for step in steps:
        read = set().union(*(behind.get(key, ()) for key in step.inputs))
        if step.holder:
            wanted |= read
            continue
        own = {step.key} if scaled(step) != step.call else set()
        behind |= dict.fromkeys((step.key, *step.parts), read | own)
    return [replace(s, call=scaled(s)) if s.key in wanted and not s.holder else s for s in steps]


def scaled(step: Step) -> Expr:
    """The operators of a step with a layer for the product of a value and a number."""
    name = (("name", Literal(step.node.replace(".", "_"))),)

    def layered(expr: Expr) -> Expr:
        match expr:
            case Prefix(operator, operand):
                return Prefix(operator, layered(operand))
            case Infix(operator, left, right):
                left, right = layered(left), layered(right)
                if operator == "*" and reads(left) != reads(right):
                    x, factor = (left, right) if reads(left) else (right, left)
                    return Call(Call(Name("Scale"), (factor,), name), (x,))
                return Infix(operator, left, right)
        return expr

    return layered(step.call)


def reads(expr: Expr) -> bool:
    """Whether it reads a value of the model."""
    return any(isinstance(part, Input) for part in walk(expr))
