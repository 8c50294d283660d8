"""Assignments to parts of one value, one after another, as a single call: only the last result is what the author wants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.importing.trace import Call, FunctionCall, ModuleCall, Trace, ValueRef, list_refs, walk_calls

WRITE = "specbuild.write_part"  # of a value, a part, and its index
WRITES = "specbuild.write_parts"  # of a value, parts, and their indices


class Chain(Struct):
    """Parts that are assigned to a value in this order."""

    base: ValueRef
    parts: list[ValueRef] = field(default_factory=list)
    indices: list[Any] = field(default_factory=list)


def unite_assignments(trace: Trace) -> Trace:
    """Return the trace with one call for all parts that are assigned before the whole is read."""
    return replace(trace, root=unite_in_module(trace.root, count_value_uses(trace)))


def count_value_uses(trace: Trace) -> Counter[int]:
    """Return how often calls read a value, or modules return it."""
    uses = Counter(ref.number for ref in list_refs(trace.root.result))
    for call in walk_calls(trace.root):
        result = call.result if isinstance(call, ModuleCall) else None
        uses.update(ref.number for ref in list_refs([call.arguments, call.keywords, result]))
    return uses


def unite_in_module(module: ModuleCall, uses: Counter[int]) -> ModuleCall:
    body: list[Call] = []
    chains: dict[int, Chain] = {}  # by the number of the whole so far
    continued = find_continued(module.body, uses)
    for call in module.body:
        if isinstance(call, ModuleCall):
            body.append(unite_in_module(call, uses))
        elif call.function != WRITE:
            body.append(call)
        else:
            whole, part, index = call.arguments
            chain = chains.pop(whole.number, None) or Chain(whole)
            chain.parts.append(part)
            chain.indices.append(index)
            [result] = call.results
            if result in continued:
                chains[result] = chain
            else:
                arguments = (chain.base, chain.parts, chain.indices)
                body.append(replace(call, function=WRITES, arguments=arguments))
    return replace(module, body=tuple(body))


def find_continued(body: Sequence[Call], uses: Counter[int]) -> set[int]:
    """Return the results of assignments that only the next assignment in the same module reads."""
    writes = [call for call in body if isinstance(call, FunctionCall) and call.function == WRITE]
    wholes = {call.arguments[0].number for call in writes}
    return {call.results[0] for call in writes if uses[call.results[0]] == 1} & wholes
