"""Errors of expressions. They have no file and line yet: the caller adds the location."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from specbuild.diagnostics.errors import make_printable
from specbuild.diagnostics.suggestions import list_some, suggest_name

PADDING_WORDS = ("same", "valid", "causal", "tf_same")  # some write them in capitals
MAX_QUOTED_CHARACTERS = 60  # longer expressions are cut in messages


class ExpressionError(Exception):
    """An invalid expression: an error code of `specbuild.diagnostics.codes`, a message, and a hint.

    A hint that takes time, such as the closest of many names, is given as a function: most of these errors are caught
    and never shown.
    """

    def __init__(self, code: str, message: str, hint: str | Callable[[], str] = "") -> None:
        super().__init__(code, message)
        self.code, self.message, self.given_hint = code, message, hint

    @property
    def hint(self) -> str:
        return self.given_hint if isinstance(self.given_hint, str) else self.given_hint()

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[type[ExpressionError], tuple[str, str, str]]:
        return type(self), (self.code, self.message, self.hint)


def quote_expression(text: str) -> str:
    """Return the expression in backquotes, shortened, with control characters escaped."""
    return f"`{make_printable(text, MAX_QUOTED_CHARACTERS)}`"


def quote_node(node: ast.expr) -> str:
    """Return the source text of a syntax tree in backquotes."""
    return quote_expression(ast.unparse(node))


# YAML 1.1 and other languages have more words for these
TRUTH_WORDS = {
    **dict.fromkeys(("yes", "on", "true"), "true"),
    **dict.fromkeys(("no", "off", "false"), "false"),
}


def unknown_error(message: str, name: str, known: Iterable[str]) -> ExpressionError:
    """SB302 for an unknown name. The hint is the closest known name, or else all known names."""
    return ExpressionError("SB302", message, lambda: suggest_name(name, sorted(known), "available:"))


def unknown_name_error(name: str, known: Iterable[str], is_value: bool = True) -> ExpressionError:
    """SB302 for a name that stands for nothing; `is_value` is false if the expression reads a size of it, as in `x.C`."""
    error = unknown_error(f"nothing is named {name!r} here", name, known)
    if name.lower() in PADDING_WORDS and name != name.lower():
        return ExpressionError(error.code, error.message, f"write `{name.lower()}`")
    if (word := TRUTH_WORDS.get(name.lower())) is not None:
        return ExpressionError(error.code, error.message, f"write `{word}`")
    if name in ("params", "self", "cfg", "config", "args", "hparams"):
        return ExpressionError(
            error.code, error.message, lambda: f"a parameter is written by its own name; {error.hint}"
        )
    if is_value and name.isidentifier():
        return ExpressionError(error.code, error.message, lambda: suggest_declaration(name, known))
    return error


def suggest_declaration(name: str, known: Iterable[str]) -> str:
    """Return the hint for a name that is not declared: the closest known name, or how to declare it.

    Where no name is known at all, as for the value of `--set` or of a variant, only a value can stand.
    """
    names = sorted(known)
    if not names:
        return "no name can be read here: write the value itself"
    if hint := suggest_name(name, names):
        return hint
    return f"declare it under `params`, such as `params: {{{name}: 8}}`; available: {list_some(names)}"


def too_large_error(text: str) -> ExpressionError:
    return ExpressionError("SB501", f"{text} is too large a number", "the limit of integers is 2^53")


def wrong_kind_error(node: ast.expr, value: object, expected: str) -> ExpressionError:
    return ExpressionError("SB305", f"{quote_node(node)} is {describe_kind(value)}, not {expected}")


def describe_kind(value: object) -> str:
    """Return the kind of a value as error messages name it, such as "a number"."""
    if isinstance(value, bool):
        return "true or false"
    names = {
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        tuple: "a list",
        type(None): "none",
    }
    return next((name for type_, name in names.items() if isinstance(value, type_)), "not a value")
