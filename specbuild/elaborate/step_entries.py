"""The steps of a block with their names, before elaboration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct, field

from specbuild.diagnostics.errors import SpecError
from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.pending_edits import ScopedEdit
from specbuild.elaborate.step_inputs import block_argument
from specbuild.frontend.document import StepDef
from specbuild.frontend.names import is_number_name, to_snake_case
from specbuild.ir.graph import BlockArgument
from specbuild.ops import OPS


class StepEntry(Struct):
    """A step with its name, and what edits changed."""

    name: str
    step: StepDef
    label: str = ""  # for a step without a name: the name that it gets, without its number
    number: int | None = None  # for a member of a repeat: its index
    spliced_from: StepDef | None = None  # the repeat with `splice` of which it is a member
    before: list[StepEntry] = field(default_factory=list)
    after: list[StepEntry] = field(default_factory=list)
    removed: bool = False
    origin: StepDef | None = None  # the step that this one replaces, if it takes over its inputs
    frozen_by: list[ScopedEdit] = field(default_factory=list)
    created_by: ScopedEdit | None = None
    last_edit: ScopedEdit | None = None

    def error(self, code: str, message: str, hint: str = "") -> SpecError:
        """Return an error located at the last edit of the step, or at the step if it has no edits."""
        edit = self.last_edit or self.created_by
        if edit is None:
            return self.step.error(code, message, hint)
        return edit.definition.selector_at.error(code, message, hint)

    @property
    def selector_names(self) -> tuple[str, ...]:
        """The names of the step for selectors: `relu2` is also a `relu`."""
        return (self.name, self.label) if self.label else (self.name,)


def name_steps(scope: BlockScope, steps: tuple[StepDef, ...], numbered: bool = False) -> list[StepEntry]:
    """Give every step a name: its own, else its label, numbered if needed; if `numbered`, else the next number.

    Numbers count from 0, or on from a step whose own name is a number. Raises SB203 for a number where steps are not numbered.
    """
    totals = Counter(step_label(s) for s in steps if s.name is None)
    counts: dict[str, int] = {}
    used = {
        *scope.visible_names[-1],
        *(name for s in steps for name in (s.name, *(s.branches or ())) if name),
    }
    entries, index = [], 0

    def is_taken(name: str) -> bool:
        # A parameter of type `block` does not take its name: the step that uses it gets the same name.
        return name in used or (name in scope.env and not isinstance(scope.env[name], BlockArgument))

    for step in steps:
        label = "" if step.name is not None else step_label(step)
        if step.name is not None:
            name = step.name
        elif numbered:
            name = str(index)
        else:
            counts[label] = counts.get(label, 0) + 1
            name = f"{label}{counts[label]}" if totals[label] > 1 or is_taken(label) else label
            while is_taken(name):
                counts[label] += 1
                name = f"{label}{counts[label]}"
        if is_number_name(name):
            if not numbered:
                message = f"{name!r} cannot be the name of this step: only the steps of a `do` or of a branch have numbers"
                raise step.at.child("as").error("SB203", message, f"use another name, such as step{name}")
            index = int(name)
        index += 1
        used |= {name, *(step.branches or ())}
        entries.append(StepEntry(name, step, label, step.index, step.member_of))
    return entries


def flatten_entries(entries: list[StepEntry]) -> Iterator[StepEntry]:
    """Yield all entries, with those inserted before and after them, in the order of execution."""
    for entry in entries:
        if entry.before:
            yield from flatten_entries(entry.before)
        yield entry
        if entry.after:
            yield from flatten_entries(entry.after)


def step_label(step: StepDef) -> str:
    """Return the default name of a step, from its op, block or parameter."""
    if step.kind == "use":
        if isinstance(step.value, str):
            return step.value
        if isinstance(step.value, BlockArgument):
            return step_label(StepDef(step.value.name, None, step.at, step.at))
    return (step.written_kind or step.kind) if step.kind in OPS else to_snake_case(step.kind)


def step_kind(scope: BlockScope, step: StepDef) -> str:
    """Return the name of the op, block or structure of a step; for a `use`, of its argument."""
    if step.repeat is not None or step.foreach is not None:
        return "repeat" if step.foreach is None else "foreach"
    return block_argument(scope, step).name if step.kind == "use" else step.title
