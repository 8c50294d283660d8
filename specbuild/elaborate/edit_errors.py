"""Edits that cannot be done: one whose selector meets no step, one whose result does not fit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

from specbuild.diagnostics.errors import SpecError, closest_match
from specbuild.frontend.edits import EditDef
from specbuild.frontend.selectors import MatchStates
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Block, Node
from specbuild.ops.base import Op

MAX_NAMES = 12
LINEAR_STEPS = 3


def misfit_error(
    error: SpecError, edits: list[EditDef], build: Callable[[Collection[EditDef]], Block]
) -> SpecError:
    """A fault as that of the edit with which it begins: with those before it alone, the model is fine.

    It is looked for from the end, one by one, then in steps that double, and then by halves: each look makes
    the model anew.
    """

    def try_edits(count: int) -> SpecError | None:
        try:
            build(edits[:count])
        except SpecError as found:
            return found
        return None

    bad, good, step = len(edits), -1, 1
    while good < 0 < bad:
        count = max(bad - step, 0)
        if (found := try_edits(count)) is None:
            good = count
        else:
            error, bad, step = found, count, 1 if len(edits) - count < LINEAR_STEPS else 2 * step
    if good < 0:
        return error
    while bad - good > 1:
        middle = (good + bad) // 2
        if (found := try_edits(middle)) is None:
            good = middle
        else:
            error, bad = found, middle
    return relocate_to_edit(error, edits[good])


def relocate_to_edit(error: SpecError, edit: EditDef) -> SpecError:
    """The fault where the edit stands, unless it is told of a part of that already."""
    if error.location in value_locations(edit.at):
        return error
    where = error.location
    trail = () if where is None else (f"seen at {where.file}:{where.line}:{where.column}",)
    message = f"after this edit: {error.message}"
    return SpecError(error.code, message, edit.selector_at.location, error.hint, (*trail, *error.trail))


def value_locations(at: SourceAddress) -> Iterator[Any]:
    """Where a value stands, its key, and everything in it."""
    value = at.source.data
    for key in at.path:
        value = value[key]
    yield from (at.location, at.key_location)
    inner = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in inner:
        yield from value_locations(at.child(key))


def unmatched_selector_error(edit: EditDef, block: Block) -> SpecError:
    """A selector that meets no step, with the names that there are where it leads no further."""
    selector = edit.selector
    deepest = -1
    found: dict[str, str] = {}  # names there, each with a path that ends in it
    kinds: set[str] = set()
    places: list[tuple[str, StepBranch, MatchStates]] = [("", StepBranch(block), selector.start_states)]
    while places:
        path, branch, states = places.pop()
        if max(states) > deepest:
            deepest, found, kinds = max(states), {}, set()
        for name, inside in branch.child_steps().items():
            whole = f"{path}.{name}" if path else name
            if max(states) == deepest:
                found.setdefault(name, whole)
                kinds.add(inside.kind)
            if left := selector.next_states(states, (name, name.rstrip("0123456789")), inside.kind):
                places.append((whole, inside, left))
    at = min(deepest, len(selector.parts) - 1)
    part = selector.parts[at]
    message = f"no step is meant by {selector.text!r}"
    if part.kind and (guess := closest_match(part.kind, kinds)):
        return edit.selector_at.error("SB208", message, f"did you mean `:{guess}`?")
    if guess := closest_match(part.text, found):
        meant = [*selector.parts[:at], replace(part, text=guess), *selector.parts[at + 1 :]]
        return edit.selector_at.error("SB208", message, f"did you mean {'.'.join(map(str, meant))!r}?")
    shown = [*list(found)[:MAX_NAMES], *(["..."] if len(found) > MAX_NAMES else [])]
    parent = next(iter(found.values()), "").rpartition(".")[0]
    where = f"in {parent}" if parent else "here"
    return edit.selector_at.error("SB208", message, f"{where} are: {', '.join(shown)}" if shown else "")


class StepBranch:
    """The steps under a name: of a block, of a group, or of a step alone."""

    def __init__(self, block: Block, prefix: str = "", node: Node | None = None) -> None:
        self.block, self.prefix, self.node = block, prefix, node

    @property
    def kind(self) -> str:
        op = self.node.op if self.node is not None else None
        return op.kind if isinstance(op, Block) else op.name if isinstance(op, Op) else ""

    def child_steps(self) -> dict[str, StepBranch]:
        if self.node is not None:
            return StepBranch(self.node.op).child_steps() if isinstance(self.node.op, Block) else {}
        found: dict[str, StepBranch] = {}
        for node in self.block.nodes:
            if node.name.startswith(self.prefix):
                name, dot, _ = node.name[len(self.prefix) :].partition(".")
                prefix = f"{self.prefix}{name}"
                found[name] = (
                    StepBranch(self.block, prefix + ".") if dot else StepBranch(self.block, prefix, node)
                )
        return found
