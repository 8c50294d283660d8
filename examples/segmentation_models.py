"""A U-Net of segmentation_models_pytorch whose encoder is the emitted ResNet-50 with CBAM.

smp takes an encoder by its name from a table. An entry of that table needs a class with the channels of its
features, and a `forward` that gives the image and one map for each halving of its size.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from segmentation_models_pytorch.encoders import encoders
from segmentation_models_pytorch.encoders._base import EncoderMixin
from torch import nn
from torchvision.models import resnet50

FEATURES = ("relu", "layer1", "layer2", "layer3", "layer4")  # at 1/2, 1/4, 1/8, 1/16, 1/32 of the size


def compiled(folder: str) -> type[nn.Module]:
    """The class of the backbone, from the file that the compiler writes."""
    spec = Path(__file__).with_name("resnet50_cbam.yaml")
    chosen = ["--backend", "torch", "--features", ",".join(FEATURES), "--features-only"]
    command = [sys.executable, "-m", "specbuild", "compile", spec, *chosen, "-o", f"{folder}/encoder.py"]
    subprocess.run(command, check=True)
    sys.path.insert(0, folder)
    from encoder import ResNet50CBAM

    return ResNet50CBAM


def encoder_of(backbone: type[nn.Module]) -> type[nn.Module]:
    """The emitted class as smp wants it."""

    class Encoder(backbone, EncoderMixin):  # type: ignore[misc, valid-type]
        def __init__(self, out_channels: list[int], depth: int = 5, output_stride: int = 32) -> None:
            super().__init__()
            self._out_channels, self._depth, self._output_stride = out_channels, depth, output_stride
            self._in_channels = 3

        def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
            return [image, *super().forward(image)][: self._depth + 1]

        def get_stages(self) -> dict[int, list[nn.Module]]:
            return {16: [self.layer3], 32: [self.layer4]}

    return Encoder


def main(size: int, steps: int) -> None:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        encoder = encoder_of(compiled(folder))
    channels = [3, 64, 256, 512, 1024, 2048]
    encoders["resnet50_cbam"] = {
        "encoder": encoder,
        "params": {"out_channels": channels},
        "pretrained_settings": {},
    }
    model = smp.Unet("resnet50_cbam", encoder_weights=None, classes=2)

    # Trained weights: torchvision's own, here drawn at random, because nothing is downloaded.
    known = resnet50().eval()
    missing, unexpected = model.encoder.load_state_dict(known.state_dict(), strict=False)
    assert all(".attention" in name for name in missing), missing
    assert unexpected == ["fc.weight", "fc.bias"], unexpected
    image = torch.rand(2, 3, size, size)
    model.eval()
    with torch.inference_mode():
        deepest = known.layer3(
            known.layer2(known.layer1(known.maxpool(known.relu(known.bn1(known.conv1(image))))))
        )
        deepest = known.layer4(deepest)
        torch.testing.assert_close(model.encoder(image)[-1], deepest)
    print("with torchvision's weights, the features are torchvision's until CBAM is trained")

    mask = (image.mean(1) > 0.5).long()
    loss_of = smp.losses.DiceLoss("multiclass")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    model.train()
    for step in range(steps):
        loss = loss_of(model(image), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step}: loss {losses[-1]:.3f}")
    assert losses[-1] < losses[0], losses
    idle = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert not idle, f"no gradient reaches {idle}"  # otherwise DistributedDataParallel stops

    # What smp does to an encoder from outside: a first convolution of four channels, dilation for a stride.
    deeplab = smp.DeepLabV3Plus(
        "resnet50_cbam", encoder_weights=None, in_channels=4, encoder_output_stride=16
    )
    features = deeplab.eval().encoder(torch.rand(1, 4, size, size))
    assert features[-1].shape[-1] == size // 16, features[-1].shape

    traced = torch.jit.trace(model.eval(), image)
    torch.testing.assert_close(traced(image), model(image))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="height and width of the images")
    parser.add_argument("--steps", type=int, default=8)
    main(**vars(parser.parse_args()))
