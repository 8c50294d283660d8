"""Locations of a model's weights: the canonical path, and the path and storage in each framework."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from msgspec.structs import asdict

from specbuild.backends import load_backend
from specbuild.backends.base import Backend
from specbuild.backends.loader_rules import LoadRule
from specbuild.codegen.layer_rows import collapse_rows
from specbuild.codegen.lowered_steps import LoweredBlock, Storage
from specbuild.codegen.model_lowering import LoweredModel, lower_model
from specbuild.compiler.graph_weights import CanonicalWeight, canonical_weights, node_weights
from specbuild.ir.graph import Block, definition_key
from specbuild.ops.base import Op

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]


class BlockLocation(NamedTuple):
    """A block instance, with the prefixes of the canonical and the framework paths of its weights."""

    path: str
    block: Block
    framework_path: str


class WeightLocation(CanonicalWeight, frozen=True):
    """A weight with its path and storage in one framework."""

    framework_path: str
    storage: Storage

    @property
    def framework_shape(self) -> tuple[int, ...]:
        """The shape of the framework's tensor, or of this weight's part of it."""
        shape = self.storage.shape or self.shape
        return shape if self.storage.order is None else tuple(shape[i] for i in self.storage.order)

    def to_framework(self, value: Array) -> Array:
        """Convert the canonical tensor to the framework's, or to this weight's part of a shared one."""
        if self.storage.gate_order is not None:
            value = reorder_gates(value, self.storage.gate_order)
        if self.storage.shape is not None:
            value = value.reshape(self.storage.shape)
        return value if self.storage.order is None else value.transpose(self.storage.order)

    def from_framework(self, value: Array) -> Array:
        """Convert the framework's tensor, or this weight's part of it, to the canonical one."""
        if self.storage.order is not None:
            value = value.transpose(inverse_order(self.storage.order))
        value = value.reshape(self.shape)
        if self.storage.gate_order is not None:
            value = reorder_gates(value, inverse_order(self.storage.gate_order))
        return value

    def in_canonical_order(self, value: Array) -> Array | None:
        """Return a framework's tensor of another size with its axes in canonical order.

        None if impossible.
        """
        while value.ndim > len(self.shape) and value.shape[0] == 1:
            value = value[0]
        if (
            self.storage.gate_order is not None
            or self.storage.shape is not None
            or value.ndim != len(self.shape)
        ):
            return None
        return value if self.storage.order is None else value.transpose(inverse_order(self.storage.order))


def reorder_gates(value: Array, gate_order: Sequence[int]) -> Array:
    """Split the first axis into equal parts, as many as `gate_order` has items, and reorder them."""
    parts = value.reshape(len(gate_order), -1, *value.shape[1:])
    return parts[list(gate_order)].reshape(value.shape)


def inverse_order(order: Sequence[int]) -> list[int]:
    return sorted(range(len(order)), key=order.__getitem__)


def to_framework(weights: Iterable[WeightLocation], values: Mapping[str, Array]) -> dict[str, Array]:
    """Convert canonical tensors, by canonical path, to the framework's tensors, by its own paths."""
    tensors: dict[str, Array] = {}
    for path, sharing in group_by_tensor(weights).items():
        pieces = [weight.to_framework(values[weight.path]) for weight in sharing]
        if len(pieces) == 1:
            tensors[path] = pieces[0]
        elif sharing[0].storage.stacked:
            tensors[path] = pieces[0][None].repeat(len(pieces), 0)
            for index, piece in enumerate(pieces):
                tensors[path][index] = piece
        else:
            tensors[path] = sum(pieces[1:], pieces[0])
    return tensors


def from_framework(
    weights: Iterable[WeightLocation], values: Mapping[str, Array], gradients: bool = False
) -> dict[str, Array]:
    """Convert the framework's tensors that are weights of the model to canonical tensors, by canonical path.

    If a tensor is the sum of several weights, the first weight gets it and the others get zeros; with
    `gradients`, each of them gets the gradient of the sum.
    """
    tensors: dict[str, Array] = {}
    for path, sharing in group_by_tensor(weights).items():
        if path not in values:
            continue
        for index, weight in enumerate(sharing):
            piece = values[path][index] if weight.storage.stacked else values[path]
            gets_value = len(sharing) == 1 or weight.storage.stacked or gradients or index == 0
            tensors[weight.path] = weight.from_framework(piece if gets_value else piece * 0)
    return tensors


def group_by_tensor(weights: Iterable[WeightLocation]) -> dict[str, list[WeightLocation]]:
    """Return the weights in each tensor of a framework, by its path there."""
    groups: dict[str, list[WeightLocation]] = {}
    for weight in weights:
        groups.setdefault(weight.framework_path, []).append(weight)
    return groups


