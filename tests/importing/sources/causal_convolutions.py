"""Causal convolutions whose dilation doubles in every block, over a list of widths."""

from __future__ import annotations

from torch import Tensor, nn


class Cut(nn.Module):
    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : -self.size].contiguous()


class CausalBlock(nn.Module):
    def __init__(self, channels: int, width: int, dilation: int, padding: int):
        super().__init__()
        self.conv = nn.Conv1d(channels, width, 3, padding=padding, dilation=dilation)
        self.cut, self.relu = Cut(padding), nn.ReLU()
        self.skip = nn.Conv1d(channels, width, 1) if channels != width else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.cut(self.conv(x)))
        return y + (x if self.skip is None else self.skip(x))


class CausalNet(nn.Module):
    def __init__(self, channels: int = 3, widths: tuple[int, ...] = (6, 6, 10, 12)):
        super().__init__()
        blocks = [
            CausalBlock(a, b, 2**i, 2 * 2**i)
            for i, (a, b) in enumerate(zip((channels, *widths), widths, strict=False))
        ]
        self.blocks, self.out = nn.Sequential(*blocks), nn.Linear(widths[-1], 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.blocks(x.transpose(1, 2))[:, :, -1])
