"""Which results of a member of a repeat the next member gets, and at which of its inputs.

A result that has the name of an input goes to this input; a single result goes to the first input otherwise.
All other inputs stay as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec import Struct, field

from specbuild.diagnostics.errors import SpecError
from specbuild.diagnostics.suggestions import join_names
from specbuild.elaborate.block_scope import BlockScope
from specbuild.frontend.document import StepDef
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Block, Ref


class RunningValues(Struct):
    """The inputs of the next member of a repeat, and the results so far."""

    step: StepDef  # what is repeated
    names: list[str]  # of its inputs; the inputs of an op with any number of them have none
    inputs: list[Ref | None]
    results: dict[str, Ref] = field(default_factory=dict)  # those with names, of the last member

    def take_results(self, scope: BlockScope, path: str, is_removed: bool) -> None:
        """Go on to the next member, after the one at `path`; `scope.last` is its value."""
        named = {} if is_removed else find_named_results(scope, path)
        node = scope.nodes.get(path)
        if named and scope.last is not None and (node is None or not node.parts):
            named[next(iter(named))] = scope.last  # edits may insert steps after the member
        threaded = [name for name in named if name in self.names]
        if len(named) > 1 and not threaded:
            raise self.ambiguity_error(list(named), node is not None and bool(node.parts))
        if not threaded and self.names and "." in self.names[0]:
            raise self.list_error(self.names[0].partition(".")[0])
        self.results |= named
        for name in threaded:
            self.inputs[self.names.index(name)] = named[name]
        if not threaded:
            self.inputs[0] = scope.last

    def find_passing_input(self, declared: Sequence[str]) -> Ref | None:
        """Return the input that a repeat without members gives as its value: that of the first output."""
        name = next((name for name in declared if name in self.names), None)
        return None if name is None else self.inputs[self.names.index(name)]

    def finish(self, given: Mapping[str, Ref], declared: Collection[str]) -> dict[str, Ref]:
        """Return the results by name; `declared` are those that a member has. Without members, inputs pass."""
        self.check_prev()
        return self.results or {name: given[name] for name in declared if name in given}

    def ambiguity_error(self, results: list[str], is_op: bool) -> SpecError:
        message = (
            f"{self.step.title} gives {join_names(results)}, and none of them is named like its "
            f"{'input' if len(self.names) == 1 else 'inputs'} {join_names(self.names)}"
        )
        hint = (
            f"what the next member gets as {self.names[0]} needs this name in the `outputs` of the block: "
            f"`outputs: {{{self.names[0]}: ...}}`"
        )
        if is_op:
            hint = "put the step into a block that gives one value, and repeat the block"
        return self.step.at.child("repeat").error("SB210", message, hint, key=True)

    def list_error(self, name: str) -> SpecError:
        message = (
            f"{self.step.title} gives one value, and takes a list as {name}: it is unclear what a member gets"
        )
        hint = "repeat a block with an input before the list, which the next member gets: "
        hint += f"`inputs: {{x: ..., {name}: {{each: ...}}}}`"
        return self.step.at.child("repeat").error("SB210", message, hint, key=True)

    def check_prev(self) -> None:
        """Raise SB210 if `prev` is written for an input that keeps its value, where it could mean two things."""
        threaded = [i for i, name in enumerate(self.names) if name in self.results] or [0]
        for index, at in find_written_prev(self.step, self.names):
            if index not in threaded:
                name = self.names[index] if index < len(self.names) else f"input {index + 1}"
                raise at.error(
                    "SB210",
                    f"`prev` as {name} could be the value before the repeat or that of the member before",
                    "name the value before the repeat with `as` and write this name here; for that of the "
                    "member before, put the step into a `do`, and repeat the `do`",
                )


def find_named_results(scope: BlockScope, path: str) -> dict[str, Ref]:
    """Return the results of a step that have names: outputs of a block or repeat, or parts of an op."""
    if path in scope.groups:
        return dict(scope.groups[path].outputs)
    node = scope.nodes.get(path)
    if node is None:
        return {}
    if isinstance(node.op, Block):
        names = [name for name in node.op.declared_outputs if name]
        first = next(iter(node.op.outputs))
        return {name: path if name == first else f"{path}@{name}" for name in names}
    return {part: f"{path}@{part}" for part in node.parts}


def find_written_prev(step: StepDef, names: list[str]) -> Iterator[tuple[int, SourceAddress]]:
    """Yield the number of each input of a step for which `prev` is written, and where."""
    at, value_at = step.from_at, step.value_at
    if step.sources == "prev":
        yield 0, at
    elif isinstance(step.sources, list):
        yield from ((i, at.child(i)) for i, text in enumerate(step.sources) if text == "prev")
    elif isinstance(step.sources, Mapping):
        for name, given in step.sources.items():
            if given == "prev":
                yield names.index(name), at.child(name)
            elif isinstance(given, list):
                yield from (
                    (names.index(f"{name}.0") + k, at.child(name, k))
                    for k, one in enumerate(given)
                    if one == "prev"
                )
    if isinstance(step.value, list):
        yield from ((i, value_at.child(i)) for i, text in enumerate(step.value) if text == "prev")
    elif isinstance(step.value, Mapping):
        for i, name in enumerate(names):
            text = step.value.get(name)
            if text == "prev":
                yield i, value_at.child(name)
            elif isinstance(text, list):
                yield from ((k, value_at.child(name, k)) for k, one in enumerate(text) if one == "prev")
