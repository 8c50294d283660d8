"""Match the tensors of a file with the weights of a model: by which names, and what does not match."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.backends.file_kind import FileKind
from specbuild.backends.registry import all_backend_names, all_file_kinds, load_backend
from specbuild.backends.wrapper_names import WrapperNames
from specbuild.compiler.model_compiler import ModelCompiler
from specbuild.compiler.weight_locations import (
    WeightLocation,
    canonical_locations,
    framework_shapes,
    from_framework,
    group_by_tensor,
    is_stacked,
)
from specbuild.diagnostics.errors import SpecError
from specbuild.diagnostics.suggestions import join_names, suggest_name
from specbuild.ir.graph import Block, distinct_blocks
from specbuild.weights.adapt_options import Adaptation
from specbuild.weights.published_names import naming_framework, rename_tensors

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

Shape: TypeAlias = tuple[int, ...]

CANONICAL = "specbuild"


class NamingScheme(Struct, frozen=True):
    """The names that a file uses: canonical names, the model's names in a framework, or a published naming.

    A published naming has the weights of `block`, a model or a part of it. `path` and `framework_path` are
    the prefixes of that part, in canonical names and in the framework. `siblings` are further parts that get
    the same weights.
    """

    name: str
    block: Block | None = None
    path: str = ""
    framework_path: str = ""
    siblings: tuple[NamingScheme, ...] = ()

    def __str__(self) -> str:
        paths = [n.path[:-1] for n in (self, *self.siblings) if n.path]
        return f"{self.name} (into {join_names(paths)})" if paths else self.name

    @property
    def framework_name(self) -> str:
        return naming_framework(self.name) if self.block is not None else self.name


class UnfitWeight(Struct, frozen=True):
    """A weight that has no tensor in the file, or one of another shape or type.

    `path` and `shape` are canonical. `file_name` is the tensor's name in the file, `expected_shape` the shape
    that it should have there, and `actual` describes the tensor; it is empty if there is none.
    """

    path: str
    shape: Shape
    file_name: str = ""
    expected_shape: Shape = ()
    actual: str = ""
    suggested_mode: str = ""  # a mode of --adapt that could adapt the tensor


class AdaptedWeight(Struct, frozen=True):
    """A weight that was adapted from a tensor of another size: how, and by which value of --adapt."""

    weight: UnfitWeight
    description: str
    declaration: str


class MatchedWeights(Struct):
    """The tensors that match the model (canonical, by path), and everything that does not match."""

    naming: NamingScheme
    values: dict[str, Array] = field(default_factory=dict)
    missing: list[UnfitWeight] = field(default_factory=list)
    mismatched: list[UnfitWeight] = field(default_factory=list)
    left_over: list[tuple[str, Shape]] = field(default_factory=list)  # entries of the file
    mismatched_values: dict[str, Array] = field(default_factory=dict)  # by path, canonical order of axes
    adapted: list[AdaptedWeight] = field(default_factory=list)

    @property
    def exception_count(self) -> int:
        return len(self.missing) + len(self.mismatched) + len(self.left_over)


def match_weights(
    model: Block,
    entries: Mapping[str, Array],
    namings: Iterable[NamingScheme],
    compiler: ModelCompiler | None = None,
) -> MatchedWeights:
    """Match by the naming scheme that leaves the fewest exceptions; if several do, by the first of them.

    Names of a backend that cannot express the model are passed over, unless there are no others. The
    `compiler` of the model, if there is one, saves lowering it again.
    """
    compiler = compiler or ModelCompiler(model)
    best: MatchedWeights | None = None
    refusal: SpecError | None = None
    for naming in namings:
        try:
            matched = match_by_naming(compiler, entries, naming)
        except SpecError as error:
            if error.code not in ("SB601", "SB203"):
                raise
            refusal = refusal or error
            continue
        if best is None or matched.exception_count < best.exception_count:
            best = matched
        if not best.exception_count:
            break
    if best is None:
        assert refusal is not None
        raise refusal
    return best


def match_by_naming(
    compiler: ModelCompiler, entries: Mapping[str, Array], naming: NamingScheme
) -> MatchedWeights:
    """Match by one naming scheme."""
    if naming.name == CANONICAL:
        weights = canonical_locations(compiler.graph)
        return assign_tensors(MatchedWeights(naming), weights, {w.path: [w] for w in weights}, entries, {})
    weights = compiler.compile_for(naming.framework_name).weights
    shapes, wrappers = framework_shapes(weights), load_backend(naming.framework_name).wrapper_names
    if naming.block is None:
        entries = strip_wrapper_names(entries, shapes, wrappers)
        return assign_tensors(MatchedWeights(naming), weights, group_by_tensor(weights), entries, {})
    # the rules may name the prefix of a wrapper, or leave it out
    matches = [match_published(naming, weights, e) for e in list_stripped_entries(entries, shapes, wrappers)]
    return min(reversed(matches), key=lambda matched: matched.exception_count)


def match_published(
    naming: NamingScheme, weights: list[WeightLocation], entries: Mapping[str, Array]
) -> MatchedWeights:
    """Match by the rules of a published naming."""
    values: dict[str, Array] = {}
    origins: dict[str, str] = {}
    for part in (naming, *naming.siblings):
        assert part.block is not None
        renamed = rename_tensors(part.block, part.name, entries, weights, part.path, part.framework_path)
        values |= renamed.values
        origins |= renamed.origins
    return assign_tensors(MatchedWeights(naming), weights, group_by_tensor(weights), values, origins)


def assign_tensors(
    matched: MatchedWeights,
    weights: list[WeightLocation],
    weights_by_name: Mapping[str, list[WeightLocation]],
    entries: Mapping[str, Array],
    origins: Mapping[str, str],
) -> MatchedWeights:
    """Fill in `matched`: assign to each weight its tensor, if there is one of the right shape.

    `weights_by_name` are the weights that one tensor of the file stores; several share a tensor in Keras.
    `origins` are the published names of the entries, where these were renamed.
    """
    is_canonical = matched.naming.name == CANONICAL
    fitting = {}
    for name, sharing in weights_by_name.items():
        value, file_name = entries.get(name), origins.get(name, name)
        shape = sharing[0].shape if is_canonical else sharing[0].framework_shape
        shape = (len(sharing), *shape) if is_stacked(sharing) else shape
        if value is not None and {value.shape, shape} == {(), (1,)}:
            value = value.reshape(shape)  # one number, with an axis or without
        if value is None:
            matched.missing += [UnfitWeight(w.path, w.shape) for w in sharing]
        elif value.shape == shape and value.dtype.kind in fitting_kinds(sharing[0]):
            fitting[name] = value
        else:
            is_fitting = value.dtype.kind in fitting_kinds(sharing[0])
            actual = format_array_shape(value) + ("" if is_fitting else f" of {value.dtype}")
            matched.mismatched += [UnfitWeight(w.path, w.shape, file_name, shape, actual) for w in sharing]
            if value.dtype.kind == "f" and len(sharing) == 1:
                [weight] = sharing
                canonical_value = value if is_canonical else weight.in_canonical_order(value)
                if canonical_value is not None:
                    matched.mismatched_values[weight.path] = canonical_value
    matched.values = fitting if is_canonical else from_framework(weights, fitting)
    framework = matched.naming.framework_name
    counters = set() if is_canonical else load_backend(framework).counter_names(weights_by_name)
    # With siblings, every published entry is used several times, and only some of the copies may match.
    used = {origins.get(name) for name in weights_by_name} if matched.naming.siblings else set()
    unmatched = [name for name in entries if name not in weights_by_name and name not in counters]
    left_over = {origins.get(name, name): entries[name].shape for name in unmatched}
    matched.left_over = [(name, shape) for name, shape in left_over.items() if name not in used]
    return matched


def fitting_kinds(weight: WeightLocation) -> str:
    """Return the kinds of numbers that a weight can have, as in NumPy: floats; integers for a table of such."""
    return "iu" if weight.spec.given is not None and weight.spec.given.dtype == "int32" else "f"


def format_array_shape(value: Array) -> str:
    return str(tuple(int(n) for n in value.shape))


def strip_wrapper_names(
    entries: Mapping[str, Array], names: Iterable[str], wrappers: WrapperNames
) -> dict[str, Array]:
    """Remove what wrappers add to the names of a file; `names` are those of the model."""
    return list_stripped_entries(entries, names, wrappers)[-1]


def list_stripped_entries(
    entries: Mapping[str, Array], names: Iterable[str], wrappers: WrapperNames
) -> list[dict[str, Array]]:
    """Return the entries without what wrappers add anywhere, then without more and more of their prefixes.

    A prefix that begins a name of the model, `names`, is kept, unless it is there twice. Names without the
    prefix, such as that of a counter beside the model, are left as they are if they are less than half.
    """
    stripped = {
        wrappers.remove_additions(name): value
        for name, value in entries.items()
        if name not in wrappers.entries
    }
    stages = [stripped]
    names = tuple(names)
    while prefix := most_common_prefix(stripped, wrappers.prefixes):
        if any(name.startswith(prefix) for name in names):
            is_doubled = all(name.startswith(2 * prefix) for name in stripped)
            if not is_doubled:
                break  # it is the name of a step
        shorter = {name.removeprefix(prefix): value for name, value in stripped.items()}
        if len(shorter) < len(stripped) or not {*names}.isdisjoint(stripped):
            break  # two tensors would have one name, or the prefix belongs to another model beside this one
        stripped = shorter
        stages.append(stripped)
    return stages


def most_common_prefix(names: Collection[str], prefixes: Iterable[str]) -> str | None:
    """Return the first of these prefixes that more than half of the names have; None if there is none."""
    counts = {prefix: sum(name.startswith(prefix) for name in names) for prefix in prefixes}
    return next((prefix for prefix, count in counts.items() if 2 * count > len(names)), None)


# ----------------------------------------------------------------------------------------------------- naming


def naming_candidates(
    model: Block,
    kind: FileKind | None,
    chosen: str | None,
    into: Sequence[str] = (),
    compiler: ModelCompiler | None = None,
) -> list[NamingScheme]:
    """Return the naming schemes that a kind of file may use; only that with the name `chosen`, if this is not None.

    With `into`, only namings that these steps have in common. Raises SpecError SB806 if there is no such
    scheme.
    """
    namings = published_namings(model, compiler)
    if into:
        namings = common_namings(namings, into)
    own_names = own_namings()
    if chosen in own_names and not into:
        return [NamingScheme(chosen)]
    if chosen is not None:
        return [chosen_naming(model, namings, chosen)]
    own = [] if into else [NamingScheme(name) for name in own_names]
    if kind is not None and kind.needs_program:
        return [naming for naming in (*own, *namings) if naming.framework_name == kind.backend]
    with_program = {k.backend for k in all_file_kinds() if k.needs_program}
    named = [naming for naming in namings if naming.framework_name not in with_program]
    return [*own, *(naming for naming in named if not naming.path or into)]


def own_namings() -> tuple[str, ...]:
    """Return the names that every model has: canonical ones, and those of each backend."""
    return (CANONICAL, *all_backend_names())


def chosen_naming(model: Block, namings: Sequence[NamingScheme], chosen: str) -> NamingScheme:
    """Return the published naming scheme with a name.

    Raises SpecError SB806 if it is unknown or belongs to several steps.
    """
    named = [naming for naming in namings if naming.name == chosen]
    if len(named) > 1 and named[0].path:
        paths = join_names([naming.path[:-1] for naming in named])
        raise SpecError(
            "SB806", f"several steps have published names {chosen!r}: {paths}", hint="choose one with --into"
        )
    if not named:
        names = list(dict.fromkeys([*own_namings(), *(naming.name for naming in namings)]))
        message = f"{model.name} has no rules for weights of {chosen!r}"
        raise SpecError("SB806", message, hint=suggest_name(chosen, names, "the known names are"))
    return named[0]


def common_namings(namings: list[NamingScheme], into: Sequence[str]) -> list[NamingScheme]:
    """Return the namings that all of these steps have; raises SpecError SB806 if there are none."""
    steps = list(dict.fromkeys(naming.path[:-1] for naming in namings if naming.path))
    for step in into:
        if step not in steps:
            none = "no step is a model with `weights` in its spec"
            hint = suggest_name(step, steps, "steps with published names:", otherwise=none)
            raise SpecError("SB806", f"no step {step!r} has published names", hint=hint)
    first_step, *other_steps = dict.fromkeys(into)
    common = []
    for first in (naming for naming in namings if naming.path == f"{first_step}."):
        paths = [f"{step}." for step in other_steps]
        siblings = [n for path in paths for n in namings if (n.name, n.path) == (first.name, path)]
        if len(siblings) == len(other_steps):
            common.append(replace(first, siblings=tuple(siblings)))
    if not common:
        raise SpecError("SB806", f"{join_names(list(into))} have no published names in common")
    return common


def published_namings(model: Block, compiler: ModelCompiler | None = None) -> list[NamingScheme]:
    """Return the published namings for which the model's spec has rules, then those of models inside it."""
    compiler = compiler or ModelCompiler(model)
    with_rules = {naming_framework(name) for block in distinct_blocks(model) for name in weight_rules(block)}
    namings = []
    for framework in all_backend_names():
        if framework in with_rules:
            for path, block, framework_path in compiler.compile_for(framework).find_blocks():
                names = [name for name in weight_rules(block) if naming_framework(name) == framework]
                namings += [NamingScheme(name, block, path, framework_path) for name in names]
    return sorted(namings, key=lambda naming: naming.path != "")


