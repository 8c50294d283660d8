"""Edits, applied to the steps of a block before these are elaborated: what follows is typed with them.

Instances of a block that the same edits reach in the same way are one instance, and so one class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from specbuild.elaborate.block_scope import Frame
from specbuild.elaborate.pending_edits import Edit
from specbuild.elaborate.step_entries import Entry, flat, kind, label
from specbuild.elaborate.values import chosen
from specbuild.frontend.document import Argument, StepDef
from specbuild.ops import OPS

MAX_TIMES = 1_000  # that edits are about steps of one block, side by side


def edited(frame: Frame, found: list[Entry]) -> list[Entry]:
    """The steps of a block, of a group or of a repeat after every edit that is about one of them."""
    times = 0
    for edit, states in frame.pending.edits:
        selector = edit.definition.selector
        meant = [
            entry
            for entry in flat(found)
            if not entry.removed
            and selector.met(selector.after(states, entry.names, kind(frame, entry.step)))
        ]
        times += len(meant)
        if times > MAX_TIMES:
            raise edit.definition.selector_at.error(
                "SB502",
                f"the edits are about steps of {frame.definition.name} more than {MAX_TIMES:,} times",
            )
        beside = {entry.name: entry for entry in flat(found)}
        for number, entry in enumerate(meant, 1):
            frame.touched.append((edit.definition, frame.prefix + entry.name))
            applied(edit, entry, number if len(meant) > 1 else 0, frame, beside)
    return found


def applied(edit: Edit, entry: Entry, number: int, frame: Frame, beside: dict[str, Entry]) -> None:
    """One edit of one step; `number` counts the steps that it is about, if there are several side by side."""
    definition, step = edit.definition, entry.step
    entry.latest = edit
    match definition.verb:
        case "remove":
            entry.removed = True
        case "freeze":
            if step.kind == "parallel":
                raise edit.definition.selector_at.error(
                    "SB209", "a `parallel` holds nothing itself", "freeze its branches"
                )
            entry.frozen.append(edit)
        case "rewire":
            entry.step, entry.origin = rewired(step, edit), None
        case "set":
            entry.step = replace(step, settings={**step.settings, **settings(edit, step)})
        case "replace":
            entry.origin = None if definition.sources is not None else entry.origin or step
            entry.step = made(edit, step.name, when=step.when, doc=definition.doc or step.doc)
            entry.by, entry.frozen = edit, []
        case "insert":
            base = definition.name or label(made(edit, None))
            name = free(edit, f"{base}{number}" if number else base, frame, beside)
            new = beside[name] = Entry(
                name, made(edit, definition.name and name, doc=definition.doc), by=edit
            )
            if definition.before:
                entry.before.append(new)
            else:
                entry.after.insert(0, new)


def made(edit: Edit, name: str | None, **more: Any) -> StepDef:
    """What an edit inserts, or puts in the place of a step, as a step of the block."""
    definition = edit.definition
    key = "insert" if definition.verb == "insert" else "with"
    choice = chosen(definition.new, definition.at.child(key), edit.scope)
    return StepDef("use", choice, definition.at, definition.at.child(key), name, definition.sources, **more)


def rewired(step: StepDef, edit: Edit) -> StepDef:
    """A step with other inputs, wherever it had them written."""
    value = None if isinstance(step.value, list) else step.value
    if step.kind in OPS and isinstance(value, Mapping):
        value = {
            name: raw for name, raw in value.items() if name not in {t.name for t in OPS[step.kind].takes}
        }
    return replace(
        step,
        value=value,
        sources=edit.definition.sources,
        sources_at=edit.definition.at.child("from"),
    )


def settings(edit: Edit, step: StepDef) -> dict[str, Argument]:
    at = edit.definition.at.child("to")
    if step.kind in ("do", "parallel", "reuse"):
        raise edit.definition.selector_at.error(
            "SB209", f"a `{step.kind}` has no attributes to set", "select a step in it"
        )
    return {name: Argument(raw, at.child(name), edit.scope) for name, raw in edit.definition.settings.items()}


def free(edit: Edit, name: str, frame: Frame, beside: dict[str, Entry]) -> str:
    """A name for a new step that no step beside it has; a parameter that is no block here gives its name up."""
    definition = edit.definition
    other = beside.get(name)
    if other is not None and definition.name is None:
        return next(n for n in (f"{name}{k}" for k in range(2, 10_000)) if n not in beside)
    if other is not None:
        if other.step.name is None and kind(frame, other.step) == "none":
            other.removed = True
        else:
            raise definition.at.child("as").error(
                "SB204",
                f"{frame.definition.name} has a step {name!r} already",
                "give the new one another name",
            )
    return name
