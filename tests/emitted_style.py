"""What a reviewer would not merge, found in the source of an emitted file.

`python -m tests.emitted_style FILE ...` prints it for files that lie somewhere; tests check those that they have at hand.
"""

from __future__ import annotations

import ast
import math
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from specbuild.codegen.short_floats import short_form

LONG_FLOAT = 12  # characters
MADE_UP = re.compile(r"(?<![a-z])\w*[a-z](\d|_)$")  # a name for which there was no better one
Check = Callable[[ast.Module], Iterator[str]]


def find_style_faults(source: str) -> list[str]:
    """Return every fault with its line."""
    tree = ast.parse(source)
    return [fault for check in CHECKS for fault in check(tree)]


def tell(node: Any, message: str) -> str:
    return f"line {node.lineno}: {message}: {ast.unparse(node).splitlines()[0][:90]}"


def silly_arithmetic(tree: ast.Module) -> Iterator[str]:
    """Operations that change nothing, or that a person computes by heart."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.BinOp):
            continue
        left, right, operator = node.left, node.right, node.op
        numbers = [part.value for part in (left, right) if is_number(part)]
        is_equal = ast.dump(left) == ast.dump(right)
        if isinstance(operator, ast.Mult) and (1 in numbers or 0 in numbers):
            yield tell(node, "a factor without effect")
        if isinstance(operator, ast.Add | ast.Sub) and (0 in numbers or is_equal):
            yield tell(node, "a sum without effect")
        if isinstance(operator, ast.FloorDiv | ast.Div) and (
            is_equal or (is_number(right) and right.value == 1)
        ):
            yield tell(node, "a division without effect")
        if len(numbers) == 2 and isinstance(operator, ast.Add | ast.Sub | ast.FloorDiv):
            yield tell(node, "numbers to compute")


def is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def undone_divisions(tree: ast.Module) -> Iterator[str]:
    """`channels // heads * heads` where the class refuses a remainder."""
    for owner in tree.body:
        exact = {c.replace("self.", "") for c in find_guards(owner) if re.fullmatch(r"[\w.]+ % [\w.]+", c)}
        for node in ast.walk(owner):
            match node:
                case ast.BinOp(ast.BinOp(whole, ast.FloorDiv(), part), ast.Mult(), factor) if ast.dump(
                    part
                ) == ast.dump(factor):
                    if f"{ast.unparse(whole)} % {ast.unparse(part)}".replace("self.", "") in exact:
                        yield tell(node, "a division that is undone")


def find_guards(owner: ast.stmt) -> Iterator[str]:
    """Yield the conditions under which a class or function refuses its arguments."""
    for node in ast.walk(owner):
        if isinstance(node, ast.If) and isinstance(node.body[0], ast.Raise):
            yield ast.unparse(node.test)


def long_floats(tree: ast.Module) -> Iterator[str]:
    """`0.018181818181818184` for `0.2 / 11`; a constant that has no short form is the author's own."""
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    for node in constants:
        is_long = type(node.value) is float and len(repr(node.value)) > LONG_FLOAT
        if is_long and short_form(node.value) is not None:  # type: ignore[arg-type]
            yield tell(node, "a long float")


def made_up_names(tree: ast.Module) -> Iterator[str]:
    """Names of constructor arguments that differ by a number from another argument."""
    for owner, arguments in constructors(tree):
        words = {a.arg for a in arguments}
        for argument in arguments:
            stem = argument.arg.rstrip("_0123456789")
            if MADE_UP.search(argument.arg) and stem in words:
                yield tell(argument, f"a name with only a number of its own, in {owner}")


