"""Finds the blocks of a Keras model in the names of its layers: `conv2_block1_1_conv` is in `block1` of `conv2`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from specbuild.importing.keras.call_graph import CallGraph, input_refs, is_in, result_refs
from specbuild.importing.trace import Call, FunctionCall, ModuleCall, ValueRef

# The beginning of a name that says which one of several blocks it is: block_1, block2a, stage_0.
LEVEL = re.compile(r"((?:[A-Za-z]+_)*?[A-Za-z]+_?\d+[a-z]?)(?:_(?=[A-Za-z0-9])|$)")
MODELS = ("Functional", "Sequential", "Model")
MIN_CALLS = 3  # in a block
MERGES = frozenset("Add Multiply Subtract Average Concatenate ops.Add ops.Multiply".split())
Levels = tuple[str, ...]


def is_automatic(call: Call) -> bool:
    """Return whether Keras has chosen the name, such as conv2d_7."""
    kinds = [call.function.removeprefix("ops.")] if isinstance(call, FunctionCall) else MODELS
    return re.sub(r"_\d+$", "", call.path) in [automatic_name(kind) for kind in kinds]


def automatic_name(kind: str) -> str:
    """Return the name that Keras gives to the first layer of a class."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def split_name(name: str) -> tuple[Levels, str]:
    """Return the levels at the beginning of a name, and the rest."""
    levels, rest = [], name
    while (match := LEVEL.match(rest)) and match.end() < len(rest):
        levels.append(match[1])
        rest = rest[match.end() :]
    return tuple(levels), rest


def find_common_start(names: Sequence[str]) -> str:
    """Return the common beginning of all names, up to a `_`: usually the name of the model."""
    start = ""
    while len(names) > 1:
        words = {name[len(start) :].partition("_")[0] + "_" for name in names}
        word = next(iter(words))
        if len(words) > 1 or any(c.isdigit() for c in word) or start + word in names:
            return start
        if any(len(name) <= len(start + word) for name in names):
            return start
        start += word
    return ""


def key_of(levels: Levels) -> Levels:
    """Return levels without the numbers and letters that differ between blocks of one kind."""
    return tuple(re.sub(r"_?\d+[a-z]?$", "", level) for level in levels)


def group_by_names(graph: CallGraph) -> None:
    """Make modules of the layers whose names have the same levels, the innermost first."""
    named = [call for call in graph.calls if not is_automatic(call)]
    start = find_common_start([call.path for call in named])
    graph.calls = [
        replace(call, path=call.path.removeprefix(start)) if is_in(call, named) else call
        for call in graph.calls
    ]
    depth = max((len(split_name(call.path)[0]) for call in graph.calls), default=0)
    for length in range(depth, 0, -1):
        groups: dict[Levels, list[Call]] = {}
        for call in graph.calls:
            levels = split_name(call.path)[0]
            if isinstance(call, FunctionCall) and not is_automatic(call) and len(levels) >= length:
                groups.setdefault(levels[:length], []).append(call)
        for call in graph.calls:  # a block inside, beside layers of the same level
            levels = tuple(call.path.split("."))[:length]
            if isinstance(call, ModuleCall) and len(call.path.split(".")) > length and levels in groups:
                groups[levels].append(call)
        for call in graph.calls:  # the layer that has the name of the block itself
            own = (*split_name(call.path)[0], split_name(call.path)[1])
            if own in groups and isinstance(call, FunctionCall):
                groups[own].append(call)
        make_blocks(graph, {levels: own for levels, own in groups.items() if len(own) >= MIN_CALLS})


def make_blocks(graph: CallGraph, groups: dict[Levels, list[Call]]) -> None:
    """Make modules of the groups of which there are at least two of a kind."""
    counts = Counter(key_of(levels) for levels in groups)
    for levels, members in groups.items():
        if counts[key_of(levels)] < 2:
            continue
        members = fill_gaps(graph, members)
        whole = absorb_merges(graph, members)
        start, name = "_".join([*levels, ""]), ".".join(levels)
        class_name = "".join(w.capitalize() for w in key_of(levels)[-1].split("_"))
        module = graph.make_module(whole, name, class_name) or graph.make_module(members, name, class_name)
        if module is not None:
            body = tuple(replace(c, path=shorten_name(c, start)) for c in module.body)
            graph.calls = [replace(c, body=body) if c is module else c for c in graph.calls]


def shorten_name(call: Call, start: str) -> str:
    """Return the name of a layer in its block: 1_conv becomes conv1."""
    prefix = start.rstrip("_")
    name = call.path.removeprefix(start).removeprefix(f"{prefix}.")
    if name == prefix:
        kind = re.sub(r"\d[A-Z]$", "", call.function) if isinstance(call, FunctionCall) else name
        name = automatic_name(kind)
    number, _, word = name.partition("_")
    return f"{word}{number}" if number.isdigit() and word else name


def fill_gaps(graph: CallGraph, members: Sequence[Call]) -> list[Call]:
    """Add the calls between those of a block that have automatic names, such as activations."""
    after: set[ValueRef] = {ref for call in members for ref in result_refs(call)}
    before: set[ValueRef] = {ref for call in members for ref in input_refs(call)}
    for call in graph.calls:
        if any(ref in after for ref in input_refs(call)):
            after |= set(result_refs(call))
    for call in reversed(graph.calls):
        if any(ref in before for ref in result_refs(call)):
            before |= set(input_refs(call))
    gaps = [
        call
        for call in graph.calls
        if not is_in(call, members)
        and is_automatic(call)
        and any(ref in after for ref in input_refs(call))
        and any(ref in before for ref in result_refs(call))
    ]
    return [*members, *gaps]


def absorb_merges(graph: CallGraph, members: Sequence[Call]) -> list[Call]:
    """Add merges with automatic names, such as sums: of the result of a block and its input, or a shortcut from the input."""
    whole, sources, readers = list(members), graph.find_sources(), graph.find_readers()
    while True:
        results = graph.find_results(whole)
        following = [call for ref in results for call in readers.get(ref, []) if not is_in(call, whole)]
        if len(results) != 1 or len(following) != 1 or results[0] in graph.results:
            return whole
        [merge] = following
        if not isinstance(merge, FunctionCall) or merge.function not in MERGES or not is_automatic(merge):
            return whole
        known = [*graph.find_inputs(whole), results[0]]
        shortcut: list[Call] = []
        for ref in input_refs(merge):
            while ref not in known:
                call = sources.get(ref)
                if (
                    call is None
                    or not is_automatic(call)
                    or len(readers[ref]) > 1
                    or len(input_refs(call)) != 1
                ):
                    return whole
                shortcut.append(call)
                [ref] = input_refs(call)
        whole += [*shortcut, merge]


def place_calls(calls: Iterable[Call], path: str) -> list[Call]:
    """Return calls with their names in the module at this path as dotted paths."""
    placed: list[Call] = []
    for call in calls:
        own = f"{path}.{call.path}" if path else call.path
        if isinstance(call, ModuleCall):
            call = replace(call, body=tuple(place_calls(call.body, own)))
        placed.append(replace(call, path=own))
    return placed
