"""Checks a finished file before it is written: it may contain only what an emitted file needs.

The text of a spec cannot become code (see `specbuild.codegen.literals`); this check is a second line of
defence. Importing an accepted file defines classes and functions and runs nothing else, and its code uses
nothing outside the framework.
"""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Iterator

from specbuild.backends import load_backend
from specbuild.backends.base import Backend
from specbuild.expressions.python_ast import parse_python, walk_code_nodes

# The modules of the standard library that an emitted file may import.
STANDARD_MODULES = frozenset({"__future__", "collections", "math", "typing"})

# The builtins that emitted code may use; none gives access to files, to attributes by name, or to code.
ALLOWED_BUILTINS = frozenset(
    """abs all any bool classmethod dict divmod enumerate filter float frozenset int isinstance
    len list map max min object pow property range reversed round set slice sorted
    staticmethod str sum super tuple type zip AttributeError IndexError KeyError
    NotImplementedError RuntimeError TypeError ValueError""".split()
)

# What reaches files, processes, the network or other code. Backends add names and full paths.
FORBIDDEN_NAMES = frozenset(
    """builtins classes compile ctypes deserialize eval exec export from_file hub importlib jit load
    multiprocessing open os package save serialization subprocess sys system""".split()
)

UNPRINTABLE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
CODING_COMMENT = re.compile(r"^[ \t\f]*#.*?coding[:=]")

Definition = ast.ClassDef | ast.FunctionDef
FORBIDDEN_STATEMENTS = (
    ast.Import,
    ast.ImportFrom,
    ast.Global,
    ast.Nonlocal,
    ast.Delete,
    ast.AsyncFunctionDef,
)


class AuditError(Exception):
    """An emitted file contains something forbidden: a bug in specbuild, never an error in a spec."""


