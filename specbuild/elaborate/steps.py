"""Steps to nodes: choose, repeat, name and type, one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from specbuild.axes import ShapeError, Tensor, listed
from specbuild.elaborate.frame import Argument, Frame, told_outside
from specbuild.elaborate.instances import Instances
from specbuild.elaborate.references import reference
from specbuild.elaborate.sources import chosen_by, sources
from specbuild.elaborate.values import called, condition, declared, holds, read
from specbuild.errors import nearest
from specbuild.graph import Block, Chosen, Group, Node, Ref, Skip, size_arguments
from specbuild.names import check_name, snake
from specbuild.ops import OPS
from specbuild.ops.base import Op, Weight, attributes
from specbuild.ops.kinds import OF_A_MATRIX, Init, Integer, KindError
from specbuild.resolve import Files
from specbuild.spec import BlockDef, StepDef
from specbuild.words import named, plain, settled

MAX_REPEAT = 10_000
MAX_STEPS = 50_000


class Steps:
    """Elaborates the steps of a block into its frame."""

    def __init__(self, files: Files):
        self.files = files
        self.instances = Instances(self.run)

    def run(self, frame: Frame, steps: tuple[StepDef, ...], numbered: bool = False) -> None:
        """Steps one after another; those of a group are numbered unless they have a name."""
        labels = [label(s) for s in steps if s.name is None]
        named = {name for s in steps for name in (s.name, *(s.branches or ()))}
        seen: dict[str, int] = {}
        for index, step in enumerate(steps):
            name = step.name
            if name is not None:
                check_name(name, step.at.child("as"), "a step")
                if name in frame.env and not isinstance(frame.env[name], Chosen) and not frame.prefix:
                    what = "an input" if name in frame.inputs else "a parameter"
                    raise step.at.child("as").error(
                        "SB204", f"{name!r} is the name of {what}", "give the step another name"
                    )
            elif numbered:
                name = str(index)
            else:
                tag = label(step)
                seen[tag] = seen.get(tag, 0) + 1
                alone = labels.count(tag) == 1 and tag not in named and not self.taken(frame, tag)
                name = tag if alone else f"{tag}{seen[tag]}"
                while name in named or self.taken(frame, name):
                    seen[tag] += 1
                    name = f"{tag}{seen[tag]}"
            path = frame.prefix + name
            if path in frame.nodes or path in frame.groups or (step.name and name in frame.scopes[-1]):
                raise step.at.child("as").error(
                    "SB204", f"there is a {name!r} above already", "give it another name with `as`"
                )
            self.step(frame, step, path)
            assert frame.last is not None or step.kind == "parallel"
            if frame.last is not None:
                frame.scopes[-1][name] = frame.last

    def taken(self, frame: Frame, name: str) -> bool:
        """Whether a name without a number would meet another; a parameter that is a block gives its step its name."""
        parameter = name in frame.env and not isinstance(frame.env[name], Chosen)
        return frame.prefix + name in frame.nodes or name in frame.scopes[-1] or parameter

    def step(self, frame: Frame, step: StepDef, path: str) -> None:
        if step.repeat is not None:
            self.repeat(frame, step, path)
            return
        if step.kind == "do":
            self.group(frame, step, path, step.steps)
        elif step.kind == "parallel":
            self.parallel(frame, step, path)
        else:
            frame.last = self.one(frame, step, path, sources(self.files, frame, step))
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
            frame.last = reference(frame, step.sources, step.at.child("from"))
        when = condition(frame, step) if step.when is not None else None
        if step.when is not None and not holds(frame, step):
            if frame.last is None:
                raise step.at.child("when").error(
                    "SB401", "nothing can pass through here: this step has no input"
                )
            frame.nodes[path] = Node(
                path,
                Skip(),
                (frame.last,),
                frame.typed(frame.last),
                step.at,
                step.name is not None,
                when=when,
                doc=step.doc,
            )
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
        begin = (
            reference(frame, step.sources, step.at.child("from")) if step.sources is not None else frame.last
        )
        ends = []
        for name, steps in (step.branches or {}).items():
            at = step.value_at.child(name)
            check_name(name, at, "a branch")
            if name in frame.scopes[-1]:
                raise at.error("SB204", f"there is a {name!r} above already", key=True)
            frame.last = begin
            if len(steps) == 1 and steps[0].name is None:  # one step needs no group around it
                self.step(frame, steps[0], frame.prefix + name)
            else:
                self.group(frame, StepDef("do", None, at, at), frame.prefix + name, steps)
            assert frame.last is not None
            frame.scopes[-1][name] = frame.last
            ends.append(name)
        frame.last = None
        if step.merge is not None:
            at = step.at.child("merge")
            kind, value = (step.merge, {}) if isinstance(step.merge, str) else next(iter(step.merge.items()))
            merged = StepDef(
                kind, value, at, at.child(kind) if not isinstance(step.merge, str) else at, sources=ends
            )
            frame.last = self.one(frame, merged, path, sources(self.files, frame, merged))

    def repeat(self, frame: Frame, step: StepDef, path: str) -> None:
        """`repeat: n`: the step n times, each fed by the one before; `i` counts from 0."""
        at = step.at.child("repeat")
        length = read(Integer(0), step.repeat, at, frame.env)
        if length > MAX_REPEAT:
            raise at.error("SB502", f"a repeat of {plain(length):,} is too long", f"at most {MAX_REPEAT:,}")
        once = replace(step, repeat=None, name=None, expect=None, doc="", when=None)
        if step.when is not None and not holds(frame, step):
            length = 0
        frame.groups[path] = Group(path, step.at, length, step.doc)
        found = (
            None if step.kind in ("do", "parallel") else sources(self.files, frame, replace(step, when=None))
        )
        if found is None and step.sources is not None:
            frame.last = reference(frame, step.sources, step.at.child("from"))
            once = replace(once, sources=None)
        if found and found[0] is not None:
            frame.last = found[0]
        before = frame.env.get("i")
        outer, frame.prefix = frame.prefix, path + "."
        for i in range(plain(length)):
            frame.env["i"] = named(i, "i")
            inner = f"{path}.{i}"
            if found is None:
                self.step(frame, once, inner)
            else:
                frame.last = self.one(frame, once, inner, [frame.last, *found[1:]])
            if frame.steps > MAX_STEPS:
                raise at.error("SB502", f"the model has more than {MAX_STEPS:,} steps")
        frame.prefix = outer
        if before is None:
            frame.env.pop("i", None)
        else:
            frame.env["i"] = before
        self.expected(frame, step)

    def one(self, frame: Frame, step: StepDef, path: str, sources: list[Ref | None]) -> Ref:
        """One op, block, `reuse` or `use`: a node."""
        skipped = step.when is not None and not holds(frame, step)
        when = condition(frame, step) if step.when is not None else None
        if skipped:
            if not sources or sources[0] is None:
                raise step.at.child("when").error(
                    "SB401", "nothing can pass through here: this step has no input"
                )
            node = Node(
                path,
                Skip(),
                (sources[0],),
                frame.typed(sources[0]),
                step.at,
                step.name is not None,
                when=when,
                doc=step.doc,
            )
        elif step.kind == "reuse":
            node = self.reuse(frame, step, path, sources)
        elif step.kind == "use":
            node = self.use(frame, step, path, sources)
        elif step.kind in OPS:
            node = self.op(frame, step, path, sources)
        else:
            node = self.block(frame, step, path, sources)
        node = replace(node, when=when)
        if "i" in frame.env:
            at = plain(frame.env["i"])
            node = replace(
                node, type=counted(node.type, at), parts={n: counted(x, at) for n, x in node.parts.items()}
            )
        frame.nodes[path] = node
        frame.steps += 1 + (node.op.steps if isinstance(node.op, Block) else 0)
        if frame.steps > MAX_STEPS:
            raise step.at.error("SB502", f"the model has more than {MAX_STEPS:,} steps")
        return path

    def op(
        self,
        frame: Frame,
        step: StepDef,
        path: str,
        sources: list[Ref | None],
        scopes: Mapping[str, Argument] | None = None,
    ) -> Node:
        cls = OPS[step.kind]
        taken = {t.name for t in cls.takes}
        raw = {} if step.value is None or isinstance(step.value, list) else step.value
        declared = attributes(cls)
        for key in raw:
            if key not in declared and key not in taken:
                guess = nearest(key, [*declared, *taken])
                hint = (
                    f"did you mean {guess!r}?"
                    if guess
                    else f"{cls.name} has {listed([*taken - {'x'}, *declared])}"
                )
                raise step.value_at.child(key).error(
                    "SB101", f"{cls.name} has no attribute {key!r}", hint, key=True
                )
        values = {}
        for name, a in declared.items():
            if name in raw:
                argument = (scopes or {}).get(name) or Argument(
                    raw[name], step.value_at.child(name), frame.env
                )
                values[name] = read(a.kind, argument.raw, argument.at, argument.env or {})
            elif a.required:
                raise step.error(
                    "SB103", f"{cls.name} needs {name!r}: {a.doc}", f"write `{cls.name}: {{{name}: ...}}`"
                )
        made = cls(**values)
        types = [None if s is None else frame.typed(s) for s in sources]
        type_, parts = self.infer(step, made, types)
        for name, value in values.items():
            if isinstance(value, Init):
                self.begins(step, name, value, made.weights(*types))
        return Node(
            path, made, tuple(sources), type_, step.at, step.name is not None, doc=step.doc, parts=parts
        )

    def infer(self, step: StepDef, made: Op, types: list[Tensor | None]) -> tuple[Tensor, dict[str, Tensor]]:
        """The type of a result, and of its parts if it has several."""
        try:
            type_, parts = made.infer(*types), made.parts(*types)
        except KindError as e:
            raise (step.value_at.child(*e.path).error if e.path else step.error)(
                e.code, e.message, e.hint
            ) from None
        except ShapeError as e:
            raise step.error(e.code, e.message, e.hint) from None
        for part in parts:
            check_name(part, step.value_at, "a part")
        return type_, parts

    def begins(self, step: StepDef, name: str, begin: Init, weights: Mapping[str, Weight]) -> None:
        """Refuse a beginning that only a matrix can have: `init` is the first weight's, `bias_init` the bias'."""
        part = name.removesuffix("init").rstrip("_")
        weight = next((w for key, w in weights.items() if key.startswith(part)), None)
        if begin.kind in OF_A_MATRIX and weight is not None and len(weight.axes) < 2:
            raise step.value_at.child(name).error(
                "SB305",
                f"{begin.kind} begins weights of two axes or more, here {len(weight.axes)}",
                "use zeros, ones, constant, normal or uniform",
            )

    def block(self, frame: Frame, step: StepDef, path: str, sources: list[Ref | None]) -> Node:
        definition = self.files.lookup(
            frame.definition.source, step.kind, step.value_at if step.value_at.path else step.at
        )
        given = {
            name: Argument(raw, step.value_at.child(name), frame.env)
            for name, raw in (step.value or {}).items()
        }
        return self.call(frame, definition, step, given, path, sources)

    def call(
        self,
        frame: Frame,
        definition: BlockDef,
        step: StepDef,
        given: dict[str, Argument],
        path: str,
        sources: list[Ref | None],
    ) -> Node:
        params = called(definition, given, step.value_at)
        inputs = {}
        for name, source in zip(definition.inputs, sources, strict=True):
            assert source is not None
            inputs[name] = x = frame.typed(source)
            self.fits(definition, name, x, step)
        built = self.instances.instance(definition, params, inputs, step.at, path)
        args = params | size_arguments(inputs, params)
        type_ = told_outside(built.type, args)
        return Node(path, built, tuple(sources), type_, step.at, step.name is not None, args, doc=step.doc)

    def fits(self, definition: BlockDef, name: str, x: Tensor, step: StepDef) -> None:
        """Whether a value has the axes that a block's input declares."""
        declared = definition.inputs[name]
        if declared is None:
            return
        wanted = list(declared.get("axes", declared) if isinstance(declared, Mapping) else declared)
        more = "..." in wanted
        wanted = [a for a in wanted if a != "..."]
        lacking, extra = [a for a in wanted if a not in x], [a for a in x.axes if a not in wanted]
        if lacking or (extra and not more):
            raise step.error(
                "SB404", f"{definition.name} takes {name} with axes {listed(wanted)}, but here it is {x}"
            )

    def reuse(self, frame: Frame, step: StepDef, path: str, sources: list[Ref | None]) -> Node:
        at = step.value_at
        ref = reference(frame, step.value, at)
        origin = frame.nodes.get(ref.partition("@")[0])
        if origin is None or isinstance(origin.op, Skip):
            raise at.error("SB202", f"{step.value!r} is not a step that can be used again")
        origin = frame.nodes[origin.reuses] if origin.reuses else origin
        types = [None if s is None else frame.typed(s) for s in sources]
        if isinstance(origin.op, Block):
            definition = self.instances.defined[origin.op.at]
            inputs = dict(zip(origin.op.inputs, [t for t in types if t is not None], strict=True))
            params = {p: origin.args[p] for p in definition.params}
            built = self.instances.instance(definition, params, inputs, step.at, path)
            args = params | size_arguments(inputs, params)
            return Node(
                path,
                built,
                tuple(sources),
                told_outside(built.type, args),
                step.at,
                step.name is not None,
                args,
                origin.name,
                doc=step.doc,
            )
        assert isinstance(origin.op, Op)
        type_, parts = self.infer(step, origin.op, types)
        before = origin.op.weights(*[None if s is None else frame.typed(s) for s in origin.inputs])
        if origin.op.weights(*types) != before:
            raise step.error(
                "SB401", f"{step.value} cannot be used again here: its weights would have other shapes"
            )
        return Node(
            path,
            origin.op,
            tuple(sources),
            type_,
            step.at,
            step.name is not None,
            reuses=origin.name,
            doc=step.doc,
            parts=parts,
        )

    def use(self, frame: Frame, step: StepDef, path: str, sources: list[Ref | None]) -> Node:
        """A parameter that is a block, in the place of a step."""
        choice = chosen_by(frame, step)
        if choice.kind == "none":
            assert sources[0] is not None
            return Node(
                path,
                Skip(),
                (sources[0],),
                frame.typed(sources[0]),
                step.at,
                step.name is not None,
                doc=step.doc,
            )
        given = {
            name: Argument(raw, choice.at.child(name), choice.scope) for name, raw in choice.arguments.items()
        }
        beside = step.at.child("with")
        given |= {
            name: Argument(raw, beside.child(name), frame.env) for name, raw in (step.arguments or {}).items()
        }
        stand_in = replace(
            step, kind=choice.kind, value={name: a.raw for name, a in given.items()}, value_at=choice.at
        )
        if choice.kind in OPS:
            return self.op(frame, stand_in, path, sources, given)
        return self.call(
            frame, self.files.lookup(choice.at.source, choice.kind, choice.at), stand_in, given, path, sources
        )


def counted(x: Tensor, i: int) -> Tensor:
    """A type as later steps read it: its sizes are not told by an index that moves on."""
    return Tensor({axis: settled(n, "i", i) for axis, n in x.sizes.items()}, x.dtype, x.batched)


def label(step: StepDef) -> str:
    """What a step without a name is called."""
    if step.kind == "use" and isinstance(step.value, str):
        return step.value
    return step.kind if step.kind in OPS else snake(step.kind)
