"""Stand-ins for torchvision's compiled operators, where they are not of the PyTorch that is here.

`python -m tests.torchvision_operators SCRIPT ...` runs a script with them.
"""

from __future__ import annotations

import runpy
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch


@cache  # a process can define them once
def operators_of_torchvision() -> torch.library.Library | None:
    """Stand-ins for the compiled operators that torchvision asks for on import and classifiers never call.

    A torchvision built for another PyTorch (its wheel for CUDA beside a PyTorch without, say) lacks them.
    """
    package = find_spec("torchvision")
    if package is None or package.origin is None:
        return None
    try:
        torch.ops.load_library(str(Path(package.origin).with_name("_C.so")))
        return None
    except OSError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return library


def suppressed(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """Which boxes stay, best first: torchvision's `nms` in Python, for its detectors."""
    from torchvision.ops import box_iou

    overlap = box_iou(boxes, boxes) > threshold
    stay: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        if not overlap[index, stay].any():
            stay.append(index)
    return torch.tensor(stay, dtype=torch.int64)


def main() -> None:
    library = operators_of_torchvision()
    if library is not None:
        from torchvision.ops import boxes

        boxes.nms = suppressed  # `roi_align` has a way without operators; `nms` has none
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
