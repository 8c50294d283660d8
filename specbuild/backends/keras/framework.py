"""The Keras backend without the writers of its ops: tensor layouts, and the code that converts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from specbuild.backends.base import Backend
from specbuild.backends.keras.fixed_attributes import list_fixed_attributes
from specbuild.backends.keras.float32_constants import FLOAT32_CONSTANTS
from specbuild.backends.keras.layers import is_layer_list, layer_attribute
from specbuild.backends.keras.module_file import build_module
from specbuild.backends.keras.packaging import KerasPackaging
from specbuild.backends.keras.parameter_groups import groups_source
from specbuild.backends.keras.reserved import RESERVED_NAMES
from specbuild.backends.keras.runtimes import RUNTIMES
from specbuild.backends.keras.weight_files import ENGINE_HINT, WEIGHT_FILES
from specbuild.backends.keras.weights_loader import add_weights_loader
from specbuild.backends.loader_rules import LoadRule
from specbuild.backends.parameter_groups import ModelPart, TrainableTensor, append_group_functions
from specbuild.backends.signatures import call_function as call_function  # for the writers of ops
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import LayerRow
from specbuild.codegen.layout import Layout, swapped_dims
from specbuild.codegen.lowered_steps import LoweredBlock, Storage
from specbuild.codegen.tree import Call, Expr, Literal, Module, TupleOf
from specbuild.ops.base import Op
from specbuild.ops.types import CHANNEL, SPATIAL, TensorType


class KerasBackend(Backend):
    name = "keras"
    title = "Keras 3"
    identity_layer = "layers.Identity"
    extra = "tensorflow"
    modules = frozenset({"keras"})
    distributions = {  # noqa: RUF012  # it is only read
        "tensorflow": ("tensorflow-cpu", "tensorflow-intel", "tensorflow-macos", "tf-nightly")
    }
    engine_hint = ENGINE_HINT
    scan_function = "scan"
    loader_imports = frozenset({"safetensors.numpy.load_file"})
    forbidden_paths = frozenset({"keras.utils"})
    forbidden_names = frozenset(
        """Lambda TFSMLayer deserialize_keras_object enable_unsafe_deserialization get_file load_model
        load_weights save_model save_weights""".split()
    )
    import_calls = frozenset({"keras.saving.register_keras_serializable"})
    reserved = RESERVED_NAMES
    packaging = KerasPackaging()
    path_separator = "/"
    calls_need_input = True
    models_read_sizes = False
    scans_free_sizes = False
    rows_need_batch = True
    weight_files = WEIGHT_FILES
    safetensors_format = "keras"
    float32_constants = FLOAT32_CONSTANTS
    runtimes = RUNTIMES

    def natural_order(self, x: TensorType) -> tuple[str, ...]:
        """Return C last, with D, H, W before it."""
        spatial = tuple(a for a in SPATIAL if a in x)
        others = tuple(a for a in x.axes if a != CHANNEL and a not in spatial)
        channel = (CHANNEL,) if CHANNEL in x else ()
        return (*others, *spatial, *channel)

    def fixed_attributes(self, op: Op) -> tuple[str, ...]:
        return list_fixed_attributes(op)

    def emit_transpose(self, value: Expr, order: tuple[int, ...]) -> Expr:
        if pair := swapped_dims(order):
            return call_function("ops.swapaxes", value, *pair)
        return call_function("ops.transpose", value, order)

    def emit_reshape(self, value: Expr, shape: tuple[Expr, ...]) -> Expr:
        return call_function("ops.reshape", value, TupleOf(shape))

    def add_batch(self, value: Expr, layout: Layout, like: Expr | None) -> Expr:
        if like is None:
            return super().add_batch(value, layout, like)
        return call_function("repeat_for_batch", value, like)

    def weights_loader(self, module: Module, rules: Mapping[str, LoadRule]) -> Module:
        return add_weights_loader(module, rules, self.path_separator)

    def add_parameter_groups(
        self, module: Module, parts: Sequence[ModelPart], tensors: Sequence[TrainableTensor]
    ) -> Module:
        return append_group_functions(module, parts, groups_source(tensors))

    def load_tables(self, model: Any, tensors: Mapping[str, Any]) -> None:
        variables = {variable.path: variable for variable in model.weights}
        for path, array in tensors.items():
            variables[path].assign(array)

    def layer_path(self, lowered: LoweredBlock, node: str) -> str:
        """Return the path of a node's layer. Only a row that is called as a whole contains other layers."""
        dots = [i for i, letter in enumerate(node) if letter == "."]
        for end in dots:
            for step in lowered.steps_by_layer.get(node[:end], ()):
                if isinstance(step.member, LayerRow):
                    return row_path(step.member, layer_attribute(step.layer_name), node[end + 1 :])
        return layer_attribute(node)

    def weight_path_parts(
        self, lowered: LoweredBlock, node: str, storage: Storage, is_model: bool
    ) -> tuple[str, ...]:
        parts = super().weight_path_parts(lowered, node, storage, is_model)
        # a weight of the model itself is in a layer of the helper class Weight
        return (*parts, "value") if is_model and not storage.name else parts

    def module_file(self, class_specs: list[ClassSpec], doc: str, header: tuple[str, ...]) -> Module:
        return build_module(class_specs, self.helper_sources(), doc, header)


def row_path(row: LayerRow, name: str, inner_path: str) -> str:
    """Return the path of a layer in a row of this name: a list gives its layers names such as `stack_0`."""
    if not is_layer_list(row):
        return f"{name}/{inner_path.replace('.', '/')}"
    index, _, rest = inner_path.partition(".")
    head = row.members.head
    member = head[int(index)] if int(index) < len(head) else row.members.tail
    return row_path(member, f"{name}_{index}", rest) if isinstance(member, LayerRow) else f"{name}_{index}"


def emit_reshape(value: Expr, sizes: tuple[Expr, ...], batched: bool) -> Call:
    """Return `ops.reshape` to these sizes, with -1 for the batch."""
    return call_function("ops.reshape", value, TupleOf((*((Literal(-1),) if batched else ()), *sizes)))


backend = KerasBackend()
emits = backend.emits
