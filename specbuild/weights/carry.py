"""Tensors of a file as weights of a model: under which names, what fits, and everything that does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild import keymap
from specbuild.axes import listed
from specbuild.errors import SpecError, nearest
from specbuild.graph import Block
from specbuild.weights.held import Held, from_framework, held, kept_shapes, placed, shared, stacked

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

    The weights of a layout are those of `block`, which stands at `path` in the model and at `kept` in a framework.
    """

    name: str
    block: Block | None = None
    path: str = ""
    kept: str = ""

    def __str__(self) -> str:
        return f"{self.name} (into {self.path[:-1]})" if self.path else self.name

    @property
    def framework(self) -> str:
        return keymap.framework(self.name) if self.block is not None else self.name


@dataclass(frozen=True)
class Unfit:
    """A weight that gets nothing, or something of another form; `found` is empty, or what the file has for it."""

    path: str
    shape: Shape
    name: str = ""
    wanted: Shape = ()
    found: str = ""


@dataclass
class Carried:
    """What came of a file: canonical tensors by path, and the exceptions."""

    naming: Naming
    values: dict[str, Array] = field(default_factory=dict)
    missing: list[Unfit] = field(default_factory=list)
    mismatched: list[Unfit] = field(default_factory=list)
    left_over: list[tuple[str, Shape]] = field(default_factory=list)

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
    renamed = keymap.rename(naming.block, naming.name, bare, wanted, naming.kept)
    return settled(Carried(naming), weights, shared(weights), renamed.values, renamed.origins)


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
        else:
            good[place] = value
    found.values = good if canonical else from_framework(weights, good)
    counters = keymap.counters(places)
    found.left_over = [
        (origins.get(place, place), value.shape)
        for place, value in entries.items()
        if place not in places and place not in counters
    ]
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


def namings(model: Block, kind: str, chosen: str | None, into: str | None) -> list[Naming]:
    """The names that a file of a kind may go by, or the one chosen; SB806 where there is no such thing."""
    named = layouts(model)
    if into is not None:
        steps = list(dict.fromkeys(n.path[:-1] for n in named if n.path))
        named = [n for n in named if n.path == f"{into}."]
        if not named:
            raise SpecError(
                "SB806",
                f"no step {into!r} has published names",
                hint=suggested(
                    into, steps, "no step is a model with `weights` in its file", "steps that have"
                ),
            )
    if chosen in OWN and into is None:
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
    own = [Naming(name) for name in OWN] if into is None else []
    if kind in ("h5", "keras"):
        return [*(n for n in own if n.name == "keras"), *(n for n in named if n.framework == "keras")]
    return [*own, *(n for n in named if n.framework == "torch" and (not n.path or into is not None))]


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
    """What may be missing (paths of the model) and left over (names of the file): patterns with `*` and `?`."""

    missing: tuple[str, ...] = ()
    left_over: tuple[str, ...] = ()

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
