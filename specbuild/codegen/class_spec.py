"""The class that the emitted file gets for a block, and the table of all classes of one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.codegen.constructions import map_expressions, map_initial_values
from specbuild.codegen.lowered_steps import LoweredBlock, LoweredStep
from specbuild.codegen.size_checks import SizeCheck
from specbuild.codegen.tree import Expr
from specbuild.ir.graph import Block, FreeSizes

REQUIRED = ...


class ConstructorParam(Struct, frozen=True):
    """A parameter of a class's constructor."""

    default: Any
    annotation: str


class InputSize(Struct, frozen=True):
    """A size that the code reads: the input, the dimension that holds the axis, and the name of a variable."""

    source: str
    dim: int
    variable: str


class Guard(Struct, frozen=True):
    """A condition under which a constructor refuses its arguments, and the message of the error."""

    condition: Expr
    message: str


class ClassSpec(Struct, eq=False, dict=True, weakref=True):
    """A class of the emitted file: one block, or the instances of a block that have the same structure.

    Compares by identity, so that what is computed from it can be cached.
    """

    name: str
    block: Block
    params: dict[str, ConstructorParam]
    derived: dict[str, Expr]  # parameters that always follow from others -> their formula
    steps: list[LoweredStep]
    flags: dict[str, Expr]  # step key -> condition, for steps that some instances skip
    instances: list[LoweredBlock]
    value_numbers: dict[str, int]  # value key -> the index that its placeholders have
    sizes: dict[str, InputSize] = field(default_factory=dict)  # value key -> the size that it reads
    inner_classes: dict[str, ClassSpec] = field(default_factory=dict)  # node -> the class of its layer
    # step key -> an input that some instances do not get, and whether the step is present if it is given
    presence: dict[str, tuple[str, bool]] = field(default_factory=dict)
    guards: tuple[Guard, ...] = ()
    # the size that an input must have, or a divisor of it
    size_checks: Mapping[SizeCheck, Expr] = field(default_factory=dict)
    untried: tuple[str, ...] = ()  # parameters that get no argument, since trying other values takes too long
    # sizes that no constructor takes, since a later method reads them from an input: their variables -> the input
    built_sizes: Mapping[str, str] = field(default_factory=dict)

    # The rest are names in the code; see `code_names`.
    input_names: Mapping[str, str] = field(default_factory=dict)  # input -> its variable
    # argument of its `forward` or `call` -> for a list, the variables of its values
    arguments: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    attribute_names: Mapping[str, str] = field(default_factory=dict)  # constructor parameter -> its attribute
    param_words: Mapping[str, str] = field(default_factory=dict)  # renamed constructor parameter -> its name
    equal_names: Mapping[str, str] = field(default_factory=dict)  # derived value -> the parameter that it is
    taken_attributes: frozenset[str] = frozenset()  # of the framework, of layers, and of parameters
    used_globals: frozenset[str] = frozenset()  # modules that the code uses, and the object itself
    file_names: frozenset[str] = frozenset()  # the global names of the file, shared by all its classes
    own_variables: frozenset[str] = frozenset()  # variables of a function that both creates and calls layers

    @property
    def used_variables(self) -> frozenset[str]:
        """The names that no other variable can have in a function that both creates and calls layers."""
        return self.file_names | self.own_variables

    def find_owner(self, layer_name: str) -> tuple[str, ClassSpec, str] | None:
        """For a layer inside the layer of a step: that step, its class, and the name of the layer there."""
        if self.block.find_node(layer_name) is not None:
            return None
        names = [name for name in self.inner_classes if layer_name.startswith(f"{name}.")]
        if not names:
            return None
        name = max(names, key=len)
        return name, self.inner_classes[name], layer_name[len(name) + 1 :]

    @cached_property
    def makers_by_layer(self) -> dict[str, list[LoweredStep]]:
        """The step that creates each layer, by the layer's name; not the thousands of steps that may use it again."""
        groups: dict[str, list[LoweredStep]] = {}
        for step in self.steps:
            if step.member is not None or step.buffer:
                groups.setdefault(step.layer_name, []).append(step)
        return groups

    @cached_property
    def keys_by_number(self) -> dict[int, str]:
        """The key of the value with each number; the first of those that share one."""
        return {number: key for key, number in reversed(self.value_numbers.items())}

    @cached_property
    def last_members(self) -> dict[str, str]:
        """The last step in each group of the block, whose value is that of the group."""
        last: dict[str, str] = {}
        for node in self.first_instance.block.nodes:
            parts = node.name.split(".")
            last |= {".".join(parts[:depth]): node.name for depth in range(1, len(parts))}
        return last

    @cached_property
    def optional_inputs(self) -> frozenset[str]:
        """The inputs that some instances do not get."""
        inputs = self.first_instance.inputs
        return frozenset(n for n in inputs if any(n not in lowered.inputs for lowered in self.instances))

    @property
    def optional_arguments(self) -> frozenset[str]:
        """The arguments of its `forward` or `call` that can be None."""
        return frozenset(self.input_names[name] for name in self.optional_inputs)

    def attribute_of(self, param: str) -> str:
        """Return the attribute that holds the value of a constructor parameter."""
        return self.attribute_names.get(param, param)

    @property
    def first_instance(self) -> LoweredBlock:
        return self.instances[0]


class ClassTable(Struct):
    """The classes of one model that are built so far: those that a class uses are built before it."""

    value_numbers: Mapping[str, dict[str, int]]  # definition key -> its value numbers
    class_of: dict[LoweredBlock, ClassSpec] = field(default_factory=dict)
    # instance -> its values for parameters that merging added
    extra_arguments: dict[LoweredBlock, dict[str, Any]] = field(default_factory=dict)
    class_names: set[str] = field(default_factory=set)  # used, or reserved
    free_sizes: FreeSizes | None = None  # of the model, if some can be any


def map_step_code(class_spec: ClassSpec, change: Callable[[Expr], Expr]) -> ClassSpec:
    """Return the class with changed code of its steps and derived values."""

    def change_step(step: LoweredStep) -> LoweredStep:
        member = None if step.member is None else map_expressions(step.member, change)
        inits = map_initial_values(step.inits, change) if step.inits else ()
        call = change(step.call)
        is_same = member is step.member and not inits and call is step.call
        return step if is_same else replace(step, member=member, inits=inits, call=call)

    derived = {name: change(code) for name, code in class_spec.derived.items()}
    return replace(class_spec, derived=derived, steps=list(map(change_step, class_spec.steps)))
