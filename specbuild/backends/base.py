"""What a backend is: a table from op to the function that writes it, and a style of file."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ClassVar

from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import SELF, Argument, Construction, literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand, UnsupportedOp
from specbuild.codegen.tree import Call, Expr, Module, Name
from specbuild.expressions import expression_of
from specbuild.expressions.python_ast import parse_python
from specbuild.ops.base import Op
from specbuild.ops.types import CHANNEL, TensorType

Writer = Callable[..., LoweringResult]


class Backend:
    """A framework: how its tensors lie, how each op is written, how a file of it looks."""

    name: str
    title: str

    def __init__(self) -> None:
        self.writers: dict[type[Op], Writer] = {}
        self.refusals: dict[type[Op], str] = {}

    def emits(self, *ops: type[Op]) -> Callable[[Writer], Writer]:
        """Decorator: this function writes these ops. It gets the op and its operands, and the result's type as `out`."""

        def register(function: Writer) -> Writer:
            self.writers |= dict.fromkeys(ops, function)
            return function

        return register

    def refuses(self, op: type[Op], reason: str) -> None:
        self.refusals[op] = reason

    def lower(self, op: Op, inputs: list[Operand | None], type_: TensorType) -> LoweringResult:
        if type(op) not in self.writers:
            raise UnsupportedOp(self.refusals.get(type(op), "it is not in its table"))
        return self.writers[type(op)](op, *inputs, out=type_)

    def natural_order(self, x: TensorType) -> tuple[str, ...]:
        raise NotImplementedError

    def convert_layout(
        self, value: Expr, type_: TensorType, held: Layout, wanted: Layout, seen: Mapping[str, Expr]
    ) -> Expr:
        """A value in another physical order; `seen` are sizes of folded axes that can be read off elsewhere."""
        raise NotImplementedError

    def module_file(self, units: list[ClassSpec], doc: str, header: tuple[str, ...]) -> Module:
        raise NotImplementedError

    def helper_sources(self) -> dict[str, str]:
        """Helpers that a file may need, by name: their source."""
        return {}


class Signature:
    """A framework's callable, known by its real signature: `External("nn.Linear(in_features, out_features, bias=True)")`.

    Arguments that equal their default are left out, but for those that are always `written`.
    """

    declared: ClassVar[list[Signature]] = []

    def __init__(self, signature: str, written: tuple[str, ...] = ()):
        self.always_written = written
        self.source = signature
        self.function, _, rest = signature.partition("(")
        [definition] = parse_python(f"def f({rest}: pass").body
        assert isinstance(definition, ast.FunctionDef)
        a = definition.args
        names = [p.arg for p in (*a.posonlyargs, *a.args)]
        self.defaults: dict[str, Any] = dict.fromkeys(names, ...)
        for name, default in zip(reversed(names), reversed(a.defaults), strict=False):
            self.defaults[name] = ast.literal_eval(default)
        for p, only in zip(a.kwonlyargs, a.kw_defaults, strict=True):
            self.defaults[p.arg] = ... if only is None else ast.literal_eval(only)
        Signature.declared.append(self)

    def construct(self, *args: Any, **kwargs: Any) -> Construction:
        """A layer that is made once."""
        return Construction(self.function, self.bind_arguments(args, kwargs))

    def __call__(self, *args: Any, **kwargs: Any) -> Call:
        """A call of it."""
        arguments = self.bind_arguments(args, kwargs)
        positional = tuple(a.value for a in arguments if a.default is ...)
        return Call(
            Name(self.function),
            positional,
            tuple((a.name, a.value) for a in arguments if a.default is not ... and not a.is_default),
        )

    def bind_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Argument, ...]:
        given = dict(zip(self.defaults, args, strict=False)) | kwargs
        unknown = set(given) - set(self.defaults)
        assert not unknown, f"{self.function} has no {unknown}"
        defaults = {p: ALWAYS_WRITTEN if p in self.always_written else d for p, d in self.defaults.items()}
        return tuple(Argument(p, to_expression(given[p]), d) for p, d in defaults.items() if p in given)


ALWAYS_WRITTEN = object()  # the default of an argument that is given whatever its value


def to_expression(value: Any) -> Expr:
    """A value as code, if it is not code already."""
    return (
        literal_expression(value)
        if value is None or isinstance(value, int | float | str | bool | tuple | list)
        else value
    )


def layer_result(
    make: Construction, x: Operand, order: tuple[str, ...] | None = None, **more: Any
) -> LoweringResult:
    """An op that is a layer called on one value."""
    layout = x.layout if order is None else Layout(order, x.layout.folded, x.layout.batched)
    return LoweringResult(Call(SELF, (x.expr,)), layout, make, **more)


def inline_result(call: Expr, layout: Layout, module: Construction | None = None) -> LoweringResult:
    """An op that is written where it is used."""
    return LoweringResult(call, layout, layer_form=module)


def collapse_equal(values: tuple[Any, ...]) -> Any:
    """One number where all axes have the same, else all of them."""
    return (
        values[0]
        if all(v == values[0] and expression_of(v) == expression_of(values[0]) for v in values)
        else values
    )


def is_fixed(value: Any, constant: Any) -> bool:
    """Whether a value is `to` here and wherever its block is used: only that may decide how an op is written."""
    return expression_of(value) is None and value == constant


@cache
def split_definitions(source: str) -> dict[str, str]:
    """The top-level classes and functions of a helper file, by name."""
    lines = source.splitlines()
    found = {}
    for node in parse_python(source).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found[node.name] = "\n".join(lines[first - 1 : node.end_lineno])
    return found


def channels_first_order(order: tuple[str, ...]) -> tuple[str, ...]:
    """C, then the others as they stand."""
    return (CHANNEL, *(a for a in order if a != CHANNEL))
