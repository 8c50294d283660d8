"""The arguments of a compilation: a variant, values of parameters and features, each with its location."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from specbuild.diagnostics.errors import Location, SpecError, make_printable
from specbuild.diagnostics.suggestions import suggest_name
from specbuild.elaborate import Features
from specbuild.frontend.document import Spec
from specbuild.frontend.source import Source


class SpecArgument(Struct, frozen=True):
    """A value from the caller, and its location on the command line or in the call."""

    value: Any
    location: Location


class SpecArguments(Struct, frozen=True):
    """All arguments of one compilation. Errors in them point to the caller's text, not to the spec."""

    params: Mapping[str, SpecArgument] = field(default_factory=dict)
    variant: SpecArgument | None = None
    syntax: str = "{}=..."  # how the caller sets a parameter, for hints
    features: Features | None = None

    @property
    def param_values(self) -> dict[str, Any]:
        return {name: argument.value for name, argument in self.params.items()}

    def check_spec(self, spec: Spec) -> None:
        """Check the arguments against the spec.

        Raises SB202 for an unknown variant, SB101 for an unknown parameter, SB103 for a missing value.
        """
        model, variant = spec.model, self.variant
        if model is None:
            return
        if variant is not None and variant.value not in spec.variants:
            message = f"{model.name} has no variant {variant.value!r}"
            raise SpecError(
                "SB202",
                message,
                variant.location,
                suggest_name(
                    variant.value,
                    spec.variants,
                    "its variants are",
                    "it has none: a spec lists them under `variants`",
                ),
            )
        for name, argument in self.params.items():
            if name not in model.params:
                message = f"{model.name} has no parameter {name!r}"
                raise SpecError(
                    "SB101",
                    message,
                    argument.location,
                    suggest_name(
                        name,
                        model.params,
                        "its parameters are",
                        "it has none: a spec lists them under `params`",
                    ),
                )
        provided = {*self.params, *(spec.variants[variant.value] if variant else ())}
        for name, param in model.params.items():
            if param.required and name not in provided:
                message = f"{model.name} needs a value for {name!r} ({param.type})"
                hint = f"give it: {self.syntax.format(name)}" + (f" ({param.doc})" if param.doc else "")
                raise param.at.error("SB103", message, hint, key=True)

    def relocate_error(self, error: SpecError, spec: Spec) -> SpecError:
        """If the error is about a parameter that the caller set, the same error at the caller's location."""
        for name, argument in self.params.items():
            path = ("params", name)
            if (
                error.location in (spec.source.location(path), spec.source.key_location(path))
                and error.code != "SB203"
            ):
                return SpecError(error.code, error.message, argument.location, error.hint, error.trail)
        return error


def parse_features(text: str, only: bool, flag: str = "--features") -> Features:
    """Return the features in a list such as `layer2,layer3`: extra outputs, or with `only` the only outputs."""
    starts = [0, *(i + 1 for i, letter in enumerate(text) if letter == ",")]
    paths = zip(starts, text.split(","), strict=True)
    return Features({path.strip(): Location(flag, 1, start + 1, text) for start, path in paths}, only)


def arguments_from_flags(settings: list[str], variant: str | None, flag: str = "--set") -> SpecArguments:
    """Return the arguments of `--set depths=[3, 4, 23, 3]` and `--variant NAME`; values are YAML.

    The last value of a name counts. Raises SB003 for a setting that is not `name=value`.
    """
    params = {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        name = name.strip()
        flag_text = f"{flag} {make_printable(name)}"
        if not sign or not name:
            hint = f"for example: {flag} classes=10"
            raise SpecError("SB003", f"`{flag}` takes name=value", Location(flag, 1, 1, setting), hint)
        params[name] = SpecArgument(Source(text, flag_text).data, Location(flag_text, 1, 1, text))
    variant_argument = (
        None if variant is None else SpecArgument(variant, Location("--variant", 1, 1, variant))
    )
    return SpecArguments(params, variant_argument, f"{flag} {{}}=...")


def arguments_from_python(params: Mapping[str, Any], variant: str | None) -> SpecArguments:
    """Return the arguments of a Python call; raises SB305 for a value of an unsupported type."""
    arguments = {
        name: SpecArgument(plain_value(value, name), argument_location(name, value))
        for name, value in params.items()
    }
    if variant is None:
        return SpecArguments(arguments)
    return SpecArguments(arguments, SpecArgument(str(variant), argument_location("variant", variant)))


def argument_location(name: str, value: Any) -> Location:
    text = f"{name}={value!r}"
    return Location("<arguments>", 1, 1, text)


def plain_value(value: Any, name: str) -> Any:
    """Return the value as plain YAML data, with NumPy numbers converted.

    Raises SB305 if that is impossible.
    """
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
        "give a finite number, a string, or a list or mapping of these",
    )
