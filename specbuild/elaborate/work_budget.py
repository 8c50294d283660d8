"""The work that one elaboration may take, counted where it is done. What repeats and lists multiply is found by nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from specbuild.expressions import ExpressionError
from specbuild.frontend.source import SourceAddress

MAX_VISITS = 6_000  # of steps, groups and repeats; those in equal instances of a block count once
MAX_ITEMS_READ = 4_000_000  # of lists, by all expressions together
MAX_LETS = 20_000  # values under `let`, of all instances of blocks together
MAX_INPUT_COUNT = 20_000  # of all ops that take any number of them
MAX_AXES = 40_000  # of the values of all steps; those in equal instances of a block count once
MAX_COMPARISONS = 80_000  # of names of steps with selectors that several names match
MAX_NUMBERS = 2**24  # in tables of given or drawn numbers, of the whole model
MAX_WRITTEN_NUMBERS = 2**16  # of those, in short tables, which are written in the code
MAX_TRIED_VISITS = 10_000  # of the steps of a model that is elaborated at other sizes of its inputs, too
MAX_BLOCKS = 600  # different blocks, each of which becomes a class
READS_BY_BLOCK = 60  # a list that a block gets is checked, compared and copied: as much work as so many reads


class WorkBudget:
    """The work so far of one elaboration of a model, or of one of its blocks with other values."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin to count for another elaboration."""
        self.visit_count = self.item_count = self.let_count = self.number_count = self.written_count = 0
        self.comparison_count = self.input_count = self.axis_count = 0

    def count_visit(self, at: SourceAddress) -> None:
        """Count a step, present or skipped. Raises SB502 if there were too many."""
        self.visit_count += 1
        if self.visit_count > MAX_VISITS:
            message = f"the model has more than {MAX_VISITS:,} steps and groups, skipped ones included"
            raise at.error("SB502", message, "use smaller repeats")

    def count_trials(self, visits: int, at: SourceAddress, trials: int) -> None:
        """Raise SB502 if a model with so many visits takes too long at so many other sizes."""
        if visits * trials > MAX_TRIED_VISITS:
            message = f"with sizes that can be any, the model is tried at {trials} other sizes, and has {visits:,} steps and inputs"
            raise at.error("SB502", message, "write numbers for some of these sizes, or use fewer steps")

    def count_block(self, count: int, name: str, at: SourceAddress) -> None:
        """Raise SB502 if a block is one too many."""
        if count > MAX_BLOCKS:
            message = f"{name} is one of more than {MAX_BLOCKS:,} different blocks that the model uses"
            raise at.error(
                "SB502", message, "use one block with parameters instead of several that are alike"
            )

    def count_let(self, at: SourceAddress) -> None:
        """Count a value under `let`. Raises SB502 if there were too many."""
        self.let_count += 1
        if self.let_count > MAX_LETS:
            message = f"the blocks of the model have more than {MAX_LETS:,} values under `let`"
            raise at.error("SB502", message, "write fewer of them, or use the block with fewer arguments")

    def count_inputs(self, count: int, at: SourceAddress) -> None:
        """Count the inputs of an op that takes any number of them. Raises SB502 if there were too many."""
        self.input_count += count
        if self.input_count > MAX_INPUT_COUNT:
            message = f"ops that join values have more than {MAX_INPUT_COUNT:,} inputs in all"
            raise at.error("SB502", message, "let fewer steps read so many values")

    def count_axes(self, count: int, at: SourceAddress) -> None:
        """Count the axes of the values of a step. Raises SB502 if there were too many."""
        self.axis_count += count
        if self.axis_count > MAX_AXES:
            message = f"the values of all steps have more than {MAX_AXES:,} axes in all"
            raise at.error("SB502", message, "use fewer steps, or values with fewer axes")

    def count_comparisons(self, count: int, at: SourceAddress) -> None:
        """Count names that are compared with the selector of an edit. Raises SB502 if there were too many."""
        self.comparison_count += count
        if self.comparison_count > MAX_COMPARISONS:
            message = f"the edits of the model compare more than {MAX_COMPARISONS:,} names with `*`, `**` and numbers"
            hint = "use fewer edits, or ones that name the steps: one selector can match many steps"
            raise at.error("SB502", message, hint)

    def count_numbers(self, count: int, written: int, at: SourceAddress) -> None:
        """Count the given or drawn numbers of a table, and those in code. Raises SB504 if there were too many."""
        self.written_count += written
        if self.written_count > MAX_WRITTEN_NUMBERS:
            message = f"the short tables of the model have more than {MAX_WRITTEN_NUMBERS:,} numbers, which code would hold"
            raise at.error(
                "SB504", message, "use fewer of them, or long ones: these are stored with the weights"
            )
        self.number_count += count
        if self.number_count > MAX_NUMBERS:
            message = f"the tables of the model have more than {MAX_NUMBERS:,} given or random numbers"
            raise at.error("SB504", message, "use smaller tables")

    def count_items(self, value: Any, reads: int = 1) -> None:
        """Count the items of a list that an expression reads. Raises ExpressionError SB502 if there were too many."""
        if isinstance(value, list | tuple):
            self.item_count += reads * len(value)
            if self.item_count > MAX_ITEMS_READ:
                message = f"the expressions of the model read more than {MAX_ITEMS_READ:,} items of lists"
                raise ExpressionError("SB502", message, "use shorter lists, or smaller repeats")

    def count_lists(self, values: Iterable[Any], at: SourceAddress) -> None:
        """Count the items of the lists that a use of a block gets."""
        try:
            for value in values:
                self.count_items(value, READS_BY_BLOCK)
        except ExpressionError as error:
            raise at.error(error.code, error.message, error.hint) from None
