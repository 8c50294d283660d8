"""What a tensor is: its dtype in the language, its memory, and the tensors in a result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch


def language_dtype(tensor: Any) -> str:
    if tensor.dtype == torch.bool:
        return "bool"
    return "float" if tensor.is_floating_point() else "int32"


def find_memory(tensor: Any) -> int:
    """Return the address of the memory that a tensor shares with its views."""
    return int(tensor.untyped_storage().data_ptr())


def mark_unset(tensor: Any) -> None:
    """Fill memory that holds no numbers yet with one that is no number."""
    if tensor.is_floating_point():
        tensor.fill_(torch.nan)
    elif tensor.dtype != torch.bool:
        tensor.fill_(torch.iinfo(tensor.dtype).min)


def shares_memory(result: Any, whole: Any) -> bool:
    """Return whether a result is another tensor than the whole, and a view of it."""
    are_tensors = isinstance(result, torch.Tensor) and isinstance(whole, torch.Tensor) and result is not whole
    return are_tensors and find_memory(result) == find_memory(whole)


def list_tensors(result: Any) -> Iterator[Any]:
    """Yield the tensors in a result, however deep they lie."""
    if isinstance(result, torch.Tensor):
        yield result
    elif isinstance(result, list | tuple):
        for item in result:
            yield from list_tensors(item)
    elif isinstance(result, dict):
        yield from list_tensors(list(result.values()))
