"""Kernels and tables made to fit another size, against timm's and torchvision's own functions for that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from specbuild.compiler.pipeline import build_graph
from specbuild.weights.adapt import adapt_weights
from specbuild.weights.adapt_options import parse_adaptation
from specbuild.weights.matching import MatchedWeights, MatchExceptions, NamingScheme, match_weights
from specbuild.weights.report import build_report
from tests.lazy_modules import lazy_module

torchvision = lazy_module("torchvision")
timm = lazy_module("timm")

Array = np.ndarray[Any, Any]

STEM = """
specbuild: 1
model: Net
inputs: {{image: {{C: {channels}, H: 8, W: 8}}}}
steps:
  - conv: {{channels: 5, kernel: 3, bias: false}}
    as: conv
"""
POSITIONS = """
specbuild: 1
model: Net
inputs: {{x: {{C: 6, H: {height}, W: {width}}}}}
steps:
  - flatten: {{axes: [H, W], into: T}}
    as: tokens
  - weight: {{axes: {{T: 1, C: 6}}}}
    as: token
  - concat: {{of: [token, tokens], over: T}}
    as: sequence
  - weight: {{axes: {{T: 1 + {height} * {width}, C: 6}}, init: normal(1)}}
    as: position
  - add: [sequence, position]
"""
RELATIVE = """
specbuild: 1
model: Net
inputs: {{x: {{heads: 3, T: {window} * {window}, S: {window} * {window}}}}}
steps:
  - weight: {{axes: {{heads: 3, R: (2 * {window} - 1) * (2 * {window} - 1)}}, init: normal(1)}}
    as: table
  - const:
      axes: {{T: {window} * {window}, S: {window} * {window}}}
      value: (T // {window} - S // {window} + {window} - 1) * (2 * {window} - 1) + T % {window} - S % {window} + {window} - 1
      dtype: int32
    as: index
  - gather: {{index: index, over: R}}
    from: table
    as: bias
  - add: {{of: [x, bias], broadcast: true}}
"""


def made(text: str, entries: dict[str, Array], *ways: str) -> MatchedWeights:
    model = build_graph(text)
    declared = MatchExceptions(missing_patterns=("token",), adaptations=tuple(map(parse_adaptation, ways)))
    found = adapt_weights(model, match_weights(model, entries, [NamingScheme("torch")]), declared.adaptations)
    told = build_report(
        found, declared, [*found.values, *(u.path for u in (*found.missing, *found.mismatched))]
    )
    assert told.is_complete, list(told.format_lines())
    return found


def random(*shape: int) -> Array:
    return np.random.default_rng(0).normal(size=shape)


@pytest.mark.parametrize("channels", [1, 2, 4, 6, 8, 12])
def test_repeat_is_timms(channels: int) -> None:
    kernel = random(5, 3, 3, 3).astype("float32")
    found = made(STEM.format(channels=channels), {"conv.weight": kernel}, "conv=repeat").values["conv.kernel"]
    wanted = timm.models._manipulate.adapt_input_conv(channels, torch.from_numpy(kernel))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted.numpy(), rtol=3e-7)


@pytest.mark.parametrize("mode", ["repeat", "mean"])
def test_a_picture_that_comes_twice_gives_what_it_gave(mode: str) -> None:
    kernel, image = random(5, 3, 3, 3), torch.from_numpy(random(1, 3, 8, 8))
    if mode == "mean":
        image = image.mean(1, keepdim=True).expand_as(image)  # whose channels are alike
    found = made(STEM.format(channels=6), {"conv.weight": kernel}, f"conv={mode}").values["conv.kernel"]
    ours = torch.conv2d(torch.cat([image, image], 1), torch.from_numpy(found))
    torch.testing.assert_close(ours, torch.conv2d(image, torch.from_numpy(kernel)))


@pytest.mark.parametrize("side", [5, 7, 12])
def test_positions_are_torchvisions(side: int) -> None:
    table = random(1, 1 + 8 * 8, 6)
    state = torchvision.models.vision_transformer.interpolate_embeddings(
        side, 1, {"encoder.pos_embedding": torch.from_numpy(table)}
    )  # type: ignore[arg-type]
    found = made(POSITIONS.format(height=side, width=side), {"position": table}, "position=resample")
    wanted = state["encoder.pos_embedding"].numpy()[0]
    np.testing.assert_allclose(found.values["position.value"], wanted, rtol=0, atol=1e-13)
    assert [a.description for a in found.adapted] == [f"resample 8x8 to {side}x{side} after 1 row"]


@pytest.mark.parametrize("sides", [(5, 9), (12, 16), (7, 3)])
def test_positions_are_timms(sides: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose grid is one that is not square: the model tells it."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)  # timm resamples in float32
    table = random(1, 1 + 8 * 8, 6)
    wanted = timm.layers.resample_abs_pos_embed(torch.from_numpy(table), list(sides)).numpy()[0]
    way = "position=resample(antialias=true)"
    found = made(POSITIONS.format(height=sides[0], width=sides[1]), {"position": table}, way)
    np.testing.assert_allclose(found.values["position.value"], wanted, rtol=0, atol=1e-13)
    plain = made(POSITIONS.format(height=sides[0], width=sides[1]), {"position": table}, "position=resample")
    assert np.abs(plain.values["position.value"] - wanted).max() > 1e-2


@pytest.mark.parametrize("window", [3, 6, 8])
def test_relative_positions_are_timms(window: int) -> None:
    table = random(3, 9 * 9)
    wanted = timm.layers.resize_rel_pos_bias_table_simple(
        torch.from_numpy(table.T), (window, window), ((2 * window - 1) ** 2, 3)
    ).numpy()
    found = made(RELATIVE.format(window=window), {"table": table}, "table=resample(align_corners=false)")
    np.testing.assert_allclose(found.values["table.value"], wanted.T, rtol=0, atol=1e-13)


@pytest.mark.parametrize("form", ["align_corners=true", "align_corners=false", "antialias=true"])
@pytest.mark.parametrize("sides", [(3, 4), (9, 11), (2, 21)])
def test_any_grid_is_pytorchs(sides: tuple[int, int], form: str) -> None:
    table = random(5 * 7, 6)
    name, _, value = form.partition("=")
    options = {"align_corners": form == "align_corners=true", name: value == "true"}
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(table.T.reshape(1, 6, 5, 7)), sides, mode="bicubic", **options
    )
    text = POSITIONS.format(height=sides[0], width=sides[1])
    entries = {"position": np.concatenate([random(1, 6), table])}
    found = made(text, entries, f"position=resample(from=5x7, {form})").values["position.value"]
    np.testing.assert_allclose(found[1:], wanted[0].flatten(1).T.numpy(), rtol=0, atol=1e-13)
    np.testing.assert_array_equal(found[:1], entries["position"][:1])
