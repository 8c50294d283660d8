"""A U-Net with gates on its skips, bilinear steps up, and depth as an argument."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvBlock(nn.Module):
    def __init__(self, ch_in: int, ch_out: int):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(ch_in, ch_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(ch_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(ch_out, ch_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(ch_out),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class AttentionGate(nn.Module):
    def __init__(self, f_g: int, f_l: int, f_int: int):
        super().__init__()
        self.w_g = nn.Sequential(nn.Conv2d(f_g, f_int, 1), nn.BatchNorm2d(f_int))
        self.w_x = nn.Sequential(nn.Conv2d(f_l, f_int, 1), nn.BatchNorm2d(f_int))
        self.psi = nn.Sequential(nn.Conv2d(f_int, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())

    def forward(self, g: Tensor, x: Tensor) -> Tensor:
        return x * self.psi(F.relu(self.w_g(g) + self.w_x(x)))


class Up(nn.Module):
    def __init__(self, ch_in: int, ch_out: int):
        super().__init__()
        self.reduce = nn.Conv2d(ch_in, ch_out, 1)
        self.gate = AttentionGate(ch_out, ch_out, ch_out // 2)
        self.conv = ConvBlock(2 * ch_out, ch_out)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.reduce(F.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=False))
        return self.conv(torch.cat([self.gate(x, skip), x], dim=1))


class AttentionUnet(nn.Module):
    def __init__(self, in_channels: int = 3, base: int = 8, levels: int = 3, classes: int = 2):
        super().__init__()
        widths = [base * 2**i for i in range(levels + 1)]
        self.inc = ConvBlock(in_channels, widths[0])
        self.downs = nn.ModuleList(ConvBlock(a, b) for a, b in pairwise(widths))
        self.ups = nn.ModuleList(Up(b, a) for a, b in reversed(list(pairwise(widths))))
        self.outc = nn.Conv2d(base, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        skips = [self.inc(image)]
        for down in self.downs:
            skips.append(down(F.max_pool2d(skips[-1], 2)))
        x = skips.pop()
        for up in self.ups:
            x = up(x, skips.pop())
        return self.outc(x)
