"""Detection with a set of queries, as in DETR's own demo."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Detr(nn.Module):
    def __init__(self, num_classes: int = 7, hidden_dim: int = 32, nheads: int = 4, queries: int = 10):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 16, 7, 4, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 64, 3, 4, 1), nn.ReLU()
        )
        self.conv = nn.Conv2d(64, hidden_dim, 1)
        self.transformer = nn.Transformer(hidden_dim, nheads, 2, 2, 64)
        self.linear_class = nn.Linear(hidden_dim, num_classes + 1)
        self.linear_bbox = nn.Linear(hidden_dim, 4)
        self.query_pos = nn.Parameter(torch.rand(queries, hidden_dim))
        self.row_embed = nn.Parameter(torch.rand(50, hidden_dim // 2))
        self.col_embed = nn.Parameter(torch.rand(50, hidden_dim // 2))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        h = self.conv(self.backbone(image))
        H, W = h.shape[-2:]
        columns = self.col_embed[:W].unsqueeze(0).repeat(H, 1, 1)
        rows = self.row_embed[:H].unsqueeze(1).repeat(1, W, 1)
        pos = torch.cat([columns, rows], dim=-1).flatten(0, 1).unsqueeze(1)
        queries = self.query_pos.unsqueeze(1).repeat(1, h.shape[0], 1)
        h = self.transformer(pos + 0.1 * h.flatten(2).permute(2, 0, 1), queries).transpose(0, 1)
        return {"pred_logits": self.linear_class(h), "pred_boxes": self.linear_bbox(h).sigmoid()}
