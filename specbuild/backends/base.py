"""What a backend is: a table from op to the function that writes it, and a style of file."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ClassVar

from specbuild.codegen.class_def import Unit
from specbuild.codegen.constructions import SELF, Argument, Construct, literal
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, Result, Unsupported
from specbuild.codegen.tree import Call, Expr, Module, Name
from specbuild.expressions import words
from specbuild.expressions.python_ast import parsed
from specbuild.ops.base import Op
from specbuild.ops.types import CHANNEL, Tensor

Writer = Callable[..., Result]


class Backend:
    """A framework: how its tensors lie, how each op is written, how a file of it looks."""

    name: str
    title: str

    def __init__(self) -> None:
        self.table: dict[type[Op], Writer] = {}
        self.refused: dict[type[Op], str] = {}

    def emits(self, *ops: type[Op]) -> Callable[[Writer], Writer]:
        """Decorator: this function writes these ops. It gets the op and its operands, and the result's type as `out`."""

        def enter(function: Writer) -> Writer:
            self.table |= dict.fromkeys(ops, function)
            return function

        return enter

    def refuses(self, op: type[Op], reason: str) -> None:
        self.refused[op] = reason

    def lower(self, op: Op, inputs: list[Operand | None], type_: Tensor) -> Result:
        if type(op) not in self.table:
            raise Unsupported(self.refused.get(type(op), "it is not in its table"))
        return self.table[type(op)](op, *inputs, out=type_)

    def natural(self, x: Tensor) -> tuple[str, ...]:
        raise NotImplementedError

    def convert(
        self, value: Expr, type_: Tensor, held: Layout, wanted: Layout, seen: Mapping[str, Expr]
    ) -> Expr:
        """A value in another physical order; `seen` are sizes of folded axes that can be read off elsewhere."""
        raise NotImplementedError

    def module(self, units: list[Unit], doc: str, header: tuple[str, ...]) -> Module:
        raise NotImplementedError

    def prelude(self) -> dict[str, str]:
        """Helpers that a file may need, by name: their source."""
        return {}


class External:
    """A framework's callable, known by its real signature: `External("nn.Linear(in_features, out_features, bias=True)")`.

    Arguments that equal their default are left out, but for those that are always `written`.
    """

    known: ClassVar[list[External]] = []

    def __init__(self, signature: str, written: tuple[str, ...] = ()):
        self.written = written
        self.signature = signature
        self.function, _, rest = signature.partition("(")
        [definition] = parsed(f"def f({rest}: pass").body
        assert isinstance(definition, ast.FunctionDef)
        a = definition.args
        names = [p.arg for p in (*a.posonlyargs, *a.args)]
        self.defaults: dict[str, Any] = dict.fromkeys(names, ...)
        for name, default in zip(reversed(names), reversed(a.defaults), strict=False):
            self.defaults[name] = ast.literal_eval(default)
        for p, only in zip(a.kwonlyargs, a.kw_defaults, strict=True):
            self.defaults[p.arg] = ... if only is None else ast.literal_eval(only)
        External.known.append(self)

    def made(self, *args: Any, **kwargs: Any) -> Construct:
        """A layer that is made once."""
        return Construct(self.function, self.arguments(args, kwargs))

    def __call__(self, *args: Any, **kwargs: Any) -> Call:
        """A call of it."""
        arguments = self.arguments(args, kwargs)
        positional = tuple(a.value for a in arguments if a.default is ...)
        return Call(
            Name(self.function),
            positional,
            tuple((a.name, a.value) for a in arguments if a.default is not ... and not a.silent),
        )

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Argument, ...]:
        given = dict(zip(self.defaults, args, strict=False)) | kwargs
        unknown = set(given) - set(self.defaults)
        assert not unknown, f"{self.function} has no {unknown}"
        defaults = {p: WRITTEN if p in self.written else d for p, d in self.defaults.items()}
        return tuple(Argument(p, code(given[p]), d) for p, d in defaults.items() if p in given)


WRITTEN = object()  # the default of an argument that is given whatever its value


def code(value: Any) -> Expr:
    """A value as code, if it is not code already."""
    return (
        literal(value)
        if value is None or isinstance(value, int | float | str | bool | tuple | list)
        else value
    )


def layer(make: Construct, x: Operand, order: tuple[str, ...] | None = None, **more: Any) -> Result:
    """An op that is a layer called on one value."""
    layout = x.layout if order is None else Layout(order, x.layout.folded, x.layout.batched)
    return Result(Call(SELF, (x.expr,)), layout, make, **more)


def inline(call: Expr, layout: Layout, module: Construct | None = None) -> Result:
    """An op that is written where it is used."""
    return Result(call, layout, module=module)


def scalar(values: tuple[Any, ...]) -> Any:
    """One number where all axes have the same, else all of them."""
    return values[0] if all(v == values[0] and words(v) == words(values[0]) for v in values) else values


def fixed(value: Any, to: Any) -> bool:
    """Whether a value is `to` here and wherever its block is used: only that may decide how an op is written."""
    return words(value) is None and value == to


@cache
def classes(source: str) -> dict[str, str]:
    """The top-level classes and functions of a helper file, by name."""
    lines = source.splitlines()
    found = {}
    for node in parsed(source).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found[node.name] = "\n".join(lines[first - 1 : node.end_lineno])
    return found


def channels_first(order: tuple[str, ...]) -> tuple[str, ...]:
    """C, then the others as they stand."""
    return (CHANNEL, *(a for a in order if a != CHANNEL))
