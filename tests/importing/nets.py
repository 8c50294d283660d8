"""Modules as users write them: what `specbuild import` must take, and what it must refuse."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DoubleConv(nn.Sequential):
    def __init__(self, channels: int, out_channels: int):
        super().__init__(
            nn.Conv2d(channels, out_channels, 3, padding=1),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class UNet(nn.Module):
    def __init__(self, width: int = 8):
        super().__init__()
        self.down1, self.down2 = DoubleConv(3, width), DoubleConv(width, 2 * width)
        self.middle = DoubleConv(2 * width, 4 * width)
        self.pool = nn.MaxPool2d(2)
        self.up2, self.dec2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2), DoubleConv(4 * width, 2 * width)
        self.up1, self.dec1 = nn.ConvTranspose2d(2 * width, width, 2, 2), DoubleConv(2 * width, width)
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x)
        second = self.down2(self.pool(first))
        x = self.middle(self.pool(second))
        x = self.dec2(torch.cat([self.up2(x), second], 1))
        x = self.dec1(torch.cat([self.up1(x), first], 1))
        return self.head(x)


class ChannelAttention(nn.Module):
    def __init__(self, channels: int, reduction: int = 4):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, channels // reduction, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels // reduction, channels, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        mean, peak = F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, 1)
        return torch.sigmoid(self.mlp(mean) + self.mlp(peak)) * x


class SpatialAttention(nn.Module):
    def __init__(self, kernel_size: int = 7):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        maps = torch.cat([x.mean(1, keepdim=True), x.max(1, keepdim=True)[0]], 1)
        return torch.sigmoid(self.conv(maps)) * x


class Unit(nn.Module):
    def __init__(self, channels: int, out_channels: int, stride: int = 1, reduction: int = 4):
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels, 3, stride, 1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.ca, self.sa = ChannelAttention(out_channels, reduction), SpatialAttention()
        self.skip = nn.Conv2d(channels, out_channels, 1, stride) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.sa(self.ca(F.relu(self.bn(self.conv(x)))))
        return y + (x if self.skip is None else self.skip(x))


class CbamNet(nn.Module):
    def __init__(self, num_classes: int = 4):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.stages = nn.Sequential(Unit(16, 16), Unit(16, 32, 2, 8), Unit(32, 32, 1, 8))
        self.fc = nn.Linear(32 * 8 * 8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(self.stem(x))
        return self.fc(x.view(x.size(0), -1))


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(8, 1)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.head(torch.abs(self.encoder(left) - self.encoder(right)))


class TwoStreams(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rgb = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        self.depth = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU())
        self.fc = nn.Linear(16, 3)

    def forward(self, rgb: Tensor, depth: Tensor) -> Tensor:
        return self.fc(torch.cat((self.rgb(rgb).mean((2, 3)), self.depth(depth).mean((2, 3))), dim=1))


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 16)
        self.rnn = nn.LSTM(16, 12, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(24, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.rnn(self.embed(tokens))
        return self.fc(states)


class NonLocal(nn.Module):
    def __init__(self, channels: int = 16):
        super().__init__()
        self.query, self.key = nn.Conv2d(channels, channels // 4, 1), nn.Conv2d(channels, channels // 4, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.full((1,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        query = self.query(x).view(batch, -1, height * width).permute(0, 2, 1)
        key = self.key(x).view(batch, -1, height * width)
        weights = F.softmax(torch.bmm(query, key), dim=-1)
        value = self.value(x).view(batch, channels, -1)
        return (
            self.gamma * torch.bmm(value, weights.permute(0, 2, 1)).view(batch, channels, height, width) + x
        )


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3)
        self.fc = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.encoder(x).mean(1))


class Causal(nn.Module):
    """Attention written by hand, with a mask from indices."""

    def __init__(self, dim: int = 32, heads: int = 4):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, dim = x.shape
        qkv = self.qkv(x).reshape(batch, length, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        scores = query @ key.transpose(-2, -1) * (dim // self.heads) ** -0.5
        hidden = torch.triu(torch.ones(length, length, dtype=torch.bool), 1)
        weights = scores.masked_fill(hidden, -1e9).softmax(-1)
        return self.proj((weights @ value).transpose(1, 2).reshape(batch, length, dim))


class Stack(nn.Module):
    """Three heads and a projection to three times the channels, which have nothing to do with each other."""

    def __init__(self) -> None:
        super().__init__()
        self.attn = Causal(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.attn(x) + x


class Branching(nn.Module):
    """Refused: it looks at the numbers."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.mean() > 0 else -x


