"""What the caller chooses for a spec: a variant, and values of parameters, each with where it was said."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from specbuild.diagnostics.errors import Place, SpecError, nearest, printable
from specbuild.elaborate import Features
from specbuild.frontend.document import Spec
from specbuild.frontend.source import Source
from specbuild.ops.types import listed


@dataclass(frozen=True)
class Choice:
    """One value, and where the caller gave it."""

    value: Any
    place: Place


@dataclass(frozen=True)
class Given:
    """The choices for one compilation; faults in them are told where they were said, not in the spec."""

    params: Mapping[str, Choice] = field(default_factory=dict)
    variant: Choice | None = None
    how: str = "{}=..."  # how the caller gives a value
    features: Features | None = None

    @property
    def values(self) -> dict[str, Any]:
        return {name: choice.value for name, choice in self.params.items()}

    def check(self, spec: Spec) -> None:
        """Whether the model has what is chosen, and all is chosen that it needs."""
        model, variant = spec.model, self.variant
        if model is None:
            return
        if variant is not None and variant.value not in spec.variants:
            message = f"{model.name} has no variant {variant.value!r}"
            raise SpecError("SB202", message, variant.place, guess(variant.value, spec.variants, "variants"))
        for name, choice in self.params.items():
            if name not in model.params:
                message = f"{model.name} has no parameter {name!r}"
                raise SpecError("SB101", message, choice.place, guess(name, model.params, "parameters"))
        given = {*self.params, *(spec.variants[variant.value] if variant else ())}
        for name, param in model.params.items():
            if param.required and name not in given:
                message = f"{model.name} needs a value for {name!r} ({param.type})"
                hint = f"give it: {self.how.format(name)}" + (f" ({param.doc})" if param.doc else "")
                raise param.at.error("SB103", message, hint, key=True)

    def blamed(self, error: SpecError, spec: Spec) -> SpecError:
        """A fault of a parameter that the caller gave, placed where it was given; any other as it is."""
        for name, choice in self.params.items():
            places = spec.source.place(("params", name)), spec.source.key_place(("params", name))
            if error.place in places and error.code != "SB203":
                return SpecError(error.code, error.message, choice.place, error.hint, error.trail)
        return error


def guess(word: str, known: Mapping[str, Any], what: str) -> str:
    near = nearest(word, known)
    return f"did you mean {near!r}?" if near else f"its {what} are {listed(known)}"


def tapped(text: str, only: bool, flag: str = "--features") -> Features:
    """`--features layer2,layer3`: paths of values that a model gives besides its outputs, or `only` them."""
    begins = [0, *(i + 1 for i, letter in enumerate(text) if letter == ",")]
    paths = zip(begins, text.split(","), strict=True)
    return Features({path.strip(): Place(flag, 1, begin + 1, text) for begin, path in paths}, only)


def from_flags(settings: list[str], variant: str | None, flag: str = "--set") -> Given:
    """`--set depths=[3, 4, 23, 3]` and `--variant NAME`; values are YAML. The last one for a name holds."""
    params = {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        name = name.strip()
        shown = f"{flag} {printable(name)}"
        if not sign or not name:
            raise SpecError(
                "SB003",
                f"`{flag}` takes name=value",
                Place(flag, 1, 1, setting),
                f"write {flag} classes=10, say",
            )
        params[name] = Choice(Source(text, shown).data, Place(shown, 1, 1, text))
    chosen = None if variant is None else Choice(variant, Place("--variant", 1, 1, variant))
    return Given(params, chosen, f"{flag} {{}}=...")


def from_arguments(params: Mapping[str, Any], variant: str | None) -> Given:
    """Keyword arguments of the Python functions."""
    found = {name: Choice(plain_data(value, name), said(name, value)) for name, value in params.items()}
    return Given(found, None if variant is None else Choice(str(variant), said("variant", variant)))


def said(name: str, value: Any) -> Place:
    text = f"{name}={value!r}"
    return Place("<arguments>", 1, 1, text)


def plain_data(value: Any, name: str) -> Any:
    """A Python value as a spec could have held it; numbers of NumPy's are numbers."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return float(value)
    if isinstance(value, list | tuple):
        return [plain_data(item, name) for item in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: plain_data(item, name) for key, item in value.items()}
    raise SpecError(
        "SB305",
        f"{name} is a {type(value).__name__}, which no parameter takes",
        said(name, value),
        "give a finite number, a text, a list or a mapping of them",
    )
