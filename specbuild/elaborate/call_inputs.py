"""Which values the inputs of a block get in a call: `from` by name, in order, or from the step before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from specbuild.diagnostics.suggestions import join_names, suggest_name
from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.references import (
    previous_value,
    resolve_input,
    resolve_optional,
    resolve_references,
)
from specbuild.frontend.block_inputs import find_list_input, list_optional
from specbuild.frontend.document import StepDef
from specbuild.frontend.names import is_list_reference
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Ref

MAX_INPUTS = 100  # of one step: the emitted code names each of them


def resolve_block_inputs(scope: BlockScope, step: StepDef, declared: Mapping[str, Any]) -> list[Ref | None]:
    """Return the inputs of a step that takes these inputs, in their order; the items of a list are at its position."""
    raw, at, names = step.sources, step.from_at, list(declared)
    if not names:
        if raw is not None:
            raise at.error("SB101", f"{step.kind} takes no inputs", "remove `from`", key=True)
        return []
    if isinstance(raw, Mapping):
        return resolve_named_inputs(scope, step, declared, raw)
    list_name = find_list_input(declared)
    if list_name is not None:
        optional = list_optional(declared)
        required = [name for name in names if name not in optional]
        return [*resolve_with_list(scope, step, required, list_name), *[None] * len(optional)]
    optional = list_optional(declared)
    required = [name for name in names if name not in optional]
    if raw is None or isinstance(raw, str):
        if len(required) != 1:
            raise step.error(
                "SB103",
                f"{step.kind} takes {len(names)} inputs: {join_names(names)}",
                f"write `from: {{{names[0]}: ..., {names[-1]}: ...}}`",
            )
        first = previous_value(scope, step) if raw is None else resolve_input(scope, raw, at)
        return [first, *[None] * len(optional)]
    if not len(required) <= len(raw) <= len(names):
        at_least = "at least " * (len(raw) < len(required) and bool(optional))
        raise at.error(
            "SB103",
            f"{step.kind} takes {at_least}{len(required) if at_least else len(names)} inputs ({join_names(names)}), "
            f"but {len(raw)} are given",
        )
    given = [
        resolve_optional(scope, r, at.child(i))
        if i >= len(required)
        else resolve_input(scope, r, at.child(i))
        for i, r in enumerate(raw)
    ]
    return [*given, *[None] * (len(names) - len(given))]


def resolve_named_inputs(
    scope: BlockScope, step: StepDef, declared: Mapping[str, Any], raw: Mapping[str, Any]
) -> list[Ref | None]:
    """Return the inputs that `from` gives by name. Raises SB101 for an unknown and SB103 for a missing one."""
    at, names, list_name = step.from_at, list(declared), find_list_input(declared)
    values = [value for value in raw.values() if isinstance(value, str)]
    for name in raw:
        if name not in names:
            hint = suggest_name(name, names, "its inputs are")
            if names == [list_name] and len(values) == len(raw) > 1:
                hint = f"it takes a list: write `from: {{{list_name}: [{', '.join(values)}]}}`"
            raise at.child(name).error("SB101", f"{step.kind} has no input {name!r}", hint, key=True)
    optional = list_optional(declared)
    missing = [name for name in names if name not in raw and name not in optional]
    if missing:
        raise at.error("SB103", f"{step.kind} also needs the input {join_names(missing)}", key=True)
    found: list[Ref | None] = []
    for name in names:
        if name in optional:
            found.append(resolve_optional(scope, raw[name], at.child(name)) if name in raw else None)
        elif name == list_name:
            found += resolve_list(scope, step, name, raw[name], at.child(name))
        else:
            found.append(resolve_input(scope, raw[name], at.child(name)))
    return found


def resolve_with_list(scope: BlockScope, step: StepDef, names: list[str], list_name: str) -> list[Ref]:
    """Return the inputs of a block with a list among them, which `from` gives in their order."""
    raw, at = step.sources, step.from_at
    others = [name for name in names if name != list_name]
    if raw is None or (isinstance(raw, str) and not is_list_reference(raw)):
        form = f"{{{others[0]}: ..., {list_name}: [a, b]}}" if others else "[a, b]"
        raise step.error("SB103", f"{step.kind} takes a list as {list_name}", f"write `from: {form}`")
    refs = resolve_list(scope, step, list_name, raw, at)
    if len(refs) <= len(others):
        message = f"{step.kind} takes {join_names(others)}, and a list as {list_name}"
        given = "1 value is" if len(refs) == 1 else f"{len(refs)} values are"
        raise at.error("SB103", f"{message}, but {given} given", "give the list by its name", key=True)
    return refs


def resolve_list(scope: BlockScope, step: StepDef, name: str, raw: Any, at: SourceAddress) -> list[Ref]:
    """Return the values of a list: of each name in it, or of `name.*`. Raises SB103 for a list without values."""
    if is_list_reference(raw):
        refs = resolve_references(scope, raw, at)
    elif isinstance(raw, list):
        refs = [ref for i, r in enumerate(raw) for ref in resolve_references(scope, r, at.child(i))]
    else:
        form = f"{raw}.*" if isinstance(raw, str) and scope.list_items(raw) else f"[{raw}]"
        raise at.error("SB102", f"{step.kind} takes a list as {name}", f"write `{name}: {form}`")
    if not refs:
        raise at.error("SB103", f"{step.kind} needs at least one value in {name}", key=True)
    if len(refs) > MAX_INPUTS:
        message = f"{step.kind} gets {len(refs):,} values; a step has at most {MAX_INPUTS} inputs"
        raise at.error("SB502", message, "join them in several steps", key=True)
    return refs


def regroup_names(names: Iterable[str]) -> dict[str, Any]:
    """Return inputs as a block declares them, from the names of their values: `maps.0`, `maps.1` are a list."""
    return {head: {"each": None} if rest else None for head, _, rest in (n.partition(".") for n in names)}
