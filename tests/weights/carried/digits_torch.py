"""Run as a program in a folder that holds digit_net_torch.py: `train` it, or `test` it with a state_dict."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path.cwd()))

from digit_net_torch import DigitNet


def main(task: str, weights: str, logits: str) -> None:
    torch.manual_seed(0)
    data = np.load("digits.npz")
    images, digits = torch.from_numpy(data["images"])[:, None], torch.from_numpy(data["digits"])
    train, test = slice(None, int(data["train"])), slice(int(data["train"]), None)
    model = DigitNet()
    if task == "train":
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(12):
            for batch in torch.randperm(int(data["train"])).split(64):
                optimizer.zero_grad()
                F.cross_entropy(model(images[train][batch]), digits[train][batch]).backward()
                optimizer.step()
        torch.save(model.state_dict(), weights)
    else:
        model.load_state_dict(torch.load(weights, weights_only=True), strict=True)
    model.eval()
    with torch.no_grad():
        np.save(logits, model(images[test]).numpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
