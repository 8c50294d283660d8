"""Removes the steps that every instance of a block skips now, and closes the gaps in the names of the others."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from specbuild.ir.graph import Block, Group, Node, Ref, Skip, definition_key
from specbuild.transform.block_rewriter import RewrittenBlock

NUMBER = re.compile(r"\b\d+\b")


@dataclass
class SkippedSteps:
    """What the instances of one definition skip. Of longer repeats, members are judged by those with other numbers."""

    skipped: set[str] = field(default_factory=set)
    active: set[str] = field(default_factory=set)

    def is_removable(self, name: str) -> bool:
        if name in self.active or name in self.skipped:
            return name in self.skipped and name not in self.active
        pattern = NUMBER.sub("*", name)
        patterns = ({NUMBER.sub("*", n) for n in names} for names in (self.skipped, self.active))
        skipped, active = patterns
        return pattern in skipped and pattern not in active


def find_skipped_steps(blocks: Iterable[RewrittenBlock]) -> dict[str, SkippedSteps]:
    """Return for each definition what all its instances skip because of the rewriting."""
    found: dict[str, SkippedSteps] = {}
    for rewritten in blocks:
        steps = found.setdefault(definition_key(rewritten.block), SkippedSteps())
        steps.skipped |= rewritten.passed
        steps.active |= {node.name for node in rewritten.block.nodes if not isinstance(node.op, Skip)}
        for group in rewritten.block.groups:  # instances that skip a whole group have a step of its name
            inside = {node.name for node in rewritten.block.nodes if node.name.startswith(f"{group}.")}
            if inside & steps.active:
                steps.active.add(group)
            elif inside & rewritten.passed:
                steps.skipped.add(group)
    return found


@dataclass(frozen=True)
class TidyBlock:
    """A block without removed steps; `old_names` has the earlier name of each step."""

    block: Block
    old_names: Mapping[str, str]


def tidy_block(block: Block, steps: SkippedSteps) -> TidyBlock:
    """Return a block without the steps that every instance skips."""
    removed = {n.name for n in block.nodes if isinstance(n.op, Skip) and steps.is_removable(n.name)}
    if not removed:
        return TidyBlock(block, {node.name: node.name for node in block.nodes})
    tidier = StepTidier(block, removed)
    return tidier.tidy()


class StepTidier:
    """The names in one block while it is tidied."""

    def __init__(self, block: Block, removed: Collection[str]):
        self.block, self.removed = block, removed
        self.kept = [node.name for node in block.nodes if node.name not in removed]
        self.groups = dict(block.groups)
        self.new_names = {name: name for name in self.kept}  # of steps, by their old names
        self.from_group: dict[str, Group] = {}  # the group whose name a step has taken, by its old name

    def tidy(self) -> TidyBlock:
        for group in sorted(self.block.groups, key=lambda name: -name.count(".")):
            self.tidy_group(group)
        nodes = tuple(self.rename_node(node) for node in self.block.nodes if node.name not in self.removed)
        outputs = {name: replace(o, ref=self.rename(o.ref)) for name, o in self.block.outputs.items()}
        block = replace(
            self.block,
            nodes=nodes,
            outputs=outputs,
            groups=self.groups,
            parallels={},
            frozen_paths=tuple(self.new_names.get(path, path) for path in self.block.frozen_paths),
        )
        return TidyBlock(block, {new: old for old, new in self.new_names.items()})

    def tidy_group(self, path: str) -> None:
        """Drop an empty group, give a step that is alone now the name of its group, and number the others anew."""
        before = self.list_members(path, [node.name for node in self.block.nodes])
        after = self.list_members(path, self.new_names.values())
        if not any(name.startswith(f"{path}.") for name in self.removed):
            self.groups[path] = self.rename_group(self.groups[path])
            return
        group = self.groups.pop(path)
        alone = f"{path}.{after[0]}" if len(after) == 1 else ""
        if alone in self.new_names.values():
            self.rename_step(alone, path)
            self.from_group[next(old for old, new in self.new_names.items() if new == path)] = group
        elif after:
            if len(before) > len(after) and before == list(map(str, range(len(before)))):
                self.number_members(path, after)
            self.groups[path] = self.rename_group(group)

    def list_members(self, path: str, names: Iterable[str]) -> list[str]:
        """Return the names of what a group holds directly: steps and further groups."""
        inside = [name[len(path) + 1 :] for name in names if name.startswith(f"{path}.")]
        return list(dict.fromkeys(name.partition(".")[0] for name in inside))

    def number_members(self, path: str, members: list[str]) -> None:
        for number, member in enumerate(members):
            old, new = f"{path}.{member}", f"{path}.{number}"
            if old != new:
                for name in list(self.new_names.values()):
                    if name == old or name.startswith(f"{old}."):
                        self.rename_step(name, new + name[len(old) :])
                for name in list(self.groups):
                    if name == old or name.startswith(f"{old}."):
                        moved = new + name[len(old) :]
                        self.groups[moved] = replace(self.groups.pop(name), name=moved)

    def rename_step(self, current: str, new: str) -> None:
        old = next(old for old, name in self.new_names.items() if name == current)
        self.new_names[old] = new

    def rename(self, ref: Ref) -> Ref:
        """Return the new reference to a value: past removed steps, by new names."""
        name, at, output = ref.partition("@")
        while name in self.removed:
            source = self.block.nodes_by_name[name].inputs[0]
            assert source is not None
            name, at, output = source.partition("@")
        return self.new_names.get(name, name) + at + output

    def rename_node(self, node: Node) -> Node:
        """Return a step with its new name; one that was alone in a group has the group's condition and comment."""
        inputs = tuple(None if ref is None else self.rename(ref) for ref in node.inputs)
        reuses = node.reuses and self.new_names.get(node.reuses, node.reuses)
        group = self.from_group.get(node.name)
        node = replace(node, name=self.new_names[node.name], inputs=inputs, reuses=reuses)
        if group is None:
            return node
        return replace(node, has_own_name=True, when=group.when or node.when, doc=group.doc or node.doc)

    def rename_group(self, group: Group) -> Group:
        """Return a group with its references renamed."""
        return replace(
            group,
            value=None if group.value is None else self.rename(group.value),
            inputs={name: self.rename(ref) for name, ref in group.inputs.items()},
            outputs={name: self.rename(ref) for name, ref in group.outputs.items()},
            inputs_by_name=tuple(map(self.rename, group.inputs_by_name)),
        )
