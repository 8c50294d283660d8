"""Errors of edits: a selector that matches no step, and an edit whose result is not a valid model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from specbuild.diagnostics.errors import SpecError, closest_match
from specbuild.diagnostics.suggestions import format_suggestion
from specbuild.frontend.edits import EditDef
from specbuild.frontend.selectors import MatchStates, Selector, parse_selector
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Block, Node
from specbuild.ops.base import Op

MAX_NAMES = 12  # in a hint
LINEAR_STEPS = 3  # as many edits are left out one by one before the steps double


def misfit_error(
    error: SpecError,
    edits: list[EditDef],
    build: Callable[[Collection[EditDef]], Block],
    has_budget: Callable[[], bool],
) -> SpecError:
    """Return the error at the edit that causes it: with only the edits before this one, the model is valid.

    `build` builds the model with some of the edits. The search leaves out more and more of the last edits,
    first one by one, then in steps that double, until the model is valid; then it bisects. It ends where it is
    when there is no budget for another look: the error is then where it was found.
    """

    def try_edits(count: int) -> SpecError | None:
        try:
            build(edits[:count])
        except SpecError as new_error:
            return new_error
        return None

    if error.code == "SB502" and (own_error := try_edits(0)) is not None:
        return own_error  # the model is too large without any edit
    bad, good, step = len(edits), -1, 1
    while good < 0 < bad and has_budget():
        count = max(bad - step, 0)
        if (new_error := try_edits(count)) is None:
            good = count
        else:
            error, bad, step = new_error, count, 1 if len(edits) - count < LINEAR_STEPS else 2 * step
    if good < 0:
        return error
    while bad - good > 1:
        if not has_budget():
            return error
        middle = (good + bad) // 2
        if (new_error := try_edits(middle)) is None:
            good = middle
        else:
            error, bad = new_error, middle
    return relocate_to_edit(error, edits[good])


def relocate_to_edit(error: SpecError, edit: EditDef) -> SpecError:
    """Return the error with the location of the edit, unless it already points into the edit."""
    if error.location in value_locations(edit.at):
        return error
    old = error.location
    trail = () if old is None else (f"detected at {old.file}:{old.line}:{old.column}",)
    message = f"after this edit: {error.message}"
    hint = "edit the other value too, or select other steps" if error.code == "SB401" else error.hint
    return SpecError(error.code, message, edit.selector_at.location, hint, (*trail, *error.trail))


def value_locations(at: SourceAddress) -> Iterator[Any]:
    """Yield the locations of a value, of its key, and of everything inside it."""
    value = at.source.data
    for key in at.path:
        value = value[key]
    yield from (at.location, at.key_location)
    inner = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in inner:
        yield from value_locations(at.child(key))


def unmatched_selector_error(edit: EditDef, block: Block) -> SpecError:
    """Return the error of a selector that matches no step, with the names where the match ends."""
    selector = edit.selector
    end = find_match_end(selector, block)
    index = min(end.part_count, len(selector.parts) - 1)
    part = selector.parts[index]
    message = f"{selector.text!r} matches no step"
    for name in StepBranch(block).child_steps():
        longer = parse_selector(f"{name}.{selector.text}")
        if find_match_end(longer, block).part_count == len(longer.parts):
            return edit.selector_at.error("SB208", message, format_suggestion(longer.text))
    if part.kind and (guess := closest_match(part.kind, end.kinds)):
        return edit.selector_at.error("SB208", message, format_suggestion(f":{guess}"))
    if guess := closest_match(part.text, end.paths):
        parts = [*selector.parts[:index], replace(part, text=guess), *selector.parts[index + 1 :]]
        return edit.selector_at.error("SB208", message, format_suggestion(".".join(map(str, parts))))
    names = [*list(end.paths)[:MAX_NAMES], *(["..."] if len(end.paths) > MAX_NAMES else [])]
    parent = next(iter(end.paths.values()), "").rpartition(".")[0]
    owner = parent or "the model"
    return edit.selector_at.error("SB208", message, f"{owner} contains: {', '.join(names)}" if names else "")


@dataclass
class MatchEnd:
    """Where a selector stops matching: the steps after the longest part that matches."""

    part_count: int = -1  # how many parts of the selector match
    paths: dict[str, str] = field(default_factory=dict)  # name of a step there -> a path that ends with it
    kinds: set[str] = field(default_factory=set)  # the ops and blocks there


def find_match_end(selector: Selector, block: Block) -> MatchEnd:
    end = MatchEnd()
    branches: list[tuple[str, StepBranch, MatchStates]] = [("", StepBranch(block), selector.start_states)]
    while branches:
        path, branch, states = branches.pop()
        if max(states) > end.part_count:
            end = MatchEnd(max(states))
        for name, child in branch.child_steps().items():
            child_path = f"{path}.{name}" if path else name
            if max(states) == end.part_count:
                end.paths.setdefault(name, child_path)
                end.kinds.add(child.kind)
            names = (name, name.rstrip("0123456789"))
            if child_states := selector.next_states(states, names, child.kind):
                branches.append((child_path, child, child_states))
    return end


class StepBranch:
    """A step with the steps inside it: a whole block, a group in a block, or one node."""

    def __init__(self, block: Block, prefix: str = "", node: Node | None = None) -> None:
        self.block, self.prefix, self.node = block, prefix, node

    @property
    def kind(self) -> str:
        """The block or op of a node; empty for a group."""
        op = self.node.op if self.node is not None else None
        return op.name if isinstance(op, Block) else op.title if isinstance(op, Op) else ""

    def child_steps(self) -> dict[str, StepBranch]:
        if self.node is not None:
            return StepBranch(self.node.op).child_steps() if isinstance(self.node.op, Block) else {}
        children: dict[str, StepBranch] = {}
        for node in self.block.nodes:
            if node.name.startswith(self.prefix):
                name, dot, _ = node.name[len(self.prefix) :].partition(".")
                prefix = f"{self.prefix}{name}"
                children[name] = (
                    StepBranch(self.block, prefix + ".") if dot else StepBranch(self.block, prefix, node)
                )
        return children
