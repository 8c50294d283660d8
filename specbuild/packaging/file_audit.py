"""The audit of the Python files beside a model file: no text of a spec may have become code in them."""

from __future__ import annotations

import ast

from specbuild.compiler.audit import UNPRINTABLE, AuditError, body_statements
from specbuild.expressions.python_ast import parse_python

# Modules that these files import from, besides the package itself and the framework.
STANDARD_MODULES = frozenset({"importlib", "math", "pytest", "types"})
ALLOWED_CALLS = frozenset({"pytest.fixture", "pytest.mark.filterwarnings", "pytest.mark.parametrize"})


def audit_module(text: str, framework_modules: frozenset[str] = frozenset()) -> None:
    """Raise AuditError if importing the file does anything but import, define functions and list names."""
    if UNPRINTABLE.search(text):
        raise AuditError("it contains characters that cannot be seen")
    try:
        tree = parse_python(text)
    except (SyntaxError, ValueError) as error:
        raise AuditError(f"it is not Python: {error}") from error
    for node in body_statements(tree):
        if not is_allowed(node, STANDARD_MODULES | framework_modules):
            raise AuditError(f"line {node.lineno} runs when the file is imported")


def is_allowed(node: ast.stmt, modules: frozenset[str]) -> bool:
    match node:
        case ast.Import(names):
            return all(name.name in modules for name in names)
        case ast.ImportFrom(module, _, level):
            return level == 1 or (level == 0 and module in modules)
        case ast.FunctionDef(decorator_list=decorators):
            return all(
                isinstance(call, ast.Call)
                and ast.unparse(call.func) in ALLOWED_CALLS
                and has_constant_arguments(call)
                for call in decorators
            )
        case ast.Expr(ast.Call() as call):
            return ast.unparse(call.func) == "pytest.importorskip" and has_constant_arguments(call)
        case ast.Assign([ast.Name("__all__")], ast.List(names)):
            return all(isinstance(name, ast.Constant) for name in names)
    return False


def has_constant_arguments(call: ast.Call) -> bool:
    """Return whether all arguments of a call are constants."""
    try:
        for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
            ast.literal_eval(argument)
    except ValueError:
        return False
    return True
