"""Sizes that are not known before a layer runs: TensorFlow gives them as tensors, other runtimes as numbers."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import ComputedTable, map_expressions
from specbuild.codegen.lowered_steps import LoweredStep
from specbuild.codegen.tree import (
    Attribute,
    Call,
    Conditional,
    Expr,
    Index,
    Literal,
    Name,
    ValuePlaceholder,
    map_children,
    walk_expression,
)

EXTREMES = {"min": "min_size", "max": "max_size"}


def read_dynamic_sizes(class_spec: ClassSpec) -> ClassSpec:
    """Return the class with code that also works for sizes that are tensors.

    An attribute `shape` has None for an unknown size, so that shapes are read with `ops.shape`. Python can
    neither compare tensors nor convert them to numbers, so that helpers and operations do it.
    """
    sizes = {ValuePlaceholder(class_spec.value_numbers[key]) for key in class_spec.sizes}

    def is_size(expr: Expr) -> bool:
        return any(part in sizes or is_shape(part) for part in walk_expression(expr))

    def rewrite(expr: Expr) -> Expr:
        match map_children(expr, rewrite):
            case Index(Attribute(value, "shape"), items):
                return Index(shape_call(value), items)
            case Conditional(test, then, otherwise) if is_size(test):
                return Call(Name("choose_size"), (test, then, otherwise))
            case Call(Name("min" | "max" as function), args) if any(map(is_size, args)):
                return Call(Name(EXTREMES[function]), args)
            case Call(Name("float"), (value,)) if is_size(value):
                return Call(Name("float_size"), (value,))
            case Call(Name(function), args, keywords) if function.startswith("math.") and any(
                map(is_size, args)
            ):
                return Call(Name(f"ops.{function[5:]}"), args, keywords)
            case other:
                return other

    steps = [replace(step, call=rewrite(step.call)) for step in class_spec.steps]
    return replace(class_spec, steps=steps)


def is_shape(expr: Expr) -> bool:
    """Return whether an expression gives the shape of a value."""
    return isinstance(expr, Call) and expr.function == Name("ops.shape")


def shape_call(value: Expr) -> Expr:
    return Call(Name("ops.shape"), (value,))


def cast_table(code: Expr, like: Expr, dtype: str | None) -> Expr:
    """Return the code of a table in `call`; a float table has the dtype that the layer computes with."""
    return Call(Name("ops.cast"), (code, Name("self.compute_dtype"))) if dtype == "float" else code


def convert_table_sizes(class_spec: ClassSpec) -> ClassSpec:
    """Return the class with the sizes in its tables as floats where a table computes with floats, else as int32.

    TensorFlow does not add an integer tensor to a float tensor, nor to integers of another width: sizes are int32
    there, and the numbers of an axis int64 where Keras computes in float64.
    """
    sizes = class_spec.block.readable_sizes - class_spec.params.keys()

    def convert_table(step: LoweredStep) -> LoweredStep:
        table = step.member
        if not isinstance(table, ComputedTable):
            return step
        codes = (table.value, *(code for _, code in table.variables))
        if any(map(has_float_indices, codes)):
            return replace(step, member=map_expressions(table, lambda code: size_floats(code, sizes)))
        if any(part == Name(size) for code in codes for part in walk_expression(code) for size in sizes):
            return replace(step, member=map_expressions(table, narrow_indices))
        return step

    return replace(class_spec, steps=list(map(convert_table, class_spec.steps)))


def size_floats(code: Expr, sizes: Set[str]) -> Expr:
    """Return the code with sizes as floats, except for those that are lengths of axes."""
    match code:
        case Name(text) if text in sizes:
            return Call(Name("float_size"), (code,))
        case Call(Name("ops.arange" | "ops.full" | "ops.zeros" | "ops.ones")):
            return code
        case Call(Name("ops.broadcast_to") as function, (value, shape)):
            return Call(function, (size_floats(value, sizes), shape))
        case Call(Name("float"), (value,)) if any(
            part == Name(s) for part in walk_expression(value) for s in sizes
        ):
            return size_floats(value, sizes)
    return map_children(code, lambda part: size_floats(part, sizes))


def narrow_indices(code: Expr) -> Expr:
    """Return the code with the numbers of every axis as int32."""
    match code:
        case Call(Name("ops.arange") as function, args, ()):
            return Call(function, args, (("dtype", Literal("int32")),))
    return map_children(code, narrow_indices)


def has_float_indices(code: Expr) -> bool:
    """Return whether the indices of an axis are floats in this code."""
    return any(
        isinstance(part, Call) and part.function == Name("ops.arange") and Literal(0.0) in part.args
        for part in walk_expression(code)
    )
