"""One block while it is rewritten: its steps, who reads them, and the formulas of their new weights.

A step that is no longer needed becomes a skipped step, which passes a value on. So all instances of a block keep
steps of the same names; `tidy_steps` removes those that every instance skips.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.ir.graph import Block, Node, Ref, Skip
from specbuild.ops.base import Op
from specbuild.ops.convolution import BIAS, KERNEL, Conv, ConvTranspose, Linear
from specbuild.ops.norm import BatchNorm
from specbuild.ops.types import TensorType
from specbuild.transform.formulas import Affine, NewWeights, norm_affine, weight_formula
from specbuild.transform.linear_steps import LinearStep


class StepChange(Struct, frozen=True):
    """What became of a step, or why it was left."""

    kind: str  # "folded", "merged", "removed" or "left"
    step: str  # its path
    op: str
    text: str  # the step that it went into, or the reason


def join_reference(name: str, output: str) -> Ref:
    return f"{name}@{output}" if output else name


class RewrittenBlock(Struct):
    """A block after rewriting, which has the names of the old steps.

    `weights` has the formulas of steps whose weights are new, by their paths in this block; all others are kept.
    """

    block: Block
    weights: Mapping[str, NewWeights]
    passed: frozenset[str]  # steps that are skipped now
    changes: tuple[StepChange, ...]
    shared: frozenset[str]
    inner: Mapping[Block, RewrittenBlock]  # by the blocks of its steps
    origin: Block  # as it was
    # With another last step, by whether that has a bias: see `inner_steps`.
    refined: dict[bool, RewrittenBlock] = field(default_factory=dict)
    has_last_bias: bool | None = None  # whether its last step got a bias, or lost it, for the block around


class BlockRewriter:
    """The state of one block. `shared` are the steps whose weights others use; `inner` are rewritten blocks in it."""

    def __init__(
        self,
        block: Block,
        shared: frozenset[str] = frozenset(),
        inner: dict[Block, RewrittenBlock] | None = None,
        origin: Block | None = None,  # as it was; None: as it is
    ) -> None:
        self.block, self.shared, self.origin = block, shared, origin
        self.inner = inner if inner is not None else {}
        self.nodes = dict(self.block.nodes_by_name)
        self.weights: dict[str, NewWeights] = {}
        self.changes: list[StepChange] = []
        self.passed: set[str] = set()
        # A skipped step, and its input -> the value behind.
        self.behind_skips: dict[tuple[str, Ref], Ref] = {}
        self.readers: Counter[Ref] = Counter()
        for node in self.nodes.values():
            if not isinstance(node.op, Skip):
                self.readers.update(self.resolve(ref) for ref in node.inputs if ref is not None)
        self.readers.update(self.resolve(output.ref) for output in self.block.outputs.values())

    # ------------------------------------------------------------------------------------ values

    def resolve(self, ref: Ref) -> Ref:
        """Return the step or input whose value this is: skipped steps pass it on."""
        name, _, output = self.follow_skips(ref).partition("@")
        if (node := self.nodes.get(name)) is not None:
            is_main = isinstance(node.op, Block) and output == next(iter(node.op.outputs))
            return (
                name
                if is_main or (isinstance(node.op, Op) and not node.parts)
                else join_reference(name, output)
            )
        return join_reference(name, output)

    def follow_skips(self, ref: Ref) -> Ref:
        """Return the value behind a reference, past skipped steps; there may be thousands in a row."""
        passed: list[tuple[str, Ref]] = []
        while True:
            node = self.nodes.get(ref.partition("@")[0])
            if node is None or not isinstance(node.op, Skip) or (source := node.inputs[0]) is None:
                break
            passed.append((node.name, source))
            ref = self.behind_skips.get(passed[-1], source)
        self.behind_skips |= dict.fromkeys(passed, ref)
        return ref

    def source(self, node: Node, number: int = 0) -> Ref | None:
        """Return the value that a step reads."""
        ref = node.inputs[number] if number < len(node.inputs) else None
        return None if ref is None else self.resolve(ref)

    def value_type(self, ref: Ref) -> TensorType:
        return self.block.value_type(ref)

    def is_private(self, name: str) -> bool:
        """Return whether a step has weights of its own, which no other step uses."""
        return name not in self.shared and self.nodes[name].reuses is None

    def obstacle(self, name: str) -> str:
        """Return why a step cannot be changed for its only reader; empty if it can."""
        if not self.is_private(name):
            return f"other steps use the weights of `{name}` too"
        if self.readers[name] > 1:
            return f"other steps, or the outputs, read `{name}` too"
        return ""

    def find_linear(self, name: Ref) -> LinearStep | None:
        """Return a step as a linear step; None if it is something else."""
        node = self.nodes.get(name)
        if node is None or not isinstance(node.op, Conv | ConvTranspose | Linear):
            return None
        weights = self.weights.get(name, {})
        kernel = weights.get(KERNEL) or weight_formula(f"{name}.{KERNEL}")
        bias = weights.get(BIAS) or weight_formula(f"{name}.{BIAS}")
        return LinearStep(node.op, kernel, bias if node.op.bias else None)

    def find_norm(self, name: Ref) -> tuple[BatchNorm, Affine] | None:
        """Return a batch norm, and what it computes when it is not trained; None for another step."""
        node = self.nodes.get(name)
        if node is None or not isinstance(node.op, BatchNorm):
            return None
        return node.op, norm_affine(node.reuses or name, node.op)

    # ----------------------------------------------------------------------------------- changes

    def put_linear(self, name: str, step: LinearStep, source: Ref | None = None) -> None:
        """Make a step this linear step; `source` is what it reads, if that changes."""
        node = self.nodes[name]
        inputs = node.inputs if source is None else (source,)
        args = {} if isinstance(node.op, Block) else node.args
        self.nodes[name] = replace(node, op=step.op, inputs=inputs, args=args)
        self.weights[name] = step.weights

    def put_block(self, name: str, inner: RewrittenBlock) -> None:
        """Let a step call a rewritten block."""
        self.inner[inner.block] = inner
        self.nodes[name] = replace(self.nodes[name], op=inner.block)

    def pass_by(self, name: str, source: Ref) -> None:
        """Skip a step: its readers get the value `source`."""
        node = self.nodes[name]
        refs = [ref for ref in node.inputs if ref is not None]
        self.drop_reads(refs)
        # as it reads the value itself: past the same skipped steps in all instances
        source = next((ref for ref in refs if self.resolve(ref) == self.resolve(source)), source)
        read = self.readers.pop(name, 0)
        self.nodes[name] = replace(
            node,
            op=Skip(),
            inputs=(source,),
            type=self.value_type(source),
            reuses=None,
            args={},
            parts={},
        )
        self.readers[self.resolve(source)] += read
        self.passed.add(name)
        self.weights.pop(name, None)

    def drop_reads(self, refs: Iterable[Ref]) -> None:
        """Count these values as read once less."""
        self.readers.subtract(self.resolve(ref) for ref in refs)

    def change_inputs(self, name: str, inputs: tuple[Ref | None, ...]) -> None:
        """Let a step read other values; the readers must be right already."""
        self.nodes[name] = replace(self.nodes[name], inputs=inputs)

    def note(self, kind: str, name: str, text: str) -> None:
        node = self.block.nodes_by_name[name]
        op = node.op.name if isinstance(node.op, Op | Block) else "step"
        self.changes.append(StepChange(kind, name, op, text))

    def finish(self) -> RewrittenBlock:
        """Return the block as it is now."""
        nodes = self.nodes

        def rename(ref: Ref) -> Ref:
            name = ref.partition("@")[0]
            return (
                name
                if name in nodes and not isinstance(nodes[name].op, Block) and not nodes[name].parts
                else ref
            )

        renamed = tuple(
            replace(node, inputs=tuple(ref and rename(ref) for ref in node.inputs)) for node in nodes.values()
        )
        outputs = {name: replace(o, ref=rename(o.ref)) for name, o in self.block.outputs.items()}
        block = replace(self.block, nodes=renamed, outputs=outputs)
        return RewrittenBlock(
            block,
            self.weights,
            frozenset(self.passed),
            tuple(self.changes),
            self.shared,
            self.inner,
            self.origin or self.block,
        )
