"""The calls of a Functional model as a graph, in which parts become modules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from specbuild.importing.trace import Call, FunctionCall, ModuleCall, ValueRef, list_refs


class CallGraph:
    """The calls of one model in an order in which they can run. `name` of a call is its path: here only its own name."""

    def __init__(self, calls: Sequence[Call], module: ModuleCall):
        self.calls = list(calls)
        self.results = set(list_refs(module.result))

    def find_sources(self) -> dict[ValueRef, Call]:
        """Return the call that gives each value."""
        return {ref: call for call in self.calls for ref in result_refs(call)}

    def find_readers(self) -> dict[ValueRef, list[Call]]:
        """Return the calls that read each value, in their order."""
        readers: dict[ValueRef, list[Call]] = {}
        for call in self.calls:
            for ref in dict.fromkeys(input_refs(call)):
                readers.setdefault(ref, []).append(call)
        return readers

    def find_results(self, members: Iterable[Call]) -> list[ValueRef]:
        """Return what of a part is read outside of it."""
        own = list(members)
        outside = {
            ref for call in self.calls if not is_in(call, own) for ref in input_refs(call)
        } | self.results
        return [ref for call in own for ref in result_refs(call) if ref in outside]

    def find_inputs(self, members: Sequence[Call]) -> list[ValueRef]:
        """Return what a part reads from outside, in the order of its calls."""
        made = {ref for call in members for ref in result_refs(call)}
        return list(dict.fromkeys(ref for call in members for ref in input_refs(call) if ref not in made))

    def make_module(self, members: Iterable[Call], path: str, class_name: str) -> ModuleCall | None:
        """Put a module in the place of these calls; None if they are no part with one result that can run in one go."""
        chosen = list(members)
        own = [call for call in self.calls if is_in(call, chosen)]
        results = self.find_results(own)
        order = self.order_around(own)
        if len(results) != 1 or order is None:
            return None
        before, after = order
        module = ModuleCall(
            path,
            class_name,
            tuple(self.find_inputs(own)),
            {},
            tuple(own),
            results[0],
            has_weights=any(has_weights(call) for call in own),
        )
        self.calls = [*before, module, *after]
        return module

    def rename_members(self, module: ModuleCall, names: Sequence[str]) -> None:
        """Give the calls of a module other names."""
        named = zip(module.body, names, strict=False)
        renamed = replace(module, body=tuple(replace(call, path=name) for call, name in named))
        self.calls = [renamed if call is module else call for call in self.calls]

    def order_around(self, members: Sequence[Call]) -> tuple[list[Call], list[Call]] | None:
        """Return the calls before and after a part; None if something outside reads from it and is read in it."""
        made = {ref for call in members for ref in result_refs(call)}
        late: set[ValueRef] = set()  # what is computed from the part
        before: list[Call] = []
        after: list[Call] = []
        waiting = len(members)
        for call in self.calls:
            inputs = input_refs(call)
            if is_in(call, members):
                waiting -= 1
                if any(ref in late for ref in inputs):
                    return None
            elif not waiting or any(ref in made or ref in late for ref in inputs):
                after.append(call)
                late |= set(result_refs(call))
            else:
                before.append(call)
        return before, after


def is_in(call: Call, members: Iterable[Call]) -> bool:
    return any(call is member for member in members)


def input_refs(call: Call) -> list[ValueRef]:
    """Return the values that a call reads; those of a module are its arguments."""
    return list(list_refs([call.arguments, call.keywords]))


def result_refs(call: Call) -> list[ValueRef]:
    if isinstance(call, FunctionCall):
        return [ValueRef(number) for number in call.results]
    return list(dict.fromkeys(list_refs(call.result)))


def has_weights(call: Call) -> bool:
    return call.has_weights if isinstance(call, ModuleCall) else bool(call.settings.get("weights"))
