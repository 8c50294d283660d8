"""Edits that cannot be done: one whose selector meets no step, one whose result does not fit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

from specbuild.diagnostics.errors import SpecError, nearest
from specbuild.frontend.edits import EditDef
from specbuild.frontend.selectors import States
from specbuild.frontend.source import At
from specbuild.ir.graph import Block, Node
from specbuild.ops.base import Op

MOST_NAMED = 12
ONE_BY_ONE = 3


def misfit(error: SpecError, edits: list[EditDef], make: Callable[[Collection[EditDef]], Block]) -> SpecError:
    """A fault as that of the edit with which it begins: with those before it alone, the model is fine.

    It is looked for from the end, one by one, then in steps that double, and then by halves: each look makes
    the model anew.
    """

    def fault(count: int) -> SpecError | None:
        try:
            make(edits[:count])
        except SpecError as found:
            return found
        return None

    bad, good, step = len(edits), -1, 1
    while good < 0 < bad:
        count = max(bad - step, 0)
        if (found := fault(count)) is None:
            good = count
        else:
            error, bad, step = found, count, 1 if len(edits) - count < ONE_BY_ONE else 2 * step
    if good < 0:
        return error
    while bad - good > 1:
        middle = (good + bad) // 2
        if (found := fault(middle)) is None:
            good = middle
        else:
            error, bad = found, middle
    return at_edit(error, edits[good])


def at_edit(error: SpecError, edit: EditDef) -> SpecError:
    """The fault where the edit stands, unless it is told of a part of that already."""
    if error.place in places(edit.at):
        return error
    where = error.place
    trail = () if where is None else (f"seen at {where.file}:{where.line}:{where.column}",)
    message = f"after this edit: {error.message}"
    return SpecError(error.code, message, edit.selector_at.place, error.hint, (*trail, *error.trail))


def places(at: At) -> Iterator[Any]:
    """Where a value stands, its key, and everything in it."""
    value = at.source.data
    for key in at.path:
        value = value[key]
    yield from (at.place, at.key_place)
    inner = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in inner:
        yield from places(at.child(key))


def unmet(edit: EditDef, block: Block) -> SpecError:
    """A selector that meets no step, with the names that there are where it leads no further."""
    selector = edit.selector
    deepest = -1
    found: dict[str, str] = {}  # names there, each with a path that ends in it
    kinds: set[str] = set()
    places: list[tuple[str, Branch, States]] = [("", Branch(block), selector.begin)]
    while places:
        path, branch, states = places.pop()
        if max(states) > deepest:
            deepest, found, kinds = max(states), {}, set()
        for name, inside in branch.inside().items():
            whole = f"{path}.{name}" if path else name
            if max(states) == deepest:
                found.setdefault(name, whole)
                kinds.add(inside.kind)
            if left := selector.after(states, (name, name.rstrip("0123456789")), inside.kind):
                places.append((whole, inside, left))
    at = min(deepest, len(selector.parts) - 1)
    part = selector.parts[at]
    message = f"no step is meant by {selector.text!r}"
    if part.kind and (guess := nearest(part.kind, kinds)):
        return edit.selector_at.error("SB208", message, f"did you mean `:{guess}`?")
    if guess := nearest(part.text, found):
        meant = [*selector.parts[:at], replace(part, text=guess), *selector.parts[at + 1 :]]
        return edit.selector_at.error("SB208", message, f"did you mean {'.'.join(map(str, meant))!r}?")
    shown = [*list(found)[:MOST_NAMED], *(["..."] if len(found) > MOST_NAMED else [])]
    parent = next(iter(found.values()), "").rpartition(".")[0]
    where = f"in {parent}" if parent else "here"
    return edit.selector_at.error("SB208", message, f"{where} are: {', '.join(shown)}" if shown else "")


class Branch:
    """The steps under a name: of a block, of a group, or of a step alone."""

    def __init__(self, block: Block, prefix: str = "", node: Node | None = None) -> None:
        self.block, self.prefix, self.node = block, prefix, node

    @property
    def kind(self) -> str:
        op = self.node.op if self.node is not None else None
        return op.kind if isinstance(op, Block) else op.name if isinstance(op, Op) else ""

    def inside(self) -> dict[str, Branch]:
        if self.node is not None:
            return Branch(self.node.op).inside() if isinstance(self.node.op, Block) else {}
        found: dict[str, Branch] = {}
        for node in self.block.nodes:
            if node.name.startswith(self.prefix):
                name, dot, _ = node.name[len(self.prefix) :].partition(".")
                prefix = f"{self.prefix}{name}"
                found[name] = Branch(self.block, prefix + ".") if dot else Branch(self.block, prefix, node)
        return found
