"""How an optimizer treats each weight: whether it decays, and how many layers come after it.

A layer is a step of the model, or of a model that is one of its steps, that holds a kernel. Layers after a weight are
counted along the longest way to an output: norms and tables count for nothing, and go with what is beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from specbuild.backends import load_backend
from specbuild.codegen.classes import build_classes
from specbuild.codegen.lowering import LoweredBlock
from specbuild.compiler.weight_locations import attribute_path, group_by_tensor, locate_weights
from specbuild.ir.graph import Block, Node, Skip
from specbuild.ops.base import Op


@dataclass(frozen=True)
class TrainedTensor:
    """A tensor of a framework that is trained, as an optimizer treats it: `paths` are those of the weights in it."""

    framework_path: str
    paths: tuple[str, ...]
    rank: int
    count: int  # of numbers
    decays: bool
    part: ModelPart

    @property
    def layers_after(self) -> int:
        return self.part.layers_after

    @property
    def name(self) -> str:
        """The last part of its path in the framework."""
        return self.framework_path.replace("/", ".").rpartition(".")[2]


@dataclass(frozen=True)
class ModelPart:
    """A step of the model, or of a model in it: its own path, the framework's, how many layers come after it."""

    path: str
    framework_path: str
    layers_after: int


def trained_tensors(model: Block, backend: str) -> list[TrainedTensor]:
    """Every tensor that is trained, in the order of the graph."""
    found = {part.path: part for part in model_parts(model, backend)}
    still = set(frozen_paths(model))
    made = []
    for kept, sharing in group_by_tensor(h for h in locate_weights(model, backend) if h.trained).items():
        if any(path in still for h in sharing for path in path_prefixes(h.path)):
            continue
        part = next(found[path] for path in path_prefixes(sharing[0].path) if path in found)
        rank = len(sharing[0].framework_shape) + (len(sharing) > 1 and sharing[0].storage.stacked)
        count = sum(prod(h.shape) for at, h in enumerate(sharing) if at == 0 or h.storage.stacked)
        paths = tuple(h.path for h in sharing)
        made.append(TrainedTensor(kept, paths, rank, count, sharing[0].decays, part))
    return made


@dataclass(frozen=True)
class LayerLevel:
    """The weights after which there are so many layers: the parts that they are in, how many decay and do not."""

    layers_after: int
    parts: tuple[str, ...]
    decaying: tuple[int, int]  # tensors, numbers
    others: tuple[int, int]


def layer_levels(model: Block) -> list[LayerLevel]:
    """The layers of a model from its input to its outputs."""
    by_level: dict[int, list[TrainedTensor]] = {}
    for one in trained_tensors(model, "torch"):
        by_level.setdefault(one.layers_after, []).append(one)
    made = []
    for after, members in sorted(by_level.items(), reverse=True):
        inside = tuple(dict.fromkeys(g.part.path for g in members))
        counts = [
            (len(some), sum(g.count for g in some))
            for some in ([g for g in members if g.decays], [g for g in members if not g.decays])
        ]
        made.append(LayerLevel(after, inside, *counts))
    return made


def optimizer_records(model: Block, rate: float) -> dict[str, dict[str, Any]]:
    """Every weight that is trained by its own path: where each framework keeps it, and how it is to be trained."""
    by_path = {g.paths: g for g in trained_tensors(model, "torch")}
    in_keras = {path: g.framework_path for g in trained_tensors(model, "keras") for path in g.paths}
    return {
        path: {
            "torch": g.framework_path,
            "keras": in_keras[path],
            "decay": g.decays,
            "layers_after": g.layers_after,
            "rate_scale": rate**g.layers_after,
        }
        for paths, g in by_path.items()
        for path in paths
    }


def path_prefixes(path: str) -> Iterator[str]:
    """`a`, `a.0`, `a.0.kernel` for the last of these."""
    parts = path.split(".")
    return (".".join(parts[:n]) for n in range(1, len(parts) + 1))


def model_parts(model: Block, backend: str) -> list[ModelPart]:
    """The steps of a model that hold weights; those of models in it one by one."""
    after, _ = count_layers_after(model, dict.fromkeys(model.outputs, 0))
    separator = "." if backend == "torch" else "/"

    def visit_parts(lowered: LoweredBlock, above: str, kept: str) -> Iterator[ModelPart]:
        for node in lowered.block.nodes:
            path, there = f"{above}{node.name}", f"{kept}{attribute_path(lowered, node.name, backend)}"
            if is_submodel(node) and node.reuses is None:
                yield from visit_parts(lowered.children[node.name], f"{path}.", f"{there}{separator}")
            elif path in after and has_kernel(node, lowered.block, any_kind=True):
                yield ModelPart(path, there, after[path])

    return list(visit_parts(build_classes(model, load_backend(backend))[-1].first_instance, "", ""))


def is_submodel(node: Node) -> bool:
    """Whether a step is a model of its own file, whose steps are layers."""
    return isinstance(node.op, Block) and not node.op.at.path


def count_layers_after(block: Block, ends: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """For each step with weights of its own, how many layers come after it; for each input, how many read it.

    `ends` says how many come after each output of the block.
    """
    after: dict[str, dict[str, int]] = {}  # of the values of a step or input, by their references
    found: dict[str, int] = {}

    def record_reader(ref: str | None, layers: int) -> None:
        if ref is not None:
            values = after.setdefault(ref.partition("@")[0], {})
            values[ref] = max(values.get(ref, 0), layers)

    for name, output in block.outputs.items():
        record_reader(output.ref, ends[name])
    for node in reversed(block.nodes):
        mine = after.get(node.name)
        if mine is None:
            continue
        layers, origin = max(mine.values()), node.reuses or node.name
        if is_submodel(node):
            assert isinstance(node.op, Block)
            first = next(iter(node.op.outputs))
            inner_ends = dict.fromkeys(node.op.outputs, 0)
            for ref, n in mine.items():
                own = ref.partition("@")[2] if "@" in ref else first
                inner_ends[own] = max(inner_ends[own], n)
            inside, begins = count_layers_after(node.op, inner_ends)
            for path, n in inside.items():
                whole = f"{origin}.{path}"
                found[whole] = max(found.get(whole, 0), n)
            for source, name in zip(node.inputs, node.op.inputs, strict=True):
                record_reader(source, begins.get(name, 0))
            continue
        found[origin] = max(found.get(origin, 0), layers)
        counts = layers + has_kernel(node, block)
        for source in node.inputs:
            record_reader(source, counts)
    return found, {name: after[name][name] for name in block.inputs if name in after}


def has_kernel(node: Node, block: Block, any_kind: bool = False) -> bool:
    """Whether a step holds a kernel, or with `any_kind` any weight that is trained."""
    if isinstance(node.op, Block):
        return any(has_kernel(inner, node.op, any_kind) for inner in node.op.nodes)
    if isinstance(node.op, Skip) or (any_kind and node.reuses):
        return False
    assert isinstance(node.op, Op)
    types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
    return any(w.decays or (any_kind and w.trainable) for w in node.op.weight_specs(*types).values())


def frozen_paths(model: Block, above: str = "") -> Iterator[str]:
    """The paths of what is not trained."""
    yield from (f"{above}{path}" for path in model.frozen_paths)
    for node in model.nodes:
        if isinstance(node.op, Block) and node.reuses is None:
            yield from frozen_paths(node.op, f"{above}{node.name}.")
