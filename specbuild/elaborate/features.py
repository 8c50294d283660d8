"""Features: values inside a model that become outputs, in addition to its own outputs or instead of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from specbuild.diagnostics.errors import Location, SpecError
from specbuild.diagnostics.suggestions import is_suggestion
from specbuild.elaborate.output_order import check_order, split_order
from specbuild.elaborate.references import expose_value
from specbuild.frontend.names import check_name
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Block, Output


class Features(Struct, frozen=True):
    """The paths of values that a caller requests as outputs."""

    locations: Mapping[str, Location]  # path -> location of the request, for errors
    only: bool = False  # whether they replace the model's own outputs

    def expose_features(self, model: Block) -> Block:
        """Return the model with these outputs, named after their paths."""
        outputs = {} if self.only else {name or output_name(o): o for name, o in model.outputs.items()}
        for path, location in self.locations.items():
            if not path:
                raise SpecError("SB202", "a feature is the path of a value", location, TAPS_HINT)
            try:
                model, output = tap_path(model, path, model.at)
            except SpecError as error:
                hint = error.hint if is_suggestion(error.hint) else TAPS_HINT
                raise SpecError(error.code, error.message, location, hint) from None
            name = path.removeprefix(f"{model.alias_label}.").replace(".", "_")
            if outputs.setdefault(name, output).ref != output.ref:
                message = f"{path!r} would get the name {name!r}, which another output already has"
                raise SpecError("SB204", message, location, "name them in the spec: outputs: {name: path}")
        return model.with_outputs(outputs)


TAPS_HINT = "`specbuild show --taps` lists all values"


def output_name(output: Output) -> str:
    """Return the default name of an unnamed output: the name of its step."""
    return output.ref.partition("@")[0].replace(".", "_")


def tap_path(model: Block, path: str, at: SourceAddress) -> tuple[Block, Output]:
    """Return a value of a model by its path, and the model with the taps that this value needs.

    In an alias, the path may start with the label of the other model.
    """
    label = model.alias_label
    if label and path == label:
        return model, next(iter(model.outputs.values()))
    if label and path.startswith(f"{label}.") and model.find_node(path) is None:
        path = path[len(label) + 1 :]
    exposed = expose_value(model, path, at)
    return exposed.with_outputs(model.outputs), exposed.outputs[path]


def select_outputs(model: Block, raw: Any, at: SourceAddress) -> Block:
    """Return the model with the outputs that an alias lists; `raw` has their paths in the model."""
    if isinstance(raw, str):
        model, output = tap_path(model, raw, at)
        return model.with_outputs({"": output})
    pairs = raw.items() if isinstance(raw, Mapping) else [(path.replace(".", "_"), path) for path in raw]
    outputs = {}
    for i, (name, path) in enumerate(pairs):
        entry_at = at.child(name) if isinstance(raw, Mapping) else at.child(i)
        check_name(name, entry_at, "an output")
        path, order = split_order(path)
        model, output = tap_path(model, path, entry_at)
        outputs[name] = replace(output, order=order)
        check_order(outputs[name], entry_at)
    return model.with_outputs(outputs)
