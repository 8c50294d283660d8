"""Lowers a block instance to steps: for each node, its code and the layout of its result.

A step whose code needs a layer or a weight has a member: the constructor creates it and assigns it to an
attribute, and the code refers to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from specbuild.codegen.constructions import (
    OWN_MEMBER,
    ComputedTable,
    Construction,
    ConstructorArgument,
    InitialValue,
    Member,
    input_numbers,
    list_names,
    reads_names,
)
from specbuild.codegen.layout import Layout
from specbuild.codegen.size_checks import SizeCheck
from specbuild.codegen.tree import (
    Attribute,
    Call,
    DictOf,
    Expr,
    Index,
    ListOf,
    Literal,
    Name,
    TupleOf,
    ValuePlaceholder,
    walk_expression,
)
from specbuild.expressions import Expression, expression_of
from specbuild.ir.graph import (
    Block,
    Node,
    Ref,
    Scan,
    Skip,
    definition_key,
    find_origin,
    input_arguments,
    runtime_sizes,
)
from specbuild.ops.attribute_kinds import Init
from specbuild.ops.base import Op
from specbuild.ops.types import SPATIAL, TensorType


@dataclass(frozen=True)
class Storage:
    """How a framework stores a weight: its name there, and how the canonical tensor is converted.

    The equal parts of the first axis are reordered by `gate_order`, then the tensor is reshaped to `shape`, then
    permuted by `order`; each is optional. Weights with the same name are one tensor in the framework: their
    sum, or, if `stacked`, the weights along a new first axis.
    """

    name: str
    order: tuple[int, ...] | None = None
    shape: tuple[int, ...] | None = None
    gate_order: tuple[int, ...] | None = None
    stacked: bool = False


@dataclass(frozen=True)
class LoweringResult:
    """The code that a backend emits for one op."""

    call: Expr
    layout: Layout
    member: Member | None = None  # what the constructor creates; `call` refers to it as OWN_MEMBER
    layer_form: Construction | None = None  # for an op without a member: a layer that does the same, for rows
    inits: tuple[tuple[str, Init], ...] = ()  # weights whose initial values the spec gives
    buffer: bool = False  # whether the member is a tensor that is not trained, such as a constant table
    parts: tuple[str, ...] = ()  # names of its outputs, if it has several
    part_layouts: Mapping[str, Layout] = field(
        default_factory=dict
    )  # of parts with another layout than `layout`
    weights: Mapping[str, Storage] = field(default_factory=dict)  # canonical name -> storage
    odd_numbers: tuple[int, ...] = ()  # numbers for which the code is right only if they are odd


@dataclass
class LoweredValue:
    """An intermediate value: its key, type and layout."""

    key: str
    type: TensorType
    layout: Layout


@dataclass(frozen=True)
class LoweredStep:
    """A step of a block, ready to be written as a statement."""

    key: str  # of its result
    inputs: tuple[str, ...]
    call: Expr
    layout: Layout
    member: Member | None = None
    layer_form: Construction | None = None
    layer_name: str = ""  # name of the step whose member this step uses: itself, or an earlier one
    can_inline: bool = True  # whether its code may be written inside the code that reads its result
    named: bool = False  # whether the author gave it a name
    is_skipped: bool = False  # whether it only passes its input through, because its condition is false
    skip_key: str = ""  # the input that passes through where some instances of a class skip the step
    when: Expression | None = None
    doc: str = ""
    inits: tuple[InitialValue, ...] = ()
    buffer: bool = False
    parts: tuple[str, ...] = ()  # keys of its results, if it has several
    node: str = ""  # name of its graph node
    remainders: tuple[Expr, ...] = ()  # numbers that are 0 if the sizes of its axes can be split
    odd_numbers: tuple[Expr, ...] = ()  # numbers that must be odd
    span: tuple[int, int | None] | None = None  # for a piece of a row: its members as a half-open range

    @property
    def can_be_identity(self) -> bool:
        """Whether a layer that returns its input can take the place of this step's layer."""
        if not isinstance(self.call, Call):
            return self.member is not None
        takes_list = any(isinstance(argument, ListOf) for argument in self.call.args)
        return self.member is not None and len(self.call.args) < 2 and not takes_list


