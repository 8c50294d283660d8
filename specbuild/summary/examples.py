"""Short example specs of ops and blocks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from specbuild import ops
from specbuild.compiler.pipeline import build_graph
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.expressions import concrete
from specbuild.frontend.document import BlockDef, ParamDef
from specbuild.ir.graph import Block, walk_ops
from specbuild.ops import Op
from specbuild.ops.attribute_kinds import AxisMapping, AxisName, AxisNames, Integer, PerAxis, Real
from specbuild.ops.base import OpAttribute, list_attributes

AxisSizes = dict[str, int]

EXAMPLES_FILE = Path(ops.__file__).with_name("examples.yaml")

# Usual sizes of an input: a feature map, a sequence, a vector.
MAPS: AxisSizes = {"C": 64, "H": 32, "W": 32}
SEQUENCE: AxisSizes = {"T": 16, "C": 64}
FEATURES: AxisSizes = {"C": 64}
DEFAULT_VOCABULARY = 5  # integer inputs are below this if no step limits them
DEFAULT_SIZES = {**SEQUENCE, **MAPS, "D": 8, "S": 16}


@dataclass(frozen=True)
class ExampleSpec:
    """The inputs and steps of a spec as text, and its model."""

    text: str
    model: Block


@cache
def load_examples() -> dict[str, str]:
    """Examples written by hand, for ops that the default values do not fit."""
    examples: dict[str, str] = yaml.safe_load(EXAMPLES_FILE.read_text(encoding="utf-8"))
    return examples


def example_spec(entry: type[Op] | BlockDef) -> ExampleSpec | None:
    """A spec that uses the op or block; None if the default values do not fit."""
    if entry.name in load_examples():
        text = load_examples()[entry.name]
        return ExampleSpec(text, build_graph(f"specbuild: 1\nmodel: Example\n{text}"))
    for inputs, arguments in example_attempts(entry):
        try:
            value, model, sources = build_example(entry, inputs, arguments)
        except (SpecError, SpecErrors):
            continue
        return ExampleSpec("".join(example_lines(entry.name, inputs, value, sources)), model)
    return None


def example_lines(name: str, inputs: dict[str, Any], value: Any, sources: list[str] | None) -> Iterator[str]:
    """The lines of a spec with one step."""
    yield "inputs:\n"
    yield from (f"  {key}: {format_flow(axes)}\n" for key, axes in inputs.items())
    yield "steps:\n"
    yield f"  - {name}: {format_flow(value)}\n" if value else f"  - {name}:\n" if sources else f"  - {name}\n"
    yield f"    from: {format_flow(sources)}\n" if sources else ""


def example_model(entry: BlockDef) -> Block | None:
    """A model with this block as its only step; None if the default values do not fit."""
    for inputs, arguments in example_attempts(entry):
        try:
            return build_example(entry, inputs, arguments)[1]
        except (SpecError, SpecErrors):
            continue
    return None


def build_example(
    entry: type[Op] | BlockDef, inputs: dict[str, AxisSizes], arguments: dict[str, Any]
) -> tuple[Any, Block, list[str] | None]:
    """Build a model with one step; returns the value under its name, the model, and its `from`."""
    value: Any = arguments
    sources = list(inputs) if len(inputs) > 1 else None
    if sources and not isinstance(entry, BlockDef) and entry.input_specs[0].variadic:
        value = {entry.input_specs[0].name: sources, **arguments} if arguments else sources
        sources = None
    step = {entry.name: value or None, **({"from": sources} if sources else {})}
    text = json.dumps({"specbuild": 1, "model": "Example", "inputs": inputs, "steps": [step]}) + "\n"
    return value, build_graph(text), sources


def format_flow(value: Any) -> str:
    """Format a mapping or a list as in a spec."""
    return json.dumps(value).replace('"', "")


def example_attempts(entry: type[Op] | BlockDef) -> list[tuple[dict[str, AxisSizes], dict[str, Any]]]:
    """The inputs and arguments to try, the best example first; a model has its own inputs."""
    if isinstance(entry, BlockDef):
        arguments = {p.name: example_argument(p) for p in entry.params.values() if p.required}
        if entry.model is not None:
            return [(dict(entry.inputs), arguments)]
        declared = entry.inputs.items()
        return [
            ({name: sizes_of_axes(axes, usual) for name, axes in declared}, arguments)
            for usual in (MAPS, SEQUENCE, FEATURES)
        ]
    input_specs = [spec for spec in entry.input_specs if not spec.optional]
    names = ["a", "b"] if input_specs and input_specs[0].variadic else [spec.name for spec in input_specs]
    required = [a for a in list_attributes(entry).values() if a.is_required]
    return [
        (dict.fromkeys(names, usual) or {"x": usual}, {a.name: example_value(a, usual) for a in required})
        for usual in (MAPS, SEQUENCE, FEATURES)
    ]


def sizes_of_axes(declared: Any, usual: AxisSizes) -> AxisSizes:
    """Sizes for the axes that a block input declares; `usual` if it takes any axes."""
    if declared is None:
        return usual
    sizes = {axis: DEFAULT_SIZES.get(axis, 16) for axis in declared if axis != "..."}
    return {**{a: n for a, n in usual.items() if "..." in declared}, **sizes}


def example_argument(param: ParamDef) -> Any:
    """A value for a required parameter."""
    if param.choices:
        return param.choices[0]
    return {"int": 64, "float": 0.1, "number": 1, "bool": True, "block": "none", "list": [1, 1]}.get(
        param.type, "a"
    )


def example_value(attribute: OpAttribute, usual: AxisSizes) -> Any:
    """A value for a required attribute."""
    kind = attribute.kind
    axes = [axis for axis in usual if axis != "C"] or ["C"]
    if isinstance(kind, AxisNames):
        return axes
    if isinstance(kind, AxisName):
        return axes[0]
    if isinstance(kind, AxisMapping):
        return dict.fromkeys(axes, 2)
    if isinstance(kind, PerAxis):
        return 2
    if isinstance(kind, Integer):
        return 64
    return 0.5 if isinstance(kind, Real) else None


def vocabulary_size(model: Block) -> int:
    """The smallest number of possible indices among the steps that take indices as input."""
    limits: list[int] = []
    for _, node, block in walk_ops(model):
        if isinstance(node.op, Op):
            types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
            limits += map(concrete, node.op.index_limits(*types).values())
    return min(limits, default=DEFAULT_VOCABULARY)
