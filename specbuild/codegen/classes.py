"""Builds the classes of a model: groups the instances of each block by structure, and merges each group."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from functools import partial
from typing import Any

from specbuild.codegen.argument_checks import Candidate, find_limits, serve_variations
from specbuild.codegen.class_spec import ClassSpec, ClassTable
from specbuild.codegen.code_names import choose_code_names, class_names
from specbuild.codegen.constructions import (
    ComputedTable,
    Construction,
    ConstructorArgument,
    Repeated,
    inline_names,
    is_literal,
    is_same_value,
    literal_expression,
    literal_value,
    map_expressions,
    map_initial_values,
    reads_names,
)
from specbuild.codegen.layer_rows import collapse_rows
from specbuild.codegen.lowered_steps import LoweredBlock, LoweredStep
from specbuild.codegen.merge_code import StructureMismatch
from specbuild.codegen.merge_instances import InstanceMerger
from specbuild.codegen.merged_params import instance_values, value_params
from specbuild.codegen.model_lowering import LoweredModel
from specbuild.codegen.requirements import find_requirements, refused_by
from specbuild.codegen.size_checks import find_size_checks, refuse_fixed_sizes
from specbuild.codegen.tree import Expr, Literal, TupleOf, list_fields, map_children
from specbuild.codegen.variation_pool import Trial, VariationPool, constant_names, input_layouts
from specbuild.expressions import concrete, symbolic, translate_expression
from specbuild.frontend.block_inputs import list_optional
from specbuild.frontend.edits import EditDef, class_suffixes, to_camel_case
from specbuild.frontend.names import NO_NAMES, ReservedNames
from specbuild.ir.graph import Block, Node, VariationSource, definition_key, find_origin, runtime_sizes


def build_classes(
    model: LoweredModel, variations: VariationSource | None = None, reserved: ReservedNames = NO_NAMES
) -> list[ClassSpec]:
    """Return the classes of a model in file order: each after the classes that it uses, the model's own last.

    With `variations`, the classes are right for all arguments that their constructors accept. `reserved` are
    the names that the framework and its code need for themselves.
    """
    builder = ClassBuilder(model, (), reserved)
    builder.build()
    if variations is not None and (names := argument_names(builder)):
        trials = [
            Trial(base, variation)
            for base in names
            for variation in variations.vary_jointly(base.block, names[base])
        ]
        tested = dict[str, set[str]]()
        for base, arguments in names.items():
            tested.setdefault(definition_key(base.block), set()).update(arguments)
        builder = ClassBuilder(model, trials, reserved, tested)
        builder.build()
        if unclear := builder.unclear_bases():
            trials += [
                Trial(base, variation)
                for base in names
                if base in unclear
                for variation in variations.vary_singly(base.block, names[base])
            ]
            builder = ClassBuilder(model, trials, reserved, tested, is_final=True)
            builder.build()
    return choose_code_names(builder.classes, reserved)


def argument_names(builder: ClassBuilder) -> dict[LoweredBlock, list[str]]:
    """Return one instance of each block for each combination of steps that are skipped, and its arguments.

    The arguments are those of the constructor that the spec has: parameters and input sizes.
    """
    bases: dict[Any, LoweredBlock] = {}
    for lowered in builder.model.instances:
        block = lowered.block
        skipped = tuple(step.key for step in lowered.steps if step.is_skipped)
        edits = tuple(edit for edit, _ in block.applied_edits)
        key = (definition_key(block), tuple(block.outputs), edits, skipped, repr(input_layouts(lowered)))
        bases.setdefault(key, lowered)
    names = {}
    for lowered in bases.values():
        known = instance_values(lowered.block)
        params = builder.table.class_of[builder.finished[lowered]].params
        if arguments := [name for name in params if name in known]:
            names[lowered] = arguments
    return names


class ClassBuilder:
    """Builds the classes of a model, inner blocks first.

    Before the last round, it only finds out which instances have variations that their class does not serve.
    """

    def __init__(
        self,
        model: LoweredModel,
        trials: Iterable[Trial],
        reserved: ReservedNames,
        tested: Mapping[str, set[str]] | None = None,
        is_final: bool = False,
    ):
        self.model, self.is_final = model, is_final
        self.tested = tested  # definition -> names that the trials vary; None if there are no trials yet
        self.pool = VariationPool(model, trials)
        self.table = ClassTable({key: dict(numbers) for key, numbers in model.value_numbers.items()})
        self.table.free_sizes = model.root.block.free_sizes
        self.table.class_names |= {model.root.block.name, *class_names(reserved)}
        # instance or variation -> the same, with constructor arguments and rows of layers
        self.finished: dict[LoweredBlock, LoweredBlock] = {}
        # Variations that a constructor refuses, here or further inside.
        self.refused: set[LoweredBlock] = set()
        self.wrong: set[LoweredBlock] = set()  # variations that no class serves, before the last round
        self.classes: list[ClassSpec] = []

    def build(self) -> None:
        """Build all classes."""
        instances_by_block: dict[str, list[LoweredBlock]] = {}
        for lowered in self.model.instances:
            instances_by_block.setdefault(definition_key(lowered.block), []).append(lowered)
        for key in sort_inner_first(instances_by_block):
            sources = {self.finish_block(lowered): lowered for lowered in instances_by_block[key]}
            groups = group_by_structure(list(sources))
            for group in groups:
                suffixes = distinguishing_suffixes(group, list(sources)) if len(groups) > 1 else ()
                originals = [sources[lowered.plain or lowered] for lowered in group]
                try:
                    self.build_class(originals, suffixes)
                except StructureMismatch:
                    self.build_parts(originals, suffixes)

    def unclear_bases(self) -> set[LoweredBlock]:
        """Return the instances of which a variation is wrong or refused, so that it says nothing about others."""
        return {self.pool.bases[x] for x in (*self.wrong, *self.refused) if x in self.pool.bases}

    def build_parts(self, originals: Sequence[LoweredBlock], suffixes: Sequence[str]) -> None:
        """Build a class for each layout of the inputs of instances that cannot share one.

        If not even instances with the same layouts can share a class, each gets its own.
        """
        parts: dict[Any, list[LoweredBlock]] = {}
        for lowered in originals:
            parts.setdefault(tuple(value.layout for value in lowered.inputs.values()), []).append(lowered)
        for part in parts.values():
            try:
                self.build_class(part, suffixes)
            except StructureMismatch:
                for lowered in part:
                    self.build_class([lowered], suffixes)

    def build_class(self, originals: Sequence[LoweredBlock], suffixes: Sequence[str]) -> None:
        """Build one class for these instances, and limit its arguments to those that it is right for.

        Raises StructureMismatch if the instances cannot share a class.
        """
        is_model = originals[0] is self.model.root
        numbers = self.pool.find_untried(originals)
        while True:
            first, *others = (self.finish_block(lowered, numbers) for lowered in originals)
            group = [first, *(pass_on_inputs(other, first) or other for other in others)]

            def make_merger(variations: Sequence[LoweredBlock], group: Any = group) -> InstanceMerger:
                return InstanceMerger(group, self.table, is_model, suffixes, variations)

            plain = make_merger(())
            plain.merge()
            if untested := self.find_untested(plain) - numbers:
                numbers |= untested
                continue
            candidates = self.find_candidates(originals, group, numbers)
            guards = find_requirements(plain)
            tried = [c for c in candidates.values() if not refused_by(guards, c.values)]
            merger, right = serve_variations(make_merger, plain, tried)
            if not self.is_final:
                break
            limits = find_limits(plain, right, [c for c in tried if c not in right])
            if limits.numbers <= numbers:
                guards += limits.guards
                break
            numbers |= limits.numbers
        self.classes.append(merger.register_class(tuple(guards)))
        for original, candidate in candidates.items():
            if refused_by(guards, candidate.values):
                self.refused.add(original)
            elif candidate in right and candidate.lowered is not None:
                self.finished[original] = candidate.lowered.plain or candidate.lowered
            else:
                self.wrong.add(original)

    def find_untested(self, plain: InstanceMerger) -> set[str]:
        """Return the parameters of a class that no trial varies: their default followed one that is a number now."""
        if self.tested is None:
            return set()
        tested = self.tested.get(definition_key(plain.instances[0].block), set())
        return constant_names(plain.instances).intersection(plain.constructor_params) - tested

    def finish_block(self, original: LoweredBlock, numbers: Collection[str] = ()) -> LoweredBlock:
        """Return a block with constructor arguments and rows of layers; KeyError if an inner class is missing."""
        if not numbers and original in self.finished and original not in self.pool.changed:
            return self.finished[original]
        children = {name: self.finished[self.pool.find_equal(c)] for name, c in original.children.items()}
        values = instance_values(original.block)
        source = replace(
            original, children=children, unstable_values={name: values[name] for name in numbers}
        )
        lowered = fill_arguments(source, self.table, original.block.rebuild is None)
        if self.model.has_rows:
            key = definition_key(original.block)
            shared = self.model.shared_steps.get(key, set())
            lowered = collapse_rows(lowered, self.table.value_numbers[key], shared)
        self.finished[original] = lowered
        return lowered

    def find_candidates(
        self, originals: Sequence[LoweredBlock], group: list[LoweredBlock], numbers: Collection[str]
    ) -> dict[LoweredBlock, Candidate]:
        """Return the variations that the class of a group may serve, by their originals.

        They have the same values as the group where the class has plain numbers.
        """
        candidates = {}
        fixed = instance_values(originals[0].block)
        structures: list[StepStructure] = []  # made for the first variation
        for original, changed in self.pool.find_variations(originals):
            values = instance_values(original.block)
            if original in self.finished or any(values[name] != fixed[name] for name in numbers):
                continue  # another class may serve it
            if self.refused.intersection(map(self.pool.find_equal, original.children.values())):
                self.refused.add(original)
                continue
            try:
                lowered: LoweredBlock | None = self.finish_block(original, numbers)
            except KeyError:
                lowered = None
            self.finished.pop(original, None)
            if lowered is not None:
                lowered = pass_on_inputs(lowered, group[0]) or lowered
            structures = structures or step_structures(group)
            if lowered is not None and not can_join(group, structures, lowered):
                lowered = None
            candidates[original] = Candidate(changed, values, lowered)
        return candidates


def distinguishing_suffixes(group: list[LoweredBlock], instances: list[LoweredBlock]) -> list[str]:
    """Name endings for a class: the edits, or else the one output or number of inputs, that only its instances have."""
    suffixes = class_suffixes(distinguishing_edits(group, instances))
    if suffixes:
        return suffixes
    if any("." in name for name in group[0].inputs):  # the items of a list
        return [f"Of{sum('.' in name for name in group[0].inputs)}"]
    shared = set.intersection(*(set(lowered.outputs) for lowered in instances))
    own = [name for name in group[0].outputs if name and name not in shared]
    own += [name for name in group[0].inputs if any(name not in lowered.inputs for lowered in instances)]
    return [f"With{to_camel_case(own[0])}"] if len(own) == 1 else []


def distinguishing_edits(group: list[LoweredBlock], instances: list[LoweredBlock]) -> list[EditDef]:
    """Return the edits that changed every instance of this group, but not every instance of the block."""
    in_group, in_block = (
        [dict.fromkeys(edit for edit, _ in lowered.block.applied_edits) for lowered in members]
        for members in (group, instances)
    )
    return [
        edit
        for edit in in_group[0]
        if all(edit in edits for edits in in_group) and not all(edit in edits for edits in in_block)
    ]


def sort_inner_first(instances_by_block: Mapping[str, Sequence[LoweredBlock]]) -> list[str]:
    """Return block identities in topological order: each after the blocks that its instances use."""
    ordered: dict[str, None] = {}

    def visit_block(identity: str) -> None:
        for lowered in instances_by_block[identity]:
            for child in lowered.children.values():
                if (inner := definition_key(child.block)) not in ordered:
                    visit_block(inner)
        ordered[identity] = None

    for identity in instances_by_block:
        if identity not in ordered:
            visit_block(identity)
    return list(ordered)


def fill_arguments(lowered: LoweredBlock, table: ClassTable, is_model: bool) -> LoweredBlock:
    """Add constructor arguments to calls of inner classes, and inline the values of unstable parameters.

    Then it is known which sizes of its inputs are fixed.
    """
    steps = [fill_step_arguments(step, lowered, table) for step in lowered.steps]
    checks = find_size_checks(lowered.block, [step.member for step in steps])
    if table.free_sizes is not None:
        members = ((step.node, step.member) for step in steps)
        free = table.free_sizes.of_block(lowered.block)
        refuse_fixed_sizes(lowered.block, members, free)
        # what else is free is not what a size of a step follows from
        checks = {x: size for x, size in checks.items() if (x.source, x.axis) not in free or not x.is_fixed}
    steps = [fix_step_sizes(step, lowered.block) for step in steps]
    if is_model:
        lowered = replace(lowered, declared_sizes=declare_sizes(lowered.block))
        sizes = frozenset(runtime_sizes(lowered.block))
        steps = [fix_layer_sizes(step, sizes, lowered.declared_sizes) for step in steps]
        checks = {key: fix_size(size, sizes, lowered.declared_sizes) for key, size in checks.items()}
    if lowered.unstable_values:
        inline = partial(inline_names, values=lowered.unstable_values)
        rewrite = partial(rewrite_values, change=inline)
        steps = [
            replace(
                step,
                member=None if step.member is None else map_expressions(step.member, rewrite),
                inits=map_initial_values(step.inits, rewrite),
                call=rewrite(step.call),
                remainders=tuple(map(inline, step.remainders)),
                odd_numbers=tuple(map(inline, step.odd_numbers)),
            )
            for step in steps
        ]
        checks = {key: inline(size) for key, size in checks.items()}
    return replace(lowered, steps=steps, size_checks=checks)


def fill_step_arguments(step: LoweredStep, lowered: LoweredBlock, table: ClassTable) -> LoweredStep:
    node = lowered.block.find_node(step.node)
    if node is None or step.node not in lowered.children:
        return step
    construction = construct_instance(node, lowered, table)
    if node.reuses is None:
        return replace(step, member=construction)
    way, _, origin = find_origin(lowered.block, node.reuses)
    owner = lowered
    for name in way:
        owner = owner.children[name]
    if not are_same_instance(construct_instance(origin, owner, table), construction):
        message = f"{node.reuses} cannot be reused here: for this input it would be built otherwise"
        raise node.at.error(
            "SB401", message, "give it an input with the same axes and sizes, or add a new step"
        )
    return step


def construct_instance(node: Node, lowered: LoweredBlock, table: ClassTable) -> Construction:
    """Return the constructor call for the class of a node that is a block."""
    child = lowered.children[node.name]
    inner_class = table.class_of[child]
    values = {**node.args, **table.extra_arguments[child]}
    arguments = tuple(
        ConstructorArgument(name, literal_expression(values[name]), param.default)
        for name, param in inner_class.params.items()
    )
    return Construction(inner_class.name, arguments, is_own_class=True)


def are_same_instance(a: Construction, b: Construction) -> bool:
    """Return whether two constructor calls give equal objects; expressions count by their values."""
    values = [[literal_value(x.value) for x in call.arguments] for call in (a, b)]
    return a.function == b.function and all(map(is_same_value, *values))


def declare_sizes(model: Block) -> dict[str, Any]:
    """Return the values that names have in the constructor of a model: the sizes of inputs are numbers."""
    values: dict[str, Any] = {
        name: model.inputs[source][axis] for name, (source, axis) in runtime_sizes(model).items()
    }
    values |= {name: symbolic(concrete(value), name) for name, value in value_params(model).items()}
    return {**values, "i": symbolic(0, "i")}  # the index of a repeat stays


def fix_layer_sizes(step: LoweredStep, sizes: frozenset[str], declared: Mapping[str, Any]) -> LoweredStep:
    """Give the layers of a model its input sizes as the spec declares them: its constructor has no others."""
    if step.member is None or isinstance(step.member, ComputedTable):
        return step
    numbers = (argument.value for init in step.inits for argument in init.arguments)
    if not any(reads_names(part, sizes) for part in (step.member, *numbers)):
        return step
    rewrite = partial(rewrite_values, change=partial(fix_size, sizes=sizes, declared=declared))
    member, inits = map_expressions(step.member, rewrite), map_initial_values(step.inits, rewrite)
    return replace(step, member=member, inits=inits)


def fix_step_sizes(step: LoweredStep, block: Block) -> LoweredStep:
    """Give a layer the sizes of steps as the spec has them: its constructor runs before there are steps."""
    if not block.step_sizes or isinstance(step.member, ComputedTable):
        return step
    values = {name: block.value_type(ref)[axis] for name, (ref, axis) in block.step_sizes.items()}
    rewrite = partial(rewrite_values, change=partial(inline_names, values=values))
    member = None if step.member is None else map_expressions(step.member, rewrite)
    return replace(step, member=member, inits=map_initial_values(step.inits, rewrite))


def fix_size(expr: Expr, sizes: Collection[str], declared: Mapping[str, Any]) -> Expr:
    """Return a number of a model with its input sizes as the spec declares them."""
    if isinstance(expr, TupleOf):
        return TupleOf(tuple(fix_size(item, sizes, declared) for item in expr.items))
    if not isinstance(expr, Literal) or not reads_names(expr, sizes):
        return expr
    return Literal(translate_expression(expr.value, declared))


def rewrite_values(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Apply `change` to every constant in an expression."""
    if is_literal(expr):
        return change(expr)
    return map_children(expr, lambda part: rewrite_values(part, change))


