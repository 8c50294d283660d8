"""One block instance to steps: what each makes beforehand, what it does, and in which order its axes lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from specbuild.codegen.constructions import SELF, Construct, Made, inputs_of
from specbuild.codegen.layout import Layout
from specbuild.codegen.tree import Attribute, Call, Expr, Index, Input, Literal
from specbuild.expressions import words
from specbuild.ir.graph import Block, Node, Ref, Skip
from specbuild.ops.attribute_kinds import Init
from specbuild.ops.base import Op
from specbuild.ops.types import SPATIAL, Tensor


@dataclass(frozen=True)
class Stored:
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
class Result:
    """How a backend writes one op."""

    call: Expr
    layout: Layout
    make: Made | None = None  # what is held; `call` then speaks of SELF
    module: Construct | None = None  # the layer form of an op that holds nothing, for use in a row of layers
    inits: tuple[tuple[str, Init], ...] = ()  # weights that begin as the spec says
    buffer: bool = False  # whether what is held is a constant table
    parts: tuple[str, ...] = ()  # names of the several values that it gives
    weights: Mapping[str, Stored] = field(default_factory=dict)  # canonical name -> where it is kept


@dataclass
class Value:
    """A value in flight: which one, of what type, lying how."""

    key: str
    type: Tensor
    layout: Layout


@dataclass(frozen=True)
class Step:
    """One statement to be."""

    key: str  # of the value that comes out
    inputs: tuple[str, ...]
    call: Expr
    layout: Layout
    make: Made | None = None
    module: Construct | None = None
    holder: str = ""  # name of the step that made what this one calls
    light: bool = True
    named: bool = False
    skipped: bool = False
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
class Lowered:
    """One block instance as steps, with its inputs and outputs as they lie."""

    block: Block
    inputs: dict[str, Value]
    steps: list[Step]
    outputs: dict[str, Value]
    children: dict[str, Lowered] = field(default_factory=dict)  # node name -> the instance it calls
    weights: dict[str, Mapping[str, Stored]] = field(
        default_factory=dict
    )  # node name -> where its weights are kept
    layouts: dict[str, Layout] = field(default_factory=dict)  # value -> how it lies


class Operand:
    """What a backend's function sees of an input: its type, its order, and how to have it in another."""

    def __init__(self, lowering: Lowering, value: Value):
        self.lowering, self.value = lowering, value

    @property
    def type(self) -> Tensor:
        return self.value.type

    @property
    def layout(self) -> Layout:
        return self.value.layout

    @property
    def order(self) -> tuple[str, ...]:
        return self.value.layout.order

    @property
    def expr(self) -> Expr:
        return Input(self.lowering.number(self.value.key))

    @property
    def call(self) -> Expr | None:
        """The code that the value comes from, if it could as well be written where the value is read."""
        step = next((s for s in reversed(self.lowering.steps) if s.key == self.value.key), None)
        plain = (
            step is not None
            and step.make is None
            and not (step.holder or step.when or step.skipped or step.doc)
        )
        return step.call if step is not None and plain and step.light else None

    def __getitem__(self, axis: str) -> int:
        return self.value.type[axis]

    def dim(self, axis: str) -> int:
        return self.value.layout.dim(axis)

    def dims(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        return self.value.layout.dims(axes)

    def to(self, *order: str, folded: tuple[str, ...] = ()) -> Operand:
        """The same value with its axes in this physical order; a conversion is made once and shared."""
        return Operand(
            self.lowering, self.lowering.converted(self.value, Layout(order, folded, self.layout.batched))
        )

    def unfolded(self) -> Operand:
        """The same value with every axis in a dimension of its own."""
        return self.to(*self.layout.folded, *self.order) if self.layout.folded else self

    def last(self, *axes: str) -> Operand:
        """With these axes at the end, in this order; the others stay as they are."""
        here = self.unfolded()
        return here.to(*(a for a in here.order if a not in axes), *axes)


class Backend(Protocol):
    """What emission asks of a framework's table."""

    name: str

    def natural(self, x: Tensor) -> tuple[str, ...]: ...
    def lower(self, op: Op, inputs: list[Operand | None], type_: Tensor) -> Result: ...
    def convert(
        self, value: Expr, type_: Tensor, held: Layout, wanted: Layout, seen: Mapping[str, Expr]
    ) -> Expr: ...


Lower = Callable[[Block, tuple[Layout, ...]], Lowered]


class Lowering:
    """Lowers one block instance whose inputs lie as given."""

    def __init__(
        self,
        block: Block,
        layouts: tuple[Layout, ...],
        backend: Backend,
        lower: Lower,
        numbers: dict[str, int],
        settled: set[str],
    ):
        self.block, self.backend, self.lower_block, self.numbers, self.settled = (
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
        self.steps: list[Step] = []
        self.keys: list[str] = []
        self.kept_names: set[str] = set()  # values that go by the author's name, in whatever order they lie
        self.conversions: dict[tuple[str, Layout], Value] = {}
        self.children: dict[str, Lowered] = {}
        self.weights: dict[str, Mapping[str, Stored]] = {}

    def number(self, key: str) -> int:
        """Values are numbered by name alike in all instances of a block."""
        return self.numbers.setdefault(key, len(self.numbers))

    def run(self, natural_outputs: bool = False) -> Lowered:
        for node in self.block.nodes:
            self.node(node)
        outputs = {name: self.value(output.ref) for name, output in self.block.outputs.items()}
        if natural_outputs:
            outputs = {
                name: self.converted(v, Layout(self.backend.natural(v.type), (), v.layout.batched))
                for name, v in outputs.items()
            }
        else:
            outputs = {
                name: Operand(self, v).unfolded().value if v.layout.folded else v
                for name, v in outputs.items()
            }
        steps = list(read(self.steps, {value.key for value in outputs.values()}))[::-1]
        layouts = {key: value.layout for key, value in self.values.items()}
        return Lowered(self.block, self.inputs, steps, outputs, self.children, self.weights, layouts)

    def value(self, ref: Ref) -> Value:
        return self.values[ref]

    def node(self, node: Node) -> None:
        sources = [None if ref is None else self.value(ref) for ref in node.inputs]
        common: dict[str, Any] = {"named": node.named, "when": node.when, "doc": node.doc, "node": node.name}
        if isinstance(node.op, Skip):
            [source] = sources
            assert source is not None
            self.add(
                Step(
                    node.name,
                    (source.key,),
                    Input(self.number(source.key)),
                    source.layout,
                    skipped=True,
                    **common,
                ),
                node.type,
            )
        elif isinstance(node.op, Block):
            self.call(node, [s for s in sources if s is not None], common)
        else:
            operands = [None if s is None else Operand(self, s) for s in sources]
            try:
                result = self.backend.lower(node.op, operands, node.type)
            except Unsupported as e:
                raise node.at.error(
                    "SB601", f"{self.backend.name} cannot express this {node.op.name}: {e}", e.hint
                ) from None
            if result.weights and not node.reuses:
                self.weights[node.name] = result.weights
            step = Step(
                node.name,
                tuple(self.read_by(result.call)),
                result.call,
                result.layout,
                None if node.reuses else result.make,
                result.module,
                node.reuses or node.name if result.make is not None else "",
                light=type(node.op).light,
                inits=() if node.reuses else result.inits,
                buffer=result.buffer,
                parts=tuple(f"{node.name}@{part}" for part in result.parts),
                **common,
            )
            self.add(step, node.type)
            for part in result.parts:
                self.values[f"{node.name}@{part}"] = Value(
                    f"{node.name}@{part}", self.block.typed(f"{node.name}@{part}"), result.layout
                )

    def call(self, node: Node, sources: list[Value], common: dict[str, Any]) -> None:
        assert isinstance(node.op, Block)
        settled = identity(node.op) in self.settled
        plain_sources = [self.boundary(s, settled) for s in sources]
        child = self.lower_block(node.op, tuple(s.layout for s in plain_sources))
        self.children[node.name] = child
        call = Call(SELF, tuple(Input(self.number(s.key)) for s in plain_sources))
        several = len(child.outputs) > 1
        parts = tuple(self.part(node, i, name) for i, name in enumerate(child.outputs)) if several else ()
        first = next(iter(child.outputs.values()))
        made = None if node.reuses else Construct(node.op.kind, (), unit=True)
        key = next(iter(node.op.outputs)) if not several else ""
        step = Step(
            node.name,
            tuple(s.key for s in plain_sources),
            call,
            first.layout,
            made,
            holder=node.reuses or node.name,
            light=False,
            parts=parts,
            **common,
        )
        self.add(step, node.type)
        for name, value in child.outputs.items():
            ref = f"{node.name}@{name}"
            self.values[ref] = Value(
                ref if several and ref in parts else node.name,
                self.block.typed(ref) if name else node.type,
                value.layout,
            )
        if several:
            self.values[node.name] = Value(
                parts[0], self.values[f"{node.name}@{next(iter(child.outputs))}"].type, first.layout
            )
        elif key:
            self.values[node.name] = self.values[f"{node.name}@{key}"]

    def boundary(self, value: Value, settled: bool) -> Value:
        """A value as it enters a block: maps as they lie, unless their order is `settled` for all instances
        of the block; sequences in the framework's own order."""
        if not settled and any(axis in value.type for axis in SPATIAL):
            return Operand(self, value).unfolded().value if value.layout.folded else value
        return self.converted(value, Layout(self.backend.natural(value.type), (), value.layout.batched))

    @staticmethod
    def part(node: Node, index: int, name: str) -> str:
        return f"{node.name}@{name}"

    def add(self, step: Step, type_: Tensor) -> None:
        self.steps.append(step)
        if step.named and not step.holder:
            self.kept_names.add(step.key)
        self.values[step.key] = Value(step.key, type_, step.layout)

    def read_by(self, expr: Expr) -> list[str]:
        """The values that an expression reads, each once, in the order of reading."""
        wanted = inputs_of(expr)
        if len(self.keys) < len(self.numbers):
            self.keys = list(self.numbers)
        return [self.keys[i] for i in wanted]

    def converted(self, value: Value, layout: Layout) -> Value:
        if value.layout == layout:
            return value
        key = (value.key, layout)
        if key not in self.conversions:
            label = "".join(layout.order) + ("" if not layout.folded else "_" + "".join(layout.folded))
            seen = self.seen(value) if value.layout.folded != layout.folded else {}
            call = self.backend.convert(Input(self.number(value.key)), value.type, value.layout, layout, seen)
            reads = tuple(self.read_by(call))
            step = Step(f"{value.key}~{label}", reads, call, layout, named=value.key in self.kept_names)
            self.steps.insert(self.after(value.key), step)
            self.conversions[key] = Value(step.key, value.type, layout)
        return self.conversions[key]

    def seen(self, value: Value) -> dict[str, Expr]:
        """The sizes of axes that are merged into the batch, as an input of the block shows them; what has words
        needs none."""
        found: dict[str, Expr] = {}
        for axis in value.layout.folded:
            for x in self.inputs.values():
                shown = x.layout.batched and axis in x.layout.order and axis not in found
                if shown and x.type[axis] == value.type[axis] and words(value.type[axis]) is None:
                    shape = Attribute(Input(self.number(x.key)), "shape")
                    found[axis] = Index(shape, (Literal(x.layout.dim(axis)),))
        return found

    def after(self, key: str) -> int:
        """The place after the step that gives a value: turned at once, it reads as one expression."""
        for at in range(len(self.steps) - 1, -1, -1):
            if self.steps[at].key == key or key in self.steps[at].parts:
                return at + 1
        return len(self.steps)


def identity(block: Block) -> str:
    """Instances of the same definition are candidates for one class."""
    return f"{block.kind}\0{block.at.source.file}\0{block.at.path}"


def read(steps: Sequence[Step], wanted: set[str]) -> Iterator[Step]:
    """The steps whose values are read, last first, and those that hold something."""
    wanted = set(wanted)
    for step in reversed(steps):
        if step.key in wanted or step.make is not None or step.holder or wanted.intersection(step.parts):
            wanted.update(step.inputs)
            yield step


class Unsupported(Exception):
    """A backend cannot write an op exactly; the message says why."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.hint = hint
