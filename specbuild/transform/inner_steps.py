"""Looks into a block that another one calls, and changes its steps for this call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from specbuild.expressions import translate_expression
from specbuild.ir.graph import Block, Node, Skip
from specbuild.ops.base import Op
from specbuild.ops.convolution import BIAS, KERNEL
from specbuild.ops.norm import BatchNorm
from specbuild.transform.block_rewriter import BlockRewriter, RewrittenBlock
from specbuild.transform.formulas import Affine, relocate_affine
from specbuild.transform.linear_steps import LinearStep, change_attributes

T = TypeVar("T", bound=Op)


class OnlyStep(Struct, frozen=True):
    """The only step of a block, as the block around sees it: a linear step, or a batch norm."""

    linear: LinearStep | None = None
    norm: tuple[BatchNorm, Affine] | None = None


def open_block(rewritten: RewrittenBlock) -> BlockRewriter:
    """Return a rewritten block for more changes."""
    rewriter = BlockRewriter(rewritten.block, rewritten.shared, dict(rewritten.inner), rewritten.origin)
    rewriter.weights = dict(rewritten.weights)
    rewriter.passed = set(rewritten.passed)
    rewriter.changes = list(rewritten.changes)
    return rewriter


def find_only_step(rewriter: BlockRewriter, name: str) -> OnlyStep | None:
    """Return what the call of a block computes, if the block has one step beside those that are skipped."""
    node = rewriter.nodes[name]
    if not isinstance(node.op, Block) or node.scan is not None or node.op not in rewriter.inner:
        return None
    inner = open_block(rewriter.inner[node.op])
    steps = [step for step in inner.nodes.values() if not isinstance(step.op, Skip)]
    if len(steps) != 1 or len(inner.block.outputs) != 1 or len(inner.block.inputs) != 1 or inner.shared:
        return None
    [step], [output] = steps, inner.block.outputs.values()
    reads = [inner.source(step, i) for i in range(len(step.inputs))]
    if inner.resolve(output.ref) != step.name or step.reuses or reads != list(inner.block.inputs):
        return None
    if (linear := inner.find_linear(step.name)) is not None:
        return OnlyStep(replace(linear.relocate_step(name), op=translate_attributes(linear.op, node)))
    if (norm := inner.find_norm(step.name)) is not None:
        return OnlyStep(norm=(norm[0], relocate_affine(norm[1], name)))
    return None


def translate_attributes(op: T, call: Node) -> T:
    """Return an op of an inner block with its attributes as expressions of the block that calls it."""

    def translate(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: translate(item) for key, item in value.items()}
        return translate_expression(value, call.args)

    return change_attributes(op, **{name: translate(value) for name, value in vars(op).items()})


class LastStep(Struct, frozen=True):
    """The linear step that gives the only output of a block, maybe inside further blocks."""

    path: tuple[str, ...]  # the steps that lead to it
    linear: LinearStep  # its weights by paths in the block


def find_last_step(rewritten: RewrittenBlock) -> LastStep | str:
    """Return the linear step that gives the only output of a block, or why there is none that can be changed."""
    inner = open_block(rewritten)
    if len(inner.block.outputs) != 1:
        return "it has several outputs"
    [output] = inner.block.outputs.values()
    name = inner.resolve(output.ref)
    node = inner.nodes.get(name.partition("@")[0])
    if node is None:
        return "it gives its input"
    if output.order or node.scan is not None:
        return "its output has another order"
    if obstacle := inner.obstacle(node.name):
        return f"in it, {obstacle}"
    if (linear := inner.find_linear(node.name)) is not None:
        return LastStep((node.name,), linear)
    if isinstance(node.op, Block) and node.op in inner.inner:
        last = find_last_step(inner.inner[node.op])
        if isinstance(last, str):
            return last
        path, linear = (node.name, *last.path), last.linear.relocate_step(node.name)
        known = inner.weights.get(".".join(path))
        return LastStep(
            path, linear if known is None else LinearStep(linear.op, known[KERNEL], known.get(BIAS))
        )
    return f"it ends with `{node.op.name if isinstance(node.op, Op | Block) else node.name}`"


def refine_last_step(rewritten: RewrittenBlock, has_bias: bool) -> RewrittenBlock:
    """Return a block whose last linear step has a bias or none; unchanged if it has no such step.

    The formulas of its weights are left to the block around.
    """
    if has_bias not in rewritten.refined:
        last = find_last_step(rewritten)
        refined = rewritten if isinstance(last, str) else replace_last_step(rewritten, last.path[0], has_bias)
        block = replace(refined.block, form="with a bias" if has_bias else "without a bias")
        rewritten.refined[has_bias] = replace(refined, block=block, has_last_bias=has_bias)
    return rewritten.refined[has_bias]


def replace_last_step(rewritten: RewrittenBlock, name: str, has_bias: bool) -> RewrittenBlock:
    rewriter = open_block(rewritten)
    node = rewriter.nodes[name]
    if isinstance(node.op, Block):
        rewriter.put_block(name, refine_last_step(rewriter.inner[node.op], has_bias))
    elif isinstance(node.op, Op):
        rewriter.nodes[name] = replace(node, op=change_attributes(node.op, bias=has_bias))
    return rewriter.finish()
