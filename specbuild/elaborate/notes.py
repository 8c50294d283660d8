"""Notes on a valid spec: unused steps and blocks, names that hide library blocks, and the effect of edits."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from specbuild.diagnostics.errors import Location, make_printable
from specbuild.diagnostics.suggestions import join_names, list_some
from specbuild.elaborate.library_errors import is_in_library
from specbuild.expressions import ExpressionError, parse_expression
from specbuild.expressions.thresholds import iterate_texts
from specbuild.frontend.document import Spec
from specbuild.frontend.edits import EditDef
from specbuild.frontend.library import library_index
from specbuild.frontend.source import SourceAddress
from specbuild.ir.given_tables import find_stored_tables
from specbuild.ir.graph import Block, Node, Ref, Skip, distinct_blocks, input_arguments
from specbuild.ir.path_index import path_prefixes
from specbuild.ir.prune import find_needed


class SpecNote(Struct, frozen=True):
    """A message that is not an error, with its location."""

    message: str
    location: Location | None

    def __str__(self) -> str:
        location = self.location
        prefix = f"{location.file}:{location.line}:{location.column}: " if location else ""
        return make_printable(f"{prefix}note: {self.message}", 1000)


def unused_step_notes(model: Block, pruned: Block) -> list[SpecNote]:
    """Return a note for the steps that the pruned model lacks, one for each location in a spec.

    None for the rest of a block of which a model reads only some outputs, or values inside: that is meant.
    """
    notes: dict[Location, SpecNote] = {}
    visited: set[tuple[Block, Block]] = set()

    def visit(block: Block, pruned: Block, path: tuple[str, ...]) -> None:
        if (block, pruned) in visited:
            return
        visited.add((block, pruned))
        meant = find_needed_names(block) if path else set()
        unused = [
            node
            for node in block.nodes
            if node.name not in meant
            and pruned.find_node(node.name) is None
            and (node.reuses is None or pruned.find_node(node.reuses) is None)
            and not isinstance(node.op, Skip)
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


def find_needed_names(block: Block) -> set[str]:
    """Return the names of the steps that the outputs need which a block declares."""
    outputs = [block.outputs[name] for name in block.declared_outputs if name in block.outputs]
    return {node.name for node in find_needed(block, outputs).nodes}


def describe_unused(unused: list[Node], pruned: Block, path: tuple[str, ...]) -> str:
    """Describe the unused steps of the block at `path`; a group without used steps counts as one step."""
    used = {prefix for node in pruned.nodes for prefix in path_prefixes(node.name)}
    paths = (next((p for p in path_prefixes(n.name) if p not in used), n.name) for n in unused)
    names = list(dict.fromkeys(paths))
    shown = [*names[:6], f"{len(names) - 6} more"] if len(names) > 7 else names
    block = f" in {'.'.join(path)}" if path else ""
    return f"no output needs {join_names(shown)}{block}: not compiled"


def edit_notes(model: Block) -> list[SpecNote]:
    """Return a note on the effect of each edit, in the order of the files; none on those that files of the library have."""
    paths_by_edit: dict[EditDef, list[str]] = {}
    for edit, path in model.applied_edits:
        paths_by_edit.setdefault(edit, []).append(path)
    notes = [
        (edit.at.location, describe_edit(edit, paths))
        for edit, paths in paths_by_edit.items()
        if not is_in_library(edit.at.location)
    ]
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


def name_notes(spec: Spec, model: Block, path: Path | None = None) -> list[SpecNote]:
    """Return notes for blocks of the file at `path` that hide a library block, and for blocks that are not used."""
    notes = []
    used = {block.name for block in distinct_blocks(model)} | set(list_texts(spec.variants))
    for section, own in (("blocks", spec.blocks), ("imports", spec.imports)):
        for name in own:
            location = spec.source.key_location((section, name))
            hides_library = library_index().get(name, path) != path
            if hides_library and not spec.imports.get(name, "").startswith("library:"):
                notes.append(SpecNote(f"{name} is the block of this file, not the library block", location))
            if section == "blocks" and name not in used:
                notes.append(SpecNote(f"the block {name} is not used", location))
    return notes


def list_texts(value: Any) -> Iterator[str]:
    """Yield all texts in a value from YAML, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from (str(key), *list_texts(part))
    elif isinstance(value, list):
        for part in value:
            yield from list_texts(part)


def input_notes(spec: Spec, graph: Block) -> list[SpecNote]:
    """Return notes for inputs that nothing reads, of the model and of its blocks, and for a batch among the axes."""
    notes: dict[Location, SpecNote] = {}
    read: dict[SourceAddress, set[str]] = {}
    for block in distinct_blocks(graph):
        read.setdefault(block.at, set()).update(list_read_inputs(block))
    for block in distinct_blocks(graph):
        for name in input_arguments(block.inputs):
            location = block.at.child("inputs", name).key_location
            if name not in read[block.at] and not reads_size(block, name):
                notes.setdefault(
                    location, SpecNote(f"nothing in {block.name} reads its input {name}", location)
                )
    for name, x in graph.inputs.items():
        if next(iter(x.axes), "") == "N" and {"H", "W"} <= set(x.axes):
            location = spec.source.key_location(("inputs", name))
            message = f"N is an axis of each sample of {name}: the batch is implied and has no name"
            notes[location] = SpecNote(message, location)
    return list(notes.values())


