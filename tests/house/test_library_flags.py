"""Every flag and every choice of a block of the library does something, and leaves no step that nothing needs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

import specbuild
from specbuild.compiler.pipeline import Compilation, elaborate_model, open_spec
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.elaborate.notes import find_unread_parameters, output_notes, unused_step_notes
from specbuild.frontend.document import BlockDef, ParamDef, Spec, parse_spec
from specbuild.frontend.resolver import SpecFiles
from specbuild.frontend.source import Source
from specbuild.ir.graph import Block
from specbuild.summary.examples import example_attempts, example_source, example_text, load_examples

LIBRARY = Path(specbuild.__file__).parent / "library"
FILES = sorted(LIBRARY.rglob("*.yaml"))

# Arguments that a block needs to be built at all, or so that each of its choices matters.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "CrossStage": {"block": "DarkBlock"},
    "DarkStage": {"block": "DarkBlock"},
    "DualPath": {"added": 32, "growth": 16},
    "EdgeStage": {"kernel": 3, "scales": 2, "heads": 4},
    "MapDistanceLayer": {"stride": 2, "channels": 32, "features": 64},
    "MultiscaleLayer": {"channels": 32, "rows": 3, "columns": 5, "table": 5},
    "PartitionAttention": {"window": 8},
    "PartitionLayer": {"window": 8},
    "PlainConv": {"rows": 3},
    "PooledMBConv": {"channels": 32, "stride": 2},
    "PooledShortcutConv": {"channels": 32},
    "PositionedPatches": {"patch": 16},
    "PreActBasic": {"stride": 2},
    "PreActBottleneck": {"stride": 2},
    "PreActShortcut": {"stride": 2},
    "PreActStage": {"block": "PreActBasic", "stride": 2},
    "Res2NetScale": {"index": 1},
    "RotaryGridAttention": {"heads": 4, "rows": 3, "columns": 5},
    "RotaryGridLayer": {"heads": 4, "rows": 3, "columns": 5},
    "SelectiveBasic": {"stride": 2},
    "SqueezedBottleneck": {"stride": 2},
    "VideoPoolingAttention": {"channels": 32, "rows": 3, "columns": 5, "table": 5},
    **{f"TreeOf{levels}": {"block": "TreeBasic"} for levels in range(1, 6)},
}

# A flag that another file gives, where the block has one meaning for it; one that goes with other sizes of the inputs.
REFUSED = {
    ("WeightStandardizedConv", "bias"),
    ("NormalCell", "reduces"),
    ("ReductionCell", "reduces"),
    ("KerasScaling", "colours"),
}

Build = Callable[[dict[str, Any]], Compilation]  # of a block with these arguments


def other_values(param: ParamDef) -> list[Any]:
    """Return the values that a flag or a choice has beside its default."""
    if param.type == "bool":
        return [False, True] if param.default is None else [not param.default]
    values = ["none", "relu"] if param.type == "block" else list(param.choices or ())
    return [value for value in values if value != param.default]


def build_block(
    entry: BlockDef, spec: Spec, files: SpecFiles, document: dict[str, Any], arguments: dict[str, Any]
) -> Compilation:
    """Build the model of an example with other arguments for the block."""
    steps = [step if isinstance(step, dict) else {step: None} for step in document["steps"]]
    changed = [
        {**step, entry.name: {**(step[entry.name] or {}), **arguments}} if entry.name in step else step
        for step in steps
    ]
    assert any(entry.name in step for step in steps)
    text = json.dumps({**document, "steps": changed}) + "\n"
    example = replace(parse_spec(Source(text, "<example>")), blocks=spec.blocks)
    files.specs_by_source[example.source] = example
    return elaborate_model(example, files)


def example_documents(entry: BlockDef) -> Iterator[dict[str, Any]]:
    if entry.name in load_examples():
        yield yaml.safe_load(example_source(entry.name))
        return
    for inputs, arguments in example_attempts(entry):
        yield json.loads(example_text(entry, inputs, arguments)[1])


def find_builders(entry: BlockDef, spec: Spec, files: SpecFiles) -> Iterator[Build]:
    """Yield how a block is built with other arguments: its example, also with ARGUMENTS and without optional inputs."""
    if entry is spec.model:
        yield partial(elaborate_model, spec, files)
        return
    for beside in [{}, ARGUMENTS[entry.name]] if entry.name in ARGUMENTS else [{}]:
        fitting = set()
        for document in example_documents(entry):
            if tuple(document["inputs"]) in fitting:
                continue

            def build(
                arguments: dict[str, Any], document: Any = document, beside: Any = beside
            ) -> Compilation:
                return build_block(entry, spec, files, document, {**beside, **arguments})

            with contextlib.suppress(SpecError, SpecErrors):
                build({})
                fitting.add(tuple(document["inputs"]))
                yield build


def describe_graph(block: Block) -> tuple[Any, ...]:
    """Return all that a block computes, for a comparison."""
    nodes = (
        (
            node.name,
            describe_graph(node.op) if isinstance(node.op, Block) else repr(node.op),
            node.inputs,
            repr(node.scan),
        )
        for node in block.nodes
    )
    return (*nodes, *((name, output.ref) for name, output in block.outputs.items()))


def find_faults(entry: BlockDef, spec: Spec, files: SpecFiles) -> Iterator[str]:
    """Yield what is wrong with the choices of a block."""
    choices = [(param, value) for param in entry.params.values() for value in other_values(param)]
    if not choices:
        return
    builders = list(find_builders(entry, spec, files))
    if not builders:
        yield f"{entry.name}: no example fits; give it arguments in ARGUMENTS"
        return
    usual = [describe_graph(build({}).graph) for build in builders]
    for param, value in choices:
        choice, errors, has_effect = f"{entry.name}: {{{param.name}: {value}}}", [], False
        for build, other in zip(builders, usual, strict=True):
            try:
                compilation = build({param.name: value})
            except (SpecError, SpecErrors) as error:
                errors.append(error)
                continue
            notes = unused_step_notes(compilation.full_graph, compilation.graph)
            yield from (f"{choice}: {note}" for note in notes + output_notes(compilation.full_graph))
            has_effect |= describe_graph(compilation.graph) != other
        if has_effect or (errors and param.type == "block") or (entry.name, param.name) in REFUSED:
            continue
        yield f"{choice}: {errors[0]}" if errors else f"{choice} has no effect"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_choices_of_blocks(file: Path) -> None:
    spec, files = open_spec(file)
    entries = [*spec.blocks.values(), *([spec.model] if spec.model is not None else ())]
    assert not [fault for entry in entries for fault in find_faults(entry, spec, files)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_parameter_is_read(file: Path) -> None:
    data: Any = open_spec(file)[0].source.data
    definitions = {file.stem: data, **data.get("blocks", {})}
    unread = {(name, param) for name, raw in definitions.items() for param in find_unread_parameters(raw)}
    assert unread <= REFUSED


FAULTS = {
    "steps: [{conv: {channels: x.C}, as: a}, {relu: , from: x, when: on}]": "no output needs a",
    "steps: [{relu: , when: on or x.C > 0}]": "{on: False} has no effect",
    "steps: [{linear: {features: 2 if on else 0}}]": "Unit: {on: False}: error[SB",
}


@pytest.mark.parametrize("steps", FAULTS)
def test_faults_are_found(steps: str) -> None:
    spec, files = open_spec(
        f"specbuild: 1\nblocks:\n  Unit:\n    params: {{on: true}}\n    inputs: {{x: [C, H, W]}}\n    {steps}\n"
    )
    assert any(FAULTS[steps] in fault for fault in find_faults(spec.blocks["Unit"], spec, files))
