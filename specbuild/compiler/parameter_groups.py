"""How an optimizer should treat each weight: whether it decays, and how many layers come after it.

A layer is a step with a kernel, of the model or of another model that it uses as a step. The layers after a
weight are counted along the longest path to an output. Norms and tables do not count as layers: they get the
number of the layers next to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from specbuild.backends import BACKEND_NAMES, load_backend
from specbuild.backends.base import Backend
from specbuild.backends.parameter_groups import ModelPart, TrainableTensor
from specbuild.codegen.lowered_steps import LoweredBlock
from specbuild.codegen.model_lowering import LoweredModel, lower_model
from specbuild.compiler.weight_locations import (
    CollapsedRows,
    WeightLocation,
    find_weights,
    group_by_tensor,
    is_stacked,
    tensor_size,
)
from specbuild.ir.graph import Block, Node, Skip
from specbuild.ir.path_index import path_prefixes
from specbuild.ops.base import Op


def trainable_tensors(model: Block, backend: str) -> list[TrainableTensor]:
    """Return the trainable tensors of a model in graph order, without those that the spec freezes.

    Lowers it.
    """
    target = load_backend(backend)
    lowered = lower_model(model, target)
    return group_tensors(model, find_weights(lowered, target), find_parts(lowered, target))


def group_tensors(
    model: Block, locations: Iterable[WeightLocation], parts: Iterable[ModelPart]
) -> list[TrainableTensor]:
    """Return the trainable tensors with these weights, each with the part of the model that it belongs to."""
    part_at = {part.path: part for part in parts}
    frozen = set(frozen_paths(model))
    tensors = []
    for framework_path, weights in group_by_tensor(w for w in locations if w.is_trainable).items():
        if any(path in frozen for weight in weights for path in path_prefixes(weight.path)):
            continue
        first = weights[0]
        part = next(part_at[path] for path in path_prefixes(first.path) if path in part_at)
        rank = len(first.framework_shape) + is_stacked(weights)
        paths = tuple(weight.path for weight in weights)
        tensors.append(TrainableTensor(framework_path, paths, rank, tensor_size(weights), first.decays, part))
    return tensors


class LayerLevel(Struct, frozen=True):
    """All weights with the same number of layers after them."""

    layers_after: int
    parts: tuple[str, ...]
    decaying: tuple[int, int]  # numbers of tensors and of values that decay
    others: tuple[int, int]  # the same for those that do not


def layer_levels(model: Block) -> list[LayerLevel]:
    """Return the levels of a model, from its inputs to its outputs, with the tensors of the first backend."""
    by_level: dict[int, list[TrainableTensor]] = {}
    for tensor in trainable_tensors(model, BACKEND_NAMES[0]):
        by_level.setdefault(tensor.layers_after, []).append(tensor)
    levels = []
    for layers_after, tensors in sorted(by_level.items(), reverse=True):
        parts = tuple(dict.fromkeys(tensor.part.path for tensor in tensors))
        decaying = [tensor.count for tensor in tensors if tensor.decays]
        others = [tensor.count for tensor in tensors if not tensor.decays]
        levels.append(
            LayerLevel(layers_after, parts, (len(decaying), sum(decaying)), (len(others), sum(others)))
        )
    return levels


def optimizer_records(model: Block, rate: float) -> dict[str, dict[str, Any]]:
    """For each trainable weight, by canonical path: its framework paths and its optimizer settings."""
    tensors = {name: trainable_tensors(model, name) for name in BACKEND_NAMES}
    framework_paths = {
        name: {path: tensor.framework_path for tensor in tensors[name] for path in tensor.paths}
        for name in BACKEND_NAMES
    }
    return {
        path: {
            **{name: framework_paths[name][path] for name in BACKEND_NAMES},
            "decay": tensor.decays,
            "layers_after": tensor.layers_after,
            "rate_scale": rate**tensor.layers_after,
        }
        for tensor in tensors[BACKEND_NAMES[0]]
        for path in tensor.paths
    }


def model_parts(model: Block, backend: str) -> list[ModelPart]:
    """Return the steps with weights of a model; a model inside it is replaced by its steps.

    Lowers the model.
    """
    target = load_backend(backend)
    return find_parts(lower_model(model, target), target)


def find_parts(model: LoweredModel, backend: Backend) -> list[ModelPart]:
    """Return the steps of a lowered model that have weights.

    A model inside it is replaced by its own steps.
    """
    block = model.root.block
    after, _ = count_layers_after(block, dict.fromkeys(block.outputs, 0))
    rows = CollapsedRows(model)

    def visit_parts(lowered: LoweredBlock, prefix: str, framework_prefix: str) -> Iterator[ModelPart]:
        for node in lowered.block.nodes:
            path = f"{prefix}{node.name}"
            framework_path = f"{framework_prefix}{backend.layer_path(rows.get(lowered), node.name)}"
            if is_submodel(node) and node.reuses is None:
                inner_prefix = f"{framework_path}{backend.path_separator}"
                yield from visit_parts(lowered.children[node.name], f"{path}.", inner_prefix)
            elif path in after and has_kernel(node, lowered.block, any_kind=True):
                yield ModelPart(path, framework_path, after[path])

    return list(visit_parts(model.root, "", ""))


def is_submodel(node: Node) -> bool:
    """Return whether a step is the model of another file, whose own steps count as layers."""
    return isinstance(node.op, Block) and not node.op.at.path


def count_layers_after(block: Block, ends: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the number of layers after each step with weights of its own, and after each input.

    `ends` gives the number of layers after each output of the block.
    """
    after: dict[str, dict[str, int]] = {}  # source -> for each of its values, the layers after it
    result: dict[str, int] = {}

    def record_reader(ref: str | None, layers: int) -> None:
        if ref is not None:
            values = after.setdefault(ref.partition("@")[0], {})
            values[ref] = max(values.get(ref, 0), layers)

    def record_result(path: str, layers: int) -> None:
        result[path] = max(result.get(path, 0), layers)

    for name, output in block.outputs.items():
        record_reader(output.ref, ends[name])
    for node in reversed(block.nodes):
        if node.name not in after:
            continue
        values, origin = after[node.name], node.reuses or node.name
        if is_submodel(node):
            assert isinstance(node.op, Block)
            inner, inner_inputs = count_layers_after(node.op, submodel_ends(node.op, values))
            for path, layers in inner.items():
                record_result(f"{origin}.{path}", layers)
            for source, name in zip(node.inputs, node.op.inputs, strict=True):
                record_reader(source, inner_inputs.get(name, 0))
        else:
            layers = max(values.values())
            record_result(origin, layers)
            for source in node.inputs:
                record_reader(source, layers + has_kernel(node, block))
    return result, {name: after[name][name] for name in block.inputs if name in after}


