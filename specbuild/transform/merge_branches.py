"""Merges parallel branches that are added up: linear steps, batch norms and the value itself become one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from specbuild.expressions import concrete
from specbuild.ir.graph import Node, Ref
from specbuild.ops.base import Op
from specbuild.ops.convolution import Conv, Linear
from specbuild.ops.merge import Add
from specbuild.ops.types import CHANNEL, TensorType
from specbuild.transform.block_rewriter import BlockRewriter
from specbuild.transform.branch_windows import (
    BranchWindow,
    cover_windows,
    leading_taps,
    point_window,
    read_window,
)
from specbuild.transform.formulas import Affine, FindWeight, Formula
from specbuild.transform.inner_steps import find_only_step
from specbuild.transform.kernel_arithmetic import identity_kernel, place_kernel, scale_outputs
from specbuild.transform.linear_steps import LinearStep, change_attributes

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]


class Branch(Struct, frozen=True):
    """A value that is added: a linear step, or the value at the base, with a batch norm or without."""

    name: str  # its step; empty for the value itself
    base: Ref  # what it reads
    linear: LinearStep | None = None
    affine: Affine | None = None  # of a batch norm


def merge_added_branches(rewriter: BlockRewriter, name: str) -> bool:
    """Merge branches that a step adds up; return whether there are any."""
    node = rewriter.nodes[name]
    if not isinstance(node.op, Add) or node.op.broadcast or not rewriter.is_private(name):
        return False
    values = [rewriter.source(node, i) for i in range(len(node.inputs))]
    branches = [find_branch(rewriter, value, name) for value in values if value is not None]
    for base in dict.fromkeys(branch.base for branch in branches):
        group = [b for b in branches if b.base == base]
        if len(group) < 2 or not any(b.linear for b in group):
            continue
        merged = merge_linear(rewriter, group)
        if isinstance(merged, str):
            remember_reason(rewriter, name, merged)
        else:
            put_merged(rewriter, node, group, branches, merged)
            return True
    return False


def remember_reason(rewriter: BlockRewriter, name: str, reason: str) -> None:
    """Note once why the branches of a sum stay."""
    if not any(change.step == name for change in rewriter.changes):
        rewriter.note("left", name, reason)


def find_branch(rewriter: BlockRewriter, value: Ref, name: str) -> Branch:
    """Return what is added: a value that no branch explains is one by itself."""
    node = rewriter.nodes.get(value)
    if node is None or rewriter.obstacle(value) or len(node.inputs) != 1:
        return Branch("", value)
    base = rewriter.source(node)
    assert base is not None
    linear, norm = rewriter.find_linear(value), rewriter.find_norm(value)
    if (only := find_only_step(rewriter, value)) is not None:
        linear, norm = only.linear, only.norm
    if linear is not None and isinstance(linear.op, Conv | Linear):
        return Branch(value, base, linear)
    if norm is not None and norm[0].over == CHANNEL:
        return Branch(value, base, affine=norm[1])
    return Branch("", value)


class Merged(Struct, frozen=True):
    """The step that computes the sum of several branches. It becomes the step of `main`."""

    main: Branch
    step: LinearStep


def merge_linear(rewriter: BlockRewriter, group: Sequence[Branch]) -> Merged | str:
    """Return the step that computes the sum of these branches, or why there is none."""
    x = rewriter.value_type(group[0].base)
    ops = [b.linear.op for b in group if b.linear is not None]
    if all(isinstance(op, Linear) for op in ops):
        return sum_linear_layers(group, x)
    if not all(isinstance(op, Conv) for op in ops):
        return "a convolution and a linear layer are added"
    return sum_convolutions(group, x)


def sum_linear_layers(group: Sequence[Branch], x: TensorType) -> Merged | str:
    """Return the linear layer that computes the sum of several, of batch norms and of the value itself."""
    main = next(b for b in group if b.linear is not None)
    assert main.linear is not None
    if any(b.linear is not None and b.linear.output_axis != CHANNEL for b in group):
        return "they are along another axis than C"
    channels = concrete(x[CHANNEL])
    kernels = [b.linear.kernel if b.linear else identity_formula(b.affine, channels, 1, 0) for b in group]
    return Merged(main, main.linear.with_bias(sum_formulas(kernels), sum_biases(group)))


def sum_convolutions(group: Sequence[Branch], x: TensorType) -> Merged | str:
    """Return the convolution that computes the sum of several, of batch norms and of the value itself."""
    steps = [(b, b.linear) for b in group if b.linear is not None]
    ops = [as_conv(step.op) for _, step in steps]
    windows = [window for op in ops if (window := read_window(op, x)) is not None]
    if len(windows) < len(steps):
        return "their padding depends on the size of the input"
    groups = {step.groups for _, step in steps}
    if len(groups) > 1:
        return "they have other groups"
    padded = [op for op, w in zip(ops, windows, strict=True) if any(w.before + w.after)]
    modes = {op.padding_mode for op in padded}
    if len(modes) > 1:
        return "they pad with other values"
    points = point_window(windows[0])
    cover = cover_windows([*windows, points] if len(group) > len(steps) else windows)
    if isinstance(cover, str):
        return cover
    window_of = dict(zip([branch.name for branch, _ in steps], windows, strict=True))
    kernels = []
    for branch in group:
        kernel = branch.linear.kernel if branch.linear else None
        if kernel is None:
            kernel = identity_formula(
                branch.affine, concrete(x[CHANNEL]), next(iter(groups)), len(cover.axes)
            )
        kernels.append(placed_formula(kernel, window_of.get(branch.name, points), cover))
    main, step = max(steps, key=lambda pair: window_of[pair[0].name].tap_count)
    if window_of[main.name] != cover:
        step = replace(step, op=with_window(as_conv(step.op), cover, next(iter(modes), "zeros")))
    return Merged(main, step.with_bias(sum_formulas(kernels), sum_biases(group)))


def with_window(op: Conv, window: BranchWindow, padding_mode: str) -> Conv:
    """Return a convolution with this window."""
    return change_attributes(
        op,
        over=window.axes,
        kernel=window.kernel,
        padding=window.pads,
        dilation=window.dilation,
        padding_mode=padding_mode,
    )


def as_conv(op: Op) -> Conv:
    assert isinstance(op, Conv)
    return op


def put_merged(
    rewriter: BlockRewriter, node: Node, group: Sequence[Branch], branches: Sequence[Branch], merged: Merged
) -> None:
    """Put the merged step in place of its main branch, and skip the others and the sum."""
    main, base = merged.main, group[0].base
    rewriter.put_linear(main.name, merged.step, base)
    rest = [ref for ref, b in zip(node.inputs, branches, strict=True) if b not in group]
    others = [b for b in group if b is not main]
    names = ", ".join(branch.name or base for branch in group)
    rewriter.note("merged", node.name, f"{names} into {main.name}")
    if rest:
        rewriter.drop_reads([b.name or base for b in others])
        rewriter.change_inputs(node.name, (main.name, *rest))
    else:
        rewriter.pass_by(node.name, main.name)
    for branch in others:
        if branch.affine is not None:
            rewriter.note("folded", branch.name, main.name)
        if branch.name:
            rewriter.pass_by(branch.name, base)


# ------------------------------------------------------------------------------------------ formulas


def identity_formula(affine: Affine | None, channels: int, groups: int, window_axes: int) -> Formula:
    """Return the kernel of the value itself, or of its batch norm."""

    def make_kernel(find: FindWeight) -> Array:
        kernel = identity_kernel(channels, groups, window_axes)
        return (
            kernel if affine is None or affine.factor is None else scale_outputs(kernel, affine.factor(find))
        )

    return make_kernel


def placed_formula(kernel: Formula, window: BranchWindow, cover: BranchWindow) -> Formula:
    """Return a kernel among zeros, in a window that covers its own."""
    if window.kernel == cover.kernel:
        return kernel
    return lambda find: place_kernel(kernel(find), leading_taps(window, cover), cover.kernel)


def sum_formulas(formulas: Sequence[Formula]) -> Formula:
    """Return the sum of several weights."""

    def add_values(find: FindWeight) -> Array:
        values = [formula(find) for formula in formulas]
        return sum(values[1:], values[0])

    return add_values


def sum_biases(group: Sequence[Branch]) -> Formula | None:
    """Return the sum of the biases, and of what batch norms add; None if there are none."""
    linear = [b.linear.bias for b in group if b.linear is not None and b.linear.bias is not None]
    shifts = [b.affine.shift for b in group if b.affine is not None and b.affine.shift is not None]
    return sum_formulas([*linear, *shifts]) if linear or shifts else None
