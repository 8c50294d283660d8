"""Finds the arguments whose names say what a number is, though it never varies: those passed on to inner blocks, and counts of layers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from specbuild.importing.plans import TreeNode
from specbuild.importing.relations import Relations, is_number

WINDOW_NAME = re.compile("kernel|stride|padd|dilat|group")
DROPOUT_NAME = re.compile(r"^(p_)?drop(out)?(_?(p|rate|prob))?$")
COUNT_NAME = re.compile(r"depth|layers?$|layers|blocks|repeat")
LIMIT_NAME = re.compile(r"max|context|ctx|block_size")  # of positions: there may be fewer


def passes_on(relations: Relations, name: str, values: Sequence[Any], members: Sequence[int]) -> bool:
    """Return whether a block gives an argument of its own to a block inside, whether it varies or not.

    Windows and the numbers 0 and 1 are equal by accident too often.
    """
    is_usual = any(not is_number(v) or v in (0, 1) for v in values) or WINDOW_NAME.search(name)
    return not is_usual and relations.has_argument(name, values, members)


def find_dropout(relations: Relations, values: Sequence[Any], members: Sequence[int]) -> str:
    """Return the only argument that is a rate of dropout and has these values; empty if there is none."""
    known = [n for n in relations.arguments if DROPOUT_NAME.search(n)]
    names = [n for n in known if relations.has_argument(n, values, members)]
    return relations.use(names[0]) if len(names) == 1 else ""


def find_length(relations: Relations, values: Sequence[Any], members: Sequence[int]) -> dict[str, str]:
    """Return that weights for every position are as many as the first input has; nothing if there is a limit of that size."""
    sizes = [v.get("T") for v in values]
    entries = [relations.instances[k].inputs[0] for k in members if relations.instances[k].inputs]
    known = [n for n in relations.arguments if LIMIT_NAME.search(n)]
    is_limited = any(relations.has_argument(n, sizes, members) for n in known)
    if None in sizes or 1 in sizes or is_limited or [e.axes.get("T") for e in entries] != sizes:
        return {}
    text = f"{entries[0].name}.T"
    if len(set(sizes)) == 1:
        relations.single_samples.append(("axes", text))
    return {"T": text}


def name_lengths(nodes: Sequence[TreeNode], relations: Relations) -> None:
    """Let repeats have as many members as an argument of the block says, whose names do not depend on it."""
    for node in nodes:
        if node.members and isinstance(node.length, int) and node.length > 1 and not node.is_spliced:
            node.length = find_count(relations, node.length) or node.length
        name_lengths([*node.nodes, *node.others], relations)


def find_count(relations: Relations, count: int) -> str:
    """Return the only argument that is a number of layers and always this one; empty if there is none."""
    names = [n for n, c in relations.arguments.items() if COUNT_NAME.search(n) and set(c) == {count}]
    return relations.use(names[0]) if len(names) == 1 else ""
