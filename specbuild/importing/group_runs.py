"""Consecutive groups of steps that differ only in numbers become one repeated group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from specbuild.importing.instance_rows import Row, RowSource
from specbuild.importing.plans import Plans, TreeNode
from specbuild.importing.relations import is_size
from specbuild.importing.runs import fold_values


def fold_groups(
    nodes: Sequence[TreeNode],
    rows: Sequence[Row],
    plans: Plans,
    length: int | str,
) -> TreeNode | None:
    """Return the first of these groups with the attributes of all, to be repeated; None if they are not alike.

    Changes the attributes of the rows of the first group.
    """
    groups = [list(node.list_rows()) for node in nodes]
    if any(shape_of(node) != shape_of(nodes[0]) or holds_repeat(node) for node in nodes):
        return None
    if not all(are_joined(groups, k, rows, plans) for k in range(len(groups))):
        return None
    folded: list[dict[str, Any]] = []
    for members in zip(*groups, strict=True):
        attributes: dict[str, Any] = {}
        for key in dict.fromkeys(k for i in members for k in rows[i].attributes):
            default = plans.default_values(rows[members[0]].first).get(key)
            values = [rows[i].attributes.get(key, default) for i in members]
            value = None if any(v is None for v in values) else fold_values(values, is_size(key, values))
            if value is None:
                return None
            attributes[key] = value
        folded.append(attributes)
    for i, attributes in zip(groups[0], folded, strict=True):
        rows[i].attributes = attributes
    return TreeNode(nodes=nodes[0].nodes, others=list(nodes[1:]), length=length)


def shape_of(node: TreeNode) -> tuple[Any, ...]:
    """Return the names and the nesting of the rows in a group."""
    return tuple((inner.name, shape_of(inner)) for inner in node.nodes)


def holds_repeat(node: TreeNode) -> bool:
    return bool(node.members or node.others) or any(map(holds_repeat, node.nodes))


def are_joined(groups: Sequence[list[int]], number: int, rows: Sequence[Row], plans: Plans) -> bool:
    """Return whether a group has the steps of the first one, and reads only what the one before gives."""
    first, own = groups[0], groups[number]
    if len(first) != len(own) or own != list(range(own[0], own[0] + len(own))):
        return False
    if number and own[0] != groups[number - 1][-1] + 1:
        return False
    for place, (i, j) in enumerate(zip(first, own, strict=True)):
        mine, other = rows[i], rows[j]
        is_alike = plans.head(mine.first) == plans.head(other.first) and mine.first.roles == other.first.roles
        if not is_alike or mine.first.reused is not None or other.first.reused is not None:
            return False
        if len(mine.sources) != len(other.sources) or (not place and len(other.sources) != 1):
            return False
        for one, source in zip(mine.sources, other.sources, strict=True):
            if not place:
                if number and source != RowSource("row", own[0] - 1):
                    return False
            elif (
                not is_inside(source, own)
                or source.index - own[0] != one.index - first[0]
                or source.part != one.part
            ):
                return False
    return True


def is_inside(source: RowSource, group: Sequence[int]) -> bool:
    return source.kind == "row" and source.index in group
