"""Block instances: the same definition, values and types give the same object."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from specbuild.diagnostics.errors import SpecError
from specbuild.elaborate.block_scope import Frame
from specbuild.elaborate.features import chosen
from specbuild.elaborate.pending_edits import Pending, started
from specbuild.elaborate.references import reference, single
from specbuild.elaborate.values import called, declared, parameters, plain_or_block, with_variant
from specbuild.expressions import named, plain
from specbuild.frontend.document import Argument, BlockDef, Spec, StepDef
from specbuild.frontend.edits import EditDef
from specbuild.frontend.names import check_name, snake
from specbuild.frontend.source import At
from specbuild.ir.graph import Block, Chosen, Node, Output, size_words
from specbuild.ops.types import CHANNEL, Tensor

MAX_DEPTH = 64


@dataclass(frozen=True)
class Trial:
    """A model made a little otherwise, to see whether its code would still be true.

    `changed` gives parameters of the model other values; of the edits only some may be done.
    """

    changed: Mapping[str, Any] = field(default_factory=dict)
    edits: Collection[EditDef] | None = None  # those that are done; all if not said

    def arguments(self, definition: BlockDef, at: At) -> dict[str, Argument]:
        found = {name: raw for name, raw in self.changed.items() if name in definition.params}
        return {name: Argument(raw, at.child(name)) for name, raw in found.items()}


class Instances:
    """Every instance made so far. `run` elaborates the steps of a block into its frame; `renamed` is what a model is
    under another name."""

    def __init__(
        self,
        run: Callable[[Frame, tuple[StepDef, ...]], None],
        renamed: Callable[[BlockDef], BlockDef | None],
    ):
        self.run, self.renamed = run, renamed
        self.made: dict[Any, Block] = {}
        self.open: list[str] = []  # kinds being elaborated, outermost first
        self.defined: dict[At, BlockDef] = {}  # by where they stand
        self.edits: dict[At, tuple[EditDef, ...]] = {}  # every edit that was come across, by its file
        self.done: Collection[EditDef] | None = None  # the edits that are done; None: all

    def model(
        self,
        spec: Spec,
        given: dict[str, Any],
        variant: str | None,
        trial: Trial,
    ) -> Block:
        """The model of a file. If it is another one under another name, then with that one's parameters and names."""
        self.done = trial.edits
        definition = spec.model
        if definition is None:
            raise spec.source.at().error(
                "SB103", "this file has no model", "give it `model:`, `inputs:` and `steps:`"
            )
        at = spec.source.at(("params",))
        arguments = {name: Argument(raw, at.child(name)) for name, raw in given.items()}
        if self.renamed(definition) is None:
            arguments |= trial.arguments(definition, at)
        params = parameters(definition, with_variant(definition, arguments, variant, spec.source.at()), at)
        env = scope(params)
        if not definition.inputs or "inputs" not in spec.source.data:
            raise spec.source.at().error(
                "SB103", "the model has no inputs", "write `inputs: {image: {C: 3, H: 224, W: 224}}`, say"
            )
        inputs = {
            name: declared(raw, definition.at.child("inputs", name), env)
            for name, raw in definition.inputs.items()
        }
        top, known_as, around = definition, [], [definition]
        pending = self.started(definition, params, Pending())
        while (other := self.renamed(definition)) is not None:
            [step] = definition.steps
            known_as.append(snake(step.kind))
            arguments = {
                name: Argument(raw, step.value_at.child(name), env)
                for name, raw in (step.value or {}).items()
            }
            around.append(other)
            if self.renamed(other) is None:
                arguments |= trial.arguments(other, step.value_at)
            params, definition = called(other, arguments, step.value_at), other
            env = scope(params)
            pending = self.started(definition, params, pending)
            inputs = {
                name: x.resized({axis: plain(n) for axis, n in x.sizes.items()}) for name, x in inputs.items()
            }
        block = self.body(
            definition, env, params, inputs, {name: x.sizes for name, x in inputs.items()}, pending
        )
        if definition is top:
            return block
        for n, outer in reversed(list(enumerate(around[:-1]))):
            block = replace(block, known_as=".".join(known_as[n:]))
            if outer.outputs is not None:
                block = chosen(block, outer.outputs, outer.at.child("outputs"))
        return replace(block, kind=top.name, doc=top.doc or block.doc)

    def started(self, definition: BlockDef, params: Mapping[str, Any], around: Pending) -> Pending:
        """The edits that may meet the steps of a block: those of its file if it is a model, then those around it."""
        if definition.model is None or not definition.model.edits:
            return around
        self.edits[definition.at] = definition.model.edits
        done = [e for e in definition.model.edits if self.done is None or e in self.done]
        return started(done, {p: plain_or_block(v) for p, v in params.items()}, around)

    def instance(
        self,
        definition: BlockDef,
        params: dict[str, Any],
        inputs: dict[str, Tensor],
        at: At,
        name: str,
        around: Pending,
    ) -> Block:
        """A block instance; the same definition, values, types and edits give the same object."""
        pending = self.started(definition, params, around)
        key = (
            id(definition),
            pending.key(),
            tuple((p, v.key() if isinstance(v, Chosen) else repr(plain(v))) for p, v in params.items()),
            tuple(
                (n, tuple((a, plain(s)) for a, s in x.sizes.items()), x.dtype, x.batched)
                for n, x in inputs.items()
            ),
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
            env: dict[str, Any] = {
                p: v if isinstance(v, Chosen) else named(plain(v), p) for p, v in params.items()
            }
            read = {i: {a: plain(n) for a, n in x.sizes.items()} for i, x in inputs.items()}
            for word, (i, axis) in size_words(inputs, params).items():
                read[i][axis] = named(read[i][axis], word)
            told = {}
            for i, x in inputs.items():
                sizes = {a: n if a == CHANNEL else plain(n) for a, n in read[i].items()}
                told[i] = Tensor(sizes, x.dtype, x.batched)
            self.made[key] = self.body(definition, env, params, told, read, pending)
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
        pending: Pending,
    ) -> Block:
        """The instance itself; `read` has the sizes of its inputs as its expressions read them."""
        frame = Frame(definition, env, inputs, pending=pending)
        for name in inputs:
            check_name(name, definition.at.child("inputs", name), "an input")
            if name in env:
                raise definition.at.child("inputs", name).error(
                    "SB204", f"{name!r} is a parameter and an input", key=True
                )
            env[name] = read[name]
        frame.scopes.append({name: name for name in inputs})
        frame.last = next(iter(inputs), None)
        if not definition.steps:
            raise definition.at.error("SB103", f"{definition.name} has no steps")
        self.run(frame, definition.steps)
        outputs = self.outputs(frame)  # a tap among them opens a node
        check_attributes(frame)
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
            touched=tuple(frame.touched),
            frozen=tuple(frame.frozen),
        )

    def outputs(self, frame: Frame) -> dict[str, Output]:
        raw, at = frame.definition.outputs, frame.definition.at.child("outputs")
        if raw is None:
            assert frame.last is not None
            ref = single(frame, frame.last, frame.definition.at)
            return {"": Output(ref, frame.typed(ref))}
        if isinstance(raw, str):
            ref = reference(frame, self.within(frame, raw), at)
            return {"": Output(ref, frame.typed(ref))}
        pairs = raw.items() if isinstance(raw, Mapping) else [(r.replace(".", "_"), r) for r in raw]
        found = {}
        for i, (name, target) in enumerate(pairs):
            place = at.child(name) if isinstance(raw, Mapping) else at.child(i)
            check_name(name, place, "an output")
            ref = reference(frame, self.within(frame, target), place)
            found[name] = Output(ref, frame.typed(ref))
        return found

    def within(self, frame: Frame, target: Any) -> Any:
        """An output's name; in a model that is another one renamed, a path in that one will do."""
        if not isinstance(target, str) or target == "prev" or self.renamed(frame.definition) is None:
            return target
        [step] = frame.nodes
        return target if target.partition(".")[0] in (step, *frame.inputs) else f"{step}.{target}"


def scope(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as the expressions of their own block read them: numbers go by their names."""
    return {p: v if isinstance(v, Chosen) else named(plain(v), p) for p, v in params.items()}


def check_attributes(frame: Frame) -> None:
    """Raise SB204 for two steps that would be one attribute: `left.2`, the third step of a branch, and `left_2`."""
    found: dict[str, Node] = {}
    for node in frame.nodes.values():
        name = node.name.replace(".", "_")
        other = found.setdefault(name, node)
        if other is not node:
            simple, nested = sorted((other, node), key=lambda n: n.name.count("."))
            raise simple.at.error(
                "SB204",
                f"{simple.name!r} is held under the same name as {nested.name!r}: {name}",
                "give it another name with `as`",
            )
