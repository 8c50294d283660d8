"""Where every weight of a model is kept: its canonical path, and its path and form in each framework."""

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
from specbuild.ops.table import Weight as Tensor

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True)
class WeightLocation:
    """One weight: `path` and `shape` are canonical; `kept` is its path in the framework."""

    path: str
    name: str
    shape: tuple[int, ...]
    trained: bool
    decays: bool
    framework_path: str
    storage: Storage

    @property
    def framework_shape(self) -> tuple[int, ...]:
        """The shape of the framework's tensor, or of this weight's part of it."""
        shape = self.storage.shape or self.shape
        return shape if self.storage.order is None else tuple(shape[i] for i in self.storage.order)

    def to_framework(self, value: Array) -> Array:
        """The canonical tensor as the framework keeps it; if it shares a place, its part of what is there."""
        if self.storage.blocks is not None:
            value = reorder_blocks(value, self.storage.blocks)
        if self.storage.shape is not None:
            value = value.reshape(self.storage.shape)
        return value if self.storage.order is None else value.transpose(self.storage.order)

    def from_framework(self, value: Array) -> Array:
        """The framework's tensor as the canonical one."""
        if self.storage.order is not None:
            value = value.transpose(inverse_order(self.storage.order))
        value = value.reshape(self.shape)
        return (
            value
            if self.storage.blocks is None
            else reorder_blocks(value, inverse_order(self.storage.blocks))
        )

    def in_canonical_order(self, value: Array) -> Array | None:
        """A framework's tensor of another size in the order of the canonical one, if its axes are told by that."""
        while value.ndim > len(self.shape) and value.shape[0] == 1:
            value = value[0]
        if self.storage.blocks is not None or self.storage.shape is not None or value.ndim != len(self.shape):
            return None
        return value if self.storage.order is None else value.transpose(inverse_order(self.storage.order))


def reorder_blocks(value: Array, blocks: Sequence[int]) -> Array:
    """The equal parts of the first axis in another order."""
    parts = value.reshape(len(blocks), -1, *value.shape[1:])
    return parts[list(blocks)].reshape(value.shape)


def inverse_order(order: Sequence[int]) -> list[int]:
    return sorted(range(len(order)), key=order.__getitem__)


def to_framework(weights: Iterable[WeightLocation], values: Mapping[str, Array]) -> dict[str, Array]:
    """Canonical tensors, by path, as a framework keeps them, by its own paths."""
    found: dict[str, Array] = {}
    for place, sharing in group_by_tensor(weights).items():
        pieces = [h.to_framework(values[h.path]) for h in sharing]
        if len(pieces) == 1:
            found[place] = pieces[0]
        elif sharing[0].storage.stacked:
            found[place] = pieces[0][None].repeat(len(pieces), 0)
            for at, piece in enumerate(pieces):
                found[place][at] = piece
        else:
            found[place] = sum(pieces[1:], pieces[0])
    return found


def from_framework(
    weights: Iterable[WeightLocation], values: Mapping[str, Array], gradients: bool = False
) -> dict[str, Array]:
    """A framework's tensors, as far as they are weights of the model, in canonical form and by canonical path.

    What it keeps as a sum goes to the first of the summands; the gradient of a sum is that of each.
    """
    found: dict[str, Array] = {}
    for place, sharing in group_by_tensor(weights).items():
        if place not in values:
            continue
        for at, h in enumerate(sharing):
            piece = values[place][at] if h.storage.stacked else values[place]
            whole = len(sharing) == 1 or h.storage.stacked or gradients or at == 0
            found[h.path] = h.from_framework(piece if whole else piece * 0)
    return found


def group_by_tensor(weights: Iterable[WeightLocation]) -> dict[str, list[WeightLocation]]:
    """The weights that each tensor of a framework holds."""
    found: dict[str, list[WeightLocation]] = {}
    for h in weights:
        found.setdefault(h.framework_path, []).append(h)
    return found


def framework_shapes(weights: Iterable[WeightLocation]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a framework that holds weights, by its path there."""
    return {
        place: (len(sharing), *sharing[0].framework_shape)
        if is_stacked(sharing)
        else sharing[0].framework_shape
        for place, sharing in group_by_tensor(weights).items()
    }


def is_stacked(sharing: Sequence[WeightLocation]) -> bool:
    """Whether one tensor holds these weights one after another."""
    return len(sharing) > 1 and sharing[0].storage.stacked


def locate_weights(model: Block, backend: str) -> list[WeightLocation]:
    """Every weight of a model, in the order of the graph; what is used again is told once."""
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
                stored = lowered.weights[node.name][name]
                shape = tuple(concrete(n) for n in weight.axes.values())
                parts = [*above, here, *([stored.name] if stored.name else [])]
                if backend == "keras" and not stored.name and not above:
                    parts.append("value")
                yield WeightLocation(
                    ".".join((*path, node.name, name)),
                    name,
                    shape,
                    weight.trainable,
                    weight.decays,
                    ("." if backend == "torch" else "/").join(parts),
                    stored,
                )


def locate_blocks(model: Block, backend: str) -> Iterator[tuple[str, Block, str]]:
    """Every block instance of a model: its canonical path, itself, and what its paths begin with in a framework."""

    def visit_blocks(lowered: LoweredBlock, path: str, above: str) -> Iterator[tuple[str, Block, str]]:
        for node in lowered.block.nodes:
            if isinstance(node.op, Block) and node.reuses is None:
                here = f"{path}{node.name}."
                there = f"{above}{attribute_path(lowered, node.name, backend)}{'.' if backend == 'torch' else '/'}"
                yield here, node.op, there
                yield from visit_blocks(lowered.children[node.name], here, there)

    yield "", model, ""
    yield from visit_blocks(build_classes(model, load_backend(backend))[-1].first_instance, "", "")


def attribute_path(lowered: LoweredBlock, node: str, backend: str) -> str:
    """How a framework's path speaks of a node: dots in PyTorch; in Keras only a row of layers nests."""
    if backend == "torch":
        held = lowered.block.find_node(node)
        return node.replace(".", "_") if held is not None and isinstance(held.op, Tensor) else node
    for step in lowered.steps:
        row = isinstance(step.member, Container) and not (step.member.is_loop or step.member.is_split)
        if row and node.startswith(step.layer_name + "."):
            return f"{step.layer_name.replace('.', '_')}/{node[len(step.layer_name) + 1 :].replace('.', '/')}"
    return node.replace(".", "_")


def count_parameters(model: Block, backend: str = "torch") -> int:
    """How many numbers a model learns; one framework may keep as a sum what another keeps apart."""
    trained = group_by_tensor(h for h in locate_weights(model, backend) if h.trained).values()
    return sum(
        prod(h.shape) for sharing in trained for at, h in enumerate(sharing) if at == 0 or h.storage.stacked
    )
