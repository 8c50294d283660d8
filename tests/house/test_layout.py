"""The house: imports only go down, every backend writes or refuses every op, files keep one duty."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from specbuild import backends
from specbuild.ops import OPS

ROOT = Path(__file__).parents[2] / "specbuild"

# The floors of the house, from the top down: a module imports only from its own floor or from lower ones.
FLOORS = (
    "cli",
    "packaging",
    "importing",
    "transform",
    "bench",
    "parity",
    "weights",
    "sweep",
    "api",
    "diff",
    "summary",
    "diagram",
    "compiler",
    "backends",
    "codegen",
    "elaborate",
    "runtimes",
    "ir",
    "frontend",
    "ops",
    "expressions",
    "diagnostics",
    "version",
)
LEVEL = {name: -i for i, name in enumerate(FLOORS)}
# They say which backend reads and runs the models of a framework.
READERS = ("specbuild.importing.keras.reader", "specbuild.importing.pytorch.reader")
LOOSE_FILES = {"__init__.py", "__main__.py", "api.py", "version.py"}
FRAMEWORKS = {"torch", "keras", "tensorflow", "jax", "torchvision", "timm"}


def list_modules() -> dict[str, Path]:
    """Every module by its dotted name; not those that are only copied into emitted files."""
    return {
        ".".join(["specbuild", *p.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__"): p
        for p in sorted(ROOT.rglob("*.py"))
        if p.parent.name != "helpers"
    }


MODULES = list_modules()


@cache
def read_tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def list_imports(path: Path) -> list[tuple[str, int]]:
    """Every import of a file with its line, at any depth: in functions and under TYPE_CHECKING too."""
    found = []
    for node in ast.walk(read_tree(path)):
        if isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path}:{node.lineno} has a relative import"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                found.append((submodule if submodule in MODULES else node.module, node.lineno))
        elif isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
    return found


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module: str) -> None:
    path = MODULES[module]
    parts = module.split(".")
    if len(parts) == 1 or parts[1] == "__main__":
        return  # the package itself and its command stand above all floors
    assert parts[1] in LEVEL, f"{parts[1]} has no floor: give it one in this test"
    for imported, line in list_imports(path):
        first, *rest = imported.split(".")
        if first == "specbuild" and imported != "specbuild":
            assert rest[0] in LEVEL, f"{path}:{line} imports {imported}, which has no floor"
            assert LEVEL[rest[0]] <= LEVEL[parts[1]], (
                f"{path}:{line}: {parts[1]} imports {rest[0]} from above"
            )
        assert imported != "specbuild", f"{path}:{line} imports the package, which stands above"
        if first in FRAMEWORKS:
            runs_apart = path.name.endswith("_worker.py") or path.parent.name == "runtimes"
            assert runs_apart, f"{path}:{line} imports {first} in the process of the compiler"


def test_no_circles() -> None:
    """No module imports itself by way of others, late imports and imports for types included."""
    graph = {
        name: {other for other, _ in list_imports(path) if other in MODULES and other != name}
        for name, path in MODULES.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"a circle: {' > '.join([*trail[trail.index(name) :], name])}"
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("module", [m for m in MODULES if not m.startswith("specbuild.backends.")])
def test_only_backends_know_frameworks(module: str) -> None:
    """Outside `backends`, no code imports a built-in backend or writes its name; the importer says once what it reads."""
    path = MODULES[module]
    built_in = tuple(f"specbuild.backends.{name}" for name in backends.BACKEND_NAMES)
    assert [found for found in list_imports(path) if found[0].startswith(built_in)] == []
    if module not in READERS:
        nodes = ast.walk(read_tree(path))
        names = [n for n in nodes if isinstance(n, ast.Constant) and n.value in backends.BACKEND_NAMES]
        assert [f"line {n.lineno}: {n.value!r}" for n in names] == []


def test_few_files_are_loose() -> None:
    assert {p.name for p in ROOT.glob("*.py")} <= LOOSE_FILES


@pytest.mark.parametrize("name", backends.BACKEND_NAMES)
def test_every_op_is_written_or_refused(name: str) -> None:
    backend = backends.load_backend(name)
    for op in OPS.values():
        assert (op in backend.writers) != (op in backend.refusals), (
            f"{name} neither writes nor refuses {op.name}"
        )


@pytest.mark.parametrize("module", MODULES)
def test_a_file_says_what_it_is_for(module: str) -> None:
    path = MODULES[module]
    tree = read_tree(path)
    assert ast.get_docstring(tree), f"{path.name} has no docstring"
    assert path.name != "utils.py"


@pytest.mark.parametrize("module", MODULES)
def test_no_table_is_keyed_by_id(module: str) -> None:
    """The id of an object that is gone may be that of another one: objects themselves, or values, are keys."""
    calls = (n for n in ast.walk(read_tree(MODULES[module])) if isinstance(n, ast.Call))
    assert [n.lineno for n in calls if isinstance(n.func, ast.Name) and n.func.id == "id"] == []


@pytest.mark.parametrize("module", [m for m in MODULES if not m.startswith("specbuild.ops")])
def test_records_are_structs(module: str) -> None:
    """Python compiles six functions for each dataclass, at each start; 140 of them took a fifth of a compile."""
    imports = (n for n in ast.walk(read_tree(MODULES[module])) if isinstance(n, ast.ImportFrom))
    names = {alias.name for n in imports if n.module == "dataclasses" for alias in n.names}
    assert names <= {"fields"}  # of ops
