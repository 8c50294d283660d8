"""Read, convert, compare and write weight files. Each part of the work has a module of its own."""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Iterator, Mapping
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from specbuild.api import Model
from specbuild.backends.file_kind import FileKind
from specbuild.backends.registry import load_backend
from specbuild.compiler.graph_weights import canonical_weights
from specbuild.compiler.output_files import replacement_file, write_error
from specbuild.compiler.weight_locations import (
    canonical_locations,
    from_framework,
    group_by_tensor,
    is_stacked,
    to_framework,
)
from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.expressions import concrete
from specbuild.weights.adapt import adapt_weights
from specbuild.weights.framework_files import (
    EmittedProgram,
    read_framework_file,
    require_numpy,
    require_packages,
    write_framework_file,
)
from specbuild.weights.initial import initialize_weights
from specbuild.weights.matching import (
    CANONICAL,
    MatchedWeights,
    MatchExceptions,
    NamingScheme,
    match_weights,
    naming_candidates,
)
from specbuild.weights.report import WeightReport, build_report
from specbuild.weights.safetensors_files import (
    ORIGIN_KEY,
    WeightFile,
    detect_file_kind,
    kind_from_name,
    origin_metadata,
    read_safetensors,
    write_safetensors,
)
from specbuild.weights.statistics import (
    TensorDifference,
    TensorStatistics,
    relative_difference,
    tensor_statistics,
)

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

MAX_NAMES = 8
NO_EXCEPTIONS = MatchExceptions()


class ConversionOptions(Struct, frozen=True):
    """The options of a conversion. Names that are None are chosen from the files.

    `source_names` are the names in the input file: specbuild, torch, keras, or the name of a published
    naming. `target_names` are the names in the output file: specbuild, torch or keras.
    """

    source_names: str | None = None
    target_names: str | None = None
    into: tuple[str, ...] = ()  # the steps that published weights are for
    exceptions: MatchExceptions = NO_EXCEPTIONS
    allow_nonfinite: bool = False  # whether NaN and infinity are accepted
    seed: int = 0  # for initial values
    force: bool = False  # whether an existing file is overwritten


DEFAULT_OPTIONS = ConversionOptions()


def convert_weights(
    model: Model, source: Path, target: Path, options: ConversionOptions = DEFAULT_OPTIONS
) -> WeightReport:
    """Convert a weight file to another one, and report what matched the model.

    Nothing is written unless the report is complete. Raises SpecError if a file cannot be read or written.
    """
    require_numpy()
    kind, names = resolve_target(target, options)
    matched, report = match_file(model, source, options)
    if report.is_complete:
        new_paths = {u.path for u in report.new}
        new_weights = [w for w in canonical_locations(model.graph) if w.path in new_paths]
        initial_values = initialize_weights(new_weights, options.seed)
        write_weights(model, target, kind, names, {**matched.values, **initial_values})
    return report


def write_initial_weights(model: Model, target: Path, options: ConversionOptions = DEFAULT_OPTIONS) -> int:
    """Write the initial weights of a model, and return their number."""
    require_numpy()
    kind, names = resolve_target(target, options)
    weights = canonical_locations(model.graph)
    write_weights(model, target, kind, names, initialize_weights(weights, options.seed))
    return len(weights)


# ---------------------------------------------------------------------------------------------------- reading


def match_file(model: Model, source: Path, options: ConversionOptions) -> tuple[MatchedWeights, WeightReport]:
    """Read a file, and match its tensors with the weights of the model."""
    kind = detect_file_kind(source)
    file, namings = read_for_model(model, source, kind, options)
    matched = match_weights(model.graph, file.values, namings, model.compilation.compiler)
    fill_tables(model, matched, source)
    matched = adapt_weights(model.graph, matched, options.exceptions.adaptations, options.seed)
    if not options.allow_nonfinite:
        require_finite(matched.values, source)
    notes = []
    has_own_names = kind is not None and matched.naming.framework_name == kind.backend
    if kind is not None and has_own_names and (summed := summed_tensors(model, kind.backend)):
        notes.append(
            f"{kind.title} stores {summed} as the sum of two: the first gets the sum, the second zeros"
        )
    exceptions = options.exceptions
    if model.in_full is not None and matched.left_over:
        unused = entries_of_removed_steps(model.in_full, file, matched)
        exceptions = replace(exceptions, unused_patterns=(*exceptions.unused_patterns, *map(escape, unused)))
    paths = [w.path for w in canonical_weights(model.graph)]
    return matched, build_report(matched, exceptions, paths, notes)


