"""The plan of one block of the spec: rows with expressions, parameters, and the tree of groups and repeats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from specbuild.importing.author_arguments import find_dropout, find_length, name_lengths, passes_on
from specbuild.importing.instance_rows import Mismatch, Row, SourceMatcher, align_instances
from specbuild.importing.named_values import Instance, Step
from specbuild.importing.plans import BlockPlan, Plans, TreeNode
from specbuild.importing.position_weights import follow_lengths
from specbuild.importing.relations import Relations
from specbuild.importing.step_tree import build_tree
from specbuild.ops import OPS

# What authors call the sizes of parts of an axis.
PART_WORDS = {
    "heads": (
        *("num_heads", "n_heads", "n_head", "num_attention_heads", "nheads", "nhead", "heads", "h"),
        *("num_kv_heads", "n_kv_heads", "n_kv_head", "num_key_value_heads", "kv_heads"),
    ),
    **dict.fromkeys(("h", "w"), ("window_size",)),
}
PLACES = ("D", "H", "W")


def plan_block(name: str, instances: Sequence[Instance], plans: Plans) -> BlockPlan:
    """Return one block for these instances. Raises Mismatch if there is none."""
    rows = align_instances(instances, plans.names())
    outputs = SourceMatcher(instances, rows).match_all()
    relations = Relations(instances)
    # If the author gave no names, those of the rows that all instances have come first.
    has_words = bool(relations.arguments)
    for row in sorted(rows, key=lambda row: not has_words and len(row.steps) < len(instances)):
        row.attributes = express_attributes(row, relations, plans, instances)
    follow_lengths(rows, instances)
    nodes = build_tree(rows, plans, len(instances), relations, [e.name for e in instances[0].inputs])
    set_conditions(rows, nodes, len(instances), relations)
    name_lengths(nodes, relations)
    plan = BlockPlan(name, instances, rows, outputs, nodes=nodes)
    plan.defaults = relations.defaults()
    plan.params = dict(sorted(relations.params.items(), key=lambda item: item[0] in plan.defaults))
    plan.single_samples = relations.single_samples
    return plan


def plan_model(model: Instance, plans: Plans) -> BlockPlan:
    """Return the plan of the model itself, whose numbers have no expressions yet."""
    rows = align_instances([model], plans.names())
    outputs = SourceMatcher([model], rows).match_all()
    for row in rows:
        row.attributes = plans.attributes(row.first)
        if row.first.op == "unflatten":
            parts = row.attributes["into"]
            row.attributes["into"] = {**parts, **follow_inputs([parts], [model])}
    follow_lengths(rows, [model])
    plan = BlockPlan(model.class_name, [model], rows, outputs)
    plan.nodes = build_tree(rows, plans, 1, None, [entry.name for entry in model.inputs])
    return plan


def express_attributes(
    row: Row, relations: Relations, plans: Plans, instances: Sequence[Instance]
) -> dict[str, Any]:
    """Return the attributes of a row with expressions for what differs. Raises Mismatch."""
    members = sorted(row.steps)
    columns = align_windows([plans.attributes(row.steps[k]) for k in members], row.first, plans)
    expressed: dict[str, Any] = {}
    order = list(OPS[row.first.op].defaults) if row.first.op in OPS else []
    found = dict.fromkeys(k for attributes in columns for k in attributes)
    for key in sorted(found, key=lambda k: order.index(k) if k in order else len(order)):
        default = plans.default_values(row.first).get(key)
        values = [attributes.get(key, default) for attributes in columns]
        if any(v is None for v in values):
            if all(v is None for v in values):
                continue
            raise Mismatch
        if row.first.instance is not None and passes_on(relations, key, values, members):
            expressed[key] = relations.use(key)
            continue
        if row.first.instance is not None and all(v == default for v in values):
            continue  # the default of a block need not be written
        if key == "axes" and is_given_table(row.first) and all(v == values[0] for v in values):
            expressed[key] = values[0]  # the table has as many numbers
        elif row.first.op == "unflatten" and key == "into":
            places = follow_inputs([v or {} for v in values], [instances[k] for k in members])
            expressed[key] = express_parts(values, members, relations, places)
        elif (row.first.op, key) == ("dropout", "rate") and (
            name := find_dropout(relations, values, members)
        ):
            expressed[key] = name
        elif (row.first.op, key) == ("weight", "axes"):
            expressed[key] = relations.express(key, values, members) | find_length(relations, values, members)
        else:
            expressed[key] = relations.express(key, values, members)
    return expressed


def is_given_table(step: Step) -> bool:
    return step.op == "const" and any(key in step.attributes for key in ("values", "file"))


def express_parts(
    values: list[Any], members: Sequence[int], relations: Relations, places: Mapping[str, str]
) -> dict[str, Any]:
    """Return the sizes of the parts of an axis; -1 for one that follows from the others: the number of windows, or the last.

    `places` are those that have the size of an axis of the input. Others are fixed on all sides: with an open one, a
    larger image would be cut into wrong rows.
    """
    first = list(values[0])
    if any(list(v) != first for v in values):
        raise Mismatch
    parts: dict[str, Any] = {**dict.fromkeys(first, -1), **places}
    rest = first[0] if first[0] in ("rows", "columns") else first[-1]
    rest = "" if rest in PLACES else rest
    for axis in [a for a in first if a != rest and a not in places]:
        sizes = [v[axis] for v in values]
        names = PART_WORDS.get(axis, (axis,))
        name = next((n for n in names if relations.has_argument(n, sizes, members)), "")
        if name:
            parts[axis] = relations.use(name)
        else:
            parts[axis] = relations.express(names[0], sizes, members)
    return parts


def follow_inputs(values: Sequence[Mapping[str, int]], instances: Sequence[Instance]) -> dict[str, str]:
    """Return the parts of an axis whose sizes are those of axes of the first input, for images of any size."""
    entries = [instance.inputs[0] for instance in instances if instance.inputs]
    return {
        axis: f"{entries[0].name}.{axis}"
        for axis in values[0]
        if axis in PLACES
        and len(entries) == len(values)
        and all(e.axes.get(axis) == v.get(axis) for e, v in zip(entries, values, strict=True))
    }


def align_windows(columns: list[dict[str, Any]], step: Step, plans: Plans) -> list[dict[str, Any]]:
    """Write windows in one form, where some are 3 and others [1, 7], or some have a padding and others none."""
    keys = [k for k in ("kernel", "stride", "padding", "dilation") if any(k in c for c in columns)]
    if step.op not in ("conv", "max_pool", "avg_pool") or len(columns) == 1:
        return columns
    defaults = plans.default_values(step)
    if any("padding" in c for c in columns) and step.op == "conv":
        columns = [c if "padding" in c else c | {"padding": half_window(c)} for c in columns]
    for key in keys:
        counts = {len(c[key]) for c in columns if isinstance(c.get(key), list)}
        if counts:
            count = max(counts)
            columns = [
                c if isinstance(c.get(key), list) else c | {key: [c.get(key, defaults[key])] * count}
                for c in columns
            ]
    return columns


def half_window(attributes: Mapping[str, Any]) -> Any:
    """Return the padding of a convolution that keeps the size, as a number or a list like its kernel."""
    kernel, dilation = attributes["kernel"], attributes.get("dilation", 1)
    if isinstance(kernel, list):
        gaps = dilation if isinstance(dilation, list) else [dilation] * len(kernel)
        return [d * (k - 1) // 2 for k, d in zip(kernel, gaps, strict=True)]
    return (
        dilation * (kernel - 1) // 2
        if isinstance(dilation, int)
        else [d * (kernel - 1) // 2 for d in dilation]
    )


def set_conditions(rows: Sequence[Row], nodes: Sequence[TreeNode], count: int, relations: Relations) -> None:
    """Find the condition of every row that only some instances have; a group of such rows has one."""
    for node in walk_nodes(nodes):
        if node.is_counted:
            continue  # the number of members is the condition
        members = [rows[i] for i in node.list_rows()]
        present = [frozenset(row.steps) for row in members]
        if node.row is not None and not members[0].sources:
            continue  # a table that nothing reads is not in the graph
        if (node.nodes and len(set(present)) == 1 and len(present[0]) < count) or (
            node.row is not None and len(present[0]) < count
        ):
            has_weights = any(row.first.weights or row.first.instance is not None for row in members)
            hint = node.name or members[0].first.op
            node.when = relations.condition(set(present[0]), hint, has_weights)


def walk_nodes(nodes: Sequence[TreeNode]) -> Iterator[TreeNode]:
    """Yield nodes, each before those in it; not those below a node that has a condition for all of them."""
    for node in nodes:
        yield node
        if not node.when:
            yield from walk_nodes(node.nodes)
