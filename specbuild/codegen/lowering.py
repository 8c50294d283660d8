"""Lowers a block instance to steps: for each node, its code and the layout of its result.

A step whose code needs a layer or a weight has a member: the constructor creates it and assigns it to an
attribute, and the code refers to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from specbuild.codegen.constructions import SELF, Construction, Member, input_numbers
from specbuild.codegen.layout import Layout
from specbuild.codegen.tree import Attribute, Call, Expr, Index, Input, Literal
from specbuild.expressions import Expression, expression_of
from specbuild.ir.graph import Block, Node, Ref, Skip
from specbuild.ops.attribute_kinds import Init
from specbuild.ops.base import Op
from specbuild.ops.types import SPATIAL, TensorType


@dataclass(frozen=True)
class Storage:
    """How a framework stores a weight: its name there, and how the canonical tensor is converted.

    The equal parts of the first axis are reordered by `blocks`, then the tensor is reshaped to `shape`, then
    permuted by `order`; each is optional. Weights with the same name are one tensor in the framework: their
    sum, or, if `stacked`, the weights along a new first axis.
    """

    name: str
    order: tuple[int, ...] | None = None
    shape: tuple[int, ...] | None = None
    blocks: tuple[int, ...] | None = None
    stacked: bool = False


@dataclass(frozen=True)
class LoweringResult:
    """The code that a backend emits for one op."""

    call: Expr
    layout: Layout
    member: Member | None = None  # what the constructor creates; `call` refers to it as SELF
    layer_form: Construction | None = None  # for an op without a member: a layer that does the same, for rows
    inits: tuple[tuple[str, Init], ...] = ()  # weights whose initial values the spec gives
    buffer: bool = False  # whether the member is a tensor that is not trained, such as a constant table
    parts: tuple[str, ...] = ()  # names of its outputs, if it has several
    weights: Mapping[str, Storage] = field(default_factory=dict)  # canonical name -> storage


@dataclass
class Value:
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
    is_light: bool = True  # whether its code may be written inside the code that reads its result
    named: bool = False  # whether the author gave it a name
    is_skipped: bool = False  # whether it only passes its input through, because its condition is false
    when: Expression | None = None
    doc: str = ""
    inits: tuple[tuple[str, Init], ...] = ()
    buffer: bool = False
    parts: tuple[str, ...] = ()  # keys of its results, if it has several
    node: str = ""  # name of its graph node
    span: tuple[int, int | None] | None = None  # for a piece of a row: its members as a half-open range


@dataclass(frozen=True, eq=False, repr=False)
class LoweredBlock:
    """A block instance as steps, with the layouts of its inputs and outputs. Compares by identity."""

    block: Block
    inputs: dict[str, Value]
    steps: list[LoweredStep]
    outputs: dict[str, Value]
    children: dict[str, LoweredBlock] = field(default_factory=dict)  # node name -> the instance it calls
    weights: dict[str, Mapping[str, Storage]] = field(default_factory=dict)  # node name -> its weights
    layouts: dict[str, Layout] = field(default_factory=dict)  # value key -> layout
    # parameters that the constructor cannot have: their values, which are emitted as plain numbers
    unstable_values: Mapping[str, Any] = field(default_factory=dict)


class Operand:
    """An input of an op as a backend sees it: type and layout, and methods to convert the layout."""

    def __init__(self, lowering: BlockLowering, value: Value):
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
        return Input(self.lowering.value_number(self.value.key))

    @property
    def inlinable_code(self) -> Expr | None:
        """The code that computes the value, if it may be written where the value is read."""
        step = next((s for s in reversed(self.lowering.steps) if s.key == self.value.key), None)
        if step is None or not step.is_light or step.member is not None:
            return None
        return None if step.layer_name or step.when or step.is_skipped or step.doc else step.call

    def __getitem__(self, axis: str) -> int:
        return self.value.type[axis]

    def dim(self, axis: str) -> int:
        return self.value.layout.dim(axis)

    def sorted_dims(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        return self.value.layout.sorted_dims(axes)

    def to_order(self, *order: str, folded: tuple[str, ...] = ()) -> Operand:
        """The value with its axes in this order. Each conversion is emitted once and shared."""
        return Operand(
            self.lowering, self.lowering.convert_value(self.value, Layout(order, folded, self.layout.batched))
        )

    def unfold_axes(self) -> Operand:
        """The value with no axes folded into the batch dimension."""
        return self.to_order(*self.layout.folded, *self.order) if self.layout.folded else self

    def move_last(self, *axes: str) -> Operand:
        """The value with these axes last, in this order; the others keep their order."""
        here = self.unfold_axes()
        return here.to_order(*(a for a in here.order if a not in axes), *axes)


class Backend(Protocol):
    """What code generation needs from a framework's backend."""

    name: str

    def natural_order(self, x: TensorType) -> tuple[str, ...]: ...
    def lower(self, op: Op, inputs: list[Operand | None], type_: TensorType) -> LoweringResult: ...
    def convert_layout(
        self, value: Expr, type_: TensorType, source: Layout, target: Layout, known_sizes: Mapping[str, Expr]
    ) -> Expr: ...


