"""Weights from file to file: the one place that names the steps in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.api import Model
from specbuild.compiler import files as output
from specbuild.compiler.weight_locations import from_framework, held, shared, stacked, to_framework
from specbuild.diagnostics.errors import SpecError, printable
from specbuild.expressions import plain
from specbuild.ir.graph import Block
from specbuild.weights import safetensors_files as files
from specbuild.weights import worker_process as process
from specbuild.weights.adapt import adapted
from specbuild.weights.initial import initial
from specbuild.weights.matching import CANONICAL, Carried, Declared, Naming, carried, namings
from specbuild.weights.published_names import counters
from specbuild.weights.report import Report, report
from specbuild.weights.safetensors_files import Entries, Kind
from specbuild.weights.statistics import Difference, Line, line, relative

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

FRAMEWORK = {"torch": "torch", "h5": "keras", "keras": "keras"}  # whose names a kind of file goes by
MOST_NAMED = 8
NOTHING = Declared()


@dataclass(frozen=True)
class Choices:
    """What a user says of a transfer; whatever is not said is told by the files."""

    origin: str | None = None  # the names of the file read: specbuild, torch, keras, or a published layout
    target: str | None = None  # the names of the file written: specbuild, torch, keras
    into: tuple[str, ...] = ()  # the steps that published weights are for
    declared: Declared = NOTHING
    not_finite: bool = False  # whether NaN and infinity are carried
    seed: int = 0  # of the weights that are new
    force: bool = False  # whether a file that is there is replaced


PLAIN = Choices()


def convert(model: Model, source: Path, target: Path, choices: Choices = PLAIN) -> Report:
    """Carry a file of weights into another; nothing is written unless the report says that all fits."""
    process.numbers()
    kind, names = destination(target, choices)
    found, told = taken(model, source, choices)
    if told.fits:
        weights = held(model.graph, "torch")
        fresh = {u.path for u in told.new}
        begun = initial(model.graph, [h for h in weights if h.path in fresh], choices.seed)
        written(model, target, kind, names, {**found.values, **begun})
    return told


def init(model: Model, target: Path, choices: Choices = PLAIN) -> int:
    """Write the weights that the spec begins with; how many there are."""
    process.numbers()
    kind, names = destination(target, choices)
    weights = held(model.graph, "torch")
    written(model, target, kind, names, initial(model.graph, weights, choices.seed))
    return len(weights)


# --------------------------------------------------------------------------------------------------------- reading


def taken(model: Model, source: Path, choices: Choices) -> tuple[Carried, Report]:
    """A file's tensors as weights of the model, and what there is to say of them."""
    kind = files.kind_of(source)
    possible = namings(model.graph, kind, choices.origin, choices.into)
    entries = opened(source, kind, program(model) if any(n.name == "keras" for n in possible) else None)
    if files.ORIGIN in entries.metadata and choices.origin is None:
        possible = [Naming(CANONICAL)]
    found = carried(model.graph, entries.values, possible)
    found = adapted(model.graph, found, choices.declared.adapted, choices.seed)
    if not choices.not_finite:
        finite(found.values, source)
    notes = []
    if kind in FRAMEWORK and (summed := sums(model.graph)) and found.naming.framework == "keras":
        notes.append(f"Keras keeps {summed} as the sum of two: the first gets all, the second nothing")
    declared = choices.declared
    if (whole := model.in_full) is not None and found.left_over:
        # What the rest of the model would take is left out with it.
        strange = carried(whole.graph, entries.values, [found.naming]).left_over
        rest = [name for name, shape in found.left_over if (name, shape) not in strange]
        declared = replace(declared, left_over=(*declared.left_over, *map(escape, rest)))
    return found, report(found, declared, [h.path for h in held(model.graph, "torch")], notes)


def opened(path: Path, kind: Kind, model: process.Program | None = None) -> Entries:
    """What a file holds, by names of its own."""
    process.numbers()
    return files.read(path) if kind == "safetensors" else process.read(path, kind, model)


def finite(values: Mapping[str, Array], source: Path) -> None:
    """SB805 if any number is none."""
    import numpy as np  # only here: commands that need no numbers start without it

    bad = [f"{path} ({n:,})" for path, v in values.items() if (n := int(v.size - np.isfinite(v).sum()))]
    if bad:
        shown = ", ".join(bad[:MOST_NAMED]) + (
            f" and {len(bad) - MOST_NAMED} more" if bad[MOST_NAMED:] else ""
        )
        raise SpecError(
            "SB805",
            f"`{printable(str(source))}` has NaN or infinity in {shown}; nothing was written",
            hint="--allow-nonfinite carries them as they are",
        )


