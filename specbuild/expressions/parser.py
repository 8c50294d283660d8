"""Reading an expression: Python's grammar, then a whitelist of what may stand in it, and its bounds."""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from specbuild.expressions.errors import WordsError, quote, too_large, unknown
from specbuild.expressions.python_ast import parsed

MAX_CHARACTERS = 1_000
MAX_NODES = 200
MAX_DEPTH = 32
MAX_INTEGER = 2**53

FUNCTIONS = frozenset(
    ("min", "max", "ceil", "floor", "round", "abs", "int", "sqrt", "log", "len", "sum", "divisible")
)
TABLE_FUNCTIONS = frozenset(
    ("sin", "cos", "exp", "sqrt", "log", "abs", "floor", "where", "minimum", "maximum", "sign")
)
LEAF = (ast.Name, ast.Attribute, ast.Subscript)  # what reads the scope: a, x.C, depths[0]
PYTHON_FUNCTIONS = frozenset(
    ("min", "max", "round", "abs", "int", "sum", "len")
)  # emitted code needs no import for these

_ARGUMENTS = {"divisible": 2, "minimum": 2, "maximum": 2, "where": 3}  # the others take one; min and max, any
_ALLOWED = frozenset(
    (
        *(ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.List, ast.Call, ast.Load),
        *(ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow),
        *(ast.UnaryOp, ast.USub, ast.UAdd, ast.Not, ast.BoolOp, ast.And, ast.Or, ast.IfExp),
        *(ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn),
    )
)
_BOOLEANS = {"true": True, "false": False}
_FOREIGN = (  # how other languages, or other habits, write what this one has
    (r"&&", "and"),
    (r"\|\|", "or"),
    (r"!(?!=)", "not"),
    (r"\?", "a if condition else b"),
    (r"\^", "**"),
    (r"\bis\b", "=="),
    (r"(?<![=<>!:])=(?!=)", "=="),
)


@lru_cache(maxsize=1024)  # a tree of 200 nodes is 100 KiB
def parse(text: str, functions: frozenset[str] = FUNCTIONS) -> ast.expr:
    """The tree of an expression, all of it of the language. It is shared: do not change it."""
    if len(text) > MAX_CHARACTERS:
        message = f"an expression has at most {MAX_CHARACTERS:,} characters; this has {len(text):,}"
        raise WordsError("SB501", message)
    line = re.sub(r"[\r\n]", " ", text).strip()
    if not line:
        raise WordsError("SB301", "an expression is missing here")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree: ast.expr = parsed(line, mode="eval").body
        source = line.encode()
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise WordsError("SB301", f"{quote(line)} is not an expression", _translation(line)) from None
    _check_tree(tree, source, functions)
    if "true" in line or "false" in line:
        tree = _Booleans().visit(tree)
    return tree


def _check_tree(tree: ast.expr, source: bytes, functions: frozenset[str]) -> None:
    """Refuse what is not of the language. A loop, since nothing bounds the tree yet."""
    code = bytearray(source)
    todo, count = [(tree, 1)], 0
    while todo:
        node, depth = todo.pop()
        count += 1
        if count > MAX_NODES:
            hint = "make a part of it a parameter"
            raise WordsError("SB501", f"an expression has at most {MAX_NODES} parts", hint)
        if depth > MAX_DEPTH:
            hint = "make a part of it a parameter"
            raise WordsError("SB501", f"an expression is nested at most {MAX_DEPTH} deep", hint)
        _check_node(node, source, functions)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            code[slice(node.col_offset, node.end_col_offset)] = b" " * len(_text(node, source).encode())
        todo += [(part, depth + 1) for part in operands(node)]
    if b"#" in code:
        raise WordsError("SB301", "an expression holds no comment")
    if not code.isascii():
        message = f"{quote(source.decode())} has letters beyond ASCII outside of quotes"
        raise WordsError("SB301", message, "names are made of a-z, A-Z, 0-9 and _")


