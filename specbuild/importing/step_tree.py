"""The tree of groups and repeats in a block, and the names in it, from the dotted names of the original model.

Names stay as they are wherever the language lets them, so that a state_dict of the original model loads. Members of
a group are numbered by their place, as those of nn.Sequential are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from specbuild.frontend.names import find_name_problem, to_snake_case
from specbuild.importing.axis_names import number_name
from specbuild.importing.group_runs import fold_groups
from specbuild.importing.instance_rows import Row, RowSource
from specbuild.importing.plans import Plans, TreeNode
from specbuild.importing.relations import Relations, is_size
from specbuild.importing.runs import fold_values

MIN_SPLICED = 3  # members of a group in a row that become a repeat
STEM = re.compile(r"(.*?)(\d+)")
NUMBERS = re.compile(r"\d+")
LABELS = {"batch_norm": "norm", "layer_norm": "norm", "group_norm": "norm"}


def build_tree(
    rows: Sequence[Row],
    plans: Plans,
    count: int,
    relations: Relations | None,
    inputs: Sequence[str],
) -> list[TreeNode]:
    """Return the tree of a block, and set the paths of its rows."""
    varying = find_varying_numbers(rows)
    items = [(name_parts(row, drop_numbers(row.name, varying), plans), i) for i, row in enumerate(rows)]
    builder = TreeBuilder(rows, plans, count, relations, inputs)
    nodes = builder.fold_members(builder.group_items(items), "")
    number_nodes(rows, nodes, plans, {part for row in rows for part in row.name.split(".")})
    set_paths(rows, nodes, "")
    if any(node.is_counted and node.is_spliced for node in walk_tree(nodes)):
        for number in range(count):
            set_paths(rows, nodes, "", number)
    return nodes


def find_varying_numbers(rows: Sequence[Row]) -> dict[str, set[int]]:
    """Return which numbers in a name differ between the instances of a block, by the name with # for each number."""
    varying: dict[str, set[int]] = {}
    for row in rows:
        found = [NUMBERS.findall(step.name) for step in row.steps.values() if step.name]
        for place, numbers in enumerate(zip(*found, strict=False)):
            if len(set(numbers)) > 1:
                varying.setdefault(NUMBERS.sub("#", row.name), set()).add(place)
    return varying


def drop_numbers(name: str, varying: Mapping[str, set[int]]) -> str:
    """Return a name without the numbers that differ between the instances, unless it is nothing else."""
    places = varying.get(NUMBERS.sub("#", name), set())
    numbers = iter(range(len(name)))
    shorter = NUMBERS.sub(lambda match: "" if next(numbers) in places else match[0], name)
    if shorter != name:
        shorter = re.sub(r"_(?=[_.]|$)", "", shorter)
    return shorter if all(re.search(r"\w", part) for part in shorter.split(".")) else name


def name_parts(row: Row, name: str, plans: Plans) -> list[str]:
    """Return the parts of the name that a row gets; none for a step that needs no name."""
    step = row.first
    has_weights = bool(step.weights) or step.instance is not None
    parts = [clean_name(part) for part in name.split(".")] if name else []
    if step.reused is not None or not parts:
        return [] if not has_weights or step.reused is not None else [label_step(row, plans)]
    if parts[0].isdigit():  # a block cannot have numbers as names
        parts = [p for p in parts if not p.isdigit()] if has_weights else []
        return parts or ([label_step(row, plans)] if has_weights else [])
    if not has_weights:  # a place in a group, but no name
        return [*parts[:-1], parts[-1] if parts[-1].isdigit() else ""] if len(parts) > 1 else []
    return parts


def clean_name(part: str) -> str:
    """Return a name that a spec can have, as close to the original as possible."""
    if part.isdigit():
        return part
    name = re.sub(r"\W", "_", part).lstrip("_") or "step"
    name = name if name[0].isalpha() else f"s{name}"
    return name if find_name_problem(name) is None else f"{name}_1"


def label_step(row: Row, plans: Plans) -> str:
    step = row.first
    if step.instance is not None:
        return to_snake_case(plans.places[step.instance][0].name)
    return LABELS.get(step.op, step.op)


Item = tuple[list[str], int]


