"""Elaborate steps in order: groups, branches, repeats, and the changes that edits make to a step."""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby

from msgspec.structs import replace

from specbuild.diagnostics.suggestions import join_names
from specbuild.elaborate.alternatives import choose_alternatives
from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.edits import apply_edits
from specbuild.elaborate.expression_env import ExpressionEnv
from specbuild.elaborate.instances import BlockInstances
from specbuild.elaborate.member_steps import MemberElaborator
from specbuild.elaborate.members import expand_splices
from specbuild.elaborate.model_alias import aliased_model
from specbuild.elaborate.nodes import NodeBuilder, skip_node
from specbuild.elaborate.references import resolve_group_input
from specbuild.elaborate.reuse import reuse_group
from specbuild.elaborate.reused_steps import find_reused
from specbuild.elaborate.step_entries import StepEntry, flatten_entries, name_steps, step_kind
from specbuild.elaborate.step_inputs import (
    block_argument,
    find_passing_input,
    list_inputs,
    resolve_inputs,
    separate_inputs,
)
from specbuild.elaborate.values import condition_expression, declared_type, is_condition_true
from specbuild.expressions import Expression
from specbuild.frontend.block_inputs import find_list_input, list_optional
from specbuild.frontend.document import BlockDef, RawArgument, StepDef
from specbuild.frontend.edits import EditDef
from specbuild.frontend.names import check_name, is_number_name
from specbuild.frontend.resolver import SpecFiles
from specbuild.ir.graph import Group, ParallelSteps, Ref
from specbuild.ir.path_index import path_prefixes
from specbuild.ops import OPS

# What to do if a step without an input is edited, by the verb of the edit.
NO_INPUT_HINTS = {
    "remove": "replace it, and name the inputs of the replacement with `from`",
    "replace": "name the inputs of the replacement with `from`",
    "insert": "insert after it instead",
}


