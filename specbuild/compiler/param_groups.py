"""How an optimizer treats each weight: whether it decays, and how many layers come after it.

A layer is a step of the model, or of a model that is one of its steps, that holds a kernel. Layers after a weight are
counted along the longest way to an output: norms and tables count for nothing, and go with what is beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from specbuild.backends import load
from specbuild.codegen.classes import units
from specbuild.codegen.lowering import Lowered
from specbuild.compiler.weight_locations import attribute, held, shared
from specbuild.ir.graph import Block, Node, Skip
from specbuild.ops.base import Op


@dataclass(frozen=True)
class Grouped:
    """A tensor of a framework that is trained, as an optimizer treats it: `paths` are those of the weights in it."""

    kept: str
    paths: tuple[str, ...]
    rank: int
    count: int  # of numbers
    decays: bool
    part: Part

    @property
    def after(self) -> int:
        return self.part.after

    @property
    def name(self) -> str:
        """The last part of its path in the framework."""
        return self.kept.replace("/", ".").rpartition(".")[2]


@dataclass(frozen=True)
class Part:
    """A step of the model, or of a model in it: its own path, the framework's, how many layers come after it."""

    path: str
    kept: str
    after: int


def grouped(model: Block, backend: str) -> list[Grouped]:
    """Every tensor that is trained, in the order of the graph."""
    found = {part.path: part for part in parts(model, backend)}
    still = set(frozen(model))
    made = []
    for kept, sharing in shared(h for h in held(model, backend) if h.trained).items():
        if any(path in still for h in sharing for path in around(h.path)):
            continue
        part = next(found[path] for path in around(sharing[0].path) if path in found)
        rank = len(sharing[0].kept_shape) + (len(sharing) > 1 and sharing[0].stored.stacked)
        count = sum(prod(h.shape) for at, h in enumerate(sharing) if at == 0 or h.stored.stacked)
        paths = tuple(h.path for h in sharing)
        made.append(Grouped(kept, paths, rank, count, sharing[0].decays, part))
    return made


@dataclass(frozen=True)
class Level:
    """The weights after which there are so many layers: the parts that they are in, how many decay and do not."""

    after: int
    parts: tuple[str, ...]
    decaying: tuple[int, int]  # tensors, numbers
    others: tuple[int, int]


def levels(model: Block) -> list[Level]:
    """The layers of a model from its input to its outputs."""
    by_level: dict[int, list[Grouped]] = {}
    for one in grouped(model, "torch"):
        by_level.setdefault(one.after, []).append(one)
    made = []
    for after, members in sorted(by_level.items(), reverse=True):
        inside = tuple(dict.fromkeys(g.part.path for g in members))
        counts = [
            (len(some), sum(g.count for g in some))
            for some in ([g for g in members if g.decays], [g for g in members if not g.decays])
        ]
        made.append(Level(after, inside, *counts))
    return made


def records(model: Block, rate: float) -> dict[str, dict[str, Any]]:
    """Every weight that is trained by its own path: where each framework keeps it, and how it is to be trained."""
    by_path = {g.paths: g for g in grouped(model, "torch")}
    in_keras = {path: g.kept for g in grouped(model, "keras") for path in g.paths}
    return {
        path: {
            "torch": g.kept,
            "keras": in_keras[path],
            "decay": g.decays,
            "layers_after": g.after,
            "rate_scale": rate**g.after,
        }
        for paths, g in by_path.items()
        for path in paths
    }


def around(path: str) -> Iterator[str]:
    """`a`, `a.0`, `a.0.kernel` for the last of these."""
    parts = path.split(".")
    return (".".join(parts[:n]) for n in range(1, len(parts) + 1))


def parts(model: Block, backend: str) -> list[Part]:
    """The steps of a model that hold weights; those of models in it one by one."""
    after, _ = layers_after(model, dict.fromkeys(model.outputs, 0))
    separator = "." if backend == "torch" else "/"

    def visit(lowered: Lowered, above: str, kept: str) -> Iterator[Part]:
        for node in lowered.block.nodes:
            path, there = f"{above}{node.name}", f"{kept}{attribute(lowered, node.name, backend)}"
            if opened(node) and node.reuses is None:
                yield from visit(lowered.children[node.name], f"{path}.", f"{there}{separator}")
            elif path in after and holds(node, lowered.block, any_kind=True):
                yield Part(path, there, after[path])

    return list(visit(units(model, load(backend))[-1].first, "", ""))


def opened(node: Node) -> bool:
    """Whether a step is a model of its own file, whose steps are layers."""
    return isinstance(node.op, Block) and not node.op.at.path


def layers_after(block: Block, ends: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """For each step with weights of its own, how many layers come after it; for each input, how many read it.

    `ends` says how many come after each output of the block.
    """
    after: dict[str, dict[str, int]] = {}  # of the values of a step or input, by their references
    found: dict[str, int] = {}

    def read(ref: str | None, layers: int) -> None:
        if ref is not None:
            values = after.setdefault(ref.partition("@")[0], {})
            values[ref] = max(values.get(ref, 0), layers)

    for name, output in block.outputs.items():
        read(output.ref, ends[name])
    for node in reversed(block.nodes):
        mine = after.get(node.name)
        if mine is None:
            continue
        layers, origin = max(mine.values()), node.reuses or node.name
        if opened(node):
            assert isinstance(node.op, Block)
            first = next(iter(node.op.outputs))
            inner_ends = dict.fromkeys(node.op.outputs, 0)
            for ref, n in mine.items():
                own = ref.partition("@")[2] if "@" in ref else first
                inner_ends[own] = max(inner_ends[own], n)
            inside, begins = layers_after(node.op, inner_ends)
            for path, n in inside.items():
                whole = f"{origin}.{path}"
                found[whole] = max(found.get(whole, 0), n)
            for source, name in zip(node.inputs, node.op.inputs, strict=True):
                read(source, begins.get(name, 0))
            continue
        found[origin] = max(found.get(origin, 0), layers)
        counts = layers + holds(node, block)
        for source in node.inputs:
            read(source, counts)
    return found, {name: after[name][name] for name in block.inputs if name in after}


def holds(node: Node, block: Block, any_kind: bool = False) -> bool:
    """Whether a step holds a kernel, or with `any_kind` any weight that is trained."""
    if isinstance(node.op, Block):
        return any(holds(inner, node.op, any_kind) for inner in node.op.nodes)
    if isinstance(node.op, Skip) or (any_kind and node.reuses):
        return False
    assert isinstance(node.op, Op)
    types = [None if ref is None else block.typed(ref) for ref in node.inputs]
    return any(w.decays or (any_kind and w.trained) for w in node.op.weights(*types).values())


def frozen(model: Block, above: str = "") -> Iterator[str]:
    """The paths of what is not trained."""
    yield from (f"{above}{path}" for path in model.frozen)
    for node in model.nodes:
        if isinstance(node.op, Block) and node.reuses is None:
            yield from frozen(node.op, f"{above}{node.name}.")