@dataclass(frozen=True, eq=False, repr=False)
class LoweredBlock:
    """A block instance as steps, with the layouts of its inputs and outputs. Compares by identity."""

    block: Block
    inputs: dict[str, LoweredValue]
    steps: list[LoweredStep]
    outputs: dict[str, LoweredValue]
    children: dict[str, LoweredBlock] = field(default_factory=dict)  # node name -> the instance it calls
    weights: dict[str, Mapping[str, Storage]] = field(default_factory=dict)  # node name -> its weights
    layouts: dict[str, Layout] = field(default_factory=dict)  # value key -> layout
    members: dict[str, Member] = field(default_factory=dict)  # node name -> the layer of its op
    # parameters that the constructor cannot have: their values, which are emitted as plain numbers
    unstable_values: Mapping[str, Any] = field(default_factory=dict)
    # Of a model: the values of names in its constructor, where the sizes of its inputs are numbers.
    declared_sizes: Mapping[str, Any] = field(default_factory=dict)
    # The sizes that its inputs must have
    size_checks: Mapping[SizeCheck, Expr] = field(default_factory=dict)
    # variables for sizes that its code reads from values -> the key of the value, and the dimension
    step_sizes: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    # the same instance without the optional inputs that its class passes on, though it does not get them
    plain: LoweredBlock | None = None


