"""The deployed form of a whole model, and how its weights come from those of the model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from specbuild.compiler.graph_weights import node_weights
from specbuild.ir.graph import Block, Skip, Variation, VariationSource, definition_key, distinct_blocks
from specbuild.transform.block_rewriter import RewrittenBlock, StepChange
from specbuild.transform.deploy_pass import DeployPass, find_reused_weights
from specbuild.transform.formulas import Formula, NewWeights, relocate_formula, weight_formula
from specbuild.transform.inner_steps import refine_last_step
from specbuild.transform.tidy_steps import SkippedSteps, TidyBlock, find_skipped_steps, tidy_block


class DeployedRebuild(Struct, frozen=True):
    """Stands for the `rebuild` of a deployed block: `DeployedVariations` builds the block that it came from."""

    origin: Block
    has_last_bias: bool | None

    def __call__(self, params: Mapping[str, Any], sizes: Mapping[str, int]) -> Block:
        assert self.origin.rebuild is not None
        return self.origin.rebuild(params, sizes)


class DeployedGraph:
    """A model and its deployed form."""

    def __init__(self, model: Block):
        self.model = model
        shared, self.named = find_reused_weights(distinct_blocks(model))
        self.rewriting = DeployPass(shared)
        self.root = self.rewriting.rewrite_block(model)
        self.skipped: dict[str, SkippedSteps] = find_skipped_steps(list_rewritten(self.root))
        self.tidied: dict[Block, TidyBlock] = {}  # by the rewritten block
        self.block = self.tidy(self.root).block

    def deploy_variation(self, block: Block, base: Block) -> Block:
        """Return the deployed form of a variation of the model or of a block in it; `base` is the deployed block."""
        rewritten = self.rewriting.rewrite_block(block)
        if isinstance(base.rebuild, DeployedRebuild) and base.rebuild.has_last_bias is not None:
            rewritten = refine_last_step(rewritten, base.rebuild.has_last_bias)
        return self.tidy(rewritten).block

    def tidy(self, rewritten: RewrittenBlock) -> TidyBlock:
        """Return a rewritten block, and all in it, without the steps that all instances skip."""
        block = rewritten.block
        if block not in self.tidied:
            key = definition_key(block)
            steps = SkippedSteps() if key in self.named else self.skipped.get(key, SkippedSteps())
            inner = {
                node.name: self.tidy(rewritten.inner[node.op]).block
                for node in block.nodes
                if isinstance(node.op, Block)
            }
            nodes = tuple(replace(node, op=inner.get(node.name, node.op)) for node in block.nodes)
            rebuild = (
                None
                if rewritten.origin.rebuild is None
                else DeployedRebuild(rewritten.origin, rewritten.has_last_bias)
            )
            self.tidied[block] = tidy_block(replace(block, nodes=nodes, rebuild=rebuild), steps)
        return self.tidied[block]

    def weight_formulas(self) -> dict[str, Formula]:
        """Return the formula of every weight of the deployed model over those of the model, by its path."""
        return dict(walk_weights(self, self.root, (), (), {}))

    def changes(self) -> list[StepChange]:
        """Return what became of the steps of the model, with their full paths."""
        return list(walk_changes(self.root, ()))


def list_rewritten(root: RewrittenBlock) -> list[RewrittenBlock]:
    """Return each rewritten block instance once."""
    found: dict[Block, RewrittenBlock] = {}

    def visit(rewritten: RewrittenBlock) -> None:
        if rewritten.block in found:
            return
        found[rewritten.block] = rewritten
        for node in rewritten.block.nodes:
            if isinstance(node.op, Block):
                visit(rewritten.inner[node.op])

    visit(root)
    return list(found.values())


def walk_weights(
    graph: DeployedGraph,
    rewritten: RewrittenBlock,
    new_path: tuple[str, ...],
    old_path: tuple[str, ...],
    outer: Mapping[str, NewWeights],
) -> Iterator[tuple[str, Formula]]:
    """Yield the formulas of a block's weights; `outer` are those that the blocks around give, by full old path."""
    old_block, tidied = rewritten.block, graph.tidy(rewritten)
    own = {".".join((*old_path, name)): place_formulas(w, old_path) for name, w in rewritten.weights.items()}
    known = {**own, **outer}
    for node in tidied.block.nodes:
        if node.reuses is not None or isinstance(node.op, Skip):
            continue
        old = old_block.nodes_by_name[tidied.old_names[node.name]]
        here, before = (*new_path, node.name), (*old_path, old.name)
        if isinstance(old.op, Block):
            yield from walk_weights(graph, rewritten.inner[old.op], here, before, known)
            continue
        formulas = known.get(".".join(before), {})
        for weight in node_weights(node, tidied.block, new_path):
            yield weight.path, formulas.get(weight.name) or weight_formula(".".join((*before, weight.name)))


def place_formulas(weights: NewWeights, path: tuple[str, ...]) -> NewWeights:
    """Return formulas of a block for the whole model; `path` is that of the block."""
    if not path:
        return weights
    return {name: relocate_formula(formula, ".".join(path)) for name, formula in weights.items()}


def walk_changes(rewritten: RewrittenBlock, path: tuple[str, ...]) -> Iterator[StepChange]:
    """Yield the changes in a block and in those inside it, with full paths."""
    changed = {change.step for change in rewritten.changes if change.kind in ("folded", "merged", "removed")}
    for change in rewritten.changes:
        if change.kind != "left" or change.step not in changed:
            yield replace(change, step=".".join((*path, change.step)))
    for node in rewritten.block.nodes:
        if isinstance(node.op, Block) and node.reuses is None:
            yield from walk_changes(rewritten.inner[node.op], (*path, node.name))


class DeployedVariations:
    """Builds variations of a deployed model: those of the model, deployed."""

    def __init__(self, graph: DeployedGraph, source: VariationSource):
        self.graph, self.source = graph, source

    def vary_jointly(self, base: Block, names: Collection[str]) -> Iterator[Variation]:
        for variation in self.source.vary_jointly(self.find_origin(base), names):
            yield self.deploy(variation, base)

    def vary_singly(self, base: Block, names: Collection[str]) -> Iterator[Variation]:
        for variation in self.source.vary_singly(self.find_origin(base), names):
            yield self.deploy(variation, base)

    def find_origin(self, base: Block) -> Block:
        """Return the block that a deployed one came from."""
        return base.rebuild.origin if isinstance(base.rebuild, DeployedRebuild) else self.graph.model

    def deploy(self, variation: Variation, base: Block) -> Variation:
        block = variation.block
        return (
            variation if block is None else replace(variation, block=self.graph.deploy_variation(block, base))
        )


def deploy_variations(
    graph: DeployedGraph, source: Callable[[], VariationSource | None]
) -> Callable[[], VariationSource | None]:
    """Return the source of the variations of a deployed model."""

    def build_source() -> VariationSource | None:
        found = source()
        return None if found is None else DeployedVariations(graph, found)

    return build_source
