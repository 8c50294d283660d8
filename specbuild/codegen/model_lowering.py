"""Lowers a whole model: every instance of every block, each once for each layout of its inputs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.codegen.constructions import nested_names, reads_names
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweredBlock
from specbuild.codegen.lowering import BlockLowering, CallPolicy
from specbuild.codegen.operands import LoweringBackend
from specbuild.codegen.size_checks import free_size_names
from specbuild.codegen.tree import Literal
from specbuild.codegen.tree_walk import walk_expression
from specbuild.ir.batches import batch_inputs
from specbuild.ir.graph import Block, definition_key, distinct_blocks, find_origin, runtime_sizes
from specbuild.ops.base import Op

FEW_EXPRESSIONS = 32
FEW_ITEMS = 500
FEW_OUTPUTS = 8
EXPRESSIONS_PER_STEP = 3
INSTANCE_EFFORT = 1  # what an instance takes beside its steps


class LoweredModel(Struct, frozen=True, dict=True):
    """A model and all block instances in it as steps."""

    root: LoweredBlock
    instances: tuple[LoweredBlock, ...]  # each after those that it calls; the root is the last
    value_numbers: dict[str, dict[str, int]]  # definition key -> value key -> index of its placeholders
    lowering: ModelLowering
    has_rows: bool = True  # whether groups of layers become rows of layers

    def lower_variation(self, block: Block, base: LoweredBlock) -> LoweredBlock:
        """Return a variation of an instance, lowered for the same layouts of inputs; raises SB601."""
        # a block without inputs is lowered with one that has the size of the batch
        layouts = tuple(base.inputs[name].layout for name in block.inputs)
        return self.lowering.lower_block(block, layouts, is_model=base is self.root)

    def lowered_blocks(self) -> tuple[LoweredBlock, ...]:
        """Return all instances, and the variations that are lowered so far."""
        return tuple(self.lowering.instances.values())

    @cached_property
    def shared_steps(self) -> dict[str, set[str]]:
        """For each block the steps whose layers another block uses, or that lead to such a step."""
        return find_shared_steps(self.instances)


def find_shared_steps(instances: Iterable[LoweredBlock]) -> dict[str, set[str]]:
    """Return for each block the steps that lead to a step whose weights another block uses."""
    shared: dict[str, set[str]] = {}
    for lowered in instances:
        for node in lowered.block.nodes:
            if node.reuses is None or lowered.block.find_node(node.reuses) is not None:
                continue
            way, _, origin = find_origin(lowered.block, node.reuses)
            block = lowered.block
            for name in (*way, origin.name):
                shared.setdefault(definition_key(block), set()).add(name)
                inner = block.nodes_by_name[name].op
                block = inner if isinstance(inner, Block) else block
    return shared


def lower_model(model: Block, backend: LoweringBackend) -> LoweredModel:
    """Lower every block instance of a model.

    A block whose instances would get their inputs in different layouts gets them all in the framework's own
    axis order, and with a batch if its code depends on that, so that one class can serve them. Raises SB601
    for an op that the backend cannot express.
    """
    refuse_free_scans(model, backend)
    refuse_free_attributes(model, backend)
    layouts = tuple(Layout(backend.natural_order(x), (), x.batched) for x in model.inputs.values())
    policy = CallPolicy()
    nodes = [node for block in distinct_blocks(model) for node in block.nodes]
    scanned = frozenset(definition_key(n.op) for n in nodes if n.scan and isinstance(n.op, Block))
    while True:
        lowering = ModelLowering(backend, policy, scanned=scanned)
        root = lowering.lower_block(model, layouts, is_model=True)
        mixed = lowering.mixed_layout_blocks() - policy.natural_order_blocks
        batched = lowering.find_batched_inputs() if not mixed else frozenset()
        if not mixed and batched <= policy.batched_inputs:
            instances = tuple(lowering.instances.values())
            return LoweredModel(root, instances, lowering.value_numbers, lowering, backend.has_rows)
        policy = CallPolicy(policy.natural_order_blocks | mixed, policy.batched_inputs | batched)


class ModelLowering(Struct):
    """Lowers blocks, and remembers those that are lowered already."""

    backend: LoweringBackend
    policy: CallPolicy
    # graph block and layouts of its inputs -> instance
    instances: dict[tuple[Block, tuple[Layout, ...]], LoweredBlock] = field(default_factory=dict)
    value_numbers: dict[str, dict[str, int]] = field(default_factory=dict)
    effort: int = 0  # of all these instances

    # definition keys of blocks that give a state to themselves, in the order in which they get it
    scanned: frozenset[str] = frozenset()

    def lower_block(self, block: Block, layouts: tuple[Layout, ...], is_model: bool = False) -> LoweredBlock:
        """Return the steps of a block for these input layouts."""
        key = (block, layouts)
        if key not in self.instances:
            names = [
                name
                for (name, x), layout in zip(block.inputs.items(), layouts, strict=True)
                if layout.batched and not x.batched
            ]
            typed = batch_inputs(block, names) if names else block
            numbers = self.value_numbers.setdefault(definition_key(block), {})
            lowering = BlockLowering(typed, layouts, self.backend, self.lower_block, numbers, self.policy)
            is_scanned = definition_key(block) in self.scanned
            self.instances[key] = lowering.run(is_model or is_scanned, is_scanned)
            self.effort += INSTANCE_EFFORT + count_effort(block)
        return self.instances[key]

    def mixed_layout_blocks(self) -> set[str]:
        """Return the blocks whose instances have inputs in different orders."""
        layouts_of: dict[tuple[str, str], set[Layout]] = {}
        for lowered in self.instances.values():
            for name, value in lowered.inputs.items():
                key = definition_key(lowered.block), name
                layouts_of.setdefault(key, set()).add(replace(value.layout, batched=True))
        return {identity for (identity, _), variants in layouts_of.items() if len(variants) > 1}

    def find_batched_inputs(self) -> frozenset[tuple[str, str]]:
        """Return the inputs that only some instances get with a batch, if the code depends on that."""
        flags: dict[tuple[str, str], set[bool]] = {}
        for lowered in self.instances.values():
            for name, value in lowered.inputs.items():
                flags.setdefault((definition_key(lowered.block), name), set()).add(value.layout.batched)
        mixed = {key for key, found in flags.items() if len(found) > 1}
        return frozenset(
            (identity, name)
            for identity in {identity for identity, _ in mixed}
            for name in self.unlike_inputs(identity, {name for other, name in mixed if other == identity})
        )

    def unlike_inputs(self, identity: str, names: set[str]) -> set[str]:
        """Return `names` if an instance of a block has other code when these inputs have a batch, else none."""
        for lowered in list(self.instances.values()):
            values = lowered.inputs
            own = names & values.keys()  # an instance may have fewer inputs
            if definition_key(lowered.block) != identity or all(values[n].layout.batched for n in own):
                continue
            layouts = tuple(
                replace(value.layout, batched=value.layout.batched or name in names)
                for name, value in values.items()
            )
            if reads_sizes(lowered, names) or (self.backend.rows_need_batch and lowered.block.groups):
                return names
            trial = ModelLowering(
                self.backend, self.policy, value_numbers=self.value_numbers, scanned=self.scanned
            )
            if not has_equal_steps(lowered, trial.lower_block(lowered.block, layouts)):
                return names
        return set()


def count_effort(block: Block) -> int:
    """Return the number of steps of a block.

    Many parameters, values under `let`, items of lists and outputs are as much work as steps.
    """
    expressions = len(block.params) + len(block.at.read_value().get("let") or ())
    items = sum(len(value) for value in block.params.values() if isinstance(value, list | tuple))
    values = max(0, expressions - FEW_EXPRESSIONS) + max(0, items - FEW_ITEMS)
    return len(block.nodes) + max(0, len(block.outputs) - FEW_OUTPUTS) + values // EXPRESSIONS_PER_STEP


def refuse_free_scans(model: Block, backend: LoweringBackend) -> None:
    """Raise SB601 if an axis that a scan goes along can have any size, and the backend cannot express this."""
    if model.free_sizes is None or backend.scans_free_sizes:
        return
    for block in distinct_blocks(model):
        free = model.free_sizes.of_block(block)
        for node in block.nodes:
            if node.scan is None or not node.scan.has_state:
                continue
            if any((ref, node.scan.over) in free for ref in node.inputs if ref):
                message = (
                    f"{backend.name} cannot express a scan over {node.scan.over}, which can have any size"
                )
                raise node.at.error("SB601", message, f"write a number for {node.scan.over} in the input")


def refuse_free_attributes(model: Block, backend: LoweringBackend) -> None:
    """Raise SB601 if an attribute follows a size that can be any, and the backend needs it as a number."""
    if model.free_sizes is None:
        return
    for block in distinct_blocks(model):
        names = free_size_names(block, model.free_sizes.of_block(block))
        for node in block.nodes if names else ():
            if not isinstance(node.op, Op):
                continue
            for name in backend.fixed_attributes(node.op):
                if names.isdisjoint(nested_names(getattr(node.op, name))):
                    continue
                message = f"{backend.name} cannot express this {node.op.title}: its {name} follows a size that can be any"
                hint = "write a number for the axis of the input instead of `any`"
                raise node.at.error("SB601", message, hint)


def has_equal_steps(a: LoweredBlock, b: LoweredBlock) -> bool:
    """Return whether two instances of a block, and all instances in them, have the same code."""
    if [replace(s, layout=NO_LAYOUT) for s in a.steps] != [replace(s, layout=NO_LAYOUT) for s in b.steps]:
        return False
    return all(has_equal_steps(child, b.children[node]) for node, child in a.children.items())


def reads_sizes(lowered: LoweredBlock, inputs: set[str]) -> bool:
    """Return whether the code of a block reads sizes of these inputs when it runs."""
    sizes = {name for name, (source, _) in runtime_sizes(lowered.block).items() if source in inputs}
    return any(
        isinstance(part, Literal) and reads_names(part, sizes)
        for step in lowered.steps
        for part in walk_expression(step.call)
    )


NO_LAYOUT = Layout(())