class Assigning(nn.Module):
    """Refused: it writes into its input."""

    def forward(self, x: Tensor) -> Tensor:
        x[:, 0] = 0
        return x * 2


class Unknown(nn.Module):
    """Refused: two functions without a counterpart, all told at once."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.special.i0(self.conv(x))
        return torch.lgamma(torch.special.i0(x)) + torch.lgamma(x)


class MixedBatch(nn.Module):
    """Refused: the samples meet each other."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.sum(0)


class ComputedWeight(nn.Module):
    """What the layer has for a weight is computed on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.ones(5, 12))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, torch.tanh(self.direction))


class StandardizedConv(nn.Conv2d):
    """Weight standardization (arXiv 1903.10520) with a gain, as NFNet has it (arXiv 2102.06171)."""

    def __init__(self, channels: int, out_channels: int, kernel_size: int = 3, groups: int = 1):
        super().__init__(channels, out_channels, kernel_size, padding=kernel_size // 2, groups=groups)
        self.gain = nn.Parameter(torch.ones(out_channels, 1, 1, 1))
        self.scale = self.weight[0].numel() ** -0.5

    def forward(self, x: Tensor) -> Tensor:
        rows, gain = self.weight.reshape(1, self.out_channels, -1), (self.gain * self.scale).view(-1)
        rows = F.batch_norm(rows, None, None, weight=gain, training=True, momentum=0.0, eps=1e-6)
        weight = rows.reshape_as(self.weight)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class StandardizedNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.point = StandardizedConv(3, 8), StandardizedConv(8, 12, 1)
        self.depthwise = StandardizedConv(12, 12, 3, groups=12)

    def forward(self, image: Tensor) -> Tensor:
        return self.depthwise(F.silu(self.point(F.silu(self.stem(image)))))


class RandomMask(nn.Module):
    """Refused: a large mask that follows no rule."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.rand(4, 400, generator=torch.Generator().manual_seed(0)) > 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(self.mask, x, 0)


class RandomTable(nn.Module):
    """A table that follows no rule."""

    def __init__(self) -> None:
        super().__init__()
        table = torch.randn(4, 400, generator=torch.Generator().manual_seed(2))
        self.register_buffer("table", table, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.table


class Residual(nn.Module):
    def __init__(self, inplanes: int, planes: int, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inplanes, planes, 3, stride, 1)
        self.down = nn.Conv2d(inplanes, planes, 1, stride) if stride != 1 or inplanes != planes else None

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x) + (x if self.down is None else self.down(x)))


class StageNet(nn.Module):
    """Stages as in a ResNet, of a width and depths; the neck has a fixed size, by accident that of `width`."""

    def __init__(self, width: int = 16, depths: tuple[int, ...] = (2, 3), num_classes: int = 5):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 2, 1)
        stages, channels = [], width
        for i, depth in enumerate(depths):
            planes = width * 2**i
            units = [
                Residual(channels if j == 0 else planes, planes, 2 if j == 0 and i else 1)
                for j in range(depth)
            ]
            stages.append(nn.Sequential(*units))
            channels = planes
        self.stages = nn.ModuleList(stages)
        self.neck = nn.Linear(channels, 16)
        self.head = nn.Linear(16, num_classes)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        for stage in self.stages:
            x = stage(x)
        return self.head(self.neck(x.mean((2, 3))))