def _check_node(node: ast.expr, source: bytes, functions: frozenset[str]) -> None:
    """Refuse one node; its operands have their own turn."""

    def refused(hint: str = "") -> WordsError:
        text = _text(node, source)
        return WordsError(
            "SB301", f"{quote(text)} is not of the expression language", hint or _translation(text)
        )

    if isinstance(node, ast.Name):
        return
    if type(node) not in _ALLOWED:
        raise refused()
    if isinstance(node, ast.Constant):
        if not isinstance(node.value, (int, float, str)):
            raise refused()
        if not isinstance(node.value, str) and not bounded(node.value):
            raise too_large(quote(_text(node, source)))
    elif isinstance(node, ast.Attribute):
        if not isinstance(node.value, ast.Name):
            raise refused("the size of an axis is read as x.C")
    elif isinstance(node, ast.Subscript):
        if isinstance(node.slice, (ast.Slice, ast.Tuple)):
            raise refused("one item is read as depths[0]")
    elif isinstance(node, ast.Call):
        _check_call(node, _text(node.func, source), functions)
    elif isinstance(node, ast.Compare):
        if not all(type(op) in _ALLOWED for op in node.ops):
            raise refused()
    elif isinstance(node, (ast.BinOp, ast.UnaryOp)) and type(node.op) not in _ALLOWED:
        raise refused()


def _check_call(node: ast.Call, name: str, functions: frozenset[str]) -> None:
    if not isinstance(node.func, ast.Name) or name not in functions:
        raise unknown(f"there is no function {quote(name)} here", name, functions)
    if node.keywords:
        raise WordsError("SB301", f"{name} takes its arguments without names")
    takes, given = _ARGUMENTS.get(name, 1), len(node.args)
    if given != takes and not (name in ("min", "max") and given):
        least = "at least " if name in ("min", "max") else ""
        plural = "argument" if takes == 1 else "arguments"
        raise WordsError("SB301", f"{name} takes {least}{takes} {plural}, not {given}")


def _text(node: ast.expr, source: bytes) -> str:
    return source[node.col_offset : node.end_col_offset].decode()


def _translation(text: str) -> str:
    return next((f"write {ours}" for theirs, ours in _FOREIGN if re.search(theirs, text)), "")


class _Booleans(ast.NodeTransformer):
    """`true` and `false`, as YAML writes them, become Python's."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.copy_location(ast.Constant(_BOOLEANS[node.id]), node) if node.id in _BOOLEANS else node


def bounded(value: int | float) -> bool:
    """Whether a number is one that an expression may hold."""
    return abs(value) <= MAX_INTEGER if isinstance(value, int) else math.isfinite(value)


def operands(node: ast.expr) -> Iterator[ast.expr]:
    """The parts of a node that are computed; the name of a called function is not."""
    if isinstance(node, ast.Call):
        yield from node.args
    elif not isinstance(node, (ast.Name, ast.Constant)):
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr):
                yield part


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression, and what is worth finding out about it only once."""

    tree: ast.expr
    names: tuple[str, ...]
    """What it reads from the scope, in the order of reading."""
    leaves: tuple[ast.expr, ...]
    """The places that read: `a`, `x.C`, `depths[0]`."""
    items: tuple[str, ...] | None
    """The expressions in a list."""
    tellable: bool
    """Whether emitted code could say it without an import."""


@lru_cache(maxsize=1024)
def read(text: str) -> Expression:
    tree = parse(text)
    nodes = list(_walk(tree))
    called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    return Expression(
        tree,
        names=tuple(dict.fromkeys(node.id for node in nodes if isinstance(node, ast.Name))),
        leaves=tuple(_leaves(tree)),
        items=tuple(map(ast.unparse, tree.elts)) if isinstance(tree, ast.List) else None,
        tellable=called <= PYTHON_FUNCTIONS,
    )


def _walk(node: ast.expr) -> Iterator[ast.expr]:
    yield node
    for part in operands(node):
        yield from _walk(part)


def _leaves(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, LEAF):
        yield node
    else:
        for part in operands(node):
            yield from _leaves(part)


def names(text: str) -> frozenset[str]:
    """The names that an expression reads; the functions that it calls are not among them."""
    return frozenset(read(text).names)
