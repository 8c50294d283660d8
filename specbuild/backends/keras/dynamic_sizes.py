"""Sizes that are not known before a layer runs: TensorFlow gives them as tensors, other runtimes as numbers."""

from __future__ import annotations

from collections.abc import Set

from msgspec.structs import replace

from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import ComputedTable, map_expressions
from specbuild.codegen.lowered_steps import LoweredStep
from specbuild.codegen.tree import (
    Attribute,
    Call,
    Conditional,
    Expr,
    Index,
    Infix,
    Literal,
    Name,
    Prefix,
    ValuePlaceholder,
)
from specbuild.codegen.tree_walk import child_expressions, map_children, walk_expression
from specbuild.ops.activation import Celu, Elu, HardShrink, LeakyRelu, Softplus, SoftShrink, Threshold
from specbuild.ops.math import Clip, Power, Scale

EXTREMES = {"min": "min_size", "max": "max_size"}
EXACT = {
    *EXTREMES.values(),
    "choose_size",
    "ops.shape",
}  # functions that give one of the numbers that they get
ROUNDING = {"int": "truncate_size", "round": "round_size"}
# ops that compute with values and with numbers
TAKES_NUMBERS = (Celu, Clip, Elu, HardShrink, LeakyRelu, Power, Scale, SoftShrink, Softplus, Threshold)

NUMBER_KEYWORDS = ("constant_values", "epsilon", "scale")  # of functions


def read_dynamic_sizes(class_spec: ClassSpec) -> ClassSpec:
    """Return the class with code that also works for sizes that are tensors.

    An attribute `shape` has None for an unknown size, so that shapes are read with `ops.shape`. Python can
    neither compare tensors nor convert them to numbers, so that helpers and operations do it.
    """
    rewriter = SizeRewriter({ValuePlaceholder(class_spec.value_numbers[key]) for key in class_spec.sizes})

    def rewrite_step(step: LoweredStep) -> LoweredStep:
        node, call = class_spec.block.find_node(step.key), rewriter.rewrite(step.call)
        if node is None or node.type.dtype != "float":
            return replace(step, call=call)
        if isinstance(node.op, TAKES_NUMBERS):
            return replace(step, call=rewriter.convert_numbers(call))
        match call:
            case Call(_, _, keywords):
                numbers = tuple(
                    (name, rewriter.convert_numbers(value) if name in NUMBER_KEYWORDS else value)
                    for name, value in keywords
                )
                return replace(step, call=replace(call, keywords=numbers))
        return replace(step, call=call)

    return replace(class_spec, steps=list(map(rewrite_step, class_spec.steps)))


class SizeRewriter:
    """Rewrites code of a class; `sizes` are the values of the class that are sizes."""

    def __init__(self, sizes: Set[Expr]):
        self.sizes = sizes

    def rewrite(self, expr: Expr) -> Expr:
        """Return code that reads shapes and computes with sizes that may be tensors."""
        match map_children(expr, self.rewrite):
            case Index(Attribute(value, "shape"), items):
                return Index(shape_call(value), items)
            case Conditional(test, then, otherwise) if self.reads_size(test):
                return Call(Name("choose_size"), (test, then, otherwise))
            case Call(Name("min" | "max" as function), args) if any(map(self.reads_size, args)):
                return Call(Name(EXTREMES[function]), args)
            case Call(Name("int" | "round" as function), (value,)) if self.reads_size(value):
                return Call(Name(ROUNDING[function]), (self.use_doubles(value),))
            case Call(Name("float"), (value,)) if self.reads_size(value):
                return Call(Name("float_size"), (value,))
            case Call(Name(function), args, keywords) if function.startswith("math.") and any(
                map(self.reads_size, args)
            ):
                return Call(Name(f"ops.{function[5:]}"), tuple(map(cast_float_size, args)), keywords)
            case other:
                return other

    def convert_numbers(self, expr: Expr) -> Expr:
        """Return code, rewritten, with the numbers that come from sizes in the dtype that the layer computes with."""
        if not self.reads_size(expr):
            return expr
        if not self.is_number(expr):
            return map_children(expr, self.convert_numbers)
        number = self.use_doubles(expr) if any(map(gives_fraction, walk_expression(expr))) else expr
        return Call(Name("size_value"), (number, Name("self.compute_dtype")))

    def use_doubles(self, expr: Expr) -> Expr:
        """Return a computation with its sizes in double precision: TensorFlow does not multiply integers by floats."""
        match expr:
            case Call(Name("double_size")):
                return expr
            case Call(Name("truncate_size" | "round_size")):
                return Call(Name("double_size"), (expr,))
            case Call(Name("choose_size"), (_, a, b)) if not self.reads_size(a) and not self.reads_size(b):
                return Call(Name("double_size"), (expr,))
        if self.is_size(expr):
            return Call(Name("double_size"), (expr,))
        return map_children(expr, self.use_doubles)

    def is_size(self, expr: Expr) -> bool:
        """Return whether code is one size, after it was rewritten."""
        return expr in self.sizes or (isinstance(expr, Index) and is_shape(expr.of))

    def reads_size(self, expr: Expr) -> bool:
        return any(part in self.sizes or is_shape(part) for part in walk_expression(expr))

    def is_number(self, expr: Expr) -> bool:
        """Return whether code is computed from sizes and literals alone."""
        if self.is_size(expr) or isinstance(expr, Literal | Name):
            return True
        is_operation = isinstance(expr, Infix | Prefix | Conditional | Call)
        return is_operation and all(map(self.is_number, child_expressions(expr)))


