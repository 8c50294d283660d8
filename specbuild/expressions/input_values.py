"""What the names of a block's inputs stand for in expressions, where that is not the sizes of one value."""

from __future__ import annotations

from typing import Any


class InputList(list[object]):
    """The sizes of each value in a list that a block gets. No constructor has it: its length is a plain number."""

    def __repr__(self) -> str:
        return "a list of values"


class OptionalInput(dict[str, Any]):
    """The sizes of an input that a call may leave out; empty if it does."""

    def __init__(self, sizes: dict[str, Any], is_given: bool):
        super().__init__(sizes)
        self.is_given = is_given
