"""What the caller chooses for a spec: a variant, and values of parameters, each with where it was said."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from specbuild.diagnostics.errors import Location, SpecError, closest_match, make_printable
from specbuild.elaborate import Features
from specbuild.frontend.document import Spec
from specbuild.frontend.source import Source
from specbuild.ops.types import join_names


@dataclass(frozen=True)
class SpecArgument:
    """One value, and where the caller gave it."""

    value: Any
    location: Location


@dataclass(frozen=True)
class SpecArguments:
    """The choices for one compilation; faults in them are told where they were said, not in the spec."""

    params: Mapping[str, SpecArgument] = field(default_factory=dict)
    variant: SpecArgument | None = None
    syntax: str = "{}=..."  # how the caller gives a value
    features: Features | None = None

    @property
    def param_values(self) -> dict[str, Any]:
        return {name: choice.value for name, choice in self.params.items()}

    def check_spec(self, spec: Spec) -> None:
        """Whether the model has what is chosen, and all is chosen that it needs."""
        model, variant = spec.model, self.variant
        if model is None:
            return
        if variant is not None and variant.value not in spec.variants:
            message = f"{model.name} has no variant {variant.value!r}"
            raise SpecError(
                "SB202", message, variant.location, suggest_name(variant.value, spec.variants, "variants")
            )
        for name, choice in self.params.items():
            if name not in model.params:
                message = f"{model.name} has no parameter {name!r}"
                raise SpecError(
                    "SB101", message, choice.location, suggest_name(name, model.params, "parameters")
                )
        given = {*self.params, *(spec.variants[variant.value] if variant else ())}
        for name, param in model.params.items():
            if param.required and name not in given:
                message = f"{model.name} needs a value for {name!r} ({param.type})"
                hint = f"give it: {self.syntax.format(name)}" + (f" ({param.doc})" if param.doc else "")
                raise param.at.error("SB103", message, hint, key=True)

    def relocate_error(self, error: SpecError, spec: Spec) -> SpecError:
        """A fault of a parameter that the caller gave, placed where it was given; any other as it is."""
        for name, choice in self.params.items():
            places = spec.source.location(("params", name)), spec.source.key_location(("params", name))
            if error.location in places and error.code != "SB203":
                return SpecError(error.code, error.message, choice.location, error.hint, error.trail)
        return error


def suggest_name(word: str, known: Mapping[str, Any], what: str) -> str:
    near = closest_match(word, known)
    return f"did you mean {near!r}?" if near else f"its {what} are {join_names(known)}"


def parse_features(text: str, only: bool, flag: str = "--features") -> Features:
    """`--features layer2,layer3`: paths of values that a model gives besides its outputs, or `only` them."""
    begins = [0, *(i + 1 for i, letter in enumerate(text) if letter == ",")]
    paths = zip(begins, text.split(","), strict=True)
    return Features({path.strip(): Location(flag, 1, begin + 1, text) for begin, path in paths}, only)


def arguments_from_flags(settings: list[str], variant: str | None, flag: str = "--set") -> SpecArguments:
    """`--set depths=[3, 4, 23, 3]` and `--variant NAME`; values are YAML. The last one for a name holds."""
    params = {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        name = name.strip()
        flag_text = f"{flag} {make_printable(name)}"
        if not sign or not name:
            raise SpecError(
                "SB003",
                f"`{flag}` takes name=value",
                Location(flag, 1, 1, setting),
                f"write {flag} classes=10, say",
            )
        params[name] = SpecArgument(Source(text, flag_text).data, Location(flag_text, 1, 1, text))
    variant_argument = (
        None if variant is None else SpecArgument(variant, Location("--variant", 1, 1, variant))
    )
    return SpecArguments(params, variant_argument, f"{flag} {{}}=...")


def arguments_from_python(params: Mapping[str, Any], variant: str | None) -> SpecArguments:
    """Keyword arguments of the Python functions."""
    arguments = {
        name: SpecArgument(plain_value(value, name), argument_location(name, value))
        for name, value in params.items()
    }
    return SpecArguments(
        arguments,
        None if variant is None else SpecArgument(str(variant), argument_location("variant", variant)),
    )


def argument_location(name: str, value: Any) -> Location:
    text = f"{name}={value!r}"
    return Location("<arguments>", 1, 1, text)


def plain_value(value: Any, name: str) -> Any:
    """A Python value as a spec could have held it; numbers of NumPy's are numbers."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return float(value)
    if isinstance(value, list | tuple):
        return [plain_value(item, name) for item in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: plain_value(item, name) for key, item in value.items()}
    raise SpecError(
        "SB305",
        f"{name} is a {type(value).__name__}, which no parameter takes",
        argument_location(name, value),
        "give a finite number, a text, a list or a mapping of them",
    )
