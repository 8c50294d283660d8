"""What a name speaks of: a step, an input, a part of a step, or a tap into a block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from specbuild.diagnostics.errors import nearest
from specbuild.elaborate.block_scope import Frame
from specbuild.frontend.document import StepDef
from specbuild.frontend.source import At
from specbuild.ir.graph import Block, Node, Output, Ref
from specbuild.ops.types import listed


def reference(frame: Frame, text: Any, at: At) -> Ref:
    """The value that a name speaks of: a step, an input, `prev`, a step's output, or a tap into a block."""
    return single(frame, found(frame, text, at), at)


def found(frame: Frame, text: Any, at: At) -> Ref:
    if not isinstance(text, str):
        raise at.error("SB102", "this is the name of a step or an input")
    if text == "prev":
        if frame.last is None:
            raise at.error("SB202", "there is no value before this step")
        return frame.last
    for scope in reversed(frame.scopes):
        if text in scope:
            return scope[text]
    if text in frame.moved:
        return frame.moved[text]
    if text in frame.nodes:
        return text
    if text in frame.groups:
        members = [n for n in frame.nodes if n.startswith(text + ".")]
        if members:
            return members[-1]
    parts = text.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        head = ".".join(parts[:cut])
        inner = next((p + head for p in prefixes(frame.prefix) if p + head in frame.nodes), None)
        ref = inner or next((s[head] for s in reversed(frame.scopes) if head in s), head)
        node = frame.nodes.get(ref)
        if node is not None and isinstance(node.op, Block):
            return tap(frame, node, ".".join(parts[cut:]), at)
        if node is not None and ".".join(parts[cut:]) in node.parts:
            return f"{node.name}@{'.'.join(parts[cut:])}"
    known = [n for s in frame.scopes for n in s]
    guess = nearest(text, known)
    later = any(s.name == text for s in frame.definition.steps)
    hint = f"did you mean {guess!r}?" if guess else f"here are: {listed(known[:12])}"
    message = f"{text!r} comes only after this step" if later else f"nothing above is named {text!r}"
    raise at.error("SB202", message, hint)


def prefixes(prefix: str) -> Iterator[str]:
    """`a.b.`, `a.` and nothing for `a.b.`: where a name may stand, innermost first."""
    while prefix:
        yield prefix
        prefix = prefix[: prefix.rfind(".", 0, -1) + 1]
    yield ""


def single(frame: Frame, ref: Ref, at: At) -> Ref:
    """A reference to one value; a step that gives several is not one."""
    node = frame.nodes.get(ref)
    if node is None or not node.parts:
        return ref
    parts = [f"{node.name}.{part}" for part in node.parts]
    raise at.error(
        "SB202", f"{node.name} gives several values: {listed(parts)}", "name the one that is meant"
    )


def previous(frame: Frame, step: StepDef) -> Ref:
    if frame.last is None:
        raise step.error("SB202", "there is no value before this step", "name its input with `from`")
    return single(frame, frame.last, step.at)


def tap(frame: Frame, node: Node, path: str, at: At) -> Ref:
    """A value inside a block instance becomes one of its outputs."""
    assert isinstance(node.op, Block)
    if path in node.op.outputs:
        return node.name if next(iter(node.op.outputs)) == path else f"{node.name}@{path}"
    for other in opened(frame.nodes.values(), node.reuses or node.name, path, at, f"{node.name}."):
        frame.nodes[other.name] = other
    return f"{node.name}@{path}"


def expose(block: Block, path: str, at: At, above: str = "") -> Block:
    """The same instance with one more output: the value at `path` inside it; `above` is what paths to it begin with."""
    if path in block.outputs:
        return block
    ref = block_reference(block, path)
    whole = block.node(path)
    if whole is not None and whole.parts:
        parts = [f"{path}.{part}" for part in whole.parts]
        raise at.error("SB202", f"{path} gives several values: {listed(parts)}", "name the one that is meant")
    if ref is None:
        head = next(
            (n for n in sorted(block._by_name, key=len, reverse=True) if path.startswith(n + ".")), None
        )
        node = block.node(head) if head else None
        if node is None or not isinstance(node.op, Block):
            known = [*block._by_name, *block.groups]
            guess = nearest(path, known)
            hint = f"did you mean {above + guess!r}?" if guess else f"inside are: {listed(known[:12])}"
            raise at.error("SB202", f"there is no {path!r} in {block.kind}", hint)
        rest = path[len(node.name) + 1 :]
        inner = opened(block.nodes, node.reuses or node.name, rest, at, f"{above}{node.name}.")
        block = replace(block, nodes=inner)
        ref = f"{node.name}@{rest}"
    return replace(block, outputs={**block.outputs, path: Output(ref, block.typed(ref))})


def opened(nodes: Iterable[Node], origin: str, path: str, at: At, above: str) -> tuple[Node, ...]:
    """The nodes, where one and all that use its weights again have one more output."""
    return tuple(
        replace(node, op=expose(node.op, path, at, above))
        if origin in (node.name, node.reuses) and isinstance(node.op, Block)
        else node
        for node in nodes
    )


def block_reference(block: Block, path: str) -> Ref | None:
    if block.node(path) is not None or path in block.inputs:
        return path
    members = [n.name for n in block.nodes if n.name.startswith(path + ".")] if path in block.groups else []
    if members:
        return members[-1]
    name, _, part = path.rpartition(".")
    node = block.node(name)
    return f"{name}@{part}" if node is not None and part in node.parts else None