def cast_float_size(code: Expr) -> Expr:
    """Return code of a table as a tensor of its floats: Keras takes a Python float, as of a known size, for float32."""
    calls = [part.function for part in walk_expression(code) if isinstance(part, Call)]
    names = [function.text for function in calls if isinstance(function, Name)]
    if "float_size" not in names or any(name.startswith("ops.") for name in names if name != "ops.shape"):
        return code
    return Call(Name("ops.cast"), (code, Call(Name("keras.config.floatx"))))


def gives_fraction(expr: Expr) -> bool:
    """Return whether an operation can give a number with a fraction."""
    match expr:
        case Infix("/" | "**"):
            return True
        case Literal(value):
            return isinstance(value, float)
        case Call(Name(function)):
            return function not in EXACT
    return False


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
    integers = sizes | {
        name for name, parameter in class_spec.params.items() if parameter.annotation == "int"
    }

    def convert_table(step: LoweredStep) -> LoweredStep:
        table = step.member
        if not isinstance(table, ComputedTable):
            return step
        codes = (table.value, *(code for _, code in table.variables))
        if any(map(has_float_indices, codes)):
            return replace(step, member=map_expressions(table, lambda code: size_floats(code, sizes)))
        if any(part == Name(size) for code in codes for part in walk_expression(code) for size in sizes):
            return replace(step, member=map_expressions(table, lambda code: narrow_integers(code, integers)))
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


def narrow_integers(code: Expr, integers: Set[str]) -> Expr:
    """Return the code with the numbers of every axis, and choices between two whole numbers, as int32.

    `integers` are the names of whole numbers.
    """
    match code:
        case Call(Name("ops.arange") as function, args, ()):
            return Call(function, args, (("dtype", Literal("int32")),))
        case Call(Name("ops.where"), (_, *sides)) if all(is_integer_code(side, integers) for side in sides):
            choice = map_children(code, lambda part: narrow_integers(part, integers))
            return Call(Name("ops.cast"), (choice, Literal("int32")))
    return map_children(code, lambda part: narrow_integers(part, integers))


def is_integer_code(code: Expr, integers: Set[str]) -> bool:
    """Return whether code gives one whole number: no array, no fraction and no truth value."""
    match code:
        case Literal(value):
            return type(value) is int
        case Name(text):
            return text in integers
        case Infix("+" | "-" | "*" | "//" | "%", left, right):
            return is_integer_code(left, integers) and is_integer_code(right, integers)
        case Prefix("-", operand):
            return is_integer_code(operand, integers)
    return False


def has_float_indices(code: Expr) -> bool:
    """Return whether the indices of an axis are floats in this code."""
    return any(
        isinstance(part, Call) and part.function == Name("ops.arange") and Literal(0.0) in part.args
        for part in walk_expression(code)
    )
