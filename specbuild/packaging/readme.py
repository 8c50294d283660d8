"""The README of a package: the model, its inputs and outputs, its use, and its parity results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from specbuild.backends import BACKEND_NAMES, load_backend
from specbuild.expressions import concrete
from specbuild.ops.types import TensorType
from specbuild.packaging import markdown, usage
from specbuild.packaging.markdown import code_block, join_paragraphs
from specbuild.packaging.model_facts import ModelFacts
from specbuild.packaging.parity_results import MODES, ParityRecord
from specbuild.packaging.spec_options import describe_spec
from specbuild.summary import format_quantity
from specbuild.summary.formats import markdown_table
from specbuild.version import __version__


class ModelReadme(Struct, frozen=True):
    """The contents of a README."""

    facts: Sequence[ModelFacts]
    package: str
    has_loaders: bool
    diagram: str  # Markdown
    parity: Sequence[ParityRecord]
    files: Sequence[tuple[str, str]]  # name and description
    command: str  # that writes the package
    is_project: bool = False  # whether it can be installed

    def render(self) -> str:
        first = self.facts[0]
        variant = f" · {first.model.variant}" if first.model.variant else ""
        license = first.model.spec.license.strip()
        return join_paragraphs(
            f"# {first.name}{variant}",
            markdown.escape_markdown(first.model.graph.doc),
            self.diagram,
            "## Inputs and outputs",
            self.values_table(),
            "`B` is the batch.",
            "## Size",
            markdown_table(("Measure", "Value"), self.size_rows(), 1),
            self.size_note() if len({f.parameters for f in self.facts}) > 1 else "",
            *self.arguments_section(),
            "## Use",
            self.usage_section(),
            "## Weights",
            usage.weights_usage_section(self.facts, self.package, self.has_loaders),
            "## Parity",
            self.parity_section(),
            "## Files",
            markdown_table(
                ("File", "What it is"),
                [(f"[`{name}`]({name})", description) for name, description in self.files],
                2,
            ),
            "To change the model, edit the spec and run this command again. It does not overwrite files that "
            "were edited by hand. `--check` reports whether the files match the spec, `--diff` shows what would "
            "change.",
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
                rows.append((title, describe_axes(value.type), value.type.dtype, *shapes))
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

    def size_note(self) -> str:
        """Return why the frameworks count different numbers of parameters."""
        notes = [f.packaging.size_note for f in self.facts if f.packaging.size_note]
        return "; ".join(notes) + "." if notes else ""

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
        if self.is_project:
            extras = "" if len(self.facts) == 1 else f"[{self.facts[0].backend}]"
            parts.insert(
                0, join_paragraphs("Install the project first:", code_block(f"pip install '.{extras}'", "sh"))
            )
            return join_paragraphs(*parts)
        note = (
            "If the folder is inside another package, put the name of that package first: "
            f"`from yours.{self.package} import ...`."
        )
        return join_paragraphs(*parts, note)

    def parity_section(self) -> str:
        """Return the table of parity results, or how to measure them."""
        if not self.parity:
            return join_paragraphs(
                f"Not measured for this package. `specbuild parity` runs {describe_files(self.facts)} of the "
                "spec on the same inputs and weights, and compares the outputs, every step, the gradients and "
                "one training step:",
                code_block(f"{format_parity_command(self.facts)}\n{self.command} --parity parity.json", "sh"),
            )
        compared = {(m.reference, m.other) for m in self.parity}
        pairs = " and ".join(f"the {reference} and the {other} file" for reference, other in sorted(compared))
        others = sorted({m.other for m in self.parity})
        rows = [
            (
                f"{m.runtime if len(others) == 1 else m.other}, {m.dtype}, {m.device}",
                ", ".join(MODES[mode] for mode in m.modes),
                f"batch {m.batch}, {m.seeds} {'seed' if m.seeds == 1 else 'seeds'}",
                shorten_exponent(f"{m.worst:.1e}"),
                shorten_exponent(f"{m.allowed:.0e}"),
                m.verdict,
            )
            for m in self.parity
        ]
        headings = (
            f"{others[0]} on" if len(others) == 1 else "File",
            "Compared",
            "Inputs",
            "Largest relative difference",
            "Allowed",
            "Verdict",
        )
        return join_paragraphs(
            f"{pairs[0].upper()}{pairs[1:]} of the spec on the same random inputs and weights, measured by "
            f"`specbuild parity` {__version__}:",
            markdown_table(headings, rows, 3),
        )


def compared_backends(facts: Sequence[ModelFacts]) -> tuple[str, ...]:
    """Return the backends that `specbuild parity` compares for a package: the built-in ones, and its own."""
    return tuple(dict.fromkeys((*BACKEND_NAMES, *(f.backend for f in facts))))


def describe_files(facts: Sequence[ModelFacts]) -> str:
    """Return the files that `specbuild parity` compares: "the PyTorch and the Keras file"."""
    backends = map(load_backend, compared_backends(facts))
    titles = [b.runtimes[0].short_title if b.runtimes else b.title for b in backends]
    return f"{' and '.join(f'the {title}' for title in titles)} file"


def format_parity_command(facts: Sequence[ModelFacts]) -> str:
    names = compared_backends(facts)
    backends = "" if names == BACKEND_NAMES else f" --backends {','.join(names)}"
    return f"specbuild parity {describe_spec(facts[0].model)}{backends} --json > parity.json"


def describe_axes(x: TensorType) -> str:
    """Return the axes with their sizes: `C 3, H 224, W 224`."""
    return ", ".join(f"{axis} {concrete(size)}" for axis, size in x.sizes.items()) or "none"


def shorten_exponent(number: str) -> str:
    """Return `1e-09` as `1e-9`."""
    return number.replace("e-0", "e-").replace("e+0", "e+")
