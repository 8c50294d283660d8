"""Tensors of a file as weights of a model: under which names, what fits, and everything that does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.compiler.weight_locations import (
    WeightLocation,
    framework_shapes,
    from_framework,
    group_by_tensor,
    is_stacked,
    locate_blocks,
    locate_weights,
)
from specbuild.diagnostics.errors import SpecError, closest_match
from specbuild.ir.graph import Block
from specbuild.ops.types import join_names
from specbuild.weights import published_names as keymap
from specbuild.weights.adapt_options import Adaptation

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

Shape: TypeAlias = tuple[int, ...]

CANONICAL = "specbuild"
OWN_NAMINGS = (CANONICAL, "torch", "keras")

# What wrappers put in front of every name, and into names: data parallel, torch.compile, training frameworks.
WRAPPER_PREFIXES = ("module.", "model.")
COMPILE_PREFIX = "_orig_mod."
AVERAGE_COUNTER = "n_averaged"  # what a model of averages counts with


@dataclass(frozen=True)
class NamingScheme:
    """The names that a file goes by: the model's own in one form, or those of a published layout.

    The weights of a layout are those of `block`, which stands at `path` in the model and at `kept` in a framework,
    and of the blocks of `also`.
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
        return keymap.layout_framework(self.name) if self.block is not None else self.name


@dataclass(frozen=True)
class UnfitWeight:
    """A weight that gets nothing, or something of another form; `found` is empty, or what the file has for it.

    `advice` is the mode that would adapt it, if there is one.
    """

    path: str
    shape: Shape
    file_name: str = ""
    expected_shape: Shape = ()
    actual: str = ""
    suggested_mode: str = ""


@dataclass(frozen=True)
class AdaptedWeight:
    """A weight of another size that was made to fit: how, and what declared it."""

    weight: UnfitWeight
    description: str
    declaration: str


@dataclass
class MatchedWeights:
    """What came of a file: canonical tensors by path, and the exceptions."""

    naming: NamingScheme
    values: dict[str, Array] = field(default_factory=dict)
    missing: list[UnfitWeight] = field(default_factory=list)
    mismatched: list[UnfitWeight] = field(default_factory=list)
    left_over: list[tuple[str, Shape]] = field(default_factory=list)
    mismatched_values: dict[str, Array] = field(default_factory=dict)  # of another size, in canonical order
    adapted: list[AdaptedWeight] = field(default_factory=list)

    @property
    def exception_count(self) -> int:
        return len(self.missing) + len(self.mismatched) + len(self.left_over)


def match_weights(
    model: Block, entries: Mapping[str, Array], namings: Iterable[NamingScheme]
) -> MatchedWeights:
    """The tensors as weights of the model, by the names that leave the fewest exceptions; of equals the first."""
    best: MatchedWeights | None = None
    for naming in namings:
        matched = match_by_naming(model, entries, naming)
        if best is None or matched.exception_count < best.exception_count:
            best = matched
        if not best.exception_count:
            break
    assert best is not None
    return best


def match_by_naming(model: Block, entries: Mapping[str, Array], naming: NamingScheme) -> MatchedWeights:
    """The tensors as weights of the model, by one kind of names."""
    if naming.name == CANONICAL:
        weights = locate_weights(model, "torch")
        return assign_tensors(MatchedWeights(naming), weights, {h.path: [h] for h in weights}, entries, {})
    weights = locate_weights(model, naming.framework_name)
    wanted = framework_shapes(weights)
    bare = strip_wrapper_prefixes(entries, wanted)
    if naming.block is None:
        return assign_tensors(MatchedWeights(naming), weights, group_by_tensor(weights), bare, {})
    values: dict[str, Array] = {}
    origins: dict[str, str] = {}
    for part in (naming, *naming.siblings):
        assert part.block is not None
        renamed = keymap.rename_tensors(part.block, part.name, bare, wanted, part.framework_path)
        values |= renamed.values
        origins |= renamed.origins
    return assign_tensors(MatchedWeights(naming), weights, group_by_tensor(weights), values, origins)


def assign_tensors(
    matched: MatchedWeights,
    weights: list[WeightLocation],
    places: Mapping[str, list[WeightLocation]],
    entries: Mapping[str, Array],
    origins: Mapping[str, str],
) -> MatchedWeights:
    """Each weight its tensor, if there is one and it fits."""
    canonical = matched.naming.name == CANONICAL
    fitting = {}
    for place, sharing in places.items():
        value, name = entries.get(place), origins.get(place, place)
        shape = sharing[0].shape if canonical else sharing[0].framework_shape
        shape = (len(sharing), *shape) if is_stacked(sharing) else shape
        if value is None:
            matched.missing += [UnfitWeight(h.path, h.shape) for h in sharing]
        elif value.shape != shape or value.dtype.kind != "f":
            actual = (
                format_shape(value) if value.dtype.kind == "f" else f"{format_shape(value)} of {value.dtype}"
            )
            matched.mismatched += [UnfitWeight(h.path, h.shape, name, shape, actual) for h in sharing]
            if value.dtype.kind == "f" and len(sharing) == 1:
                other = value if canonical else sharing[0].in_canonical_order(value)
                matched.mismatched_values |= {} if other is None else {sharing[0].path: other}
        else:
            fitting[place] = value
    matched.values = fitting if canonical else from_framework(weights, fitting)
    counters = keymap.batch_counters(places)
    used = {origins.get(place) for place in places} if matched.naming.siblings else set()
    left_over = {
        name: value.shape
        for place, value in entries.items()
        if place not in places and place not in counters and (name := origins.get(place, place)) not in used
    }
    matched.left_over = list(left_over.items())
    return matched


