"""The steps and repeats of a model, whose numbers are compared between several captures of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from specbuild.expressions.common_expressions import CommonExpressions
from specbuild.importing.instance_rows import Mismatch, Row
from specbuild.importing.plans import BlockPlan, Plans, TreeNode

REPEAT = "repeat"
ALTERNATION = re.compile(r"(\S+) if i % 2 == 0 else (\S+)")
FIRST_AND_REST = re.compile(r"(\S+) if i == 0 else (\S+)")


class ComparedStep(Struct, eq=False):
    """A step or a repeat of the model: its attributes and its number of members in each capture.

    `node` and `row` are those of the first capture, which the file is written from.
    """

    head: str
    label: str
    node: TreeNode
    row: Row
    attributes: list[dict[str, Any]]
    lengths: list[int]
    is_classifier: bool = False  # the last linear layer

    @property
    def can_repeat(self) -> bool:
        """Whether the number of members can be an expression: the names of its members do not depend on it."""
        return bool(self.node.members) and not self.node.is_spliced

    def set_attribute(self, key: str, value: Any) -> None:
        if value is None:
            return
        target = self.node.attributes if self.node.members else self.row.attributes
        target[key] = value

    def set_length(self, length: int | str) -> None:
        self.node.length = length


def pair_compared_steps(plans: Sequence[BlockPlan], blocks: Plans) -> Iterator[ComparedStep]:
    """Yield the steps and repeats of a model in their order. Raises Mismatch, which says what differs, if the captures have different ones."""
    last = [row for row in plans[0].rows if row.first.op == "linear"]
    for nodes in pair_nodes([plan.nodes for plan in plans], plans[0].name):
        row = plans[0].rows[next(nodes[0].list_rows())]
        heads = [
            name_head(plan.rows[next(node.list_rows())], blocks)
            for plan, node in zip(plans, nodes, strict=True)
        ]
        if len(set(heads)) > 1:
            raise Mismatch(f"{row.path or heads[0]} is {' or '.join(heads)}")
        make_alike(nodes, plans)
        attributes = [
            dict(node.attributes if node.members else plan.rows[next(node.list_rows())].attributes)
            for plan, node in zip(plans, nodes, strict=True)
        ]
        adopt_rules(attributes, nodes)
        lengths = [len(node.members) or 1 for node in nodes]
        yield ComparedStep(
            heads[0],
            row.path or heads[0],
            nodes[0],
            row,
            attributes,
            lengths,
            bool(last) and row is last[-1],
        )


def pair_nodes(levels: Sequence[Sequence[TreeNode]], path: str) -> Iterator[tuple[TreeNode, ...]]:
    """Yield the rows and repeats of several trees that belong together. Raises Mismatch."""
    if len({len(nodes) for nodes in levels}) > 1:
        counts = " or ".join(str(len(nodes)) for nodes in levels)
        raise Mismatch(f"{path} has {counts} steps")
    for nodes in zip(*levels, strict=True):
        if len({len(node.others) for node in nodes}) > 1:
            raise Mismatch(f"{nodes[0].name or path} is repeated a different number of times")
        if all(node.nodes for node in nodes):
            yield from pair_nodes([node.nodes for node in nodes], nodes[0].name or path)
        elif any(node.nodes for node in nodes) and not all(is_repeat_like(node) for node in nodes):
            raise Mismatch(f"{nodes[0].name or path} has different steps")
        else:
            yield nodes


def is_repeat_like(node: TreeNode) -> bool:
    """Return whether a node is a repeat, or a group that would be one if it had more than one member."""
    return bool(node.members) or (len(node.nodes) == 1 and node.nodes[0].row is not None)


def make_alike(nodes: Sequence[TreeNode], plans: Sequence[BlockPlan]) -> None:
    """Turn a group of one member into a repeat, where the other captures have a repeat."""
    if not any(node.members for node in nodes):
        return
    for node, plan in zip(nodes, plans, strict=True):
        if node.nodes:
            [number] = node.list_rows()
            node.nodes, node.members, node.length = [], [number], 1
            node.attributes = dict(plan.rows[number].attributes)


def adopt_rules(attributes: Sequence[dict[str, Any]], nodes: Sequence[TreeNode]) -> None:
    """Give a repeat of one member the rules in `i` of longer ones, where they agree with its numbers."""
    longest = max(range(len(nodes)), key=lambda k: len(nodes[k].members))
    for own, node in zip(attributes, nodes, strict=True):
        if len(node.members) != 1 or len(nodes[longest].members) < 2:
            continue
        for key, rule in attributes[longest].items():
            column = CommonExpressions([{"i": 0}]).column(rule) if isinstance(rule, str) else None
            if column is not None and column == [own.get(key)]:
                own[key] = rule


def share_alternations(steps: Sequence[ComparedStep]) -> None:
    """Let repeats of two members alternate where longer repeats of the same block have the same two numbers in turn."""
    known: set[tuple[str, str, str, str]] = set()
    for step in steps:
        for key, rule in (item for attributes in step.attributes for item in attributes.items()):
            if match := ALTERNATION.fullmatch(str(rule)):
                known.add((step.head, key, match[1], match[2]))
    for step in steps:
        for attributes, length in zip(step.attributes, step.lengths, strict=True):
            for key, rule in attributes.items():
                match = FIRST_AND_REST.fullmatch(str(rule)) if length == 2 else None
                if match and (step.head, key, match[1], match[2]) in known:
                    attributes[key] = f"{match[1]} if i % 2 == 0 else {match[2]}"


def name_head(row: Row, blocks: Plans) -> str:
    """Return the op or block of a row."""
    instance = row.first.instance
    return row.first.op if instance is None else blocks.places[instance][0].name
