"""A block that is applied to one position of an axis after another, and may carry a state from each to the next.

Outputs that have the name of an input are the state. Of the other inputs, those with the axis are read
position by position, and the rest stay the same. The other outputs are stacked along the axis. A block without
a state gets all positions at once, as samples of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from specbuild.diagnostics.suggestions import join_names
from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.expression_env import ExpressionEnv
from specbuild.elaborate.instances import MissingBatchError
from specbuild.elaborate.values import read_attribute
from specbuild.expressions import concrete
from specbuild.frontend.document import BlockDef, StepDef
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Block, Scan
from specbuild.ops.attribute_kinds import AxisName, Boolean
from specbuild.ops.types import TensorType


def read_scan(
    scope: BlockScope, step: StepDef, definition: BlockDef, inputs: Mapping[str, TensorType]
) -> Scan:
    """Return how a step scans its inputs. Raises SB404 for an input without the axis, SB210 for an order without a state."""
    at, env = step.at.child("scan"), ExpressionEnv(scope)
    raw = step.scan if isinstance(step.scan, Mapping) else {"over": step.scan}
    axis_at = at.child("over") if isinstance(step.scan, Mapping) else at
    over = read_attribute(AxisName(), raw["over"], axis_at, env)
    reverse = read_attribute(Boolean(), raw.get("reverse", False), at.child("reverse"), env)
    outputs = definition.outputs if isinstance(definition.outputs, Mapping) else {}
    carried = tuple(name for name in inputs if name in outputs)
    sliced = tuple(name for name, x in inputs.items() if name not in carried and over in x)
    if not carried:
        check_stateless(definition, over, reverse, inputs, at)
    elif not sliced:
        others = join_names(name for name in inputs if name not in carried)
        raise at.error(
            "SB404",
            f"no input of {definition.name} has an axis {over} to scan",
            f"the state is {join_names(carried)}; the other inputs are {others}" if others else "",
            key=True,
        )
    for name in carried:
        if over in inputs[name]:
            message = f"the state {name} {inputs[name]} has the axis {over}, along which {definition.name} is applied"
            hint = f"begin with one position, for example that of `slice: {{over: {over}, at: 0}}`; if each position "
            hint += "needs all of them, `rename` this axis of the state"
            raise at.error("SB404", message, hint, key=True)
    for name in sliced:
        if "." in name:
            head = name.partition(".")[0]
            message = f"{head} is a list of inputs, and a scan reads single ones along {over}"
            raise at.error(
                "SB401", message, "stack them before, or give the block an input for each", key=True
            )
    first = inputs[sliced[0]]
    for name in sliced:
        if inputs[name][over] != first[over]:
            raise at.error(
                "SB401",
                f"{sliced[0]} {first} and {name} {inputs[name]} have different sizes of {over}",
                key=True,
            )
    return Scan(over, first[over], sliced, carried, reverse)


def check_stateless(
    definition: BlockDef, over: str, reverse: bool, inputs: Mapping[str, TensorType], at: SourceAddress
) -> None:
    """Raise an error for a block without a state that has an order, or an input without the axis `over`."""
    state = f"{next((name for name, x in inputs.items() if over not in x), next(iter(inputs), 'h'))}: ..."
    nothing = f"{definition.name} carries nothing from one position to the next"
    if reverse:
        message = f"{nothing}, so it has no order to reverse"
        hint = f"leave out `reverse`; or name the state like its input: `outputs: {{{state}}}`"
        raise at.error("SB210", message, hint, key=True)
    sizes = {name: x[over] for name, x in inputs.items() if over in x}
    if not sizes:
        message = f"no input of {definition.name} has an axis {over} to scan"
        raise at.error("SB404", message, "leave out `scan`", key=True)
    without = [name for name in inputs if name not in sizes]
    if without:
        has = "has no" if len(without) == 1 else "have no"
        message = f"{nothing}, so all its inputs need the axis {over}, and {join_names(without)} {has} {over}"
        size = concrete(next(iter(sizes.values())))
        hint = f"if {without[0]} is a state, name an output like it: `outputs: {{{state}}}`; else repeat it before: "
        raise at.error("SB404", message, f"{hint}`expand: {{axes: {{{over}: {size}}}}}`", key=True)


def resize_scan(step: StepDef, scan: Scan, inputs: Mapping[str, TensorType]) -> Scan:
    """Return the scan for other inputs of the same block. Raises SB401 if they do not have the axis in one size."""
    sizes = {name: inputs[name].sizes.get(scan.over) for name in scan.sliced}
    size = sizes[scan.sliced[0]]
    if size is None or any(other != size for other in sizes.values()):
        found = join_names(f"{name} {inputs[name]}" for name in scan.sliced)
        raise step.error("SB401", f"the scan needs one size of the axis {scan.over}; got {found}")
    return replace(scan, size=size)


def slice_inputs(
    scope: BlockScope, step: StepDef, scan: Scan, inputs: Mapping[str, TensorType]
) -> dict[str, TensorType]:
    """Return the types that the block gets at each position; all of them have a batch.

    Raises MissingBatchError if nothing in the scope has a batch.
    """
    if not scope.has_batch:
        error = step.error("SB401", "a scan needs a batch, and no value here has one")
        raise MissingBatchError(error.code, error.message, error.location, error.hint)
    return {
        name: (x.without_axes(scan.over) if name in scan.sliced else x).with_batch()
        for name, x in inputs.items()
    }


def check_state(step: StepDef, scan: Scan, block: Block) -> None:
    """Raise SB401 if a round gives a state of another type than it gets."""
    for name in scan.carried:
        before, after = block.inputs[name], block.outputs[name].type
        if not after.has_same_sizes(before) or after.dtype != before.dtype or not after.batched:
            same = " without a batch" if not after.batched else ""
            raise step.at.child("scan").error(
                "SB401",
                f"{block.name} gets the state {name} as {before}, and gives it as {after}{same}",
                "the next position needs the same type",
                key=True,
            )
