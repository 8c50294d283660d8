"""Rewrites of the steps of one instance. They compute the same, in the form that an author would write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain, count
from typing import Any

from specbuild.importing.axis_names import PlaceholderNames
from specbuild.importing.container_order import gather_members
from specbuild.importing.dense_concats import absorb_concats, hoist_concats
from specbuild.importing.derived_paddings import fit_paddings
from specbuild.importing.given_tables import GivenTables
from specbuild.importing.named_values import BlockInput, Instance, Step, Unsupported, ValueSource
from specbuild.importing.slicing import unite_slices
from specbuild.importing.tables import table_attributes

STRICT = ("add", "subtract", "maximum", "minimum")
BROADCASTING = ("multiply", "divide", *STRICT)
OPPOSITES = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!="}
FREE_NAMES = ("C", "T", "R", "S", "K")


def tidy_model(
    model: Instance,
    names: PlaceholderNames,
    patterns: Sequence[Callable[[Instance], None]],
    tables: GivenTables,
) -> None:
    """Tidy the model and every instance in it; `patterns` make one step of several, and `tables` take those without an expression.

    Raises Unsupported SB967 for one that is too large for it.
    """
    instances = list(model.walk_instances())
    steps = [step for instance in instances for step in instance.steps]
    for step in steps:
        name_gathered_axes(step, names)
    for step in steps:
        name_free_axes(step, names)
    for instance in instances:
        for entry in instance.inputs:
            entry.axes = expand_sizes(entry.axes, names)
        for step in instance.steps:
            resolve_step(step, names, tables)
    for instance in instances:
        fit_paddings(instance)
        hoist_concats(instance)
        unite_slices(instance)
        simplify_steps(instance)
        for unite_steps in patterns:
            unite_steps(instance)
        sink_tables(instance)
        simplify_steps(instance)
    absorb_concats(instances)
    for instance in instances:
        gather_members(instance)


def expand_sizes(axes: dict[str, int], names: PlaceholderNames) -> dict[str, int]:
    expanded: dict[str, int] = {}
    for axis, size in axes.items():
        expanded |= names.expand(axis, size)
    return expanded


def name_gathered_axes(step: Step, names: PlaceholderNames) -> None:
    """Name the axes of an index that have no name yet after the axis that it selects from."""
    if step.op != "gather":
        return
    for axis in [a for a in expand_sizes(step.axes, names) if names.is_free(a)]:
        taken = {names.resolve(a) for a in expand_sizes(step.axes, names)}
        over = names.resolve(step.attributes["over"])
        bind_unused(axis, (over, *FREE_NAMES), taken, names)


def name_free_axes(step: Step, names: PlaceholderNames) -> None:
    """Name the axes of a weight or table that have no name yet; leave out those of size 1."""
    if step.op not in ("weight", "const", "expand"):
        return
    axes = expand_sizes(step.attributes["axes"], names)
    if step.op != "expand":
        axes = {a: n for a, n in axes.items() if n > 1 or not names.is_free(a)}
    for axis in axes:
        if not names.is_free(axis):  # or no longer
            continue
        taken = {names.resolve(a) for a in (*axes, *expand_sizes(step.axes, names))}
        bind_unused(axis, FREE_NAMES, taken, names)
    step.attributes["axes"] = {names.resolve(a): n for a, n in axes.items()}


def bind_unused(axis: str, wanted: Iterable[str], taken: Collection[str], names: PlaceholderNames) -> None:
    """Give an axis the first of these names that no other axis of its values has."""
    candidates = chain(wanted, (f"K{i}" for i in count(2)))
    names.bind(axis, next(name for name in candidates if name not in taken and names.can_bind(axis, name)))


def resolve_step(step: Step, names: PlaceholderNames, tables: GivenTables) -> None:
    """Write the names of axes that have been found into a step, and the numbers of a table as an expression."""
    step.attributes = resolve_value(step.attributes, names)
    step.axes = expand_sizes(step.axes, names)
    if step.op == "flatten":
        drop_unnamed_axes(step, names)
    if step.op in ("weight", "const"):
        step.axes = dict(step.attributes["axes"])
    if step.op == "const" and step.table is not None:
        resolve_table(step, tables)


def drop_unnamed_axes(step: Step, names: PlaceholderNames) -> None:
    """Leave axes of size 1 that never got a name out of what is merged: a weight does not have them."""
    axes = [a for a in step.attributes["axes"] if not names.is_free(a)]
    if len(axes) == 1:
        step.op, step.attributes = "rename", {"axes": {axes[0]: step.attributes.get("into", "C")}}
    else:
        step.attributes["axes"] = axes


def resolve_value(value: Any, names: PlaceholderNames) -> Any:
    if isinstance(value, str):
        return names.resolve(value) if value.startswith("?") else value
    if isinstance(value, dict):
        return {resolve_value(k, names): resolve_value(v, names) for k, v in value.items()}
    return [resolve_value(v, names) for v in value] if isinstance(value, list) else value


def resolve_table(step: Step, tables: GivenTables) -> None:
    axes, dtype = step.attributes["axes"], step.attributes.get("dtype", "float")
    data = step.table.reshape(tuple(axes.values()))
    found = table_attributes(data, list(axes)) or tables.add(step.table_name, data, dtype)
    if found is not None:
        step.attributes |= found
        step.hint = step.hint or found.get("tensor", "")
    else:
        raise Unsupported(
            f"no expression was found for the table {step.table_name or 'of constants'} with the sizes {list(data.shape)}",
            "compute it from the indices of its axes",
            "SB967",
        )


# -------------------------------------------------------------------------------------------- simplifications

Rewrite = Callable[[Step, Step], bool]


def simplify_steps(instance: Instance) -> None:
    """Apply the rewrites of a step and the one before it until none applies, and remove steps that nothing reads."""
    while remove_unused(instance) or rewrite_once(instance) or drop_expansions(instance):
        pass


def list_reads(instance: Instance) -> Counter[Step | BlockInput]:
    """Count how often the value of each step and input is read."""
    reads = [source.step for step in instance.steps for source in step.sources]
    return Counter([*reads, *(source.step for source in instance.outputs)])


def remove_unused(instance: Instance) -> bool:
    reads = list_reads(instance)
    unused = [s for s in instance.steps if not reads[s] and not s.instance]
    for step in unused:
        instance.steps.remove(step)
    return bool(unused)


def rewrite_once(instance: Instance) -> bool:
    """Apply one rewrite; returns whether there was any."""
    reads = list_reads(instance)
    for step in instance.steps:
        before = step.sources[0].step if len(step.sources) == 1 else None
        is_apart = (
            isinstance(before, Step) and reads[before] == 1 and not is_end_of_group(instance, before, step)
        )
        if isinstance(before, Step) and is_apart and any(rule(before, step) for rule in REWRITES):
            replace_step(instance, step, ValueSource(before))
            return True
        if step.op == "rename" and all(a == b for a, b in step.attributes["axes"].items()):
            replace_step(instance, step, step.sources[0])
            return True
    return False


def is_end_of_group(instance: Instance, before: Step, step: Step) -> bool:
    """Return whether only the first of two steps belongs to a group that is used again: its value is the same each time."""
    uses = [other for other in instance.steps if isinstance(other.reused, str) and other.axes != step.axes]
    groups = [f"{other.reused}." for other in uses]
    return any(before.name.startswith(group) and not step.name.startswith(group) for group in groups)


def drop_expansions(instance: Instance) -> bool:
    """Remove an `expand` before a sum or product with a value that has its axes anyway; returns whether there was any."""
    reads = list_reads(instance)
    for step in instance.steps:
        if step.op not in BROADCASTING or len(step.sources) != 2 or step.roles:
            continue
        for source, other in (step.sources, step.sources[::-1]):
            before = source.step
            if not isinstance(before, Step) or before.op != "expand" or reads[before] != 1:
                continue
            if other.step.axes.items() >= before.attributes["axes"].items():
                if step.op in STRICT:
                    step.attributes["broadcast"] = True
                replace_step(instance, before, before.sources[0])
                return True
    return False


def replace_step(instance: Instance, step: Step, source: ValueSource) -> None:
    """Remove a step; what read it reads another value."""
    instance.steps.remove(step)
    for other in instance.steps:
        other.sources = [source if s.step is step else s for s in other.sources]
    instance.outputs = [source if s.step is step else s for s in instance.outputs]


def drop_kept_axes(before: Step, step: Step) -> bool:
    """Make a reduction drop the axes that the next step removes."""
    if step.op != "squeeze" or not before.attributes.get("keep"):
        return False
    over = before.attributes["over"]
    if ({over} if isinstance(over, str) else set(over)) != set(step.attributes["over"]):
        return False
    del before.attributes["keep"]
    before.axes = step.axes
    return True


def sink_tables(instance: Instance) -> None:
    """Move what depends on no input, such as a table of biases, to where it is read first."""
    tables: set[Step | BlockInput] = set()
    for step in instance.steps:
        if step.op in ("weight", "const") or (step.sources and {s.step for s in step.sources} <= tables):
            tables.add(step)
    if not any(step.op == "gather" for step in tables if isinstance(step, Step)):
        return  # a weight by itself is written where its author reads it
    placed: list[Step] = []
    for step in reversed(instance.steps):
        readers = [i for i, other in enumerate(placed) if any(s.step is step for s in other.sources)]
        at = readers[-1] + 1 if step in tables and readers else len(placed)
        placed.insert(at, step)
    instance.steps[:] = placed[::-1]


def spread_table(before: Step, step: Step) -> bool:
    """Give a table of one number the axes along which it is repeated."""
    if before.op != "const" or step.op != "expand" or "value" not in before.attributes:
        return False
    before.attributes["axes"] = {**step.attributes["axes"], **before.attributes["axes"]}
    before.axes = step.axes
    return True


def negate_table(before: Step, step: Step) -> bool:
    """Write the opposite of a table that compares its axes."""
    words = str(before.attributes.get("value", "")).split()
    if before.op != "const" or step.op != "logical_not" or len(words) != 3 or words[1] not in OPPOSITES:
        return False
    before.attributes["value"] = f"{words[0]} {OPPOSITES[words[1]]} {words[2]}"
    return True


def join_scales(before: Step, step: Step) -> bool:
    if before.op != "scale" or step.op != "scale" or set(before.attributes) != {"by"}:
        return False
    if set(step.attributes) != {"plus"}:
        return False
    before.attributes |= step.attributes
    return True


def join_expansions(before: Step, step: Step) -> bool:
    if before.op != "expand" or step.op != "expand":
        return False
    before.attributes["axes"] = {**step.attributes["axes"], **before.attributes["axes"]}
    before.axes = step.axes
    return True


def keep_axes(before: Step, step: Step) -> bool:
    """Make a reduction keep the axes that the next step adds again with size 1."""
    if step.op != "expand" or before.op not in ("mean", "max", "sum", "min") or before.attributes.get("keep"):
        return False
    over, axes = before.attributes["over"], step.attributes["axes"]
    if ({over} if isinstance(over, str) else set(over)) != set(axes) or set(axes.values()) != {1}:
        return False
    before.attributes["keep"] = True
    before.axes = step.axes
    return True


def join_renames(before: Step, step: Step) -> bool:
    if before.op != "rename" or step.op != "rename":
        return False
    first, second = before.attributes["axes"], step.attributes["axes"]
    joined = {a: second.get(b, b) for a, b in first.items()}
    joined |= {a: b for a, b in second.items() if a not in first.values()}
    before.attributes["axes"] = {a: b for a, b in joined.items() if a != b}
    before.axes = step.axes
    return True


REWRITES: Iterable[Rewrite] = (
    drop_kept_axes,
    join_scales,
    join_renames,
    spread_table,
    negate_table,
    join_expansions,
    keep_axes,
)
