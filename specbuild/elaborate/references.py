"""What a name speaks of: a step, an input, a part of a step, or a tap into a block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from specbuild.diagnostics.errors import closest_match
from specbuild.elaborate.block_scope import BlockScope
from specbuild.frontend.document import StepDef
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Block, Node, Output, Ref
from specbuild.ops.types import join_names


def resolve_reference(scope: BlockScope, text: Any, at: SourceAddress) -> Ref:
    """The value that a name speaks of: a step, an input, `prev`, a step's output, or a tap into a block."""
    return require_single(scope, find_reference(scope, text, at), at)


def find_reference(scope: BlockScope, text: Any, at: SourceAddress) -> Ref:
    if not isinstance(text, str):
        raise at.error("SB102", "this is the name of a step or an input")
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
    parts = text.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        head = ".".join(parts[:cut])
        inner = next((p + head for p in enclosing_prefixes(scope.prefix) if p + head in scope.nodes), None)
        ref = inner or next((s[head] for s in reversed(scope.visible_names) if head in s), head)
        node = scope.nodes.get(ref)
        if node is not None and isinstance(node.op, Block):
            return tap_output(scope, node, ".".join(parts[cut:]), at)
        if node is not None and ".".join(parts[cut:]) in node.parts:
            return f"{node.name}@{'.'.join(parts[cut:])}"
    known = [n for s in scope.visible_names for n in s]
    guess = closest_match(text, known)
    later = any(s.name == text for s in scope.definition.steps)
    hint = f"did you mean {guess!r}?" if guess else f"here are: {join_names(known[:12])}"
    message = f"{text!r} comes only after this step" if later else f"nothing above is named {text!r}"
    raise at.error("SB202", message, hint)


def enclosing_prefixes(prefix: str) -> Iterator[str]:
    """`a.b.`, `a.` and nothing for `a.b.`: where a name may stand, innermost first."""
    while prefix:
        yield prefix
        prefix = prefix[: prefix.rfind(".", 0, -1) + 1]
    yield ""


def require_single(scope: BlockScope, ref: Ref, at: SourceAddress) -> Ref:
    """A reference to one value; a step that gives several is not one."""
    node = scope.nodes.get(ref)
    if node is None or not node.parts:
        return ref
    parts = [f"{node.name}.{part}" for part in node.parts]
    raise at.error(
        "SB202", f"{node.name} gives several values: {join_names(parts)}", "name the one that is meant"
    )


def previous_value(scope: BlockScope, step: StepDef) -> Ref:
    if scope.last is None:
        raise step.error("SB202", "there is no value before this step", "name its input with `from`")
    return require_single(scope, scope.last, step.at)


def tap_output(scope: BlockScope, node: Node, path: str, at: SourceAddress) -> Ref:
    """A value inside a block instance becomes one of its outputs."""
    assert isinstance(node.op, Block)
    if path in node.op.outputs:
        return node.name if next(iter(node.op.outputs)) == path else f"{node.name}@{path}"
    for other in expose_in_nodes(scope.nodes.values(), node.reuses or node.name, path, at, f"{node.name}."):
        scope.nodes[other.name] = other
    return f"{node.name}@{path}"


def expose_value(block: Block, path: str, at: SourceAddress, above: str = "") -> Block:
    """The same instance with one more output: the value at `path` inside it; `above` is what paths to it begin with."""
    if path in block.outputs:
        return block
    ref = find_in_block(block, path)
    whole = block.find_node(path)
    if whole is not None and whole.parts:
        parts = [f"{path}.{part}" for part in whole.parts]
        raise at.error(
            "SB202", f"{path} gives several values: {join_names(parts)}", "name the one that is meant"
        )
    if ref is None:
        head = next(
            (n for n in sorted(block.nodes_by_name, key=len, reverse=True) if path.startswith(n + ".")), None
        )
        node = block.find_node(head) if head else None
        if node is None or not isinstance(node.op, Block):
            known = [*block.nodes_by_name, *block.groups]
            guess = closest_match(path, known)
            hint = f"did you mean {above + guess!r}?" if guess else f"inside are: {join_names(known[:12])}"
            raise at.error("SB202", f"there is no {path!r} in {block.kind}", hint)
        rest = path[len(node.name) + 1 :]
        inner = expose_in_nodes(block.nodes, node.reuses or node.name, rest, at, f"{above}{node.name}.")
        block = replace(block, nodes=inner)
        ref = f"{node.name}@{rest}"
    return replace(block, outputs={**block.outputs, path: Output(ref, block.value_type(ref))})


def expose_in_nodes(
    nodes: Iterable[Node], origin: str, path: str, at: SourceAddress, above: str
) -> tuple[Node, ...]:
    """The nodes, where one and all that use its weights again have one more output."""
    return tuple(
        replace(node, op=expose_value(node.op, path, at, above))
        if origin in (node.name, node.reuses) and isinstance(node.op, Block)
        else node
        for node in nodes
    )


def find_in_block(block: Block, path: str) -> Ref | None:
    if block.find_node(path) is not None or path in block.inputs:
        return path
    members = [n.name for n in block.nodes if n.name.startswith(path + ".")] if path in block.groups else []
    if members:
        return members[-1]
    name, _, part = path.rpartition(".")
    node = block.find_node(name)
    return f"{name}@{part}" if node is not None and part in node.parts else None
