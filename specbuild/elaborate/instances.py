"""Block instances: the same definition, values and types give the same object."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from specbuild.diagnostics.errors import SpecError
from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.features import select_outputs
from specbuild.elaborate.pending_edits import PendingEdits, start_edits
from specbuild.elaborate.references import require_single, resolve_reference
from specbuild.elaborate.values import (
    bind_call,
    bind_parameters,
    concrete_or_block,
    declared_type,
    variant_arguments,
)
from specbuild.expressions import concrete, symbolic
from specbuild.frontend.document import Argument, BlockDef, Spec, StepDef
from specbuild.frontend.edits import EditDef
from specbuild.frontend.names import check_name, to_snake_case
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Block, BlockArgument, Node, Output, size_names
from specbuild.ops.types import CHANNEL, TensorType

MAX_DEPTH = 64


@dataclass(frozen=True)
class Perturbation:
    """A model made a little otherwise, to see whether its code would still be true.

    `changed` gives parameters of the model other values; of the edits only some may be done.
    """

    changed_params: Mapping[str, Any] = field(default_factory=dict)
    edits: Collection[EditDef] | None = None  # those that are done; all if not said

    def override_arguments(self, definition: BlockDef, at: SourceAddress) -> dict[str, Argument]:
        found = {name: raw for name, raw in self.changed_params.items() if name in definition.params}
        return {name: Argument(raw, at.child(name)) for name, raw in found.items()}


class BlockInstances:
    """Every instance made so far. `run` elaborates the steps of a block into its scope; `renamed` is what a model is
    under another name."""

    def __init__(
        self,
        run: Callable[[BlockScope, tuple[StepDef, ...]], None],
        find_alias: Callable[[BlockDef], BlockDef | None],
    ):
        self.run, self.find_alias = run, find_alias
        self.by_key: dict[Any, Block] = {}
        self.open_kinds: list[str] = []  # kinds being elaborated, outermost first
        self.definitions: dict[SourceAddress, BlockDef] = {}  # by where they stand
        self.edits_by_model: dict[
            SourceAddress, tuple[EditDef, ...]
        ] = {}  # every edit that was come across, by its file
        self.active_edits: Collection[EditDef] | None = None  # the edits that are done; None: all

    def build_model(
        self,
        spec: Spec,
        given: dict[str, Any],
        variant: str | None,
        perturbation: Perturbation,
    ) -> Block:
        """The model of a file. If it is another one under another name, then with that one's parameters and names."""
        self.active_edits = perturbation.edits
        definition = spec.model
        if definition is None:
            raise spec.source.address_of().error(
                "SB103", "this file has no model", "give it `model:`, `inputs:` and `steps:`"
            )
        at = spec.source.address_of(("params",))
        arguments = {name: Argument(raw, at.child(name)) for name, raw in given.items()}
        if self.find_alias(definition) is None:
            arguments |= perturbation.override_arguments(definition, at)
        params = bind_parameters(
            definition, variant_arguments(definition, arguments, variant, spec.source.address_of()), at
        )
        env = param_env(params)
        if not definition.inputs or "inputs" not in spec.source.data:
            raise spec.source.address_of().error(
                "SB103", "the model has no inputs", "write `inputs: {image: {C: 3, H: 224, W: 224}}`, say"
            )
        inputs = {
            name: declared_type(raw, definition.at.child("inputs", name), env)
            for name, raw in definition.inputs.items()
        }
        top, known_as, around = definition, [], [definition]
        pending = self.start_pending(definition, params, PendingEdits())
        while (other := self.find_alias(definition)) is not None:
            [step] = definition.steps
            known_as.append(to_snake_case(step.kind))
            arguments = {
                name: Argument(raw, step.value_at.child(name), env)
                for name, raw in (step.value or {}).items()
            }
            around.append(other)
            if self.find_alias(other) is None:
                arguments |= perturbation.override_arguments(other, step.value_at)
            params, definition = bind_call(other, arguments, step.value_at), other
            env = param_env(params)
            pending = self.start_pending(definition, params, pending)
            inputs = {
                name: x.with_sizes({axis: concrete(n) for axis, n in x.sizes.items()})
                for name, x in inputs.items()
            }
        block = self.build_block(
            definition, env, params, inputs, {name: x.sizes for name, x in inputs.items()}, pending
        )
        if definition is top:
            return block
        for n, outer in reversed(list(enumerate(around[:-1]))):
            block = replace(block, alias_label=".".join(known_as[n:]))
            if outer.outputs is not None:
                block = select_outputs(block, outer.outputs, outer.at.child("outputs"))
        return replace(block, kind=top.name, doc=top.doc or block.doc)

    def start_pending(
        self, definition: BlockDef, params: Mapping[str, Any], around: PendingEdits
    ) -> PendingEdits:
        """The edits that may meet the steps of a block: those of its file if it is a model, then those around it."""
        if definition.model is None or not definition.model.edits:
            return around
        self.edits_by_model[definition.at] = definition.model.edits
        done = [e for e in definition.model.edits if self.active_edits is None or e in self.active_edits]
        return start_edits(done, {p: concrete_or_block(v) for p, v in params.items()}, around)

    def build_instance(
        self,
        definition: BlockDef,
        params: dict[str, Any],
        inputs: dict[str, TensorType],
        at: SourceAddress,
        name: str,
        around: PendingEdits,
    ) -> Block:
        """A block instance; the same definition, values, types and edits give the same object."""
        pending = self.start_pending(definition, params, around)
        key = (
            id(definition),
            pending.cache_key(),
            tuple(
                (p, v.cache_key() if isinstance(v, BlockArgument) else repr(concrete(v)))
                for p, v in params.items()
            ),
            tuple(
                (n, tuple((a, concrete(s)) for a, s in x.sizes.items()), x.dtype, x.batched)
                for n, x in inputs.items()
            ),
        )
        if key in self.by_key:
            return self.by_key[key]
        trail = f"in {definition.name} at {name} ({at.location.file}:{at.location.line}:{at.location.column})"
        if definition.name in self.open_kinds and any(o == definition.name for o in self.open_kinds):
            cycle = " > ".join([*self.open_kinds[self.open_kinds.index(definition.name) :], definition.name])
            raise at.error("SB206", f"a block cannot contain itself: {cycle}")
        if len(self.open_kinds) >= MAX_DEPTH:
            raise at.error("SB503", f"blocks are nested more than {MAX_DEPTH} deep")
        self.open_kinds.append(definition.name)
        self.definitions[definition.at] = definition
        try:
            env: dict[str, Any] = {
                p: v if isinstance(v, BlockArgument) else symbolic(concrete(v), p) for p, v in params.items()
            }
            input_sizes = {i: {a: concrete(n) for a, n in x.sizes.items()} for i, x in inputs.items()}
            for word, (i, axis) in size_names(inputs, params).items():
                input_sizes[i][axis] = symbolic(input_sizes[i][axis], word)
            symbolic_inputs = {}
            for i, x in inputs.items():
                sizes = {a: n if a == CHANNEL else concrete(n) for a, n in input_sizes[i].items()}
                symbolic_inputs[i] = TensorType(sizes, x.dtype, x.batched)
            self.by_key[key] = self.build_block(
                definition, env, params, symbolic_inputs, input_sizes, pending
            )
        except SpecError as e:
            raise SpecError(e.code, e.message, e.location, e.hint, (*e.trail, trail)) from None
        finally:
            self.open_kinds.pop()
        return self.by_key[key]

    def build_block(
        self,
        definition: BlockDef,
        env: dict[str, Any],
        params: dict[str, Any],
        inputs: dict[str, TensorType],
        input_sizes: Mapping[str, Mapping[str, int]],
        pending: PendingEdits,
    ) -> Block:
        """The instance itself; `read` has the sizes of its inputs as its expressions read them."""
        scope = BlockScope(definition, env, inputs, pending=pending)
        for name in inputs:
            check_name(name, definition.at.child("inputs", name), "an input")
            if name in env:
                raise definition.at.child("inputs", name).error(
                    "SB204", f"{name!r} is a parameter and an input", key=True
                )
            env[name] = input_sizes[name]
        scope.visible_names.append({name: name for name in inputs})
        scope.last = next(iter(inputs), None)
        if not definition.steps:
            raise definition.at.error("SB103", f"{definition.name} has no steps")
        self.run(scope, definition.steps)
        outputs = self.resolve_outputs(scope)  # a tap among them opens a node
        check_attribute_names(scope)
        return Block(
            definition.name,
            definition.doc,
            {p: v if isinstance(v, BlockArgument) else concrete(v) for p, v in params.items()},
            {p: d.default for p, d in definition.params.items() if not d.required},
            inputs,
            tuple(scope.nodes.values()),
            scope.groups,
            outputs,
            definition.at,
            scope.step_count,
            {p: d.doc for p, d in definition.params.items() if d.doc},
            applied_edits=tuple(scope.applied_edits),
            frozen_paths=tuple(scope.frozen_paths),
        )

    def resolve_outputs(self, scope: BlockScope) -> dict[str, Output]:
        raw, at = scope.definition.outputs, scope.definition.at.child("outputs")
        if raw is None:
            assert scope.last is not None
            ref = require_single(scope, scope.last, scope.definition.at)
            return {"": Output(ref, scope.value_type(ref))}
        if isinstance(raw, str):
            ref = resolve_reference(scope, self.qualify_output(scope, raw), at)
            return {"": Output(ref, scope.value_type(ref))}
        pairs = raw.items() if isinstance(raw, Mapping) else [(r.replace(".", "_"), r) for r in raw]
        found = {}
        for i, (name, target) in enumerate(pairs):
            place = at.child(name) if isinstance(raw, Mapping) else at.child(i)
            check_name(name, place, "an output")
            ref = resolve_reference(scope, self.qualify_output(scope, target), place)
            found[name] = Output(ref, scope.value_type(ref))
        return found

    def qualify_output(self, scope: BlockScope, target: Any) -> Any:
        """An output's name; in a model that is another one renamed, a path in that one will do."""
        if not isinstance(target, str) or target == "prev" or self.find_alias(scope.definition) is None:
            return target
        [step] = scope.nodes
        return target if target.partition(".")[0] in (step, *scope.inputs) else f"{step}.{target}"


def param_env(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as the expressions of their own block read them: numbers go by their names."""
    return {p: v if isinstance(v, BlockArgument) else symbolic(concrete(v), p) for p, v in params.items()}


def check_attribute_names(scope: BlockScope) -> None:
    """Raise SB204 for two steps that would be one attribute: `left.2`, the third step of a branch, and `left_2`."""
    found: dict[str, Node] = {}
    for node in scope.nodes.values():
        name = node.name.replace(".", "_")
        other = found.setdefault(name, node)
        if other is not node:
            simple, nested = sorted((other, node), key=lambda n: n.name.count("."))
            raise simple.at.error(
                "SB204",
                f"{simple.name!r} is held under the same name as {nested.name!r}: {name}",
                "give it another name with `as`",
            )
