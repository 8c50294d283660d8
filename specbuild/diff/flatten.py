"""Flatten a model to the list of its ops, each with its full path and its inputs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.expressions import concrete
from specbuild.ir.cost import Cost, CostCounter
from specbuild.ir.graph import Block, BlockArgument, Node, Ref, Skip
from specbuild.ops.base import Op
from specbuild.ops.initializers import Init
from specbuild.ops.table_expression import TableExpression
from specbuild.ops.types import TensorType

Shape = tuple[int, ...]


class StepWeight(Struct, frozen=True):
    """The shape of one weight, and whether it is trained."""

    shape: Shape
    is_trainable: bool

    @property
    def element_count(self) -> int:
        return prod(self.shape)


class FlatStep(Struct, frozen=True):
    """One op. Each of `sources` is the path of a step (`path@part` for a part) or the name of a model input.

    `is_named` is true if the author chose every part of the path: such a step is identified by its path.
    """

    path: str
    op: Op
    sources: tuple[str | None, ...]
    type: TensorType
    is_named: bool
    cost: Cost
    weights: Mapping[str, StepWeight]
    attributes: Mapping[str, str]
    reuses: str | None = None  # path of the step whose weights it shares

    @property
    def equivalence_key(self) -> tuple[Any, ...]:
        """Equal for steps with the same op, attributes and weight shapes."""
        return (
            self.op.name,
            tuple(self.attributes.items()),
            tuple((name, weight.shape) for name, weight in self.weights.items()),
            self.reuses is None,
        )


class BlockInstance(Struct, frozen=True):
    """A block in the model: its kind and its parameter values, without parameters that choose blocks."""

    path: str
    block_name: str
    params: Mapping[str, str]


class FlatModel(Struct, dict=True):
    """The steps, blocks, input types and output values of a model, by full path."""

    model: Block
    steps: dict[str, FlatStep] = field(default_factory=dict)
    instances: dict[str, BlockInstance] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)

    @cached_property
    def containers(self) -> frozenset[str]:
        """The paths of all blocks and groups; "" is the model itself."""
        return frozenset(["", *(prefix for path in self.steps for prefix in enclosing_paths(path))])

    def readers_by_step(self) -> dict[str, list[tuple[str, int]]]:
        """Return the readers of each step as (path, input number); a model output is the reader `>name`."""
        readers: dict[str, list[tuple[str, int]]] = {}
        for step in self.steps.values():
            for i, source in enumerate(step.sources):
                if source is not None:
                    readers.setdefault(source_step(source), []).append((step.path, i))
        for name, source in self.outputs.items():
            readers.setdefault(source_step(source), []).append((f">{name}", 0))
        return readers


def flatten_model(model: Block) -> FlatModel:
    """Flatten a model; its steps are in the order of computation."""
    flat = FlatModel(model, inputs={name: str(x) for name, x in model.inputs.items()})
    costs = CostCounter()

    def flatten_block(
        block: Block,
        values: dict[Ref, str],
        prefix: str,
        is_named: bool,
        reuses: str | None,
        times: int = 1,
    ) -> None:
        for node in block.nodes:
            path = f"{prefix}{node.name}"
            node_is_named = is_named and is_author_named(node, block)
            reused_path = f"{reuses}.{node.name}" if reuses else None
            if node.reuses:
                reused_path = f"{prefix}{node.reuses}"
            sources = tuple(None if ref is None else values[ref] for ref in node.inputs)
            if isinstance(node.op, Skip):
                values[node.name] = str(sources[0])
            elif isinstance(node.op, Block):
                inner: dict[Ref, str] = dict(zip(node.op.inputs, map(str, sources), strict=True))
                params = instance_params(node.op) | describe_scan(node, node.op)
                flat.instances[path] = BlockInstance(path, node.op.name, params)
                rounds = times * (concrete(node.scan.size) if node.scan else 1)
                flatten_block(node.op, inner, f"{path}.", node_is_named, reused_path, rounds)
                for name, output in node.op.outputs.items():
                    values.setdefault(node.name, inner[output.ref])
                    values[f"{node.name}@{name}"] = inner[output.ref]
            else:
                types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
                cost = costs.node_cost(node, block)
                cost = replace(cost, macs=times * cost.macs, activations=times * cost.activations)
                flat.steps[path] = FlatStep(
                    path,
                    node.op,
                    sources,
                    node.type,
                    node_is_named,
                    cost.reuse_cost if reused_path else cost,
                    {} if reused_path else step_weights(node.op, types),
                    {name: format_spec_value(value) for name, value in vars(node.op).items()},
                    reused_path,
                )
                values[node.name] = path
                for part in node.parts:
                    values[f"{node.name}@{part}"] = f"{path}@{part}"

    values: dict[Ref, str] = {name: name for name in model.inputs}
    flatten_block(model, values, "", True, None)
    flat.outputs = {name: values[output.ref] for name, output in model.outputs.items()}
    return flat


def instance_params(block: Block) -> dict[str, str]:
    return {
        name: format_spec_value(value)
        for name, value in block.params.items()
        if not isinstance(value, BlockArgument)
    }


def describe_scan(node: Node, block: Block) -> dict[str, str]:
    """Return how a block is scanned, with the step that each part of its state comes from, as an argument."""
    if node.scan is None:
        return {}
    state = ", ".join(f"{name} from {block.outputs[name].ref}" for name in node.scan.carried)
    return {"scan": f"{node.scan.over}{' reversed' if node.scan.reverse else ''}, {state}"}


def step_weights(op: Op, types: Sequence[TensorType | None]) -> dict[str, StepWeight]:
    """Return the weights of an op for inputs of these types."""
    return {
        name: StepWeight(tuple(concrete(n) for n in weight.axes.values()), weight.is_trainable)
        for name, weight in op.weight_specs(*types).items()
    }


def is_author_named(node: Node, block: Block) -> bool:
    """Return whether the author chose the name: with `as`, or as that of a member of a repeat."""
    group, _, last = node.name.rpartition(".")
    members = block.groups[group].members if group in block.groups else None
    return node.has_own_name or last in (members or ())


def source_step(source: str) -> str:
    """Return the path of the step that computes a value, or the name of a model input."""
    return source.partition("@")[0]


def format_spec_value(value: Any) -> str:
    """Format the value of an attribute or a parameter as in a spec."""
    if isinstance(value, bool | None):
        return json.dumps(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(format_spec_value, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {format_spec_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, BlockArgument):
        return f"{value.name}{format_spec_value(value.arguments)}" if value.arguments else value.name
    if isinstance(value, Init):
        return f"{value.kind}({', '.join(f'{n:g}' for n in value.args)})" if value.args else value.kind
    if isinstance(value, TableExpression):
        known_values = {name: concrete(n) for name, n in value.constants.items() if name.isidentifier()}
        return f"{value.text} with {format_spec_value(known_values)}" if known_values else value.text
    return str(concrete(value))


def enclosing_paths(path: str) -> Iterator[str]:
    """Return the paths of the blocks and groups around a step, outermost first: `layer1`, `layer1.0`."""
    parts = path.split(".")
    return (".".join(parts[:n]) for n in range(1, len(parts)))
