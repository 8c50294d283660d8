"""Values inside a model that it gives besides its outputs, or instead of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from specbuild.diagnostics.errors import Place, SpecError
from specbuild.elaborate.references import expose
from specbuild.frontend.names import check_name
from specbuild.frontend.source import At
from specbuild.ir.graph import Block, Output


@dataclass(frozen=True)
class Features:
    """Taps that a caller asks for, each with where it was asked; `only` them, or also what the model gives."""

    places: Mapping[str, Place]
    only: bool = False

    def of(self, model: Block) -> Block:
        """The model with these outputs, named after their paths."""
        found = {} if self.only else {name or own(model, o): o for name, o in model.outputs.items()}
        for path, place in self.places.items():
            if not path:
                raise SpecError("SB202", "a feature is the path of a value", place, LISTED)
            try:
                model, output = tapped(model, path, model.at)
            except SpecError as error:
                hint = error.hint if "did you mean" in error.hint else LISTED
                raise SpecError(error.code, error.message, place, hint) from None
            name = path.removeprefix(f"{model.known_as}.").replace(".", "_")
            if found.setdefault(name, output).ref != output.ref:
                message = f"{path!r} would be named {name!r}, as another output is"
                raise SpecError("SB204", message, place, "name them in the spec: outputs: {name: path}")
        return model.with_outputs(found)


LISTED = "`specbuild show --taps` lists every value that there is"


def own(model: Block, output: Output) -> str:
    """The name of an output that has none: that of its step."""
    return output.ref.partition("@")[0].replace(".", "_")


def tapped(model: Block, path: str, at: At) -> tuple[Block, Output]:
    """A value of a model by its path; a path may begin with what the file of the model calls that one."""
    label = model.known_as
    if label and path == label:
        return model, next(iter(model.outputs.values()))
    if label and path.startswith(f"{label}.") and model.node(path) is None:
        path = path[len(label) + 1 :]
    opened = expose(model, path, at)
    return opened.with_outputs(model.outputs), opened.outputs[path]


def chosen(model: Block, raw: Any, at: At) -> Block:
    """The model with the outputs that a file names which is this one renamed: by paths in it."""
    if isinstance(raw, str):
        model, output = tapped(model, raw, at)
        return model.with_outputs({"": output})
    pairs = raw.items() if isinstance(raw, Mapping) else [(path.replace(".", "_"), path) for path in raw]
    found = {}
    for i, (name, path) in enumerate(pairs):
        place = at.child(name) if isinstance(raw, Mapping) else at.child(i)
        check_name(name, place, "an output")
        model, found[name] = tapped(model, path, place)
    return model.with_outputs(found)