def format_shape(value: Array) -> str:
    return str(tuple(int(n) for n in value.shape))


def strip_wrapper_prefixes(entries: Mapping[str, Array], wanted: Iterable[str]) -> dict[str, Array]:
    """The entries without what wrappers add to their names."""
    found = {
        name.replace(COMPILE_PREFIX, ""): value for name, value in entries.items() if name != AVERAGE_COUNTER
    }
    own = tuple(wanted)
    while head := next(
        (h for h in WRAPPER_PREFIXES if found and all(name.startswith(h) for name in found)), None
    ):
        if any(name.startswith(head) for name in own) and not all(n.startswith(2 * head) for n in found):
            break  # it is a step's own name
        found = {name.removeprefix(head): value for name, value in found.items()}
    return found


# ---------------------------------------------------------------------------------------------------------- naming


def naming_candidates(
    model: Block, kind: str, chosen: str | None, into: Sequence[str] = ()
) -> list[NamingScheme]:
    """The names that a file of a kind may go by, or the one chosen; SB806 where there is no such thing.

    What is for the steps `into` is for each of them.
    """
    named = published_layouts(model)
    if into:
        named = common_layouts(named, into)
    if chosen in OWN_NAMINGS and not into:
        return [NamingScheme(chosen)]
    if chosen is not None:
        found = [n for n in named if n.name == chosen]
        if len(found) > 1 and found[0].path:
            paths = join_names([n.path[:-1] for n in found])
            raise SpecError("SB806", f"{chosen!r} fits {paths}", hint="choose one of them by --into")
        if not found:
            names = list(dict.fromkeys([*OWN_NAMINGS, *(n.name for n in named)]))
            raise SpecError(
                "SB806",
                f"{model.kind} knows no weights of {chosen!r}",
                hint=suggest_name(chosen, names, "", "there are"),
            )
        return found[:1]
    own = [] if into else [NamingScheme(name) for name in OWN_NAMINGS]
    if kind in ("h5", "keras"):
        return [*(n for n in own if n.name == "keras"), *(n for n in named if n.framework_name == "keras")]
    return [*own, *(n for n in named if n.framework_name == "torch" and (not n.path or into))]


def common_layouts(named: list[NamingScheme], into: Sequence[str]) -> list[NamingScheme]:
    """The layouts that all of these steps have; SB806 where there is none."""
    steps = list(dict.fromkeys(n.path[:-1] for n in named if n.path))
    for step in into:
        if step not in steps:
            none = "no step is a model with `weights` in its file"
            hint = suggest_name(step, steps, none, "steps that have")
            raise SpecError("SB806", f"no step {step!r} has published names", hint=hint)
    found = []
    for first in (n for n in named if n.path == f"{into[0]}."):
        others = (f"{step}." for step in dict.fromkeys(into) if step != into[0])
        also = [n for path in others for n in named if (n.name, n.path) == (first.name, path)]
        if len(also) == len(set(into)) - 1:
            found.append(replace(first, siblings=tuple(also)))
    if not found:
        raise SpecError("SB806", f"{join_names(list(into))} have no published names in common")
    return found


def suggest_name(word: str, known: list[str], none: str, some: str) -> str:
    guess = closest_match(word, known)
    return f"did you mean {guess!r}?" if guess else f"{some} {join_names(known)}" if known else none


def published_layouts(model: Block) -> list[NamingScheme]:
    """Every published layout that the model's file has rules for, then those of the models inside it."""
    found = []
    for framework in ("torch", "keras"):
        for path, block, kept in locate_blocks(model, framework):
            if block.at.path == ():  # a whole file's model
                rules: Mapping[str, Any] = block.at.source.data.get("weights") or {}
                found += [
                    NamingScheme(name, block, path, kept)
                    for name in rules
                    if keymap.layout_framework(name) == framework
                ]
    return sorted(found, key=lambda n: n.path != "")


# ------------------------------------------------------------------------------------------------------ exceptions


@dataclass(frozen=True)
class MatchExceptions:
    """What may be missing (paths of the model) and left over (names of the file): patterns with `*` and `?`.

    And what is made to fit, if it has another size.
    """

    missing_patterns: tuple[str, ...] = ()
    unused_patterns: tuple[str, ...] = ()
    adaptations: tuple[Adaptation, ...] = ()

    def is_allowed_missing(self, path: str) -> bool:
        return any(is_matching(path, pattern) for pattern in self.missing_patterns)

    def is_allowed_unused(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.unused_patterns)

    def idle_patterns(self, matched: MatchedWeights) -> Iterator[str]:
        """Patterns that declare nothing: a typo, most likely."""
        paths = [u.path for u in (*matched.missing, *matched.mismatched)]
        yield from (p for p in self.missing_patterns if not any(is_matching(path, p) for path in paths))
        names = [name for name, _ in matched.left_over]
        yield from (p for p in self.unused_patterns if not any(fnmatchcase(name, p) for name in names))


def is_matching(path: str, pattern: str) -> bool:
    """Whether a pattern names a weight, or a step that holds it."""
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}.*")
