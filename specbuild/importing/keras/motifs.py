"""Parts of a graph that come again: a convolution with its norm and activation, and branches between a fork and where they meet."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from specbuild.importing.keras.call_graph import CallGraph, has_weights, input_refs, is_in, result_refs
from specbuild.importing.keras.layer_names import MERGES, is_automatic
from specbuild.importing.trace import Call, FunctionCall, ModuleCall, ValueRef

MIN_CHAINS, MIN_PARTS = 3, 2  # so often a part must come
MAX_SUM = 12  # calls in a residual block that comes in more than one form
NORMS = frozenset("BatchNormalization LayerNormalization GroupNormalization".split())
ACTIVATIONS = frozenset("Activation ReLU LeakyReLU ELU PReLU ops.Relu ops.Silu ops.Gelu".split())
CLASS_NAMES = {"Add": "Residual", "Multiply": "Gate", "Concatenate": "Branches"}


def group_motifs(graph: CallGraph) -> None:
    """Make modules of chains, and then of ever larger parts with one result."""
    group_chains(graph)
    while group_parts(graph):
        pass


# -------------------------------------------------------------------------------------------------- chains


def group_chains(graph: CallGraph) -> None:
    """Make modules of a layer with weights, the norm that follows it and the activation, where there are many."""
    chains = list_chains(graph)
    counts = Counter(chain_key(chain) for chain in chains)
    for chain in chains:
        if counts[chain_key(chain)] >= MIN_CHAINS:
            kind = "Dense" if chain[0].function == "Dense" else "Conv"  # type: ignore[union-attr]
            name = f"{kind}Norm" if len(chain) == 2 else f"{kind}NormAct"
            module = graph.make_module(chain, chain[0].path, name)
            if module is not None:
                graph.rename_members(module, [kind.lower(), "norm", "act"])


def chain_key(chain: Sequence[Call]) -> tuple[Any, ...]:
    return tuple(call.function for call in chain if isinstance(call, FunctionCall))


def list_chains(graph: CallGraph) -> list[list[Call]]:
    """Return the chains of layers with automatic names."""
    readers, chains = graph.find_readers(), []
    for call in graph.calls:
        if not is_layer(call) or not is_linear(chain_key([call])[0]):
            continue
        chain = [call]
        for kinds in (NORMS, ACTIVATIONS):
            following = follow_call(graph, readers, chain[-1])
            if following is None or chain_key([following])[0] not in kinds:
                break
            chain.append(following)
        if len(chain) > 1:
            chains.append(chain)
    return chains


def is_linear(function: str) -> bool:
    return "Conv" in function or function == "Dense"


def is_layer(call: Call) -> bool:
    return isinstance(call, FunctionCall) and is_automatic(call)


def follow_call(graph: CallGraph, readers: dict[ValueRef, list[Call]], call: Call) -> Call | None:
    """Return the only call that reads the result of a call, if its name is automatic."""
    [result] = result_refs(call)
    found = readers.get(result, [])
    is_only = len(found) == 1 and result not in graph.results and is_layer(found[0])
    return found[0] if is_only else None


# --------------------------------------------------------------------------------------------------- parts


def group_parts(graph: CallGraph) -> bool:
    """Make modules of the smallest parts that come again; returns whether there were any."""
    parts = [part for part in list_meetings(graph) if any(map(has_weights, part)) or len(part) > MIN_CHAINS]
    forms = Counter(describe_form(part) for part in parts)
    sums = [p for p in parts if part_class(p) == CLASS_NAMES["Add"] and len(p) <= MAX_SUM]
    made = False
    for part in sorted(parts, key=len):
        comes_again = forms[describe_form(part)] >= MIN_PARTS or (
            is_in_list(part, sums) and len(sums) >= MIN_PARTS
        )
        if not comes_again or not all(is_in(call, graph.calls) for call in part):
            continue
        if any(is_nested(other, part) and comes_again_in(other, forms) for other in parts):
            continue
        name = part[-1].path if not is_automatic(part[-1]) else part[0].path
        made |= graph.make_module(part, name, part_class(part)) is not None
    return made


def is_in_list(part: Sequence[Call], parts: Sequence[Sequence[Call]]) -> bool:
    return any(other is part for other in parts)


def is_nested(inner: Sequence[Call], outer: Sequence[Call]) -> bool:
    return len(inner) < len(outer) and all(is_in(call, outer) for call in inner)


def comes_again_in(part: Sequence[Call], forms: Counter[Any]) -> bool:
    return forms[describe_form(part)] >= MIN_PARTS


def part_class(part: Sequence[Call]) -> str:
    """Return a name for a part: of the layer at its end, or of what it does."""
    last = next((call for call in reversed(part) if merge_kind(call)), part[-1])
    if not is_automatic(last):
        words = re.sub(r"\d+", "", last.path).strip("_").split("_")
        return "".join(w.capitalize() for w in words if w) or "Block"
    return CLASS_NAMES.get(merge_kind(last).removeprefix("ops."), "Block")


def merge_kind(call: Call) -> str:
    return call.function if isinstance(call, FunctionCall) and call.function in MERGES else ""


def list_meetings(graph: CallGraph) -> list[list[Call]]:
    """Return the calls from each fork to where all its branches meet, with the activation that follows."""
    sources, readers, parts = graph.find_sources(), graph.find_readers(), []
    dominators = find_dominators(graph)
    for call in graph.calls:
        if not merge_kind(call) or len(set(input_refs(call))) < 2:
            continue
        [fork] = result_refs(call)
        fork_ref = dominators.get(fork)
        if fork_ref is None:
            continue
        part = list_between(sources, fork_ref, call)
        following = follow_call(graph, readers, call)
        if following is not None and chain_key([following])[0] in ACTIVATIONS:
            part.append(following)
        ordered = [c for c in graph.calls if is_in(c, part)]
        if len(graph.find_results(ordered)) == 1 and len(graph.find_inputs(ordered)) == 1:
            parts.append(ordered)
    return parts


def list_between(sources: dict[ValueRef, Call], fork: ValueRef, last: Call) -> list[Call]:
    """Return the calls from which a call is computed, back to a value."""
    found: list[Call] = []
    waiting = [last]
    while waiting:
        call = waiting.pop()
        if is_in(call, found):
            continue
        found.append(call)
        waiting += [sources[ref] for ref in input_refs(call) if ref != fork and ref in sources]
    return found


def find_dominators(graph: CallGraph) -> dict[ValueRef, ValueRef | None]:
    """Return for each value the last one that all ways to it go through; None if there is none."""
    above: dict[ValueRef, ValueRef | None] = {}
    depths: dict[ValueRef, int] = {}
    for call in graph.calls:
        inputs = list(dict.fromkeys(input_refs(call)))
        common: ValueRef | None = inputs[0] if inputs else None
        for ref in inputs[1:]:
            common = meet_above(common, ref, above, depths)
        for ref in result_refs(call):
            above[ref] = common
            depths[ref] = 0 if common is None else depths.get(common, 0) + 1
    return above


def meet_above(
    first: ValueRef | None,
    second: ValueRef | None,
    above: dict[ValueRef, ValueRef | None],
    depths: dict[ValueRef, int],
) -> ValueRef | None:
    """Return the last value that both values go through."""
    while first != second:
        if first is None or second is None:
            return None
        if depths.get(first, 0) >= depths.get(second, 0):
            first = above.get(first)
        else:
            second = above.get(second)
    return first


def describe_form(part: Sequence[Call]) -> tuple[Any, ...]:
    """Return what is equal for parts that differ in numbers only: the kinds of calls, and who reads whom."""
    places: dict[ValueRef, int] = {}
    form = []
    for i, call in enumerate(part):
        kind = call.function if isinstance(call, FunctionCall) else describe_module(call)
        form.append((kind, tuple(places.get(ref, -1) for ref in input_refs(call))))
        places |= dict.fromkeys(result_refs(call), i)
    return tuple(form)


def describe_module(call: ModuleCall) -> tuple[Any, ...]:
    return call.class_name, describe_form(call.body)
