"""The README of a package: what the model is, takes and gives, how it is used, and what was measured of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from specbuild.expressions import plain
from specbuild.ops.types import Tensor
from specbuild.packaging import markdown, usage
from specbuild.packaging.markdown import listing, page
from specbuild.packaging.model_facts import Facts
from specbuild.packaging.parity_results import MODES, Measured
from specbuild.summary import short
from specbuild.summary.formats import page as table
from specbuild.version import __version__

SUMS = "Keras keeps as one what PyTorch only adds up: the two biases of a recurrent layer."


@dataclass(frozen=True)
class Card:
    """All that a card is made of. `diagram` is Markdown that shows it, `files` say what each is for."""

    facts: Sequence[Facts]
    package: str
    loaders: bool
    diagram: str
    parity: Sequence[Measured]
    files: Sequence[tuple[str, str]]
    command: str

    def text(self) -> str:
        first = self.facts[0]
        variant = f" · {first.model.variant}" if first.model.variant else ""
        license = first.model.spec.license.strip()
        return page(
            f"# {first.name}{variant}",
            markdown.prose(first.model.graph.doc),
            self.diagram,
            "## Inputs and outputs",
            self.values(),
            "`B` is the batch.",
            "## Size",
            table(("What", "How many"), self.sizes(), 1),
            SUMS if len({f.parameters for f in self.facts}) > 1 else "",
            *self.arguments(),
            "## Use",
            self.used(),
            "## Weights",
            usage.weights(self.facts, self.package, self.loaders),
            "## Parity",
            self.compared(),
            "## Files",
            table(("File", "What it is"), [(f"[`{name}`]({name})", told) for name, told in self.files], 2),
            "Change the spec, not these files, and write them anew. Files that were edited by hand are not "
            "overwritten; `--check` tells whether all is as the spec says, `--diff` what would change.",
            listing(self.command, "sh"),
            "## License" if license else "",
            markdown.line(license),
        )

    def values(self) -> str:
        """Inputs and outputs with their axes, and how they lie in each framework."""
        rows = []
        for which, word in (("inputs", "input"), ("outputs", "output")):
            by_framework = [getattr(f, which) for f in self.facts]
            for name, value in by_framework[0].items():
                told = f"{word} `{name}`" if name else word
                shapes = [f"`{found[name].told()}`" for found in by_framework]
                rows.append((told, axes(value.type), value.type.dtype, *shapes))
        titles = [f.title for f in self.facts]
        return table(("Value", "Axes", "Type", *titles), rows, 3 + len(titles))

    def sizes(self) -> Iterator[tuple[str, str]]:
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
            macs if short(cost.macs) == macs else f"{macs} ({short(cost.macs)})",
        )

    def arguments(self) -> tuple[str, ...]:
        """Of the constructor; all frameworks have the same."""
        rows = [
            (f"`{name}`", f"`{default}`", markdown.line(doc))
            for name, default, doc in self.facts[0].arguments
        ]
        return ("## Arguments", table(("Argument", "Default", "Meaning"), rows, 3)) if rows else ()

    def used(self) -> str:
        several = len(self.facts) > 1
        parts = [
            part
            for f in self.facts
            for part in (f"### {f.title}" if several else "", usage.usage(f, self.package))
        ]
        note = f"If the folder lies inside another package, that one's name comes first: `from yours.{self.package} import ...`."
        return page(*parts, note)

    def compared(self) -> str:
        """What was measured, or how it can be."""
        if not self.parity:
            return page(
                "Not measured for this card. `specbuild parity` runs the PyTorch and the Keras file of the spec on the "
                "same inputs and weights, and compares outputs, every step, gradients and a step of training:",
                listing(
                    f"specbuild parity SPEC --json > parity.json\n{self.command} --parity parity.json", "sh"
                ),
            )
        rows = [
            (
                f"{m.runtime}, {m.dtype}, {m.device}",
                ", ".join(MODES[mode] for mode in m.modes),
                f"batch {m.batch}, {m.seeds} {'seed' if m.seeds == 1 else 'seeds'}",
                power(f"{m.worst:.1e}"),
                power(f"{m.allowed:.0e}"),
                m.verdict,
            )
            for m in self.parity
        ]
        headings = ("Keras on", "Compared", "Inputs", "Largest relative difference", "Allowed", "Verdict")
        return page(
            "The PyTorch and the Keras file of the spec on the same random inputs and weights, measured by "
            f"`specbuild parity` {__version__}:",
            table(headings, rows, 3),
        )


def axes(x: Tensor) -> str:
    """`C 3, H 224, W 224`."""
    return ", ".join(f"{axis} {plain(size)}" for axis, size in x.sizes.items()) or "none"


def power(number: str) -> str:
    """`1e-09` as `1e-9`."""
    return number.replace("e-0", "e-").replace("e+0", "e+")
