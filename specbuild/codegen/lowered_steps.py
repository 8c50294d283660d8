"""What lowering gives: the steps of a block with their code, and how its weights are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from msgspec import Struct, field

from specbuild.codegen.constructions import (
    OWN_MEMBER,
    Construction,
    ConstructorArgument,
    InitialValue,
    Member,
)
from specbuild.codegen.layout import Layout
from specbuild.codegen.size_checks import SizeCheck
from specbuild.codegen.tree import Call, Expr, Literal, ValuePlaceholder
from specbuild.expressions import Expression
from specbuild.ir.graph import Block, Ref
from specbuild.ops.initializers import Init
from specbuild.ops.types import TensorType


class Storage(Struct, frozen=True):
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


class LoweringResult(Struct, frozen=True):
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


class LoweredValue(Struct):
    """An intermediate value: its key, type and layout."""

    key: str
    type: TensorType
    layout: Layout


def graph_reference(key: str) -> Ref:
    """Return the value of the graph that a value of the code is, perhaps in another layout.

    The key of a block's own output, which has no name, ends with `@`.
    """
    return key.partition("~")[0].removesuffix("@")


class LoweredStep(Struct, frozen=True):
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
        """Whether a layer that returns its input can take the place of this step's layer.

        Then the step does nothing but call its layer on the value that passes through where the step is left out.
        """
        if self.member is None or not isinstance(self.call, Call) or self.call.function != OWN_MEMBER:
            return False
        args = self.call.args
        return len(args) < 2 and all(isinstance(argument, ValuePlaceholder) for argument in args)


class LoweredBlock(Struct, frozen=True, eq=False, dict=True):
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

    @cached_property
    def steps_by_layer(self) -> dict[str, list[LoweredStep]]:
        """The steps that use the member of each step that has one, by its name."""
        found: dict[str, list[LoweredStep]] = {}
        for step in self.steps:
            found.setdefault(step.layer_name, []).append(step)
        return found


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
