"""Apply edits to the steps of a block before elaboration, so that type inference sees their result.

Two uses of a block that get the same edits share one instance, and therefore one class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.pending_edits import ScopedEdit
from specbuild.elaborate.step_entries import StepEntry, flatten_entries, step_kind, step_label
from specbuild.elaborate.values import parse_block_argument
from specbuild.frontend.document import RawArgument, StepDef
from specbuild.ops import OPS

MAX_APPLICATIONS = 1_000  # of edits to steps in one list of steps


def apply_edits(scope: BlockScope, entries: list[StepEntry]) -> list[StepEntry]:
    """Apply all pending edits to the steps of a block, group or repeat, and return the changed entries."""
    application_count = 0
    for edit, states in scope.pending.edits:
        selector = edit.definition.selector
        required = selector.required_name(states)
        present = list(flatten_entries(entries))
        if required is None:
            count = selector.comparison_effort(states) * len(present)
            scope.work.count_comparisons(count, edit.definition.selector_at)
        matches = [
            entry
            for entry in present
            if not entry.removed
            and (required is None or required in entry.selector_names)
            and selector.is_match(
                selector.next_states(states, entry.selector_names, step_kind(scope, entry.step))
            )
        ]
        application_count += len(matches)
        if application_count > MAX_APPLICATIONS:
            raise edit.definition.selector_at.error(
                "SB502",
                f"edits change steps of {scope.definition.name} more than {MAX_APPLICATIONS:,} times",
            )
        siblings = {entry.name: entry for entry in flatten_entries(entries)} if matches else {}
        for number, entry in enumerate(matches, 1):
            scope.applied_edits.append((edit.definition, scope.prefix + entry.name))
            apply_edit(edit, entry, number if len(matches) > 1 else 0, scope, siblings)
    return entries


def apply_edit(
    edit: ScopedEdit, entry: StepEntry, number: int, scope: BlockScope, siblings: dict[str, StepEntry]
) -> None:
    """Apply an edit to one step; `number` counts from 1 if the edit matches several siblings, or is 0."""
    definition, step = edit.definition, entry.step
    entry.last_edit = edit
    match definition.verb:
        case "remove":
            entry.removed = True
        case "freeze":
            if step.kind == "parallel":
                raise edit.definition.selector_at.error(
                    "SB209", "a `parallel` itself cannot be frozen", "freeze its branches"
                )
            entry.frozen_by.append(edit)
        case "rewire":
            entry.step, entry.origin = rewire_step(step, edit), None
        case "set":
            entry.step = replace(step, settings={**step.settings, **edit_settings(edit, step)})
        case "replace":
            entry.origin = None if definition.sources is not None else entry.origin or step
            entry.step = make_edit_step(edit, step.name, when=step.when, doc=definition.doc or step.doc)
            entry.created_by, entry.frozen_by = edit, []
        case "insert":
            base = definition.name or step_label(make_edit_step(edit, None))
            name = free_name(edit, f"{base}{number}" if number else base, scope, siblings)
            new = siblings[name] = StepEntry(
                name, make_edit_step(edit, definition.name and name, doc=definition.doc), created_by=edit
            )
            if definition.before:
                entry.before.append(new)
            else:
                entry.after.insert(0, new)


def make_edit_step(edit: ScopedEdit, name: str | None, **more: Any) -> StepDef:
    """Return the step that an edit inserts, or that replaces another step."""
    definition = edit.definition
    key = "insert" if definition.verb == "insert" else "with"
    choice = parse_block_argument(definition.new, definition.at.child(key), edit.env)
    return StepDef("use", choice, definition.at, definition.at.child(key), name, definition.sources, **more)


def rewire_step(step: StepDef, edit: ScopedEdit) -> StepDef:
    """Return the step with the inputs that the edit gives; inputs among its attributes are dropped."""
    value = None if isinstance(step.value, list) else step.value
    if step.kind in OPS and isinstance(value, Mapping):
        inputs = {spec.name for spec in OPS[step.kind].input_specs}
        value = {name: raw for name, raw in value.items() if name not in inputs}
    return replace(
        step,
        value=value,
        sources=edit.definition.sources,
        sources_at=edit.definition.at.child("from"),
    )


def edit_settings(edit: ScopedEdit, step: StepDef) -> dict[str, RawArgument]:
    at = edit.definition.at.child("to")
    if step.kind in ("do", "parallel", "reuse"):
        raise edit.definition.selector_at.error(
            "SB209", f"a `{step.kind}` has no attributes to set", "select a step inside it"
        )
    return {
        name: RawArgument(raw, at.child(name), edit.env) for name, raw in edit.definition.settings.items()
    }


def free_name(edit: ScopedEdit, name: str, scope: BlockScope, siblings: dict[str, StepEntry]) -> str:
    """Return a name for a new step that no sibling has. Raises SB204 if the edit gives a name that is in use.

    An unnamed `use` step whose parameter is `none` has no effect: the new step replaces it and gets its name.
    """
    definition = edit.definition
    other = siblings.get(name)
    if other is not None and definition.name is None:
        return next(n for n in (f"{name}{k}" for k in range(2, 10_000)) if n not in siblings)
    if other is not None:
        if other.step.name is None and step_kind(scope, other.step) == "none":
            other.removed = True
        else:
            raise definition.at.child("as").error(
                "SB204",
                f"{scope.definition.name} already has a step {name!r}",
                "give the new step another name",
            )
    return name