def group_by_structure(instances: list[LoweredBlock]) -> list[list[LoweredBlock]]:
    """Group instances whose code differs only in values and in the steps that they skip."""
    if len(instances) == 1:
        return [instances]
    # each group with one of its members for each list of inputs
    groups: list[tuple[list[StepStructure], list[LoweredBlock], dict[tuple[str, ...], LoweredBlock]]] = []
    optional = list_optional(instances[0].block.declared_inputs)
    # those with most inputs first: a class has them all
    for plain in sorted(instances, key=lambda x: -sum(name in x.inputs for name in optional)):
        plain_structures = list_structures(plain)
        for group_structures, members, by_inputs in groups:
            lowered = pass_on_inputs(plain, members[0]) or plain
            structures = plain_structures if lowered is plain else list_structures(lowered)
            if (
                has_same_interface(members[0], lowered)
                and all(can_share_inputs(member, lowered) for member in by_inputs.values())
                and all(map(StepStructure.can_merge, group_structures, structures))
            ):
                group_structures[:] = map(StepStructure.prefer_active, group_structures, structures)
                members.append(lowered)
                by_inputs.setdefault(tuple(lowered.inputs), lowered)
                break
        else:
            groups.append((plain_structures, [plain], {tuple(plain.inputs): plain}))
    return [members for _, members, _ in groups]


