"""Two encoders of rows of layers that a function builds, and a sampled code."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv_bn_relu(in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def make_head(channels: int, size: int) -> nn.Sequential:
    layers = [nn.Linear(channels, size), nn.Tanh()]
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    def __init__(self, in_channels: int, width: int):
        super().__init__()
        self.stem = conv_bn_relu(in_channels, width, 5, 2)
        self.body = nn.Sequential(
            conv_bn_relu(width, 2 * width, stride=2), conv_bn_relu(2 * width, 2 * width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.stem(x))


class RgbdEncoder(nn.Module):
    def __init__(self, width: int = 8, code: int = 6):
        super().__init__()
        self.rgb, self.depth = Encoder(3, width), Encoder(1, width)
        self.mean, self.spread = make_head(4 * width, code), make_head(4 * width, code)

    def forward(self, image: Tensor, depth: Tensor) -> Tensor:
        x = torch.cat([self.rgb(image), self.depth(depth)], 1).mean((2, 3))
        code, spread = self.mean(x), self.spread(x)
        return code + torch.randn_like(code) * spread if self.training else code + 0 * spread
