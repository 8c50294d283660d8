"""Known convolutional networks, made small, as modules of PyTorch with the names of the specs in `networks/`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SPECS = Path(__file__).with_name("networks")


class Separable(nn.Module):
    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(before, before, 3, stride, 1, groups=before, bias=False)
        self.norm1 = nn.BatchNorm2d(before)
        self.pointwise = nn.Conv2d(before, channels, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.norm1(self.depthwise(x)))
        return F.relu6(self.norm2(self.pointwise(x)))


class Mobile(nn.Module):
    """Table 1 of arXiv 1704.04861."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        sizes = zip((8, 12, 16, 16), (12, 16, 16, 24), (1, 2, 1, 2), strict=True)
        self.body = nn.Sequential(*(Separable(*size) for size in sizes))
        self.head = nn.Linear(24, 5)

    def forward(self, image: Tensor) -> Tensor:
        x = self.body(F.relu6(self.norm(self.stem(image))))
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


class Branches(nn.Module):
    """Figure 10 of arXiv 1602.07261, with branches of figure 11."""

    def __init__(self, channels: int, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.branch0 = nn.Conv2d(channels, 4, 1)
        self.branch1 = nn.Sequential(nn.Conv2d(channels, 4, 1), nn.Conv2d(4, 5, 3, padding=1))
        wide, high = nn.Conv2d(3, 4, (1, 7), padding=(0, 3)), nn.Conv2d(4, 6, (7, 1), padding=(3, 0))
        self.branch2 = nn.Sequential(nn.Conv2d(channels, 3, 1), wide, high)
        self.up = nn.Conv2d(15, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        mixed = torch.cat([self.branch0(x), self.branch1(x), self.branch2(x)], 1)
        return F.relu(x + self.factor * self.up(mixed))


class Reduction(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 6, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.conv(x), F.max_pool2d(x, 3, 2)], 1)


class InceptionResnet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.first = nn.Sequential(Branches(8, 0.17), Branches(8, 0.17))
        self.reduction, self.second = Reduction(), Branches(14, 0.1)
        self.head = nn.Linear(14, 4)

    def forward(self, image: Tensor) -> Tensor:
        x = self.second(self.reduction(self.first(self.stem(image))))
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


class PyramidUnit(nn.Module):
    """Figure 6 (d) of arXiv 1610.02915."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.more, self.stride = channels - before, stride
        self.norm1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm3(self.conv2(F.relu(self.norm2(self.conv1(self.norm1(x))))))
        x = F.avg_pool2d(x, 2) if self.stride > 1 else x
        return y + torch.cat([x, x.new_zeros(len(x), self.more, *x.shape[2:])], 1)


class Pyramid(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        units = (PyramidUnit(6 + 3 * i, 9 + 3 * i, 2 if i == 2 else 1) for i in range(4))
        self.units, self.norm, self.head = nn.Sequential(*units), nn.BatchNorm2d(18), nn.Linear(18, 4)

    def forward(self, image: Tensor) -> Tensor:
        x = F.relu(self.norm(self.units(self.stem(image))))
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 4, 3, padding=1)
        self.conv3 = nn.Conv2d(4, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))  # type: ignore[no-any-return]


class Hourglass(nn.Module):
    """Figure 3 of arXiv 1603.06937."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.heat = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 5, 1)
        self.down = nn.ModuleList(nn.ModuleDict({"1": Residual()}) for _ in range(3))
        self.across = nn.ModuleList(Residual() for _ in range(3))
        self.bottom, self.up2, self.up1 = Residual(), Residual(), Residual()

    def forward(self, image: Tensor) -> Tensor:
        def joined(low: Tensor, upper: Tensor) -> Tensor:
            return upper + F.interpolate(low, size=upper.shape[2:])

        x0 = self.down[0]["1"](self.stem(image))  # type: ignore[index]
        x1 = self.down[1]["1"](F.max_pool2d(x0, 2))  # type: ignore[index]
        x2 = self.down[2]["1"](F.max_pool2d(x1, 2))  # type: ignore[index]
        y2 = joined(self.bottom(F.max_pool2d(x2, 2)), self.across[2](x2))
        y1 = joined(self.up2(y2), self.across[1](x1))
        return self.heat(joined(self.up1(y1), self.across[0](x0)))  # type: ignore[no-any-return]


class Convs(nn.Module):
    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, *maps: Tensor) -> Tensor:
        return F.relu(self.conv2(F.relu(self.conv1(torch.cat(maps, 1)))))