class TreeBuilder:
    """Groups rows by their names, and folds members that differ in numbers only."""

    def __init__(
        self,
        rows: Sequence[Row],
        plans: Plans,
        count: int,
        relations: Relations | None,
        inputs: Sequence[str],
    ):
        self.rows, self.plans, self.count, self.relations = rows, plans, count, relations
        self.inputs = inputs  # names that no step can have

    def group_items(self, items: Sequence[Item], is_group: bool = False) -> list[TreeNode]:
        """Return the nodes for rows with these names. A group is a run of rows; a later row is on its own."""
        nodes: list[TreeNode] = []
        taken: set[str] = set() if is_group else set(self.inputs)
        position = 0
        while position < len(items):
            parts, row = items[position]
            if len(parts) < 2:
                name = parts[0] if parts else ""
                if name and not name.isdigit():
                    name = number_name(name, taken)
                    taken.add(name)
                nodes.append(TreeNode(name, row))
                position += 1
                continue
            head, end = parts[0], self.find_run_end(items, position)
            run, position = items[position:end], end
            comes_again = any(len(p) > 1 and p[0] == head for p, _ in items[position:])
            if comes_again or head in taken - set(self.inputs):
                for own, number in run:
                    step = self.rows[number].first
                    is_named = bool(own) and (bool(step.weights) or step.instance is not None)
                    name = number_name("_".join(own), taken) if is_named else ""
                    taken |= {name, head}
                    nodes.append(TreeNode(name, number))
                continue
            taken.add(head)
            head = number_name(head, self.inputs) if not is_group else head
            inner = self.group_items([(own[1:], number) for own, number in run], True)
            nodes.append(TreeNode(head, nodes=inner))
        return nodes

    def find_run_end(self, items: Sequence[Item], start: int) -> int:
        """Return the end of the run of rows in the group that begins at `start`."""
        head, last = items[start][0][0], start
        for position in range(start, len(items)):
            parts = items[position][0]
            if len(parts) > 1 and parts[0] == head:
                last = position
            elif parts:
                break
        return last + 1

    # ------------------------------------------------------------------------------------------ repeats

    def fold_members(self, nodes: list[TreeNode], group: str) -> list[TreeNode]:
        """Return the nodes with repeats in place of runs of members that differ in numbers only."""
        folded: list[TreeNode] = []
        position = 0
        while position < len(nodes):
            node = nodes[position]
            if node.nodes:
                folded_group, position = self.fold_groups(nodes, position, bool(group))
                folded.append(folded_group)
                continue
            end = self.find_fold_end(nodes, position, bool(group))
            if end - position >= MIN_SPLICED:
                repeat = self.fold_run(nodes[position:end], is_whole=False)
                if repeat is not None:
                    repeat.is_spliced, repeat.name = True, node.name if node.name.isdigit() else ""
                    folded.append(repeat)
                    position = end
                    continue
            folded.append(node)
            position += 1
        return folded

    def fold_group(self, group: TreeNode) -> TreeNode:
        """Return a repeat in place of a group whose members are all alike; else the group with repeats in it."""
        is_row = all(n.row is not None for n in group.nodes) and len(group.nodes) > 1
        if is_row and self.are_chained(group.nodes) and self.have_numbers(group.nodes):
            repeat = self.fold_run(group.nodes, is_whole=True)
            if repeat is not None:
                repeat.name = group.name
                return repeat
        group.nodes = self.fold_members(group.nodes, group.name)
        only = group.nodes[0]
        if len(group.nodes) == 1 and only.others and not only.names:
            only.name, only.is_spliced = group.name, False
            return only
        return group

    def fold_groups(self, nodes: Sequence[TreeNode], start: int, is_group: bool) -> tuple[TreeNode, int]:
        """Return a repeat of the groups from `start` that are alike, or the first group; and where they end."""
        for end in range(len(nodes), start + MIN_SPLICED - 1, -1):
            run = nodes[start:end]
            if not all(node.nodes for node in run) or not self.have_numbers(run, is_group):
                continue
            length = self.count_members([self.rows[next(node.list_rows())] for node in run], False)
            if length is None:
                continue
            repeat = fold_groups(run, self.rows, self.plans, length)
            if repeat is not None:
                repeat.is_spliced, repeat.is_counted = True, isinstance(length, str)
                repeat.names = self.pattern_names(run[0].name)
                repeat.name = run[0].name if run[0].name.isdigit() else ""
                return repeat, end
        return self.fold_group(nodes[start]), start + 1

    def pattern_names(self, first: str) -> str:
        """Return the pattern of the names of members of which this is the first; empty if they are numbers."""
        match = STEM.fullmatch(first)
        if not match or not match[1]:
            return ""
        return f"{match[1]}{{i}}" if match[2] == "0" else f"{match[1]}{{i + {match[2]}}}"

    def find_fold_end(self, nodes: Sequence[TreeNode], start: int, is_group: bool) -> int:
        """Return the end of the longest run from `start` that can be a repeat."""
        end = start + 1
        while end < len(nodes):
            run = nodes[start : end + 1]
            is_fitting = self.are_chained(run) and self.have_numbers(run, is_group)
            if not is_fitting or self.fold_run(run, is_whole=False, is_trial=True) is None:
                break
            end += 1
        return end

    def are_chained(self, nodes: Sequence[TreeNode]) -> bool:
        """Return whether these are rows of one kind with weights, each of which reads the one before.

        Blocks may have more inputs, which are the same values for all of them.
        """
        rows = []
        for node in nodes:
            if node.row is None:
                return False
            rows.append(node.row)
        first, others = self.rows[rows[0]].first, self.rows[rows[0]].sources[1:]
        if (first.roles and not first.instance) or first.reused is not None:
            return False
        if not (first.weights or first.instance):
            return False
        for before, number in pairwise(rows):
            row = self.rows[number]
            is_same = self.head(row) == self.head(self.rows[rows[0]]) and row.first.reused is None
            if not is_same or row.first.roles != first.roles:
                return False
            if row.sources != [RowSource("row", before), *others]:
                return False
        return bool(self.rows[rows[0]].sources) and (not others or bool(first.roles))

    def head(self, row: Row) -> str:
        return self.plans.head(row.first)

    def have_numbers(self, nodes: Sequence[TreeNode], is_group: bool = True) -> bool:
        """Return whether the names of these nodes are numbers, or one stem with numbers, that count on."""
        if all(n.name.isdigit() for n in nodes):
            return is_group
        matches = [STEM.fullmatch(n.name) for n in nodes]
        found = [(m[1], int(m[2])) for m in matches if m]
        if len(found) < len(nodes):
            return False
        stem, start = found[0]
        return bool(stem) and found == [(stem, start + i) for i in range(len(found))]

    def fold_run(self, nodes: Sequence[TreeNode], is_whole: bool, is_trial: bool = False) -> TreeNode | None:
        """Return one repeat for these nodes; None if their attributes follow no rule. A trial adds no parameters."""
        numbers = [n.row for n in nodes if n.row is not None]
        rows = [self.rows[i] for i in numbers]
        defaults = self.plans.default_values(rows[0].first)
        attributes: dict[str, Any] = {}
        for key in dict.fromkeys(k for row in rows for k in row.attributes):
            values = [row.attributes.get(key, defaults.get(key)) for row in rows]
            if not is_whole and is_size(key, values) and len(set(map(str, values))) > 1:
                return None
            folded = fold_values(values, is_size(key, values))
            if folded is None:
                return None
            attributes[key] = folded
        irregular = [v for k, v in attributes.items() if v != rows[0].attributes.get(k) and " if " in str(v)]
        if len(irregular) > 1 and len(rows) <= MIN_SPLICED:
            return None
        length = self.count_members(rows, is_trial)
        if length is None:
            return None
        repeat = TreeNode(members=numbers, attributes=attributes, length=length)
        repeat.is_counted = isinstance(length, str)
        repeat.names = self.pattern_names(nodes[0].name)
        return repeat

    def count_members(self, rows: Sequence[Row], is_trial: bool) -> int | str | None:
        """Return the number of members, an expression if it differs between the instances; None if it cannot."""
        present = [set(row.steps) for row in rows]
        if all(p == present[0] for p in present):
            return len(rows) if len(present[0]) == self.count else None
        if self.relations is None or len(present[0]) < self.count:
            return None
        if any(not later <= before for before, later in pairwise(present)):
            return None
        if any(row.attributes != rows[1].attributes for row in rows[2:]) and len(rows) > 2:
            return None
        if is_trial:
            return "depth"
        counts = [sum(k in p for p in present) for k in range(self.count)]
        return str(self.relations.express("depth", counts, range(self.count), "depth"))


