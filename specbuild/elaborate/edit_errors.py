"""Errors of edits: a selector that matches no step, and an edit whose result is not a valid model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.diagnostics.errors import SpecError, closest_match
from specbuild.diagnostics.suggestions import format_suggestion
from specbuild.frontend.edits import EditDef
from specbuild.frontend.selectors import MatchStates, Selector
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

    if error.code == "SB502" and any(error.location == edit.selector_at.location for edit in edits):
        return error  # an edit that changes too many steps, or is compared with too many

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
    selector, steps = edit.selector, StepTree()
    root = steps.read_block(block)
    end = find_match_end(selector, root, steps)
    index = min(end.part_count, len(selector.parts) - 1)
    part = selector.parts[index]
    message = f"{selector.text!r} matches no step"
    if first := find_missing_part(selector, root, steps):
        hint = format_suggestion(f"{first}.{selector.text}")
        return edit.selector_at.error("SB208", message, hint)
    if part.kind and (guess := closest_match(part.kind, end.kinds)):
        return edit.selector_at.error("SB208", message, format_suggestion(f":{guess}"))
    if guess := closest_match(part.text, end.paths):
        parts = [*selector.parts[:index], replace(part, text=guess), *selector.parts[index + 1 :]]
        return edit.selector_at.error("SB208", message, format_suggestion(".".join(map(str, parts))))
    names = [*list(end.paths)[:MAX_NAMES], *(["..."] if len(end.paths) > MAX_NAMES else [])]
    parent = next(iter(end.paths.values()), "").rpartition(".")[0]
    owner = parent or "the model"
    return edit.selector_at.error("SB208", message, f"{owner} contains: {', '.join(names)}" if names else "")


class StepBranch(Struct, eq=False):
    """A step with the steps inside it: a whole block, a group in a block, or one node."""

    node: Node | None = None
    children: dict[str, StepBranch] = field(default_factory=dict)  # of a block or a group

    @property
    def kind(self) -> str:
        """The block or op of a node; empty for a group."""
        op = self.node.op if self.node is not None else None
        return op.name if isinstance(op, Block) else op.title if isinstance(op, Op) else ""


class StepTree:
    """The steps of a model. An instance of a block is read once, wherever it is used."""

    def __init__(self) -> None:
        self.roots: dict[Block, StepBranch] = {}

    def read_block(self, block: Block) -> StepBranch:
        """Return the steps of a block by the parts of their names."""
        if block not in self.roots:
            self.roots[block] = root = StepBranch()
            for node in block.nodes:
                branch = root
                for name in node.name.split("."):
                    branch = branch.children.setdefault(name, StepBranch())
                branch.node = node
        return self.roots[block]

    def find_inside(self, branch: StepBranch) -> StepBranch:
        """Return the branch with the steps inside another one: the instance of a block for its node."""
        op = branch.node.op if branch.node is not None else None
        return self.read_block(op) if isinstance(op, Block) else branch


class MatchEnd(Struct):
    """Where a selector stops matching: the steps after the longest part that matches."""

    part_count: int = -1  # how many parts of the selector match
    paths: dict[str, str] = field(default_factory=dict)  # name of a step there -> a path that ends with it
    kinds: set[str] = field(default_factory=set)  # the ops and blocks there


def find_match_end(selector: Selector, root: StepBranch, steps: StepTree) -> MatchEnd:
    """Return where a selector stops matching; what several paths lead to is looked at once."""
    end = MatchEnd()
    branches: list[tuple[str, StepBranch, MatchStates]] = [("", root, selector.start_states)]
    seen: set[tuple[StepBranch, MatchStates]] = set()
    while branches:
        path, branch, states = branches.pop()
        branch = steps.find_inside(branch)
        if (branch, states) in seen:
            continue
        seen.add((branch, states))
        if max(states) > end.part_count:
            end = MatchEnd(max(states))
        for name, child in branch.children.items():
            child_path = f"{path}.{name}" if path else name
            if max(states) == end.part_count:
                end.paths.setdefault(name, child_path)
                end.kinds.add(child.kind)
            names = (name, name.rstrip("0123456789"))
            if child_states := selector.next_states(states, names, child.kind):
                branches.append((child_path, child, child_states))
    return end


def find_missing_part(selector: Selector, root: StepBranch, steps: StepTree) -> str:
    """Return the name of a step inside of which the selector matches one; empty if there is none."""
    for name, child in root.children.items():
        inside = steps.find_inside(child)
        if inside.children and find_match_end(selector, inside, steps).part_count == len(selector.parts):
            return name
    return ""
