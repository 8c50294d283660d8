"""Weights from file to file: the one place that names the steps in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.api import Model
from specbuild.compiler import output_files as output
from specbuild.compiler.weight_locations import (
    from_framework,
    group_by_tensor,
    is_stacked,
    locate_weights,
    to_framework,
)
from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.expressions import concrete
from specbuild.ir.graph import Block
from specbuild.weights import framework_files as process
from specbuild.weights import safetensors_files as files
from specbuild.weights.adapt import adapt_weights
from specbuild.weights.initial import initialize_weights
from specbuild.weights.matching import (
    CANONICAL,
    MatchedWeights,
    MatchExceptions,
    NamingScheme,
    match_weights,
    naming_candidates,
)
from specbuild.weights.published_names import batch_counters
from specbuild.weights.report import WeightReport, build_report
from specbuild.weights.safetensors_files import FileKind, WeightFile
from specbuild.weights.statistics import (
    TensorDifference,
    TensorStatistics,
    relative_difference,
    tensor_statistics,
)

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

FRAMEWORK_BY_KIND = {"torch": "torch", "h5": "keras", "keras": "keras"}  # whose names a kind of file goes by
MAX_NAMES = 8
NO_EXCEPTIONS = MatchExceptions()


@dataclass(frozen=True)
class ConversionOptions:
    """What a user says of a transfer; whatever is not said is told by the files."""

    source_names: str | None = (
        None  # the names of the file read: specbuild, torch, keras, or a published layout
    )
    target_names: str | None = None  # the names of the file written: specbuild, torch, keras
    into: tuple[str, ...] = ()  # the steps that published weights are for
    exceptions: MatchExceptions = NO_EXCEPTIONS
    allow_nonfinite: bool = False  # whether NaN and infinity are carried
    seed: int = 0  # of the weights that are new
    force: bool = False  # whether a file that is there is replaced


DEFAULT_OPTIONS = ConversionOptions()


def convert_weights(
    model: Model, source: Path, target: Path, options: ConversionOptions = DEFAULT_OPTIONS
) -> WeightReport:
    """Carry a file of weights into another; nothing is written unless the report says that all fits."""
    process.require_numpy()
    kind, names = resolve_target(target, options)
    matched, report = match_file(model, source, options)
    if report.is_complete:
        weights = locate_weights(model.graph, "torch")
        fresh = {u.path for u in report.new}
        initial_values = initialize_weights(
            model.graph, [h for h in weights if h.path in fresh], options.seed
        )
        write_weights(model, target, kind, names, {**matched.values, **initial_values})
    return report


def write_initial_weights(model: Model, target: Path, options: ConversionOptions = DEFAULT_OPTIONS) -> int:
    """Write the weights that the spec begins with; how many there are."""
    process.require_numpy()
    kind, names = resolve_target(target, options)
    weights = locate_weights(model.graph, "torch")
    write_weights(model, target, kind, names, initialize_weights(model.graph, weights, options.seed))
    return len(weights)


# --------------------------------------------------------------------------------------------------------- reading


def match_file(model: Model, source: Path, options: ConversionOptions) -> tuple[MatchedWeights, WeightReport]:
    """A file's tensors as weights of the model, and what there is to say of them."""
    kind = files.detect_file_kind(source)
    possible = naming_candidates(model.graph, kind, options.source_names, options.into)
    entries = read_weight_file(
        source, kind, keras_program(model) if any(n.name == "keras" for n in possible) else None
    )
    if files.ORIGIN_KEY in entries.metadata and options.source_names is None:
        possible = [NamingScheme(CANONICAL)]
    matched = match_weights(model.graph, entries.values, possible)
    matched = adapt_weights(model.graph, matched, options.exceptions.adaptations, options.seed)
    if not options.allow_nonfinite:
        require_finite(matched.values, source)
    notes = []
    if (
        kind in FRAMEWORK_BY_KIND
        and (summed := summed_variables(model.graph))
        and matched.naming.framework_name == "keras"
    ):
        notes.append(f"Keras keeps {summed} as the sum of two: the first gets all, the second nothing")
    exceptions = options.exceptions
    if (whole := model.in_full) is not None and matched.left_over:
        # What the rest of the model would take is left out with it.
        strange = match_weights(whole.graph, entries.values, [matched.naming]).left_over
        rest = [name for name, shape in matched.left_over if (name, shape) not in strange]
        exceptions = replace(exceptions, unused_patterns=(*exceptions.unused_patterns, *map(escape, rest)))
    return matched, build_report(
        matched, exceptions, [h.path for h in locate_weights(model.graph, "torch")], notes
    )


def read_weight_file(path: Path, kind: FileKind, model: process.KerasProgram | None = None) -> WeightFile:
    """What a file holds, by names of its own."""
    process.require_numpy()
    return (
        files.read_safetensors(path)
        if kind == "safetensors"
        else process.read_framework_file(path, kind, model)
    )


def require_finite(values: Mapping[str, Array], source: Path) -> None:
    """SB805 if any number is none."""
    import numpy as np  # only here: commands that need no numbers start without it

    bad = [f"{path} ({n:,})" for path, v in values.items() if (n := int(v.size - np.isfinite(v).sum()))]
    if bad:
        shown = ", ".join(bad[:MAX_NAMES]) + (f" and {len(bad) - MAX_NAMES} more" if bad[MAX_NAMES:] else "")
        raise SpecError(
            "SB805",
            f"`{make_printable(str(source))}` has NaN or infinity in {shown}; nothing was written",
            hint="--allow-nonfinite carries them as they are",
        )