LowerBlock = Callable[[Block, tuple[Layout, ...]], LoweredBlock]


class BlockLowering:
    """Lowers one block instance, given the layouts of its inputs."""

    def __init__(
        self,
        block: Block,
        layouts: tuple[Layout, ...],
        backend: Backend,
        lower_block: LowerBlock,
        value_numbers: dict[str, int],
        natural_order_blocks: Set[str],
    ):
        self.block, self.backend, self.lower_block = block, backend, lower_block
        self.value_numbers, self.natural_order_blocks = value_numbers, natural_order_blocks
        self.values = {
            name: Value(name, type_, layout)
            for (name, type_), layout in zip(block.inputs.items(), layouts, strict=True)
        }
        self.inputs = dict(self.values)
        self.steps: list[LoweredStep] = []
        self.value_keys: list[str] = []
        self.author_named: set[str] = set()  # values named by the author, in any layout
        self.conversions: dict[tuple[str, Layout], Value] = {}
        self.children: dict[str, LoweredBlock] = {}
        self.weights: dict[str, Mapping[str, Storage]] = {}

    def value_number(self, key: str) -> int:
        """The number of a value; all instances of a block use the same numbers."""
        return self.value_numbers.setdefault(key, len(self.value_numbers))

    def run(self, natural_outputs: bool = False) -> LoweredBlock:
        """Lower all nodes; `natural_outputs` converts the outputs to the framework's own axis order."""
        for node in self.block.nodes:
            self.lower_node(node)
        outputs = {name: self.lookup_value(output.ref) for name, output in self.block.outputs.items()}
        if natural_outputs:
            outputs = {name: self.convert_to_natural_order(value) for name, value in outputs.items()}
        else:
            outputs = {name: Operand(self, value).unfold_axes().value for name, value in outputs.items()}
        steps = live_steps(self.steps, {value.key for value in outputs.values()})
        layouts = {key: value.layout for key, value in self.values.items()}
        return LoweredBlock(self.block, self.inputs, steps, outputs, self.children, self.weights, layouts)

    def lookup_value(self, ref: Ref) -> Value:
        return self.values[ref]

    def lower_node(self, node: Node) -> None:
        sources = [None if ref is None else self.lookup_value(ref) for ref in node.inputs]
        if isinstance(node.op, Skip):
            [source] = sources
            assert source is not None
            code = Input(self.value_number(source.key))
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
            result = self.backend.lower(op, operands, node.type)
        except UnsupportedOp as error:
            message = f"{self.backend.name} cannot express this {op.name}: {error}"
            raise node.at.error("SB601", message, error.hint) from None
        if result.weights and not node.reuses:
            self.weights[node.name] = result.weights
        parts = tuple(f"{node.name}@{part}" for part in result.parts)
        step = LoweredStep(
            node.name,
            tuple(self.read_keys(result.call)),
            result.call,
            result.layout,
            None if node.reuses else result.member,
            result.layer_form,
            node.reuses or node.name if result.member is not None else "",
            is_light=type(op).can_inline,
            inits=() if node.reuses else result.inits,
            buffer=result.buffer,
            parts=parts,
        )
        self.add_node_step(node, step)
        for part in parts:
            self.values[part] = Value(part, self.block.value_type(part), result.layout)

    def lower_block_call(self, node: Node, block: Block, sources: list[Value]) -> None:
        """Add the step that calls an inner block, lowered for the layouts of these arguments."""
        natural_order = block_identity(block) in self.natural_order_blocks
        arguments = [self.convert_argument(source, natural_order) for source in sources]
        child = self.lower_block(block, tuple(argument.layout for argument in arguments))
        self.children[node.name] = child
        has_several_outputs = len(child.outputs) > 1
        refs = {name: f"{node.name}@{name}" for name in child.outputs}
        first_name, first = next(iter(child.outputs.items()))
        step = LoweredStep(
            node.name,
            tuple(argument.key for argument in arguments),
            Call(SELF, tuple(Input(self.value_number(argument.key)) for argument in arguments)),
            first.layout,
            None if node.reuses else Construction(block.kind, (), is_own_class=True),
            layer_name=node.reuses or node.name,
            is_light=False,
            parts=tuple(refs.values()) if has_several_outputs else (),
        )
        self.add_node_step(node, step)
        for name, value in child.outputs.items():
            ref = refs[name]
            type_ = self.block.value_type(ref) if name else node.type
            self.values[ref] = Value(ref if has_several_outputs else node.name, type_, value.layout)
        if has_several_outputs or first_name:
            self.values[node.name] = self.values[refs[first_name]]

    def convert_argument(self, value: Value, natural_order: bool) -> Value:
        """Convert an argument of a block call to the layout that the block expects.

        Values with spatial axes keep their axis order, unless the block needs the framework's own; all other
        values get the framework's own.
        """
        if not natural_order and any(axis in value.type for axis in SPATIAL):
            return Operand(self, value).unfold_axes().value
        return self.convert_to_natural_order(value)

    def convert_to_natural_order(self, value: Value) -> Value:
        layout = Layout(self.backend.natural_order(value.type), (), value.layout.batched)
        return self.convert_value(value, layout)

    def add_node_step(self, node: Node, step: LoweredStep) -> None:
        """Add the step of a graph node, with the name, condition and comment that the author gave it."""
        described = replace(step, named=node.has_own_name, when=node.when, doc=node.doc, node=node.name)
        self.add_step(described, node.type)

    def add_step(self, step: LoweredStep, type_: TensorType) -> None:
        self.steps.append(step)
        if step.named and not step.layer_name:
            self.author_named.add(step.key)
        self.values[step.key] = Value(step.key, type_, step.layout)

    def read_keys(self, expr: Expr) -> list[str]:
        """The keys of the values that an expression reads, without duplicates, in reading order."""
        if len(self.value_keys) < len(self.value_numbers):
            self.value_keys = list(self.value_numbers)
        return [self.value_keys[number] for number in input_numbers(expr)]

    def convert_value(self, value: Value, layout: Layout) -> Value:
        """The value in another layout; the first request adds a conversion step after the value's own."""
        if value.layout == layout:
            return value
        key = (value.key, layout)
        if key not in self.conversions:
            label = "".join(layout.order) + ("" if not layout.folded else "_" + "".join(layout.folded))
            known_sizes = self.visible_sizes(value) if value.layout.folded != layout.folded else {}
            call = self.backend.convert_layout(
                Input(self.value_number(value.key)), value.type, value.layout, layout, known_sizes
            )
            reads = tuple(self.read_keys(call))
            step = LoweredStep(
                f"{value.key}~{label}", reads, call, layout, named=value.key in self.author_named
            )
            self.steps.insert(self.position_after(value.key), step)
            self.conversions[key] = Value(step.key, value.type, layout)
        return self.conversions[key]

    def visible_sizes(self, value: Value) -> dict[str, Expr]:
        """Code for the sizes of folded axes that can be read from the shape of a block input.

        Symbolic sizes need no such code.
        """
        sizes: dict[str, Expr] = {}
        for axis in value.layout.folded:
            for x in self.inputs.values():
                has_axis = x.layout.batched and axis in x.layout.order and axis not in sizes
                if has_axis and x.type[axis] == value.type[axis] and expression_of(value.type[axis]) is None:
                    shape = Attribute(Input(self.value_number(x.key)), "shape")
                    sizes[axis] = Index(shape, (Literal(x.layout.dim(axis)),))
        return sizes

    def position_after(self, key: str) -> int:
        """The index after the step that computes a value; for an input of the block, after all steps."""
        for index in range(len(self.steps) - 1, -1, -1):
            if self.steps[index].key == key or key in self.steps[index].parts:
                return index + 1
        return len(self.steps)


def block_identity(block: Block) -> str:
    """A key for the definition of a block; instances with the same key may share a class."""
    return f"{block.kind}\0{block.at.source.file}\0{block.at.path}"


def live_steps(steps: Sequence[LoweredStep], outputs: set[str]) -> list[LoweredStep]:
    """The steps without dead ones: those whose values are read, and those that use a member."""
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
