"""Where every weight of a model is kept: its canonical path, and its path and form in each framework."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from specbuild.backends import load
from specbuild.emit.lower import Lowered, Stored
from specbuild.emit.made import Container
from specbuild.emit.units import units
from specbuild.graph import Block
from specbuild.ops.base import Op
from specbuild.words import plain

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Held:
    """One weight: `path` and `shape` are canonical; `kept` is its path in the framework."""

    path: str
    name: str
    shape: tuple[int, ...]
    trained: bool
    kept: str
    stored: Stored

    def to_framework(self, value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The canonical tensor as the framework keeps it."""
        if self.stored.shape is not None:
            value = value.reshape(self.stored.shape)
        return value if self.stored.order is None else value.transpose(self.stored.order)

    def from_framework(self, value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The framework's tensor as the canonical one."""
        if self.stored.order is not None:
            inverse = sorted(range(len(self.stored.order)), key=self.stored.order.__getitem__)
            value = value.transpose(inverse)
        return value.reshape(self.shape)


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
                yield Held(".".join((*path, node.name, name)), name, shape, weight.trained, ("." if backend == "torch" else "/").join(parts), stored)


def attribute(lowered: Lowered, node: str, backend: str) -> str:
    """How a framework's path speaks of a node: dots in PyTorch; in Keras only a row of layers nests."""
    if backend == "torch":
        return node
    for step in lowered.steps:
        if isinstance(step.make, Container) and not step.make.loop and node.startswith(step.holder + "."):
            return f"{step.holder.replace('.', '_')}/{node[len(step.holder) + 1 :].replace('.', '/')}"
    return node.replace(".", "_")


def parameters(model: Block) -> int:
    """How many numbers a model learns."""
    return sum(prod(h.shape) for h in held(model, "torch") if h.trained)
