"""Batch norms with PyTorch's constants: a file with several has the constants once."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import Construction, LayerRow, Member, is_literal, literal_value

FEW = 3  # up to this number, the constants are written at each batch norm
CONSTANTS = {"momentum": 0.9, "epsilon": 1e-5}
LAYER, SHORT = "layers.BatchNormalization", "pytorch_batch_norm"


def share_constants(class_specs: list[ClassSpec]) -> list[ClassSpec]:
    """Return the classes with a helper for their batch norms, if the file has more than a few."""
    members = (step.member for class_spec in class_specs for step in class_spec.steps)
    if sum(map(has_constants, (part for m in members if m is not None for part in list_layers(m)))) <= FEW:
        return class_specs
    return [
        replace(
            class_spec,
            steps=[
                step if step.member is None else replace(step, member=shorten_norms(step.member))
                for step in class_spec.steps
            ],
        )
        for class_spec in class_specs
    ]


def list_layers(member: Member) -> Iterator[Construction]:
    """Yield a layer, or those that a row writes out."""
    if isinstance(member, LayerRow):
        for part in (*member.members.head, member.members.tail):
            yield from list_layers(part)
    elif isinstance(member, Construction):
        yield member


def has_constants(layer: Construction) -> bool:
    """Return whether a layer is a batch norm with PyTorch's constants."""
    values = {a.name: literal_value(a.value) for a in layer.arguments if is_literal(a.value)}
    return layer.function == LAYER and all(values.get(name) == value for name, value in CONSTANTS.items())


def shorten_norms(member: Member) -> Member:
    """Return a layer, or a row of layers, with the helper in place of batch norms with PyTorch's constants."""
    if isinstance(member, LayerRow):
        row = member.members
        head = tuple(map(shorten_norms, row.head))
        return replace(member, members=replace(row, head=head, tail=shorten_norms(row.tail)))
    if not isinstance(member, Construction) or not has_constants(member):
        return member
    arguments = tuple(a for a in member.arguments if a.name not in CONSTANTS)
    return replace(member, function=SHORT, arguments=arguments)
