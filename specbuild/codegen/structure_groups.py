"""Group the instances of a block by structure: one class can serve all of a group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from specbuild.codegen.constructions import (
    Construction,
    ConstructorArgument,
    Repeated,
    is_literal,
)
from specbuild.codegen.lowered_steps import LoweredBlock, LoweredStep
from specbuild.codegen.tree import Literal
from specbuild.expressions import expression_of
from specbuild.frontend.block_inputs import list_optional

PLAIN_TYPES = {str, int, bool, float, type(None)}  # which stand for themselves


def group_by_structure(instances: list[LoweredBlock]) -> list[list[LoweredBlock]]:
    """Group instances whose code differs only in values and in the steps that they skip."""
    if len(instances) == 1:
        return [instances]
    # each group with the lists of inputs that its members have
    groups: list[tuple[list[StepStructure], list[LoweredBlock], set[tuple[str, ...]]]] = []
    optional = frozenset(list_optional(instances[0].block.declared_inputs))
    # those with most inputs first: a class has them all
    for plain in sorted(instances, key=lambda x: -sum(name in x.inputs for name in optional)):
        plain_structures = list_structures(plain)
        for group_structures, members, by_inputs in groups:
            if not all(can_share_names(names, tuple(plain.inputs), optional) for names in by_inputs):
                continue
            lowered = pass_on_inputs(plain, members[0]) or plain
            structures = plain_structures if lowered is plain else list_structures(lowered)
            if has_same_interface(members[0], lowered) and all(
                map(StepStructure.can_merge, group_structures, structures)
            ):
                group_structures[:] = map(StepStructure.prefer_active, group_structures, structures)
                members.append(lowered)
                by_inputs.add(tuple(lowered.inputs))
                break
        else:
            groups.append((plain_structures, [plain], {tuple(plain.inputs)}))
    return [members for _, members, _ in groups]


def list_structures(lowered: LoweredBlock) -> list[StepStructure]:
    return [StepStructure(step, code_skeleton(step)) for step in lowered.steps]


def step_structures(group: Sequence[LoweredBlock]) -> list[StepStructure]:
    """Return the structures of the steps of a group, whose instances have one structure, for `can_join`."""
    columns = zip(*(lowered.steps for lowered in group), strict=True)
    models = [next((s for s in steps if not s.is_skipped), steps[0]) for steps in columns]
    return [any_row_structure(step) for step in models]


def any_row_structure(step: LoweredStep) -> StepStructure:
    """Return the structure of a step in which all rows of layers are equal: a short one may lack the last members."""
    return StepStructure(step, None if step.is_skipped else code_skeleton(step, any_row=True))


def members_by_inputs(group: Iterable[LoweredBlock]) -> list[LoweredBlock]:
    """Return a member of a group for each of the sets of inputs that its members have."""
    return [*{tuple(member.inputs): member for member in group}.values()]


def can_join(members: list[LoweredBlock], structures: list[StepStructure], other: LoweredBlock) -> bool:
    """Return whether a block may have the structure of a group, given by `members_by_inputs` and `step_structures`."""
    if not has_same_interface(members[0], other) or not all(
        can_share_inputs(member, other) for member in members
    ):
        return False
    return all(
        structure.can_merge(any_row_structure(step))
        for structure, step in zip(structures, other.steps, strict=True)
    )


def has_same_interface(a: LoweredBlock, b: LoweredBlock) -> bool:
    """Return whether two instances have the same steps and outputs, and freeze the same steps."""
    return (
        [s.key for s in a.steps] == [s.key for s in b.steps]
        and {name: value.key for name, value in a.outputs.items()}
        == {name: value.key for name, value in b.outputs.items()}
        and a.block.frozen_paths == b.block.frozen_paths
    )


def can_share_inputs(a: LoweredBlock, b: LoweredBlock) -> bool:
    """Return whether one class can take the inputs of both: equal ones, or the last of one are optional."""
    return can_share_names(
        tuple(a.inputs), tuple(b.inputs), frozenset(list_optional(a.block.declared_inputs))
    )


def can_share_names(a: tuple[str, ...], b: tuple[str, ...], optional: frozenset[str]) -> bool:
    """Return whether one class can take inputs of both lists of names, if it needs no `optional` one."""
    if a == b:
        return True
    shorter, longer = sorted((a, b), key=len)
    return longer[: len(shorter)] == shorter and optional.issuperset(longer[len(shorter) :])


def pass_on_inputs(lowered: LoweredBlock, fuller: LoweredBlock) -> LoweredBlock | None:
    """Return an instance with the calls of another one, which passes on optional inputs that this one does not get.

    None if the other does not pass on such inputs, or passes on others.
    """
    missing = [name for name in fuller.inputs if name not in lowered.inputs]
    if not missing or len(lowered.steps) != len(fuller.steps) or not can_share_inputs(lowered, fuller):
        return None
    steps = []
    for step, other in zip(lowered.steps, fuller.steps, strict=True):
        extra = other.inputs[len(step.inputs) :]
        passes_on = extra and set(extra) <= set(missing) and other.inputs[: len(step.inputs)] == step.inputs
        is_call = isinstance(other.member, Construction) and other.member.is_own_class
        is_reuse = other.member is None and other.node in fuller.children
        steps.append(
            replace(step, call=other.call, inputs=other.inputs)
            if passes_on and (is_call or is_reuse) and not step.is_skipped
            else step
        )
    return None if steps == lowered.steps else replace(lowered, steps=steps, plain=lowered)


class StepStructure(Struct, frozen=True):
    """A step, and its code without values."""

    step: LoweredStep
    skeleton: Any

    def can_merge(self, other: StepStructure) -> bool:
        """Return whether one class can have both steps.

        In the merged class, the step's condition is checked.
        """
        if not self.step.is_skipped and not other.step.is_skipped:
            return bool(self.skeleton == other.skeleton)
        if self.step.is_skipped and other.step.is_skipped:
            return self.step.inputs == other.step.inputs
        active, skipped = (other.step, self.step) if self.step.is_skipped else (self.step, other.step)
        if active.parts:
            return False
        # an identity layer stands for a layer that is skipped: it must be called on what passes through
        return not active.can_be_identity or active.inputs == skipped.inputs

    def prefer_active(self, other: StepStructure) -> StepStructure:
        return other if self.step.is_skipped else self


def row_skeleton(row: Repeated) -> Any:
    """Return the form of a row: of the member that repeats, or of all if their number is no parameter."""
    length = row.length.value if isinstance(row.length, Literal) else None
    if not isinstance(length, int) or expression_of(length) is not None or row.indexed is not None:
        return ("run", code_skeleton(row.tail if row.indexed is None else row.indexed))
    members = [*row.head, *[row.tail] * (length - len(row.head))]
    return ("row", *map(code_skeleton, members))


def code_skeleton(part: Any, any_row: bool = False) -> Any:
    """Return a comparable form of code in which every value is replaced by a placeholder.

    With `any_row`, also every row of layers.
    """
    kind: type = type(part)
    if kind in PLAIN_TYPES:
        return part
    if kind is LoweredStep:
        code = [code_skeleton(code, any_row) for code in (part.call, part.member, part.inits)]
        return (*code, part.parts, part.doc)
    if is_literal(part):
        return "_"
    if kind is Repeated:
        return ("run", None) if any_row else row_skeleton(part)
    if kind is ConstructorArgument:
        return ("argument", part.name)
    if kind is tuple:
        return tuple([code_skeleton(p, any_row) for p in part])
    if issubclass(kind, Struct):
        return (
            kind.__name__,
            *[code_skeleton(getattr(part, name), any_row) for name in kind.__struct_fields__],
        )
    return part
