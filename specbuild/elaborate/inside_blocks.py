"""The sizes of the values inside a block instance, as expressions around it read them: `body.layer3.0.conv.C`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from specbuild.elaborate.references import find_in_block
from specbuild.ir.graph import Block, Node, node_output_type, outer_type
from specbuild.ops.types import TensorType

NoteSize = Callable[[str, int], int]  # returns the size of an axis that an expression reads


class SizesByPath(Mapping[str, Any]):
    """The sizes of a value by axis. By name, it has the sizes of the values inside."""

    @property
    @abstractmethod
    def sizes(self) -> Mapping[str, int]: ...

    @abstractmethod
    def inner_sizes(self, name: str) -> Mapping[str, Any] | None: ...

    @abstractmethod
    def read_size(self, axis: str, size: int) -> int:
        """Return the size of an axis, and note that an expression reads it."""

    def __getitem__(self, name: str) -> Any:
        if name in self.sizes:
            return self.read_size(name, self.sizes[name])
        inner = self.inner_sizes(name)
        if inner is None:
            raise KeyError(name)
        return inner

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self.sizes or self.inner_sizes(name) is not None)

    def __iter__(self) -> Iterator[str]:
        return iter(self.sizes)

    def __len__(self) -> int:
        return len(self.sizes)


class PlainSizes(SizesByPath):
    """The sizes of a value that has no others inside; `note` gets each that is read."""

    def __init__(self, sizes: Mapping[str, int], note: NoteSize):
        self.of_value, self.note = sizes, note

    @property
    def sizes(self) -> Mapping[str, int]:
        return self.of_value

    def inner_sizes(self, name: str) -> Mapping[str, Any] | None:
        return None

    def read_size(self, axis: str, size: int) -> int:
        return self.note(axis, size)


class InnerSizes(SizesByPath):
    """The sizes of the value at a path inside the block of a node; `note` gets each that is read."""

    def __init__(self, node: Node, path: str, note: NoteSize):
        self.node, self.path, self.note = node, path, note

    @classmethod
    def find(cls, node: Node, path: str, note: NoteSize) -> InnerSizes | None:
        """Return the sizes at a path inside the block of a node; None if nothing has this path or begins with it."""
        return cls(node, path, note) if is_path_inside(node.op, path) else None

    @property
    def sizes(self) -> Mapping[str, int]:
        x = find_type_inside(self.node, self.path)
        return {} if x is None else x.sizes

    def inner_sizes(self, name: str) -> Mapping[str, Any] | None:
        return InnerSizes.find(self.node, f"{self.path}.{name}", self.note)

    def read_size(self, axis: str, size: int) -> int:
        return self.note(axis, size)


def find_type_inside(node: Node, path: str) -> TensorType | None:
    """Return the type of the value at a path inside the block of a node; None for a step with several results."""
    block = node.op
    assert isinstance(block, Block)
    if path in block.outputs:
        return node_output_type(node, path)
    named, ref = block.find_node(path), find_in_block(block, path)
    x = None
    if ref is not None and (named is None or not named.parts):
        x = block.value_type(ref)
    elif named is None and (found := find_holder(block, path)) is not None:
        x = find_type_inside(*found)
    if x is None:
        return None
    x = outer_type(x, node.args)
    return x if node.scan is None else node.scan.output_type(path, x)


def is_path_inside(op: Any, path: str) -> bool:
    """Return whether a value, a step or a group inside a block has this path."""
    if not isinstance(op, Block):
        return False
    if path in op.outputs or path in op.groups or find_in_block(op, path) is not None:
        return True
    if any(name.startswith(path + ".") for name in op.nodes_by_name):  # the path of branches
        return True
    found = find_holder(op, path)
    return found is not None and is_path_inside(found[0].op, found[1])


def find_holder(block: Block, path: str) -> tuple[Node, str] | None:
    """Return the step of a block that is a block itself and contains this path, with the rest of the path."""
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        node = block.find_node(".".join(parts[:cut]))
        if node is not None and isinstance(node.op, Block):
            return node, ".".join(parts[cut:])
    return None
