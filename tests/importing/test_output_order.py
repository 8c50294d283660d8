"""An imported model gives its outputs in the original's shape: the order of dimensions, merged ones, and those of size 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.importing.compared import import_live, largest_difference


class Scaled(nn.Module):
    def __init__(self, function: Callable[[Tensor], Any]):
        super().__init__()
        self.function = function
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Any:
        return self.function(x * self.scale)


# what the model does with a map of 6 channels and 8 x 10 pixels, and how the spec says it
OUTPUTS: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "channels_last": (lambda x: x.permute(0, 2, 3, 1), "outputs: {out: {of: product, order: [H, W, C]}}"),
    "usual": (lambda x: x.permute(0, 3, 2, 1).permute(0, 3, 2, 1).relu(), "- relu\n"),
    "several": (
        lambda x: (x.transpose(2, 3), x.mean((2, 3))),
        "outputs: {out0: {of: product, order: [C, W, H]}, out1: mean}",
    ),
    "named": (
        lambda x: {"a": x.relu(), "b": x.permute(0, 2, 1, 3).flatten(2)},
        "outputs: {a: relu, b: {of: flatten, order: [H, C]}}",
    ),
    "merged": (lambda x: x.unfold(2, 4, 2).transpose(1, 4).flatten(1, 2), "- flatten: {axes: [K, H]"),
    "size_1": (lambda x: x.mean(1)[..., None], "outputs: {out: {of: mean, order: [H, W, C]}}"),
    "size_1_first": (lambda x: x.mean(1)[:, None], "- mean: {over: C, keep: true}"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_have_the_shape_of_the_original(name: str) -> None:
    function, said = OUTPUTS[name]
    model, x = Scaled(function), torch.randn(3, 6, 8, 10)
    imported = import_live(model, {"x": x}, "Net", axes={})
    assert said in imported.text, imported.text
    mine, theirs = imported.model.build("torch")(x), model(x)
    if not isinstance(theirs, Tensor):
        mine, theirs = (list(y.values()) if isinstance(y, dict) else list(y) for y in (mine, theirs))
        assert [y.shape for y in mine] == [y.shape for y in theirs]
    assert largest_difference(imported, model, [x]) < 1e-12, imported.text
