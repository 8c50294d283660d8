"""Notes on a valid spec: unused steps and blocks, names that hide library blocks, and the effect of edits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from specbuild.diagnostics.errors import Location, make_printable
from specbuild.diagnostics.suggestions import join_names
from specbuild.frontend.document import Spec
from specbuild.frontend.edits import EditDef
from specbuild.frontend.library import library_index
from specbuild.ir.graph import Block, Node, Skip, distinct_blocks


@dataclass(frozen=True)
class SpecNote:
    """A message that is not an error, with its location."""

    message: str
    location: Location | None

    def __str__(self) -> str:
        location = self.location
        prefix = f"{location.file}:{location.line}:{location.column}: " if location else ""
        return make_printable(f"{prefix}note: {self.message}", 1000)


def unused_step_notes(model: Block, pruned: Block) -> list[SpecNote]:
    """Return a note for the steps that the pruned model lacks, one for each location in a spec."""
    notes: dict[Location, SpecNote] = {}
    visited: set[tuple[int, int]] = set()

    def visit(block: Block, pruned: Block, path: tuple[str, ...]) -> None:
        if (id(block), id(pruned)) in visited:
            return
        visited.add((id(block), id(pruned)))
        unused = [
            node
            for node in block.nodes
            if pruned.find_node(node.reuses or node.name) is None and not isinstance(node.op, Skip)
        ]
        if unused:
            location = unused[0].at.location
            notes.setdefault(location, SpecNote(describe_unused(unused, pruned, path), location))
        for node in block.nodes:
            other = pruned.find_node(node.name)
            if other is not None and isinstance(node.op, Block) and isinstance(other.op, Block):
                visit(node.op, other.op, (*path, node.name))

    visit(model, pruned, ())
    return list(notes.values())


def describe_unused(unused: list[Node], pruned: Block, path: tuple[str, ...]) -> str:
    """Describe the unused steps of the block at `path`; a group without used steps counts as one step."""
    used = {prefix for node in pruned.nodes for prefix in path_prefixes(node.name)}
    paths = (next((p for p in path_prefixes(n.name) if p not in used), n.name) for n in unused)
    names = list(dict.fromkeys(paths))
    shown = [*names[:6], f"{len(names) - 6} more"] if len(names) > 7 else names
    block = f" in {'.'.join(path)}" if path else ""
    return f"no output needs {join_names(shown)}{block}: not compiled"


def edit_notes(model: Block) -> list[SpecNote]:
    """Return a note on the effect of each edit, in the order of the files."""
    paths_by_edit: dict[EditDef, list[str]] = {}
    for edit, path in model.applied_edits:
        paths_by_edit.setdefault(edit, []).append(path)
    notes = [(edit.at.location, describe_edit(edit, paths)) for edit, paths in paths_by_edit.items()]
    notes.sort(key=lambda note: (note[0].file, note[0].line))
    return [SpecNote(message, location) for location, message in notes]


def describe_edit(edit: EditDef, paths: list[str]) -> str:
    """Describe the effect of an edit: `inserted CBAM after 16 steps: ...`."""
    shown = [*paths[:3], f"{len(paths) - 4} more", paths[-1]] if len(paths) > 5 else paths
    steps = f"{len(paths)} steps: {', '.join(shown)}" if len(paths) > 1 else paths[0]
    match edit.verb:
        case "insert":
            return f"inserted {edit.kind} {'before' if edit.before else 'after'} {steps}"
        case "replace":
            return f"put {edit.kind} in place of {steps}"
        case "remove":
            return f"removed {steps}"
        case "freeze":
            return f"froze {steps}"
        case "rewire":
            return f"rewired {steps}"
    return f"set {join_names(list(edit.settings))} of {steps}"


def path_prefixes(name: str) -> Iterator[str]:
    """Yield the path of each enclosing group, outermost first, and then the path: `layer4`, `layer4.2`."""
    parts = name.split(".")
    return (".".join(parts[:n]) for n in range(1, len(parts) + 1))


def name_notes(spec: Spec, model: Block) -> list[SpecNote]:
    """Return notes for blocks of a file that hide a library block, and for blocks that are not used."""
    notes = []
    used = {block.kind for block in distinct_blocks(model)}
    for section, own in (("blocks", spec.blocks), ("imports", spec.imports)):
        for name in own:
            location = spec.source.key_location((section, name))
            if name in library_index() and not spec.imports.get(name, "").startswith("library:"):
                notes.append(SpecNote(f"{name} is the block of this file, not the library block", location))
            if section == "blocks" and name not in used:
                notes.append(SpecNote(f"the block {name} is not used", location))
    return notes
