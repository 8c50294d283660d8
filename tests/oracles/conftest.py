"""Other people's models as oracles: all in float64, in one process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

os.environ["KERAS_BACKEND"] = "tensorflow"  # the only runtime of Keras that computes in float64
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def operators_of_torchvision() -> torch.library.Library | None:
    """Stand-ins for the compiled operators that torchvision asks for on import and classifiers never call.

    A torchvision built for another PyTorch (its wheel for CUDA beside a PyTorch without, say) lacks them.
    """
    package = find_spec("torchvision")
    if package is None or package.origin is None:
        return None
    try:
        torch.ops.load_library(str(Path(package.origin).with_name("_C.so")))
        return None
    except OSError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return library


OPERATORS = operators_of_torchvision()


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    """Models are made in float64, tables in them included."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)