def name_member(pattern: str, i: int) -> str:
    """Return the name of a member of a repeat."""
    return re.sub(r"\{i(?: \+ (\d+))?\}", lambda match: str(i + int(match[1] or 0)), pattern)


def number_nodes(
    rows: Sequence[Row], nodes: Sequence[TreeNode], plans: Plans, taken: set[str], is_group: bool = False
) -> None:
    """Leave numbers as names only where a step of a group would not have them by its place.

    A step without a name gets one if its place is the number of another step: one that is not taken anywhere in the
    block, since a name inside a group hides that of a step outside. Where a repeat inside would need another number,
    the group is numbered by places.
    """
    if not is_group or not keep_numbers(rows, nodes, plans, taken):
        for node in nodes:
            node.name = "" if node.name.isdigit() else node.name
    for node in nodes:
        for inner in [node, *node.others]:
            number_nodes(rows, inner.nodes, plans, taken, True)


def keep_numbers(rows: Sequence[Row], nodes: Sequence[TreeNode], plans: Plans, names: set[str]) -> bool:
    """Keep the numbers of the steps in a group that their places do not give; return whether that is possible."""
    numbers = [range(int(n.name), int(n.name) + count_places(n)) for n in nodes if n.name.isdigit()]
    taken = {number for span in numbers for number in span}
    if len(taken) < sum(map(len, numbers)):
        return False
    chosen: list[str] = []
    place = 0
    for node in nodes:
        name, own = node.name, str(place)
        if name.isdigit():
            if node.is_spliced and name != own:
                return False
            place = int(name)
        elif not name and not node.is_spliced and place in taken:
            first = rows[next(node.list_rows())]
            own = name = number_name(label_step(first, plans), names)
            names.add(name)
        chosen.append("" if name == own and name.isdigit() else name)
        place += count_places(node)
    for node, name in zip(nodes, chosen, strict=True):
        node.name = name
    return True


