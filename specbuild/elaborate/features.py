"""Values inside a model that it gives besides its outputs, or instead of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from specbuild.diagnostics.errors import Location, SpecError
from specbuild.elaborate.references import expose_value
from specbuild.frontend.names import check_name
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Block, Output


@dataclass(frozen=True)
class Features:
    """Taps that a caller asks for, each with where it was asked; `only` them, or also what the model gives."""

    locations: Mapping[str, Location]
    only: bool = False

    def expose_features(self, model: Block) -> Block:
        """The model with these outputs, named after their paths."""
        found = {} if self.only else {name or output_name(model, o): o for name, o in model.outputs.items()}
        for path, place in self.locations.items():
            if not path:
                raise SpecError("SB202", "a feature is the path of a value", place, TAPS_HINT)
            try:
                model, output = tap_path(model, path, model.at)
            except SpecError as error:
                hint = error.hint if "did you mean" in error.hint else TAPS_HINT
                raise SpecError(error.code, error.message, place, hint) from None
            name = path.removeprefix(f"{model.alias_label}.").replace(".", "_")
            if found.setdefault(name, output).ref != output.ref:
                message = f"{path!r} would be named {name!r}, as another output is"
                raise SpecError("SB204", message, place, "name them in the spec: outputs: {name: path}")
        return model.with_outputs(found)


TAPS_HINT = "`specbuild show --taps` lists every value that there is"


def output_name(model: Block, output: Output) -> str:
    """The name of an output that has none: that of its step."""
    return output.ref.partition("@")[0].replace(".", "_")


def tap_path(model: Block, path: str, at: SourceAddress) -> tuple[Block, Output]:
    """A value of a model by its path; a path may begin with what the file of the model calls that one."""
    label = model.alias_label
    if label and path == label:
        return model, next(iter(model.outputs.values()))
    if label and path.startswith(f"{label}.") and model.find_node(path) is None:
        path = path[len(label) + 1 :]
    opened = expose_value(model, path, at)
    return opened.with_outputs(model.outputs), opened.outputs[path]


def select_outputs(model: Block, raw: Any, at: SourceAddress) -> Block:
    """The model with the outputs that a file names which is this one renamed: by paths in it."""
    if isinstance(raw, str):
        model, output = tap_path(model, raw, at)
        return model.with_outputs({"": output})
    pairs = raw.items() if isinstance(raw, Mapping) else [(path.replace(".", "_"), path) for path in raw]
    found = {}
    for i, (name, path) in enumerate(pairs):
        place = at.child(name) if isinstance(raw, Mapping) else at.child(i)
        check_name(name, place, "an output")
        model, found[name] = tap_path(model, path, place)
    return model.with_outputs(found)
