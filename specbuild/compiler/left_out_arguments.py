"""The parameters of a model that the constructor in its emitted file does not take, each with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from specbuild.compiler.compiled_model import CompiledModel
from specbuild.expressions.thresholds import NAME, iterate_texts
from specbuild.frontend.document import ParamDef, Spec

BLOCK_REASON = "blocks are chosen when the spec is compiled"
STEPS_REASON = "chooses steps"
SIZE_REASON = "only the size of an input"
CODE_REASON = "other values need other code"


def find_left_out_arguments(spec: Spec, compiled: CompiledModel) -> dict[str, str]:
    """Return the parameters of the spec that the model uses and its constructor does not take; reasons by name."""
    if spec.model is None:
        return {}
    taken = compiled.classes[-1].params
    readers = find_readers(spec)
    return {
        name: find_reason(param, readers[name])
        for name, param in spec.model.params.items()
        if name not in taken and name in readers
    }


def find_reason(param: ParamDef, sections: set[str]) -> str:
    if param.type == "block":
        return BLOCK_REASON
    if "when" in sections:
        return STEPS_REASON
    return SIZE_REASON if sections == {"inputs"} else CODE_REASON


def find_readers(spec: Spec) -> dict[str, set[str]]:
    """Return where each name is read by the model: the parts of its file, or `when` for a condition.

    What reads a parameter whose default reads another one reads that one too.
    """
    readers: dict[str, set[str]] = {}
    for section in ("inputs", "let", "steps", "outputs", "edits"):
        for key, name in iterate_names(spec.source.data.get(section)):
            readers.setdefault(name, set()).add("when" if key == "when" else section)
    params: Mapping[str, Any] = spec.source.data.get("params") or {}
    for name in reversed([*params]):  # a default reads parameters above it
        if name in readers:
            for _, read in iterate_names(params[name]):
                readers.setdefault(read, set()).update(readers[name])
    return readers


def iterate_names(part: Any) -> Iterator[tuple[str, str]]:
    """Yield the names in all texts of a part of a file, each with the key of the text."""
    for key, text in iterate_texts(part):
        yield from ((key, name) for name in NAME.findall(text))
