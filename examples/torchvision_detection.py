"""A RetinaNet of torchvision whose backbone is the emitted ResNet-50 with CBAM.

specbuild compile examples/resnet50_cbam.yaml --backend torch --features layer2,layer3,layer4 --features-only
writes a backbone that gives three stages. torchvision's feature pyramid and its detector take them as they are.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn
from torchvision.models import resnet50
from torchvision.models.detection import RetinaNet
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

STAGES = ("layer2", "layer3", "layer4")


def compiled(folder: str) -> type[nn.Module]:
    """The class of the backbone, from the file that the compiler writes."""
    spec = Path(__file__).with_name("resnet50_cbam.yaml")
    chosen = ["--backend", "torch", "--features", ",".join(STAGES), "--features-only"]
    command = [sys.executable, "-m", "specbuild", "compile", spec, *chosen, "-o", f"{folder}/stages.py"]
    subprocess.run(command, check=True)
    sys.path.insert(0, folder)
    from stages import ResNet50CBAM

    return ResNet50CBAM


class Pyramid(nn.Module):
    """The stages of a backbone, as torchvision's detectors want them."""

    def __init__(self, body: nn.Module, out_channels: int = 256) -> None:
        super().__init__()
        self.body = body
        self.fpn = FeaturePyramidNetwork([512, 1024, 2048], out_channels, LastLevelP6P7(256, 256))
        self.out_channels = out_channels

    def forward(self, image: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        return self.fpn(OrderedDict(zip(STAGES, self.body(image), strict=True)))


def main(size: int, steps: int) -> None:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        body = compiled(folder)()

    # Trained weights: torchvision's own, here drawn at random, because nothing is downloaded.
    trained = resnet50().state_dict()
    missing, unexpected = body.load_state_dict(trained, strict=False)
    assert all(".attention" in name for name in missing), missing
    assert unexpected == ["fc.weight", "fc.bias"], unexpected
    print(f"{len(trained) - 2} tensors of torchvision's ResNet-50 loaded, {len(missing)} of CBAM are new")

    # After a few steps no score is high: what would be left out otherwise is kept.
    detector = RetinaNet(Pyramid(body), num_classes=3, min_size=size, max_size=size, score_thresh=0.005)
    images = list(torch.rand(2, 3, size, size))
    box = torch.tensor([[size / 8, size / 8, size / 2, size / 2]])
    targets = [{"boxes": box, "labels": torch.tensor([label])} for label in (1, 2)]

    optimizer = torch.optim.SGD(detector.parameters(), lr=0.005, momentum=0.9)
    losses = []
    detector.train()
    for step in range(steps):
        loss = sum(detector(images, targets).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step}: loss {losses[-1]:.3f}")
    assert losses[-1] < losses[0], losses
    idle = [name for name, weight in detector.named_parameters() if weight.grad is None]
    assert not idle, f"no gradient reaches {idle}"  # otherwise DistributedDataParallel stops

    detector.eval()
    with torch.inference_mode():
        found = detector(images)
    for of in found:
        assert len(of["boxes"]) and torch.isfinite(of["boxes"]).all(), of
        print(f"{len(of['boxes'])} boxes found, the best with score {of['scores'].max():.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256, help="height and width of the images")
    parser.add_argument("--steps", type=int, default=8)
    main(**vars(parser.parse_args()))
