"""Ops behave as frozen dataclasses, although no methods are generated for them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from specbuild.ops.convolution import Linear
from specbuild.ops.norm import LayerNorm


def test_an_op_is_made_of_its_attributes() -> None:
    op = Linear(features=4)
    assert op.features == 4 and op.bias is True
    assert [f.name for f in fields(Linear)] == list(vars(op))  # type: ignore[arg-type]
    assert op == Linear(features=4) != Linear(features=4, bias=False)
    assert hash(op) == hash(Linear(features=4)) and repr(op).startswith("Linear(features=4, ")
    other = replace(op, bias=False)  # type: ignore[type-var]
    assert (other.features, other.bias, op.bias) == (4, False, True)


def test_an_op_does_not_change() -> None:
    op = LayerNorm()
    with pytest.raises(FrozenInstanceError):
        op.epsilon = 1.0
    with pytest.raises(FrozenInstanceError):
        del op.epsilon


def test_wrong_attributes_are_errors() -> None:
    with pytest.raises(TypeError, match="features"):
        Linear()
    with pytest.raises(TypeError, match="feature"):
        Linear(features=4, feature=3)
