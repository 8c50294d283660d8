"""Parameters with which tests run the largest specs: fewer blocks of the same kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SMALLER: dict[str, dict[str, Any]] = {
    "global_context_convnext": {"depths": [1, 1, 2, 1], "widths": [16, 32, 64, 128]},
    "swin_feature_pyramid": {"depths": [1, 1, 2, 1], "features": 24, "channels": 16},
    "rgbd_segmentation": {"depths": [1, 1, 1, 1], "channels": 16},
    "vit_b_16_four_channels": {"depth": 1},
    "convnext": {"depths": [1, 1, 2, 1], "widths": [16, 32, 64, 128]},
    "swin": {"depths": [1, 1, 2, 1], "features": 24},
    "vit": {"depth": 2},
}


def smaller(path: Path) -> dict[str, Any]:
    return SMALLER.get(path.stem, {})
