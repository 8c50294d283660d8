"""The house: imports only go down, every backend writes or refuses every op, files keep one duty."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from specbuild import backends
from specbuild.ops import OPS

ROOT = Path(__file__).parent.parent / "specbuild"

# From the top of the house to its ground: a module imports only from its own floor or from below.
FLOORS = (
    ("cli", "__main__", ""),
    ("package",),
    ("parity", "transfer"),
    ("model", "example"),
    ("diff",),
    ("build",),
    ("promises", "notebook"),
    (
        "changes",
        "weights",
        "keymap",
        "output",
        "audit",
        "given",
        "notes",
        "summary",
        "live",
        "editor",
        "picture",
    ),
    ("elaborate", "backends"),
    ("resolve",),
    ("schema",),
    ("spec", "passes", "cost", "draw", "emit"),
    ("graph",),
    ("names", "edits"),
    ("source",),
    ("ops",),
    ("axes",),
    ("words", "loader", "selector", "prose"),
    ("thresholds",),
    ("errors", "apart", "syntax"),
    ("codes",),
)
LEVEL = {name: len(FLOORS) - i for i, floor in enumerate(FLOORS) for name in floor}
SIBLINGS = {"cost", "draw", "emit"}  # read the graph, and never meet
FRAMEWORKS = {"torch", "keras", "tensorflow", "jax", "torchvision", "timm"}


def modules() -> list[Path]:
    return sorted(p for p in ROOT.rglob("*.py") if not p.name.endswith("helpers.py"))


def floor(path: Path) -> str:
    """The part of the house that a file belongs to."""
    parts = path.relative_to(ROOT).parts
    return "" if parts == ("__init__.py",) else parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, node.lineno))
            found += [
                (f"{node.module}.{a.name}", node.lineno) for a in node.names if node.module == "specbuild"
            ]
        elif isinstance(node, ast.Import):
            found += [(a.name, node.lineno) for a in node.names]
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    here = floor(path)
    assert here in LEVEL, f"{here} has no floor: give it one in this test"
    for module, line in imports(path):
        parts = module.split(".")
        if parts[0] == "specbuild" and len(parts) > 1 and parts[1] in LEVEL:
            there = parts[1]
            assert LEVEL[there] <= LEVEL[here], f"{path.name}:{line} imports {there} from above {here}"
            assert there == here or not {here, there} <= SIBLINGS, (
                f"{path.name}:{line}: {here} and {there} do not meet"
            )
        if parts[0] in FRAMEWORKS:
            own_process = here == "weights" and path.name.endswith("_worker.py")
            assert here == "parity" or path.name == "live.py" or own_process, (
                f"{path.name}:{line} imports {parts[0]}"
            )


def test_no_circles() -> None:
    """Every module of the package can be imported by itself: no circle hides behind an order of imports."""
    graph = {}
    for path in modules():
        name = ".".join(["specbuild", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(
            ".__init__"
        )
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = set()
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("specbuild"):
                found.add(node.module)
                found |= {f"{node.module}.{a.name}" for a in node.names}
        graph[name] = found
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"a circle: {' > '.join([*trail[trail.index(name) :], name])}"
        if name in done or name not in graph:
            return
        for other in sorted(graph[name]):
            if not name.startswith(other + ".") and other != name:
                visit(other, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("name", backends.NAMES)
def test_every_op_is_written_or_refused(name: str) -> None:
    backend = backends.load(name)
    for op in OPS.values():
        assert (op in backend.table) != (op in backend.refused), (
            f"{name} neither writes nor refuses {op.name}"
        )


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_says_what_it_is_for(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path.name} has no docstring"
    assert path.name != "utils.py"