def submodel_ends(block: Block, values: Mapping[str, int]) -> dict[str, int]:
    """Return the layers after each output of an inner model, from the layers after each of its values outside."""
    ends = dict.fromkeys(block.outputs, 0)
    main_output = next(iter(block.outputs))
    for ref, layers in values.items():
        name = ref.partition("@")[2] if "@" in ref else main_output
        ends[name] = max(ends[name], layers)
    return ends


def has_kernel(node: Node, block: Block, any_kind: bool = False) -> bool:
    """Return whether a step has a kernel, or, with `any_kind`, any trainable weight."""
    if isinstance(node.op, Block):
        return any(has_kernel(inner, node.op, any_kind) for inner in node.op.nodes)
    if isinstance(node.op, Skip) or (any_kind and node.reuses):
        return False
    assert isinstance(node.op, Op)
    types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
    return any(
        weight.decays or (any_kind and weight.is_trainable)
        for weight in node.op.weight_specs(*types).values()
    )


def frozen_paths(model: Block, above: str = "") -> Iterator[str]:
    """Yield the paths of all frozen nodes and groups, inner blocks included."""
    yield from (f"{above}{path}" for path in model.frozen_paths)
    for node in model.nodes:
        if isinstance(node.op, Block) and node.reuses is None:
            yield from frozen_paths(node.op, f"{above}{node.name}.")
