"""The configuration of a Keras model as data: which classes it names, and what is left of it to build the model from.

A configuration can name any class or function of any module, and Keras would import it. So everything in it is
looked at first: what is no layer that the importer knows is refused, and what does not change what a model computes,
such as initial values, is taken away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from specbuild.diagnostics.errors import SpecError, SpecErrors, make_printable
from specbuild.importing.keras.handlers.registry import HANDLERS, operation_name

MODELS = ("Functional", "Sequential", "Model")
WRAPPED = {"Bidirectional": ("layer", "backward_layer"), "TimeDistributed": ("layer",)}
MAX_DEPTH = 16  # of models in models
MAX_LAYERS = 5_000  # of all of them; Keras takes time to build each
# What does not change what a built model computes.
TRAINING_ENDINGS = ("_initializer", "_regularizer", "_constraint")
OWN_MODULE = re.compile(r"keras(\.[A-Za-z_]\w*)*")
TENSOR = "__keras_tensor__"


def clean_config(config: Any) -> dict[str, Any]:
    """Return what of a configuration is needed to build the model. Raises SpecError SB961 and SB963, all reasons at once."""
    if not isinstance(config, dict) or config.get("class_name") not in MODELS:
        name = config.get("class_name") if isinstance(config, dict) else None
        raise SpecError(
            "SB961",
            f"a {name} is no Functional or Sequential model"
            if name
            else "it has no configuration of a model",
            hint="a subclassed model has no graph in its file: build it with keras.Model(inputs, outputs)",
        )
    cleaner = ConfigCleaner()
    cleaned = cleaner.clean_layer(config, "", 0)
    if errors := cleaner.list_errors():
        raise errors[0] if len(errors) == 1 else SpecErrors(errors)
    return cleaned


class ConfigCleaner:
    """Takes away what is not needed, and collects the reasons why a configuration cannot be imported."""

    def __init__(self) -> None:
        self.reasons: dict[tuple[str, str, str], list[str]] = {}  # why, with the hint, and where
        self.layer_count = 0

    def refuse(self, name: str, path: str, reason: str, hint: str = "") -> None:
        self.reasons.setdefault((name, reason, hint), []).append(path or "the model")

    def list_errors(self) -> list[SpecError]:
        """Return an error for each reason, with the first location and their number."""
        errors = []
        for (name, reason, hint), paths in self.reasons.items():
            times = f" ({len(paths)} times)" if len(paths) > 1 else ""
            errors.append(SpecError("SB963", f"{name}{times}: {reason} in {paths[0]}", hint=hint))
        return errors

    def clean_layer(self, layer: Any, path: str, depth: int) -> dict[str, Any]:
        """Return a layer or model without what is not needed. Raises SpecError SB961 if there are too many."""
        self.layer_count += 1
        if self.layer_count > MAX_LAYERS:
            raise SpecError("SB961", f"the model has more than {MAX_LAYERS:,} layers")
        if not isinstance(layer, dict) or not isinstance(layer.get("config"), dict) or depth > MAX_DEPTH:
            self.refuse("the configuration", path, "not that of a layer")
            return {}
        kind, own = str(layer.get("class_name")), layer["config"]
        name = str(own.get("name", kind.lower()))
        where = f"{path}.{name}" if path else name if depth else ""
        options = self.clean_options(own, where, kind)
        cleaned: dict[str, Any] = {"class_name": kind, "config": options}
        if is_own_class(layer):
            self.check_class(layer, kind, where)
        else:
            self.refuse_class(kind, where, layer)
        cleaned |= {key: layer[key] for key in ("module", "registered_name", "name") if key in layer}
        if kind in MODELS:
            layers = own.get("layers")
            options["layers"] = [
                self.clean_layer(x, where, depth + 1) for x in (layers if isinstance(layers, list) else [])
            ]
        for key in WRAPPED.get(kind, ()):
            if own.get(key) is not None:
                options[key] = self.clean_layer(own[key], where, depth + 1)
        if "inbound_nodes" in layer:
            cleaned["inbound_nodes"] = self.clean_value(layer["inbound_nodes"], where, is_call=True)
        return cleaned

    def check_class(self, layer: dict[str, Any], kind: str, where: str) -> None:
        if kind in (*MODELS, "InputLayer", *WRAPPED):
            return
        if not HANDLERS.has_handler(operation_name(str(layer.get("module", "")), kind)):
            self.refuse_class(kind, where, layer)

    def refuse_class(self, kind: str, where: str, layer: dict[str, Any]) -> None:
        registered = str(layer.get("registered_name") or "")
        if kind == "Lambda":
            hint = "write what it computes with layers or keras.ops, and save the model again"
            self.refuse(kind, where, "a Lambda is code of its author, which does not run here", hint)
        elif is_own_class(layer):
            self.refuse(kind, where, "this layer has no counterpart among the ops")
        else:
            origin = registered or f"{layer.get('module')}>{kind}"
            self.refuse(kind, where, f"{origin} is a class of its author, whose code does not run here")

    def clean_options(self, options: dict[str, Any], where: str, kind: str) -> dict[str, Any]:
        """Return the arguments of a layer that matter."""
        kept: dict[str, Any] = {}
        for key, value in options.items():
            if key.endswith(TRAINING_ENDINGS) or key in ("layers", "trainable", *WRAPPED.get(kind, ())):
                continue
            if key == "dtype":  # all is compared in float64; what is no float stays
                if kind == "InputLayer" and isinstance(value, str) and "float" not in value:
                    kept[key] = value
                continue
            kept[key] = self.clean_value(value, where)
        return kept

    def clean_value(self, value: Any, where: str, is_call: bool = False) -> Any:
        """Return a value in which no class or function is named but by a text."""
        if isinstance(value, list):
            return [self.clean_value(x, where, is_call) for x in value]
        if not isinstance(value, dict):
            return value
        kind = value.get("class_name")
        if kind is None:
            return {str(k): self.clean_value(x, where, is_call) for k, x in value.items()}
        if kind == TENSOR and is_call:
            return value
        if kind == "__tuple__" and isinstance(value.get("items"), list):
            return {"class_name": kind, "items": self.clean_value(value["items"], where, is_call)}
        if kind == "function" or "config" not in value or not is_own_class(value):
            called = value.get("config") if kind == "function" else kind
            self.refuse(str(called), where, "a function or class of its author, whose code does not run here")
            return None
        activation = ACTIVATION_CLASSES.get(str(kind))
        if activation is None:
            self.refuse(str(kind), where, "an argument that is not known")
        return activation


ACTIVATION_CLASSES = {"ReLU": "relu", "Softmax": "softmax", "LeakyReLU": "leaky_relu"}


def is_own_class(layer: dict[str, Any]) -> bool:
    """Return whether Keras itself has this class, by what the configuration says."""
    module = layer.get("module")
    if not isinstance(module, str):
        return False
    registered = str(layer.get("registered_name") or "")
    return bool(OWN_MODULE.fullmatch(module)) and ">" not in registered


def walk_layers(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield all layers of a cleaned configuration, those in models too."""
    for layer in config["config"].get("layers", ()):
        yield layer
        yield from walk_layers(layer)


