"""Spec to graph: choose, repeat, name and type, one block instance after another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from specbuild.axes import CHANNEL, ShapeError, Tensor, listed
from specbuild.errors import SpecError, nearest
from specbuild.graph import Block, Chosen, Group, Node, Output, Ref, Skip, size_arguments, size_words
from specbuild.names import check_name, snake
from specbuild.ops import OPS
from specbuild.ops.base import Op, attributes
from specbuild.ops.kinds import Flag, Integer, KindError, Real, Word
from specbuild.resolve import Files
from specbuild.source import At
from specbuild.spec import BlockDef, ParamDef, Spec, StepDef
from specbuild.words import WordsError, evaluate, named, plain, retell, translate

MAX_REPEAT = 10_000
MAX_STEPS = 50_000
MAX_DEPTH = 64


@dataclass
class Frame:
    """A block while it is being elaborated."""

    definition: BlockDef
    env: dict[str, Any]
    inputs: dict[str, Tensor]
    nodes: dict[str, Node] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    scopes: list[dict[str, Ref]] = field(default_factory=list)  # names in reach, innermost last
    prefix: str = ""  # of the group being filled
    last: Ref | None = None
    steps: int = 0

    def typed(self, ref: Ref) -> Tensor:
        if ref in self.inputs:
            return self.inputs[ref]
        name, _, output = ref.partition("@")
        node = self.nodes[name]
        if not output:
            return node.type
        if not isinstance(node.op, Block):
            return node.parts[output]
        return told_outside(node.op.outputs[output].type, node.args)


@dataclass(frozen=True)
class Argument:
    """The value of a parameter as written, and the scope that its names are of; None: the parameters before it."""

    raw: Any
    at: At
    env: Mapping[str, Any] | None = None


def told_outside(x: Tensor, args: Mapping[str, Any]) -> Tensor:
    """A type from inside a block instance, its sizes in the words of the block around it."""
    return Tensor({axis: translate(size, args) for axis, size in x.sizes.items()}, x.dtype, x.batched)


def elaborate(spec: Spec, files: Files, params: Mapping[str, Any] | None = None, variant: str | None = None) -> Block:
    """The model of a file as a tree of block instances; raises SpecError."""
    return Elaborator(files).model(spec, dict(params or {}), variant)


class Elaborator:
    def __init__(self, files: Files):
        self.files = files
        self.made: dict[Any, Block] = {}
        self.open: list[str] = []  # kinds being elaborated, outermost first
        self.defined: dict[At, BlockDef] = {}  # by where they stand

    # -- blocks ------------------------------------------------------------------------------

    def model(self, spec: Spec, given: dict[str, Any], variant: str | None) -> Block:
        definition = spec.model
        if definition is None:
            raise spec.source.at().error("SB103", "this file has no model", "give it `model:`, `inputs:` and `steps:`")
        at = spec.source.at(("params",))
        arguments = {name: Argument(raw, at.child(name)) for name, raw in given.items()}
        params = self.parameters(definition, self.with_variant(definition, arguments, variant, spec.source.at()), at)
        env = {name: named(plain(value), name) if not isinstance(value, Chosen) else value for name, value in params.items()}
        if not definition.inputs or "inputs" not in spec.source.data:
            raise spec.source.at().error("SB103", "the model has no inputs", "write `inputs: {image: {C: 3, H: 224, W: 224}}`, say")
        inputs = {name: self.declared(raw, definition.at.child("inputs", name), env) for name, raw in definition.inputs.items()}
        return self.body(definition, env, params, inputs, {name: x.sizes for name, x in inputs.items()})

    def with_variant(self, definition: BlockDef, given: dict[str, Argument], variant: str | None, at: At) -> dict[str, Argument]:
        """The arguments of a variant, in the scope of its own file, and over them those given."""
        if variant is None:
            return given
        spec = definition.model
        variants = spec.variants if spec else {}
        if spec is None or variant not in variants:
            guess = nearest(variant, variants)
            hint = f"did you mean {guess!r}?" if guess else f"its variants are {listed(variants)}"
            raise at.error("SB202", f"{definition.name} has no variant {variant!r}", hint)
        own = spec.source.at(("variants", variant))
        return {**{name: Argument(raw, own.child(name)) for name, raw in variants[variant].items()}, **given}

    def declared(self, raw: Any, at: At, env: dict[str, Any]) -> Tensor:
        """The type of a model input: {C: 3, H: 224, W: 224}, or {axes: {T: 64}, dtype: int32}."""
        dtype = "float"
        if not isinstance(raw, Mapping):
            raise at.error("SB102", "an input of a model needs its sizes", "write {C: 3, H: 224, W: 224}, say")
        if "axes" in raw:
            dtype, raw, at = raw.get("dtype", "float"), raw["axes"], at.child("axes")
        sizes = {}
        for axis, size in raw.items():
            check_name(axis, at.child(axis), "an axis")
            sizes[axis] = self.read(Integer(1), size, at.child(axis), env)
        with shapes_at(at):
            return Tensor(sizes, dtype)

    def parameters(self, definition: BlockDef, given: Mapping[str, Argument], at: At) -> dict[str, Any]:
        """The value of every parameter, in the caller's words where the caller gave it."""
        for name, argument in given.items():
            if name not in definition.params:
                guess = nearest(name, definition.params)
                hint = f"did you mean {guess!r}?" if guess else f"its parameters are {listed(definition.params)}"
                raise argument.at.error("SB101", f"{definition.name} has no parameter {name!r}", hint, key=True)
        values: dict[str, Any] = {}
        for name, param in definition.params.items():
            check_name(name, param.at, "a parameter")
            argument = given.get(name) or Argument(param.default, param.at.child("default"))
            if param.required and name not in given:
                raise at.child(name).error("SB103", f"{definition.name} needs a value for {name!r} ({param.type})", param.doc)
            value = self.parameter(param, argument.raw, argument.at, values if argument.env is None else argument.env)
            values[name] = plain_or_block(value) if argument.env is None else value
        return values

    def parameter(self, param: ParamDef, raw: Any, at: At, env: Mapping[str, Any]) -> Any:
        if param.type == "block":
            return self.chosen(raw, at, env)
        if param.type == "list":
            value = self.evaluated(raw, at, env) if isinstance(raw, str) else raw
            if not isinstance(value, list | tuple):
                raise at.error("SB305", f"{param.name} is a list", "write [3, 4, 6, 3], say")
            return [self.item(part, at.child(i), env) for i, part in enumerate(value)]
        if param.type == "str":
            value = self.read(Word(), raw, at, env)
        else:
            bounds = (param.minimum, param.maximum)
            kinds = {"int": Integer(*bounds), "float": Real(*bounds), "number": Real(*bounds), "bool": Flag()}  # type: ignore[arg-type]
            if param.type not in kinds:
                raise param.at.error("SB102", f"{param.type!r} is not a type", f"types are {listed(('int', 'float', 'number', 'bool', 'str', 'list', 'block'))}")
            value = self.read(kinds[param.type], raw, at, env)
        if param.choices and value not in param.choices:
            raise at.error("SB304", f"{param.name} is one of {listed(map(str, param.choices))}, not {plain(value)}")
        return value

    def item(self, raw: Any, at: At, env: Mapping[str, Any]) -> Any:
        if isinstance(raw, list | tuple):
            return [self.item(part, at.child(i), env) for i, part in enumerate(raw)]
        return self.evaluated(raw, at, env) if isinstance(raw, str) else raw

    def chosen(self, raw: Any, at: At, env: Mapping[str, Any]) -> Chosen:
        """A block given as a parameter: `CBAM`, `{CBAM: {reduction: 8}}`, `relu`, `none`, or a parameter handed on."""
        if isinstance(raw, str) and isinstance(env.get(raw), Chosen):
            found: Chosen = env[raw]
            return found
        if isinstance(raw, str):
            return Chosen(raw, {}, at, {})
        if isinstance(raw, Mapping) and len(raw) == 1:
            [(kind, arguments)] = raw.items()
            read = set(re.findall(r"\w+", repr(arguments)))
            scope = {name: wordless(value) for name, value in env.items() if name in read}
            return Chosen(kind, arguments or {}, at.child(kind), scope)
        raise at.error("SB305", "this parameter is a block", "write CBAM, {CBAM: {reduction: 8}} or none")

    def instance(self, definition: BlockDef, params: dict[str, Any], inputs: dict[str, Tensor], at: At, name: str) -> Block:
        """A block instance; the same definition, values and types give the same object."""
        key = (
            id(definition),
            tuple((p, v.key() if isinstance(v, Chosen) else repr(plain(v))) for p, v in params.items()),
            tuple((n, tuple((a, plain(s)) for a, s in x.sizes.items()), x.dtype, x.batched) for n, x in inputs.items()),
        )
        if key in self.made:
            return self.made[key]
        trail = f"in {definition.name} at {name} ({at.place.file}:{at.place.line}:{at.place.column})"
        if definition.name in self.open and any(o == definition.name for o in self.open):
            cycle = " > ".join([*self.open[self.open.index(definition.name) :], definition.name])
            raise at.error("SB206", f"a block cannot contain itself: {cycle}")
        if len(self.open) >= MAX_DEPTH:
            raise at.error("SB503", f"blocks are nested more than {MAX_DEPTH} deep")
        self.open.append(definition.name)
        self.defined[definition.at] = definition
        try:
            env: dict[str, Any] = {p: v if isinstance(v, Chosen) else named(plain(v), p) for p, v in params.items()}
            read = {i: {a: plain(n) for a, n in x.sizes.items()} for i, x in inputs.items()}
            for word, (i, axis) in size_words(inputs, params).items():
                read[i][axis] = named(read[i][axis], word)
            told = {}
            for i, x in inputs.items():
                sizes = {a: n if a == CHANNEL else plain(n) for a, n in read[i].items()}
                told[i] = Tensor(sizes, x.dtype, x.batched)
            self.made[key] = self.body(definition, env, params, told, read)
        except SpecError as e:
            raise SpecError(e.code, e.message, e.place, e.hint, (*e.trail, trail)) from None
        finally:
            self.open.pop()
        return self.made[key]

    def body(
        self,
        definition: BlockDef,
        env: dict[str, Any],
        params: dict[str, Any],
        inputs: dict[str, Tensor],
        read: Mapping[str, Mapping[str, int]],
    ) -> Block:
        """The instance itself; `read` has the sizes of its inputs as its expressions read them."""
        frame = Frame(definition, env, inputs)
        for name in inputs:
            check_name(name, definition.at.child("inputs", name), "an input")
            if name in env:
                raise definition.at.child("inputs", name).error("SB204", f"{name!r} is a parameter and an input", key=True)
            env[name] = read[name]
        frame.scopes.append({name: name for name in inputs})
        frame.last = next(iter(inputs), None)
        if not definition.steps:
            raise definition.at.error("SB103", f"{definition.name} has no steps")
        self.run(frame, definition.steps, numbered=False)
        outputs = self.outputs(frame)  # a tap among them opens a node
        return Block(
            definition.name,
            definition.doc,
            {p: v if isinstance(v, Chosen) else plain(v) for p, v in params.items()},
            {p: d.default for p, d in definition.params.items() if not d.required},
            inputs,
            tuple(frame.nodes.values()),
            frame.groups,
            outputs,
            definition.at,
            frame.steps,
            {p: d.doc for p, d in definition.params.items() if d.doc},
        )

    def outputs(self, frame: Frame) -> dict[str, Output]:
        raw, at = frame.definition.outputs, frame.definition.at.child("outputs")
        if raw is None:
            assert frame.last is not None
            ref = self.single(frame, frame.last, frame.definition.at)
            return {"": Output(ref, frame.typed(ref))}
        if isinstance(raw, str):
            ref = self.reference(frame, raw, at)
            return {"": Output(ref, frame.typed(ref))}
        pairs = raw.items() if isinstance(raw, Mapping) else [(r.replace(".", "_"), r) for r in raw]
        found = {}
        for i, (name, target) in enumerate(pairs):
            place = at.child(name) if isinstance(raw, Mapping) else at.child(i)
            check_name(name, place, "an output")
            ref = self.reference(frame, target, place)
            found[name] = Output(ref, frame.typed(ref))
        return found

    # -- steps -------------------------------------------------------------------------------

    def run(self, frame: Frame, steps: tuple[StepDef, ...], numbered: bool) -> None:
        """Steps one after another; those of a group are numbered unless they have a name."""
        labels = [label(s) for s in steps if s.name is None]
        seen: dict[str, int] = {}
        for index, step in enumerate(steps):
            name = step.name
            if name is not None:
                check_name(name, step.at.child("as"), "a step")
                if name in frame.env and not isinstance(frame.env[name], Chosen) and not frame.prefix:
                    what = "an input" if name in frame.inputs else "a parameter"
                    raise step.at.child("as").error("SB204", f"{name!r} is the name of {what}", "give the step another name")
            elif numbered:
                name = str(index)
            else:
                tag = label(step)
                seen[tag] = seen.get(tag, 0) + 1
                name = f"{tag}{seen[tag]}" if labels.count(tag) > 1 or self.taken(frame, tag) else tag
                while self.taken(frame, name):
                    seen[tag] += 1
                    name = f"{tag}{seen[tag]}"
            path = frame.prefix + name
            if path in frame.nodes or path in frame.groups or (step.name and name in frame.scopes[-1]):
                raise step.at.child("as").error("SB204", f"there is a {name!r} above already", "give it another name with `as`")
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
            return self.repeat(frame, step, path)
        if step.kind == "do":
            self.group(frame, step, path, step.steps)
        elif step.kind == "parallel":
            self.parallel(frame, step, path)
        else:
            frame.last = self.one(frame, step, path, self.sources(frame, step))
        self.expected(frame, step)

    def expected(self, frame: Frame, step: StepDef) -> None:
        if step.expect is None or frame.last is None:
            return
        at = step.at.child("expect")
        wanted = self.declared(step.expect, at, frame.env)
        found = frame.typed(frame.last)
        if not wanted.same_sizes(found):
            raise at.error("SB402", f"expected {wanted}, but here it is {found}", key=True)

    def group(self, frame: Frame, step: StepDef, path: str, steps: tuple[StepDef, ...], length: int | None = None) -> None:
        """Steps under one name; `from` and `when` of a `do` hold for the whole of it."""
        if step.sources is not None and step.kind == "do":
            frame.last = self.reference(frame, step.sources, step.at.child("from"))
        when = self.condition(frame, step) if step.when is not None else None
        if step.when is not None and not self.holds(frame, step):
            if frame.last is None:
                raise step.at.child("when").error("SB401", "nothing can pass through here: this step has no input")
            frame.nodes[path] = Node(path, Skip(), (frame.last,), frame.typed(frame.last), step.at, step.name is not None, when=when, doc=step.doc)
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
        begin = self.reference(frame, step.sources, step.at.child("from")) if step.sources is not None else frame.last
        ends = []
        for name, steps in (step.branches or {}).items():
            at = step.value_at.child(name)
            check_name(name, at, "a branch")
            if name in frame.scopes[-1]:
                raise at.error("SB204", f"there is a {name!r} above already", key=True)
            frame.last = begin
            branch = StepDef("do", None, at, at)
            self.group(frame, branch, frame.prefix + name, steps)
            assert frame.last is not None
            frame.scopes[-1][name] = frame.last
            ends.append(name)
        frame.last = None
        if step.merge is not None:
            at = step.at.child("merge")
            kind, value = (step.merge, {}) if isinstance(step.merge, str) else next(iter(step.merge.items()))
            merged = StepDef(kind, value, at, at.child(kind) if not isinstance(step.merge, str) else at, sources=ends)
            frame.last = self.one(frame, merged, path, self.sources(frame, merged))

    def repeat(self, frame: Frame, step: StepDef, path: str) -> None:
        """`repeat: n`: the step n times, each fed by the one before; `i` counts from 0."""
        at = step.at.child("repeat")
        length = self.read(Integer(0), step.repeat, at, frame.env)
        if length > MAX_REPEAT:
            raise at.error("SB502", f"a repeat of {plain(length):,} is too long", f"at most {MAX_REPEAT:,}")
        once = replace(step, repeat=None, name=None, expect=None, doc="", when=None)
        if step.when is not None and not self.holds(frame, step):
            length = 0
        frame.groups[path] = Group(path, step.at, length, step.doc)
        sources = None if step.kind in ("do", "parallel") else self.sources(frame, replace(step, when=None))
        if sources is None and step.sources is not None:
            frame.last = self.reference(frame, step.sources, step.at.child("from"))
            once = replace(once, sources=None)
        if sources and sources[0] is not None:
            frame.last = sources[0]
        before = frame.env.get("i")
        outer, frame.prefix = frame.prefix, path + "."
        for i in range(plain(length)):
            frame.env["i"] = named(i, "i")
            inner = f"{path}.{i}"
            if sources is None:
                self.step(frame, once, inner)
            else:
                frame.last = self.one(frame, once, inner, [frame.last, *sources[1:]])
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
        skipped = step.when is not None and not self.holds(frame, step)
        when = self.condition(frame, step) if step.when is not None else None
        if skipped:
            if not sources or sources[0] is None:
                raise step.at.child("when").error("SB401", "nothing can pass through here: this step has no input")
            node = Node(path, Skip(), (sources[0],), frame.typed(sources[0]), step.at, step.name is not None, when=when, doc=step.doc)
        elif step.kind == "reuse":
            node = self.reuse(frame, step, path, sources)
        elif step.kind == "use":
            node = self.use(frame, step, path, sources)
        elif step.kind in OPS:
            node = self.op(frame, step, path, sources)
        else:
            node = self.block(frame, step, path, sources)
        node = replace(node, when=when)
        frame.nodes[path] = node
        frame.steps += 1 + (node.op.steps if isinstance(node.op, Block) else 0)
        if frame.steps > MAX_STEPS:
            raise step.at.error("SB502", f"the model has more than {MAX_STEPS:,} steps")
        return path

    def op(self, frame: Frame, step: StepDef, path: str, sources: list[Ref | None], scopes: Mapping[str, Argument] | None = None) -> Node:
        cls = OPS[step.kind]
        taken = {t.name for t in cls.takes}
        raw = {} if step.value is None or isinstance(step.value, list) else step.value
        declared = attributes(cls)
        for key in raw:
            if key not in declared and key not in taken:
                guess = nearest(key, [*declared, *taken])
                hint = f"did you mean {guess!r}?" if guess else f"{cls.name} has {listed([*taken - {'x'}, *declared])}"
                raise step.value_at.child(key).error("SB101", f"{cls.name} has no attribute {key!r}", hint, key=True)
        values = {}
        for name, a in declared.items():
            if name in raw:
                argument = (scopes or {}).get(name) or Argument(raw[name], step.value_at.child(name), frame.env)
                values[name] = self.read(a.kind, argument.raw, argument.at, argument.env or {})
            elif a.required:
                raise step.error("SB103", f"{cls.name} needs {name!r}: {a.doc}", f"write `{cls.name}: {{{name}: ...}}`")
        made = cls(**values)
        types = [None if s is None else frame.typed(s) for s in sources]
        type_, parts = self.infer(step, made, types)
        return Node(path, made, tuple(sources), type_, step.at, step.name is not None, doc=step.doc, parts=parts)

    def infer(self, step: StepDef, made: Op, types: list[Tensor | None]) -> tuple[Tensor, dict[str, Tensor]]:
        """The type of a result, and of its parts if it has several."""
        try:
            type_, parts = made.infer(*types), made.parts(*types)
        except KindError as e:
            raise (step.value_at.child(*e.path).error if e.path else step.error)(e.code, e.message, e.hint) from None
        except ShapeError as e:
            raise step.error(e.code, e.message, e.hint) from None
        for part in parts:
            check_name(part, step.value_at, "a part")
        return type_, parts

    def block(self, frame: Frame, step: StepDef, path: str, sources: list[Ref | None]) -> Node:
        definition = self.files.lookup(frame.definition.source, step.kind, step.value_at if step.value_at.path else step.at)
        given = {name: Argument(raw, step.value_at.child(name), frame.env) for name, raw in (step.value or {}).items()}
        return self.call(frame, definition, step, given, path, sources)

    def call(
        self, frame: Frame, definition: BlockDef, step: StepDef, given: dict[str, Argument], path: str, sources: list[Ref | None]
    ) -> Node:
        chosen = given.pop("variant", None) if definition.model is not None else None
        variant = self.read(Word(), chosen.raw, chosen.at, chosen.env or {}) if chosen is not None else None
        given = self.with_variant(definition, given, variant, chosen.at if chosen is not None else step.value_at)
        params = self.parameters(definition, given, step.value_at)
        inputs = {}
        for name, source in zip(definition.inputs, sources, strict=True):
            assert source is not None
            inputs[name] = x = frame.typed(source)
            self.fits(definition, name, x, step)
        built = self.instance(definition, params, inputs, step.at, path)
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
            raise step.error("SB404", f"{definition.name} takes {name} with axes {listed(wanted)}, but here it is {x}")

    def reuse(self, frame: Frame, step: StepDef, path: str, sources: list[Ref | None]) -> Node:
        at = step.value_at
        ref = self.reference(frame, step.value, at)
        origin = frame.nodes.get(ref.partition("@")[0])
        if origin is None or isinstance(origin.op, Skip):
            raise at.error("SB202", f"{step.value!r} is not a step that can be used again")
        origin = frame.nodes[origin.reuses] if origin.reuses else origin
        types = [None if s is None else frame.typed(s) for s in sources]
        if isinstance(origin.op, Block):
            definition = self.defined[origin.op.at]
            inputs = dict(zip(origin.op.inputs, [t for t in types if t is not None], strict=True))
            params = {p: origin.args[p] for p in definition.params}
            built = self.instance(definition, params, inputs, step.at, path)
            args = params | size_arguments(inputs, params)
            return Node(path, built, tuple(sources), told_outside(built.type, args), step.at, step.name is not None, args, origin.name, doc=step.doc)
        assert isinstance(origin.op, Op)
        type_, parts = self.infer(step, origin.op, types)
        before = origin.op.weights(*[None if s is None else frame.typed(s) for s in origin.inputs])
        if origin.op.weights(*types) != before:
            raise step.error("SB401", f"{step.value} cannot be used again here: its weights would have other shapes")
        return Node(path, origin.op, tuple(sources), type_, step.at, step.name is not None, reuses=origin.name, doc=step.doc, parts=parts)

    def use(self, frame: Frame, step: StepDef, path: str, sources: list[Ref | None]) -> Node:
        """A parameter that is a block, in the place of a step."""
        choice = self.choice(frame, step)
        if choice.kind == "none":
            assert sources[0] is not None
            return Node(path, Skip(), (sources[0],), frame.typed(sources[0]), step.at, step.name is not None, doc=step.doc)
        given = {name: Argument(raw, choice.at.child(name), choice.scope) for name, raw in choice.arguments.items()}
        beside = step.at.child("with")
        given |= {name: Argument(raw, beside.child(name), frame.env) for name, raw in (step.arguments or {}).items()}
        stand_in = replace(step, kind=choice.kind, value={name: a.raw for name, a in given.items()}, value_at=choice.at)
        if choice.kind in OPS:
            return self.op(frame, stand_in, path, sources, given)
        return self.call(frame, self.files.lookup(choice.at.source, choice.kind, choice.at), stand_in, given, path, sources)

    def choice(self, frame: Frame, step: StepDef) -> Chosen:
        choice = frame.env.get(step.value) if isinstance(step.value, str) else None
        if not isinstance(choice, Chosen):
            blocks = [p for p, v in frame.env.items() if isinstance(v, Chosen)]
            raise step.value_at.error("SB202", f"{step.value!r} is not a parameter that is a block", f"here are: {listed(blocks)}")
        return choice

    # -- references --------------------------------------------------------------------------

    def sources(self, frame: Frame, step: StepDef) -> list[Ref | None]:
        """The inputs of a step, in the order in which its op or block takes them."""
        if step.kind == "reuse":
            origin = self.origin(frame, step)
            if origin is not None and isinstance(origin.op, Block):
                return self.many(frame, step, list(origin.op.inputs), {})
            if origin is not None and isinstance(origin.op, Op):
                return self.op_sources(frame, step, type(origin.op), {})
            return self.many(frame, step, ["x"], {})
        user = frame.definition.source
        if step.kind == "use":
            choice = self.choice(frame, step)
            if choice.kind == "none":
                return self.many(frame, step, ["x"], {})
            step, user = replace(step, kind=choice.kind, value=choice.arguments, value_at=choice.at), choice.at.source
        if step.kind in OPS:
            raw = step.value if isinstance(step.value, Mapping) else {}
            return self.op_sources(frame, step, OPS[step.kind], raw)
        definition = self.files.lookup(user, step.kind, step.value_at if step.value_at.path else step.at)
        return self.block_sources(frame, step, definition)

    def origin(self, frame: Frame, step: StepDef) -> Node | None:
        if not isinstance(step.value, str):
            raise step.value_at.error("SB102", "`reuse` takes the name of a step above")
        return frame.nodes.get(self.reference(frame, step.value, step.value_at).partition("@")[0])

    def block_sources(self, frame: Frame, step: StepDef, definition: BlockDef) -> list[Ref | None]:
        return self.many(frame, step, list(definition.inputs), {})

    def many(self, frame: Frame, step: StepDef, wanted: list[str], _: Any) -> list[Ref | None]:
        raw, at = step.sources, step.at.child("from")
        if raw is None or isinstance(raw, str):
            if len(wanted) != 1:
                raise step.error("SB103", f"{step.kind} takes {len(wanted)} inputs: {listed(wanted)}", f"write `from: {{{wanted[0]}: ..., {wanted[-1]}: ...}}`")
            return [self.previous(frame, step) if raw is None else self.reference(frame, raw, at)]
        if isinstance(raw, list):
            if len(raw) != len(wanted):
                raise at.error("SB103", f"{step.kind} takes {len(wanted)} inputs ({listed(wanted)}), here are {len(raw)}")
            return [self.reference(frame, r, at.child(i)) for i, r in enumerate(raw)]
        for name in raw:
            if name not in wanted:
                guess = nearest(name, wanted)
                raise at.child(name).error("SB101", f"{step.kind} has no input {name!r}", f"did you mean {guess!r}?" if guess else f"its inputs are {listed(wanted)}", key=True)
        lacking = [name for name in wanted if name not in raw]
        if lacking:
            raise at.error("SB103", f"{step.kind} also needs the input {listed(lacking)}", key=True)
        return [self.reference(frame, raw[name], at.child(name)) for name in wanted]

    def op_sources(self, frame: Frame, step: StepDef, cls: type[Op], raw: Mapping[str, Any]) -> list[Ref | None]:
        if cls.takes and cls.takes[0].many:
            listed_refs, at = (step.value, step.value_at) if isinstance(step.value, list) else (None, step.value_at)
            if listed_refs is None:
                first = cls.takes[0].name
                listed_refs, at = (raw[first], at.child(first)) if first in raw else (step.sources, step.at.child("from"))
            if not isinstance(listed_refs, list) or not listed_refs:
                raise step.error("SB103", f"{cls.name} needs its inputs", f"write `{cls.name}: [a, b]`")
            return [self.reference(frame, r, at.child(i)) for i, r in enumerate(listed_refs)]
        if isinstance(step.value, list):
            raise step.error("SB102", f"{cls.name} does not take a list of inputs")
        given = dict(raw)
        if isinstance(step.sources, Mapping):
            names = [t.name for t in cls.takes]
            for name in step.sources:
                if name not in names:
                    raise step.at.child("from", name).error("SB101", f"{cls.name} has no input {name!r}", f"its inputs are {listed(names)}", key=True)
        found: list[Ref | None] = []
        for index, take in enumerate(cls.takes):
            if isinstance(step.sources, Mapping) and take.name in step.sources:
                found.append(self.reference(frame, step.sources[take.name], step.at.child("from", take.name)))
            elif take.name in given and take.name != "x":
                found.append(self.reference(frame, given[take.name], step.value_at.child(take.name)))
            elif isinstance(step.sources, list) and index < len(step.sources):
                found.append(self.reference(frame, step.sources[index], step.at.child("from", index)))
            elif take.optional:
                found.append(None)
            elif index == 0:
                raw_from = step.sources if isinstance(step.sources, str) else None
                found.append(self.previous(frame, step) if raw_from is None else self.reference(frame, raw_from, step.at.child("from")))
            else:
                raise step.error("SB103", f"{cls.name} needs the input {take.name!r}: {take.doc}", f"write `{cls.name}: {{{take.name}: ...}}`")
        if isinstance(step.sources, list) and len(step.sources) > len(cls.takes):
            raise step.at.child("from").error("SB103", f"{cls.name} takes {len(cls.takes)} input, here are {len(step.sources)}")
        return found

    def previous(self, frame: Frame, step: StepDef) -> Ref:
        if frame.last is None:
            raise step.error("SB202", "there is no value before this step", "name its input with `from`")
        return self.single(frame, frame.last, step.at)

    def single(self, frame: Frame, ref: Ref, at: At) -> Ref:
        """A reference to one value; a step that gives several is not one."""
        node = frame.nodes.get(ref)
        if node is None or not node.parts:
            return ref
        parts = [f"{node.name}.{part}" for part in node.parts]
        raise at.error("SB202", f"{node.name} gives several values: {listed(parts)}", "name the one that is meant")

    def reference(self, frame: Frame, text: Any, at: At) -> Ref:
        """The value that a name speaks of: a step, an input, `prev`, a step's output, or a tap into a block."""
        return self.single(frame, self.found(frame, text, at), at)

    def found(self, frame: Frame, text: Any, at: At) -> Ref:
        if not isinstance(text, str):
            raise at.error("SB102", "this is the name of a step or an input")
        if text == "prev":
            if frame.last is None:
                raise at.error("SB202", "there is no value before this step")
            return frame.last
        for scope in reversed(frame.scopes):
            if text in scope:
                return scope[text]
        if text in frame.nodes:
            return text
        if text in frame.groups:
            members = [n for n in frame.nodes if n.startswith(text + ".")]
            if members:
                return members[-1]
        parts = text.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            head = ".".join(parts[:cut])
            ref = next((s[head] for s in reversed(frame.scopes) if head in s), head)
            node = frame.nodes.get(ref)
            if node is not None and isinstance(node.op, Block):
                return self.tap(frame, node, ".".join(parts[cut:]), at)
            if node is not None and ".".join(parts[cut:]) in node.parts:
                return f"{node.name}@{'.'.join(parts[cut:])}"
        known = [n for s in frame.scopes for n in s]
        guess = nearest(text, known)
        later = any(s.name == text for s in frame.definition.steps)
        hint = f"did you mean {guess!r}?" if guess else f"here are: {listed(known[:12])}"
        message = f"{text!r} comes only after this step" if later else f"nothing above is named {text!r}"
        raise at.error("SB202", message, hint)

    def tap(self, frame: Frame, node: Node, path: str, at: At) -> Ref:
        """A value inside a block instance becomes one of its outputs."""
        assert isinstance(node.op, Block)
        if path in node.op.outputs:
            return node.name if next(iter(node.op.outputs)) == path else f"{node.name}@{path}"
        opened = expose(node.op, path, at)
        origin = node.reuses or node.name
        for name, other in frame.nodes.items():
            if name == origin or other.reuses == origin:
                assert isinstance(other.op, Block)
                frame.nodes[name] = replace(other, op=opened if name == node.name else expose(other.op, path, at))
        return f"{node.name}@{path}"

    # -- values ------------------------------------------------------------------------------

    def read(self, kind: Any, raw: Any, at: At, env: Mapping[str, Any]) -> Any:
        try:
            return kind.read(raw, lambda text: evaluate(text, env))
        except KindError as e:
            raise at.child(*e.path).error(e.code, e.message, e.hint) from None
        except WordsError as e:
            raise at.error(e.code, e.message, e.hint) from None

    def evaluated(self, text: str, at: At, env: Mapping[str, Any]) -> Any:
        try:
            return evaluate(text, env)
        except WordsError as e:
            raise at.error(e.code, e.message, e.hint) from None

    def holds(self, frame: Frame, step: StepDef) -> bool:
        value = self.read(Flag(), step.when, step.at.child("when"), frame.env)
        assert isinstance(value, bool)
        return value

    def condition(self, frame: Frame, step: StepDef) -> str | None:
        """The words of a `when`, if every name in it has some."""
        return retell(step.when, frame.env, own=True) if isinstance(step.when, str) else None


