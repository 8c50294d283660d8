"""Resolve references: names of steps, of block inputs, of parts of a step, and of values inside a block."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from specbuild.diagnostics.errors import SpecError, closest_match
from specbuild.diagnostics.suggestions import format_suggestion, join_names, list_some, suggest_name
from specbuild.elaborate.block_scope import BlockScope, enclosing_prefixes
from specbuild.frontend.document import StepDef
from specbuild.frontend.names import is_list_reference
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Block, Node, Output, Ref, Skip, find_origin

ABSENT = ""  # in place of a reference: an input that the block does not get


def resolve_reference(scope: BlockScope, text: Any, at: SourceAddress) -> Ref:
    """Return the value that `text` names: a step, an input, `prev`, a part of a step, a value inside a block.

    Raises SB202 if nothing has this name, or if the step has several results.
    """
    ref = find_reference(scope, text, at)
    if text != "prev":
        for reads in scope.open_reads:
            reads.add(ref)
    return require_single(scope, ref, at)


def resolve_input(scope: BlockScope, text: Any, at: SourceAddress) -> Ref:
    """Return the value that an input of a step names; ABSENT for one that the block does not get.

    Only a step that is left out may have such an input.
    """
    if scope.is_leaving_out and isinstance(text, str) and is_absent(scope, text):
        return ABSENT
    return resolve_reference(scope, text, at)


def resolve_group_input(scope: BlockScope, step: StepDef, is_left_out: bool) -> Ref | None:
    """Return the value that a group of steps gets: that of its `from`, else the value before it."""
    if step.sources is None:
        return scope.last
    with scope.leave_out(is_left_out):
        return resolve_input(scope, step.sources, step.from_at) or scope.last


def resolve_optional(scope: BlockScope, text: Any, at: SourceAddress) -> Ref | None:
    """Return the value for an input that may be left out; None if `text` is an input that is left out itself."""
    if isinstance(text, str) and (text in scope.absent_inputs or is_absent_step(scope, text)):
        return None
    return resolve_input(scope, text, at)


def is_absent_step(scope: BlockScope, text: str) -> bool:
    """Return whether `text` names a step that is left out because its input is not given."""
    return text != "prev" and scope.find_visible(text) in scope.absent_steps


def is_absent(scope: BlockScope, text: str) -> bool:
    """Return whether `text` names an optional input that is not given, or an item that a list has not."""
    if text in scope.absent_inputs or is_absent_step(scope, text):
        return True
    head, _, number = text.partition(".")
    return number.isdigit() and bool(scope.list_items(head)) and text not in scope.inputs


def resolve_references(scope: BlockScope, text: Any, at: SourceAddress) -> list[Ref]:
    """Return the value that `text` names, or all values for `name.*`.

    These are the values of the members of a repeat, of the outputs of a block, or of the parts of an op;
    `name.*.skip` is a value inside each of them. Raises SB202 if there are no such values.
    """
    if not is_list_reference(text):
        return [resolve_input(scope, text, at)]
    head, _, inside = text.partition(".*")
    names = find_value_names(scope, head)
    if names is None:
        find_reference(scope, head, at)  # raises its own error if nothing has this name
        hint = f"write `{head}` for its value"
        raise at.error("SB202", f"{head} has one value, and no list of values", hint)
    paths = [f"{head}.{name}{inside}" for name in names]
    if is_list_reference(inside):
        return [ref for path in paths for ref in resolve_references(scope, path, at)]
    return [resolve_reference(scope, path, at) for path in paths]


def find_value_names(scope: BlockScope, head: str) -> list[str] | None:
    """Return the names of the values of a repeat, block or op with several values; None for anything else."""
    path = next(
        (
            p + head
            for p in enclosing_prefixes(scope.prefix)
            if p + head in scope.groups or p + head in scope.nodes
        ),
        head,
    )
    group, node = scope.groups.get(path), scope.nodes.get(path)
    if group is None and node is None and (items := scope.list_items(head)):
        return [item[len(head) + 1 :] for item in items]
    if group is not None and group.members is not None:
        return list(group.members)
    if node is not None and node.parts:
        return list(node.parts)
    if node is not None and isinstance(node.op, Block) and len(node.op.declared_outputs) > 1:
        return list(node.op.declared_outputs)
    return None


def find_reference(scope: BlockScope, text: Any, at: SourceAddress) -> Ref:
    if not isinstance(text, str):
        raise at.error("SB102", "expected the name of a step or an input")
    if is_list_reference(text):
        hint = "write it in the list of an op that takes any number of values, such as `concat` or `add`"
        raise at.error("SB202", f"{text} stands for several values", hint)
    visible = scope.find_visible(text)
    if is_absent_step(scope, text):
        message = f"{text!r} is left out here, because its input is not given"
        raise at.error(
            "SB202", message, "read it only under the same condition, or pass it on to an optional input"
        )
    if visible is not None:
        return visible
    if text == "prev":
        raise at.error("SB202", "there is no value before this step")
    for path in (prefix + text for prefix in enclosing_prefixes(scope.prefix)):
        if path in scope.moved_values:
            return scope.moved_values[path]
        if path in scope.nodes:
            return path
        if path in scope.groups:
            return find_group_value(scope, text, path, at)
    ref = find_inside_step(scope, text, at)
    if ref is not None:
        return ref
    if text in scope.absent_inputs:
        hint = f"read it under `when: given({text})`, or pass it on to an optional input"
        raise at.error("SB202", f"the input {text} is not given here", hint)
    check_list_items(scope, text, at)
    known = list(scope.visible_values())
    head, _, rest = text.partition(".")
    is_later = any(s.name == text for s in scope.definition.steps)
    hint = suggest_name(text, known, "available:")
    message = f"{text!r} comes after this step" if is_later else f"no earlier step or input is named {text!r}"
    left_out = scope.nodes.get(
        next((names[head] for names in reversed(scope.visible_names) if head in names), head)
    )
    if "." in text and left_out is not None and isinstance(left_out.op, Skip):
        message = f"{head!r} is left out here, because its `when` is false: it has no part {rest!r}"
        hint = "read it only under the same condition"
    elif rest and left_out is not None and getattr(left_out.op, "returns", "all") != "all":
        hint = f"write `returns: all` in {head}, which gives it values of its own, such as {head}.sequence and {head}.h"
    raise at.error("SB202", message, hint)


def check_list_items(scope: BlockScope, text: str, at: SourceAddress) -> None:
    """Raise SB202 if `text` names an input that takes a list, or an item that the list has not."""
    head, _, number = text.partition(".")
    items = scope.list_items(head)
    if items and not number:
        hint = f"write `{items[0]}` for one of its values, or `{head}.*` in a list for all"
        raise at.error("SB202", f"{head} is a list of values", hint)
    if items:
        count = f"{len(items)} value{'s' * (len(items) != 1)}"
        hint = f"it has {list_some(items)}; a step can depend on the number: `when: len({head}) > 1`"
        raise at.error("SB202", f"{head} has {count} here, and no {text}", hint)


def find_group_value(scope: BlockScope, text: str, path: str, at: SourceAddress) -> Ref:
    """Return the value of the group at `path`. Raises SB202 if only its members have values."""
    group = scope.groups[path]
    if group.value is not None:
        return group.value
    hint = "read one of the steps in it"
    if group.members:
        hint = f"write `{text}.{group.members[0]}` for one of them, `{text}.*` in a list for all, or add `collect`"
        raise at.error("SB202", f"{text} has a value for each member, and no value of its own", hint)
    raise at.error("SB202", f"{text} has no value of its own", hint)


def find_inside_step(scope: BlockScope, text: str, at: SourceAddress) -> Ref | None:
    """Return a value inside a block instance, or a part of a step, by a path such as `cnn.layer3`."""
    parts = text.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        head, path = ".".join(parts[:cut]), ".".join(parts[cut:])
        for prefix in enclosing_prefixes(scope.prefix):
            if prefix + head in scope.groups and path in scope.groups[prefix + head].outputs:
                return scope.groups[prefix + head].outputs[path]
        inner = next((p + head for p in enclosing_prefixes(scope.prefix) if p + head in scope.nodes), None)
        ref = inner or next((names[head] for names in reversed(scope.visible_names) if head in names), head)
        node = scope.nodes.get(ref)
        if node is not None and isinstance(node.op, Block):
            return tap_output(scope, node, path, at)
        if node is not None and path in node.parts:
            return f"{node.name}@{path}"
    return None


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
    origin = node.reuses or node.name
    if origin not in scope.nodes:  # a step inside another block
        holder = next(name for name in scope.nodes if origin.startswith(name + "."))
        tap_output(scope, scope.nodes[holder], f"{origin[len(holder) + 1 :]}.{path}", at)
    if not scope.has_reuses:
        scope.nodes[node.name] = replace(node, op=expose_value(node.op, path, at, f"{node.name}."))
        return f"{node.name}@{path}"
    exposed = expose_in_nodes(scope.nodes.values(), origin, path, at, f"{node.name}.")
    for other in expose_shared(exposed, at):
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
            raise at.error("SB202", f"there is no {path!r} in {block.name}", hint)
        rest = path[len(node.name) + 1 :]
        inner = expose_in_nodes(block.nodes, node.reuses or node.name, rest, at, f"{above}{node.name}.")
        block = replace(block, nodes=expose_shared(inner, at))
        ref = f"{node.name}@{rest}"
    return block.with_outputs({**block.outputs, path: Output(ref, block.value_type(ref))})


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


def expose_shared(nodes: Iterable[Node], at: SourceAddress) -> tuple[Node, ...]:
    """Return the nodes; those that reuse a step inside another block have the outputs of that step."""
    by_name = {node.name: node for node in nodes}
    for node in by_name.values():
        if node.reuses is None or node.reuses in by_name or not isinstance(node.op, Block):
            continue
        holder = next(name for name in by_name if node.reuses.startswith(name + "."))
        op = by_name[holder].op
        assert isinstance(op, Block)
        _, _, origin = find_origin(op, node.reuses[len(holder) + 1 :])
        assert isinstance(origin.op, Block)
        block = node.op
        for output in origin.op.outputs:
            block = expose_value(block, output, at)
        by_name[node.name] = replace(node, op=block)
    return tuple(by_name.values())


def find_in_block(block: Block, path: str) -> Ref | None:
    """Return a value of the block itself by its path, not looking into inner blocks."""
    if block.find_node(path) is not None or path in block.inputs:
        return path
    if path in block.groups and block.groups[path].value is not None:
        return block.groups[path].value
    name, _, part = path.rpartition(".")
    if name in block.groups and part in block.groups[name].outputs:
        return block.groups[name].outputs[part]
    node = block.find_node(name)
    return f"{name}@{part}" if node is not None and part in node.parts else None
