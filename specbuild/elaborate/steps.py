"""Steps to nodes, one after another: groups, branches, repeats, and what edits put around a step."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from specbuild.elaborate.block_scope import Frame
from specbuild.elaborate.edits import edited
from specbuild.elaborate.instances import Instances
from specbuild.elaborate.model_alias import renamed
from specbuild.elaborate.nodes import MAX_STEPS, Nodes, skipped
from specbuild.elaborate.references import reference
from specbuild.elaborate.step_entries import Entry, entries, flat, kind
from specbuild.elaborate.step_inputs import chosen_by, sources
from specbuild.elaborate.values import condition, declared, holds, read
from specbuild.expressions import named, plain
from specbuild.frontend.document import Argument, BlockDef, StepDef
from specbuild.frontend.edits import EditDef
from specbuild.frontend.names import check_name
from specbuild.frontend.resolver import Files
from specbuild.ir.graph import Chosen, Group, Ref
from specbuild.ops import OPS
from specbuild.ops.attribute_kinds import Integer

MAX_REPEAT = 10_000


class Steps:
    """Elaborates the steps of a block into its frame."""

    def __init__(self, files: Files):
        self.files = files
        self.instances = Instances(self.run, lambda model: renamed(model, files))
        self.nodes = Nodes(files, self.instances)

    def run(self, frame: Frame, steps: tuple[StepDef, ...], numbered: bool = False) -> None:
        """Steps one after another; those of a group are numbered unless they have a name."""
        found = edited(frame, entries(frame, steps, numbered))
        for entry in found:
            self.entry(frame, entry)
        self.gather(frame, found)

    def gather(self, frame: Frame, found: list[Entry]) -> None:
        """A group of which all is frozen is frozen itself."""
        paths = {frame.prefix + entry.name for entry in flat(found) if not entry.removed}
        if frame.prefix and paths and paths <= set(frame.frozen):
            frame.frozen = [path for path in frame.frozen if path not in paths] + [frame.prefix[:-1]]

    def entry(self, frame: Frame, entry: Entry, inputs: list[Ref | None] | None = None) -> None:
        """A step with what edits put around it. `inputs` are given to the members of a repeat."""
        step, path = entry.step, frame.prefix + entry.name
        self.named(frame, entry, path)
        if entry.before or entry.removed or entry.origin is not None:
            inputs = self.inputs(frame, entry, inputs)
        if entry.before:
            assert inputs is not None
            frame.last = inputs[0]
            for other in entry.before:
                self.entry(frame, other)
            inputs = [frame.last, *inputs[1:]]
        if entry.removed:
            assert inputs is not None
            frame.last = inputs[0]
        else:
            outer, what = frame.pending, kind(frame, step)
            frame.inside[path] = outer.below(
                entry.names, what, entry.by, entry.frozen, self.through(frame.definition)
            )
            if what != "parallel":  # whose branches stand beside it
                frame.pending = frame.inside[path]
            if entry.frozen:
                frame.frozen.append(path)
            if what == "weight" and any(f"{path}.".startswith(f"{frozen}.") for frozen in frame.frozen):
                step = replace(step, settings={**step.settings, "trained": Argument(False, step.at, {})})
            begin = frame.last
            self.step(frame, step, path, inputs)
            frame.pending = outer
            if entry.by is not None and entry.by.definition.identity and begin is not None:
                self.from_identity(frame, entry, path, begin)
        if frame.last is not None:
            frame.scopes[-1][entry.name] = frame.last
        for other in entry.after:
            self.entry(frame, other)
        if (entry.after or entry.removed) and frame.last is not None:
            frame.scopes[-1][entry.name] = frame.last
            if path not in frame.nodes or entry.after:
                frame.moved[path] = frame.last

    def through(self, definition: BlockDef) -> Collection[EditDef]:
        """The edits of a model that is another one renamed: they speak of that one's steps as its own."""
        if definition.model is None or not definition.model.edits or renamed(definition, self.files) is None:
            return ()
        return definition.model.edits

    def named(self, frame: Frame, entry: Entry, path: str) -> None:
        """Whether a step can have its name."""
        name, at = entry.step.name, entry.step.at.child("as")
        if name is not None:
            check_name(name, at, "a step")
            if name in frame.env and not isinstance(frame.env[name], Chosen) and not frame.prefix:
                what = "an input" if name in frame.inputs else "a parameter"
                raise at.error("SB204", f"{name!r} is the name of {what}", "give the step another name")
        above = name is not None and name in frame.scopes[-1] and entry.by is None
        if not entry.removed and (path in frame.nodes or path in frame.groups or above):
            raise at.error(
                "SB204", f"there is a {entry.name!r} above already", "give it another name with `as`"
            )

    def inputs(self, frame: Frame, entry: Entry, given: list[Ref | None] | None) -> list[Ref | None]:
        """What goes into a step that edits were about, before it is done."""
        step = entry.origin or entry.step
        if given is None and step.kind in ("do", "parallel"):
            given = [frame.last if step.sources is None else reference(frame, step.sources, step.from_at)]
        elif given is None:
            given = sources(self.files, frame, step)
        if not given or given[0] is None:
            raise entry.error(
                "SB209", f"nothing goes into {entry.name} that could pass on", "replace it instead"
            )
        return given if entry.origin is None else self.taken_over(frame, entry, given)

    def taken_over(self, frame: Frame, entry: Entry, given: list[Ref | None]) -> list[Ref | None]:
        """The inputs of a replaced step as those of what stands in its place."""
        choice = chosen_by(frame, entry.step)
        if choice.kind == "none":
            return given[:1]
        least = most = 0
        if choice.kind in OPS:
            takes = OPS[choice.kind].takes
            if takes and takes[0].many:
                return given
            least, most = sum(not take.optional for take in takes), len(takes)
        else:
            least = most = len(self.files.lookup(choice.at.source, choice.kind, choice.at).inputs)
        if least > len(given):
            message = (
                f"{choice.kind} takes {least} inputs, and the step in whose place it stands has {len(given)}"
            )
            raise entry.error("SB209", message, "name them with `from`")
        return [*given[:most], *[None] * (most - len(given))]

    def from_identity(self, frame: Frame, entry: Entry, path: str, begin: Ref) -> None:
        """What was inserted, scaled by a number that is learned and begins at 0, and added to what went in."""
        at, made = entry.step.at, frame.last
        assert made is not None
        if not frame.typed(begin).same_sizes(frame.typed(made)):
            raise at.child("start").error(
                "SB401",
                f"{entry.name} makes {frame.typed(made)} of {frame.typed(begin)}, so it cannot begin as the identity",
            )
        scale = StepDef("weight", {"axes": {}, "init": "zeros"}, at, at, name=f"{entry.name}_scale")
        frame.last = self.nodes.one(frame, scale, f"{path}_scale", [])
        frame.last = self.nodes.one(
            frame, StepDef("multiply", [], at, at), f"{path}_scaled", [frame.last, made]
        )
        frame.last = self.nodes.one(frame, StepDef("add", [], at, at), f"{path}_added", [begin, frame.last])

    def step(self, frame: Frame, step: StepDef, path: str, inputs: list[Ref | None] | None = None) -> None:
        if step.repeat is not None:
            self.repeat(frame, step, path, inputs)
            return
        if inputs is not None and step.kind in ("do", "parallel"):
            frame.last, step = inputs[0], replace(step, sources=None)
        if step.kind == "do":
            self.group(frame, step, path, step.steps)
        elif step.kind == "parallel":
            self.parallel(frame, step, path)
        else:
            found = sources(self.files, frame, step) if inputs is None else inputs
            frame.last = self.nodes.one(frame, step, path, found)
        self.expected(frame, step)

    def expected(self, frame: Frame, step: StepDef) -> None:
        if step.expect is None or frame.last is None:
            return
        at = step.at.child("expect")
        wanted = declared(step.expect, at, frame.env)
        found = frame.typed(frame.last)
        if not wanted.same_sizes(found):
            raise at.error("SB402", f"expected {wanted}, but here it is {found}", key=True)

    def group(
        self, frame: Frame, step: StepDef, path: str, steps: tuple[StepDef, ...], length: int | None = None
    ) -> None:
        """Steps under one name; `from` and `when` of a `do` hold for the whole of it."""
        if step.sources is not None and step.kind == "do":
            frame.last = reference(frame, step.sources, step.from_at)
        when = condition(frame, step) if step.when is not None else None
        if step.when is not None and not holds(frame, step):
            frame.nodes[path] = skipped(frame, step, path, frame.last, when)
            frame.last = path
            return
        frame.groups[path] = Group(path, step.at, length, step.doc, when)
        outer, frame.prefix = frame.prefix, path + "."
        frame.scopes.append({})
        self.run(frame, steps, numbered=True)
        frame.scopes.pop()
        frame.prefix = outer

    def parallel(self, frame: Frame, step: StepDef, path: str) -> None:
        """Branches side by side from one value, then `merge`."""
        begin = reference(frame, step.sources, step.from_at) if step.sources is not None else frame.last
        ends = []
        branches = []
        for name, steps in (step.branches or {}).items():
            at = step.value_at.child(name)
            check_name(name, at, "a branch")
            if name in frame.scopes[-1]:
                raise at.error("SB204", f"there is a {name!r} above already", key=True)
            alone = len(steps) == 1 and steps[0].name is None  # one step needs no group around it
            branches.append(Entry(name, steps[0] if alone else StepDef("do", None, at, at, steps=steps)))
        for entry in edited(frame, branches):
            frame.last = begin
            self.entry(frame, entry)
            ends.append(entry.name)
        frame.last = None
        if step.merge is not None:
            at = step.at.child("merge")
            kind, value = (step.merge, {}) if isinstance(step.merge, str) else next(iter(step.merge.items()))
            merged = StepDef(
                kind, value, at, at.child(kind) if not isinstance(step.merge, str) else at, sources=ends
            )
            frame.last = self.nodes.one(frame, merged, path, sources(self.files, frame, merged))

    def repeat(self, frame: Frame, step: StepDef, path: str, inputs: list[Ref | None] | None) -> None:
        """`repeat: n`: the step n times, each fed by the one before; `i` counts from 0."""
        at = step.at.child("repeat")
        length = read(Integer(0), step.repeat, at, frame.env)
        if length > MAX_REPEAT:
            raise at.error("SB502", f"a repeat of {plain(length):,} is too long", f"at most {MAX_REPEAT:,}")
        once = replace(step, repeat=None, name=None, expect=None, doc="", when=None)
        if step.when is not None and not holds(frame, step):
            length = 0
        frame.groups[path] = Group(path, step.at, length, step.doc)
        found = inputs
        if step.kind in ("do", "parallel"):
            if inputs is not None:
                frame.last = inputs[0]
            elif step.sources is not None:
                frame.last = reference(frame, step.sources, step.from_at)
            found, once = None, replace(once, sources=None)
        elif inputs is None:
            found = sources(self.files, frame, replace(step, when=None))
        if found and found[0] is not None:
            frame.last = found[0]
        before = frame.env.get("i")
        outer, frame.prefix = frame.prefix, path + "."
        frame.scopes.append({})
        members = edited(frame, [Entry(str(i), once, number=i) for i in range(plain(length))])
        for entry in members:
            if entry.number is not None:
                frame.env["i"] = named(entry.number, "i")
            self.entry(frame, entry, None if found is None else [frame.last, *found[1:]])
            if frame.steps > MAX_STEPS:
                raise at.error("SB502", f"the model has more than {MAX_STEPS:,} steps")
        self.gather(frame, members)
        frame.scopes.pop()
        frame.prefix = outer
        if before is None:
            frame.env.pop("i", None)
        else:
            frame.env["i"] = before
        self.expected(frame, step)
