"""Removes the steps that every instance of a block skips now, and closes the gaps in the names of the others."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.ir.graph import Block, Group, Node, Ref, Skip, definition_key
from specbuild.transform.block_rewriter import RewrittenBlock

NUMBER = re.compile(r"\b\d+\b")


class SkippedSteps(Struct, dict=True):
    """What the instances of one definition skip. Of longer repeats, members are judged by those with other numbers."""

    skipped: set[str] = field(default_factory=set)
    active: set[str] = field(default_factory=set)

    def is_removable(self, name: str) -> bool:
        if name in self.active or name in self.skipped:
            return name in self.skipped and name not in self.active
        pattern = NUMBER.sub("*", name)
        return pattern in self.skipped_patterns and pattern not in self.active_patterns

    @cached_property
    def skipped_patterns(self) -> set[str]:
        """What is skipped, with `*` for each number; read it only when `skipped` is complete."""
        return {NUMBER.sub("*", name) for name in self.skipped}

    @cached_property
    def active_patterns(self) -> set[str]:
        return {NUMBER.sub("*", name) for name in self.active}


def find_skipped_steps(blocks: Iterable[RewrittenBlock]) -> dict[str, SkippedSteps]:
    """Return for each definition what all its instances skip because of the rewriting."""
    found: dict[str, SkippedSteps] = {}
    for rewritten in blocks:
        steps = found.setdefault(definition_key(rewritten.block), SkippedSteps())
        steps.skipped |= rewritten.passed
        steps.active |= {node.name for node in rewritten.block.nodes if not isinstance(node.op, Skip)}
        steps_by_group = group_names(node.name for node in rewritten.block.nodes)
        for group in rewritten.block.groups:  # instances that skip a whole group have a step of its name
            inside = steps_by_group.get(group, [])
            if not steps.active.isdisjoint(inside):
                steps.active.add(group)
            elif not rewritten.passed.isdisjoint(inside):
                steps.skipped.add(group)
    return found


def group_names(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the names inside of each path, at any depth: `a.b.conv` is inside of `a` and of `a.b`."""
    found: dict[str, list[str]] = {}
    for name in names:
        for path in list_outer_paths(name):
            found.setdefault(path, []).append(name)
    return found


def list_outer_paths(name: str) -> Iterator[str]:
    """Yield the paths that a name is inside of, the innermost first."""
    while path := name.rpartition(".")[0]:
        yield path
        name = path


class TidyBlock(Struct, frozen=True):
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


def list_group_members(path: str, names: Iterable[str]) -> list[str]:
    """Return the names of what a group holds directly, steps and further groups; `names` are all inside of it."""
    return list(dict.fromkeys(name[len(path) + 1 :].partition(".")[0] for name in names))


class StepTidier:
    """The names in one block while it is tidied. Inner groups come first: then an outer one has only to look one level down."""

    def __init__(self, block: Block, removed: Collection[str]):
        self.block, self.removed = block, removed
        names = [node.name for node in block.nodes]
        kept = [name for name in names if name not in removed]
        self.kept = set(kept)
        self.all_steps, self.kept_steps = (
            group_names(names),
            group_names(kept),
        )  # by the group, with their old names
        self.touched = {path for name in removed for path in list_outer_paths(name)}
        self.inner_groups = group_names(block.groups)  # by the group around, with their old names
        self.groups = dict(block.groups)  # those that stay, by their old names
        self.new_names = {
            name: name for name in (*kept, *block.groups)
        }  # of steps and groups, by their old names
        self.from_group: dict[
            str, Group
        ] = {}  # the group whose name a step has taken, by the step's old name
        self.only_steps: dict[str, str] = {}  # the old name of the step that has taken the name of a group

    def tidy(self) -> TidyBlock:
        for group in sorted(self.block.groups, key=lambda name: -name.count(".")):
            if group in self.touched:
                self.tidy_group(group)
        nodes = tuple(self.rename_node(node) for node in self.block.nodes if node.name not in self.removed)
        outputs = {name: replace(o, ref=self.rename(o.ref)) for name, o in self.block.outputs.items()}
        block = replace(
            self.block,
            nodes=nodes,
            outputs=outputs,
            groups={self.new_names[old]: self.rename_group(old, group) for old, group in self.groups.items()},
            parallels={},
            frozen_paths=tuple(self.new_names.get(path, path) for path in self.block.frozen_paths),
        )
        old_names = {self.new_names[n.name]: n.name for n in self.block.nodes if n.name not in self.removed}
        return TidyBlock(block, old_names)

    def tidy_group(self, path: str) -> None:
        """Drop an empty group, give a step that is alone now the name of its group, and number the others anew."""
        before = list_group_members(path, self.all_steps.get(path, []))
        after = list_group_members(path, self.kept_steps.get(path, []))
        alone = self.find_step(f"{path}.{after[0]}") if len(after) == 1 else None
        if alone is not None:
            self.new_names[alone] = path
            self.only_steps[path] = alone
            self.from_group[alone] = self.groups.pop(path)
        elif not after:
            del self.groups[path]
        elif len(before) > len(after) and before == list(map(str, range(len(before)))):
            self.number_members(path, {member: str(i) for i, member in enumerate(after)})

    def find_step(self, path: str) -> str | None:
        """Return the old name of the step that has this path now, None if no step has it."""
        return self.only_steps.get(path) or (path if path in self.kept else None)

    def number_members(self, path: str, numbers: Mapping[str, str]) -> None:
        """Give all names inside of a group the new number of the member that they belong to."""
        for old in (*self.kept_steps[path], *self.inner_groups.get(path, [])):
            member, dot, rest = self.new_names[old][len(path) + 1 :].partition(".")
            if member in numbers:  # not so in a group that is empty now
                self.new_names[old] = f"{path}.{numbers[member]}{dot}{rest}"

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

    def rename_group(self, old: str, group: Group) -> Group:
        """Return a group with its new name and its references renamed."""
        return replace(
            group,
            name=self.new_names[old],
            value=None if group.value is None else self.rename(group.value),
            inputs={name: self.rename(ref) for name, ref in group.inputs.items()},
            outputs={name: self.rename(ref) for name, ref in group.outputs.items()},
            inputs_by_name=tuple(map(self.rename, group.inputs_by_name)),
        )
