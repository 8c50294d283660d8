"""Where every weight of a model is kept: its canonical path, and its path and form in each framework."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.backends import load
from specbuild.codegen.classes import units
from specbuild.codegen.constructions import Container
from specbuild.codegen.lowering import Lowered, Stored
from specbuild.expressions import plain
from specbuild.ir.graph import Block
from specbuild.ops.base import Op
from specbuild.ops.table import Weight as Tensor

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Held:
    """One weight: `path` and `shape` are canonical; `kept` is its path in the framework."""

    path: str
    name: str
    shape: tuple[int, ...]
    trained: bool
    decays: bool
    kept: str
    stored: Stored

    @property
    def kept_shape(self) -> tuple[int, ...]:
        """The shape of the framework's tensor, or of this weight's part of it."""
        shape = self.stored.shape or self.shape
        return shape if self.stored.order is None else tuple(shape[i] for i in self.stored.order)

    def to_framework(self, value: Array) -> Array:
        """The canonical tensor as the framework keeps it; if it shares a place, its part of what is there."""
        if self.stored.blocks is not None:
            value = reordered(value, self.stored.blocks)
        if self.stored.shape is not None:
            value = value.reshape(self.stored.shape)
        return value if self.stored.order is None else value.transpose(self.stored.order)

    def from_framework(self, value: Array) -> Array:
        """The framework's tensor as the canonical one."""
        if self.stored.order is not None:
            value = value.transpose(inverse(self.stored.order))
        value = value.reshape(self.shape)
        return value if self.stored.blocks is None else reordered(value, inverse(self.stored.blocks))

    def turned(self, value: Array) -> Array | None:
        """A framework's tensor of another size in the order of the canonical one, if its axes are told by that."""
        while value.ndim > len(self.shape) and value.shape[0] == 1:
            value = value[0]
        if self.stored.blocks is not None or self.stored.shape is not None or value.ndim != len(self.shape):
            return None
        return value if self.stored.order is None else value.transpose(inverse(self.stored.order))


def reordered(value: Array, blocks: Sequence[int]) -> Array:
    """The equal parts of the first axis in another order."""
    parts = value.reshape(len(blocks), -1, *value.shape[1:])
    return parts[list(blocks)].reshape(value.shape)


def inverse(order: Sequence[int]) -> list[int]:
    return sorted(range(len(order)), key=order.__getitem__)


def to_framework(weights: Iterable[Held], values: Mapping[str, Array]) -> dict[str, Array]:
    """Canonical tensors, by path, as a framework keeps them, by its own paths."""
    found: dict[str, Array] = {}
    for place, sharing in shared(weights).items():
        pieces = [h.to_framework(values[h.path]) for h in sharing]
        if len(pieces) == 1:
            found[place] = pieces[0]
        elif sharing[0].stored.stacked:
            found[place] = pieces[0][None].repeat(len(pieces), 0)
            for at, piece in enumerate(pieces):
                found[place][at] = piece
        else:
            found[place] = sum(pieces[1:], pieces[0])
    return found


def from_framework(
    weights: Iterable[Held], values: Mapping[str, Array], gradients: bool = False
) -> dict[str, Array]:
    """A framework's tensors, as far as they are weights of the model, in canonical form and by canonical path.

    What it keeps as a sum goes to the first of the summands; the gradient of a sum is that of each.
    """
    found: dict[str, Array] = {}
    for place, sharing in shared(weights).items():
        if place not in values:
            continue
        for at, h in enumerate(sharing):
            piece = values[place][at] if h.stored.stacked else values[place]
            whole = len(sharing) == 1 or h.stored.stacked or gradients or at == 0
            found[h.path] = h.from_framework(piece if whole else piece * 0)
    return found


def shared(weights: Iterable[Held]) -> dict[str, list[Held]]:
    """The weights that each tensor of a framework holds."""
    found: dict[str, list[Held]] = {}
    for h in weights:
        found.setdefault(h.kept, []).append(h)
    return found


def kept_shapes(weights: Iterable[Held]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a framework that holds weights, by its path there."""
    return {
        place: (len(sharing), *sharing[0].kept_shape) if stacked(sharing) else sharing[0].kept_shape
        for place, sharing in shared(weights).items()
    }


def stacked(sharing: Sequence[Held]) -> bool:
    """Whether one tensor holds these weights one after another."""
    return len(sharing) > 1 and sharing[0].stored.stacked


def held(model: Block, backend: str) -> list[Held]:
    """Every weight of a model, in the order of the graph; what is used again is told once."""
    target = load(backend)
    top = units(model, target)[-1].first
    return list(visit(top, (), (), backend))


def visit(lowered: Lowered, path: tuple[str, ...], kept: tuple[str, ...], backend: str) -> Iterator[Held]:
    for node in lowered.block.nodes:
        if node.reuses is not None:
            continue
        here = attribute(lowered, node.name, backend)
        if isinstance(node.op, Block):
            yield from visit(lowered.children[node.name], (*path, node.name), (*kept, here), backend)
        elif isinstance(node.op, Op):
            types = [None if ref is None else lowered.block.typed(ref) for ref in node.inputs]
            for name, weight in node.op.weights(*types).items():
                stored = lowered.weights[node.name][name]
                shape = tuple(plain(n) for n in weight.axes.values())
                parts = [*kept, here, *([stored.name] if stored.name else [])]
                if backend == "keras" and not stored.name and not kept:
                    parts.append("value")
                yield Held(
                    ".".join((*path, node.name, name)),
                    name,
                    shape,
                    weight.trained,
                    weight.decays,
                    ("." if backend == "torch" else "/").join(parts),
                    stored,
                )


def placed(model: Block, backend: str) -> Iterator[tuple[str, Block, str]]:
    """Every block instance of a model: its canonical path, itself, and what its paths begin with in a framework."""

    def inside(lowered: Lowered, path: str, kept: str) -> Iterator[tuple[str, Block, str]]:
        for node in lowered.block.nodes:
            if isinstance(node.op, Block) and node.reuses is None:
                here = f"{path}{node.name}."
                there = f"{kept}{attribute(lowered, node.name, backend)}{'.' if backend == 'torch' else '/'}"
                yield here, node.op, there
                yield from inside(lowered.children[node.name], here, there)

    yield "", model, ""
    yield from inside(units(model, load(backend))[-1].first, "", "")


def attribute(lowered: Lowered, node: str, backend: str) -> str:
    """How a framework's path speaks of a node: dots in PyTorch; in Keras only a row of layers nests."""
    if backend == "torch":
        held = lowered.block.node(node)
        return node.replace(".", "_") if held is not None and isinstance(held.op, Tensor) else node
    for step in lowered.steps:
        row = isinstance(step.make, Container) and not (step.make.loop or step.make.cut)
        if row and node.startswith(step.holder + "."):
            return f"{step.holder.replace('.', '_')}/{node[len(step.holder) + 1 :].replace('.', '/')}"
    return node.replace(".", "_")


def parameters(model: Block, backend: str = "torch") -> int:
    """How many numbers a model learns; one framework may keep as a sum what another keeps apart."""
    trained = shared(h for h in held(model, backend) if h.trained).values()
    return sum(
        prod(h.shape) for sharing in trained for at, h in enumerate(sharing) if at == 0 or h.stored.stacked
    )
