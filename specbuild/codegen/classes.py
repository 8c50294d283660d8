"""Builds the classes of a model: groups the instances of each block by structure, and merges each group."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from specbuild.codegen.argument_checks import (
    Candidate,
    MergeMeter,
    TooMuchMerging,
    find_limits,
    refuse_others,
    serve_variations,
)
from specbuild.codegen.class_spec import ClassSpec, ClassTable, Guard
from specbuild.codegen.code_names import choose_code_names, class_names
from specbuild.codegen.layer_rows import collapse_rows
from specbuild.codegen.list_lengths import join_limits
from specbuild.codegen.lowered_steps import LoweredBlock
from specbuild.codegen.merge_code import StructureMismatch
from specbuild.codegen.merge_instances import InstanceMerger
from specbuild.codegen.merged_params import instance_values
from specbuild.codegen.model_lowering import LoweredModel
from specbuild.codegen.refused_defaults import drop_refused_defaults, find_inner_guards
from specbuild.codegen.requirements import find_requirements, refused_by
from specbuild.codegen.step_arguments import fill_arguments
from specbuild.codegen.structure_groups import (
    StepStructure,
    can_join,
    group_by_structure,
    members_by_inputs,
    pass_on_inputs,
    step_structures,
)
from specbuild.codegen.trials import Trial, TrialCollector
from specbuild.codegen.variation_pool import VariationPool, constant_names, input_layouts
from specbuild.frontend.edits import EditDef, class_suffixes, to_camel_case
from specbuild.frontend.names import NO_NAMES, ReservedNames
from specbuild.ir.graph import VariationSource, definition_key


def build_classes(
    model: LoweredModel, variations: VariationSource | None = None, reserved: ReservedNames = NO_NAMES
) -> list[ClassSpec]:
    """Return the classes of a model in file order: each after the classes that it uses, the model's own last.

    With `variations`, the classes are right for all arguments that their constructors accept. `reserved` are
    the names that the framework and its code need for themselves.
    """
    meter = MergeMeter()
    builder = ClassBuilder(model, (), reserved, meter)
    builder.build()
    if variations is not None and (names := argument_names(builder)):
        collector = TrialCollector(model)
        for base in names:
            collector.collect(base, names[base], variations.vary_jointly(base.block, names[base]))
        tested = dict[str, set[str]]()
        for base, arguments in names.items():
            tested.setdefault(definition_key(base.block), set()).update(arguments)
        builder = ClassBuilder(model, collector.trials, reserved, meter, tested)
        builder.build()
        if unclear := builder.unclear_bases():
            collector.count_build()
            for base in names:
                if base in unclear:
                    collector.collect(base, names[base], variations.vary_singly(base.block, names[base]))
            builder = ClassBuilder(model, collector.trials, reserved, meter, tested, is_final=True)
            builder.build()
        while narrowed := narrow_names(builder, names):  # what was tried together was more than is left
            names |= narrowed
            collector.count_build()
            for base in narrowed:
                collector.collect(base, names[base], variations.vary_jointly(base.block, names[base]))
            builder = ClassBuilder(model, collector.trials, reserved, meter, tested, is_final=True)
            builder.build()
    return choose_code_names(builder.classes, reserved)


def argument_names(builder: ClassBuilder) -> dict[LoweredBlock, list[str]]:
    """Return one instance of each class for each combination of steps that are skipped, and its arguments.

    The arguments are those of the constructor that the spec has: parameters and input sizes.
    """
    bases: dict[Any, LoweredBlock] = {}
    for lowered in builder.model.instances:
        block = lowered.block
        skipped = tuple(step.key for step in lowered.steps if step.is_skipped)
        edits = tuple(edit for edit, _ in block.applied_edits)
        own_class = builder.table.class_of[builder.finished[lowered]]
        key = (own_class, tuple(block.outputs), edits, skipped, repr(input_layouts(lowered)))
        bases.setdefault(key, lowered)
    names = {}
    for lowered in bases.values():
        known = instance_values(lowered.block)
        params = builder.table.class_of[builder.finished[lowered]].params
        if arguments := [name for name in params if name in known]:
            names[lowered] = arguments
    return names


def narrow_names(
    builder: ClassBuilder, names: Mapping[LoweredBlock, list[str]]
) -> dict[LoweredBlock, list[str]]:
    """Return the arguments of the instances whose class has some of the given ones, and lacks others."""
    narrowed = {}
    for lowered, arguments in names.items():
        params = builder.table.class_of[builder.finished[lowered]].params
        known = [name for name in arguments if name in params]
        if known and len(known) < len(arguments):
            narrowed[lowered] = known
    return narrowed


class ClassBuilder:
    """Builds the classes of a model, inner blocks first.

    Before the last round, it only finds out which instances have variations that their class does not serve.
    """

    def __init__(
        self,
        model: LoweredModel,
        trials: Iterable[Trial],
        reserved: ReservedNames,
        meter: MergeMeter,
        tested: Mapping[str, set[str]] | None = None,
        is_final: bool = False,
    ):
        self.model, self.meter, self.is_final = model, meter, is_final
        self.tested = tested  # definition -> names that the trials vary; None if there are no trials yet
        self.pool = VariationPool(model, trials)
        self.table = ClassTable({key: dict(numbers) for key, numbers in model.value_numbers.items()})
        self.table.free_sizes = model.root.block.free_sizes
        self.table.class_names |= {model.root.block.name, *class_names(reserved)}
        # instance or variation -> the same, with constructor arguments and rows of layers
        self.finished: dict[LoweredBlock, LoweredBlock] = {}
        # Variations that the constructor of a class refuses, or of one further inside.
        self.refused: dict[LoweredBlock, set[ClassSpec]] = {}
        self.other_lengths: set[LoweredBlock] = (
            set()
        )  # those that a constructor refuses for the length of a list
        self.wrong: set[LoweredBlock] = set()  # variations that no class serves, before the last round
        self.unproven: dict[ClassSpec, list[Guard]] = {}  # guards of names that take too long to try
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
        """Return the instances of which a variation is wrong or refused, so that it proves nothing about others.

        Lists of other lengths are tried apart from all else.
        """
        unclear = self.wrong | {x for x in self.refused if x not in self.other_lengths}
        return {self.pool.bases[x] for x in unclear if x in self.pool.bases}

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
        too_long = self.pool.find_too_long(originals)
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
            candidates, inside = self.find_candidates(originals, group, numbers)
            guards = find_requirements(plain)
            unproven = [refuse_others(n, plain) for n in too_long if n in find_own_arguments(plain)]
            tried = [c for c in candidates.values() if not refused_by([*guards, *unproven], c.values)]
            try:
                merger, right = serve_variations(make_merger, plain, tried, self.meter)
            except TooMuchMerging:
                too_long = [*dict.fromkeys([*too_long, *find_own_arguments(plain)])]
                if not numbers.issuperset(own := constant_names(originals).intersection(too_long)):
                    numbers |= own
                    continue
                merger, right = plain, []
            if not self.is_final:
                break
            limits = find_limits(plain, right, [c for c in tried if c not in right])
            if limits.numbers <= numbers:
                guards += limits.guards
                break
            numbers |= limits.numbers
        limited = join_limits([*guards, *unproven])
        inner = find_inner_guards(merger.merged_steps, self.classes)
        merger.constructor_params = drop_refused_defaults(
            merger.constructor_params, merger.derived, (*limited, *inner)
        )
        untried = tuple(name for name in too_long if name in numbers)
        self.classes.append(merger.register_class(limited, untried))
        self.unproven[self.classes[-1]] = unproven
        for original in inside:
            self.refused.setdefault(original, set()).add(self.classes[-1])
        for original, candidate in candidates.items():
            if refused_by(guards, candidate.values):
                self.refused.setdefault(original, set()).add(self.classes[-1])
                if changes_length(candidate.changed, instance_values(originals[0].block)):
                    self.other_lengths.add(original)
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
    ) -> tuple[dict[LoweredBlock, Candidate], list[LoweredBlock]]:
        """Return the variations that the class of a group may serve, by their originals.

        They have the same values as the group where the class has plain numbers. The second result are those that
        a class inside refuses.
        """
        candidates, inside = {}, []
        fixed = instance_values(originals[0].block)
        structures: list[StepStructure] = []  # made for the first variation
        members = members_by_inputs(group)
        children = {name: child for block in reversed(originals) for name, child in block.children.items()}
        for original, changed in self.pool.find_variations(originals):
            values = instance_values(original.block)
            if original in self.finished or any(values[name] != fixed[name] for name in numbers):
                continue  # another class may serve it
            if self.is_refused_inside(original, children):
                inside.append(original)
                continue
            try:
                lowered: LoweredBlock | None = self.finish_block(original, numbers)
            except KeyError:
                lowered = None
            self.finished.pop(original, None)
            if lowered is not None:
                lowered = pass_on_inputs(lowered, group[0]) or lowered
            structures = structures or step_structures(group)
            if lowered is not None and not can_join(members, structures, lowered):
                lowered = None
            candidates[original] = Candidate(changed, values, lowered)
        return candidates, inside

    def is_refused_inside(self, variation: LoweredBlock, own: Mapping[str, LoweredBlock]) -> bool:
        """Return whether a class refuses what a variation has in its place; `own` are the blocks inside the instances."""
        for name, child in variation.children.items():
            if name in own:
                inner = self.table.class_of[self.finished[self.pool.find_equal(own[name])]]
                refused = self.refused.get(self.pool.find_equal(child), ())
                guards = [guard for guard in inner.guards if guard not in self.unproven[inner]]
                if inner in refused or refused_by(guards, instance_values(child.block)):
                    return True
        return False


def find_own_arguments(merger: InstanceMerger) -> list[str]:
    """Return the arguments of a class that its block has: parameters and input sizes."""
    known = instance_values(merger.instances[0].block)
    return [name for name in merger.constructor_params if name in known]


def changes_length(changed: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Return whether a variation has a list of another length, on which the number of steps may depend."""
    pairs = ((value, values.get(name)) for name, value in changed.items())
    return any(
        isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) != len(b) for a, b in pairs
    )


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
    if len(own) != 1:
        return []
    name = own[0].replace(".", "_")  # a tap is named by its path
    return [f"With{to_camel_case(name)}"]


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
