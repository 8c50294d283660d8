"""Tensors of a file as weights of a model: under which names, what fits, and everything that does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.compiler.weight_locations import (
    Held,
    from_framework,
    held,
    kept_shapes,
    placed,
    shared,
    stacked,
)
from specbuild.diagnostics.errors import SpecError, nearest
from specbuild.ir.graph import Block
from specbuild.ops.types import listed
from specbuild.weights import published_names as keymap
from specbuild.weights.adapt_options import Adaptation

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

Shape: TypeAlias = tuple[int, ...]

CANONICAL = "specbuild"
OWN = (CANONICAL, "torch", "keras")

# What wrappers put in front of every name, and into names: data parallel, torch.compile, training frameworks.
HEADS = ("module.", "model.")
COMPILED = "_orig_mod."
AVERAGED = "n_averaged"  # what a model of averages counts with


@dataclass(frozen=True)
class Naming:
    """The names that a file goes by: the model's own in one form, or those of a published layout.

    The weights of a layout are those of `block`, which stands at `path` in the model and at `kept` in a framework,
    and of the blocks of `also`.
    """

    name: str
    block: Block | None = None
    path: str = ""
    kept: str = ""
    also: tuple[Naming, ...] = ()

    def __str__(self) -> str:
        paths = [n.path[:-1] for n in (self, *self.also) if n.path]
        return f"{self.name} (into {listed(paths)})" if paths else self.name

    @property
    def framework(self) -> str:
        return keymap.framework(self.name) if self.block is not None else self.name


@dataclass(frozen=True)
class Unfit:
    """A weight that gets nothing, or something of another form; `found` is empty, or what the file has for it.

    `advice` is the mode that would adapt it, if there is one.
    """

    path: str
    shape: Shape
    name: str = ""
    wanted: Shape = ()
    found: str = ""
    advice: str = ""


@dataclass(frozen=True)
class Adapted:
    """A weight of another size that was made to fit: how, and what declared it."""

    weight: Unfit
    how: str
    by: str


@dataclass
class Carried:
    """What came of a file: canonical tensors by path, and the exceptions."""

    naming: Naming
    values: dict[str, Array] = field(default_factory=dict)
    missing: list[Unfit] = field(default_factory=list)
    mismatched: list[Unfit] = field(default_factory=list)
    left_over: list[tuple[str, Shape]] = field(default_factory=list)
    others: dict[str, Array] = field(default_factory=dict)  # of another size, in canonical order
    adapted: list[Adapted] = field(default_factory=list)

    @property
    def exceptions(self) -> int:
        return len(self.missing) + len(self.mismatched) + len(self.left_over)


def carried(model: Block, entries: Mapping[str, Array], namings: Iterable[Naming]) -> Carried:
    """The tensors as weights of the model, by the names that leave the fewest exceptions; of equals the first."""
    best: Carried | None = None
    for naming in namings:
        found = fitted(model, entries, naming)
        if best is None or found.exceptions < best.exceptions:
            best = found
        if not best.exceptions:
            break
    assert best is not None
    return best


def fitted(model: Block, entries: Mapping[str, Array], naming: Naming) -> Carried:
    """The tensors as weights of the model, by one kind of names."""
    if naming.name == CANONICAL:
        weights = held(model, "torch")
        return settled(Carried(naming), weights, {h.path: [h] for h in weights}, entries, {})
    weights = held(model, naming.framework)
    wanted = kept_shapes(weights)
    bare = unwrapped(entries, wanted)
    if naming.block is None:
        return settled(Carried(naming), weights, shared(weights), bare, {})
    values: dict[str, Array] = {}
    origins: dict[str, str] = {}
    for part in (naming, *naming.also):
        assert part.block is not None
        renamed = keymap.rename(part.block, part.name, bare, wanted, part.kept)
        values |= renamed.values
        origins |= renamed.origins
    return settled(Carried(naming), weights, shared(weights), values, origins)


def settled(
    found: Carried,
    weights: list[Held],
    places: Mapping[str, list[Held]],
    entries: Mapping[str, Array],
    origins: Mapping[str, str],
) -> Carried:
    """Each weight its tensor, if there is one and it fits."""
    canonical = found.naming.name == CANONICAL
    good = {}
    for place, sharing in places.items():
        value, name = entries.get(place), origins.get(place, place)
        shape = sharing[0].shape if canonical else sharing[0].kept_shape
        shape = (len(sharing), *shape) if stacked(sharing) else shape
        if value is None:
            found.missing += [Unfit(h.path, h.shape) for h in sharing]
        elif value.shape != shape or value.dtype.kind != "f":
            told = said(value) if value.dtype.kind == "f" else f"{said(value)} of {value.dtype}"
            found.mismatched += [Unfit(h.path, h.shape, name, shape, told) for h in sharing]
            if value.dtype.kind == "f" and len(sharing) == 1:
                other = value if canonical else sharing[0].turned(value)
                found.others |= {} if other is None else {sharing[0].path: other}
        else:
            good[place] = value
    found.values = good if canonical else from_framework(weights, good)
    counters = keymap.counters(places)
    used = {origins.get(place) for place in places} if found.naming.also else set()
    left_over = {
        name: value.shape
        for place, value in entries.items()
        if place not in places and place not in counters and (name := origins.get(place, place)) not in used
    }
    found.left_over = list(left_over.items())
    return found


def said(value: Array) -> str:
    return str(tuple(int(n) for n in value.shape))


def unwrapped(entries: Mapping[str, Array], wanted: Iterable[str]) -> dict[str, Array]:
    """The entries without what wrappers add to their names."""
    found = {name.replace(COMPILED, ""): value for name, value in entries.items() if name != AVERAGED}
    own = tuple(wanted)
    while head := next((h for h in HEADS if found and all(name.startswith(h) for name in found)), None):
        if any(name.startswith(head) for name in own) and not all(n.startswith(2 * head) for n in found):
            break  # it is a step's own name
        found = {name.removeprefix(head): value for name, value in found.items()}
    return found


# ---------------------------------------------------------------------------------------------------------- naming


def namings(model: Block, kind: str, chosen: str | None, into: Sequence[str] = ()) -> list[Naming]:
    """The names that a file of a kind may go by, or the one chosen; SB806 where there is no such thing.

    What is for the steps `into` is for each of them.
    """
    named = layouts(model)
    if into:
        named = together(named, into)
    if chosen in OWN and not into:
        return [Naming(chosen)]
    if chosen is not None:
        found = [n for n in named if n.name == chosen]
        if len(found) > 1 and found[0].path:
            paths = listed([n.path[:-1] for n in found])
            raise SpecError("SB806", f"{chosen!r} fits {paths}", hint="choose one of them by --into")
        if not found:
            names = list(dict.fromkeys([*OWN, *(n.name for n in named)]))
            raise SpecError(
                "SB806",
                f"{model.kind} knows no weights of {chosen!r}",
                hint=suggested(chosen, names, "", "there are"),
            )
        return found[:1]
    own = [] if into else [Naming(name) for name in OWN]
    if kind in ("h5", "keras"):
        return [*(n for n in own if n.name == "keras"), *(n for n in named if n.framework == "keras")]
    return [*own, *(n for n in named if n.framework == "torch" and (not n.path or into))]


def together(named: list[Naming], into: Sequence[str]) -> list[Naming]:
    """The layouts that all of these steps have; SB806 where there is none."""
    steps = list(dict.fromkeys(n.path[:-1] for n in named if n.path))
    for step in into:
        if step not in steps:
            none = "no step is a model with `weights` in its file"
            hint = suggested(step, steps, none, "steps that have")
            raise SpecError("SB806", f"no step {step!r} has published names", hint=hint)
    found = []
    for first in (n for n in named if n.path == f"{into[0]}."):
        others = (f"{step}." for step in dict.fromkeys(into) if step != into[0])
        also = [n for path in others for n in named if (n.name, n.path) == (first.name, path)]
        if len(also) == len(set(into)) - 1:
            found.append(replace(first, also=tuple(also)))
    if not found:
        raise SpecError("SB806", f"{listed(list(into))} have no published names in common")
    return found


def suggested(word: str, known: list[str], none: str, some: str) -> str:
    guess = nearest(word, known)
    return f"did you mean {guess!r}?" if guess else f"{some} {listed(known)}" if known else none


def layouts(model: Block) -> list[Naming]:
    """Every published layout that the model's file has rules for, then those of the models inside it."""
    found = []
    for framework in ("torch", "keras"):
        for path, block, kept in placed(model, framework):
            if block.at.path == ():  # a whole file's model
                rules: Mapping[str, Any] = block.at.source.data.get("weights") or {}
                found += [
                    Naming(name, block, path, kept) for name in rules if keymap.framework(name) == framework
                ]
    return sorted(found, key=lambda n: n.path != "")


# ------------------------------------------------------------------------------------------------------ exceptions


@dataclass(frozen=True)
class Declared:
    """What may be missing (paths of the model) and left over (names of the file): patterns with `*` and `?`.

    And what is made to fit, if it has another size.
    """

    missing: tuple[str, ...] = ()
    left_over: tuple[str, ...] = ()
    adapted: tuple[Adaptation, ...] = ()

    def new(self, path: str) -> bool:
        return any(matches(path, pattern) for pattern in self.missing)

    def unused(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.left_over)

    def idle(self, found: Carried) -> Iterator[str]:
        """Patterns that declare nothing: a typo, most likely."""
        paths = [u.path for u in (*found.missing, *found.mismatched)]
        yield from (p for p in self.missing if not any(matches(path, p) for path in paths))
        names = [name for name, _ in found.left_over]
        yield from (p for p in self.left_over if not any(fnmatchcase(name, p) for name in names))


def matches(path: str, pattern: str) -> bool:
    """Whether a pattern names a weight, or a step that holds it."""
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}.*")
