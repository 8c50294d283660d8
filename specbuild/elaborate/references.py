"""Resolve references: names of steps, of block inputs, of parts of a step, and of values inside a block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from specbuild.diagnostics.errors import SpecError, closest_match
from specbuild.diagnostics.suggestions import format_suggestion, join_names, list_some, suggest_name
from specbuild.elaborate.block_scope import BlockScope
from specbuild.frontend.document import StepDef
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Block, Node, Output, Ref


def resolve_reference(scope: BlockScope, text: Any, at: SourceAddress) -> Ref:
    """Return the value that `text` names: a step, an input, `prev`, a part of a step, a value inside a block.

    Raises SB202 if nothing has this name, or if the step has several results.
    """
    return require_single(scope, find_reference(scope, text, at), at)


def find_reference(scope: BlockScope, text: Any, at: SourceAddress) -> Ref:
    if not isinstance(text, str):
        raise at.error("SB102", "expected the name of a step or an input")
    if text == "prev":
        if scope.last is None:
            raise at.error("SB202", "there is no value before this step")
        return scope.last
    for names in reversed(scope.visible_names):
        if text in names:
            return names[text]
    if text in scope.moved_values:
        return scope.moved_values[text]
    if text in scope.nodes:
        return text
    if text in scope.groups:
        members = [n for n in scope.nodes if n.startswith(text + ".")]
        if members:
            return members[-1]
    ref = find_inside_step(scope, text, at)
    if ref is not None:
        return ref
    known = [n for names in scope.visible_names for n in names]
    is_later = any(s.name == text for s in scope.definition.steps)
    hint = suggest_name(text, known, "available:")
    message = f"{text!r} comes after this step" if is_later else f"no earlier step or input is named {text!r}"
    raise at.error("SB202", message, hint)


def find_inside_step(scope: BlockScope, text: str, at: SourceAddress) -> Ref | None:
    """Return a value inside a block instance, or a part of a step, by a path such as `cnn.layer3`."""
    parts = text.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        head, path = ".".join(parts[:cut]), ".".join(parts[cut:])
        inner = next((p + head for p in enclosing_prefixes(scope.prefix) if p + head in scope.nodes), None)
        ref = inner or next((names[head] for names in reversed(scope.visible_names) if head in names), head)
        node = scope.nodes.get(ref)
        if node is not None and isinstance(node.op, Block):
            return tap_output(scope, node, path, at)
        if node is not None and path in node.parts:
            return f"{node.name}@{path}"
    return None


def enclosing_prefixes(prefix: str) -> Iterator[str]:
    """Yield the prefixes of all enclosing groups, innermost first: `a.b.`, `a.` and "" for `a.b.`."""
    while prefix:
        yield prefix
        prefix = prefix[: prefix.rfind(".", 0, -1) + 1]
    yield ""


def require_single(scope: BlockScope, ref: Ref, at: SourceAddress) -> Ref:
    """Return `ref`. Raises SB202 if it names a step with several results."""
    node = scope.nodes.get(ref)
    if node is None or not node.parts:
        return ref
    raise several_results_error(node.name, node, at)


def several_results_error(path: str, node: Node, at: SourceAddress) -> SpecError:
    parts = [f"{path}.{part}" for part in node.parts]
    return at.error("SB202", f"{path} has several results: {join_names(parts)}", "use one of these names")


def previous_value(scope: BlockScope, step: StepDef) -> Ref:
    if scope.last is None:
        raise step.error("SB202", "there is no value before this step", "name its input with `from`")
    return require_single(scope, scope.last, step.at)


def tap_output(scope: BlockScope, node: Node, path: str, at: SourceAddress) -> Ref:
    """Make a value inside a block instance one of its outputs, and return a reference to it."""
    assert isinstance(node.op, Block)
    if path in node.op.outputs:
        return node.name if next(iter(node.op.outputs)) == path else f"{node.name}@{path}"
    for other in expose_in_nodes(scope.nodes.values(), node.reuses or node.name, path, at, f"{node.name}."):
        scope.nodes[other.name] = other
    return f"{node.name}@{path}"


def expose_value(block: Block, path: str, at: SourceAddress, above: str = "") -> Block:
    """Return the block with the value at `path` inside it as one more output.

    `above` is the path of the block with a dot at the end, for hints. Raises SB202 if there is no such value.
    """
    if path in block.outputs:
        return block
    ref = find_in_block(block, path)
    named_node = block.find_node(path)
    if named_node is not None and named_node.parts:
        raise several_results_error(path, named_node, at)
    if ref is None:
        head = next(
            (n for n in sorted(block.nodes_by_name, key=len, reverse=True) if path.startswith(n + ".")), None
        )
        node = block.find_node(head) if head else None
        if node is None or not isinstance(node.op, Block):
            known = [*block.nodes_by_name, *block.groups]
            guess = closest_match(path, known)
            hint = format_suggestion(above + guess if guess else None) or f"it contains: {list_some(known)}"
            raise at.error("SB202", f"there is no {path!r} in {block.kind}", hint)
        rest = path[len(node.name) + 1 :]
        inner = expose_in_nodes(block.nodes, node.reuses or node.name, rest, at, f"{above}{node.name}.")
        block = replace(block, nodes=inner)
        ref = f"{node.name}@{rest}"
    return replace(block, outputs={**block.outputs, path: Output(ref, block.value_type(ref))})


def expose_in_nodes(
    nodes: Iterable[Node], origin: str, path: str, at: SourceAddress, above: str
) -> tuple[Node, ...]:
    """Return the nodes, with one more output for `origin` and for all nodes that reuse its weights."""
    return tuple(
        replace(node, op=expose_value(node.op, path, at, above))
        if origin in (node.name, node.reuses) and isinstance(node.op, Block)
        else node
        for node in nodes
    )


def find_in_block(block: Block, path: str) -> Ref | None:
    """Return a value of the block itself by its path, not looking into inner blocks."""
    if block.find_node(path) is not None or path in block.inputs:
        return path
    members = [n.name for n in block.nodes if n.name.startswith(path + ".")] if path in block.groups else []
    if members:
        return members[-1]
    name, _, part = path.rpartition(".")
    node = block.find_node(name)
    return f"{name}@{part}" if node is not None and part in node.parts else None
