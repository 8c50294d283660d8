"""Block instances: uses of a block with equal parameters, types and edits share one instance."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.diagnostics.errors import SpecError
from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.declared_outputs import resolve_outputs
from specbuild.elaborate.features import select_outputs
from specbuild.elaborate.library_errors import missing_model_hint, relocate_to_call
from specbuild.elaborate.pending_edits import PendingEdits, start_edits
from specbuild.elaborate.values import (
    bind_call,
    bind_parameters,
    change_parameters,
    concrete_or_block,
    declared_input,
    define_lets,
    let_numbers,
    relocate_shape_errors,
    variant_arguments,
)
from specbuild.elaborate.work_budget import WorkBudget
from specbuild.expressions import InputList, OptionalInput, concrete, count_evaluations, symbolic
from specbuild.frontend.block_inputs import list_optional
from specbuild.frontend.document import BlockDef, RawArgument, Spec, StepDef
from specbuild.frontend.edits import EditDef
from specbuild.frontend.names import check_name, to_snake_case
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Block, BlockArgument, Node, size_names
from specbuild.ops.types import CHANNEL, TensorType

MAX_DEPTH = 64


class MissingBatchError(SpecError):
    """An op inside a block needs a batch, and no input of the block has one."""


class Perturbation(Struct, frozen=True):
    """A changed build of a model, to see what depends on what: other parameter values or sizes, or fewer edits."""

    changed_params: Mapping[str, Any] = field(default_factory=dict)
    edits: Collection[EditDef] | None = None  # the edits to apply; None: all
    sizes: Mapping[tuple[str, str], int] = field(default_factory=dict)  # of inputs, by input and axis

    def override_arguments(self, definition: BlockDef, at: SourceAddress) -> dict[str, RawArgument]:
        """Return the changed values of those parameters that this block has."""
        params = {name: raw for name, raw in self.changed_params.items() if name in definition.params}
        return {name: RawArgument(raw, at.child(name)) for name, raw in params.items()}


class BoundModel(Struct, frozen=True):
    """A model with the values of its parameters, the types of its inputs, and the edits for its steps."""

    definition: BlockDef
    params: dict[str, Any]
    env: dict[str, Any]
    inputs: dict[str, TensorType]
    pending: PendingEdits


class BlockInstances:
    """Builds block instances, and returns the existing one where an equal instance was built before.

    `run` elaborates the steps of a block into its scope; `find_alias` returns the model that an alias names.
    """

    def __init__(
        self,
        run: Callable[[BlockScope, tuple[StepDef, ...]], None],
        find_alias: Callable[[BlockDef], BlockDef | None],
    ):
        self.run, self.find_alias = run, find_alias
        self.by_key: dict[Any, Block] = {}
        self.work = WorkBudget()
        self.open_blocks: list[BlockDef] = []  # the blocks being elaborated, outermost first
        self.definitions: dict[SourceAddress, BlockDef] = {}
        # The edits of every model elaborated so far.
        self.edits_by_model: dict[SourceAddress, tuple[EditDef, ...]] = {}
        self.active_edits: Collection[EditDef] | None = None  # the edits to apply; None: all

    @count_evaluations()
    def build_model(
        self,
        spec: Spec,
        given: dict[str, Any],
        variant: str | None,
        perturbation: Perturbation,
    ) -> Block:
        """Return the model of a file; for an alias, the other model with the alias's name and outputs."""
        self.active_edits = perturbation.edits
        self.work.restart()
        models = [self.bind_model(spec, given, variant, perturbation)]
        labels = []
        while (other := self.find_alias(models[-1].definition)) is not None:
            [step] = models[-1].definition.steps
            labels.append(to_snake_case(step.kind))
            models.append(self.bind_aliased(models[-1], other, perturbation))
        model, top = models[-1], models[0].definition
        sizes = symbolic_sizes(model.inputs, model.params, len(model.definition.inputs))
        # the channels of a model are no variable of its code: they keep what the spec says
        sizes = {
            i: {a: x[a] if a == CHANNEL else n for a, n in sizes[i].items()} for i, x in model.inputs.items()
        }
        self.open_blocks.append(model.definition)  # a parameter may hold the model itself
        try:
            block = self.build_block(
                model.definition, model.env, model.params, model.inputs, sizes, model.pending
            )
        except SpecError as e:
            callers = [] if model.pending.edits else [alias.definition.steps[0].at for alias in models[:-1]]
            errors = (
                relocate_to_call(e, model.definition, model.params, model.inputs, at)
                for at in reversed(callers)
            )
            raise next(filter(None, errors), e) from None
        finally:
            self.open_blocks.pop()
        if model.definition is top:
            return block
        for n, alias in reversed(list(enumerate(models[:-1]))):
            block = replace(block, alias_label=".".join(labels[n:]))
            outputs = alias.definition.outputs
            if outputs is not None:
                block = select_outputs(block, outputs, alias.definition.at.child("outputs"))
        addresses = tuple(alias.definition.at for alias in models[:-1])
        return replace(block, name=top.name, doc=top.doc or block.doc, alias_at=addresses)

    def bind_model(
        self, spec: Spec, given: dict[str, Any], variant: str | None, perturbation: Perturbation
    ) -> BoundModel:
        """Bind the model of a file to its arguments; the sizes of its inputs come from the file."""
        root, definition = spec.source.address_of(), spec.model
        if definition is None:
            raise root.error("SB103", "this file has no model", missing_model_hint(spec))
        at = spec.source.address_of(("params",))
        arguments = {name: RawArgument(raw, at.child(name)) for name, raw in given.items()}
        if self.find_alias(definition) is None:
            arguments |= perturbation.override_arguments(definition, at)
        params = bind_parameters(definition, variant_arguments(definition, arguments, variant, root), at)
        env = param_env(params)
        if not definition.inputs or "inputs" not in spec.source.data:
            raise root.error(
                "SB103",
                "the model has no inputs",
                "for example, write `inputs: {image: {C: 3, H: 224, W: 224}}`",
            )
        inputs = {
            name: declared_input(raw, definition.at.child("inputs", name), env)
            for name, raw in definition.inputs.items()
        }
        for (name, axis), size in perturbation.sizes.items():
            with relocate_shape_errors(definition.at.child("inputs", name)):
                inputs[name] = inputs[name].with_sizes({axis: size})
        pending = self.start_pending(definition, params, PendingEdits())
        return BoundModel(definition, params, env, inputs, pending)

    def bind_aliased(self, alias: BoundModel, other: BlockDef, perturbation: Perturbation) -> BoundModel:
        """Bind the model that an alias names to the arguments that the alias gives."""
        [step] = alias.definition.steps
        arguments = {
            name: RawArgument(raw, step.value_at.child(name), alias.env)
            for name, raw in (step.value or {}).items()
        }
        if self.find_alias(other) is None:
            arguments |= perturbation.override_arguments(other, step.value_at)
        params = bind_call(other, arguments, step.value_at)
        inputs = {
            name: x.with_sizes({axis: concrete(n) for axis, n in x.sizes.items()})
            for name, x in alias.inputs.items()
        }
        pending = self.start_pending(other, params, alias.pending)
        return BoundModel(other, params, param_env(params), inputs, pending)

    def start_pending(
        self, definition: BlockDef, params: Mapping[str, Any], outer: PendingEdits
    ) -> PendingEdits:
        """Return the edits that may match steps of a block: for a model those of its file, then `outer`."""
        if definition.model is None or not definition.model.edits:
            return outer
        self.edits_by_model[definition.at] = definition.model.edits
        active = [e for e in definition.model.edits if self.active_edits is None or e in self.active_edits]
        return start_edits(active, {p: concrete_or_block(v) for p, v in params.items()}, outer)

    def build_instance(
        self,
        definition: BlockDef,
        params: dict[str, Any],
        inputs: dict[str, TensorType],
        at: SourceAddress,
        name: str,
        outer: PendingEdits,
    ) -> Block:
        """Return the instance of a block that the step `name` at `at` needs."""
        self.work.count_lists(params.values(), at)
        pending = self.start_pending(definition, params, outer)
        key = instance_key(definition, params, inputs, pending)
        if key not in self.by_key:
            self.check_nesting(definition, at)
            self.work.count_visit(at)
            self.open_blocks.append(definition)
            self.definitions[definition.at] = definition
            self.work.count_block(len(self.definitions), definition.name, at)
            try:
                block = self.build_symbolic(definition, params, inputs, pending)
                rebuild = partial(self.rebuild_instance, definition, params, inputs, outer, at, name)
                self.by_key[key] = replace(block, rebuild=rebuild)
            except SpecError as e:
                relocated = relocate_to_call(e, definition, params, inputs, at)
                # an edit inside is reported at its own location
                if relocated is not None and not pending.edits:
                    raise relocated from None
                caller = f"{at.location.file}:{at.location.line}:{at.location.column}"
                trail = (*e.trail, f"in {definition.name} at {name} ({caller})")
                raise type(e)(e.code, e.message, e.location, e.hint, trail) from None
            finally:
                self.open_blocks.pop()
        return self.by_key[key]

    @count_evaluations()
    def rebuild_instance(
        self,
        definition: BlockDef,
        params: Mapping[str, Any],
        inputs: Mapping[str, TensorType],
        outer: PendingEdits,
        at: SourceAddress,
        name: str,
        changed_params: Mapping[str, Any],
        changed_sizes: Mapping[str, int],
    ) -> Block:
        """Return the instance with other values of parameters and of the variables of `size_names`.

        A parameter that has its default, an expression over others, follows them.
        """
        self.work.restart()
        variables = size_names(inputs, params, len(definition.inputs))
        new_inputs = {}
        for input_name, x in inputs.items():
            sizes = {axis: concrete(size) for axis, size in x.sizes.items()}
            for variable, size in changed_sizes.items():
                if variables[variable][0] == input_name:
                    sizes[variables[variable][1]] = size
            with relocate_shape_errors(at):
                new_inputs[input_name] = TensorType(sizes, x.dtype, x.batched)
        values = change_parameters(definition, params, changed_params, at)
        return self.build_instance(definition, values, new_inputs, at, name, outer)

    def check_nesting(self, definition: BlockDef, at: SourceAddress) -> None:
        addresses = [block.at for block in self.open_blocks]
        if definition.at in addresses:
            blocks = [block.name for block in self.open_blocks[addresses.index(definition.at) :]]
            cycle = " > ".join([*blocks, definition.name])
            hint = "for a stack of equal blocks, use `repeat`"
            if len(blocks) == len(self.open_blocks) == 1:
                hint = (
                    f"{definition.name} is the model; give it another name if you mean a block of the library"
                )
            elif len(blocks) > 1:
                hint = f"take this step out of {blocks[-1]}, or move what the blocks share into another block"
            raise at.error("SB206", f"a block cannot contain itself: {cycle}", hint)
        if len(self.open_blocks) > MAX_DEPTH:  # the model is the first
            raise at.error("SB503", f"blocks are nested more than {MAX_DEPTH} levels deep")

    def build_symbolic(
        self,
        definition: BlockDef,
        params: dict[str, Any],
        inputs: dict[str, TensorType],
        pending: PendingEdits,
    ) -> Block:
        """Build a block whose parameters and input sizes are symbols with the names that its code uses."""
        sizes = symbolic_sizes(inputs, params, len(definition.inputs))
        symbolic_inputs = {}
        for i, x in inputs.items():  # types keep only the channels symbolic
            type_sizes = {a: n if a == CHANNEL else concrete(n) for a, n in sizes[i].items()}
            symbolic_inputs[i] = TensorType(type_sizes, x.dtype, x.batched)
        return self.build_block(definition, param_env(params), params, symbolic_inputs, sizes, pending)

    def build_block(
        self,
        definition: BlockDef,
        env: dict[str, Any],
        params: dict[str, Any],
        inputs: dict[str, TensorType],
        input_sizes: Mapping[str, Mapping[str, int]],
        pending: PendingEdits,
    ) -> Block:
        """Elaborate the steps of a block; `input_sizes` are the sizes of its inputs in expressions."""
        scope = BlockScope(definition, env, inputs, self.work, pending=pending)
        given: dict[str, Any] = group_sizes(input_sizes)
        for name in list_optional(definition.inputs):
            given[name] = OptionalInput(given.get(name, {}), is_given=name in given)
        for name, sizes in given.items():
            input_at = definition.at.child("inputs", name)
            check_name(name, input_at, "an input")
            if name in env:
                message = f"{name!r} is the name of a parameter and of an input"
                raise input_at.error("SB204", message, key=True)
            env[name] = sizes
        define_lets(scope)
        scope.visible_names.append({name: name for name in inputs})
        scope.last = next(iter(inputs), None)
        if not definition.steps:
            raise definition.at.error("SB103", f"{definition.name} has no steps")
        self.run(scope, definition.steps)
        is_alias = self.find_alias(definition) is not None
        outputs = resolve_outputs(
            scope, is_alias
        )  # before the nodes are read: an output inside a node changes it
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
            declared_outputs=tuple(outputs),
            parallels=scope.parallels,
            declared_inputs=definition.inputs,
            pending_edits=scope.pending_inside,
            fixes_step_sizes=scope.fixes_step_sizes,
            fixed_sizes=scope.fixed_sizes,
            let_numbers=let_numbers(scope),
            step_sizes=scope.step_sizes,
        )


