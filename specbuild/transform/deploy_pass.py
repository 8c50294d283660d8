"""The pass: rewrites every block of a model into the form that is run and no longer trained."""

from __future__ import annotations

from collections.abc import Mapping

from specbuild.ir.graph import Block, Skip, definition_key, find_origin
from specbuild.ops.base import Op
from specbuild.transform.block_rewriter import BlockRewriter, RewrittenBlock
from specbuild.transform.fold_affine import explain_left_norm, fold_channel_step
from specbuild.transform.merge_branches import merge_added_branches

SharedSteps = Mapping[str, frozenset[str]]  # of each definition: the steps whose weights others use


class DeployPass:
    """Rewrites blocks, inner ones first; one instance is rewritten once."""

    def __init__(self, shared: SharedSteps) -> None:
        self.shared = shared
        self.rewritten: dict[Block, RewrittenBlock] = {}

    def rewrite_block(self, block: Block) -> RewrittenBlock:
        """Return a block without batch norms, parallel branches and dropout, where that is exact."""
        if block not in self.rewritten:
            self.rewritten[block] = self.rewrite_steps(block)
        return self.rewritten[block]

    def rewrite_steps(self, block: Block) -> RewrittenBlock:
        shared = self.shared.get(definition_key(block), frozenset())
        rewriter = BlockRewriter(block, shared, origin=block)
        for name, node in list(rewriter.nodes.items()):
            if isinstance(node.op, Block):
                rewriter.put_block(name, self.rewrite_block(node.op))
        for name in list(rewriter.nodes):
            remove_training_step(rewriter, name)
        is_changed = True
        while is_changed:
            changes = [simplify_step(rewriter, name) for name in list(rewriter.nodes)]
            is_changed = any(changes)
        for name in rewriter.nodes:
            if reason := explain_left_norm(rewriter, name):
                rewriter.note("left", name, reason)
        return rewriter.finish()


def remove_training_step(rewriter: BlockRewriter, name: str) -> None:
    """Skip a step that does nothing outside of training, or a block in which no such step is left."""
    node = rewriter.nodes[name]
    source = rewriter.source(node)
    if isinstance(node.op, Op) and node.op.family == "dropout" and source is not None:
        rewriter.note("removed", name, "it does nothing outside of training")
        rewriter.pass_by(name, source)
    elif isinstance(node.op, Block) and source is not None and gives_its_input(node.op) and node.scan is None:
        rewriter.pass_by(name, source)


def gives_its_input(block: Block) -> bool:
    """Return whether a block gives its only input."""
    if len(block.outputs) != 1 or len(block.inputs) != 1:
        return False
    [output] = block.outputs.values()
    return not output.order and BlockRewriter(block).resolve(output.ref) in block.inputs


def simplify_step(rewriter: BlockRewriter, name: str) -> bool:
    """Apply the first rule that fits a step; return whether there is one."""
    if isinstance(rewriter.nodes[name].op, Skip):
        return False
    return fold_channel_step(rewriter, name) or merge_added_branches(rewriter, name)


def find_reused_weights(blocks: list[Block]) -> tuple[dict[str, frozenset[str]], frozenset[str]]:
    """Return the steps whose weights others use, by definition; and the definitions with steps that others name."""
    shared: dict[str, set[str]] = {}
    named: set[str] = set()
    for block in blocks:
        for node in block.nodes:
            if node.reuses is None:
                continue
            way, holder, origin = find_origin(block, node.reuses)
            shared.setdefault(definition_key(holder), set()).add(origin.name)
            inner = block
            for step in way:
                named.add(definition_key(inner))
                shared.setdefault(definition_key(inner), set()).add(step)
                found = inner.nodes_by_name[step].op
                assert isinstance(found, Block)
                inner = found
            if way:
                named.add(definition_key(holder))
    return {key: frozenset(names) for key, names in shared.items()}, frozenset(named)