def weight_rules(block: Block) -> Mapping[str, Any]:
    """Return the rules for published weights of a spec whose model is this block; none for any other block.

    The rules of an alias of the model come before the model's own.
    """
    if block.at.path:
        return {}
    sources = [at.source for at in (*block.alias_at, block.at)]
    return {name: rules for s in reversed(sources) for name, rules in (s.data.get("weights") or {}).items()}


# ------------------------------------------------------------------------------------------------- exceptions


class MatchExceptions(Struct, frozen=True):
    """The exceptions that a user allows. Patterns may contain `*` and `?`.

    `missing_patterns` are for paths of the model, `unused_patterns` for names of the file. `adaptations` say
    how tensors of another size are adapted.
    """

    missing_patterns: tuple[str, ...] = ()
    unused_patterns: tuple[str, ...] = ()
    adaptations: tuple[Adaptation, ...] = ()

    def is_allowed_missing(self, path: str) -> bool:
        return any(is_matching(path, pattern) for pattern in self.missing_patterns)

    def is_allowed_unused(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.unused_patterns)

    def idle_patterns(self, matched: MatchedWeights) -> Iterator[str]:
        """Yield patterns that allow no exception; they are probably misspelled."""
        paths = [u.path for u in (*matched.missing, *matched.mismatched)]
        yield from (p for p in self.missing_patterns if not any(is_matching(path, p) for path in paths))
        names = [name for name, _ in matched.left_over]
        yield from (p for p in self.unused_patterns if not any(fnmatchcase(name, p) for name in names))


def is_matching(path: str, pattern: str) -> bool:
    """Return whether a pattern matches a weight, or a step that contains it."""
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}.*")
