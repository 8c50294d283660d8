"""Members side by side: what `foreach` binds for each of them, and the op of `collect` over their values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from specbuild.diagnostics.errors import SpecError
from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.expression_env import ExpressionEnv
from specbuild.elaborate.members import MAX_REPEAT
from specbuild.elaborate.references import resolve_references
from specbuild.elaborate.values import evaluate_item, evaluate_text
from specbuild.expressions import InputList, concrete
from specbuild.frontend.document import StepDef
from specbuild.frontend.names import check_name, is_list_reference
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Ref

PATH = re.compile(r"[A-Za-z]\w*(\.(\w+|\*))*")


class BoundValue(Struct, frozen=True):
    """A value of the graph that a name of `foreach` stands for."""

    ref: Ref


class ForeachNames(Struct, frozen=True):
    """The names that `foreach` binds, and what each stands for in each member."""

    items: dict[str, list[Any]]

    @property
    def length(self) -> int:
        return len(next(iter(self.items.values())))

    @contextmanager
    def bind(self, scope: BlockScope, number: int) -> Iterator[None]:
        """While this context is open, the names have their values of one member."""
        for name, items in self.items.items():
            if isinstance(items[number], BoundValue):
                scope.visible_names[-1][name] = items[number].ref
            else:
                scope.env[name] = items[number]
        yield
        for name in self.items:
            scope.env.pop(name, None)
            scope.visible_names[-1].pop(name, None)


def read_foreach(scope: BlockScope, step: StepDef) -> ForeachNames:
    """Return what a `foreach` binds. Raises SB204 for a name in use, and SB305 for lists of unequal lengths."""
    at, items = step.at.child("foreach"), dict[str, list[Any]]()
    for name, raw in (step.foreach or {}).items():
        check_name(name, at.child(name), "a value of `foreach`")
        if name in scope.env or scope.find_visible(name) is not None:
            raise at.child(name).error(
                "SB204", f"{name!r} has a meaning here already", "use another name", key=True
            )
        items[name] = read_items(scope, raw, at.child(name))
    lengths = {name: len(found) for name, found in items.items()}
    if len(set(lengths.values())) > 1:
        sizes = " and ".join(f"{name} has {n}" for name, n in lengths.items())
        hint = "give all of them one item for each member"
        raise at.error("SB305", f"the lists of `foreach` have unequal lengths: {sizes}", hint, key=True)
    check_length(max(lengths.values()), at)
    return ForeachNames(items)


def check_length(length: int, at: SourceAddress) -> None:
    """Raise SB502 for too many members, and SB304 for a negative number of them."""
    if length > MAX_REPEAT:
        raise at.error("SB502", "there are too many members", f"the maximum is {MAX_REPEAT:,}", key=True)
    if length < 0:
        raise at.error("SB304", f"the number of members must be at least 0, not {length}")


def read_items(scope: BlockScope, raw: Any, at: SourceAddress) -> list[Any]:
    """Return the items of one list: a list of values and expressions, `name.*`, or an expression of a list.

    A whole number stands for the numbers from 0 to the one before it.
    """
    if isinstance(raw, list):
        found = [read_item(scope, part, at.child(i)) for i, part in enumerate(raw)]
        refuse_mixed_items(found, at)
        return [item for items in found for item in items]
    if is_list_reference(raw):
        return read_item(scope, raw, at)
    env = ExpressionEnv(scope)
    value = evaluate_text(raw, at, env) if isinstance(raw, str) else raw
    if isinstance(value, InputList):
        message = f"{raw} is a list of values of the model, which `foreach` takes by `.*`"
        raise at.error("SB305", message, f"write `{raw}.*`")
    if isinstance(value, int) and not isinstance(value, bool):
        check_length(value, at)
        env.note_fixed_values([value])
        return list(range(value))
    if not isinstance(value, list | tuple):
        hint = "for example, write `{rate: [6, 12, 18]}`, or a number: `{k: 3}` counts from 0 to 2"
        raise at.error("SB305", "`foreach` takes a list or a whole number", hint)
    # plain numbers: a constructor with the list as a parameter would promise another number of members
    env.note_fixed_values(value)
    return [concrete(item) for item in value]


def refuse_mixed_items(found: list[list[Any]], at: SourceAddress) -> None:
    """Raise SB305 at the first item that is no value of the model, if others are: no step can use both."""
    if not any(isinstance(item, BoundValue) for items in found for item in items):
        return
    for i, items in enumerate(found):
        if any(not isinstance(item, BoundValue) and item is not None for item in items):
            message = f"item {i + 1} of this list is no value of the model, as other items are"
            hint = "name an earlier step or an input, or give numbers a list of their own"
            raise at.child(i).error("SB305", message, hint)


def read_item(scope: BlockScope, raw: Any, at: SourceAddress) -> list[Any]:
    """Return what an item stands for: a value of the graph by its name, else the value of an expression."""
    env = ExpressionEnv(scope)
    is_parameter = isinstance(raw, str) and raw in scope.env and raw not in scope.definition.inputs
    if not isinstance(raw, str) or is_parameter or not PATH.fullmatch(raw):
        return [evaluate_item(raw, at, env)]
    try:
        return [BoundValue(ref) for ref in resolve_references(scope, raw, at)]
    except SpecError:
        try:
            return [evaluate_item(raw, at, env)]
        except SpecError:
            pass
        raise


def collect_step(step: StepDef, names: Sequence[str]) -> StepDef:
    """Return the step that `collect` describes; `names` are those of the values. Raises SB210 without values."""
    at = step.at.child("collect")
    if not names:
        message = "there are no members here, so there is nothing to collect"
        raise at.error("SB210", message, "give the step a `when` that is false in this case", key=True)
    if isinstance(step.collect, str):
        return StepDef(step.collect, {}, at, at, sources=list(names))
    kind, value = next(iter(step.collect.items()))
    return StepDef(kind, value, at, at.child(kind), sources=list(names))