def audit_source(text: str, backend_name: str, *, loader: bool = False) -> None:
    """Raise AuditError unless the text is Python with nothing but definitions that use one framework.

    With `loader`, the file may import the functions that read and write safetensors.
    """
    match = UNPRINTABLE.search(text)
    if match:
        line = text.count("\n", 0, match.start()) + 1
        raise AuditError(f"line {line} contains U+{ord(match[0]):04X}")
    if any(CODING_COMMENT.match(line) for line in text.split("\n", 2)[:2]):
        raise AuditError("a comment at the top declares an encoding")
    try:
        tree = parse_python(text)
        table = symtable.symtable(text, "<emitted>", "exec")
    except (SyntaxError, ValueError) as error:
        raise AuditError(f"it is not Python: {error}") from error
    auditor = SourceAuditor(load_backend(backend_name), loader)
    for node in body_statements(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            auditor.add_import(node)
    auditor.check_module(tree)
    known = {
        name.get_name()
        for name in table.get_symbols()
        if name.is_assigned() or name.is_imported() or name.is_namespace()
    }
    for name in sorted(global_names(table) - known - ALLOWED_BUILTINS):
        raise AuditError(f"it uses {name}, which it neither defines nor imports")


def body_statements(tree: ast.Module) -> list[ast.stmt]:
    """Return the statements of the file after its docstring."""
    return tree.body[1:] if ast.get_docstring(tree, clean=False) is not None else tree.body


def global_names(table: symtable.SymbolTable) -> set[str]:
    """Return every name that some scope looks up among the module's globals or the builtins."""
    is_module = table.get_type() == "module"
    names = {s.get_name() for s in table.get_symbols() if s.is_referenced() and (is_module or s.is_global())}
    return names.union(*map(global_names, table.get_children()))


class SourceAuditor:
    """Checks every node: what may run during the import, and what the file may contain at all."""

    def __init__(self, backend: Backend, loader: bool) -> None:
        self.backend = backend
        self.allowed_modules = STANDARD_MODULES | backend.modules
        self.allowed_paths = backend.loader_imports if loader else frozenset[str]()
        self.aliases: dict[str, str] = {}  # imported names, each with its full path

    def add_import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Record the names that an import binds; raises AuditError for a forbidden import."""
        for name in node.names:
            path = name.name
            if isinstance(node, ast.ImportFrom):
                if node.level or name.name == "*":
                    raise AuditError(f"line {node.lineno} has an import that cannot be checked")
                path = f"{node.module}.{name.name}"
            if path.partition(".")[0] not in self.allowed_modules and path not in self.allowed_paths:
                raise AuditError(f"line {node.lineno} imports {path}")
            binds_full_path = isinstance(node, ast.ImportFrom) or name.asname
            first = path.partition(".")[0]
            self.aliases[name.asname or name.name.partition(".")[0]] = path if binds_full_path else first
            self.check_path(path, node)

    def check_path(self, path: str, node: ast.stmt | ast.expr) -> None:
        """Raise AuditError if a path from an imported module leads outside the framework."""
        first, *rest = path.split(".")
        is_private = first != "__future__" and any(part.startswith("_") for part in rest)
        if (
            is_private
            or not (FORBIDDEN_NAMES | self.backend.forbidden_names).isdisjoint(rest)
            or any(f"{path}.".startswith(f"{p}.") for p in self.backend.forbidden_paths)
        ):
            raise AuditError(f"line {node.lineno} reaches {path}")

    def check_module(self, module: ast.Module) -> None:
        for statement in body_statements(module):
            if isinstance(statement, Definition):
                self.check_definition(statement)
                for node in walk_code_nodes(statement):
                    self.check_node(node)
            elif not isinstance(statement, ast.Import | ast.ImportFrom):
                raise AuditError(f"line {statement.lineno} runs when the file is imported")

    def check_definition(self, node: Definition) -> None:
        """Check the parts of a class or function that run during the import: decorators, defaults, bases."""
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            if call is None:
                self.check_inert(decorator)
            elif self.imported_path(call.func) not in self.backend.import_calls:
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
                raise AuditError(f"line {node.lineno} has a metaclass")
            for base in node.bases:
                self.check_inert(base)
            for statement in node.body:
                self.check_member(statement)

    def check_member(self, statement: ast.stmt) -> None:
        """Allow only methods, docstrings and constants in a class body."""
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
        """Raise AuditError for a default, annotation or base class that is more than names and constants."""
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
        """Return the full path of a dotted expression that begins with an imported name.

        None for any other.
        """
        names: list[str] = []
        while isinstance(expr, ast.Attribute):
            names.append(expr.attr)
            expr = expr.value
        base = self.aliases.get(expr.id) if isinstance(expr, ast.Name) else None
        return None if base is None else ".".join([base, *reversed(names)])

    def check_node(self, node: ast.AST) -> None:
        """Check one node of a definition; those inside it are checked by themselves."""
        if isinstance(node, ast.Attribute):
            self.check_attribute(node)
        elif isinstance(node, ast.Name):
            self.check_name(node)
        elif isinstance(node, ast.arg):
            if node.arg in self.aliases:
                raise AuditError(f"line {node.lineno} rebinds {node.arg}")
        elif isinstance(node, FORBIDDEN_STATEMENTS):
            raise AuditError(f"line {node.lineno} has a statement that no emitted file has")

    def check_attribute(self, node: ast.Attribute) -> None:
        path = self.imported_path(node)
        if path is not None:
            self.check_path(path, node)
        elif node.attr.startswith("__") and node.attr != "__init__":
            raise AuditError(f"line {node.lineno} uses {node.attr}")

    def check_name(self, node: ast.Name) -> None:
        if node.id.startswith("__"):
            raise AuditError(f"line {node.lineno} uses {node.id}")
        if node.id in self.aliases and not isinstance(node.ctx, ast.Load):
            raise AuditError(f"line {node.lineno} rebinds {node.id}")


def definition_expressions(node: ast.FunctionDef) -> Iterator[ast.expr]:
    """Yield the defaults and annotations of a function, which are evaluated when it is defined."""
    yield from node.args.defaults
    yield from (default for default in node.args.kw_defaults if default is not None)
    args = node.args
    variadic = filter(None, (args.vararg, args.kwarg))
    for argument in (*args.posonlyargs, *args.args, *args.kwonlyargs, *variadic):
        if argument.annotation is not None:
            yield argument.annotation
    if node.returns is not None:
        yield node.returns
