"""Steps to nodes, one after another: groups, branches, repeats, and what edits put around a step."""

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
from specbuild.ir.graph import BlockArgument, Group, Ref
from specbuild.ops import OPS
from specbuild.ops.attribute_kinds import Integer

MAX_REPEAT = 10_000


class StepElaborator:
    """Elaborates the steps of a block into its scope."""

    def __init__(self, files: SpecFiles):
        self.files = files
        self.instances = BlockInstances(self.run, lambda model: aliased_model(model, files))
        self.nodes = NodeBuilder(files, self.instances)

    def run(self, scope: BlockScope, steps: tuple[StepDef, ...], numbered: bool = False) -> None:
        """Steps one after another; those of a group are numbered unless they have a name."""
        found = apply_edits(scope, name_steps(scope, steps, numbered))
        for entry in found:
            self.elaborate_entry(scope, entry)
        self.merge_frozen(scope, found)

    def merge_frozen(self, scope: BlockScope, found: list[StepEntry]) -> None:
        """A group of which all is frozen is frozen itself."""
        paths = {scope.prefix + entry.name for entry in flatten_entries(found) if not entry.removed}
        if scope.prefix and paths and paths <= set(scope.frozen_paths):
            scope.frozen_paths = [path for path in scope.frozen_paths if path not in paths] + [
                scope.prefix[:-1]
            ]

    def elaborate_entry(
        self, scope: BlockScope, entry: StepEntry, inputs: list[Ref | None] | None = None
    ) -> None:
        """A step with what edits put around it. `inputs` are given to the members of a repeat."""
        step, path = entry.step, scope.prefix + entry.name
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
            outer, what = scope.pending, step_kind(scope, step)
            scope.pending_inside[path] = outer.pending_below(
                entry.selector_names,
                what,
                entry.created_by,
                entry.frozen_by,
                self.transparent_edits(scope.definition),
            )
            if what != "parallel":  # whose branches stand beside it
                scope.pending = scope.pending_inside[path]
            if entry.frozen_by:
                scope.frozen_paths.append(path)
            if what == "weight" and any(f"{path}.".startswith(f"{frozen}.") for frozen in scope.frozen_paths):
                step = replace(step, settings={**step.settings, "trained": Argument(False, step.at, {})})
            begin = scope.last
            self.elaborate_step(scope, step, path, inputs)
            scope.pending = outer
            if (
                entry.created_by is not None
                and entry.created_by.definition.starts_as_identity
                and begin is not None
            ):
                self.add_identity_start(scope, entry, path, begin)
        if scope.last is not None:
            scope.visible_names[-1][entry.name] = scope.last
        for other in entry.after:
            self.elaborate_entry(scope, other)
        if (entry.after or entry.removed) and scope.last is not None:
            scope.visible_names[-1][entry.name] = scope.last
            if path not in scope.nodes or entry.after:
                scope.moved_values[path] = scope.last

    def transparent_edits(self, definition: BlockDef) -> Collection[EditDef]:
        """The edits of a model that is another one renamed: they speak of that one's steps as its own."""
        if (
            definition.model is None
            or not definition.model.edits
            or aliased_model(definition, self.files) is None
        ):
            return ()
        return definition.model.edits

    def check_step_name(self, scope: BlockScope, entry: StepEntry, path: str) -> None:
        """Whether a step can have its name."""
        name, at = entry.step.name, entry.step.at.child("as")
        if name is not None:
            check_name(name, at, "a step")
            if name in scope.env and not isinstance(scope.env[name], BlockArgument) and not scope.prefix:
                what = "an input" if name in scope.inputs else "a parameter"
                raise at.error("SB204", f"{name!r} is the name of {what}", "give the step another name")
        above = name is not None and name in scope.visible_names[-1] and entry.created_by is None
        if not entry.removed and (path in scope.nodes or path in scope.groups or above):
            raise at.error(
                "SB204", f"there is a {entry.name!r} above already", "give it another name with `as`"
            )

    def entry_inputs(
        self, scope: BlockScope, entry: StepEntry, given: list[Ref | None] | None
    ) -> list[Ref | None]:
        """What goes into a step that edits were about, before it is done."""
        step = entry.origin or entry.step
        if given is None and step.kind in ("do", "parallel"):
            given = [
                scope.last if step.sources is None else resolve_reference(scope, step.sources, step.from_at)
            ]
        elif given is None:
            given = resolve_inputs(self.files, scope, step)
        if not given or given[0] is None:
            raise entry.error(
                "SB209", f"nothing goes into {entry.name} that could pass on", "replace it instead"
            )
        return given if entry.origin is None else self.adapt_inputs(scope, entry, given)

    def adapt_inputs(self, scope: BlockScope, entry: StepEntry, given: list[Ref | None]) -> list[Ref | None]:
        """The inputs of a replaced step as those of what stands in its place."""
        choice = block_argument(scope, entry.step)
        if choice.kind == "none":
            return given[:1]
        least = most = 0
        if choice.kind in OPS:
            takes = OPS[choice.kind].input_specs
            if takes and takes[0].variadic:
                return given
            least, most = sum(not take.optional for take in takes), len(takes)
        else:
            least = most = len(self.files.find_block(choice.at.source, choice.kind, choice.at).inputs)
        if least > len(given):
            message = (
                f"{choice.kind} takes {least} inputs, and the step in whose place it stands has {len(given)}"
            )
            raise entry.error("SB209", message, "name them with `from`")
        return [*given[:most], *[None] * (most - len(given))]

    def add_identity_start(self, scope: BlockScope, entry: StepEntry, path: str, begin: Ref) -> None:
        """What was inserted, scaled by a number that is learned and begins at 0, and added to what went in."""
        at, inserted = entry.step.at, scope.last
        assert inserted is not None
        if not scope.value_type(begin).has_same_sizes(scope.value_type(inserted)):
            raise at.child("start").error(
                "SB401",
                f"{entry.name} makes {scope.value_type(inserted)} of {scope.value_type(begin)}, so it cannot begin as the identity",
            )
        scale = StepDef("weight", {"axes": {}, "init": "zeros"}, at, at, name=f"{entry.name}_scale")
        scope.last = self.nodes.add_node(scope, scale, f"{path}_scale", [])
        scope.last = self.nodes.add_node(
            scope, StepDef("multiply", [], at, at), f"{path}_scaled", [scope.last, inserted]
        )
        scope.last = self.nodes.add_node(
            scope, StepDef("add", [], at, at), f"{path}_added", [begin, scope.last]
        )

    def elaborate_step(
        self, scope: BlockScope, step: StepDef, path: str, inputs: list[Ref | None] | None = None
    ) -> None:
        if step.repeat is not None:
            self.elaborate_repeat(scope, step, path, inputs)
            return
        if inputs is not None and step.kind in ("do", "parallel"):
            scope.last, step = inputs[0], replace(step, sources=None)
        if step.kind == "do":
            self.elaborate_group(scope, step, path, step.steps)
        elif step.kind == "parallel":
            self.elaborate_parallel(scope, step, path)
        else:
            found = resolve_inputs(self.files, scope, step) if inputs is None else inputs
            scope.last = self.nodes.add_node(scope, step, path, found)
        self.check_expected_shape(scope, step)

    def check_expected_shape(self, scope: BlockScope, step: StepDef) -> None:
        if step.expect is None or scope.last is None:
            return
        at = step.at.child("expect")
        wanted = declared_type(step.expect, at, scope.env)
        found = scope.value_type(scope.last)
        if not wanted.has_same_sizes(found):
            raise at.error("SB402", f"expected {wanted}, but here it is {found}", key=True)

    def elaborate_group(
        self,
        scope: BlockScope,
        step: StepDef,
        path: str,
        steps: tuple[StepDef, ...],
        length: int | None = None,
    ) -> None:
        """Steps under one name; `from` and `when` of a `do` hold for the whole of it."""
        if step.sources is not None and step.kind == "do":
            scope.last = resolve_reference(scope, step.sources, step.from_at)
        when = condition_expression(scope, step) if step.when is not None else None
        if step.when is not None and not is_condition_true(scope, step):
            scope.nodes[path] = skip_node(scope, step, path, scope.last, when)
            scope.last = path
            return
        scope.groups[path] = Group(path, step.at, length, step.doc, when)
        outer, scope.prefix = scope.prefix, path + "."
        scope.visible_names.append({})
        self.run(scope, steps, numbered=True)
        scope.visible_names.pop()
        scope.prefix = outer

    def elaborate_parallel(self, scope: BlockScope, step: StepDef, path: str) -> None:
        """Branches side by side from one value, then `merge`."""
        begin = (
            resolve_reference(scope, step.sources, step.from_at) if step.sources is not None else scope.last
        )
        ends = []
        branches = []
        for name, steps in (step.branches or {}).items():
            at = step.value_at.child(name)
            check_name(name, at, "a branch")
            if name in scope.visible_names[-1]:
                raise at.error("SB204", f"there is a {name!r} above already", key=True)
            alone = len(steps) == 1 and steps[0].name is None  # one step needs no group around it
            branches.append(StepEntry(name, steps[0] if alone else StepDef("do", None, at, at, steps=steps)))
        for entry in apply_edits(scope, branches):
            scope.last = begin
            self.elaborate_entry(scope, entry)
            ends.append(entry.name)
        scope.last = None
        if step.merge is not None:
            at = step.at.child("merge")
            kind, value = (step.merge, {}) if isinstance(step.merge, str) else next(iter(step.merge.items()))
            merged = StepDef(
                kind, value, at, at.child(kind) if not isinstance(step.merge, str) else at, sources=ends
            )
            scope.last = self.nodes.add_node(scope, merged, path, resolve_inputs(self.files, scope, merged))

    def elaborate_repeat(
        self, scope: BlockScope, step: StepDef, path: str, inputs: list[Ref | None] | None
    ) -> None:
        """`repeat: n`: the step n times, each fed by the one before; `i` counts from 0."""
        at = step.at.child("repeat")
        length = read_attribute(Integer(0), step.repeat, at, scope.env)
        if length > MAX_REPEAT:
            raise at.error(
                "SB502", f"a repeat of {concrete(length):,} is too long", f"at most {MAX_REPEAT:,}"
            )
        once = replace(step, repeat=None, name=None, expect=None, doc="", when=None)
        if step.when is not None and not is_condition_true(scope, step):
            length = 0
        scope.groups[path] = Group(path, step.at, length, step.doc)
        found = inputs
        if step.kind in ("do", "parallel"):
            if inputs is not None:
                scope.last = inputs[0]
            elif step.sources is not None:
                scope.last = resolve_reference(scope, step.sources, step.from_at)
            found, once = None, replace(once, sources=None)
        elif inputs is None:
            found = resolve_inputs(self.files, scope, replace(step, when=None))
        if found and found[0] is not None:
            scope.last = found[0]
        before = scope.env.get("i")
        outer, scope.prefix = scope.prefix, path + "."
        scope.visible_names.append({})
        members = apply_edits(scope, [StepEntry(str(i), once, number=i) for i in range(concrete(length))])
        for entry in members:
            if entry.number is not None:
                scope.env["i"] = symbolic(entry.number, "i")
            self.elaborate_entry(scope, entry, None if found is None else [scope.last, *found[1:]])
            if scope.step_count > MAX_STEPS:
                raise at.error("SB502", f"the model has more than {MAX_STEPS:,} steps")
        self.merge_frozen(scope, members)
        scope.visible_names.pop()
        scope.prefix = outer
        if before is None:
            scope.env.pop("i", None)
        else:
            scope.env["i"] = before
        self.check_expected_shape(scope, step)
