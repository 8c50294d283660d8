"""The steps of a block under the names that they have in it, before any of them is elaborated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from specbuild.diagnostics.errors import SpecError
from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.pending_edits import ScopedEdit
from specbuild.elaborate.step_inputs import block_argument
from specbuild.frontend.document import StepDef
from specbuild.frontend.names import to_snake_case
from specbuild.ir.graph import BlockArgument
from specbuild.ops import OPS


@dataclass
class StepEntry:
    """A step under its name, and what edits did to it."""

    name: str
    step: StepDef
    label: str = ""  # of a step without a name, as it is before it is numbered
    number: int | None = None  # in a repeat
    before: list[StepEntry] = field(default_factory=list)
    after: list[StepEntry] = field(default_factory=list)
    removed: bool = False
    origin: StepDef | None = None  # the step in whose place it stands, and whose inputs it takes
    frozen_by: list[ScopedEdit] = field(default_factory=list)  # the edits by which it is not trained
    created_by: ScopedEdit | None = None  # the edit that put it here
    last_edit: ScopedEdit | None = None  # the last edit that was about it

    def error(self, code: str, message: str, hint: str = "") -> SpecError:
        """A fault of what edits made of it, placed at the last of them."""
        edit = self.last_edit or self.created_by
        if edit is None:
            return self.step.error(code, message, hint)
        return edit.definition.selector_at.error(code, message, hint)

    @property
    def selector_names(self) -> tuple[str, ...]:
        """What it may be called in a selector."""
        return (self.name, self.label) if self.label else (self.name,)


def name_steps(scope: BlockScope, steps: tuple[StepDef, ...], numbered: bool = False) -> list[StepEntry]:
    """Steps with their names; those of a group are numbered unless they have one."""
    labels = [step_label(s) for s in steps if s.name is None]
    seen: dict[str, int] = {}
    known = {
        *scope.visible_names[-1],
        *(name for s in steps for name in (s.name, *(s.branches or ())) if name),
    }
    found = []

    def is_taken(name: str) -> bool:
        """Whether a name without a number would meet another; a parameter that is a block gives its step its name."""
        return name in known or (name in scope.env and not isinstance(scope.env[name], BlockArgument))

    for index, step in enumerate(steps):
        tag = "" if step.name is not None else step_label(step)
        if step.name is not None:
            name = step.name
        elif numbered:
            name = str(index)
        else:
            seen[tag] = seen.get(tag, 0) + 1
            name = f"{tag}{seen[tag]}" if labels.count(tag) > 1 or is_taken(tag) else tag
            while is_taken(name):
                seen[tag] += 1
                name = f"{tag}{seen[tag]}"
        known |= {name, *(step.branches or ())}
        found.append(StepEntry(name, step, tag))
    return found


def flatten_entries(entries: list[StepEntry]) -> Iterator[StepEntry]:
    """Every entry in the order in which it is done."""
    for entry in entries:
        yield from flatten_entries(entry.before)
        yield entry
        yield from flatten_entries(entry.after)


def step_label(step: StepDef) -> str:
    """What a step without a name is called."""
    if step.kind == "use":
        if isinstance(step.value, str):
            return step.value
        if isinstance(step.value, BlockArgument):
            return step_label(StepDef(step.value.kind, None, step.at, step.at))
    return step.kind if step.kind in OPS else to_snake_case(step.kind)


def step_kind(scope: BlockScope, step: StepDef) -> str:
    """The op, block or structure that a step is."""
    if step.repeat is not None:
        return "repeat"
    return block_argument(scope, step).kind if step.kind == "use" else step.kind
