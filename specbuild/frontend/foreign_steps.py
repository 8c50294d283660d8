"""What a step of another library becomes here: a hint with the whole step."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from specbuild.frontend.foreign_names import (
    INFERRED,
    REPLACEMENTS,
    Replacement,
    find_attribute,
    normalize_name,
    write_converted,
    write_inline,
)
from specbuild.frontend.library import library_arguments, library_names, library_variants
from specbuild.ops import OPS
from specbuild.ops.attribute_kinds import AxisName
from specbuild.ops.base import list_attributes

# What other libraries give these alone is a number of channels, which is inferred here.
LIST_KEYS = frozenset("tensors inputs arrays values xs".split())  # of a call such as `torch.cat`
SIZED_BY_INPUT = frozenset("batch_norm instance_norm layer_norm rms_norm prelu".split())
KERAS_MODULES = frozenset("layers keras.layers tf.keras.layers".split())
# Defaults of Keras' layers that are others here.
KERAS_DEFAULTS = {"layernormalization": {"epsilon": "0.001"}, "groupnormalization": {"epsilon": "0.001"}}
KERAS_NORM = {"momentum": 0.99, "epsilon": 1e-3}  # the defaults of `BatchNormalization`


def suggest_step(name: str, body: Any, blocks: Collection[str]) -> str:
    """Return a hint that says what to write for an op or block of another library; empty if the name is unknown."""
    if not re.fullmatch(r"[\w.-]+", name, re.ASCII):  # code that is more than a name
        return ""
    module, _, name = name.rpartition(".")  # `nn.Conv2d`, `layers.Dense`
    normal = normalize_name(name)
    if normal == "leakyrelu" and module in KERAS_MODULES and (body is None or isinstance(body, Mapping)):
        body = {"negative_slope": 0.3} | dict(body or {})
    if normal == "dropout" and not name.lower().endswith("dropout"):  # dropout2d drops whole channels
        normal = "spatialdropout"
    others = {normalize_name(other): block for other, block in library_names().items()}
    own = others | {normalize_name(known): known for known in [*blocks, *OPS]}
    replacement = REPLACEMENTS.get(normal) or (Replacement(own[normal]) if normal in own else None)
    if replacement is None:
        return ""
    if replacement.advice:
        return replacement.advice
    variant = name.lower().replace("-", "_")
    if variant in library_variants(replacement.op):
        return f"write `{replacement.op}: {{variant: {variant}}}`; `specbuild weights convert` loads trained weights"
    return ForeignStep(normal, replacement, body).format_hint()


def suggest_variant(model: str, depth: Any) -> str:
    """Return the hint for a model of the library with a number that names a variant: the 18 of `ResNet: {layers: 18}`."""
    names = {f"{model}{depth}".lower(), f"{model}_{depth}".lower()} if isinstance(depth, int | str) else set()
    found = names & library_variants(model)
    return f"write `variant: {found.pop()}`" if found else ""


def find_list(body: Any) -> Any:
    """Return the operands of a call such as `cat: {tensors: [a, b]}`, which is a list here; else the body itself."""
    if isinstance(body, Mapping) and len(body) == 1:
        ((key, value),) = body.items()
        return value if key in LIST_KEYS and isinstance(value, list) else body
    return body


class ForeignStep:
    """A step of another library, by its normal name, with the attributes that it has here.

    An attribute that means something else here is converted; an activation becomes a step of its own.
    """

    def __init__(self, name: str, replacement: Replacement, body: Any):
        self.name, self.op, self.body = name, replacement.op, body
        self.known = list_attributes(OPS[self.op]) if self.op in OPS else {}
        arguments = library_arguments(self.op) if self.op not in OPS else list(self.known)
        self.arguments = arguments or None  # None: of a block of the spec, which is not read here
        self.required = [n for n, attribute in self.known.items() if attribute.is_required]
        self.attributes = dict(replacement.given)
        self.other_names = replacement.names
        self.next_steps: list[str] = []
        self.left_out: list[str] = []
        self.body = body = find_list(body) if not self.required and self.op in OPS else body
        if isinstance(body, Mapping):
            for key, value in body.items():
                self.add_attribute(str(key), value)
            self.convert_padding()
            self.convert_returns()
        elif body is not None and self.op in OPS and self.op not in SIZED_BY_INPUT:
            alone = replacement.alone or self.find_lone_attribute()
            self.attributes |= {alone: write_inline(body)} if alone else {}
        if name == "batchnormalization":
            self.convert_keras_norm()
        for attribute, value in KERAS_DEFAULTS.get(name, {}).items():
            self.attributes.setdefault(attribute, value)
        self.attributes |= {n: "..." for n in self.required if n not in self.attributes}
        self.is_list = isinstance(body, list) and not replacement.alone and not self.required

    def find_lone_attribute(self) -> str:
        """Return the attribute whose value other libraries take alone; no number is the name of an axis."""
        is_number = isinstance(self.body, int | float)
        names = [
            n
            for n in [*self.required, *self.known]
            if not (is_number and isinstance(self.known[n].kind, AxisName))
        ]
        return names[0] if names and names[0] not in self.attributes else ""

    def add_attribute(self, key: str, value: Any) -> None:
        if key in LIST_KEYS and self.op in OPS and any(x.name == "of" for x in OPS[self.op].input_specs):
            self.attributes["of"] = write_inline(value)
            return
        if key == "normalized_shape" and isinstance(value, int):  # the size of C
            return
        own = self.other_names.get(key)
        if own is None:
            is_own = self.arguments is None or key in self.arguments
            own = key if is_own else find_attribute(key, self.arguments or ())
        if own is not None:
            self.attributes[own] = "..." if own in ("over", "axis") else write_converted(key, value)
        elif key == "activation" and isinstance(value, str) and value in OPS:
            self.next_steps.append(value)
        elif normalize_name(key) not in INFERRED:
            self.left_out.append(key)

    def convert_padding(self) -> None:
        """Other libraries pad no convolution by default; `same` with a stride is that of TensorFlow."""
        if self.op in ("conv", "conv_transpose") and self.attributes.get("kernel", "1") != "1":
            self.attributes.setdefault("padding", "0")
        if self.attributes.get("padding") == "same" and self.attributes.get("stride", "1") != "1":
            self.attributes["padding"] = "..." if self.op == "conv_transpose" else "tf_same"

    def convert_returns(self) -> None:
        """Recurrent layers of Keras give the last step, unless they `return_sequences`."""
        if "returns" in self.known and "units" in self.body:
            self.attributes["returns"] = "sequence" if self.body.get("return_sequences") is True else "last"

    def convert_keras_norm(self) -> None:
        """In Keras, `momentum` is the part of the old statistics; here it is that of the new ones."""
        body = self.body if isinstance(self.body, Mapping) else {}
        given = {**KERAS_NORM, **body}
        if isinstance(given["momentum"], int | float):
            self.attributes["momentum"] = write_inline(round(1 - given["momentum"], 12))
        self.attributes.setdefault("epsilon", write_inline(given["epsilon"]))

    def format_step(self) -> str:
        """Return the step to write."""
        if self.is_list:
            return f"{self.op}: {write_inline(self.body)}"
        listed = ", ".join(f"{name}: {value}" for name, value in self.attributes.items())
        return f"{self.op}: {{{listed}}}" if listed else f"- {self.op}"

    def format_hint(self) -> str:
        """Return the hint. It is only ``write `...` `` if the step means the same."""
        is_value_of_block = self.body is not None and not isinstance(self.body, Mapping | list)
        if is_value_of_block and self.op not in OPS:
            return f"write `{self.op}: {{...}}` with its parameters; see `specbuild library show {self.op}`"
        hint = f"write `{self.format_step()}`"
        hint += "".join(f", and `- {step}` as the next step" for step in self.next_steps)
        return hint + (f"; it has no {', '.join(self.left_out)}" if self.left_out else "")
