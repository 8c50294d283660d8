"""A model as the flat list of its ops, each with its whole path and what it reads: what two models are compared by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

from specbuild.expressions import plain
from specbuild.ir.cost import Cost, Costs
from specbuild.ir.graph import Block, Chosen, Node, Ref, Skip
from specbuild.ops.attribute_kinds import Init
from specbuild.ops.base import Op
from specbuild.ops.expression import Expression
from specbuild.ops.types import Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Held:
    """One weight of a step: its shape, and whether it is trained."""

    shape: Shape
    trained: bool

    @property
    def size(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class Step:
    """One op. `sources` name what it reads: the path of a step (`path@part` for a part), or an input of the model.

    `named` if the author chose every part of its path, so that it is the same step wherever the path is the same.
    """

    path: str
    op: Op
    sources: tuple[str | None, ...]
    type: Tensor
    named: bool
    cost: Cost
    weights: Mapping[str, Held]
    attributes: Mapping[str, str]
    reuses: str | None = None  # the path of the step whose weights it uses again

    @property
    def form(self) -> tuple[Any, ...]:
        """Equal for two steps that do the same with weights of the same shapes."""
        return (
            self.op.name,
            tuple(self.attributes.items()),
            tuple((name, held.shape) for name, held in self.weights.items()),
            self.reuses is None,
        )


@dataclass(frozen=True)
class Instance:
    """One block in the model: its kind, and the values of its parameters, but for blocks: those tell themselves."""

    path: str
    kind: str
    params: Mapping[str, str]


@dataclass
class Flat:
    """A model laid flat. `outputs` name the values that come out."""

    model: Block
    steps: dict[str, Step] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)

    @cached_property
    def around(self) -> frozenset[str]:
        """Every block and group that holds steps; the model itself is one."""
        return frozenset(["", *(prefix for path in self.steps for prefix in prefixes(path))])

    def consumers(self) -> dict[str, list[tuple[str, int]]]:
        """Who reads each step, and as which of its inputs; an output of the model reads too."""
        found: dict[str, list[tuple[str, int]]] = {}
        for step in self.steps.values():
            for i, source in enumerate(step.sources):
                if source is not None:
                    found.setdefault(step_of(source), []).append((step.path, i))
        for name, source in self.outputs.items():
            found.setdefault(step_of(source), []).append((f">{name}", 0))
        return found


def flat(model: Block) -> Flat:
    """The ops of a model, in the order in which they are computed."""
    found = Flat(model, inputs={name: str(x) for name, x in model.inputs.items()})
    costs = Costs()

    def visit(block: Block, values: dict[Ref, str], above: str, named: bool, reuses: str | None) -> None:
        for node in block.nodes:
            path = f"{above}{node.name}"
            mine = named and chosen(node, block)
            again = f"{above}{node.reuses}" if node.reuses else f"{reuses}.{node.name}" if reuses else None
            sources = tuple(None if ref is None else values[ref] for ref in node.inputs)
            if isinstance(node.op, Skip):
                values[node.name] = str(sources[0])
            elif isinstance(node.op, Block):
                inner: dict[Ref, str] = dict(zip(node.op.inputs, map(str, sources), strict=True))
                params = {n: told(v) for n, v in node.op.params.items() if not isinstance(v, Chosen)}
                found.instances[path] = Instance(path, node.op.kind, params)
                visit(node.op, inner, f"{path}.", mine, again)
                for name, output in node.op.outputs.items():
                    values.setdefault(node.name, inner[output.ref])
                    values[f"{node.name}@{name}"] = inner[output.ref]
            else:
                types = [None if ref is None else block.typed(ref) for ref in node.inputs]
                weights = {} if again else node.op.weights(*types)
                held = {
                    name: Held(tuple(plain(n) for n in w.axes.values()), w.trained)
                    for name, w in weights.items()
                }
                cost = costs.node(node, block)
                attributes = {name: told(value) for name, value in vars(node.op).items()}
                found.steps[path] = Step(
                    path,
                    node.op,
                    sources,
                    node.type,
                    mine,
                    cost.again if again else cost,
                    held,
                    attributes,
                    again,
                )
                values[node.name] = path
                for part in node.parts:
                    values[f"{node.name}@{part}"] = f"{path}@{part}"

    values: dict[Ref, str] = {name: name for name in model.inputs}
    visit(model, values, "", True, None)
    found.outputs = {name: values[output.ref] for name, output in model.outputs.items()}
    return found


def chosen(node: Node, block: Block) -> bool:
    """Whether a name is the author's: given with `as`, or a number in a repeat."""
    group, _, last = node.name.rpartition(".")
    return node.named or (last.isdigit() and group in block.groups and block.groups[group].length is not None)


def step_of(source: str) -> str:
    """The step that gives a value; an input of the model stands for itself."""
    return source.partition("@")[0]


def told(value: Any) -> str:
    """The value of an attribute or a parameter, as an author writes it."""
    if isinstance(value, bool | None):
        return json.dumps(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(told, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {told(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, Chosen):
        return f"{value.kind}{told(value.arguments)}" if value.arguments else value.kind
    if isinstance(value, Init):
        return f"{value.kind}({', '.join(f'{n:g}' for n in value.args)})" if value.args else value.kind
    if isinstance(value, Expression):
        known = {name: plain(n) for name, n in value.values.items() if name.isidentifier()}
        return f"{value.text} with {told(known)}" if known else value.text
    return str(plain(value))


def prefixes(path: str) -> Iterator[str]:
    """What stands around a step, the widest first: `layer1`, `layer1.0`."""
    parts = path.split(".")
    return (".".join(parts[:n]) for n in range(1, len(parts)))
