"""The PyTorch backend without the writers of its ops: tensor layouts, and the code that converts them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from specbuild.backends.base import Backend
from specbuild.backends.loader_rules import LoadRule
from specbuild.backends.parameter_groups import ModelPart, TrainableTensor, append_group_functions
from specbuild.backends.signatures import call_method as call_method  # for the writers of ops
from specbuild.backends.torch.float32_constants import FLOAT32_CONSTANTS
from specbuild.backends.torch.layers import attribute_name, is_tensor, module_path
from specbuild.backends.torch.module_file import build_module
from specbuild.backends.torch.packaging import TorchPackaging
from specbuild.backends.torch.parameter_groups import groups_source
from specbuild.backends.torch.reserved import RESERVED_NAMES
from specbuild.backends.torch.runtimes import RUNTIME
from specbuild.backends.torch.weight_files import WEIGHT_FILES
from specbuild.backends.torch.weights_loader import add_weights_loader
from specbuild.backends.wrapper_names import WrapperNames
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout, layout_permutation, swapped_dims
from specbuild.codegen.lowered_steps import LoweredBlock
from specbuild.codegen.tree import Attribute, Expr, Index, Literal, Module, TupleOf
from specbuild.ops.types import CHANNEL, SPATIAL, TensorType

# DataParallel and training frameworks, torch.compile, and AveragedModel, which counts the averaged models.
WRAPPER_NAMES = WrapperNames(("module.", "model."), ("_orig_mod.",), frozenset({"n_averaged"}))


class TorchBackend(Backend):
    name = "torch"
    title = "PyTorch"
    identity_layer = "nn.Identity"
    extra = "torch"
    modules = frozenset({"torch"})
    loader_imports = frozenset({"safetensors.torch.load_file", "safetensors.torch.save_file"})
    forbidden_paths = frozenset({"torch.ops", "torch.utils", "torch.distributed"})
    import_calls = frozenset({"torch.no_grad"})
    needs_loader = False  # load_state_dict reads a .pt file of `specbuild weights`
    reserved = RESERVED_NAMES
    packaging = TorchPackaging()
    weight_files = WEIGHT_FILES
    wrapper_names = WRAPPER_NAMES
    safetensors_format = "pt"
    float32_constants = FLOAT32_CONSTANTS
    runtimes = (RUNTIME,)
    scan_function = "scan"
    has_unbiased_variance = True

    def counter_names(self, weight_paths: Iterable[str]) -> set[str]:
        """Return the `num_batches_tracked` of each batch norm."""
        norms = [path.removesuffix("running_mean") for path in weight_paths if path.endswith(".running_mean")]
        return {f"{norm}num_batches_tracked" for norm in norms}

    def natural_order(self, x: TensorType) -> tuple[str, ...]:
        """Return C before D, H, W for a map; C last for any other tensor."""
        spatial = tuple(a for a in SPATIAL if a in x)
        others = tuple(a for a in x.axes if a != CHANNEL and a not in spatial)
        channel = (CHANNEL,) if CHANNEL in x else ()
        return (*others, *channel, *spatial)

    def convert_layout(
        self,
        value: Expr,
        type_: TensorType,
        source: Layout,
        target: Layout,
        known_sizes: Mapping[str, Expr],
    ) -> Expr:
        if source.batch_axes and source.batch_axes != target.batch_axes:
            sizes = (known_sizes.get(a) or literal_expression(type_[a]) for a in source.batch_axes)
            value = call_method(value, "unflatten", 0, TupleOf((Literal(-1), *sizes)))
            source = Layout((*source.batch_axes, *source.order), (), source.batched)
        if target.batch_axes and source.batch_axes != target.batch_axes:
            unfolded = Layout((*target.batch_axes, *target.order), (), source.batched)
            value = permute_axes(value, source, unfolded)
            return call_method(value, "flatten", 0, len(target.batch_axes))
        return permute_axes(value, source, target)

    def add_batch(self, value: Expr, layout: Layout, like: Expr | None) -> Expr:
        if like is None:
            return super().add_batch(value, layout, like)
        batch_size = Index(Attribute(like, "shape"), (Literal(0),))
        return call_method(value, "expand", batch_size, *[-1] * len(layout.order))

    def weights_loader(self, module: Module, rules: Mapping[str, LoadRule]) -> Module:
        return add_weights_loader(module, rules, self.path_separator)

    def add_parameter_groups(
        self, module: Module, parts: Sequence[ModelPart], tensors: Sequence[TrainableTensor]
    ) -> Module:
        return append_group_functions(module, parts, groups_source(tensors))

    def load_tables(self, model: Any, tensors: Mapping[str, Any]) -> None:
        for path, array in tensors.items():
            buffer = model.get_buffer(path)
            buffer.copy_(buffer.new_tensor(array.copy()))

    def layer_path(self, lowered: LoweredBlock, node: str) -> str:
        """Return the path of a node's layer. A tensor is an attribute, so its path has no dots."""
        has_tensor = any(map(is_tensor, lowered.steps_by_layer.get(node, ())))
        return attribute_name(node.replace(".", "_")) if has_tensor else module_path(node)

    def module_file(self, class_specs: list[ClassSpec], doc: str, header: tuple[str, ...]) -> Module:
        return build_module(class_specs, self.helper_sources(), doc, header)


def permute_axes(value: Expr, source: Layout, target: Layout) -> Expr:
    """Return a value with its axes in the order of `target`. Both layouts fold the same axes."""
    order = layout_permutation(source, target)
    if order == tuple(range(len(order))):
        return value
    if pair := swapped_dims(order):
        return call_method(value, "transpose", *pair)
    return call_method(value, "permute", *order)


backend = TorchBackend()
emits = backend.emits
