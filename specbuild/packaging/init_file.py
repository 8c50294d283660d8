"""The `__init__.py` of a package."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from specbuild.backends.docstrings import reflow_paragraphs
from specbuild.codegen.literals import LINE_WIDTH, check_identifier
from specbuild.codegen.tree import Assign, Helper, ListOf, Literal, Module
from specbuild.packaging.model_facts import ModelFacts

LAZY_IMPORT = """\
def __getattr__(name: str) -> ModuleType:
    \"\"\"Import the file of a framework when it is first used.\"\"\"
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f".{name}", __name__)"""


def init_module(facts: Sequence[ModelFacts], header: tuple[str, ...]) -> Module:
    """Return the module: it exports the model and its blocks, or for several frameworks their files.

    The file of a framework is then imported when it is first used.
    """
    doc = reflow_paragraphs(facts[0].model.graph.doc)
    if len(facts) == 1:
        names = sorted(facts[0].class_names, key=sort_key)
        return Module(doc, import_lines(facts[0].module, names), (all_assignment(names),), header)
    names = sorted((f.module for f in facts), key=sort_key)
    files = "\n".join(f"{f.module}: {f.name} in {f.title}" for f in facts)
    note = f"A framework is imported when its module is first used:\n\n{files}"
    imports = ("from importlib import import_module", "from types import ModuleType")
    doc = "\n\n".join(part for part in (doc, note) if part)
    return Module(doc, imports, (all_assignment(names), Helper(LAZY_IMPORT)), header)


def all_assignment(names: Iterable[str]) -> Assign:
    return Assign("__all__", ListOf(tuple(map(Literal, names))))


def import_lines(module: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the lines that import names from a file of the package, formatted."""
    identifiers = [check_identifier(name) for name in names]
    line = f"from .{check_identifier(module)} import {', '.join(identifiers)}"
    if len(line) <= LINE_WIDTH:
        return (line,)
    return (f"from .{module} import (", *(f"    {name}," for name in identifiers), ")")


def sort_key(name: str) -> tuple[int, list[tuple[bool, int, str]]]:
    """Return the key by which linters sort names: constants, classes, others; digits as numbers."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    parts = re.split(r"(\d+)", name.lower())
    return kind, [(p.isdigit(), int(p) if p.isdigit() else 0, p) for p in parts if p]
