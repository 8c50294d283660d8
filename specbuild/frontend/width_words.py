"""The width of an op's output is `channels`, `features` or `units`: where an op has one word, the others mean the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from specbuild.frontend.source import KeyPath, Source
from specbuild.ops import OPS
from specbuild.ops.base import list_attributes

WIDTH_WORDS = ("channels", "features", "units")
WITHOUT_STEPS = frozenset("specbuild model doc about license imports inputs outputs variants weights".split())


def find_width_word(op: str) -> str | None:
    """Return the word that an op has for the width of its output; None if it has none."""
    attributes = list_attributes(OPS[op]) if op in OPS else {}
    return next((word for word in WIDTH_WORDS if word in attributes and attributes[word].is_required), None)


def rename_width_words(source: Source) -> None:
    """Give each width in a file the word of its op: `linear: {units: 10}` is read as `linear: {features: 10}`.

    An op with two of the words stays as it is, and is refused.
    """
    if not isinstance(source.data, dict):
        return
    for path in list(find_other_words(source)):
        *owner, op, written = path
        word = find_width_word(str(op))
        assert word is not None
        source.rename_key(path, word)
        source.other_words[*owner, op, word] = str(written)


def find_other_words(source: Source) -> Iterator[KeyPath]:
    """Yield the path of each width that has the word of another op."""
    waiting: list[tuple[KeyPath, Any]] = [
        ((key,), value) for key, value in source.data.items() if key not in WITHOUT_STEPS
    ]
    while waiting:
        path, value = waiting.pop()
        if not isinstance(value, dict | list):
            continue
        if isinstance(value, dict) and (word := find_width_word(str(path[-1]))) and word not in value:
            others = [other for other in WIDTH_WORDS if other in value]
            if len(others) == 1:
                yield (*path, others[0])
        children = value.items() if isinstance(value, dict) else enumerate(value)
        waiting += [((*path, key), child) for key, child in children]
