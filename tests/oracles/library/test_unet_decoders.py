"""The decoders of U-Net and U-Net++ for any backbone, against those of segmentation_models_pytorch, and both backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from specbuild import load
from specbuild.parity.compare import ParityCase
from tests.lazy_modules import lazy_module
from tests.oracles.library.shelf import TOLERANCE, Applied, block_text, check_parity, make_parity_case
from tests.oracles.randomised import difference, randomise
from tests.parity_runner import ParityOf

unet = lazy_module("segmentation_models_pytorch.decoders.unet.decoder")
nested = lazy_module("segmentation_models_pytorch.decoders.unetplusplus.decoder")

CHANNELS, WIDTHS = [3, 6, 8, 10, 12, 14], [9, 7, 5, 4, 2]  # of the image and five maps; of five steps
SIZES = [(48, 64), (24, 32), (12, 16), (6, 8), (3, 4)]
LEVELS = ", ".join(
    f"c{i + 1}: {{C: {channels}, H: {height}, W: {width}}}"
    for i, (channels, (height, width)) in enumerate(zip(CHANNELS[1:], SIZES, strict=True))
)
FIVE = "{c1: c1, c2: c2, c3: c3, c4: c4, c5: c5}"
FOUR = "{c2: c2, c3: c3, c4: c4, c5: c5}"
MAPS = f"{{{LEVELS}}}"
COARSE_MAPS = f"{{{LEVELS[LEVELS.index('c2') :]}}}"


class OnMaps(nn.Module):
    """A decoder of theirs, which gets a list that begins with the image; without the first map, one without channels."""

    def __init__(self, decoder: nn.Module, coarse: bool) -> None:
        super().__init__()
        self.decoder, self.coarse = decoder, coarse

    def forward(self, *maps: torch.Tensor) -> Any:
        image = maps[0].new_zeros(2, 3, 96, 128)
        first = [image, image.new_zeros(2, 0, 48, 64)] if self.coarse else [image]
        return self.decoder([*first, *maps])


CASES: dict[str, tuple[str, str, str, Callable[[], nn.Module]]] = {
    "unet": (
        f"UNetDecoder: {{widths: {WIDTHS}}}",
        MAPS,
        FIVE,
        lambda: OnMaps(unet.UnetDecoder(CHANNELS, WIDTHS), coarse=False),
    ),
    "unet_of_four": (
        f"UNetDecoder: {{widths: {WIDTHS}, mode: bilinear}}",
        COARSE_MAPS,
        FOUR,
        lambda: OnMaps(
            unet.UnetDecoder([3, 0, *CHANNELS[2:]], WIDTHS, interpolation_mode="bilinear"), coarse=True
        ),
    ),
    "nested": (
        f"NestedDecoder: {{widths: {WIDTHS}}}",
        MAPS,
        FIVE,
        lambda: OnMaps(nested.UnetPlusPlusDecoder(CHANNELS, WIDTHS), coarse=False),
    ),
}


def rename(key: str) -> str:
    """The name here of a weight there."""
    for i in range(5):
        key = key.replace(f"decoder.blocks.{i}.", f"up{i + 1}.")
    key = key.replace("decoder.blocks.", "").replace(".0.weight", ".conv.weight")
    return f"block.{key.replace('.1.', '.bn.')}"


@pytest.mark.parametrize("case", CASES)
def test_same_outputs(case: str) -> None:
    step, inputs, sources, make = CASES[case]
    theirs = make()
    spec = load(block_text(step, inputs, sources))
    assert spec.parameters == sum(p.numel() for p in theirs.parameters())
    generator = torch.Generator().manual_seed(0)
    sizes = list(zip(CHANNELS[1:], SIZES, strict=True))[theirs.coarse :]
    maps = [torch.randn(2, channels, *size, generator=generator) for channels, size in sizes]
    randomise(Applied(theirs, maps), maps[0])
    ours = spec.build("torch").eval()
    ours.load_state_dict({rename(key): value for key, value in theirs.state_dict().items()}, strict=True)
    with torch.no_grad():
        assert difference(theirs.eval()(*maps), ours(*maps)) < TOLERANCE


def parity_case(case: str) -> ParityCase:
    step, inputs, sources, _ = CASES[case]
    return make_parity_case(block_text(step, inputs, sources))


@pytest.mark.parametrize("case", CASES)
def test_parity(case: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))
