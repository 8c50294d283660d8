"""One block instance to steps: what each makes beforehand, what it does, and in which order its axes lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from specbuild.codegen.constructions import SELF, Construction, Member, input_numbers
from specbuild.codegen.layout import Layout
from specbuild.codegen.tree import Attribute, Call, Expr, Index, Input, Literal
from specbuild.expressions import expression_of
from specbuild.ir.graph import Block, Node, Ref, Skip
from specbuild.ops.attribute_kinds import Init
from specbuild.ops.base import Op
from specbuild.ops.types import SPATIAL, TensorType


@dataclass(frozen=True)
class Storage:
    """Where a framework keeps a weight: its name there, and how the canonical tensor lies in it.

    `blocks`, if given, are the equal parts of its first axis in the order in which they are kept. Then it is
    reshaped to `shape`, if given, and permuted by `order`, if given. Weights that share a name are one tensor
    there: their sum, or `stacked` one after another along a first axis.
    """

    name: str
    order: tuple[int, ...] | None = None
    shape: tuple[int, ...] | None = None
    blocks: tuple[int, ...] | None = None
    stacked: bool = False


@dataclass(frozen=True)
class LoweringResult:
    """How a backend writes one op."""

    call: Expr
    layout: Layout
    member: Member | None = None  # what is held; `call` then speaks of SELF
    layer_form: Construction | None = (
        None  # the layer form of an op that holds nothing, for use in a row of layers
    )
    inits: tuple[tuple[str, Init], ...] = ()  # weights that begin as the spec says
    buffer: bool = False  # whether what is held is a constant table
    parts: tuple[str, ...] = ()  # names of the several values that it gives
    weights: Mapping[str, Storage] = field(default_factory=dict)  # canonical name -> where it is kept


@dataclass
class Value:
    """A value in flight: which one, of what type, lying how."""

    key: str
    type: TensorType
    layout: Layout


@dataclass(frozen=True)
class LoweredStep:
    """One statement to be."""

    key: str  # of the value that comes out
    inputs: tuple[str, ...]
    call: Expr
    layout: Layout
    member: Member | None = None
    layer_form: Construction | None = None
    layer_name: str = ""  # name of the step that made what this one calls
    is_light: bool = True
    named: bool = False
    is_skipped: bool = False
    when: str | None = None
    doc: str = ""
    inits: tuple[tuple[str, Init], ...] = ()
    buffer: bool = False
    parts: tuple[str, ...] = ()  # keys of the several values that come out, if there are several
    node: str = ""  # the graph node that it comes from
    span: tuple[int, int | None] | None = (
        None  # of a piece of a row: its first member, and the one after its last
    )


@dataclass
class LoweredBlock:
    """One block instance as steps, with its inputs and outputs as they lie."""

    block: Block
    inputs: dict[str, Value]
    steps: list[LoweredStep]
    outputs: dict[str, Value]
    children: dict[str, LoweredBlock] = field(default_factory=dict)  # node name -> the instance it calls
    weights: dict[str, Mapping[str, Storage]] = field(
        default_factory=dict
    )  # node name -> where its weights are kept
    layouts: dict[str, Layout] = field(default_factory=dict)  # value -> how it lies


class Operand:
    """What a backend's function sees of an input: its type, its order, and how to have it in another."""

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
        """The code that the value comes from, if it could as well be written where the value is read."""
        step = next((s for s in reversed(self.lowering.steps) if s.key == self.value.key), None)
        plain = (
            step is not None
            and step.member is None
            and not (step.layer_name or step.when or step.is_skipped or step.doc)
        )
        return step.call if step is not None and plain and step.is_light else None

    def __getitem__(self, axis: str) -> int:
        return self.value.type[axis]

    def dim(self, axis: str) -> int:
        return self.value.layout.dim(axis)

    def sorted_dims(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        return self.value.layout.sorted_dims(axes)

    def to_order(self, *order: str, folded: tuple[str, ...] = ()) -> Operand:
        """The same value with its axes in this physical order; a conversion is made once and shared."""
        return Operand(
            self.lowering, self.lowering.convert_value(self.value, Layout(order, folded, self.layout.batched))
        )

    def unfold_axes(self) -> Operand:
        """The same value with every axis in a dimension of its own."""
        return self.to_order(*self.layout.folded, *self.order) if self.layout.folded else self

    def move_last(self, *axes: str) -> Operand:
        """With these axes at the end, in this order; the others stay as they are."""
        here = self.unfold_axes()
        return here.to_order(*(a for a in here.order if a not in axes), *axes)


class Backend(Protocol):
    """What emission asks of a framework's table."""

    name: str

    def natural_order(self, x: TensorType) -> tuple[str, ...]: ...
    def lower(self, op: Op, inputs: list[Operand | None], type_: TensorType) -> LoweringResult: ...
    def convert_layout(
        self, value: Expr, type_: TensorType, held: Layout, wanted: Layout, seen: Mapping[str, Expr]
    ) -> Expr: ...


LowerBlock = Callable[[Block, tuple[Layout, ...]], LoweredBlock]


class BlockLowering:
    """Lowers one block instance whose inputs lie as given."""

    def __init__(
        self,
        block: Block,
        layouts: tuple[Layout, ...],
        backend: Backend,
        lower: LowerBlock,
        numbers: dict[str, int],
        settled: set[str],
    ):
        self.block, self.backend, self.lower_block, self.value_numbers, self.natural_order_blocks = (
            block,
            backend,
            lower,
            numbers,
            settled,
        )
        self.values = {
            name: Value(name, type_, layout)
            for (name, type_), layout in zip(block.inputs.items(), layouts, strict=True)
        }
        self.inputs = dict(self.values)
        self.steps: list[LoweredStep] = []
        self.value_keys: list[str] = []
        self.author_named: set[str] = set()  # values that go by the author's name, in whatever order they lie
        self.conversions: dict[tuple[str, Layout], Value] = {}
        self.children: dict[str, LoweredBlock] = {}
        self.weights: dict[str, Mapping[str, Storage]] = {}

    def value_number(self, key: str) -> int:
        """Values are numbered by name alike in all instances of a block."""
        return self.value_numbers.setdefault(key, len(self.value_numbers))

    def run(self, natural_outputs: bool = False) -> LoweredBlock:
        for node in self.block.nodes:
            self.lower_node(node)
        outputs = {name: self.lookup_value(output.ref) for name, output in self.block.outputs.items()}
        if natural_outputs:
            outputs = {
                name: self.convert_value(v, Layout(self.backend.natural_order(v.type), (), v.layout.batched))
                for name, v in outputs.items()
            }
        else:
            outputs = {
                name: Operand(self, v).unfold_axes().value if v.layout.folded else v
                for name, v in outputs.items()
            }
        steps = list(live_steps(self.steps, {value.key for value in outputs.values()}))[::-1]
        layouts = {key: value.layout for key, value in self.values.items()}
        return LoweredBlock(self.block, self.inputs, steps, outputs, self.children, self.weights, layouts)

    def lookup_value(self, ref: Ref) -> Value:
        return self.values[ref]

    def lower_node(self, node: Node) -> None:
        sources = [None if ref is None else self.lookup_value(ref) for ref in node.inputs]
        common: dict[str, Any] = {
            "named": node.has_own_name,
            "when": node.when,
            "doc": node.doc,
            "node": node.name,
        }
        if isinstance(node.op, Skip):
            [source] = sources
            assert source is not None
            self.add_step(
                LoweredStep(
                    node.name,
                    (source.key,),
                    Input(self.value_number(source.key)),
                    source.layout,
                    is_skipped=True,
                    **common,
                ),
                node.type,
            )
        elif isinstance(node.op, Block):
            self.lower_block_call(node, [s for s in sources if s is not None], common)
        else:
            operands = [None if s is None else Operand(self, s) for s in sources]
            try:
                result = self.backend.lower(node.op, operands, node.type)
            except UnsupportedOp as e:
                raise node.at.error(
                    "SB601", f"{self.backend.name} cannot express this {node.op.name}: {e}", e.hint
                ) from None
            if result.weights and not node.reuses:
                self.weights[node.name] = result.weights
            step = LoweredStep(
                node.name,
                tuple(self.read_keys(result.call)),
                result.call,
                result.layout,
                None if node.reuses else result.member,
                result.layer_form,
                node.reuses or node.name if result.member is not None else "",
                is_light=type(node.op).can_inline,
                inits=() if node.reuses else result.inits,
                buffer=result.buffer,
                parts=tuple(f"{node.name}@{part}" for part in result.parts),
                **common,
            )
            self.add_step(step, node.type)
            for part in result.parts:
                self.values[f"{node.name}@{part}"] = Value(
                    f"{node.name}@{part}", self.block.value_type(f"{node.name}@{part}"), result.layout
                )

    def lower_block_call(self, node: Node, sources: list[Value], common: dict[str, Any]) -> None:
        assert isinstance(node.op, Block)
        natural_order = block_identity(node.op) in self.natural_order_blocks
        plain_sources = [self.convert_argument(s, natural_order) for s in sources]
        child = self.lower_block(node.op, tuple(s.layout for s in plain_sources))
        self.children[node.name] = child
        call = Call(SELF, tuple(Input(self.value_number(s.key)) for s in plain_sources))
        several = len(child.outputs) > 1
        parts = tuple(self.part_key(node, i, name) for i, name in enumerate(child.outputs)) if several else ()
        first = next(iter(child.outputs.values()))
        member = None if node.reuses else Construction(node.op.kind, (), is_own_class=True)
        key = next(iter(node.op.outputs)) if not several else ""
        step = LoweredStep(
            node.name,
            tuple(s.key for s in plain_sources),
            call,
            first.layout,
            member,
            layer_name=node.reuses or node.name,
            is_light=False,
            parts=parts,
            **common,
        )
        self.add_step(step, node.type)
        for name, value in child.outputs.items():
            ref = f"{node.name}@{name}"
            self.values[ref] = Value(
                ref if several and ref in parts else node.name,
                self.block.value_type(ref) if name else node.type,
                value.layout,
            )
        if several:
            self.values[node.name] = Value(
                parts[0], self.values[f"{node.name}@{next(iter(child.outputs))}"].type, first.layout
            )
        elif key:
            self.values[node.name] = self.values[f"{node.name}@{key}"]

    def convert_argument(self, value: Value, natural_order: bool) -> Value:
        """A value as it enters a block: maps as they lie, unless their order is `settled` for all instances
        of the block; sequences in the framework's own order."""
        if not natural_order and any(axis in value.type for axis in SPATIAL):
            return Operand(self, value).unfold_axes().value if value.layout.folded else value
        return self.convert_value(
            value, Layout(self.backend.natural_order(value.type), (), value.layout.batched)
        )

    @staticmethod
    def part_key(node: Node, index: int, name: str) -> str:
        return f"{node.name}@{name}"

    def add_step(self, step: LoweredStep, type_: TensorType) -> None:
        self.steps.append(step)
        if step.named and not step.layer_name:
            self.author_named.add(step.key)
        self.values[step.key] = Value(step.key, type_, step.layout)

    def read_keys(self, expr: Expr) -> list[str]:
        """The values that an expression reads, each once, in the order of reading."""
        wanted = input_numbers(expr)
        if len(self.value_keys) < len(self.value_numbers):
            self.value_keys = list(self.value_numbers)
        return [self.value_keys[i] for i in wanted]

    def convert_value(self, value: Value, layout: Layout) -> Value:
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
        """The sizes of axes that are merged into the batch, as an input of the block shows them; what has words
        needs none."""
        sizes: dict[str, Expr] = {}
        for axis in value.layout.folded:
            for x in self.inputs.values():
                shown = x.layout.batched and axis in x.layout.order and axis not in sizes
                if shown and x.type[axis] == value.type[axis] and expression_of(value.type[axis]) is None:
                    shape = Attribute(Input(self.value_number(x.key)), "shape")
                    sizes[axis] = Index(shape, (Literal(x.layout.dim(axis)),))
        return sizes

    def position_after(self, key: str) -> int:
        """The place after the step that gives a value: turned at once, it reads as one expression."""
        for at in range(len(self.steps) - 1, -1, -1):
            if self.steps[at].key == key or key in self.steps[at].parts:
                return at + 1
        return len(self.steps)


def block_identity(block: Block) -> str:
    """Instances of the same definition are candidates for one class."""
    return f"{block.kind}\0{block.at.source.file}\0{block.at.path}"


def live_steps(steps: Sequence[LoweredStep], wanted: set[str]) -> Iterator[LoweredStep]:
    """The steps whose values are read, last first, and those that hold something."""
    wanted = set(wanted)
    for step in reversed(steps):
        if (
            step.key in wanted
            or step.member is not None
            or step.layer_name
            or wanted.intersection(step.parts)
        ):
            wanted.update(step.inputs)
            yield step


class UnsupportedOp(Exception):
    """A backend cannot write an op exactly; the message says why."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.hint = hint
