"""Edits on their way down a model: which may still meet a step below, and how much of their selectors is met."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from specbuild.frontend.edits import EditDef
from specbuild.frontend.selectors import MatchStates
from specbuild.ir.graph import BlockArgument


@dataclass(frozen=True, eq=False)
class ScopedEdit:
    """An edit, and what the names in it stand for: the parameters of its file's model."""

    definition: EditDef
    env: Mapping[str, Any]

    def cache_key(self) -> Any:
        """Equal for two that do the same."""
        env = tuple(
            (n, v.cache_key() if isinstance(v, BlockArgument) else repr(v)) for n, v in self.env.items()
        )
        return (id(self.definition), env)


@dataclass(frozen=True)
class PendingEdits:
    """Edits in their order, each with what is met of its selector at the steps around."""

    edits: tuple[tuple[ScopedEdit, MatchStates], ...] = ()

    def pending_below(
        self,
        names: Collection[str],
        kind: str,
        by: ScopedEdit | None,
        done: Collection[ScopedEdit] = (),
        through: Collection[EditDef] = (),
    ) -> PendingEdits:
        """Those that may meet a step inside of one step; if an edit made that one, only later edits.

        Those that are `done` with it have nothing to do inside. Those that look `through` it do not name it.
        """
        edits = tuple(pair for pair in self.edits if pair[0] is by or pair[0] not in done)
        if by is not None:
            edits = edits[[edit for edit, _ in edits].index(by) + 1 :]
        moved = (
            (
                edit,
                states
                if edit.definition in through
                else edit.definition.selector.next_states(states, names, kind),
            )
            for edit, states in edits
        )
        return PendingEdits(tuple((edit, states) for edit, states in moved if states))

    def cache_key(self) -> Any:
        return tuple((edit.cache_key(), states) for edit, states in self.edits)


def start_edits(
    definitions: Collection[EditDef], env: Mapping[str, Any], around: PendingEdits = PendingEdits()
) -> PendingEdits:
    """The edits of a file where its model begins; those of the files around come after them."""
    own = tuple((ScopedEdit(d, env), d.selector.start_states) for d in definitions)
    return PendingEdits(own + around.edits) if own else around
