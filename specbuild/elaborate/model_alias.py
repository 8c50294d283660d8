"""A model that is another one under its own name."""

from __future__ import annotations

from specbuild.frontend.document import BlockDef
from specbuild.frontend.resolver import SpecFiles


def aliased_model(model: BlockDef, files: SpecFiles) -> BlockDef | None:
    """The other model that a model is under another name: its only step, if that has no name of its own.

    Its outputs may be others: then they are named by their paths in that one.
    """
    if len(model.steps) != 1:
        return None
    [step] = model.steps
    beside = (step.name, step.sources, step.when, step.repeat, step.expect)
    if not step.kind[:1].isupper() or any(key is not None for key in beside):
        return None
    other = files.find_block(model.source, step.kind, step.value_at)
    return (
        other
        if other.model is not None and other is not model and list(other.inputs) == list(model.inputs)
        else None
    )