def fill_tables(model: Model, matched: MatchedWeights, source: Path) -> None:
    """Add the numbers that the spec gives, where a file has none of them. Raises SB808 if it has others."""
    import numpy as np  # imported late: other commands do not need it

    missing = {weight.path for weight in matched.missing}
    for weight in canonical_weights(model.graph):
        if weight.spec.given is None:
            continue
        given = weight.spec.given.to_array()
        if weight.path in missing:
            matched.values[weight.path] = given.astype("float32") if given.dtype.kind == "f" else given
        elif weight.path in matched.values and not np.allclose(
            matched.values[weight.path], given, 1e-3, 1e-6
        ):
            message = f"`{make_printable(str(source))}` has other numbers for {weight.path} than the spec"
            hint = (
                "put them into the file that the `const` names, or make it a `weight` with `trained: false`"
            )
            raise SpecError("SB808", message, hint=hint)
    filled = [weight for weight in matched.missing if weight.path in matched.values]
    matched.missing = [weight for weight in matched.missing if weight not in filled]


def read_for_model(
    model: Model, source: Path, kind: FileKind | None, options: ConversionOptions
) -> tuple[WeightFile, list[NamingScheme]]:
    """Read a file, and list the naming schemes that its names may have. A file of specbuild has canonical names."""
    has_free_choice = options.source_names is None and not options.into
    if kind is None and has_free_choice:
        file = read_weight_file(source, kind)
        if ORIGIN_KEY in file.metadata:
            return file, [NamingScheme(CANONICAL)]
        return file, naming_candidates(model.graph, kind, None, (), model.compilation.compiler)
    compiler = model.compilation.compiler
    namings = naming_candidates(model.graph, kind, options.source_names, options.into, compiler)
    program = None
    if kind is not None and kind.needs_program and any(naming.name == kind.backend for naming in namings):
        program = emitted_program(model, kind.backend)
    file = read_weight_file(source, kind, program)
    if ORIGIN_KEY in file.metadata and options.source_names is None:
        namings = [NamingScheme(CANONICAL)]
    return file, namings


def entries_of_removed_steps(full_model: Model, file: WeightFile, matched: MatchedWeights) -> list[str]:
    """Return the unused entries that the full model would use.

    `matched` is for a model reduced to its features.
    """
    compiler = full_model.compilation.compiler
    left_over = match_weights(full_model.graph, file.values, [matched.naming], compiler).left_over
    return [name for name, shape in matched.left_over if (name, shape) not in left_over]


def read_weight_file(path: Path, kind: FileKind | None, program: EmittedProgram | None = None) -> WeightFile:
    """Return the tensors of a file, by the file's own names."""
    require_numpy()
    return read_safetensors(path) if kind is None else read_framework_file(path, kind, program)


def require_finite(values: Mapping[str, Array], source: Path) -> None:
    """Raise SpecError SB805 if a weight has NaN or infinity."""
    bad = [f"{path} ({n:,})" for path, v in values.items() if (n := count_nonfinite(v))]
    if bad:
        shown = ", ".join(bad[:MAX_NAMES]) + (f" and {len(bad) - MAX_NAMES} more" if bad[MAX_NAMES:] else "")
        raise SpecError(
            "SB805",
            f"`{make_printable(str(source))}` has NaN or infinity in {shown}; nothing was written",
            hint="--allow-nonfinite accepts them",
        )


def count_nonfinite(array: Array) -> int:
    """Return how many elements are NaN or infinity. The sum takes half the time, and nearly always shows that none is."""
    import numpy as np  # imported late: other commands do not need it

    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(array.sum()):
            return 0
    return int(array.size - np.isfinite(array).sum())


def summed_tensors(model: Model, backend: str) -> str:
    """Return the tensors of a framework that store the sum of several weights."""
    groups = group_by_tensor(model.compile_for(backend).weights)
    summed = [path for path, weights in groups.items() if len(weights) > 1 and not is_stacked(weights)]
    return ", ".join(summed[:MAX_NAMES])


# ---------------------------------------------------------------------------------------------------- writing


