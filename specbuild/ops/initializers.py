"""Initial values of weights: the distributions, and how they are read from YAML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from specbuild.ops.attribute_kinds import AttributeValueError, EvaluateText, Real, Text, describe_value


@dataclass(frozen=True)
class Init:
    """The initial values of a weight: a distribution and its arguments.

    A truncated normal is cut at two standard deviations. `mode` is that of Kaiming initialization: it scales
    by the number of inputs of each output (fan_in), or of outputs of each input (fan_out).
    """

    kind: str
    args: tuple[float, ...] = ()
    mode: str = "fan_in"


KAIMING_MODES = ("fan_in", "fan_out")


# initializer -> the smallest and the largest number of its arguments
INIT_ARGUMENT_COUNTS = {
    "zeros": (0, 0),
    "ones": (0, 0),
    "constant": (1, 1),
    "normal": (0, 1),
    "truncated_normal": (0, 1),
    "uniform": (1, 2),
    "xavier_uniform": (0, 0),
    "xavier_normal": (0, 0),
    "kaiming_uniform": (0, 0),
    "kaiming_normal": (0, 0),
    "orthogonal": (0, 0),
}


# initializers that need at least two axes, because they depend on the numbers of inputs and outputs
MATRIX_INITS = frozenset(
    name for name in INIT_ARGUMENT_COUNTS if name.startswith(("xavier", "kaiming", "orthogonal"))
)


# Initializers of Keras and PyTorch, and what they are called here.
FOREIGN_INITIALIZERS = {
    "henormal": "kaiming_normal",
    "heuniform": "kaiming_uniform",
    "glorotnormal": "xavier_normal",
    "glorotuniform": "xavier_uniform",
    "randomnormal": "normal(0.05)",
    "randomuniform": "uniform(-0.05, 0.05)",
    "truncnormal": "truncated_normal(0.02)",
}


@dataclass(frozen=True)
class InitKind(Text):
    """`zeros`, `normal(0.02)`, `uniform(-0.1, 0.1)`, `kaiming_normal(fan_out)` and so on."""

    weight: str = "kernel"  # the weight of the op that gets these initial values

    def json_schema(self) -> dict[str, Any]:
        return {
            "type": "string",
            "examples": [
                *("zeros", "ones", "normal(0.02)", "truncated_normal(0.02)", "constant(1e-6)"),
                "kaiming_normal(fan_out)",
            ],
        }

    def read_value(self, raw: Any, evaluate: EvaluateText) -> Init:
        text = self.read_text(raw, evaluate)
        form = re.fullmatch(r"\s*([a-z_]+)\s*(?:\((.*)\))?\s*", text)
        if not form or form[1] not in INIT_ARGUMENT_COUNTS:
            own = FOREIGN_INITIALIZERS.get(re.sub(r"[^a-z]", "", text.partition("(")[0].lower()))
            raise AttributeValueError(
                f"{describe_value(text)} is not {self}", f"write `{own}`" if own else ""
            )
        parts = [part for part in (form[2] or "").split(",") if part.strip()]
        if form[1].startswith("kaiming") and len(parts) == 1 and parts[0].strip() in KAIMING_MODES:
            return Init(form[1], mode=parts[0].strip())
        args = tuple(Real().read_value(part, evaluate) for part in parts)
        low, high = INIT_ARGUMENT_COUNTS[form[1]]
        if not low <= len(args) <= high:
            raise AttributeValueError(
                f"{form[1]} takes {low if low == high else f'{low} to {high}'} numbers; got {len(args)}"
            )
        return Init(form[1], args)

    def __str__(self) -> str:
        return "an initializer: " + ", ".join(INIT_ARGUMENT_COUNTS)