class Operand:
    """An input of an op as a backend sees it: type and layout, and methods to convert the layout."""

    def __init__(self, lowering: BlockLowering, value: LoweredValue):
        self.lowering, self.value = lowering, value

    @property
    def type(self) -> TensorType:
        return self.value.type

    @property
    def layout(self) -> Layout:
        return self.value.layout

    @property
    def order(self) -> tuple[str, ...]:
        return self.value.layout.order

    @property
    def expr(self) -> Expr:
        return ValuePlaceholder(self.lowering.value_number(self.value.key))

    @property
    def inlinable_code(self) -> Expr | None:
        """The code that computes the value, if it may be written where the value is read."""
        step = next((s for s in reversed(self.lowering.steps) if s.key == self.value.key), None)
        if step is None or not step.can_inline or step.member is not None:
            return None
        return None if step.layer_name or step.when or step.is_skipped or step.doc else step.call

    def __getitem__(self, axis: str) -> int:
        return self.value.type[axis]

    def dim(self, axis: str) -> int:
        return self.value.layout.dim(axis)

    def sorted_dims(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        return self.value.layout.sorted_dims(axes)

    def to_order(self, *order: str, batch_axes: tuple[str, ...] = ()) -> Operand:
        """Return the value with its axes in this order. Each conversion is emitted once and shared."""
        return Operand(
            self.lowering,
            self.lowering.convert_value(self.value, Layout(order, batch_axes, self.layout.batched)),
        )

    def unfold_axes(self) -> Operand:
        """Return the value with no axes folded into the batch dimension."""
        return self.to_order(*self.layout.batch_axes, *self.order) if self.layout.batch_axes else self

    def move_last(self, *axes: str) -> Operand:
        """Return the value with these axes last, in this order; the others keep their order."""
        here = self.unfold_axes()
        return here.to_order(*(a for a in here.order if a not in axes), *axes)


class LoweringBackend(Protocol):
    """What code generation needs from a framework's backend."""

    name: str
    calls_need_input: bool
    has_rows: bool
    models_read_sizes: bool  # whether the code of a model, not only that of blocks, reads sizes when it runs
    scans_free_sizes: bool  # whether the axis of a scan can have any size

    @property
    def size_readers(self) -> frozenset[str]: ...  # helpers that read sizes of their arguments

    scan_function: str  # the helper that applies a block to one position after another; "" if there is none

    def natural_order(self, x: TensorType) -> tuple[str, ...]: ...
    def lower(self, op: Op, inputs: list[Operand | None], type_: TensorType) -> LoweringResult: ...
    def convert_layout(
        self, value: Expr, type_: TensorType, source: Layout, target: Layout, known_sizes: Mapping[str, Expr]
    ) -> Expr: ...
    def add_batch(self, value: Expr, layout: Layout, like: Expr | None) -> Expr: ...


LowerBlock = Callable[[Block, tuple[Layout, ...]], LoweredBlock]


@dataclass(frozen=True)
class CallPolicy:
    """What calls of blocks convert, so that one class can serve all instances; blocks by `definition_key`."""

    natural_order_blocks: frozenset[str] = frozenset()  # their inputs are in the framework's own axis order
    batched_inputs: frozenset[tuple[str, str]] = frozenset()  # these inputs always have a batch: block, name


class BlockLowering:
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
        self.block, self.backend, self.lower_block = block, backend, lower_block
        self.value_numbers, self.policy = value_numbers, policy
        self.values = {
            name: LoweredValue(name, type_, layout)
            for (name, type_), layout in zip(block.inputs.items(), layouts, strict=True)
        }
        if not block.inputs and backend.calls_need_input:
            name = next(name for name in ("anchor", "anchor_") if block.find_node(name) is None)
            self.values[name] = LoweredValue(name, TensorType(), Layout((), ()))
        self.inputs = dict(self.values)
        self.steps: list[LoweredStep] = []
        self.value_keys = list(value_numbers)
        self.author_named: set[str] = set()  # values named by the author, in any layout
        self.conversions: dict[tuple[str, Layout], LoweredValue] = {}
        self.children: dict[str, LoweredBlock] = {}
        self.weights: dict[str, Mapping[str, Storage]] = {}
        self.batched_layers = find_batched_layers(block)
        self.members: dict[str, Member] = {}  # node name -> its layer
        self.samples: dict[str, LoweredValue] = {}  # key of a value without a batch -> the same with one
        self.step_sizes: dict[str, tuple[str, int]] = {}  # see `LoweredBlock`

    def value_number(self, key: str) -> int:
        """Return the number of a value; all instances of a block use the same numbers."""
        if key not in self.value_numbers:
            self.value_numbers[key] = len(self.value_numbers)
            self.value_keys.append(key)
        return self.value_numbers[key]

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
            self.add_node_step(
                node, LoweredStep(node.name, (source.key,), code, source.layout, is_skipped=True)
            )
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
        first_name, first = next(iter(child.outputs.items()))
        step = LoweredStep(
            node.name,
            tuple(argument.key for argument in arguments),
            self.emit_block_call(node, block, arguments, list(child.outputs)),
            first.layout,
            None if node.reuses else Construction(block.name, (), is_own_class=True),
            layer_name=node.reuses or node.name,
            can_inline=False,
            parts=tuple(refs.values()) if has_several_outputs else (),
        )
        self.add_node_step(node, step)
        for name, value in child.outputs.items():
            ref = refs[name]
            type_ = self.block.value_type(ref) if name else node.type
            key = ref if has_several_outputs else node.name
            layout = value.layout
            if scan is not None and name not in scan.carried:
                layout = Layout((scan.over, *layout.order))
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
        if node.scan is None:
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
        like = next((x for x in arguments if x.layout.batched), None)
        for i, (name, type_) in enumerate(block.inputs.items()):
            if arguments[i].layout.batched:
                continue
            if type_.batched and like is None:
                like = next(value for value in self.inputs.values() if value.layout.batched)
            if type_.batched or (key, name) in self.policy.batched_inputs:
                arguments[i] = self.give_batch(arguments[i], like)
        return arguments

    def give_batch(self, value: LoweredValue, like: LoweredValue | None) -> LoweredValue:
        """Return a value repeated for each sample of `like`, or else as a batch of one sample."""
        if value.layout.batched:
            return value
        if like is None and value.key in self.samples:
            return self.samples[value.key]
        if like is not None:  # axes that are folded into its batch are no samples
            like = Operand(self, like).unfold_axes().value
        suffix = "sample" if like is None else "batch"
        key = f"{value.key}~{suffix}"
        if key not in self.values:
            other = None if like is None else ValuePlaceholder(self.value_number(like.key))
            call = self.backend.add_batch(ValuePlaceholder(self.value_number(value.key)), value.layout, other)
            layout = replace(value.layout, batched=True)
            named = value.key in self.author_named
            step = LoweredStep(key, tuple(self.read_keys(call)), call, layout, named=named)
            self.add_step(step, value.type.with_batch())
        return self.values[key]

    def drop_batch(self, value: LoweredValue) -> LoweredValue:
        """Return the first sample of a value that is the same for every sample."""
        if not value.layout.batched:
            return value
        key = f"{value.key}~first"
        call = Index(ValuePlaceholder(self.value_number(value.key)), (Literal(0),))
        layout = replace(value.layout, batched=False)
        named = value.key in self.author_named
        type_ = replace(value.type, batched=False)
        self.add_step(LoweredStep(key, (value.key,), call, layout, named=named), type_)
        self.samples[key] = value
        return self.values[key]

    def convert_argument(self, value: LoweredValue, natural_order: bool) -> LoweredValue:
        """Convert an argument of a block call to the layout that the block expects.

        Values with spatial axes keep their axis order, unless the block needs the framework's own; all other
        values get the framework's own.
        """
        if not natural_order and any(axis in value.type for axis in SPATIAL):
            return Operand(self, value).unfold_axes().value
        return self.convert_to_natural_order(value)

    def convert_scanned(self, scan: Scan, name: str, value: LoweredValue) -> LoweredValue:
        """Convert an argument of a scan to the framework's own order; the axis that is scanned comes first."""
        if name not in scan.sliced:
            return self.convert_to_natural_order(value)
        rest = self.backend.natural_order(value.type.without_axes(scan.over))
        return self.convert_value(value, Layout((scan.over, *rest), (), value.layout.batched))

    def output_layout(self, name: str, value: LoweredValue) -> Layout:
        """Return the layout of an output of the model: the order of the spec, or the framework's own."""
        order = self.block.outputs[name].order or self.backend.natural_order(value.type)
        return Layout(order, (), value.layout.batched)

    def convert_to_natural_order(self, value: LoweredValue) -> LoweredValue:
        layout = Layout(self.backend.natural_order(value.type), (), value.layout.batched)
        return self.convert_value(value, layout)

    def add_node_step(self, node: Node, step: LoweredStep) -> None:
        """Add the step of a graph node, with the name, condition and comment that the author gave it."""
        self.check_sizes_known(node, step.call, step.member)
        described = replace(step, named=node.has_own_name, when=node.when, doc=node.doc, node=node.name)
        self.add_step(described, node.type)

    def check_sizes_known(self, node: Node | None, code: Expr, member: Member | None = None) -> None:
        """Raise SB601 if the code of a model reads a size that can be any, and the backend cannot do this."""
        block = self.block
        if self.backend.models_read_sizes or not block.free_axes:
            return
        sources = {**runtime_sizes(block), **block.step_sizes}
        codes = (code, member) if isinstance(member, ComputedTable) else (code,)
        names = [name for x in codes for name in list_names(x)]
        if any(sources.get(name) in block.free_axes for name in names) or any(
            self.reads_free_size(part) for part in walk_expression(code)
        ):
            at = block.at if node is None else node.at
            message = f"{self.backend.name} cannot express this for sizes that can be any: the function that makes a "
            message += "model does not know them"
            raise at.error("SB601", message, "put this step into a block, which becomes a layer")

    def reads_free_size(self, part: Expr) -> bool:
        """Return whether code reads a size that can be any from the shape of a value."""
        match part:
            case Index(Attribute(ValuePlaceholder(number), "shape"), (dims,)):
                free = self.free_dims(number)
                is_single = isinstance(dims, Literal) and isinstance(dims.value, int)
                return free[dims.value] if is_single else any(free)  # type: ignore[union-attr,index]
            case Call(Name(function), args) if function in self.backend.size_readers:
                return any(any(self.free_dims(number)) for x in args for number in input_numbers(x))
        return False

    def free_dims(self, number: int) -> list[bool]:
        """Return for each dimension of a value whether its size can be any."""
        key = self.value_keys[number]
        steps = (step.layout for step in reversed(self.steps) if step.key == key)
        layout = self.values[key].layout if key in self.values else next(steps)
        axes = [*([""] if layout.batched else []), *layout.order]
        return [(key.partition("~")[0], axis) in self.block.free_axes for axis in axes]

    def add_step(self, step: LoweredStep, type_: TensorType) -> None:
        self.steps.append(step)
        if step.named and not step.layer_name:
            self.author_named.add(step.key)
        self.values[step.key] = LoweredValue(step.key, type_, step.layout)

    def read_keys(self, expr: Expr, member: Member | None = None) -> list[str]:
        """Return the keys of the values that an expression reads, without duplicates, in reading order.

        Among them are those whose sizes it, or a table in `member`, reads.
        """
        keys = [self.value_keys[number] for number in input_numbers(expr)]
        codes = (expr, member) if isinstance(member, ComputedTable) else (expr,)
        names = dict.fromkeys(name for code in codes for name in list_names(code))
        keys += [self.size_value(name).key for name in names if name in self.block.step_sizes]
        return list(dict.fromkeys(keys))

    def reads_step_sizes(self, expr: Expr) -> bool:
        return reads_names(expr, self.block.step_sizes)

    def size_value(self, name: str) -> LoweredValue:
        """Return the value from whose shape code reads a size of a step."""
        ref, axis = self.block.step_sizes[name]
        value = Operand(self, self.values[ref]).unfold_axes().value
        self.step_sizes[name] = value.key, value.layout.dim(axis)
        self.value_number(value.key)  # code that reads nothing but its size needs its number
        return value

    def convert_value(self, value: LoweredValue, layout: Layout) -> LoweredValue:
        """Return the value in another layout.

        The first request adds a conversion step after the value's own.
        """
        if value.layout == layout:
            return value
        key = (value.key, layout)
        if key not in self.conversions:
            label = "".join(layout.order) + (
                "" if not layout.batch_axes else "_" + "".join(layout.batch_axes)
            )
            known_sizes = self.visible_sizes(value) if value.layout.batch_axes != layout.batch_axes else {}
            call = self.backend.convert_layout(
                ValuePlaceholder(self.value_number(value.key)), value.type, value.layout, layout, known_sizes
            )
            self.check_sizes_known(self.block.find_node(value.key.partition("@")[0]), call)
            reads = tuple(self.read_keys(call))
            step = LoweredStep(
                f"{value.key}~{label}", reads, call, layout, named=value.key in self.author_named
            )
            self.steps.insert(self.position_after(value.key), step)
            self.conversions[key] = LoweredValue(step.key, value.type, layout)
        return self.conversions[key]

    def visible_sizes(self, value: LoweredValue) -> dict[str, Expr]:
        """Return code for the sizes of folded axes that can be read from the shape of a block input.

        Symbolic sizes need no such code.
        """
        sizes: dict[str, Expr] = {}
        for axis in value.layout.batch_axes:
            for x in self.inputs.values():
                has_axis = x.layout.batched and axis in x.layout.order and axis not in sizes
                if has_axis and x.type[axis] == value.type[axis] and expression_of(value.type[axis]) is None:
                    shape = Attribute(ValuePlaceholder(self.value_number(x.key)), "shape")
                    sizes[axis] = Index(shape, (Literal(x.layout.dim(axis)),))
        return sizes

    def position_after(self, key: str) -> int:
        """Return the index after the step that computes a value.

        For an input of the block, after all steps.
        """
        for index in range(len(self.steps) - 1, -1, -1):
            if self.steps[index].key == key or key in self.steps[index].parts:
                return index + 1
        return len(self.steps)


def scan_layout(scan: Scan, name: str, layout: Layout) -> Layout:
    """Return the layout of an input at one position."""
    if name not in scan.sliced:
        return layout
    return replace(layout, order=tuple(axis for axis in layout.order if axis != scan.over))


def find_batched_layers(block: Block) -> set[str]:
    """Return the names of the steps that are reused, and that at least one use gives a value with a batch."""
    shared = {node.reuses for node in block.nodes if node.reuses}
    return {
        node.reuses or node.name
        for node in block.nodes
        if (node.reuses or node.name) in shared
        and any(ref is not None and block.value_type(ref).batched for ref in node.inputs)
    }


def live_steps(steps: Sequence[LoweredStep], outputs: set[str]) -> list[LoweredStep]:
    """Return the live steps: those whose values are read, and those that use a member."""
    needed, result = set(outputs), []
    for step in reversed(steps):
        has_member = step.member is not None or step.layer_name != ""
        if has_member or step.key in needed or needed.intersection(step.parts):
            needed.update(step.inputs)
            result.append(step)
    return result[::-1]


class UnsupportedOp(Exception):
    """Raised when a backend cannot express an op exactly; the message says why."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.hint = hint


class MissingBatch(UnsupportedOp):
    """Raised when a backend cannot express an op for values without a batch."""


def initial_value(weight: str, init: Init) -> InitialValue:
    """Return the initial values of a weight as code: their numbers may be expressions."""
    names = {"normal": ["std"], "truncated_normal": ["std"], "constant": ["value"]}.get(init.kind)
    names = names or ["bound"] * len(init.args) if len(init.args) < 2 else ["low", "high"]
    arguments = tuple(
        ConstructorArgument(name, Literal(value)) for name, value in zip(names, init.args, strict=False)
    )
    return InitialValue(weight, init.kind, arguments, init.mode)
