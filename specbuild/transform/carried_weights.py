"""The weights of the deployed model: computed in float64 from those of the trained one, by the formulas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.diagnostics.errors import SpecError
from specbuild.transform.deployed_model import DeployedModel

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

MAX_PATHS = 4  # that an error names


class WeightSource:
    """Gives the old weights to a formula, in float64, and remembers what it has read."""

    def __init__(self, values: Mapping[str, Array]):
        self.values = values
        self.read: list[Array] = []

    def __call__(self, path: str) -> Array:
        value = self.values[path]
        self.read.append(value)
        return value.astype("float64") if value.dtype.kind == "f" else value


def carry_weights(model: DeployedModel, values: Mapping[str, Array], exact: bool = False) -> dict[str, Array]:
    """Return the weights of the deployed model from canonical ones of the trained model.

    Each has the number type of what it comes from; with `exact`, float64. Raises SB809 if one is not finite.
    """
    import numpy as np  # imported late: to compile needs no arrays

    widest = np.result_type("float16", *(v.dtype for v in values.values() if v.dtype.kind == "f"))
    carried: dict[str, Array] = {}
    wrong: list[str] = []
    with np.errstate(all="ignore"):  # what is not finite is reported below
        for path, formula in model.deployment.weight_formulas().items():
            source = WeightSource(values)
            result = formula(source)
            dtype = np.result_type(*(value.dtype for value in source.read)) if source.read else widest
            carried[path] = result.astype("float64" if exact and dtype.kind == "f" else dtype)
            if not is_finite(carried[path]) and all(map(is_finite, source.read)):
                wrong.append(path)
    if wrong:
        shown = ", ".join(wrong[:MAX_PATHS]) + (
            f" and {len(wrong) - MAX_PATHS} more" if wrong[MAX_PATHS:] else ""
        )
        raise SpecError(
            "SB809",
            f"the weights that go into {shown} give numbers that are not finite",
            hint="a batch norm there has a negative variance, or numbers that are too large; nothing was written",
        )
    return carried


def is_finite(value: Array) -> bool:
    import numpy as np

    return bool(np.isfinite(value).all())
