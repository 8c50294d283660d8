"""Folds what multiplies and shifts each channel into the linear step before it, or after it where that is exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from specbuild.expressions import concrete
from specbuild.ir.graph import Block, Node, Skip
from specbuild.ops.base import Op
from specbuild.ops.convolution import BIAS, KERNEL, ConvTranspose
from specbuild.ops.math import Scale
from specbuild.ops.merge import Multiply
from specbuild.ops.table import Weight
from specbuild.ops.types import CHANNEL
from specbuild.transform.block_rewriter import BlockRewriter
from specbuild.transform.formulas import Affine, FindWeight, Formula, weight_formula
from specbuild.transform.inner_steps import LastStep, find_last_step, refine_last_step
from specbuild.transform.linear_steps import LinearStep

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]


class ChannelStep(Struct, frozen=True):
    """A step that multiplies and shifts each position of one axis; of all axes, if `axis` is empty."""

    name: str
    source: str
    axis: str
    affine: Affine
    factor: str = ""  # the step of the learned factor of a product


def find_channel_step(rewriter: BlockRewriter, node: Node) -> ChannelStep | None:
    """Return a batch norm, a `scale`, or a product with a learned factor for each channel; None for other steps."""
    source = rewriter.source(node)
    if source is None or not isinstance(node.op, Op):
        return None
    if (norm := rewriter.find_norm(node.name)) is not None:
        return ChannelStep(node.name, source, norm[0].over, norm[1])
    if isinstance(node.op, Scale):
        return ChannelStep(node.name, source, "", scale_affine(node.op))
    if isinstance(node.op, Multiply) and len(node.inputs) == 2:
        return find_layer_scale(rewriter, node)
    return None


def scale_affine(op: Scale) -> Affine:
    """Return what a `scale` computes; its numbers are fixed."""
    return Affine(
        fixed_formula(concrete(op.by)), fixed_formula(concrete(op.plus)) if concrete(op.plus) else None
    )


def fixed_formula(value: float) -> Formula:
    """Return the formula of one number for all channels."""

    def fill_number(find: FindWeight) -> Array:
        import numpy as np  # imported late: to compile needs no arrays

        return np.full(1, float(value))

    return fill_number


def find_layer_scale(rewriter: BlockRewriter, node: Node) -> ChannelStep | None:
    """Return a product with a learned weight that has one number for each position of one axis."""
    if not rewriter.block.inputs:
        return None
    for factor, value in ((0, 1), (1, 0)):
        weight, source = (rewriter.source(node, i) for i in (factor, value))
        step = rewriter.nodes.get(weight or "")
        if step is None or source is None or not isinstance(step.op, Weight) or step.reuses:
            continue
        if len(step.op.axes) == 1 and not rewriter.obstacle(step.name):
            [axis] = step.op.axes
            value_type = rewriter.value_type(source)
            if axis in value_type and concrete(value_type[axis]) == concrete(step.op.axes[axis]):
                return ChannelStep(
                    node.name, source, axis, Affine(weight_formula(f"{step.name}.value"), None), step.name
                )
    return None


def fold_channel_step(rewriter: BlockRewriter, name: str) -> bool:
    """Fold a step that multiplies and shifts channels into a linear step beside it; return whether there is one."""
    step = find_channel_step(rewriter, rewriter.nodes[name])
    if step is None:
        return False
    if not explain_previous(rewriter, step):
        fold_into_previous(rewriter, step)
        return True
    if rewriter.find_norm(name) is not None and not explain_next(rewriter, step):
        fold_into_next(rewriter, step)
        return True
    return False


def fold_into_previous(rewriter: BlockRewriter, step: ChannelStep) -> None:
    """Fold a step into the linear step before it, which may lie inside a block."""
    target = rewriter.nodes[step.source.partition("@")[0]]
    path: tuple[str, ...] = (target.name,)
    if isinstance(target.op, Block):
        rewritten = rewriter.inner[target.op]
        last = find_last_step(rewritten)
        assert isinstance(last, LastStep)
        path = (target.name, *last.path)
        known = rewriter.weights.get(".".join(path))
        linear = last.linear.relocate_step(target.name)
        if known is not None:
            linear = LinearStep(linear.op, known[KERNEL], known.get(BIAS))
        linear = linear.fold_after(step.affine)
        rewriter.put_block(target.name, refine_last_step(rewritten, linear.bias is not None))
        rewriter.weights[".".join(path)] = linear.weights
    else:
        found = rewriter.find_linear(target.name)
        assert found is not None
        rewriter.put_linear(target.name, found.fold_after(step.affine))
    rewriter.note("folded", step.name, ".".join(path))
    rewriter.pass_by(step.name, target.name)
    drop_factor(rewriter, step)


def drop_factor(rewriter: BlockRewriter, step: ChannelStep) -> None:
    """Skip the learned factor of a product that was folded, which nothing reads any more."""
    if step.factor:
        rewriter.pass_by(step.factor, next(iter(rewriter.block.inputs)))


def fold_into_next(rewriter: BlockRewriter, step: ChannelStep) -> None:
    """Fold a batch norm into the linear step that reads it."""
    target = next_step(rewriter, step)
    assert target is not None
    linear = rewriter.find_linear(target.name)
    assert linear is not None
    rewriter.put_linear(target.name, linear.fold_before(step.affine))
    rewriter.note("folded", step.name, target.name)
    rewriter.pass_by(step.name, step.source)


def explain_previous(rewriter: BlockRewriter, step: ChannelStep) -> str:
    """Return why a step cannot be folded into the one before it; empty if it can."""
    name, _, output = step.source.partition("@")
    target = rewriter.nodes.get(name)
    if target is None:
        return f"it reads the input `{name}` of the block"
    if output:
        return f"`{name}` has several results"
    if not rewriter.is_private(step.name):
        return "other steps use its weights too"
    axis = CHANNEL
    if isinstance(target.op, Block) and target.op in rewriter.inner and target.scan is None:
        last = find_last_step(rewriter.inner[target.op])
        if isinstance(last, str):
            return f"`{name}` comes before it: {last}"
        axis = last.linear.output_axis
    elif (linear := rewriter.find_linear(name)) is not None:
        axis = linear.output_axis
    else:
        return f"`{name_operation(target)}` comes before it, which is no convolution and no linear layer"
    if step.axis not in (axis, ""):
        return (
            f"it has a number for each position of {step.axis}, and `{name}` gives its outputs along {axis}"
        )
    return rewriter.obstacle(name)


def explain_next(rewriter: BlockRewriter, step: ChannelStep) -> str:
    """Return why a batch norm cannot be folded into the step after it; empty if it can."""
    if rewriter.readers[step.name] > 1:
        return "several steps, or the outputs, read it"
    target = next_step(rewriter, step)
    linear = rewriter.find_linear(target.name) if target is not None else None
    if target is None or linear is None:
        return "no convolution or linear layer comes after it"
    if not rewriter.is_private(step.name) or not rewriter.is_private(target.name):
        return "other steps use the same weights"
    if step.axis != linear.output_axis:
        return f"`{target.name}` reads along {linear.output_axis}"
    if isinstance(linear.op, ConvTranspose):
        return f"`{target.name}` adds up a different number of values at each position"
    if linear.pads_with_zeros(rewriter.value_type(step.name)):
        return f"`{target.name}` after it pads with zeros, which are not normalised"
    return ""


def next_step(rewriter: BlockRewriter, step: ChannelStep) -> Node | None:
    """Return the only step that reads a step; None if there is none, or if it reads it as a further input."""
    for node in rewriter.nodes.values():
        if not isinstance(node.op, Skip) and rewriter.source(node) == step.name:
            return node
    return None


def explain_left_norm(rewriter: BlockRewriter, name: str) -> str:
    """Return why a batch norm was not folded; empty for another step."""
    step = find_channel_step(rewriter, rewriter.nodes[name])
    if step is None or rewriter.find_norm(name) is None:
        return ""
    before, after = explain_previous(rewriter, step), explain_next(rewriter, step)
    return f"{before}; {after}"


def name_operation(node: Node) -> str:
    """Return the name of a step's op, or of its block."""
    return node.op.name if isinstance(node.op, Op | Block) else node.name
