"""Aliases: a model whose only step is another model."""

from __future__ import annotations

from specbuild.frontend.document import BlockDef
from specbuild.frontend.resolver import SpecFiles


def aliased_model(model: BlockDef, files: SpecFiles) -> BlockDef | None:
    """Return the model for which `model` is an alias, or None.

    An alias has one step without a name, which is another model with the same inputs. Its outputs may differ:
    then the spec lists them as paths in the other model.
    """
    if len(model.steps) != 1:
        return None
    [step] = model.steps
    step_keys = (step.name, step.sources, step.when, step.repeat, step.expect)
    if not step.kind[:1].isupper() or any(key is not None for key in step_keys):
        return None
    other = files.find_block(model.source, step.kind, step.value_at)
    if other.inputs_among(step.value):
        return None
    is_alias = other.model is not None and other is not model and list(other.inputs) == list(model.inputs)
    return other if is_alias else None
