"""Elaborate the members of a repeat or a `foreach`, and the op that collects their values."""

from __future__ import annotations

from msgspec.structs import replace

from specbuild.diagnostics.errors import SpecError
from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.edits import apply_edits
from specbuild.elaborate.foreach import collect_step, read_foreach
from specbuild.elaborate.members import keep_index, list_member_names, read_length
from specbuild.elaborate.nodes import MAX_STEPS, NodeBuilder
from specbuild.elaborate.references import resolve_group_input, resolve_input
from specbuild.elaborate.repeats import RunningValues
from specbuild.elaborate.step_entries import StepEntry
from specbuild.elaborate.step_inputs import (
    list_input_names,
    list_output_names,
    require_passing_input,
    resolve_inputs,
)
from specbuild.elaborate.values import condition_expression, is_condition_true
from specbuild.expressions import Expression, concrete, symbolic
from specbuild.frontend.document import StepDef
from specbuild.frontend.names import is_list_reference
from specbuild.frontend.resolver import SpecFiles
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Group, Ref, collected_path


class MemberElaborator:
    """Elaborates steps that stand for several members; a subclass elaborates each of them."""

    files: SpecFiles
    nodes: NodeBuilder

    def elaborate_entry(
        self, scope: BlockScope, entry: StepEntry, inputs: list[Ref | None] | None = None
    ) -> None:
        raise NotImplementedError

    def merge_frozen(self, scope: BlockScope, entries: list[StepEntry]) -> None:
        raise NotImplementedError

    def check_expected_shape(self, scope: BlockScope, step: StepDef) -> None:
        raise NotImplementedError

    def skip_step(self, scope: BlockScope, step: StepDef, path: str, when: Expression | None) -> None:
        raise NotImplementedError

    def elaborate_repeat(
        self, scope: BlockScope, step: StepDef, path: str, inputs: list[Ref | None] | None
    ) -> None:
        """Elaborate `repeat: n`: the step n times in a row. The index `i` counts from 0."""
        length = read_length(scope, step)
        is_skipped = step.when is not None and not is_condition_true(scope, step)
        length = 0 if is_skipped else length
        member, running, group_inputs = self.start_repeat(scope, step, inputs, is_skipped)
        if is_skipped and step.collect is not None:
            self.skip_step(scope, step, path, condition_expression(scope, step))
            return
        names = list_member_names(scope, step, concrete(length))
        scope.groups[path] = Group(path, step.at, length, step.doc, inputs=group_inputs)
        with keep_index(scope), scope.enter_group(path), scope.record_reads() as reads:
            entries = [StepEntry(name, member, number=i) for i, name in enumerate(names)]
            entries = apply_edits(scope, entries)
            self.elaborate_members(scope, entries, running, step.at.child("repeat"), step.names is None)
            self.merge_frozen(scope, entries)
            values = scope.visible_names[-1]
            present = {e.name: values[e.name] for e in entries if not e.removed and e.name in values}
            if step.collect is not None and len(present) < sum(not e.removed for e in entries):
                raise self.no_value_error(step)
        scope.groups[path] = replace(
            scope.groups[path],
            value=scope.last,
            outputs={}
            if running is None
            else running.finish(group_inputs, list_output_names(self.files, scope, step)),
            inputs_by_name=tuple(ref for ref in group_inputs.values() if ref in reads),
            members=tuple(present),
        )
        self.collect_values(scope, step, path, present)
        self.check_expected_shape(scope, step)

    def elaborate_foreach(
        self, scope: BlockScope, step: StepDef, path: str, inputs: list[Ref | None] | None
    ) -> None:
        """Elaborate `foreach`: a member for each item of its lists. All of them see the same value before."""
        if inputs is not None:
            scope.last = inputs[0]
            step = replace(step, sources=None)
        elif has_common_source(step):
            scope.last = resolve_input(scope, step.sources, step.from_at)
            step = replace(step, sources=None)
        if step.when is not None and not is_condition_true(scope, step):
            self.skip_step(scope, step, path, condition_expression(scope, step))
            return
        names, before = read_foreach(scope, step), scope.last
        without_value = 0
        member = replace(step, foreach=None, names=None, collect=None, name=None, doc="", when=None)
        if step.collect is not None:
            member = replace(member, expect=None)
        group_inputs = {} if before is None or step.sources is not None else {"x": before}
        scope.groups[path] = Group(path, step.at, None, step.doc, inputs=group_inputs)
        present: dict[str, Ref] = {}
        with keep_index(scope), scope.enter_group(path), scope.record_reads() as reads:
            labels = list_member_names(scope, step, names.length, names.bind)
            entries = [StepEntry(label, member, number=i) for i, label in enumerate(labels)]
            entries = apply_edits(scope, entries)
            for entry in entries:
                assert entry.number is not None
                scope.env["i"], scope.last = entry.number, before
                with names.bind(scope, entry.number):
                    self.elaborate_entry(scope, entry)
                if not entry.removed and scope.last is not None:
                    present[entry.name] = scope.last
                without_value += scope.last is None
            self.merge_frozen(scope, entries)
        scope.last = None
        by_name = tuple(ref for ref in group_inputs.values() if ref in reads)
        scope.groups[path] = replace(scope.groups[path], inputs_by_name=by_name, members=tuple(present))
        if step.collect is not None and without_value:
            raise self.no_value_error(step)
        self.collect_values(scope, step, path, present)
        if step.collect is not None:
            self.check_expected_shape(scope, step)

    def no_value_error(self, step: StepDef) -> SpecError:
        """Return the error for a `collect` over members whose last step has several values, and none of its own."""
        return step.at.child("collect").error(
            "SB210",
            "the members of this step have no value of their own: their last step has several",
            "add `merge` or `collect` to their last step, or join its values in a step after it",
            key=True,
        )

    def collect_values(self, scope: BlockScope, step: StepDef, path: str, values: dict[str, Ref]) -> None:
        """Add the op of `collect` over the values of all members of the group at `path`; it gives its value."""
        if step.collect is None:
            return
        collected = collect_step(step, list(values))
        scope.visible_names.append(values)
        sources = resolve_inputs(self.files, scope, collected)
        scope.visible_names.pop()
        scope.last = self.nodes.add_node(scope, collected, collected_path(path), sources)
        scope.groups[path] = replace(scope.groups[path], value=scope.last)

    def elaborate_spliced(self, scope: BlockScope, step: StepDef, members: list[StepEntry]) -> None:
        """Elaborate the members of a repeat with `splice`: steps of the current group, one after another."""
        _, running, group_inputs = self.start_repeat(scope, step, None, is_skipped=False)
        with keep_index(scope):
            self.elaborate_members(scope, members, running, step.at.child("repeat"), has_symbol=False)
        if running is not None:
            running.finish(group_inputs, list_output_names(self.files, scope, step))

    def start_repeat(
        self, scope: BlockScope, step: StepDef, inputs: list[Ref | None] | None, is_skipped: bool
    ) -> tuple[StepDef, RunningValues | None, dict[str, Ref]]:
        """Return the step of each member, the values that run through them, and the inputs of the repeat.

        `scope.last` becomes the value of a repeat without members.
        """
        member = replace(
            step, repeat=None, names=None, collect=None, name=None, expect=None, doc="", when=None
        )
        if step.kind in ("do", "parallel"):
            self.check_repeated_value(step)
            if inputs is not None:
                scope.last = inputs[0]
            else:
                scope.last = resolve_group_input(scope, step, is_skipped)
            return replace(member, sources=None), None, {} if scope.last is None else {"x": scope.last}
        inputs = resolve_inputs(self.files, scope, step) if inputs is None else inputs
        names = list_input_names(self.files, scope, step, len(inputs))
        running = RunningValues(step, names, list(inputs))
        labels = names or [f"x{n}" for n in range(1, len(inputs) + 1)]
        passing = running.find_passing_input(list_output_names(self.files, scope, step))
        if passing is None and is_skipped:
            passing = require_passing_input(scope, step, inputs)
        scope.last = passing or (inputs[0] if inputs else None) or scope.last
        return member, running, {n: ref for n, ref in zip(labels, inputs, strict=False) if ref}

    def check_repeated_value(self, step: StepDef) -> None:
        """Raise SB210 for a repeated `parallel` without a merge: the next member has no input."""
        if step.kind == "parallel" and step.merge is None:
            raise step.at.child("repeat").error(
                "SB210",
                "the branches of this `parallel` give several values, and the next member takes one",
                "join them with `merge`, or repeat a block that has an output for each of its inputs",
                key=True,
            )

    def elaborate_members(
        self,
        scope: BlockScope,
        members: list[StepEntry],
        running: RunningValues | None,
        at: SourceAddress,
        has_symbol: bool,
    ) -> None:
        """Elaborate the members of a repeat; each takes the results of the one before.

        With `has_symbol`, code may write a loop over `i`; otherwise, each member has its own number.
        """
        for entry in members:
            if entry.number is not None:
                scope.env["i"] = symbolic(entry.number, "i") if has_symbol else entry.number
            if running is not None and running.inputs:
                scope.last = running.inputs[0]
            is_rewired = entry.step.sources_at is not None
            self.elaborate_entry(
                scope, entry, None if running is None or is_rewired else list(running.inputs)
            )
            if running is not None:
                running.take_results(scope, scope.prefix + entry.name, entry.removed)
            if scope.last is None and running is None and entry is not members[-1]:
                message = "the last step of these steps has several values, and the next member takes one"
                hint = "add `merge` or `collect` to their last step, or join its values in a step after it"
                raise at.error("SB210", message, hint, key=True)
            if scope.step_count > MAX_STEPS:
                message = f"the model has more than {MAX_STEPS:,} steps"
                raise at.error("SB502", message, "use smaller repeats")


def has_common_source(step: StepDef) -> bool:
    """Return whether all members of a `foreach` read the value that `from` names."""
    if not isinstance(step.sources, str) or is_list_reference(step.sources):
        return False
    return step.sources.partition(".")[0] not in (step.foreach or {})