def resolve_target(target: Path, options: ConversionOptions) -> tuple[FileKind | None, str]:
    """Return the kind of the output file and the names in it.

    Raises SpecError: SB806 if they do not fit together, SB702 if the file exists, SB603 if a package is
    missing.
    """
    kind = kind_from_name(target)
    names = options.target_names or (kind.backend if kind is not None else CANONICAL)
    if kind is not None and kind.backend != names:
        raise SpecError(
            "SB806",
            f"`{make_printable(str(target))}` can only have names of {kind.backend}, not {names}",
            hint="a .safetensors file can have any names",
        )
    if os.path.lexists(target) and not options.force:
        raise write_error(target, "the file exists", "give another path, or pass --force")
    require_packages(kind, True)
    return kind, names


def write_weights(
    model: Model, target: Path, kind: FileKind | None, names: str, values: Mapping[str, Array]
) -> None:
    """Write canonical weights (by canonical path) to a file; after an error the old file is unchanged."""
    with replacement_file(target) as new_file:
        if names == CANONICAL:
            write_safetensors(new_file, values, origin_metadata(model.name))
            return
        backend = load_backend(names)
        tensors = to_framework(model.compile_for(names).weights, values)
        tensors |= zero_counters(backend.counter_names(tensors))
        if kind is None:
            write_safetensors(new_file, tensors, {"format": backend.safetensors_format})
        else:
            program = emitted_program(model, names) if kind.needs_program else None
            write_framework_file(new_file, kind, tensors, program)


def zero_counters(names: Iterable[str]) -> dict[str, Array]:
    import numpy as np

    return {name: np.zeros((), "int64") for name in names}


def emitted_program(model: Model, backend: str) -> EmittedProgram:
    """Return the emitted file, and the values of its model's parameters."""
    arguments = {name: json_value(value) for name, value in model.graph.params.items()}
    return EmittedProgram(model.source(backend), model.name, arguments)


def json_value(value: Any) -> Any:
    """Return a parameter as JSON; None for a block, which no constructor takes."""
    if isinstance(value, list | tuple):
        return [json_value(v) for v in value]
    return concrete(value) if isinstance(value, int | float | str | bool) else None


# ----------------------------------------------------------------------------------- inspecting and comparing


def inspect_weights(
    source: Path, model: Model | None, options: ConversionOptions = DEFAULT_OPTIONS
) -> tuple[list[TensorStatistics], WeightReport | None]:
    """Return statistics of all tensors in a file, and with a model also the report of matching.

    The names are canonical with a model, else the file's own.
    """
    if model is None:
        return [tensor_statistics(name, value) for name, value in load_own_tensors(source).items()], None
    matched, report = match_file(model, source, replace(options, allow_nonfinite=True))
    return [tensor_statistics(name, value) for name, value in matched.values.items()], report


def load_own_tensors(source: Path) -> dict[str, Array]:
    """Return the tensors of a file, by the file's own names."""
    return read_weight_file(source, detect_file_kind(source)).values


def compare_weights(
    first: Path, second: Path, model: Model | None, options: ConversionOptions = DEFAULT_OPTIONS
) -> Iterator[TensorDifference]:
    """Compare two files tensor by tensor: with a model by canonical names, else by the names in the files.

    `options` apply to the names in the first file.
    """
    if model is None:
        a, b = load_own_tensors(first), load_own_tensors(second)
    else:
        first_options = ConversionOptions(options.source_names, into=options.into, allow_nonfinite=True)
        first_weights, _ = match_file(model, first, first_options)
        second_weights, _ = match_file(model, second, ConversionOptions(allow_nonfinite=True))
        a, b = first_weights.values, second_weights.values
        namings = {first_weights.naming.framework_name, second_weights.naming.framework_name}
        for backend in sorted(namings - {CANONICAL}):
            a, b = (merge_summed_weights(model, values, backend) for values in (a, b))
    for name in [*a, *(n for n in b if n not in a)]:
        if name not in a or name not in b:
            file = make_printable(str(first if name in a else second))
            yield TensorDifference(name, None, f"only in {file}")
        elif a[name].shape != b[name].shape:
            yield TensorDifference(name, None, f"shapes {a[name].shape} and {b[name].shape}")
        else:
            yield TensorDifference(name, relative_difference(a[name], b[name]))


def merge_summed_weights(model: Model, values: Mapping[str, Array], backend: str) -> dict[str, Array]:
    """Return the weights after a round trip through a framework: of several that it adds, the first becomes the sum."""
    groups = group_by_tensor(model.compile_for(backend).weights).values()
    complete = [w for group in groups if all(w.path in values for w in group) for w in group]
    return {**values, **from_framework(complete, to_framework(complete, values))}