def list_structures(lowered: LoweredBlock) -> list[StepStructure]:
    return [StepStructure(step, code_skeleton(step)) for step in lowered.steps]


def step_structures(group: Sequence[LoweredBlock]) -> list[StepStructure]:
    """Return the structures of the steps of a group, whose instances have one structure."""
    columns = zip(*(lowered.steps for lowered in group), strict=True)
    models = [next((s for s in steps if not s.is_skipped), steps[0]) for steps in columns]
    return [StepStructure(s, None if s.is_skipped else code_skeleton(s)) for s in models]


def can_join(group: Sequence[LoweredBlock], structures: list[StepStructure], other: LoweredBlock) -> bool:
    """Return whether a block has the structure of a group."""
    by_inputs = {tuple(member.inputs): member for member in group}
    if not has_same_interface(group[0], other) or not all(
        can_share_inputs(member, other) for member in by_inputs.values()
    ):
        return False
    return all(
        structure.can_merge(StepStructure(step, None if step.is_skipped else code_skeleton(step)))
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
    shorter, longer = sorted((list(a.inputs), list(b.inputs)), key=len)
    optional = list_optional(a.block.declared_inputs)
    return longer[: len(shorter)] == shorter and all(name in optional for name in longer[len(shorter) :])


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


@dataclass(frozen=True)
class StepStructure:
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


def code_skeleton(part: Any) -> Any:
    """Return a comparable form of code in which every value is replaced by a placeholder."""
    if isinstance(part, LoweredStep):
        return (*map(code_skeleton, (part.call, part.member, part.inits)), part.parts, part.doc)
    if is_literal(part):
        return "_"
    if isinstance(part, Repeated):
        return ("run", code_skeleton(part.tail) if part.indexed is None else code_skeleton(part.indexed))
    if isinstance(part, ConstructorArgument):
        return ("argument", part.name)
    if isinstance(part, tuple):
        return tuple(code_skeleton(p) for p in part)
    if is_dataclass(part):
        kind: type = type(part)
        return (kind.__name__, *(code_skeleton(getattr(part, name)) for name in list_fields(kind)))
    return part
