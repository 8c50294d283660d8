"""An op or a block in use: the smallest spec that has it, and all that follows from that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from docs.pages import markdown
from specbuild.backends import NAMES
from specbuild.build import compile_source, graph
from specbuild.cost import cost
from specbuild.errors import SpecError, SpecErrors
from specbuild.example import attempts, flow, model_of
from specbuild.graph import Block
from specbuild.ops import Op
from specbuild.spec import BlockDef
from specbuild.summary import short
from specbuild.weights.held import held

WRITTEN = Path(__file__).with_name("examples.yaml")  # for ops that no usual value fits
TITLES = {"torch": "PyTorch", "keras": "Keras"}


@dataclass(frozen=True)
class Sample:
    """A spec's inputs and steps as text, and its model."""

    text: str
    model: Block


@cache
def written() -> dict[str, str]:
    """The examples that were thought of by a person."""
    found: dict[str, str] = yaml.safe_load(WRITTEN.read_text(encoding="utf-8"))
    return found


def sample(entry: type[Op] | BlockDef) -> Sample | None:
    """The entry in use; None where nothing usual fits."""
    if entry.name in written():
        text = written()[entry.name]
        return Sample(text, model(text))
    for inputs, arguments in attempts(entry):
        try:
            value, _, sources = model_of(entry, inputs, arguments)
        except (SpecError, SpecErrors):
            continue
        text = "".join(spec_lines(entry.name, inputs, value, sources))
        return Sample(text, model(text))
    return None


def spec_lines(name: str, inputs: dict[str, Any], value: Any, sources: list[str] | None) -> Iterator[str]:
    yield "inputs:\n"
    yield from (f"  {key}: {flow(axes)}\n" for key, axes in inputs.items())
    yield "steps:\n"
    yield f"  - {name}: {flow(value)}\n" if value else f"  - {name}:\n" if sources else f"  - {name}\n"
    yield f"    from: {flow(sources)}\n" if sources else ""


def model(text: str) -> Block:
    return graph(f"specbuild: 1\nmodel: Example\n{text}")


def shown(found: Sample) -> str:
    """The example, its sizes, its weights, and the two files that it becomes."""
    return markdown.page(
        markdown.listing(found.text, "yaml"), sizes(found.model), weights(found.model), sources(found.model)
    )


def sizes(found: Block) -> str:
    """What goes in, what comes out, and what it takes."""
    went = ", ".join(f"`{name}` {markdown.code(str(x))}" for name, x in found.inputs.items())
    came = ", ".join(markdown.code(str(output.type)) for output in found.outputs.values())
    took = cost(found)
    parameters = f"{took.parameters:,} parameters" if took.parameters else "no parameters"
    macs = f", {short(took.macs)} multiply-adds" if took.macs else ""
    return f"{went} → {came}: {parameters}{macs}."


def weights(found: Block) -> str:
    """Every tensor that the example holds, by its name in the framework of its canonical layout."""
    rows = [
        (
            markdown.code(weight.kept),
            markdown.code(" × ".join(map(str, weight.shape))),
            "yes" if weight.trained else "no",
        )
        for weight in held(found, "torch")
    ]
    return markdown.table(("Weight", "Shape in PyTorch", "Learned"), rows)


def sources(found: Block) -> str:
    """The emitted code for each framework; the reason where one cannot express it."""
    return markdown.tabs("framework", ((TITLES[name], source(found, name)) for name in NAMES))


def source(found: Block, backend: str) -> str:
    try:
        return markdown.listing(compile_source(found, backend), "python")
    except SpecError as error:
        return f"Refused: {markdown.line(error.message)}."