class SelfAttention(nn.Module):
    def __init__(self, dim: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, dim = x.shape
        qkv = self.qkv(x).reshape(batch, length, 3, self.num_heads, dim // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).reshape(batch, length, dim))


class Layer(nn.Module):
    def __init__(self, dim: int, num_heads: int, mlp_ratio: int = 4):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = SelfAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, dim * mlp_ratio), nn.GELU(), nn.Linear(dim * mlp_ratio, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """ViT (arXiv 2010.11929), small, with a class token and a table of positions."""

    def __init__(
        self,
        image_size: int = 32,
        patch_size: int = 16,
        embed_dim: int = 24,
        depth: int = 2,
        num_heads: int = 3,
        num_classes: int = 7,
    ):
        super().__init__()
        self.patch = nn.Conv2d(3, embed_dim, patch_size, patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, (image_size // patch_size) ** 2 + 1, embed_dim))
        self.layers = nn.ModuleList([Layer(embed_dim, num_heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(embed_dim)
        self.head = nn.Linear(embed_dim, num_classes)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patch(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1) + self.pos_embed
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x)[:, 0])


class Vgg(nn.Module):
    """VGG-11 (arXiv 1409.1556) with a sixteenth of the channels; 0 is a pooling."""

    def __init__(
        self, plan: tuple[int, ...] = (4, 0, 8, 0, 16, 16, 0, 32, 32, 0, 32, 32, 0), num_classes: int = 5
    ):
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for count in plan:
            if count:
                layers += [nn.Conv2d(channels, count, 3, padding=1), nn.ReLU(inplace=True)]
                channels = count
            else:
                layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(
            nn.Linear(channels * 4, 64), nn.ReLU(True), nn.Dropout(), nn.Linear(64, num_classes)
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(image)), 1))


class WindowAttention(nn.Module):
    """As in Swin: attention in windows of a map, which is rolled in every other block."""

    def __init__(self, dim: int, num_heads: int, window_size: int, shift_size: int):
        super().__init__()
        self.num_heads, self.window_size, self.shift_size = num_heads, window_size, shift_size
        self.relative_position_bias_table = nn.Parameter(torch.randn((2 * window_size - 1) ** 2, num_heads))
        place = torch.stack(
            torch.meshgrid(torch.arange(window_size), torch.arange(window_size), indexing="ij")
        ).flatten(1)
        offset = place[:, :, None] - place[:, None] + window_size - 1
        index = offset[0] * (2 * window_size - 1) + offset[1]
        self.register_buffer("relative_position_index", index.flatten())
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        B, H, W, C = x.shape
        w, s = self.window_size, self.shift_size if min(x.shape[1:3]) > self.window_size else 0
        if s > 0:
            x = torch.roll(x, shifts=(-s, -s), dims=(1, 2))
        x = x.view(B, H // w, w, W // w, w, C).permute(0, 1, 3, 2, 4, 5).reshape(-1, w * w, C)
        qkv = self.qkv(x).reshape(x.shape[0], w * w, 3, self.num_heads, C // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) * (C // self.num_heads) ** -0.5
        bias = self.relative_position_bias_table[self.relative_position_index].view(w * w, w * w, -1)
        scores = scores + bias.permute(2, 0, 1).unsqueeze(0)
        if s > 0:
            side = torch.zeros(H, W)
            for i, rows in enumerate((slice(0, -w), slice(-w, -s), slice(-s, None))):
                for j, columns in enumerate((slice(0, -w), slice(-w, -s), slice(-s, None))):
                    side[rows, columns] = 3 * i + j
            side = side.view(H // w, w, W // w, w).permute(0, 2, 1, 3).reshape(-1, w * w)
            mask = side[:, None] - side[:, :, None]
            mask = mask.masked_fill(mask != 0, -100.0)
            scores = scores.view(B, -1, self.num_heads, w * w, w * w) + mask[:, None]
            scores = scores.view(-1, self.num_heads, w * w, w * w)
        x = (scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, w * w, C)
        x = self.proj(x).view(B, H // w, W // w, w, w, C).permute(0, 1, 3, 2, 4, 5).reshape(B, H, W, C)
        return torch.roll(x, shifts=(s, s), dims=(1, 2)) if s > 0 else x


class WindowBlock(nn.Module):
    def __init__(self, dim: int, num_heads: int, window_size: int, shift_size: int):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, num_heads, window_size, shift_size)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attn(self.norm(x))


class WindowNet(nn.Module):
    """Two stages of blocks; in the second, one window covers the map, which is not rolled then."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.first = nn.Sequential(*(WindowBlock(8, 2, 4, 2 * (i % 2)) for i in range(4)))
        self.merge = nn.Conv2d(8, 16, 2, 2)
        self.second = nn.Sequential(*(WindowBlock(16, 4, 4, 2 * (i % 2)) for i in range(2)))
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.patches(x).permute(0, 2, 3, 1))
        x = self.second(self.merge(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        return self.head(x.mean((1, 2)))


class Stage(nn.Sequential):
    """Its members have names with the number of the stage in them."""

    def __init__(self, width: int, depth: int, number: int):
        super().__init__()
        for i in range(depth):
            self.add_module(f"block{number}-{i}", nn.Sequential(nn.Conv2d(width, width, 1), nn.ReLU()))


class NumberedStages(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.block1, self.block2, self.block3 = Stage(4, 2, 1), Stage(4, 3, 2), Stage(4, 5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.block3(self.block2(self.block1(self.stem(x))))


class EfficientChannelAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv = nn.Conv2d(3, 8, 1), nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.conv(x.mean((2, 3)).view(x.shape[0], 1, -1)).sigmoid()
        return x * y.view(x.shape[0], -1, 1, 1).expand_as(x)


class MaskedBias(nn.Module):
    """A part of a copy is set to zero in place, as in Swin V2 (arXiv 2111.09883)."""

    def __init__(self, dim: int = 4):
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim)

    def forward(self, x: Tensor) -> Tensor:
        bias = self.qkv.bias.clone()
        length = bias.numel() // 3
        bias[length : 2 * length].zero_()
        return F.linear(x, self.qkv.weight, bias)


class JoinedBias(nn.Module):
    """As in BEiT: keys have no bias, so that a bias is joined with zeros."""

    def __init__(self, dim: int = 8):
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_bias, self.v_bias = nn.Parameter(torch.randn(dim)), nn.Parameter(torch.randn(dim))
        self.register_buffer("k_bias", torch.zeros(dim), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        bias = torch.cat((self.q_bias, self.k_bias, self.v_bias))
        return F.linear(x, self.qkv.weight, bias).tanh()


class PlainRow(nn.Module):
    """A row of groups of layers, and a map that is brought back to the size of the image."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 2, 1)
        self.body = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(width, width, 3, padding=1 + i, dilation=1 + i),
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                )
                for i in range(4)
            )
        )
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(self.body(self.stem(x)))
        return F.interpolate(y, size=x.shape[-2:], mode="bilinear")


class Translator(nn.Module):
    """PyTorch's own transformer, with tokens on both sides and a causal mask."""

    def __init__(self, vocabulary: int = 20, width: int = 16) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(vocabulary, width), nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.randn(1, 12, width))
        self.transformer = nn.Transformer(width, 4, 2, 2, 32, dropout=0.1, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        source = self.source(source) + self.positions[:, : source.shape[1]]
        target = self.target(target) + self.positions[:, : target.shape[1]]
        return self.head(self.transformer(source, target, tgt_mask=mask))


class EvaluationOnly(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            raise RuntimeError("the auxiliary head needs a larger image")
        return self.layer(x)


class TwoKindsOfUse(nn.Module):
    """One weight is the kernel of two convolutions that are not alike."""

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Conv1d(4, 4, 3, padding=1, bias=False)
        self.far = nn.Conv1d(4, 4, 3, padding=2, dilation=2, bias=False)
        self.far.weight = self.near.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.near(x) + self.far(x)
