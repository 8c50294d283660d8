"""Build the node of a step that is an op, a block, a `reuse` or a `use`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from specbuild.diagnostics.suggestions import join_names, suggest_name
from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.instances import BlockInstances
from specbuild.elaborate.pending_edits import PendingEdits
from specbuild.elaborate.references import resolve_reference
from specbuild.elaborate.step_inputs import block_argument
from specbuild.elaborate.values import bind_call, condition_expression, is_condition_true, read_attribute
from specbuild.expressions import Expression, bind_name, concrete
from specbuild.frontend.document import Argument, BlockDef, StepDef
from specbuild.frontend.names import check_name
from specbuild.frontend.resolver import SpecFiles
from specbuild.ir.graph import Block, BlockArgument, Node, Ref, Skip, outer_type, size_arguments
from specbuild.ops import OPS
from specbuild.ops.attribute_kinds import MATRIX_INITS, AttributeValueError, Init
from specbuild.ops.base import Op, list_attributes
from specbuild.ops.types import ShapeError, TensorType
from specbuild.ops.weight_spec import WeightSpec

MAX_STEPS = 50_000


class NodeBuilder:
    """Builds the nodes of steps in their scopes."""

    def __init__(self, files: SpecFiles, instances: BlockInstances):
        self.files, self.instances = files, instances

    def add_node(self, scope: BlockScope, step: StepDef, path: str, sources: list[Ref | None]) -> Ref:
        """Add the node of a step to its scope, and return a reference to its value."""
        when = condition_expression(scope, step) if step.when is not None else None
        if step.when is not None and not is_condition_true(scope, step):
            node = skip_node(scope, step, path, sources[0] if sources else None)
        elif step.kind == "reuse":
            node = self.reuse_step(scope, step, path, sources)
        elif step.kind == "use":
            node = self.use_argument(scope, step, path, sources)
        elif step.kind in OPS:
            node = self.build_op(scope, step, path, sources)
        else:
            node = self.build_block(scope, step, path, sources)
        node = replace(node, when=when)
        if "i" in scope.env:
            index = concrete(scope.env["i"])
            parts = {n: detach_index(x, index) for n, x in node.parts.items()}
            node = replace(node, type=detach_index(node.type, index), parts=parts)
        scope.nodes[path] = node
        scope.step_count += 1 + (node.op.step_count if isinstance(node.op, Block) else 0)
        if scope.step_count > MAX_STEPS:
            raise step.at.error(
                "SB502", f"the model has more than {MAX_STEPS:,} steps", "use smaller repeats"
            )
        return path

    def build_op(
        self,
        scope: BlockScope,
        step: StepDef,
        path: str,
        sources: list[Ref | None],
        arguments: Mapping[str, Argument] | None = None,
    ) -> Node:
        """Build the node of an op; `arguments` come before the values that the step itself has."""
        arguments = {**(arguments or {}), **self.edit_settings(scope, step, sources)}
        values = self.read_attributes(scope, step, arguments)
        op = OPS[step.kind](**values)
        types = [None if s is None else scope.value_type(s) for s in sources]
        type_, parts = self.infer_types(step, op, types)
        for name, value in values.items():
            if isinstance(value, Init):
                self.check_initializer(step, name, value, op.weight_specs(*types).values())
        return Node(
            path, op, tuple(sources), type_, step.at, step.name is not None, doc=step.doc, parts=parts
        )

    def read_attributes(
        self, scope: BlockScope, step: StepDef, arguments: Mapping[str, Argument]
    ) -> dict[str, Any]:
        """Return the attributes of an op. Raises SB101 for an unknown and SB103 for a missing attribute."""
        cls = OPS[step.kind]
        raw = {} if step.value is None or isinstance(step.value, list) else step.value
        raw = {**raw, **{name: argument.raw for name, argument in arguments.items()}}
        attributes, inputs = list_attributes(cls), [spec.name for spec in cls.input_specs]
        for key in raw:
            if key not in attributes and key not in inputs:
                known = [*(name for name in inputs if name != "x"), *attributes]
                hint = suggest_name(key, known, "its attributes are")
                at = arguments[key].at if key in arguments else step.value_at.child(key)
                raise at.error("SB101", f"{cls.name} has no attribute {key!r}", hint, key=True)
        values = {}
        for name, attribute in attributes.items():
            if name in raw:
                argument = arguments.get(name) or Argument(raw[name], step.value_at.child(name), scope.env)
                values[name] = read_attribute(attribute.kind, argument.raw, argument.at, argument.env or {})
            elif attribute.is_required:
                message = f"{cls.name} needs {name!r}: {attribute.doc}"
                raise step.error("SB103", message, f"write `{cls.name}: {{{name}: ...}}`")
        return values

    def infer_types(
        self, step: StepDef, op: Op, types: list[TensorType | None]
    ) -> tuple[TensorType, dict[str, TensorType]]:
        """Return the type of an op's result, and of its parts if the op has several results."""
        try:
            type_, parts = op.infer_type(*types), op.part_types(*types)
        except AttributeValueError as e:
            raise (step.value_at.child(*e.path).error if e.path else step.error)(
                e.code, e.message, e.hint
            ) from None
        except ShapeError as e:
            raise step.error(e.code, e.message, e.hint) from None
        for part in parts:
            check_name(part, step.value_at, "a part")
        return type_, parts

    def check_initializer(self, step: StepDef, name: str, init: Init, weights: Iterable[WeightSpec]) -> None:
        """Raise SB305 if the attribute `name` gives an initializer for matrices to a vector."""
        weight = next((w for w in weights if w.init is init), None)
        if init.kind in MATRIX_INITS and weight is not None and len(weight.axes) < 2:
            raise step.value_at.child(name).error(
                "SB305",
                f"{init.kind} initializes weights with two or more axes; this weight has {len(weight.axes)}",
                "use zeros, ones, constant, normal or uniform",
            )

    def build_block(self, scope: BlockScope, step: StepDef, path: str, sources: list[Ref | None]) -> Node:
        definition = self.files.find_block(
            scope.definition.source, step.kind, step.value_at if step.value_at.path else step.at
        )
        arguments = {
            name: Argument(raw, step.value_at.child(name), scope.env)
            for name, raw in (step.value or {}).items()
        } | self.edit_settings(scope, step, sources)
        return self.call_block(scope, definition, step, arguments, path, sources)

    def call_block(
        self,
        scope: BlockScope,
        definition: BlockDef,
        step: StepDef,
        arguments: dict[str, Argument],
        path: str,
        sources: list[Ref | None],
    ) -> Node:
        """Build the node of a step that uses a block with these arguments."""
        params = bind_call(definition, arguments, step.value_at)
        inputs = {}
        for name, source in zip(definition.inputs, sources, strict=True):
            assert source is not None
            inputs[name] = x = scope.value_type(source)
            self.check_input_axes(definition, name, x, step)
        outer_edits = scope.pending_inside.get(path, PendingEdits())
        block = self.instances.build_instance(definition, params, inputs, step.at, path, outer_edits)
        scope.applied_edits += [(edit, f"{path}.{inner}") for edit, inner in block.applied_edits]
        args = params | size_arguments(inputs, params)
        type_ = outer_type(block.type, args)
        return Node(path, block, tuple(sources), type_, step.at, step.name is not None, args, doc=step.doc)

    def check_input_axes(self, definition: BlockDef, name: str, x: TensorType, step: StepDef) -> None:
        """Raise SB404 if a value does not have the axes that a block declares for its input `name`."""
        declared = definition.inputs[name]
        if declared is None:
            return
        axes = list(declared.get("axes", declared) if isinstance(declared, Mapping) else declared)
        allows_more = "..." in axes
        axes = [a for a in axes if a != "..."]
        missing, extra = [a for a in axes if a not in x], [a for a in x.axes if a not in axes]
        if missing or (extra and not allows_more):
            message = f"{definition.name} takes {name} with axes {join_names(axes)}, but gets {x}"
            hint = (
                "" if missing else f"to allow more axes, add `...` to the axes of {name} in {definition.name}"
            )
            raise step.error("SB404", message, hint)

    def reuse_step(self, scope: BlockScope, step: StepDef, path: str, sources: list[Ref | None]) -> Node:
        ref = resolve_reference(scope, step.value, step.value_at)
        origin = scope.nodes.get(ref.partition("@")[0])
        if origin is None or isinstance(origin.op, Skip):
            raise step.value_at.error("SB202", f"{step.value!r} is not a step that can be reused")
        origin = scope.nodes[origin.reuses] if origin.reuses else origin
        types = [None if s is None else scope.value_type(s) for s in sources]
        if isinstance(origin.op, Block):
            inputs = dict(zip(origin.op.inputs, [t for t in types if t is not None], strict=True))
            definition = self.instances.definitions[origin.op.at]
            params = {p: origin.args[p] for p in definition.params}
            outer_edits = scope.pending_inside.get(origin.name, PendingEdits())
            block = self.instances.build_instance(definition, params, inputs, step.at, path, outer_edits)
            args = params | size_arguments(inputs, params)
            return Node(
                path,
                block,
                tuple(sources),
                outer_type(block.type, args),
                step.at,
                step.name is not None,
                args,
                origin.name,
                doc=step.doc,
            )
        assert isinstance(origin.op, Op)
        type_, parts = self.infer_types(step, origin.op, types)
        origin_types = [None if s is None else scope.value_type(s) for s in origin.inputs]
        if origin.op.weight_specs(*types) != origin.op.weight_specs(*origin_types):
            message = f"{step.value} cannot be reused here: its weights would have other shapes"
            hint = "give it an input of the same shape, or add a new step"
            raise step.error("SB401", message, hint)
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

    def edit_settings(
        self, scope: BlockScope, step: StepDef, sources: list[Ref | None]
    ) -> dict[str, Argument]:
        """Return the attributes that edits set; their expressions may use the step's input as `x`."""
        x = {} if not sources or sources[0] is None else {"x": scope.value_type(sources[0]).sizes}
        return {name: replace(a, env={**x, **(a.env or {})}) for name, a in step.settings.items()}

    def use_argument(self, scope: BlockScope, step: StepDef, path: str, sources: list[Ref | None]) -> Node:
        """Build the node of a `use`: the block or op that a parameter gives."""
        choice = block_argument(scope, step)
        if choice.kind == "none":
            return skip_node(scope, step, path, sources[0])
        env = dict(choice.env)
        if isinstance(step.value, BlockArgument) and sources and sources[0] is not None:
            env.setdefault("x", scope.value_type(sources[0]).sizes)  # edits may use the step's input as `x`
        arguments = {
            name: Argument(raw, choice.at.child(name), env) for name, raw in choice.arguments.items()
        }
        with_at = step.at.child("with")
        arguments |= {
            name: Argument(raw, with_at.child(name), scope.env)
            for name, raw in (step.arguments or {}).items()
        }
        resolved = replace(
            step, kind=choice.kind, value={name: a.raw for name, a in arguments.items()}, value_at=choice.at
        )
        arguments |= self.edit_settings(scope, step, sources)
        if choice.kind in OPS:
            return self.build_op(scope, replace(resolved, settings={}), path, sources, arguments)
        definition = self.files.find_block(choice.at.source, choice.kind, choice.at)
        return self.call_block(scope, definition, resolved, arguments, path, sources)


def detach_index(x: TensorType, i: int) -> TensorType:
    """Replace the index `i` of a repeat by its value in the sizes of a type: later steps see another `i`."""
    return TensorType({axis: bind_name(n, "i", i) for axis, n in x.sizes.items()}, x.dtype, x.batched)


def skip_node(
    scope: BlockScope, step: StepDef, path: str, source: Ref | None, when: Expression | None = None
) -> Node:
    """Return a node that passes its input through. Raises SB401 if the step has no input."""
    if source is None:
        raise step.at.child("when").error("SB401", "nothing can pass through here: this step has no input")
    return Node(
        path,
        Skip(),
        (source,),
        scope.value_type(source),
        step.at,
        step.name is not None,
        when=when,
        doc=step.doc,
    )