def expose(block: Block, path: str, at: At) -> Block:
    """The same instance with one more output: the value at `path` inside it."""
    if path in block.outputs:
        return block
    ref = block_reference(block, path)
    if ref is None:
        head = next((n for n in sorted(block._by_name, key=len, reverse=True) if path.startswith(n + ".")), None)
        node = block.node(head) if head else None
        if node is None or not isinstance(node.op, Block):
            known = [*block._by_name, *block.groups]
            guess = nearest(path, known)
            hint = f"did you mean {guess!r}?" if guess else f"inside are: {listed(known[:12])}"
            raise at.error("SB202", f"there is no {path!r} in {block.kind}", hint)
        rest = path[len(node.name) + 1 :]
        opened = replace(node, op=expose(node.op, rest, at))
        block = replace(block, nodes=tuple(opened if n.name == node.name else n for n in block.nodes))
        ref = f"{node.name}@{rest}"
    return replace(block, outputs={**block.outputs, path: Output(ref, block.typed(ref))})


def block_reference(block: Block, path: str) -> Ref | None:
    if block.node(path) is not None or path in block.inputs:
        return path
    members = [n.name for n in block.nodes if n.name.startswith(path + ".")] if path in block.groups else []
    if members:
        return members[-1]
    name, _, part = path.rpartition(".")
    node = block.node(name)
    return f"{name}@{part}" if node is not None and part in node.parts else None


def plain_or_block(value: Any) -> Any:
    return value if isinstance(value, Chosen) else plain(value)


def wordless(value: Any) -> Any:
    """What a name stands for, sizes of an input included, without the words of where it was said."""
    return {axis: plain(size) for axis, size in value.items()} if isinstance(value, Mapping) else plain_or_block(value)


def label(step: StepDef) -> str:
    """What a step without a name is called."""
    if step.kind == "use" and isinstance(step.value, str):
        return step.value
    return step.kind if step.kind in OPS else snake(step.kind)


@contextmanager
def shapes_at(at: At) -> Iterator[None]:
    try:
        yield
    except ShapeError as e:
        raise at.error(e.code, e.message, e.hint) from None
