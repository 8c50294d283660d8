"""The constructor parameters that the code of `forward` or `call` reads: they become attributes."""

from __future__ import annotations

from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.lowered_steps import LoweredStep
from specbuild.codegen.tree import (
    Expr,
    Infix,
    Literal,
    Name,
    Prefix,
)
from specbuild.codegen.tree_walk import map_children, walk_expression


def qualify_parameter(expr: Expr, class_spec: ClassSpec, owner: str) -> Expr:
    """Make a constructor parameter an attribute of `owner`, as it is read outside the constructor."""
    params = (*class_spec.params, *class_spec.derived)
    if owner and isinstance(expr, Name) and expr.text.partition(".")[0] in params:
        head, dot, rest = expr.text.partition(".")
        return Name(f"{owner}.{class_spec.attribute_of(head)}{dot}{rest}")
    return expr


def qualify_code(expr: Expr, class_spec: ClassSpec, owner: str) -> Expr:
    """Return code of the constructor for use in another method: parameters are attributes of `owner`."""
    expr = qualify_parameter(expr, class_spec, owner)
    return map_children(expr, lambda part: qualify_code(part, class_spec, owner))


def find_short_condition(step: LoweredStep, class_spec: ClassSpec) -> Expr | None:
    """Return the condition of a step as the constructor has it, if it is as short as a name for it would be.

    It is a parameter, or compares one with a constant. None for a longer one, which becomes an attribute.
    """
    if step.can_be_identity:
        return None
    condition = class_spec.flags.get(step.key)
    match condition:
        case Prefix("not", inner) | Infix(_, inner, Literal()) | inner:
            is_short = isinstance(inner, Name) and inner.text in class_spec.params
            return condition if is_short else None


def call_parameters(class_spec: ClassSpec, *others: Expr) -> list[str]:
    """Return the constructor parameters that the steps read, which must therefore be attributes.

    `others` is code of other methods.
    """
    conditions = (find_short_condition(step, class_spec) for step in class_spec.steps)
    calls = (
        *(step.call for step in class_spec.steps),
        *class_spec.size_checks.values(),
        *(condition for condition in conditions if condition is not None),
        *others,
    )
    code = (part for call in calls for part in walk_expression(call))
    used = {part.text.partition(".")[0] for part in code if isinstance(part, Name)}
    return [name for name in (*class_spec.params, *class_spec.derived) if name in used]