def parameter_notes(spec: Spec, graph: Block) -> list[SpecNote]:
    """Return notes for parameters that nothing reads, of the model and of the blocks of its file."""
    notes: dict[Location, SpecNote] = {}
    for block in distinct_blocks(graph):
        for name in find_unread_parameters(block.at.read_value() if block.at.source is spec.source else None):
            location = block.at.child("params", name).key_location
            notes[location] = SpecNote(f"nothing in {block.name} reads its parameter {name}", location)
    return list(notes.values())


def find_unread_parameters(definition: Any) -> list[str]:
    """Return the parameters that nothing in the definition of a block reads, as it is written in its file."""
    declared = (definition or {}).get("params") or {}
    if not declared:
        return []
    used = find_words([definition.get(key) for key in ("inputs", "let", "steps", "outputs", "edits")])
    own = {name: find_words(value) for name, value in declared.items()}  # of each definition
    counts = Counter(word for words in own.values() for word in words)
    return [name for name, words in own.items() if name not in used and counts[name] == (name in words)]


def find_words(value: Any) -> set[str]:
    """Return all words in a value from YAML."""
    return {word for text in list_texts(value) for word in re.findall(r"\w+", text)}


def list_read_inputs(block: Block) -> Iterator[str]:
    """Yield the inputs of a block that its steps read or that it gives as outputs."""
    refs = [ref for node in block.nodes for ref in node.inputs if ref is not None]
    refs += [output.ref for output in block.outputs.values()]
    yield from (ref.partition(".")[0] for ref in refs if ref in block.inputs)


def reads_size(block: Block, name: str) -> bool:
    """Return whether an expression of a block reads a size of its input, such as `x.C`, or asks for it."""
    raw: Any = block.at.source.data
    for key in block.at.path:
        raw = raw[key]
    parts = (raw.get(key) for key in ("steps", "let", "outputs"))
    texts = (text for part in parts for _, text in iterate_texts(part))
    asks = re.compile(rf"\b(given|len)\( *{name} *\)")
    return any(
        name in sized_values(text) or asks.search(text) for text in texts if "." in text or "(" in text
    )


def sized_values(text: str) -> set[str]:
    """Return the values whose sizes an expression reads: `x` for `x.C // 2`. None for another text."""
    try:
        leaves = parse_expression(text).leaves
    except ExpressionError:
        return set()
    owners = (leaf.value for leaf in leaves if isinstance(leaf, ast.Attribute))
    values = (owner.value if isinstance(owner, ast.Subscript) else owner for owner in owners)
    return {value.id for value in values if isinstance(value, ast.Name)}


def output_notes(model: Block) -> list[SpecNote]:
    """Return a note for each output of the model whose own step is left out by a `when`.

    None where the value before has a `when` too: the steps are then alternatives; and none where the step merges a
    branch that is left out with it.
    """
    notes = []
    for name in model.declared_outputs:
        output = model.outputs.get(name)  # none if the model returns features only
        node = None if output is None else model.find_node(output.ref)
        if node is None or not is_left_out(node) or merges_left_out_branch(model, node):
            continue
        ref, before = follow_skips(model, node)
        if before is None or not has_condition(before):
            shown = f"the output {name}" if len(model.declared_outputs) > 1 else "the output"
            message = f"{node.name} is left out: {shown} of the model is the value of {ref.replace('@', '.')}"
            notes.append(SpecNote(message, node.at.child("when").location))
    return notes


def follow_skips(block: Block, node: Node | None) -> tuple[Ref, Node | None]:
    """Return the value that passes through skipped steps, and the step that gives it; None for an input."""
    ref: Ref = ""
    while node is not None and isinstance(node.op, Skip):
        ref = node.inputs[0] or ref
        node = block.find_node(ref.partition("@")[0])
    return ref, node


def is_left_out(node: Node) -> bool:
    """Return whether the condition of a step leaves it out."""
    return isinstance(node.op, Skip) and has_condition(node)


def merges_left_out_branch(block: Block, node: Node) -> bool:
    """Return whether a step that is left out would merge a value with that of another step that is left out."""
    step = node.at.read_value()
    names = {
        text.partition(".")[0] for key in step if key not in ("when", "as") for text in list_texts(step[key])
    }
    sources = [block.find_node(name) for name in names]
    has_present = any(name in block.inputs or name in block.groups for name in names)
    has_present |= any(n is not None and not is_left_out(n) for n in sources)
    return has_present and any(n is not None and is_left_out(n) for n in sources)


def has_condition(node: Node) -> bool:
    step = node.at.read_value()
    return isinstance(step, Mapping) and "when" in step


def table_notes(graph: Block) -> list[SpecNote]:
    """Return a note for the tables whose numbers are not in the code."""
    tables = find_stored_tables(graph)
    if not tables:
        return []
    names = list_some(list(tables))
    message = f"the numbers of {names} come with the weights; `specbuild weights init` writes them"
    return [SpecNote(message, next(iter(tables.values())).at.location)]


def version_notes(spec: Spec) -> list[SpecNote]:
    """Return a note for a file that does not say its version of the language."""
    if "specbuild" in spec.source.data:
        return []
    message = (
        "the file does not begin with `specbuild: 1`, which pins the version of the language and its defaults"
    )
    return [SpecNote(message, spec.source.location(()))]