class NestedUnet(nn.Module):
    """Equation 1 of arXiv 1807.10165."""

    def __init__(self) -> None:
        super().__init__()
        self.x00, self.x10, self.x20 = Convs(3, 4), Convs(4, 6), Convs(6, 8)
        self.x01, self.x11, self.x02 = Convs(10, 4), Convs(14, 6), Convs(14, 4)
        self.final = nn.Conv2d(4, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        def up(x: Tensor) -> Tensor:
            return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)

        x00 = self.x00(image)
        x10 = self.x10(F.max_pool2d(x00, 2))
        x20 = self.x20(F.max_pool2d(x10, 2))
        x01, x11 = self.x01(x00, up(x10)), self.x11(x10, up(x20))
        return self.final(self.x02(x00, x01, up(x11)))  # type: ignore[no-any-return]


class AttentiveUnit(nn.Module):
    """Figure 4 of arXiv 1807.02758."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.squeeze, self.excite = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.relu(self.conv1(x)))
        gate = self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1)))).sigmoid()
        return x + y * gate  # type: ignore[no-any-return]


class Group(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.units = nn.Sequential(AttentiveUnit(), AttentiveUnit())
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(self.units(x))  # type: ignore[no-any-return]


class Rcan(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head, self.groups = nn.Conv2d(3, 8, 3, padding=1), nn.Sequential(Group(), Group())
        self.tail, self.up = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 32, 3, padding=1)
        self.last = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.head(image)
        x = x + self.tail(self.groups(x))
        return self.last(F.pixel_shuffle(self.up(x), 2))  # type: ignore[no-any-return]


class Ssd(nn.Module):
    """Section 2.1 of arXiv 1512.02325."""

    def __init__(self) -> None:
        super().__init__()
        sizes = ((3, 6), (6, 8), (8, 10))
        self.levels = nn.ModuleList(nn.ModuleList([nn.Conv2d(a, b, 3, 2, 1)]) for a, b in sizes)
        counts = ((6, 4), (8, 6), (10, 4))
        heads = (nn.ModuleDict({"conv": nn.Conv2d(c, n * 7, 3, padding=1)}) for c, n in counts)
        self.heads = nn.ModuleList(heads)

    def forward(self, image: Tensor) -> Tensor:
        x, boxes = image, []
        for level, head in zip(self.levels, self.heads, strict=True):
            x = F.relu(level[0](x))  # type: ignore[index]
            found = head["conv"](x).permute(0, 2, 3, 1)  # type: ignore[index]
            boxes.append(found.reshape(len(x), -1, 7))
        return torch.cat(boxes, 1)


class SearchedSeparable(nn.Module):
    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(4, 4, kernel, padding=kernel // 2, groups=4, bias=False)
        self.pointwise, self.norm = nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.pointwise(self.depthwise(F.relu(x))))  # type: ignore[no-any-return]


class Cell(nn.Module):
    """Some of the pairs of figure 4 of arXiv 1707.07012."""

    def __init__(self, channels: int, before: int) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(channels, 4, 1), nn.Conv2d(before, 4, 1)
        self.sep1, self.sep2, self.sep3 = SearchedSeparable(5), SearchedSeparable(3), SearchedSeparable(3)

    def forward(self, h: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        left, right = self.left(F.relu(h)), self.right(F.relu(before))
        a = self.sep1(left) + self.sep2(right)
        b = F.avg_pool2d(left, 3, 1, 1, count_include_pad=False) + right
        return torch.cat([right, a, b, self.sep3(left) + left], 1), h


class Nas(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(16, 4)
        self.cells = nn.ModuleList([Cell(8, 8), Cell(16, 8), Cell(16, 16)])

    def forward(self, image: Tensor) -> Tensor:
        h = before = self.stem(image)
        for cell in self.cells:
            h, before = cell(h, before)
        return self.head(F.relu(h).mean((2, 3)))  # type: ignore[no-any-return]


# the reference, and two shapes of its input
CONVOLUTIONAL: dict[str, tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...]]] = {
    "mobilenet": (Mobile, ((2, 3, 33, 30), (1, 3, 40, 21))),
    "inception_resnet": (InceptionResnet, ((2, 3, 16, 12), (1, 3, 15, 9))),
    "pyramidnet": (Pyramid, ((2, 3, 12, 16), (1, 3, 8, 6))),
    "hourglass": (Hourglass, ((2, 3, 24, 16), (1, 3, 19, 30))),
    "nested_unet": (NestedUnet, ((2, 3, 16, 24), (1, 3, 8, 12))),
    "rcan": (Rcan, ((2, 3, 7, 9), (1, 3, 12, 5))),
    "ssd": (Ssd, ((2, 3, 32, 24), (1, 3, 17, 40))),
    "nasnet": (Nas, ((2, 3, 10, 12), (1, 3, 7, 5))),
}
