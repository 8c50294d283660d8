"""An op or a block in use, and all that follows from that."""

from __future__ import annotations

from docs.pages import markdown
from specbuild.backends import BACKEND_NAMES
from specbuild.compiler.pipeline import compile_source
from specbuild.compiler.weight_locations import locate_weights
from specbuild.diagnostics.errors import SpecError
from specbuild.ir.cost import model_cost
from specbuild.ir.graph import Block
from specbuild.summary import format_quantity
from specbuild.summary.examples import ExampleSpec

TITLES = {"torch": "PyTorch", "keras": "Keras"}


def shown(found: ExampleSpec) -> str:
    """The example, its sizes, its weights, and the two files that it becomes."""
    return markdown.page(
        markdown.listing(found.text, "yaml"), sizes(found.model), weights(found.model), sources(found.model)
    )


def sizes(found: Block) -> str:
    """What goes in, what comes out, and what it takes."""
    went = ", ".join(f"`{name}` {markdown.code(str(x))}" for name, x in found.inputs.items())
    came = ", ".join(markdown.code(str(output.type)) for output in found.outputs.values())
    took = model_cost(found)
    parameters = f"{took.parameters:,} parameters" if took.parameters else "no parameters"
    macs = f", {format_quantity(took.macs)} multiply-adds" if took.macs else ""
    return f"{went} → {came}: {parameters}{macs}."


def weights(found: Block) -> str:
    """Every tensor that the example holds, by its name in the framework of its canonical layout."""
    try:
        located = locate_weights(found, "torch")
    except SpecError:  # PyTorch cannot express it; `source` says why
        return ""
    rows = [
        (
            markdown.code(weight.framework_path),
            markdown.code(" × ".join(map(str, weight.shape))),
            "yes" if weight.is_trainable else "no",
        )
        for weight in located
    ]
    return markdown.table(("Weight", "Shape in PyTorch", "Learned"), rows)


def sources(found: Block) -> str:
    """The emitted code for each framework; the reason where one cannot express it."""
    return markdown.tabs("framework", ((TITLES[name], source(found, name)) for name in BACKEND_NAMES))


def source(found: Block, backend: str) -> str:
    try:
        return markdown.listing(compile_source(found, backend), "python")
    except SpecError as error:
        return f"Refused: {markdown.line(error.message)}."