def idle_descriptions(tree: ast.Module) -> Iterator[str]:
    """Descriptions of arguments that repeat their names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and "\nArgs:\n" in (
            ast.get_docstring(node) or ""
        ):
            section = (ast.get_docstring(node) or "").partition("\nArgs:\n")[2]
            for name, text in re.findall(r"^ {4}(\w+): (.*)$", section, re.M):
                if text.replace(" ", "_") == name or (name[-1].isdigit() and text.startswith(f"{name} of ")):
                    yield f"line {node.lineno}: an idle description in {node.name}: {name}: {text}"


def refused_defaults(tree: ast.Module) -> Iterator[str]:
    """Default values that the guards of their own class refuse."""
    for owner, arguments in constructors(tree):
        definition = next(n for n in tree.body if getattr(n, "name", None) == owner)
        values = {a.arg: ast.unparse(default) for a, default in arguments.items() if default is not None}
        known = {name: text for name, text in values.items() if "keras." not in text}
        scope = {name: eval(text, {"math": math}) for name, text in known.items()}
        for text in find_guards(definition):
            condition = ast.parse(text.replace("self.", ""), mode="eval").body
            is_either = isinstance(condition, ast.BoolOp) and isinstance(condition.op, ast.Or)
            for part in condition.values if is_either else [condition]:
                if read_names(part) - BUILTINS.keys() <= scope.keys() and eval(
                    ast.unparse(part), BUILTINS, scope
                ):
                    yield f"line {definition.lineno}: {owner} refuses its own defaults: {ast.unparse(part)}"


BUILTINS: dict[str, Any] = {"len": len, "min": min, "max": max, "range": range, "abs": abs}


def constructors(tree: ast.Module) -> Iterator[tuple[str, dict[ast.arg, ast.expr | None]]]:
    """Yield the name and the arguments, with their defaults, of each class and function."""
    for node in tree.body:
        parts = node.body if isinstance(node, ast.ClassDef) else [node]
        for part in parts:
            if isinstance(part, ast.FunctionDef) and part.name in ("__init__", getattr(node, "name", "")):
                arguments = [a for a in part.args.args if a.arg != "self"]
                defaults = [None] * (len(arguments) - len(part.args.defaults)) + part.args.defaults
                yield node.name, dict(zip(arguments, defaults, strict=True))  # type: ignore[union-attr]


def needless_lines(tree: ast.Module) -> Iterator[str]:
    """Constructors that do nothing, tables of zeros by `full`, and variables that are only another name.

    A loop that changes a value which is read after it, too, begins with another name.
    """
    for node in ast.walk(tree):
        is_init = isinstance(node, ast.FunctionDef) and node.name == "__init__"
        if is_init and [ast.unparse(line)[:18] for line in node.body] == ["super().__init__()"]:
            yield tell(node, "a constructor that does nothing")
        match node:
            case ast.Call(ast.Attribute(_, "full"), [_, ast.Constant(0 | 1), *_]):
                yield tell(node, "zeros or ones")
        if isinstance(node, ast.FunctionDef):
            yield from idle_aliases(node)


def idle_aliases(function: ast.FunctionDef) -> Iterator[str]:
    for i, line in enumerate(function.body):
        if isinstance(line, ast.Assign) and {*map(type, (line.value, *line.targets))} == {ast.Name}:
            changed, source = ast.unparse(line.targets[0]), ast.unparse(line.value)
            following = function.body[i + 1 : i + 2]
            is_loop = (
                bool(following)
                and isinstance(following[0], ast.For)
                and changed in stored_names(following[0])
            )
            if not (is_loop and any(source in read_names(later) for later in function.body[i + 1 :])):
                yield tell(line, "only another name")


def stored_names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def read_names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def unread_arguments(tree: ast.Module) -> Iterator[str]:
    """Arguments of constructors that nothing reads."""
    for owner, arguments in constructors(tree):
        definition = next(n for n in tree.body if getattr(n, "name", None) == owner)
        for argument in arguments:
            if argument.arg not in read_names(definition):
                yield tell(argument, f"an argument that nothing reads, in {owner}")


CHECKS: tuple[Check, ...] = (
    silly_arithmetic,
    undone_divisions,
    long_floats,
    made_up_names,
    idle_descriptions,
    refused_defaults,
    needless_lines,
    unread_arguments,
)


def main(paths: list[str]) -> None:
    count = 0
    for path in paths:
        for fault in find_style_faults(Path(path).read_text(encoding="utf-8")):
            count += 1
            print(f"{path}: {fault}")
    print(f"{len(paths)} files, {count} faults")


if __name__ == "__main__":
    main(sys.argv[1:])
