"""Members of a group that follow an argument of the model which is a list become one line: `widths[i]`, once for each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from specbuild.importing.instance_rows import Row, RowSource
from specbuild.importing.plans import BlockPlan, Plans, TreeNode
from specbuild.importing.runs import fold_values

ITEM = re.compile(r"(\w+)\[(\d+)\]")


def fold_list_runs(plan: BlockPlan, plans: Plans) -> None:
    """Put repeats in place of the groups of the model that are a run over a list."""
    for node in plan.nodes:
        fold_group(node, plan, plans)


def fold_group(group: TreeNode, plan: BlockPlan, plans: Plans) -> None:
    for node in (*group.nodes, *group.others):
        fold_group(node, plan, plans)
    numbers = [node.row for node in group.nodes if node.row is not None]
    is_plain = not group.others and not group.members and len(numbers) == len(group.nodes) > 1
    if not is_plain or any(node.when or node.name not in ("", str(i)) for i, node in enumerate(group.nodes)):
        return
    rows = [plan.rows[number] for number in numbers]
    if not are_chained(rows, numbers, plans):
        return
    folded = fold_attributes(rows, plan.defaults, plans.default_values(rows[0].first))
    if folded is not None:
        group.attributes, group.length = folded
        group.nodes, group.members = [], numbers


def are_chained(rows: Sequence[Row], numbers: Sequence[int], plans: Plans) -> bool:
    """Return whether these are rows of one kind with weights, each of which reads only the one before."""
    first = rows[0].first
    is_fitting = (first.weights or first.instance) and not first.roles and len(rows[0].sources) == 1
    if not is_fitting or any(row.first.reused is not None for row in rows):
        return False
    is_joined = all(
        row.sources == [RowSource("row", before)] for before, row in zip(numbers, rows[1:], strict=False)
    )
    is_joined = is_joined and all(later == before + 1 for before, later in pairwise(numbers))
    return is_joined and len({plans.head(row.first) for row in rows}) == 1


def fold_attributes(
    rows: Sequence[Row], params: Mapping[str, Any], defaults: Mapping[str, Any]
) -> tuple[dict[str, Any], str] | None:
    """Return the attributes of all members with `i`, and how many there are; None if no list says it."""
    attributes: dict[str, Any] = {}
    length = ""
    for key in dict.fromkeys(key for row in rows for key in row.attributes):
        values = [row.attributes.get(key, defaults.get(key)) for row in rows]
        items = [ITEM.fullmatch(value) if isinstance(value, str) else None for value in values]
        found = [(item[1], int(item[2])) for item in items if item]
        name = found[0][0] if found else ""
        if found == [(name, i) for i in range(len(rows))] and len(params.get(name, ())) == len(rows):
            attributes[key], length = f"{name}[i]", f"len({name})"
            continue
        folded = None if any(value is None for value in values) else fold_values(values)
        if folded is None:
            return None
        attributes[key] = folded
    return (attributes, length) if length else None