def count_places(node: TreeNode) -> int:
    """Return how many members of a group a node is."""
    if not node.is_spliced:
        return 1
    return len(node.members) or 1 + len(node.others)


def set_paths(rows: Sequence[Row], nodes: Sequence[TreeNode], prefix: str, number: int | None = None) -> None:
    """Set the path of each node and row in the block, as the language numbers and names members.

    With the `number` of an instance, set the paths of rows in this instance alone: it may have fewer members in a
    row, and those behind them have smaller numbers then.
    """
    place = 0
    for node in nodes:
        place = int(node.name) if node.name.isdigit() else place
        path = f"{prefix}{node.name or (place if prefix else '')}"
        if number is None:
            node.path = path
        groups = [list(own.list_rows()) for own in (TreeNode(nodes=node.nodes), *node.others)]
        if node.members:
            groups = [[member] for member in node.members]
        if node.is_counted and number is not None:
            groups = [group for group in groups if number in rows[group[0]].steps]
        for i, group in enumerate(groups):
            name = name_member(node.names, i)
            inner = f"{prefix}{name or place + i}" if node.is_spliced else f"{path}.{name or i}"
            if node.members:
                set_path(rows[group[0]], inner, number)
            elif node.others:
                set_paths(rows, [node, *node.others][i].nodes, f"{inner}.", number)
        if node.members or node.others:
            place += len(groups) if node.is_spliced else 1
            continue
        if node.row is not None:
            set_path(rows[node.row], path, number)
            rows[node.row].shown = node.name
        set_paths(rows, node.nodes, f"{path}.", number)
        place += 1


def set_path(row: Row, path: str, number: int | None) -> None:
    if number is None:
        row.path = path
    else:
        row.paths[number] = path


def walk_tree(nodes: Sequence[TreeNode]) -> Iterator[TreeNode]:
    for node in nodes:
        yield node
        yield from walk_tree([*node.nodes, *node.others])