def instance_key(
    definition: BlockDef, params: Mapping[str, Any], inputs: Mapping[str, TensorType], pending: PendingEdits
) -> Any:
    """Return a key that is equal for uses of a block that can share one instance."""
    return (
        definition.at,
        pending.cache_key(),
        tuple(
            (p, v.cache_key if isinstance(v, BlockArgument) else repr(concrete(v))) for p, v in params.items()
        ),
        tuple(
            (n, tuple((a, concrete(s)) for a, s in x.sizes.items()), x.dtype, x.batched)
            for n, x in inputs.items()
        ),
    )


def symbolic_sizes(
    inputs: Mapping[str, TensorType], params: Mapping[str, Any], declared: int
) -> dict[str, dict[str, int]]:
    """Return the sizes of a block's inputs as symbols with the names that its code uses.

    `declared` is the number of inputs that the block declares.
    """
    sizes = {i: {a: concrete(n) for a, n in x.sizes.items()} for i, x in inputs.items()}
    for variable, (i, axis) in size_names(inputs, params, declared).items():
        sizes[i][axis] = symbolic(sizes[i][axis], variable)
    return sizes


def group_sizes(sizes: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """Return the sizes of a block's inputs as its expressions see them; an input that takes a list has a list."""
    grouped: dict[str, Any] = {}
    for name, of_value in sizes.items():
        head, _, number = name.partition(".")
        if number:
            grouped.setdefault(head, InputList()).append(of_value)
        else:
            grouped[head] = of_value
    return grouped


def param_env(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters as the expressions of their own block see them: each number has its name as its expression."""
    return {p: v if isinstance(v, BlockArgument) else symbolic(concrete(v), p) for p, v in params.items()}


def check_attribute_names(scope: BlockScope) -> None:
    """Raise SB204 if two steps would become one attribute, such as `left_2` and `left.2`."""
    by_attribute: dict[str, Node] = {}
    for node in scope.nodes.values():
        attribute = node.name.replace(".", "_")
        other = by_attribute.setdefault(attribute, node)
        if other is not node:
            simple, nested = sorted((other, node), key=lambda n: n.name.count("."))
            raise simple.at.error(
                "SB204",
                f"the steps {simple.name!r} and {nested.name!r} would both become the attribute {attribute}",
                "give one of them another name with `as`",
            )
