"""Build the node of a step that is an op, a block, a `reuse` or a `use`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from specbuild.diagnostics.suggestions import suggest_name
from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.expression_env import ExpressionEnv
from specbuild.elaborate.input_types import check_input_type
from specbuild.elaborate.instances import BlockInstances, MissingBatchError
from specbuild.elaborate.large_numbers import TOO_LARGE, find_large_number
from specbuild.elaborate.pending_edits import PendingEdits
from specbuild.elaborate.references import ABSENT, expose_value, require_single
from specbuild.elaborate.reused_steps import ReusedSteps, find_reused, find_steps
from specbuild.elaborate.scan import check_state, read_scan, resize_scan, slice_inputs
from specbuild.elaborate.step_inputs import block_argument, require_passing_input
from specbuild.elaborate.unequal_sizes import describe_unequal_sizes
from specbuild.elaborate.values import bind_call, condition_expression, is_condition_true, read_attribute
from specbuild.expressions import Expression, ExpressionError, bind_name, concrete
from specbuild.frontend.block_inputs import flatten_names
from specbuild.frontend.document import BlockDef, RawArgument, StepDef, scan_error
from specbuild.frontend.names import check_name
from specbuild.frontend.resolver import SpecFiles
from specbuild.ir.graph import (
    Block,
    BlockArgument,
    Node,
    Ref,
    Skip,
    node_output_type,
    outer_type,
    size_arguments,
    walk_ops,
)
from specbuild.ops import OPS
from specbuild.ops.attribute_kinds import AttributeValueError
from specbuild.ops.base import Op, list_attributes
from specbuild.ops.given_tensor import TensorFileName
from specbuild.ops.initializers import MATRIX_INITS, Init, InitKind
from specbuild.ops.types import BatchNeeded, ShapeError, TensorType, UnequalSizes
from specbuild.ops.weight_spec import WeightSpec

MAX_STEPS = 10_000


class NodeBuilder:
    """Builds the nodes of steps in their scopes."""

    def __init__(self, files: SpecFiles, instances: BlockInstances):
        self.files, self.instances = files, instances

    def add_node(self, scope: BlockScope, step: StepDef, path: str, sources: list[Ref | None]) -> Ref:
        """Add the node of a step to its scope, and return a reference to its value."""
        is_skipped = step.when is not None and not is_condition_true(scope, step)
        when = condition_expression(scope, step) if step.when is not None else None
        if is_skipped:
            if sources and all(source == ABSENT for source in sources):
                scope.absent_steps.add(path)
            node = skip_node(scope, step, path, require_passing_input(scope, step, sources))
        elif step.kind == "reuse":
            node = self.reuse_step(scope, step, path, sources)
        elif step.kind == "use":
            node = self.use_argument(scope, step, path, sources)
        elif step.kind in OPS:
            node = self.build_op(scope, step, path, sources)
        else:
            node = self.build_block(scope, step, path, sources)
        if node.when is not when or node.row != step.row:  # most steps have neither
            node = replace(node, when=when, row=step.row)
        self.register_node(scope, node)
        return path

    def register_node(self, scope: BlockScope, node: Node) -> None:
        """Add a node to its scope. Raises SB502 if there are too many."""
        if "i" in scope.env:
            index = concrete(scope.env["i"])
            parts = {n: detach_index(x, index) for n, x in node.parts.items()}
            scan = node.scan and replace(node.scan, size=bind_name(node.scan.size, "i", index))
            type_ = detach_index(node.type, index)
            node = replace(node, type=type_, parts=parts, scan=scan, index=index)
        scope.nodes[node.name] = node
        scope.has_reuses |= node.reuses is not None
        scope.work.count_axes(len(node.type.sizes) * max(1, len(node.parts)), node.at)
        scope.step_count += 1 + (node.op.step_count if isinstance(node.op, Block) else 0)
        if scope.step_count > MAX_STEPS:
            raise node.at.error(
                "SB502", f"the model has more than {MAX_STEPS:,} steps", "use smaller repeats"
            )

    def build_op(
        self,
        scope: BlockScope,
        step: StepDef,
        path: str,
        sources: list[Ref | None],
        arguments: Mapping[str, RawArgument] | None = None,
    ) -> Node:
        """Build the node of an op; `arguments` come before the values that the step itself has."""
        arguments = {**(arguments or {}), **self.edit_settings(scope, step, sources)}
        values = self.read_attributes(scope, step, arguments)
        op = OPS[step.kind](**values)
        types = [None if s is None else scope.value_type(s) for s in sources]
        type_, parts = self.infer_types(scope, step, op, types, sources)
        self.instances.work.count_numbers(*op.number_counts, step.at)
        for name, attribute in list_attributes(type(op)).items():
            if isinstance(attribute.kind, InitKind) and isinstance(init := values.get(name), Init):
                self.check_initializer(step, name, init, op.weight_specs(*types).get(attribute.kind.weight))
        return Node(
            path, op, tuple(sources), type_, step.at, step.name is not None, doc=step.doc, parts=parts
        )

    def read_attributes(
        self, scope: BlockScope, step: StepDef, arguments: Mapping[str, RawArgument]
    ) -> dict[str, Any]:
        """Return the attributes of an op. Raises SB101 for an unknown and SB103 for a missing attribute."""
        cls = OPS[step.kind]
        raw = {} if step.value is None or isinstance(step.value, list) else step.value
        raw = {**raw, **{name: argument.raw for name, argument in arguments.items()}}
        attributes, inputs = list_attributes(cls), [spec.name for spec in cls.input_specs]
        for key in raw:
            if key not in attributes and key not in inputs:
                known = [*(inputs if len(inputs) > 1 else ()), *attributes]
                hint = suggest_name(key, known, "its attributes are")
                at = arguments[key].at if key in arguments else step.value_at.child(key)
                name = step.written_kind or cls.name
                raise at.error("SB101", f"{name} has no attribute {key!r}", hint, key=True)
        values = {}
        for name, attribute in attributes.items():
            if name in raw:
                argument = arguments.get(name) or RawArgument(
                    raw[name], step.value_at.child(name), ExpressionEnv(scope)
                )
                env = {} if argument.env is None else argument.env  # its length would take time
                value = read_attribute(attribute.kind, argument.raw, argument.at, env)
                is_file = isinstance(attribute.kind, TensorFileName)
                values[name] = self.files.open_tensor_file(value, argument.at) if is_file else value
            elif attribute.is_required:
                message = f"{cls.name} needs {name!r}: {attribute.doc}"
                raise step.error("SB103", message, f"write `{cls.name}: {{{name}: ...}}`")
        return values

    def infer_types(
        self,
        scope: BlockScope,
        step: StepDef,
        op: Op,
        types: list[TensorType | None],
        sources: list[Ref | None],
    ) -> tuple[TensorType, dict[str, TensorType]]:
        """Return the type of an op's result, and of its parts if the op has several results.

        Where the op needs a batch, values without one are repeated for each sample. Raises MissingBatchError if
        nothing in the block has a batch.
        """
        try:
            type_, parts = op.infer_type(*types), op.part_types(*types)
        except AttributeValueError as e:
            message = e.message.replace(step.kind, step.title)
            raise (step.value_at.child(*e.path).error if e.path else step.error)(
                e.code, message, e.hint
            ) from None
        except BatchNeeded as e:
            if scope.has_batch:
                return self.infer_types(scope, step, op, [x and x.with_batch() for x in types], sources)
            error = step.error(e.code, e.message, e.hint)
            raise MissingBatchError(e.code, e.message, error.location, e.hint) from None
        except UnequalSizes as e:
            raise step.error(e.code, *describe_unequal_sizes(e, sources)) from None
        except (ExpressionError, ShapeError) as e:
            if e.code in TOO_LARGE and (at := find_large_number(step, op, types)):
                raise at.error(e.code, e.message, e.hint) from None
            is_lone = len(types) == 1 and op.input_specs[0].variadic and e.code == "SB401"
            raise step.error(
                e.code, e.message, e.hint or (lone_value_hint(scope, step) if is_lone else "")
            ) from None
        for part in parts:
            check_name(part, step.value_at, "a part")
        return type_, parts

    def check_initializer(self, step: StepDef, name: str, init: Init, weight: WeightSpec | None) -> None:
        """Raise SB305 if the attribute `name` gives an initializer for matrices to a vector."""
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
            name: RawArgument(raw, step.value_at.child(name), ExpressionEnv(scope))
            for name, raw in (step.value or {}).items()
        } | self.edit_settings(scope, step, sources)
        return self.call_block(scope, definition, step, arguments, path, sources)

    def call_block(
        self,
        scope: BlockScope,
        definition: BlockDef,
        step: StepDef,
        arguments: dict[str, RawArgument],
        path: str,
        sources: list[Ref | None],
    ) -> Node:
        """Build the node of a step that uses a block with these arguments."""
        params = bind_call(definition, arguments, step.value_at)
        scan = None
        names = flatten_names(definition.inputs, len(sources))
        given = {name: source for name, source in zip(names, sources, strict=True) if source is not None}
        inputs = {}
        for name, source in given.items():
            inputs[name] = scope.value_type(source)
        if step.scan is not None:
            scan = read_scan(scope, step, definition, inputs)
            inputs = slice_inputs(scope, step, scan, inputs)
        for name, x in inputs.items():
            check_input_type(definition, name, x, step)
        outer_edits = scope.pending_inside.get(path, PendingEdits())
        block = self.build_instance(scope, definition, params, inputs, step, path, outer_edits)
        scope.applied_edits += [(edit, f"{path}.{inner}") for edit, inner in block.applied_edits]
        args = params | size_arguments(inputs, params, len(definition.inputs))
        type_ = outer_type(block.type, args)
        if scan is not None:
            check_state(step, scan, block)
            type_ = scan.output_type(next(iter(block.outputs)), type_)
        has_name, values = step.name is not None, tuple(given.values())
        return Node(path, block, values, type_, step.at, has_name, args, doc=step.doc, scan=scan)

    def build_instance(
        self,
        scope: BlockScope,
        definition: BlockDef,
        params: dict[str, Any],
        inputs: dict[str, TensorType],
        step: StepDef,
        path: str,
        edits: PendingEdits,
    ) -> Block:
        """Return the instance that a step needs; its inputs get a batch if an op inside needs one."""
        try:
            return self.instances.build_instance(definition, params, inputs, step.at, path, edits)
        except MissingBatchError:
            if not scope.has_batch or not inputs:
                raise
            inputs = {name: x.with_batch() for name, x in inputs.items()}
            return self.instances.build_instance(definition, params, inputs, step.at, path, edits)

    def reuse_step(self, scope: BlockScope, step: StepDef, path: str, sources: list[Ref | None]) -> Node:
        """Build the node of a `reuse` of a single step."""
        reused = find_reused(scope, step)
        origin = reused.nodes[reused.name]
        if isinstance(origin.op, Skip):
            message = f"{step.value!r} is left out here, so it cannot be reused"
            raise step.value_at.error("SB202", message, "give this step the same `when`")
        return self.apply_again(scope, step, path, reused, sources)

    def apply_again(
        self,
        scope: BlockScope,
        step: StepDef,
        path: str,
        reused: ReusedSteps,
        sources: list[Ref | None],
    ) -> Node:
        """Build a node that applies an op or a block to other inputs, with the same weights."""
        while (shared := reused.nodes[reused.name].reuses) is not None:
            found = find_steps(replace(reused, name=shared))
            assert found is not None
            reused = found
        origin = reused.nodes[reused.name]
        types = [None if s is None else scope.value_type(s) for s in sources]
        node = replace(
            origin,
            name=path,
            inputs=tuple(sources),
            at=step.at,
            has_own_name=step.name is not None,
            args={name: reused.to_outer(value) for name, value in origin.args.items()},
            reuses=reused.prefix + origin.name,
            doc=step.doc,
        )
        if isinstance(origin.op, Block):
            names = list(origin.op.inputs)
            if len(names) != len(sources) or None in sources:  # not the inputs of the first use
                names = flatten_names(origin.op.declared_inputs, len(sources))
            inputs = {name: x for name, x in zip(names, types, strict=True) if x is not None}
            node = replace(node, inputs=tuple(source for source in sources if source is not None))
            if origin.scan is not None:
                node = replace(node, scan=resize_scan(step, origin.scan, inputs))
                inputs = slice_inputs(scope, step, origin.scan, inputs)
            edits = reused.pending_edits.get(origin.name, PendingEdits())
            node, block = self.rebuild_block(scope, step, node, origin.op, inputs, edits)
            same_weights = list_weights(block) == list_weights(origin.op)
        else:
            assert isinstance(origin.op, Op)
            op = reused.outer_op(origin.op)
            type_, parts = self.infer_types(scope, step, op, types, sources)
            node = replace(node, op=op, type=type_, parts=parts)
            origin_types = [None if s is None else reused.value_type(s) for s in origin.inputs]
            weights = origin.op.weight_specs(*origin_types)
            same_weights = origin.op.weight_specs(*types) == weights
            if reused.prefix and not weights:  # the block that it is in need not be computed for it
                node = replace(node, reuses=None)
        if not same_weights:
            message = f"{step.value} cannot be reused here: its weights would have other shapes"
            raise step.error("SB401", message, "give it an input of the same shape, or add a new step")
        return node

    def rebuild_block(
        self,
        scope: BlockScope,
        step: StepDef,
        node: Node,
        block: Block,
        inputs: dict[str, TensorType],
        outer_edits: PendingEdits,
    ) -> tuple[Node, Block]:
        """Return a node that reuses `block`, and its instance for these inputs and the same outputs."""
        definition = self.instances.definitions[block.at]
        for name, x in inputs.items():
            check_input_type(definition, name, x, step)
        params = {p: node.args[p] for p in definition.params}
        other = self.build_instance(scope, definition, params, inputs, step, node.name, outer_edits)
        for output in block.outputs:  # values inside that were read before
            other = expose_value(other, output, step.at)
        args = params | size_arguments(inputs, params, len(definition.inputs))
        node = replace(node, op=other, args=args)
        return replace(node, type=node_output_type(node, next(iter(other.outputs)))), other

    def edit_settings(
        self, scope: BlockScope, step: StepDef, sources: list[Ref | None]
    ) -> dict[str, RawArgument]:
        """Return the attributes that edits set; their expressions may use the step's input as `x`."""
        x = {} if not sources or sources[0] is None else {"x": scope.value_type(sources[0]).sizes}
        return {name: replace(a, env={**x, **(a.env or {})}) for name, a in step.settings.items()}

    def use_argument(self, scope: BlockScope, step: StepDef, path: str, sources: list[Ref | None]) -> Node:
        """Build the node of a `use`: the block or op that a parameter gives."""
        choice = block_argument(scope, step)
        if choice.name == "none":
            return skip_node(scope, step, path, sources[0])
        env = dict(choice.env)
        if isinstance(step.value, BlockArgument) and sources and sources[0] is not None:
            env.setdefault("x", scope.value_type(sources[0]).sizes)  # edits may use the step's input as `x`
        arguments = {
            name: RawArgument(raw, choice.at.child(name), env) for name, raw in choice.arguments.items()
        }
        with_at = step.at.child("with")
        arguments |= {
            name: RawArgument(raw, with_at.child(name), ExpressionEnv(scope))
            for name, raw in (step.arguments or {}).items()
        }
        resolved = replace(
            step, kind=choice.name, value={name: a.raw for name, a in arguments.items()}, value_at=choice.at
        )
        arguments |= self.edit_settings(scope, step, sources)
        if choice.name in OPS and step.scan is not None:
            raise scan_error(choice.name, step.at)
        if choice.name in OPS:
            return self.build_op(scope, replace(resolved, settings={}), path, sources, arguments)
        definition = self.files.find_block(choice.at.source, choice.name, choice.at)
        return self.call_block(scope, definition, resolved, arguments, path, sources)


