"""Short example specs of ops and blocks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct
from msgspec.structs import replace

from specbuild import ops
from specbuild.compiler.pipeline import Compilation, build_graph, elaborate_source
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.elaborate import StepElaborator, elaborate
from specbuild.elaborate.work_budget import MAX_VISITS
from specbuild.expressions import concrete
from specbuild.frontend.block_inputs import (
    declared_axes,
    declared_dtype,
    find_list_input,
    flatten_names,
    is_optional_input,
)
from specbuild.frontend.document import BlockDef, ParamDef, parse_spec
from specbuild.frontend.resolver import SpecFiles
from specbuild.frontend.source import Source
from specbuild.ir.graph import Block, walk_ops
from specbuild.ops import Op
from specbuild.ops.attribute_kinds import AxisMapping, AxisName, AxisNames, Integer, PerAxis, Real
from specbuild.ops.base import OpAttribute, list_attributes

AxisSizes = dict[str, Any]  # also with `axes` and `dtype`

EXAMPLES_FILE = Path(ops.__file__).with_name("examples.yaml")

# Usual sizes of an input: a feature map, a sequence, a vector.
MAPS: AxisSizes = {"C": 64, "H": 32, "W": 32}
SEQUENCE: AxisSizes = {"T": 16, "C": 64}
FEATURES: AxisSizes = {"C": 64}
SIZE_ERRORS = ("SB303", "SB304", "SB401", "SB402", "SB403", "SB501", "SB502", "SB503", "SB504")
TRIAL_VISITS = 5  # what reading an example costs, in visits of steps
USUAL_NUMBER = 64  # of a required parameter
DIVISIBLE_NUMBER = 720  # for a block that splits it into parts
RESULT = "result"  # the step of an example whose outputs come out
DEFAULT_VOCABULARY = 5  # integer inputs are below this if no step limits them
DEFAULT_SIZES = {**SEQUENCE, **MAPS, "D": 8, "S": 16}


class ExampleSpec(Struct, frozen=True):
    """The inputs and steps of a spec as text, and its model."""

    text: str
    model: Block


@cache
def load_examples() -> dict[str, str]:
    """Return examples written by hand, for ops that the default values do not fit."""
    examples: dict[str, str] = yaml.safe_load(EXAMPLES_FILE.read_text(encoding="utf-8"))
    return examples


def example_source(name: str) -> str:
    """Return an example written by hand as a whole spec."""
    return f"specbuild: 1\nmodel: Example\n{load_examples()[name]}"


def example_spec(entry: type[Op] | BlockDef) -> ExampleSpec | None:
    """Return a spec that uses the op or block; None if the default values do not fit."""
    if entry.name in load_examples():
        return ExampleSpec(load_examples()[entry.name], build_graph(example_source(entry.name)))
    for inputs, arguments in example_attempts(entry):
        try:
            value, compilation, sources = build_example(entry, inputs, arguments)
        except (SpecError, SpecErrors):
            continue
        text = "".join(example_lines(entry.name, inputs, value, sources))
        return ExampleSpec(text + output_lines(entry), compilation.annotated_graph)
    return None


def example_lines(name: str, inputs: dict[str, Any], value: Any, sources: list[str] | None) -> Iterator[str]:
    """Yield the lines of a spec with one step."""
    yield "inputs:\n"
    yield from (f"  {key}: {write_in_flow(axes)}\n" for key, axes in inputs.items())
    yield "steps:\n"
    yield (
        f"  - {name}: {write_in_flow(value)}\n" if value else f"  - {name}:\n" if sources else f"  - {name}\n"
    )
    yield f"    from: {write_in_flow(sources)}\n" if sources else ""


def output_lines(entry: type[Op] | BlockDef) -> str:
    """Return the lines of a spec after its step, with all outputs of the block, if it has several."""
    outputs = example_outputs(entry)
    return f"    as: {RESULT}\noutputs: {write_in_flow(outputs)}\n" if outputs else ""


def example_outputs(entry: type[Op] | BlockDef) -> dict[str, str]:
    """Return the outputs of an example, by name, of a block that has several; a model has its own."""
    if not isinstance(entry, BlockDef) or entry.model is not None or isinstance(entry.outputs, str):
        return {}
    names = list(entry.outputs or ())
    return {name: f"{RESULT}.{name}" for name in names} if len(names) > 1 else {}


def example_model(entry: BlockDef) -> Compilation | None:
    """Return the compilation of a model with this block as its only step; None if the default values do not fit."""
    if entry.name in load_examples():
        return elaborate_source(example_source(entry.name))
    for inputs, arguments in example_attempts(entry):
        try:
            return build_example(entry, inputs, arguments)[1]
        except (SpecError, SpecErrors):
            continue
    return None


class TrialWork(Struct):
    """The work of trying the unused blocks of a file: together as much as one model may take."""

    visit_count: int = 0

    @property
    def is_spent(self) -> bool:
        return self.visit_count > MAX_VISITS


def try_examples(definition: BlockDef, files: SpecFiles, work: TrialWork) -> tuple[bool, SpecError | None]:
    """Build a block of an opened file with example inputs.

    Returns whether one of the examples fits, and else the error that all of them meet, unless other sizes or
    arguments could mend it, or the blocks before took all the work.
    """
    fits, error = False, None
    for number in (USUAL_NUMBER, DIVISIBLE_NUMBER):
        fits, error = try_attempts(definition, files, work, number)
        if (
            fits
            or error is not None
            or not any(p.required and p.type == "int" for p in definition.params.values())
        ):
            break
    return fits, error


def try_attempts(
    definition: BlockDef, files: SpecFiles, work: TrialWork, number: int
) -> tuple[bool, SpecError | None]:
    """Build a block with example inputs, and a number for its required parameters; see `try_examples`."""
    errors: list[SpecError] = []
    for inputs, arguments in example_attempts(definition, number):
        text = example_text(definition, inputs, arguments)[1]
        if work.is_spent:
            return False, None
        elaborator = StepElaborator(files)
        spec = replace(parse_spec(Source(text, "<example>")), blocks={definition.name: definition})
        files.specs_by_source[spec.source] = spec
        try:
            elaborate(spec, files, elaborator=elaborator)
        except SpecError as error:
            errors.append(error)
        except SpecErrors as several:
            errors += several.errors
        else:
            return True, None
        finally:
            work.visit_count += TRIAL_VISITS + elaborator.instances.work.visit_count
    first = errors[0]
    is_certain = first.location is not None and first.location.file != "<example>"
    is_certain &= all((e.code, e.location) == (first.code, first.location) for e in errors)
    return False, first if is_certain and not can_fit_otherwise(definition, first.code) else None


def can_fit_otherwise(definition: BlockDef, code: str) -> bool:
    """Return whether a block that refuses its examples may take other sizes, other values or another block."""
    if code == "SB101":  # the example gives `none` for a block, which has other inputs
        return any(param.required and param.type == "block" for param in definition.params.values())
    declared = definition.inputs.values()
    axes = map(declared_axes, declared)
    has_known_axes = all(names is not None and "..." not in names for names in axes)
    has_indices = any(
        declared_dtype(raw) not in (None, "float") for raw in declared
    )  # perhaps not of the batch
    return code in SIZE_ERRORS or (code == "SB404" and (has_indices or not has_known_axes))


def build_example(
    entry: type[Op] | BlockDef, inputs: dict[str, AxisSizes], arguments: dict[str, Any]
) -> tuple[Any, Compilation, list[str] | None]:
    """Build a model with one step; returns the value under its name, the compilation, and its `from`."""
    value, text, sources = example_text(entry, inputs, arguments)
    return value, elaborate_source(text), sources


def example_text(
    entry: type[Op] | BlockDef, inputs: dict[str, AxisSizes], arguments: dict[str, Any]
) -> tuple[Any, str, list[str] | None]:
    """Return a spec with one step: the value under the name of the step, the text, and its `from`."""
    value: Any = arguments
    sources: Any = list(inputs) if len(inputs) > 1 else None
    if isinstance(entry, BlockDef) and find_list_input(entry.inputs):
        sources = example_sources(entry, list(inputs))
    if sources and not isinstance(entry, BlockDef) and entry.input_specs[0].variadic:
        value = {entry.input_specs[0].name: sources, **arguments} if arguments else sources
        sources = None
    step = {entry.name: value or None, **({"from": sources} if sources else {})}
    document = {"specbuild": 1, "model": "Example", "inputs": inputs, "steps": [step]}
    if outputs := example_outputs(entry):
        step["as"] = RESULT
        document["outputs"] = outputs
    text = json.dumps(document) + "\n"
    return value, text, sources


def write_in_flow(value: Any) -> str:
    """Format a mapping or a list as in a spec."""
    return json.dumps(value).replace('"', "")


def example_attempts(
    entry: type[Op] | BlockDef, number: int = USUAL_NUMBER
) -> list[tuple[dict[str, AxisSizes], dict[str, Any]]]:
    """Return the inputs and arguments to try, the best example first; a model has its own inputs."""
    if isinstance(entry, BlockDef):
        arguments = {p.name: example_argument(p, number) for p in entry.params.values() if p.required}
        if entry.model is not None:
            return [(dict(entry.inputs), arguments)]
        count = len(entry.inputs) + (find_list_input(entry.inputs) is not None)  # a list of two values
        declared = {
            name.replace(".", "_"): declared_axes(entry.inputs[name.partition(".")[0]])
            for name in flatten_names(entry.inputs, count)
        }
        needed = {
            name: axes for name, axes in declared.items() if not is_optional_input(entry.inputs.get(name))
        }
        return [
            (
                {name: with_dtype(entry, name, sizes_of_axes(axes, usual)) for name, axes in chosen.items()},
                arguments,
            )
            for chosen in ([declared] if needed == declared else [declared, needed])
            for usual in (MAPS, SEQUENCE, FEATURES)
        ]
    input_specs = [spec for spec in entry.input_specs if not spec.optional]
    names = ["a", "b"] if input_specs and input_specs[0].variadic else [spec.name for spec in input_specs]
    required = [a for a in list_attributes(entry).values() if a.is_required]
    return [
        (dict.fromkeys(names, usual) or {"x": usual}, {a.name: example_value(a, usual) for a in required})
        for usual in (MAPS, SEQUENCE, FEATURES)
    ]


def example_sources(block: BlockDef, names: list[str]) -> dict[str, Any]:
    """Return the `from` of a block with a list among its inputs, for inputs of the model with these names."""
    sources: dict[str, Any] = {}
    for name, source in zip(flatten_names(block.inputs, len(names)), names, strict=True):
        head, _, number = name.partition(".")
        sources[head] = [*sources.get(head, ()), source] if number else source
    return sources


def sizes_of_axes(declared: list[str] | None, usual: AxisSizes) -> AxisSizes:
    """Return sizes for the axes that a block input declares; `usual` if it takes any axes."""
    if declared is None:
        return usual
    sizes = {axis: DEFAULT_SIZES.get(axis, 16) for axis in declared if axis != "..."}
    return {**{a: n for a, n in usual.items() if "..." in declared}, **sizes}


def with_dtype(block: BlockDef, name: str, sizes: AxisSizes) -> AxisSizes:
    """Return the sizes of an input as a model declares them; with the dtype that the block asks for."""
    head = name if name in block.inputs else name.rpartition("_")[0]
    dtype = declared_dtype(block.inputs[head])
    return sizes if dtype in (None, "float") else {"axes": sizes, "dtype": dtype}


def example_argument(param: ParamDef, number: int) -> Any:
    """Return a value for a required parameter; `number` for a whole number."""
    if param.choices:
        return param.choices[0]
    return {"int": number, "float": 0.1, "number": 1, "bool": True, "block": "none", "list": [1, 1]}.get(
        param.type, "a"
    )


def example_value(attribute: OpAttribute, usual: AxisSizes) -> Any:
    """Return a value for a required attribute."""
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
    """Return the smallest number of possible indices among the steps that take indices as input."""
    limits: list[int] = []
    for _, node, block in walk_ops(model):
        if isinstance(node.op, Op):
            types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
            limits += map(concrete, node.op.index_limits(*types).values())
    return min(limits, default=DEFAULT_VOCABULARY)
