"""The Keras backend without the writers of its ops: tensor layouts, and the code that converts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from specbuild.backends.base import Backend
from specbuild.backends.keras.layers import is_layer_list
from specbuild.backends.keras.module_file import build_module
from specbuild.backends.keras.optimizer_groups import groups_source
from specbuild.backends.keras.packaging import KerasPackaging
from specbuild.backends.keras.reserved import RESERVED_NAMES
from specbuild.backends.keras.switches import SWITCHES
from specbuild.backends.keras.weight_files import WEIGHT_FILES
from specbuild.backends.keras.weights_loader import add_weights_loader
from specbuild.backends.loader_rules import LoadRule
from specbuild.backends.optimizer_groups import ModelPart, TrainedTensor, add_parameter_groups
from specbuild.backends.signatures import to_expression
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import Container, literal_expression
from specbuild.codegen.layout import Layout, layout_permutation, swapped_dims
from specbuild.codegen.lowering import LoweredBlock, Storage
from specbuild.codegen.tree import Attribute, Call, Expr, Index, Literal, Module, Name, TupleOf
from specbuild.expressions import expression_of
from specbuild.ops.types import CHANNEL, SPATIAL, TensorType
from specbuild.runtimes.runtime import Runtime

PARITY_WORKER = "specbuild.backends.keras.parity_worker"


class KerasBackend(Backend):
    name = "keras"
    title = "Keras 3"
    extra = "keras"
    modules = frozenset({"keras"})
    loader_imports = frozenset({"safetensors.numpy.load_file"})
    forbidden_paths = frozenset({"keras.utils"})
    import_calls = frozenset({"keras.saving.register_keras_serializable"})
    reserved = RESERVED_NAMES
    packaging = KerasPackaging()
    path_separator = "/"
    weight_files = WEIGHT_FILES
    safetensors_format = "keras"
    runtimes = tuple(
        Runtime(
            name=name,
            title=f"Keras on {title}",
            modules=("keras", name),
            worker=PARITY_WORKER,
            switches=SWITCHES[name],
            variables={"KERAS_BACKEND": name},
            rounds_float64=name != "tensorflow",
        )
        for name, title in (("tensorflow", "TensorFlow"), ("jax", "JAX"), ("torch", "PyTorch"))
    )

    def natural_order(self, x: TensorType) -> tuple[str, ...]:
        """Return C last, with D, H, W before it."""
        spatial = tuple(a for a in SPATIAL if a in x)
        others = tuple(a for a in x.axes if a != CHANNEL and a not in spatial)
        channel = (CHANNEL,) if CHANNEL in x else ()
        return (*others, *spatial, *channel)

    def convert_layout(
        self,
        value: Expr,
        type_: TensorType,
        source: Layout,
        target: Layout,
        known_sizes: Mapping[str, Expr],
    ) -> Expr:
        original, original_layout = value, source

        def axis_sizes(order: tuple[str, ...]) -> tuple[Expr, ...]:
            return tuple(
                known_sizes.get(axis) or axis_size(original, original_layout, axis, type_) for axis in order
            )

        if source.folded and source.folded != target.folded:
            unfolded = Layout((*source.folded, *source.order), (), source.batched)
            value = emit_reshape(value, axis_sizes(unfolded.order), source.batched)
            source = unfolded
        if target.folded and source.folded != target.folded:
            unfolded = Layout((*target.folded, *target.order), (), source.batched)
            value = permute_axes(value, source, unfolded)
            return emit_reshape(value, axis_sizes(target.order), source.batched)
        return permute_axes(value, source, target)

    def weights_loader(self, module: Module, rules: Mapping[str, LoadRule]) -> Module:
        return add_weights_loader(module, rules, self.path_separator)

    def optimizer_groups(
        self, module: Module, parts: Sequence[ModelPart], tensors: Sequence[TrainedTensor]
    ) -> Module:
        return add_parameter_groups(module, parts, groups_source(tensors))

    def layer_path(self, lowered: LoweredBlock, node: str) -> str:
        """Return the path of a node's layer. Only a row that is called as a whole contains other layers."""
        for step in lowered.steps:
            is_sequential = isinstance(step.member, Container) and not is_layer_list(step.member)
            if is_sequential and node.startswith(step.layer_name + "."):
                inner_path = node[len(step.layer_name) + 1 :].replace(".", "/")
                return f"{step.layer_name.replace('.', '_')}/{inner_path}"
        return node.replace(".", "_")

    def weight_path_parts(
        self, lowered: LoweredBlock, node: str, storage: Storage, is_model: bool
    ) -> tuple[str, ...]:
        parts = super().weight_path_parts(lowered, node, storage, is_model)
        # a weight of the model itself is in a layer of the helper class Weight
        return (*parts, "value") if is_model and not storage.name else parts

    def module_file(self, class_specs: list[ClassSpec], doc: str, header: tuple[str, ...]) -> Module:
        return build_module(class_specs, self.helper_sources(), doc, header)


def permute_axes(value: Expr, source: Layout, target: Layout) -> Expr:
    """Return a value with its axes in the order of `target`. Both layouts fold the same axes."""
    order = layout_permutation(source, target)
    if order == tuple(range(len(order))):
        return value
    if pair := swapped_dims(order):
        return call_function("ops.swapaxes", value, *pair)
    return call_function("ops.transpose", value, order)


def call_function(function: str, *args: object, **keywords: object) -> Call:
    """Return `function(*args, **keywords)`."""
    return Call(
        Name(function),
        tuple(map(to_expression, args)),
        tuple((k, to_expression(v)) for k, v in keywords.items()),
    )


def axis_size(value: Expr, layout: Layout, axis: str, type_: TensorType) -> Expr:
    """Return code for the size of an axis: `value.shape[i]`, or the size itself if it is safe to write.

    That is a size with an expression, the size of a folded axis, and the number of channels.
    """
    if expression_of(type_[axis]) is not None or axis in layout.folded or axis == CHANNEL:
        return literal_expression(type_[axis])
    return Index(Attribute(value, "shape"), (Literal(layout.dim(axis)),))


def emit_reshape(value: Expr, sizes: tuple[Expr, ...], batched: bool) -> Call:
    """Return `ops.reshape` to these sizes, with -1 for the batch."""
    return call_function("ops.reshape", value, TupleOf((*((Literal(-1),) if batched else ()), *sizes)))


backend = KerasBackend()
emits = backend.emits