def sums(model: Block) -> str:
    """The variables that Keras keeps as the sum of two weights."""
    kept = shared(held(model, "keras"))
    found = [place for place, sharing in kept.items() if len(sharing) > 1 and not stacked(sharing)]
    return ", ".join(found[:MOST_NAMED])


# --------------------------------------------------------------------------------------------------------- writing


def destination(target: Path, choices: Choices) -> tuple[Kind, str]:
    """The kind of file to write and the names in it; SB806 and SB702 where that cannot be."""
    kind = files.ending(target)
    names = choices.target or FRAMEWORK.get(kind, CANONICAL)
    if FRAMEWORK.get(kind, names) != names:
        raise SpecError(
            "SB806",
            f"`{printable(str(target))}` holds weights of {FRAMEWORK[kind]}, not of {names}",
            hint="a .safetensors holds those of any",
        )
    if (target.exists() or target.is_symlink()) and not choices.force:
        raise output.refused(target, "there is a file already", "give another path, or pass --force")
    process.require(kind, True)
    return kind, names


def written(model: Model, target: Path, kind: Kind, names: str, values: Mapping[str, Array]) -> None:
    """Put weights, canonical and by canonical path, into a file, whole or not at all."""
    with output.beside(target) as fresh:
        if names == CANONICAL:
            files.write(fresh, values, files.told(model.name))
            return
        kept = to_framework(held(model.graph, names), values)
        if names == "torch":
            kept |= counted(kept)
        if kind == "safetensors":
            files.write(fresh, kept, {"format": "pt" if names == "torch" else "keras"})
        else:
            process.write(fresh, kind, kept, program(model) if names == "keras" else None)


def counted(kept: Mapping[str, Array]) -> dict[str, Array]:
    """The counts of steps that PyTorch's batch norms have in a state_dict."""
    import numpy as np

    return {name: np.zeros((), "int64") for name in counters(kept)}


def program(model: Model) -> process.Program:
    """The emitted Keras file, and the parameters that its model may have to be given."""
    given = {name: simple(value) for name, value in model.graph.params.items()}
    return process.Program(model.source("keras"), model.name, given)


def simple(value: Any) -> Any:
    """A parameter as JSON has it; nothing for one that is a block, which no constructor takes."""
    if isinstance(value, list | tuple):
        return [simple(v) for v in value]
    return plain(value) if isinstance(value, int | float | str | bool) else None


# ------------------------------------------------------------------------------------------------- looking at files


def inspected(
    source: Path, model: Model | None, choices: Choices = PLAIN
) -> tuple[list[Line], Report | None]:
    """Every tensor of a file; with a model, under canonical names, and whether they fit."""
    if model is None:
        return [line(name, value) for name, value in named(source).items()], None
    allowed = Choices(choices.origin, into=choices.into, declared=choices.declared, not_finite=True)
    found, told = taken(model, source, allowed)
    return [line(name, value) for name, value in found.values.items()], told


def named(source: Path) -> dict[str, Array]:
    """What a file holds by its own names."""
    return opened(source, files.kind_of(source)).values


def compared(
    first: Path, second: Path, model: Model | None, choices: Choices = PLAIN
) -> Iterator[Difference]:
    """The tensors of two files, one against the other: with a model under canonical names, else by their own."""
    if model is None:
        a, b = named(first), named(second)
    else:
        chosen = Choices(choices.origin, into=choices.into, not_finite=True)
        found = taken(model, first, chosen)[0], taken(model, second, Choices(not_finite=True))[0]
        a, b = found[0].values, found[1].values
        if any(f.naming.framework == "keras" for f in found):
            a, b = folded(model.graph, a), folded(model.graph, b)
    for name in [*a, *(n for n in b if n not in a)]:
        if name not in a or name not in b:
            yield Difference(name, None, f"only in {printable(str(first if name in a else second))}")
        elif a[name].shape != b[name].shape:
            yield Difference(name, None, f"{a[name].shape} and {b[name].shape}")
        else:
            yield Difference(name, relative(a[name], b[name]))


def folded(model: Block, values: Mapping[str, Array]) -> dict[str, Array]:
    """What Keras keeps of weights: of two that it adds, the first gets all."""
    sharing = shared(held(model, "keras")).values()
    whole = [h for hs in sharing if all(h.path in values for h in hs) for h in hs]
    return {**values, **from_framework(whole, to_framework(whole, values))}