class StepElaborator(MemberElaborator):
    """Elaborates the steps of a block into its scope."""

    def __init__(self, files: SpecFiles):
        self.files = files
        self.instances = BlockInstances(self.run, lambda model: aliased_model(model, files))
        self.nodes = NodeBuilder(files, self.instances)
        self.work = self.instances.work

    def run(self, scope: BlockScope, steps: tuple[StepDef, ...], numbered: bool = False) -> None:
        """Elaborate the steps of a block, or of a group, whose unnamed steps are `numbered`."""
        steps = expand_splices(scope, steps, numbered)
        entries = apply_edits(scope, choose_alternatives(scope, name_steps(scope, steps, numbered)))
        for spliced_from, run in groupby(entries, key=lambda entry: entry.spliced_from):
            if spliced_from is not None:
                self.elaborate_spliced(scope, separate_inputs(self.files, scope, spliced_from), list(run))
                continue
            for entry in run:
                self.elaborate_entry(scope, entry)
        self.merge_frozen(scope, entries)

    def merge_frozen(self, scope: BlockScope, entries: list[StepEntry]) -> None:
        """If all steps of the current group are frozen, mark the group as frozen instead."""
        paths = {scope.prefix + entry.name for entry in flatten_entries(entries) if not entry.removed}
        if scope.prefix and paths and all(path in scope.frozen_paths for path in paths):
            for path in paths:
                del scope.frozen_paths[path]
            scope.frozen_paths[scope.prefix[:-1]] = None

    def elaborate_entry(
        self, scope: BlockScope, entry: StepEntry, inputs: list[Ref | None] | None = None
    ) -> None:
        """Elaborate a step and the steps that edits insert around it; a repeat gives its members `inputs`."""
        path = scope.prefix + entry.name
        entry.step = separate_inputs(self.files, scope, entry.step)
        if entry.origin is not None:
            entry.origin = separate_inputs(self.files, scope, entry.origin)
        self.work.count_visit(entry.step.at)
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
            scope.frozen_paths[path] = None
        if kind == "weight" and any(above in scope.frozen_paths for above in path_prefixes(path)):
            step = replace(step, settings={**step.settings, "trained": RawArgument(False, step.at, {})})
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
            if not is_number_name(name):
                check_name(name, at, "a step")
            if name in scope.definition.inputs and not scope.prefix:
                message = f"{name!r} is already the name of an input"
                raise at.error("SB204", message, "give the step another name")
        is_visible = name is not None and name in scope.visible_names[-1] and entry.created_by is None
        if not entry.removed and (path in scope.nodes or path in scope.groups or is_visible):
            raise at.error(
                "SB204", f"the name {entry.name!r} is already used above", "give it another name with `as`"
            )

    def entry_inputs(
        self, scope: BlockScope, entry: StepEntry, inputs: list[Ref | None] | None
    ) -> list[Ref | None]:
        """Return the inputs of a step that edits remove, replace or precede.

        Raises SB209 if an input has to pass through and there is none.
        """
        step = entry.origin or entry.step
        if inputs is None and step.kind in ("do", "parallel"):
            inputs = [resolve_group_input(scope, step, is_left_out=False)]
        elif inputs is None:
            inputs = resolve_inputs(self.files, scope, step)
        if not inputs or not inputs[0]:
            inputs = []
            is_replaced = entry.origin is not None and block_argument(scope, entry.step).name != "none"
            if entry.before or entry.removed or not is_replaced:
                edit = entry.last_edit or entry.created_by
                hint = NO_INPUT_HINTS.get(edit.definition.verb, "") if edit is not None else ""
                raise entry.error("SB209", f"{entry.name} has no input that could pass through", hint)
        if entry.removed or (entry.origin is not None and block_argument(scope, entry.step).name == "none"):
            ref = find_passing_input(scope, step, inputs)
            if ref is None:
                message = f"{entry.name} has several inputs, and none of them is the value of the step before"
                raise entry.error(
                    "SB209",
                    f"{message}: it is unclear which one passes through",
                    f"replace the step, and name one of {join_names(list_inputs(inputs))} with `from`",
                )
            return [ref]
        return inputs if entry.origin is None else self.adapt_inputs(scope, entry, inputs)

    def adapt_inputs(self, scope: BlockScope, entry: StepEntry, inputs: list[Ref | None]) -> list[Ref | None]:
        """Fit the inputs of a replaced step to its replacement. Raises SB209 if there are too few."""
        choice = block_argument(scope, entry.step)
        if choice.name in OPS:
            specs = OPS[choice.name].input_specs
            if inputs and specs and specs[0].variadic:
                return inputs
            minimum, maximum = sum(not spec.optional for spec in specs), len(specs)
        else:
            definition = self.files.find_block(choice.at.source, choice.name, choice.at)
            maximum = len(definition.inputs)
            minimum = maximum - len(list_optional(definition.inputs))
            if find_list_input(definition.inputs) is not None:  # it takes all other values
                maximum = max(minimum, len(inputs))
        if minimum > len(inputs):
            noun = "input" if minimum == 1 else "inputs"
            message = f"{choice.name} takes {minimum} {noun}, but the step that it replaces has {len(inputs)}"
            raise entry.error("SB209", message, f"name the {noun} with `from`")
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
        if step.foreach is not None:
            self.elaborate_foreach(scope, step, path, inputs)
            return
        if inputs is not None and step.kind in ("do", "parallel"):
            scope.last, step = inputs[0], replace(step, sources=None)
        if step.kind == "do":
            self.elaborate_group(scope, step, path)
        elif step.kind == "parallel":
            self.elaborate_parallel(scope, step, path)
        else:
            sources = resolve_inputs(self.files, scope, step) if inputs is None else inputs
            if step.kind == "reuse" and find_reused(scope, step).is_group:
                scope.last = self.reuse_group(scope, step, path, sources)
            else:
                scope.last = self.nodes.add_node(scope, step, path, sources)
        self.check_expected_shape(scope, step)

    def reuse_group(
        self, scope: BlockScope, step: StepDef, path: str, sources: list[Ref | None]
    ) -> Ref | None:
        """Apply a repeat, a `do` or a `parallel` once more; `when` applies to all of it."""
        if step.when is not None and not is_condition_true(scope, step):
            source = sources[0] if sources else None
            scope.nodes[path] = skip_node(scope, step, path, source, condition_expression(scope, step))
            return path
        return reuse_group(scope, self.nodes, step, find_reused(scope, step), path, sources)

    def check_expected_shape(self, scope: BlockScope, step: StepDef) -> None:
        if step.expect is None or scope.last is None:
            return
        at = step.at.child("expect")
        expected = declared_type(step.expect, at, ExpressionEnv(scope, is_checked_only=True))
        actual = scope.value_type(scope.last)
        has_other_size = any(
            axis not in actual or actual[axis] != size for axis, size in expected.sizes.items()
        )
        if has_other_size or ("dtype" in step.expect and expected.dtype != actual.dtype):
            raise at.error("SB402", f"expected {expected}, but the step gives {actual}", key=True)

    def elaborate_group(self, scope: BlockScope, step: StepDef, path: str) -> None:
        """Elaborate a `do`: its steps under one name. `from` and `when` apply to the whole group."""
        is_skipped = step.when is not None and not is_condition_true(scope, step)
        scope.last = resolve_group_input(scope, step, is_skipped)
        when = condition_expression(scope, step) if step.when is not None else None
        if is_skipped:
            self.skip_step(scope, step, path, when)
            return
        inputs = {} if scope.last is None else {"x": scope.last}
        scope.groups[path] = Group(path, step.at, None, step.doc, when, inputs)
        with scope.enter_group(path), scope.record_reads() as reads:
            self.run(scope, step.steps, numbered=True)
        by_name = tuple(ref for ref in inputs.values() if ref in reads)
        scope.groups[path] = replace(scope.groups[path], value=scope.last, inputs_by_name=by_name)

    def skip_step(self, scope: BlockScope, step: StepDef, path: str, when: Expression | None) -> None:
        """Pass on the value of the step before in place of a group or of branches."""
        scope.nodes[path] = skip_node(scope, step, path, scope.last, when)
        scope.step_count += 1
        scope.last = path

    def elaborate_parallel(self, scope: BlockScope, step: StepDef, path: str) -> None:
        """Elaborate the branches of a `parallel`, which have the same input, and then its `merge`."""
        is_skipped = step.when is not None and not is_condition_true(scope, step)
        input_ref = scope.last = resolve_group_input(scope, step, is_skipped)
        if is_skipped:
            self.skip_step(scope, step, path, None)
            return
        branches = []
        for name, steps in (step.branches or {}).items():
            at = step.value_at.child(name)
            check_name(name, at, "a branch")
            if name in scope.visible_names[-1]:
                raise at.error("SB204", f"the name {name!r} is already used above", key=True)
            is_single = len(steps) == 1 and steps[0].name is None  # a single step needs no group
            branch = StepDef("do", None, at, at, steps=steps)
            branches.append(StepEntry(name, steps[0] if is_single else branch))
        results = []
        with scope.record_reads() as reads:
            for entry in apply_edits(scope, branches):
                scope.last = input_ref
                self.elaborate_entry(scope, entry)
                results.append(entry.name)
        by_name = () if input_ref is None or input_ref not in reads else (input_ref,)
        paths = tuple(scope.prefix + name for name in results)
        scope.parallels[path] = ParallelSteps(paths, input_ref, by_name, step.merge is not None)
        scope.last = None
        if step.merge is not None:
            at = step.at.child("merge")
            if isinstance(step.merge, str):
                merge = StepDef(step.merge, {}, at, at, sources=results)
            else:
                kind, value = next(iter(step.merge.items()))
                merge = StepDef(kind, value, at, at.child(kind), sources=results)
            scope.last = self.nodes.add_node(scope, merge, path, resolve_inputs(self.files, scope, merge))