def summed_variables(model: Block) -> str:
    """The variables that Keras keeps as the sum of two weights."""
    kept = group_by_tensor(locate_weights(model, "keras"))
    found = [place for place, sharing in kept.items() if len(sharing) > 1 and not is_stacked(sharing)]
    return ", ".join(found[:MAX_NAMES])


# --------------------------------------------------------------------------------------------------------- writing


def resolve_target(target: Path, options: ConversionOptions) -> tuple[FileKind, str]:
    """The kind of file to write and the names in it; SB806 and SB702 where that cannot be."""
    kind = files.kind_from_name(target)
    names = options.target_names or FRAMEWORK_BY_KIND.get(kind, CANONICAL)
    if FRAMEWORK_BY_KIND.get(kind, names) != names:
        raise SpecError(
            "SB806",
            f"`{make_printable(str(target))}` holds weights of {FRAMEWORK_BY_KIND[kind]}, not of {names}",
            hint="a .safetensors holds those of any",
        )
    if (target.exists() or target.is_symlink()) and not options.force:
        raise output.write_error(target, "there is a file already", "give another path, or pass --force")
    process.require_packages(kind, True)
    return kind, names


def write_weights(
    model: Model, target: Path, kind: FileKind, names: str, values: Mapping[str, Array]
) -> None:
    """Put weights, canonical and by canonical path, into a file, whole or not at all."""
    with output.replacement_file(target) as fresh:
        if names == CANONICAL:
            files.write_safetensors(fresh, values, files.origin_metadata(model.name))
            return
        kept = to_framework(locate_weights(model.graph, names), values)
        if names == "torch":
            kept |= zero_counters(kept)
        if kind == "safetensors":
            files.write_safetensors(fresh, kept, {"format": "pt" if names == "torch" else "keras"})
        else:
            process.write_framework_file(
                fresh, kind, kept, keras_program(model) if names == "keras" else None
            )


def zero_counters(kept: Mapping[str, Array]) -> dict[str, Array]:
    """The counts of steps that PyTorch's batch norms have in a state_dict."""
    import numpy as np

    return {name: np.zeros((), "int64") for name in batch_counters(kept)}


def keras_program(model: Model) -> process.KerasProgram:
    """The emitted Keras file, and the parameters that its model may have to be given."""
    given = {name: json_value(value) for name, value in model.graph.params.items()}
    return process.KerasProgram(model.source("keras"), model.name, given)


def json_value(value: Any) -> Any:
    """A parameter as JSON has it; nothing for one that is a block, which no constructor takes."""
    if isinstance(value, list | tuple):
        return [json_value(v) for v in value]
    return concrete(value) if isinstance(value, int | float | str | bool) else None


# ------------------------------------------------------------------------------------------------- looking at files


def inspect_weights(
    source: Path, model: Model | None, options: ConversionOptions = DEFAULT_OPTIONS
) -> tuple[list[TensorStatistics], WeightReport | None]:
    """Every tensor of a file; with a model, under canonical names, and whether they fit."""
    if model is None:
        return [tensor_statistics(name, value) for name, value in load_own_tensors(source).items()], None
    options_used = ConversionOptions(
        options.source_names, into=options.into, exceptions=options.exceptions, allow_nonfinite=True
    )
    found, told = match_file(model, source, options_used)
    return [tensor_statistics(name, value) for name, value in found.values.items()], told


def load_own_tensors(source: Path) -> dict[str, Array]:
    """What a file holds by its own names."""
    return read_weight_file(source, files.detect_file_kind(source)).values


def compare_weights(
    first: Path, second: Path, model: Model | None, options: ConversionOptions = DEFAULT_OPTIONS
) -> Iterator[TensorDifference]:
    """The tensors of two files, one against the other: with a model under canonical names, else by their own."""
    if model is None:
        a, b = load_own_tensors(first), load_own_tensors(second)
    else:
        chosen = ConversionOptions(options.source_names, into=options.into, allow_nonfinite=True)
        found = (
            match_file(model, first, chosen)[0],
            match_file(model, second, ConversionOptions(allow_nonfinite=True))[0],
        )
        a, b = found[0].values, found[1].values
        if any(f.naming.framework_name == "keras" for f in found):
            a, b = merge_summed_weights(model.graph, a), merge_summed_weights(model.graph, b)
    for name in [*a, *(n for n in b if n not in a)]:
        if name not in a or name not in b:
            yield TensorDifference(
                name, None, f"only in {make_printable(str(first if name in a else second))}"
            )
        elif a[name].shape != b[name].shape:
            yield TensorDifference(name, None, f"{a[name].shape} and {b[name].shape}")
        else:
            yield TensorDifference(name, relative_difference(a[name], b[name]))


def merge_summed_weights(model: Block, values: Mapping[str, Array]) -> dict[str, Array]:
    """What Keras keeps of weights: of two that it adds, the first gets all."""
    sharing = group_by_tensor(locate_weights(model, "keras")).values()
    whole = [h for hs in sharing if all(h.path in values for h in hs) for h in hs]
    return {**values, **from_framework(whole, to_framework(whole, values))}
