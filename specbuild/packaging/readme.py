"""The README of a package: the model, its inputs and outputs, its use, and its parity results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from specbuild.expressions import concrete
from specbuild.ops.types import TensorType
from specbuild.packaging import markdown, usage
from specbuild.packaging.markdown import code_block, join_parts
from specbuild.packaging.model_facts import ModelFacts
from specbuild.packaging.parity_results import MODES, ParityResult
from specbuild.summary import format_quantity
from specbuild.summary.formats import markdown_table
from specbuild.version import __version__

BIAS_NOTE = "Keras keeps as one what PyTorch only adds up: the two biases of a recurrent layer."


@dataclass(frozen=True)
class ModelReadme:
    """The contents of a README."""

    facts: Sequence[ModelFacts]
    package: str
    has_loaders: bool
    diagram: str  # Markdown
    parity: Sequence[ParityResult]
    files: Sequence[tuple[str, str]]  # name and description
    command: str  # that writes the package

    def render(self) -> str:
        first = self.facts[0]
        variant = f" · {first.model.variant}" if first.model.variant else ""
        license = first.model.spec.license.strip()
        return join_parts(
            f"# {first.name}{variant}",
            markdown.escape_text(first.model.graph.doc),
            self.diagram,
            "## Inputs and outputs",
            self.values_table(),
            "`B` is the batch.",
            "## Size",
            markdown_table(("What", "How many"), self.size_rows(), 1),
            BIAS_NOTE if len({f.parameters for f in self.facts}) > 1 else "",
            *self.arguments_section(),
            "## Use",
            self.usage_section(),
            "## Weights",
            usage.weights_section(self.facts, self.package, self.has_loaders),
            "## Parity",
            self.parity_section(),
            "## Files",
            markdown_table(
                ("File", "What it is"),
                [(f"[`{name}`]({name})", description) for name, description in self.files],
                2,
            ),
            "Change the spec, not these files, and write them anew. Files that were edited by hand are not "
            "overwritten; `--check` tells whether all is as the spec says, `--diff` what would change.",
            code_block(self.command, "sh"),
            "## License" if license else "",
            markdown.escape_line(license),
        )

    def values_table(self) -> str:
        """Return a table of inputs and outputs: axes, type, and the shape in each framework."""
        rows = []
        for attribute, kind in (("inputs", "input"), ("outputs", "output")):
            by_framework = [getattr(f, attribute) for f in self.facts]
            for name, value in by_framework[0].items():
                title = f"{kind} `{name}`" if name else kind
                shapes = [f"`{values[name].format_shape()}`" for values in by_framework]
                rows.append((title, format_axes(value.type), value.type.dtype, *shapes))
        titles = [f.title for f in self.facts]
        return markdown_table(("Value", "Axes", "Type", *titles), rows, 3 + len(titles))

    def size_rows(self) -> Iterator[tuple[str, str]]:
        cost = self.facts[0].model.cost
        counts = {f.parameters: f.title for f in self.facts}
        if len(counts) == 1:
            yield "Parameters", f"{next(iter(counts)):,}"
        else:
            yield from ((f"Parameters in {title}", f"{count:,}") for count, title in counts.items())
        if cost.buffers:
            yield "Buffers", f"{cost.buffers:,}"
        macs = f"{cost.macs:,}"
        yield (
            "Multiply-adds for one sample",
            macs if format_quantity(cost.macs) == macs else f"{macs} ({format_quantity(cost.macs)})",
        )

    def arguments_section(self) -> tuple[str, ...]:
        """Return the table of constructor arguments, the same in all frameworks, with its heading."""
        rows = [
            (f"`{name}`", f"`{default}`", markdown.escape_line(doc))
            for name, default, doc in self.facts[0].arguments
        ]
        return ("## Arguments", markdown_table(("Argument", "Default", "Meaning"), rows, 3)) if rows else ()

    def usage_section(self) -> str:
        has_several = len(self.facts) > 1
        parts = [
            part
            for f in self.facts
            for part in (f"### {f.title}" if has_several else "", usage.usage_example(f, self.package))
        ]
        note = (
            "If the folder lies inside another package, that one's name comes first: "
            f"`from yours.{self.package} import ...`."
        )
        return join_parts(*parts, note)

    def parity_section(self) -> str:
        """Return the table of parity results, or how to measure them."""
        if not self.parity:
            return join_parts(
                "Not measured for this card. `specbuild parity` runs the PyTorch and the Keras file of the "
                "spec on the same inputs and weights, and compares outputs, every step, gradients and a step "
                "of training:",
                code_block(
                    f"specbuild parity SPEC --json > parity.json\n{self.command} --parity parity.json", "sh"
                ),
            )
        rows = [
            (
                f"{m.runtime}, {m.dtype}, {m.device}",
                ", ".join(MODES[mode] for mode in m.modes),
                f"batch {m.batch}, {m.seeds} {'seed' if m.seeds == 1 else 'seeds'}",
                shorten_exponent(f"{m.worst:.1e}"),
                shorten_exponent(f"{m.allowed:.0e}"),
                m.verdict,
            )
            for m in self.parity
        ]
        headings = ("Keras on", "Compared", "Inputs", "Largest relative difference", "Allowed", "Verdict")
        return join_parts(
            "The PyTorch and the Keras file of the spec on the same random inputs and weights, measured by "
            f"`specbuild parity` {__version__}:",
            markdown_table(headings, rows, 3),
        )


def format_axes(x: TensorType) -> str:
    """Return the axes with their sizes: `C 3, H 224, W 224`."""
    return ", ".join(f"{axis} {concrete(size)}" for axis, size in x.sizes.items()) or "none"


def shorten_exponent(number: str) -> str:
    """Return `1e-09` as `1e-9`."""
    return number.replace("e-0", "e-").replace("e+0", "e+")
