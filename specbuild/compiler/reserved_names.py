"""Check the names of a model against those that the backend of an extension reserves.

The names of built-in backends are checked while a spec is read, because every spec can be compiled for them.
Those of an extension matter only to who compiles for it.
"""

from __future__ import annotations

from msgspec.structs import replace

from specbuild.backends.base import Backend
from specbuild.backends.registry import builtin_reserved_names
from specbuild.frontend.names import IDENTIFIER, ReservedNames, check_name
from specbuild.ir.graph import Block, Group, Node, distinct_blocks


def check_reserved_names(model: Block, backend: Backend) -> None:
    """Raise SB203 for a name in the model that the backend reserves, or that one of its helpers has."""
    if backend.reserved in builtin_reserved_names():
        return
    framework = backend.reserved.framework or backend.title
    emitted = backend.reserved.emitted | backend.helper_sources().keys()
    names = replace(backend.reserved, framework=framework, emitted=emitted)
    for block in distinct_blocks(model):
        check_block_names(block, names)


def check_block_names(block: Block, reserved: ReservedNames) -> None:
    """Raise SB203 for a name of a block, or in it."""
    if block.name in reserved.emitted:
        check_name(block.name, block.at, "a block", (reserved,))
    for role, key, names in (
        ("a parameter", "params", block.params),
        ("an input", "inputs", block.inputs),
        ("an output", "outputs", block.outputs),
    ):
        for name in filter(IDENTIFIER.fullmatch, names):
            check_name(name, block.at.child(key, name), role, (reserved,))
    steps: list[Node | Group] = [*block.groups.values(), *block.nodes]
    for step in steps:
        for name in filter(IDENTIFIER.fullmatch, step.name.split(".")):
            check_name(name, step.at, "a step", (reserved,))
    for node in block.nodes:
        for name in node.parts:
            check_name(name, node.at, "a part", (reserved,))
