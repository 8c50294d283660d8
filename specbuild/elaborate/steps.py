"""Elaborate steps in order: groups, branches, repeats, and the changes that edits make to a step."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.edits import apply_edits
from specbuild.elaborate.instances import BlockInstances
from specbuild.elaborate.model_alias import aliased_model
from specbuild.elaborate.nodes import MAX_STEPS, NodeBuilder, skip_node
from specbuild.elaborate.references import resolve_reference
from specbuild.elaborate.step_entries import StepEntry, flatten_entries, name_steps, step_kind
from specbuild.elaborate.step_inputs import block_argument, resolve_inputs
from specbuild.elaborate.values import condition_expression, declared_type, is_condition_true, read_attribute
from specbuild.expressions import concrete, symbolic
from specbuild.frontend.document import Argument, BlockDef, StepDef
from specbuild.frontend.edits import EditDef
from specbuild.frontend.names import check_name
from specbuild.frontend.resolver import SpecFiles
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import BlockArgument, Group, Ref
from specbuild.ops import OPS
from specbuild.ops.attribute_kinds import Integer

MAX_REPEAT = 10_000
# What to do if a step without an input is edited, by the verb of the edit.
NO_INPUT_HINTS = {
    "remove": "replace it, and name the inputs of the replacement with `from`",
    "replace": "name the inputs of the replacement with `from`",
    "insert": "insert after it instead",
}


class StepElaborator:
    """Elaborates the steps of a block into its scope."""

    def __init__(self, files: SpecFiles):
        self.files = files
        self.instances = BlockInstances(self.run, lambda model: aliased_model(model, files))
        self.nodes = NodeBuilder(files, self.instances)

    def run(self, scope: BlockScope, steps: tuple[StepDef, ...], numbered: bool = False) -> None:
        """Elaborate the steps of a block, or of a group, whose unnamed steps are `numbered`."""
        entries = apply_edits(scope, name_steps(scope, steps, numbered))
        for entry in entries:
            self.elaborate_entry(scope, entry)
        self.merge_frozen(scope, entries)

    def merge_frozen(self, scope: BlockScope, entries: list[StepEntry]) -> None:
        """If all steps of the current group are frozen, mark the group as frozen instead."""
        paths = {scope.prefix + entry.name for entry in flatten_entries(entries) if not entry.removed}
        if scope.prefix and paths and paths <= set(scope.frozen_paths):
            other_paths = [path for path in scope.frozen_paths if path not in paths]
            scope.frozen_paths = [*other_paths, scope.prefix[:-1]]

    def elaborate_entry(
        self, scope: BlockScope, entry: StepEntry, inputs: list[Ref | None] | None = None
    ) -> None:
        """Elaborate a step and the steps that edits insert around it; a repeat gives its members `inputs`."""
        path = scope.prefix + entry.name
        self.check_step_name(scope, entry, path)
        if entry.before or entry.removed or entry.origin is not None:
            inputs = self.entry_inputs(scope, entry, inputs)
        if entry.before:
            assert inputs is not None
            scope.last = inputs[0]
            for other in entry.before:
                self.elaborate_entry(scope, other)
            inputs = [scope.last, *inputs[1:]]
        if entry.removed:
            assert inputs is not None
            scope.last = inputs[0]
        else:
            self.elaborate_edited_step(scope, entry, path, inputs)
        if scope.last is not None:
            scope.visible_names[-1][entry.name] = scope.last
        for other in entry.after:
            self.elaborate_entry(scope, other)
        if (entry.after or entry.removed) and scope.last is not None:
            scope.visible_names[-1][entry.name] = scope.last
            if path not in scope.nodes or entry.after:
                scope.moved_values[path] = scope.last

    def elaborate_edited_step(
        self, scope: BlockScope, entry: StepEntry, path: str, inputs: list[Ref | None] | None
    ) -> None:
        """Elaborate the step of an entry, with the edits for its inside, frozen if an edit freezes it."""
        step, kind, outer = entry.step, step_kind(scope, entry.step), scope.pending
        scope.pending_inside[path] = outer.pending_below(
            entry.selector_names,
            kind,
            entry.created_by,
            entry.frozen_by,
            self.transparent_edits(scope.definition),
        )
        if kind != "parallel":  # the branches of a `parallel` are siblings of it
            scope.pending = scope.pending_inside[path]
        if entry.frozen_by:
            scope.frozen_paths.append(path)
        if kind == "weight" and any(f"{path}.".startswith(f"{frozen}.") for frozen in scope.frozen_paths):
            step = replace(step, settings={**step.settings, "trained": Argument(False, step.at, {})})
        input_ref = scope.last
        self.elaborate_step(scope, step, path, inputs)
        scope.pending = outer
        creator = entry.created_by
        if creator is not None and creator.definition.starts_as_identity and input_ref is not None:
            self.add_identity_start(scope, entry, path, input_ref)

    def transparent_edits(self, definition: BlockDef) -> Collection[EditDef]:
        """Return the edits of an alias, whose selectors start inside the other model."""
        if (
            definition.model is None
            or not definition.model.edits
            or aliased_model(definition, self.files) is None
        ):
            return ()
        return definition.model.edits

    def check_step_name(self, scope: BlockScope, entry: StepEntry, path: str) -> None:
        """Raise SB203 or SB204 if a step cannot have its name."""
        name, at = entry.step.name, entry.step.at.child("as")
        if name is not None:
            check_name(name, at, "a step")
            if name in scope.env and not isinstance(scope.env[name], BlockArgument) and not scope.prefix:
                what = "an input" if name in scope.inputs else "a parameter"
                raise at.error(
                    "SB204", f"{name!r} is already the name of {what}", "give the step another name"
                )
        is_visible = name is not None and name in scope.visible_names[-1] and entry.created_by is None
        if not entry.removed and (path in scope.nodes or path in scope.groups or is_visible):
            raise at.error(
                "SB204", f"the name {entry.name!r} is already used above", "give it another name with `as`"
            )

    def entry_inputs(
        self, scope: BlockScope, entry: StepEntry, inputs: list[Ref | None] | None
    ) -> list[Ref | None]:
        """Return the inputs of a step that edits remove, replace or precede. Raises SB209 without one."""
        step = entry.origin or entry.step
        if inputs is None and step.kind in ("do", "parallel"):
            inputs = [
                scope.last if step.sources is None else resolve_reference(scope, step.sources, step.from_at)
            ]
        elif inputs is None:
            inputs = resolve_inputs(self.files, scope, step)
        if not inputs or inputs[0] is None:
            edit = entry.last_edit or entry.created_by
            hint = NO_INPUT_HINTS.get(edit.definition.verb, "") if edit is not None else ""
            raise entry.error("SB209", f"{entry.name} has no input that could pass through", hint)
        return inputs if entry.origin is None else self.adapt_inputs(scope, entry, inputs)

    def adapt_inputs(self, scope: BlockScope, entry: StepEntry, inputs: list[Ref | None]) -> list[Ref | None]:
        """Fit the inputs of a replaced step to its replacement. Raises SB209 if there are too few."""
        choice = block_argument(scope, entry.step)
        if choice.kind == "none":
            return inputs[:1]
        if choice.kind in OPS:
            specs = OPS[choice.kind].input_specs
            if specs and specs[0].variadic:
                return inputs
            minimum, maximum = sum(not spec.optional for spec in specs), len(specs)
        else:
            definition = self.files.find_block(choice.at.source, choice.kind, choice.at)
            minimum = maximum = len(definition.inputs)
        if minimum > len(inputs):
            message = f"{choice.kind} takes {minimum} inputs, but the step that it replaces has {len(inputs)}"
            raise entry.error("SB209", message, "name them with `from`")
        return [*inputs[:maximum], *[None] * (maximum - len(inputs))]

    def add_identity_start(self, scope: BlockScope, entry: StepEntry, path: str, input_ref: Ref) -> None:
        """Add `input + scale * inserted`, with a learned scale that starts at 0."""
        at, inserted = entry.step.at, scope.last
        assert inserted is not None
        before, after = scope.value_type(input_ref), scope.value_type(inserted)
        if not before.has_same_sizes(after):
            message = (
                f"{entry.name} changes the shape from {before} to {after}, so it cannot start as the identity"
            )
            raise at.child("start").error("SB401", message)
        scale = StepDef("weight", {"axes": {}, "init": "zeros"}, at, at, name=f"{entry.name}_scale")
        multiply, add = StepDef("multiply", [], at, at), StepDef("add", [], at, at)
        scope.last = self.nodes.add_node(scope, scale, f"{path}_scale", [])
        scope.last = self.nodes.add_node(scope, multiply, f"{path}_scaled", [scope.last, inserted])
        scope.last = self.nodes.add_node(scope, add, f"{path}_added", [input_ref, scope.last])

    def elaborate_step(
        self, scope: BlockScope, step: StepDef, path: str, inputs: list[Ref | None] | None = None
    ) -> None:
        if step.repeat is not None:
            self.elaborate_repeat(scope, step, path, inputs)
            return
        if inputs is not None and step.kind in ("do", "parallel"):
            scope.last, step = inputs[0], replace(step, sources=None)
        if step.kind == "do":
            self.elaborate_group(scope, step, path)
        elif step.kind == "parallel":
            self.elaborate_parallel(scope, step, path)
        else:
            sources = resolve_inputs(self.files, scope, step) if inputs is None else inputs
            scope.last = self.nodes.add_node(scope, step, path, sources)
        self.check_expected_shape(scope, step)

    def check_expected_shape(self, scope: BlockScope, step: StepDef) -> None:
        if step.expect is None or scope.last is None:
            return
        at = step.at.child("expect")
        expected = declared_type(step.expect, at, scope.env)
        actual = scope.value_type(scope.last)
        if not expected.has_same_sizes(actual):
            raise at.error("SB402", f"expected {expected}, but the step gives {actual}", key=True)

    def elaborate_group(self, scope: BlockScope, step: StepDef, path: str) -> None:
        """Elaborate a `do`: its steps under one name. `from` and `when` apply to the whole group."""
        if step.sources is not None:
            scope.last = resolve_reference(scope, step.sources, step.from_at)
        when = condition_expression(scope, step) if step.when is not None else None
        if step.when is not None and not is_condition_true(scope, step):
            scope.nodes[path] = skip_node(scope, step, path, scope.last, when)
            scope.last = path
            return
        scope.groups[path] = Group(path, step.at, None, step.doc, when)
        with scope.enter_group(path):
            self.run(scope, step.steps, numbered=True)

    def elaborate_parallel(self, scope: BlockScope, step: StepDef, path: str) -> None:
        """Elaborate the branches of a `parallel`, which have the same input, and then its `merge`."""
        input_ref = scope.last
        if step.sources is not None:
            input_ref = resolve_reference(scope, step.sources, step.from_at)
        branches = []
        for name, steps in (step.branches or {}).items():
            at = step.value_at.child(name)
            check_name(name, at, "a branch")
            if name in scope.visible_names[-1]:
                raise at.error("SB204", f"the name {name!r} is already used above", key=True)
            is_single = len(steps) == 1 and steps[0].name is None  # a single step needs no group
            branches.append(
                StepEntry(name, steps[0] if is_single else StepDef("do", None, at, at, steps=steps))
            )
        results = []
        for entry in apply_edits(scope, branches):
            scope.last = input_ref
            self.elaborate_entry(scope, entry)
            results.append(entry.name)
        scope.last = None
        if step.merge is not None:
            at = step.at.child("merge")
            if isinstance(step.merge, str):
                merge = StepDef(step.merge, {}, at, at, sources=results)
            else:
                kind, value = next(iter(step.merge.items()))
                merge = StepDef(kind, value, at, at.child(kind), sources=results)
            scope.last = self.nodes.add_node(scope, merge, path, resolve_inputs(self.files, scope, merge))

    def elaborate_repeat(
        self, scope: BlockScope, step: StepDef, path: str, inputs: list[Ref | None] | None
    ) -> None:
        """Elaborate `repeat: n`: the step n times in a row. The index `i` counts from 0."""
        at = step.at.child("repeat")
        length = read_attribute(Integer(0), step.repeat, at, scope.env)
        if length > MAX_REPEAT:
            message = f"a repeat of {concrete(length):,} is too long"
            raise at.error("SB502", message, f"the maximum is {MAX_REPEAT:,}")
        if step.when is not None and not is_condition_true(scope, step):
            length = 0
        scope.groups[path] = Group(path, step.at, length, step.doc)
        member = replace(step, repeat=None, name=None, expect=None, doc="", when=None)
        member_inputs = inputs
        if step.kind in ("do", "parallel"):
            if inputs is not None:
                scope.last = inputs[0]
            elif step.sources is not None:
                scope.last = resolve_reference(scope, step.sources, step.from_at)
            member_inputs, member = None, replace(member, sources=None)
        elif inputs is None:
            member_inputs = resolve_inputs(self.files, scope, replace(step, when=None))
        if member_inputs and member_inputs[0] is not None:
            scope.last = member_inputs[0]
        outer_index = scope.env.get("i")
        with scope.enter_group(path):
            entries = [StepEntry(str(i), member, number=i) for i in range(concrete(length))]
            self.elaborate_members(scope, apply_edits(scope, entries), member_inputs, at)
        if outer_index is None:
            scope.env.pop("i", None)
        else:
            scope.env["i"] = outer_index
        self.check_expected_shape(scope, step)

    def elaborate_members(
        self,
        scope: BlockScope,
        members: list[StepEntry],
        inputs: list[Ref | None] | None,
        at: SourceAddress,
    ) -> None:
        """Elaborate the members of a repeat; each takes the result of the one before as its first input."""
        for entry in members:
            if entry.number is not None:
                scope.env["i"] = symbolic(entry.number, "i")
            self.elaborate_entry(scope, entry, None if inputs is None else [scope.last, *inputs[1:]])
            if scope.step_count > MAX_STEPS:
                message = f"the model has more than {MAX_STEPS:,} steps"
                raise at.error("SB502", message, "use smaller repeats")
        self.merge_frozen(scope, members)
