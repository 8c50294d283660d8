"""Edits that may still match a step further down the model, with the state of their selectors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

from msgspec import Struct

from specbuild.frontend.edits import EditDef
from specbuild.frontend.selectors import MatchStates
from specbuild.ir.graph import BlockArgument


class HashedKey:
    """A key that may be large, with its hash: every instance of a block has it in its own key."""

    __slots__ = ("content", "hash")

    def __init__(self, content: Any) -> None:
        self.content, self.hash = content, hash(content)

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, HashedKey) and self.hash == other.hash and bool(self.content == other.content)
        )


class ScopedEdit(Struct, frozen=True, eq=False, dict=True):
    """An edit with the values of the names in it, which are the parameters of the model in its file."""

    definition: EditDef
    env: Mapping[str, Any]
    env_key: HashedKey

    @cached_property
    def cache_key(self) -> Any:
        """A key that is equal for edits with the same effect."""
        return (self.definition.at, self.env_key)


class PendingEdits(Struct, frozen=True, dict=True):
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
        first = 0
        if created_by is not None:
            first = [edit for edit, _ in self.edits].index(created_by) + 1
        below = []
        for number in range(len(self.edits)) if transparent_for else self.numbers_for(names):
            edit, states = self.edits[number]
            if number < first or edit in finished:
                continue
            if edit.definition not in transparent_for:
                states = edit.definition.selector.next_states(states, names, kind)
            if states:
                below.append((edit, states))
        return PendingEdits(tuple(below))

    def numbers_for(self, names: Collection[str]) -> list[int]:
        """Return the positions of the edits that may match a step with these names, or a step inside it.

        A model may have thousands of steps and many edits, of which most require another name.
        """
        found = list(self.numbers_by_name.get(None, ()))
        for name in set(names):
            found += self.numbers_by_name.get(name, ())
        return sorted(found)

    @cached_property
    def numbers_by_name(self) -> dict[str | None, list[int]]:
        """The positions of the edits by the name that they require; None for those that match several names."""
        numbers: dict[str | None, list[int]] = {}
        for number, (edit, states) in enumerate(self.edits):
            numbers.setdefault(edit.definition.selector.required_name(states), []).append(number)
        return numbers

    def cache_key(self) -> Any:
        return tuple((edit.cache_key, states) for edit, states in self.edits)


NO_EDITS = PendingEdits()


def start_edits(
    definitions: Collection[EditDef], env: Mapping[str, Any], outer: PendingEdits = NO_EDITS
) -> PendingEdits:
    """Return the edits at the root of a model: those of its own file, then those of the files that use it."""
    key = HashedKey(
        tuple((n, v.cache_key if isinstance(v, BlockArgument) else repr(v)) for n, v in env.items())
    )
    own = tuple((ScopedEdit(d, env, key), d.selector.start_states) for d in definitions)
    return PendingEdits(own + outer.edits) if own else outer
