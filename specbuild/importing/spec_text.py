"""The YAML of a spec, in the style of those that are written by hand."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from specbuild.frontend.names import find_name_problem
from specbuild.importing.axis_names import number_name
from specbuild.importing.instance_rows import RowSource
from specbuild.importing.named_values import Instance, Step, Unsupported
from specbuild.importing.plans import BlockPlan, Plans, TreeNode
from specbuild.ops import OPS

WIDTH = 110
SPECIAL = re.compile(r"^[-?:,\[\]{}#&*!|>'\"%@`]|: |:$| #")
LOOKS_OTHERWISE = re.compile(r"(true|false|null|yes|no|on|off|~|[-+.\d][\d_.eE+-]*)$", re.IGNORECASE)
HINTS = {"add": "sum", "multiply": "product", "rename": "renamed"}
TABLE_NAMES = {"index": "index", "mask": "mask", "bias": "bias"}  # by the role of a table
VARIADIC = frozenset(name for name, op in OPS.items() if op.input_specs and op.input_specs[0].variadic)
WRITTEN_AS = {
    op.given_form: name for name, op in OPS.items() if op.given_form
}  # with a kernel that is a value
ALWAYS_WRITTEN = {"conv": ("kernel",), "max_pool": ("kernel",), "avg_pool": ("kernel",)}


def write_scalar(value: Any, in_flow: bool = True) -> str:
    """Return a value as YAML, in flow style."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return write_float(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {write_scalar(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(write_scalar, value)) + "]"
    if not isinstance(value, str):
        return "null" if value is None else str(value)
    needs_quotes = SPECIAL.search(value) or (in_flow and re.search(r"[,\[\]{}]", value))
    return f'"{value}"' if needs_quotes or LOOKS_OTHERWISE.match(value) else value


def write_float(value: float) -> str:
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    text = f"{value:e}" if abs(value) >= 1e6 else repr(value)
    if text.endswith("e+00"):
        text = repr(value)
    text = re.sub(r"\.?0+e", "e", text)
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if mark else text