def framework_shapes(weights: Iterable[WeightLocation]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a framework that contains weights, by its path there."""
    shapes = {}
    for path, sharing in group_by_tensor(weights).items():
        shape = sharing[0].framework_shape
        shapes[path] = (len(sharing), *shape) if is_stacked(sharing) else shape
    return shapes


def is_stacked(sharing: Sequence[WeightLocation]) -> bool:
    """Return whether these weights are stacked along a new first axis of one tensor."""
    return len(sharing) > 1 and sharing[0].storage.stacked


def canonical_locations(model: Block) -> list[WeightLocation]:
    """Return all weights of a model, as if a framework stored them in canonical form. Lowers no code."""
    return [
        WeightLocation(**asdict(weight), framework_path=weight.path, storage=Storage(weight.path))
        for weight in canonical_weights(model)
    ]


def load_rule(sharing: Sequence[WeightLocation]) -> LoadRule:
    """Return how an emitted file loads the tensor that contains these weights."""
    keys, storage = tuple(weight.path for weight in sharing), sharing[0].storage
    order = storage.order or tuple(range(len(storage.shape or sharing[0].shape)))
    return LoadRule(keys, order, storage.shape is not None, is_stacked(sharing), storage.gate_order)


def locate_weights(model: Block, backend: str) -> list[WeightLocation]:
    """Return all weights of a model in graph order; a reused layer counts once. Lowers the model."""
    target = load_backend(backend)
    return find_weights(lower_model(model, target), target)


def find_weights(model: LoweredModel, backend: Backend) -> list[WeightLocation]:
    """Return all weights of a lowered model in graph order; a reused layer counts once."""

    def visit_weights(
        lowered: LoweredBlock, path: tuple[str, ...], prefix: tuple[str, ...]
    ) -> Iterator[WeightLocation]:
        with_rows = rows.get(lowered)
        for node in lowered.block.nodes:
            if node.reuses is not None:
                continue
            if isinstance(node.op, Block):
                layer = backend.layer_path(with_rows, node.name)
                yield from visit_weights(lowered.children[node.name], (*path, node.name), (*prefix, layer))
            elif isinstance(node.op, Op):
                storages = lowered.weights.get(node.name, {})
                for weight in node_weights(node, lowered.block, path):
                    storage = storages[weight.name]
                    parts = backend.weight_path_parts(with_rows, node.name, storage, not path)
                    framework_path = backend.path_separator.join((*prefix, *parts))
                    yield WeightLocation(**asdict(weight), framework_path=framework_path, storage=storage)

    rows = CollapsedRows(model)
    return list(visit_weights(model.root, (), ()))


def find_blocks(model: LoweredModel, backend: Backend) -> Iterator[BlockLocation]:
    """Yield all block instances of a lowered model, the model first."""

    def visit_blocks(lowered: LoweredBlock, path: str, prefix: str) -> Iterator[BlockLocation]:
        for node in lowered.block.nodes:
            if isinstance(node.op, Block) and node.reuses is None:
                inner_path = f"{path}{node.name}."
                layer_path = backend.layer_path(rows.get(lowered), node.name)
                inner_prefix = f"{prefix}{layer_path}{backend.path_separator}"
                yield BlockLocation(inner_path, node.op, inner_prefix)
                yield from visit_blocks(lowered.children[node.name], inner_path, inner_prefix)

    rows = CollapsedRows(model)
    yield BlockLocation("", model.root.block, "")
    yield from visit_blocks(model.root, "", "")


class CollapsedRows:
    """The block instances of a lowered model after `collapse_rows`, each computed once.

    A row is one container, such as nn.Sequential, for a group of layers; weight paths may go through it.
    """

    def __init__(self, model: LoweredModel):
        self.has_rows = model.has_rows
        self.value_numbers = {key: dict(numbers) for key, numbers in model.value_numbers.items()}
        self.shared_steps = model.shared_steps
        self.instances: dict[LoweredBlock, LoweredBlock] = {}

    def get(self, lowered: LoweredBlock) -> LoweredBlock:
        if not self.has_rows:
            return lowered
        if lowered not in self.instances:
            numbers = self.value_numbers[definition_key(lowered.block)]
            shared = self.shared_steps.get(definition_key(lowered.block), set())
            self.instances[lowered] = collapse_rows(lowered, numbers, shared)
        return self.instances[lowered]


def count_trainable_values(weights: Iterable[WeightLocation]) -> int:
    """Return the number of trainable values in the framework's tensors."""
    trained = group_by_tensor(weight for weight in weights if weight.is_trainable)
    return sum(map(tensor_size, trained.values()))


def count_parameters(model: Block, backend: str) -> int:
    """Return the number of trainable values.

    It may differ by framework: one may store the sum of two weights.
    """
    return count_trainable_values(locate_weights(model, backend))


def tensor_size(weights: Sequence[WeightLocation]) -> int:
    """Return the number of values in the tensor that contains these weights."""
    return prod(weights[0].shape) if not weights[0].storage.stacked else sum(prod(w.shape) for w in weights)
