"""The last look at a finished file: it holds what such a file may hold, or it is not written.

Text of a spec cannot become code (see `specbuild.codegen.literals`); this holds even if it could. Importing the
file defines classes and functions and runs nothing else, and nothing in it can leave the framework.
"""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Iterator

from specbuild.expressions.python_ast import parse_python

# Of the standard library, what an emitted file may import.
STANDARD_MODULES = frozenset({"__future__", "collections", "math", "typing"})

# What a file that can load weights imports besides: numbers by name, and nothing that could run.
LOADER_IMPORTS = {
    "keras": frozenset({"safetensors.numpy.load_file"}),
    "torch": frozenset({"safetensors.torch.load_file", "safetensors.torch.save_file"}),
}

# The builtins that emitted code may use; none of them reaches files, names or code.
ALLOWED_BUILTINS = frozenset(
    """abs all any bool classmethod dict divmod enumerate filter float frozenset int isinstance
    len list map max min object pow property range reversed round set slice sorted
    staticmethod str sum super tuple type zip AttributeError IndexError KeyError
    NotImplementedError RuntimeError TypeError ValueError""".split()
)

# What leads from a framework to files, processes, the network or other code, by last name and by full path.
FORBIDDEN_NAMES = frozenset(
    """Lambda TFSMLayer builtins classes compile ctypes deserialize deserialize_keras_object
    enable_unsafe_deserialization eval exec export from_file get_file hub importlib jit load load_model
    load_weights multiprocessing open os package save save_model save_weights serialization subprocess sys
    system""".split()
)
FORBIDDEN_PATHS = frozenset({"torch.ops", "torch.utils", "torch.distributed", "keras.utils"})

# Calls that may run when the file is imported.
ALLOWED_DECORATORS = frozenset({"keras.saving.register_keras_serializable", "torch.no_grad"})

UNPRINTABLE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
CODING_COMMENT = re.compile(r"^[ \t\f]*#.*?coding[:=]")

Definition = ast.ClassDef | ast.FunctionDef


class AuditError(Exception):
    """An emitted file that holds what it must not: a bug of specbuild's, never the fault of a spec."""