class BlockWriter:
    """Writes the steps of one block. `orders` has the order of the axes of each output, empty if it is the usual one."""

    def __init__(self, plan: BlockPlan, plans: Plans, orders: Sequence[Sequence[str]] = ()):
        self.plan, self.plans, self.rows = plan, plans, plan.rows
        self.orders = orders if any(orders) else [()] * len(plan.outputs)
        self.group_ends: dict[int, str] = {}  # the last row of a group with a name, and its path
        self.group_paths: list[str] = []
        self.given_by_group: set[int] = set()  # rows whose `from` is written at the group that they begin
        self.note_groups(plan.nodes)
        self.name_distant_rows()

    def note_groups(self, nodes: Iterable[TreeNode]) -> None:
        """Remember the paths of groups and repeats, whose value is that of their last row."""
        for node in nodes:
            if node.path and (node.nodes or node.members) and not node.is_spliced:
                last = list(node.list_rows())[-1]
                self.group_ends.setdefault(last, node.path)
                self.group_paths.append(node.path)
            self.note_groups(node.nodes)

    def name_distant_rows(self) -> None:
        """Give a name to every row without one that is read from elsewhere than the next row."""
        taken = {
            part for row in self.rows for part in row.path.split(".")
        }  # a name in a group hides one outside
        taken |= {entry.name for entry in self.plan.instances[0].inputs}
        reads = [(i, s) for i, row in enumerate(self.rows) for s in row.sources]
        reads += [(-1, s) for s in self.plan.outputs]
        last = len(self.rows) - 1
        for reader, source in reads:
            if source.kind != "row" or source.index in self.group_ends:
                continue
            is_next = reader == source.index + 1 or (
                reader == -1 and source.index == last and len(self.plan.outputs) == 1 and not any(self.orders)
            )
            row = self.rows[source.index]
            if row.path or (is_next and not source.part):
                continue
            step = row.first
            hint = step.hint or self.name_table(step, reader, source) or HINTS.get(step.op, step.op)
            wanted = hint if find_name_problem(hint) is None and hint.isidentifier() else f"{step.op}_1"
            row.path = row.shown = number_name(wanted, taken)
            taken.add(row.path)

    def name_table(self, step: Step, reader: int, source: RowSource) -> str:
        """Return what a table is for the step that reads it: an index, or a mask that is added; else nothing."""
        if step.op != "const" or reader < 0:
            return ""
        row = self.rows[reader]
        roles = dict(zip(row.sources, row.first.roles, strict=False))
        return "mask" if row.first.op == "add" else TABLE_NAMES.get(roles.get(source, ""), "")

    # --------------------------------------------------------------------------------------- references

    def refer(self, source: RowSource, reader: int, names: bool = False) -> str:
        """Return how a row refers to a value; with `names`, by its name rather than by `prev`."""
        if source.kind == "input":
            return self.plan.instances[0].inputs[source.index].name
        path = self.group_ends.get(source.index, "") or self.rows[source.index].path
        if source.part:
            return f"{path}.{source.part}"
        is_before = source.index == reader - 1
        is_shown = bool(path) and not path.rpartition(".")[2].isdigit()
        return path if path and (not is_before or (names and is_shown)) else "prev"

    def find_reused(self, step: Step) -> str:
        """Return the path of what a step uses again. Raises Unsupported SB966."""
        if isinstance(step.reused, str):
            if step.reused in self.group_paths:
                return step.reused
        else:
            path = next((row.path for row in self.rows if step.reused in row.steps.values()), "")
            if path:
                return path
        raise Unsupported("weights that are used again, of a group that has become several", code="SB966")

    # -------------------------------------------------------------------------------------------- steps

    def write_nodes(self, nodes: Sequence[TreeNode], indent: int) -> Iterator[str]:
        for node in nodes:
            if node.row is not None:
                yield from self.write_row(node, indent)
            elif node.members:
                yield from self.write_repeat(node, indent)
            else:
                yield from self.write_group(node, indent)

    def write_group(self, node: TreeNode, indent: int) -> Iterator[str]:
        """Yield a group. What its first step reads is what the group reads, so that it can be left out or used again."""
        pad = " " * indent
        first = next(node.list_rows())
        source = self.single_source(first)
        yield f"{pad}- do:"
        if source:
            self.given_by_group.add(first)
        yield from self.write_nodes(node.nodes, indent + 4)
        if source:
            yield f"{pad}  from: {source}"
        if node.others:
            yield from self.write_length(node, indent)
        yield from self.write_keys(node, indent)

    def write_length(self, node: TreeNode, indent: int) -> Iterator[str]:
        """Yield how often a step or group is repeated, and what its members are called."""
        yield f"{' ' * indent}  repeat: {write_scalar(node.length, in_flow=False)}"
        if node.names:
            yield f'{" " * indent}  names: "{node.names}"'
        if node.is_spliced:
            yield f"{' ' * indent}  splice: true"

    def single_source(self, number: int) -> str:
        """Return what a row with one input reads, if it is not the value before."""
        row = self.rows[number]
        if len(row.sources) != 1 or self.reads_before(number) or number in self.given_by_group:
            return ""
        return self.refer(row.sources[0], number)

    def reads_before(self, number: int) -> bool:
        """Return whether a row with one input reads the value before it, or the only input if it is the first."""
        source = self.rows[number].sources[0]
        if source.kind == "input":
            return number == 0 and len(self.plan.instances[0].inputs) == 1
        return source.index == number - 1 and not source.part

    def write_keys(self, node: TreeNode, indent: int) -> Iterator[str]:
        pad = " " * (indent + 2)
        if node.name and not node.is_spliced:
            yield f"{pad}as: {node.name}"
        if node.when:
            yield f"{pad}when: {write_scalar(node.when, in_flow=False)}"

    def write_repeat(self, node: TreeNode, indent: int) -> Iterator[str]:
        number = node.members[0]
        step = self.rows[number].first
        yield from self.write_head(step, self.shown_attributes(step, node.attributes), indent, True)
        if len(step.roles) > 1:
            first, *others = self.rows[number].sources
            refs = [self.refer(first, number, names=True), *(self.refer(s, -99) for s in others)]
            yield f"{' ' * indent}  from: {write_scalar(dict(zip(step.roles, refs, strict=True)))}"
        elif source := self.single_source(number):
            yield f"{' ' * indent}  from: {source}"
        yield from self.write_length(node, indent)
        yield from self.write_keys(node, indent)

    def write_row(self, node: TreeNode, indent: int) -> Iterator[str]:
        assert node.row is not None
        row = self.rows[node.row]
        step, keys = row.first, []
        attributes: Any = self.shown_attributes(step, row.attributes)
        if row.length_of is not None:
            length = {"T": f"{self.refer(row.length_of, -99)}.T"}
            attributes = attributes | {"axes": attributes["axes"] | length}
        refs = [self.refer(s, node.row, names=len(row.sources) > 1) for s in row.sources]
        if step.reused is not None:
            attributes = self.find_reused(step)
        if step.reused is not None or step.instance is not None:
            if step.roles:
                keys.append(f"from: {write_scalar(dict(zip(step.roles, refs, strict=True)))}")
            elif source := self.single_source(node.row) if refs else "":
                keys.append(f"from: {source}")
        elif step.roles:
            named = dict(zip(step.roles, refs, strict=True))
            before = named.pop("x", "prev")  # an op has no attribute for its main input
            if before != "prev":
                keys.append(f"from: {before}")
            attributes = named | attributes
        elif step.op in VARIADIC:
            attributes = {"of": refs, **attributes} if attributes else refs
        elif refs and (source := self.single_source(node.row)):
            keys.append(f"from: {source}")
        node.name = node.name or row.shown
        keys += [line.strip() for line in self.write_keys(node, indent)]
        yield from self.write_head(step, attributes, indent, bool(keys))
        yield from (f"{' ' * indent}  {key}" for key in keys)

    def write_head(self, step: Step, attributes: Any, indent: int, has_keys: bool) -> Iterator[str]:
        """Yield the first line of a step, or several if its attributes are long."""
        pad = " " * indent
        head = "reuse" if step.reused is not None else WRITTEN_AS.get(step.op, step.op)
        if step.instance is not None and step.reused is None:
            head = self.plans.places[step.instance][0].name
        if not attributes:
            yield f"{pad}- {head}:" if has_keys else f"{pad}- {head}"
            return
        line = f"{pad}- {head}: {write_scalar(attributes)}"
        if len(line) <= WIDTH or not isinstance(attributes, Mapping):
            yield line
            return
        yield f"{pad}- {head}:"
        for key, value in attributes.items():
            line = f"{pad}    {key}: {write_scalar(value)}"
            if len(line) <= WIDTH or not isinstance(value, str):
                yield line
                continue
            yield f"{pad}    {key}: >-"
            yield from (f"{pad}      {part}" for part in wrap(value, WIDTH - len(pad) - 6))

    def shown_attributes(self, step: Step, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the attributes that are not as by default, without names of axes that are."""
        defaults = self.plans.default_values(step)
        always = ALWAYS_WRITTEN.get(step.op, ())
        return {
            key: value
            for key, value in attributes.items()
            if key in always or key not in defaults or not is_default_value(value, defaults[key])
        }


def is_default_value(value: Any, default: Any) -> bool:
    return bool(value == default) and isinstance(value, bool) == isinstance(default, bool)


# ------------------------------------------------------------------------------------------------- documents


def write_spec(model_name: str, plans: Plans, doc: str = "", orders: Sequence[Sequence[str]] = ()) -> str:
    """Return the text of the spec. `orders` are those of the axes of each output, where it is not the usual one."""
    model = plans.plans[-1]
    lines = ["specbuild: 1", f"model: {model_name}"]
    if doc:
        lines.append(f"doc: {write_scalar(doc, in_flow=False)}")
    if model.params:
        lines += ["", "params:"]
        lines += [f"  {name}: {write_scalar(model.defaults[name], in_flow=False)}" for name in model.params]
    if plans.plans[:-1]:
        lines += ["", "blocks:"]
    for plan in plans.plans[:-1]:
        lines += [*write_block(plan, plans), ""]
    if not plans.plans[:-1]:
        lines.append("")
    lines.append("inputs:")
    for entry in model.instances[0].inputs:
        dtype = "" if entry.dtype == "float" else entry.dtype
        content: dict[str, Any] = {"axes": entry.axes, "dtype": dtype} if dtype else entry.axes
        lines.append(f"  {entry.name}: {write_scalar(content)}")
    writer = BlockWriter(model, plans, orders)
    lines += ["", "steps:", *writer.write_nodes(model.nodes, 2)]
    if outputs := write_result_names(writer):
        lines += ["", f"outputs: {outputs}"]
    return "\n".join(lines) + "\n"


def write_block(plan: BlockPlan, plans: Plans) -> Iterator[str]:
    yield f"  {plan.name}:"
    if plan.params:
        params = {n: plan.defaults.get(n, param_type(column)) for n, column in plan.params.items()}
        yield f"    params: {write_scalar(params)}"
    inputs = describe_inputs(plan.instances)
    if inputs or not plan.instances[0].inputs:
        yield f"    inputs: {write_scalar(inputs)}"
    writer = BlockWriter(plan, plans)
    yield "    steps:"
    yield from writer.write_nodes(plan.nodes, 6)
    if outputs := write_result_names(writer):
        yield f"    outputs: {outputs}"


def param_type(column: Sequence[Any]) -> str:
    if all(isinstance(v, bool) for v in column):
        return "bool"
    return "int" if all(isinstance(v, int) for v in column) else "float"


def describe_inputs(instances: Sequence[Instance]) -> dict[str, list[str]]:
    """Return the axes of the inputs; empty for a single input `x` whose axes differ."""
    described = {}
    for i, entry in enumerate(instances[0].inputs):
        axes = [list(instance.inputs[i].axes) for instance in instances]
        described[entry.name] = order_axes(axes[0]) if all(set(a) == set(axes[0]) for a in axes) else ["..."]
    return {} if described == {"x": ["..."]} else described


def order_axes(axes: list[str]) -> list[str]:
    """Return axes as they are usually written: channels first in maps, last in sequences."""
    if "C" not in axes:
        return axes
    is_map, others = any(a in ("D", "H", "W") for a in axes), [a for a in axes if a != "C"]
    return ["C", *others] if is_map else [*others, "C"]


def write_result_names(writer: BlockWriter) -> str:
    """Return what a block or model gives, if it is not the value of its last step."""
    outputs, last = writer.plan.outputs, len(writer.rows) - 1
    if len(outputs) == 1 and outputs[0] == RowSource("row", last) and not any(writer.orders):
        return ""
    names = ["out"] if len(outputs) == 1 else [f"out{i}" for i in range(len(outputs))]
    result = writer.plan.instances[0].call.result
    is_model = writer.plan is writer.plans.plans[-1]
    if is_model and isinstance(result, dict) and len(result) == len(outputs):
        names = [n if find_name_problem(n) is None else own for n, own in zip(result, names, strict=True)]
    described = {}
    for name, source, order in zip(names, outputs, writer.orders, strict=True):
        reference = writer.refer(source, -99)
        described[name] = {"of": reference, "order": order} if order else reference
    return write_scalar(described)
