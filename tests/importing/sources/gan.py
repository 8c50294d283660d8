"""A generator and a discriminator of images, as in DCGAN."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Generator(nn.Module):
    def __init__(self, latent: int = 16, width: int = 8, channels: int = 3):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(latent, width * 4, 4, 1, 0, bias=False),
            nn.BatchNorm2d(width * 4),
            nn.ReLU(True),
            nn.ConvTranspose2d(width * 4, width * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(width * 2, channels, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.main(z.view(z.size(0), -1, 1, 1))


class Discriminator(nn.Module):
    def __init__(self, width: int = 8):
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for i in range(3):
            layers += [nn.Conv2d(channels, width * 2**i, 4, 2, 1, bias=False)]
            if i:
                layers.append(nn.InstanceNorm2d(width * 2**i, affine=True))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            channels = width * 2**i
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Conv2d(channels, 1, 4, 1, 0)

    def forward(self, image: Tensor) -> Tensor:
        return torch.sigmoid(self.classifier(self.features(image))).view(-1)
