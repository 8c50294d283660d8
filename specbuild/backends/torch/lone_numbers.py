"""Parameters that are a single number. They are kept with one axis, `torch.empty(1)`: FSDP shards no parameter without.

Arithmetic with larger values reads them as they are, `self.scale * x`; other code reads `self.scale[0]`.
"""

from __future__ import annotations

from msgspec.structs import replace

from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import OWN_MEMBER
from specbuild.codegen.lowered_steps import LoweredStep
from specbuild.codegen.tree import Expr, Index, Infix, Literal, ValuePlaceholder
from specbuild.codegen.tree_walk import walk_expression

NUMBER = Index(OWN_MEMBER, (Literal(0),))
ARITHMETIC = frozenset("+-*/")


def read_numbers_whole(class_spec: ClassSpec) -> ClassSpec:
    """Return the class with numbers read without an index where every reader broadcasts them."""

    def is_broadcast(step: LoweredStep) -> bool:
        placeholder = ValuePlaceholder(class_spec.value_numbers[step.key])
        readers = [s for s in class_spec.steps if step.key in (*s.inputs, s.skip_key)]
        outputs = [value.key for value in class_spec.first_instance.outputs.values()]
        return step.key not in outputs and all(is_in_arithmetic(s, placeholder) for s in readers)

    steps = [
        replace(step, call=OWN_MEMBER) if step.call == NUMBER and is_broadcast(step) else step
        for step in class_spec.steps
    ]
    return replace(class_spec, steps=steps)


def is_in_arithmetic(step: LoweredStep, number: ValuePlaceholder) -> bool:
    """Return whether a step reads a number only in arithmetic, and its result has axes."""
    reads = sum(part == number for part in walk_expression(step.call))
    return step.layout.rank > 0 and not step.skip_key and reads == count_in_arithmetic(step.call, number)


def count_in_arithmetic(code: Expr, number: ValuePlaceholder) -> int:
    """Return how often arithmetic at the top of an expression reads a number."""
    if isinstance(code, Infix) and code.operator in ARITHMETIC:
        return sum(
            1 if side == number else count_in_arithmetic(side, number) for side in (code.left, code.right)
        )
    return 0
