"""Steps of one name of which a condition chooses one, such as a deep or a plain stem."""

from __future__ import annotations

import re
from collections.abc import Collection

from msgspec.structs import replace

from specbuild.diagnostics.errors import SpecError
from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.step_entries import StepEntry
from specbuild.elaborate.values import is_condition_true


def choose_alternatives(scope: BlockScope, entries: list[StepEntry]) -> list[StepEntry]:
    """Of the steps that share a name and have a condition, keep the present one; the first if none is present.

    The conditions are decided before any of the steps: they may read no value among them. Raises SB204 if two
    of the steps are present.
    """
    by_name: dict[str, list[StepEntry]] = {}
    for entry in entries:
        by_name.setdefault(entry.name, []).append(entry)
    left_out: list[StepEntry] = []
    for same_name in by_name.values():
        if len(same_name) > 1 and all(entry.step.when is not None for entry in same_name):
            chosen = choose_present(scope, same_name, set(by_name))
            left_out += [entry for entry in same_name if entry is not chosen]
    return [entry for entry in entries if not any(entry is other for other in left_out)]


def choose_present(scope: BlockScope, alternatives: list[StepEntry], steps: Collection[str]) -> StepEntry:
    """Return the step whose condition is true. `steps` are the names of all steps beside them."""
    before, scope.last = scope.last, None  # `prev` would be another value at each step
    present = []
    for entry in alternatives:
        try:
            if is_condition_true(scope, entry.step):
                present.append(entry)
        except SpecError as error:
            raise explain_order(error, entry, steps) from None
    scope.last = before
    if len(present) > 1:
        raise (
            present[1]
            .step.at.child("as")
            .error(
                "SB204",
                f"two steps named {present[1].name!r} are present here: the conditions of both are true",
                "let their conditions exclude each other: `when: deep` and `when: not deep`",
            )
        )
    if not present:
        return alternatives[0]
    # the condition is not that of the name, under which another step may be present
    present[0].step = replace(present[0].step, when=None)
    return present[0]


def explain_order(error: SpecError, entry: StepEntry, steps: Collection[str]) -> SpecError:
    """Return a better error for a condition that reads a step which is its alternative."""
    words = re.findall(r"[A-Za-z_]\w*", str(entry.step.when))
    read = next((word for word in words if word in steps), None)
    if error.code != "SB302" or read is None:
        return error
    message = f"the condition reads the step {read}, and which step is named {entry.name} is decided before all steps"
    hint = "read parameters, or sizes of the inputs of the block or model"
    return entry.step.at.child("when").error("SB302", message, hint)
