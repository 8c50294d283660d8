"""Apply a group of steps once more with the same weights: a repeat, a `do`, or a `parallel` with its branches."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.nodes import NodeBuilder, skip_node
from specbuild.elaborate.references import tap_output
from specbuild.elaborate.reused_steps import ReusedSteps
from specbuild.frontend.document import StepDef
from specbuild.ir.graph import Group, Node, Ref, Skip, collected_path
from specbuild.ir.path_index import path_prefixes


class GroupReuse(Struct):
    """One `reuse` of a group: its steps with new names, on new inputs."""

    scope: BlockScope
    nodes: NodeBuilder
    step: StepDef
    path: str  # of the new group
    sources: list[Ref | None]
    reused: ReusedSteps
    new_roots: dict[str, str]  # path of a reused step or group -> its new path
    inputs: Mapping[str, Ref]  # of the reused group
    was_input_read: bool = False

    def rename(self, name: str) -> str | None:
        """Return the new name of a step or group of the reused ones; None for any other."""
        old = next((path for path in path_prefixes(name) if path in self.new_roots), None)
        return None if old is None else self.new_roots[old] + name[len(old) :]

    def map_value(self, ref: Ref, position: int = 0) -> Ref:
        """Return the value that replaces another; `position` distinguishes the inputs of a repeat that have the same value."""
        name, at, output = ref.partition("@")
        new = self.rename(name)
        if new is not None:
            return new + at + output
        matching = [i for i, other in enumerate(self.inputs.values()) if other == ref]
        if not matching and self.reused.holders:
            path = ".".join([*(node.name for node in self.reused.holders[1:]), ref.replace("@", ".")])
            return tap_output(self.scope, self.reused.holders[0], path, self.step.value_at)
        if not matching:
            return ref
        source = self.sources[position if position in matching else matching[0]]
        assert source is not None
        return source

    def run(self) -> None:
        for name in self.reused.paths.find_nodes(self.new_roots):
            self.add_node(self.reused.nodes[name])
        for name in self.reused.paths.find_groups(self.new_roots):
            new = self.rename(name)
            if new is not None and new not in self.scope.groups:
                self.scope.groups[new] = self.map_group(self.reused.groups[name], new)

    def add_node(self, origin: Node) -> None:
        name = self.rename(origin.name)
        assert name is not None
        sources = [None if ref is None else self.map_value(ref, i) for i, ref in enumerate(origin.inputs)]
        self.was_input_read |= any(ref in self.inputs.values() for ref in origin.inputs)
        if isinstance(origin.op, Skip):
            node = skip_node(self.scope, replace(self.step, when=None), name, sources[0])
        else:
            reused = replace(self.reused, name=origin.name)
            node = self.nodes.apply_again(self.scope, self.step, name, reused, sources)
        when = None if self.reused.holders else origin.when  # it reads the names of its own block
        node = replace(node, has_own_name=origin.has_own_name, when=when, doc="")
        self.nodes.register_node(self.scope, node)

    def map_group(self, group: Group, name: str) -> Group:
        return replace(
            group,
            name=name,
            at=self.step.at,
            inputs={n: self.map_value(ref, i) for i, (n, ref) in enumerate(group.inputs.items())},
            value=None if group.value is None else self.map_value(group.value),
            outputs={n: self.map_value(ref) for n, ref in group.outputs.items()},
        )


def check_inputs_by_name(step: StepDef, inputs_by_name: tuple[Ref, ...]) -> None:
    """Raise SB210 if steps of a reused group read its input by a name: it may mean the old or the new value."""
    if inputs_by_name:
        raise step.value_at.error(
            "SB210",
            f"steps in {step.value} read the input {inputs_by_name[0]!r} by its name: with another input, "
            "this could be the old value or the new one",
            "make it a block, which has names for its inputs, and reuse the step that uses the block",
        )


def reuse_group(
    scope: BlockScope,
    nodes: NodeBuilder,
    step: StepDef,
    reused: ReusedSteps,
    path: str,
    sources: list[Ref | None],
) -> Ref | None:
    """Add the steps of a group once more as the group `path`, and return its value."""
    origin = reused.name
    group = GroupReuse(scope, nodes, step, path, sources, reused, {origin: path}, {})
    if origin in reused.parallels:
        steps = reused.parallels[origin]
        check_inputs_by_name(step, steps.inputs_by_name)
        if not steps.is_merged:
            hint = f"reuse its branches one by one: `reuse: {reused.prefix}{steps.branches[0]}`"
            raise step.value_at.error("SB202", f"{step.value} has no value of its own", hint)
        roots = [*steps.branches, origin]
        group.new_roots = {root: f"{path}.{root.rpartition('.')[2]}" for root in roots}
        group.inputs = {} if steps.input is None else {"x": steps.input}
        value: Ref | None = origin
        scope.groups[path] = Group(path, step.at, doc=step.doc)
    else:
        old = reused.groups[origin]
        check_inputs_by_name(step, old.inputs_by_name)
        if old.value is None and old.members is not None:
            hint = f"reuse its members one by one, such as `reuse: {step.value}.{old.members[0]}`"
            raise step.value_at.error("SB202", f"{step.value} has no value of its own", hint)
        if collected_path(origin) in reused.nodes:
            group.new_roots[collected_path(origin)] = collected_path(path)
        group.inputs, value = old.inputs, old.value
    group.run()
    if sources and not group.was_input_read and value not in group.inputs.values():
        raise step.value_at.error(
            "SB210",
            f"no step in {step.value} reads its input, so this would be the same value again",
            "let its first step read `prev`",
        )
    value = None if value is None else group.map_value(value)
    inputs = {name: ref for name, ref in zip(group.inputs, sources, strict=True) if ref is not None}
    scope.groups[path] = replace(scope.groups[path], doc=step.doc, inputs=inputs, value=value)
    return value
