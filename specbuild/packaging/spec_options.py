"""What a command line needs to compile the model of a package again: its spec file, and the values of the caller."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from specbuild.api import Model
from specbuild.frontend.yaml_scalars import is_plain_text


def describe_spec(model: Model) -> str:
    """Return, for example, `net.yaml --variant small --set width=24`, quoted for a shell."""
    return " ".join((name_spec(model), *list_options(model)))


def name_spec(model: Model) -> str:
    """Return the name of the spec file, without its folder; `SPEC` for a spec that is no file, or has an odd name."""
    name = PurePath(model.spec.source.file).name
    return name if re.fullmatch(r"\w[\w.-]*\.ya?ml", name) else "SPEC"


def list_options(model: Model) -> Iterator[str]:
    """Yield the options that give the caller's variant, parameters and features."""
    if model.variant:
        yield f"--variant {shlex.quote(model.variant)}"
    for name, value in model.arguments.param_values.items():
        yield f"--set {shlex.quote(f'{name}={write_value(value)}')}"
    features = model.arguments.features
    if features is not None:
        yield f"--features {shlex.quote(','.join(features.locations))}"
        if features.only:
            yield "--features-only"


def write_value(value: Any) -> str:
    """Return a value as YAML in one line."""
    is_word = isinstance(value, str) and value.isidentifier() and is_plain_text(value)
    return str(value) if is_word else json.dumps(value, ensure_ascii=False)