def lone_value_hint(scope: BlockScope, step: StepDef) -> str:
    """Return a hint for a list of values with only one value here, which `maps.*` can give."""
    raw = step.value if isinstance(step.value, list) else step.sources
    if isinstance(step.value, Mapping):
        raw = next((part for part in step.value.values() if isinstance(part, list)), raw)
    lists = [text[:-2] for text in raw if isinstance(text, str) and text.endswith(".*")] if raw else []
    if not lists:
        return "name another value"
    hint = "give the step a `when` that is false for one value, which then passes through"
    is_input = len(raw) == 1 and bool(scope.list_items(lists[0]))
    return f"{hint}, such as `when: len({lists[0]}) > 1`" if is_input else hint


def detach_index(x: TensorType, i: int) -> TensorType:
    """Replace the index `i` of a repeat by its value in the sizes of a type: later steps see another `i`."""
    return TensorType({axis: bind_name(n, "i", i) for axis, n in x.sizes.items()}, x.dtype, x.batched)


def skip_node(
    scope: BlockScope, step: StepDef, path: str, source: Ref | None, when: Expression | None = None
) -> Node:
    """Return a node that passes its input through. Raises SB401 if the step has no input."""
    if source is None:
        hint = "write another step of the same name for this case, with the opposite `when`"
        if scope.last is not None:
            hint = "put it and the steps that read it into a group with this `when`: `- do: [...]`"
            hint += ", or write another step of the same name, with the opposite `when`"
        message = "nothing can pass through here: this step has no input"
        raise step.at.child("when").error("SB401", message, hint)
    source = require_single(scope, source, step.at)
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


def list_weights(block: Block) -> dict[str, Any]:
    """Return the weights of a block instance: for each op, by its path, the axes and kinds of its weights."""
    weights: dict[str, Any] = {}
    for path, node, owner in walk_ops(block):
        if isinstance(node.op, Op) and node.reuses is None:
            types = [None if ref is None else owner.value_type(ref) for ref in node.inputs]
            if specs := node.op.weight_specs(*types):
                weights[path] = {
                    name: (
                        tuple((axis, concrete(size)) for axis, size in spec.axes.items()),
                        spec.is_trainable,
                    )
                    for name, spec in specs.items()
                }
    return weights
