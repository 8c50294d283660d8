"""Workarounds for symbolic values, which stand for the tensors of a Keras model while its layers are joined.

They are not the symbolic numbers of `specbuild.expressions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import NamedTuple

from msgspec.structs import replace

from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.lowered_steps import LoweredStep, graph_reference
from specbuild.codegen.tree import (
    Attribute,
    Call,
    Expr,
    Index,
    Infix,
    Literal,
    Name,
    Prefix,
    SliceExpr,
    TupleOf,
    ValuePlaceholder,
)
from specbuild.codegen.tree_walk import child_expressions, map_children, walk_expression
from specbuild.expressions import concrete

FUNCTION_OF_OPERATOR = {"+": "ops.add", "-": "ops.subtract", "*": "ops.multiply", "/": "ops.divide"}
REWRITTEN_WORDS = frozenset({*FUNCTION_OF_OPERATOR, "ops.take", "ops.reshape", "resize"})
# Keras gives their symbolic results the dtype float32, whatever that of their input is.
UNTYPED_FUNCTIONS = frozenset({"ops.normalize", "ops.logsumexp", "ops.reciprocal"})
DTYPE_READERS = frozenset({"grid_sample", "resize"})  # helpers that compute in the dtype of a value


def fix_symbolic_steps(class_spec: ClassSpec) -> ClassSpec:
    """Return the model with its steps rewritten so that Keras computes symbolic values correctly."""
    constants = input_free_values(class_spec)
    numbers = {class_spec.value_numbers[key] for key in constants if key in class_spec.value_numbers}
    steps = use_scale_layers(class_spec, constants)
    tables = {n for n in numbers if class_spec.keys_by_number[n] not in class_spec.sizes}
    numbers_of = class_spec.value_numbers
    sizes = {numbers_of[key] for key in class_spec.sizes}
    folded = {numbers_of[s.key] for s in steps if s.layout.batch_axes and s.key in numbers_of}

    words = [read_words(step.call) for step in steps]
    if not DTYPE_READERS.isdisjoint(word for some in words for word in some):
        steps = list(map(keep_dtypes, steps))

    def rewrite_step(step: LoweredStep) -> LoweredStep:
        if REWRITTEN_WORDS.isdisjoint(read_words(step.call)):  # as in most steps
            return step
        step = reorder_summands(convert_take_indices(step, numbers), class_spec)
        step = use_reshape_layers(use_resize_layers(step), sizes, folded)
        return call_functions_on_tables(step, tables)

    steps = list(map(rewrite_step, steps))
    numbers_left = read_numbers(steps)
    unread = {k for k in class_spec.sizes if numbers_of[k] not in numbers_left}
    steps = [
        step
        if unread.isdisjoint(step.inputs)
        else replace(step, inputs=tuple(k for k in step.inputs if k not in unread))
        for step in steps
    ]
    left = {key: size for key, size in class_spec.sizes.items() if key not in unread}
    return replace(class_spec, steps=steps, sizes=left)


def with_call(step: LoweredStep, call: Expr) -> LoweredStep:
    """Return the step with other code; itself if the code is the same object, as in most steps."""
    return step if call is step.call else replace(step, call=call)


def read_words(expr: Expr) -> set[str]:
    """Return the functions that code calls by their names, and its operators."""
    words = set()
    for part in walk_expression(expr):
        if isinstance(part, Infix):
            words.add(part.operator)
        elif isinstance(part, Call) and isinstance(part.function, Name):
            words.add(part.function.text)
    return words


def read_numbers(steps: Iterable[LoweredStep]) -> set[int]:
    """Return the numbers of the values that steps read."""
    parts = (part for step in steps for part in walk_expression(step.call))
    return {part.index for part in parts if isinstance(part, ValuePlaceholder)}


def call_functions_on_tables(step: LoweredStep, tables: Set[int]) -> LoweredStep:
    """Return the step with `ops.add(table, x)` for `table + x`: an array of JAX refuses a symbolic right side."""

    def is_table(expr: Expr) -> bool:
        if not is_input_free(expr, tables):
            return False
        parts = list(walk_expression(expr))
        reads_table = any(isinstance(part, ValuePlaceholder) and part.index in tables for part in parts)
        return reads_table or any(isinstance(part, Call) for part in parts)

    def rewrite_infix(expr: Expr) -> Expr:
        match map_children(expr, rewrite_infix):
            case Infix(operator, left, right) if (
                operator in FUNCTION_OF_OPERATOR and is_table(left) and not is_input_free(right, tables)
            ):
                return Call(Name(FUNCTION_OF_OPERATOR[operator]), (left, right))
            case other:
                return other

    return with_call(step, rewrite_infix(step.call))


def use_reshape_layers(step: LoweredStep, sizes: Set[int], folded: Set[int]) -> LoweredStep:
    """Return the step with a layer that merges axes: their sizes, some given by number, may not be known yet.

    `folded` are the values with more than samples in the first axis.
    """

    def is_size(expr: Expr) -> bool:
        match expr:
            case ValuePlaceholder(number):
                return number in sizes
            case Index(Attribute(_, "shape")):
                return True
        return False

    def is_product_of_sizes(expr: Expr) -> bool:
        match expr:
            case Infix("*", left, right):
                return all(is_size(side) or is_product_of_sizes(side) for side in (left, right))
        return False

    def reads_size(expr: Expr) -> bool:
        return any(map(is_size, walk_expression(expr)))

    def rewrite_reshape(expr: Expr) -> Expr:
        match map_children(expr, rewrite_reshape):
            case Call(Name("ops.reshape"), (x, TupleOf((Literal(-1), *shape)))) if (
                sum(map(reads_size, shape)) == 1
                and any(map(is_product_of_sizes, shape))
                and not any(isinstance(v, ValuePlaceholder) and v.index in folded for v in walk_expression(x))
            ):
                shape = [Literal(-1) if is_product_of_sizes(size) else size for size in shape]
                return Call(Call(Name("layers.Reshape"), (TupleOf(tuple(shape)),)), (x,))
            case other:
                return other

    return with_call(step, rewrite_reshape(step.call))


def use_resize_layers(step: LoweredStep) -> LoweredStep:
    """Return the step with a layer that resizes to the sizes of another value: they may not be known yet."""
    middle = (SliceExpr(Literal(1), Literal(-1)),)
    name = ("name", Literal(step.node.replace(".", "_")))

    def rewrite_resize(expr: Expr) -> Expr:
        match map_children(expr, rewrite_resize):
            case Call(Name("resize"), (x, Index(Attribute(like, "shape"), items)), keywords) if (
                items == middle
            ):
                return Call(Call(Name("ResizeLike"), (), (*keywords, name)), (x, like))
            case other:
                return other

    return with_call(step, rewrite_resize(step.call))


def input_free_values(class_spec: ClassSpec) -> set[str]:
    """Return the values of a model that depend on no input, only on tables and sizes."""
    values: set[str] = set(class_spec.sizes)
    for step in class_spec.steps:
        if step.buffer or (step.inputs and values.issuperset(step.inputs)):
            values |= {step.key, *step.parts}
    return values


def keep_dtypes(step: LoweredStep) -> LoweredStep:
    """Return the step with a cast to the dtype that a value has, where Keras gives the symbolic one another."""

    def rewrite_call(expr: Expr) -> Expr:
        match map_children(expr, rewrite_call):
            case Call(Name(name), (x, *_)) as call if name in UNTYPED_FUNCTIONS and isinstance(
                x, ValuePlaceholder
            ):
                return Call(Name("ops.cast"), (call, Attribute(x, "dtype")))
            case other:
                return other

    return with_call(step, rewrite_call(step.call))


def convert_take_indices(step: LoweredStep, tables: Set[int]) -> LoweredStep:
    """Convert the indices of `ops.take` to NumPy if they come from a table and x is symbolic.

    To infer the shape, Keras converts the indices itself, which fails for a tensor on a GPU.
    """

    def rewrite_take(expr: Expr) -> Expr:
        match map_children(expr, rewrite_take):
            case Call(Name("ops.take"), (x, indices), keywords) if not is_input_free(
                x, tables
            ) and is_input_free(indices, tables):
                converted = Call(Name("ops.convert_to_numpy"), (indices,))
                return Call(Name("ops.take"), (x, converted), keywords)
            case other:
                return other

    return with_call(step, rewrite_take(step.call))


def is_input_free(expr: Expr, tables: Set[int] = frozenset()) -> bool:
    """Return whether an expression reads no value except these tables, which are given by number."""
    return not any(
        isinstance(part, ValuePlaceholder) and part.index not in tables for part in walk_expression(expr)
    )


def reorder_summands(step: LoweredStep, class_spec: ClassSpec) -> LoweredStep:
    """Rewrite sums so that Keras on TensorFlow does not treat a summand as a bias.

    It does so if the second summand has one axis longer than 1, the batch included. Then it adds this summand
    along the last axis, or along the first after the batch if the sizes agree. So the summands are swapped,
    or the second one is negated and subtracted.
    """
    last = frozenset(step.layout.order[-1:])

    def is_taken_for_bias(left: ReadAxes, right: ReadAxes) -> bool:
        if not left.has_values:  # a number
            return False
        if len(right.axes) == 1:
            return right.axes != last or not right.axes <= left.axes
        return not right.axes and right.batched and bool(left.axes)

    def rewrite_sum(expr: Expr) -> tuple[Expr, ReadAxes]:
        if isinstance(expr, ValuePlaceholder):
            return expr, read_axes_of_value(class_spec, expr.index)
        read: list[ReadAxes] = []  # by each part

        def rewrite_part(part: Expr) -> Expr:
            rewritten, axes = rewrite_sum(part)
            read.append(axes)
            return rewritten

        rewritten = map_children(expr, rewrite_part)
        match rewritten:
            case Infix("+", left, right) if step.layout.order and is_taken_for_bias(read[0], read[1]):
                if is_taken_for_bias(read[1], read[0]):
                    rewritten = Infix("-", left, Prefix("-", right))
                else:
                    rewritten = Infix("+", right, left)
        return rewritten, join_read_axes(read)

    return with_call(step, rewrite_sum(step.call)[0])


class ReadAxes(NamedTuple):
    """What code reads: the axes longer than 1 of the values, and whether any has a batch."""

    axes: frozenset[str] = frozenset()
    batched: bool = False
    has_values: bool = False


def read_axes_of_value(class_spec: ClassSpec, number: int) -> ReadAxes:
    key, block = class_spec.keys_by_number[number], class_spec.first_instance.block
    if key in class_spec.sizes:
        return ReadAxes(has_values=True)
    key = graph_reference(key)
    if key in block.groups:  # the value of a row is that of its last member
        key = class_spec.last_members[key]
    type_ = block.value_type(key)
    axes = frozenset(axis for axis, size in type_.sizes.items() if concrete(size) > 1)
    return ReadAxes(axes, type_.batched, True)


def join_read_axes(parts: Sequence[ReadAxes]) -> ReadAxes:
    axes = frozenset[str]().union(*(part.axes for part in parts))
    return ReadAxes(axes, any(part.batched for part in parts), any(part.has_values for part in parts))


def use_scale_layers(class_spec: ClassSpec, tables: Set[str]) -> list[LoweredStep]:
    """Return the steps, with a Scale layer for a product with a number, and an einsum for one with a table.

    Only products in front of a layer are rewritten. Keras treats the product of a symbolic value and a
    constant as a sparse tensor, and traces the next layers with it. Not every operation accepts that.
    """
    steps, read = (
        [],
        set[str](),
    )  # the steps from the last to the first; values that a layer reads, directly or through others
    for step in reversed(class_spec.steps):
        if step.key not in tables:
            if step.layer_name:
                read.update(step.inputs)
            elif not read.isdisjoint((step.key, *step.parts)):
                read.update(step.inputs)
                read_tables = {class_spec.value_numbers[key] for key in step.inputs if key in tables}
                step = with_call(step, rewrite_products(step, read_tables))
        steps.append(step)
    return steps[::-1]


def rewrite_products(step: LoweredStep, tables: Set[int]) -> Expr:
    """Return the code of a step without products of a symbolic value and a number or one of these tables."""
    name = (("name", Literal(step.node.replace(".", "_"))),)

    def is_symbolic(expr: Expr) -> bool:
        if isinstance(expr, Attribute) and expr.name in ("dtype", "shape"):
            return False
        is_value = isinstance(expr, ValuePlaceholder) and expr.index not in tables
        return is_value or any(map(is_symbolic, child_expressions(expr)))

    def rewrite_product(expr: Expr) -> Expr:
        match expr:
            case Prefix(operator, operand):
                return Prefix(operator, rewrite_product(operand))
            case Infix(operator, left, right):
                left, right = rewrite_product(left), rewrite_product(right)
                if operator == "*" and is_symbolic(left) != is_symbolic(right):
                    x, factor = (left, right) if is_symbolic(left) else (right, left)
                    if is_input_free(factor):
                        return Call(Call(Name("Scale"), (factor,), name), (x,))
                    return Call(Name("ops.einsum"), (Literal("...,...->..."), x, factor))
                return Infix(operator, left, right)
        return expr

    return rewrite_product(step.call)
