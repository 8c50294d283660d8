"""Arguments of type `block` that hold each other."""

from __future__ import annotations

from specbuild.frontend.source import Source
from specbuild.ir.graph import BlockArgument


def nested_argument(levels: int, innermost: str) -> BlockArgument:
    """Return a block whose two arguments are the same block, and so on for many levels."""
    at = SOURCE.address_of()
    argument = BlockArgument(innermost, {}, at, {})
    for _ in range(levels):
        argument = BlockArgument("X", {"a": "c", "b": "d"}, at, {"c": argument, "d": argument})
    return argument


SOURCE = Source("specbuild: 1\n")


def test_key_of_nested_arguments() -> None:
    """The key of 60 levels takes no longer than 60 keys, and tells the innermost block."""
    assert nested_argument(60, "relu").cache_key == nested_argument(60, "relu").cache_key
    assert nested_argument(60, "relu").cache_key != nested_argument(60, "gelu").cache_key
