"""Functions that build rows of layers, such as `conv_bn_relu`: what they return becomes a block if the model has it often."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from msgspec.structs import replace

from specbuild.importing.trace import Call, FunctionCall, ModuleCall

MIN_PLACES = 3  # in the code of the author: fewer are written out
MIN_LAYERS = 2

Kind = tuple[str, ...]  # the function, and the layers of what it built


def raise_built_groups(root: ModuleCall) -> ModuleCall:
    """Return the calls with a module of its own for each row of layers that one function has built for several places."""
    places: dict[Kind, set[str]] = defaultdict(set)
    for owner, call in walk_groups(root, root):
        if kind := describe_group(call):
            places[kind].add(f"{owner.class_name} {call.path.removeprefix(owner.path)}")
    raised = {kind for kind, found in places.items() if len(found) >= MIN_PLACES}
    return raise_calls(root, raised) if raised else root


def walk_groups(owner: ModuleCall, call: ModuleCall) -> Iterator[tuple[ModuleCall, ModuleCall]]:
    """Yield the containers of layers inside a module, each with the innermost module around it that is none."""
    for inner in call.body:
        if isinstance(inner, ModuleCall):
            if inner.is_sequential:
                yield owner, inner
            yield from walk_groups(owner if inner.is_sequential else inner, inner)


def describe_group(call: ModuleCall) -> Kind:
    """Return what makes two containers of layers instances of one block; empty if this one can be none."""
    layers = [inner.function for inner in call.body if isinstance(inner, FunctionCall) and inner.path]
    is_whole = len(layers) == len(call.body) >= MIN_LAYERS and call.has_weights
    return (call.builder, *layers) if call.builder and call.is_sequential and is_whole else ()


def raise_calls(call: ModuleCall, raised: set[Kind]) -> ModuleCall:
    body: list[Call] = []
    for inner in call.body:
        if isinstance(inner, ModuleCall):
            kind = describe_group(inner)
            if kind in raised:
                inner = replace(inner, class_name=name_built_class(inner.builder), is_sequential=False)
            inner = raise_calls(inner, raised)
        body.append(inner)
    return replace(call, body=tuple(body))


def name_built_class(function: str) -> str:
    """Return the name of a function as that of a class: ConvBnRelu for `conv_bn_relu`."""
    return "".join(part[:1].upper() + part[1:] for part in function.split("_"))
