"""Other people's models as oracles: all in float64, in one process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from tests.torchvision_operators import operators_of_torchvision

os.environ["KERAS_BACKEND"] = "tensorflow"  # the only runtime of Keras that computes in float64
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

OPERATORS = operators_of_torchvision()


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    """Models are made in float64, tables in them included."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)
