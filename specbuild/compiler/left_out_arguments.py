"""The arguments that the constructors in an emitted file do not take, each with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from specbuild.codegen.class_spec import ClassSpec
from specbuild.compiler.compiled_model import CompiledModel
from specbuild.expressions import expression_of
from specbuild.expressions.thresholds import NAME, iterate_texts
from specbuild.frontend.document import ParamDef, Spec
from specbuild.frontend.source import SourceAddress

BLOCK_REASON = "blocks are chosen when the spec is compiled"
STEPS_REASON = "chooses steps"
SIZE_REASON = "only the size of an input"
CODE_REASON = "other values need other code"
UNTRIED_REASON = "to try other values takes too long"


class BlockArguments(Struct, frozen=True):
    """Arguments that the class of a block does not take, since to try other values takes too long."""

    class_name: str
    names: tuple[str, ...]
    at: SourceAddress  # of the block


def find_left_out_arguments(spec: Spec, compiled: CompiledModel) -> dict[str, str]:
    """Return the parameters of the spec that the model uses and its constructor does not take; reasons by name."""
    if spec.model is None:
        return {}
    taken = compiled.classes[-1].params
    untried = find_untried(compiled.classes)
    readers = find_readers(spec)
    return {
        name: UNTRIED_REASON if name in untried else find_reason(param, readers[name])
        for name, param in spec.model.params.items()
        if name not in taken and name in readers
    }


def find_block_arguments(compiled: CompiledModel) -> list[BlockArguments]:
    """Return what the classes of blocks do not take, in the order of the file."""
    return [
        BlockArguments(class_spec.name, class_spec.untried, class_spec.block.at)
        for class_spec in compiled.classes[:-1]
        if class_spec.untried
    ]


def find_untried(classes: Sequence[ClassSpec]) -> set[str]:
    """Return the names that the model has as numbers since to try them, or what a block has of them, takes too long."""
    found: dict[str, set[str]] = {}  # by class
    for class_spec in classes:  # inner ones come first
        own = found[class_spec.name] = {*class_spec.untried}
        for node in class_spec.block.nodes:
            inner = class_spec.inner_classes.get(node.name)
            for name in () if inner is None else found[inner.name] - inner.params.keys():
                expression = expression_of(node.args.get(name))
                own.update(() if expression is None else expression.names)
    return found[classes[-1].name]


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
