"""Parse an expression: Python's grammar, restricted to an allowlist of syntax nodes and to a maximum size."""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Iterator
from functools import lru_cache

from specbuild.expressions.errors import ExpressionError, quote_expression, too_large_error, unknown_error
from specbuild.expressions.python_ast import parse_python

# a text in quotes, or the path of a value, which can have numbers in it: `layer3.0.conv`
TEXT_OR_PATH = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|(?<![\w.])[A-Za-z]\w*(?:\.\w+)+""")
INFINITY = re.compile(r"[-+]?\.(?:inf|Inf|INF)")  # as YAML writes it
MAX_CHARACTERS = 1_000
MAX_NODES = 200
MAX_DEPTH = 32
MAX_INTEGER = 2**53

FUNCTIONS = frozenset(
    ("min", "max", "ceil", "floor", "round", "abs", "int", "sqrt", "log", "len", "sum", "divisible", "given")
)
TABLE_FUNCTIONS = frozenset(
    ("sin", "cos", "exp", "sqrt", "log", "abs", "floor", "where", "minimum", "maximum", "sign")
)

# All other functions take one argument; min and max take any number.
_ARGUMENT_COUNTS = {"divisible": 2, "minimum": 2, "maximum": 2, "where": 3}
_ALLOWED_NODES = frozenset(
    (
        *(ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.List, ast.Call, ast.Load),
        *(ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow),
        *(ast.UnaryOp, ast.USub, ast.UAdd, ast.Not, ast.BoolOp, ast.And, ast.Or, ast.IfExp),
        *(ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn),
    )
)
_BOOLEAN_VALUES = {"true": True, "false": False}
_FOREIGN_SYNTAX = (  # operators of other languages, as patterns, with what to write instead
    (r"===", "=="),
    (r"!==|<>", "!="),
    (r"&&", "and"),
    (r"\|\|", "or"),
    (r"!(?!=)", "not"),
    (r"\?", "a if condition else b"),
    (r"\^", "**"),
    (r"\bis\b", "=="),
    (r"(?<![=<>!:])=(?!=)", "=="),
)

_CHOICE = re.compile(r"([^?:]+?) *\? *([^?:]+?) *: *([^?:]+)")  # c ? a : b
MAX_REWRITTEN = 80  # characters
_TEMPLATE = re.compile(r"\$\{?(\w+)\}?|\{\{ *(\w+) *\}\}|\{(\w+)\}")  # ${w}, {{ w }}, {w}


@lru_cache(maxsize=1024)  # a tree of 200 nodes is 100 KiB
def parse_tree(text: str, functions: frozenset[str] = FUNCTIONS) -> ast.expr:
    """Return the syntax tree of an expression; raises ExpressionError SB301, SB302 or SB501.

    The tree is cached and shared: copy it before changing it.
    """
    if len(text) > MAX_CHARACTERS:
        message = f"an expression has at most {MAX_CHARACTERS:,} characters; this has {len(text):,}"
        raise ExpressionError("SB501", message)
    written = re.sub(r"[\r\n]", " ", text).strip()
    line = TEXT_OR_PATH.sub(mark_numbers, written)
    if not line:
        raise ExpressionError("SB301", "an expression is missing here")
    if INFINITY.fullmatch(line):
        raise ExpressionError("SB301", "numbers must be finite here", "only masks can have infinite values")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree: ast.expr = parse_python(line, mode="eval").body
        source = line.encode()
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ExpressionError(
            "SB301", f"{quote_expression(written)} is not an expression", _suggest_syntax(line)
        ) from None
    _check_tree(tree, source, functions)
    if "true" in line or "false" in line:
        tree = _BooleanNames().visit(tree)
    return _NumberedNames().visit(tree) if "._" in line else tree


def mark_numbers(found: re.Match[str]) -> str:
    """Make a name that Python can parse of each number in a path: `layer3._0.conv`."""
    is_text = found[0][0] in "'\""
    return found[0] if is_text else re.sub(r"\.(?=\d+(?:\.|$))", "._", found[0])


def _check_tree(tree: ast.expr, source: bytes, functions: frozenset[str]) -> None:
    """Raise ExpressionError for the first part that is not in the language, or too large."""
    code = bytearray(source)  # the source with its string literals blanked out
    hint = "move a part of it into a parameter"
    for count, (node, depth) in enumerate(walk_depths(tree), 1):
        if count > MAX_NODES:
            raise ExpressionError("SB501", f"an expression has at most {MAX_NODES} parts", hint)
        if depth > MAX_DEPTH:
            raise ExpressionError("SB501", f"an expression is nested at most {MAX_DEPTH} deep", hint)
        _check_node(node, source, functions)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            code[slice(node.col_offset, node.end_col_offset)] = b" " * len(
                _source_text(node, source).encode()
            )
    if b"#" in code:
        raise ExpressionError("SB301", "an expression cannot contain a comment")
    if not code.isascii():
        message = f"{quote_expression(source.decode())} has non-ASCII characters outside quotes"
        raise ExpressionError("SB301", message, "names use only a-z, A-Z, 0-9 and _")


def _check_node(node: ast.expr, source: bytes, functions: frozenset[str]) -> None:
    """Raise ExpressionError if this node is not in the language. Its operands are checked separately."""

    def syntax_error(hint: str = "") -> ExpressionError:
        text = _source_text(node, source)
        return ExpressionError(
            "SB301",
            f"{quote_expression(text)} is not part of the expression language",
            hint or _suggest_syntax(text),
        )

    if isinstance(node, ast.Name):
        return
    if type(node) not in _ALLOWED_NODES:
        raise syntax_error()
    if isinstance(node, ast.Constant):
        if not isinstance(node.value, (int, float, str)):
            raise syntax_error()
        if not isinstance(node.value, str) and not is_bounded(node.value):
            raise too_large_error(quote_expression(_source_text(node, source)))
    elif isinstance(node, ast.Attribute):
        if not isinstance(node.value, (ast.Name, ast.Attribute)) and not (
            isinstance(node.value, ast.Subscript) and isinstance(node.value.value, ast.Name)
        ):
            raise syntax_error("the size of an axis is read as x.C")
    elif isinstance(node, ast.Subscript):
        if isinstance(node.slice, (ast.Slice, ast.Tuple)):
            raise syntax_error("one item is read as depths[0]")
    elif isinstance(node, ast.Call):
        _check_call(node, _source_text(node.func, source), functions)
    elif isinstance(node, ast.Compare):
        if not all(type(op) in _ALLOWED_NODES for op in node.ops):
            raise syntax_error()
    elif isinstance(node, (ast.BinOp, ast.UnaryOp)) and type(node.op) not in _ALLOWED_NODES:
        raise syntax_error()


def _check_call(node: ast.Call, name: str, functions: frozenset[str]) -> None:
    if not isinstance(node.func, ast.Name) or name not in functions:
        raise unknown_error(f"there is no function {quote_expression(name)} here", name, functions)
    if node.keywords:
        raise ExpressionError("SB301", f"{name} takes positional arguments only")
    expected, count = _ARGUMENT_COUNTS.get(name, 1), len(node.args)
    if count != expected and not (name in ("min", "max") and count):
        at_least = "at least " if name in ("min", "max") else ""
        arguments = "argument" if expected == 1 else "arguments"
        raise ExpressionError("SB301", f"{name} takes {at_least}{expected} {arguments}, not {count}")


def _source_text(node: ast.expr, source: bytes) -> str:
    return re.sub(r"\._(?=\d)", ".", source[node.col_offset : node.end_col_offset].decode())


def _suggest_syntax(text: str) -> str:
    if text == "None":
        return "leave the key out: what is not given has its default"
    if sizes := re.fullmatch(r"(\d+)((?:[x×]\d+)+)", text):  # 3x3
        each = [sizes[1], *re.findall(r"\d+", sizes[2])]
        return f"write `{each[0] if len(set(each)) == 1 else '[' + ', '.join(each) + ']'}`"
    if re.fullmatch(r"\(?\d+(?: *, *\d+)+\)?", text):  # a list as text
        return f"write `[{', '.join(re.findall(r'[0-9]+', text))}]`"
    if shape := re.search(r"(\w+)\.(?:shape|size)\b", text):
        return f"a size is read by the name of its axis, such as `{shape[1]}.C`"
    if name := _TEMPLATE.fullmatch(text):
        return f"write `{name[name.lastindex or 0]}`: a name stands for its value"
    if rewritten := _rewrite_operators(text):
        return f"write `{rewritten}`"
    return next((f"write `{ours}`" for theirs, ours in _FOREIGN_SYNTAX if re.search(theirs, text)), "")


def _rewrite_operators(text: str) -> str:
    """Return an expression with operators of other languages as one of this language; empty if that does not help."""
    if len(text) > MAX_REWRITTEN:
        return ""
    rewritten = _CHOICE.sub(r"\2 if \1 else \3", text)
    for theirs, ours in _FOREIGN_SYNTAX:
        rewritten = re.sub(rf" *(?:{theirs}) *", f" {ours} ", rewritten) if theirs != r"\?" else rewritten
    rewritten = rewritten.strip()
    try:
        ast.parse(rewritten, mode="eval")
    except (SyntaxError, ValueError):
        return ""
    return rewritten if rewritten != text else ""


class _BooleanNames(ast.NodeTransformer):
    """Replace YAML's `true` and `false` by Python's constants."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return (
            ast.copy_location(ast.Constant(_BOOLEAN_VALUES[node.id]), node)
            if node.id in _BOOLEAN_VALUES
            else node
        )


class _NumberedNames(ast.NodeTransformer):
    """Give the numbers in paths back what `mark_numbers` changed: `layer3.0.conv`."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        value, is_number = self.visit(node.value), re.fullmatch(r"_\d+", node.attr)
        attr = node.attr[1:] if is_number else node.attr
        return ast.copy_location(ast.Attribute(value, attr, node.ctx), node)


def is_bounded(value: int | float) -> bool:
    """Return whether a number may occur: an integer of at most 2^53 in absolute value, or a finite float."""
    return abs(value) <= MAX_INTEGER if isinstance(value, int) else math.isfinite(value)


def walk_depths(tree: ast.expr) -> Iterator[tuple[ast.expr, int]]:
    """Yield every subexpression with its depth; the whole tree has depth 1.

    Not recursive: it may be too deep.
    """
    todo = [(tree, 1)]
    while todo:
        node, depth = todo.pop()
        yield node, depth
        todo += [(part, depth + 1) for part in list_operands(node)]


def list_operands(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the subexpressions directly below a node. The function name of a call is not one."""
    if isinstance(node, ast.Call):
        yield from node.args
    elif not isinstance(node, (ast.Name, ast.Constant)):
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr):
                yield part
