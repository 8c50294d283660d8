"""Edits that may still match a step further down the model, with the state of their selectors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from specbuild.frontend.edits import EditDef
from specbuild.frontend.selectors import MatchStates
from specbuild.ir.graph import BlockArgument


@dataclass(frozen=True, eq=False)
class ScopedEdit:
    """An edit with the values of the names in it, which are the parameters of the model in its file."""

    definition: EditDef
    env: Mapping[str, Any]

    def cache_key(self) -> Any:
        """Return a key that is equal for edits with the same effect."""
        env = tuple(
            (n, v.cache_key if isinstance(v, BlockArgument) else repr(v)) for n, v in self.env.items()
        )
        return (self.definition.at, env)


@dataclass(frozen=True)
class PendingEdits:
    """Edits in the order of their files, each with how much of its selector the enclosing steps match."""

    edits: tuple[tuple[ScopedEdit, MatchStates], ...] = ()

    def pending_below(
        self,
        names: Collection[str],
        kind: str,
        created_by: ScopedEdit | None,
        finished: Collection[ScopedEdit] = (),
        transparent_for: Collection[EditDef] = (),
    ) -> PendingEdits:
        """Return the edits that may match a step inside the step with these names.

        If an edit created the step, only later edits apply inside it. Edits in `finished` have no effect
        inside. The selectors of the edits in `transparent_for` skip this step.
        """
        edits = tuple(pair for pair in self.edits if pair[0] is created_by or pair[0] not in finished)
        if created_by is not None:
            edits = edits[[edit for edit, _ in edits].index(created_by) + 1 :]
        below = []
        for edit, states in edits:
            if edit.definition not in transparent_for:
                states = edit.definition.selector.next_states(states, names, kind)
            if states:
                below.append((edit, states))
        return PendingEdits(tuple(below))

    def cache_key(self) -> Any:
        return tuple((edit.cache_key(), states) for edit, states in self.edits)


def start_edits(
    definitions: Collection[EditDef], env: Mapping[str, Any], outer: PendingEdits = PendingEdits()
) -> PendingEdits:
    """Return the edits at the root of a model: those of its own file, then those of the files that use it."""
    own = tuple((ScopedEdit(d, env), d.selector.start_states) for d in definitions)
    return PendingEdits(own + outer.edits) if own else outer