def audit_source(text: str, framework: str, *, loader: bool = False) -> None:
    """Refuse a file that is not Python, or holds more than definitions over one framework.

    With a `loader`, it may import what reads and writes safetensors.
    """
    wrong = UNPRINTABLE.search(text)
    if wrong:
        raise AuditError(f"line {text.count(chr(10), 0, wrong.start()) + 1} holds U+{ord(wrong[0]):04X}")
    if any(CODING_COMMENT.match(line) for line in text.split("\n", 2)[:2]):
        raise AuditError("a comment at its head names an encoding")
    try:
        tree = parse_python(text)
        table = symtable.symtable(text, "<emitted>", "exec")
    except (SyntaxError, ValueError) as error:
        raise AuditError(f"it is not Python: {error}") from error
    aliases: dict[str, str] = {}
    for node in body_statements(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            aliases |= imported_names(node, framework, LOADER_IMPORTS[framework] if loader else frozenset())
    SourceAuditor(aliases).visit(tree)
    known = {
        name.get_name()
        for name in table.get_symbols()
        if name.is_assigned() or name.is_imported() or name.is_namespace()
    }
    for name in sorted(global_names(table) - known - ALLOWED_BUILTINS):
        raise AuditError(f"it uses {name}, which it neither defines nor imports")


def body_statements(tree: ast.Module) -> list[ast.stmt]:
    """The statements of the file after its docstring."""
    return tree.body[1:] if ast.get_docstring(tree, clean=False) is not None else tree.body


def imported_names(
    node: ast.Import | ast.ImportFrom, framework: str, besides: frozenset[str] = frozenset()
) -> dict[str, str]:
    """The names that an import binds, each with the full path behind it."""
    names: dict[str, str] = {}
    for name in node.names:
        path = name.name
        if isinstance(node, ast.ImportFrom):
            if node.level or name.name == "*":
                raise AuditError(f"line {node.lineno} imports what cannot be told")
            path = f"{node.module}.{name.name}"
        if path.partition(".")[0] not in STANDARD_MODULES | {framework} and path not in besides:
            raise AuditError(f"line {node.lineno} imports {path}")
        whole = isinstance(node, ast.ImportFrom) or name.asname
        names[name.asname or name.name.partition(".")[0]] = path if whole else path.partition(".")[0]
        check_path(path, node)
    return names


def check_path(path: str, node: ast.stmt | ast.expr) -> None:
    """Refuse a path from an imported module to what lies outside of the framework."""
    first, *rest = path.split(".")
    private = first != "__future__" and any(part.startswith("_") for part in rest)
    if (
        private
        or not FORBIDDEN_NAMES.isdisjoint(rest)
        or any(f"{path}.".startswith(f"{p}.") for p in FORBIDDEN_PATHS)
    ):
        raise AuditError(f"line {node.lineno} reaches {path}")


def global_names(table: symtable.SymbolTable) -> set[str]:
    """Every name that some scope looks up in the module or among the builtins."""
    top = table.get_type() == "module"
    found = {s.get_name() for s in table.get_symbols() if s.is_referenced() and (top or s.is_global())}
    return found.union(*map(global_names, table.get_children()))


class SourceAuditor(ast.NodeVisitor):
    """Walks the file, keeping to what may run when it is imported and to what may be written at all."""

    def __init__(self, aliases: dict[str, str]) -> None:
        self.aliases = aliases

    def visit_Module(self, node: ast.Module) -> None:
        for statement in body_statements(node):
            if isinstance(statement, Definition):
                self.check_definition(statement)
            elif not isinstance(statement, ast.Import | ast.ImportFrom):
                raise AuditError(f"line {statement.lineno} runs when the file is imported")

    def check_definition(self, node: Definition) -> None:
        """A class or function that is made when the file is imported."""
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            if call is None:
                self.check_inert(decorator)
            elif self.imported_path(call.func) not in ALLOWED_DECORATORS:
                raise AuditError(
                    f"line {call.lineno} calls {ast.unparse(call.func)} when the file is imported"
                )
            else:
                for argument in (*call.args, *(k.value for k in call.keywords)):
                    self.check_inert(argument)
        if isinstance(node, ast.FunctionDef):
            for part in definition_expressions(node):
                self.check_inert(part)
        else:
            if node.keywords:
                raise AuditError(f"line {node.lineno} names a metaclass")
            for base in node.bases:
                self.check_inert(base)
            for statement in node.body:
                self.check_member(statement)
        self.generic_visit(node)

    def check_member(self, statement: ast.stmt) -> None:
        """A statement in a class: a method, a docstring, or a constant."""
        if isinstance(statement, Definition):
            self.check_definition(statement)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            if statement.value is not None:
                self.check_inert(statement.value)
            if isinstance(statement, ast.AnnAssign):
                self.check_inert(statement.annotation)
        elif not (
            isinstance(statement, ast.Pass)
            or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        ):
            raise AuditError(f"line {statement.lineno} runs when the file is imported")

    def check_inert(self, expr: ast.expr) -> None:
        """Refuse an expression that does more than name and group things: default, annotation, base."""
        match expr:
            case ast.Constant() | ast.Name() | ast.Attribute():
                return
            case ast.UnaryOp(operand=ast.Constant()):
                return
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                parts = [left, right]
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                pass
            case ast.Subscript(value=value, slice=inner):
                parts = [value, inner]
            case _:
                raise AuditError(f"line {expr.lineno} computes something when the file is imported")
        for part in parts:
            self.check_inert(part)

    def imported_path(self, expr: ast.expr) -> str | None:
        """The full path that a dotted expression has from an imported module; None for any other."""
        if isinstance(expr, ast.Name):
            return self.aliases.get(expr.id)
        if isinstance(expr, ast.Attribute):
            base = self.imported_path(expr.value)
            return None if base is None else f"{base}.{expr.attr}"
        return None

    def visit_Attribute(self, node: ast.Attribute) -> None:
        path = self.imported_path(node)
        if path is not None:
            check_path(path, node)
        elif node.attr.startswith("__") and node.attr != "__init__":
            raise AuditError(f"line {node.lineno} uses {node.attr}")
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id.startswith("__"):
            raise AuditError(f"line {node.lineno} uses {node.id}")
        if node.id in self.aliases and not isinstance(node.ctx, ast.Load):
            raise AuditError(f"line {node.lineno} gives {node.id} another meaning")

    def visit_arg(self, node: ast.arg) -> None:
        if node.arg in self.aliases:
            raise AuditError(f"line {node.lineno} gives {node.arg} another meaning")
        self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> None:
        if isinstance(
            node, ast.Import | ast.ImportFrom | ast.Global | ast.Nonlocal | ast.Delete | ast.AsyncFunctionDef
        ):
            raise AuditError(f"line {node.lineno} has a statement that no emitted file has")
        super().generic_visit(node)


def definition_expressions(node: ast.FunctionDef) -> Iterator[ast.expr]:
    """The defaults and annotations of a function, which run where it is defined."""
    yield from node.args.defaults
    yield from (default for default in node.args.kw_defaults if default is not None)
    a = node.args
    for argument in (*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))):
        if argument.annotation is not None:
            yield argument.annotation
    if node.returns is not None:
        yield node.returns
