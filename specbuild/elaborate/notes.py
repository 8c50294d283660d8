"""What is worth a word though nothing is wrong: steps that no output needs, names taken from the library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from specbuild.diagnostics.errors import Location, make_printable
from specbuild.frontend.document import Spec
from specbuild.frontend.edits import EditDef
from specbuild.frontend.resolver import library_index
from specbuild.ir.graph import Block, Skip, distinct_blocks
from specbuild.ops.types import join_names


@dataclass(frozen=True)
class SpecNote:
    """A remark, and the place that it is about."""

    message: str
    location: Location | None

    def __str__(self) -> str:
        where = f"{self.location.file}:{self.location.line}:{self.location.column}: " if self.location else ""
        return make_printable(f"{where}note: {self.message}", 1000)


def unused_step_notes(whole: Block, kept: Block) -> list[SpecNote]:
    """Steps that are not compiled, because no output needs them; told once for each place of a spec."""
    found: dict[Location, SpecNote] = {}
    seen: set[tuple[int, int]] = set()

    def visit(whole: Block, kept: Block, path: tuple[str, ...]) -> None:
        if (id(whole), id(kept)) in seen:
            return
        seen.add((id(whole), id(kept)))
        gone = [
            node
            for node in whole.nodes
            if kept.find_node(node.reuses or node.name) is None and not isinstance(node.op, Skip)
        ]
        if gone:
            inside = f" in {'.'.join(path)}" if path else ""
            standing = {prefix for node in kept.nodes for prefix in path_prefixes(node.name)}
            names = list(
                dict.fromkeys(
                    next((p for p in path_prefixes(n.name) if p not in standing), n.name) for n in gone
                )
            )
            shown = [*names[:6], f"{len(names) - 6} more"] if len(names) > 7 else names
            place = gone[0].at.location
            found.setdefault(
                place, SpecNote(f"no output needs {join_names(shown)}{inside}: not compiled", place)
            )
        for node in whole.nodes:
            other = kept.find_node(node.name)
            if other is not None and isinstance(node.op, Block) and isinstance(other.op, Block):
                visit(node.op, other.op, (*path, node.name))

    visit(whole, kept, ())
    return list(found.values())


def edit_notes(whole: Block) -> list[SpecNote]:
    """What each edit was about."""
    about: dict[EditDef, list[str]] = {}
    for edit, path in whole.applied_edits:
        about.setdefault(edit, []).append(path)
    placed = [(edit.at.location, edit, paths) for edit, paths in about.items()]
    return [
        SpecNote(describe_edit(edit, paths), place) for place, edit, paths in sorted(placed, key=file_order)
    ]


def file_order(found: tuple[Location, EditDef, list[str]]) -> tuple[str, int]:
    """Edits of one file in the order in which they stand."""
    return found[0].file, found[0].line


def describe_edit(edit: EditDef, paths: list[str]) -> str:
    """`inserted CBAM after 16 steps: ...`."""
    shown = [*paths[:3], f"{len(paths) - 4} more", paths[-1]] if len(paths) > 5 else paths
    steps = f"{len(paths)} steps: {', '.join(shown)}" if len(paths) > 1 else paths[0]
    match edit.verb:
        case "insert":
            return f"inserted {edit.kind} {'before' if edit.before else 'after'} {steps}"
        case "replace":
            return f"put {edit.kind} in the place of {steps}"
        case "remove":
            return f"removed {steps}"
        case "freeze":
            return f"froze {steps}"
        case "rewire":
            return f"rewired {steps}"
    return f"set {join_names(list(edit.settings))} of {steps}"


def path_prefixes(name: str) -> Iterator[str]:
    """`layer4`, `layer4.2` for `layer4.2`: the groups around a node, widest first, and the node itself."""
    parts = name.split(".")
    return (".".join(parts[:n]) for n in range(1, len(parts) + 1))


def name_notes(spec: Spec, whole: Block) -> list[SpecNote]:
    """Blocks that hide one of the library, and blocks that nothing uses."""
    found = []
    used = {block.kind for block in distinct_blocks(whole)}
    for section, own in (("blocks", spec.blocks), ("imports", spec.imports)):
        for name in own:
            place = spec.source.key_location((section, name))
            if name in library_index() and not spec.imports.get(name, "").startswith("library:"):
                found.append(SpecNote(f"{name} is this file's own, not the library's {name}", place))
            if section == "blocks" and name not in used:
                found.append(SpecNote(f"nothing uses the block {name}", place))
    return found