def list_references(structure: Any) -> list[str]:
    """Return the layers in a nested structure of references [layer, node, tensor], in the order of Keras."""
    if isinstance(structure, dict):
        return [name for key in sorted(structure) for name in list_references(structure[key])]
    if isinstance(structure, list) and structure and isinstance(structure[0], str):
        return [structure[0]]
    return [name for x in structure for name in list_references(x)] if isinstance(structure, list) else []


def index_inputs(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the arguments of the input layers of the model itself by name, in the order of its inputs."""
    layers = config["config"].get("layers", ())
    named = {x["config"]["name"]: x["config"] for x in layers if x["class_name"] == "InputLayer"}
    order = list_references(config["config"].get("input_layers", []))
    return {name: named[name] for name in order if name in named} or named


def resize_config(
    config: Mapping[str, Any], wanted: Mapping[str, tuple[Sequence[int], str]]
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Return the configuration for inputs of the wanted sizes, in their order, and the shapes of all inputs by their own names."""
    entries = index_inputs(config)
    if wanted and len(wanted) != len(entries):
        raise SpecError(
            "SB961",
            f"the model has {len(entries)} inputs, and {len(wanted)} are described",
            hint=f"they are {', '.join(map(make_printable, entries)) or 'not in its configuration'}",
        )
    shapes = {
        name: list(entry.get("batch_shape") or entry.get("batch_input_shape") or [])
        for name, entry in entries.items()
    }
    for name, (sizes, _) in zip(shapes, wanted.values(), strict=False):
        shapes[name] = [None, *sizes]
    layers = [
        {**x, "config": {**x["config"], "batch_shape": shapes[x["config"]["name"]]}}
        if x["class_name"] == "InputLayer" and x["config"]["name"] in shapes
        else x
        for x in config["config"].get("layers", ())
    ]
    return {**config, "config": {**config["config"], "layers": layers}}, shapes
