"""Callables of a framework, declared by their signature."""

from __future__ import annotations

import ast
from typing import Any, ClassVar

from specbuild.codegen.constructions import Construction, ConstructorArgument, literal_expression
from specbuild.codegen.tree import Attribute, Call, Expr, Name
from specbuild.expressions.python_ast import parse_python

ALWAYS_WRITTEN = object()  # a default that equals no value, so that the argument is always written


class Signature:
    """A function or class of a framework: `Signature("nn.Linear(in_features, out_features, bias=True)")`.

    Arguments without a default are written by position, the others by keyword.
    An argument that equals its default is left out, unless `always_written` names it.
    """

    declared: ClassVar[list[Signature]] = []

    def __init__(self, source: str, always_written: tuple[str, ...] = ()):
        self.source = source
        self.always_written = always_written
        self.function, _, rest = source.partition("(")
        [definition] = parse_python(f"def f({rest}: pass").body
        assert isinstance(definition, ast.FunctionDef)
        arguments = definition.args
        names = [p.arg for p in (*arguments.posonlyargs, *arguments.args)]
        self.defaults: dict[str, Any] = dict.fromkeys(names, ...)
        for name, default in zip(reversed(names), reversed(arguments.defaults), strict=False):
            self.defaults[name] = ast.literal_eval(default)
        for parameter, keyword_default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            self.defaults[parameter.arg] = (
                ... if keyword_default is None else ast.literal_eval(keyword_default)
            )
        Signature.declared.append(self)

    def construct(self, *args: Any, **kwargs: Any) -> Construction:
        """Return a layer that is constructed once with these arguments."""
        return Construction(self.function, self.bind_arguments(args, kwargs))

    def __call__(self, *args: Any, **kwargs: Any) -> Call:
        """Return the code of a call with these arguments."""
        return self.call(Name(self.function), *args, **kwargs)

    def call(self, function: Expr, *args: Any, **kwargs: Any) -> Call:
        """Return the code of a call of another callable, such as a layer, with the same parameters."""
        arguments = self.bind_arguments(args, kwargs)
        positional = tuple(a.value for a in arguments if a.default is ...)
        keywords = tuple((a.name, a.value) for a in arguments if a.default is not ... and not a.is_default)
        return Call(function, positional, keywords)

    def bind_arguments(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[ConstructorArgument, ...]:
        """Return the arguments by parameter name, in the order of the signature."""
        values = dict(zip(self.defaults, args, strict=False)) | kwargs
        unknown = values.keys() - self.defaults.keys()
        assert not unknown, f"{self.function} has no parameter {unknown}"
        written = self.always_written
        return tuple(
            [
                ConstructorArgument(p, to_code(values[p]), ALWAYS_WRITTEN if p in written else default)
                for p, default in self.defaults.items()
                if p in values
            ]
        )


def call_function(function: str, *args: object, **keywords: object) -> Call:
    """Return `function(*args, **keywords)`."""
    return Call(
        Name(function),
        tuple(map(to_code, args)),
        tuple((k, to_code(v)) for k, v in keywords.items()),
    )


def call_method(value: Expr, name: str, *args: object, **keywords: object) -> Call:
    """Return `value.name(*args, **keywords)`."""
    return Call(
        Attribute(value, name),
        tuple(map(to_code, args)),
        tuple((k, to_code(v)) for k, v in keywords.items()),
    )


def to_code(value: Any) -> Expr:
    """Return a Python value as a literal. Code is returned as it is."""
    is_value = value is None or isinstance(value, int | float | str | bool | tuple | list)
    return literal_expression(value) if is_value else value
