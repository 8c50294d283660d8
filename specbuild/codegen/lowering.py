"""Lowers a block instance to steps: for each node, its code and the layout of its result.

A step whose code needs a layer or a weight has a member: the constructor creates it and assigns it to an
attribute, and the code refers to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from specbuild.codegen.constructions import (
    OWN_MEMBER,
    ComputedTable,
    Construction,
    Member,
    bind_index,
    map_expressions,
    reads_names,
)
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import (
    LoweredBlock,
    LoweredStep,
    LoweredValue,
    LoweringResult,
    MissingBatch,
    Storage,
    UnsupportedOp,
    initial_value,
    live_steps,
)
from specbuild.codegen.operands import LoweringBackend, Operand
from specbuild.codegen.tree import Call, DictOf, Expr, Index, ListOf, Literal, Name, TupleOf, ValuePlaceholder
from specbuild.codegen.value_steps import ValueSteps
from specbuild.ir.graph import Block, Node, Ref, Scan, Skip, definition_key, find_origin, input_arguments
from specbuild.ops.base import Op
from specbuild.ops.types import SPATIAL

LowerBlock = Callable[[Block, tuple[Layout, ...]], LoweredBlock]


class CallPolicy(Struct, frozen=True):
    """What calls of blocks convert, so that one class can serve all instances; blocks by `definition_key`."""

    natural_order_blocks: frozenset[str] = frozenset()  # their inputs are in the framework's own axis order
    batched_inputs: frozenset[tuple[str, str]] = frozenset()  # these inputs always have a batch: block, name


class BlockLowering(ValueSteps):
    """Lowers one block instance, given the layouts of its inputs."""

    def __init__(
        self,
        block: Block,
        layouts: tuple[Layout, ...],
        backend: LoweringBackend,
        lower_block: LowerBlock,
        value_numbers: dict[str, int],
        policy: CallPolicy,
    ):
        super().__init__(block, layouts, backend, value_numbers)
        self.lower_block, self.policy = lower_block, policy
        self.children: dict[str, LoweredBlock] = {}
        self.weights: dict[str, Mapping[str, Storage]] = {}
        self.batched_layers = find_batched_layers(block)
        self.members: dict[str, Member] = {}  # node name -> its layer

    def run(self, natural_outputs: bool = False, batched_outputs: bool = False) -> LoweredBlock:
        """Lower all nodes.

        `natural_outputs` converts the outputs to the framework's own axis order, `batched_outputs` gives them a batch.
        """
        for node in self.block.nodes:
            self.lower_node(node)
        outputs = {name: self.lookup_value(output.ref) for name, output in self.block.outputs.items()}
        if batched_outputs:
            like = next((value for value in self.inputs.values() if value.layout.batched), None)
            outputs = {name: self.give_batch(value, like) for name, value in outputs.items()}
        if natural_outputs:
            outputs = {
                name: self.convert_value(value, self.output_layout(name, value))
                for name, value in outputs.items()
            }
        else:
            outputs = {name: Operand(self, value).unfold_axes().value for name, value in outputs.items()}
        steps = live_steps(self.steps, {value.key for value in outputs.values()})
        layouts = {key: value.layout for key, value in self.values.items()}
        for step in self.steps:
            layouts |= {key: step.layout for key in (step.key, *step.parts) if key not in self.values}
        return LoweredBlock(
            self.block,
            self.inputs,
            steps,
            outputs,
            self.children,
            self.weights,
            layouts,
            self.members,
            step_sizes=self.step_sizes,
        )

    def lookup_value(self, ref: Ref) -> LoweredValue:
        return self.values[ref]

    def lower_node(self, node: Node) -> None:
        sources = [None if ref is None else self.lookup_value(ref) for ref in node.inputs]
        if isinstance(node.op, Skip):
            [source] = sources
            assert source is not None
            code = ValuePlaceholder(self.value_number(source.key))
            name = self.backend.identity_layer if node.when is None else None
            identity = None if name is None else Construction(name, ())
            step = LoweredStep(
                node.name, (source.key,), code, source.layout, layer_form=identity, is_skipped=True
            )
            self.add_node_step(node, step)
        elif isinstance(node.op, Block):
            self.lower_block_call(node, node.op, [source for source in sources if source is not None])
        else:
            self.lower_op(
                node, node.op, [None if source is None else Operand(self, source) for source in sources]
            )

    def lower_op(self, node: Node, op: Op, operands: list[Operand | None]) -> None:
        """Add the step that the backend emits for an op; raises SB601 if the backend cannot express it."""
        try:
            result = self.lower_batched(node, op, operands)
        except UnsupportedOp as error:
            message = f"{self.backend.name} cannot express this {op.title}: {error}"
            raise node.at.error("SB601", message, error.hint) from None
        result = replace(result, call=bind_index(result.call, node.index))
        if isinstance(table := result.member, ComputedTable):
            result = replace(result, member=map_expressions(table, lambda code: bind_index(code, node.index)))
        self.check_member(node, result)
        if result.weights and not node.reuses:
            self.weights[node.name] = result.weights
        parts = tuple(f"{node.name}@{part}" for part in result.parts)
        follows_input = reads_names(result.call, self.block.readable_sizes)
        types = [None if operand is None else operand.type for operand in operands]
        step = LoweredStep(
            node.name,
            tuple(self.read_keys(result.call, result.member)),
            result.call,
            result.layout,
            None if node.reuses else result.member,
            None if follows_input else result.layer_form,
            node.reuses or node.name if result.member is not None else "",
            can_inline=type(op).can_inline,
            inits=() if node.reuses else tuple(initial_value(*given) for given in result.inits),
            buffer=result.buffer,
            parts=parts,
            remainders=tuple(x for x in map(Literal, op.remainders(*types)) if not self.reads_step_sizes(x)),
            odd_numbers=tuple(map(Literal, result.odd_numbers)),
        )
        self.add_node_step(node, step)
        if result.layout.batched and not node.type.batched:
            value = LoweredValue(node.name, node.type.with_batch(), result.layout)
            self.values[node.name] = self.drop_batch(Operand(self, value).unfold_axes().value)
        for name, part in zip(result.parts, parts, strict=True):
            layout = result.part_layouts.get(name, result.layout)
            self.values[part] = LoweredValue(part, self.block.value_type(part), layout)

    def lower_batched(self, node: Node, op: Op, operands: list[Operand | None]) -> LoweringResult:
        """Return the code for an op. Operands get a batch where the op, or a layer that it shares, needs one."""
        given = [x for x in operands if x is not None]
        if all(x.layout.batched for x in given):
            return self.backend.lower(op, operands, node.type)
        like = next((x.value for x in given if x.layout.batched), None)
        if node.type.batched and like is None:
            like = next(value for value in self.inputs.values() if value.layout.batched)
            return self.backend.lower(op, self.batch_operands(operands, like), node.type)
        try:
            plain = self.backend.lower(op, operands, node.type)
            if (node.reuses or node.name) not in self.batched_layers:
                return plain
        except MissingBatch:
            if node.parts and not node.type.batched:
                raise
            plain = None
        result = self.backend.lower(op, self.batch_operands(operands, like), node.type.with_batch())
        if plain is not None and plain.member == result.member:
            return plain
        return result

    def batch_operands(
        self, operands: list[Operand | None], like: LoweredValue | None
    ) -> list[Operand | None]:
        return [None if x is None else Operand(self, self.give_batch(x.value, like)) for x in operands]

    def check_member(self, node: Node, result: LoweringResult) -> None:
        """Raise SB401 if a step shares a layer that would be another one for its own input."""
        if result.member is None:
            return
        if node.reuses is None:
            self.members[node.name] = result.member
            return
        way, _, origin = find_origin(self.block, node.reuses)
        members, children = self.members, self.children
        for name in way:
            members, children = children[name].members, children[name].children
        if members[origin.name] != result.member:
            message = (
                f"{node.reuses} cannot be reused here: {self.backend.name} would need another layer for it"
            )
            raise node.at.error("SB401", message, "give it a value with the same axes, or add a new step")

    def lower_block_call(self, node: Node, block: Block, sources: list[LoweredValue]) -> None:
        """Add the step that calls an inner block, lowered for the layouts of these arguments."""
        scan = node.scan
        arguments = self.convert_arguments(block, sources, scan)
        layouts = [argument.layout for argument in arguments]
        if scan is not None:
            layouts = [scan_layout(scan, n, x) for n, x in zip(block.inputs, layouts, strict=True)]
        child = self.lower_block(block, tuple(layouts))
        if not arguments and self.backend.calls_need_input:
            arguments = [next(iter(self.inputs.values()))]
        self.children[node.name] = child
        has_several_outputs = len(child.outputs) > 1
        refs = {name: f"{node.name}@{name}" for name in child.outputs}
        out_layouts = {
            name: value.layout if scan is None else stacked_layout(scan, name, value.layout)
            for name, value in child.outputs.items()
        }
        first_name, first_layout = next(iter(out_layouts.items()))
        step = LoweredStep(
            node.name,
            tuple(argument.key for argument in arguments),
            self.emit_block_call(node, block, arguments, list(child.outputs)),
            first_layout,
            None if node.reuses else Construction(block.name, (), is_own_class=True),
            layer_name=node.reuses or node.name,
            can_inline=False,
            parts=tuple(refs.values()) if has_several_outputs else (),
        )
        self.add_node_step(node, step)
        for name, layout in out_layouts.items():
            ref = refs[name]
            type_ = self.block.value_type(ref) if name else node.type
            key = ref if has_several_outputs else node.name
            result = LoweredValue(key, type_.with_batch() if layout.batched else type_, layout)
            self.values[ref] = result if type_.batched else self.drop_batch(result)
        if has_several_outputs or first_name or not node.type.batched:
            self.values[node.name] = self.values[refs[first_name]]

    def call_arguments(self, block: Block, values: list[LoweredValue]) -> tuple[Expr, ...]:
        """Return the arguments in the call of a block, from the values of its inputs: some may be one list."""
        codes = [ValuePlaceholder(self.value_number(value.key)) for value in values]
        if not block.inputs:  # what a layer without inputs is called with
            return tuple(codes)
        by_name = dict(zip(block.inputs, codes, strict=True))
        return tuple(
            by_name[name] if items is None else ListOf(tuple(by_name[item] for item in items))
            for name, items in input_arguments(block.inputs).items()
        )

    def emit_block_call(
        self, node: Node, block: Block, arguments: list[LoweredValue], outputs: list[str]
    ) -> Expr:
        """Return the call of an inner block. Raises SB601 for a scan if the backend has none."""
        values = self.call_arguments(block, arguments)
        if node.scan is None or not node.scan.has_state:
            return Call(OWN_MEMBER, values)
        if not self.backend.scan_function:
            raise node.at.error("SB601", f"{self.backend.name} cannot express a scan")
        names = list(input_arguments(block.inputs))
        over = TupleOf(tuple(Literal(names.index(name)) for name in node.scan.sliced))
        state = DictOf(tuple((Literal(names.index(n)), Literal(outputs.index(n))) for n in node.scan.carried))
        keywords: tuple[tuple[str, Expr], ...] = (("over", over), ("state", state))
        keywords += (("reverse", Literal(True)),) if node.scan.reverse else ()
        call = Call(Name(self.backend.scan_function), (OWN_MEMBER, TupleOf(values)), keywords)
        return call if len(outputs) > 1 else Index(call, (Literal(0),))

    def convert_arguments(
        self, block: Block, sources: list[LoweredValue], scan: Scan | None = None
    ) -> list[LoweredValue]:
        """Return the arguments of a block call in the layouts that the block expects."""
        key = definition_key(block)
        if scan is None:
            arguments = [self.convert_argument(x, key in self.policy.natural_order_blocks) for x in sources]
        else:
            arguments = [
                self.convert_scanned(scan, name, x) for name, x in zip(block.inputs, sources, strict=True)
            ]
        if scan is not None and not scan.has_state:
            return arguments
        like = next((x for x in arguments if x.layout.batched), None)
        for i, (name, type_) in enumerate(block.inputs.items()):
            if arguments[i].layout.batched:
                continue
            if type_.batched and like is None:
                like = next(value for value in self.inputs.values() if value.layout.batched)
            if type_.batched or (key, name) in self.policy.batched_inputs:
                arguments[i] = self.give_batch(arguments[i], like)
        return arguments

    def convert_argument(self, value: LoweredValue, natural_order: bool) -> LoweredValue:
        """Convert an argument of a block call to the layout that the block expects.

        Values with spatial axes keep their axis order, unless the block needs the framework's own; all other
        values get the framework's own.
        """
        if not natural_order and any(axis in value.type for axis in SPATIAL):
            return Operand(self, value).unfold_axes().value
        return self.convert_to_natural_order(value)

    def convert_scanned(self, scan: Scan, name: str, value: LoweredValue) -> LoweredValue:
        """Convert an argument of a scan to the framework's own order; the axis that is scanned comes first.

        Without a state, the positions become samples of the batch.
        """
        if name not in scan.sliced:
            return self.convert_to_natural_order(value)
        rest = self.backend.natural_order(value.type.without_axes(scan.over))
        if not scan.has_state:
            like = next((x for x in self.inputs.values() if x.layout.batched), None)
            return self.convert_value(self.give_batch(value, like), Layout(rest, (scan.over,)))
        return self.convert_value(value, Layout((scan.over, *rest), (), value.layout.batched))

    def add_node_step(self, node: Node, step: LoweredStep) -> None:
        """Add the step of a graph node, with the name, condition and comment that the author gave it."""
        self.check_sizes_known(node, step.call, step.member)
        described = replace(
            step,
            named=node.has_own_name and not step.is_skipped,
            when=node.when,
            doc=node.doc,
            node=node.name,
        )
        self.add_step(described, node.type)


def scan_layout(scan: Scan, name: str, layout: Layout) -> Layout:
    """Return the layout of an input at one position."""
    if name not in scan.sliced:
        return layout
    order = tuple(axis for axis in layout.order if axis != scan.over)
    return replace(layout, order=order, batch_axes=())


def stacked_layout(scan: Scan, output: str, layout: Layout) -> Layout:
    """Return the layout of an output of a scan from that of one position."""
    if output in scan.carried:
        return layout
    return Layout((scan.over, *layout.order)) if scan.has_state else Layout(layout.order, (scan.over,))


def find_batched_layers(block: Block) -> set[str]:
    """Return the names of the steps that are reused, and that at least one use gives a value with a batch."""
    shared = {node.reuses for node in block.nodes if node.reuses}
    return {
        node.reuses or node.name
        for node in block.nodes
        if (node.reuses or node.name) in shared
        and any(ref is not None and block.value_type(ref).batched for ref in node.inputs)
    }
