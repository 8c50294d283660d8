"""Locations of a model's weights: the canonical path, and the path and storage in each framework."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.backends import load_backend
from specbuild.codegen.classes import build_classes
from specbuild.codegen.constructions import Container
from specbuild.codegen.lowering import LoweredBlock, Storage
from specbuild.expressions import concrete
from specbuild.ir.graph import Block
from specbuild.ops.base import Op
from specbuild.ops.table import Weight as WeightOp
from specbuild.ops.weight_spec import WeightSpec

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True)
class WeightLocation:
    """A weight: `path` and `shape` are canonical; `framework_path` and `storage` belong to one framework."""

    path: str
    name: str
    shape: tuple[int, ...]
    spec: WeightSpec
    framework_path: str
    storage: Storage

    @property
    def trained(self) -> bool:
        return self.spec.trainable

    @property
    def decays(self) -> bool:
        return self.spec.decays

    @property
    def framework_shape(self) -> tuple[int, ...]:
        """The shape of the framework's tensor, or of this weight's part of it."""
        shape = self.storage.shape or self.shape
        return shape if self.storage.order is None else tuple(shape[i] for i in self.storage.order)

    def to_framework(self, value: Array) -> Array:
        """Convert the canonical tensor to the framework's, or to this weight's part of a shared one."""
        if self.storage.blocks is not None:
            value = reorder_blocks(value, self.storage.blocks)
        if self.storage.shape is not None:
            value = value.reshape(self.storage.shape)
        return value if self.storage.order is None else value.transpose(self.storage.order)

    def from_framework(self, value: Array) -> Array:
        """Convert the framework's tensor, or this weight's part of it, to the canonical one."""
        if self.storage.order is not None:
            value = value.transpose(inverse_order(self.storage.order))
        value = value.reshape(self.shape)
        if self.storage.blocks is not None:
            value = reorder_blocks(value, inverse_order(self.storage.blocks))
        return value

    def in_canonical_order(self, value: Array) -> Array | None:
        """A framework's tensor of another size with its axes in canonical order; None if impossible."""
        while value.ndim > len(self.shape) and value.shape[0] == 1:
            value = value[0]
        if self.storage.blocks is not None or self.storage.shape is not None or value.ndim != len(self.shape):
            return None
        return value if self.storage.order is None else value.transpose(inverse_order(self.storage.order))


def reorder_blocks(value: Array, blocks: Sequence[int]) -> Array:
    """Reorder the equal parts of the first axis."""
    parts = value.reshape(len(blocks), -1, *value.shape[1:])
    return parts[list(blocks)].reshape(value.shape)


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
    """The weights in each tensor of a framework, by its path there."""
    groups: dict[str, list[WeightLocation]] = {}
    for weight in weights:
        groups.setdefault(weight.framework_path, []).append(weight)
    return groups


def framework_shapes(weights: Iterable[WeightLocation]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a framework that contains weights, by its path there."""
    shapes = {}
    for path, sharing in group_by_tensor(weights).items():
        shape = sharing[0].framework_shape
        shapes[path] = (len(sharing), *shape) if is_stacked(sharing) else shape
    return shapes


def is_stacked(sharing: Sequence[WeightLocation]) -> bool:
    """Whether these weights are stacked along a new first axis of one tensor."""
    return len(sharing) > 1 and sharing[0].storage.stacked


def locate_weights(model: Block, backend: str) -> list[WeightLocation]:
    """All weights of a model in graph order; a reused layer counts once."""
    target = load_backend(backend)
    top = build_classes(model, target)[-1].first_instance
    return list(visit_weights(top, (), (), backend))


def visit_weights(
    lowered: LoweredBlock, path: tuple[str, ...], above: tuple[str, ...], backend: str
) -> Iterator[WeightLocation]:
    for node in lowered.block.nodes:
        if node.reuses is not None:
            continue
        here = attribute_path(lowered, node.name, backend)
        if isinstance(node.op, Block):
            yield from visit_weights(lowered.children[node.name], (*path, node.name), (*above, here), backend)
        elif isinstance(node.op, Op):
            types = [None if ref is None else lowered.block.value_type(ref) for ref in node.inputs]
            for name, weight in node.op.weight_specs(*types).items():
                storage = lowered.weights[node.name][name]
                shape = tuple(concrete(n) for n in weight.axes.values())
                parts = [*above, here, *([storage.name] if storage.name else [])]
                if backend == "keras" and not storage.name and not above:
                    parts.append("value")
                yield WeightLocation(
                    ".".join((*path, node.name, name)),
                    name,
                    shape,
                    weight,
                    ("." if backend == "torch" else "/").join(parts),
                    storage,
                )


def locate_blocks(model: Block, backend: str) -> Iterator[tuple[str, Block, str]]:
    """All block instances of a model: each with the prefixes of its canonical and its framework paths."""

    separator = "." if backend == "torch" else "/"

    def visit_blocks(lowered: LoweredBlock, path: str, above: str) -> Iterator[tuple[str, Block, str]]:
        for node in lowered.block.nodes:
            if isinstance(node.op, Block) and node.reuses is None:
                here = f"{path}{node.name}."
                there = f"{above}{attribute_path(lowered, node.name, backend)}{separator}"
                yield here, node.op, there
                yield from visit_blocks(lowered.children[node.name], here, there)

    yield "", model, ""
    yield from visit_blocks(build_classes(model, load_backend(backend))[-1].first_instance, "", "")


def attribute_path(lowered: LoweredBlock, node: str, backend: str) -> str:
    """The part of a framework path that stands for a node.

    PyTorch separates it by dots; in Keras only rows of layers are nested.
    """
    if backend == "torch":
        graph_node = lowered.block.find_node(node)
        is_weight = graph_node is not None and isinstance(graph_node.op, WeightOp)
        return node.replace(".", "_") if is_weight else node
    for step in lowered.steps:
        is_layer_row = isinstance(step.member, Container) and not (
            step.member.is_loop or step.member.is_split
        )
        if is_layer_row and node.startswith(step.layer_name + "."):
            return f"{step.layer_name.replace('.', '_')}/{node[len(step.layer_name) + 1 :].replace('.', '/')}"
    return node.replace(".", "_")


def count_parameters(model: Block, backend: str = "torch") -> int:
    """The number of trainable values. It may differ by framework: one may store the sum of two weights."""
    trained = (weight for weight in locate_weights(model, backend) if weight.trained)
    return sum(map(tensor_size, group_by_tensor(trained).values()))


def tensor_size(weights: Sequence[WeightLocation]) -> int:
    """The number of values in the tensor that holds these weights."""
    return prod(weights[0].shape) if not weights[0].storage.stacked else sum(prod(w.shape) for w in weights)
